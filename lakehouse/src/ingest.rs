//! Records that come in through a door: cut out of their body, checked and appended, each told what became of it.

use std::sync::Arc;

use bytes::Bytes;
use seislake_model::{ErrorKind, Timestamp};
use seislake_streams::gate::{Gate, IngestReport, Refused};
use seislake_streams::runtime::Pipeline;
use seislake_streams::source::body::{Place, offers};

use crate::engine::{Engine, Intake};

/// Takes records while all runners work; while one waits for room or for the lake, senders wait too.
#[derive(Debug)]
pub struct Ingest {
    gate: Arc<Gate>,
    pipeline: Arc<Pipeline>,
    intake: Intake,
}

/// What became of a body.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub report: IngestReport,
    /// What could not be used or is suspect, and where it stands in the body; in its order.
    pub refused: Vec<(Place, Refused)>,
}

/// Why no record of a body was taken.
#[derive(Debug)]
pub enum IntakeError {
    /// Other processes fill the home, in so many shares.
    InShares { shards: u32 },
    /// `what` cannot be written now; the cause is for the operator.
    ForNow { what: &'static str, cause: String },
    /// A failure of ours while doing `what`.
    Failed { what: &'static str, cause: String },
}

impl Ingest {
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        let (gate, pipeline) = (Arc::clone(&engine.gate), Arc::clone(&engine.pipeline));
        Self { gate, pipeline, intake: engine.intake }
    }

    /// Takes the records of a body that `origin` sent and that was there at `arrival_time`.
    ///
    /// # Errors
    /// Where no record is taken.
    pub async fn take(
        &self,
        body: Bytes,
        origin: String,
        arrival_time: Timestamp,
    ) -> Result<Outcome, IntakeError> {
        self.check_open()?;
        let cut = tokio::task::spawn_blocking(move || offers(&body, &origin, arrival_time));
        let (offers, places) = cut.await.map_err(|error| IntakeError::Failed {
            what: "cut a body into records",
            cause: error.to_string(),
        })?;
        let failed = |error: seislake_streams::Error| match error.kind {
            ErrorKind::Unavailable => IntakeError::ForNow { what: "the log", cause: error.chain() },
            _ => IntakeError::Failed { what: "append records to the log", cause: error.chain() },
        };
        let checked = self.gate.check(offers).await.map_err(failed)?;
        let place = |refused: Refused| (places.get(refused.offer).copied().unwrap_or_default(), refused);
        let refused = checked.refused().into_iter().map(place).collect();
        let report = self.gate.append(checked).await.map_err(failed)?;
        Ok(Outcome { report, refused })
    }

    fn check_open(&self) -> Result<(), IntakeError> {
        if let Intake::InShares { shards } = self.intake {
            return Err(IntakeError::InShares { shards });
        }
        match self.pipeline.failing() {
            Some(cause) => Err(IntakeError::ForNow { what: "the tables", cause }),
            None => Ok(()),
        }
    }
}
