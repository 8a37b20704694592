//! Picks at their stations, and how well a point explains them.

use std::collections::BTreeMap;

use seislake_model::{Association, Coordinates, Phase, Pick, SourceId, Timestamp};

use super::LocateSettings;
use super::octree::Region;
use crate::geometry::{LocalFrame, SurfacePoint, distance_azimuth};
use crate::travel_time::TravelTime;

/// Pairs further apart than this many variances contribute nothing: exp(-16) is 1e-7.
const DISAGREEMENT_MAX: f64 = 16.0;
/// Slowness that turns the size of a cell into a range of times, s/km: P in the crust.
const CELL_SLOWNESS_S_KM: f64 = 1.0 / 6.0;
/// How long before its first pick an event may have happened where the association does not tell.
const ORIGIN_BEFORE_PICK_S: f64 = 3.0;
/// Smallest half-width of the search, km: distance of an event that is felt at a small network at all.
const SEARCH_RADIUS_KM_MIN: f64 = 100.0;
/// Most picks that enter the likelihood, whose cost grows with their square; the rest are still judged.
const OBSERVATION_COUNT_MAX: usize = 60;

/// A hypocentre in the frame of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) east_km: f64,
    pub(super) north_km: f64,
    pub(super) depth_km: f64,
}

/// One pick at its station.
#[derive(Debug)]
pub(super) struct Observation<'a> {
    pub(super) pick: &'a Pick,
    /// Seconds since the first pick.
    pub(super) time_s: f64,
    /// Standard deviation of pick and calculated time together.
    pub(super) error_s: f64,
    pub(super) station_index: usize,
    coordinates: Coordinates,
    site: SurfacePoint,
}

impl Observation<'_> {
    /// Distance, km, and azimuth from an epicentre to the station.
    pub(super) fn distance_azimuth_from(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        distance_azimuth(latitude, longitude, self.coordinates.latitude, self.coordinates.longitude)
    }
}

/// The picks of one event, ready to be compared with points.
#[derive(Debug)]
pub(super) struct Network<'a> {
    travel_time: &'a dyn TravelTime,
    frame: LocalFrame,
    first_pick_time: Timestamp,
    observations: Vec<Observation<'a>>,
    station_count: usize,
    /// `error²` of every pair (i, j < i) of the observations that enter the likelihood, row by row.
    pair_variances_s2: Vec<f64>,
    /// `1 / error` of the same pairs.
    pair_weights: Vec<f64>,
    paired_count: usize,
}

impl<'a> Network<'a> {
    pub(super) fn new(
        association: &'a Association,
        coordinates: &dyn Fn(&SourceId, Timestamp) -> Option<Coordinates>,
        settings: &LocateSettings,
        travel_time: &'a dyn TravelTime,
    ) -> Self {
        let placed = surest_per_phase(association, coordinates);
        let first_pick_time = placed.first().map_or(association.origin_time, |(pick, _)| pick.pick_time);
        let origin = placed.first().map_or((0.0, 0.0), |(_, site)| (site.latitude, site.longitude));
        let guess_s = association.origin_time.seconds_since(first_pick_time);
        let guess_s = if (-300.0..0.0).contains(&guess_s) { guess_s } else { -ORIGIN_BEFORE_PICK_S };
        let mut stations: BTreeMap<String, usize> = BTreeMap::new();
        let mut observations = Vec::with_capacity(placed.len());
        for (pick, coordinates) in placed {
            let next = stations.len();
            let time_s = pick.pick_time.seconds_since(first_pick_time);
            observations.push(Observation {
                pick,
                time_s,
                error_s: error_s(pick, time_s - guess_s, settings),
                station_index: *stations.entry(pick.source_id.station_key()).or_insert(next),
                coordinates,
                site: SurfacePoint::new(coordinates.latitude, coordinates.longitude),
            });
        }
        let paired_count = observations.len().min(OBSERVATION_COUNT_MAX);
        let pair_variances_s2: Vec<f64> = (0..paired_count)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| observations[i].error_s.powi(2) + observations[j].error_s.powi(2))
            .collect();
        Self {
            travel_time,
            frame: LocalFrame::new(origin.0, origin.1),
            first_pick_time,
            station_count: stations.len(),
            pair_weights: pair_variances_s2.iter().map(|variance| variance.sqrt().recip()).collect(),
            pair_variances_s2,
            paired_count,
            observations,
        }
    }

    /// Frame centred on the station of the first pick.
    pub(super) const fn frame(&self) -> &LocalFrame {
        &self.frame
    }

    /// The picks in order of time.
    pub(super) fn observations(&self) -> &[Observation<'a>] {
        &self.observations
    }

    pub(super) fn picks(&self) -> impl Iterator<Item = &'a Pick> {
        self.observations.iter().map(|observation| observation.pick)
    }

    pub(super) fn phase_count(&self) -> usize {
        self.observations.len()
    }

    pub(super) const fn station_count(&self) -> usize {
        self.station_count
    }

    /// The moment so many seconds after the first pick.
    pub(super) fn time(&self, seconds: f64) -> Timestamp {
        self.first_pick_time.add_seconds(seconds)
    }

    /// Where to search: around the first station, twice as far as the network reaches; not above its highest station.
    pub(super) fn region(&self, settings: &LocateSettings) -> Region {
        let mut reach_km: f64 = 0.0;
        let mut highest_km = f64::NEG_INFINITY;
        for observation in &self.observations {
            reach_km = reach_km.max(observation.site.distance_km(&self.observations[0].site));
            highest_km = highest_km.max(observation.coordinates.elevation_m / 1000.0);
        }
        let half_width_km =
            (2.0 * reach_km).max(SEARCH_RADIUS_KM_MIN).min(settings.search_radius_km_max.max(1.0));
        let depth_km_min = settings.depth_km_min.max(-highest_km);
        Region {
            east_km: 0.0,
            north_km: 0.0,
            half_width_km,
            depth_km_min,
            depth_km_max: settings.depth_km_max.max(depth_km_min + 0.1),
        }
    }

    /// Observed minus calculated times for an origin at the first pick, s; NaN where the model has no answer.
    pub(super) fn residuals_s(&self, point: Point, residuals_s: &mut Vec<f64>) {
        let (latitude, longitude) = self.frame.to_degrees(point.east_km, point.north_km);
        let epicentre = SurfacePoint::new(latitude, longitude);
        residuals_s.clear();
        residuals_s.extend(self.observations.iter().map(|observation| {
            let distance_km = epicentre.distance_km(&observation.site);
            let elevation_km = observation.coordinates.elevation_m / 1000.0;
            self.travel_time
                .time_s(observation.pick.phase, distance_km, point.depth_km, elevation_km)
                .map_or(f64::NAN, |time_s| observation.time_s - time_s)
        }));
    }

    /// Logarithm of the equal-differential-time likelihood, 0 where every pair agrees (Lomax 2009):
    /// `N · ln(Σ w exp(-(rᵢ - rⱼ)²/σᵢⱼ²) / Σ w)` with `w = 1/σᵢⱼ`.
    /// `blur_km` is the half-width of the cell that the point stands for: pairs that may agree somewhere in the cell
    /// count, so that a search from large cells to small ones does not lose its way. 0 for the point itself.
    pub(super) fn log_likelihood(&self, residuals_s: &[f64], blur_km: f64) -> f64 {
        let blur_s2 = 2.0 * (blur_km * CELL_SLOWNESS_S_KM).powi(2);
        let (mut sum, mut whole, mut pair) = (0.0, 0.0, 0);
        for (i, one) in residuals_s.iter().copied().enumerate().take(self.paired_count) {
            let (variances, weights) =
                (&self.pair_variances_s2[pair..pair + i], &self.pair_weights[pair..pair + i]);
            pair += i;
            for ((other, variance), weight) in residuals_s.iter().zip(variances).zip(weights) {
                let difference_s = one - other;
                let disagreement = difference_s * difference_s / (variance + blur_s2);
                whole += weight;
                if disagreement < DISAGREEMENT_MAX {
                    sum += weight * (-disagreement).exp();
                }
            }
        }
        // The floor keeps hopeless cells comparable.
        self.paired_count as f64 * (sum / whole).max(1e-12).ln()
    }
}

/// Standard deviation of a pick and of the time calculated for it.
fn error_s(pick: &Pick, travel_time_s: f64, settings: &LocateSettings) -> f64 {
    let least_s = match pick.phase {
        Phase::P => settings.p_error_s_min,
        Phase::S => settings.s_error_s_min,
    };
    // `max` passes over a NaN in the pick.
    let pick_s = least_s.max(pick.time_uncertainty_s).max(1e-3);
    let model_s = (settings.travel_time_error_fraction * travel_time_s)
        .clamp(0.0, settings.travel_time_error_s_max.max(0.0));
    pick_s.hypot(model_s)
}

/// Picks at known places, one per station and phase, in order of time (then id: the order given does not matter).
fn surest_per_phase<'a>(
    association: &'a Association,
    coordinates: &dyn Fn(&SourceId, Timestamp) -> Option<Coordinates>,
) -> Vec<(&'a Pick, Coordinates)> {
    let mut picks: Vec<&Pick> = association.picks.iter().collect();
    picks.sort_by(|one, other| {
        one.time_uncertainty_s
            .total_cmp(&other.time_uncertainty_s)
            .then(one.pick_time.cmp(&other.pick_time))
            .then_with(|| one.pick_id.cmp(&other.pick_id))
    });
    let mut seen = BTreeMap::new();
    for pick in picks {
        let Some(site) = coordinates(&pick.source_id, pick.pick_time) else { continue };
        let finite = [site.latitude, site.longitude, site.elevation_m].iter().all(|value| value.is_finite());
        if finite {
            seen.entry((pick.source_id.station_key(), pick.phase)).or_insert((pick, site));
        }
    }
    let mut placed: Vec<(&Pick, Coordinates)> = seen.into_values().collect();
    placed.sort_by(|(one, _), (other, _)| {
        one.pick_time.cmp(&other.pick_time).then_with(|| one.pick_id.cmp(&other.pick_id))
    });
    placed
}
