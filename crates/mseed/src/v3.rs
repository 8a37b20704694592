//! miniSEED 3: the 40-byte little-endian header, identifier, extra headers and payload (FDSN, 2022).

use crate::Encoding;
use crate::bytes::{ByteOrder, field};
use crate::record::{
    ChunkEnd, FormatVersion, Quality, RECORD_LENGTH_MAX, Record, RecordError, Refusal, StateFlags,
};
use crate::source_id::SourceIdText;
use crate::time::DayTime;

pub(crate) const HEADER_LENGTH: usize = 40;
const LE: ByteOrder = ByteOrder::Little;

/// `MS`, version 3 and a time of day.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<HEADER_LENGTH>() else { return false };
    head[0] == b'M' && head[1] == b'S' && head[2] == 3 && head[12] < 24 && head[13] < 60 && head[14] <= 60
}

/// Length the header promises, bytes; `None` where the bytes are no header.
pub(crate) fn length(bytes: &[u8]) -> Option<u64> {
    let head = bytes.first_chunk::<HEADER_LENGTH>().filter(|_| is_header(bytes))?;
    let (identifier, extra, data) = part_lengths(head);
    Some(HEADER_LENGTH as u64 + u64::from(identifier) + u64::from(extra) + u64::from(data))
}

fn part_lengths(head: &[u8; HEADER_LENGTH]) -> (u8, u16, u32) {
    (head[33], LE.u16([head[34], head[35]]), LE.u32([head[36], head[37], head[38], head[39]]))
}

pub(crate) fn parse(bytes: &[u8], end: ChunkEnd) -> Result<Record<'_>, Refusal> {
    let head = bytes.first_chunk::<HEADER_LENGTH>().ok_or(RecordError::NotARecord)?;
    let (identifier_length, extra_length, _) = part_lengths(head);
    let promised = length(bytes).ok_or(RecordError::NotARecord)?;
    let length = usize::try_from(promised)
        .ok()
        .filter(|length| *length <= RECORD_LENGTH_MAX)
        .ok_or(RecordError::Length { length: promised })?;
    let start_ns = start_ns(head)?;
    let Some(record) = bytes.get(..length) else {
        return Err(match end {
            ChunkEnd::More => Refusal::NeedMore,
            ChunkEnd::Last => RecordError::Truncated { expected: length, available: bytes.len() }.into(),
        });
    };
    check_crc(record, head)?;
    let body = record.get(HEADER_LENGTH..).unwrap_or_default();
    let (identifier, body) = body.split_at_checked(identifier_length.into()).unwrap_or_default();
    let (extra_headers, payload) = body.split_at_checked(extra_length.into()).unwrap_or_default();
    let source_id = std::str::from_utf8(identifier)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(RecordError::SourceId)?;
    let rate = f64::from_bits(LE.u64(field(record, 16).unwrap_or_default()));
    if !rate.is_finite() {
        return Err(RecordError::Rate.into());
    }
    let encoding = Encoding::from_code(head[15]);
    Ok(Record {
        bytes: record,
        payload,
        payload_order: match encoding {
            Encoding::Steim1 | Encoding::Steim2 => ByteOrder::Big,
            _ => ByteOrder::Little,
        },
        header_order: LE,
        extra_headers,
        source_id: SourceIdText::read(source_id),
        rate_or_period: rate,
        format_version: FormatVersion::Three,
        start_ns,
        sample_count: LE.u32([head[24], head[25], head[26], head[27]]),
        encoding,
        quality: Quality::Version(head[32]),
        timing_quality: timing_quality(extra_headers),
        flags: StateFlags { activity: head[3], ..StateFlags::default() },
    })
}

fn start_ns(head: &[u8; HEADER_LENGTH]) -> Result<i64, RecordError> {
    let year = LE.u16([head[8], head[9]]);
    let day = LE.u16([head[10], head[11]]);
    let nanosecond = LE.u32([head[4], head[5], head[6], head[7]]);
    DayTime { year, day, hour: head[12], minute: head[13], second: head[14], nanosecond }
        .to_nanos()
        .ok_or(RecordError::StartTime { year, day })
}

fn check_crc(record: &[u8], head: &[u8; HEADER_LENGTH]) -> Result<(), RecordError> {
    let stored = LE.u32([head[28], head[29], head[30], head[31]]);
    let computed = crc(record);
    if stored == computed { Ok(()) } else { Err(RecordError::Checksum { stored, computed }) }
}

/// CRC-32C of a record with the checksum field taken as zero.
pub(crate) fn crc(record: &[u8]) -> u32 {
    let (before, rest) = record.split_at_checked(28).unwrap_or_default();
    let (_, after) = rest.split_at_checked(4).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(before), &[0; 4]), after)
}

/// `FDSN.Time.Quality` of the extra headers, percent.
///
/// The JSON is only searched: the first `"Quality"` after `"Time"` before a closing brace, and its number.
fn timing_quality(extra_headers: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(extra_headers).ok()?;
    let (_, time) = text.split_once("\"Time\"")?;
    let (time, _) = time.split_once('}')?;
    let (_, quality) = time.split_once("\"Quality\"")?;
    let number = quality.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let percent = number.get(..end)?.parse::<f64>().ok()?;
    (0.0..=255.0).contains(&percent).then_some(percent.round() as u8)
}
