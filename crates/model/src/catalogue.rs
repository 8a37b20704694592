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
    /// What it was, in the words of QuakeML (`earthquake`, `quarry blast`, `not existing` …), where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

impl CatalogueEvent {
    /// Whether it happened, whatever it was: a blast did, what was rejected did not.
    pub fn did_happen(&self) -> bool {
        let kind = self
            .event_type
            .as_deref()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .replace(['_', '-'], " ");
        !NO_EVENTS.iter().any(|none| kind.contains(none))
    }

    /// Whether it is an earthquake, or may be one: the catalogue does not call it a blast, a landslide, `not existing` or
    /// another of QuakeML's words (in the spelling of whatever agency) for what is none.
    pub fn may_be_earthquake(&self) -> bool {
        let Some(kind) = self.event_type.as_deref() else { return true };
        let kind = kind.trim().to_ascii_lowercase().replace(['_', '-'], " ");
        !OTHER_EVENTS.iter().any(|other| kind.contains(other)) && !is_other_by_letters(&kind)
    }
}

/// Words for what did not happen, or is told elsewhere.
const NO_EVENTS: [&str; 6] = [NOT_EXISTING, "not locatable", "rejected", "false", "deleted", "duplicate"];

/// QuakeML's word for an event that did not happen.
pub const NOT_EXISTING: &str = "not existing";

/// Whether a status takes an event, origin or magnitude back (`rejected` in QuakeML, `deleted` in GeoJSON).
pub fn is_withdrawn(status: &str) -> bool {
    ["rejected", "deleted"].iter().any(|word| status.eq_ignore_ascii_case(word))
}

/// Two letters as bulletins of the ISC and in IMS 1.0 have them: how sure (suspected, known, felt, damaging), and what:
/// explosion, nuclear explosion, mining explosion, chemical explosion, landslide. Rock bursts (`r`) and induced events
/// (`i`) are earthquakes to an instrument.
fn is_other_by_letters(kind: &str) -> bool {
    matches!(kind.as_bytes(), [b's' | b'k' | b'f' | b'd', b'x' | b'n' | b'm' | b'h']) || kind == "ls"
}

/// Words for what is no earthquake.
const OTHER_EVENTS: [&str; 40] = [
    NOT_EXISTING,
    "not locatable",
    "rejected",
    "false",
    "deleted",
    "duplicate",
    "blast",
    "explosion",
    "quarry",
    "collapse",
    "anthropogenic",
    "road cut",
    "crash",
    "other event",
    "atmospheric",
    "sonic",
    "boom",
    "acoustic",
    "noise",
    "thunder",
    "avalanche",
    "slide",
    "slump",
    "ice quake",
    "icequake",
    "frost quake",
    "glacial",
    "calving",
    "meteor",
    "eruption",
    "rocket",
    "tremor pulse",
    "calibration",
    "detonation",
    "artillery",
    "aircraft",
    "rockfall",
    "volcanic tremor",
    "pyroclastic",
    "lahar",
];

impl From<&Event> for CatalogueEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.event_id.to_string(),
            origin_time: event.origin_time,
            latitude: event.latitude,
            longitude: event.longitude,
            depth_km: Some(event.depth_km),
            magnitude: event.magnitude,
            event_type: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_something_else_is_no_earthquake() {
        let of = |kind: Option<&str>| {
            let event = CatalogueEvent {
                id: String::new(),
                origin_time: Timestamp::from_nanos(0),
                latitude: 0.0,
                longitude: 0.0,
                depth_km: None,
                magnitude: None,
                event_type: kind.map(str::to_owned),
            };
            event.may_be_earthquake()
        };
        for kind in [
            None,
            Some("earthquake"),
            Some("Induced or triggered event"),
            Some("not reported"),
            Some("ML"),
            Some("ke"),
            Some("sr"),
            Some("ki"),
            Some("uk"),
            Some("rock burst"),
            Some("volcano-tectonic"),
            Some(""),
        ] {
            assert!(of(kind), "{kind:?}");
        }
        for kind in [
            "not existing",
            "quarry blast",
            "Quarry Blast",
            "chemical_explosion",
            "ice quake",
            "sonic boom",
            "not locatable",
            "rejected",
            "kx",
            "SM",
            "kh",
            "ls",
            "false trigger",
            "volcanic tremor",
            "blasting levee",
            "hydroacoustic event",
        ] {
            assert!(!of(Some(kind)), "{kind}");
        }
    }
}
