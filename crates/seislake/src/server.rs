//! The doors of a running engine: binds the addresses, fills the ports of `api`, follows the clock, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seislake_api::door::{self, Connections, Patience, Protocol};
use seislake_api::state::{AsOf, Originals, Pinned, Readiness, Sessions, Snapshots, StationStore};
use seislake_api::{
    ApiError, AppState, FlightSql, HttpLimits, MESSAGE_BYTES_MAX, QueryLimits, QueryRuntime, TextRecord,
    counted_bodies, iceberg_rest, router_with,
};
use seislake_catalog::{Lake, SnapshotSet};
use seislake_model::{Clock, ErrorKind, Inventory, SnapshotId, Timestamp};
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::runtime::Pipeline;
use seislake_streams::topic::Topic;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::ingest::GateIngest;
use crate::interruption::asked_to_stop;
use crate::terminal::tell;
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::engine::Engine;
use seislake_lakehouse::home::Home;
use seislake_lakehouse::settings::Settings;
use seislake_lakehouse::stations::HomeStations;

/// How long the doors may take to close after the signal to stop: longer than requests in progress may take to end.
const DRAIN: Duration = Duration::from_secs(35);

/// The time of day.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// Both servers, listening.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    pub(crate) flight: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds the addresses of the settings and serves `engine`. `metrics` is what `/metrics` shows.
    pub(crate) async fn start(
        engine: &Engine,
        settings: &Settings,
        metrics: PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let (http, http_address) = bind(&settings.http.address, "http.address").await?;
        let (flight, flight_address) = bind(&settings.flight.address, "flight.address").await?;
        let connections = connections(settings);
        let stop = CancellationToken::new();
        let limits = HttpLimits {
            body_bytes_max: usize::try_from(settings.http.body_bytes)?,
            fdsn_samples_max: settings.http.dataselect_samples,
            serve_restricted: settings.http.serve_restricted,
            concurrent_requests_max: usize::try_from(settings.http.concurrency)?,
            request_time_max: Duration::from_secs_f64(settings.query.timeout_s),
            receive_time_max: Duration::from_secs_f64(settings.http.receive_timeout_s),
            waiting_requests_max: usize::try_from(settings.http.waiting)?,
            wait_time_max: Duration::from_secs_f64(settings.http.waiting_s),
            cors_origins: settings.http.cors_origins.clone(),
            ..HttpLimits::default()
        };
        let queries =
            QueryRuntime::start(query_limits(settings)?).context("cannot start the threads of queries")?;
        let state = app_state(engine, metrics, queries.clone());
        let lake = engine.lakehouse.lake();
        let iceberg = iceberg_rest::router(lake.catalog(), lake.client_properties().clone());
        let catalog = axum::Router::new().nest("/iceberg", iceberg);
        let router = router_with(state, limits, catalog);
        let patience = Patience {
            idle: Duration::from_secs_f64(settings.http.idle_timeout_s),
            receive: Duration::from_secs_f64(settings.http.receive_timeout_s),
            send: Duration::from_secs_f64(settings.http.send_timeout_s),
        };
        let http_task = tokio::spawn(door::serve(
            http,
            router,
            Protocol::Http,
            Arc::clone(&connections),
            patience,
            stop.clone(),
        ));
        let service = FlightSql::service(engine.lakehouse.session()?, queries);
        let router = tonic::service::Routes::new(service).prepare().into_axum_router();
        let router = counted_bodies(router, MESSAGE_BYTES_MAX);
        let patience = Patience { send: Duration::from_secs_f64(settings.flight.send_timeout_s), ..patience };
        let flight_task =
            tokio::spawn(door::serve(flight, router, Protocol::Grpc, connections, patience, stop.clone()));
        Ok(Self { http: http_address, flight: flight_address, stop, tasks: vec![http_task, flight_task] })
    }

    /// Stops accepting, lets open requests end, then returns.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            match tokio::time::timeout(DRAIN, task).await {
                Ok(ended) => ended.context("a server task was lost")?,
                Err(_) => {
                    tracing::warn!("requests did not end within {} s and were cut off", DRAIN.as_secs())
                }
            }
        }
        Ok(())
    }
}

/// Registers the recorder of all metrics; once per process.
pub(crate) fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("cannot start the metrics")
}

/// Serves until the operator asks to stop; then stops in order. A pipeline that fails closes the ingest door alone.
pub(crate) async fn serve_until_stopped(
    engine: &Engine,
    server: Server,
    home: &Home,
    settings: &Settings,
) -> anyhow::Result<()> {
    let beside = Beside::start(engine, settings);
    asked_to_stop().await;
    beside.stop().await;
    home.remove_addresses();
    tell(&format!("stopping: open requests have {} s to end", DRAIN.as_secs()));
    server.stop().await?;
    engine.stop().await?;
    engine.close().await;
    Ok(())
}

/// The part of the descriptors that connections may have: one in this many.
const DESCRIPTOR_SHARE: u64 = 2;

/// Places for connections: as the settings say, and never so many that the log and the lake find no descriptors.
fn connections(settings: &Settings) -> Arc<Connections> {
    let asked = settings.http.connections;
    let count = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(descriptors) => u64::from(asked).min(descriptors / DESCRIPTOR_SHARE),
        Err(error) => {
            tracing::info!(%error, "the number of descriptors cannot be read; http.connections is taken as it is");
            u64::from(asked)
        }
    };
    if count < u64::from(asked) {
        tracing::info!(
            count,
            asked,
            "http.connections is lowered to half of the descriptors of this process"
        );
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let of_client = usize::try_from(settings.http.connections_per_client).unwrap_or(usize::MAX);
    Connections::new(count, of_client)
}

async fn bind(address: &str, key: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {key} \"{address}\""))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Limits over all statements, by the settings.
pub(crate) fn query_limits(settings: &Settings) -> anyhow::Result<QueryLimits> {
    Ok(QueryLimits {
        thread_count: usize::try_from(settings.query.thread_count)?,
        concurrency: usize::try_from(settings.query.concurrency)?,
        waiting_max: usize::try_from(settings.query.waiting_count)?,
        row_count_max: settings.query.row_count,
        time_max: Duration::from_secs_f64(settings.query.timeout_s),
        ..QueryLimits::default()
    })
}

fn app_state(engine: &Engine, metrics: PrometheusHandle, queries: QueryRuntime) -> AppState {
    AppState {
        sessions: Arc::new(LakeSessions { lakehouse: engine.lakehouse.clone(), queries: queries.clone() }),
        ingest: Arc::new(GateIngest::of(engine)),
        stations: Arc::new(Stations(Arc::clone(&engine.stations))),
        originals: Arc::new(HomeOriginals {
            lakehouse: engine.lakehouse.clone(),
            raw: Arc::clone(&engine.raw),
        }),
        readiness: Arc::new(EngineReadiness {
            lakehouse: engine.lakehouse.clone(),
            pipeline: Arc::clone(&engine.pipeline),
            queries: queries.clone(),
        }),
        queries: Some(queries),
        clock: Arc::new(SystemClock),
        metrics: Some(metrics),
    }
}

/// What the catalog reports, for a caller who wanted to do `what`.
fn of_catalog(what: &'static str) -> impl Fn(seislake_catalog::Error) -> ApiError {
    move |error| ApiError::of_room(what, &error)
}

/// The same for what has no kind.
fn internal(what: &'static str) -> impl Fn(anyhow::Error) -> ApiError {
    move |error| ApiError::internal(what, &format!("{error:#}"))
}

/// Sessions whose statements run on threads of their own.
#[derive(Debug)]
struct LakeSessions {
    lakehouse: Lakehouse,
    queries: QueryRuntime,
}

/// Original records of a home: from the warehouse where they are kept there, else from the log.
#[derive(Debug)]
struct HomeOriginals {
    lakehouse: Lakehouse,
    raw: Arc<dyn Topic>,
}

#[async_trait]
impl Originals for HomeOriginals {
    async fn original(&self, record: &TextRecord) -> Result<Option<Bytes>, ApiError> {
        if let Some(uri) = &record.object_uri {
            return match self.lakehouse.lake().originals().read(uri).await {
                Ok(record) => Ok(Some(record)),
                // One record that is lost or damaged does not take the others of an answer with it.
                Err(error) if is_lost(error.kind) => {
                    tracing::warn!(uri, %error, "an original record cannot be read");
                    Ok(None)
                }
                Err(error) => Err(internal("read the original record")(error.into())),
            };
        }
        let known = record.topic == WAVEFORMS_RAW && record.partition < self.raw.partitions();
        // Rows of other logs of the same tables name offsets that this log does not have.
        let end = |partition| {
            self.raw.end_offset(partition).map_err(|error| internal("read the original record")(error.into()))
        };
        if !known || record.offset >= end(record.partition)? {
            return Ok(None);
        }
        let read = self.raw.read(record.partition, record.offset, ORIGINAL_BYTES, Duration::ZERO).await;
        let found =
            read.map_err(|error| internal("read the original record")(error.into()))?.into_iter().next();
        let same = |bytes: &Bytes| {
            seislake_mseed::Record::parse(bytes)
                .is_ok_and(|parsed| parsed.source_id() == record.source_id.as_str())
        };
        Ok(found.map(|found| found.value).filter(same))
    }
}

/// Whether a record will not be there when it is asked for again.
fn is_lost(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Invalid)
}

/// Bytes asked of the log for one record: the record comes whole.
const ORIGINAL_BYTES: usize = 1 << 10;

#[derive(Debug)]
struct LakeSnapshots {
    lake: Lake,
    set: SnapshotSet,
}

impl Snapshots for LakeSnapshots {
    fn id(&self, table: &str) -> Option<SnapshotId> {
        self.set.snapshot_id(table)
    }

    fn keep(&self) {
        self.lake.keep(&self.set);
    }
}

#[async_trait]
impl Sessions for LakeSessions {
    async fn pin(&self, as_of: AsOf) -> Result<Pinned, ApiError> {
        let as_of = match as_of {
            AsOf::Latest => seislake_catalog::AsOf::Latest,
            AsOf::Time(time) => seislake_catalog::AsOf::Time(time),
            AsOf::Snapshot(id) => seislake_catalog::AsOf::Snapshot(id),
        };
        let lake = self.lakehouse.lake().clone();
        let set = lake.pin(as_of).await.map_err(of_catalog("read the snapshots"))?;
        let session = self.lakehouse.session_at(set.clone()).map_err(internal("open a session"))?;
        let context = self.queries.attach(&session);
        Ok(Pinned { context, snapshots: Arc::new(LakeSnapshots { lake, set }) })
    }

    async fn committed_at(&self, id: SnapshotId) -> Result<Option<Timestamp>, ApiError> {
        let found =
            self.lakehouse.lake().find_snapshot(id).await.map_err(of_catalog("read the snapshots"))?;
        Ok(found.map(|found| found.committed_at))
    }
}

#[derive(Debug)]
struct Stations(Arc<HomeStations>);

#[async_trait]
impl StationStore for Stations {
    async fn upsert(&self, inventory: Inventory) -> Result<(), ApiError> {
        self.0.add(inventory).await.map_err(of_catalog("write the stations"))
    }

    fn current(&self) -> Arc<Inventory> {
        self.0.current()
    }
}

#[derive(Debug)]
struct EngineReadiness {
    lakehouse: Lakehouse,
    pipeline: Arc<Pipeline>,
    queries: QueryRuntime,
}

/// Where the operator finds what a probe does not tell everybody.
const SEE_CHECK: &str = "`seislake home check` and the log of the server name the files";

/// A stage further behind than this is not ready.
const LAG_RECORDS_MAX: u64 = 1_000_000;

#[async_trait]
impl Readiness for EngineReadiness {
    async fn check(&self) -> Vec<(String, Result<(), String>)> {
        let lake = self.lakehouse.lake();
        let catalog = match lake.hidden().await {
            Ok(hidden) => match hidden.first_key_value() {
                None => lake.tables().await.map(drop).map_err(|error| error.to_string()),
                Some((table, what)) => Err(format!(
                    "it is older than the files of {} tables, \"{table}\" for one, and hides {what} ({SEE_CHECK})",
                    hidden.len()
                )),
            },
            Err(error) => Err(error.to_string()),
        };
        let lags = self.pipeline.lags();
        let pipeline = match (self.pipeline.failing(), lags) {
            (Some(reason), _) => Err(reason),
            (None, Ok(lags)) => match lags
                .iter()
                .find(|lag| lag.end.saturating_sub(lag.next) > LAG_RECORDS_MAX)
            {
                Some(lag) => Err(format!("stage \"{}\" is {} records behind", lag.stage, lag.end - lag.next)),
                None => Ok(()),
            },
            (None, Err(error)) => Err(error.to_string()),
        };
        let damages = lake.damages().await;
        let warehouse = match damages.first_key_value() {
            None => Ok(()),
            Some((file, what)) => {
                let table = file.split('/').take(2).collect::<Vec<_>>().join(".");
                Err(format!(
                    "{} files cannot be used, one of \"{table}\" first: {what} ({SEE_CHECK})",
                    damages.len()
                ))
            }
        };
        let exhausted = self.queries.held_threads().into_iter().find(|held| held.exhausted);
        let queries = exhausted.map_or(Ok(()), |held| {
            Err(format!(
                "no \"{}\" statement can run: {} threads are held by statements that cannot be stopped (restart the server)",
                held.name, held.count
            ))
        });
        vec![
            ("catalog".into(), catalog),
            ("pipeline".into(), pipeline),
            ("warehouse".into(), warehouse),
            ("queries".into(), queries),
        ]
    }

    fn notes(&self) -> Vec<(String, String)> {
        let held: usize = self.queries.held_threads().iter().map(|held| held.count).sum();
        let note =
            || format!("{held} threads were replaced: statements that cannot be stopped go on in them");
        (held > 0).then(|| ("queries".into(), note())).into_iter().collect()
    }
}
