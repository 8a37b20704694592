//! `bulletin.magnitudes`: network magnitudes.

use seislake_model::Magnitude;

use crate::columns;
use crate::kind::provenance;
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
    8 method: required Text = &row.provenance.method, "Recipe.";
    9 agency_id: optional Text = &row.provenance.agency_id, "Agency that answers for it; null in rows of older versions.";
    10 author: optional Text = &row.provenance.author, "Program or person; null in rows of older versions.";
    11 evaluation_mode: optional Text = row.provenance.evaluation_mode, "automatic or manual; null in rows of older versions: automatic.";
    12 evaluation_status: optional Text = row.provenance.evaluation_status, "preliminary, confirmed, reviewed, final or rejected; null in rows of older versions: preliminary.";
    13 method_version: optional Text = &row.provenance.method_version, "Version of the method; null in rows of older versions.";
    14 creation_time: optional Time = row.provenance.creation_time, "Time of the youngest sample that it rests on, rounded down to a microsecond; null in rows of older versions.";
    -> Magnitude {
        magnitude_id,
        event_id,
        origin_id,
        magnitude_type,
        magnitude,
        uncertainty,
        station_count,
        provenance: provenance(agency_id, author, evaluation_mode, evaluation_status, Some(method), method_version, creation_time),
    }
}
