//! The last appends of a partition in memory: a reader close behind the writer shares its bytes and reads no file.

use std::collections::VecDeque;

use bytes::Bytes;
use seislake_model::Offset;

use super::batch::BatchHeader;

/// An append: its header and body.
pub(super) type Append = (BatchHeader, Bytes);

/// The last appends, as many as fit.
#[derive(Debug)]
pub(super) struct Recent {
    appends: VecDeque<Append>,
    byte_count: usize,
    bytes_max: usize,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { appends: VecDeque::new(), byte_count: 0, bytes_max }
    }

    /// Adds an append behind the others; the oldest make room.
    pub(super) fn add(&mut self, header: BatchHeader, body: Bytes) {
        self.byte_count += body.len();
        self.appends.push_back((header, body));
        while self.byte_count > self.bytes_max {
            let Some((_, oldest)) = self.appends.pop_front() else { break };
            self.byte_count -= oldest.len();
        }
    }

    /// Appends from that on which holds `from`, until `bytes_max` is reached; `None` where that one is older.
    pub(super) fn since(&self, from: Offset, bytes_max: usize) -> Option<Vec<Append>> {
        let first = self.appends.partition_point(|(header, _)| header.next() <= from);
        let oldest = self.appends.get(first).filter(|(header, _)| header.base <= from)?;
        let mut taken = vec![oldest.clone()];
        let mut byte_count = oldest.1.len();
        for append in self.appends.range(first + 1..) {
            if byte_count >= bytes_max {
                break;
            }
            byte_count += append.1.len();
            taken.push(append.clone());
        }
        Some(taken)
    }
}
