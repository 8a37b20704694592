//! Levels of a day of samples, and whether the channel is dead, clipped or spiky.
//!
//! | word | rule |
//! |---|---|
//! | dead | one value holds for [`DEAD_FRACTION`] of the samples without a change |
//! | flat top | at least [`FLAT_TOP_MIN`] equal samples at the day's extreme, reached or left in a jump, or longer than its flanks allow (a smooth peak is neither) |
//! | spike | one sample far from both neighbours, which agree with theirs; far: [`SPIKE_FACTOR`] times the usual |
//!
//! The peak of a smooth wave looks flat while it stays within one step: a parabola that does so for n samples falls by eight
//! steps in the n samples behind. What falls much further on both sides was cut. Limits of spikes are those of a window
//! of five minutes, the neighbours of a sample those it has, in whatever window they lie.
//!
//! A day of few distinct values is never clipped: noise of some counts stands at its extremes all the time.

use std::collections::HashSet;
use std::ops::Range as Places;

use seislake_model::{Condition, SignalLevel, SourceId, Timestamp};

use super::day_grid::DayGrid;
use super::statistics::median;

/// A channel that does not move in this part of its samples is dead.
const DEAD_FRACTION: f64 = 0.95;
/// Equal samples at the extreme that make a flat top.
const FLAT_TOP_MIN: usize = 5;
/// The jumps into and out of a flat top together, or the fall of each flank, as part of the range.
const FLAT_TOP_JUMP: f64 = 0.02;
/// The fall of a flank as long as its top in smallest steps: twice that of a smooth peak.
const FLANK_STEPS: f64 = 16.0;
/// A day with fewer distinct values is not called clipped.
const DISTINCT_MIN: usize = 100;
/// A spike stands out by so many times the median deviation of samples from the mean of their neighbours.
const SPIKE_FACTOR: f64 = 20.0;
/// Neighbours of a spike differ by less than this part of it.
const SPIKE_CALM: f64 = 0.2;
/// Spikes a day that make a channel spiky.
const SPIKE_COUNT_MIN: u64 = 10;
/// Length of the windows in which deviations are compared, seconds.
const WINDOW_S: f64 = 300.0;
/// Every so many deviations are taken for their median.
const DEVIATION_STRIDE: usize = 8;

/// The row of a channel's day; `None` where it has no samples. Missing samples (NaN) break every stretch.
/// Two passes over the samples.
pub fn signal_level(source_id: SourceId, day: Timestamp, grid: &DayGrid) -> Option<SignalLevel> {
    let samples = grid.values();
    let range = Range::of(samples)?;
    let (mut square_sum, mut still_count, mut runs) = (0.0, 0_u64, Runs::default());
    let mut start = 0;
    while let Some(first) = samples.get(start) {
        let rest = samples.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|sample| *sample == first).count().max(1);
        if !first.is_nan() {
            square_sum += (first - range.mean).powi(2) * length as f64;
            still_count += length as u64 - 1;
            runs.add(samples, start..start + length, &range);
        }
        start += length;
    }
    let spike_count = grid.window_places(WINDOW_S).map(|window| spikes(samples, window, range.step)).sum();
    let condition = match () {
        () if still_count as f64 >= DEAD_FRACTION * range.count.saturating_sub(1).max(1) as f64 => {
            Condition::Dead
        }
        () if runs.clipped_count > 0 => Condition::Clipped,
        () if spike_count >= SPIKE_COUNT_MIN => Condition::Spiky,
        () => Condition::Good,
    };
    Some(SignalLevel {
        source_id,
        start_time: day,
        sample_count: grid.own_count(range.count),
        minimum: range.minimum,
        maximum: range.maximum,
        mean: range.mean,
        rms: (square_sum / range.count as f64).sqrt(),
        constant_s: runs.longest as f64 / grid.sample_rate_hz(),
        clipped_count: runs.clipped_count,
        spike_count,
        condition,
    })
}

/// What one pass over the samples tells.
struct Range {
    count: u64,
    minimum: f64,
    maximum: f64,
    mean: f64,
    /// Smallest step between two samples; 0 where they never change.
    step: f64,
    /// Distinct values, at most [`DISTINCT_MIN`].
    distinct: usize,
}

impl Range {
    fn of(samples: &[f64]) -> Option<Self> {
        let (mut count, mut sum, mut before) = (0_u64, 0.0, f64::NAN);
        let (mut minimum, mut maximum, mut step) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        let mut distinct = HashSet::new();
        for sample in samples.iter().copied() {
            if distinct.len() < DISTINCT_MIN && sample != before && !sample.is_nan() {
                distinct.insert(sample.to_bits());
            }
            // NaN is neither less nor greater: it passes without effect.
            let change = (sample - before).abs();
            if change > 0.0 && change < step {
                step = change;
            }
            before = sample;
            if !sample.is_nan() {
                count += 1;
                sum += sample;
                minimum = minimum.min(sample);
                maximum = maximum.max(sample);
            }
        }
        let step = if step.is_finite() { step } else { 0.0 };
        let (mean, distinct) = (sum / count as f64, distinct.len());
        (count > 0).then_some(Self { count, minimum, maximum, mean, step, distinct })
    }
}

#[derive(Default)]
struct Runs {
    longest: usize,
    clipped_count: u64,
}

impl Runs {
    /// A run of equal samples.
    fn add(&mut self, samples: &[f64], run: Places<usize>, range: &Range) {
        let Some(value) = samples.get(run.start).copied() else { return };
        let length = run.len();
        self.longest = self.longest.max(length);
        let extreme = value == range.maximum || value == range.minimum;
        if !extreme || length < FLAT_TOP_MIN || range.distinct < DISTINCT_MIN {
            return;
        }
        // As many samples as the run has, the nearest first, as far as there is no gap.
        let before = samples.get(run.start.saturating_sub(length)..run.start).unwrap_or_default();
        let behind = samples.get(run.end..(run.end + length).min(samples.len())).unwrap_or_default();
        let flanks: [&mut dyn Iterator<Item = &f64>; 2] = [&mut before.iter().rev(), &mut behind.iter()];
        let (mut jumps, mut falls, mut known) = (0.0, 0, 0);
        let far = FLAT_TOP_JUMP * (range.maximum - range.minimum);
        for flank in flanks {
            let mut flank = flank.take_while(|sample| !sample.is_nan()).map(|sample| (sample - value).abs());
            let Some(jump) = flank.next() else { continue };
            let fall = flank.fold(jump, f64::max);
            jumps += jump;
            known += 1;
            falls += usize::from(fall >= far.max(FLANK_STEPS * range.step));
        }
        if jumps >= far || (known > 0 && falls == known) {
            self.clipped_count += length as u64;
        }
    }
}

/// Lone samples of a window that stand out of it.
fn spikes(samples: &[f64], places: Places<usize>, step: f64) -> u64 {
    const NEIGHBOURS: usize = 2;
    let window = samples.get(places.clone()).unwrap_or_default();
    let deviation = |triple: &[f64]| (triple[1] - (triple[0] + triple[2]) / 2.0).abs();
    let usual = window.windows(3).step_by(DEVIATION_STRIDE).map(deviation);
    let mut usual: Vec<f64> = usual.filter(|deviation| !deviation.is_nan()).collect();
    let Some(usual) = median(&mut usual) else { return 0 };
    let limit = SPIKE_FACTOR * usual.max(step);
    if limit == 0.0 {
        return 0;
    }
    let lone = |five: &&[f64]| {
        let height = deviation(&five[1..4]);
        let calm = |one: f64, other: f64| (one - other).abs() < SPIKE_CALM * height;
        height > limit && calm(five[1], five[3]) && calm(five[0], five[1]) && calm(five[3], five[4])
    };
    let with_neighbours =
        places.start.saturating_sub(NEIGHBOURS)..(places.end + NEIGHBOURS).min(samples.len());
    samples.get(with_neighbours).unwrap_or_default().windows(5).filter(lone).count() as u64
}
