//! What stands around every request: a place among the concurrent ones, a time limit, metrics, and a net for panics.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::error::{ApiError, ErrorCode};
use crate::limits::HttpLimits;

/// Limits that hold over all requests.
#[derive(Debug)]
pub(super) struct Guards {
    places: Semaphore,
    request_time_max: Duration,
}

impl Guards {
    pub(super) fn new(limits: &HttpLimits) -> Self {
        Self {
            places: Semaphore::new(limits.concurrent_requests_max),
            request_time_max: limits.request_time_max,
        }
    }
}

/// Requests that must be answered even when all places are taken.
fn always_answered(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

pub(super) async fn guard(State(guards): State<Arc<Guards>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().to_string();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let response = limited(&guards, request, next).await;
    let labels = [("method", method), ("route", route), ("status", response.status().as_u16().to_string())];
    metrics::counter!("seislake_http_requests_total", &labels).increment(1);
    metrics::histogram!("seislake_http_request_duration_seconds", &labels[..2])
        .record(started.elapsed().as_secs_f64());
    response
}

async fn limited(guards: &Guards, request: Request, next: Next) -> Response {
    let _place = if always_answered(request.uri().path()) {
        None
    } else {
        match guards.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => {
                return ApiError::new(ErrorCode::Unavailable, "as many requests as allowed are in progress")
                    .hint("try again in a second")
                    .into_response();
            }
        }
    };
    match tokio::time::timeout(guards.request_time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            ErrorCode::TimedOut,
            format!("the request took longer than {} s", guards.request_time_max.as_secs_f64()),
        )
        .hint("ask for less: a shorter time range, a smaller area or page")
        .into_response(),
    }
}

pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal("answer the request: it panicked", &message).into_response()
}
