//! Small databases below `state/`. What they hold can be made again from the log: a file that cannot be read, or whose
//! checksums are wrong, is put aside and begun anew.

mod header;
mod overlay;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, StorageError};
use seislake_model::{ErrorKind, Offsets, is_own_code, silently, take_panicking_file};

use self::overlay::Overlay;
use crate::Error;
use crate::error::Cause;
use crate::gate;
use crate::runtime::checkpoint_inputs;
use crate::topic::log_holds_records;

/// The index of records seen.
const INDEX: &str = "seen.redb";

/// Which existing databases are verified as a whole when they are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Those of at most so many bytes.
    UpTo(u64),
    /// Each.
    All,
}

impl Verify {
    /// A larger database is not verified at every start: that takes seven seconds for a gigabyte, or twenty million records.
    /// The library itself verifies all of it after an unclean end, and `home check` at any time.
    pub(crate) const AT_START: Self = Self::UpTo(256 << 20);
}

/// An open database. Damage that no checksum covers (the library has none over the counts of its own tables) makes the
/// library panic, at work or when it closes the file: it is put aside then as damaged ones are.
#[derive(Debug)]
pub(crate) struct StateDatabase {
    /// `None` only while it is dropped.
    database: Option<Database>,
    /// `None`: in memory.
    path: Option<PathBuf>,
    damaged: bool,
}

impl StateDatabase {
    fn new(database: Database, path: Option<&Path>) -> Self {
        Self { database: Some(database), path: path.map(Path::to_owned), damaged: false }
    }

    /// Hands on how work on the database ended. Where it is [`ErrorKind::Corrupt`], the file is put aside when it is closed,
    /// and whoever asked may ask again.
    pub(crate) fn judged<T>(&mut self, done: Result<T, Error>) -> Result<T, Error> {
        done.map_err(|error| {
            self.damaged |= error.kind == ErrorKind::Corrupt;
            let kind = if self.damaged { ErrorKind::Unavailable } else { error.kind };
            Error { kind, ..error }
        })
    }
}

impl std::ops::Deref for StateDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database.as_ref().expect("a database that is not dropped")
    }
}

impl Drop for StateDatabase {
    fn drop(&mut self) {
        let closed = without_panic(|| drop(self.database.take()));
        let reason = match &closed {
            Err(reason) => reason,
            Ok(()) if self.damaged => "the library failed at it",
            Ok(()) => return,
        };
        let Some(path) = &self.path else { return };
        tell_of_damage(path, reason);
        if let Err(error) = put_state_aside(path) {
            tracing::warn!(error = error.chain(), "a damaged state file stays");
        }
    }
}

/// Works on a database: a panic of the library becomes [`ErrorKind::Corrupt`], one of ours goes on.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    silently(|| catch_unwind(AssertUnwindSafe(work))).unwrap_or_else(|panic| {
        if is_own_code(&take_panicking_file()) {
            resume_unwind(panic);
        }
        Err(Error::new(ErrorKind::Corrupt, format!("a state file makes no sense ({})", panic_text(&*panic))))
    })
}

fn tell_of_damage(path: &Path, reason: &str) {
    tracing::warn!(
        file = %path.display(), reason,
        "a state file is damaged: it is made again from the log, and kept as .damaged"
    );
}

/// Opens or creates the database at `path`, in memory without one.
pub(crate) fn open(path: Option<&Path>, cache_bytes: usize, verify: Verify) -> Result<StateDatabase, Error> {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    let Some(path) = path else {
        return builder
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map(|database| StateDatabase::new(database, None))
            .map_err(|e| Error::state("create a database in memory", e));
    };
    let context = || format!("open \"{}\"", path.display());
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|e| Error::io(format!("create \"{}\"", directory.display()), e))?;
    }
    let reason = match without_panic(|| created(&builder, path, verify)) {
        Ok(Ok(database)) => return Ok(StateDatabase::new(database, Some(path))),
        Ok(Err(error)) if !is_damage(&error) => return Err(Error::state(context(), error)),
        Ok(Err(error)) => error.to_string(),
        Err(reason) => reason,
    };
    tell_of_damage(path, &reason);
    put_state_aside(path)?;
    let anew = builder.create(path).map_err(|e| Error::state(context(), e))?;
    Ok(StateDatabase::new(anew, Some(path)))
}

/// What the databases below `state/` say.
#[derive(Debug, Default)]
pub struct StateFound {
    /// Those that are lost although the log holds records, or damaged, with the reason.
    pub damages: Vec<(PathBuf, String)>,
    /// How far the others know the log.
    pub known: Offsets,
}

/// Looks at the databases below `state/` of `home`, whose topics end with `suffix` (empty but for a share). Nothing is
/// changed. Nobody else may have them open.
///
/// # Errors
/// Files that cannot be read for other reasons than damage.
pub fn state_of(home: &Path, suffix: &str) -> Result<StateFound, Error> {
    let mut found = StateFound::default();
    let begun = log_holds_records(&home.join("log"))?;
    for name in [INDEX, "checkpoints.redb"] {
        let path = home.join("state").join(name);
        let looked_for = path.try_exists();
        if !looked_for.map_err(|e| Error::io(format!("look for \"{}\"", path.display()), e))? {
            if begun {
                found.damages.push((path, "it is not there".to_owned()));
            }
            continue;
        }
        let opened =
            Overlay::over(&path).map_err(|e| Error::io(format!("open \"{}\"", path.display()), e))?;
        let looked_at = without_panic(|| {
            header::check(&path)?;
            let database = Database::builder().create_with_backend(opened)?;
            let database = verified(database, 0, Verify::All)?;
            Ok::<_, DatabaseError>(match name {
                INDEX => gate::known_offsets(&database, suffix),
                _ => checkpoint_inputs(&database),
            })
        });
        match looked_at {
            Ok(Ok(Ok(known))) => found.known.extend(&known),
            Ok(Ok(Err(error))) if error.kind == ErrorKind::Corrupt => {
                found.damages.push((path, error.chain()))
            }
            Ok(Ok(Err(error))) => return Err(error),
            Ok(Err(error)) if !is_damage(&error) => {
                return Err(Error::state(format!("check \"{}\"", path.display()), error));
            }
            Ok(Err(error)) => found.damages.push((path, error.to_string())),
            Err(reason) => found.damages.push((path, reason)),
        }
    }
    Ok(found)
}

/// Renames a damaged database, so that the next start makes it again. One that was kept before stays.
///
/// # Errors
/// A file that cannot be renamed.
pub fn put_state_aside(path: &Path) -> Result<(), Error> {
    let kept = free_name(&path.with_extension("redb.damaged"))?;
    match std::fs::rename(path, kept) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("put \"{}\" aside", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// `path`, or the next name beside it that is not taken.
pub(crate) fn free_name(path: &Path) -> Result<PathBuf, Error> {
    seislake_model::free_name(path, |name| name.symlink_metadata().is_ok()).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("too many files beside \"{}\"", path.display()))
    })
}

fn verified(mut database: Database, file_bytes: u64, verify: Verify) -> Result<Database, DatabaseError> {
    let whole = match verify {
        Verify::UpTo(limit) => file_bytes <= limit,
        Verify::All => true,
    };
    if whole {
        // An older state that was found behind a bad one will do: the log knows what came since.
        database.check_integrity()?;
    }
    Ok(database)
}

fn created(builder: &redb::Builder, path: &Path, verify: Verify) -> Result<Database, DatabaseError> {
    header::check(path)?;
    let database = builder.create(path)?;
    verified(database, std::fs::metadata(path).map_err(StorageError::Io)?.len(), verify)
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
    silently(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|panic| format!("its pages make no sense ({})", panic_text(&*panic)))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it is not sound".to_owned())
}

#[cfg(test)]
mod tests {
    use std::panic::{panic_any, set_hook, take_hook};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_large_database_that_was_closed_in_order_is_verified_where_that_is_asked_for() {
        const TABLE: redb::TableDefinition<'static, u64, &[u8]> = redb::TableDefinition::new("t");
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("seen.redb");
        let database = open(Some(&path), 1 << 20, Verify::AT_START).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            (0..1000_u64).for_each(|key| drop(table.insert(key, [7; 100].as_slice()).unwrap()));
        }
        transaction.commit().unwrap();
        drop(database);
        let mut bytes = std::fs::read(&path).unwrap();
        let samples = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
        bytes[samples + 50] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let looked_at = |verify| without_panic(|| created(&Database::builder(), &path, verify).map(drop));
        assert!(matches!(looked_at(Verify::UpTo(bytes.len() as u64 - 1)), Ok(Ok(()))));
        for verify in [Verify::UpTo(bytes.len() as u64), Verify::All] {
            assert!(!matches!(looked_at(verify), Ok(Ok(()))), "{verify:?}");
        }
    }

    #[test]
    fn whatever_byte_is_changed_the_database_opens_takes_entries_and_closes() {
        const TABLE: redb::TableDefinition<'static, &str, &[u8]> = redb::TableDefinition::new("t");
        let write = |database: &mut StateDatabase| {
            let written = guarded(|| {
                let failed = |e: redb::Error| Error::state("write", e);
                let transaction = database.begin_write().map_err(|e| failed(e.into()))?;
                let mut table = transaction.open_table(TABLE).map_err(|e| failed(e.into()))?;
                table.insert("key", [7; 100].as_slice()).map_err(|e| failed(e.into()))?;
                drop(table);
                transaction.commit().map_err(|e| failed(e.into()))
            });
            database.judged(written)
        };
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state.redb");
        let mut database = open(Some(&path), 1 << 20, Verify::All).unwrap();
        write(&mut database).unwrap();
        drop(database);
        let sound = std::fs::read(&path).unwrap();
        let filled: Vec<_> = (320..sound.len()).filter(|place| sound[*place] != 0).collect();
        let places = (0..320).step_by(5).chain(filled.iter().copied().step_by(filled.len() / 20));
        let patches: [&[u8]; 3] = [&[0x0a, 0x31, 0xff], &[0xff; 8], &[0x80]];
        for (place, patch) in places.flat_map(|place| patches.map(|patch| (place, patch))) {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("state.redb");
            let mut bytes = sound.clone();
            bytes[place..place + patch.len()].copy_from_slice(patch);
            std::fs::write(&path, &bytes).unwrap();
            drop(open(Some(&path), 1 << 20, Verify::All).unwrap());
            let mut database = open(Some(&path), 1 << 20, Verify::All).unwrap();
            let written = write(&mut database);
            drop(database);
            let mut again = open(Some(&path), 1 << 20, Verify::All).unwrap();
            assert!(written.is_ok() || write(&mut again).is_ok(), "byte {place}: {written:?}");
        }
    }

    #[test]
    fn a_database_that_fails_at_work_is_put_aside_when_it_is_closed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state.redb");
        let mut database = open(Some(&path), 1 << 20, Verify::All).unwrap();
        // A panic in code of a registry, as those of the library are.
        let failed = guarded(|| Ok(bytes::Buf::get_u64(&mut bytes::Bytes::new())));
        assert_eq!(failed.as_ref().unwrap_err().kind, ErrorKind::Corrupt);
        assert_eq!(database.judged(failed).unwrap_err().kind, ErrorKind::Unavailable);
        drop(database);
        assert!(path.with_extension("redb.damaged").exists() && !path.exists());
    }

    #[test]
    fn databases_opened_at_one_moment_leave_the_hook_of_panics_as_it_was() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        const SAID: &str = "told behind the others";
        let before = take_hook();
        set_hook(Box::new(move |panic| match panic.payload().downcast_ref() {
            Some(&SAID) => drop(TOLD.fetch_add(1, Ordering::Relaxed)),
            _ => before(panic),
        }));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..2000).for_each(|_| without_panic(|| ()).unwrap()));
            }
        });
        assert!(catch_unwind(|| panic_any(SAID)).is_err());
        assert_eq!(TOLD.load(Ordering::Relaxed), 1);
    }
}
