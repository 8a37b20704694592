//! One event as catalogues list it, whoever made them: what is compared, read from other agencies, and printed.

use serde::{Deserialize, Serialize};

use crate::{Event, Timestamp};

/// An event of a catalogue: when, where, how deep, how large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEvent {
    /// Identifier in its catalogue.
    pub id: String,
    /// Origin time.
    pub origin_time: Timestamp,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Depth below sea level, where known.
    pub depth_km: Option<f64>,
    /// Magnitude, where known.
    pub magnitude: Option<f64>,
}

impl From<&Event> for CatalogueEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.event_id.clone(),
            origin_time: event.origin_time,
            latitude: event.latitude,
            longitude: event.longitude,
            depth_km: Some(event.depth_km),
            magnitude: event.magnitude,
        }
    }
}
