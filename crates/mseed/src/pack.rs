//! Writes records: cuts samples into miniSEED 2 or 3 records and lays out their headers.
//!
//! Rates are written exactly where factor and multiplier can hold them, else the nearest of them or of blockette
//! 100. Start times are exact in miniSEED 3 and rounded to a microsecond in miniSEED 2 (blockette 1001). A record's
//! start is computed from the start of the whole, so that nothing adds up.

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
    /// Encoding; Steim 2 gives way to Steim 1 and that to 32-bit integers where a difference is too large.
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
/// Cost: one pass. The records decode to the same samples with any reader of the standard.
pub fn pack<'a>(
    settings: &PackSettings,
    samples: impl Into<SampleSlice<'a>>,
) -> Result<Vec<Vec<u8>>, PackError> {
    let samples = samples.into();
    if !(settings.rate_hz.is_finite() && settings.rate_hz > 0.0) {
        return Err(PackError::Rate { rate_hz: settings.rate_hz });
    }
    let writer = header::Writer::new(settings)?;
    let encoding = match (samples, settings.encoding) {
        (SampleSlice::Int32(samples), encoding) => fitting(encoding, samples)?,
        (SampleSlice::Float32(_), Encoding::Float32) | (SampleSlice::Float64(_), Encoding::Float64) => {
            settings.encoding
        }
        (_, encoding) => return Err(PackError::Encoding { encoding }),
    };
    let mut body = Body::new(samples, encoding, settings.format_version);
    let mut records = Vec::new();
    let mut first = 0;
    while first < samples.len() {
        let (payload, count) = body.payload(first, writer.payload_length, writer.sample_count_max);
        if count == 0 {
            return Err(PackError::RecordLength { length: settings.record_length });
        }
        let start_ns = sample_time_ns(settings.start_ns, first as u64, settings.rate_hz);
        records.push(writer.record(records.len(), start_ns, encoding, &payload, count)?);
        first += count;
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

/// The encoding that holds all samples: the one asked for where it can.
fn fitting(encoding: Encoding, samples: &[i32]) -> Result<Encoding, PackError> {
    match encoding {
        Encoding::Int32 => Ok(encoding),
        Encoding::Int16 => match samples.iter().position(|value| i16::try_from(*value).is_err()) {
            None => Ok(encoding),
            Some(index) => {
                let value = samples.get(index).copied().unwrap_or_default();
                Err(PackError::OutOfRange { index, value })
            }
        },
        Encoding::Steim1 | Encoding::Steim2 => {
            let pairs = samples.iter().zip(samples.iter().skip(1));
            let largest =
                pairs.map(|(a, b)| (i64::from(*b) - i64::from(*a)).unsigned_abs()).max().unwrap_or(0);
            Ok(match encoding {
                Encoding::Steim2 if largest < 1 << 29 => Encoding::Steim2,
                _ if largest < 1 << 31 => Encoding::Steim1,
                _ => Encoding::Int32,
            })
        }
        _ => Err(PackError::Encoding { encoding }),
    }
}

/// Encodes one record's worth of samples after another.
struct Body<'a> {
    samples: SampleSlice<'a>,
    encoding: Encoding,
    format_version: FormatVersion,
    /// Steim: difference of each sample to the one before, the first 0.
    differences: Vec<i32>,
}

impl<'a> Body<'a> {
    fn new(samples: SampleSlice<'a>, encoding: Encoding, format_version: FormatVersion) -> Self {
        let differences = match (samples, encoding) {
            (SampleSlice::Int32(samples), Encoding::Steim1 | Encoding::Steim2) => {
                let pairs = samples.iter().zip(samples.iter().skip(1));
                std::iter::once(0).chain(pairs.map(|(a, b)| b.wrapping_sub(*a))).take(samples.len()).collect()
            }
            _ => Vec::new(),
        };
        Self { samples, encoding, format_version, differences }
    }

    /// Payload of at most `length` bytes that begins with sample `first`, and the samples in it.
    fn payload(&mut self, first: usize, length: usize, count_max: usize) -> (Vec<u8>, usize) {
        let big = self.format_version == FormatVersion::Two;
        let range = |width: usize, total: usize| first..total.min(first + (length / width).min(count_max));
        match (self.samples, self.encoding) {
            (SampleSlice::Int32(samples), Encoding::Steim1 | Encoding::Steim2) => {
                let scheme = if self.encoding == Encoding::Steim1 { Scheme::One } else { Scheme::Two };
                let end = samples.len().min(first.saturating_add(count_max));
                let samples = samples.get(first..end).unwrap_or_default();
                let differences = self.differences.get(first..end).unwrap_or_default();
                steim::encode(scheme, samples, differences, length / FRAME_LENGTH)
            }
            (SampleSlice::Int32(samples), Encoding::Int16) => {
                fields(samples, range(2, samples.len()), |value| {
                    let low = value as i16;
                    if big { low.to_be_bytes() } else { low.to_le_bytes() }
                })
            }
            (SampleSlice::Int32(samples), _) => fields(samples, range(4, samples.len()), |value| {
                if big { value.to_be_bytes() } else { value.to_le_bytes() }
            }),
            (SampleSlice::Float32(samples), _) => fields(samples, range(4, samples.len()), |value| {
                if big { value.to_be_bytes() } else { value.to_le_bytes() }
            }),
            (SampleSlice::Float64(samples), _) => fields(samples, range(8, samples.len()), |value| {
                if big { value.to_be_bytes() } else { value.to_le_bytes() }
            }),
        }
    }
}

fn fields<T: Copy, const N: usize>(
    samples: &[T],
    range: Range<usize>,
    write: impl Fn(T) -> [u8; N],
) -> (Vec<u8>, usize) {
    let samples = samples.get(range).unwrap_or_default();
    (samples.iter().flat_map(|value| write(*value)).collect(), samples.len())
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
