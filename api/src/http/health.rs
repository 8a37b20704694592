//! Whether the process lives, whether it can do its work, how it does, and what it is.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Shared;
use crate::error::ApiError;

pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let mut parts = Map::new();
    let mut all_ready = true;
    for (part, state) in shared.state.readiness.check().await {
        all_ready &= state.is_ok();
        parts.insert(part, Value::String(state.err().unwrap_or_else(|| "ready".to_owned())));
    }
    let (status, word) =
        if all_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (status, Json(json!({"status": word, "parts": parts}))).into_response()
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, ApiError> {
    let metrics =
        shared.state.metrics.as_ref().ok_or_else(|| ApiError::not_found("this process keeps no metrics"))?;
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, metrics.render()).into_response())
}

pub(super) async fn version() -> Json<Value> {
    Json(json!({"name": "seislake", "version": env!("CARGO_PKG_VERSION")}))
}
