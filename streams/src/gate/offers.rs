//! What comes to the gate, what is refused of it, and the count of both.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use seislake_model::{Offset, Timestamp};

use super::check::Verdict;
use crate::Error;
use crate::message::Watermark;

/// Something for `waveforms.raw`.
#[derive(Clone, Debug)]
pub enum Offer {
    /// One miniSEED record.
    Record(ReceivedRecord),
    /// Bytes already known to be of no use.
    Refused(Refusal),
    /// Nothing older follows.
    Watermark(Watermark),
}

/// One miniSEED record as it came.
#[derive(Clone, Debug)]
pub struct ReceivedRecord {
    /// Exactly the record.
    pub bytes: Bytes,
    /// When it arrived; `None` for archives.
    pub arrival_time: Option<Timestamp>,
    /// File or peer it came from.
    pub origin: Option<Arc<str>>,
}

/// Bytes of no use.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The bytes, or the first of them.
    pub bytes: Bytes,
    /// Why, one sentence; names the place in the file where there is one.
    pub reason: String,
    /// File or peer it came from.
    pub origin: Option<Arc<str>>,
}

/// An offer that was refused, wholly or as suspect although its record is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Index among the offers of the call.
    pub offer: usize,
    /// Why, one sentence.
    pub reason: String,
}

/// What identifies a record that a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedRecord {
    /// Source identifier.
    pub source_id: String,
    /// Time of the first sample, nanoseconds since 1970.
    pub start_ns: i64,
    /// Of the whole record.
    pub sha256: [u8; 32],
}

/// Knows records that the log has lost, because tables hold them.
#[async_trait]
pub trait ArchivedRecords: Debug + Send + Sync {
    /// The records of a topic partition at these offsets, in any order.
    async fn records(
        &self,
        topic: &str,
        partition: u32,
        offsets: Range<Offset>,
    ) -> Result<Vec<ArchivedRecord>, Error>;
}

/// What became of the things offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Records appended.
    pub accepted: u64,
    /// Samples in them.
    pub samples: u64,
    /// Records the log holds already.
    pub duplicates: u64,
    /// New dead letters.
    pub dead_letters: u64,
}

impl IngestReport {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.samples += other.samples;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
    }
}

/// Offers that were decoded and hashed.
#[derive(Debug)]
pub struct CheckedOffers(pub(super) Vec<Verdict>);

impl CheckedOffers {
    /// What is refused of them, in their order.
    pub fn refused(&self) -> Vec<Refused> {
        let refused = self.0.iter().filter_map(|checked| match checked {
            Verdict::Refused { offer, refusal, .. } => {
                Some(Refused { offer: *offer, reason: refusal.reason.clone() })
            }
            _ => None,
        });
        refused.collect()
    }
}
