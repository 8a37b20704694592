//! The servers of a running engine: binds the addresses, opens the doors, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seislake_api::door::{self, Connections, Patience, Protocol};
use seislake_api::{FlightSql, HttpLimits, QueryLimits, QueryRuntime, iceberg_rest, router_with};
use seislake_lakehouse::beside::Beside;
use seislake_lakehouse::engine::Engine;
use seislake_lakehouse::{Home, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::doors::app_state;
use crate::interruption::asked_to_stop;
use crate::terminal::announce;

/// How long the doors may take to close after the signal to stop: longer than requests in progress may take to end.
const DRAIN: Duration = Duration::from_secs(35);

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
        let section = &settings.http;
        let connections =
            Connections::within_descriptors(section.connections, section.connections_per_client);
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
        let router = FlightSql::router(engine.lakehouse.session()?, queries);
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
    announce(&format!("stopping: open requests have {} s to end", DRAIN.as_secs()));
    server.stop().await?;
    engine.stop().await?;
    engine.close().await;
    Ok(())
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
