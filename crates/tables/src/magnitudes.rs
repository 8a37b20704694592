//! `bulletin.magnitudes`: network magnitudes.

use seislake_model::Magnitude;

use crate::columns;
use crate::{SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "magnitudes",
    doc: "Network magnitude of an event.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&[names::event_id, names::magnitude_type]),
    identity: &[names::magnitude_id],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Magnitude as row in rows;
    1 magnitude_id: required Text, "Name-based on origin and type.";
    2 event_id: required Text, "Event.";
    3 origin_id: required Text, "Origin.";
    4 magnitude_type: required Text, "Type, e.g. ML.";
    5 magnitude: required Double, "Value.";
    6 uncertainty: optional Double, "Standard deviation over the stations; null of a single station.";
    7 station_count: required Long, "Stations used.";
    8 method: required Text, "Recipe.";
    -> Magnitude {
        magnitude_id,
        event_id,
        origin_id,
        magnitude_type,
        magnitude,
        uncertainty,
        station_count,
        method,
    }
}
