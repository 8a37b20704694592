//! What goes wrong with channels, gaps and onsets, one test each; the numbers are those of the list in
//! `crates/mseed/src/tests/pitfalls.rs`.

use seislake_model::{Onset, Phase, Pick, Polarity, SourceId, Timestamp};

use super::invariance::{Noise, RATE_HZ, channel, station};
use crate::pick::{PickSettings, Piece, StationPicker};

fn start() -> Timestamp {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

/// Picks of pieces: location, channel, seconds after the start, samples.
fn picks(pieces: &[(&str, &str, f64, &[f64])]) -> Vec<Pick> {
    let mut picker = StationPicker::new(&PickSettings::default());
    for (location, code, seconds, samples) in pieces {
        let source_id = SourceId::from_nslc("XX", "ABC", location, code);
        let start_time = start().add_seconds(*seconds);
        picker.push(
            Piece { version: 2, source_id: &source_id, start_time, sample_rate_hz: RATE_HZ, samples },
            None,
        );
    }
    picker.advance(Timestamp::MAX).picks
}

fn seconds(pick: &Pick) -> f64 {
    pick.pick_time.seconds_since(start())
}

fn phases(picks: &[Pick], phase: Phase) -> Vec<&Pick> {
    picks.iter().filter(|pick| pick.phase == phase).collect()
}

/// Vertical, north and east of a station that records three events.
fn components() -> [Vec<f64>; 3] {
    let mut feeds = station().into_iter().map(|feed| feed.samples);
    [feeds.next().unwrap(), feeds.next().unwrap(), feeds.next().unwrap()]
}

// 16

#[test]
fn components_are_told_by_the_letter_and_uvw_are_neither_vertical_nor_horizontal() {
    let [z, n, e] = components();
    let of = |codes: [&str; 3]| {
        let found = picks(&[("", codes[0], 0.0, &z), ("", codes[1], 0.0, &n), ("", codes[2], 0.0, &e)]);
        found.iter().map(|pick| (pick.phase, pick.pick_time)).collect::<Vec<_>>()
    };
    let reference = of(["HHZ", "HHN", "HHE"]);
    assert!(reference.len() >= 6);
    assert_eq!(of(["HHZ", "HH2", "HH1"]), reference);
    assert_eq!(of(["HHZ", "HHT", "HHR"]), reference);
    // Nobody turns them into a vertical: no pick.
    assert_eq!(of(["HHU", "HHV", "HHW"]), []);
}

#[test]
fn horizontals_of_another_location_or_instrument_do_not_complete_a_triple() {
    let [z, n, e] = components();
    let alone = picks(&[("00", "HHZ", 0.0, &z)]);
    let p = |picks: &[Pick]| phases(picks, Phase::P).into_iter().cloned().collect::<Vec<_>>();
    assert!(!alone.is_empty());
    for (location, north, east) in [("10", "HHN", "HHE"), ("00", "HNN", "HNE"), ("00", "BHN", "BHE")] {
        let found = picks(&[("00", "HHZ", 0.0, &z), (location, north, 0.0, &n), (location, east, 0.0, &e)]);
        assert_eq!(p(&found), p(&alone), "{location} {north}");
    }
}

#[test]
fn missing_horizontals_leave_p_and_a_lone_horizontal_gives_none() {
    let [z, n, _] = components();
    let vertical = picks(&[("", "HHZ", 0.0, &z)]);
    for onset in [20.0, 34.0] {
        assert!(phases(&vertical, Phase::P).iter().any(|pick| (seconds(pick) - onset).abs() < 0.1));
    }
    assert_eq!(phases(&picks(&[("", "HHN", 0.0, &n)]), Phase::P), Vec::<&Pick>::new());
}

// 18

#[test]
fn filters_begin_anew_behind_a_gap_and_nothing_is_picked_until_they_have_settled() {
    let samples = channel(1, RATE_HZ, 60.0, &[(30.0, 33.0)], (3000.0, 700.0));
    let at = |seconds: f64| (seconds * RATE_HZ) as usize;
    let warm_up_s = PickSettings::default().warm_up_s;
    let with_gap_until = |resumed_s: f64| {
        picks(&[("", "HHZ", 0.0, &samples[..at(20.0)]), ("", "HHZ", resumed_s, &samples[at(resumed_s)..])])
    };
    let onset = |pick: &Pick| (seconds(pick) - 30.0).abs() < 0.1;
    assert!(with_gap_until(25.0).iter().any(onset));
    let late = with_gap_until(28.0);
    let early = late.iter().filter(|pick| (20.0..28.0 + warm_up_s).contains(&seconds(pick)));
    assert_eq!(early.count(), 0, "{late:#?}");
}

// 19

#[test]
fn samples_that_are_no_number_are_a_gap_and_never_reach_a_filter() {
    let samples = channel(1, RATE_HZ, 90.0, &[(30.0, 33.0), (70.0, 73.0)], (3000.0, 700.0));
    let (begin, end) = (40 * RATE_HZ as usize, 50 * RATE_HZ as usize);
    for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut holed = samples.clone();
        holed[begin..end].fill(broken);
        let found = picks(&[("", "HHZ", 0.0, &holed)]);
        let pieces = picks(&[("", "HHZ", 0.0, &samples[..begin]), ("", "HHZ", 50.0, &samples[end..])]);
        assert_eq!(found, pieces);
        assert!(found.iter().any(|pick| (seconds(pick) - 70.0).abs() < 0.1), "{found:#?}");
    }
}

// 22

/// Noise, and a wave of 6 Hz that grows to its full height within `rise_s` after 30 s.
fn rising(rise_s: f64, gain: f64) -> Vec<f64> {
    let mut noise = Noise(5);
    (0..(60.0 * RATE_HZ) as usize)
        .map(|index| {
            let since = index as f64 / RATE_HZ - 30.0;
            let height = if since < 0.0 { 0.0 } else { (since / rise_s).min(1.0) * (-since / 8.0).exp() };
            (200.0 * noise.next() + gain * height * (std::f64::consts::TAU * 6.0 * since).sin()).round()
        })
        .collect()
}

#[test]
fn an_emergent_onset_is_said_to_be_uncertain_and_no_pick_precedes_its_onset() {
    let first =
        |rise_s: f64| phases(&picks(&[("", "HHZ", 0.0, &rising(rise_s, 800.0))]), Phase::P)[0].clone();
    let sharp = first(0.01);
    assert_eq!(sharp.onset, Onset::Impulsive);
    assert!((-0.03..0.05).contains(&(seconds(&sharp) - 30.0)), "{sharp:?}");
    let emergent = first(3.0);
    assert_eq!(emergent.onset, Onset::Emergent);
    assert!((-0.03..1.0).contains(&(seconds(&emergent) - 30.0)), "{emergent:?}");
    assert!(emergent.time_uncertainty_s > sharp.time_uncertainty_s, "{emergent:?} {sharp:?}");
}

// 25

#[test]
fn first_motion_is_that_of_the_counts_whatever_way_the_sensor_points() {
    let samples = channel(1, RATE_HZ, 60.0, &[(30.0, 33.0)], (3000.0, 700.0));
    let turned: Vec<f64> = samples.iter().map(|sample| -sample).collect();
    let (up, down) = (picks(&[("", "HHZ", 0.0, &samples)]), picks(&[("", "HHZ", 0.0, &turned)]));
    let of = |picks: &[Pick]| (phases(picks, Phase::P)[0].pick_time, phases(picks, Phase::P)[0].polarity);
    // A sensor mounted upside down (dip of 90 degrees) is not put right: StationXML has to be asked by the reader.
    assert_eq!((of(&up).1, of(&down).1), (Polarity::Positive, Polarity::Negative));
    assert_eq!(of(&up).0, of(&down).0);
    assert!(phases(&up, Phase::S).iter().all(|pick| pick.polarity == Polarity::Undecidable));
}
