//! The doors of a running engine: binds the addresses, fills the ports of `api`, follows the clock, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::prelude::SessionContext;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seislake_api::state::{AsOf, Originals, Readiness, Sessions, StationStore};
use seislake_api::{
    ApiError, AppState, ErrorCode, FlightSql, HttpLimits, TextRecord, iceberg_rest, router_with,
};
use seislake_model::{Clock, Inventory, SnapshotId, Timestamp};
use seislake_streams::runtime::Pipeline;
use seislake_streams::stages::InventoryHandle;
use seislake_streams::topic::Topic;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::engine::Engine;
use crate::home::Home;
use crate::ingest::GateIngest;
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;

/// How long open requests may take to end after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

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
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
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
        let stop = CancellationToken::new();
        let limits = HttpLimits {
            body_bytes_max: usize::try_from(settings.http.body_bytes)?,
            fdsn_samples_max: settings.http.dataselect_samples,
            serve_restricted: settings.http.serve_restricted,
            concurrent_requests_max: usize::try_from(settings.http.concurrency)?,
            request_time_max: Duration::from_secs_f64(settings.query.timeout_s),
            ..HttpLimits::default()
        };
        let state = app_state(engine, metrics);
        let lake = engine.lakehouse.lake();
        let iceberg = iceberg_rest::router(lake.catalog(), lake.client_properties().clone());
        let catalog = axum::Router::new().nest("/iceberg", iceberg);
        let router = router_with(state, limits, catalog);
        let stopped = stop.clone();
        let http_task = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let server = axum::serve(http, service).with_graceful_shutdown(stopped.cancelled_owned());
            server.await.context("the HTTP server failed")
        });
        let service = FlightSql::service(engine.lakehouse.session()?);
        let stopped = stop.clone();
        let flight_task = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(
                    tonic::transport::server::TcpIncoming::from(flight),
                    stopped.cancelled_owned(),
                )
                .await
                .context("the Flight SQL server failed")
        });
        Ok(Self { http: http_address, flight: flight_address, stop, tasks: vec![http_task, flight_task] })
    }

    /// Stops accepting, lets open requests end, then returns.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            match tokio::time::timeout(DRAIN, task).await {
                Ok(ended) => ended.context("a server task was lost")??,
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

/// Resolves when the operator asks the process to end.
pub(crate) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await.map_or((), drop),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
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
    server.stop().await?;
    engine.stop().await
}

async fn bind(address: &str, key: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {key} \"{address}\""))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn app_state(engine: &Engine, metrics: PrometheusHandle) -> AppState {
    AppState {
        sessions: Arc::new(LakeSessions(engine.lakehouse.clone())),
        ingest: Arc::new(GateIngest::of(engine)),
        stations: Arc::new(LakeStations {
            lakehouse: engine.lakehouse.clone(),
            current: engine.inventory.clone(),
        }),
        originals: Arc::new(HomeOriginals {
            lakehouse: engine.lakehouse.clone(),
            raw: Arc::clone(&engine.raw),
        }),
        readiness: Arc::new(EngineReadiness {
            lakehouse: engine.lakehouse.clone(),
            pipeline: Arc::clone(&engine.pipeline),
        }),
        clock: Arc::new(SystemClock),
        metrics: Some(metrics),
    }
}

fn internal(error: &anyhow::Error) -> ApiError {
    tracing::error!(error = format!("{error:#}"), "a request failed");
    ApiError::new(ErrorCode::Internal, format!("{error:#}"))
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
            let read = self.lakehouse.lake().originals().read(uri).await;
            return read.map(Some).map_err(|error| internal(&error.into()));
        }
        let known = record.partition < self.raw.partitions();
        // Rows of other logs of the same tables name offsets that this log does not have.
        let end = |partition| self.raw.end_offset(partition).map_err(|error| internal(&error.into()));
        if !known || record.offset >= end(record.partition)? {
            return Ok(None);
        }
        let read = self.raw.read(record.partition, record.offset, ORIGINAL_BYTES, Duration::ZERO).await;
        let found = read.map_err(|error| internal(&error.into()))?.into_iter().next();
        let same = |bytes: &Bytes| {
            seislake_mseed::Record::parse(bytes)
                .is_ok_and(|parsed| parsed.source_id() == record.source_id.as_str())
        };
        Ok(found.map(|found| found.value).filter(same))
    }
}

/// Bytes asked of the log for one record: the record comes whole.
const ORIGINAL_BYTES: usize = 1 << 10;

#[derive(Debug)]
struct LakeSessions(Lakehouse);

#[async_trait]
impl Sessions for LakeSessions {
    async fn session(&self, as_of: AsOf) -> Result<SessionContext, ApiError> {
        let as_of = match as_of {
            AsOf::Latest => seislake_catalog::AsOf::Latest,
            AsOf::Time(time) => seislake_catalog::AsOf::Time(time),
            AsOf::Snapshot(id) => {
                let found = self.0.lake().find_snapshot(id).await.map_err(|error| internal(&error.into()))?;
                let found = found.ok_or_else(|| {
                    ApiError::new(ErrorCode::NotFound, format!("no table has a snapshot {id} (any more)"))
                })?;
                // The newest snapshot of its table: the others are read at their newest too.
                if found.current {
                    seislake_catalog::AsOf::Latest
                } else {
                    seislake_catalog::AsOf::Time(found.committed_at)
                }
            }
        };
        self.0.session_as_of(as_of).map_err(|error| internal(&error))
    }

    async fn snapshot_id(&self, table: &str, as_of: AsOf) -> Result<Option<SnapshotId>, ApiError> {
        let as_of = match as_of {
            AsOf::Latest => seislake_catalog::AsOf::Latest,
            AsOf::Time(time) => seislake_catalog::AsOf::Time(time),
            AsOf::Snapshot(id) => seislake_catalog::AsOf::Snapshot(id),
        };
        self.0.lake().snapshot_id(table, as_of).await.map_err(|error| {
            let code = match error.kind {
                seislake_model::ErrorKind::NotFound => ErrorCode::NotFound,
                _ => ErrorCode::Internal,
            };
            ApiError::new(code, error.to_string())
        })
    }

    async fn committed_at(&self, id: SnapshotId) -> Result<Option<Timestamp>, ApiError> {
        let found = self.0.lake().find_snapshot(id).await.map_err(|error| internal(&error.into()))?;
        Ok(found.map(|found| found.committed_at))
    }
}

#[derive(Debug)]
struct LakeStations {
    lakehouse: Lakehouse,
    current: InventoryHandle,
}

#[async_trait]
impl StationStore for LakeStations {
    async fn upsert(&self, inventory: Inventory) -> Result<(), ApiError> {
        let after = self
            .lakehouse
            .lake()
            .upsert_inventory(inventory)
            .await
            .map_err(|error| internal(&error.into()))?;
        self.current.replace(after);
        Ok(())
    }

    fn current(&self) -> Arc<Inventory> {
        self.current.current()
    }
}

#[derive(Debug)]
struct EngineReadiness {
    lakehouse: Lakehouse,
    pipeline: Arc<Pipeline>,
}

/// A stage further behind than this is not ready.
const LAG_RECORDS_MAX: u64 = 1_000_000;

#[async_trait]
impl Readiness for EngineReadiness {
    async fn check(&self) -> Vec<(String, Result<(), String>)> {
        let catalog = self.lakehouse.lake().tables().await.map(drop).map_err(|error| error.to_string());
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
        vec![("catalog".into(), catalog), ("pipeline".into(), pipeline)]
    }
}
