//! Rows of quality from tables in memory: the SQL around the algorithms.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use seislake_model::{Condition, Timestamp};
use seislake_seismo::quality::RatioSettings;

use super::*;
use crate::{SessionSettings, session};

const DAY_NS: i64 = 86_400_000_000_000;
const RATE_HZ: f64 = 20.0;

fn day() -> Timestamp {
    "2024-02-29T00:00:00Z".parse().unwrap()
}

/// Tables of schema `waveform`, each batch a partition of its own.
fn context(tables: Vec<(&str, Vec<RecordBatch>)>) -> SessionContext {
    let schema = Arc::new(MemorySchemaProvider::new());
    for (name, batches) in tables {
        let columns = batches[0].schema();
        let partitions = batches.into_iter().map(|batch| vec![batch]).collect();
        let table = MemTable::try_new(columns, partitions).unwrap();
        schema.register_table(name.to_owned(), Arc::new(table)).unwrap();
    }
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema("waveform", schema).unwrap();
    session(catalog, &SessionSettings { target_partitions: 2, ..SessionSettings::default() }).unwrap()
}

/// Pieces of one sample a second: source, begin in seconds of the day, samples.
fn segments(pieces: &[(&str, i64, i64)]) -> RecordBatch {
    let start = |(_, second, _): &(&str, i64, i64)| day().nanos() + second * 1_000_000_000;
    let longs = |value: &dyn Fn(&(&str, i64, i64)) -> i64| -> ArrayRef {
        Arc::new(pieces.iter().map(|piece| Some(value(piece))).collect::<Int64Array>())
    };
    let names: StringArray = pieces.iter().map(|(name, _, _)| Some(*name)).collect();
    RecordBatch::try_from_iter([
        ("source_id", Arc::new(names) as ArrayRef),
        ("start_ns", longs(&start)),
        ("end_ns", longs(&|piece| start(piece) + (piece.2 - 1) * 1_000_000_000)),
        ("sample_rate_hz", Arc::new(Float64Array::from_value(1.0, pieces.len()))),
        ("sample_count", longs(&|piece| piece.2)),
    ])
    .unwrap()
}

const A: &str = "FDSN:XX_A__H_H_Z";
const B: &str = "FDSN:XX_B__H_H_Z";

/// Two files: B crosses both midnights, A has a gap, an overlap and a late piece.
fn two_files() -> Vec<RecordBatch> {
    let first = segments(&[(A, 0, 100), (A, 90, 110), (A, 300, 86_100), (B, -50, 86_500)]);
    vec![first, segments(&[(A, 250, 20), (B, -100_000, 100)])]
}

#[tokio::test]
async fn continuity_joins_the_pieces_of_all_files() {
    let context = context(vec![("segments", two_files())]);
    let rows = continuity(&context, day().add_seconds(5.0), None).await.unwrap();
    assert_eq!(rows.len(), 2);
    let (a, b) = (&rows[0], &rows[1]);
    assert_eq!((a.source_id.as_str(), a.start_time), (A, day()));
    // A: 0 to 200 with ten repeated, 250 to 270, 300 to the end.
    assert_eq!((a.sample_count, a.repeated_count, a.gap_count, a.gap_s), (86_320, 10, 2, 80.0));
    assert_eq!((b.sample_count, b.gap_count, b.overlap_count), (86_400, 0, 0));
    let wanted = BTreeSet::from([B.to_owned()]);
    assert_eq!(continuity(&context, day(), Some(&wanted)).await.unwrap(), rows[1..]);
    let next = continuity(&context, day().add_nanos(DAY_NS), None).await.unwrap();
    assert_eq!((next.len(), next[0].source_id.as_str(), next[0].sample_count), (1, B, 50));
}

#[tokio::test]
async fn the_sql_function_says_the_same() {
    let context = context(vec![("segments", two_files())]);
    let rows = continuity(&context, day(), None).await.unwrap();
    let sql = "SELECT source_id, c['sample_count'], c['gap_s'], c['repeated_count'], c['continuity'] FROM (\
               SELECT source_id, continuity(start_ns, end_ns, sample_rate_hz, sample_count, \
               TIMESTAMP '2024-02-29', TIMESTAMP '2024-03-01') AS c FROM waveform.segments GROUP BY source_id) \
               ORDER BY source_id";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let found: Vec<_> = batches
        .iter()
        .flat_map(|batch| {
            let long = |column: usize| batch.column(column).as_primitive::<Int64Type>().values().to_vec();
            let double = |column: usize| batch.column(column).as_primitive::<Float64Type>().values().to_vec();
            long(1).into_iter().zip(double(2)).zip(long(3)).zip(double(4)).collect::<Vec<_>>()
        })
        .collect();
    let expected = rows
        .iter()
        .map(|row| (((row.sample_count as i64, row.gap_s), row.repeated_count as i64), row.fraction()));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let none = "SELECT continuity(start_ns, end_ns, sample_rate_hz, sample_count, TIMESTAMP '2030-01-01', \
                TIMESTAMP '2030-01-02') AS c FROM waveform.segments";
    let batches = context.sql(none).await.unwrap().collect().await.unwrap();
    assert_eq!(batches[0].column(0).null_count(), 1, "no sample lies there");
}

fn packets() -> RecordBatch {
    // Source, begin in seconds of the day, latency in seconds (none: replayed), timing quality.
    let rows = [
        (A, 10, Some(0.5), Some(100)),
        (A, 20, Some(1.25), Some(60)),
        (A, 30, None, Some(90)),
        (A, 3_700, Some(3.0), None),
        (B, 50, None, None),
        (A, 90_000, Some(9.0), Some(1)),
    ];
    let start = |second: i64| day().nanos() + second * 1_000_000_000;
    let last = |second: i64| day().micros() + (second + 4) * 1_000_000;
    let arrivals =
        rows.iter().map(|(_, second, latency, _)| latency.map(|s: f64| last(*second) + (s * 1e6) as i64));
    let utc = |times: TimestampMicrosecondArray| Arc::new(times.with_timezone("+00:00")) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        (
            "source_id",
            Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()) as ArrayRef,
            false,
        ),
        ("start_ns", Arc::new(rows.iter().map(|row| Some(start(row.1))).collect::<Int64Array>()), false),
        ("last_sample_time", utc(rows.iter().map(|row| Some(last(row.1))).collect()), false),
        ("arrival_time", utc(arrivals.collect()), true),
        ("timing_quality", Arc::new(rows.iter().map(|row| row.3).collect::<Int32Array>()), true),
    ])
    .unwrap()
}

#[tokio::test]
async fn latency_is_that_of_live_packets_by_hour() {
    let context = context(vec![("packets", vec![packets()])]);
    let rows = latency(&context, day(), None).await.unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.source_id.as_str(), row.start_time, row.packet_count, row.latency_p50_s))
        .collect();
    assert_eq!(found, [(A, day(), 2, 0.875), (A, day().add_seconds(3_600.0), 1, 3.0)]);
    assert!(latency(&context, day(), Some(&BTreeSet::from([B.to_owned()]))).await.unwrap().is_empty());
}

#[tokio::test]
async fn timing_quality_is_that_of_the_records_that_state_one() {
    let context = context(vec![("packets", vec![packets()])]);
    let rows = timing(&context, day(), None).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].packet_count, rows[0].stated_count, rows[0].timing_quality_min), (4, 3, 60));
    assert_eq!(rows[0].timing_quality_p50, 90.0);
}

/// Two pieces of ten minutes each, the second before the first.
fn samples(name: &str, value: impl Fn(usize) -> i32) -> RecordBatch {
    const COUNT: usize = 12_000;
    let lists = [1, 0]
        .map(|piece| Some((0..COUNT).map(|index| Some(value(piece * COUNT + index))).collect::<Vec<_>>()));
    let starts = [1, 0].map(|piece| day().nanos() + piece * 600_000_000_000);
    let ends = starts.map(|start| start + (COUNT as i64 - 1) * 50_000_000);
    RecordBatch::try_from_iter_with_nullable([
        ("source_id", Arc::new(StringArray::from(vec![name; 2])) as ArrayRef, false),
        ("start_ns", Arc::new(Int64Array::from(starts.to_vec())), false),
        ("end_ns", Arc::new(Int64Array::from(ends.to_vec())), false),
        ("sample_rate_hz", Arc::new(Float64Array::from(vec![RATE_HZ; 2])), false),
        ("sample_count", Arc::new(Int64Array::from(vec![COUNT as i64; 2])), false),
        ("samples", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)), true),
        (
            "samples_float",
            Arc::new(ListArray::from_iter_primitive::<Float64Type, Vec<_>, _>([None, None])),
            true,
        ),
    ])
    .unwrap()
}

#[tokio::test]
async fn a_sensor_has_levels_and_ratios() {
    let noise = |seed: usize| move |index: usize| ((index * 7_919 + seed * 31) % 10_007) as i32 - 5_000;
    let tables = vec![
        samples("FDSN:XX_A__H_H_Z", |index| 3 * noise(1)(index)),
        samples("FDSN:XX_A__H_H_N", noise(1)),
        samples("FDSN:XX_A__H_H_E", |_| 17),
        samples("FDSN:XX_A__L_H_Z", noise(2)),
    ];
    let context = context(vec![("segments", tables)]);
    let found = instruments(&context, day(), None).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["FDSN:XX_A__H_H", "FDSN:XX_A__L_H"]);
    let (id, channels) = found.first_key_value().unwrap();
    let made = sensor(&context, day(), id, channels, RatioSettings::default()).await.unwrap();
    let conditions: Vec<Condition> = made.levels.iter().map(|row| row.condition).collect();
    assert_eq!(conditions, [Condition::Dead, Condition::Good, Condition::Good]);
    assert_eq!((made.levels[0].mean, made.levels[0].sample_count), (17.0, 24_000));
    let ratios = made.ratios.unwrap();
    // Vertical is three times north: nine times its energy. East is dead: no divisor.
    assert!((ratios.vertical_north.unwrap() - 9.0).abs() < 1e-9);
    assert_eq!((ratios.north_east, ratios.vertical_east, ratios.window_count), (None, None, 4));
    let wanted = BTreeSet::from(["FDSN:XX_A__L_H_Z".to_owned()]);
    assert_eq!(instruments(&context, day(), Some(&wanted)).await.unwrap().len(), 1);
}
