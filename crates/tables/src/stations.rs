//! `network.stations`: station epochs.

use seislake_model::Station;

use crate::columns;
use crate::{SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "network",
    name: "stations",
    doc: "One epoch of a station.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&[names::network, names::station, names::start_time]),
    identity: &[names::network, names::station, names::start_time],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

columns! {
    rows of Station as row in rows;
    1 network: required Text, "Network code; empty where the source names none (it then matches any network).";
    2 station: required Text, "Station code.";
    3 latitude: required Double, "Degrees north, WGS84.";
    4 longitude: required Double, "Degrees east, WGS84.";
    5 elevation_m: required Double, "Metres above sea level.";
    6 site_name: optional Text, "Name of the site.";
    7 start_time: optional Time, "Begin of the epoch; null: since ever.";
    8 end_time: optional Time, "End of the epoch; null: open.";
    9 stationxml: optional Text = &row.original, "The StationXML element it was read from, without its channels; null where it came in another form.";
    10 network_stationxml: optional Text = &row.network_original, "The StationXML element of its network, without the stations; null where there was none.";
    -> Station {
        network,
        station,
        latitude,
        longitude,
        elevation_m,
        site_name,
        start_time,
        end_time,
        original: stationxml,
        network_original: network_stationxml,
    }
}
