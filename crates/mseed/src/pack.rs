//! Writes records: cuts samples into miniSEED 2 or 3 records and lays out their headers.
//!
//! Rates are written exactly where factor and multiplier can hold them, else the nearest of them or of blockette
//! 100. Start times are exact in miniSEED 3 and rounded to a microsecond in miniSEED 2 (blockette 1001). A record's
//! start is computed from the start of the whole, so that nothing adds up.
//!
//! ```text
//! samples ─► Body (differences, where they break Steim) ─► Payload of a record ─► header::Writer ─► record
//! text ─────────────────────────────────────────────────────────┘
//! ```

mod header;
mod steim;

use std::ops::Range;

use crate::encoding::Encoding;
use crate::record::{FormatVersion, Quality, RECORD_LENGTH_MAX};
use crate::samples::SampleSlice;
use crate::steim::{FRAME_LENGTH, Scheme};
use crate::time::sample_time_ns;

/// How records are to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct PackSettings {
    /// FDSN source identifier; miniSEED 2 needs `FDSN:NET_STA_LOC_B_S_SS` with short codes.
    pub source_id: String,
    /// Time of the first sample, nanoseconds since 1970.
    pub start_ns: i64,
    /// Sample rate, Hz, above zero.
    pub rate_hz: f64,
    /// Encoding; where differences are too large for Steim, single records may be of 32-bit integers: see [`pack`].
    pub encoding: Encoding,
    /// Length of a record, bytes: for miniSEED 2 a power of two of 128 or more, for miniSEED 3 the most.
    pub record_length: usize,
    /// Generation of the format.
    pub format_version: FormatVersion,
    /// Quality letter or publication version; translated where the other format is written.
    pub quality: Quality,
    /// Timing quality, percent, where known.
    pub timing_quality: Option<u8>,
    /// Sequence number of the first record (miniSEED 2).
    pub sequence_number: u32,
}

impl PackSettings {
    /// miniSEED 2, Steim 2, 512 bytes, quality `D`.
    pub fn new(source_id: impl Into<String>, start_ns: i64, rate_hz: f64) -> Self {
        Self {
            source_id: source_id.into(),
            start_ns,
            rate_hz,
            encoding: Encoding::Steim2,
            record_length: 512,
            format_version: FormatVersion::Two,
            quality: Quality::Letter('D'),
            timing_quality: None,
            sequence_number: 1,
        }
    }
}

/// Why samples could not be packed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PackError {
    /// The encoding cannot be written, or not from samples of this type.
    #[error("samples of this type cannot be written as {encoding}")]
    Encoding {
        /// The encoding asked for.
        encoding: Encoding,
    },
    /// A sample beyond 16 bits for an encoding of 16 bits.
    #[error("sample {index} of {value} counts does not fit 16 bits")]
    OutOfRange {
        /// Sample, counted from 0.
        index: usize,
        /// Its value, counts.
        value: i32,
    },
    /// A record length the format does not have, or with no room for data.
    #[error("record length {length} cannot be written")]
    RecordLength {
        /// Length asked for, bytes.
        length: usize,
    },
    /// An identifier the format cannot hold.
    #[error("source identifier \"{0}\" does not fit the format")]
    SourceId(String),
    /// A rate that is not a finite number above zero.
    #[error("sample rate {rate_hz} Hz cannot be written")]
    Rate {
        /// Rate asked for, Hz.
        rate_hz: f64,
    },
    /// A time outside the years 1900 to 2100.
    #[error("start time of {start_ns} ns since 1970 is out of range")]
    StartTime {
        /// Time of the record, nanoseconds since 1970.
        start_ns: i64,
    },
}

/// Packs `samples` (counts or physical units, length n) into records, each complete in itself. No samples, no records.
///
/// Steim: a difference that the scheme cannot hold ends its record early, as the first sample of a record needs none;
/// where such differences come so densely that records would be nearly empty, the record at hand is of 32-bit integers.
///
/// Cost: two passes. The records decode to the same samples with any reader of the standard.
pub fn pack<'a>(
    settings: &PackSettings,
    samples: impl Into<SampleSlice<'a>>,
) -> Result<Vec<Vec<u8>>, PackError> {
    let samples = samples.into();
    if !(settings.rate_hz.is_finite() && settings.rate_hz > 0.0) {
        return Err(PackError::Rate { rate_hz: settings.rate_hz });
    }
    let writer = header::Writer::new(settings, settings.rate_hz)?;
    let body = Body::new(samples, settings.encoding, settings.format_version)?;
    let mut records = Vec::new();
    let mut first = 0;
    while first < samples.len() {
        let payload = body.payload(first, writer.payload_length, writer.sample_count_max);
        if payload.count == 0 {
            return Err(PackError::RecordLength { length: settings.record_length });
        }
        let start_ns = sample_time_ns(settings.start_ns, first as u64, settings.rate_hz);
        records.push(writer.record(records.len(), start_ns, &payload)?);
        first += payload.count;
    }
    Ok(records)
}

/// Gives a packed record of miniSEED 2 its number of up to six digits; those of miniSEED 3 have none.
pub fn set_sequence_number(record: &mut [u8], sequence_number: u32) {
    if let Some(head) = record.get_mut(..6)
        && !head.starts_with(b"MS\x03")
    {
        head.copy_from_slice(format!("{:06}", sequence_number % 1_000_000).as_bytes());
    }
}

/// Packs the text of a log channel into records (encoding 0), each of which says how many bytes of it it holds. No
/// text, no records. The rate and the encoding of `settings` do not count: text has no rate, and all records of a piece
/// bear its start time, so that only their order, and in miniSEED 2 their sequence numbers, tell how they go together.
/// No character of UTF-8 is split.
pub fn pack_text(settings: &PackSettings, text: &[u8]) -> Result<Vec<Vec<u8>>, PackError> {
    let writer = header::Writer::new(settings, 0.0)?;
    let length = writer.payload_length.min(writer.sample_count_max);
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (bytes, more) = rest.split_at(characters_end(rest, length));
        if bytes.is_empty() {
            return Err(PackError::RecordLength { length: settings.record_length });
        }
        let payload = Payload { encoding: Encoding::Text, bytes: bytes.to_vec(), count: bytes.len() };
        records.push(writer.record(records.len(), settings.start_ns, &payload)?);
        rest = more;
    }
    Ok(records)
}

/// Where to cut `text` behind at most `length` bytes: before a character of UTF-8 that would be split; for other bytes
/// right there.
fn characters_end(text: &[u8], length: usize) -> usize {
    const CONTINUATIONS_MAX: usize = 3;
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = length.min(text.len());
    let earliest = end.saturating_sub(CONTINUATIONS_MAX);
    (earliest..=end).rev().find(|at| *at > 0 && !continues(*at)).unwrap_or(end)
}

/// The data of one record.
struct Payload {
    encoding: Encoding,
    bytes: Vec<u8>,
    /// Samples, or bytes of text.
    count: usize,
}

/// Records broken off within the length of one record of integers, above which that one takes their place.
const BREAKS_MAX: usize = 2;

/// Encodes one record's worth of samples after another.
struct Body<'a> {
    samples: SampleSlice<'a>,
    encoding: Encoding,
    format_version: FormatVersion,
    /// Steim: difference of each sample to the one before; 0 for the first, and where the scheme cannot hold it.
    differences: Vec<i32>,
    /// Steim: samples whose difference the scheme cannot hold, ascending. Each begins a record, or lies in one of
    /// integers.
    breaks: Vec<usize>,
}

impl<'a> Body<'a> {
    fn new(
        samples: SampleSlice<'a>,
        encoding: Encoding,
        format_version: FormatVersion,
    ) -> Result<Self, PackError> {
        let mut body =
            Self { samples, encoding, format_version, differences: Vec::new(), breaks: Vec::new() };
        match (samples, encoding) {
            (SampleSlice::Int32(samples), Encoding::Steim1) => body.take_differences(samples, Scheme::One),
            (SampleSlice::Int32(samples), Encoding::Steim2) => body.take_differences(samples, Scheme::Two),
            (SampleSlice::Int32(samples), Encoding::Int16) => {
                if let Some((index, value)) =
                    samples.iter().enumerate().find(|(_, value)| i16::try_from(**value).is_err())
                {
                    return Err(PackError::OutOfRange { index, value: *value });
                }
            }
            (SampleSlice::Int32(_), Encoding::Int32)
            | (SampleSlice::Float32(_), Encoding::Float32)
            | (SampleSlice::Float64(_), Encoding::Float64) => {}
            _ => return Err(PackError::Encoding { encoding }),
        }
        Ok(body)
    }

    fn take_differences(&mut self, samples: &[i32], scheme: Scheme) {
        let limit = 1_i64 << (steim::difference_bits_max(scheme) - 1);
        self.differences.reserve_exact(samples.len());
        self.differences.extend(samples.first().map(|_| 0));
        for (index, (before, sample)) in samples.iter().zip(samples.iter().skip(1)).enumerate() {
            let difference = i64::from(*sample) - i64::from(*before);
            if (-limit..limit).contains(&difference) {
                self.differences.push(difference as i32);
            } else {
                self.differences.push(0);
                self.breaks.push(index + 1);
            }
        }
    }

    /// Payload of at most `length` bytes that begins with sample `first`.
    fn payload(&self, first: usize, length: usize, count_max: usize) -> Payload {
        let big = self.format_version == FormatVersion::Two;
        let range = |width: usize, total: usize| first..total.min(first + (length / width).min(count_max));
        match (self.samples, self.encoding) {
            (SampleSlice::Int32(samples), Encoding::Steim1 | Encoding::Steim2) => {
                let integers = range(4, samples.len());
                let ahead =
                    self.breaks.get(self.breaks.partition_point(|at| *at <= first)..).unwrap_or_default();
                if ahead.get(BREAKS_MAX).is_some_and(|at| *at < integers.end) {
                    return self.int32(samples, integers);
                }
                let end =
                    ahead.first().copied().unwrap_or(samples.len()).min(first.saturating_add(count_max));
                let scheme = if self.encoding == Encoding::Steim1 { Scheme::One } else { Scheme::Two };
                let samples = samples.get(first..end).unwrap_or_default();
                let differences = self.differences.get(first..end).unwrap_or_default();
                let (bytes, count) = steim::encode(scheme, samples, differences, length / FRAME_LENGTH);
                Payload { encoding: self.encoding, bytes, count }
            }
            (SampleSlice::Int32(samples), Encoding::Int16) => {
                fields(self.encoding, samples, range(2, samples.len()), |value| {
                    let low = value as i16;
                    if big { low.to_be_bytes() } else { low.to_le_bytes() }
                })
            }
            (SampleSlice::Int32(samples), _) => self.int32(samples, range(4, samples.len())),
            (SampleSlice::Float32(samples), _) => {
                fields(self.encoding, samples, range(4, samples.len()), |value| {
                    if big { value.to_be_bytes() } else { value.to_le_bytes() }
                })
            }
            (SampleSlice::Float64(samples), _) => {
                fields(self.encoding, samples, range(8, samples.len()), |value| {
                    if big { value.to_be_bytes() } else { value.to_le_bytes() }
                })
            }
        }
    }

    fn int32(&self, samples: &[i32], range: Range<usize>) -> Payload {
        let big = self.format_version == FormatVersion::Two;
        fields(
            Encoding::Int32,
            samples,
            range,
            |value| {
                if big { value.to_be_bytes() } else { value.to_le_bytes() }
            },
        )
    }
}

fn fields<T: Copy, const N: usize>(
    encoding: Encoding,
    samples: &[T],
    range: Range<usize>,
    write: impl Fn(T) -> [u8; N],
) -> Payload {
    let samples = samples.get(range).unwrap_or_default();
    let bytes = samples.iter().flat_map(|value| write(*value)).collect();
    Payload { encoding, bytes, count: samples.len() }
}

/// Legal record lengths of miniSEED 2; miniSEED 3 is bounded by [`RECORD_LENGTH_MAX`].
fn check_length(settings: &PackSettings) -> Result<(), PackError> {
    let length = settings.record_length;
    let legal = match settings.format_version {
        FormatVersion::Two => length.is_power_of_two() && (128..=1 << 17).contains(&length),
        FormatVersion::Three => (128..=RECORD_LENGTH_MAX).contains(&length),
    };
    if legal { Ok(()) } else { Err(PackError::RecordLength { length }) }
}
