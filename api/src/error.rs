//! Errors as every door of this room tells them: a code from a closed list, one sentence, and a hint what to do.
//!
//! Over HTTP the body is `{"error":{"code","message","hint"}}`; over GraphQL the code stands in `extensions.code`.
//! Codes are promises: clients branch on them.

use std::fmt;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seislake_model::{ErrorKind, TimestampError};
use seislake_query::shortened;
use serde_json::json;

/// Everything that can be wrong with a request or with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter or field has a value that cannot be used.
    InvalidArgument,
    /// A parameter is not known.
    UnknownParameter,
    /// The GraphQL document cannot be parsed or does not fit the schema.
    InvalidQuery,
    /// More rows in one page than allowed.
    PageTooLarge,
    /// A GraphQL query nested deeper than allowed.
    QueryTooDeep,
    /// A GraphQL query that costs more than allowed.
    QueryTooComplex,
    /// No such object or path.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// Somebody else changed it first.
    Conflict,
    /// The body did not come within the time allowed.
    BodyTooSlow,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The body's media type is not one we read.
    UnsupportedMediaType,
    /// The body was read, nothing in it could be used.
    Unprocessable,
    /// More requests at once than allowed, or a part is not ready: try again.
    Unavailable,
    /// The request took longer than allowed.
    TimedOut,
    /// Stored data are damaged.
    Corrupt,
    /// A bug of ours.
    Internal,
}

impl ErrorCode {
    /// The word that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::UnknownParameter => "UNKNOWN_PARAMETER",
            Self::InvalidQuery => "INVALID_QUERY",
            Self::PageTooLarge => "PAGE_TOO_LARGE",
            Self::QueryTooDeep => "QUERY_TOO_DEEP",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Conflict => "CONFLICT",
            Self::BodyTooSlow => "BODY_TOO_SLOW",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::Unprocessable => "UNPROCESSABLE",
            Self::Unavailable => "UNAVAILABLE",
            Self::TimedOut => "TIMED_OUT",
            Self::Corrupt => "CORRUPT",
            Self::Internal => "INTERNAL",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument
            | Self::UnknownParameter
            | Self::InvalidQuery
            | Self::PageTooLarge
            | Self::QueryTooDeep
            | Self::QueryTooComplex => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Corrupt | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::TimedOut)
    }
}

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
        tracing::error!(%cause, "could not {what}");
        Self::new(ErrorCode::Internal, format!("could not {what}"))
            .hint("the cause stands in the log of the server")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shortened(&hint.into()));
        self
    }

    /// What another room reports, for the caller: its sentence where the caller can do something about it. What is wrong
    /// with us is logged with its causes, and the caller learns what was attempted: paths, statements and causes are not
    /// for strangers.
    pub fn of_room(kind: ErrorKind, what: &str, message: &str, cause: &dyn fmt::Display) -> Self {
        match Self::code_of(kind) {
            ErrorCode::Internal => Self::internal(what, cause),
            code @ (ErrorCode::Corrupt | ErrorCode::Unavailable) => {
                tracing::error!(%cause, "could not {what}");
                Self::new(code, format!("could not {what}")).hint("the cause stands in the log of the server")
            }
            code => Self::new(code, message),
        }
    }

    /// The code that fits what another room reports.
    pub const fn code_of(kind: ErrorKind) -> ErrorCode {
        match kind {
            ErrorKind::Invalid => ErrorCode::InvalidArgument,
            ErrorKind::NotFound => ErrorCode::NotFound,
            ErrorKind::Conflict => ErrorCode::Conflict,
            ErrorKind::Unavailable => ErrorCode::Unavailable,
            ErrorKind::Corrupt => ErrorCode::Corrupt,
            ErrorKind::Internal => ErrorCode::Internal,
        }
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

/// Tells a client when to come again, where that may help.
pub(crate) fn retry_after(code: ErrorCode, headers: &mut HeaderMap) {
    if code.retryable() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

impl IntoResponse for ApiError {
    /// The answer holds the error itself too, for doors whose clients expect another form.
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "code": self.code.as_str(), "message": self.message, "hint": self.hint,
        }});
        let mut response = (self.code.status(), Json(body)).into_response();
        retry_after(self.code, response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}
