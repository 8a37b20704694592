//! Travel times looked up fast enough for millions of trials: the first arrivals of a [`TravelTime`], sampled once on
//! a grid of distance and depth for one elevation and interpolated linearly.
//!
//! Nodes are even in the square roots of distance and depth: dense where the curves bend, near the source. The error
//! is a few hundredths of a second, far below the tolerance of an association; the locator asks the model itself.

use seislake_model::Phase;

use crate::travel_time::TravelTime;

/// Square root of a kilometre between nodes: half a kilometre at 10 km distance, 2.5 km at 250 km.
const DISTANCE_STEP: f64 = 0.08;
const DEPTH_STEP: f64 = 0.15;

/// Region of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TableRange {
    pub(super) distance_km_max: f64,
    pub(super) depth_km_min: f64,
    pub(super) depth_km_max: f64,
}

/// A depth among the nodes of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableDepth {
    /// The node at or above it.
    above: usize,
    /// How much of the way to the next one.
    share: f32,
}

/// First P and S over distance and depth for receivers at one elevation.
#[derive(Debug)]
pub(super) struct TravelTable {
    range: TableRange,
    depth_count: usize,
    distance_count: usize,
    /// `[distance][depth]`, (P, S) in s; infinite where the model has no answer.
    times_s: Vec<[f32; 2]>,
}

impl TravelTable {
    /// Samples `model` for receivers at `elevation_km`. Cost: some 20 000 travel times.
    pub(super) fn new(model: &dyn TravelTime, range: TableRange, elevation_km: f64) -> Self {
        let distance_count = (range.distance_km_max.max(1.0).sqrt() / DISTANCE_STEP).ceil() as usize + 2;
        let depth_extent_km = (range.depth_km_max - range.depth_km_min).max(0.0);
        let depth_count = (depth_extent_km.sqrt() / DEPTH_STEP).ceil() as usize + 2;
        let mut times_s = vec![[f32::INFINITY; 2]; distance_count * depth_count];
        for distance_index in 0..distance_count {
            let distance_km = (distance_index as f64 * DISTANCE_STEP).powi(2);
            let row = &mut times_s[distance_index * depth_count..(distance_index + 1) * depth_count];
            // Downwards, so that a node above the model's surface takes the time of the node below it.
            let mut below = [f32::INFINITY; 2];
            for depth_index in (0..depth_count).rev() {
                let depth_km = range.depth_km_min + (depth_index as f64 * DEPTH_STEP).powi(2);
                for (index, phase) in [Phase::P, Phase::S].into_iter().enumerate() {
                    let time = model.time_s(phase, distance_km, depth_km, elevation_km);
                    if let Some(time_s) = time.filter(|time_s| time_s.is_finite()) {
                        below[index] = time_s as f32;
                    }
                }
                row[depth_index] = below;
            }
        }
        Self { range, depth_count, distance_count, times_s }
    }

    /// P and S travel times, s; infinite beyond the range or where the model has no answer.
    #[inline]
    pub(super) fn times_s(&self, distance_km: f64, depth_km: f64) -> [f64; 2] {
        self.times_at(distance_km, self.depth(depth_km))
    }

    /// Where a depth lies in this table, and in all of its range.
    #[inline]
    pub(super) fn depth(&self, depth_km: f64) -> TableDepth {
        let v = (depth_km - self.range.depth_km_min).max(0.0).sqrt() / DEPTH_STEP;
        let above = (v as usize).min(self.depth_count - 2);
        TableDepth { above, share: ((v - above as f64) as f32).min(1.0) }
    }

    /// As [`TravelTable::times_s`], where one depth is asked of many tables of one range.
    #[inline]
    pub(super) fn times_at(&self, distance_km: f64, depth: TableDepth) -> [f64; 2] {
        let u = distance_km.max(0.0).sqrt() / DISTANCE_STEP;
        let (i, TableDepth { above: j, share: fv }) = (u as usize, depth);
        if i + 1 >= self.distance_count {
            return [f64::INFINITY; 2];
        }
        let fu = (u - i as f64) as f32;
        let at = i * self.depth_count + j;
        let (a, b) = (self.times_s[at], self.times_s[at + 1]);
        let (c, d) = (self.times_s[at + self.depth_count], self.times_s[at + self.depth_count + 1]);
        let mix = |k: usize| {
            let near = a[k] + (b[k] - a[k]) * fv;
            let far = c[k] + (d[k] - c[k]) * fv;
            let time = near + (far - near) * fu;
            if time.is_finite() { f64::from(time) } else { f64::INFINITY }
        };
        [mix(0), mix(1)]
    }

    /// Longest time within a distance and a depth, s.
    pub(super) fn longest_s(&self, distance_km: f64, depth_km: f64) -> f64 {
        let far = ((distance_km.sqrt() / DISTANCE_STEP) as usize + 2).min(self.distance_count);
        let depth_extent_km = (depth_km - self.range.depth_km_min).max(0.0);
        let deep = ((depth_extent_km.sqrt() / DEPTH_STEP) as usize + 2).min(self.depth_count);
        self.times_s
            .chunks(self.depth_count)
            .take(far)
            .flat_map(|row| &row[..deep])
            .flatten()
            .filter(|time| time.is_finite())
            .fold(0.0, |longest, time| f64::from(*time).max(longest))
    }
}
