//! The doors of a running engine: binds the addresses, fills the ports of `api`, follows the clock, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use async_trait::async_trait;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seislake_api::state::{AsOf, Pinned, Readiness, Sessions, Snapshots, StationStore};
use seislake_api::{ApiError, AppState, ErrorCode, FlightSql, HttpLimits, iceberg_rest, router_with};
use seislake_catalog::{Lake, SnapshotSet};
use seislake_model::{Clock, Inventory, SnapshotId, Timestamp};
use seislake_streams::runtime::Pipeline;
use seislake_streams::stages::InventoryHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::engine::Engine;
use crate::home::Home;
use crate::ingest::GateIngest;
use crate::interruption::asked_to_stop;
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::tell;

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

#[derive(Debug)]
struct LakeSessions(Lakehouse);

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
        let lake = self.0.lake().clone();
        let set = lake.pin(as_of).await.map_err(|error| match error.kind {
            seislake_model::ErrorKind::NotFound => ApiError::new(ErrorCode::NotFound, error.to_string()),
            _ => internal(&error.into()),
        })?;
        let context = self.0.session_at(set.clone()).map_err(|error| internal(&error))?;
        Ok(Pinned { context, snapshots: Arc::new(LakeSnapshots { lake, set }) })
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
        let damages = self.lakehouse.lake().damages();
        let warehouse = match damages.first_key_value() {
            None => Ok(()),
            Some((file, what)) => Err(format!(
                "{} files of the warehouse cannot be used, \"{file}\" for one: {what} (see `seislake home check`)",
                damages.len()
            )),
        };
        vec![("catalog".into(), catalog), ("pipeline".into(), pipeline), ("warehouse".into(), warehouse)]
    }
}
