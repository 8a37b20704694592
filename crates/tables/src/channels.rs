//! `network.channels`: channel epochs with their responses.

use seislake_model::{Channel, SourceId};

use crate::columns;
use crate::kind::codes;
use crate::{SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "network",
    name: "channels",
    doc: "One epoch of a channel.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&[names::source_id, names::start_time]),
    identity: &[names::source_id, names::start_time],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Channel as row in rows;
    1 source_id: required Text, "FDSN source identifier.";
    2 network: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::network), "Network code.";
    3 station: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::station), "Station code.";
    4 location: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::location), "Location code; empty where blank.";
    5 channel: required Text, with codes(rows.iter().map(|row| &row.source_id), SourceId::channel), "SEED channel code.";
    6 latitude: required Double, "Degrees north, WGS84.";
    7 longitude: required Double, "Degrees east, WGS84.";
    8 elevation_m: required Double, "Metres above sea level, of the sensor; the ground above it is `depth_m` higher.";
    9 depth_m: required Double, "Metres from the ground down to the sensor.";
    10 azimuth: optional Double, "Degrees clockwise from north.";
    11 dip: optional Double, "Degrees down from horizontal; -90 is up.";
    12 sample_rate_hz: optional Double, "Nominal sample rate.";
    13 sensor: optional Text, "Description of the sensor.";
    14 start_time: optional Time, "Begin of the epoch; null: since ever.";
    15 end_time: optional Time, "End of the epoch; null: open.";
    16 response: optional Json, "Response as JSON: sensitivity (counts per input unit), its frequency, input unit, poles and zeros (rad/s).";
    17 stationxml: optional Text = &row.original, "The StationXML element it was read from, without its response; null where it came in another form.";
    18 response_stationxml: optional Text = &row.response_original, "The StationXML element of its response, with all stages; null where there was none.";
    -> Channel {
        source_id,
        latitude,
        longitude,
        elevation_m,
        depth_m,
        azimuth,
        dip,
        sample_rate_hz,
        sensor,
        start_time,
        end_time,
        response,
        original: stationxml,
        response_original: response_stationxml,
    }
}
