//! FDSN web services (specification 1.2): `event`, `station`, `dataselect` and `availability`, as ObsPy and other clients of the field call them.
//!
//! Each service has one list of parameters: it is what a request is checked against and what `application.wadl` says, so a
//! client that reads the WADL first (ObsPy does) may send everything we understand. Errors are the text form of the
//! specification.

mod availability;
mod dataselect;
mod error;
mod event;
#[cfg(test)]
pub(crate) mod openapi;
mod parameters;
mod service;
mod station;
mod wadl;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use datafusion::prelude::SessionContext;
use seislake_exchange::quakeml::Bulletin;
use seislake_model::Timestamp;

use crate::error::ApiError;
use crate::http::Shared;
use crate::read::Interval;

pub(crate) fn routes(shared: Shared) -> Router {
    event::routes()
        .merge(station::routes())
        .merge(dataselect::routes())
        .merge(availability::routes())
        .with_state(shared)
}

/// An error that was found before the request came to its service, in the text form of the specification.
pub(crate) fn refuse(uri: &Uri, headers: &HeaderMap, submitted_at: Timestamp, error: &ApiError) -> Response {
    let services = ["event", "station", "dataselect", "availability"];
    let named = uri.path().split('/').nth(2).unwrap_or_default();
    let service = services.into_iter().find(|service| *service == named).unwrap_or("event");
    error::Request::new(service, uri, headers, submitted_at).refuse(error)
}

/// The services that take selections of channels.
#[cfg(test)]
fn services() -> [&'static service::Service; 3] {
    [&station::SERVICE, &dataselect::SERVICE, &availability::SERVICE]
}

/// Version of the specification that the services follow.
const SERVICE_VERSION: &str = "1.2.0";

/// The current bulletin of an interval (closed, open-ended where `None`), as `export` writes it: events with all their
/// origins, magnitudes, arrivals and picks, oldest first.
///
/// # Errors
/// Those of the session.
pub async fn bulletin(
    context: &SessionContext,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Bulletin, ApiError> {
    event::bulletin(context, Interval { min: from, max: to }).await
}
