//! `network.channels`: channel epochs with their responses.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use seislake_model::{Channel, Timestamp};

use super::ColumnType::{Double, Text, Time};
use super::arrays::{double, optional_text, shared_texts, text, time};
use super::{Column, Decoded, PassedOver, SortBy, TableDef, optional, required};
use crate::error::{Doing, Result};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "network",
    name: "channels",
    doc: "One epoch of a channel.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&["source_id", "start_time"]),
    identity: &["source_id", "start_time"],
    page_rows: 4096,
    row_group_rows: 1 << 16,
};

const COLUMNS: &[Column] = &[
    required(1, "source_id", Text, "FDSN source identifier."),
    required(2, "network", Text, "Network code."),
    required(3, "station", Text, "Station code."),
    required(4, "location", Text, "Location code; empty where blank."),
    required(5, "channel", Text, "SEED channel code."),
    required(6, "latitude", Double, "Degrees north, WGS84."),
    required(7, "longitude", Double, "Degrees east, WGS84."),
    required(
        8,
        "elevation_m",
        Double,
        "Metres above sea level, of the sensor; the ground above it is `depth_m` higher.",
    ),
    required(9, "depth_m", Double, "Metres from the ground down to the sensor."),
    optional(10, "azimuth", Double, "Degrees clockwise from north."),
    optional(11, "dip", Double, "Degrees down from horizontal; -90 is up."),
    optional(12, "sample_rate_hz", Double, "Nominal sample rate."),
    optional(13, "sensor", Text, "Description of the sensor."),
    optional(14, "start_time", Time, "Begin of the epoch; null: since ever."),
    optional(15, "end_time", Time, "End of the epoch; null: open."),
    optional(
        16,
        "response",
        Text,
        "Response as JSON: sensitivity (counts per input unit), its frequency, input unit, poles and zeros (rad/s).",
    ),
    optional(
        17,
        "stationxml",
        Text,
        "The StationXML element it was read from, without its response; null where it came in another form.",
    ),
    optional(
        18,
        "response_stationxml",
        Text,
        "The StationXML element of its response, with all stages; null where there was none.",
    ),
];

pub(super) fn encode(rows: &[Channel]) -> Result<Vec<ArrayRef>> {
    let responses: Vec<Option<String>> = rows
        .iter()
        .map(|row| row.response.as_ref().map(serde_json::to_string).transpose())
        .collect::<Result<_, _>>()
        .doing(|| "write a response as JSON")?;
    Ok(vec![
        text(rows.iter().map(|row| row.source_id.as_str())),
        text(rows.iter().map(|row| row.source_id.network())),
        text(rows.iter().map(|row| row.source_id.station())),
        text(rows.iter().map(|row| row.source_id.location())),
        text(rows.iter().map(|row| row.source_id.channel())),
        double(rows.iter().map(|row| row.latitude)),
        double(rows.iter().map(|row| row.longitude)),
        double(rows.iter().map(|row| row.elevation_m)),
        double(rows.iter().map(|row| row.depth_m)),
        double(rows.iter().map(|row| row.azimuth)),
        double(rows.iter().map(|row| row.dip)),
        double(rows.iter().map(|row| row.sample_rate_hz)),
        optional_text(rows.iter().map(|row| row.sensor.as_deref())),
        time(rows.iter().map(|row| row.start_time)),
        time(rows.iter().map(|row| row.end_time)),
        optional_text(responses.iter().map(|response| response.as_deref())),
        optional_text(rows.iter().map(|row| row.original.as_deref())),
        optional_text(rows.iter().map(|row| row.response_original.as_deref())),
    ])
}

/// Channels of a batch with the columns of this table, in order; the latest may be missing. Rows that no channel can be
/// made of, whoever wrote them, are passed over and counted.
pub(crate) fn decode(batch: &RecordBatch) -> Decoded<Channel> {
    let originals = shared_texts(batch, "stationxml");
    let responses = shared_texts(batch, "response_stationxml");
    let mut passed_over = PassedOver::default();
    let mut decoded = Decoded { rows: Vec::with_capacity(batch.num_rows()), unreadable: Vec::new() };
    for row in 0..batch.num_rows() {
        let channel = decode_row(batch, row)
            .and_then(|channel| channel.check_numbers().map(|()| channel).map_err(|error| error.to_string()));
        match channel {
            Ok(channel) => decoded.rows.push(Channel {
                original: originals.get(row).cloned().flatten(),
                response_original: responses.get(row).cloned().flatten(),
                ..channel
            }),
            Err(reason) => {
                passed_over.add(reason);
                decoded.unreadable.push(row as u32);
            }
        }
    }
    passed_over.tell(&TABLE);
    decoded
}

fn decode_row(batch: &RecordBatch, row: usize) -> std::result::Result<Channel, String> {
    let text = |column: usize| {
        let texts = batch.column(column).as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row))
    };
    let double = |column: usize| {
        let doubles = batch.column(column).as_primitive::<Float64Type>();
        doubles.is_valid(row).then(|| doubles.value(row))
    };
    let time = |column: usize| {
        let times = batch.column(column).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| Timestamp::from_micros(times.value(row)))
    };
    let source_id = text(0).unwrap_or_default();
    Ok(Channel {
        source_id: source_id
            .parse()
            .map_err(|_| format!("\"{}\" is no source identifier", source_id.escape_debug()))?,
        // A place that is not there is none: never 0, 0.
        latitude: double(5).unwrap_or(f64::NAN),
        longitude: double(6).unwrap_or(f64::NAN),
        elevation_m: double(7).unwrap_or(f64::NAN),
        depth_m: double(8).unwrap_or_default(),
        azimuth: double(9),
        dip: double(10),
        sample_rate_hz: double(11),
        sensor: text(12).map(str::to_owned),
        start_time: time(13),
        end_time: time(14),
        response: text(15)
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| format!("the response of channel \"{source_id}\" cannot be read: {error}"))?,
        original: None,
        response_original: None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use seislake_model::SourceId;

    use super::*;

    #[test]
    fn rows_that_cannot_be_channels_are_passed_over() {
        let channel = |code: &str, sample_rate_hz: f64| Channel {
            source_id: SourceId::from_nslc("XX", "S1", "", code),
            latitude: 1.0,
            longitude: 2.0,
            elevation_m: 3.0,
            depth_m: 0.0,
            azimuth: None,
            dip: None,
            sample_rate_hz: Some(sample_rate_hz),
            sensor: None,
            start_time: None,
            end_time: None,
            response: None,
            original: Some("<Channel/>".into()),
            response_original: None,
        };
        let rows =
            [channel("HHZ", 100.0), channel("HHN", f64::INFINITY), channel("HHE", 1.0), channel("HH1", 2.0)];
        let mut columns = encode(&rows).unwrap();
        let ids = ["FDSN:XX_S1__H_H_Z", "FDSN:XX_S1__H_H_N", "FDSN:XX_S A_00_H_H_Z", "FDSN:XX_S1__H_H_1"];
        columns[0] = Arc::new(StringArray::from_iter_values(ids));
        columns[15] = Arc::new(StringArray::from_iter([None, None, None, Some("{\"sensitivity\": null}")]));
        let batch = RecordBatch::try_new(TABLE.arrow_schema().unwrap(), columns).unwrap();
        let decoded = decode(&batch);
        assert_eq!(decoded.rows, [rows[0].clone()]);
        assert_eq!(decoded.unreadable, [1, 2, 3]);
    }
}
