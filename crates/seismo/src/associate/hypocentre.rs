//! From a cell that many picks point to, to a hypocentre and the picks that belong to it.
//!
//! ```text
//! cell, time ─► picks that could come from there ─► search on ever finer grids ─► members ─► once more with these
//! ```
//! A pick counts with its evidence, -ln(2 · tolerance · rate of picks at its station): the more, the less likely chance
//! alone puts one there. The weight falls with 1 - (residual / tolerance)², never below zero, so that strangers do not
//! pull.
//! The reach of an event is where the share of stations that recorded it falls below the least share; picks beyond
//! it are left to others.

use super::octree::{Cell, Site, Vote};
use super::pool::PickPool;
use super::search::{Hypocentre, Near, Observation, SLOW_KM_S, Search};
use super::settings::AssociateSettings;
use crate::geometry::LocalFrame;

/// The first search looks this many times the size of the cell: its neighbours may hold the source.
const WIDER: f64 = 1.5;
/// The second search begins with this half size, east, north and down.
const SECOND_KM: [f64; 3] = [2.0, 2.0, 3.0];

/// A degree of latitude is nowhere shorter.
const KM_PER_DEGREE_LEAST: f64 = 110.5;

/// An event found in a window.
#[derive(Clone, Debug)]
pub(super) struct WindowEvent {
    /// After the begin of the window.
    pub(super) time_s: f64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) depth_km: f64,
    /// Its picks.
    pub(super) members: Vec<u32>,
    /// Further picks at its stations that its phases explain: second triggers and mistaken phases.
    pub(super) echoes: Vec<u32>,
    /// Evidence of the picks at the nearest stations: comparable to that of a cell.
    pub(super) near_evidence: f64,
}

/// A member, or its absence, at one station.
struct Heard {
    distance_km: f64,
    site: u32,
    expected_s: [f64; 2],
    picks: [Option<u32>; 2],
}

/// Looks for an event near the centre of `cell`, for which `votes` speak, and `time_s`; `None` where what is found
/// does not suffice.
pub(super) fn refine(
    settings: &AssociateSettings,
    sites: &[Site],
    pool: &PickPool,
    (cell, votes): (&Cell, &[Vote]),
    time_s: f64,
) -> Option<WindowEvent> {
    let frame = LocalFrame::new(cell.latitude, cell.longitude);
    let centre = Hypocentre { km: [0.0, 0.0, cell.depth_km], time_s, ..Hypocentre::default() };
    let voters: Vec<Near<'_>> =
        votes.iter().map(|vote| Near::new(&frame, vote.site, &sites[vote.site as usize])).collect();
    let half_km = cell.half_km.map(|half| WIDER * half);
    let observations = observe(settings, pool, &voters, centre, half_km);
    let first = Search::new(settings, &observations).run(centre.km, half_km)?;

    let reach = settings.distance_km_max / KM_PER_DEGREE_LEAST;
    let near: Vec<Near<'_>> = sites
        .iter()
        .enumerate()
        .filter(|(_, site)| (site.latitude - cell.latitude).abs() <= reach)
        .map(|(index, site)| Near::new(&frame, index as u32, site))
        .filter(|station| station.distance_km(first.km) <= settings.distance_km_max)
        .collect();
    let observations = observe(settings, pool, &near, first, SECOND_KM);
    let refined = Search::new(settings, &observations).run(first.km, SECOND_KM)?;
    let heard = listen(settings, pool, &near, refined);
    let evidence = evidence(settings, pool, refined, &heard);
    (enough(settings, &heard) && evidence >= settings.evidence_min)
        .then(|| found(settings, pool, &frame, refined, &heard))
}

/// The picks that could come from within `half_km` of a source.
fn observe<'a>(
    settings: &AssociateSettings,
    pool: &PickPool,
    stations: &'a [Near<'a>],
    source: Hypocentre,
    half_km: [f64; 3],
) -> Vec<Observation<'a>> {
    let diagonal_km = half_km.iter().map(|half| half * half).sum::<f64>().sqrt();
    let mut observations = Vec::new();
    for (place, station) in stations.iter().enumerate() {
        let times = station.table.times_s(station.distance_km(source.km), source.km[2]);
        for phase in 0..2 {
            let half_s = settings.tolerance_s(times[phase]) + diagonal_km / SLOW_KM_S[phase];
            for pick in pool.around(station.site, phase, source.time_s + times[phase], half_s) {
                observations.push(Observation {
                    station,
                    phase,
                    group: 2 * place + phase,
                    time_s: pool.pick(pick).time_s,
                    evidence: pool.evidence(station.site, phase, 1.0),
                });
            }
        }
    }
    observations
}

/// What every station heard of the event, nearest first, up to its reach.
fn listen(
    settings: &AssociateSettings,
    pool: &PickPool,
    near: &[Near<'_>],
    source: Hypocentre,
) -> Vec<Heard> {
    let mut heard: Vec<Heard> = near
        .iter()
        .filter_map(|station| {
            let distance_km = station.distance_km(source.km);
            let times = station.table.times_s(distance_km, source.km[2]);
            if !times[0].is_finite() {
                return None;
            }
            let expected_s = times.map(|time| source.time_s + time);
            let picks = [0, 1].map(|phase| {
                let tolerance = settings.tolerance_s(times[phase]);
                let off = |index: u32| (pool.pick(index).time_s - expected_s[phase]).abs();
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

/// Are there picks enough?
fn enough(settings: &AssociateSettings, heard: &[Heard]) -> bool {
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
    enough || (sparse > 0 && both >= sparse)
}

/// Sum over the picks of how much each speaks for the event, less the worse it fits.
fn evidence(settings: &AssociateSettings, pool: &PickPool, source: Hypocentre, heard: &[Heard]) -> f64 {
    let mut sum = 0.0;
    for entry in heard {
        for phase in 0..2 {
            if let Some(pick) = entry.picks[phase] {
                let tolerance = settings.tolerance_s(entry.expected_s[phase] - source.time_s);
                let off = (pool.pick(pick).time_s - entry.expected_s[phase]) / tolerance;
                sum += (1.0 - off * off) * pool.evidence(entry.site, phase, tolerance).max(0.0);
            }
        }
    }
    sum
}

fn found(
    settings: &AssociateSettings,
    pool: &PickPool,
    frame: &LocalFrame,
    source: Hypocentre,
    heard: &[Heard],
) -> WindowEvent {
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
    let nearest = &heard[..heard.len().min(settings.voting_stations)];
    let near_evidence = evidence(settings, pool, source, nearest);
    let (latitude, longitude) = frame.to_degrees(source.km[0], source.km[1]);
    WindowEvent {
        time_s: source.time_s,
        latitude,
        longitude,
        depth_km: source.km[2],
        members,
        echoes,
        near_evidence,
    }
}
