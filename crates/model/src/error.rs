//! The error of every room: what to do about it, what was attempted on which object, and why it failed.

use std::error::Error as StdError;

/// Result of an operation that fails with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller should do about an error. A new kind is a design question: doors, exit codes and retries follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request or input is wrong: change it.
    Invalid,
    /// The named object does not exist.
    NotFound,
    /// Somebody else changed it first: read again.
    Conflict,
    /// Try again later.
    Unavailable,
    /// Stored data are damaged.
    Corrupt,
    /// A bug of ours.
    Internal,
}

/// An operation failed.
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

    /// An error with its cause.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The message and all causes in one line, for the place that reports it. Clients see the message alone.
    pub fn chain(&self) -> String {
        let texts = causes(self).map(ToString::to_string);
        texts.collect::<Vec<_>>().join(": ")
    }
}

/// An error and what it comes from, the deepest last.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_and_the_message_none() {
        let disk = std::io::Error::other("no space left");
        let file = Error::caused(ErrorKind::Unavailable, "cannot write \"a\"", disk);
        let table = Error::caused(file.kind, "cannot commit \"t\"", file);
        assert_eq!(table.to_string(), "cannot commit \"t\"");
        assert_eq!(table.chain(), "cannot commit \"t\": cannot write \"a\": no space left");
        assert_eq!(causes(&table).count(), 3);
    }
}
