//! One append on disk: a header with checksums and the records behind it.
//!
//! ```text
//! header, 40 bytes, little-endian
//!   0  magic "SLB1"            8  base offset u64        24  CRC-32C of the body u32
//!   4  body length u32        16  record count u64      28  place u64
//!                                                       36  CRC-32C of bytes 0..36 u32
//! body: for each record  key length u32 · value length u32 · arrival time i64 (ns, MIN: none) · key · value
//! ```
//! An append is one batch, so a torn write is seen as a whole: either all its records count or none.
//! The *place* names topic and partition, so that a file which comes to lie in another folder is not taken for its records;
//! 0 in batches written before places were.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use seislake_model::{Offset, Timestamp};

use super::{NewRecord, Record};

pub(super) const HEADER_BYTES: usize = 40;
pub(super) const MAGIC: &[u8; 4] = b"SLB1";
const RECORD_HEADER_BYTES: usize = 16;
const CHECKED_BYTES: usize = 36;

/// Where a batch belongs: the checksum of the topic's name, and the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchPlace(u64);

impl BatchPlace {
    pub(super) fn of(topic: &str, partition: u32) -> Self {
        // One is added so that no place is 0.
        Self(u64::from(crc32c::crc32c(topic.as_bytes())) << 32 | u64::from(partition.wrapping_add(1)))
    }
}

/// The head of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) body_bytes: u32,
    pub(super) base: Offset,
    pub(super) count: u64,
    body_crc: u32,
    place: u64,
}

impl BatchHeader {
    /// Bytes of header and body.
    pub(super) fn byte_count(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Offset after its last record.
    pub(super) fn next(&self) -> Offset {
        self.base + self.count
    }

    /// Reads a header; `None` where these bytes are none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (checked, rest) = bytes.get(..HEADER_BYTES)?.split_at(CHECKED_BYTES);
        let stored = u32::from_le_bytes(rest.try_into().ok()?);
        let mut fields = checked.strip_prefix(MAGIC)?;
        if crc32c::crc32c(checked) != stored {
            return None;
        }
        let body_bytes = fields.get_u32_le();
        let base = fields.get_u64_le();
        let count = fields.get_u64_le();
        let (body_crc, place) = (fields.get_u32_le(), fields.get_u64_le());
        // What no log has written is damage, though the checksum fits.
        let room = u64::from(body_bytes) / RECORD_HEADER_BYTES as u64;
        base.checked_add(count).filter(|_| (1..=room).contains(&count))?;
        Some(Self { body_bytes, base, count, body_crc, place })
    }

    /// Where it says that it belongs; `None` where it was written before batches said so.
    pub(super) fn place(&self) -> Option<BatchPlace> {
        (self.place != 0).then_some(BatchPlace(self.place))
    }

    /// Whether it may lie here: batches that name no place are believed.
    pub(super) fn belongs_to(&self, place: BatchPlace) -> bool {
        self.place().is_none_or(|told| told == place)
    }

    /// The checksum of `body` is the one the header promises.
    pub(super) fn matches(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_crc
    }
}

/// Length of the body that holds `records`.
pub(super) fn body_bytes(records: &[NewRecord]) -> usize {
    records.iter().map(|record| RECORD_HEADER_BYTES + record.key.len() + record.value.len()).sum()
}

/// The bytes of an append to `place` whose first record gets the offset `base`.
pub(super) fn encode(place: BatchPlace, base: Offset, records: &[NewRecord]) -> Vec<u8> {
    let body_bytes = body_bytes(records);
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    bytes.put_bytes(0, HEADER_BYTES);
    for record in records {
        bytes.put_u32_le(record.key.len() as u32);
        bytes.put_u32_le(record.value.len() as u32);
        bytes.put_i64_le(record.arrival_time.map_or(i64::MIN, Timestamp::nanos));
        bytes.put_slice(&record.key);
        bytes.put_slice(&record.value);
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.put_slice(MAGIC);
    header.put_u32_le(body_bytes as u32);
    header.put_u64_le(base);
    header.put_u64_le(records.len() as u64);
    header.put_u32_le(crc32c::crc32c(&bytes[HEADER_BYTES..]));
    header.put_u64_le(place.0);
    header.put_u32_le(crc32c::crc32c(&header));
    bytes[..HEADER_BYTES].copy_from_slice(&header);
    bytes.into()
}

/// Adds the records of a checked `body` from offset `from` on to `records`, sharing its memory.
/// `None` where the body is not what the header promises.
pub(super) fn decode(
    header: &BatchHeader,
    mut body: Bytes,
    from: Offset,
    records: &mut Vec<Record>,
) -> Option<()> {
    for offset in header.base..header.next() {
        if body.len() < RECORD_HEADER_BYTES {
            return None;
        }
        let key_bytes = body.get_u32_le() as usize;
        let value_bytes = body.get_u32_le() as usize;
        let arrival_nanos = body.get_i64_le();
        if body.len() < key_bytes.checked_add(value_bytes)? {
            return None;
        }
        let key = body.split_to(key_bytes);
        let value = body.split_to(value_bytes);
        if offset >= from {
            let arrival_time = (arrival_nanos != i64::MIN).then(|| Timestamp::from_nanos(arrival_nanos));
            records.push(Record { offset, key, value, arrival_time });
        }
    }
    body.is_empty().then_some(())
}
