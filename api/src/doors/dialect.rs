//! Errors in the form that the clients of each door expect, whoever found them: the guard, the router or a handler.
//!
//! ```text
//! /fdsnws/…   text of the FDSN specification      /iceberg/…   {"error": {message, type, code}}
//! /graphql    {"errors": […]}                     else         {"error": {code, message, hint}}
//! ```

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, ErrorCode};
use crate::http::{Shared, without_slash};
use crate::{fdsn, graphql, iceberg_rest};

/// Longest text of an error that a library wrote.
const TEXT_BYTES_MAX: usize = 4 << 10;

pub(super) async fn dialect(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let path = uri.path();
    let is_below =
        |door: &str| path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_below("/iceberg") && response.status().as_u16() >= 400 {
        return iceberg(response).await;
    }
    let Some(error) = response.extensions().get::<ApiError>() else { return response };
    let mut told = if is_below("/fdsnws") {
        fdsn::refuse(&uri, &headers, shared.state.clock.now(), error)
    } else if is_below("/graphql") {
        graphql::refused(error)
    } else {
        return response;
    };
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

/// Errors of the specification pass, those of ours and of libraries become one.
async fn iceberg(response: Response) -> Response {
    let status = response.status();
    if response.extensions().get::<iceberg_rest::IsOfTheSpecification>().is_some() {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let message = match response.extensions().get::<ApiError>() {
        Some(error) => error.message.clone(),
        None => text(response.into_body(), status).await,
    };
    let mut told = iceberg_rest::error(status, &message).into_response();
    for (name, value) in [(header::ALLOW, allow), (header::RETRY_AFTER, retry_after)] {
        if let Some(value) = value {
            told.headers_mut().insert(name, value);
        }
    }
    told
}

async fn text(body: Body, status: StatusCode) -> String {
    let bytes = axum::body::to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() { status.canonical_reason().unwrap_or("error").to_lowercase() } else { text }
}

/// The answer to a path that leads nowhere.
pub(super) fn unknown_path(uri: &axum::http::Uri) -> Response {
    without_slash(uri).unwrap_or_else(|| {
        ApiError::not_found(format!("there is nothing at \"{}\"", uri.path()))
            .hint("/ lists the doors, /openapi.json the HTTP routes")
            .into_response()
    })
}

/// The error of a method that a path does not answer.
pub(super) fn unknown_method(method: &axum::http::Method, uri: &axum::http::Uri) -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, format!("\"{}\" does not answer {method}", uri.path()))
        .hint("/openapi.json lists the methods of each route")
}
