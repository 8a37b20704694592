//! The HTTP room: routes of the original system, health, console, documentation, and the limits around all doors.
//!
//! ```text
//! request ─ other origins ─ form of errors ─ panic guard ─ metrics ─ concurrency ─ time limit ─ gzip ─ route
//! ```
//! Every error is one JSON sentence, `{"error":{"code","message","hint"}}`, except where clients expect another form
//! ([`dialect`]).

mod assets;
mod body;
mod cors;
mod dialect;
mod events;
mod guard;
mod health;
mod ingest;
mod memory;
mod parameters;
mod places;
mod stations;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

pub(crate) use assets::{Asset, asset_routes};
pub(crate) use body::{Body, Reading};
pub(crate) use dialect::without_slash;
pub use memory::counted_bodies;
pub(crate) use parameters::{LATITUDES, LENGTHS, Parameters, Range, check_point, decode_query};
pub(crate) use stations::StationFilter;

use crate::error::ApiError;
use crate::limits::HttpLimits;
use crate::query_runtime::in_its_name;
use crate::state::AppState;
use crate::{fdsn, graphql};

/// What the handlers of this room share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) state: AppState,
    pub(crate) limits: HttpLimits,
    pub(crate) reading: Reading,
}

const PAGES: &[Asset] = &[
    Asset::html("/", include_str!("../../assets/console.html")),
    Asset::html("/docs", include_str!("../../assets/docs.html")),
    Asset::json("/openapi.json", include_str!("../../openapi.json")),
];

/// All doors of this room.
pub fn router(state: AppState, limits: HttpLimits) -> Router {
    router_with(state, limits, Router::new())
}

/// All doors of this room and `others` (Iceberg REST), behind the same limits.
pub fn router_with(state: AppState, limits: HttpLimits, others: Router) -> Router {
    let guards = Arc::new(guard::Guards::new(&limits));
    let shared = Shared { state: state.clone(), limits: limits.clone(), reading: Reading::default() };
    let own = Router::new()
        .route("/events", get(events::list))
        .route("/stations", get(stations::list).post(stations::upsert))
        .route("/waveforms/ingest", post(ingest::ingest))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
        .with_state(shared.clone());
    let queries = state.queries.clone();
    let origins = cors::Origins::new(&limits.cors_origins);
    own.merge(asset_routes(PAGES))
        .merge(graphql::routes(state, limits))
        .merge(fdsn::routes(shared.clone()))
        .merge(others)
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(queries, in_its_name))
        .layer(DefaultBodyLimit::disable())
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(answered)))
        .layer(from_fn_with_state(guards, guard::guard))
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn_with_state(shared, dialect::dialect))
        .layer(from_fn_with_state(origins, cors::cors))
}

/// Errors go out as they are: ObsPy shows their bytes without unpacking them. Records are compressed already.
fn answered(status: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    status.is_success() && !media_type.is_some_and(|name| name.starts_with("application/vnd.fdsn.mseed"))
}

async fn unknown_path(uri: Uri) -> Response {
    dialect::unknown_path(&uri)
}

async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    dialect::unknown_method(&method, &uri)
}
