//! From associated picks to events (QuakeML `Arrival`, `Origin`, `Amplitude`, `Magnitude`, `Event`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AmplitudeId, ArrivalId, Coordinates, EventId, MagnitudeId, Onset, OriginId, Phase, Pick, PickId,
    Polarity, Provenance, SourceId, Timestamp,
};

/// Wood-Anderson amplitudes around the picks of one channel, one value a second.
/// Measured by the pick stage, which alone sees samples; read by the magnitude stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AmplitudeTrace {
    /// Horizontal channel.
    pub source_id: SourceId,
    /// Begin of the first second.
    pub start_time: Timestamp,
    /// Largest absolute Wood-Anderson displacement in each second, mm.
    pub peaks_mm: Vec<f32>,
    /// The same before the pick: root mean square of the noise, mm.
    pub noise_mm: f32,
    /// The largest in each second above 2 Hz, mm, where the noise below hides what is to be seen there; else empty.
    // Never left out where it is empty: states are packed by position.
    #[serde(default)]
    pub high_peaks_mm: Vec<f32>,
    /// The noise above 2 Hz, mm.
    #[serde(default)]
    pub high_noise_mm: f32,
    /// Where the channel stood; none where nobody said.
    #[serde(default)]
    pub at: Option<Coordinates>,
}

/// Picks that belong to one event, with a first guess where and when it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// Event these picks declare: name-based on the earliest pick.
    pub event_id: EventId,
    /// First guess of the origin time.
    pub origin_time: Timestamp,
    /// First guess, degrees north.
    pub latitude: f64,
    /// First guess, degrees east.
    pub longitude: f64,
    /// First guess.
    pub depth_km: f64,
    /// The picks, earliest first.
    pub picks: Vec<Pick>,
    /// Where the channels of the picks stood.
    #[serde(default)]
    pub sites: BTreeMap<SourceId, Coordinates>,
    /// Amplitudes of the stations involved, for the magnitude.
    pub amplitude_traces: Vec<AmplitudeTrace>,
}

/// A pick as seen from an origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Name-based on origin and pick.
    pub arrival_id: ArrivalId,
    /// Origin.
    pub origin_id: OriginId,
    /// Event.
    pub event_id: EventId,
    /// Pick.
    pub pick_id: PickId,
    /// Channel of the pick.
    pub source_id: SourceId,
    /// Time of the pick.
    pub pick_time: Timestamp,
    /// Phase.
    pub phase: Phase,
    /// Epicentral distance.
    pub distance_km: f64,
    /// Azimuth from the epicentre to the station, degrees clockwise from north.
    pub azimuth: f64,
    /// Observed minus calculated arrival time.
    pub residual_s: f64,
    /// Weight in the location, 0 to 1.
    pub weight: f64,
    /// One standard deviation of the time of the pick.
    pub time_uncertainty_s: Option<f64>,
    /// First motion of the pick.
    pub polarity: Option<Polarity>,
    /// Sharpness of the pick.
    pub onset: Option<Onset>,
    /// The picker.
    pub pick_method: Option<String>,
    /// Its version.
    pub pick_method_version: Option<String>,
}

/// Where and when, with uncertainty and quality (QuakeML `Origin`, `OriginUncertainty`, `OriginQuality`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Name-based on event, method and picks.
    pub origin_id: OriginId,
    /// Event.
    pub event_id: EventId,
    /// Origin time.
    pub origin_time: Timestamp,
    /// One standard deviation of the origin time.
    pub time_uncertainty_s: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Depth below sea level.
    pub depth_km: f64,
    /// Covariance of the hypocentre east, north, down: xx, xy, xz, yy, yz, zz, km².
    pub covariance_km2: [f64; 6],
    /// One standard deviation of the epicentre: semi-major axis of the horizontal error ellipse (68 %).
    pub ellipse_major_km: f64,
    /// Semi-minor axis.
    pub ellipse_minor_km: f64,
    /// Azimuth of the major axis, degrees clockwise from north.
    pub ellipse_azimuth: f64,
    /// One standard deviation of the depth.
    pub depth_uncertainty_km: f64,
    /// Root mean square of the weighted residuals.
    pub rms_s: f64,
    /// Largest gap in azimuth between stations used, degrees.
    pub azimuthal_gap: f64,
    /// Epicentral distance of the nearest station used.
    pub nearest_station_km: f64,
    /// Phases used.
    pub used_phase_count: u32,
    /// Stations used.
    pub used_station_count: u32,
    /// The locator.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Velocity model, e.g. `iasp91` or the name of the file.
    pub earth_model: String,
}

/// An origin with what it rests on: what the locate stage proposes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// The origin.
    pub origin: Origin,
    /// Its arrivals.
    pub arrivals: Vec<Arrival>,
    /// Where the channels of its picks stood.
    #[serde(default)]
    pub sites: BTreeMap<SourceId, Coordinates>,
    /// Amplitudes handed on to the magnitude stage.
    pub amplitude_traces: Vec<AmplitudeTrace>,
}

/// Largest Wood-Anderson amplitude of one channel for one event, and the station magnitude made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amplitude {
    /// Name-based on origin and channel.
    pub amplitude_id: AmplitudeId,
    /// Event.
    pub event_id: EventId,
    /// Origin that gave the distance.
    pub origin_id: OriginId,
    /// Horizontal channel.
    pub source_id: SourceId,
    /// Zero-to-peak Wood-Anderson displacement, mm.
    pub amplitude_mm: f64,
    /// Second in which the peak lies.
    pub amplitude_time: Timestamp,
    /// Hypocentral distance.
    pub hypocentral_distance_km: f64,
    /// ML of this channel alone.
    pub station_magnitude: f64,
}

/// Network magnitude of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Magnitude {
    /// Name-based on origin and type.
    pub magnitude_id: MagnitudeId,
    /// Event.
    pub event_id: EventId,
    /// Origin.
    pub origin_id: OriginId,
    /// Type, e.g. `ML`.
    pub magnitude_type: String,
    /// Value.
    pub magnitude: f64,
    /// Standard deviation over the stations; `None` of a single station, which tells nothing of it.
    pub uncertainty: Option<f64>,
    /// Stations used.
    pub station_count: u32,
    /// The recipe, e.g. `hutton-boore-1987`.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What the magnitude stage proposes for an origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MagnitudeResult {
    /// Network magnitude; `None` where no response is known or too few stations count: never an invented number.
    pub magnitude: Option<Magnitude>,
    /// Channel amplitudes.
    pub amplitudes: Vec<Amplitude>,
}

/// How final an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Declared; more picks may come.
    Preliminary,
    /// The watermark has passed it.
    Closed,
    /// Withdrawn (tombstone).
    Deleted,
}

impl EventStatus {
    /// The word used in tables and APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preliminary => "preliminary",
            Self::Closed => "closed",
            Self::Deleted => "deleted",
        }
    }
}

/// One revision of an event: a row of `bulletin.events`, with the preferred values beside their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Stable over revisions.
    pub event_id: EventId,
    /// From 1.
    pub revision: u32,
    /// How final.
    pub status: EventStatus,
    /// Preferred origin.
    pub preferred_origin_id: OriginId,
    /// Preferred magnitude.
    pub preferred_magnitude_id: Option<MagnitudeId>,
    /// Of the preferred origin.
    pub origin_time: Timestamp,
    /// Of the preferred origin, degrees north.
    pub latitude: f64,
    /// Of the preferred origin, degrees east.
    pub longitude: f64,
    /// Of the preferred origin.
    pub depth_km: f64,
    /// Of the preferred magnitude.
    pub magnitude: Option<f64>,
    /// Of the preferred magnitude.
    pub magnitude_type: Option<String>,
    /// The event that this one turned out to be, where it was merged.
    pub merged_into: Option<EventId>,
    /// Of the preferred origin: agency, author, method; the creation time is that of the last proposal that this revision
    /// knows.
    #[serde(flatten)]
    pub provenance: Provenance,
}
