//! The ingest door of a running engine: cuts bodies into records, hands them to the gate, and says what became of each.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use seislake_api::state::{Ingest, IngestReport, IngestRequest, RefusedRecord};
use seislake_api::{ApiError, ErrorCode};
use seislake_model::ErrorKind;
use seislake_mseed::{Scanned, Scanner};
use seislake_streams::gate::{Gate, Incoming, Offer, Refusal};
use seislake_streams::runtime::Pipeline;

use crate::engine::{Engine, Intake};

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
        let cut = tokio::task::spawn_blocking(move || cut_records(&request));
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

/// Where an offer stood in the body.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    byte_offset: u64,
    byte_count: u64,
}

/// Parts of a body that cannot be read and become dead letters each; the rest of them is counted in one more.
const PROBLEMS_MAX: usize = 1000;

/// Cuts a body into records and parts that cannot be read, each with its place.
fn cut_records(request: &IngestRequest) -> (Vec<Offer>, Vec<Place>) {
    let origin: Arc<str> = request.origin.as_str().into();
    let mut offers = Vec::new();
    let mut places = Vec::new();
    let (mut problem_count, mut rest) = (0_usize, None::<Place>);
    for scanned in Scanner::new(&request.body) {
        match scanned {
            Scanned::Record { offset, record } => {
                places.push(Place { byte_offset: offset, byte_count: record.length() as u64 });
                offers.push(Offer::Record(Incoming {
                    bytes: request.body.slice_ref(record.bytes()),
                    arrival_time: Some(request.arrival_time),
                    origin: Some(Arc::clone(&origin)),
                }));
            }
            Scanned::Problem { offset, length, .. } if problem_count >= PROBLEMS_MAX => {
                problem_count += 1;
                rest.get_or_insert(Place { byte_offset: offset, byte_count: 0 }).byte_count += length;
            }
            Scanned::Problem { offset, length, reason } => {
                problem_count += 1;
                let bytes_all = request.body.len() as u64;
                let (begin, end) = (offset.min(bytes_all), offset.saturating_add(length).min(bytes_all));
                places.push(Place { byte_offset: offset, byte_count: length });
                offers.push(Offer::Refused(Refusal {
                    bytes: request.body.slice(begin as usize..end as usize),
                    reason: format!("{reason} (at byte {offset} of the body)"),
                    origin: Some(Arc::clone(&origin)),
                }));
            }
            Scanned::ControlHeaders { .. } => {}
        }
    }
    if let Some(place) = rest {
        let (hidden, first) = (problem_count - PROBLEMS_MAX, place.byte_offset);
        places.push(place);
        offers.push(Offer::Refused(Refusal {
            bytes: Bytes::new(),
            reason: format!("{hidden} more parts of the body, from byte {first} on, cannot be read"),
            origin: Some(origin),
        }));
    }
    (offers, places)
}
