//! Behaviour of the station picker on made signals.

use seislake_model::{AmplitudeTrace, Phase, Pick, Polarity, SourceId, Timestamp};

use super::invariance::{Noise, RATE_HZ, channel, response, station};
use crate::pick::{PickSettings, Piece, PieceOutcome, StationPicker};

fn start() -> Timestamp {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

fn pick(source_id: &SourceId, samples: &[f64]) -> Vec<Pick> {
    let mut picker = StationPicker::new(&PickSettings::default());
    let piece = Piece { version: 2, source_id, start_time: start(), sample_rate_hz: RATE_HZ, samples };
    picker.push(piece, None);
    picker.advance(Timestamp::MAX).picks
}

fn vertical() -> SourceId {
    SourceId::from_nslc("XX", "ABC", "", "HHZ")
}

#[test]
fn p_and_s_are_read_at_their_onsets() {
    let mut picker = StationPicker::new(&PickSettings::default());
    for feed in station() {
        let piece = Piece {
            version: 2,
            source_id: &feed.source_id,
            start_time: feed.start,
            sample_rate_hz: RATE_HZ,
            samples: &feed.samples,
        };
        picker.push(piece, Some(&response()));
    }
    let output = picker.advance(Timestamp::MAX);
    let begin: Timestamp = "2020-01-01T00:00:00.013Z".parse().unwrap();
    let read = |phase: Phase, onset: f64| {
        output
            .picks
            .iter()
            .any(|pick| pick.phase == phase && (pick.pick_time.seconds_since(begin) - onset).abs() < 0.08)
    };
    for (p, s) in [(20.0, 23.1), (34.0, 36.5), (52.03, 58.2)] {
        assert!(read(Phase::P, p) && read(Phase::S, s), "{p} {s} {:#?}", output.picks);
    }
    let first = output.picks.iter().find(|pick| pick.phase == Phase::P).unwrap();
    assert_eq!(first.polarity, Polarity::Positive);
    assert!(output.amplitude_traces.iter().all(|trace| trace.peaks_mm.len() <= 60));
}

#[test]
fn dead_and_clipped_channels_give_no_picks() {
    let count = (60.0 * RATE_HZ) as usize;
    assert_eq!(pick(&vertical(), &vec![17.0; count]), vec![]);
    // A dead channel that jumps once.
    let jump: Vec<f64> = (0..count).map(|index| if index > count / 2 { 900.0 } else { 17.0 }).collect();
    assert_eq!(pick(&vertical(), &jump), vec![]);
    let clipped: Vec<f64> = channel(3, RATE_HZ, 60.0, &[(30.0, 33.0)], (3e6, 3e6))
        .iter()
        .enumerate()
        .map(|(index, x)| (x + 4e6 * (index as f64 * 0.05).sin()).clamp(-8e5, 8e5))
        .collect();
    assert_eq!(pick(&vertical(), &clipped), vec![]);
}

#[test]
fn a_spike_is_no_arrival() {
    let mut noise = Noise(9);
    let mut samples: Vec<f64> = (0..3000).map(|_| (100.0 * noise.next()).round()).collect();
    samples[1500] = 80_000.0;
    assert_eq!(pick(&vertical(), &samples), vec![]);
}

#[test]
fn other_instruments_and_slow_channels_are_left_alone() {
    let samples = channel(1, RATE_HZ, 60.0, &[(30.0, 33.0)], (3000.0, 700.0));
    assert_eq!(pick(&SourceId::from_nslc("XX", "ABC", "", "BDF"), &samples), vec![]);
    assert_ne!(pick(&vertical(), &samples), vec![]);
    let mut picker = StationPicker::new(&PickSettings::default());
    let piece = Piece {
        version: 2,
        source_id: &vertical(),
        start_time: start(),
        sample_rate_hz: 1.0,
        samples: &samples,
    };
    picker.push(piece, None);
    assert_eq!(picker.advance(Timestamp::MAX).picks, vec![]);
}

#[test]
fn backfill_is_picked_without_harm_to_the_present() {
    let samples = channel(1, RATE_HZ, 120.0, &[(30.0, 33.0), (90.0, 93.0)], (3000.0, 700.0));
    let id = vertical();
    let middle = 60 * RATE_HZ as usize;
    let mut picker = StationPicker::new(&PickSettings::default());
    let mut push = |begin: usize, end: usize| {
        let start_time = start().add_seconds(begin as f64 / RATE_HZ);
        let samples = &samples[begin..end];
        picker.push(Piece { version: 2, source_id: &id, start_time, sample_rate_hz: RATE_HZ, samples }, None);
    };
    push(middle, middle + 1000);
    push(0, middle);
    push(middle + 1000, samples.len());
    // The whole once more: nothing of it is new.
    push(0, samples.len());
    let picks = picker.advance(Timestamp::MAX).picks;
    for onset in [30.0, 90.0] {
        let near = |pick: &&Pick| (pick.pick_time.seconds_since(start()) - onset).abs() < 0.1;
        assert_eq!(picks.iter().filter(near).count(), 1, "{picks:#?}");
    }
}

#[test]
fn a_snapshot_stays_small() {
    let mut picker = StationPicker::new(&PickSettings::default());
    for code in ["HHZ", "HHN", "HHE"] {
        let source_id = SourceId::from_nslc("XX", "ABC", "", code);
        let samples = channel(1, 100.0, 300.0, &[(100.0, 104.0), (200.0, 205.0)], (3000.0, 2000.0));
        let piece = Piece {
            version: 2,
            source_id: &source_id,
            start_time: start(),
            sample_rate_hz: 100.0,
            samples: &samples,
        };
        picker.push(piece, Some(&response()));
    }
    picker.advance(start().add_seconds(300.0));
    let length = serde_json::to_string(&picker.snapshot()).unwrap().len();
    assert!(length < 100_000, "{length}");
}

#[test]
fn the_end_of_a_stream_lets_a_new_one_begin() {
    let samples = channel(1, RATE_HZ, 60.0, &[(30.0, 33.0)], (3000.0, 700.0));
    let id = vertical();
    let mut picker = StationPicker::new(&PickSettings::default());
    // Seconds from the pick times to the begin of the stream.
    let mut run = |days: f64| {
        let start_time = start().add_seconds(days * 86_400.0);
        let samples = samples.as_slice();
        picker.push(Piece { version: 2, source_id: &id, start_time, sample_rate_hz: RATE_HZ, samples }, None);
        let picks = picker.advance(Timestamp::MAX).picks;
        picks.iter().map(|pick| pick.pick_time.seconds_since(start_time)).collect::<Vec<f64>>()
    };
    let first = run(0.0);
    assert!(!first.is_empty());
    for days in [1.0, -1000.0] {
        assert_eq!(run(days), first, "{days}");
    }
}

#[test]
fn what_an_earlier_stream_decided_is_not_picked_again() {
    let samples = channel(1, RATE_HZ, 180.0, &[(30.0, 33.0), (90.0, 93.0), (150.0, 153.0)], (3000.0, 700.0));
    let id = vertical();
    let mut picker = StationPicker::new(&PickSettings::default());
    // Seconds of the recording, in records of `record_s`; restored from its snapshot before it.
    let mut run = |version: u8, from_s: f64, to_s: f64, record_s: f64| {
        picker = StationPicker::restore(&PickSettings::default(), picker.snapshot());
        let mut begin_s = from_s;
        while begin_s < to_s {
            let end_s = (begin_s + record_s).min(to_s);
            let samples = &samples[(begin_s * RATE_HZ) as usize..(end_s * RATE_HZ) as usize];
            let start_time = start().add_seconds(begin_s);
            let piece = Piece { version, source_id: &id, start_time, sample_rate_hz: RATE_HZ, samples };
            picker.push(piece, None);
            begin_s = end_s;
        }
        let picks = picker.advance(Timestamp::MAX).picks;
        picks.iter().map(|pick| pick.pick_time.seconds_since(start())).collect::<Vec<f64>>()
    };
    let near = |picks: &[f64], onset: f64| picks.iter().any(|pick| (pick - onset).abs() < 0.1);
    let first = run(2, 0.0, 60.0, 5.0);
    assert!(near(&first, 30.0), "{first:?}");
    // In other records, and as another version.
    assert_eq!(run(2, 0.0, 60.0, 7.0), Vec::<f64>::new());
    assert_eq!(run(3, 10.0, 50.0, 60.0), Vec::<f64>::new());
    // A longer stretch says only what is new in it; later the rest.
    let longer = run(2, 0.0, 120.0, 10.0);
    assert!(near(&longer, 90.0) && !near(&longer, 30.0), "{longer:?}");
    let rest = run(4, 0.0, 180.0, 30.0);
    assert!(near(&rest, 150.0) && !near(&rest, 30.0) && !near(&rest, 90.0), "{rest:?}");
}

#[test]
fn no_pick_comes_later_than_the_stated_latency() {
    let settings = PickSettings::default();
    let mut picker = StationPicker::new(&settings);
    let feeds = station();
    let mut count = 0;
    for second in 0..150 {
        let piece_length = RATE_HZ as usize;
        for feed in &feeds {
            let begin = second * piece_length;
            let piece = Piece {
                version: 2,
                source_id: &feed.source_id,
                start_time: feed.start.add_seconds(second as f64),
                sample_rate_hz: RATE_HZ,
                samples: &feed.samples[begin..begin + piece_length],
            };
            picker.push(piece, None);
        }
        let watermark = feeds[0].start.add_seconds(second as f64 + 1.0);
        for pick in picker.advance(watermark).picks {
            count += 1;
            // One second more: the watermark moves by seconds here.
            assert!(watermark.seconds_since(pick.pick_time) <= settings.latency_s() + 1.0);
        }
    }
    assert!(count >= 6);
}

/// The station's samples as version 2 and, `shift_s` earlier, as version 3, cut into pieces in the order of time.
fn two_versions(shift_s: f64, piece_s: f64, versions: [u8; 2]) -> Vec<(u8, SourceId, Timestamp, Vec<f64>)> {
    let mut pieces = vec![];
    for feed in station() {
        for (version, early_s) in [(versions[0], 0.0), (versions[1], shift_s)] {
            for (number, samples) in feed.samples.chunks((piece_s * RATE_HZ) as usize).enumerate() {
                let begin = feed.start.add_seconds(number as f64 * piece_s - early_s);
                pieces.push((version, feed.source_id.clone(), begin, samples.to_vec()));
            }
        }
    }
    pieces.sort_by_key(|(_, _, begin, _)| *begin);
    pieces
}

fn pick_pieces(pieces: &[(u8, SourceId, Timestamp, Vec<f64>)]) -> Vec<Pick> {
    let mut picker = StationPicker::new(&PickSettings::default());
    for (version, source_id, start_time, samples) in pieces {
        let (source_id, start_time) = (source_id, *start_time);
        let piece = Piece { source_id, version: *version, start_time, sample_rate_hz: RATE_HZ, samples };
        picker.push(piece, Some(&response()));
    }
    picker.advance(Timestamp::MAX).picks
}

#[test]
fn of_two_versions_of_the_same_time_the_better_is_picked_as_if_it_were_alone() {
    for (shift_s, piece_s) in [(0.06, 10.0), (-0.06, 4.0), (0.0, 3.0), (1.0, 7.0)] {
        for versions in [[2, 3], [3, 2], [1, 4]] {
            let pieces = two_versions(shift_s, piece_s, versions);
            let best = versions[0].max(versions[1]);
            let alone: Vec<_> = pieces.iter().filter(|piece| piece.0 == best).cloned().collect();
            let (both, alone) = (pick_pieces(&pieces), pick_pieces(&alone));
            assert!(alone.len() >= 6, "{alone:#?}");
            assert_eq!(both, alone, "{shift_s} {piece_s} {versions:?}");
        }
    }
}

#[test]
fn two_recordings_of_one_version_do_not_alternate() {
    // Pieces of both, one after the other; the first goes on, the rest of the other is left out.
    for (shift_s, piece_s) in [(0.06, 10.0), (-0.06, 10.0), (0.5, 5.0)] {
        let pieces = two_versions(shift_s, piece_s, [2, 2]);
        let alone: Vec<_> = two_versions(shift_s, piece_s, [2, 3]);
        let of = |version: u8| alone.iter().filter(|piece| piece.0 == version).cloned().collect::<Vec<_>>();
        let (both, first, other) = (pick_pieces(&pieces), pick_pieces(&of(2)), pick_pieces(&of(3)));
        let most = first.len().max(other.len()) + 2;
        assert!((6..=most).contains(&both.len()), "{shift_s} {piece_s}: {} of {most}", both.len());
    }
}

#[test]
fn a_better_version_that_comes_late_gives_no_arrival_twice() {
    let pieces = two_versions(0.06, 10.0, [2, 3]);
    let mut picker = StationPicker::new(&PickSettings::default());
    let mut picks = vec![];
    for wanted in [2, 3] {
        for (version, source_id, start_time, samples) in pieces.iter().filter(|piece| piece.0 == wanted) {
            let (source_id, start_time) = (source_id, *start_time);
            let piece = Piece { source_id, version: *version, start_time, sample_rate_hz: RATE_HZ, samples };
            picker.push(piece, None);
        }
        picks.extend(picker.advance(start().add_seconds(150.0)).picks);
    }
    picks.extend(picker.advance(Timestamp::MAX).picks);
    for (index, one) in picks.iter().enumerate() {
        let same = |other: &Pick| {
            other.phase == one.phase && (other.pick_time.seconds_since(one.pick_time)).abs() < 0.3
        };
        assert!(!picks[..index].iter().any(same), "{one:?} of {picks:#?}");
    }
}

#[test]
fn other_settings_hold_from_the_next_sample_on() {
    let samples = channel(1, RATE_HZ, 120.0, &[(30.0, 33.0), (90.0, 93.0)], (3000.0, 700.0));
    let id = vertical();
    let middle = 60 * RATE_HZ as usize;
    let deaf =
        PickSettings { p_snr_min: 1e9, s_snr_min: 1e9, trigger_threshold: 1e9, ..PickSettings::default() };
    let blunt = PickSettings { filter_window_s: 0.2, ..PickSettings::default() };
    for (first, then, onsets) in [
        (deaf.clone(), PickSettings::default(), vec![90.0]),
        (PickSettings::default(), deaf, vec![30.0]),
        (PickSettings::default(), blunt, vec![30.0, 90.0]),
    ] {
        let mut picker = StationPicker::new(&first);
        let mut picks = vec![];
        for (settings, begin, end) in [(&first, 0, middle), (&then, middle, samples.len())] {
            picker = StationPicker::restore(settings, picker.snapshot());
            let start_time = start().add_seconds(begin as f64 / RATE_HZ);
            let samples = &samples[begin..end];
            let piece = Piece { source_id: &id, version: 2, start_time, sample_rate_hz: RATE_HZ, samples };
            picker.push(piece, None);
            picks.extend(picker.advance(start().add_seconds(end as f64 / RATE_HZ)).picks);
        }
        picks.extend(picker.advance(Timestamp::MAX).picks);
        let found: Vec<f64> = [30.0, 90.0]
            .into_iter()
            .filter(|onset| {
                picks.iter().any(|pick| (pick.pick_time.seconds_since(start()) - onset).abs() < 0.1)
            })
            .collect();
        assert_eq!(found, onsets, "{picks:#?}");
    }
}

#[test]
fn channels_beyond_the_limit_are_refused_aloud_once() {
    let mut picker = StationPicker::new(&PickSettings::default());
    let samples = vec![1.0; 100];
    let mut push = |index: usize, version: u8| {
        let source_id = SourceId::from_nslc("XX", "ABC", &format!("{index:02}"), "HHZ");
        let start_time = start();
        picker.push(
            Piece { source_id: &source_id, version, start_time, sample_rate_hz: RATE_HZ, samples: &samples },
            None,
        )
    };
    for index in 0..48 {
        assert_eq!(push(index, 2), PieceOutcome::Picked);
    }
    assert_eq!(
        (push(48, 2), push(48, 2), push(49, 2)),
        (PieceOutcome::Refused, PieceOutcome::RefusedBefore, PieceOutcome::Refused)
    );
    assert_eq!(
        (push(0, 1), push(0, 3), push(0, 4)),
        (PieceOutcome::Picked, PieceOutcome::Picked, PieceOutcome::Picked)
    );
    assert_eq!((push(0, 5), push(0, 5)), (PieceOutcome::Refused, PieceOutcome::RefusedBefore));
}

/// The amplitude traces of three components, with an oscillation of the ground (counts, Hz) below everything.
fn traces_above(swell: (f64, f64)) -> Vec<AmplitudeTrace> {
    let mut picker = StationPicker::new(&PickSettings::default());
    for feed in station() {
        let wave = |index: usize| (std::f64::consts::TAU * swell.1 * index as f64 / RATE_HZ).sin();
        let samples: Vec<f64> =
            feed.samples.iter().enumerate().map(|(index, sample)| sample + swell.0 * wave(index)).collect();
        let (source_id, start_time) = (&feed.source_id, feed.start);
        let piece = Piece { version: 2, source_id, start_time, sample_rate_hz: RATE_HZ, samples: &samples };
        picker.push(piece, Some(&response()));
    }
    picker.advance(Timestamp::MAX).amplitude_traces
}

#[test]
fn amplitudes_that_a_swell_hides_come_above_two_hertz_too() {
    let largest = |peaks: &[f32]| peaks.iter().take(10).copied().fold(0.0, f32::max);
    let (quiet, swell) = (traces_above((0.0, 0.4)), traces_above((5000.0, 0.4)));
    assert!(!quiet.is_empty() && quiet.len() == swell.len(), "{} {}", quiet.len(), swell.len());
    for (quiet, swell) in quiet.iter().zip(&swell) {
        assert_eq!((&quiet.source_id, quiet.start_time), (&swell.source_id, swell.start_time));
        assert!(largest(&quiet.peaks_mm) > 4.0 * quiet.noise_mm, "clear: {quiet:?}");
        assert!(largest(&swell.peaks_mm) < 4.0 * swell.noise_mm, "hidden: {swell:?}");
        assert_eq!(swell.high_peaks_mm.len(), swell.peaks_mm.len());
        assert!(largest(&swell.high_peaks_mm) > 4.0 * swell.high_noise_mm, "clear again: {swell:?}");
        let ratio = largest(&swell.high_peaks_mm) / largest(&quiet.peaks_mm);
        assert!((0.8..1.1).contains(&ratio), "{ratio}");
    }
}
