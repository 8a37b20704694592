//! The index of what the log holds: a small database `state/seen.redb`, so that memory stays bounded.
//!
//! Every entry is written together with the log offsets it covers. The log is ahead of the index, never behind: after
//! a crash the gate reads the rest of the log.

use std::collections::HashSet;
use std::path::Path;

use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use seislake_model::{ErrorKind, Offset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::message::Watermark;

/// Start time, sortable, and half the SHA-256 of a record.
pub(super) type RecordKey = [u8; 24];
/// Half the SHA-256 of a dead letter.
pub(super) type LetterKey = [u8; 16];

const RECORDS: TableDefinition<'static, &[u8; 24], ()> = TableDefinition::new("records");
const LETTERS: TableDefinition<'static, &[u8; 16], ()> = TableDefinition::new("letters");
const STATE: TableDefinition<'static, (), &[u8]> = TableDefinition::new("state");

/// Pages kept in memory.
const CACHE_BYTES: usize = 64 << 20;
/// One of so many writes is synced: what is lost in between is read back from the log.
const WRITES_PER_SYNC: u32 = 32;

/// What is known of a partition of `waveforms.raw`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionState {
    /// The index holds everything before this offset.
    pub(super) covered: Offset,
    /// Latest watermark of the session.
    pub(super) watermark: Option<Timestamp>,
    /// Something follows the last end of session.
    pub(super) open: bool,
    /// Sessions ended.
    pub(super) sessions: u64,
}

impl PartitionState {
    /// Takes note of a watermark; false where it says nothing new.
    pub(super) fn hears(&mut self, watermark: Watermark) -> bool {
        if watermark == Watermark::MAX {
            self.end_session();
            return true;
        }
        if self.watermark.is_some_and(|last| watermark.0 <= last) {
            return false;
        }
        (self.watermark, self.open) = (Some(watermark.0), true);
        true
    }

    pub(super) fn end_session(&mut self) {
        (self.watermark, self.open) = (None, false);
        self.sessions += 1;
    }
}

/// What is known of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenState {
    pub(super) partitions: Vec<PartitionState>,
    /// The index holds all dead letters before this offset.
    pub(super) letters_covered: Offset,
}

impl SeenState {
    /// A session is under way.
    pub(super) fn open(&self) -> bool {
        self.partitions.iter().any(|partition| partition.open)
    }
}

/// The index.
#[derive(Debug)]
pub(super) struct Seen {
    database: Database,
    state: SeenState,
    writes_since_sync: u32,
}

impl Seen {
    /// Opens or creates the index below the home `directory`, in memory without one.
    pub(super) fn open(directory: Option<&Path>, partitions: usize) -> Result<Self, Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = match directory {
            Some(directory) => {
                let directory = directory.join("state");
                std::fs::create_dir_all(&directory)
                    .map_err(|e| Error::io(format!("create \"{}\"", directory.display()), e))?;
                let path = directory.join("seen.redb");
                builder.create(&path).map_err(|e| Error::state(format!("open \"{}\"", path.display()), e))?
            }
            None => builder
                .create_with_backend(redb::backends::InMemoryBackend::new())
                .map_err(|e| Error::state("create an index in memory", e))?,
        };
        let mut seen = Self { database, state: SeenState::default(), writes_since_sync: 0 };
        seen.create_tables()?;
        if let Some(state) = seen.stored_state()? {
            seen.state = state;
        }
        seen.state.partitions.resize_with(partitions, PartitionState::default);
        Ok(seen)
    }

    pub(super) fn state(&self) -> &SeenState {
        &self.state
    }

    /// What the index holds now.
    pub(super) fn lookup(&self) -> Result<Lookup, Error> {
        let transaction = self.database.begin_read().map_err(|e| Error::state(READ, e))?;
        Ok(Lookup {
            records: transaction.open_table(RECORDS).map_err(|e| Error::state(READ, e))?,
            letters: transaction.open_table(LETTERS).map_err(|e| Error::state(READ, e))?,
        })
    }

    /// Adds entries and the state that includes them.
    pub(super) fn add(
        &mut self,
        records: &[RecordKey],
        letters: &[LetterKey],
        state: SeenState,
    ) -> Result<(), Error> {
        let unchanged = records.is_empty() && letters.is_empty() && state == self.state;
        if unchanged {
            return Ok(());
        }
        self.writes_since_sync += 1;
        let durability =
            if self.writes_since_sync >= WRITES_PER_SYNC { Durability::Immediate } else { Durability::None };
        self.write(durability, records, letters, &state)?;
        self.state = state;
        Ok(())
    }

    /// Makes everything added durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.writes_since_sync == 0 {
            return Ok(());
        }
        self.write(Durability::Immediate, &[], &[], &self.state.clone())
    }

    fn write(
        &mut self,
        durability: Durability,
        records: &[RecordKey],
        letters: &[LetterKey],
        state: &SeenState,
    ) -> Result<(), Error> {
        let state = rmp_serde::to_vec(state).map_err(|e| Error::caused(ErrorKind::Internal, WRITE, e))?;
        let synced = matches!(durability, Durability::Immediate);
        let mut transaction = self.database.begin_write().map_err(|e| Error::state(WRITE, e))?;
        transaction.set_durability(durability).map_err(|e| Error::state(WRITE, e))?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(|e| Error::state(WRITE, e))?;
            for key in records {
                table.insert(key, ()).map_err(|e| Error::state(WRITE, e))?;
            }
            let mut table = transaction.open_table(LETTERS).map_err(|e| Error::state(WRITE, e))?;
            for key in letters {
                table.insert(key, ()).map_err(|e| Error::state(WRITE, e))?;
            }
            let mut table = transaction.open_table(STATE).map_err(|e| Error::state(WRITE, e))?;
            table.insert((), state.as_slice()).map_err(|e| Error::state(WRITE, e))?;
        }
        transaction.commit().map_err(|e| Error::state(WRITE, e))?;
        if synced {
            self.writes_since_sync = 0;
        }
        Ok(())
    }

    fn create_tables(&self) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(RECORDS).map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(LETTERS).map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(STATE).map_err(|e| Error::state(WRITE, e))?;
        transaction.commit().map_err(|e| Error::state(WRITE, e))
    }

    fn stored_state(&self) -> Result<Option<SeenState>, Error> {
        let transaction = self.database.begin_read().map_err(|e| Error::state(READ, e))?;
        let table = transaction.open_table(STATE).map_err(|e| Error::state(READ, e))?;
        let Some(value) = table.get(()).map_err(|e| Error::state(READ, e))? else { return Ok(None) };
        rmp_serde::from_slice(value.value()).map(Some).map_err(|e| Error::caused(ErrorKind::Corrupt, READ, e))
    }
}

const READ: &str = "read the index of records seen";
const WRITE: &str = "write the index of records seen";

/// What the index held at one moment.
#[derive(Debug)]
pub(super) struct Lookup {
    records: ReadOnlyTable<&'static [u8; 24], ()>,
    letters: ReadOnlyTable<&'static [u8; 16], ()>,
}

impl Lookup {
    pub(super) fn record(&self, key: &RecordKey) -> Result<bool, Error> {
        Ok(self.records.get(key).map_err(|e| Error::state(READ, e))?.is_some())
    }

    pub(super) fn letter(&self, key: &LetterKey) -> Result<bool, Error> {
        Ok(self.letters.get(key).map_err(|e| Error::state(READ, e))?.is_some())
    }
}

/// What is new in one call.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    records: HashSet<RecordKey>,
    letters: HashSet<LetterKey>,
}

impl Fresh {
    /// True the first time.
    pub(super) fn record(&mut self, key: RecordKey) -> bool {
        self.records.insert(key)
    }

    /// True the first time.
    pub(super) fn letter(&mut self, key: LetterKey) -> bool {
        self.letters.insert(key)
    }
}
