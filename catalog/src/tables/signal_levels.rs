//! `quality.signal_levels`: offset, rms, dead, clipped and spiky channels by UTC day.
//!
//! Made from the samples of `waveform.segments` by the job of `seislake quality update`.

use arrow::array::ArrayRef;
use seislake_model::SignalLevel;

use super::ColumnType::{Double, Long, Text, Time};
use super::arrays::{double, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "quality",
    name: "signal_levels",
    doc: "Levels of a channel's samples on a UTC day, in the unit of the samples.",
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
    required(3, "sample_count", Long, "Samples looked at."),
    required(4, "minimum", Double, "Least value."),
    required(5, "maximum", Double, "Greatest value."),
    required(6, "mean", Double, "Mean: the offset."),
    required(7, "rms", Double, "Root mean square about the mean."),
    required(8, "constant_s", Double, "Longest stretch of equal samples, seconds."),
    required(9, "clipped_count", Long, "Samples on flat tops."),
    required(10, "spike_count", Long, "Lone samples far away from both neighbours."),
    required(
        11,
        "condition",
        Text,
        "good, dead, clipped or spiky: the first that holds, in the order dead, clipped, spiky.",
    ),
];

pub(super) fn encode(rows: &[SignalLevel]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        time(rows.iter().map(|row| row.start_time)),
        long(rows.iter().map(|row| row.sample_count as i64)),
        double(rows.iter().map(|row| row.minimum)),
        double(rows.iter().map(|row| row.maximum)),
        double(rows.iter().map(|row| row.mean)),
        double(rows.iter().map(|row| row.rms)),
        double(rows.iter().map(|row| row.constant_s)),
        long(rows.iter().map(|row| row.clipped_count as i64)),
        long(rows.iter().map(|row| row.spike_count as i64)),
        text(rows.iter().map(|row| row.condition.as_str())),
    ]
}
