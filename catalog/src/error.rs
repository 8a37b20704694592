//! What went wrong with a table, and what the caller should do about it.

use std::error::Error as StdError;

use datafusion::error::DataFusionError;
use seislake_model::{ErrorKind, SinkError};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on the lake failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// What was attempted on which object.
    pub message: String,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error without a deeper cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}

/// Errors of the libraries below, sorted by what the caller should do.
pub(crate) trait Kind: StdError + Send + Sync + 'static {
    fn kind(&self) -> ErrorKind;
}

impl Kind for iceberg::Error {
    fn kind(&self) -> ErrorKind {
        use iceberg::ErrorKind as K;
        match Self::kind(self) {
            K::NamespaceNotFound | K::TableNotFound => ErrorKind::NotFound,
            K::CatalogCommitConflicts | K::NamespaceAlreadyExists | K::TableAlreadyExists => {
                ErrorKind::Conflict
            }
            K::PreconditionFailed | K::FeatureUnsupported => ErrorKind::Invalid,
            K::DataInvalid => ErrorKind::Corrupt,
            _ if self.retryable() => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        }
    }
}

impl Kind for sqlx::Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

impl Kind for object_store::Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl Kind for std::io::Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

impl Kind for arrow::error::ArrowError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

impl Kind for parquet::errors::ParquetError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

impl Kind for DataFusionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

impl Kind for serde_json::Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

/// Says what was attempted when a library below failed.
pub(crate) trait Doing<T> {
    /// Wraps the cause; `what` reads on after "cannot": `read table "bulletin.picks"`.
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Kind> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|cause| Error {
            kind: Kind::kind(&cause),
            message: format!("cannot {}", what().into()),
            source: Some(Box::new(cause)),
        })
    }
}

impl From<Error> for iceberg::Error {
    fn from(error: Error) -> Self {
        use iceberg::ErrorKind as K;
        let kind = match error.kind {
            ErrorKind::NotFound => K::TableNotFound,
            ErrorKind::Conflict => K::CatalogCommitConflicts,
            ErrorKind::Invalid => K::PreconditionFailed,
            ErrorKind::Corrupt => K::DataInvalid,
            ErrorKind::Unavailable | ErrorKind::Internal => K::Unexpected,
        };
        let retryable = matches!(error.kind, ErrorKind::Conflict);
        let text = error.message.clone();
        Self::new(kind, text).with_retryable(retryable).with_source(error)
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Invalid | ErrorKind::NotFound => Self::Plan(error.message),
            _ => Self::External(Box::new(error)),
        }
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        Self { kind: error.kind, message: error.message, source: error.source }
    }
}
