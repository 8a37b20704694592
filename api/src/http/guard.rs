//! What stands around every request: a place among the concurrent ones, a time limit, metrics, and a net for panics.
//!
//! ```text
//! request ─ metrics ─┬─ GET: place ─────────────────────┬─ time limit ─ handler ─► body, with the place until it is sent
//!                    └─ POST: handler reads the body, then place ─┘
//! ```
//! A body that comes slowly takes nobody's place. Health is always answered.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::memory::{BodyMemory, Room};
use super::places::{Place, Places};
use crate::body_watch::{Watch, WatchedBody};
use crate::error::{ApiError, ErrorCode};
use crate::limits::HttpLimits;
use crate::request::{Client, RequestContext};

/// Limits that hold over all requests.
#[derive(Debug)]
pub(crate) struct Guards {
    places: Arc<Places>,
    request_time_max: Duration,
    receive_time_max: Duration,
    bodies: Arc<BodyMemory>,
}

impl Guards {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self {
            places: Places::new(
                limits.concurrent_requests_max,
                limits.waiting_requests_max,
                limits.wait_time_max,
            ),
            request_time_max: limits.request_time_max,
            receive_time_max: limits.receive_time_max,
            bodies: BodyMemory::new(limits.body_bytes_max),
        }
    }
}

/// The way of one request through the guard, for the handler that reads its body.
#[derive(Clone, Debug)]
pub(super) struct Passage(Arc<OfRequest>);

#[derive(Debug)]
struct OfRequest {
    guards: Arc<Guards>,
    client: Client,
    place: Mutex<Option<Place>>,
    /// When the request must have been answered; `None` while its body comes.
    deadline: watch::Sender<Option<tokio::time::Instant>>,
}

/// A request keeps its place until its answer is sent.
impl Watch for Passage {}

impl Passage {
    fn new(guards: Arc<Guards>, client: Client) -> Self {
        let of_request =
            OfRequest { guards, client, place: Mutex::new(None), deadline: watch::Sender::new(None) };
        Self(Arc::new(of_request))
    }

    /// How long a body may keep us waiting.
    pub(super) fn receive_time_max(&self) -> Duration {
        self.0.guards.receive_time_max
    }

    /// Room for the body of the request.
    pub(super) fn room(&self) -> Room {
        self.0.guards.bodies.room(self.0.client)
    }

    /// Waits for a place; from then on the time of the request counts. Does nothing where it has one.
    pub(super) async fn begin(&self) -> Result<(), ApiError> {
        if self.place().is_some() {
            return Ok(());
        }
        let place = self.0.guards.places.begin(self.0.client).await?;
        *self.place() = Some(place);
        self.0.deadline.send_replace(Some(tokio::time::Instant::now() + self.0.guards.request_time_max));
        Ok(())
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<Place>> {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the time of the request is over.
    async fn expired(&self) {
        let mut deadline = self.0.deadline.subscribe();
        let Ok(set) = deadline.wait_for(Option::is_some).await.map(|set| *set) else {
            return std::future::pending().await;
        };
        match set {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Requests that must be answered even when all places are taken.
fn always_answered(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// The methods of HTTP, and one word for all others: what clients invent must not fill our memory.
const fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

pub(crate) async fn guard(State(guards): State<Arc<Guards>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let response = limited(guards, request, next).await;
    let labels =
        [("method", method.to_owned()), ("route", route), ("status", response.status().as_u16().to_string())];
    metrics::counter!("seislake_http_requests_total", &labels).increment(1);
    metrics::histogram!("seislake_http_request_duration_seconds", &labels[..2])
        .record(started.elapsed().as_secs_f64());
    response
}

async fn limited(guards: Arc<Guards>, mut request: Request, next: Next) -> Response {
    if always_answered(request.uri().path()) {
        return next.run(request).await;
    }
    let client =
        request.extensions().get::<RequestContext>().map_or(Client::inside(), |context| context.client);
    let passage = Passage::new(Arc::clone(&guards), client);
    if request.method() != Method::POST
        && let Err(error) = passage.begin().await
    {
        return error.into_response();
    }
    request.extensions_mut().insert(passage.clone());
    tokio::select! {
        response = next.run(request) => response.map(|body| Body::new(WatchedBody::new(body, passage))),
        () = passage.expired() => ApiError::new(
            ErrorCode::TimedOut,
            format!("the request took longer than {} s", guards.request_time_max.as_secs_f64()),
        )
        .hint("ask for less: a shorter time range, a smaller area or page")
        .into_response(),
    }
}

pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal("answer the request: it panicked", &message).into_response()
}
