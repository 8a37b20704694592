//! What the associator may assume and must demand.

use serde::{Deserialize, Serialize};

use super::travel_table::TableRange;

/// A single station sees this far.
const APERTURE_KM_MIN: f64 = 30.0;
const DEPTH_KM_SEEN: f64 = 60.0;

/// Settings of the associator. The defaults suit local and regional networks of 4 to some hundred stations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssociateSettings {
    /// Least picks of an event.
    pub picks_min: usize,
    /// Least P picks.
    pub p_picks_min: usize,
    /// Least S picks.
    pub s_picks_min: usize,
    /// Least stations.
    pub stations_min: usize,
    /// Least stations that have both P and S.
    pub stations_with_both_min: usize,
    /// In networks of too few stations: an event also counts with this many stations that have both P and S,
    /// whatever the other minima say. 0 switches the rule off.
    pub sparse_stations_with_both_min: usize,
    /// Largest residual of a pick next to the source.
    pub tolerance_s: f64,
    /// What the tolerance grows by with travel time: the error of the velocity model, as a share of the time.
    pub tolerance_fraction: f64,
    /// Least share of the stations within the reach of an event that must have recorded it.
    pub station_fraction_min: f64,
    /// Least evidence: the sum over the picks of the logarithm of how unlikely chance is to have put one of the
    /// station's picks where the event wants it. Higher where false events hurt more than missed ones.
    pub evidence_min: f64,
    /// Shallowest source, below sea level.
    pub depth_km_min: f64,
    /// Deepest source. A network sees no deeper than half again its aperture, but 60 km at least.
    pub depth_km_max: f64,
    /// Epicentres are looked for up to this far from the nearest station, and up to the aperture of the network.
    pub margin_km: f64,
    /// Picks count up to this epicentral distance, and up to aperture and margin together. It decides about the delay:
    /// an origin is final when S of it, and of the latest origin that could claim its picks, had time to arrive.
    pub distance_km_max: f64,
    /// Smallest cell of the octree.
    pub cell_km_min: f64,
    /// Size of a cell as a share of the distance to its nearest station.
    pub cell_fraction: f64,
    /// Stations nearest to a cell that vote for it.
    pub voting_stations: usize,
    /// Origins are declared in windows of this length, aligned to 1970.
    pub window_s: f64,
    /// Amplitudes belong to an event up to this long after its origin.
    pub amplitude_window_s: f64,
    /// Origins closer in time than this …
    pub event_interval_s: f64,
    /// … and closer in space than this are one event.
    pub event_distance_km: f64,
    /// Stations silent for longer than this no longer count as having missed an event.
    pub station_memory_s: f64,
    /// Trials of a window before it is given up as noise.
    pub trials_max: usize,
    /// Picks held (and amplitude traces, as many); beyond it the oldest windows are closed early.
    pub held_picks_max: usize,
}

impl Default for AssociateSettings {
    fn default() -> Self {
        Self {
            picks_min: 6,
            p_picks_min: 1,
            s_picks_min: 0,
            stations_min: 4,
            stations_with_both_min: 0,
            sparse_stations_with_both_min: 0,
            tolerance_s: 0.5,
            tolerance_fraction: 0.02,
            station_fraction_min: 0.35,
            evidence_min: 18.0,
            depth_km_min: 0.0,
            depth_km_max: 200.0,
            margin_km: 100.0,
            distance_km_max: 250.0,
            cell_km_min: 2.0,
            cell_fraction: 0.4,
            voting_stations: 12,
            window_s: 30.0,
            amplitude_window_s: 60.0,
            event_interval_s: 1.0,
            event_distance_km: 50.0,
            station_memory_s: 86_400.0,
            trials_max: 500,
            held_picks_max: 500_000,
        }
    }
}

impl AssociateSettings {
    /// Largest residual of a pick after `travel_time_s`.
    #[inline]
    pub(super) fn tolerance_s(&self, travel_time_s: f64) -> f64 {
        self.tolerance_s + self.tolerance_fraction * travel_time_s
    }

    /// What is within reach of a network of an aperture: events far outside it cannot be told from others.
    pub(super) fn within(&self, aperture_km: f64) -> Self {
        let aperture_km = aperture_km.max(APERTURE_KM_MIN);
        let margin_km = self.margin_km.min(aperture_km);
        Self {
            margin_km,
            distance_km_max: self.distance_km_max.min(aperture_km + margin_km),
            depth_km_max: self.depth_km_max.min((1.5 * aperture_km).max(DEPTH_KM_SEEN)),
            ..self.clone()
        }
    }

    pub(super) fn table_range(&self) -> TableRange {
        TableRange {
            distance_km_max: self.distance_km_max,
            depth_km_min: self.depth_km_min,
            depth_km_max: self.depth_km_max,
        }
    }
}
