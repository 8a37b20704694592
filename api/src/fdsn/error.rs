//! Errors in the text form of the FDSN specification.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use seislake_model::Timestamp;
use seislake_query::shortened;

use super::SERVICE_VERSION;
use crate::error::{ApiError, ErrorCode, retry_after};

/// Where a request came in, for the text of its errors.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Name of the service: `event`.
    pub(super) service: &'static str,
    /// As the client sent it.
    pub(super) uri: String,
    /// `http://host:port`.
    pub(super) base: String,
    pub(super) submitted_at: Timestamp,
}

impl Request {
    pub(super) fn new(
        service: &'static str,
        uri: &Uri,
        headers: &HeaderMap,
        submitted_at: Timestamp,
    ) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = format!("http://{host}");
        Self { service, uri: format!("{base}{uri}"), base, submitted_at }
    }

    /// Base address of the service.
    pub(super) fn service_uri(&self) -> String {
        format!("{}/fdsnws/{}/1/", self.base, self.service)
    }

    /// The text of an error.
    pub(super) fn refuse(&self, error: &ApiError) -> Response {
        let mut response = self.text(error.code.fdsn_status(), &error.sentence());
        retry_after(error.code, response.headers_mut());
        response
    }

    /// `Content-Disposition` of a file of this service.
    pub(super) fn attachment(&self, extension: &str) -> String {
        let time = self.submitted_at.to_string().replace([':', '.'], "-");
        format!("attachment; filename=\"fdsnws-{}_{time}.{extension}\"", self.service)
    }

    fn text(&self, status: StatusCode, sentence: &str) -> Response {
        let body = format!(
            "Error {}: {}\n\n{sentence}\n\nUsage details are available from {}\n\nRequest:\n{}\n\n\
             Request Submitted:\n{}\n\nService Version:\n{SERVICE_VERSION}\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or("Error"),
            self.service_uri(),
            shortened(&self.uri),
            self.submitted_at,
        );
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
    }

    /// No data: 204 without a body, or 404 where the client asked for that.
    pub(super) fn no_data(&self, no_data: NoData) -> Response {
        match no_data {
            NoData::NoContent => StatusCode::NO_CONTENT.into_response(),
            NoData::NotFound => self.text(ErrorCode::NotFound.fdsn_status(), "nothing matches the request"),
        }
    }
}

/// What to answer where nothing matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NoData {
    /// 204.
    #[default]
    NoContent,
    /// 404.
    NotFound,
}
