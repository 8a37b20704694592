//! Checks offers on all cores: is it a record, can it be decoded, whose is it, what identifies it.

use bytes::Bytes;
use rayon::prelude::*;
use seislake_model::{SourceId, Timestamp};
use sha2::{Digest, Sha256};

use super::seen::{LetterKey, RecordKey};
use super::{Offer, ReceivedRecord, Refusal, partition_of};
use crate::message::{LETTER_BYTES_MAX, Watermark};
use crate::record::{believed_arrival, check_times};
use crate::topic::NewRecord;

/// An offer that was looked at.
#[derive(Debug)]
pub(super) enum Verdict {
    Record {
        key: RecordKey,
        partition: u32,
        record: NewRecord,
        sample_count: u64,
        last_sample_time: Timestamp,
    },
    Refused {
        /// Index among the offers.
        offer: usize,
        key: LetterKey,
        refusal: Refusal,
    },
    Watermark(Watermark),
    PartitionWatermark {
        partition: usize,
        watermark: Watermark,
    },
    /// Records behind the last punctuation of this partition need not wait for the next one.
    Cut {
        partition: usize,
    },
}

/// Looks at all offers; keeps their order.
pub(super) fn check(offers: Vec<Offer>, partitions: u32) -> Vec<Verdict> {
    offers
        .into_par_iter()
        .enumerate()
        .map_init(Checker::default, |checker, (index, offer)| match offer {
            Offer::Record(incoming) => checker.check(index, incoming, partitions),
            Offer::Refused(refusal) => [Some(refused(index, refusal)), None],
            Offer::Watermark(watermark) => [Some(Verdict::Watermark(watermark)), None],
        })
        .flatten_iter()
        .flatten()
        .collect()
}

/// What one thread keeps from record to record.
#[derive(Default)]
struct Checker {
    samples: seislake_mseed::Samples,
    /// Source of the last record: mostly that of the next one too.
    last: Option<Source>,
}

/// A source that records may have.
#[derive(Clone)]
struct Source {
    source_id: SourceId,
    /// Key in the log.
    key: Bytes,
    partition: u32,
}

impl Source {
    fn of(text: &str, partitions: u32) -> Result<Self, String> {
        let unusable = |error: &dyn std::error::Error| format!("unusable source identifier: {error}");
        let source_id: SourceId = text.parse().map_err(|error| unusable(&error))?;
        source_id.check_recorded().map_err(|error| unusable(&error))?;
        let key = Bytes::copy_from_slice(source_id.as_str().as_bytes());
        let partition = partition_of(&source_id, partitions);
        Ok(Self { source_id, key, partition })
    }
}

impl Checker {
    /// The record or the reason why not; both, where it is kept although something is odd about it.
    fn check(&mut self, offer: usize, incoming: ReceivedRecord, partitions: u32) -> [Option<Verdict>; 2] {
        let refuse = |reason: String| {
            let (bytes, origin) = (incoming.bytes.clone(), incoming.origin.clone());
            Some(refused(offer, Refusal { bytes, reason, origin }))
        };
        let header = match seislake_mseed::Record::parse(&incoming.bytes) {
            Ok(header) => header,
            Err(error) => return [refuse(format!("not a miniSEED record: {error}")), None],
        };
        let source = match &self.last {
            Some(last) if last.source_id.as_str() == header.source_id() => last.clone(),
            _ => match Source::of(header.source_id(), partitions) {
                Ok(source) => self.last.insert(source).clone(),
                Err(reason) => return [refuse(reason), None],
            },
        };
        if header.length() != incoming.bytes.len() {
            let (promised, given) = (header.length(), incoming.bytes.len());
            return [refuse(format!("record of {promised} bytes in a message of {given}")), None];
        }
        let Source { source_id, key, partition } = source;
        let place = || format!("{source_id} at {}", Timestamp::from_nanos(header.start_ns));
        if let Err(reason) = check_times(&header) {
            return [refuse(format!("{reason} ({})", place())), None];
        }
        let oddity = match header.decode_into(&mut self.samples) {
            Ok(None) => None,
            Ok(Some(mismatch)) => refuse(format!("kept, but suspect: {mismatch} ({})", place())),
            Err(error) => {
                return [refuse(format!("samples cannot be decoded: {error} ({})", place())), None];
            }
        };
        let record = Verdict::Record {
            key: key_of(source_id.as_str(), header.start_ns, &incoming.bytes),
            partition,
            record: NewRecord {
                key,
                value: incoming.bytes.clone(),
                arrival_time: believed_arrival(incoming.arrival_time),
            },
            sample_count: self.samples.len() as u64,
            last_sample_time: Timestamp::from_nanos(header.last_sample_ns()),
        };
        [Some(record), oddity]
    }
}

fn refused(offer: usize, refusal: Refusal) -> Verdict {
    let kept = &refusal.bytes[..refusal.bytes.len().min(LETTER_BYTES_MAX)];
    Verdict::Refused { offer, key: letter_key(&refusal.reason, kept), refusal }
}

/// What identifies a record of the log.
pub(super) fn record_key(bytes: &[u8]) -> RecordKey {
    let header = seislake_mseed::Record::parse(bytes).ok();
    let source_id: Option<SourceId> = header.as_ref().and_then(|header| header.source_id().parse().ok());
    let start_ns = header.map_or(0, |header| header.start_ns);
    key_of(source_id.as_ref().map_or("", SourceId::as_str), start_ns, bytes)
}

fn key_of(source_id: &str, start_ns: i64, bytes: &[u8]) -> RecordKey {
    RecordKey::new(source_id, start_ns, &Sha256::digest(bytes).into())
}

/// What identifies a dead letter: its bytes and the reason, not where the file lay.
pub(super) fn letter_key(reason: &str, bytes: &[u8]) -> LetterKey {
    let digest = Sha256::new().chain_update(reason).chain_update([0]).chain_update(bytes).finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}
