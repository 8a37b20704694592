//! The index of what the log holds: a small database `state/seen.redb`, so that memory stays bounded.
//!
//! ```text
//! records   source checksum · ten minutes · number  ─►  entries: start time · half the SHA-256
//! letters   half the SHA-256                        ─►  –
//! stations  partition · key of the station          ─►  half the SHA-256 of what the log says of it
//! ```
//! Records of a channel come in the order of time, so those of ten minutes share a value and are looked up together.
//!
//! Every entry is written together with the log offsets it covers. The log is ahead of the index, never behind: after
//! a crash the gate reads the rest of the log.

use std::collections::{HashMap, HashSet, hash_map};
use std::path::Path;

use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageError, Table,
    TableDefinition,
};
use seislake_model::{ErrorKind, Offset, Offsets, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::control::ControlHash;
use crate::database::{self, StateDatabase, Verify};
use crate::error::Cause;
use crate::message::{WAVEFORMS_RAW, Watermark, dead_letter_topic};

/// What identifies a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordKey {
    bucket: Bucket,
    entry: Entry,
}

/// Checksum of the source id and ten minutes, in the order of time.
type Bucket = [u8; 12];
/// Start time and half the SHA-256.
type Entry = [u8; ENTRY_BYTES];

const ENTRY_BYTES: usize = 24;
const BUCKET_NS: i64 = 600_000_000_000;
/// Entries of a value: it fits a page.
const ENTRIES_MAX: usize = 160;

impl RecordKey {
    pub(super) fn new(source_id: &str, start_ns: i64, sha256: &[u8; 32]) -> Self {
        let (mut bucket, mut entry) = ([0; 12], [0; ENTRY_BYTES]);
        bucket[..4].copy_from_slice(&crc32c::crc32c(source_id.as_bytes()).to_be_bytes());
        // Flipping the sign makes bytes sort as the times do.
        let minutes = start_ns.div_euclid(BUCKET_NS) ^ i64::MIN;
        bucket[4..].copy_from_slice(&minutes.to_be_bytes());
        entry[..8].copy_from_slice(&start_ns.to_be_bytes());
        entry[8..].copy_from_slice(&sha256[..16]);
        Self { bucket, entry }
    }
}

/// Half the SHA-256 of a dead letter.
pub(super) type LetterKey = [u8; 16];

/// What the log of a partition says of a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StationEntry {
    key: Vec<u8>,
    hash: ControlHash,
}

impl StationEntry {
    pub(super) fn new(partition: usize, station: &str, hash: ControlHash) -> Self {
        let mut key = (partition as u32).to_be_bytes().to_vec();
        key.extend_from_slice(station.as_bytes());
        Self { key, hash }
    }
}

/// What the index is told of.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    pub(super) records: Vec<RecordKey>,
    pub(super) letters: Vec<LetterKey>,
    pub(super) stations: Vec<StationEntry>,
}

const RECORDS: TableDefinition<'static, &[u8; 16], &[u8]> = TableDefinition::new("records_by_source");
const LETTERS: TableDefinition<'static, &[u8; 16], ()> = TableDefinition::new("letters");
const STATIONS: TableDefinition<'static, &[u8], &ControlHash> = TableDefinition::new("stations");
const STATE: TableDefinition<'static, (), &[u8]> = TableDefinition::new("state_by_source");

/// Pages kept in memory.
const CACHE_BYTES: usize = 32 << 20;
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
    /// There are records behind the last punctuation.
    #[serde(default)]
    pub(super) uncut: bool,
    /// Records of it are lost: the sessions that are counted may be fewer than there were.
    #[serde(default)]
    pub(super) is_damaged: bool,
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
        (self.watermark, self.open, self.uncut) = (Some(watermark.0), true, false);
        true
    }

    /// Takes note of a record.
    pub(super) fn takes(&mut self) {
        (self.open, self.uncut) = (true, true);
    }

    pub(super) fn end_session(&mut self) {
        (self.watermark, self.open, self.uncut) = (None, false, false);
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
pub(super) struct SeenIndex {
    database: StateDatabase,
    /// State of what is written.
    state: SeenState,
    /// What the log holds and the index not yet.
    held: Option<PartitionIndex>,
    writes_since_sync: u32,
}

#[derive(Debug)]
struct PartitionIndex {
    entries: Entries,
    state: SeenState,
}

impl SeenIndex {
    /// Opens or creates the index below the home `directory`, in memory without one. A damaged one is put aside: the log
    /// fills the new one.
    pub(super) fn open(directory: Option<&Path>, partitions: usize, verify: Verify) -> Result<Self, Error> {
        let path = directory.map(|directory| directory.join("state").join("seen.redb"));
        let database = database::open(path.as_deref(), CACHE_BYTES, verify)?;
        let mut seen = Self { database, state: SeenState::default(), held: None, writes_since_sync: 0 };
        let stored = database::guarded(|| match stored_state(&seen.database)? {
            None => seen.create_tables().map(|()| SeenState::default()),
            Some(state) => Ok(state),
        });
        match stored {
            Ok(state) => seen.state = state,
            Err(error) if error.kind == ErrorKind::Corrupt => {
                tracing::warn!(error = error.chain(), "the index of records seen is made again from the log");
                drop(seen);
                return Self::anew(directory, partitions);
            }
            Err(error) => return Err(error),
        }
        seen.state.partitions.resize_with(partitions, PartitionState::default);
        Ok(seen)
    }

    /// An empty index in the place of the one that is there.
    pub(super) fn anew(directory: Option<&Path>, partitions: usize) -> Result<Self, Error> {
        if let Some(directory) = directory {
            database::put_state_aside(&directory.join("state").join("seen.redb"))?;
        }
        Self::open(directory, partitions, Verify::AT_START)
    }

    /// Works on the index. Where it is damaged, it is put aside when it is closed.
    pub(super) fn work<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let done = database::guarded(|| work(self));
        self.database.judged(done)
    }

    pub(super) fn state(&self) -> &SeenState {
        self.held.as_ref().map_or(&self.state, |held| &held.state)
    }

    /// What is known now.
    pub(super) fn lookup(&self) -> Result<Lookup, Error> {
        let transaction = self.database.begin_read().map_err(|e| Error::state(READ, e))?;
        let stations = match transaction.open_table(STATIONS) {
            Ok(stations) => Some(stations),
            // An index of an older version.
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(Error::state(READ, error)),
        };
        let mut lookup = Lookup {
            stations,
            fresh_stations: HashMap::new(),
            records: transaction.open_table(RECORDS).map_err(|e| Error::state(READ, e))?,
            letters: transaction.open_table(LETTERS).map_err(|e| Error::state(READ, e))?,
            buckets: HashMap::new(),
            fresh_letters: HashSet::new(),
        };
        if let Some(held) = &self.held {
            for key in &held.entries.records {
                lookup.is_new_record(key)?;
            }
            lookup.fresh_letters.extend(&held.entries.letters);
            let stations = held.entries.stations.iter().cloned();
            lookup.fresh_stations.extend(stations.map(|entry| (entry.key, entry.hash)));
        }
        Ok(lookup)
    }

    /// Takes note of what the log holds from now on. It is written by the next call of [`SeenIndex::write_held`], while the
    /// log takes the next records.
    pub(super) fn hold(&mut self, entries: Entries, state: SeenState) -> Result<(), Error> {
        self.write_held()?;
        self.held = Some(PartitionIndex { entries, state });
        Ok(())
    }

    /// Takes note that records of a partition are lost.
    pub(super) fn damaged(&mut self, partition: usize) -> Result<(), Error> {
        let mut state = self.state().clone();
        state.partitions[partition].is_damaged = true;
        self.hold(Entries::default(), state)
    }

    /// Writes what is held; on disk only after [`SeenIndex::sync`].
    pub(super) fn write_held(&mut self) -> Result<(), Error> {
        let Some(PartitionIndex { mut entries, state }) = self.held.take() else { return Ok(()) };
        entries.records.sort_unstable_by_key(|key| key.bucket);
        let Entries { records, letters, stations } = &entries;
        if records.is_empty() && letters.is_empty() && stations.is_empty() && state == self.state {
            return Ok(());
        }
        self.writes_since_sync += 1;
        self.write(Durability::None, &entries, &state)?;
        self.state = state;
        Ok(())
    }

    /// Makes everything written durable once in a while.
    pub(super) fn sync_sometimes(&mut self) -> Result<(), Error> {
        if self.writes_since_sync >= WRITES_PER_SYNC { self.sync() } else { Ok(()) }
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.write_held()?;
        if self.writes_since_sync == 0 {
            return Ok(());
        }
        self.write(Durability::Immediate, &Entries::default(), &self.state.clone())?;
        self.writes_since_sync = 0;
        Ok(())
    }

    fn write(&mut self, durability: Durability, entries: &Entries, state: &SeenState) -> Result<(), Error> {
        let Entries { records, letters, stations } = entries;
        let state = rmp_serde::to_vec(state).map_err(|e| Error::caused(ErrorKind::Internal, WRITE, e))?;
        let mut transaction = self.database.begin_write().map_err(|e| Error::state(WRITE, e))?;
        transaction.set_durability(durability).map_err(|e| Error::state(WRITE, e))?;
        {
            let mut table = transaction.open_table(RECORDS).map_err(|e| Error::state(WRITE, e))?;
            for keys in records.chunk_by(|a, b| a.bucket == b.bucket) {
                add(&mut table, keys).map_err(|e| Error::state(WRITE, e))?;
            }
            let mut table = transaction.open_table(LETTERS).map_err(|e| Error::state(WRITE, e))?;
            for key in letters {
                table.insert(key, ()).map_err(|e| Error::state(WRITE, e))?;
            }
            let mut table = transaction.open_table(STATIONS).map_err(|e| Error::state(WRITE, e))?;
            for StationEntry { key, hash } in stations {
                table.insert(key.as_slice(), hash).map_err(|e| Error::state(WRITE, e))?;
            }
            let mut table = transaction.open_table(STATE).map_err(|e| Error::state(WRITE, e))?;
            table.insert((), state.as_slice()).map_err(|e| Error::state(WRITE, e))?;
        }
        transaction.commit().map_err(|e| Error::state(WRITE, e))
    }

    fn create_tables(&self) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(RECORDS).map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(LETTERS).map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(STATIONS).map_err(|e| Error::state(WRITE, e))?;
        transaction.open_table(STATE).map_err(|e| Error::state(WRITE, e))?;
        transaction.commit().map_err(|e| Error::state(WRITE, e))
    }
}

fn stored_state(database: &Database) -> Result<Option<SeenState>, Error> {
    let transaction = database.begin_read().map_err(|e| Error::state(READ, e))?;
    let table = match transaction.open_table(STATE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(Error::state(READ, error)),
    };
    let Some(value) = table.get(()).map_err(|e| Error::state(READ, e))? else { return Ok(None) };
    rmp_serde::from_slice(value.value()).map(Some).map_err(|e| Error::caused(ErrorKind::Corrupt, READ, e))
}

/// How far an index knows `waveforms.raw` and its dead letters, of a home or share whose topics end with `suffix`.
///
/// # Errors
/// An index that cannot be read.
pub(crate) fn known_offsets(database: &Database, suffix: &str) -> Result<Offsets, Error> {
    let state = stored_state(database)?.unwrap_or_default();
    let mut known = Offsets::default();
    for (partition, state) in (0..).zip(&state.partitions) {
        known.set(&format!("{WAVEFORMS_RAW}{suffix}"), partition, state.covered);
    }
    known.set(&format!("{}{suffix}", dead_letter_topic(WAVEFORMS_RAW)), 0, state.letters_covered);
    Ok(known)
}

/// Adds the entries of one bucket behind those that are there.
fn add(
    table: &mut Table<'_, &'static [u8; 16], &'static [u8]>,
    keys: &[RecordKey],
) -> Result<(), StorageError> {
    let Some(RecordKey { bucket, .. }) = keys.first() else { return Ok(()) };
    let (first, last) = (key_of(bucket, 0), key_of(bucket, u32::MAX));
    let (mut number, mut value) = match table.range::<&[u8; 16]>(&first..=&last)?.next_back().transpose()? {
        Some((key, value)) => (number_of(key.value()), value.value().to_vec()),
        None => (0, Vec::new()),
    };
    for key in keys {
        if value.len() >= ENTRIES_MAX * ENTRY_BYTES {
            table.insert(&key_of(bucket, number), value.as_slice())?;
            number += 1;
            value.clear();
        }
        value.extend_from_slice(&key.entry);
    }
    table.insert(&key_of(bucket, number), value.as_slice()).map(drop)
}

fn key_of(bucket: &Bucket, number: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..12].copy_from_slice(bucket);
    key[12..].copy_from_slice(&number.to_be_bytes());
    key
}

fn number_of(key: &[u8; 16]) -> u32 {
    let [.., a, b, c, d] = *key;
    u32::from_be_bytes([a, b, c, d])
}

const READ: &str = "read the index of records seen";
const WRITE: &str = "write the index of records seen";

/// What the index held at one moment, and what was asked for since.
#[derive(Debug)]
pub(super) struct Lookup {
    records: ReadOnlyTable<&'static [u8; 16], &'static [u8]>,
    letters: ReadOnlyTable<&'static [u8; 16], ()>,
    /// `None` in an index of an older version.
    stations: Option<ReadOnlyTable<&'static [u8], &'static ControlHash>>,
    /// By key.
    fresh_stations: HashMap<Vec<u8>, ControlHash>,
    /// Entries of the buckets looked at.
    buckets: HashMap<Bucket, HashSet<Entry>>,
    fresh_letters: HashSet<LetterKey>,
}

impl Lookup {
    /// True the first time, if the index has it not.
    pub(super) fn is_new_record(&mut self, key: &RecordKey) -> Result<bool, Error> {
        let entries = match self.buckets.entry(key.bucket) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => {
                let (first, last) = (key_of(&key.bucket, 0), key_of(&key.bucket, u32::MAX));
                let mut entries = HashSet::new();
                for found in
                    self.records.range::<&[u8; 16]>(&first..=&last).map_err(|e| Error::state(READ, e))?
                {
                    let (_, value) = found.map_err(|e| Error::state(READ, e))?;
                    entries.extend(value.value().as_chunks::<ENTRY_BYTES>().0);
                }
                unknown.insert(entries)
            }
        };
        Ok(entries.insert(key.entry))
    }

    /// True the first time, if the index has it not.
    pub(super) fn is_new_letter(&mut self, key: &LetterKey) -> Result<bool, Error> {
        let known = self.letters.get(key).map_err(|e| Error::state(READ, e))?.is_some();
        Ok(!known && self.fresh_letters.insert(*key))
    }

    /// Whether the log has said nothing of a station, or something else.
    pub(super) fn is_new_station(&self, entry: &StationEntry) -> Result<bool, Error> {
        if let Some(hash) = self.fresh_stations.get(&entry.key) {
            return Ok(*hash != entry.hash);
        }
        let Some(stations) = &self.stations else { return Ok(true) };
        let said = stations.get(entry.key.as_slice()).map_err(|e| Error::state(READ, e))?;
        Ok(said.is_none_or(|said| *said.value() != entry.hash))
    }
}
