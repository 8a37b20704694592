//! The lake of the `.slt` files: `waveform.segments` and `network.channels` in memory.
//!
//! | channel, from 2024-03-01T00:00:00 | rate | segments (seconds) |
//! |---|---|---|
//! | `FDSN:XX_S001__H_H_Z` | 100 Hz | 0–10, 0–10 again, 5–15, 15–20, 25–30: a duplicate, an overlap, a gap |
//! | `FDSN:XX_S001__H_H_N` | 100 Hz | 0–30: what Z shows 0.25 s earlier |
//! | `FDSN:XX_S002__H_N_Z` | 50 Hz | 0–4 as floats, the sample at 1 s is NaN |
//!
//! Sample k of S001, with t = k / 100 s: `round(2000 exp(-(t mod 10) / 2) sin(4 pi t)) + 50 + noise`, noise from -20 to
//! 20 of the generator that `tests/slt/reference.py` repeats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Float64Builder, Int32Builder, Int64Array, ListBuilder, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use crate::SessionSettings;

const START_NS: i64 = 1_709_251_200_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

pub(super) fn session() -> SessionContext {
    let catalog = MemoryCatalogProvider::new();
    for (namespace, table, batch) in
        [("waveform", "segments", segments()), ("network", "channels", channels())]
    {
        let schema = MemorySchemaProvider::new();
        let provider = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        schema.register_table(table.into(), Arc::new(provider)).unwrap();
        catalog.register_schema(namespace, Arc::new(schema)).unwrap();
    }
    catalog.register_schema("bulletin", Arc::new(MemorySchemaProvider::new())).unwrap();
    let settings = SessionSettings { target_partitions: 2, batch_size: 700, ..SessionSettings::default() };
    crate::session(Arc::new(catalog), &settings).unwrap()
}

struct Segment {
    source_id: &'static str,
    start_ns: i64,
    rate_hz: i64,
    counts: Option<Vec<i32>>,
    floats: Option<Vec<f64>>,
}

/// Samples `first..end` of S001, `lead` samples early.
fn counts(first: usize, end: usize, lead: usize) -> Vec<i32> {
    let mut state = 4711_u64;
    let mut all = vec![];
    for index in 0..end + lead {
        state = (1_103_515_245 * state + 12_345) % (1 << 31);
        let t = index as f64 / 100.0;
        let wavelet = 2000.0 * (-(t % 10.0) / 2.0).exp() * (2.0 * std::f64::consts::TAU * t).sin();
        all.push(wavelet.round() as i32 + 50 + (state >> 16) as i32 % 41 - 20);
    }
    all[first + lead..].to_vec()
}

fn rows() -> Vec<Segment> {
    let z = |from_s: usize, to_s: usize| Segment {
        source_id: "FDSN:XX_S001__H_H_Z",
        start_ns: START_NS + from_s as i64 * SECOND_NS,
        rate_hz: 100,
        counts: Some(counts(from_s * 100, to_s * 100, 0)),
        floats: None,
    };
    let ramp = (0..200).map(|index| if index == 50 { f64::NAN } else { f64::from(index) * 0.5 });
    vec![
        z(0, 10),
        z(25, 30),
        z(5, 15),
        z(0, 10),
        z(15, 20),
        Segment {
            source_id: "FDSN:XX_S001__H_H_N",
            start_ns: START_NS,
            rate_hz: 100,
            counts: Some(counts(0, 3000, 25)),
            floats: None,
        },
        Segment {
            source_id: "FDSN:XX_S002__H_N_Z",
            start_ns: START_NS,
            rate_hz: 50,
            counts: None,
            floats: Some(ramp.collect()),
        },
    ]
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let micros = values.map(|nanos| nanos.map(|nanos| nanos.div_euclid(1000)));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"))
}

fn segments() -> RecordBatch {
    let rows = rows();
    let count =
        |row: &Segment| row.counts.as_ref().map_or(0, Vec::len) + row.floats.as_ref().map_or(0, Vec::len);
    let end = |row: &Segment| row.start_ns + (count(row) as i64 - 1) * SECOND_NS / row.rate_hz;
    let element = |kind| Field::new("element", kind, false);
    let mut samples = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
    let mut floats = ListBuilder::new(Float64Builder::new()).with_field(element(DataType::Float64));
    for row in &rows {
        samples.values().append_slice(row.counts.as_deref().unwrap_or_default());
        samples.append(row.counts.is_some());
        floats.values().append_slice(row.floats.as_deref().unwrap_or_default());
        floats.append(row.floats.is_some());
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("source_id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.source_id)))),
        ("start_time", times(rows.iter().map(|row| Some(row.start_ns)))),
        ("end_time", times(rows.iter().map(|row| Some(end(row))))),
        ("start_ns", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.start_ns)))),
        ("end_ns", Arc::new(Int64Array::from_iter_values(rows.iter().map(end)))),
        (
            "sample_rate_hz",
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.rate_hz as f64))),
        ),
        ("sample_count", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| count(row) as i64)))),
        ("samples", Arc::new(samples.finish())),
        ("samples_float", Arc::new(floats.finish())),
    ];
    batch(columns)
}

/// Two epochs of S001 Z: at 15 s a sensor of half the sensitivity takes over.
fn channels() -> RecordBatch {
    let response = |sensitivity: f64| {
        format!(
            r#"{{"sensitivity":{sensitivity},"sensitivity_frequency_hz":1.0,"input_unit":"m/s","poles_zeros":{{"poles":[[-0.148,0.148],[-0.148,-0.148]],"zeros":[[0.0,0.0],[0.0,0.0]],"normalization_factor":1.0}}}}"#
        )
    };
    let change = START_NS + 15 * SECOND_NS;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("source_id", Arc::new(StringArray::from_iter_values(["FDSN:XX_S001__H_H_Z"; 2]))),
        ("start_time", times([None, Some(change)].into_iter())),
        ("end_time", times([Some(change), None].into_iter())),
        ("response", Arc::new(StringArray::from_iter_values([response(4e8), response(2e8)]))),
        ("response_stationxml", Arc::new(StringArray::new_null(2))),
    ];
    batch(columns)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}
