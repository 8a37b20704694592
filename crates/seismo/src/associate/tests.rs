//! Associations against known events: made ones, and the reference picks of a dike intrusion in Iceland.

mod cases;
mod edges;
mod invariance;
mod recordings;

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use seislake_model::{Onset, Polarity, Provenance, SourceId};

use super::*;
use crate::geometry::{LocalFrame, distance_azimuth};

/// One velocity everywhere: times by hand.
#[derive(Debug)]
struct Homogeneous {
    p_km_s: f64,
    s_km_s: f64,
}

impl TravelTime for Homogeneous {
    fn name(&self) -> &str {
        "homogeneous"
    }

    fn time_s(&self, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> Option<f64> {
        let velocity = if phase == Phase::P { self.p_km_s } else { self.s_km_s };
        Some(distance_km.hypot(depth_km + elevation_km) / velocity)
    }
}

fn model() -> Arc<dyn TravelTime> {
    Arc::new(Homogeneous { p_km_s: 6.2, s_km_s: 3.3 })
}

fn time(seconds: f64) -> Timestamp {
    Timestamp::from_nanos(1_476_403_200_000_000_000).add_seconds(seconds)
}

fn pick(station: &str, phase: Phase, pick_time: Timestamp) -> Pick {
    let source_id = SourceId::from_nslc("XX", station, "", if phase == Phase::P { "HHZ" } else { "HHN" });
    Pick {
        pick_id: Pick::id_of(&source_id, pick_time, phase, "test"),
        source_id,
        pick_time,
        time_uncertainty_s: 0.1,
        phase,
        polarity: Polarity::Undecidable,
        onset: Onset::Impulsive,
        snr: 5.0,
        provenance: Provenance::automatic("test", "1", None),
    }
}

type Placed = (Pick, Coordinates);
type Stations = Vec<(String, Coordinates)>;

#[derive(Clone, Copy, Debug)]
struct Source {
    seconds: f64,
    east_km: f64,
    north_km: f64,
    depth_km: f64,
}

fn frame() -> LocalFrame {
    LocalFrame::new(42.75, 13.25)
}

/// Stations strewn over a square of `width_km`.
fn stations(random: &mut ChaCha8Rng, count: usize, width_km: f64) -> Stations {
    let mut place = || (random.random::<f64>() - 0.5) * width_km;
    (0..count)
        .map(|index| {
            let (latitude, longitude) = frame().to_degrees(place(), place());
            (format!("S{index:02}"), Coordinates { latitude, longitude, elevation_m: 50.0 * index as f64 })
        })
        .collect()
}

/// The arrivals of a source at stations within `reach_km`, with errors of up to `error_s`.
fn arrivals(
    random: &mut ChaCha8Rng,
    stations: &Stations,
    source: Source,
    (reach_km, error_s): (f64, f64),
) -> Vec<Placed> {
    let model = model();
    let mut picks = Vec::new();
    for (name, at) in stations {
        let (east_km, north_km) = frame().to_km(at.latitude, at.longitude);
        let distance_km = (east_km - source.east_km).hypot(north_km - source.north_km);
        for phase in [Phase::P, Phase::S] {
            let time_s = model.time_s(phase, distance_km, source.depth_km, at.elevation_m / 1000.0).unwrap();
            let error = (random.random::<f64>() * 2.0 - 1.0) * error_s;
            if distance_km <= reach_km {
                picks.push((pick(name, phase, time(source.seconds + time_s + error)), *at));
            }
        }
    }
    picks
}

/// Picks of nothing, spread over `seconds`.
fn noise(
    random: &mut ChaCha8Rng,
    stations: &Stations,
    count: usize,
    seconds: std::ops::Range<f64>,
) -> Vec<Placed> {
    (0..count)
        .map(|_| {
            let (name, at) = &stations[random.random_range(0..stations.len())];
            let phase = if random.random::<bool>() { Phase::P } else { Phase::S };
            (pick(name, phase, time(random.random_range(seconds.clone()))), *at)
        })
        .collect()
}

fn associate(settings: &AssociateSettings, picks: &[Placed]) -> Vec<Association> {
    let mut associator = Associator::new(settings.clone(), model());
    for (pick, at) in picks {
        associator.push_pick(pick.clone(), *at);
    }
    associator.advance(Timestamp::MAX)
}

/// How many sources have an association of their own within `seconds` and `km`.
fn matched(
    sources: &[(Timestamp, f64, f64)],
    associations: &[Association],
    (seconds, km): (f64, f64),
) -> usize {
    let mut used = vec![false; associations.len()];
    sources
        .iter()
        .filter(|(origin_time, latitude, longitude)| {
            let nearest = associations
                .iter()
                .enumerate()
                .filter(|(index, _)| !used[*index])
                .map(|(index, association)| {
                    let off_s = association.origin_time.seconds_since(*origin_time).abs();
                    let (off_km, _) =
                        distance_azimuth(*latitude, *longitude, association.latitude, association.longitude);
                    (off_s, off_km, index)
                })
                .filter(|(off_s, off_km, _)| *off_s <= seconds && *off_km <= km)
                .min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((_, _, index)) = nearest {
                used[index] = true;
            }
            nearest.is_some()
        })
        .count()
}

fn place(source: Source) -> (Timestamp, f64, f64) {
    let (latitude, longitude) = frame().to_degrees(source.east_km, source.north_km);
    (time(source.seconds), latitude, longitude)
}
