//! miniSEED 2: the 48-byte fixed header and its chain of blockettes (SEED 2.4, chapter 8).
//!
//! Header byte order is told by a plausible year and day; data byte order by blockette 1000. Blockettes 100
//! (true rate), 1000 and 1001 (timing quality, microseconds) are read, all others are passed over.

use crate::Encoding;
use crate::bytes::{ByteOrder, field};
use crate::record::{ChunkEnd, FormatVersion, Quality, Record, RecordError, Refusal, StateFlags};
use crate::source_id::SourceIdText;
use crate::time::{DayTime, is_year_and_day};
use crate::v3;

pub(crate) const HEADER_LENGTH: usize = 48;

/// Record lengths as powers of two: 128 bytes to 1 MiB, what ObsPy and libmseed accept.
const LENGTH_EXPONENTS: std::ops::RangeInclusive<u8> = 7..=20;

/// Blockettes in a record at most; real ones have fewer than ten.
const BLOCKETTES_MAX: usize = 256;

/// How far a header is looked for that ends a record without blockette 1000, bytes.
const NEXT_HEADER_MAX: usize = 64 * 1024;
const NEXT_HEADER_STEP: usize = 64;

/// Activity flag: the time correction is already in the start time.
pub(crate) const CORRECTION_APPLIED: u8 = 0x02;

/// Sequence number, data indicator, and a time of day: what the first 27 bytes of a data record show.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<HEADER_LENGTH>() else { return false };
    matches!(head[6], b'D' | b'R' | b'Q' | b'M')
        && matches!(head[7], b' ' | 0)
        && is_sequence_number(head)
        && head[24] < 24
        && head[25] < 60
        && head[26] <= 60
}

/// Volume, abbreviation, station or time span control header of a full SEED volume.
pub(crate) fn is_control_header(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<HEADER_LENGTH>() else { return false };
    matches!(head[6], b'V' | b'A' | b'S' | b'T')
        && matches!(head[7], b' ' | b'*')
        && is_sequence_number(head)
        && head.iter().skip(8).take(3).all(|byte| byte.is_ascii_digit() || *byte == b' ')
}

fn is_sequence_number(head: &[u8; HEADER_LENGTH]) -> bool {
    head.iter().take(6).all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | 0))
}

/// What the blockettes say.
#[derive(Debug, Default)]
struct Blockettes {
    /// Encoding, word order and length exponent of blockette 1000.
    data: Option<(u8, u8, u8)>,
    /// Timing quality and microseconds of blockette 1001.
    timing: Option<(u8, i8)>,
    /// Rate of blockette 100.
    rate: Option<f32>,
    /// Where the chain broke.
    broken_at: Option<usize>,
    /// The chain leaves the bytes at hand.
    leaves: bool,
}

/// How far a chain is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The first blockette 1000. It tells where the record ends; what lies behind must not decide.
    Data,
    /// The end of the chain.
    End,
}

impl Blockettes {
    fn read(bytes: &[u8], first: u16, order: ByteOrder, until: Until) -> Self {
        let mut found = Self::default();
        let mut offset = usize::from(first);
        for _ in 0..BLOCKETTES_MAX {
            if offset == 0 {
                return found;
            }
            if offset < HEADER_LENGTH {
                found.broken_at = Some(offset);
                return found;
            }
            let (Some(kind), Some(next)) = (field(bytes, offset), field(bytes, offset + 2)) else {
                found.leaves = true;
                return found;
            };
            found.take(order.u16(kind), bytes, offset, order);
            if found.data.is_some() && until == Until::Data {
                return found;
            }
            let next = usize::from(order.u16(next));
            if next != 0 && next < offset + 4 {
                found.broken_at = Some(offset);
                return found;
            }
            offset = next;
        }
        found.broken_at = Some(offset);
        found
    }

    fn take(&mut self, kind: u16, bytes: &[u8], offset: usize, order: ByteOrder) {
        let Some(body) = field::<4>(bytes, offset + 4) else {
            self.leaves |= matches!(kind, 100 | 1000 | 1001);
            return;
        };
        match kind {
            100 => self.rate = Some(f32::from_bits(order.u32(body))),
            1000 => self.data = self.data.or(Some((body[0], body[1], body[2]))),
            1001 => self.timing = Some((body[0], body[1].cast_signed())),
            _ => {}
        }
    }
}

pub(crate) fn parse(bytes: &[u8], end: ChunkEnd) -> Result<Record<'_>, Refusal> {
    let head = bytes.first_chunk::<HEADER_LENGTH>().ok_or(RecordError::NotARecord)?;
    let order = header_order(head)?;
    let first = order.u16([head[46], head[47]]);
    let blockettes = Blockettes::read(bytes, first, order, Until::Data);
    let length = match blockettes.data {
        Some((_, _, exponent)) if LENGTH_EXPONENTS.contains(&exponent) => 1_usize << exponent,
        Some((_, _, exponent)) => {
            return Err(
                RecordError::Length { length: 1_u64.checked_shl(exponent.into()).unwrap_or(0) }.into()
            );
        }
        None if blockettes.leaves && end == ChunkEnd::More && bytes.len() <= usize::from(u16::MAX) + 8 => {
            return Err(Refusal::NeedMore);
        }
        // The fixed header counts blockettes; a lost blockette 1000 must not be taken for a missing one.
        None if head[39] > 0 && (blockettes.leaves || blockettes.broken_at.is_some()) => {
            let offset = blockettes.broken_at.unwrap_or(first.into());
            return Err(RecordError::BlocketteChain { offset }.into());
        }
        None => length_to_next_header(bytes, end)?,
    };
    let Some(record) = bytes.get(..length) else {
        return Err(match end {
            ChunkEnd::More => Refusal::NeedMore,
            ChunkEnd::Last => RecordError::Truncated { expected: length, available: bytes.len() }.into(),
        });
    };
    // The whole chain within the record alone: blockettes of the next record are not ours.
    let blockettes = Blockettes::read(record, first, order, Until::End);
    if let Some(offset) = blockettes.broken_at {
        return Err(RecordError::BlocketteChain { offset }.into());
    }
    Ok(assemble(record, head, order, &blockettes)?)
}

fn header_order(head: &[u8; HEADER_LENGTH]) -> Result<ByteOrder, RecordError> {
    let year = [head[20], head[21]];
    let day = [head[22], head[23]];
    [ByteOrder::Big, ByteOrder::Little]
        .into_iter()
        .find(|order| is_year_and_day(order.u16(year), order.u16(day)))
        .ok_or(RecordError::StartTime { year: u16::from_be_bytes(year), day: u16::from_be_bytes(day) })
}

fn length_to_next_header(bytes: &[u8], end: ChunkEnd) -> Result<usize, Refusal> {
    let mut offset = NEXT_HEADER_STEP;
    while offset <= NEXT_HEADER_MAX {
        let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= HEADER_LENGTH) else { break };
        if is_header(rest) || v3::is_header(rest) || is_control_header(rest) {
            return Ok(offset);
        }
        offset += NEXT_HEADER_STEP;
    }
    let searched_all = offset > NEXT_HEADER_MAX;
    if !searched_all && end == ChunkEnd::More {
        return Err(Refusal::NeedMore);
    }
    let legal = bytes.len().is_power_of_two() && (128..=NEXT_HEADER_MAX).contains(&bytes.len());
    if legal && end == ChunkEnd::Last { Ok(bytes.len()) } else { Err(RecordError::NoLength.into()) }
}

fn assemble<'a>(
    record: &'a [u8],
    head: &[u8; HEADER_LENGTH],
    order: ByteOrder,
    blockettes: &Blockettes,
) -> Result<Record<'a>, RecordError> {
    let sample_count = u32::from(order.u16([head[30], head[31]]));
    let offset = usize::from(order.u16([head[44], head[45]]));
    let payload = match record.get(offset..) {
        _ if sample_count == 0 => &[],
        Some(payload) if offset >= HEADER_LENGTH => payload,
        _ => return Err(RecordError::DataOffset { offset, length: record.len() }),
    };
    let (encoding, payload_order) = match blockettes.data {
        Some((code, 0, _)) => (Encoding::from_code(code), ByteOrder::Little),
        Some((code, _, _)) => (Encoding::from_code(code), ByteOrder::Big),
        None => (Encoding::Steim1, order),
    };
    let factor = order.i16([head[32], head[33]]);
    let multiplier = order.i16([head[34], head[35]]);
    let rate = blockettes.rate.map_or_else(|| nominal_rate_hz(factor, multiplier), f64::from);
    if !rate.is_finite() {
        return Err(RecordError::Rate);
    }
    Ok(Record {
        bytes: record,
        payload,
        payload_order,
        header_order: order,
        extra_headers: &[],
        source_id: SourceIdText::compose(
            &[head[18], head[19]],
            &[head[8], head[9], head[10], head[11], head[12]],
            &[head[13], head[14]],
            [head[15], head[16], head[17]],
        ),
        rate_or_period: rate,
        format_version: FormatVersion::Two,
        start_ns: start_ns(head, order, blockettes)?,
        sample_count,
        encoding,
        quality: Quality::Letter(char::from(head[6])),
        timing_quality: blockettes.timing.map(|(quality, _)| quality),
        flags: StateFlags { activity: head[36], clock: head[37], data_quality: head[38] },
    })
}

/// Start time with the correction (0.1 ms, unless applied already) and the signed microseconds of blockette 1001.
fn start_ns(
    head: &[u8; HEADER_LENGTH],
    order: ByteOrder,
    blockettes: &Blockettes,
) -> Result<i64, RecordError> {
    let year = order.u16([head[20], head[21]]);
    let day = order.u16([head[22], head[23]]);
    let nanosecond = u32::from(order.u16([head[28], head[29]])).saturating_mul(100_000);
    let nominal = DayTime { year, day, hour: head[24], minute: head[25], second: head[26], nanosecond }
        .to_nanos()
        .ok_or(RecordError::StartTime { year, day })?;
    let correction = match head[36] & CORRECTION_APPLIED {
        0 => i64::from(order.i32([head[40], head[41], head[42], head[43]])) * 100_000,
        _ => 0,
    };
    let microseconds = blockettes.timing.map_or(0, |(_, microseconds)| i64::from(microseconds));
    Ok(nominal + correction + microseconds * 1000)
}

/// Rate of factor and multiplier, Hz: positive numbers multiply, negative ones divide; 0 is no time series.
pub(crate) fn nominal_rate_hz(factor: i16, multiplier: i16) -> f64 {
    let factor = f64::from(factor);
    let multiplier = f64::from(multiplier);
    let rate = if factor < 0.0 { -1.0 / factor } else { factor };
    if multiplier > 0.0 {
        rate * multiplier
    } else if multiplier < 0.0 {
        -(rate / multiplier)
    } else {
        rate
    }
}
