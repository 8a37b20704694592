//! What the doors need from the rest of the house, as ports that the binary fills.
//!
//! ```text
//! GraphQL, /events, FDSN ──► Sessions      (DataFusion over the lake, now or as of a snapshot)
//! /waveforms/ingest      ──► Ingest        (gate to topic waveforms.raw)
//! /stations              ──► StationStore  (network.stations, network.channels)
//! dataselect             ──► Originals     (text records, from log or warehouse)
//! /readyz                ──► Readiness
//! ```

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use metrics_exporter_prometheus::PrometheusHandle;
pub use seislake_catalog::AsOf;
use seislake_model::{Clock, Inventory, SnapshotId, Timestamp};
use serde::Serialize;

use crate::error::ApiError;
use crate::query_runtime::QueryRuntime;
use crate::records::TextRecord;

/// One state of the lake: what a request asks it, it asks of the same snapshots of all tables.
#[derive(Clone)]
pub struct Pinned {
    /// Statements read this state; its snapshots stay while the context or a clone of it lives.
    pub context: SessionContext,
    /// The same, by name.
    pub snapshots: Arc<dyn Snapshots>,
}

impl Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pinned").field("snapshots", &self.snapshots).finish_non_exhaustive()
    }
}

/// The snapshots of a state of the lake.
pub trait Snapshots: Debug + Send + Sync {
    /// That of `table` (`bulletin.events`); `None` where it has none yet.
    fn id(&self, table: &str) -> Option<SnapshotId>;

    /// Keeps them for whoever holds a cursor: for a while [`Sessions::pin`] finds them by the id of any of them.
    fn keep(&self);
}

/// Opens sessions on the lake.
#[async_trait]
pub trait Sessions: Debug + Send + Sync {
    /// The lake as of `as_of`, the same for all statements: of a snapshot the table that has it there, the others as they
    /// were when it was committed or later. An unknown snapshot is `NOT_FOUND`.
    async fn pin(&self, as_of: AsOf) -> Result<Pinned, ApiError>;

    /// A session of [`Sessions::pin`].
    async fn session(&self, as_of: AsOf) -> Result<SessionContext, ApiError> {
        Ok(self.pin(as_of).await?.context)
    }

    /// When the snapshot was committed; `None` where no table has it (any more).
    async fn committed_at(&self, id: SnapshotId) -> Result<Option<Timestamp>, ApiError>;
}

/// miniSEED records that came in through a door.
#[derive(Clone, Debug)]
pub struct IngestRequest {
    /// Records one after the other, as they came.
    pub body: Bytes,
    /// When they came.
    pub arrival_time: Timestamp,
    /// Who sent them, for the dead letters.
    pub origin: String,
}

/// What became of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct IngestReport {
    /// Records appended to `waveforms.raw`.
    pub accepted_count: usize,
    /// Records that the stream already held; not appended again.
    pub duplicate_count: usize,
    /// Samples of the accepted records, as their headers say.
    pub sample_count: u64,
    /// What could not be used, in the order of the body.
    pub dead_letters: Vec<RefusedRecord>,
}

/// A part of a body that could not be used, or was kept although something is odd about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRecord {
    /// Index among the records and damaged parts of the body.
    pub index: usize,
    /// Where it begins in the body, bytes.
    pub byte_offset: u64,
    /// How long it is there, bytes.
    pub byte_count: u64,
    /// Why, one sentence.
    pub reason: String,
}

/// The gate to the stream.
#[async_trait]
pub trait Ingest: Debug + Send + Sync {
    /// Cuts the body into records, drops those already held, appends the rest durably.
    /// Parts and records that cannot be used come back as dead letters, not as an error.
    async fn ingest(&self, request: IngestRequest) -> Result<IngestReport, ApiError>;
}

/// Where stations and channels are kept.
#[async_trait]
pub trait StationStore: Debug + Send + Sync {
    /// Adds epochs; those of the same code and start are replaced.
    async fn upsert(&self, inventory: Inventory) -> Result<(), ApiError>;

    /// All epochs known.
    fn current(&self) -> Arc<Inventory>;
}

/// Original records, where they are kept: in the warehouse or in the log.
#[async_trait]
pub trait Originals: Debug + Send + Sync {
    /// A record of `waveforms.raw` as it came; `None` where it is kept no more.
    async fn original(&self, record: &TextRecord) -> Result<Option<Bytes>, ApiError>;
}

/// Whether the process can do its work.
#[async_trait]
pub trait Readiness: Debug + Send + Sync {
    /// Each part with `Ok` or the reason why it is not ready.
    async fn check(&self) -> Vec<(String, Result<(), String>)>;

    /// What an operator should know of parts that are ready all the same.
    fn notes(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Everything a handler can reach.
#[derive(Clone)]
pub struct AppState {
    /// The lake.
    pub sessions: Arc<dyn Sessions>,
    /// The stream.
    pub ingest: Arc<dyn Ingest>,
    /// Stations.
    pub stations: Arc<dyn StationStore>,
    /// Original records.
    pub originals: Arc<dyn Originals>,
    /// Readiness of the parts.
    pub readiness: Arc<dyn Readiness>,
    /// Threads of statements and answers; `None`: those of whoever asks.
    pub queries: Option<QueryRuntime>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where `/metrics` reads; `None` answers 404.
    pub metrics: Option<PrometheusHandle>,
}

impl Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
