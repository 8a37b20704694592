//! Phase picks (QuakeML `Pick`).

use serde::{Deserialize, Serialize};

use crate::{PickId, Provenance, SourceId, Timestamp};

/// Seismic phase of a pick or an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// First compressional wave.
    P,
    /// First shear wave.
    S,
}

impl Phase {
    /// `P` or `S`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P => "P",
            Self::S => "S",
        }
    }
}

/// Direction of the first motion on the vertical component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// Up (compression).
    Positive,
    /// Down (dilatation).
    Negative,
    /// Not to be told.
    Undecidable,
}

impl Polarity {
    /// The QuakeML word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Undecidable => "undecidable",
        }
    }
}

/// Sharpness of the onset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Onset {
    /// Sharp.
    Impulsive,
    /// Gradual.
    Emergent,
}

impl Onset {
    /// The QuakeML word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Impulsive => "impulsive",
            Self::Emergent => "emergent",
        }
    }
}

/// The time at which a phase arrived on a channel, and how sure we are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Name-based id: see [`Pick::id_of`].
    pub pick_id: PickId,
    /// Channel on which the pick was made.
    pub source_id: SourceId,
    /// Onset time.
    pub pick_time: Timestamp,
    /// One standard deviation of the onset time.
    pub time_uncertainty_s: f64,
    /// Phase as the picker reads it.
    pub phase: Phase,
    /// First motion (P on a vertical component only).
    pub polarity: Polarity,
    /// Sharpness.
    pub onset: Onset,
    /// Signal-to-noise ratio of amplitudes after and before the onset.
    pub snr: f64,
    /// The picker.
    #[serde(flatten)]
    pub provenance: Provenance,
}

impl Pick {
    /// The id of a pick: same channel, phase, method and time to the microsecond, same id.
    pub fn id_of(source_id: &SourceId, pick_time: Timestamp, phase: Phase, method: &str) -> PickId {
        PickId::of(&format!("{source_id}/{}/{method}/{}", phase.as_str(), pick_time.micros()))
    }
}
