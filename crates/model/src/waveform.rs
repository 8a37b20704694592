//! What is kept of a waveform: packets as received, gapless segments, and what could not be read.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Offset, SourceId, Timestamp};

/// Samples of a segment in the type of their encoding.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Integer and Steim encodings, counts.
    Int32(Vec<i32>),
    /// IEEE single precision.
    Float32(Vec<f32>),
    /// IEEE double precision.
    Float64(Vec<f64>),
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Int32(samples) => samples.len(),
            Self::Float32(samples) => samples.len(),
            Self::Float64(samples) => samples.len(),
        }
    }

    /// No samples at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a record stands in the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordPosition {
    /// Topic name, shared by all its records.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: Offset,
}

/// One record as received: a row of `waveform.packets`.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Channel.
    pub source_id: SourceId,
    /// Time of the first sample.
    pub start_time: Timestamp,
    /// Time of the last sample.
    pub last_sample_time: Timestamp,
    /// When the record arrived; `None` for records replayed from an archive.
    pub arrival_time: Option<Timestamp>,
    /// Samples decoded.
    pub sample_count: u32,
    /// Samples the header promises.
    pub expected_count: u32,
    /// Sample rate.
    pub sample_rate_hz: f64,
    /// Encoding, the SEED word in small letters, e.g. `steim2`.
    pub encoding: Cow<'static, str>,
    /// Data quality letter (miniSEED 2: D, R, Q, M) or publication version number (miniSEED 3).
    pub quality: Cow<'static, str>,
    /// Timing quality in percent, where recorded.
    pub timing_quality: Option<u8>,
    /// Length of the record in bytes.
    pub byte_count: u32,
    /// SHA-256 of the record.
    pub sha256: [u8; 32],
    /// URI of the stored original, where kept: the object, and behind `#bytes=` its first and last byte there.
    pub object_uri: Option<String>,
    /// Position in the stream.
    pub position: RecordPosition,
}

/// One gapless piece: a row of `waveform.segments`.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Channel.
    pub source_id: SourceId,
    /// Time of the first sample.
    pub start_time: Timestamp,
    /// Time of the last sample.
    pub end_time: Timestamp,
    /// Sample rate.
    pub sample_rate_hz: f64,
    /// Encoding of the records it was made from.
    pub encoding: String,
    /// Quality of the records it was made from, as [`Packet::quality`].
    pub quality: String,
    /// The samples.
    pub samples: Samples,
    /// Position of its first record.
    pub position: RecordPosition,
}

/// A record that could not be used, with the reason: a row of `stream.dead_letters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it stood (or would have stood).
    pub position: RecordPosition,
    /// Index among the letters of that position.
    pub index: u32,
    /// Stage that refused it, e.g. `archive`, `pick`, `import`.
    pub stage: String,
    /// Why, one sentence.
    pub reason: String,
    /// File or peer it came from, where known.
    pub origin: Option<String>,
    /// The bytes (at most 64 KiB of them).
    #[serde(with = "bytes_as_hex")]
    pub record: Vec<u8>,
}

/// Bytes as lower-case hex in JSON.
mod bytes_as_hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write;
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = || serde::de::Error::custom("record is not hex");
        let digits = text.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return Err(refuse());
        }
        digits
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
                u8::from_str_radix(pair, 16).map_err(|_| refuse())
            })
            .collect()
    }
}
