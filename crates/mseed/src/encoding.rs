//! Data encodings of miniSEED (SEED 2.4, blockette 1000 field 3; miniSEED 3 header field 8).

use std::fmt;
use std::str::FromStr;

/// Encodings that have a code and a name but no reader here, with the reason.
const REFUSED: [(u8, &str); 8] = [
    (15, "compression of the US National Network, which SEED names and does not describe"),
    (17, "gain-ranged words of Graefenberg, which SEED names and does not describe"),
    (18, "gain-ranged words of IPG Strasbourg, which SEED names and does not describe"),
    (19, "Steim 3, which no data centre writes"),
    (20, "reserved"),
    (31, "gain-ranged words of HGLP, which no reader agrees upon"),
    (33, "gain-ranged words of RSTN, which no reader agrees upon"),
    (100, "opaque bytes, which only their writer can read"),
];

/// How the samples of a record are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Text of a log channel: no samples (0).
    Text,
    /// 16-bit integers (1).
    Int16,
    /// 24-bit integers (2).
    Int24,
    /// 32-bit integers (3).
    Int32,
    /// IEEE single precision (4).
    Float32,
    /// IEEE double precision (5).
    Float64,
    /// Steim-1 compressed differences (10).
    Steim1,
    /// Steim-2 compressed differences (11).
    Steim2,
    /// GEOSCOPE 24-bit integers (12).
    Geoscope24,
    /// GEOSCOPE 16 bits, gain ranged, 3-bit exponent (13).
    Geoscope163,
    /// GEOSCOPE 16 bits, gain ranged, 4-bit exponent (14).
    Geoscope164,
    /// CDSN 16 bits, gain ranged (16).
    Cdsn,
    /// SRO 16 bits, gain ranged (30).
    Sro,
    /// DWWSSN 16-bit integers (32).
    Dwwssn,
    /// A code this crate cannot decode.
    Unknown(u8),
}

/// Number type of decoded samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// Counts in 32 bits: [`crate::Record::append_int32`].
    Int32,
    /// IEEE single precision: [`crate::Record::append_float32`].
    Float32,
    /// IEEE double precision: [`crate::Record::append_float64`].
    Float64,
}

/// A word that names no encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an encoding such as \"steim2\" or \"int32\"")]
pub struct EncodingError(pub String);

const KNOWN: [(Encoding, u8, &str); 14] = [
    (Encoding::Text, 0, "text"),
    (Encoding::Int16, 1, "int16"),
    (Encoding::Int24, 2, "int24"),
    (Encoding::Int32, 3, "int32"),
    (Encoding::Float32, 4, "float32"),
    (Encoding::Float64, 5, "float64"),
    (Encoding::Steim1, 10, "steim1"),
    (Encoding::Steim2, 11, "steim2"),
    (Encoding::Geoscope24, 12, "geoscope24"),
    (Encoding::Geoscope163, 13, "geoscope16_3"),
    (Encoding::Geoscope164, 14, "geoscope16_4"),
    (Encoding::Cdsn, 16, "cdsn"),
    (Encoding::Sro, 30, "sro"),
    (Encoding::Dwwssn, 32, "dwwssn"),
];

impl Encoding {
    /// The encoding of a SEED code.
    pub fn from_code(code: u8) -> Self {
        match code {
            11 => Self::Steim2,
            10 => Self::Steim1,
            _ => KNOWN.iter().find(|known| known.1 == code).map_or(Self::Unknown(code), |known| known.0),
        }
    }

    /// The SEED code.
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown(code) => code,
            _ => KNOWN.iter().find(|known| known.0 == self).map_or(0, |known| known.1),
        }
    }

    /// Number type of decoded samples; `None` for text and for what cannot be decoded.
    pub fn sample_type(self) -> Option<SampleType> {
        match self {
            Self::Text | Self::Unknown(_) => None,
            Self::Float32 | Self::Geoscope24 | Self::Geoscope163 | Self::Geoscope164 => {
                Some(SampleType::Float32)
            }
            Self::Float64 => Some(SampleType::Float64),
            _ => Some(SampleType::Int32),
        }
    }

    /// Why samples of this encoding are not decoded; `None` where they are.
    pub fn refusal(self) -> Option<&'static str> {
        let Self::Unknown(code) = self else { return None };
        let refused = REFUSED.iter().find(|refused| refused.0 == code);
        Some(refused.map_or("a code that SEED does not define", |refused| refused.1))
    }

    /// The word in small letters: `steim2`, `int32`, …; `unknown` where the code is not known.
    pub fn as_str(self) -> &'static str {
        KNOWN.iter().find(|known| known.0 == self).map_or("unknown", |known| known.2)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(f, "unknown ({code})"),
            _ => f.write_str(self.as_str()),
        }
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        KNOWN
            .iter()
            .find(|known| known.2 == text)
            .map(|known| known.0)
            .ok_or_else(|| EncodingError(text.to_owned()))
    }
}
