//! Reads the samples of cuts, a chunk of the plan at a time.
//!
//! A chunk is one statement: the channels and the span of its cuts prune the files, rows are found again by what names
//! them. So a channel-day costs a few statements, and so does a minute of a thousand channels.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use seislake_model::Timestamp;
use seislake_mseed::{Encoding, Samples};
use seislake_tables::listed;
use seislake_tables::segments::names;

use super::cut::{Cut, number_type};
use crate::error::{ApiError, ErrorCode};
use crate::read::{Conditions, SegmentsAt, topic_number};

/// A cut and the run it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// Index of the run in the plan.
    pub(super) run: usize,
    pub(super) cut: Cut,
}

/// Samples that a statement may bring into memory. Two million make 8 MB, and enough work for the cost of a statement
/// not to show.
const CHUNK_SAMPLES: u64 = 2 << 20;
/// Channels that a statement names.
const CHUNK_CHANNELS: usize = 256;
/// Samples in a record batch of a chunk, about.
const BATCH_SAMPLES: u64 = 1 << 19;

/// Ranges of `tasks` that are read together.
pub(super) fn chunks(tasks: &[Task]) -> Vec<std::ops::Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut samples) = (0, 0_u64);
    let (mut channels, mut last_run) = (0, None);
    for (index, task) in tasks.iter().enumerate() {
        let more = task.cut.piece.sample_count;
        let new_channel = last_run != Some(task.run);
        let full =
            samples.saturating_add(more) > CHUNK_SAMPLES || (new_channel && channels == CHUNK_CHANNELS);
        if index > start && full {
            chunks.push(start..index);
            (start, samples, channels) = (index, 0, 0);
            channels += 1;
        } else if new_channel {
            channels += 1;
        }
        last_run = Some(task.run);
        samples = samples.saturating_add(more);
    }
    if start < tasks.len() {
        chunks.push(start..tasks.len());
    }
    chunks
}

/// Samples of the tasks of a chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    batches: Vec<RecordBatch>,
    /// Batch and row of each task.
    places: Vec<(usize, usize)>,
    pub(super) tasks: Vec<Task>,
}

/// What names a row: channel, start, and topic, partition and offset of the first record.
type Key = (String, i64, u64, i64, i64);

/// The session with batches of few rows, for rows are wide, and with samples decoded only of rows that pass.
fn for_wide_rows(context: &SessionContext, tasks: &[Task]) -> SessionContext {
    let largest = tasks.iter().map(|task| task.cut.piece.sample_count).max().unwrap_or(1).max(1);
    let rows = usize::try_from(BATCH_SAMPLES / largest).unwrap_or(usize::MAX).clamp(1, 8192);
    let mut config = context.copied_config().with_batch_size(rows);
    config.options_mut().execution.parquet.pushdown_filters = true;
    let state = SessionStateBuilder::new_from_existing(context.state()).with_config(config).build();
    SessionContext::new_with_state(state)
}

impl Chunk {
    /// Reads the samples of `tasks`; `source_id` tells the channel of a run.
    pub(super) async fn read(
        context: &SessionContext,
        at: &SegmentsAt,
        source_ids: &[String],
        tasks: Vec<Task>,
    ) -> Result<Self, ApiError> {
        const WHAT: &str = "waveform samples";
        let source_id = |task: &Task| source_ids.get(task.run).map_or("", String::as_str);
        let mut conditions = Conditions::default();
        let ids: BTreeSet<&str> = tasks.iter().map(source_id).collect();
        conditions.one_of(names::source_id, ids.into_iter());
        let starts = || tasks.iter().map(|task| task.cut.piece.start_ns);
        let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
        let (first, last) = (Timestamp::from_nanos(first), Timestamp::from_nanos(last));
        let (first, last) = (conditions.time(first), conditions.time(last));
        conditions.add(format!("{} BETWEEN {first} AND {last}", names::start_time));
        let columns = [
            names::source_id,
            names::start_ns,
            names::topic,
            names::partition,
            names::offset,
            names::samples,
            names::samples_float,
        ];
        let sql = format!("SELECT {} FROM {} WHERE {}", listed(&columns), at.table(), conditions.joined(),);
        let batches = conditions.run(&for_wide_rows(context, &tasks), WHAT, &sql).await?;
        let mut rows = HashMap::with_capacity(tasks.len());
        for (index, batch) in batches.iter().enumerate() {
            keys(batch, |row, key| {
                rows.insert(key, (index, row));
            })?;
        }
        let place = |task: &Task| {
            let piece = &task.cut.piece;
            let id = source_id(task).to_owned();
            let key = (id, piece.start_ns, piece.topic, piece.partition, piece.offset);
            rows.get(&key).copied().ok_or_else(|| {
                ApiError::new(ErrorCode::Unavailable, "waveforms were rewritten while they were read")
                    .hint("ask again")
            })
        };
        let places = tasks.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { batches, places, tasks })
    }

    /// Hands the samples of task `index` to `take`.
    pub(super) fn with_samples<T>(
        &self,
        index: usize,
        take: impl FnOnce(seislake_mseed::SampleSlice<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let found = self.places.get(index).zip(self.tasks.get(index));
        let Some(((batch, row), task)) = found.map(|(place, task)| (*place, task)) else {
            return Err(damaged("samples"));
        };
        let batch = self.batches.get(batch).ok_or_else(|| damaged("samples"))?;
        let cut = &task.cut;
        let range = (cut.first as usize, (cut.first + cut.count) as usize);
        if number_type(cut.piece.encoding) == Encoding::Int32 {
            let elements = elements(batch, "samples", row)?;
            let values = elements.as_primitive_opt::<Int32Type>().ok_or_else(|| damaged("samples"))?.values();
            let values: &[i32] = values.get(range.0..range.1).ok_or_else(|| damaged("samples"))?;
            return take(values.into());
        }
        let elements = elements(batch, "samples_float", row)?;
        let values =
            elements.as_primitive_opt::<Float64Type>().ok_or_else(|| damaged("samples_float"))?.values();
        let values: &[f64] = values.get(range.0..range.1).ok_or_else(|| damaged("samples_float"))?;
        if number_type(cut.piece.encoding) == Encoding::Float64 {
            return take(values.into());
        }
        // They were single precision: nothing is lost.
        let singles = Samples::Float32(values.iter().map(|value| *value as f32).collect());
        take(singles.as_slice())
    }
}

fn damaged(column: &str) -> ApiError {
    ApiError::new(ErrorCode::Corrupt, format!("column \"{column}\" of waveform.segments is damaged"))
}

fn elements(batch: &RecordBatch, name: &str, row: usize) -> Result<ArrayRef, ApiError> {
    let lists = batch.column_by_name(name).ok_or_else(|| damaged(name))?;
    if row >= lists.len() || lists.is_null(row) {
        return Err(damaged(name));
    }
    match lists.data_type() {
        DataType::List(_) => Ok(lists.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Ok(lists.as_list::<i64>().value(row)),
        _ => Err(damaged(name)),
    }
}

fn keys(batch: &RecordBatch, mut each: impl FnMut(usize, Key)) -> Result<(), ApiError> {
    let column = |name: &str, kind: DataType| {
        let array = batch.column_by_name(name).ok_or_else(|| damaged(name))?;
        cast(array, &kind).map_err(|_| damaged(name))
    };
    let (ids, topics) = (column("source_id", DataType::Utf8)?, column("topic", DataType::Utf8)?);
    let (ids, topics) = (ids.as_string::<i32>(), topics.as_string::<i32>());
    let arrays = [
        column("start_ns", DataType::Int64)?,
        column("partition", DataType::Int64)?,
        column("offset", DataType::Int64)?,
    ];
    let [starts, partitions, offsets] =
        arrays.each_ref().map(|array| array.as_primitive::<Int64Type>().values());
    for row in 0..batch.num_rows() {
        let (id, topic) = (ids.value(row).to_owned(), topic_number(topics.value(row)));
        each(row, (id, starts[row], topic, partitions[row], offsets[row]));
    }
    Ok(())
}
