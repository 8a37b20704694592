//! `bulletin.events`: all revisions of all events; `bulletin.events_current` shows the latest.

use seislake_model::Event;

use crate::columns;
use crate::kind::provenance;
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
    13 merged_into: optional Text, "The event that this one turned out to be, where it was merged.";
    14 agency_id: optional Text = &row.provenance.agency_id, "Agency that answers for it; null in rows of older versions.";
    15 author: optional Text = &row.provenance.author, "Program or person; null in rows of older versions.";
    16 evaluation_mode: optional Text = row.provenance.evaluation_mode, "automatic or manual; null in rows of older versions: automatic.";
    17 evaluation_status: optional Text = row.provenance.evaluation_status, "preliminary, confirmed, reviewed, final or rejected; null in rows of older versions: preliminary.";
    18 method: optional Text = &row.provenance.method, "Locator of the preferred origin; null in rows of older versions.";
    19 method_version: optional Text = &row.provenance.method_version, "Version of the method; null in rows of older versions.";
    20 creation_time: optional Time = row.provenance.creation_time, "Time of the youngest sample that it rests on, rounded down to a microsecond; null in rows of older versions.";
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
        merged_into,
        provenance: provenance(agency_id, author, evaluation_mode, evaluation_status, method, method_version, creation_time),
    }
}
