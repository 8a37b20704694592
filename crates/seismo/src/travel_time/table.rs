//! Travel times precomputed for every distance, source depth and receiver elevation.
//!
//! What is stored is not the time but the time divided by the straight-line distance: a slowness that varies slowly, is
//! exact in a homogeneous earth and stays smooth at the source, where the time itself has a kink. Interpolation is linear
//! in the three coordinates; layer boundaries are nodes, so no interval straddles one.

use std::thread;

use seislake_model::Phase;

use super::ray::RaySweep;
use super::{Curvature, LayeredModel, TravelTime};

/// Extent and spacing of a [`TravelTimeTable`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableSettings {
    /// Largest epicentral distance.
    pub distance_max_km: f64,
    /// Spacing of distances up to 120 steps; doubled up to 300 km, eightfold beyond.
    pub distance_step_km: f64,
    /// Shallowest source; negative above sea level.
    pub depth_min_km: f64,
    /// Deepest source.
    pub depth_max_km: f64,
    /// Spacing of depths down to 20 km; doubled to 60 km, tenfold to 300 km, twentyfold beyond.
    pub depth_step_km: f64,
    /// Lowest receiver; negative under the sea.
    pub elevation_min_km: f64,
    /// Highest receiver.
    pub elevation_max_km: f64,
    /// Spacing of elevations from -1 to 4 km; 1 km elsewhere, 2.5 km below -6 and above 6 km, where few stand.
    pub elevation_step_km: f64,
}

impl Default for TableSettings {
    /// A local network: 300 km by 60 km, sources up to 6 km above sea level, receivers from the deepest trench to the
    /// highest mountain.
    fn default() -> Self {
        Self {
            distance_max_km: 300.0,
            distance_step_km: 0.5,
            depth_min_km: -6.0,
            depth_max_km: 60.0,
            depth_step_km: 0.5,
            elevation_min_km: -11.0,
            elevation_max_km: 9.0,
            elevation_step_km: 0.25,
        }
    }
}

/// A table that suits the model: [`TableSettings::default`] for flat models, but down to 200 km; 2200 km and 700 km for
/// spherical ones.
pub fn default_table(model: &LayeredModel) -> TravelTimeTable {
    let settings = match model.curvature() {
        Curvature::Flat => TableSettings { depth_max_km: 200.0, ..TableSettings::default() },
        Curvature::Spherical => {
            // Their crust is homogeneous to 20 km, where coarse elevations are exact.
            TableSettings {
                distance_max_km: 2200.0,
                depth_max_km: 700.0,
                elevation_step_km: 1.0,
                ..TableSettings::default()
            }
        }
    };
    TravelTimeTable::build(model, &settings)
}

/// First-arrival times of one model by interpolation.
#[derive(Debug)]
pub struct TravelTimeTable {
    name: String,
    distances: Axis,
    depths: Axis,
    elevations: Axis,
    /// `[phase][elevation][depth][distance]`: time over straight-line distance, s/km.
    slownesses: Vec<f32>,
}

impl TravelTimeTable {
    /// Computes the table. Times agree with the exact rays to a few milliseconds (see the tests of this module).
    /// Cost: about 0.1 s for the default settings on two cores, as for a spherical model; memory `8 · distances · depths · elevations` bytes.
    ///
    /// # Panics
    /// Where a maximum is not above its minimum, or a step is not positive.
    pub fn build(model: &LayeredModel, settings: &TableSettings) -> Self {
        let step = settings.distance_step_km;
        let near_km = (120.0 * step).min(settings.distance_max_km);
        let distances = Axis::new(stretched(
            0.0,
            settings.distance_max_km,
            &[(near_km, step), (300.0, 2.0 * step), (f64::INFINITY, 8.0 * step)],
        ));
        let step = settings.depth_step_km;
        let mut depths = stretched(
            settings.depth_min_km,
            settings.depth_max_km,
            &[(20.0, step), (60.0, 2.0 * step), (300.0, 10.0 * step), (f64::INFINITY, 20.0 * step)],
        );
        let mut elevations = stretched(
            settings.elevation_min_km,
            settings.elevation_max_km,
            &[(-6.0, 2.5), (-1.0, 1.0), (4.0, settings.elevation_step_km), (6.0, 1.0), (f64::INFINITY, 2.5)],
        );
        for boundary in model.boundaries_km() {
            insert(&mut depths, boundary);
            insert(&mut elevations, -boundary);
        }
        let (depths, elevations) = (Axis::new(depths), Axis::new(elevations));
        let cell_count = distances.len() * depths.len() * elevations.len();
        let mut slownesses = vec![0.0; 2 * cell_count];
        let (of_p, of_s) = slownesses.split_at_mut(cell_count);
        let axes = (&distances, &depths, &elevations);
        // Side by side: whoever starts a home waits for it.
        thread::scope(|scope| {
            scope.spawn(|| fill(model, Phase::S, axes, of_s));
            fill(model, Phase::P, axes, of_p);
        });
        Self { name: model.name().to_owned(), distances, depths, elevations, slownesses }
    }

    /// Largest epicentral distance.
    pub fn distance_max_km(&self) -> f64 {
        self.distances.last()
    }

    /// Shallowest and deepest source.
    pub fn depth_range_km(&self) -> (f64, f64) {
        (self.depths.first(), self.depths.last())
    }
}

impl TravelTime for TravelTimeTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn time_s(&self, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> Option<f64> {
        let (x, u) = self.distances.locate(distance_km)?;
        let (z, v) = self.depths.locate(depth_km)?;
        let (e, w) = self.elevations.locate(elevation_km)?;
        let (column_count, row_count) = (self.distances.len(), self.depths.len());
        let layer = match phase {
            Phase::P => e,
            Phase::S => e + self.elevations.len(),
        };
        let row = |e: usize, z: usize| {
            let at = (e * row_count + z) * column_count + x;
            let pair = &self.slownesses[at..at + 2];
            let (near, far) = (f64::from(pair[0]), f64::from(pair[1]));
            near + u * (far - near)
        };
        let plane = |e: usize| {
            let (upper, lower) = (row(e, z), row(e, z + 1));
            upper + v * (lower - upper)
        };
        let (below, above) = (plane(layer), plane(layer + 1));
        let slowness = below + w * (above - below);
        // Not `hypot`, which guards against overflow at three times the cost.
        let down_km = depth_km + elevation_km;
        Some(slowness * (distance_km * distance_km + down_km * down_km).sqrt())
    }
}

fn fill(model: &LayeredModel, phase: Phase, (x, z, e): (&Axis, &Axis, &Axis), slownesses: &mut [f32]) {
    let mut levels: Vec<f64> = z.nodes.clone();
    levels.extend(e.nodes.iter().map(|elevation| -elevation));
    let sweep = RaySweep::new(model, phase, &levels, x.last());
    let mut times_s = vec![0.0; x.len()];
    let mut rows = slownesses.chunks_exact_mut(x.len());
    for elevation in e.nodes.iter().copied() {
        let receiver = sweep.depth_index(-elevation);
        for (depth, row) in z.nodes.iter().copied().zip(&mut rows) {
            let source = sweep.depth_index(depth);
            sweep.first_arrivals((receiver, source), x, &mut times_s);
            let nodes = x.nodes.iter().copied().zip(times_s.iter().copied());
            for ((distance, time_s), cell) in nodes.zip(row) {
                let down_km = depth + elevation;
                // Not `hypot`, as in `time_s`.
                let straight_km = (distance * distance + down_km * down_km).sqrt();
                let slowness =
                    if straight_km < 1e-9 { 1.0 / sweep.fastest_km_s(source) } else { time_s / straight_km };
                *cell = slowness as f32;
            }
        }
    }
}

/// Positions along one coordinate of a table, ascending, unevenly spaced, found in constant time.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    nodes: Vec<f64>,
    /// For even buckets: the last node at or below the begin of the bucket.
    buckets: Vec<u32>,
    buckets_per_km: f64,
}

impl Axis {
    /// Axis over at least two ascending nodes.
    pub(super) fn new(nodes: Vec<f64>) -> Self {
        assert!(nodes.len() >= 2 && nodes.windows(2).all(|pair| pair[0] < pair[1]), "nodes ascend");
        let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
        let bucket_count = nodes.len() * 4;
        let buckets_per_km = bucket_count as f64 / (last - first);
        let buckets = (0..=bucket_count)
            .map(|bucket| {
                let begin = first + bucket as f64 / buckets_per_km;
                let above = nodes.partition_point(|node| *node <= begin);
                (above.saturating_sub(1)).min(nodes.len() - 2) as u32
            })
            .collect();
        Self { nodes, buckets, buckets_per_km }
    }

    /// The nodes.
    pub(super) fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn first(&self) -> f64 {
        self.nodes[0]
    }

    fn last(&self) -> f64 {
        self.nodes[self.nodes.len() - 1]
    }

    /// Interval that holds `value` and the share of it that lies below; `None` outside, or for NaN.
    #[inline]
    fn locate(&self, value: f64) -> Option<(usize, f64)> {
        if !(value >= self.first() && value <= self.last()) {
            return None;
        }
        let bucket = ((value - self.first()) * self.buckets_per_km) as usize;
        // Rounding can place a value one bucket too far: the walk goes both ways.
        let mut index = self.buckets[bucket.min(self.buckets.len() - 1)] as usize;
        while self.nodes[index] > value {
            index -= 1;
        }
        while index + 2 < self.nodes.len() && self.nodes[index + 1] <= value {
            index += 1;
        }
        let (lower, upper) = (self.nodes[index], self.nodes[index + 1]);
        Some((index, (value - lower) / (upper - lower)))
    }
}

/// Nodes from `first` to `last`: steps that hold up to a limit each.
fn stretched(first: f64, last: f64, steps: &[(f64, f64)]) -> Vec<f64> {
    assert!(
        last > first && steps.iter().all(|(_, step)| *step > 0.0),
        "an axis has a length and positive steps"
    );
    let mut nodes = vec![first];
    let mut begin = first;
    for (limit, step) in steps.iter().copied() {
        let end = limit.min(last);
        if end <= begin {
            continue;
        }
        let count = ((end - begin) / step - 1e-9).ceil().max(1.0);
        nodes.extend((1..=count as usize).map(|k| begin + (end - begin) * k as f64 / count));
        begin = end;
    }
    nodes
}

/// Makes `value` a node, if it lies inside and is not one already.
fn insert(nodes: &mut Vec<f64>, value: f64) {
    let inside =
        nodes.first().is_some_and(|first| *first < value) && nodes.last().is_some_and(|last| value < *last);
    if inside && nodes.iter().all(|node| (node - value).abs() > 1e-6) {
        nodes.push(value);
        nodes.sort_by(f64::total_cmp);
    }
}
