//! Checkpoints of stages: what a stage remembers, together with the offset of the input that made it so.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, TableDefinition};
use seislake_model::{ErrorKind, Offset};
use serde::{Deserialize, Serialize};

use crate::Error;

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
}

/// Where checkpoints are kept: a small database, one entry per stage and input partition. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    database: Arc<Database>,
}

impl CheckpointStore {
    /// Opens or creates `directory/state/checkpoints.redb`.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let directory = directory.join("state");
        let path = directory.join("checkpoints.redb");
        std::fs::create_dir_all(&directory)
            .map_err(|e| Error::io(format!("create \"{}\"", directory.display()), e))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|e| Error::state(format!("open checkpoints \"{}\"", path.display()), e))?;
        Ok(Self { database: Arc::new(database) })
    }

    /// Keeps checkpoints in memory: for tests.
    pub fn memory() -> Result<Self, Error> {
        let database = Database::builder()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|e| Error::state("create checkpoints in memory", e))?;
        Ok(Self { database: Arc::new(database) })
    }

    pub(super) fn load(&self, key: &str) -> Result<Option<Checkpoint>, Error> {
        let context = || format!("read checkpoint \"{key}\"");
        let transaction =
            redb::ReadableDatabase::begin_read(&*self.database).map_err(|e| Error::state(context(), e))?;
        let table = match transaction.open_table(STAGES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(Error::state(context(), error)),
        };
        let Some(value) = table.get(key).map_err(|e| Error::state(context(), e))? else { return Ok(None) };
        rmp_serde::from_slice(value.value())
            .map(Some)
            .map_err(|e| Error::caused(ErrorKind::Corrupt, context(), e))
    }

    pub(super) fn save(&self, key: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
        let context = || format!("save checkpoint \"{key}\"");
        let bytes =
            rmp_serde::to_vec(checkpoint).map_err(|e| Error::caused(ErrorKind::Internal, context(), e))?;
        let transaction = self.database.begin_write().map_err(|e| Error::state(context(), e))?;
        {
            let mut table = transaction.open_table(STAGES).map_err(|e| Error::state(context(), e))?;
            table.insert(key, bytes.as_slice()).map_err(|e| Error::state(context(), e))?;
        }
        transaction.commit().map_err(|e| Error::state(context(), e))
    }
}
