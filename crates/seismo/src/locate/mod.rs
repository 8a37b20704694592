//! Where and when: an oct-tree search of the equal-differential-time likelihood.
//!
//! ```text
//! association ─► observations ─► oct-tree over the likelihood ─► best point, polished ─► origin time, residuals, weights
//!  picks, sites   likelihood.rs     octree.rs                    └► sampled posterior ─► covariance, ellipse, depth error
//! ```
//! A pair of picks agrees with a hypocentre where the difference of their times is the difference of the travel times:
//! the origin time drops out, and a wrong pick spoils only its own pairs (Font et al. 2004; Lomax et al. 2009). The
//! search is deterministic and does not depend on the order of the picks. Magnitude and mechanism are made elsewhere.

mod likelihood;
mod octree;
mod quality;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use seislake_model::{
    Arrival, ArrivalId, Association, Coordinates, EventId, Location, Origin, OriginId, Provenance, SourceId,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::travel_time::TravelTime;
use likelihood::{Network, Point};
use quality::Fit;

/// Name of the method in origins.
const METHOD: &str = "octree-edt";
/// Counted up when it gives other origins.
const METHOD_VERSION: &str = "1";

/// How to locate. Every length is a half-width or a depth below sea level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocateSettings {
    /// Smallest standard deviation of a P pick, s: pickers are optimists.
    pub p_error_s_min: f64,
    /// Smallest standard deviation of an S pick, s.
    pub s_error_s_min: f64,
    /// Error of calculated times as a share of the time; covers what the velocity model does not know.
    pub travel_time_error_fraction: f64,
    /// Largest error of a calculated time, s.
    pub travel_time_error_s_max: f64,
    /// Shallowest hypocentre, km; never above the highest station that picked.
    pub depth_km_min: f64,
    /// Deepest hypocentre, km; the model may end earlier.
    pub depth_km_max: f64,
    /// Largest distance of the epicentre, east or north, from the station of the first pick, km.
    pub search_radius_km_max: f64,
    /// Picks with a larger residual do not become arrivals, s.
    pub residual_s_max: f64,
    /// Fewest phases that make a location.
    pub phase_count_min: usize,
    /// Fewest stations that make a location.
    pub station_count_min: usize,
    /// Largest semi-major axis of the error ellipse, km: what is less certain is no location. Chance associations of
    /// unrelated picks end here.
    pub ellipse_major_km_max: f64,
    /// Most cells of the search for the hypocentre, at a few microseconds each.
    pub search_count: usize,
    /// Points that sample the posterior: more give smoother uncertainties.
    pub sample_count: usize,
}

impl Default for LocateSettings {
    fn default() -> Self {
        Self {
            p_error_s_min: 0.05,
            s_error_s_min: 0.1,
            travel_time_error_fraction: 0.03,
            travel_time_error_s_max: 1.0,
            depth_km_min: -5.0,
            depth_km_max: 200.0,
            search_radius_km_max: 500.0,
            residual_s_max: 2.0,
            phase_count_min: 4,
            station_count_min: 3,
            ellipse_major_km_max: 30.0,
            search_count: 8000,
            sample_count: 1500,
        }
    }
}

impl LocateError {
    /// The same without names and numbers: what is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooFewPicks { .. } => {
                "not located: fewer phases or stations of known coordinates than locate.phase_count_min and locate.station_count_min ask for"
            }
            Self::Inconsistent { .. } => "not located: no hypocentre explains enough phases and stations",
            Self::Unconstrained { .. } => {
                "not located: the error ellipse is larger than locate.ellipse_major_km_max"
            }
        }
    }
}

/// Why an association has no location.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LocateError {
    /// Too few picks at known places.
    #[error(
        "locating event \"{event_id}\": {phase_count} phases at {station_count} stations of known coordinates are too few"
    )]
    TooFewPicks {
        /// Event.
        event_id: EventId,
        /// Distinct phases with coordinates.
        phase_count: usize,
        /// Distinct stations with coordinates.
        station_count: usize,
    },
    /// The best hypocentre explains too few of the picks.
    #[error(
        "locating event \"{event_id}\": no hypocentre explains more than {phase_count} phases at {station_count} stations"
    )]
    Inconsistent {
        /// Event.
        event_id: EventId,
        /// Phases that agree with the best hypocentre.
        phase_count: usize,
        /// Stations that agree with the best hypocentre.
        station_count: usize,
    },
    /// The picks leave the epicentre open.
    #[error(
        "locating event \"{event_id}\": the error ellipse reaches {ellipse_major_km:.0} km, at most {ellipse_major_km_max:.0} km make a location"
    )]
    Unconstrained {
        /// Event.
        event_id: EventId,
        /// Semi-major axis of the error ellipse, km.
        ellipse_major_km: f64,
        /// The largest allowed, km.
        ellipse_major_km_max: f64,
    },
}

/// Locates associations in one earth model.
#[derive(Clone, Debug)]
pub struct Locator {
    settings: LocateSettings,
    travel_time: Arc<dyn TravelTime>,
}

impl Locator {
    /// A locator; cheap, the travel times are made before.
    pub fn new(settings: LocateSettings, travel_time: Arc<dyn TravelTime>) -> Self {
        Self { settings, travel_time }
    }

    /// The hypocentre of greatest likelihood, its uncertainty, and what each pick says about it.
    ///
    /// `coordinates` answers where a channel stood at a time; picks without an answer are left out. The first guess of
    /// the association is a place to begin with, not a constraint. Of several picks of one phase at one station the surest counts, the others
    /// are dropped. Picks that disagree stay as arrivals with weight 0 while their residual is below
    /// [`LocateSettings::residual_s_max`]. Cost: some milliseconds.
    pub fn locate(
        &self,
        association: &Association,
        coordinates: &dyn Fn(&SourceId, Timestamp) -> Option<Coordinates>,
    ) -> Result<Location, LocateError> {
        let network = Network::new(association, coordinates, &self.settings, self.travel_time.as_ref());
        let (phase_count, station_count) = (network.phase_count(), network.station_count());
        let event_id = association.event_id.clone();
        if phase_count < self.settings.phase_count_min || station_count < self.settings.station_count_min {
            return Err(LocateError::TooFewPicks { event_id, phase_count, station_count });
        }
        let region = network.region(&self.settings);
        let guess = network.guess(association, &region);
        let best = octree::find_peak(&network, &region, guess, self.settings.search_count);
        let fit = Fit::new(&network, best);
        let (phase_count, station_count) = fit.used_counts(&network);
        if phase_count < self.settings.phase_count_min || station_count < self.settings.station_count_min {
            return Err(LocateError::Inconsistent { event_id, phase_count, station_count });
        }
        let samples = octree::sample(&network, &region, best, self.settings.sample_count);
        let location = self.location(association, &network, &samples, best, &fit);
        let (ellipse_major_km, ellipse_major_km_max) =
            (location.origin.ellipse_major_km, self.settings.ellipse_major_km_max);
        if ellipse_major_km > ellipse_major_km_max {
            return Err(LocateError::Unconstrained { event_id, ellipse_major_km, ellipse_major_km_max });
        }
        Ok(location)
    }

    fn location(
        &self,
        association: &Association,
        network: &Network<'_>,
        samples: &octree::Samples,
        best: Point,
        fit: &Fit,
    ) -> Location {
        let event_id = association.event_id.clone();
        let (latitude, longitude) = network.frame().to_degrees(best.east_km, best.north_km);
        let mut pick_ids: Vec<&str> = network.picks().map(|pick| pick.pick_id.as_str()).collect();
        pick_ids.sort_unstable();
        let earth_model = self.travel_time.name().to_owned();
        let origin_id = OriginId::of(&format!("{event_id}/{METHOD}/{earth_model}/{}", pick_ids.join(",")));
        let arrivals = self.arrivals(network, fit, (&event_id, &origin_id), (latitude, longitude));
        let spread = quality::spread(network, samples, best, fit);
        let (used_phase_count, used_station_count) = fit.used_counts(network);
        let creation_time = network.picks().filter_map(|pick| pick.provenance.creation_time).max();
        let origin = Origin {
            origin_id,
            event_id,
            origin_time: network.time(fit.origin_s),
            time_uncertainty_s: spread.time_s,
            latitude,
            longitude,
            depth_km: best.depth_km,
            covariance_km2: spread.covariance_km2,
            ellipse_major_km: spread.ellipse_major_km,
            ellipse_minor_km: spread.ellipse_minor_km,
            ellipse_azimuth: spread.ellipse_azimuth,
            depth_uncertainty_km: spread.covariance_km2[5].sqrt(),
            rms_s: fit.rms_s,
            azimuthal_gap: quality::azimuthal_gap(used(&arrivals).map(|arrival| arrival.azimuth)),
            nearest_station_km: used(&arrivals)
                .map(|arrival| arrival.distance_km)
                .fold(f64::INFINITY, f64::min),
            used_phase_count: used_phase_count as u32,
            used_station_count: used_station_count as u32,
            provenance: Provenance::automatic(METHOD, METHOD_VERSION, creation_time),
            earth_model,
        };
        let observations = network.observations().iter();
        let sites = observations.map(|one| (one.pick.source_id.clone(), one.coordinates)).collect();
        Location { origin, arrivals, sites, amplitude_traces: association.amplitude_traces.clone() }
    }

    fn arrivals(
        &self,
        network: &Network<'_>,
        fit: &Fit,
        (event_id, origin_id): (&EventId, &OriginId),
        (latitude, longitude): (f64, f64),
    ) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for (observation, judged) in network.observations().iter().zip(&fit.judged) {
            // A residual that is no number belongs to a station beyond the model's range.
            if judged.residual_s.is_nan() || judged.residual_s.abs() > self.settings.residual_s_max {
                continue;
            }
            let pick = observation.pick;
            let (distance_km, azimuth) = observation.distance_azimuth_from(latitude, longitude);
            arrivals.push(Arrival {
                arrival_id: ArrivalId::of(&format!("{origin_id}/{}", pick.pick_id)),
                origin_id: origin_id.clone(),
                event_id: event_id.clone(),
                pick_id: pick.pick_id.clone(),
                source_id: pick.source_id.clone(),
                pick_time: pick.pick_time,
                phase: pick.phase,
                distance_km,
                azimuth,
                residual_s: judged.residual_s,
                weight: judged.weight,
                time_uncertainty_s: Some(pick.time_uncertainty_s),
                polarity: Some(pick.polarity),
                onset: Some(pick.onset),
                pick_method: Some(pick.provenance.method.clone()),
                pick_method_version: Some(pick.provenance.method_version.clone()),
            });
        }
        arrivals
    }
}

fn used(arrivals: &[Arrival]) -> impl Iterator<Item = &Arrival> {
    arrivals.iter().filter(|arrival| arrival.weight > 0.0)
}
