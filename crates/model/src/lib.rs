//! The vocabulary of Seislake: what a pick, an origin, a station or a record *is*, and the ports through
//! which the rooms talk ([`RawStore`], [`Clock`]).
//!
//! Words are those of QuakeML, StationXML and SEED. The crate knows no file format, no transport and no table:
//! `exchange` reads and writes formats, `streams` carries records, `catalog` keeps tables.
#![warn(missing_docs)]

mod catalogue;
mod error;
mod event;
mod free_name;
mod ids;
mod inventory;
mod panics;
mod pick;
mod port;
mod proposal;
mod provenance;
mod quality;
mod response_stages;
mod source_id;
mod time;
mod time_base;
mod versions;
mod waveform;

pub use catalogue::{CatalogueEvent, NOT_EXISTING, is_withdrawn};
pub use error::{Error, ErrorKind, Result, causes};
pub use event::{
    Amplitude, AmplitudeTrace, Arrival, Association, Event, EventStatus, Location, Magnitude,
    MagnitudeResult, Origin,
};
pub use free_name::free_name;
pub use ids::{AmplitudeId, ArrivalId, EventId, MagnitudeId, OriginId, PickId};
pub use inventory::{
    Channel, Coordinates, InputUnit, Inventory, InventoryError, PolesZeros, Response, Station,
};
pub use panics::{is_own_code, is_silent, silently, take_panicking_file};
pub use pick::{Onset, Phase, Pick, Polarity};
pub use port::{Clock, LogRange, Offset, Offsets, RawStore, SnapshotId};
pub use proposal::{Proposal, Review, ReviewAction, Revision};
pub use provenance::{EvaluationMode, EvaluationStatus, Provenance};
pub use quality::{ComponentRatios, Condition, Continuity, Latency, SignalLevel, Span, Timing};
pub use response_stages::{
    Decimation, ListElement, Plane, ResponseStage, ResponseStages, StageFilter, StageGain, Symmetry,
    TotalSensitivity,
};
pub use source_id::{CodeError, SourceId, SourceIdError, check_station, in_capitals, path_component};
pub use time::{Timestamp, TimestampError};
pub use time_base::{Joint, Run, TimeBase};
pub use versions::Versions;
pub use waveform::{DeadLetter, Packet, RecordPosition, Samples, Segment};

/// Name-based identifier (UUID version 5) of `name` under `kind`: the same name always gives the same id, so a
/// replayed pick is the same pick. Form: `kind/uuid`, usable as the resource part of a QuakeML public id.
pub fn name_based_id(kind: &str, name: &str) -> String {
    let namespace = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, b"https://seislake.org/id");
    let id = uuid::Uuid::new_v5(&namespace, format!("{kind}/{name}").as_bytes());
    format!("{kind}/{id}")
}

/// Eight bytes that stand for a text in indexes: those of its name-based UUID, the same in every version.
pub fn short_id(text: &str) -> u64 {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes()).as_u64_pair().0
}
