//! Who says something, how, and when (QuakeML `CreationInfo`, `EvaluationMode`, `EvaluationStatus`, `methodID`).

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Whether a program or a person found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationMode {
    /// A program.
    #[default]
    Automatic,
    /// A person.
    Manual,
}

impl EvaluationMode {
    /// The QuakeML word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }
}

/// How far it has been looked at. Ordered: what stands later is believed more, but for what was rejected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationStatus {
    /// Found wrong.
    Rejected,
    /// Not looked at by a person.
    #[default]
    Preliminary,
    /// Somebody says that it happened.
    Confirmed,
    /// Looked at in full.
    Reviewed,
    /// Not looked at again.
    Final,
}

impl EvaluationStatus {
    /// The QuakeML word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Preliminary => "preliminary",
            Self::Confirmed => "confirmed",
            Self::Reviewed => "reviewed",
            Self::Final => "final",
        }
    }
}

/// Who says something, how, and when. What older rows and messages do not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Agency that answers for it.
    pub agency_id: String,
    /// Program or person.
    pub author: String,
    /// Program or person, as a word.
    pub evaluation_mode: EvaluationMode,
    /// How far it has been looked at.
    pub evaluation_status: EvaluationStatus,
    /// Picker, locator or recipe, e.g. `octree-edt`.
    pub method: String,
    /// Version of the method: another one may give another result.
    pub method_version: String,
    /// Time of the youngest sample that it rests on: never a clock, so that a replay says the same.
    pub creation_time: Option<Timestamp>,
}

/// The author of what our stages find.
const PROGRAM: &str = "seislake";

impl Provenance {
    /// The agency; what names none is ours.
    pub fn agency(&self) -> &str {
        if self.agency_id.is_empty() { PROGRAM } else { &self.agency_id }
    }

    /// Of what a stage finds; the agency is added where it is known.
    pub fn automatic(method: &str, method_version: &str, creation_time: Option<Timestamp>) -> Self {
        Self {
            author: PROGRAM.to_owned(),
            method: method.to_owned(),
            method_version: method_version.to_owned(),
            creation_time,
            ..Self::default()
        }
    }
}
