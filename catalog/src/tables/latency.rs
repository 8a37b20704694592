//! `quality.latency`: how long the live packets of a channel's hour took to arrive.
//!
//! Made from `waveform.packets` by the job of `seislake quality update`.

use arrow::array::ArrayRef;
use seislake_model::Latency;

use super::ColumnType::{Double, IntList, Long, Text, Time};
use super::arrays::{double, int_lists, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

/// Field id of the elements of the list.
const BIN_COUNT_ID: i32 = 14;

pub(super) const TABLE: TableDef = TableDef {
    namespace: "quality",
    name: "latency",
    doc: "How long the live packets of a channel's hour took: arrival time minus time of the last sample.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["source_id", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "network", Text, "Network code."),
    required(3, "station", Text, "Station code."),
    required(4, "location", Text, "Location code; empty where blank."),
    required(5, "channel", Text, "SEED channel code."),
    required(6, "start_time", Time, "First moment of the UTC hour in which the packets begin."),
    required(7, "packet_count", Long, "Live packets: those with an arrival time."),
    required(8, "latency_min_s", Double, "Least latency, seconds; negative where a clock is wrong."),
    required(9, "latency_p50_s", Double, "Median latency, seconds."),
    required(10, "latency_p90_s", Double, "90th percentile of latency, seconds."),
    required(11, "latency_p99_s", Double, "99th percentile of latency, seconds."),
    required(12, "latency_max_s", Double, "Greatest latency, seconds."),
    required(
        13,
        "bin_counts",
        IntList(BIN_COUNT_ID),
        "Packets by latency: bin k begins at 0.01 s times 2 to the power k/2; the first takes all below, the last all above.",
    ),
];

pub(super) fn encode(rows: &[Latency]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        text(rows.iter().map(|row| row.source_id.location())),
        text(rows.iter().map(|row| row.source_id.channel())),
        time(rows.iter().map(|row| row.start_time)),
        long(rows.iter().map(|row| row.packet_count as i64)),
        double(rows.iter().map(|row| row.latency_min_s)),
        double(rows.iter().map(|row| row.latency_p50_s)),
        double(rows.iter().map(|row| row.latency_p90_s)),
        double(rows.iter().map(|row| row.latency_p99_s)),
        double(rows.iter().map(|row| row.latency_max_s)),
        int_lists(BIN_COUNT_ID, rows.iter().map(|row| Some(row.bin_counts.as_slice()))),
    ]
}
