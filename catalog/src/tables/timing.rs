//! `quality.timing`: the timing quality that the records of a channel's UTC day state.
//!
//! Made from `waveform.packets` by the job of `seislake quality update`.

use arrow::array::ArrayRef;
use seislake_model::Timing;

use super::ColumnType::{Double, Int, Long, Text, Time};
use super::arrays::{double, int, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "quality",
    name: "timing",
    doc: "Timing quality that the records of a channel's UTC day state; no row where none states one.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("start_time")],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["source_id", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "start_time", Time, "First moment of the UTC day."),
    required(3, "packet_count", Long, "Records that begin on the day."),
    required(4, "stated_count", Long, "Records that state a timing quality."),
    required(5, "timing_quality_min", Int, "Least timing quality, percent."),
    required(6, "timing_quality_p50", Double, "Median timing quality, percent."),
    required(7, "timing_quality_mean", Double, "Mean timing quality, percent."),
];

pub(super) fn encode(rows: &[Timing]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        time(rows.iter().map(|row| row.start_time)),
        long(rows.iter().map(|row| row.packet_count as i64)),
        long(rows.iter().map(|row| row.stated_count as i64)),
        int(rows.iter().map(|row| row.timing_quality_min)),
        double(rows.iter().map(|row| row.timing_quality_p50)),
        double(rows.iter().map(|row| row.timing_quality_mean)),
    ]
}
