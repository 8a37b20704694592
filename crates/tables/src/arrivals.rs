//! `bulletin.arrivals`: picks as seen from an origin.

use seislake_model::{Arrival, SourceId};

use crate::columns;
use crate::kind::codes;
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "arrivals",
    doc: "A pick as seen from an origin.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day(names::pick_time)],
    sort: SortBy::Columns(&[names::event_id, names::origin_id, names::pick_time]),
    identity: &[names::arrival_id],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Arrival as row in rows;
    1 arrival_id: required Text, "Name-based on origin and pick.";
    2 origin_id: required Text, "Origin.";
    3 event_id: required Text, "Event.";
    4 pick_id: required Text, "Pick.";
    5 source_id: required Text, "FDSN source identifier of the channel.";
    6 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    7 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    8 pick_time: required Time, "Time of the pick, rounded down to a microsecond.";
    9 phase: required Text, "Phase: P or S.";
    10 distance_km: required Double, "Epicentral distance.";
    11 azimuth: required Double, "From the epicentre to the station, degrees clockwise from north.";
    12 residual_s: required Double, "Observed minus calculated arrival time, seconds.";
    13 weight: required Double, "Weight in the location, 0 to 1.";
    14 time_uncertainty_s: optional Double, "One standard deviation of the time of the pick; null in rows of older versions.";
    15 polarity: optional Text, "First motion of the counts as the pick has it: positive, negative or undecidable; null in rows of older versions.";
    16 onset: optional Text, "Sharpness of the pick: impulsive or emergent; null in rows of older versions.";
    17 pick_method: optional Text, "The picker; null in rows of older versions.";
    18 pick_method_version: optional Text, "Version of the picker; null in rows of older versions.";
    -> Arrival {
        arrival_id,
        origin_id,
        event_id,
        pick_id,
        source_id,
        pick_time,
        phase,
        distance_km,
        azimuth,
        residual_s,
        weight,
        time_uncertainty_s,
        polarity,
        onset,
        pick_method,
        pick_method_version,
    }
}
