//! The ports through which the shells meet without knowing each other: `streams` calls [`RawStore`], `catalog` implements
//! it. The port of rows is in `tables`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Result, Timestamp};

/// Position in one partition of a topic; a covered offset is the *next* one to read.
pub type Offset = u64;

/// Id of a table snapshot.
pub type SnapshotId = i64;

/// Next offsets by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets(pub BTreeMap<String, BTreeMap<u32, Offset>>);

impl Offsets {
    /// Next offset of a partition; 0 where nothing is known.
    pub fn get(&self, topic: &str, partition: u32) -> Offset {
        self.0.get(topic).and_then(|partitions| partitions.get(&partition)).copied().unwrap_or(0)
    }

    /// Sets the next offset of a partition.
    pub fn set(&mut self, topic: &str, partition: u32, next: Offset) {
        self.0.entry(topic.to_owned()).or_default().insert(partition, next);
    }

    /// Takes the later of its own and `more`'s offset of each partition.
    pub fn extend(&mut self, more: &Self) {
        for (topic, partitions) in &more.0 {
            for (partition, next) in partitions {
                self.set(topic, *partition, self.get(topic, *partition).max(*next));
            }
        }
    }
}

/// Records of one partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// First offset and the one after the last.
    pub offsets: std::ops::Range<Offset>,
}

/// Keeps original records beside the tables.
#[async_trait]
pub trait RawStore: std::fmt::Debug + Send + Sync {
    /// URI of the object at `path`, whether it is there or not.
    fn uri(&self, path: &str) -> String;
    /// Stores an object, durable when it returns. One that is there already is replaced.
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;
}

/// The time of day, as a port so that tests can set it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
