//! `waveform.segments`: gapless pieces of waveform with their samples.
//!
//! Samples of integer encodings lie in `samples` (delta bit-packed, readable by any engine), those of float
//! encodings in `samples_float`; one of the two is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use seislake_model::{Joint, Run, Samples, Segment, TimeBase};

use super::ColumnType::{Double, DoubleList, Int, IntList, Long, Text, Time};
use super::arrays::{double, double_lists, int, int_list, int_lists, long, source_texts, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, optional, required};

/// Files of a day by stations: what one compaction rewrites stays small on a national network, and an engine that
/// knows the transform reads one of eight for a station.
const STATION_BUCKETS: u32 = 8;
/// Pieces are joined up to this length, samples: a reader of a short window decodes at least one piece.
const JOINED_SAMPLES_MAX: i64 = 1 << 16;
/// Field ids of the elements of the lists.
const SAMPLE_ID: i32 = 18;
const SAMPLE_FLOAT_ID: i32 = 19;
const QUALITY: &str = "quality";

pub(super) const TABLE: TableDef = TableDef {
    namespace: "waveform",
    name: "segments",
    doc: "One gapless piece of a channel's waveform.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time"), PartitionBy::Bucket("station", STATION_BUCKETS)],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["topic", "partition", "offset", "start_ns"],
    page_rows: 512,
    row_group_rows: 4096,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "network", Text, "Network code."),
    required(3, "station", Text, "Station code."),
    required(4, "location", Text, "Location code; empty where blank."),
    required(5, "channel", Text, "SEED channel code."),
    required(6, "start_time", Time, "Time of the first sample, rounded down to a microsecond."),
    required(7, "end_time", Time, "Time of the last sample, rounded down to a microsecond."),
    required(8, "start_ns", Long, "Time of the first sample, nanoseconds since 1970."),
    required(9, "end_ns", Long, "Time of the last sample, nanoseconds since 1970."),
    required(10, "sample_rate_hz", Double, "Sample rate."),
    required(11, "sample_count", Long, "Number of samples."),
    required(12, "encoding", Text, "Encoding of the records it was made from, e.g. steim2, float32."),
    optional(13, "samples", IntList(SAMPLE_ID), "Samples of integer and Steim encodings, counts; else null."),
    optional(14, "samples_float", DoubleList(SAMPLE_FLOAT_ID), "Samples of float encodings; else null."),
    required(15, "topic", Text, "Topic of the first record."),
    required(16, "partition", Int, "Partition of the topic."),
    required(17, "offset", Long, "Offset of the first record."),
    optional(
        20,
        QUALITY,
        Text,
        "Data quality letter (miniSEED 2) or publication version (miniSEED 3) of the records it was made from; null \
         where written before the column was there.",
    ),
];

pub(super) fn encode(rows: &[Segment]) -> Vec<ArrayRef> {
    let sample_counts = long(rows.iter().map(|row| row.samples.len() as i64));
    columns(rows, sample_counts, int_lists(SAMPLE_ID, rows.iter().map(|row| counts(&row.samples))))
}

/// One row, as [`encode`]: counts become the array they are in, without a copy.
pub(super) fn encode_long(mut row: Segment) -> Vec<ArrayRef> {
    let Samples::Int32(samples) = &mut row.samples else { return encode(&[row]) };
    let samples = std::mem::take(samples);
    let sample_count = long(std::iter::once(samples.len() as i64));
    columns(&[row], sample_count, int_list(SAMPLE_ID, samples))
}

fn columns(rows: &[Segment], sample_counts: ArrayRef, samples: ArrayRef) -> Vec<ArrayRef> {
    let [source_ids, networks, stations, locations, channels] =
        source_texts(rows.iter().map(|row| &row.source_id));
    vec![
        source_ids,
        networks,
        stations,
        locations,
        channels,
        time(rows.iter().map(|row| row.start_time)),
        time(rows.iter().map(|row| row.end_time)),
        long(rows.iter().map(|row| row.start_time.nanos())),
        long(rows.iter().map(|row| row.end_time.nanos())),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        sample_counts,
        text(rows.iter().map(|row| row.encoding.as_str())),
        samples,
        double_lists(SAMPLE_FLOAT_ID, rows.iter().map(|row| floats(&row.samples))),
        text(rows.iter().map(|row| &*row.position.topic)),
        int(rows.iter().map(|row| row.position.partition as i32)),
        long(rows.iter().map(|row| row.position.offset as i64)),
        text(rows.iter().map(|row| row.quality.as_str())),
    ]
}

/// Samples of which copying costs more than a batch of their own.
const LONG_SAMPLES_MIN: usize = 1 << 14;

pub(super) fn is_long(row: &Segment) -> bool {
    matches!(&row.samples, Samples::Int32(samples) if samples.len() >= LONG_SAMPLES_MIN)
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

/// Joins rows of one quality that follow each other on one grid (see [`Run`]): `rows` sorted by source and time. A joined
/// row keeps the position of its first piece.
pub(super) fn joined(rows: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let runs = runs(&rows)?;
    if runs.len() == rows.num_rows() {
        return Ok(rows);
    }
    let firsts: UInt32Array = runs.iter().map(|run| run.start as u32).collect();
    let lasts: UInt32Array = runs.iter().map(|run| run.end as u32 - 1).collect();
    let schema = rows.schema();
    let columns =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| match field.name().as_str() {
            "end_time" | "end_ns" => take(column, &lasts, None),
            "sample_count" => {
                let counts = column.as_primitive::<Int64Type>().values();
                let sums = runs.iter().map(|run| counts[run.clone()].iter().sum::<i64>());
                Ok(Arc::new(sums.collect::<Int64Array>()) as ArrayRef)
            }
            "samples" | "samples_float" => joined_lists(column.as_list::<i32>(), &runs),
            _ => take(column, &firsts, None),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// Lists one behind the other lie side by side in memory already: only the places where they begin change.
fn joined_lists(lists: &ListArray, runs: &[std::ops::Range<usize>]) -> Result<ArrayRef, ArrowError> {
    let offsets = lists.offsets();
    let begins = runs.iter().map(|run| offsets[run.start]).chain(offsets.last().copied());
    let nulls: NullBuffer = runs.iter().map(|run| lists.is_valid(run.start)).collect();
    let arrow::datatypes::DataType::List(field) = lists.data_type() else {
        return Err(ArrowError::SchemaError("samples are no list".to_owned()));
    };
    let offsets = OffsetBuffer::new(begins.collect::<ScalarBuffer<i32>>());
    let joined = ListArray::try_new(Arc::clone(field), offsets, Arc::clone(lists.values()), Some(nulls))?;
    Ok(Arc::new(joined))
}

/// Rows that become one.
fn runs(rows: &RecordBatch) -> Result<Vec<std::ops::Range<usize>>, ArrowError> {
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column \"{name}\"")))
    };
    let (sources, encodings) =
        (column("source_id")?.as_string::<i32>(), column("encoding")?.as_string::<i32>());
    let long = |name: &str| column(name).map(|column| column.as_primitive::<Int64Type>());
    let (starts, ends, counts) = (long("start_ns")?, long("end_ns")?, long("sample_count")?);
    let rates = column("sample_rate_hz")?.as_primitive::<Float64Type>();
    let integers = column("samples")?;
    let qualities = column(QUALITY)?.as_string::<i32>();
    let same_quality = |a: usize, b: usize| match (qualities.is_valid(a), qualities.is_valid(b)) {
        (true, true) => qualities.value(a) == qualities.value(b),
        (a, b) => a == b,
    };
    let base = |row: usize| {
        let count = u64::try_from(counts.value(row)).unwrap_or(0);
        TimeBase::new(starts.value(row), ends.value(row), rates.value(row), count)
    };
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
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
