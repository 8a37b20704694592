//! The place and origin time that observed arrivals agree on: ever finer grids of 3 x 3 x 3 trials around the best, then
//! a walk with ever smaller steps.
//!
//! A pick counts with its evidence, -ln(2 · tolerance · rate of picks at its station): the more, the less likely chance
//! alone puts one there. The weight falls with 1 - (residual / tolerance)², never below zero, so that strangers do not
//! pull. On coarse grids the tolerance is wider by the time a wave takes across a step.

use super::octree::Site;
use super::settings::AssociateSettings;
use super::travel_table::{TableDepth, TravelTable};
use crate::geometry::LocalFrame;

/// Slow P and S velocities, km/s: how far apart in time arrivals from two ends of a cell can be.
pub(super) const SLOW_KM_S: [f64; 2] = [5.0, 2.9];
/// Grids get finer down to this half size; from there the best trial walks.
const GRID_KM: f64 = 3.0;
/// The walk ends with steps of this size.
const FINE_KM: f64 = 0.4;
/// Trials followed from one grid to the next finer one.
const BEAM: usize = 2;
/// Rounds of a walk before its steps get smaller.
const STEPS_MAX: usize = 6;
/// Between equal fits the shallower one wins.
const DEPTH_PENALTY_PER_KM: f64 = 0.002;
/// Evidence of a pick at a station that picks all the time.
const EVIDENCE_LEAST: f64 = 0.05;

/// A station seen from a cell.
#[derive(Debug)]
pub(super) struct Near<'a> {
    pub(super) site: u32,
    pub(super) east_km: f64,
    pub(super) north_km: f64,
    pub(super) table: &'a TravelTable,
}

impl<'a> Near<'a> {
    pub(super) fn new(frame: &LocalFrame, index: u32, site: &'a Site) -> Self {
        let (east_km, north_km) = frame.point_to_km(&site.point);
        Self { site: index, east_km, north_km, table: &site.table }
    }

    #[inline]
    pub(super) fn distance_km(&self, km: [f64; 3]) -> f64 {
        let (east, north) = (self.east_km - km[0], self.north_km - km[1]);
        (east * east + north * north).sqrt()
    }
}

/// An observed arrival; those of one station stand together.
#[derive(Debug)]
pub(super) struct Observation<'a> {
    pub(super) station: &'a Near<'a>,
    /// 0: P, 1: S.
    pub(super) phase: usize,
    /// Station and phase, counted from 0: only the best pick of each counts.
    pub(super) group: usize,
    pub(super) time_s: f64,
    /// Evidence where the tolerance is a second.
    pub(super) evidence: f64,
}

/// A trial place with its best origin time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hypocentre {
    /// Sum of the weights.
    pub(super) score: f64,
    /// Stations and phases that agree.
    pub(super) count: usize,
    /// East, north and down in the frame of the cell.
    pub(super) km: [f64; 3],
    pub(super) time_s: f64,
}

/// An observation seen from a trial place.
#[derive(Clone, Copy, Debug)]
struct TrialOrigin {
    origin_s: f64,
    /// One over the tolerance.
    sharpness: f64,
    evidence: f64,
    group: usize,
}

impl TrialOrigin {
    #[inline]
    fn weight(&self, time_s: f64) -> f64 {
        let off = (self.origin_s - time_s) * self.sharpness;
        self.evidence * (1.0 - off * off).max(0.0)
    }
}

/// Travel times from one place to observations, those of one station after the other. All tables have one range.
#[derive(Debug)]
struct Times {
    km: [f64; 3],
    depth: Option<TableDepth>,
    site: Option<u32>,
    times_s: [f64; 2],
}

impl Times {
    const fn from(km: [f64; 3]) -> Self {
        Self { km, depth: None, site: None, times_s: [f64::INFINITY; 2] }
    }

    #[inline]
    fn of(&mut self, observation: &Observation<'_>) -> f64 {
        let station = observation.station;
        if self.site != Some(station.site) {
            let depth = *self.depth.get_or_insert_with(|| station.table.depth(self.km[2]));
            self.times_s = station.table.times_at(station.distance_km(self.km), depth);
            self.site = Some(station.site);
        }
        self.times_s[observation.phase]
    }
}

/// A search over one set of observations.
#[derive(Debug)]
pub(super) struct Search<'a> {
    settings: &'a AssociateSettings,
    observations: &'a [Observation<'a>],
    group_count: usize,
    /// Sharpness and evidence of every observation in the present grid.
    weights: Vec<(f64, f64)>,
    origins: Vec<TrialOrigin>,
    best: Vec<f64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(settings: &'a AssociateSettings, observations: &'a [Observation<'a>]) -> Self {
        let group_count = observations.iter().map(|observation| observation.group + 1).max().unwrap_or(0);
        Self {
            settings,
            observations,
            group_count,
            weights: Vec::new(),
            origins: Vec::new(),
            best: Vec::new(),
        }
    }

    /// The best place in the box around `centre` and a little beyond; `None` as soon as no place explains enough picks.
    pub(super) fn run(&mut self, centre: [f64; 3], half_km: [f64; 3]) -> Option<Hypocentre> {
        let mut half_km = half_km;
        let mut beam = vec![Hypocentre { km: centre, ..Hypocentre::default() }];
        while half_km.into_iter().fold(0.0, f64::max) > GRID_KM {
            beam = self.grid(&beam, half_km);
            if beam.is_empty() {
                return None;
            }
            half_km = half_km.map(|half| half / 2.0);
        }
        let best = self.walk(beam.first()?.km, half_km);
        self.suffices(&best).then_some(best)
    }

    fn suffices(&self, trial: &Hypocentre) -> bool {
        trial.count >= self.settings.picks_min.min(self.group_count)
    }

    /// The best of the trials around each of `starts`.
    fn grid(&mut self, starts: &[Hypocentre], half_km: [f64; 3]) -> Vec<Hypocentre> {
        let slack_km = half_km.iter().map(|half| half * half).sum::<f64>().sqrt() / 3.0;
        let mut trials: Vec<Hypocentre> = Vec::with_capacity(27 * starts.len());
        for start in starts {
            self.weigh(start.km, slack_km);
            for step in 0..27_i32 {
                let offset = [step % 3 - 1, step / 3 % 3 - 1, step / 9 - 1];
                let km = [0, 1, 2]
                    .map(|axis| start.km[axis] + f64::from(offset[axis]) * half_km[axis] * 2.0 / 3.0);
                let trial = self.trial(km, slack_km);
                if self.suffices(&trial) {
                    trials.push(trial);
                }
            }
        }
        trials.sort_by(|a, b| b.score.total_cmp(&a.score));
        trials.dedup_by(|a, b| a.km == b.km);
        trials.truncate(BEAM);
        trials
    }

    /// Walks from `start` along the axes as long as that helps, with ever smaller steps.
    fn walk(&mut self, start: [f64; 3], step_km: [f64; 3]) -> Hypocentre {
        let mut step_km = step_km;
        let mut best = Hypocentre { km: start, ..Hypocentre::default() };
        loop {
            let longest_km = step_km.into_iter().fold(0.0, f64::max);
            let slack_km = longest_km / 2.0;
            self.weigh(best.km, slack_km);
            best = self.trial(best.km, slack_km);
            for _ in 0..STEPS_MAX {
                let before = best;
                for (axis, sign) in [(0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0), (2, 1.0), (2, -1.0)] {
                    let mut km = best.km;
                    km[axis] += sign * step_km[axis];
                    let trial = self.trial(km, slack_km);
                    if trial.score > best.score {
                        best = trial;
                    }
                }
                if best.km == before.km {
                    break;
                }
            }
            if longest_km <= FINE_KM {
                return best;
            }
            step_km = step_km.map(|step| step / 2.0);
        }
    }

    /// Tolerance and evidence change little within a grid: they are taken at its centre.
    fn weigh(&mut self, km: [f64; 3], slack_km: f64) {
        self.weights.clear();
        let mut times = Times::from(km);
        for observation in self.observations {
            let time = times.of(observation);
            let tolerance = self.settings.tolerance_s(time) + slack_km / SLOW_KM_S[observation.phase];
            let evidence = (observation.evidence - tolerance.ln()).max(EVIDENCE_LEAST);
            self.weights.push((1.0 / tolerance, evidence));
        }
    }

    /// The best origin time at a place, and how well it explains the observations.
    fn trial(&mut self, km: [f64; 3], slack_km: f64) -> Hypocentre {
        let depth_km = km[2].clamp(self.settings.depth_km_min, self.settings.depth_km_max);
        let km = [km[0], km[1], depth_km];
        self.origins.clear();
        let mut times = Times::from(km);
        for (observation, &(sharpness, evidence)) in self.observations.iter().zip(&self.weights) {
            let time = times.of(observation);
            if time.is_finite() && sharpness > 0.0 {
                let origin_s = observation.time_s - time;
                self.origins.push(TrialOrigin { origin_s, sharpness, evidence, group: observation.group });
            }
        }
        self.origins.sort_unstable_by(|a, b| a.origin_s.total_cmp(&b.origin_s).then(a.group.cmp(&b.group)));
        let mut time_s = self.densest(self.settings.tolerance_s + slack_km / SLOW_KM_S[1]);
        for _ in 0..2 {
            let (mut sum, mut weights) = (0.0, 0.0);
            for origin in &self.origins {
                let weight = origin.weight(time_s);
                sum += weight * (origin.origin_s - time_s);
                weights += weight;
            }
            if weights > 0.0 {
                time_s += sum / weights;
            }
        }
        self.best.clear();
        self.best.resize(self.group_count, 0.0);
        for origin in &self.origins {
            self.best[origin.group] = self.best[origin.group].max(origin.weight(time_s));
        }
        let score = self.best.iter().sum::<f64>() - DEPTH_PENALTY_PER_KM * km[2];
        let count = self.best.iter().filter(|weight| **weight > 0.0).count();
        Hypocentre { score, count, km, time_s }
    }

    /// Middle of the stretch of twice `half_s` that holds most evidence.
    fn densest(&self, half_s: f64) -> f64 {
        let (mut most, mut middle, mut begin, mut sum) = (0.0, 0.0, 0, 0.0);
        for (end, last) in self.origins.iter().enumerate() {
            sum += last.evidence;
            while last.origin_s - self.origins[begin].origin_s > 2.0 * half_s {
                sum -= self.origins[begin].evidence;
                begin += 1;
            }
            if sum > most {
                (most, middle) = (sum, (self.origins[begin].origin_s + self.origins[end].origin_s) / 2.0);
            }
        }
        middle
    }
}
