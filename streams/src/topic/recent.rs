//! The last appends of a topic in memory: a reader close behind the writer shares its bytes and reads no file.
//!
//! Partitions share the room, so that it suffices whether records come for one partition or for all.

use std::collections::VecDeque;

use bytes::Bytes;
use seislake_model::Offset;

use super::batch::BatchHeader;

/// An append: its header and body.
pub(super) type Append = (BatchHeader, Bytes);

/// The last appends, as many as fit.
#[derive(Debug)]
pub(super) struct Recent {
    partitions: Vec<VecDeque<Append>>,
    /// Partition of each append, the oldest first.
    order: VecDeque<usize>,
    byte_count: usize,
    bytes_max: usize,
}

impl Recent {
    pub(super) fn new(partitions: usize, bytes_max: usize) -> Self {
        let partitions = vec![VecDeque::new(); partitions];
        Self { partitions, order: VecDeque::new(), byte_count: 0, bytes_max }
    }

    /// Adds an append behind the others; the oldest make room.
    pub(super) fn add(&mut self, partition: usize, header: BatchHeader, body: Bytes) {
        self.byte_count += body.len();
        self.partitions[partition].push_back((header, body));
        self.order.push_back(partition);
        while self.byte_count > self.bytes_max {
            let Some(partition) = self.order.pop_front() else { break };
            let Some((_, oldest)) = self.partitions[partition].pop_front() else { break };
            self.byte_count -= oldest.len();
        }
    }

    /// Appends from that on which holds `from`, until `bytes_max` is reached; `None` where that one is older.
    pub(super) fn since(&self, partition: usize, from: Offset, bytes_max: usize) -> Option<Vec<Append>> {
        let appends = &self.partitions[partition];
        let first = appends.partition_point(|(header, _)| header.next() <= from);
        let oldest = appends.get(first).filter(|(header, _)| header.base <= from)?;
        let mut taken = vec![oldest.clone()];
        let mut byte_count = oldest.1.len();
        let mut next = oldest.0.next();
        for append in appends.range(first + 1..) {
            // Where the log went on at a later offset, the files tell what is lost.
            if byte_count >= bytes_max || append.0.base != next {
                break;
            }
            next = append.0.next();
            byte_count += append.1.len();
            taken.push(append.clone());
        }
        Some(taken)
    }
}
