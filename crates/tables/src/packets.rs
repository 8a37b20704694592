//! `waveform.packets`: one row per record as received.
//!
//! Latency and continuity are answered from it without touching samples.

use seislake_model::{Packet, RecordPosition, SourceId};

use crate::columns;
use crate::kind::codes;
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "waveform",
    name: "packets",
    doc: "One record as received.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day(names::start_time)],
    sort: SortBy::Columns(&[names::source_id, names::start_time]),
    identity: &[names::topic, names::partition, names::offset],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Packet as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    3 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    4 location: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::location), "Location code; empty where blank.";
    5 channel: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::channel), "SEED channel code.";
    6 start_time: required Time => row.start_time, "Time of the first sample, rounded down to a microsecond.";
    7 start_ns: required Nanos = row.start_time, "Time of the first sample, nanoseconds since 1970.";
    8 last_sample_time: required Time, "Time of the last sample, rounded down to a microsecond.";
    9 arrival_time: optional Time, "When the record arrived; null for records replayed from an archive.";
    10 sample_count: required Long, "Samples decoded.";
    11 expected_count: required Long, "Samples that the header promises.";
    12 sample_rate_hz: required Double, "Sample rate.";
    13 encoding: required Text, "Encoding, e.g. steim2.";
    14 quality: required Text, "Data quality letter (miniSEED 2) or publication version (miniSEED 3).";
    15 timing_quality: optional Int, "Timing quality in percent, where recorded.";
    16 byte_count: required Long, "Length of the record in bytes.";
    17 sha256: required Hex, "SHA-256 of the record, lower-case hexadecimal.";
    18 object_uri: optional Text, "Where the original is stored, if it is kept: object#bytes=FIRST-LAST.";
    19 topic: required Text = &row.position.topic, "Topic of the record.";
    20 partition: required Int = row.position.partition, "Partition of the topic.";
    21 offset: required Long = row.position.offset, "Offset in the partition.";
    -> Packet {
        source_id,
        start_time: start_ns,
        last_sample_time,
        arrival_time,
        sample_count,
        expected_count,
        sample_rate_hz,
        encoding,
        quality,
        timing_quality,
        byte_count,
        sha256,
        object_uri,
        position: RecordPosition { topic, partition, offset },
    }
}
