//! The ingest door of a running engine: cuts bodies into records, hands them to the gate, and says what became of each.

use std::sync::Arc;

use async_trait::async_trait;
use seislake_api::state::{Ingest, IngestReport, IngestRequest, RefusedRecord};
use seislake_api::{ApiError, ErrorCode};
use seislake_lakehouse::engine::{Engine, Intake};
use seislake_model::ErrorKind;
use seislake_streams::gate::Gate;
use seislake_streams::runtime::Pipeline;
use seislake_streams::source::body::{Place, offers};

/// Takes records while all runners work; while one waits for room or for the lake, senders wait too.
#[derive(Debug)]
pub(crate) struct GateIngest {
    gate: Arc<Gate>,
    pipeline: Arc<Pipeline>,
    intake: Intake,
}

impl GateIngest {
    pub(crate) fn of(engine: &Engine) -> Self {
        let (gate, pipeline) = (Arc::clone(&engine.gate), Arc::clone(&engine.pipeline));
        Self { gate, pipeline, intake: engine.intake }
    }

    fn check_open(&self) -> Result<(), ApiError> {
        if let Intake::InShares { shards } = self.intake {
            let message = format!("this home is an archive that is filled in {shards} shares");
            let hint = format!("add records with `seislake import --archive-only --shard I/{shards}`");
            return Err(ApiError::new(ErrorCode::Conflict, message).hint(hint));
        }
        match self.pipeline.failing() {
            Some(reason) => Err(closed("the tables cannot be written", &reason)),
            None => Ok(()),
        }
    }
}

/// No records are taken for a while; the cause is for the operator.
fn closed(what: &str, cause: &str) -> ApiError {
    tracing::warn!(cause, "records were turned away: {what}");
    ApiError::new(ErrorCode::Unavailable, format!("no records are taken now: {what}"))
        .hint("send them again later; the cause stands in the log of the server")
}

#[async_trait]
impl Ingest for GateIngest {
    async fn ingest(&self, request: IngestRequest) -> Result<IngestReport, ApiError> {
        self.check_open()?;
        let cut =
            tokio::task::spawn_blocking(move || offers(&request.body, &request.origin, request.arrival_time));
        let (offers, places) =
            cut.await.map_err(|error| ApiError::internal("cut a body into records", &error))?;
        let failed = |error: seislake_streams::Error| match error.kind {
            ErrorKind::Unavailable => closed("the log cannot be written", &error.chain()),
            _ => ApiError::internal("append records to the log", &error.chain()),
        };
        let checked = self.gate.check(offers).await.map_err(failed)?;
        let refused = checked.refused().into_iter().map(|refused| {
            let Place { byte_offset, byte_count } = places.get(refused.offer).copied().unwrap_or_default();
            RefusedRecord { index: refused.offer, byte_offset, byte_count, reason: refused.reason }
        });
        let dead_letters = refused.collect();
        let report = self.gate.append(checked).await.map_err(failed)?;
        Ok(IngestReport {
            accepted_count: usize::try_from(report.accepted).unwrap_or(usize::MAX),
            duplicate_count: usize::try_from(report.duplicates).unwrap_or(usize::MAX),
            sample_count: report.samples,
            dead_letters,
        })
    }
}
