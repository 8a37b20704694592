//! `waveform.packets`: one row per record as received.
//!
//! Latency and continuity are answered from it without touching samples.

use arrow::array::ArrayRef;
use seislake_model::Packet;

use super::ColumnType::{Double, Int, Long, Text, Time};
use super::arrays::{double, hex_text, int, long, optional_text, source_texts, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "waveform",
    name: "packets",
    doc: "One record as received.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["topic", "partition", "offset"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "network", Text, "Network code."),
    required(3, "station", Text, "Station code."),
    required(4, "location", Text, "Location code; empty where blank."),
    required(5, "channel", Text, "SEED channel code."),
    required(6, "start_time", Time, "Time of the first sample, rounded down to a microsecond."),
    required(7, "start_ns", Long, "Time of the first sample, nanoseconds since 1970."),
    required(8, "last_sample_time", Time, "Time of the last sample, rounded down to a microsecond."),
    optional(9, "arrival_time", Time, "When the record arrived; null for records replayed from an archive."),
    required(10, "sample_count", Long, "Samples decoded."),
    required(11, "expected_count", Long, "Samples that the header promises."),
    required(12, "sample_rate_hz", Double, "Sample rate."),
    required(13, "encoding", Text, "Encoding, e.g. steim2."),
    required(14, "quality", Text, "Data quality letter (miniSEED 2) or publication version (miniSEED 3)."),
    optional(15, "timing_quality", Int, "Timing quality in percent, where recorded."),
    required(16, "byte_count", Long, "Length of the record in bytes."),
    required(17, "sha256", Text, "SHA-256 of the record, lower-case hexadecimal."),
    optional(18, "object_uri", Text, "Where the original is stored, if it is kept: object#bytes=FIRST-LAST."),
    required(19, "topic", Text, "Topic of the record."),
    required(20, "partition", Int, "Partition of the topic."),
    required(21, "offset", Long, "Offset in the partition."),
];

pub(super) fn encode(rows: &[Packet]) -> Vec<ArrayRef> {
    let [source_ids, networks, stations, locations, channels] =
        source_texts(rows.iter().map(|row| &row.source_id));
    vec![
        source_ids,
        networks,
        stations,
        locations,
        channels,
        time(rows.iter().map(|row| row.start_time)),
        long(rows.iter().map(|row| row.start_time.nanos())),
        time(rows.iter().map(|row| row.last_sample_time)),
        time(rows.iter().map(|row| row.arrival_time)),
        long(rows.iter().map(|row| i64::from(row.sample_count))),
        long(rows.iter().map(|row| i64::from(row.expected_count))),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        text(rows.iter().map(|row| row.encoding)),
        text(rows.iter().map(|row| &*row.quality)),
        int(rows.iter().map(|row| row.timing_quality.map(i32::from))),
        long(rows.iter().map(|row| i64::from(row.byte_count))),
        hex_text(rows.iter().map(|row| &row.sha256)),
        optional_text(rows.iter().map(|row| row.object_uri.as_deref())),
        text(rows.iter().map(|row| &*row.position.topic)),
        int(rows.iter().map(|row| row.position.partition as i32)),
        long(rows.iter().map(|row| row.position.offset as i64)),
    ]
}
