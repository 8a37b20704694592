//! Errors as every door of this room tells them: a code from a closed list ([`ErrorCode`]), one sentence, and a hint what
//! to do.
//!
//! Over HTTP the body is `{"error":{"code","message","hint"}}`; over GraphQL the code stands in `extensions.code`. What is
//! wrong with us is logged with its causes, and told without them.

use std::fmt;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use seislake_model::{Error, TimestampError};
use seislake_query::shortened;
use serde_json::{Value, json};

pub use crate::codes::ErrorCode;

/// What went wrong, for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which of the closed list.
    pub code: ErrorCode,
    /// One sentence: what was attempted on which named object.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: shortened(&message.into()), hint: None }
    }

    /// A value that cannot be used.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// An object that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// A failure of ours while doing `what`: the cause is logged, the caller learns what was attempted.
    pub fn internal(what: &str, cause: &dyn fmt::Display) -> Self {
        Self::logged(ErrorCode::Internal, what, cause)
    }

    /// What another room reports, for a caller who wanted to do `what`: its sentence where the caller can do something about
    /// it. Else it is logged with its causes, and the caller learns what was attempted: paths, statements and causes are not
    /// for strangers.
    pub fn of_room(what: &str, error: &Error) -> Self {
        match ErrorCode::from(error.kind) {
            code if code.hides_its_cause() => Self::logged(code, what, &error.chain()),
            code => Self::new(code, &error.message),
        }
    }

    fn logged(code: ErrorCode, what: &str, cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "could not {what}");
        Self::new(code, format!("could not {what}")).hint("the cause stands in the log of the server")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shortened(&hint.into()));
        self
    }

    /// Message and hint, for doors that have one text.
    pub(crate) fn sentence(&self) -> String {
        let hint = self.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}{hint}", self.message)
    }

    /// As JSON: what stands under `error` in a body.
    pub(crate) fn json(&self) -> Value {
        json!({ "code": self.code.as_str(), "message": self.message, "hint": self.hint })
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<TimestampError> for ApiError {
    fn from(error: TimestampError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        Self::new(error.code.grpc(), error.sentence())
    }
}

/// Tells a client when to come again, where that may help.
pub(crate) fn retry_after(code: ErrorCode, headers: &mut HeaderMap) {
    if code.retryable() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

impl IntoResponse for ApiError {
    /// The answer holds the error itself too, for doors whose clients expect another form.
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), Json(json!({ "error": self.json() }))).into_response();
        retry_after(self.code, response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}
