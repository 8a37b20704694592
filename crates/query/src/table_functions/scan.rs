//! Reads the segments of one channel and time window in order of time, a part at a time.
//!
//! ```text
//! 1. time, count and version of every segment in the window (few columns, pruned by source and time), sorted
//! 2. neighbours are put into parts of at most PART_SAMPLE_COUNT samples
//! 3. each part is read with its samples, sorted by row, and handed on piece by piece
//! ```
//! The next part is read while one is used. Memory: two parts and the list of step 1, whatever the length of the
//! window. All reads see one snapshot. Where several versions (`quality`) cover a time, the best one shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{Result, exec_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;

use seislake_model::{SourceId, TimeBase, Versions};
use seislake_tables::segments::{TABLE, names};

use super::pieces::{Candidate, Merger, Piece};
use super::sources::Pattern;
use crate::quality::version::ranks;

/// Samples read at once: 16 MB of counts. The first parts are smaller, so that the first rows come soon.
const PART_SAMPLE_COUNT: i64 = 4 << 20;
const FIRST_PART_SAMPLE_COUNT: i64 = PART_SAMPLE_COUNT >> 4;
/// Segments in a window: half a year of a live channel with a record every four seconds.
const SEGMENT_COUNT_MAX: usize = 4_000_000;
/// The version of a row, and what tells rows of one start and version apart.
const OPTIONAL: [&str; 3] = [names::quality, names::partition, names::offset];

/// A piece with its samples.
#[derive(Clone, Debug)]
pub(super) struct Waveform {
    pub(super) piece: Piece,
    /// `Int32` or `Float64`, as many as the piece says.
    pub(super) samples: ArrayRef,
}

/// `waveform.segments` in one state, for one time window.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    table: Arc<dyn TableProvider>,
    state: Arc<SessionState>,
    context: Arc<TaskContext>,
    time_ns: Range<i64>,
}

impl Segments {
    pub(super) async fn open(
        catalog: &Arc<dyn CatalogProvider>,
        state: Arc<SessionState>,
        context: Arc<TaskContext>,
        time_ns: Range<i64>,
    ) -> Result<Self> {
        let table = match catalog.schema(TABLE.namespace) {
            Some(schema) => schema.table(TABLE.name).await?,
            None => None,
        };
        match table {
            Some(table) => Ok(Self { table, state, context, time_ns }),
            None => exec_err!("there is no table waveform.segments"),
        }
    }

    /// Channels that match and have something in the window, in order.
    pub(super) async fn matching(&self, pattern: &Pattern) -> Result<Vec<SourceId>> {
        let begins = |prefix: String| {
            let end = format!("{prefix}{}", char::MAX);
            col(names::source_id).gt_eq(lit(prefix)).and(col(names::source_id).lt(lit(end)))
        };
        let any = pattern.prefixes().into_iter().map(begins).reduce(Expr::or);
        let mut found = self.channels(self.in_window().and(any.unwrap_or_else(|| lit(true)))).await?;
        found.retain(|source_id| pattern.holds(source_id));
        Ok(found)
    }

    /// The first of some channels that has something in the window.
    pub(super) async fn first_of(&self, channels: Vec<SourceId>) -> Result<Option<SourceId>> {
        let ids = channels.iter().map(|channel| lit(channel.as_str())).collect();
        let found = self.channels(self.in_window().and(col(names::source_id).in_list(ids, false))).await?;
        Ok(channels.into_iter().find(|channel| found.contains(channel)))
    }

    /// Channels of the rows that pass, in order.
    async fn channels(&self, filter: Expr) -> Result<Vec<SourceId>> {
        let plan = self.plan(filter, &[names::source_id])?.distinct()?;
        let batches = self.collect(plan).await?;
        let mut found: Vec<SourceId> = vec![];
        for batch in &batches {
            let texts = cast(batch.column(0), &DataType::Utf8)?;
            found.extend(texts.as_string::<i32>().iter().flatten().filter_map(|text| text.parse().ok()));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Rows of a channel whose time may touch the window, of one part only where it is given.
    async fn read(
        self,
        source_id: SourceId,
        columns: &[&str],
        part: Option<RangeInclusive<i64>>,
    ) -> Result<Vec<RecordBatch>> {
        let mut filter = col(names::source_id).eq(lit(source_id.as_str())).and(self.in_window());
        if let Some(part) = part {
            // Starts say it twice, so that files and pages of other parts are left out.
            let (first, last) = part.into_inner();
            filter = filter
                .and(col(names::start_time).gt_eq(micros(first.div_euclid(1000))))
                .and(col(names::start_time).lt_eq(micros(last.div_euclid(1000))))
                .and(col(names::start_ns).gt_eq(lit(first)))
                .and(col(names::start_ns).lt_eq(lit(last)));
        }
        self.collect(self.plan(filter, columns)?).await
    }

    /// Times in the table are rounded down to microseconds.
    fn in_window(&self) -> Expr {
        let (from_us, to_us) = (self.time_ns.start.div_euclid(1000), self.time_ns.end.div_euclid(1000));
        col(names::end_time).gt_eq(micros(from_us)).and(col(names::start_time).lt_eq(micros(to_us)))
    }

    /// The columns, and of [`OPTIONAL`] those that the table has: lakes of before lack `quality` until a writer opens them.
    fn with_optional(&self, columns: &[&'static str]) -> Vec<&'static str> {
        let schema = self.table.schema();
        let known = |name: &&str| schema.column_with_name(name).is_some();
        columns.iter().copied().chain(OPTIONAL.into_iter().filter(known)).collect()
    }

    fn plan(&self, filter: Expr, columns: &[&str]) -> Result<LogicalPlanBuilder> {
        LogicalPlanBuilder::scan(TABLE.name, provider_as_source(Arc::clone(&self.table)), None)?
            .filter(filter)?
            .project(columns.iter().map(|name| col(*name)))
    }

    async fn collect(&self, plan: LogicalPlanBuilder) -> Result<Vec<RecordBatch>> {
        let plan = self.state.create_physical_plan(&plan.build()?).await?;
        collect(plan, Arc::clone(&self.context)).await
    }
}

/// The waveform of one channel in order of time.
pub(super) struct Scan {
    segments: Segments,
    source_id: SourceId,
    /// Ranges of `start_ns` still to be read; `None`: not known yet.
    parts: Option<VecDeque<RangeInclusive<i64>>>,
    /// The part being read while the last one is used.
    ahead: Option<SpawnedTask<Result<Vec<RecordBatch>>>>,
    /// Where the part being read begins: what starts before it can be handed on.
    ahead_from_ns: i64,
    /// What shows of the segments read, by begin, in the order in which it came.
    held: BTreeMap<(i64, u64), (Candidate, ArrayRef)>,
    held_count: u64,
    ready: VecDeque<Waveform>,
    versions: Versions,
    merger: Merger,
}

impl Scan {
    pub(super) fn new(segments: Segments, source_id: SourceId) -> Self {
        let merger = Merger::new(segments.time_ns.clone());
        Self {
            segments,
            source_id,
            parts: None,
            ahead: None,
            ahead_from_ns: i64::MAX,
            held: BTreeMap::new(),
            held_count: 0,
            ready: VecDeque::new(),
            versions: Versions::default(),
            merger,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Waveform>> {
        if self.parts.is_none() {
            let columns = self.segments.with_optional(&[
                names::start_ns,
                names::sample_count,
                names::end_ns,
                names::sample_rate_hz,
            ]);
            let rows = self.segments.clone().read(self.source_id.clone(), &columns, None).await?;
            self.parts = Some(parts(&rows)?);
            self.versions = versions(&rows)?;
            self.read_ahead();
        }
        loop {
            if let Some(waveform) = self.ready.pop_front() {
                return Ok(Some(waveform));
            }
            let Some(ahead) = self.ahead.take() else { return Ok(None) };
            let batches =
                ahead.join().await.map_err(|error| DataFusionError::External(Box::new(error)))??;
            self.read_ahead();
            self.merge(&batches)?;
        }
    }

    /// Starts to read the next part, if there is one.
    fn read_ahead(&mut self) {
        const COLUMNS: [&str; 5] =
            [names::start_ns, names::end_ns, names::sample_rate_hz, names::samples, names::samples_float];
        let part = self.parts.as_mut().and_then(VecDeque::pop_front);
        let (segments, source_id) = (self.segments.clone(), self.source_id.clone());
        self.ahead_from_ns = part.as_ref().map_or(i64::MAX, |part| *part.start());
        self.ahead = part.map(|part| {
            let columns = segments.with_optional(&COLUMNS);
            SpawnedTask::spawn(async move { segments.read(source_id, &columns, Some(part)).await })
        });
    }

    /// Puts what shows of the rows of a part in order, and keeps of it what is new.
    fn merge(&mut self, batches: &[RecordBatch]) -> Result<()> {
        for (row, batch) in ordered(batches)? {
            let Row { start_ns, end_ns: Reverse(end_ns), version, index, .. } = row;
            let rate_hz = batch.column(2).as_primitive::<Float64Type>().value(index);
            let samples = samples(batch, index)?;
            // Without a rate, or with one of centuries, it is no time series.
            let Some(base) = TimeBase::new(start_ns, end_ns, rate_hz, samples.len() as u64) else { continue };
            for part in self.versions.visible(version, &base) {
                let offered = Candidate { base, samples: part, version };
                let begin_ns = base.sample_time_ns(part.0);
                self.held.insert((begin_ns, self.held_count), (offered, Arc::clone(&samples)));
                self.held_count += 1;
            }
        }
        while let Some(first) = self.held.first_entry() {
            if first.key().0 >= self.ahead_from_ns {
                break;
            }
            let (offered, samples) = first.remove();
            if let Some(piece) = self.merger.push(offered) {
                self.ready.push_back(Waveform { samples: samples.slice(piece.first, piece.count()), piece });
            }
        }
        Ok(())
    }
}

/// A row by time; of rows of one start the longer comes first, of equal ones that which was stored first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    start_ns: i64,
    end_ns: Reverse<i64>,
    partition: i64,
    offset: i64,
    index: usize,
    version: u8,
}

fn ordered(batches: &[RecordBatch]) -> Result<Vec<(Row, &RecordBatch)>> {
    let mut rows: Vec<(Row, &RecordBatch)> = vec![];
    for batch in batches {
        let long = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().clone();
        let (starts, ends) = (long(batch.column(0)), long(batch.column(1)));
        let optional = |name: &str| match batch.column_by_name(name) {
            Some(column) => Ok(long(&cast(column, &DataType::Int64)?)),
            None => Ok::<_, DataFusionError>(vec![0; batch.num_rows()].into()),
        };
        let (partitions, offsets, versions) =
            (optional(names::partition)?, optional(names::offset)?, ranks(batch)?);
        rows.extend((0..batch.num_rows()).filter_map(|index| {
            let row = Row {
                start_ns: starts[index],
                end_ns: Reverse(ends[index]),
                partition: partitions[index],
                offset: offsets[index],
                index,
                version: versions[index]?,
            };
            Some((row, batch))
        }));
    }
    rows.sort_by_key(|(row, _)| *row);
    Ok(rows)
}

/// What each version covers, of the rows of step 1.
fn versions(batches: &[RecordBatch]) -> Result<Versions> {
    let mut versions = Versions::default();
    for batch in batches {
        let long = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let rates = batch.column(3).as_primitive::<Float64Type>();
        for (row, rank) in ranks(batch)?.into_iter().enumerate() {
            let Some(rank) = rank else { continue };
            let count = u64::try_from(long(1).value(row)).unwrap_or(0);
            let base = TimeBase::new(long(0).value(row), long(2).value(row), rates.value(row), count);
            base.iter().for_each(|base| versions.add(rank, base));
        }
    }
    Ok(versions.settle())
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
                held = count.saturating_add(held);
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
