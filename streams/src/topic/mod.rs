//! Append-only partitioned logs: the [`Topic`] trait, its drivers, and [`Log`], the set of topics of one home.
//!
//! A driver keeps three promises, which the suite in `tests.rs` holds for each of them:
//! an append is atomic and durable when it returns; offsets never change; a read returns records contiguous from
//! the offset asked for, or an error: never a silent gap. What damage has taken is read as a *lost* record at each of
//! its offsets ([`Record::is_lost`]), so that a damaged log is told of and stops nobody. Consumers' positions are not kept here: checkpoints and
//! tables carry the offsets that count.

mod batch;
mod file;
mod memory;
mod recent;
mod repair;
mod rewrite;
mod scan;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use seislake_model::{ErrorKind, Offset, Timestamp};
use tokio::sync::watch;

use crate::Error;
pub use file::FileTopic;
pub use memory::MemoryTopic;
pub(crate) use repair::log_holds_records;
pub use repair::{LogDamage, LogFinding, check, repair};
pub use scan::scan;

/// Largest append accepted, bytes with 16 for each record. Readers hold a whole append in memory.
pub const APPEND_BYTES_MAX: usize = 64 << 20;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What the record is about, e.g. the source id.
    pub key: Bytes,
    /// The record.
    pub value: Bytes,
    /// When it arrived; `None` where it comes from an archive.
    pub arrival_time: Option<Timestamp>,
}

/// A record of a topic partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the partition.
    pub offset: Offset,
    /// What the record is about, e.g. the source id.
    pub key: Bytes,
    /// The record.
    pub value: Bytes,
    /// When it arrived; `None` where it comes from an archive.
    pub arrival_time: Option<Timestamp>,
}

/// Key of the records that stand for lost ones.
const LOST_KEY: &[u8] = b"lost";
/// Lost records that one read returns at most, and what each counts as, bytes.
const LOST_MAX: u64 = 1 << 16;
const LOST_BYTES: usize = 64;

impl Record {
    /// The record at this offset was lost with a damaged file: readers pass over it.
    pub fn is_lost(&self) -> bool {
        self.value.is_empty() && self.key.as_ref() == LOST_KEY
    }

    fn lost(offset: Offset) -> Self {
        Self { offset, key: Bytes::from_static(LOST_KEY), value: Bytes::new(), arrival_time: None }
    }
}

/// Adds lost records for the offsets `from` to `to`, not more than a read may hold; returns the bytes they count as.
fn push_lost(records: &mut Vec<Record>, from: Offset, to: Offset) -> usize {
    let to = to.min(from.saturating_add(LOST_MAX));
    let before = records.len();
    records.extend((from..to).map(Record::lost));
    metrics::counter!("seislake_log_lost_records_total").increment((records.len() - before) as u64);
    (records.len() - before) * LOST_BYTES
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendPlace {
    /// Offset of its first record.
    pub base: Offset,
    /// Offset after its last record.
    pub next: Offset,
    /// It survives a power failure.
    pub durable: bool,
}

/// First offset kept and next offset to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset that can be read.
    pub start: Offset,
    /// Offset that the next record will get.
    pub end: Offset,
}

/// An append-only partitioned log, pull based, read one partition at a time.
#[async_trait]
pub trait Topic: Debug + Send + Sync {
    /// Name, e.g. `waveforms.raw`.
    fn name(&self) -> &str;

    /// Number of partitions.
    fn partitions(&self) -> u32;

    /// Appends all records or none; returns when they are as durable as [`AppendPlace::durable`] says.
    /// An empty list appends nothing. Refuses more than [`APPEND_BYTES_MAX`].
    async fn append(&self, partition: u32, records: Vec<NewRecord>) -> Result<AppendPlace, Error>;

    /// Records contiguous from `from`: whole appends until `bytes_max` is reached, at least one record where there is
    /// any. Waits up to `wait` for the first; an empty list means that none came.
    /// Fails with `Invalid` where `from` lies behind the end, with `Corrupt` where the log is damaged.
    async fn read(
        &self,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Record>, Error>;

    /// What can be read now.
    fn watermarks(&self, partition: u32) -> Result<Watermarks, Error>;

    /// The end offset, observable: changes when an append has become durable.
    fn ends(&self, partition: u32) -> Result<watch::Receiver<Offset>, Error>;

    /// Lets the next append get the offset `offset`, where the log ends before it: what lay between is lost.
    async fn continue_at(&self, partition: u32, offset: Offset) -> Result<(), Error>;

    /// Offset that the next record will get.
    fn end_offset(&self, partition: u32) -> Result<Offset, Error> {
        Ok(self.watermarks(partition)?.end)
    }
}

/// Cuts records into appends of about `bytes_max` bytes, one record at least.
pub(crate) fn in_appends(records: Vec<NewRecord>, bytes_max: usize) -> Vec<Vec<NewRecord>> {
    let mut appends: Vec<Vec<NewRecord>> = Vec::new();
    let mut byte_count = 0;
    for record in records {
        let record_bytes = batch::body_bytes(std::slice::from_ref(&record));
        match appends.last_mut() {
            Some(last) if byte_count + record_bytes <= bytes_max => last.push(record),
            _ => {
                appends.push(vec![record]);
                byte_count = 0;
            }
        }
        byte_count += record_bytes;
    }
    appends
}

/// Waits up to `wait` until `ends` lies behind `from`; true when it does.
async fn wait_beyond(mut ends: watch::Receiver<Offset>, from: Offset, wait: Duration) -> bool {
    if *ends.borrow() > from {
        return true;
    }
    !wait.is_zero() && matches!(tokio::time::timeout(wait, ends.wait_for(|end| *end > from)).await, Ok(Ok(_)))
}

fn no_partition(topic: &str, partition: u32) -> Error {
    Error::new(ErrorKind::NotFound, format!("topic \"{topic}\" has no partition {partition}"))
}

fn check_append(topic: &str, records: &[NewRecord]) -> Result<(), Error> {
    let byte_count = batch::body_bytes(records);
    if byte_count > APPEND_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("append of {byte_count} bytes to \"{topic}\": at most {APPEND_BYTES_MAX} at once"),
        ));
    }
    Ok(())
}

fn beyond_end(topic: &str, partition: u32, from: Offset, end: Offset) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("read of \"{topic}\" partition {partition} at offset {from}: the log ends at {end}"),
    )
}

/// How the file log keeps records.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// A segment file is closed once it is longer.
    pub segment_bytes: u64,
    /// When records reach the disk.
    pub durability: Durability,
    /// Bytes of its last appends that a topic keeps in memory for readers close behind.
    pub recent_bytes: usize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, durability: Durability::EveryAppend, recent_bytes: 16 << 20 }
    }
}

/// When records reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before `append` returns: survives a power failure.
    EveryAppend,
    /// When the operating system likes: survives a crash of the process only.
    OperatingSystem,
}

#[derive(Debug)]
enum Driver {
    File { directory: PathBuf, settings: LogSettings },
    Memory,
}

/// The topics of one home. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Log {
    driver: Driver,
    /// Ends the name of every topic.
    suffix: String,
    topics: Mutex<BTreeMap<String, Arc<dyn Topic>>>,
}

impl Log {
    /// The file log under `directory/log`; nothing is created before the first topic.
    pub fn open(directory: &Path, settings: LogSettings) -> Self {
        let driver = Driver::File { directory: directory.join("log"), settings };
        Self { driver, suffix: String::new(), topics: Mutex::default() }
    }

    /// The same log with a suffix to the name of every topic: several logs that feed the same tables need names of
    /// their own for the offsets that tables keep.
    pub fn with_suffix(self, suffix: impl Into<String>) -> Self {
        Self { suffix: suffix.into(), ..self }
    }

    /// A log that forgets everything at the end of the process: for tests.
    pub fn memory() -> Self {
        Self { driver: Driver::Memory, suffix: String::new(), topics: Mutex::default() }
    }

    /// A log of the topics given, for tests that put something between.
    #[cfg(test)]
    pub(crate) fn of_topics(topics: Vec<Arc<dyn Topic>>) -> Self {
        let topics = topics.into_iter().map(|topic| (topic.name().to_owned(), topic)).collect();
        Self { driver: Driver::Memory, suffix: String::new(), topics: Mutex::new(topics) }
    }

    /// Opens the topic `name`, creating it with `partitions` where it does not exist yet.
    /// Fails with `Conflict` where it exists with another number, with `Corrupt` where its files are damaged.
    pub fn topic(&self, name: &str, partitions: u32) -> Result<Arc<dyn Topic>, Error> {
        let name = &format!("{name}{}", self.suffix);
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let topic = match topics.get(name) {
            Some(topic) => Arc::clone(topic),
            None => {
                let topic: Arc<dyn Topic> = match &self.driver {
                    Driver::File { directory, settings } => {
                        Arc::new(FileTopic::open(directory, name, partitions, *settings)?)
                    }
                    Driver::Memory => Arc::new(MemoryTopic::new(name, partitions)),
                };
                topics.insert(name.clone(), Arc::clone(&topic));
                topic
            }
        };
        drop(topics);
        if topic.partitions() != partitions {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "topic \"{name}\" has {} partitions, {partitions} are configured; the number cannot change",
                    topic.partitions()
                ),
            ));
        }
        Ok(topic)
    }

    /// Number of partitions of a topic that exists already.
    pub fn existing_partitions(&self, name: &str) -> Result<Option<u32>, Error> {
        let name = &format!("{name}{}", self.suffix);
        if let Some(topic) = self.topics.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(topic.partitions()));
        }
        match &self.driver {
            Driver::File { directory, .. } => file::stored_partitions(&directory.join(name)),
            Driver::Memory => Ok(None),
        }
    }
}
