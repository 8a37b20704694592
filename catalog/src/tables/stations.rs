//! `network.stations`: station epochs.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use seislake_model::{Station, Timestamp};

use super::ColumnType::{Double, Text, Time};
use super::arrays::{double, optional_text, shared_texts, text, time};
use super::{Column, Decoded, PassedOver, SortBy, TableDef, optional, required};

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

/// Stations of a batch with the columns of this table, in order; the latest may be missing. Rows that no station can be
/// made of, whoever wrote them, are passed over and counted.
pub(crate) fn decode(batch: &RecordBatch) -> Decoded<Station> {
    let originals = shared_texts(batch, "stationxml");
    let networks = shared_texts(batch, "network_stationxml");
    let with_originals = |row| Station {
        original: originals.get(row).cloned().flatten(),
        network_original: networks.get(row).cloned().flatten(),
        ..decode_row(batch, row)
    };
    let mut passed_over = PassedOver::default();
    let mut decoded = Decoded { rows: Vec::with_capacity(batch.num_rows()), unreadable: Vec::new() };
    for (row, station) in (0..batch.num_rows()).map(with_originals).enumerate() {
        let reason = match station.check_numbers() {
            _ if station.station.is_empty() => "a station without a code".to_owned(),
            Ok(()) => {
                decoded.rows.push(station);
                continue;
            }
            Err(error) => error.to_string(),
        };
        passed_over.add(reason);
        decoded.unreadable.push(row as u32);
    }
    passed_over.tell(&TABLE);
    decoded
}

fn decode_row(batch: &RecordBatch, row: usize) -> Station {
    let text = |column: usize| {
        let texts = batch.column(column).as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    };
    // A place that is not there is none: never 0, 0.
    let double = |column: usize| {
        let doubles = batch.column(column).as_primitive::<Float64Type>();
        if doubles.is_valid(row) { doubles.value(row) } else { f64::NAN }
    };
    let time = |column: usize| {
        let times = batch.column(column).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| Timestamp::from_micros(times.value(row)))
    };
    Station {
        network: text(0).unwrap_or_default(),
        station: text(1).unwrap_or_default(),
        latitude: double(2),
        longitude: double(3),
        elevation_m: double(4),
        site_name: text(5),
        start_time: time(6),
        end_time: time(7),
        original: None,
        network_original: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_stations_are_passed_over() {
        let station = |code: &str, latitude: f64| Station {
            network: "XX".into(),
            station: code.into(),
            latitude,
            longitude: 2.0,
            elevation_m: 3.0,
            site_name: None,
            start_time: None,
            end_time: Some(Timestamp::from_micros(5)),
            original: None,
            network_original: Some("<Network code=\"XX\"/>".into()),
        };
        let rows = [
            station("GOOD", 1.0),
            station("", 1.0),
            station("FAR", 91.0),
            station("NAN", f64::NAN),
            station("OLD_CODE", -90.0),
        ];
        let batch = RecordBatch::try_new(TABLE.arrow_schema().unwrap(), encode(&rows)).unwrap();
        let decoded = decode(&batch);
        assert_eq!(decoded.rows, [rows[0].clone(), rows[4].clone()]);
        assert_eq!(decoded.unreadable, [1, 2, 3]);
    }
}
