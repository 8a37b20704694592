//! From a cell that many picks point to, to a hypocentre and the picks that belong to it.
//!
//! ```text
//! cell, time ─► picks that could come from there ─► search on ever finer grids ─► members ─► once more with these
//! ```
//! A pick counts with the weight 1 - (residual / tolerance)², never below zero, so that strangers do not pull.
//! The reach of an event is where the share of stations that recorded it falls below the least share; picks beyond
//! it are left to others.

use super::octree::{Cell, Site};
use super::settings::AssociateSettings;
use super::travel_table::TravelTable;
use crate::geometry::LocalFrame;

/// Slow P and S velocities, km/s: how far apart in time arrivals from two ends of a cell can be.
const SLOW_KM_S: [f64; 2] = [5.0, 2.9];
/// The search ends at cells of this half size.
const FINE_KM: f64 = 0.4;
/// Trials followed from one grid to the next finer one.
const BEAM: usize = 2;
/// Between equal fits the shallower one wins.
const DEPTH_PENALTY_PER_KM: f64 = 0.002;
/// A hypocentre can always be bent to fit this many picks.
const FREE_PARAMETERS: f64 = 3.0;

/// A pick inside a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowPick {
    pub(super) site: u32,
    /// 0: P, 1: S.
    pub(super) phase: usize,
    /// After the begin of the window.
    pub(super) time_s: f64,
}

/// The picks of a window by station and phase, and which of them are taken.
#[derive(Debug)]
pub(super) struct PickPool {
    pub(super) picks: Vec<WindowPick>,
    pub(super) by_site: Vec<[Vec<u32>; 2]>,
    pub(super) taken: Vec<bool>,
    /// Length of the time the picks come from.
    pub(super) extent_s: f64,
}

impl PickPool {
    /// `picks` in the order of time.
    pub(super) fn new(site_count: usize, picks: Vec<WindowPick>) -> Self {
        let mut by_site = vec![[Vec::new(), Vec::new()]; site_count];
        for (index, pick) in picks.iter().enumerate() {
            by_site[pick.site as usize][pick.phase].push(index as u32);
        }
        let extent_s = match (picks.first(), picks.last()) {
            (Some(first), Some(last)) => (last.time_s - first.time_s).max(1.0),
            _ => 1.0,
        };
        Self { taken: vec![false; picks.len()], picks, by_site, extent_s }
    }

    /// Free picks of a station and phase within `half_s` of `time_s`.
    fn around(&self, site: u32, phase: usize, time_s: f64, half_s: f64) -> impl Iterator<Item = u32> + '_ {
        let list = &self.by_site[site as usize][phase];
        let first = list.partition_point(|index| self.picks[*index as usize].time_s < time_s - half_s);
        list[first..]
            .iter()
            .copied()
            .take_while(move |index| self.picks[*index as usize].time_s <= time_s + half_s)
            .filter(|index| !self.taken[*index as usize])
    }
}

/// An event found in a window.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// After the begin of the window.
    pub(super) time_s: f64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) depth_km: f64,
    /// Its picks.
    pub(super) members: Vec<u32>,
    /// Further picks at its stations that its phases explain: second triggers and mistaken phases.
    pub(super) echoes: Vec<u32>,
}

/// A station seen from a cell.
struct Near<'a> {
    site: u32,
    east_km: f64,
    north_km: f64,
    table: &'a TravelTable,
}

/// An observed arrival in a search; those of one station stand together.
struct Observation<'a> {
    station: &'a Near<'a>,
    phase: usize,
    /// Station and phase, counted from 0: only the best pick of each counts.
    group: usize,
    time_s: f64,
}

#[derive(Clone, Copy, Debug)]
struct Hypocentre {
    score: f64,
    km: [f64; 3],
    time_s: f64,
}

/// A member, or its absence, at one station.
struct Heard {
    distance_km: f64,
    site: u32,
    expected_s: [f64; 2],
    picks: [Option<u32>; 2],
}

/// Looks for an event near the centre of `cell` and `time_s`; `None` where what is found does not suffice.
pub(super) fn refine(
    settings: &AssociateSettings,
    sites: &[Site],
    pool: &PickPool,
    cell: &Cell,
    time_s: f64,
) -> Option<Found> {
    let frame = LocalFrame::new(cell.latitude, cell.longitude);
    let mut near: Vec<(f64, Near<'_>)> = sites
        .iter()
        .enumerate()
        .filter_map(|(index, site)| {
            let (east_km, north_km) = frame.to_km(site.latitude, site.longitude);
            let distance = east_km.hypot(north_km);
            (distance < settings.distance_km_max)
                .then(|| (distance, Near { site: index as u32, east_km, north_km, table: &site.table }))
        })
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.site.cmp(&b.1.site)));

    let half_km = cell.half_km.map(|half| 1.5 * half);
    let diagonal_km = (half_km[0].powi(2) + half_km[1].powi(2) + half_km[2].powi(2)).sqrt();
    let mut observations = Vec::new();
    for (group, (distance, station)) in near.iter().take(2 * settings.voting_stations).enumerate() {
        let times = station.table.times_s(*distance, cell.depth_km);
        for phase in 0..2 {
            let half_s = settings.tolerance_s(times[phase]) + diagonal_km / SLOW_KM_S[phase];
            for pick in pool.around(station.site, phase, time_s + times[phase], half_s) {
                let time_s = pool.picks[pick as usize].time_s;
                observations.push(Observation { station, phase, group: 2 * group + phase, time_s });
            }
        }
    }
    let mut search = Search::new(settings, &observations);
    let first = search.run([0.0, 0.0, cell.depth_km], half_km)?;
    let heard = listen(settings, pool, &near, first);

    let mut observations = Vec::new();
    for (group, entry) in heard.iter().enumerate() {
        let station = near.iter().map(|(_, station)| station).find(|station| station.site == entry.site)?;
        for (phase, pick) in entry.picks.iter().enumerate() {
            if let Some(pick) = pick {
                let time_s = pool.picks[*pick as usize].time_s;
                observations.push(Observation { station, phase, group: 2 * group + phase, time_s });
            }
        }
    }
    let mut search = Search::new(settings, &observations);
    let refined = search.run(first.km, [2.0, 2.0, 4.0])?;
    let heard = listen(settings, pool, &near, refined);
    accepted(settings, pool, &heard).then(|| found(settings, pool, &frame, refined, &heard))
}

struct Search<'a> {
    settings: &'a AssociateSettings,
    observations: &'a [Observation<'a>],
    group_count: usize,
    origins: Vec<(f64, f64, usize)>,
    best: Vec<f64>,
}

impl<'a> Search<'a> {
    fn new(settings: &'a AssociateSettings, observations: &'a [Observation<'a>]) -> Self {
        let group_count = observations.iter().map(|observation| observation.group + 1).max().unwrap_or(0);
        Self { settings, observations, group_count, origins: Vec::new(), best: Vec::new() }
    }

    /// Follows the best trials of ever finer grids of 3 x 3 x 3 from the box around `centre`.
    fn run(&mut self, centre: [f64; 3], half_km: [f64; 3]) -> Option<Hypocentre> {
        let mut half_km = half_km;
        let mut beam = vec![Hypocentre { score: 0.0, km: centre, time_s: 0.0 }];
        loop {
            let slack_km = (half_km[0].powi(2) + half_km[1].powi(2) + half_km[2].powi(2)).sqrt() / 3.0;
            let mut trials: Vec<Hypocentre> = Vec::with_capacity(27 * beam.len());
            for start in &beam {
                for step in 0..27_i32 {
                    let offset = [step % 3 - 1, step / 3 % 3 - 1, step / 9 - 1];
                    let mut km = [0, 1, 2]
                        .map(|axis| start.km[axis] + f64::from(offset[axis]) * half_km[axis] * 2.0 / 3.0);
                    km[2] = km[2].clamp(self.settings.depth_km_min, self.settings.depth_km_max);
                    trials.push(self.trial(km, slack_km));
                }
            }
            trials.sort_by(|a, b| b.score.total_cmp(&a.score));
            trials.truncate(BEAM);
            beam = trials;
            let best = beam.first().copied()?;
            if best.score <= 1.0 {
                return None;
            }
            if half_km.into_iter().fold(0.0, f64::max) <= FINE_KM {
                return Some(best);
            }
            half_km = half_km.map(|half| half / 2.0);
        }
    }

    /// The best origin time at a place, and how well it explains the observations when these may be off by
    /// `slack_km` of way besides the tolerance.
    fn trial(&mut self, km: [f64; 3], slack_km: f64) -> Hypocentre {
        self.origins.clear();
        let slack_s = SLOW_KM_S.map(|velocity| slack_km / velocity);
        let mut times = [f64::INFINITY; 2];
        let mut last: Option<u32> = None;
        for observation in self.observations {
            let station = observation.station;
            if last != Some(station.site) {
                let distance = (station.east_km - km[0]).hypot(station.north_km - km[1]);
                times = station.table.times_s(distance, km[2]);
                last = Some(station.site);
            }
            let time = times[observation.phase];
            if time.is_finite() {
                let tolerance = self.settings.tolerance_s(time) + slack_s[observation.phase];
                self.origins.push((observation.time_s - time, tolerance, observation.group));
            }
        }
        self.origins.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        let mut time_s = self.densest(self.settings.tolerance_s + slack_s[1]);
        for _ in 0..2 {
            let (mut sum, mut weights) = (0.0, 0.0);
            for &(origin, tolerance, _) in &self.origins {
                let weight = 1.0 - ((origin - time_s) / tolerance).powi(2);
                if weight > 0.0 {
                    sum += weight * (origin - time_s);
                    weights += weight;
                }
            }
            if weights > 0.0 {
                time_s += sum / weights;
            }
        }
        self.best.clear();
        self.best.resize(self.group_count, 0.0);
        for &(origin, tolerance, group) in &self.origins {
            let weight = 1.0 - ((origin - time_s) / tolerance).powi(2);
            self.best[group] = self.best[group].max(weight);
        }
        let score = self.best.iter().sum::<f64>() - DEPTH_PENALTY_PER_KM * km[2];
        Hypocentre { score, km, time_s }
    }

    /// Middle of the stretch of twice `half_s` that holds most origin times.
    fn densest(&self, half_s: f64) -> f64 {
        let (mut most, mut begin) = ((0, 0.0), 0);
        for end in 0..self.origins.len() {
            while self.origins[end].0 - self.origins[begin].0 > 2.0 * half_s {
                begin += 1;
            }
            if end + 1 - begin > most.0 {
                most = (end + 1 - begin, (self.origins[begin].0 + self.origins[end].0) / 2.0);
            }
        }
        most.1
    }
}

/// What every station heard of the event, nearest first, up to its reach.
fn listen(
    settings: &AssociateSettings,
    pool: &PickPool,
    near: &[(f64, Near<'_>)],
    source: Hypocentre,
) -> Vec<Heard> {
    let mut heard: Vec<Heard> = near
        .iter()
        .filter_map(|(_, station)| {
            let distance_km = (station.east_km - source.km[0]).hypot(station.north_km - source.km[1]);
            let times = station.table.times_s(distance_km, source.km[2]);
            if !times[0].is_finite() {
                return None;
            }
            let expected_s = times.map(|time| source.time_s + time);
            let picks = [0, 1].map(|phase| {
                let tolerance = settings.tolerance_s(times[phase]);
                let off = |index: u32| (pool.picks[index as usize].time_s - expected_s[phase]).abs();
                pool.around(station.site, phase, expected_s[phase], tolerance)
                    .min_by(|a, b| off(*a).total_cmp(&off(*b)).then(a.cmp(b)))
            });
            Some(Heard { distance_km, site: station.site, expected_s, picks })
        })
        .collect();
    heard.sort_by(|a, b| a.distance_km.total_cmp(&b.distance_km).then(a.site.cmp(&b.site)));
    let (mut gain, mut best, mut reach) = (0.0, 0.0, 0);
    for (index, entry) in heard.iter().enumerate() {
        if entry.picks.iter().any(Option::is_some) {
            gain += 1.0 - settings.station_fraction_min;
        } else {
            gain -= settings.station_fraction_min;
        }
        if gain > best {
            (best, reach) = (gain, index + 1);
        }
    }
    heard.truncate(reach);
    heard
}

/// Are the picks enough, and more than chance would bring together?
fn accepted(settings: &AssociateSettings, pool: &PickPool, heard: &[Heard]) -> bool {
    let count = |phase: usize| heard.iter().filter(|entry| entry.picks[phase].is_some()).count();
    let (p, s) = (count(0), count(1));
    let both = heard.iter().filter(|entry| entry.picks.iter().all(Option::is_some)).count();
    let stations = heard.iter().filter(|entry| entry.picks.iter().any(Option::is_some)).count();
    let sparse = settings.sparse_stations_with_both_min;
    let enough = p + s >= settings.picks_min
        && p >= settings.p_picks_min
        && s >= settings.s_picks_min
        && stations >= settings.stations_min
        && both >= settings.stations_with_both_min;
    if !enough && !(sparse > 0 && both >= sparse) {
        return false;
    }
    let mut chance = 0.0;
    for entry in heard {
        for phase in 0..2 {
            let free = pool.by_site[entry.site as usize][phase]
                .iter()
                .filter(|index| !pool.taken[**index as usize])
                .count();
            let others = free - usize::from(entry.picks[phase].is_some());
            let travel_time = (entry.expected_s[phase] - entry.expected_s[0]).max(0.0);
            let share = 2.0 * settings.tolerance_s(travel_time) * others as f64 / pool.extent_s;
            chance += share.min(1.0);
        }
    }
    (p + s) as f64 >= FREE_PARAMETERS + chance + 3.0 * chance.sqrt()
}

fn found(
    settings: &AssociateSettings,
    pool: &PickPool,
    frame: &LocalFrame,
    source: Hypocentre,
    heard: &[Heard],
) -> Found {
    let mut members: Vec<u32> = heard.iter().flat_map(|entry| entry.picks).flatten().collect();
    members.sort_unstable();
    let mut echoes = Vec::new();
    for entry in heard.iter().filter(|entry| entry.picks.iter().any(Option::is_some)) {
        for expected_s in entry.expected_s {
            let half_s = settings.tolerance_s(expected_s - source.time_s);
            for phase in 0..2 {
                echoes.extend(pool.around(entry.site, phase, expected_s, half_s));
            }
        }
    }
    echoes.sort_unstable();
    echoes.dedup();
    echoes.retain(|index| members.binary_search(index).is_err());
    let (latitude, longitude) = frame.to_degrees(source.km[0], source.km[1]);
    Found { time_s: source.time_s, latitude, longitude, depth_km: source.km[2], members, echoes }
}
