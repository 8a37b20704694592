//! One record: what its header says, and where its data lie. Nothing is decoded here.

use std::fmt;

use crate::Encoding;
use crate::bytes::{ByteOrder, field};
use crate::source_id::SourceIdText;
use crate::time::sample_time_ns;
use crate::{v2, v3};

/// Longest record that is accepted, bytes: what libmseed accepts. A reader of chunks never needs more memory.
pub const RECORD_LENGTH_MAX: usize = 10 * 1024 * 1024;

/// Generation of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FormatVersion {
    /// miniSEED 2 (SEED 2.4 data records).
    Two,
    /// miniSEED 3.
    Three,
}

/// Quality of the data as the header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quality {
    /// miniSEED 2: `D`, `R`, `Q` or `M`.
    Letter(char),
    /// miniSEED 3: publication version.
    Version(u8),
}

impl Quality {
    /// Publication version; the letters R, D, Q, M count as 1, 2, 3, 4.
    pub fn publication_version(self) -> u8 {
        match self {
            Self::Version(version) => version,
            Self::Letter('R') => 1,
            Self::Letter('D') => 2,
            Self::Letter('Q') => 3,
            Self::Letter('M') => 4,
            Self::Letter(_) => 0,
        }
    }

    /// Quality letter; the publication versions 1, 2, 3, 4 count as R, D, Q, M and others, of which nothing is known,
    /// as D.
    pub fn letter(self) -> char {
        match self.publication_version() {
            1 => 'R',
            3 => 'Q',
            4 => 'M',
            _ => 'D',
        }
    }
}

/// As [`Display`](fmt::Display) writes it: a letter or a number.
impl std::str::FromStr for Quality {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut characters = text.chars();
        match (text.parse(), characters.next(), characters.next()) {
            (Ok(version), ..) => Ok(Self::Version(version)),
            (Err(_), Some(letter), None) => Ok(Self::Letter(letter)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => write!(f, "{letter}"),
            Self::Version(version) => write!(f, "{version}"),
        }
    }
}

/// Flag bytes. miniSEED 3 has one flag byte only, which is `activity` here (bit 0 calibration,
/// bit 1 time tag questionable, bit 2 clock locked); the others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateFlags {
    /// Activity flags; in miniSEED 2 bits 4 and 5 announce a positive or negative leap second.
    pub activity: u8,
    /// Input, output and clock flags.
    pub clock: u8,
    /// Data quality flags (bit 0 amplifier saturation, 1 clipping, 2 spikes, 7 time tag questionable).
    pub data_quality: u8,
}

impl StateFlags {
    /// miniSEED 2: the writer had applied the time correction of the header to the start time.
    pub fn correction_applied(self) -> bool {
        self.activity & v2::CORRECTION_APPLIED != 0
    }

    /// Names of the flags that are set, in the words of the standard of this generation of the format.
    pub fn names(self, format_version: FormatVersion) -> impl Iterator<Item = &'static str> {
        let (activity, clock, data_quality): (&[_], &[_], &[_]) = match format_version {
            FormatVersion::Two => (&ACTIVITY_FLAGS, &CLOCK_FLAGS, &QUALITY_FLAGS),
            FormatVersion::Three => (&FLAGS_3, &[], &[]),
        };
        let named = [(self.activity, activity), (self.clock, clock), (self.data_quality, data_quality)];
        named.into_iter().flat_map(|(byte, names)| {
            names.iter().enumerate().filter(move |(bit, _)| byte >> bit & 1 == 1).map(|(_, name)| *name)
        })
    }
}

const ACTIVITY_FLAGS: [&str; 7] = [
    "calibration signals present",
    "time correction applied",
    "beginning of an event",
    "end of an event",
    "positive leap second",
    "negative leap second",
    "event in progress",
];
const CLOCK_FLAGS: [&str; 6] = [
    "station volume parity error",
    "long record read",
    "short record read",
    "start of time series",
    "end of time series",
    "clock locked",
];
const QUALITY_FLAGS: [&str; 8] = [
    "amplifier saturation",
    "digitizer clipping",
    "spikes",
    "glitches",
    "missing or padded data",
    "telemetry synchronization error",
    "digital filter charging",
    "time tag questionable",
];
const FLAGS_3: [&str; 3] = ["calibration signals present", "time tag questionable", "clock locked"];

/// Why bytes are not a usable record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Neither a miniSEED 2 nor a miniSEED 3 header.
    #[error("bytes are no miniSEED record")]
    NotARecord,
    /// A control header of a full SEED volume.
    #[error("control header of a full SEED volume")]
    ControlHeader,
    /// The record is longer than the bytes at hand.
    #[error("record of {expected} bytes ends after {available}")]
    Truncated {
        /// Length the header promises, bytes.
        expected: usize,
        /// Bytes at hand.
        available: usize,
    },
    /// A length no record has.
    #[error("record length {length} is out of range")]
    Length {
        /// Length the header promises, bytes.
        length: u64,
    },
    /// No blockette 1000, and no following header that would tell the length.
    #[error("record has no blockette 1000 and no header follows it")]
    NoLength,
    /// A blockette that lies outside the record or points back.
    #[error("blockette chain is broken at offset {offset}")]
    BlocketteChain {
        /// Offset of the blockette in the record, bytes.
        offset: usize,
    },
    /// A start time no clock shows.
    #[error("start time is out of range: year {year}, day {day}")]
    StartTime {
        /// Year field.
        year: u16,
        /// Day-of-year field.
        day: u16,
    },
    /// A sample rate that is not a finite number.
    #[error("sample rate is not a finite number")]
    Rate,
    /// Data that begin inside the header or behind the end.
    #[error("data offset {offset} lies outside the data of a record of {length} bytes")]
    DataOffset {
        /// Data offset field, bytes.
        offset: usize,
        /// Record length, bytes.
        length: usize,
    },
    /// The checksum of a miniSEED 3 record is wrong.
    #[error("checksum is 0x{computed:08x} where the header says 0x{stored:08x}")]
    Checksum {
        /// CRC-32C in the header.
        stored: u32,
        /// CRC-32C of the bytes.
        computed: u32,
    },
    /// The source identifier is empty or not printable ASCII.
    #[error("source identifier is not printable text")]
    SourceId,
}

/// What an attempt at a record came to when more bytes may follow.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Cannot be told before more bytes are at hand.
    NeedMore,
    /// Not a record, whatever follows.
    Error(RecordError),
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        Self::Error(error)
    }
}

/// Whether bytes follow the ones at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkEnd {
    /// More may follow.
    More,
    /// The input ends here.
    Last,
}

/// One record, borrowed from the bytes it was read from. Parsing reads the header and checks the checksum
/// (miniSEED 3); samples are decoded on demand with [`Record::decode`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// Byte order of the samples: big-endian for Steim in miniSEED 3, else as the header says.
    pub payload_order: ByteOrder,
    /// Byte order of the header.
    pub header_order: ByteOrder,
    pub(crate) extra_headers: &'a [u8],
    pub(crate) source_id: SourceIdText<'a>,
    /// Hz, or minus the period in seconds where negative, as libmseed keeps it.
    pub(crate) rate_or_period: f64,
    /// Generation of the format.
    pub format_version: FormatVersion,
    /// Time of the first sample, nanoseconds since 1970, corrections applied.
    pub start_ns: i64,
    /// Samples the header promises.
    pub sample_count: u32,
    /// How they are stored.
    pub encoding: Encoding,
    /// Data quality letter or publication version.
    pub quality: Quality,
    /// Timing quality in percent, where recorded.
    pub timing_quality: Option<u8>,
    /// Flag bytes.
    pub flags: StateFlags,
}

impl<'a> Record<'a> {
    /// Reads the header of the record at the start of `bytes`; further bytes are ignored, except that a
    /// miniSEED 2 record without blockette 1000 ends where the next header begins.
    ///
    /// Cost: the header only, plus one CRC-32C pass over a miniSEED 3 record.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        match Self::parse_at(bytes, ChunkEnd::Last) {
            Ok(record) => Ok(record),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::NeedMore) => {
                Err(RecordError::Truncated { expected: v2::HEADER_LENGTH, available: bytes.len() })
            }
        }
    }

    pub(crate) fn parse_at(bytes: &'a [u8], end: ChunkEnd) -> Result<Self, Refusal> {
        if v3::is_header(bytes) {
            v3::parse(bytes, end)
        } else if v2::is_header(bytes) {
            v2::parse(bytes, end)
        } else if v2::is_control_header(bytes) {
            Err(RecordError::ControlHeader.into())
        } else if end == ChunkEnd::More && bytes.len() < v2::HEADER_LENGTH {
            Err(Refusal::NeedMore)
        } else {
            Err(RecordError::NotARecord.into())
        }
    }

    /// FDSN source identifier: `FDSN:NET_STA_LOC_B_S_SS`, a blank location empty.
    pub fn source_id(&self) -> &str {
        self.source_id.as_str()
    }

    /// Nominal sample rate, Hz; 0 where the record is no time series.
    pub fn rate_hz(&self) -> f64 {
        if self.rate_or_period < 0.0 { -1.0 / self.rate_or_period } else { self.rate_or_period }
    }

    /// Time of the last sample, nanoseconds since 1970; the start time where there are none. Behind a leap second
    /// (see [`crate::LeapSecond`]) that is one second less than counting samples gives.
    pub fn last_sample_ns(&self) -> i64 {
        let last = u64::from(self.sample_count.saturating_sub(1));
        let counted_ns = sample_time_ns(self.start_ns, last, self.rate_or_period);
        counted_ns - self.leap_fold_ns(counted_ns)
    }

    /// Nanoseconds between samples, rounded; 0 where the record is no time series.
    pub fn period_ns(&self) -> i64 {
        sample_time_ns(0, 1, self.rate_or_period)
    }

    /// Sequence number of a miniSEED 2 record; `None` where it is blank, and in miniSEED 3.
    pub fn sequence_number(&self) -> Option<u32> {
        let digits = self.bytes.get(..6).filter(|_| self.format_version == FormatVersion::Two)?;
        std::str::from_utf8(digits).ok()?.trim_matches(['\0', ' ']).parse().ok()
    }

    /// Time correction that the header of a miniSEED 2 record carries, nanoseconds: 0 where there is none. It is in
    /// `start_ns`, either because the writer had applied it already ([`StateFlags::correction_applied`]) or because
    /// reading has.
    pub fn time_correction_ns(&self) -> i64 {
        match self.format_version {
            FormatVersion::Two => {
                let units = field(self.bytes, 40).map_or(0, |field| self.header_order.i32(field));
                i64::from(units) * 100_000
            }
            FormatVersion::Three => 0,
        }
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the record, bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Extra headers of miniSEED 3: JSON text, empty where there are none.
    pub fn extra_headers(&self) -> &'a [u8] {
        self.extra_headers
    }

    /// Text of a log record (encoding 0); `None` for records of samples.
    pub fn text(&self) -> Option<&'a [u8]> {
        let length = self.payload.len().min(self.sample_count as usize);
        self.payload.get(..length).filter(|_| self.encoding == Encoding::Text)
    }
}
