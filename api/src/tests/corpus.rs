//! The 21 requests and answers of a SeisComP server, over the same events, stations, spans and records.
//!
//! ```text
//! its data base ─ rows, StationXML ─┐
//! its archive ─ records ────────────┴─► our lake ─ the same request ─► our answer ═══ its answer
//! ```
//! Where the answers differ, and must, the test beside says so.

mod availability;
mod database;
mod elements;
mod events;
mod stationxml;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use seislake_model::{Samples, Segment, Timestamp};
use seislake_mseed::{ScanItem, Scanner, TraceList, TraceSegment};

use self::database::{Database, Status};
use super::{House, position, table_rows};

pub(super) fn corpus() -> Option<PathBuf> {
    Some(seislake_recordings::folder()?.join("fdsnws/seiscomp"))
}

/// Path and query of each request to `service`, and its answer.
pub(super) fn exchanges(root: &Path, service: &str) -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read_to_string(root.join("requests.tsv")).unwrap();
    let mut found = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[0] == service {
            found.push((fields[2].to_owned(), std::fs::read(root.join(fields[4])).unwrap()));
        }
    }
    found
}

/// Lines of text in order, numbers and times by their value.
fn lines(text: &str) -> Vec<Vec<String>> {
    let field = |field: &str| {
        let field = field.trim();
        let number = field.parse::<f64>().ok().map(|number| number.to_string());
        let time = || Some(field.parse::<Timestamp>().ok()?.to_string());
        number.or_else(time).unwrap_or_else(|| field.to_owned())
    };
    let mut lines: Vec<Vec<String>> =
        text.lines().skip(1).map(|line| line.split('|').map(field).collect()).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn stations_are_those_that_another_server_answers() {
    let Some(root) = corpus() else { return };
    let house = House::empty().await;
    let exchanges = exchanges(&root, "station");
    house.state.stations.upsert(Database::open(&root).await.inventory(Status::AsStored).await).await.unwrap();
    let mut compared = 0;
    for (request, expected) in exchanges.iter().filter(|(request, _)| request.contains("format=text")) {
        let (status, text) = house.get(&format!("{request}&net=AM,DK")).await;
        assert_eq!(status, StatusCode::OK, "{request}: {text}");
        assert_eq!(lines(&text), lines(std::str::from_utf8(expected).unwrap()), "{request}");
        compared += 1;
    }
    assert_eq!(compared, 3, "requests for text");
}

fn traces(bytes: &[u8]) -> Vec<TraceSegment> {
    let mut list = TraceList::new();
    for scanned in Scanner::new(bytes) {
        if let ScanItem::Record { record, .. } = scanned {
            list.add(&record, &record.decode().unwrap().samples);
        }
    }
    list.into_segments()
}

/// Channel, start, rate and samples of each trace. The other server answers with whole records, ours cuts them: what
/// lies outside of `window` is left out.
fn samples(bytes: &[u8], window: &RangeInclusive<i64>) -> Vec<(String, i64, f64, Vec<i32>)> {
    let cut = |trace: TraceSegment| {
        let seislake_mseed::Samples::Int32(samples) = trace.samples else { panic!("counts") };
        let time_of = |index: usize| trace.start_ns + (index as f64 * 1e9 / trace.rate_hz).round() as i64;
        let inside: Vec<usize> =
            (0..samples.len()).filter(|index| window.contains(&time_of(*index))).collect();
        let start_ns = time_of(*inside.first()?);
        let samples = inside.iter().map(|index| samples[*index]).collect();
        Some((trace.source_id, start_ns, trace.rate_hz, samples))
    };
    traces(bytes).into_iter().filter_map(cut).collect()
}

/// The window of a request.
fn window(request: &str) -> RangeInclusive<i64> {
    let time = |name: &str| {
        let (_, rest) = request.split_once(name)?;
        let text = rest.split('&').next()?;
        Some(text.parse::<Timestamp>().unwrap().nanos())
    };
    time("starttime=").unwrap_or(i64::MIN)..=time("endtime=").unwrap_or(i64::MAX)
}

/// Files below `folder`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The traces of the archive as rows.
fn segments(root: &Path) -> Vec<Segment> {
    let mut paths = Vec::new();
    files(&root.join("sds"), &mut paths);
    paths.sort();
    let bytes: Vec<u8> = paths.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let row = |(offset, trace): (usize, TraceSegment)| Segment {
        source_id: trace.source_id.parse().unwrap(),
        start_time: Timestamp::from_nanos(trace.start_ns),
        end_time: Timestamp::from_nanos(trace.end_ns),
        sample_rate_hz: trace.rate_hz,
        encoding: trace.encoding.as_str().to_owned(),
        quality: "D".to_owned(),
        samples: match trace.samples {
            seislake_mseed::Samples::Int32(samples) => Samples::Int32(samples),
            other => panic!("{other:?}"),
        },
        position: position(offset as u64),
    };
    traces(&bytes).into_iter().enumerate().map(row).collect()
}

#[tokio::test]
async fn records_are_those_that_another_server_answers() {
    let Some(root) = corpus() else { return };
    let house = House::empty().await;
    house.write(table_rows(segments(&root))).await;
    // The stations of the archive are open in the first of their epochs, when it was recorded, or closed throughout.
    house.state.stations.upsert(Database::open(&root).await.inventory(Status::AsStored).await).await.unwrap();
    let exchanges = exchanges(&root, "dataselect");
    for (request, expected) in &exchanges {
        let (status, _, body) = house.get_bytes(request).await;
        assert_eq!(status, StatusCode::OK, "{request}");
        let all = i64::MIN..=i64::MAX;
        assert_eq!(samples(&body, &all), samples(expected, &window(request)), "{request}");
    }
    assert_eq!(exchanges.len(), 2, "requests for records");
}

#[tokio::test]
async fn records_of_a_closed_station_are_kept_back() {
    let Some(root) = corpus() else { return };
    let house = House::empty().await;
    house.write(table_rows(segments(&root))).await;
    let request = "/fdsnws/dataselect/1/query?net=AM&sta=R0F05";
    assert_eq!(house.get_bytes(request).await.0, StatusCode::OK, "nobody says that it is closed");
    house.state.stations.upsert(Database::open(&root).await.inventory(Status::AsStored).await).await.unwrap();
    assert_eq!(house.get_bytes(request).await.0, StatusCode::NO_CONTENT);
}
