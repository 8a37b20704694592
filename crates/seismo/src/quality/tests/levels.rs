//! Levels of samples, latency and timing quality: NumPy as oracle, and cases by hand.

use std::collections::BTreeMap;

use seislake_model::{Condition, Latency, SignalLevel};

use super::super::{DayGrid, Piece, latency, percentile, signal_level, timing};
use super::{channel, day, day_start, noise};

const RATE_HZ: f64 = 20.0;

fn level_of(samples: &[f64]) -> SignalLevel {
    let mut grid = DayGrid::new(day(), RATE_HZ).unwrap();
    let (start_ns, count) = (day().start_ns, samples.len());
    let piece =
        Piece::new(start_ns, start_ns + (count as i64 - 1) * 50_000_000, RATE_HZ, count as u64).unwrap();
    grid.place(piece, samples);
    signal_level(channel(), day_start(), &grid).unwrap()
}

fn noisy(count: usize) -> Vec<f64> {
    noise(1, count).into_iter().map(|value| f64::from(value) + 1000.0).collect()
}

fn sine(count: usize, period: f64, amplitude: f64) -> Vec<f64> {
    (0..count)
        .map(|index| (amplitude * (index as f64 * std::f64::consts::TAU / period).sin()).round())
        .collect()
}

#[test]
fn levels_agree_with_numpy() {
    let level = level_of(&noisy(18_000));
    assert_eq!((level.sample_count, level.minimum, level.maximum), (18_000, -31_768.0, 33_767.0));
    // numpy.mean and numpy.std of the same integers; tolerance: rounding of sums.
    assert!((level.mean - 922.733_166_666_666_6).abs() < 1e-9, "{}", level.mean);
    assert!((level.rms - 18_959.538_878_782_83).abs() < 1e-7, "{}", level.rms);
    assert_eq!(level.condition, Condition::Good);
}

#[test]
fn a_channel_that_does_not_move_is_dead() {
    let level = level_of(&vec![17.0; 12_000]);
    assert_eq!((level.condition, level.constant_s, level.rms), (Condition::Dead, 600.0, 0.0));
    // One calibration step does not revive it.
    let mut step = vec![0.0; 12_000];
    step[6_000..].fill(5_000.0);
    assert_eq!(level_of(&step).condition, Condition::Dead);
    // A gap ends the stretch.
    let mut holed = vec![17.0; 12_000];
    holed[4_000] = f64::NAN;
    assert_eq!(level_of(&holed).constant_s, 7_999.0 / RATE_HZ);
}

#[test]
fn flat_tops_are_clipped_and_smooth_peaks_are_not() {
    let dither = noise(9, 12_000).into_iter().map(|value| f64::from(value >> 11));
    let strong = sine(12_000, 40.0, 9_000.0).into_iter().zip(dither);
    let strong: Vec<f64> = strong.map(|(value, dither)| (value + dither).clamp(-8_000.0, 8_000.0)).collect();
    let level = level_of(&strong);
    assert_eq!((level.condition, level.maximum), (Condition::Clipped, 8_000.0));
    // Per period of 40 samples: |sine| > 8/9 from 6.97 to 13.03, samples 7 to 13, on both sides.
    assert_eq!(level.clipped_count, 300 * 14);
    let slow = level_of(&sine(12_000, 4_000.0, 9_000.0));
    assert!(slow.constant_s > 0.2, "the peak of a slow wave is flat for {} s", slow.constant_s);
    assert_eq!((slow.clipped_count, slow.condition), (0, Condition::Good));
    // Noise of a few counts stands at its extremes all the time.
    let quiet: Vec<f64> = noise(5, 12_000).into_iter().map(|value| f64::from(value >> 14)).collect();
    assert_eq!(level_of(&quiet).clipped_count, 0);
}

#[test]
fn lone_samples_are_spikes_and_strong_motion_is_not() {
    let mut spiky = sine(24_000, 200.0, 100.0);
    for index in 0..12 {
        spiky[1_000 + index * 1_500] += 50_000.0;
    }
    let level = level_of(&spiky);
    assert_eq!((level.spike_count, level.condition), (12, Condition::Spiky));
    // An onset: noise of 10, then oscillation of 50000 at half the highest frequency.
    let mut onset: Vec<f64> = noisy(12_000).into_iter().map(|value| (value / 3_000.0).round()).collect();
    for (index, value) in onset.iter_mut().enumerate().skip(6_000).take(400) {
        *value += 50_000.0 * (index as f64 * std::f64::consts::FRAC_PI_2).sin();
    }
    let level = level_of(&onset);
    assert!(level.spike_count < 3, "{}", level.spike_count);
    assert_eq!(level.condition, Condition::Good);
}

#[test]
fn a_spike_is_one_wherever_it_stands_in_its_window() {
    let window = (300.0 * RATE_HZ) as usize;
    for late in [0, 1, 2, 3_000, window - 2, window - 1] {
        let mut spiky =
            noisy(14 * window).into_iter().map(|value| (value / 500.0).round()).collect::<Vec<_>>();
        for index in 1..=12 {
            spiky[index * window + late] = 50_000.0;
        }
        let level = level_of(&spiky);
        assert_eq!((level.spike_count, level.condition), (12, Condition::Spiky), "{late} samples late");
    }
}

#[test]
fn slow_waves_are_clipped_where_their_tops_are_longer_than_their_flanks_allow() {
    let full_scale = 8_388_607.0;
    for period_s in [5.0, 20.0, 100.0] {
        // No whole number of samples: the waves take many values.
        let period = 1.0037 * period_s * RATE_HZ;
        let wave = |part: f64| sine(12_000, period, part * full_scale);
        let smooth = level_of(&wave(0.99));
        assert_eq!((smooth.clipped_count, smooth.condition), (0, Condition::Good), "{period_s} s");
        let clipped: Vec<f64> =
            wave(2.0).into_iter().map(|value| value.clamp(-full_scale - 1.0, full_scale)).collect();
        let at_the_end = |value: &&f64| **value == full_scale || **value == -full_scale - 1.0;
        let level = level_of(&clipped);
        assert_eq!(level.clipped_count, clipped.iter().filter(at_the_end).count() as u64, "{period_s} s");
        assert_eq!(level.condition, Condition::Clipped);
    }
}

#[test]
fn no_samples_no_row() {
    let grid = DayGrid::new(day(), RATE_HZ).unwrap();
    assert_eq!(signal_level(channel(), day_start(), &grid), None);
}

#[test]
fn percentiles_are_those_of_numpy() {
    let mut values = vec![0.5, 1.25, 3.0, 0.75, 12.0, f64::NAN, 2.0, 0.8];
    let row = latency(channel(), day_start(), &mut values).unwrap();
    // numpy.percentile([0.5, 1.25, 3.0, 0.75, 12.0, 2.0, 0.8], [50, 90, 99]); tolerance: rounding.
    for (found, expected) in [
        (row.latency_p50_s, 1.25),
        (row.latency_p90_s, 6.600_000_000_000_003),
        (row.latency_p99_s, 11.459_999_999_999_996),
    ] {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
    assert_eq!((row.packet_count, row.latency_min_s, row.latency_max_s), (7, 0.5, 12.0));
    assert_eq!(percentile(&[4.0], 0.99), 4.0);
    assert!(percentile(&[], 0.5).is_nan());
    assert_eq!(latency(channel(), day_start(), &mut vec![f64::NAN]), None);
}

#[test]
fn every_latency_has_a_bin() {
    let mut values = vec![-3.0, 0.0, 0.01, 0.015, 0.02, 1e9, f64::INFINITY];
    let row = latency(channel(), day_start(), &mut values).unwrap();
    assert_eq!(row.bin_counts.len(), Latency::BIN_COUNT);
    assert_eq!(row.bin_counts.iter().sum::<i32>(), 7);
    // 0.01 · 2^(k/2): 0.010, 0.0141, 0.02.
    assert_eq!(row.bin_counts[..3], [3, 1, 1]);
    assert_eq!(row.bin_counts[Latency::BIN_COUNT - 1], 2);
    assert!((Latency::bin_start_s(2) - 0.02).abs() < 1e-15);
}

#[test]
fn timing_quality_takes_only_records_that_state_one() {
    let counts = BTreeMap::from([(None, 5), (Some(0), 1), (Some(50), 1), (Some(100), 2)]);
    let row = timing(channel(), day_start(), &counts).unwrap();
    assert_eq!((row.packet_count, row.stated_count, row.timing_quality_min), (9, 4, 0));
    assert_eq!((row.timing_quality_p50, row.timing_quality_mean), (75.0, 62.5));
    assert_eq!(timing(channel(), day_start(), &BTreeMap::from([(None, 5)])), None);
}
