//! Rows of quality, made from the tables of waveforms, and read back.
//!
//! ```text
//! waveform.segments (metadata columns) ──► continuity        one pass, every partition of the scan at once
//! waveform.packets ──────────────────────► latency, timing
//! waveform.segments (samples) ───────────► sensor            one sensor and day at a time
//! quality.* ─────────────────────────────► stored            rows of a report
//! ```
//! The algorithms are those of [`seislake_seismo::quality`]; here rows are fetched, sorted out by channel and handed
//! over. Of several versions of the same time the best one counts (see [`seislake_model::Versions`]). Each function makes the rows of one UTC day, of all channels or of those named.

mod continuity;
mod packets;
mod sensor;
mod stored;
pub(crate) mod version;

pub use continuity::continuity;
pub use packets::{latency, timing};
pub use sensor::{SensorDay, instruments, sensor};
pub use stored::{Content, stored};

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::prelude::SessionContext;
use seislake_model::Result;
use seislake_seismo::quality::Window;
use seislake_tables::segments;

use crate::error::OfEngine;

/// Channels (or sensors) by id; `None`: all.
pub type Selection<'a> = Option<&'a BTreeSet<String>>;

/// More names than this are sorted out row by row and not named in the statement.
const NAMED_MAX: usize = 200;
/// A sample whose rounded time is this much before a day may belong to it.
const MARGIN_NS: i64 = 1_000_000_000;

/// That a segment may have samples of the day.
fn overlaps(window: Window) -> String {
    let (start, end) = (segments::names::start_ns, segments::names::end_ns);
    format!("{end} >= {} AND {start} < {}", window.start_ns.saturating_sub(MARGIN_NS), window.end_ns)
}

/// ` AND source_id IN (...)` where few channels are wanted.
fn named(wanted: Selection<'_>) -> String {
    match wanted {
        Some(names) if !names.is_empty() && names.len() <= NAMED_MAX => {
            let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
            format!(" AND {} IN ({})", segments::names::source_id, names.join(", "))
        }
        _ => String::new(),
    }
}

/// A text as SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// All rows of a statement.
async fn collected(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    context.sql(sql).await.of_engine()?.collect().await.of_engine()
}

type Gathering<T> = Pin<Box<dyn Future<Output = DataFusionResult<T>> + Send>>;

/// Runs a statement and gathers each partition of its result in a task of its own.
async fn gather<T: Send + 'static>(
    context: &SessionContext,
    sql: &str,
    gathering: impl Fn(SendableRecordBatchStream) -> Gathering<T>,
) -> Result<Vec<T>> {
    gathered(context, sql, gathering).await.of_engine()
}

async fn gathered<T: Send + 'static>(
    context: &SessionContext,
    sql: &str,
    gathering: impl Fn(SendableRecordBatchStream) -> Gathering<T>,
) -> DataFusionResult<Vec<T>> {
    let frame = context.sql(sql).await?;
    let task_context = std::sync::Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let streams = execute_stream_partitioned(plan, task_context)?;
    let tasks: Vec<_> = streams.into_iter().map(|stream| SpawnedTask::spawn(gathering(stream))).collect();
    let mut gathered = Vec::with_capacity(tasks.len());
    for task in tasks {
        let joined = task.join().await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        gathered.push(joined?);
    }
    Ok(gathered)
}

#[cfg(test)]
mod tests;
