//! `bulletin.picks`: phase picks.

use seislake_model::{Pick, SourceId};

use crate::columns;
use crate::kind::{codes, provenance};
use crate::{PartitionBy, SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "bulletin",
    name: "picks",
    doc: "The onset of a phase on a channel.",
    columns: COLUMNS,
    partition: &[PartitionBy::Day(names::pick_time)],
    sort: SortBy::Columns(&[names::pick_time, names::source_id]),
    identity: &[names::pick_id],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Pick as row in rows;
    1 pick_id: required Text, "Name-based on channel, phase, method and time.";
    2 source_id: required Text, "FDSN source identifier of the channel.";
    3 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    4 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    5 pick_time: required Time => row.pick_time, "Onset time, rounded down to a microsecond.";
    6 pick_ns: required Nanos = row.pick_time, "Onset time, nanoseconds since 1970.";
    7 time_uncertainty_s: required Double, "One standard deviation of the onset time, seconds.";
    8 phase: required Text, "Phase as the picker reads it: P or S.";
    9 polarity: required Text, "First motion of the counts, positive, negative or undecidable: up and down where the sensor points up and its sensitivity is positive; neither is looked at.";
    10 onset: required Text, "Sharpness: impulsive or emergent.";
    11 snr: required Double, "Ratio of the amplitudes after and before the onset.";
    12 method: required Text = &row.provenance.method, "The picker.";
    13 agency_id: optional Text = &row.provenance.agency_id, "Agency that answers for it; null in rows of older versions.";
    14 author: optional Text = &row.provenance.author, "Program or person; null in rows of older versions.";
    15 evaluation_mode: optional Text = row.provenance.evaluation_mode, "automatic or manual; null in rows of older versions: automatic.";
    16 evaluation_status: optional Text = row.provenance.evaluation_status, "preliminary, confirmed, reviewed, final or rejected; null in rows of older versions: preliminary.";
    17 method_version: optional Text = &row.provenance.method_version, "Version of the method; null in rows of older versions.";
    18 creation_time: optional Time = row.provenance.creation_time, "Time of the youngest sample that it rests on, rounded down to a microsecond; null in rows of older versions.";
    -> Pick {
        pick_id,
        source_id,
        pick_time: pick_ns,
        time_uncertainty_s,
        phase,
        polarity,
        onset,
        snr,
        provenance: provenance(agency_id, author, evaluation_mode, evaluation_status, Some(method), method_version, creation_time),
    }
}
