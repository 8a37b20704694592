//! The error of this room: what to do, what was attempted on which object, and why it failed.

use seislake_model::{ErrorKind, SinkError};

/// Something in the streams room failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What the caller should do.
    pub kind: ErrorKind,
    /// What was attempted on which object.
    pub message: String,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The message and all causes in one line, for the place that reports it.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Unavailable,
        };
        Self::caused(kind, message, source)
    }

    pub(crate) fn state(message: impl Into<String>, source: impl Into<redb::Error>) -> Self {
        Self::caused(ErrorKind::Unavailable, message, source.into())
    }

    pub(crate) fn task(source: tokio::task::JoinError) -> Self {
        Self::caused(ErrorKind::Internal, "a task of the streams room ended abnormally", source)
    }
}

impl From<SinkError> for Error {
    fn from(error: SinkError) -> Self {
        Self { kind: error.kind, message: error.message, source: error.source }
    }
}
