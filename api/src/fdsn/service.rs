//! What the services share: their description (`application.wadl`, `version`) and how a request comes in.
//!
//! ```text
//! GET  ?name=value&…                       ─┐
//! POST name=value lines, then NET STA LOC … ─┴─► Asked { parameters, selections }
//! ```

use axum::Router;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;

use super::error::Request;
use super::parameters::{self, ParameterGroups};
use super::{SERVICE_VERSION, wadl};
use crate::error::ApiError;
use crate::http::{Body, Parameters, Shared, decode_query};
use crate::read::{Patterns, Selection};

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    /// Name in the path: `dataselect`.
    pub(super) name: &'static str,
    /// What `query` accepts.
    pub(super) parameters: ParameterGroups,
    /// Methods that are described like `query`.
    pub(super) queries: &'static [&'static str],
}

/// Methods without parameters.
const PATHS: &[&str] = &["version", "application.wadl"];

/// Largest POST body: parameters and lines of channels.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Most lines of a POST body.
const LINES_MAX: usize = 50_000;

/// A request whose parameters are known and whose codes and times could be read.
#[derive(Debug)]
pub(super) struct ServiceRequest {
    pub(super) parameters: Parameters,
    /// The lines of a POST body, or the one selection that the parameters make.
    pub(super) selections: Vec<Selection>,
}

/// Answers a request that could be read.
pub(super) type Find =
    for<'a> fn(&'a Shared, &'a Request, ServiceRequest) -> BoxFuture<'a, Result<Response, ApiError>>;

impl Service {
    /// A method by GET and POST.
    pub(super) fn method(&'static self, name: &str, find: Find) -> Router<Shared> {
        let by_get = move |State(shared): State<Shared>,
                           OriginalUri(uri): OriginalUri,
                           headers: HeaderMap,
                           RawQuery(query): RawQuery| async move {
            let request = self.request(&shared, &uri, &headers);
            answer(&shared, &request, self.asked_by_get(query.as_deref()), find).await
        };
        let by_post = move |State(shared): State<Shared>,
                            OriginalUri(uri): OriginalUri,
                            headers: HeaderMap,
                            RawQuery(query): RawQuery,
                            body: Body| async move {
            let request = self.request(&shared, &uri, &headers);
            answer(&shared, &request, self.asked_by_post(query.as_deref(), body).await, find).await
        };
        Router::new().route(&format!("/fdsnws/{}/1/{name}", self.name), get(by_get).post(by_post))
    }

    /// The request as its errors show it.
    pub(super) fn request(&self, shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Request {
        Request::new(self.name, uri, headers, shared.state.clock.now())
    }

    /// `version`, `application.wadl` and the root of the service.
    pub(super) fn description(&'static self) -> Router<Shared> {
        let wadl = move |State(shared): State<Shared>, OriginalUri(uri): OriginalUri, headers: HeaderMap| async move {
            self.wadl(&self.request(&shared, &uri, &headers))
        };
        Router::new()
            .route(&format!("/fdsnws/{}/1/application.wadl", self.name), get(wadl))
            .route(&format!("/fdsnws/{}/1", self.name), get(wadl))
            .route(&format!("/fdsnws/{}/1/", self.name), get(wadl))
            .route(&format!("/fdsnws/{}/1/version", self.name), get(|| async { SERVICE_VERSION }))
    }

    fn wadl(&self, request: &Request) -> Response {
        let text = wadl::write(self.name, &request.service_uri(), self.parameters, self.queries, PATHS);
        ([(header::CONTENT_TYPE, "application/xml")], text).into_response()
    }

    /// Reads a query string.
    fn asked_by_get(&self, query: Option<&str>) -> Result<ServiceRequest, ApiError> {
        self.asked(decode_query(query.unwrap_or("")), Vec::new())
    }

    /// Reads a body.
    async fn asked_by_post(&self, query: Option<&str>, body: Body) -> Result<ServiceRequest, ApiError> {
        parameters::refuse_in_address(query)?;
        self.asked_by_body(&body.read(BODY_BYTES_MAX).await?)
    }

    fn asked_by_body(&self, bytes: &[u8]) -> Result<ServiceRequest, ApiError> {
        let mut lines = Vec::new();
        let pairs = parameters::decode_body(&String::from_utf8_lossy(bytes), |line| {
            lines.push(Selection::from_line(line)?);
            if lines.len() > LINES_MAX {
                return Err(ApiError::invalid(format!(
                    "the body has more than {LINES_MAX} lines of channels"
                )));
            }
            Ok(())
        })?;
        Self::check_chosen(&pairs, &lines)?;
        self.asked(pairs, lines)
    }

    /// A body that chooses nothing asks for everything, which nobody means: the specification wants lines of channels.
    fn check_chosen(pairs: &[(String, String)], lines: &[Selection]) -> Result<(), ApiError> {
        const CHOOSING: [&str; 12] = [
            "network",
            "net",
            "station",
            "sta",
            "location",
            "loc",
            "channel",
            "cha",
            "starttime",
            "start",
            "endtime",
            "end",
        ];
        let chooses = |(name, value): &(String, String)| {
            !value.is_empty() && CHOOSING.iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        if lines.is_empty() && !pairs.iter().any(chooses) {
            return Err(ApiError::invalid("the body names no channels")
                .hint("lines of NETWORK STATION LOCATION CHANNEL STARTTIME ENDTIME after the parameters"));
        }
        Ok(())
    }

    fn asked(&self, pairs: Vec<(String, String)>, lines: Vec<Selection>) -> Result<ServiceRequest, ApiError> {
        let parameters = parameters::parse(pairs, self.parameters)?;
        let selections = if lines.is_empty() { vec![selection(&parameters)?] } else { lines };
        Ok(ServiceRequest { parameters, selections })
    }
}

async fn answer(
    shared: &Shared,
    request: &Request,
    asked: Result<ServiceRequest, ApiError>,
    find: Find,
) -> Response {
    let answered = match asked {
        Ok(asked) => find(shared, request, asked).await,
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| request.refuse(&error))
}

/// `network`, `station`, `location`, `channel`, `starttime` and `endtime`.
fn selection(parameters: &Parameters) -> Result<Selection, ApiError> {
    let patterns = |name: &str| match parameters.text(name) {
        Some(text) => Patterns::parse(name, text),
        None => Ok(Patterns::any()),
    };
    Ok(Selection {
        network: patterns("network")?,
        station: patterns("station")?,
        location: patterns("location")?,
        channel: patterns("channel")?,
        window: parameters::times(parameters)?,
    })
}

#[cfg(test)]
mod tests;
