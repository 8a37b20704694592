//! `bulletin.amplitudes`: Wood-Anderson amplitudes and the station magnitudes made of them.

use arrow::array::ArrayRef;
use seislake_model::Amplitude;

use super::ColumnType::{Double, Text, Time};
use super::arrays::{double, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "amplitudes",
    doc: "Largest Wood-Anderson amplitude of a channel for an event, and its station magnitude.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("amplitude_time")],
    sort: SortBy::Columns(&["event_id", "source_id"]),
    identity: &["amplitude_id"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "amplitude_id", Text, "Name-based on origin and channel."),
    required(2, "event_id", Text, "Event."),
    required(3, "origin_id", Text, "Origin that gave the distance."),
    required(4, "source_id", Text, "FDSN source identifier of the channel."),
    required(5, "network", Text, "Network code."),
    required(6, "station", Text, "Station code."),
    required(7, "amplitude_mm", Double, "Zero-to-peak Wood-Anderson displacement, mm."),
    required(8, "amplitude_time", Time, "Second in which the peak lies."),
    required(9, "hypocentral_distance_km", Double, "Hypocentral distance."),
    required(10, "station_magnitude", Double, "ML of this channel alone."),
];

pub(super) fn encode(rows: &[Amplitude]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.amplitude_id.as_str())),
        text(rows.iter().map(|row| row.event_id.as_str())),
        text(rows.iter().map(|row| row.origin_id.as_str())),
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        double(rows.iter().map(|row| row.amplitude_mm)),
        time(rows.iter().map(|row| row.amplitude_time)),
        double(rows.iter().map(|row| row.hypocentral_distance_km)),
        double(rows.iter().map(|row| row.station_magnitude)),
    ]
}
