//! `bulletin.events`: all revisions of all events; `bulletin.events_current` shows the latest.

use seislake_model::Event;

use crate::columns;
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "events",
    doc: "One revision of an event, with the preferred values beside their ids.",
    columns: COLUMNS,
    partition: &[PartitionBy::Month(names::origin_time)],
    sort: SortBy::Hilbert {
        longitude: names::longitude,
        latitude: names::latitude,
        time: names::origin_time,
    },
    identity: &[names::event_id, names::revision],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Event as row in rows;
    1 event_id: required Text, "Stable over revisions.";
    2 revision: required Int, "From 1.";
    3 status: required Text, "preliminary, closed or deleted.";
    4 preferred_origin_id: required Text, "Preferred origin.";
    5 preferred_magnitude_id: optional Text, "Preferred magnitude; null where there is none.";
    6 origin_time: required Time => row.origin_time, "Of the preferred origin, rounded down to a microsecond.";
    7 origin_ns: required Nanos = row.origin_time, "Of the preferred origin, nanoseconds since 1970.";
    8 latitude: required Double, "Of the preferred origin, degrees north, WGS84.";
    9 longitude: required Double, "Of the preferred origin, degrees east, WGS84.";
    10 depth_km: required Double, "Of the preferred origin, below sea level.";
    11 magnitude: optional Double, "Of the preferred magnitude.";
    12 magnitude_type: optional Text, "Of the preferred magnitude, e.g. ML.";
    -> Event {
        event_id,
        revision,
        status,
        preferred_origin_id,
        preferred_magnitude_id,
        origin_time: origin_ns,
        latitude,
        longitude,
        depth_km,
        magnitude,
        magnitude_type,
    }
}
