//! What is said about events, and what becomes of it.

use serde::{Deserialize, Serialize};

use crate::{
    Amplitude, Arrival, EvaluationStatus, Event, EventId, Location, Magnitude, MagnitudeId, MagnitudeResult,
    Origin, OriginId, Provenance,
};

/// What a stage, a person or another agency says about an event. Who owns events decides what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Proposal {
    /// It was here.
    Origin {
        /// The origin; its event id is the one that it would have if it were the first of its event.
        location: Box<Location>,
    },
    /// An origin had this magnitude.
    Magnitude {
        /// The magnitude and what it rests on; its event id is that of its origin's proposal.
        magnitude: Box<MagnitudeResult>,
    },
    /// Somebody looked at it.
    Review {
        /// What they decided.
        review: Box<Review>,
    },
}

/// A decision about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The event.
    pub event_id: EventId,
    /// What becomes of it.
    pub action: ReviewAction,
    /// Who decided.
    pub provenance: Provenance,
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ReviewAction {
    /// It has been looked at so far.
    Evaluate {
        /// So far; `rejected` withdraws the event.
        status: EvaluationStatus,
    },
    /// This origin is the preferred one, whatever the rules say.
    PreferOrigin {
        /// One of the event's.
        origin_id: OriginId,
    },
    /// This magnitude is the preferred one, whatever the rules say.
    PreferMagnitude {
        /// One of the event's.
        magnitude_id: MagnitudeId,
    },
    /// It is the same as another, which stays.
    Merge {
        /// The one that stays.
        into: EventId,
    },
    /// These of its origins are another event, named by the first of them.
    Split {
        /// Some of its origins, not all.
        origin_ids: Vec<OriginId>,
    },
    /// It did not happen.
    Withdraw,
}

/// What became of one proposal: new revisions of events, and what belongs to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Events that changed, as they are now.
    pub events: Vec<Event>,
    /// The origin that was proposed, with the event that it belongs to.
    pub origins: Vec<Origin>,
    /// Its arrivals.
    pub arrivals: Vec<Arrival>,
    /// The magnitude that was proposed.
    pub magnitudes: Vec<Magnitude>,
    /// Its amplitudes.
    pub amplitudes: Vec<Amplitude>,
}

impl Proposal {
    /// The event that it speaks of, as it names it.
    pub fn event_id(&self) -> Option<&EventId> {
        match self {
            Self::Origin { location } => Some(&location.origin.event_id),
            Self::Magnitude { magnitude } => {
                let of_amplitudes = || magnitude.amplitudes.first().map(|amplitude| &amplitude.event_id);
                magnitude.magnitude.as_ref().map(|magnitude| &magnitude.event_id).or_else(of_amplitudes)
            }
            Self::Review { review } => Some(&review.event_id),
        }
    }
}
