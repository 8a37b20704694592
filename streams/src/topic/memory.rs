//! A topic in memory: the same promises as the file log, except durability.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use seislake_model::Offset;
use tokio::sync::watch;

use super::{
    AppendPlace, NewRecord, Record, Topic, Watermarks, beyond_end, check_append, no_partition, wait_beyond,
};
use crate::Error;

#[derive(Debug)]
struct Partition {
    records: RwLock<Vec<Record>>,
    end: watch::Sender<Offset>,
}

/// A topic in memory.
#[derive(Debug)]
pub struct MemoryTopic {
    name: String,
    partitions: Vec<Partition>,
}

impl MemoryTopic {
    /// An empty topic.
    pub fn new(name: &str, partitions: u32) -> Self {
        let partition = |_| Partition { records: RwLock::default(), end: watch::Sender::new(0) };
        Self { name: name.to_owned(), partitions: (0..partitions).map(partition).collect() }
    }

    fn partition(&self, partition: u32) -> Result<&Partition, Error> {
        self.partitions.get(partition as usize).ok_or_else(|| no_partition(&self.name, partition))
    }
}

#[async_trait]
impl Topic for MemoryTopic {
    fn name(&self) -> &str {
        &self.name
    }

    fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    async fn append(&self, partition: u32, records: Vec<NewRecord>) -> Result<AppendPlace, Error> {
        check_append(&self.name, &records)?;
        let partition = self.partition(partition)?;
        let mut kept = partition.records.write().unwrap_or_else(PoisonError::into_inner);
        let base = kept.len() as Offset;
        kept.extend(records.into_iter().zip(base..).map(|(record, offset)| Record {
            offset,
            key: record.key,
            value: record.value,
            arrival_time: record.arrival_time,
        }));
        let next = kept.len() as Offset;
        partition.end.send_replace(next);
        Ok(AppendPlace { base, next, durable: false })
    }

    async fn read(
        &self,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Record>, Error> {
        let kept = self.partition(partition)?;
        let end = *kept.end.borrow();
        if from > end {
            return Err(beyond_end(&self.name, partition, from, end));
        }
        if !wait_beyond(kept.end.subscribe(), from, wait).await {
            return Ok(Vec::new());
        }
        let records = kept.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut byte_count = 0;
        let mut read = Vec::new();
        for record in records.iter().skip(from as usize) {
            if byte_count >= bytes_max && !read.is_empty() {
                break;
            }
            byte_count += record.key.len() + record.value.len();
            read.push(record.clone());
        }
        Ok(read)
    }

    async fn continue_at(&self, partition: u32, offset: Offset) -> Result<(), Error> {
        let partition = self.partition(partition)?;
        let mut kept = partition.records.write().unwrap_or_else(PoisonError::into_inner);
        for lost in kept.len() as Offset..offset {
            kept.push(Record::lost(lost));
        }
        partition.end.send_replace(kept.len() as Offset);
        Ok(())
    }

    fn watermarks(&self, partition: u32) -> Result<Watermarks, Error> {
        Ok(Watermarks { start: 0, end: *self.partition(partition)?.end.borrow() })
    }

    fn ends(&self, partition: u32) -> Result<watch::Receiver<Offset>, Error> {
        Ok(self.partition(partition)?.end.subscribe())
    }
}
