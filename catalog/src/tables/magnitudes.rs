//! `bulletin.magnitudes`: network magnitudes.

use arrow::array::ArrayRef;
use seislake_model::Magnitude;

use super::ColumnType::{Double, Long, Text};
use super::arrays::{double, long, text};
use super::{Column, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "magnitudes",
    doc: "Network magnitude of an event.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&["event_id", "magnitude_type"]),
    identity: &["magnitude_id"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "magnitude_id", Text, "Name-based on origin and type."),
    required(2, "event_id", Text, "Event."),
    required(3, "origin_id", Text, "Origin."),
    required(4, "magnitude_type", Text, "Type, e.g. ML."),
    required(5, "magnitude", Double, "Value."),
    optional(6, "uncertainty", Double, "Standard deviation over the stations; null of a single station."),
    required(7, "station_count", Long, "Stations used."),
    required(8, "method", Text, "Recipe."),
];

pub(super) fn encode(rows: &[Magnitude]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.magnitude_id.as_str())),
        text(rows.iter().map(|row| row.event_id.as_str())),
        text(rows.iter().map(|row| row.origin_id.as_str())),
        text(rows.iter().map(|row| row.magnitude_type.as_str())),
        double(rows.iter().map(|row| row.magnitude)),
        double(rows.iter().map(|row| row.uncertainty)),
        long(rows.iter().map(|row| i64::from(row.station_count))),
        text(rows.iter().map(|row| row.method.as_str())),
    ]
}
