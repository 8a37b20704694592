//! `network.stations`: station epochs.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use seislake_model::{Station, Timestamp};

use super::ColumnType::{Double, Text, Time};
use super::arrays::{double, optional_text, shared_texts, text, time};
use super::{Column, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "network",
    name: "stations",
    doc: "One epoch of a station.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&["network", "station", "start_time"]),
    identity: &["network", "station", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(
        1,
        "network",
        Text,
        "Network code; empty where the source names none (it then matches any network).",
    ),
    required(2, "station", Text, "Station code."),
    required(3, "latitude", Double, "Degrees north, WGS84."),
    required(4, "longitude", Double, "Degrees east, WGS84."),
    required(5, "elevation_m", Double, "Metres above sea level."),
    optional(6, "site_name", Text, "Name of the site."),
    optional(7, "start_time", Time, "Begin of the epoch; null: since ever."),
    optional(8, "end_time", Time, "End of the epoch; null: open."),
    optional(
        9,
        "stationxml",
        Text,
        "The StationXML element it was read from, without its channels; null where it came in another form.",
    ),
    optional(
        10,
        "network_stationxml",
        Text,
        "The StationXML element of its network, without the stations; null where there was none.",
    ),
];

pub(super) fn encode(rows: &[Station]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| row.network.as_str())),
        text(rows.iter().map(|row| row.station.as_str())),
        double(rows.iter().map(|row| row.latitude)),
        double(rows.iter().map(|row| row.longitude)),
        double(rows.iter().map(|row| row.elevation_m)),
        optional_text(rows.iter().map(|row| row.site_name.as_deref())),
        time(rows.iter().map(|row| row.start_time)),
        time(rows.iter().map(|row| row.end_time)),
        optional_text(rows.iter().map(|row| row.original.as_deref())),
        optional_text(rows.iter().map(|row| row.network_original.as_deref())),
    ]
}

/// Stations of a batch with the columns of this table, in order; the latest may be missing.
pub(crate) fn decode(batch: &RecordBatch) -> Vec<Station> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let double = |column: usize| batch.column(column).as_primitive::<Float64Type>();
    let time = |column: usize, row: usize| {
        let times = batch.column(column).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| Timestamp::from_micros(times.value(row)))
    };
    let originals = shared_texts(batch, "stationxml");
    let networks = shared_texts(batch, "network_stationxml");
    (0..batch.num_rows())
        .map(|row| Station {
            network: text(0).value(row).to_owned(),
            station: text(1).value(row).to_owned(),
            latitude: double(2).value(row),
            longitude: double(3).value(row),
            elevation_m: double(4).value(row),
            site_name: text(5).is_valid(row).then(|| text(5).value(row).to_owned()),
            start_time: time(6, row),
            end_time: time(7, row),
            original: originals.get(row).cloned().flatten(),
            network_original: networks.get(row).cloned().flatten(),
        })
        .collect()
}
