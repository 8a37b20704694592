//! What went wrong with a table, and what the caller should do about it.

use std::error::Error as StdError;
use std::io::ErrorKind as IoErrorKind;

use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
pub use seislake_model::{Error, Result};
use seislake_model::{ErrorKind, causes};

use crate::damaged::FileDamage;

/// What an error of the lake says about what lies there.
pub(crate) trait Damage: Sized {
    /// What was read was found wrong, or is not there: the way to it (network, rights, disk, descriptors) is sound, and
    /// this build understands what it should say. Nothing else is a reason to mend.
    fn is_damage(&self) -> bool;
    /// The same error, where it is no damage.
    fn damage(self) -> Result<Self>;
    /// The file that was read and must not be used.
    fn damaged_file(&self) -> Option<&FileDamage>;
    /// A file was not there: of a snapshot that somebody else let go meanwhile, or lost.
    fn misses_a_file(&self) -> bool;
}

impl Damage for Error {
    fn is_damage(&self) -> bool {
        let mut found_wrong = self.kind == ErrorKind::Corrupt;
        let mut failed_to_read = false;
        for cause in causes(self) {
            if cause.is::<FileDamage>() || names_no_object(cause) {
                return true;
            }
            failed_to_read |= cause.is::<object_store::Error>();
            failed_to_read |= cause.downcast_ref().is_some_and(|error: &std::io::Error| {
                // Decoders end so, too, where the bytes are too few or make no sense.
                !matches!(error.kind(), IoErrorKind::UnexpectedEof | IoErrorKind::InvalidData)
            });
            found_wrong |= cause.downcast_ref().is_some_and(|error: &ParquetError| {
                !matches!(error, ParquetError::External(_) | ParquetError::NYI(_))
            });
        }
        found_wrong && !failed_to_read
    }

    fn damage(self) -> Result<Self> {
        if self.is_damage() { Ok(self) } else { Err(self) }
    }

    fn damaged_file(&self) -> Option<&FileDamage> {
        causes(self).find_map(|error| error.downcast_ref())
    }

    fn misses_a_file(&self) -> bool {
        causes(self).any(names_no_object)
    }
}

/// Errors of the libraries below, sorted by what the caller should do.
pub(crate) trait Kind: StdError + Send + Sync + 'static {
    fn kind(&self) -> ErrorKind;
}

/// What the caller should do about an error of Iceberg's library, which may hold one of ours.
pub fn kind_of(error: &iceberg::Error) -> ErrorKind {
    Kind::kind(error)
}

/// A file that metadata name is damaged or gone, however deep below the store said so.
fn of_store(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    let lost = |error: &(dyn StdError + 'static)| error.is::<FileDamage>() || names_no_object(error);
    causes(error).any(lost).then_some(ErrorKind::Corrupt)
}

/// The sentence that names it.
fn lost_file(error: &(dyn StdError + 'static)) -> Option<String> {
    causes(error).find_map(|error| match error.downcast_ref() {
        Some(object_store::Error::NotFound { path, .. }) => {
            Some(format!("the file \"{path}\" of the warehouse is not there"))
        }
        _ => error.downcast_ref::<FileDamage>().map(ToString::to_string),
    })
}

fn names_no_object(error: &(dyn StdError + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(object_store::Error::NotFound { .. }))
}

impl Kind for iceberg::Error {
    fn kind(&self) -> ErrorKind {
        use iceberg::ErrorKind as K;
        if let Some(kind) = of_store(self) {
            return kind;
        }
        match Self::kind(self) {
            K::NamespaceNotFound | K::TableNotFound => ErrorKind::NotFound,
            K::CatalogCommitConflicts | K::NamespaceAlreadyExists | K::TableAlreadyExists => {
                ErrorKind::Conflict
            }
            K::PreconditionFailed | K::FeatureUnsupported => ErrorKind::Invalid,
            K::DataInvalid => ErrorKind::Corrupt,
            _ if self.retryable() || waits_for_the_disk(self) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        }
    }
}

/// A file could not be written or read now, however deep below that was said: a full disk, a lost connection.
fn waits_for_the_disk(error: &(dyn StdError + 'static)) -> bool {
    let unavailable = |error: &(dyn StdError + 'static)| {
        let own = error.downcast_ref::<Error>().is_some_and(|own| own.kind == ErrorKind::Unavailable);
        own || error.is::<std::io::Error>()
    };
    causes(error).any(unavailable)
}

impl Kind for sqlx::Error {
    fn kind(&self) -> ErrorKind {
        /// SQLite: a table or column is not there; the database is malformed; the file is no database.
        const DAMAGED: [u32; 3] = [1, 11, 26];
        if matches!(self, Self::ColumnDecode { .. } | Self::Decode(_)) {
            return ErrorKind::Corrupt;
        }
        let code = self.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(code) if DAMAGED.contains(&code) => ErrorKind::Corrupt,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl Kind for object_store::Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            other => of_store(other).unwrap_or(ErrorKind::Unavailable),
        }
    }
}

impl Kind for FileDamage {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
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

impl Kind for ParquetError {
    fn kind(&self) -> ErrorKind {
        of_store(self).unwrap_or(ErrorKind::Internal)
    }
}

impl Kind for DataFusionError {
    fn kind(&self) -> ErrorKind {
        of_store(self).unwrap_or(ErrorKind::Internal)
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
        self.map_err(|cause| {
            // Doors show the message alone: which file is lost belongs to it.
            let message = match lost_file(&cause) {
                Some(lost) => format!("cannot {}: {lost}", what().into()),
                None => format!("cannot {}", what().into()),
            };
            Error { kind: Kind::kind(&cause), message, source: Some(Box::new(cause)) }
        })
    }
}

/// Hands errors of ours on to the libraries that call us.
pub(crate) trait Outward<T> {
    /// As Iceberg's library tells it.
    fn for_iceberg(self) -> iceberg::Result<T>;
    /// As the engine tells it.
    fn for_engine(self) -> datafusion::error::Result<T>;
}

impl<T> Outward<T> for Result<T> {
    fn for_iceberg(self) -> iceberg::Result<T> {
        self.map_err(to_iceberg)
    }

    fn for_engine(self) -> datafusion::error::Result<T> {
        self.map_err(to_engine)
    }
}

/// An error of ours as Iceberg's library tells it.
pub(crate) fn to_iceberg(error: Error) -> iceberg::Error {
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
    iceberg::Error::new(kind, text).with_retryable(retryable).with_source(error)
}

/// An error of ours as the engine tells it.
pub(crate) fn to_engine(error: Error) -> DataFusionError {
    match error.kind {
        ErrorKind::Invalid | ErrorKind::NotFound => DataFusionError::Plan(error.message),
        _ => DataFusionError::External(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_the_store(source: impl StdError + Send + Sync + 'static) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(source) }
    }

    fn read<E: Kind>(error: E) -> Error {
        Err::<(), E>(error).doing(|| "read a file").unwrap_err()
    }

    fn of_iceberg(error: object_store::Error) -> iceberg::Error {
        iceberg::Error::new(iceberg::ErrorKind::Unexpected, "cannot access").with_source(error)
    }

    #[test]
    fn a_full_disk_is_waited_for_whoever_tells_of_it() {
        let full = || std::io::Error::from(IoErrorKind::StorageFull);
        let own = || Error { kind: ErrorKind::Unavailable, message: "cannot write".into(), source: None };
        for error in [
            read(of_iceberg(of_the_store(full()))),
            read(iceberg::Error::new(iceberg::ErrorKind::Unexpected, "cannot write").with_source(full())),
            read(to_iceberg(own())),
        ] {
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
        }
        let other = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "a fault of the library");
        assert_eq!(read(other).kind, ErrorKind::Internal);
    }

    #[test]
    fn only_what_was_read_and_found_wrong_is_damage() {
        use std::io::Error as IoError;
        let gone = || object_store::Error::NotFound { path: "a".into(), source: "it is not there".into() };
        let timed_out = || of_the_store(IoError::from(IoErrorKind::TimedOut));
        let too_many_files = IoError::from_raw_os_error(24);
        let invalid = |source: IoError| {
            iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "no manifest").with_source(source)
        };
        let newer = iceberg::Error::new(iceberg::ErrorKind::FeatureUnsupported, "format version 9");
        let cases = [
            (read(of_iceberg(gone())), true),
            (read(gone()), true),
            (read(of_iceberg(timed_out())), false),
            (read(timed_out()), false),
            (read(of_the_store(too_many_files)), false),
            (read(ParquetError::External(Box::new(timed_out()))), false),
            (read(ParquetError::External(Box::new(gone()))), true),
            (read(ParquetError::EOF("too short".into())), true),
            (read(ParquetError::NYI("an encoding of later".into())), false),
            (read(DataFusionError::ParquetError(Box::new(ParquetError::General("no footer".into())))), true),
            (read(DataFusionError::ObjectStore(Box::new(timed_out()))), false),
            (read(invalid(IoError::from(IoErrorKind::UnexpectedEof))), true),
            (read(invalid(IoError::from(IoErrorKind::PermissionDenied))), false),
            (read(newer), false),
            (read(sqlx::Error::PoolTimedOut), false),
            (read(IoError::from(IoErrorKind::PermissionDenied)), false),
            (Error::new(ErrorKind::Corrupt, "it has 3 bytes, not 4"), true),
            (Error::new(ErrorKind::Invalid, "a home is not moved"), false),
        ];
        for (error, damage) in cases {
            assert_eq!(error.is_damage(), damage, "{error:?}");
        }
    }
}
