//! What an error is called at each door: one table, and the only place where a code is chosen for what went wrong below.
//!
//! ```text
//! kind of an error of ours ──────┐             ┌─ word (HTTP, GraphQL)
//! why a statement has no answer ─┼► ErrorCode ─┼─ status (HTTP, FDSN)
//! status that a library chose ───┘             ├─ code of gRPC (Flight SQL)
//! error of Iceberg's library ──────────────────┴─ status and type (Iceberg REST)
//! ```
//! `docs/errors.md` is made from the table. Codes are promises: clients branch on them.

use axum::http::StatusCode;
use seislake_catalog::kind_of;
use seislake_model::ErrorKind;
use seislake_query::FoundBy;
use tonic::Code as GrpcCode;

use crate::query_runtime::QueryFailure;

/// What one code is called.
struct Names {
    word: &'static str,
    status: StatusCode,
    grpc: GrpcCode,
    iceberg: &'static str,
}

/// The codes and what they are called; a column cannot be left out, and a code stands nowhere else.
macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $code:ident: $word:literal, $status:ident, $grpc:ident, $iceberg:literal;)+) => {
        /// Everything that can be wrong with a request or with us.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $($(#[doc = $meaning])+ $code,)+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            const fn names(self) -> Names {
                match self {
                    $(Self::$code => Names {
                        word: $word,
                        status: StatusCode::$status,
                        grpc: GrpcCode::$grpc,
                        iceberg: $iceberg,
                    },)+
                }
            }

            #[cfg(test)]
            const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => concat!($($meaning),+),)+
                }
            }
        }
    };
}

codes! {
    /// A parameter or field has a value that cannot be used.
    InvalidArgument: "INVALID_ARGUMENT", BAD_REQUEST, InvalidArgument, "BadRequestException";
    /// A parameter is not known.
    UnknownParameter: "UNKNOWN_PARAMETER", BAD_REQUEST, InvalidArgument, "BadRequestException";
    /// The GraphQL document cannot be parsed or does not fit the schema.
    InvalidQuery: "INVALID_QUERY", BAD_REQUEST, InvalidArgument, "BadRequestException";
    /// More rows in one page or answer than allowed.
    PageTooLarge: "PAGE_TOO_LARGE", BAD_REQUEST, OutOfRange, "BadRequestException";
    /// A GraphQL query nested deeper than allowed.
    QueryTooDeep: "QUERY_TOO_DEEP", BAD_REQUEST, InvalidArgument, "BadRequestException";
    /// A GraphQL query that costs more than allowed.
    QueryTooComplex: "QUERY_TOO_COMPLEX", BAD_REQUEST, InvalidArgument, "BadRequestException";
    /// No such object or path.
    NotFound: "NOT_FOUND", NOT_FOUND, NotFound, "NotFoundException";
    /// The path exists, the method does not.
    MethodNotAllowed: "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED, Unimplemented, "UnsupportedOperationException";
    /// Somebody else changed it first.
    Conflict: "CONFLICT", CONFLICT, Aborted, "CommitFailedException";
    /// The body did not come within the time allowed.
    BodyTooSlow: "BODY_TOO_SLOW", REQUEST_TIMEOUT, DeadlineExceeded, "BadRequestException";
    /// The body is larger than allowed.
    BodyTooLarge: "BODY_TOO_LARGE", PAYLOAD_TOO_LARGE, ResourceExhausted, "BadRequestException";
    /// The body's media type is not one we read.
    UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE, InvalidArgument, "UnsupportedOperationException";
    /// The body was read, nothing in it could be used.
    Unprocessable: "UNPROCESSABLE", UNPROCESSABLE_ENTITY, InvalidArgument, "BadRequestException";
    /// More requests at once than allowed, or a part is not ready: try again.
    Unavailable: "UNAVAILABLE", SERVICE_UNAVAILABLE, Unavailable, "ServiceUnavailableException";
    /// Memory is taken: ask for less, or try again. gRPC has a code for that, which its clients do not try again by themselves.
    MemoryTaken: "UNAVAILABLE", SERVICE_UNAVAILABLE, ResourceExhausted, "ServiceUnavailableException";
    /// The request took longer than allowed.
    TimedOut: "TIMED_OUT", GATEWAY_TIMEOUT, DeadlineExceeded, "ServiceUnavailableException";
    /// Stored data are damaged.
    Corrupt: "CORRUPT", INTERNAL_SERVER_ERROR, Internal, "ServiceFailureException";
    /// A bug of ours.
    Internal: "INTERNAL", INTERNAL_SERVER_ERROR, Internal, "ServiceFailureException";
}

impl ErrorCode {
    /// The word that clients see, over HTTP and GraphQL.
    pub const fn as_str(self) -> &'static str {
        self.names().word
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> StatusCode {
        self.names().status
    }

    /// That of FDSN web services, whose specification has 413 where more is asked for than may be given at once.
    pub(crate) const fn fdsn_status(self) -> StatusCode {
        match self {
            Self::PageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            code => code.status(),
        }
    }

    /// The code of gRPC.
    pub(crate) const fn grpc(self) -> GrpcCode {
        self.names().grpc
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::MemoryTaken | Self::TimedOut)
    }

    /// Whether the cause is for the log alone: the caller can do nothing about it.
    pub(crate) const fn hides_its_cause(self) -> bool {
        matches!(self, Self::Unavailable | Self::Corrupt | Self::Internal)
    }

    /// Of an answer that a library refused, which says no more than a status.
    fn of_status(status: StatusCode) -> Self {
        let fallback = if status.is_server_error() { Self::Internal } else { Self::InvalidArgument };
        Self::ALL.iter().copied().find(|code| code.status() == status).unwrap_or(fallback)
    }
}

/// What another room reports.
impl From<ErrorKind> for ErrorCode {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::InvalidArgument,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// Why there is no (more) answer to a statement.
impl From<&QueryFailure> for ErrorCode {
    fn from(failure: &QueryFailure) -> Self {
        match failure {
            QueryFailure::Engine(error) => match FoundBy::of(error) {
                FoundBy::Memory => Self::MemoryTaken,
                FoundBy::Us | FoundBy::Table(_) | FoundBy::Engine => error.kind.into(),
            },
            QueryFailure::TimedOut(_) => Self::TimedOut,
            QueryFailure::TooManyRows(_) => Self::PageTooLarge,
            QueryFailure::Stalled => Self::MemoryTaken,
            QueryFailure::NoThreads | QueryFailure::Busy => Self::Unavailable,
            QueryFailure::BrokenOff => Self::Internal,
        }
    }
}

/// An error as the Iceberg REST specification tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcebergCode {
    /// Status of the answer, and `code` in its body.
    pub(crate) status: StatusCode,
    /// `type` in its body.
    pub(crate) kind: &'static str,
}

impl IcebergCode {
    /// There is no such namespace.
    pub(crate) const NO_NAMESPACE: Self = Self::of(ErrorCode::NotFound).named("NoSuchNamespaceException");
    /// There is no such table.
    pub(crate) const NO_TABLE: Self = Self::of(ErrorCode::NotFound).named("NoSuchTableException");

    pub(crate) const fn of(code: ErrorCode) -> Self {
        Self { status: code.status(), kind: code.names().iceberg }
    }

    const fn named(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// Of an answer that was refused elsewhere, whose status stays.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self { status, ..Self::of(ErrorCode::of_status(status)) }
    }

    /// Of an error of Iceberg's library, which has names of its own for some.
    pub(crate) fn of_library(error: &iceberg::Error) -> Self {
        use iceberg::ErrorKind as Kind;
        let code = ErrorCode::from(kind_of(error));
        match (code, error.kind()) {
            (ErrorCode::NotFound, Kind::NamespaceNotFound) => Self::NO_NAMESPACE,
            (ErrorCode::NotFound, Kind::TableNotFound) => Self::NO_TABLE,
            (ErrorCode::Conflict, Kind::NamespaceAlreadyExists | Kind::TableAlreadyExists) => {
                Self::of(code).named("AlreadyExistsException")
            }
            (ErrorCode::InvalidArgument, Kind::FeatureUnsupported) => {
                Self::of(code).named("UnsupportedOperationException")
            }
            _ => Self::of(code),
        }
    }
}

#[cfg(test)]
mod tests;
