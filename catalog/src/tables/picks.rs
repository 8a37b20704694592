//! `bulletin.picks`: phase picks.

use arrow::array::ArrayRef;
use seislake_model::Pick;

use super::ColumnType::{Double, Long, Text, Time};
use super::arrays::{double, long, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "picks",
    doc: "The onset of a phase on a channel.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("pick_time")],
    sort: SortBy::Columns(&["pick_time", "source_id"]),
    identity: &["pick_id"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "pick_id", Text, "Name-based on channel, phase, method and time."),
    required(2, "source_id", Text, "FDSN source identifier of the channel."),
    required(3, "network", Text, "Network code."),
    required(4, "station", Text, "Station code."),
    required(5, "pick_time", Time, "Onset time, rounded down to a microsecond."),
    required(6, "pick_ns", Long, "Onset time, nanoseconds since 1970."),
    required(7, "time_uncertainty_s", Double, "One standard deviation of the onset time, seconds."),
    required(8, "phase", Text, "Phase as the picker reads it: P or S."),
    required(9, "polarity", Text, "First motion: positive (up), negative (down) or undecidable."),
    required(10, "onset", Text, "Sharpness: impulsive or emergent."),
    required(11, "snr", Double, "Ratio of the amplitudes after and before the onset."),
    required(12, "method", Text, "Picker and version."),
];

pub(super) fn encode(rows: &[Pick]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.pick_id.as_str())),
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        time(rows.iter().map(|row| row.pick_time)),
        long(rows.iter().map(|row| row.pick_time.nanos())),
        double(rows.iter().map(|row| row.time_uncertainty_s)),
        text(rows.iter().map(|row| row.phase.as_str())),
        text(rows.iter().map(|row| row.polarity.as_str())),
        text(rows.iter().map(|row| row.onset.as_str())),
        double(rows.iter().map(|row| row.snr)),
        text(rows.iter().map(|row| row.method.as_str())),
    ]
}
