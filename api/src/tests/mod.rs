//! The doors in process, over a real lake in a temporary directory that was filled through its sinks.

mod availability;
mod corpus;
mod dataselect;
mod fdsn;
mod graphql;
mod guards;
mod http;
mod iceberg_rest;
mod places;
mod round_trip;
mod snapshots;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use seislake_catalog::{Lake, LakeSettings};
use seislake_model::{
    Amplitude, Arrival, Channel, Clock, Event, EventStatus, Inventory, Magnitude, Onset, Origin, Phase, Pick,
    Polarity, Provenance, RecordPosition, Samples, Segment, SnapshotId, SourceId, Station, Timestamp,
};
use seislake_mseed::{ScanItem, Scanner};
use seislake_query::SessionSettings;
use seislake_tables::{TableBatch, TableRow};
use serde_json::Value;
use tower::ServiceExt;

use crate::state::{
    AsOf, Ingest, IngestReport, IngestRequest, Originals, Pinned, Readiness, RefusedRecord, Sessions,
    Snapshots, StationStore,
};
use crate::{ApiError, AppState, ErrorCode, HttpLimits, router};

/// A house with one room: the lake.
pub(crate) struct House {
    pub(crate) lake: Lake,
    pub(crate) state: AppState,
    _directory: tempfile::TempDir,
}

#[derive(Debug)]
struct LakeSessions(Lake);

/// Rows on their way to their table.
pub(crate) fn table_rows<R: TableRow>(rows: Vec<R>) -> TableBatch {
    TableBatch::of(rows).unwrap()
}

#[derive(Debug)]
struct LakeSnapshots(Lake, seislake_catalog::SnapshotSet);

impl Snapshots for LakeSnapshots {
    fn id(&self, table: &str) -> Option<SnapshotId> {
        self.1.snapshot_id(table)
    }

    fn keep(&self) {
        self.0.keep(&self.1);
    }
}

#[async_trait]
impl Sessions for LakeSessions {
    async fn pin(&self, as_of: AsOf) -> Result<Pinned, ApiError> {
        let set = self.0.pin(as_of).await.map_err(|error| ApiError::of_room("read the snapshots", &error))?;
        let context = seislake_query::session(self.0.provider_at(set.clone()), &SessionSettings::default())
            .map_err(|error| ApiError::internal("open a session", &error))?;
        Ok(Pinned { context, snapshots: Arc::new(LakeSnapshots(self.0.clone(), set)) })
    }

    async fn committed_at(&self, id: SnapshotId) -> Result<Option<Timestamp>, ApiError> {
        let found = self
            .0
            .find_snapshot(id)
            .await
            .map_err(|error| ApiError::of_room("read the snapshots", &error))?;
        Ok(found.map(|found| found.committed_at))
    }
}

/// Takes each record once.
#[derive(Debug, Default)]
struct Records(Mutex<HashSet<Vec<u8>>>);

#[async_trait]
impl Ingest for Records {
    async fn ingest(&self, request: IngestRequest) -> Result<IngestReport, ApiError> {
        let mut report = IngestReport::default();
        let mut held = self.0.lock().unwrap();
        for scanned in Scanner::new(&request.body) {
            match scanned {
                ScanItem::Record { record, .. } if held.insert(record.bytes().to_vec()) => {
                    report.accepted_count += 1;
                    report.sample_count += u64::from(record.sample_count);
                }
                ScanItem::Record { .. } => report.duplicate_count += 1,
                ScanItem::Problem { offset, length, reason } => report.dead_letters.push(RefusedRecord {
                    index: report.accepted_count + report.duplicate_count + report.dead_letters.len(),
                    byte_offset: offset,
                    byte_count: length,
                    reason: reason.to_string(),
                }),
                ScanItem::ControlHeaders { .. } => {}
            }
        }
        Ok(report)
    }
}

#[derive(Debug)]
struct Stations(RwLock<Arc<Inventory>>);

#[async_trait]
impl StationStore for Stations {
    async fn upsert(&self, inventory: Inventory) -> Result<(), ApiError> {
        let mut all = (*self.current()).clone();
        all.merge(inventory);
        *self.0.write().unwrap() = Arc::new(all);
        Ok(())
    }

    fn current(&self) -> Arc<Inventory> {
        Arc::clone(&self.0.read().unwrap())
    }
}

#[derive(Debug)]
struct NoOriginals;

#[async_trait]
impl Originals for NoOriginals {
    async fn original(&self, _: &crate::TextRecord) -> Result<Option<Bytes>, ApiError> {
        Ok(None)
    }
}

#[derive(Debug)]
struct Parts;

#[async_trait]
impl Readiness for Parts {
    async fn check(&self) -> Vec<(String, Result<(), String>)> {
        vec![("catalog".into(), Ok(())), ("pipeline".into(), Err("it stands still".into()))]
    }
}

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        time("2026-01-02T03:04:05Z")
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn position(offset: u64) -> RecordPosition {
    RecordPosition { topic: "waveforms.raw".into(), partition: 0, offset }
}

fn channel(station: &str) -> SourceId {
    SourceId::from_nslc("XX", station, "", "HHZ")
}

/// Event `number` of the fixture: the later, the further north and the larger; the last one without magnitude.
pub(crate) fn event(number: u32) -> Event {
    let origin_time = time("2014-08-24T00:00:00.123456789Z").add_seconds(f64::from(number) * 60.0);
    Event {
        event_id: format!("event/{number}").into(),
        revision: 1,
        status: EventStatus::Closed,
        preferred_origin_id: format!("origin/{number}").into(),
        preferred_magnitude_id: None,
        origin_time,
        latitude: 64.0 + f64::from(number),
        longitude: -17.0,
        depth_km: 5.0,
        magnitude: None,
        magnitude_type: None,
        merged_into: None,
        provenance: Provenance::default(),
    }
}

pub(crate) fn with_magnitude(event: &Event, magnitude: f64) -> Event {
    Event {
        revision: event.revision + 1,
        preferred_magnitude_id: Some(event.event_id.replace("event", "magnitude").into()),
        magnitude: Some(magnitude),
        magnitude_type: Some("ML".into()),
        ..event.clone()
    }
}

fn origin(event: &Event) -> Origin {
    Origin {
        origin_id: event.preferred_origin_id.clone(),
        event_id: event.event_id.clone(),
        origin_time: event.origin_time,
        time_uncertainty_s: 0.05,
        latitude: event.latitude,
        longitude: event.longitude,
        depth_km: event.depth_km,
        covariance_km2: [0.25, 0.0, 0.0, 0.16, 0.0, 1.0],
        ellipse_major_km: 0.5,
        ellipse_minor_km: 0.4,
        ellipse_azimuth: 90.0,
        depth_uncertainty_km: 1.0,
        rms_s: 0.1,
        azimuthal_gap: 80.0,
        nearest_station_km: 4.0,
        used_phase_count: 8,
        used_station_count: 5,
        provenance: Provenance::automatic("octree-edt", "1", None),
        earth_model: "iasp91".into(),
    }
}

fn picks_and_arrivals(event: &Event) -> (Vec<Pick>, Vec<Arrival>) {
    let one = |index: u32| {
        let (source_id, phase) =
            (channel(&format!("S{index}")), if index == 2 { Phase::S } else { Phase::P });
        let pick_time = event.origin_time.add_seconds(1.0 + f64::from(index));
        let pick = Pick {
            pick_id: format!("pick/{}-{index}", event.event_id).into(),
            source_id: source_id.clone(),
            pick_time,
            time_uncertainty_s: 0.02,
            phase,
            polarity: Polarity::Positive,
            onset: Onset::Impulsive,
            snr: 20.0,
            provenance: Provenance::automatic("filter_picker+aic", "1", None),
        };
        let arrival = Arrival {
            arrival_id: format!("arrival/{}-{index}", event.event_id).into(),
            origin_id: event.preferred_origin_id.clone(),
            event_id: event.event_id.clone(),
            pick_id: pick.pick_id.clone(),
            source_id,
            pick_time,
            phase,
            distance_km: 5.0 * f64::from(index + 1),
            azimuth: 30.0,
            residual_s: 0.01,
            weight: 1.0,
            time_uncertainty_s: Some(pick.time_uncertainty_s),
            polarity: Some(pick.polarity),
            onset: Some(pick.onset),
            pick_method: Some(pick.provenance.method.clone()),
            pick_method_version: Some(pick.provenance.method_version.clone()),
        };
        (pick, arrival)
    };
    (0..3).map(one).unzip()
}

fn magnitude(event: &Event) -> Option<Magnitude> {
    Some(Magnitude {
        magnitude_id: event.preferred_magnitude_id.clone()?,
        event_id: event.event_id.clone(),
        origin_id: event.preferred_origin_id.clone(),
        magnitude_type: "ML".into(),
        magnitude: event.magnitude?,
        uncertainty: Some(0.2),
        station_count: 5,
        provenance: Provenance::automatic("hutton-boore-1987", "1", None),
    })
}

fn amplitude(event: &Event) -> Amplitude {
    Amplitude {
        amplitude_id: event.event_id.replace("event", "amplitude").into(),
        event_id: event.event_id.clone(),
        origin_id: event.preferred_origin_id.clone(),
        source_id: SourceId::from_nslc("XX", "S0", "", "HHN"),
        amplitude_mm: 1.5,
        amplitude_time: event.origin_time.add_seconds(5.0),
        hypocentral_distance_km: 9.0,
        station_magnitude: 1.1,
    }
}

fn segment(index: i32) -> Segment {
    let start_time = time("2014-08-24T00:00:00Z").add_seconds(f64::from(index) * 10.0);
    Segment {
        source_id: channel("S0"),
        start_time,
        end_time: start_time.add_seconds(0.99),
        sample_rate_hz: 100.0,
        encoding: "steim2".into(),
        quality: "D".into(),
        samples: Samples::Int32((0..100).map(|sample| sample * index).collect()),
        position: position(index as u64),
    }
}

fn inventory() -> Inventory {
    let station = |index: u32| Station {
        network: "XX".into(),
        station: format!("S{index}"),
        latitude: 64.0 + f64::from(index),
        longitude: -17.0,
        elevation_m: 500.0,
        site_name: Some(format!("Site {index}")),
        start_time: Some(time("2010-01-01")),
        end_time: None,
        original: None,
        network_original: None,
    };
    let channel = Channel {
        source_id: channel("S0"),
        latitude: 64.0,
        longitude: -17.0,
        elevation_m: 500.0,
        depth_m: 2.0,
        azimuth: Some(0.0),
        dip: Some(-90.0),
        sample_rate_hz: Some(100.0),
        sensor: None,
        start_time: Some(time("2010-01-01")),
        end_time: None,
        response: None,
        original: None,
        response_original: None,
    };
    Inventory { stations: (0..3).map(station).collect(), channels: vec![channel] }
}

impl House {
    /// An empty lake.
    pub(crate) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let warehouse = directory.path().join("warehouse").display().to_string();
        let lake =
            Lake::open(LakeSettings::new(warehouse, directory.path().join("catalog.db"))).await.unwrap();
        let state = AppState {
            sessions: Arc::new(LakeSessions(lake.clone())),
            ingest: Arc::new(Records::default()),
            stations: Arc::new(Stations(RwLock::new(Arc::new(inventory())))),
            originals: Arc::new(NoOriginals),
            readiness: Arc::new(Parts),
            queries: None,
            clock: Arc::new(Fixed),
            metrics: None,
        };
        Self { lake, state, _directory: directory }
    }

    /// Four events; the fourth is withdrawn, the third has no magnitude, the others have revision 2 with one.
    pub(crate) async fn furnished() -> Self {
        let house = Self::empty().await;
        let events: Vec<Event> = (0..4).map(event).collect();
        let (mut picks, mut arrivals) = (Vec::new(), Vec::new());
        for event in &events[..3] {
            let (more_picks, more_arrivals) = picks_and_arrivals(event);
            picks.extend(more_picks);
            arrivals.extend(more_arrivals);
        }
        house.write(table_rows(picks)).await;
        house.write(table_rows(arrivals)).await;
        house.write(table_rows(events.iter().map(origin).collect())).await;
        let withdrawn = Event { revision: 2, status: EventStatus::Deleted, ..events[3].clone() };
        let revised = [with_magnitude(&events[0], 1.5), with_magnitude(&events[1], 2.5), withdrawn];
        house.write(table_rows(revised.iter().filter_map(magnitude).collect())).await;
        house.write(table_rows(events.iter().map(amplitude).collect())).await;
        house.write(table_rows(events.into_iter().chain(revised).collect())).await;
        house.write(table_rows((1..4).map(segment).collect())).await;
        house
    }

    /// Rows through the sink of their table.
    pub(crate) async fn write(&self, rows: TableBatch) {
        let mut sink = self.lake.sink(&rows.table.full_name()).await.unwrap();
        let mut covered = sink.committed().await.unwrap();
        let next = covered.get("test", 0) + 1;
        covered.set("test", 0, next);
        sink.write(rows).await.unwrap();
        sink.commit(&covered).await.unwrap();
    }

    pub(crate) fn router(&self) -> Router {
        router(self.state.clone(), HttpLimits { body_bytes_max: 1 << 16, ..HttpLimits::default() })
    }

    /// Status and text of a GET.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Status and JSON of a GET.
    pub(crate) async fn get_json(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.get(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}")))
    }

    /// Status and text of a POST.
    pub(crate) async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> (StatusCode, String) {
        let request = Request::post(path).header("content-type", media_type);
        self.send(request.body(Body::from(body.into())).unwrap()).await
    }

    /// Status, headers and bytes of a GET.
    pub(crate) async fn get_bytes(&self, path: &str) -> (StatusCode, HeaderMap, Bytes) {
        self.send_bytes(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send_bytes(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.router().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        text_of(self.router().oneshot(request).await.unwrap()).await
    }
}

pub(crate) async fn text_of(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

/// The code of an error body.
pub(crate) fn code_in(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    body["error"]["code"].as_str().unwrap_or("").to_owned()
}

/// What a code looks like to clients.
pub(crate) fn word(code: ErrorCode) -> &'static str {
    code.as_str()
}
