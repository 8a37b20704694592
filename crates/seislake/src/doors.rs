//! The ports of `api`, filled with a running engine.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use seislake_api::state::{
    AsOf, Ingest, IngestReport, IngestRequest, Originals, Pinned, Readiness, RefusedRecord, Sessions,
    Snapshots, StationStore,
};
use seislake_api::{ApiError, AppState, ErrorCode, QueryRuntime, TextRecord};
use seislake_catalog::{Lake, SnapshotSet};
use seislake_lakehouse::clock::SystemClock;
use seislake_lakehouse::engine::Engine;
use seislake_lakehouse::ingest::{self, IntakeError, Outcome};
use seislake_lakehouse::originals::{self, Place};
use seislake_lakehouse::stations::HomeStations;
use seislake_lakehouse::{Lakehouse, readiness};
use seislake_model::{Inventory, SnapshotId, Timestamp};
use seislake_streams::gate::Gate;
use seislake_streams::runtime::Pipeline;
use seislake_streams::topic::Topic;

/// What the doors reach.
pub(crate) fn app_state(engine: &Engine, metrics: PrometheusHandle, queries: QueryRuntime) -> AppState {
    let lakehouse = &engine.lakehouse;
    let raw = Arc::clone(&engine.raw);
    AppState {
        sessions: Arc::new(LakeSessions { lakehouse: lakehouse.clone(), queries: queries.clone() }),
        ingest: Arc::new(GateIngest(ingest::Ingest::of(engine))),
        stations: Arc::new(Stations(Arc::clone(&engine.stations))),
        originals: Arc::new(EngineOriginals { lakehouse: lakehouse.clone(), raw }),
        readiness: Arc::new(EngineReadiness {
            lakehouse: lakehouse.clone(),
            gate: Arc::clone(&engine.gate),
            pipeline: Arc::clone(&engine.pipeline),
            queries: queries.clone(),
        }),
        queries: Some(queries),
        clock: Arc::new(SystemClock),
        metrics: Some(metrics),
    }
}

/// What the catalog reports, for a caller who wanted to do `what`.
fn of_catalog(what: &'static str) -> impl Fn(seislake_catalog::Error) -> ApiError {
    move |error| ApiError::of_room(what, &error)
}

/// Sessions whose statements run on threads of their own.
#[derive(Debug)]
struct LakeSessions {
    lakehouse: Lakehouse,
    queries: QueryRuntime,
}

#[derive(Debug)]
struct LakeSnapshots {
    lake: Lake,
    set: SnapshotSet,
}

impl Snapshots for LakeSnapshots {
    fn id(&self, table: &str) -> Option<SnapshotId> {
        self.set.snapshot_id(table)
    }

    fn keep(&self) {
        self.lake.keep(&self.set);
    }
}

#[async_trait]
impl Sessions for LakeSessions {
    async fn pin(&self, as_of: AsOf) -> Result<Pinned, ApiError> {
        let lake = self.lakehouse.lake().clone();
        let set = lake.pin(as_of).await.map_err(of_catalog("read the snapshots"))?;
        let failed = |error: anyhow::Error| ApiError::internal("open a session", &format!("{error:#}"));
        let session = self.lakehouse.session_at(set.clone()).map_err(failed)?;
        let context = self.queries.attach(&session);
        Ok(Pinned { context, snapshots: Arc::new(LakeSnapshots { lake, set }) })
    }

    async fn committed_at(&self, id: SnapshotId) -> Result<Option<Timestamp>, ApiError> {
        let found =
            self.lakehouse.lake().find_snapshot(id).await.map_err(of_catalog("read the snapshots"))?;
        Ok(found.map(|found| found.committed_at))
    }
}

#[derive(Debug)]
struct Stations(Arc<HomeStations>);

#[async_trait]
impl StationStore for Stations {
    async fn upsert(&self, inventory: Inventory) -> Result<(), ApiError> {
        self.0.add(inventory).await.map_err(of_catalog("write the stations"))
    }

    fn current(&self) -> Arc<Inventory> {
        self.0.current()
    }
}

/// Where a text record is kept.
pub(crate) fn place_of(record: &TextRecord) -> Place<'_> {
    let TextRecord { topic, partition, offset, object_uri, .. } = record;
    Place { uri: object_uri.as_deref(), topic, partition: *partition, offset: *offset }
}

#[derive(Debug)]
struct EngineOriginals {
    lakehouse: Lakehouse,
    raw: Arc<dyn Topic>,
}

#[async_trait]
impl Originals for EngineOriginals {
    async fn original(&self, record: &TextRecord) -> Result<Option<Bytes>, ApiError> {
        let mut originals = originals::Originals::of_engine(&self.lakehouse, Arc::clone(&self.raw));
        let found = originals.find(&record.source_id, place_of(record)).await;
        found.map_err(|error| ApiError::internal("read the original record", &error.chain()))
    }
}

#[derive(Debug)]
struct GateIngest(ingest::Ingest);

#[async_trait]
impl Ingest for GateIngest {
    async fn ingest(&self, request: IngestRequest) -> Result<IngestReport, ApiError> {
        let IngestRequest { body, arrival_time, origin } = request;
        let taken = self.0.take(body, origin, arrival_time).await;
        let Outcome { report, refused } = taken.map_err(turned_away)?;
        let refused = refused.into_iter().map(|(place, refused)| RefusedRecord {
            index: refused.offer,
            byte_offset: place.byte_offset,
            byte_count: place.byte_count,
            reason: refused.reason,
        });
        Ok(IngestReport {
            accepted_count: usize::try_from(report.accepted).unwrap_or(usize::MAX),
            duplicate_count: usize::try_from(report.duplicates).unwrap_or(usize::MAX),
            sample_count: report.samples,
            dead_letters: refused.collect(),
        })
    }
}

fn turned_away(reason: IntakeError) -> ApiError {
    match reason {
        IntakeError::InShares { shards } => {
            let message = format!("this home is an archive that is filled in {shards} shares");
            let hint = format!("add records with `seislake import --archive-only --shard I/{shards}`");
            ApiError::new(ErrorCode::Conflict, message).hint(hint)
        }
        IntakeError::ForNow { what, cause } => {
            tracing::warn!(cause, "records were turned away: {what} cannot be written");
            let message = format!("no records are taken now: {what} cannot be written");
            ApiError::new(ErrorCode::Unavailable, message)
                .hint("send them again later; the cause stands in the log of the server")
        }
        IntakeError::Failed { what, cause } => ApiError::internal(what, &cause),
    }
}

#[derive(Debug)]
struct EngineReadiness {
    lakehouse: Lakehouse,
    gate: Arc<Gate>,
    pipeline: Arc<Pipeline>,
    queries: QueryRuntime,
}

#[async_trait]
impl Readiness for EngineReadiness {
    async fn check(&self) -> Vec<(String, Result<(), String>)> {
        let home = readiness::check(&self.lakehouse, &self.gate, &self.pipeline).await;
        let parts = home.into_iter().chain([("queries", self.queries.check())]);
        parts.map(|(part, ready)| (part.to_owned(), ready)).collect()
    }

    fn notes(&self) -> Vec<(String, String)> {
        self.queries.note().map(|note| ("queries".to_owned(), note)).into_iter().collect()
    }
}
