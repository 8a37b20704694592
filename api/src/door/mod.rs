//! The door of a server: takes connections within limits and hands their requests to a router.
//!
//! ```text
//! listener ─ Connections::admit ─► task of a connection ─ hyper (HTTP/1.1, HTTP/2) ─ RequestContext ─► router
//!            │ in all, per client   │ bytes moved, who waits for whom
//!            └ each second: who keeps still for longer than allowed is shut out
//! ```
//! Whoever comes when all places are taken takes that of the connection that waits for its client the longest, of those
//! of the client with the most. So a client that opens connections and says nothing, or half a request, or a body a byte
//! at a time, or does not read what it asked for, closes the door to nobody, and probes are answered.

mod activity;
mod connections;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::Instrument;

use crate::body_watch::WatchedBody;
use activity::{Activity, MeteredStream, Sending};
use connections::Connection;
pub use connections::{Connections, Patience};

use crate::error::{ApiError, ErrorCode};
use crate::query_runtime::door_of;
use crate::request::RequestContext;

/// How often connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// After an error of the listener itself (no descriptors): time for others to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests in progress may take to end when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(30);
/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 64;
/// Streams that a client opened and reset before we looked at them, at once; one more ends the connection.
const RESET_STREAMS_MAX: usize = 32;
/// How often a silent connection of HTTP/2 is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIME_MAX: Duration = Duration::from_secs(20);

/// What is spoken at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/2 where the client begins with it.
    Http,
    /// HTTP/2 alone.
    Grpc,
}

/// Serves `router` until `stop`, then lets requests in progress end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    protocol: Protocol,
    connections: Arc<Connections>,
    patience: Patience,
    stop: CancellationToken,
) {
    let builder = Arc::new(builder(protocol, patience));
    let tasks = TaskTracker::new();
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = sweep.tick() => {
                connections.sweep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match connections.admit(peer.ip(), patience) {
                Some(connection) => {
                    let serving = serve_connection(
                        stream,
                        connection,
                        (Arc::clone(&builder), protocol),
                        router.clone(),
                        stop.clone(),
                    );
                    tasks.spawn(serving);
                }
                None => drop(tasks.spawn(refuse(stream, protocol))),
            },
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                connections.evict();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

fn builder(protocol: Protocol, patience: Patience) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.idle);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX);
    match protocol {
        Protocol::Http => builder,
        Protocol::Grpc => builder.http2_only(),
    }
}

/// The client went away before we looked.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Says that there is no place, as far as the client listens; nobody waits for it.
async fn refuse(mut stream: TcpStream, protocol: Protocol) {
    if protocol == Protocol::Http {
        let error = ApiError::new(ErrorCode::Unavailable, "too many connections of this client are in use")
            .hint("try again later");
        let body = json!({ "error": error.json() }).to_string();
        let answer = format!(
            "HTTP/1.1 {}\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            error.code.status(),
            body.len()
        );
        let _ = tokio::time::timeout(ACCEPT_PAUSE, stream.write_all(answer.as_bytes())).await;
    }
}

async fn serve_connection(
    stream: TcpStream,
    connection: Arc<Connection>,
    (builder, protocol): (Arc<auto::Builder<TokioExecutor>>, Protocol),
    router: Router,
    stop: CancellationToken,
) {
    // Answers are written as a whole: waiting for more to send only makes them late.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(MeteredStream::new(stream, Arc::clone(&connection)));
    let of_request = Arc::clone(&connection);
    let service = tower::service_fn(move |request: axum::http::Request<Incoming>| {
        answer(router.clone(), protocol, Arc::clone(&of_request), request)
    });
    let mut serving = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
    tokio::select! {
        // Clients go away in the middle of things all the time.
        ended = serving.as_mut() => drop(ended),
        () = connection.closed() => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = serving => drop(ended),
                () = connection.closed() => {}
                () = tokio::time::sleep(DRAIN_TIME) => tracing::warn!("a request did not end in time and was cut off"),
            }
        }
    }
}

async fn answer(
    router: Router,
    protocol: Protocol,
    connection: Arc<Connection>,
    request: axum::http::Request<Incoming>,
) -> Result<axum::http::Response<WatchedBody<Sending>>, std::convert::Infallible> {
    let door = match protocol {
        Protocol::Http => door_of(request.uri().path()),
        Protocol::Grpc => "flight",
    };
    let (context, ends) = RequestContext::begin(connection.client(), door);
    let span = context.span.clone();
    let tracked = Activity::begin(&connection);
    let mut request = request.map(|body| Body::new(tracked.receiving(Body::new(body))));
    request.extensions_mut().insert(context);
    let response = router.oneshot(request).instrument(span).await?;
    Ok(response.map(|body| tracked.sending(body, ends)))
}

/// The address that a listener got.
///
/// # Errors
/// Where the address cannot be had.
pub async fn bind(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests;
