//! Picks that noise alone makes, and those it must not cost, at any rate.

use seislake_model::{Phase, Pick, SourceId, Timestamp};

use super::invariance::{Noise, channel};
use crate::pick::{PickSettings, Piece, StationPicker};

fn picks(rate_hz: f64, components: &[(&str, Vec<f64>)]) -> Vec<Pick> {
    let start_time: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let mut picker = StationPicker::new(&PickSettings::default());
    for (code, samples) in components {
        let source_id = SourceId::from_nslc("XX", "ABC", "", code);
        let piece = Piece { source_id: &source_id, version: 2, start_time, sample_rate_hz: rate_hz, samples };
        picker.push(piece, None);
    }
    picker.advance(Timestamp::MAX).picks
}

/// White noise, Gaussian as a sum of twelve equally distributed numbers is.
fn white(seed: u64, count: usize) -> Vec<f64> {
    let mut noise = Noise(seed);
    (0..count).map(|_| (200.0 * (0..12).map(|_| noise.next()).sum::<f64>()).round()).collect()
}

#[test]
fn noise_makes_about_as_many_picks_at_any_rate() {
    const HOURS: f64 = 12.0;
    let an_hour = |rate_hz: f64| {
        let count = (HOURS * 3600.0 * rate_hz) as usize;
        let components =
            ["HHZ", "HHN", "HHE"].into_iter().zip(1..).map(|(code, seed)| (code, white(seed, count)));
        picks(rate_hz, &components.collect::<Vec<_>>()).len() as f64 / HOURS
    };
    let rates = [10.0, 16.0, 20.0, 25.0, 30.0, 40.0, 100.0].map(|rate_hz| (rate_hz, an_hour(rate_hz)));
    for (rate_hz, picks) in rates {
        assert!(picks <= 16.0, "{picks} an hour at {rate_hz} Hz: {rates:?}");
    }
}

#[test]
fn slow_channels_still_show_their_arrivals() {
    for rate_hz in [20.0, 25.0, 30.0] {
        let gains = [("HHZ", (3000.0, 700.0)), ("HHN", (600.0, 4000.0)), ("HHE", (500.0, 3500.0))];
        let components = gains.into_iter().zip(1..).map(|((code, gains), seed)| {
            (code, channel(seed, rate_hz, 150.0, &[(20.0, 24.1), (60.0, 66.2)], gains))
        });
        let picks = picks(rate_hz, &components.collect::<Vec<_>>());
        let start: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        for (phase, onset) in [(Phase::P, 20.0), (Phase::S, 24.1), (Phase::P, 60.0), (Phase::S, 66.2)] {
            let read = picks
                .iter()
                .any(|pick| pick.phase == phase && (pick.pick_time.seconds_since(start) - onset).abs() < 0.3);
            assert!(read, "{phase:?} at {onset} s, {rate_hz} Hz: {picks:#?}");
        }
    }
}
