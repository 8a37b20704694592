//! `bulletin.arrivals`: picks as seen from an origin.

use arrow::array::ArrayRef;
use seislake_model::Arrival;

use super::ColumnType::{Double, Text, Time};
use super::arrays::{double, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "arrivals",
    doc: "A pick as seen from an origin.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day("pick_time")],
    sort: SortBy::Columns(&["event_id", "origin_id", "pick_time"]),
    identity: &["arrival_id"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "arrival_id", Text, "Name-based on origin and pick."),
    required(2, "origin_id", Text, "Origin."),
    required(3, "event_id", Text, "Event."),
    required(4, "pick_id", Text, "Pick."),
    required(5, "source_id", Text, "FDSN source identifier of the channel."),
    required(6, "network", Text, "Network code."),
    required(7, "station", Text, "Station code."),
    required(8, "pick_time", Time, "Time of the pick, rounded down to a microsecond."),
    required(9, "phase", Text, "Phase: P or S."),
    required(10, "distance_km", Double, "Epicentral distance."),
    required(11, "azimuth", Double, "From the epicentre to the station, degrees clockwise from north."),
    required(12, "residual_s", Double, "Observed minus calculated arrival time, seconds."),
    required(13, "weight", Double, "Weight in the location, 0 to 1."),
];

pub(super) fn encode(rows: &[Arrival]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.arrival_id.as_str())),
        text(rows.iter().map(|row| row.origin_id.as_str())),
        text(rows.iter().map(|row| row.event_id.as_str())),
        text(rows.iter().map(|row| row.pick_id.as_str())),
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        time(rows.iter().map(|row| row.pick_time)),
        text(rows.iter().map(|row| row.phase.as_str())),
        double(rows.iter().map(|row| row.distance_km)),
        double(rows.iter().map(|row| row.azimuth)),
        double(rows.iter().map(|row| row.residual_s)),
        double(rows.iter().map(|row| row.weight)),
    ]
}
