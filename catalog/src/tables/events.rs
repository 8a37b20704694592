//! `bulletin.events`: all revisions of all events; `bulletin.events_current` shows the latest.

use arrow::array::ArrayRef;
use seislake_model::Event;

use super::ColumnType::{Double, Int, Long, Text, Time};
use super::arrays::{double, int, long, optional_text, text, time};
use super::{Column, PartitionBy, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "events",
    doc: "One revision of an event, with the preferred values beside their ids.",
    columns: COLUMNS,
    partition: &[PartitionBy::Month("origin_time")],
    sort: SortBy::Hilbert { longitude: "longitude", latitude: "latitude", time: "origin_time" },
    identity: &["event_id", "revision"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "event_id", Text, "Stable over revisions."),
    required(2, "revision", Int, "From 1."),
    required(3, "status", Text, "preliminary, closed or deleted."),
    required(4, "preferred_origin_id", Text, "Preferred origin."),
    optional(5, "preferred_magnitude_id", Text, "Preferred magnitude; null where there is none."),
    required(6, "origin_time", Time, "Of the preferred origin, rounded down to a microsecond."),
    required(7, "origin_ns", Long, "Of the preferred origin, nanoseconds since 1970."),
    required(8, "latitude", Double, "Of the preferred origin, degrees north, WGS84."),
    required(9, "longitude", Double, "Of the preferred origin, degrees east, WGS84."),
    required(10, "depth_km", Double, "Of the preferred origin, below sea level."),
    optional(11, "magnitude", Double, "Of the preferred magnitude."),
    optional(12, "magnitude_type", Text, "Of the preferred magnitude, e.g. ML."),
];

pub(super) fn encode(rows: &[Event]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.event_id.as_str())),
        int(rows.iter().map(|row| row.revision as i32)),
        text(rows.iter().map(|row| row.status.as_str())),
        text(rows.iter().map(|row| row.preferred_origin_id.as_str())),
        optional_text(rows.iter().map(|row| row.preferred_magnitude_id.as_deref())),
        time(rows.iter().map(|row| row.origin_time)),
        long(rows.iter().map(|row| row.origin_time.nanos())),
        double(rows.iter().map(|row| row.latitude)),
        double(rows.iter().map(|row| row.longitude)),
        double(rows.iter().map(|row| row.depth_km)),
        double(rows.iter().map(|row| row.magnitude)),
        optional_text(rows.iter().map(|row| row.magnitude_type.as_deref())),
    ]
}
