//! Reads the segments of one channel and time window in order of time, a part at a time.
//!
//! ```text
//! 1. start and count of every segment in the window (three columns, pruned by source and time), sorted
//! 2. neighbours are put into parts of at most PART_SAMPLE_COUNT samples
//! 3. each part is read with its samples, sorted by row, and handed on piece by piece
//! ```
//! Memory: one part and the list of step 1, whatever the length of the window. Both reads see one snapshot.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::{Result, exec_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;

use super::arguments::Window;
use super::pieces::{Merger, Piece};

/// Samples read at once: 16 MB of counts. The first parts are smaller, so that the first rows come soon.
const PART_SAMPLE_COUNT: i64 = 4 << 20;
const FIRST_PART_SAMPLE_COUNT: i64 = PART_SAMPLE_COUNT >> 4;
/// Segments in a window: half a year of a live channel with a record every four seconds.
const SEGMENT_COUNT_MAX: usize = 4_000_000;

/// A piece with its samples.
#[derive(Clone, Debug)]
pub(super) struct Waveform {
    pub(super) piece: Piece,
    /// `Int32` or `Float64`, as many as the piece says.
    pub(super) samples: ArrayRef,
}

/// What is read, and through what.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) catalog: Arc<dyn CatalogProvider>,
    pub(super) state: Arc<SessionState>,
    pub(super) window: Window,
}

/// The waveform in order of time.
pub(super) struct Scan {
    source: Source,
    context: Arc<TaskContext>,
    table: Option<Arc<dyn TableProvider>>,
    /// Ranges of `start_ns` still to be read.
    parts: VecDeque<RangeInclusive<i64>>,
    ready: VecDeque<Waveform>,
    merger: Merger,
}

impl Scan {
    pub(super) fn new(source: Source, context: Arc<TaskContext>) -> Self {
        let merger = Merger::new(source.window.time_ns.clone());
        Self { source, context, table: None, parts: VecDeque::new(), ready: VecDeque::new(), merger }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Waveform>> {
        if self.table.is_none() {
            let table = self.open().await?;
            self.parts = parts(&self.read(&table, &["start_ns", "sample_count"], None).await?)?;
            self.table = Some(table);
        }
        loop {
            if let Some(waveform) = self.ready.pop_front() {
                return Ok(Some(waveform));
            }
            let (Some(part), Some(table)) = (self.parts.pop_front(), self.table.clone()) else {
                return Ok(None);
            };
            let columns = ["start_ns", "end_ns", "sample_rate_hz", "samples", "samples_float"];
            let batches = self.read(&table, &columns, Some(part)).await?;
            self.merge(&batches)?;
        }
    }

    async fn open(&self) -> Result<Arc<dyn TableProvider>> {
        let table = match self.source.catalog.schema("waveform") {
            Some(schema) => schema.table("segments").await?,
            None => None,
        };
        match table {
            Some(table) => Ok(table),
            None => exec_err!("there is no table waveform.segments"),
        }
    }

    /// Rows of the channel whose time may touch the window, of one part only where it is given.
    async fn read(
        &self,
        table: &Arc<dyn TableProvider>,
        columns: &[&str],
        part: Option<RangeInclusive<i64>>,
    ) -> Result<Vec<RecordBatch>> {
        let window = &self.source.window;
        // Times in the table are rounded down to microseconds; starts within the part say so once more, so that files
        // and pages of other parts are left out.
        let (from_us, to_us) = (window.time_ns.start.div_euclid(1000), window.time_ns.end.div_euclid(1000));
        let mut filter = col("source_id")
            .eq(lit(window.source_id.as_str()))
            .and(col("end_time").gt_eq(micros(from_us)))
            .and(col("start_time").lt_eq(micros(to_us)));
        if let Some(part) = part {
            let (first, last) = part.into_inner();
            filter = filter
                .and(col("start_time").gt_eq(micros(first.div_euclid(1000))))
                .and(col("start_time").lt_eq(micros(last.div_euclid(1000))))
                .and(col("start_ns").gt_eq(lit(first)))
                .and(col("start_ns").lt_eq(lit(last)));
        }
        let plan = LogicalPlanBuilder::scan("segments", provider_as_source(Arc::clone(table)), None)?
            .filter(filter)?
            .project(columns.iter().map(|name| col(*name)))?
            .build()?;
        let plan = self.source.state.create_physical_plan(&plan).await?;
        collect(plan, Arc::clone(&self.context)).await
    }

    /// Puts the rows of a part in order and keeps of each what is new.
    fn merge(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let mut rows: Vec<(i64, i64, usize, usize)> = vec![];
        for (index, batch) in batches.iter().enumerate() {
            let (starts, ends) =
                (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
            rows.extend((0..batch.num_rows()).map(|row| (starts.value(row), -ends.value(row), index, row)));
        }
        rows.sort_unstable();
        for (start_ns, _, index, row) in rows {
            let batch = &batches[index];
            let sample_rate_hz = batch.column(2).as_primitive::<Float64Type>().value(row);
            let samples = samples(batch, row)?;
            if let Some(piece) = self.merger.push(start_ns, sample_rate_hz, samples.len()) {
                self.ready.push_back(Waveform { samples: samples.slice(piece.first, piece.count), piece });
            }
        }
        Ok(())
    }
}

fn micros(value: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(value), Some("+00:00".into())))
}

/// Samples of a row, as they lie in the batch; counts first, else floats, else none.
fn samples(batch: &RecordBatch, row: usize) -> Result<ArrayRef> {
    let lists = [batch.column(3), batch.column(4)];
    let samples = lists.into_iter().find(|list| list.is_valid(row)).map_or_else(
        || Ok(arrow::array::new_empty_array(&DataType::Float64)),
        |list| match list.data_type() {
            DataType::List(_) => Ok(list.as_list::<i32>().value(row)),
            DataType::LargeList(_) => Ok(list.as_list::<i64>().value(row)),
            other => exec_err!("samples of waveform.segments have type {other}"),
        },
    )?;
    match samples.data_type() {
        DataType::Int32 | DataType::Float64 => Ok(samples),
        _ => Ok(cast(&samples, &DataType::Float64)?),
    }
}

/// Neighbouring segments in parts of [`FIRST_PART_SAMPLE_COUNT`], doubling up to [`PART_SAMPLE_COUNT`], or one segment
/// more; those that begin at one moment stay together.
fn parts(batches: &[RecordBatch]) -> Result<VecDeque<RangeInclusive<i64>>> {
    let mut segments: Vec<(i64, i64)> = vec![];
    for batch in batches {
        let (starts, counts) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
        segments.extend(starts.values().iter().copied().zip(counts.values().iter().copied()));
    }
    if segments.len() > SEGMENT_COUNT_MAX {
        return exec_err!("the window holds more than {SEGMENT_COUNT_MAX} segments: ask for a shorter one");
    }
    segments.sort_unstable();
    let mut parts: VecDeque<RangeInclusive<i64>> = VecDeque::new();
    let (mut held, mut wanted) = (0, FIRST_PART_SAMPLE_COUNT);
    for (start_ns, count) in segments {
        match parts.back_mut() {
            Some(part) if held < wanted || *part.end() == start_ns => {
                *part = *part.start()..=start_ns;
                held += count;
            }
            last => {
                if last.is_some() {
                    wanted = PART_SAMPLE_COUNT.min(2 * wanted);
                }
                parts.push_back(start_ns..=start_ns);
                held = count;
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn neighbouring_segments_are_read_together_up_to_a_limit() {
        let check = |segments: &[(i64, i64)], expected: &[RangeInclusive<i64>]| {
            let starts = Int64Array::from_iter_values(segments.iter().map(|segment| segment.0));
            let counts = Int64Array::from_iter_values(segments.iter().map(|segment| segment.1));
            let columns: [(&str, ArrayRef); 2] =
                [("start_ns", Arc::new(starts)), ("count", Arc::new(counts))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            assert_eq!(parts(&[batch]).unwrap(), expected, "{segments:?}");
        };
        let (most, first) = (PART_SAMPLE_COUNT, FIRST_PART_SAMPLE_COUNT);
        check(&[], &[]);
        check(&[(7, 10), (3, 10)], &[3..=7]);
        check(&[(1, first), (2, first), (3, first), (4, first)], &[1..=1, 2..=3, 4..=4]);
        check(&[(1, most), (1, most), (1, most), (2, 5)], &[1..=1, 2..=2]);
    }
}
