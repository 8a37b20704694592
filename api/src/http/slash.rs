//! Paths with a slash too many.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Sends a client that put a slash behind a path to the path without it; `None` where there is no such slash.
pub(crate) fn without_slash(uri: &axum::http::Uri) -> Option<Response> {
    let path = uri.path().trim_end_matches('/');
    // Only plain paths: two slashes at the begin would be the name of another host.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if path.is_empty() || path == uri.path() || path.contains("//") || !path.chars().all(plain) {
        return None;
    }
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    Some((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response())
}
