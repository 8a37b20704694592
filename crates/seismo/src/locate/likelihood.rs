//! Picks at their stations, and how well a point explains them.

use std::collections::BTreeMap;

use seislake_model::{Association, Coordinates, Phase, Pick, SourceId, Timestamp};

use super::LocateSettings;
use super::octree::Region;
use crate::geometry::{LocalFrame, SurfacePoint, distance_azimuth};
use crate::travel_time::TravelTime;

/// Power of the kernel `(1 - x/16)¹⁶` that stands for `exp(-x)`: zero beyond x = 16, and quick.
const KERNEL_POWER: f32 = 16.0;
/// Pairs are taken this many at a time; rows are padded with pairs of no weight.
const LANES: usize = 8;
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
    pub(super) coordinates: Coordinates,
    site: SurfacePoint,
}

impl Observation<'_> {
    /// Distance, km, and azimuth from an epicentre to the station.
    pub(super) fn distance_azimuth_from(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        distance_azimuth(latitude, longitude, self.coordinates.latitude, self.coordinates.longitude)
    }
}

/// Eight pairs (i, j) of one i: variance of the difference of their times, and weight, its inverse root.
#[derive(Clone, Copy, Debug)]
struct Pairs {
    variances_s2: [f32; LANES],
    weights: [f32; LANES],
}

type PairRow = Vec<Pairs>;

/// The picks of one event, ready to be compared with points.
#[derive(Debug)]
pub(super) struct Network<'a> {
    travel_time: &'a dyn TravelTime,
    frame: LocalFrame,
    first_pick_time: Timestamp,
    observations: Vec<Observation<'a>>,
    station_count: usize,
    /// Row i: pairs of observation i with those before it, padded.
    pairs: Vec<PairRow>,
    /// Sum of all weights.
    weight_sum: f32,
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
        let pairs: Vec<PairRow> = (0..paired_count).map(|i| pair_row(&observations[..=i])).collect();
        Self {
            travel_time,
            frame: LocalFrame::new(origin.0, origin.1),
            first_pick_time,
            station_count: stations.len(),
            weight_sum: pairs.iter().flatten().flat_map(|pairs| pairs.weights).sum(),
            pairs,
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

    /// The first guess of the association, where it lies in the region.
    pub(super) fn guess(&self, association: &Association, region: &Region) -> Option<Point> {
        let Association { latitude, longitude, depth_km, .. } = *association;
        if !(latitude.is_finite() && longitude.is_finite() && depth_km.is_finite()) {
            return None;
        }
        let (east_km, north_km) = self.frame.to_km(latitude, longitude);
        let inside = east_km.abs().max(north_km.abs()) <= region.half_width_km;
        let depth_km = depth_km.clamp(region.depth_km_min, region.depth_km_max);
        inside.then_some(Point { east_km, north_km, depth_km })
    }

    /// Observed minus calculated times for an origin at the first pick, s; NaN where the model has no answer.
    pub(super) fn residuals_s(&self, point: Point, residuals_s: &mut Vec<f64>) {
        residuals_s.clear();
        residuals_s.extend(self.residuals_at(point));
    }

    fn residuals_at(&self, point: Point) -> impl Iterator<Item = f64> {
        let epicentre = self.frame.point(point.east_km, point.north_km);
        self.observations.iter().map(move |observation| {
            let distance_km = epicentre.distance_km(&observation.site);
            let elevation_km = observation.coordinates.elevation_m / 1000.0;
            self.travel_time
                .time_s(observation.pick.phase, distance_km, point.depth_km, elevation_km)
                .map_or(f64::NAN, |time_s| observation.time_s - time_s)
        })
    }

    /// Logarithm of the equal-differential-time likelihood, 0 where every pair agrees (Lomax 2009):
    /// `N · ln(Σ w exp(-(rᵢ - rⱼ)²/σᵢⱼ²) / Σ w)` with `w = 1/σᵢⱼ`.
    /// `blur_km` is the half-width of the cell that the point stands for: pairs that may agree somewhere in the cell
    /// count, so that a search from large cells to small ones does not lose its way. 0 for the point itself.
    pub(super) fn log_likelihood(&self, point: Point, blur_km: f64) -> f64 {
        let mut residuals_s = [0.0_f32; OBSERVATION_COUNT_MAX.next_multiple_of(LANES)];
        for (slot, residual_s) in residuals_s.iter_mut().zip(self.residuals_at(point).take(self.paired_count))
        {
            *slot = residual_s as f32;
        }
        let blur_s2 = (2.0 * (blur_km * CELL_SLOWNESS_S_KM).powi(2)) as f32;
        let mut sums = [0.0_f32; LANES];
        for (one_s, row) in residuals_s.iter().zip(&self.pairs) {
            for (others_s, pairs) in residuals_s.as_chunks::<LANES>().0.iter().zip(row) {
                for lane in 0..LANES {
                    let difference_s = one_s - others_s[lane];
                    let disagreement = difference_s * difference_s / (pairs.variances_s2[lane] + blur_s2);
                    // `max` also turns the NaN of a station out of range into no agreement.
                    let base = (1.0 - disagreement / KERNEL_POWER).max(0.0);
                    let square = base * base;
                    let fourth = square * square;
                    let eighth = fourth * fourth;
                    sums[lane] += pairs.weights[lane] * eighth * eighth;
                }
            }
        }
        let sum: f32 = sums.iter().sum();
        // The floor keeps hopeless cells comparable.
        self.paired_count as f64 * f64::from(sum / self.weight_sum).max(1e-12).ln()
    }
}

/// The pairs of the last of some observations with all before it.
fn pair_row(observations: &[Observation<'_>]) -> PairRow {
    let Some((last, before)) = observations.split_last() else { return vec![] };
    let row = before.chunks(LANES).map(|others| {
        let mut pairs = Pairs { variances_s2: [1.0; LANES], weights: [0.0; LANES] };
        for (lane, other) in others.iter().enumerate() {
            let variance_s2 = last.error_s.powi(2) + other.error_s.powi(2);
            pairs.variances_s2[lane] = variance_s2 as f32;
            pairs.weights[lane] = variance_s2.sqrt().recip() as f32;
        }
        pairs
    });
    row.collect()
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
