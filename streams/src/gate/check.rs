//! Checks offers on all cores: is it a record, can it be decoded, whose is it, what identifies it.

use bytes::Bytes;
use rayon::prelude::*;
use seislake_model::{SourceId, Timestamp};
use sha2::{Digest, Sha256};

use super::seen::{LetterKey, RecordKey};
use super::{Incoming, Offer, Refusal, partition_of};
use crate::message::{LETTER_BYTES_MAX, Watermark};
use crate::topic::NewRecord;

/// An offer that was looked at.
#[derive(Debug)]
pub(super) enum Checked {
    Record {
        key: RecordKey,
        partition: u32,
        record: NewRecord,
        sample_count: u64,
        last_sample_time: Timestamp,
    },
    Refused {
        key: LetterKey,
        refusal: Refusal,
    },
    Watermark(Watermark),
    PartitionWatermark {
        partition: usize,
        watermark: Watermark,
    },
}

/// Looks at all offers; keeps their order.
pub(super) fn check(offers: Vec<Offer>, partitions: u32) -> Vec<Checked> {
    offers
        .into_par_iter()
        .map_init(seislake_mseed::Samples::default, |samples, offer| match offer {
            Offer::Record(incoming) => check_record(incoming, partitions, samples),
            Offer::Refused(refusal) => [Some(refused(refusal)), None],
            Offer::Watermark(watermark) => [Some(Checked::Watermark(watermark)), None],
        })
        .flatten_iter()
        .flatten()
        .collect()
}

/// The record or the reason why not; both, where it is kept although something is odd about it.
fn check_record(
    incoming: Incoming,
    partitions: u32,
    samples: &mut seislake_mseed::Samples,
) -> [Option<Checked>; 2] {
    let refuse = |reason: String| {
        let (bytes, origin) = (incoming.bytes.clone(), incoming.origin.clone());
        Some(refused(Refusal { bytes, reason, origin }))
    };
    let header = match seislake_mseed::Record::parse(&incoming.bytes) {
        Ok(header) => header,
        Err(error) => return [refuse(format!("not a miniSEED record: {error}")), None],
    };
    let source_id: SourceId = match header.source_id().parse() {
        Ok(source_id) => source_id,
        Err(error) => return [refuse(format!("unusable source identifier: {error}")), None],
    };
    if let Err(error) = source_id.check_recorded() {
        return [refuse(format!("unusable source identifier: {error}")), None];
    }
    if header.length() != incoming.bytes.len() {
        let (promised, given) = (header.length(), incoming.bytes.len());
        return [refuse(format!("record of {promised} bytes in a message of {given}")), None];
    }
    let place = || format!("{source_id} at {}", Timestamp::from_nanos(header.start_ns));
    let oddity = match header.decode_into(samples) {
        Ok(None) => None,
        Ok(Some(mismatch)) => refuse(format!("kept, but suspect: {mismatch} ({})", place())),
        Err(error) => return [refuse(format!("samples cannot be decoded: {error} ({})", place())), None],
    };
    let record = Checked::Record {
        key: key_of(source_id.as_str(), header.start_ns, &incoming.bytes),
        partition: partition_of(&source_id, partitions),
        record: NewRecord {
            key: Bytes::from(source_id.as_str().to_owned()),
            value: incoming.bytes.clone(),
            arrival_time: incoming.arrival_time,
        },
        sample_count: samples.len() as u64,
        last_sample_time: Timestamp::from_nanos(header.last_sample_ns()),
    };
    [Some(record), oddity]
}

fn refused(refusal: Refusal) -> Checked {
    let kept = &refusal.bytes[..refusal.bytes.len().min(LETTER_BYTES_MAX)];
    Checked::Refused { key: letter_key(&refusal.reason, kept), refusal }
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
