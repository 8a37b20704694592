//! Errors of the libraries below, as those of this room.

use seislake_model::{Error, ErrorKind};

/// Makes the error of a library one of ours.
pub(crate) trait Cause: Sized {
    /// A file.
    fn io(message: impl Into<String>, source: std::io::Error) -> Self;
    /// A database of state.
    fn state(message: impl Into<String>, source: impl Into<redb::Error>) -> Self;
    /// A task that ended abnormally.
    fn task(source: tokio::task::JoinError) -> Self;
}

impl Cause for Error {
    fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Unavailable,
        };
        Self::caused(kind, message, source)
    }

    fn state(message: impl Into<String>, source: impl Into<redb::Error>) -> Self {
        Self::caused(ErrorKind::Unavailable, message, source.into())
    }

    fn task(source: tokio::task::JoinError) -> Self {
        Self::caused(ErrorKind::Internal, "a task of the streams room ended abnormally", source)
    }
}
