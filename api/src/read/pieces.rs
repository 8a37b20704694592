//! What `waveform.segments` holds of some channels, told from its metadata columns: sample files are not touched.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::{SourceId, TimeBase, Timestamp};
use seislake_mseed::{Encoding, Quality};
use seislake_tables::listed;
use seislake_tables::segments::{TABLE, names};

use super::columns::{FromRow, Row, read};
use super::selection::{Selection, add_conditions};
use super::statement::{Conditions, query_failure};
use crate::error::{ApiError, ErrorCode};

/// One stored gapless piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    /// Time of the first sample, nanoseconds since 1970.
    pub(crate) start_ns: i64,
    /// Time of the last sample, nanoseconds since 1970.
    pub(crate) end_ns: i64,
    pub(crate) rate_hz: f64,
    pub(crate) sample_count: u64,
    pub(crate) encoding: Encoding,
    /// Quality of its records; `D`, which says that nothing is known of it, where the lake does not know it.
    pub(crate) quality: Quality,
    /// Topic (see [`topic_number`]), partition and offset of its first record: with the start they name the row.
    pub(crate) topic: u64,
    pub(crate) partition: i64,
    pub(crate) offset: i64,
}

impl Piece {
    /// When its samples were taken; `None` where it is no time series.
    pub(crate) fn time_base(&self) -> Option<TimeBase> {
        TimeBase::new(self.start_ns, self.end_ns, self.rate_hz, self.sample_count)
    }
}

/// A number that stands for the name of a topic while the process lasts.
pub(crate) fn topic_number(topic: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(topic)
}

/// Pieces of each channel by start.
pub(crate) type Pieces = BTreeMap<SourceId, Vec<Piece>>;

/// Which state of the table is read by all statements of a request: the name under which SQL knows it.
#[derive(Clone, Debug)]
pub(crate) struct SegmentsAt(String);

impl SegmentsAt {
    /// The snapshot of this id; the newest where there is none.
    pub(crate) fn snapshot(id: Option<seislake_model::SnapshotId>) -> Self {
        Self(
            id.map_or_else(|| TABLE.full_name(), |id| format!("{}.\"{}@{id}\"", TABLE.namespace, TABLE.name)),
        )
    }

    pub(crate) fn table(&self) -> &str {
        &self.0
    }
}

/// Pieces that may share a moment with what is selected; refused where there are more than `pieces_max`.
///
/// Cost: one scan of the metadata columns of the files that the selection cannot leave out.
pub(crate) async fn pieces(
    context: &SessionContext,
    at: &SegmentsAt,
    selections: &[Selection],
    pieces_max: usize,
) -> Result<Pieces, ApiError> {
    let mut conditions = Conditions::default();
    add_conditions(selections, &mut conditions);
    // Lakes of before lack the column until a writer opens them, and their past has it never.
    let table = context.table_provider(at.table()).await;
    let table = table.map_err(|error| query_failure(WHAT, &error.into()))?;
    let quality = match table.schema().column_with_name(names::quality) {
        Some(_) => names::quality.to_owned(),
        None => format!("CAST(NULL AS VARCHAR) AS {}", names::quality),
    };
    let columns = [
        names::source_id,
        names::start_ns,
        names::end_ns,
        names::sample_rate_hz,
        names::sample_count,
        names::encoding,
        names::topic,
        names::partition,
        names::offset,
    ];
    let sql =
        format!("SELECT {}, {quality} FROM {} WHERE {}", listed(&columns), at.table(), conditions.joined(),);
    let mut batches = conditions.stream(context, WHAT, &sql).await?;
    let mut found = HashMap::<String, Vec<Piece>>::new();
    let mut count = 0;
    while let Some(batch) = batches.try_next().await.map_err(|error| query_failure(WHAT, &error))? {
        count += batch.num_rows();
        if count > pieces_max {
            return Err(ApiError::new(
                ErrorCode::PageTooLarge,
                format!("more than {pieces_max} pieces of waveform match; at most that many are looked at"),
            )
            .hint("ask for fewer channels or a shorter window"));
        }
        gather(&batch, &mut found)?;
    }
    let mut pieces = Pieces::new();
    for (source_id, mut list) in found {
        list.sort_by_key(|piece| (piece.start_ns, piece.topic, piece.partition, piece.offset));
        match source_id.parse() {
            Ok(source_id) => drop(pieces.insert(source_id, list)),
            Err(_) => pass_over("a channel", list.len()),
        }
    }
    Ok(pieces)
}

/// First and last sample of each channel in the pieces that may share a moment with what is selected.
pub(crate) async fn extents(
    context: &SessionContext,
    at: &SegmentsAt,
    selections: &[Selection],
) -> Result<HashMap<SourceId, (Timestamp, Timestamp)>, ApiError> {
    let mut conditions = Conditions::default();
    add_conditions(selections, &mut conditions);
    let sql = format!(
        "SELECT {id}, min({}) AS first_ns, max({}) AS last_ns FROM {} WHERE {} GROUP BY {id}",
        names::start_ns,
        names::end_ns,
        at.table(),
        conditions.joined(),
        id = names::source_id,
    );
    let rows: Vec<Extent> = read(&conditions.run(context, WHAT, &sql).await?)?;
    Ok(rows.into_iter().map(|row| (row.source_id, (row.first, row.last))).collect())
}

struct Extent {
    source_id: SourceId,
    first: Timestamp,
    last: Timestamp,
}

impl FromRow for Extent {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let source_id = row.source_id(names::source_id)?;
        Ok(Self { source_id, first: row.nanos("first_ns")?, last: row.nanos("last_ns")? })
    }
}

const WHAT: &str = "the index of waveform segments";

impl Piece {
    /// What it says can be true: others may write the table too.
    fn is_sound(&self) -> bool {
        let rate = self.rate_hz.is_finite() && self.rate_hz > 0.0;
        rate && self.sample_count > 0 && self.end_ns >= self.start_ns
    }
}

fn pass_over(what: &str, count: usize) {
    if count > 0 {
        tracing::warn!(count, "{what} of waveform.segments that cannot be used is passed over");
        metrics::counter!("seislake_rows_passed_over_total").increment(count as u64);
    }
}

fn damaged(column: &str) -> ApiError {
    ApiError::new(ErrorCode::Corrupt, format!("column \"{column}\" of waveform.segments is damaged"))
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ApiError> {
    let array = batch.column_by_name(name).ok_or_else(|| damaged(name))?;
    if array.data_type() == kind {
        return Ok(ArrayRef::clone(array));
    }
    cast(array, kind).map_err(|_| damaged(name))
}

/// Adds the rows of a batch. Rows of a file are sorted by channel, so the channel is looked up where it changes.
fn gather(batch: &RecordBatch, found: &mut HashMap<String, Vec<Piece>>) -> Result<(), ApiError> {
    let texts = |name| column(batch, name, &DataType::Utf8);
    let longs = |name| column(batch, name, &DataType::Int64);
    let (ids, encodings, qualities) =
        (texts(names::source_id)?, texts(names::encoding)?, texts(names::quality)?);
    let rates = column(batch, names::sample_rate_hz, &DataType::Float64)?;
    let (ids, encodings) = (ids.as_string::<i32>(), encodings.as_string::<i32>());
    let qualities = qualities.as_string::<i32>();
    let topics = texts(names::topic)?;
    let topics = topics.as_string::<i32>();
    let quality = |row: usize| match qualities.is_valid(row) {
        true => qualities.value(row).parse().ok(),
        false => Some(Quality::Letter('D')),
    };
    let rates = rates.as_primitive::<Float64Type>().values();
    let arrays = [
        longs(names::start_ns)?,
        longs(names::end_ns)?,
        longs(names::sample_count)?,
        longs(names::partition)?,
        longs(names::offset)?,
    ];
    let [starts, ends, counts, partitions, offsets] =
        arrays.each_ref().map(|array| array.as_primitive::<Int64Type>().values());
    let mut row = 0;
    while row < batch.num_rows() {
        let id = ids.value(row);
        let run = (row..batch.num_rows()).take_while(|other| ids.value(*other) == id).count();
        let list = match found.get_mut(id) {
            Some(list) => list,
            None => found.entry(id.to_owned()).or_default(),
        };
        let piece = |row: usize| {
            let piece = Piece {
                start_ns: starts[row],
                end_ns: ends[row],
                rate_hz: rates[row],
                sample_count: u64::try_from(counts[row]).ok()?,
                encoding: encodings.value(row).parse().ok()?,
                quality: quality(row)?,
                topic: topic_number(topics.value(row)),
                partition: partitions[row],
                offset: offsets[row],
            };
            piece.is_sound().then_some(piece)
        };
        let known = list.len();
        list.extend((row..row + run).filter_map(piece));
        pass_over("a row", run - (list.len() - known));
        row += run;
    }
    Ok(())
}
