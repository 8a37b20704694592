//! `bulletin.amplitudes`: Wood-Anderson amplitudes and the station magnitudes made of them.

use seislake_model::{Amplitude, SourceId};

use crate::columns;
use crate::kind::codes;
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "amplitudes",
    doc: "Largest Wood-Anderson amplitude of a channel for an event, and its station magnitude.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day(names::amplitude_time)],
    sort: SortBy::Columns(&[names::event_id, names::source_id]),
    identity: &[names::amplitude_id],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Amplitude as row in rows;
    1 amplitude_id: required Text, "Name-based on origin and channel.";
    2 event_id: required Text, "Event.";
    3 origin_id: required Text, "Origin that gave the distance.";
    4 source_id: required Text, "FDSN source identifier of the channel.";
    5 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    6 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    7 amplitude_mm: required Double, "Zero-to-peak Wood-Anderson displacement, mm.";
    8 amplitude_time: required Time, "Second in which the peak lies.";
    9 hypocentral_distance_km: required Double, "Hypocentral distance.";
    10 station_magnitude: required Double, "ML of this channel alone.";
    -> Amplitude {
        amplitude_id,
        event_id,
        origin_id,
        source_id,
        amplitude_mm,
        amplitude_time,
        hypocentral_distance_km,
        station_magnitude,
    }
}
