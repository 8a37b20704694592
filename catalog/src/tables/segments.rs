//! `waveform.segments`: gapless pieces of waveform with their samples.
//!
//! Samples of integer encodings lie in `samples` (delta bit-packed, readable by any engine), those of float
//! encodings in `samples_float`; one of the two is null.

use arrow::array::ArrayRef;
use seislake_model::{Samples, Segment};

use super::ColumnType::{Double, DoubleList, Int, IntList, Long, Text, Time};
use super::arrays::{double, double_lists, int, int_lists, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, optional, required};

/// Field ids of the elements of the lists.
const SAMPLE_ID: i32 = 18;
const SAMPLE_FLOAT_ID: i32 = 19;

pub(super) const TABLE: TableDef = TableDef {
    namespace: "waveform",
    name: "segments",
    doc: "One gapless piece of a channel's waveform.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
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
];

pub(super) fn encode(rows: &[Segment]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        text(rows.iter().map(|row| row.source_id.location())),
        text(rows.iter().map(|row| row.source_id.channel())),
        time(rows.iter().map(|row| row.start_time)),
        time(rows.iter().map(|row| row.end_time)),
        long(rows.iter().map(|row| row.start_time.nanos())),
        long(rows.iter().map(|row| row.end_time.nanos())),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        long(rows.iter().map(|row| row.samples.len() as i64)),
        text(rows.iter().map(|row| row.encoding.as_str())),
        int_lists(SAMPLE_ID, rows.iter().map(|row| counts(&row.samples))),
        double_lists(SAMPLE_FLOAT_ID, rows.iter().map(|row| floats(&row.samples))),
        text(rows.iter().map(|row| row.position.topic.as_str())),
        int(rows.iter().map(|row| row.position.partition as i32)),
        long(rows.iter().map(|row| row.position.offset as i64)),
    ]
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
