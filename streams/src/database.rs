//! Small databases below `state/`. What they hold can be made again from the log: a file that cannot be read, or whose
//! checksums are wrong, is put aside and begun anew.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, StorageError};

use crate::Error;

/// Opens or creates the database at `path`, in memory without one. All checksums of an existing file are verified.
pub(crate) fn open(path: Option<&Path>, cache_bytes: usize) -> Result<Database, Error> {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    let Some(path) = path else {
        return builder
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|e| Error::state("create a database in memory", e));
    };
    let context = || format!("open \"{}\"", path.display());
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|e| Error::io(format!("create \"{}\"", directory.display()), e))?;
    }
    let reason = match without_panic(|| verified(&builder, path)) {
        Ok(Ok(database)) => return Ok(database),
        Ok(Err(error)) if !is_damage(&error) => return Err(Error::state(context(), error)),
        Ok(Err(error)) => error.to_string(),
        Err(reason) => reason,
    };
    tracing::warn!(
        file = %path.display(), reason,
        "a state file is damaged: it is made again from the log, and kept as .damaged"
    );
    put_aside(path)?;
    builder.create(path).map_err(|e| Error::state(context(), e))
}

/// Databases below `state/` of `home` that the next start makes again, with the reason: lost ones, where there is a log,
/// and damaged ones. Nothing is changed: their copies are looked at. Nobody else may have them open.
///
/// # Errors
/// Files that cannot be copied.
pub fn state_damages(home: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut found = Vec::new();
    let begun = std::fs::read_dir(home.join("log")).is_ok_and(|mut topics| topics.next().is_some());
    for name in ["seen.redb", "checkpoints.redb"] {
        let path = home.join("state").join(name);
        if !path.exists() {
            if begun {
                found.push((path, "it is not there".to_owned()));
            }
            continue;
        }
        let copy = std::env::temp_dir().join(format!("seislake-check-{}-{name}", std::process::id()));
        std::fs::copy(&path, &copy).map_err(|e| Error::io(format!("copy \"{}\"", path.display()), e))?;
        let looked_at = without_panic(|| verified(&Database::builder(), &copy));
        let _ = std::fs::remove_file(&copy);
        match looked_at {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => found.push((path, error.to_string())),
            Err(reason) => found.push((path, reason)),
        }
    }
    Ok(found)
}

/// Renames a database that is of no use, so that a new one is begun.
pub(crate) fn put_aside(path: &Path) -> Result<(), Error> {
    match std::fs::rename(path, path.with_extension("redb.damaged")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("put \"{}\" aside", path.display()), error))
        }
        _ => Ok(()),
    }
}

fn verified(builder: &redb::Builder, path: &Path) -> Result<Database, DatabaseError> {
    let mut database = builder.create(path)?;
    // An older state that was found behind a bad one will do: the log knows what came since.
    database.check_integrity()?;
    Ok(database)
}

/// Whether the file is to blame, and not the disk or another process.
fn is_damage(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => {
            matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
        }
        DatabaseError::Storage(StorageError::Corrupted(_)) | DatabaseError::UpgradeRequired(_) => true,
        _ => false,
    }
}

/// The library panics at some damaged files: that becomes a reason, and prints nothing.
fn without_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    done.map_err(|panic| panic_text(&*panic))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it is not sound".to_owned())
}
