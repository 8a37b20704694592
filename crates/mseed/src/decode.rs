//! Samples of a record: picks the decoder of the encoding and checks the count.
//!
//! Steim is in `steim.rs`; the plain and the gain-ranged encodings (SEED 2.4, appendix D) are here.

use crate::bytes::ByteOrder;
use crate::encoding::{Encoding, SampleType};
use crate::record::Record;
use crate::samples::Samples;
use crate::steim::{self, Scheme, SteimMismatch};

/// Why samples could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An encoding this crate does not read.
    #[error("encoding {code} is not supported: {}", Encoding::Unknown(*.code).refusal().unwrap_or_default())]
    Encoding {
        /// SEED code.
        code: u8,
    },
    /// Samples of this encoding are of another number type than the one asked for, or it holds none.
    #[error("{encoding} does not decode to samples of the number type asked for")]
    SampleType {
        /// The encoding of the record.
        encoding: Encoding,
    },
    /// Fewer samples than the header promises.
    #[error("only {decoded} samples of {expected} could be decoded")]
    TooFewSamples {
        /// Samples found.
        decoded: usize,
        /// Samples the header promises.
        expected: usize,
    },
    /// A Steim control code that stands for nothing.
    #[error("steim frame {frame} has an undefined control code")]
    SteimControl {
        /// Frame, counted from 0.
        frame: usize,
    },
    /// A gain range that SRO does not define.
    #[error("sample {index} has an undefined gain range")]
    GainRange {
        /// Sample, counted from 0.
        index: usize,
    },
}

/// Decoded samples and what was odd about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The samples, in the number type of the encoding.
    pub samples: Samples,
    /// Steim only: the last sample is not the one the record promises. The samples are suspect.
    pub mismatch: Option<SteimMismatch>,
}

impl Record<'_> {
    /// Decodes the samples into a new buffer. See [`Record::decode_into`].
    pub fn decode(&self) -> Result<Decoded, DecodeError> {
        let mut samples = Samples::default();
        let mismatch = self.decode_into(&mut samples)?;
        Ok(Decoded { samples, mismatch })
    }

    /// Decodes the samples (counts or physical units as stored, length `sample_count`) into `samples`, whose
    /// memory is reused where the number type stays the same. A text record has no samples. On an error `samples`
    /// holds what could be decoded before it.
    ///
    /// A Steim record whose last sample is not the one it promises gives `Ok(Some(mismatch))`, as in libmseed.
    /// Memory is bounded by the bytes of the record, not by the count it claims.
    pub fn decode_into(&self, samples: &mut Samples) -> Result<Option<SteimMismatch>, DecodeError> {
        match self.encoding.sample_type() {
            Some(SampleType::Float32) => {
                let mut out = samples.take_float32();
                let outcome = self.singles(&mut out);
                *samples = Samples::Float32(out);
                outcome.map(|()| None)
            }
            Some(SampleType::Float64) => {
                let mut out = samples.take_float64();
                let outcome = self.doubles(&mut out);
                *samples = Samples::Float64(out);
                outcome.map(|()| None)
            }
            Some(SampleType::Int32) => {
                let mut out = samples.take_int32();
                let outcome = self.integers(&mut out);
                *samples = Samples::Int32(out);
                outcome
            }
            None => {
                *samples = Samples::Int32(samples.take_int32());
                match self.encoding {
                    Encoding::Unknown(code) => Err(DecodeError::Encoding { code }),
                    _ => Ok(None),
                }
            }
        }
    }

    /// Appends the `sample_count` samples (counts) to `out`, which need not be empty: many records fill one buffer,
    /// for instance the one of an Arrow array. On an error `out` is as it was. Fails with
    /// [`DecodeError::SampleType`] where [`Encoding::sample_type`] is not [`SampleType::Int32`].
    ///
    /// Allocates nothing if `out` has room for `sample_count` more. What mismatch and memory mean: see
    /// [`Record::decode_into`]; the samples of a mismatched record are appended.
    pub fn append_int32(&self, out: &mut Vec<i32>) -> Result<Option<SteimMismatch>, DecodeError> {
        self.require(SampleType::Int32)?;
        let start = out.len();
        self.integers(out).inspect_err(|_| out.truncate(start))
    }

    /// Appends the `sample_count` samples to `out` as [`Record::append_int32`] does, for single precision.
    pub fn append_float32(&self, out: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.require(SampleType::Float32)?;
        let start = out.len();
        self.singles(out).inspect_err(|_| out.truncate(start))
    }

    /// Appends the `sample_count` samples to `out` as [`Record::append_int32`] does, for double precision.
    pub fn append_float64(&self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        self.require(SampleType::Float64)?;
        let start = out.len();
        self.doubles(out).inspect_err(|_| out.truncate(start))
    }

    fn require(&self, asked: SampleType) -> Result<(), DecodeError> {
        match (self.encoding.sample_type(), self.encoding) {
            (Some(found), _) if found == asked => Ok(()),
            (_, Encoding::Unknown(code)) => Err(DecodeError::Encoding { code }),
            (_, encoding) => Err(DecodeError::SampleType { encoding }),
        }
    }

    fn integers(&self, out: &mut Vec<i32>) -> Result<Option<SteimMismatch>, DecodeError> {
        let (payload, order, expected) = (self.payload, self.payload_order, self.sample_count as usize);
        let start = out.len();
        let mut mismatch = None;
        match self.encoding {
            Encoding::Steim1 => mismatch = steim::decode(Scheme::One, payload, order, expected, out)?,
            Encoding::Steim2 => mismatch = steim::decode(Scheme::Two, payload, order, expected, out)?,
            Encoding::Int32 => fixed(payload, expected, out, |bytes| order.i32(bytes)),
            Encoding::Int24 => fixed(payload, expected, out, |bytes| int24(bytes, order)),
            Encoding::Cdsn => fixed(payload, expected, out, |bytes| cdsn(order.u16(bytes))),
            Encoding::Sro => sro(payload, order, expected, out)?,
            // Int16 and DWWSSN: 16-bit two's complement.
            _ => fixed(payload, expected, out, |bytes| i32::from(order.i16(bytes))),
        }
        self.check_count(out.len() - start).map(|()| mismatch)
    }

    fn singles(&self, out: &mut Vec<f32>) -> Result<(), DecodeError> {
        let (payload, order, expected) = (self.payload, self.payload_order, self.sample_count as usize);
        let start = out.len();
        match self.encoding {
            Encoding::Float32 => fixed(payload, expected, out, |bytes| f32::from_bits(order.u32(bytes))),
            Encoding::Geoscope24 => fixed(payload, expected, out, |bytes| int24(bytes, order) as f32),
            Encoding::Geoscope163 => fixed(payload, expected, out, |bytes| geoscope(order.u16(bytes), 0x7)),
            _ => fixed(payload, expected, out, |bytes| geoscope(order.u16(bytes), 0xf)),
        }
        self.check_count(out.len() - start)
    }

    fn doubles(&self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        let order = self.payload_order;
        let start = out.len();
        fixed(self.payload, self.sample_count as usize, out, |bytes| f64::from_bits(order.u64(bytes)));
        self.check_count(out.len() - start)
    }

    fn check_count(&self, decoded: usize) -> Result<(), DecodeError> {
        let expected = self.sample_count as usize;
        if decoded == expected { Ok(()) } else { Err(DecodeError::TooFewSamples { decoded, expected }) }
    }
}

/// Fields of `N` bytes, one a sample.
fn fixed<const N: usize, T>(payload: &[u8], expected: usize, out: &mut Vec<T>, read: impl Fn([u8; N]) -> T) {
    let (fields, _) = payload.as_chunks::<N>();
    out.extend(fields.iter().take(expected).map(|bytes| read(*bytes)));
}

/// 24-bit two's complement.
fn int24(bytes: [u8; 3], order: ByteOrder) -> i32 {
    let [a, b, c] = bytes;
    let word = match order {
        ByteOrder::Big => i32::from_be_bytes([a, b, c, 0]),
        ByteOrder::Little => i32::from_be_bytes([c, b, a, 0]),
    };
    word >> 8
}

/// GEOSCOPE: a 12-bit mantissa biased by 2048 over two to the power of the exponent.
fn geoscope(word: u16, exponent_mask: u16) -> f32 {
    let mantissa = f32::from(word & 0x0fff) - 2048.0;
    mantissa / f32::from(1_u16 << ((word >> 12) & exponent_mask))
}

/// CDSN: 14-bit mantissa biased by 8191, two bits that select a multiplier of 1, 4, 16 or 128.
fn cdsn(word: u16) -> i32 {
    let shift = match word >> 14 {
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 7,
    };
    (i32::from(word & 0x3fff) - 8191) << shift
}

/// SRO: 12-bit two's complement mantissa times two to the power of ten minus the gain range.
fn sro(payload: &[u8], order: ByteOrder, expected: usize, out: &mut Vec<i32>) -> Result<(), DecodeError> {
    let (fields, _) = payload.as_chunks::<2>();
    for (index, bytes) in fields.iter().take(expected).enumerate() {
        let word = order.u16(*bytes);
        let mantissa = i32::from((word << 4).cast_signed() >> 4);
        let gain = word >> 12;
        if gain > 10 {
            return Err(DecodeError::GainRange { index });
        }
        out.push(mantissa << (10 - gain));
    }
    Ok(())
}
