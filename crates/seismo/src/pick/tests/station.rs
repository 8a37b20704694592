//! Behaviour of the station picker on made signals.

use seislake_model::{Phase, Pick, Polarity, SourceId, Timestamp};

use super::invariance::{Noise, RATE_HZ, channel, response, station};
use crate::pick::{PickSettings, Piece, StationPicker};

fn start() -> Timestamp {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

fn pick(source_id: &SourceId, samples: &[f64]) -> Vec<Pick> {
    let mut picker = StationPicker::new(&PickSettings::default());
    let piece = Piece { source_id, start_time: start(), sample_rate_hz: RATE_HZ, samples };
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
    let piece = Piece { source_id: &vertical(), start_time: start(), sample_rate_hz: 1.0, samples: &samples };
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
        picker.push(Piece { source_id: &id, start_time, sample_rate_hz: RATE_HZ, samples }, None);
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
        let piece =
            Piece { source_id: &source_id, start_time: start(), sample_rate_hz: 100.0, samples: &samples };
        picker.push(piece, Some(&response()));
    }
    picker.advance(start().add_seconds(300.0));
    let length = serde_json::to_string(&picker).unwrap().len();
    assert!(length < 100_000, "{length}");
}

#[test]
fn the_end_of_a_stream_lets_a_new_one_begin() {
    let samples = channel(1, RATE_HZ, 60.0, &[(30.0, 33.0)], (3000.0, 700.0));
    let id = vertical();
    let mut picker = StationPicker::new(&PickSettings::default());
    let mut run = || {
        let piece = Piece { source_id: &id, start_time: start(), sample_rate_hz: RATE_HZ, samples: &samples };
        picker.push(piece, None);
        picker.advance(Timestamp::MAX).picks
    };
    let first = run();
    assert!(!first.is_empty());
    assert_eq!(run(), first);
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
