//! Pages of other origins: those that the operator names may read what the doors answer (the Fetch standard's CORS).
//!
//! Off where no origin is named: browsers then keep answers from pages of other origins, and requests that could change
//! something are not even sent, since the doors take only media types that a page must ask for first.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Origins that may read.
#[derive(Debug)]
pub(crate) struct Origins(Vec<String>);

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static("content-type, content-encoding, idempotency-key");
/// How long a browser need not ask again, seconds.
const ONE_HOUR: HeaderValue = HeaderValue::from_static("3600");
const EXPOSED: HeaderValue = HeaderValue::from_static("content-disposition, retry-after, etag");
/// On what an answer depends, for caches.
const VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

impl Origins {
    pub(crate) fn new(origins: &[String]) -> Arc<Self> {
        Arc::new(Self(origins.to_vec()))
    }

    /// What to say to a page of `origin`; `None` where it may not read.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.0.iter().any(|known| known == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let origin_text = origin.to_str().ok()?;
        self.0.iter().any(|known| known.eq_ignore_ascii_case(origin_text)).then(|| origin.clone())
    }
}

pub(crate) async fn cors(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    if origins.0.is_empty() {
        return next.run(request).await;
    }
    let allowed = request.headers().get(header::ORIGIN).and_then(|origin| origins.allow(origin));
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if asks_first { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.append(header::VARY, VARY);
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if asks_first {
            say_what_is_allowed(headers);
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    response
}

fn say_what_is_allowed(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, ONE_HOUR);
}
