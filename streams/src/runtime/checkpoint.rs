//! Checkpoints of stages: what a stage remembers, together with the offset of the input that made it so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use seislake_model::{ErrorKind, Offset, Offsets};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::database::{self, StateDatabase, Verify};
use crate::error::Cause;

/// Revision and bytes of the base of a stage, by the key of its checkpoint.
const BASES: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("bases");
const STAGES: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("stages");
/// Pages kept in memory: checkpoints are written, and read once at the start.
const CACHE_BYTES: usize = 4 << 20;

/// One checkpoint of one stage on one input partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Version of the state's form.
    pub(super) state_version: u32,
    /// Next input offset to process.
    pub(super) input_next: Offset,
    /// Nothing that this stage derives from later input lies before this offset of the output topic.
    pub(super) output_next: Offset,
    /// The same for the dead-letter partition.
    pub(super) letters_next: Offset,
    /// The stage's state; `None` before its first record.
    pub(super) state: Option<Bytes>,
    /// The settings (JSON) under which it came to be; `None` in checkpoints written before they were kept.
    #[serde(default)]
    pub(super) settings: Option<String>,
    /// See `Stage::base_revision`; 0 in checkpoints of before.
    #[serde(default)]
    pub(super) base_revision: u64,
    /// What the stage does; `None` in checkpoints of before: what it does now.
    #[serde(default)]
    pub(super) kind: Option<String>,
}

/// Where checkpoints are kept: a small database, one entry per stage and input partition. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    path: Option<PathBuf>,
    /// `None` after a failure: the next one to ask opens it again.
    database: Arc<Mutex<Option<StateDatabase>>>,
}

impl CheckpointStore {
    /// Opens or creates `directory/state/checkpoints.redb`. A damaged file is put aside: stages then replay the log.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join("state").join("checkpoints.redb");
        let database = database::open(Some(&path), CACHE_BYTES, Verify::AT_START)?;
        Ok(Self { path: Some(path), database: Arc::new(Mutex::new(Some(database))) })
    }

    /// Keeps checkpoints in memory: for tests.
    pub fn memory() -> Result<Self, Error> {
        let database = database::open(None, CACHE_BYTES, Verify::AT_START)?;
        Ok(Self { path: None, database: Arc::new(Mutex::new(Some(database))) })
    }

    /// Puts the checkpoints aside and begins without any: stages then replay the log.
    pub(super) fn anew(&self) -> Result<(), Error> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        drop(slot.take());
        if let Some(path) = &self.path {
            database::put_state_aside(path)?;
        }
        *slot = Some(database::open(self.path.as_deref(), CACHE_BYTES, Verify::AT_START)?);
        Ok(())
    }

    /// Works on the database. After a failure it must be closed and opened again: the library asks for that.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut database = match slot.take() {
            Some(database) => database,
            None => database::open(self.path.as_deref(), CACHE_BYTES, Verify::All)?,
        };
        let done = database::guarded(|| work(&database));
        let done = database.judged(done);
        // One in memory would be lost.
        if done.is_ok() || self.path.is_none() {
            *slot = Some(database);
        }
        done
    }

    /// How far stages have read their topics, as far as checkpoints can be read.
    pub(super) fn inputs(&self) -> Result<Offsets, Error> {
        self.with(checkpoint_inputs)
    }

    /// Topics that a stage has read, and the kinds of which it was, as far as they are known.
    pub(super) fn identities_of(&self, stage: &str) -> Result<BTreeSet<(String, Option<String>)>, Error> {
        let identity = |(key, value): &(String, Vec<u8>)| {
            let topic = key.strip_prefix(stage)?.strip_prefix('/')?.rsplit_once('/')?.0.to_owned();
            Some((topic, rmp_serde::from_slice::<Checkpoint>(value).ok()?.kind))
        };
        Ok(self.with(entries)?.iter().filter_map(identity).collect())
    }

    /// The checkpoint of a stage; `None` where there is none, or none that can be read.
    pub(super) fn load(&self, key: &str) -> Result<Option<Checkpoint>, Error> {
        let Some(value) = self.with(|database| entry(database, key))? else { return Ok(None) };
        match rmp_serde::from_slice(&value) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => {
                tracing::warn!(
                    checkpoint = key,
                    error = %error,
                    "a checkpoint cannot be read: its stage replays the log"
                );
                Ok(None)
            }
        }
    }

    /// The base of a stage at a revision; `None` where there is none, or of another.
    pub(super) fn base(&self, key: &str, revision: u64) -> Result<Option<Vec<u8>>, Error> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(|e| Error::state(READ, e))?;
            let table = match transaction.open_table(BASES) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(Error::state(READ, error)),
            };
            let Some(found) = table.get(key).map_err(|e| Error::state(READ, e))? else { return Ok(None) };
            let (of, bytes) = found.value();
            Ok((of == revision).then(|| bytes.to_vec()))
        })
    }

    /// Saves a checkpoint and, where it changed, the base that belongs to it: both or none.
    pub(super) fn save(&self, key: &str, checkpoint: &Checkpoint, base: Option<&[u8]>) -> Result<(), Error> {
        let bytes = rmp_serde::to_vec(checkpoint)
            .map_err(|e| Error::caused(ErrorKind::Internal, format!("save checkpoint \"{key}\""), e))?;
        self.save_bytes(key, &bytes, base.map(|base| (checkpoint.base_revision, base)))
    }

    pub(super) fn save_bytes(
        &self,
        key: &str,
        bytes: &[u8],
        base: Option<(u64, &[u8])>,
    ) -> Result<(), Error> {
        let context = || format!("save checkpoint \"{key}\"");
        self.with(|database| {
            let transaction = database.begin_write().map_err(|e| Error::state(context(), e))?;
            {
                let mut table = transaction.open_table(STAGES).map_err(|e| Error::state(context(), e))?;
                table.insert(key, bytes).map_err(|e| Error::state(context(), e))?;
                if let Some(base) = base {
                    let mut table = transaction.open_table(BASES).map_err(|e| Error::state(context(), e))?;
                    table.insert(key, base).map_err(|e| Error::state(context(), e))?;
                }
            }
            transaction.commit().map_err(|e| Error::state(context(), e))
        })
    }
}

const READ: &str = "read the checkpoints";

/// The value of a key, as it is kept.
fn entry(database: &Database, key: &str) -> Result<Option<Vec<u8>>, Error> {
    let transaction = database.begin_read().map_err(|e| Error::state(READ, e))?;
    let table = match transaction.open_table(STAGES) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(Error::state(READ, error)),
    };
    let value = table.get(key).map_err(|e| Error::state(READ, e))?;
    Ok(value.map(|value| value.value().to_vec()))
}

/// Keys and values, as they are kept.
fn entries(database: &Database) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let transaction = database.begin_read().map_err(|e| Error::state(READ, e))?;
    let table = match transaction.open_table(STAGES) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(Error::state(READ, error)),
    };
    let mut entries = Vec::new();
    for entry in table.iter().map_err(|e| Error::state(READ, e))? {
        let (key, value) = entry.map_err(|e| Error::state(READ, e))?;
        entries.push((key.value().to_owned(), value.value().to_vec()));
    }
    Ok(entries)
}

/// [`CheckpointStore::inputs`] of a database.
pub(crate) fn checkpoint_inputs(database: &Database) -> Result<Offsets, Error> {
    let mut inputs = Offsets::default();
    for (key, value) in entries(database)? {
        let mut parts = key.splitn(2, '/').skip(1);
        let place = parts.next().and_then(|place| place.rsplit_once('/'));
        let Some((topic, partition)) = place else { continue };
        let (Ok(partition), Ok(checkpoint)) =
            (partition.parse(), rmp_serde::from_slice::<Checkpoint>(&value))
        else {
            continue;
        };
        inputs.set(topic, partition, checkpoint.input_next.max(inputs.get(topic, partition)));
    }
    Ok(inputs)
}
