//! Tests of the lake as a whole, on temporary warehouses.

mod damage;
mod hidden;
mod leases;
mod maintain;
mod open;
mod past;
mod read;
mod upkeep;
mod write;

use std::path::Path;

use seislake_model::{
    DeadLetter, Event, EventStatus, Offsets, Onset, Packet, Phase, Pick, Polarity, Provenance,
    RecordPosition, Samples, Segment, SourceId, Station, Timestamp,
};
use seislake_tables::{TableBatch, TableRow};

use crate::{Lake, LakeSettings};

const DAY_NS: i64 = 86_400_000_000_000;
const TOPIC: &str = "waveforms.raw";

fn settings(home: &Path) -> LakeSettings {
    LakeSettings::new(home.join("warehouse").display().to_string(), home.join("catalog.db"))
}

async fn lake(home: &Path) -> Lake {
    Lake::open(settings(home)).await.unwrap()
}

fn covered(partition: u32, next: u64) -> Offsets {
    let mut offsets = Offsets::default();
    offsets.set(TOPIC, partition, next);
    offsets
}

fn position(offset: u64) -> RecordPosition {
    RecordPosition { topic: TOPIC.into(), partition: 0, offset }
}

/// One pick a minute from 2024-02-28 on, over stations S0 to S6.
fn picks(indices: std::ops::Range<i64>) -> Vec<Pick> {
    let begin: Timestamp = "2024-02-28T00:00:00Z".parse().unwrap();
    indices
        .map(|index| {
            let source_id = SourceId::from_nslc("XX", &format!("S{}", index % 7), "", "HHZ");
            let pick_time = begin.add_nanos(index * 60_000_000_000 + 123);
            Pick {
                pick_id: Pick::id_of(&source_id, pick_time, Phase::P, "test"),
                source_id,
                pick_time,
                time_uncertainty_s: 0.05,
                phase: if index % 3 == 0 { Phase::S } else { Phase::P },
                polarity: Polarity::Undecidable,
                onset: Onset::Emergent,
                snr: if index % 100 == 99 { f64::NAN } else { index as f64 / 10.0 },
                provenance: Provenance::automatic("test", "1", None),
            }
        })
        .collect()
}

fn packet(offset: u64) -> Packet {
    let start_time = Timestamp::from_nanos(offset as i64 * DAY_NS / 4);
    Packet {
        source_id: SourceId::from_nslc("XX", "S1", "00", "HHZ"),
        start_time,
        last_sample_time: start_time.add_seconds(3.99),
        arrival_time: offset.is_multiple_of(2).then(|| start_time.add_seconds(10.0)),
        sample_count: 400,
        expected_count: 400,
        sample_rate_hz: 100.0,
        encoding: "steim2".into(),
        quality: "D".into(),
        timing_quality: None,
        byte_count: 512,
        sha256: [offset as u8; 32],
        object_uri: None,
        position: position(offset),
    }
}

fn segment(offset: u64, samples: Samples) -> Segment {
    let start_time = Timestamp::from_nanos(offset as i64 * 1_000_000_001);
    Segment {
        source_id: SourceId::from_nslc("XX", &format!("S{}", offset % 3), "", "HHZ"),
        start_time,
        end_time: start_time.add_seconds((samples.len() as f64 - 1.0) / 100.0),
        sample_rate_hz: 100.0,
        encoding: "steim2".into(),
        quality: "D".into(),
        samples,
        position: position(offset),
    }
}

fn event(event_id: &str, revision: u32, status: EventStatus, magnitude: Option<f64>) -> Event {
    Event {
        event_id: event_id.into(),
        revision,
        status,
        preferred_origin_id: format!("origin/{event_id}").into(),
        preferred_magnitude_id: magnitude.map(|_| format!("magnitude/{event_id}").into()),
        origin_time: "2024-02-29T23:59:59.999999Z".parse().unwrap(),
        latitude: 64.5,
        longitude: -17.5,
        depth_km: 5.0,
        magnitude,
        magnitude_type: magnitude.map(|_| "ML".into()),
        merged_into: None,
        provenance: Provenance::default(),
    }
}

fn station(code: &str) -> Station {
    Station {
        network: "XX".into(),
        station: code.into(),
        latitude: 1.0,
        longitude: 2.0,
        elevation_m: 3.0,
        site_name: None,
        start_time: None,
        end_time: None,
        original: None,
        network_original: None,
    }
}

fn dead_letter(offset: u64) -> DeadLetter {
    DeadLetter {
        position: position(offset),
        index: 0,
        stage: "archive".into(),
        reason: "no miniSEED".into(),
        origin: Some("a.mseed".into()),
        record: vec![0, 255, 1],
    }
}

/// Rows on their way to their table.
fn table_rows<R: TableRow>(rows: Vec<R>) -> TableBatch {
    TableBatch::of(rows).unwrap()
}

async fn append(lake: &Lake, rows: TableBatch, offsets: &Offsets) {
    let mut sink = lake.sink(&rows.table.full_name()).await.unwrap();
    sink.write(rows).await.unwrap();
    sink.commit(offsets).await.unwrap();
}

/// Rows of a statement as text, sorted; the lake is the default catalog.
async fn rows_of(context: &datafusion::prelude::SessionContext, sql: &str) -> Vec<String> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let cells = |line: &str| line.split('|').map(str::trim).collect::<Vec<_>>().join("|");
    let mut lines: Vec<String> = text.lines().filter(|line| line.starts_with('|')).map(cells).collect();
    if !lines.is_empty() {
        lines[1..].sort();
    }
    lines
}

fn session(lake: &Lake) -> datafusion::prelude::SessionContext {
    use datafusion::prelude::{SessionConfig, SessionContext};
    let config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("seislake", "bulletin")
        .with_target_partitions(3);
    let context = SessionContext::new_with_config(config);
    context.register_catalog("seislake", lake.provider());
    context
}

async fn count(lake: &Lake, table: &str) -> usize {
    let batches =
        session(lake).sql(&format!("SELECT * FROM {table}")).await.unwrap().collect().await.unwrap();
    batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

fn parquet_files(home: &Path) -> usize {
    fn walk(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.path() {
                path if path.is_dir() => walk(&path),
                path => usize::from(path.extension().is_some_and(|extension| extension == "parquet")),
            })
            .sum()
    }
    walk(home)
}
