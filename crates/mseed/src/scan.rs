//! Finds the records in a stream of bytes and finds back after damage.
//!
//! ```text
//! at a header ──► Record
//!      │ refused
//!      ▼
//! lost: step to the next place that looks like a header, until one parses ──► Problem (or ControlHeaders), Record
//!       one that looks like a header and does not parse begins the next Problem
//! ```
//!
//! The same state machine reads a whole file and chunks of one: [`Scanner::new`] for bytes that are all there,
//! [`Scanner::resume`] for a buffer that grows. What comes out does not depend on how the input was cut.
//! Time is linear in the input: what is tried at one place is bounded, and checksums of false headers are rationed.
//! Samples are not decoded here.

use crate::record::{ChunkEnd, RECORD_LENGTH_MAX, Record, RecordError, Refusal};
use crate::{FormatVersion, v2, v3};

/// Something found at `offset` bytes from the beginning of the input.
#[derive(Clone, Debug)]
pub enum ScanItem<'a> {
    /// A record with a sound header.
    Record {
        /// Where it begins, bytes.
        offset: u64,
        /// The record.
        record: Record<'a>,
    },
    /// Control headers of a full SEED volume: no data and no damage.
    ControlHeaders {
        /// Where they begin, bytes.
        offset: u64,
        /// Bytes up to the next record.
        length: u64,
    },
    /// Bytes that are no usable record.
    Problem {
        /// Where they begin, bytes.
        offset: u64,
        /// Bytes up to the next record, usable or not.
        length: u64,
        /// Why the first of them were refused.
        reason: RecordError,
    },
}

/// Where a scan stands between two chunks.
#[derive(Clone, Debug, Default)]
pub struct ScanState {
    /// Offset of the next byte to look at, bytes from the beginning of the input.
    offset: u64,
    lost: Option<StrayBytes>,
    /// Bytes of false records whose checksum was computed in vain.
    wasted: u64,
}

impl ScanState {
    /// Offset of the next byte to look at, bytes from the beginning of the input.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Bytes since `offset` belong to no record.
#[derive(Clone, Debug)]
struct StrayBytes {
    offset: u64,
    reason: RecordError,
}

impl StrayBytes {
    fn close<'a>(self, end: u64) -> ScanItem<'a> {
        let Self { offset, reason } = self;
        let length = end - offset;
        match reason {
            RecordError::ControlHeader => ScanItem::ControlHeaders { offset, length },
            reason => ScanItem::Problem { offset, length, reason },
        }
    }
}

/// Checksums computed in vain that are allowed at once, and per byte of progress.
const WASTED_BYTES_MAX: u64 = 32 * 1024 * 1024;
const WASTED_PER_BYTE: u64 = 8;
/// Records up to this length are always checked.
const WASTED_FREE: u64 = 4096;

/// Iterator over what the bytes hold.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
    end: ChunkEnd,
    state: ScanState,
    found: Option<ScanItem<'a>>,
}

impl<'a> Scanner<'a> {
    /// Scans input that is all there.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::resume(bytes, ChunkEnd::Last, ScanState::default())
    }

    /// Scans a chunk that begins at `state.offset()` of the input.
    ///
    /// The iterator ends where more bytes are needed. Then drop the first [`Scanner::consumed`] bytes, append more
    /// and resume with [`Scanner::into_state`]; with [`ChunkEnd::Last`] everything is consumed. Nothing at all is
    /// consumed only while fewer than [`RECORD_LENGTH_MAX`] bytes are at hand, so memory is bounded.
    pub fn resume(bytes: &'a [u8], end: ChunkEnd, state: ScanState) -> Self {
        Self { bytes, position: 0, end, state, found: None }
    }

    /// Bytes that need not be shown again, once the iterator has ended.
    pub fn consumed(&self) -> usize {
        self.position
    }

    /// The state to resume with, once the iterator has ended.
    pub fn into_state(self) -> ScanState {
        self.state
    }

    fn advance(&mut self, count: usize) {
        self.position += count;
        self.state.offset += count as u64;
    }

    /// A record at the start of `rest`; when lost, one that is beyond doubt.
    fn attempt(&mut self, rest: &'a [u8]) -> Result<Record<'a>, Refusal> {
        if self.state.lost.is_none() {
            return Record::parse_at(rest, self.end);
        }
        let length = v3::length(rest).unwrap_or(0).min(RECORD_LENGTH_MAX as u64);
        let allowance = WASTED_BYTES_MAX + WASTED_PER_BYTE * self.state.offset;
        if length > WASTED_FREE && self.state.wasted + length > allowance {
            return Err(RecordError::NotARecord.into());
        }
        let record = Record::parse_at(rest, self.end).inspect_err(|refusal| {
            if matches!(refusal, Refusal::Error(RecordError::Checksum { .. })) {
                self.state.wasted += length;
            }
        })?;
        let doubtful = record.format_version == FormatVersion::Two
            && (!record.length().is_power_of_two() || record.source_id().contains('?'));
        if doubtful { Err(RecordError::NotARecord.into()) } else { Ok(record) }
    }

    /// Bytes to the next place behind the first byte of `rest` that may begin a record.
    fn distance(&self, rest: &[u8]) -> usize {
        for (index, window) in rest.windows(v3::HEADER_LENGTH).enumerate().skip(1) {
            let Some(start) = window.first_chunk::<8>() else { continue };
            let likely = start.starts_with(b"MS\x03")
                || (matches!(start[6], b'D' | b'R' | b'Q' | b'M') && matches!(start[7], b' ' | 0));
            if likely && rest.get(index..).is_some_and(begins_record) {
                return index;
            }
        }
        match self.end {
            ChunkEnd::Last => rest.len(),
            ChunkEnd::More => (rest.len() + 1).saturating_sub(v2::HEADER_LENGTH).max(1),
        }
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = ScanItem<'a>;

    fn next(&mut self) -> Option<ScanItem<'a>> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        loop {
            let offset = self.state.offset;
            let rest = self.bytes.get(self.position..).filter(|rest| !rest.is_empty());
            let Some(rest) = rest else {
                return match self.end {
                    ChunkEnd::Last => self.state.lost.take().map(|lost| lost.close(offset)),
                    ChunkEnd::More => None,
                };
            };
            match self.attempt(rest) {
                Ok(record) => {
                    self.advance(record.length());
                    let found = ScanItem::Record { offset, record };
                    let Some(lost) = self.state.lost.take() else { return Some(found) };
                    self.found = Some(found);
                    return Some(lost.close(offset));
                }
                Err(Refusal::NeedMore) if self.end == ChunkEnd::More => return None,
                Err(refusal) => {
                    let reason = match refusal {
                        Refusal::Error(reason) => reason,
                        Refusal::NeedMore => RecordError::NotARecord,
                    };
                    let distance = self.distance(rest);
                    self.advance(distance);
                    // Each bad record is a problem of its own.
                    if self.state.lost.is_none() || begins_record(rest) {
                        let before = self.state.lost.replace(StrayBytes { offset, reason });
                        if let Some(before) = before {
                            return Some(before.close(offset));
                        }
                    }
                }
            }
        }
    }
}

/// Whether a record was meant to begin here: a header, or one that is damaged behind its first eight bytes.
fn begins_record(bytes: &[u8]) -> bool {
    // As many bytes as the search for a header looks at: what is found must not depend on chunks.
    let Some(start) = bytes.first_chunk::<{ v3::HEADER_LENGTH }>() else { return false };
    let numbered = start.iter().take(6).all(u8::is_ascii_digit)
        && matches!(start[6], b'D' | b'R' | b'Q' | b'M')
        && start[7] == b' ';
    numbered || start.starts_with(b"MS\x03") || v3::is_header(bytes) || v2::is_header(bytes)
}
