//! `waveform.segments`: gapless pieces of waveform with their samples.
//!
//! Samples of integer encodings lie in `samples` (delta bit-packed, readable by any engine), those of float
//! encodings in `samples_float`; one of the two is null.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use seislake_model::{Joint, RecordPosition, Run, Samples, Segment, SourceId, TimeBase};

use crate::columns;
use crate::kind::{IntList, Long, codes};
use crate::{PartitionBy, SortBy, TableDef, TableRow, encode};

/// Files of a day by stations: what one compaction rewrites stays small on a national network, and an engine that
/// knows the transform reads one of eight for a station.
const STATION_BUCKETS: u32 = 8;
/// Pieces are joined up to this length, samples: a reader of a short window decodes at least one piece.
const JOINED_SAMPLES_MAX: i64 = 1 << 16;
/// Samples of which copying costs more than a batch of their own.
const LONG_SAMPLES_MIN: usize = 1 << 14;
/// The encoding whose samples are floats of 32 bits.
const FLOAT32: &str = "float32";
/// Field id of the elements of `samples`.
const SAMPLE_ID: i32 = 18;

pub const TABLE: TableDef = TableDef {
    namespace: "waveform",
    name: "segments",
    doc: "One gapless piece of a channel's waveform.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day(names::start_time), PartitionBy::Bucket(names::station, STATION_BUCKETS)],
    sort: SortBy::Columns(&[names::source_id, names::start_time]),
    identity: &[names::topic, names::partition, names::offset, names::start_ns],
    page_rows: 512,
    row_group_rows: 4096,
};

columns! {
    rows of Segment as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    3 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    4 location: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::location), "Location code; empty where blank.";
    5 channel: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::channel), "SEED channel code.";
    6 start_time: required Time => row.start_time, "Time of the first sample, rounded down to a microsecond.";
    7 end_time: required Time => row.end_time, "Time of the last sample, rounded down to a microsecond.";
    8 start_ns: required Nanos = row.start_time, "Time of the first sample, nanoseconds since 1970.";
    9 end_ns: required Nanos = row.end_time, "Time of the last sample, nanoseconds since 1970.";
    10 sample_rate_hz: required Double, "Sample rate.";
    11 sample_count: required Long => row.samples.len() as u64, "Number of samples.";
    12 encoding: required Text, "Encoding of the records it was made from, e.g. steim2, float32.";
    13 samples: optional IntList(18) = counts(&row.samples), "Samples of integer and Steim encodings, counts; else null.";
    14 samples_float: optional DoubleList(19) = floats(&row.samples), "Samples of float encodings; else null.";
    15 topic: required Text = &row.position.topic, "Topic of the first record.";
    16 partition: required Int = row.position.partition, "Partition of the topic.";
    17 offset: required Long = row.position.offset, "Offset of the first record.";
    20 quality: optional Text = Some(&row.quality), "Data quality letter (miniSEED 2) or publication version (miniSEED 3) of the records it was made from; null \
         where written before the column was there.";
    -> Segment {
        samples: values(samples, samples_float, String::as_str(&encoding)),
        source_id,
        start_time: start_ns,
        end_time: end_ns,
        sample_rate_hz,
        encoding,
        quality: Option::<String>::unwrap_or_default(quality),
        position: RecordPosition { topic, partition, offset },
    };
    batches by batches
}

/// Batches of segments: each long one in a batch of its own, whose samples are not copied.
fn batches(rows: Vec<Segment>) -> Result<Vec<RecordBatch>, ArrowError> {
    let (long, short): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_long);
    let mut batches = long.into_iter().map(batch_of_long).collect::<Result<Vec<_>, _>>()?;
    batches.push(encode(&short)?);
    Ok(batches)
}

fn is_long(row: &Segment) -> bool {
    matches!(&row.samples, Samples::Int32(samples) if samples.len() >= LONG_SAMPLES_MIN)
}

/// One row, as [`encode`]: counts become the array they are in, without a copy.
fn batch_of_long(mut row: Segment) -> Result<RecordBatch, ArrowError> {
    let Samples::Int32(samples) = &mut row.samples else { return encode(&[row]) };
    let samples = std::mem::take(samples);
    let sample_count = Long::array(std::iter::once(samples.len() as u64));
    let samples = IntList::array_of_one(SAMPLE_ID, samples);
    let mut columns = Segment::columns(&[row]);
    for (column, array) in TABLE.columns.iter().zip(&mut columns) {
        match column.name {
            names::sample_count => *array = Arc::clone(&sample_count),
            names::samples => *array = Arc::clone(&samples),
            _ => {}
        }
    }
    RecordBatch::try_new(TABLE.arrow_schema(), columns)
}

fn counts(samples: &Samples) -> Option<&[i32]> {
    match samples {
        Samples::Int32(samples) => Some(samples),
        Samples::Float32(_) | Samples::Float64(_) => None,
    }
}

fn floats(samples: &Samples) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
    match samples {
        Samples::Int32(_) => None,
        Samples::Float32(samples) => Some(Box::new(samples.iter().map(|sample| f64::from(*sample)))),
        Samples::Float64(samples) => Some(Box::new(samples.iter().copied())),
    }
}

/// The samples of a row. Floats of 32 bits lie in doubles: the encoding tells that they were such.
fn values(counts: Option<Vec<i32>>, floats: Option<Vec<f64>>, encoding: &str) -> Samples {
    match (counts, floats) {
        (Some(counts), _) => Samples::Int32(counts),
        (None, Some(floats)) if encoding == FLOAT32 => {
            Samples::Float32(floats.into_iter().map(|sample| sample as f32).collect())
        }
        (None, floats) => Samples::Float64(floats.unwrap_or_default()),
    }
}

/// Joins rows of one quality that follow each other on one grid (see [`Run`]): `rows` sorted by source and time. A joined
/// row keeps the position of its first piece.
///
/// # Errors
/// A batch that has not the columns of the table.
pub fn joined(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let runs = runs(&rows)?;
    if runs.len() == rows.num_rows() {
        return Ok(rows);
    }
    let firsts: UInt32Array = runs.iter().map(|run| run.start as u32).collect();
    let lasts: UInt32Array = runs.iter().map(|run| run.end as u32 - 1).collect();
    let schema = rows.schema();
    let columns =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| match field.name().as_str() {
            names::end_time | names::end_ns => take(column, &lasts, None),
            names::sample_count => {
                let counts = column.as_primitive::<Int64Type>().values();
                let sums = runs.iter().map(|run| counts[run.clone()].iter().sum::<i64>());
                Ok(Arc::new(sums.collect::<Int64Array>()) as ArrayRef)
            }
            names::samples | names::samples_float => joined_lists(column.as_list::<i32>(), &runs),
            _ => take(column, &firsts, None),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// Lists one behind the other lie side by side in memory already: only the places where they begin change.
fn joined_lists(lists: &ListArray, runs: &[Range<usize>]) -> Result<ArrayRef, ArrowError> {
    let offsets = lists.offsets();
    let begins = runs.iter().map(|run| offsets[run.start]).chain(offsets.last().copied());
    let nulls: NullBuffer = runs.iter().map(|run| lists.is_valid(run.start)).collect();
    let DataType::List(field) = lists.data_type() else {
        return Err(ArrowError::SchemaError("samples are no list".to_owned()));
    };
    let offsets = OffsetBuffer::new(begins.collect::<ScalarBuffer<i32>>());
    let joined = ListArray::try_new(Arc::clone(field), offsets, Arc::clone(lists.values()), Some(nulls))?;
    Ok(Arc::new(joined))
}

/// Rows that become one.
fn runs(rows: &RecordBatch) -> Result<Vec<Range<usize>>, ArrowError> {
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column \"{name}\"")))
    };
    let (sources, encodings) =
        (column(names::source_id)?.as_string::<i32>(), column(names::encoding)?.as_string::<i32>());
    let long = |name: &str| column(name).map(|column| column.as_primitive::<Int64Type>());
    let (starts, ends, counts) = (long(names::start_ns)?, long(names::end_ns)?, long(names::sample_count)?);
    let rates = column(names::sample_rate_hz)?.as_primitive::<Float64Type>();
    let integers = column(names::samples)?;
    let qualities = column(names::quality)?.as_string::<i32>();
    let same_quality = |a: usize, b: usize| match (qualities.is_valid(a), qualities.is_valid(b)) {
        (true, true) => qualities.value(a) == qualities.value(b),
        (a, b) => a == b,
    };
    let base = |row: usize| {
        let count = u64::try_from(counts.value(row)).unwrap_or(0);
        TimeBase::new(starts.value(row), ends.value(row), rates.value(row), count)
    };
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut grid: Option<Run> = None;
    let mut run_samples = 0;
    for row in 0..rows.num_rows() {
        let base = base(row);
        let same_kind = runs.last().is_some_and(|run| {
            let last = run.end - 1;
            sources.value(last) == sources.value(row)
                && encodings.value(last) == encodings.value(row)
                && integers.is_valid(last) == integers.is_valid(row)
                && same_quality(last, row)
                && run_samples + counts.value(row) <= JOINED_SAMPLES_MAX
        });
        match (runs.last_mut(), &mut grid, base) {
            (Some(run), Some(grid), Some(base)) if same_kind && grid.joint(&base) == Joint::Continues => {
                grid.push(base);
                run.end = row + 1;
                run_samples += counts.value(row);
            }
            _ => {
                grid = base.map(Run::of);
                runs.push(row..row + 1);
                run_samples = counts.value(row);
            }
        }
    }
    Ok(runs)
}
