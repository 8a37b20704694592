//! All doors over HTTP behind one another: routes, and the limits around them.
//!
//! ```text
//! request ─ other origins ─ form of errors ─ panic guard ─ metrics ─ concurrency ─ time limit ─ gzip ─ route
//! ```
//! Every error is one JSON sentence, `{"error":{"code","message","hint"}}`, except where clients expect another form
//! ([`dialect`]).

mod dialect;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

use crate::error::ApiError;
use crate::http::{DocumentReaders, Shared, cors, guard};
use crate::limits::HttpLimits;
use crate::query_runtime::in_its_name;
use crate::state::AppState;
use crate::{fdsn, graphql, http};

/// All doors over HTTP.
pub fn router(state: AppState, limits: HttpLimits) -> Router {
    router_with(state, limits, Router::new())
}

/// All doors over HTTP and `others` (Iceberg REST), behind the same limits.
pub fn router_with(state: AppState, limits: HttpLimits, others: Router) -> Router {
    let guards = Arc::new(guard::Guards::new(&limits));
    let shared = Shared { state: state.clone(), limits: limits.clone(), reading: DocumentReaders::default() };
    let queries = state.queries.clone();
    let origins = cors::Origins::new(&limits.cors_origins);
    http::routes(shared.clone())
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
