//! Samples of a record: picks the decoder of the encoding and checks the count.
//!
//! Steim is in `steim.rs`; the plain and the gain-ranged encodings (SEED 2.4, appendix D) are here.

use crate::Encoding;
use crate::bytes::ByteOrder;
use crate::record::Record;
use crate::samples::Samples;
use crate::steim::{self, SteimMismatch};

/// Why samples could not be decoded. What could be decoded before the error is in the buffer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An encoding this crate does not know.
    #[error("encoding {code} is not supported")]
    Encoding {
        /// SEED code.
        code: u8,
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
    /// memory is reused where the number type stays the same. A text record has no samples.
    ///
    /// A Steim record whose last sample is not the one it promises gives `Ok(Some(mismatch))`, as in libmseed.
    /// Memory is bounded by the bytes of the record, not by the count it claims.
    pub fn decode_into(&self, samples: &mut Samples) -> Result<Option<SteimMismatch>, DecodeError> {
        let expected = self.sample_count as usize;
        let order = self.payload_order;
        let mut mismatch = None;
        let outcome = match self.encoding {
            Encoding::Text => {
                *samples = Samples::Int32(samples.take_int32());
                return Ok(None);
            }
            Encoding::Unknown(code) => {
                *samples = Samples::Int32(samples.take_int32());
                return Err(DecodeError::Encoding { code });
            }
            Encoding::Float32 => {
                let mut out = samples.take_float32();
                fixed(self.payload, expected, &mut out, |bytes| f32::from_bits(order.u32(bytes)));
                *samples = Samples::Float32(out);
                Ok(())
            }
            Encoding::Float64 => {
                let mut out = samples.take_float64();
                fixed(self.payload, expected, &mut out, |bytes| f64::from_bits(order.u64(bytes)));
                *samples = Samples::Float64(out);
                Ok(())
            }
            Encoding::Geoscope24 | Encoding::Geoscope163 | Encoding::Geoscope164 => {
                let mut out = samples.take_float32();
                geoscope(self.encoding, self.payload, order, expected, &mut out);
                *samples = Samples::Float32(out);
                Ok(())
            }
            _ => {
                let mut out = samples.take_int32();
                let outcome = integers(self, expected, &mut out, &mut mismatch);
                *samples = Samples::Int32(out);
                outcome
            }
        };
        outcome?;
        let decoded = samples.len();
        if decoded == expected { Ok(mismatch) } else { Err(DecodeError::TooFewSamples { decoded, expected }) }
    }
}

fn integers(
    record: &Record<'_>,
    expected: usize,
    out: &mut Vec<i32>,
    mismatch: &mut Option<SteimMismatch>,
) -> Result<(), DecodeError> {
    let (payload, order) = (record.payload, record.payload_order);
    match record.encoding {
        Encoding::Steim1 => *mismatch = steim::decode(steim::Scheme::One, payload, order, expected, out)?,
        Encoding::Steim2 => *mismatch = steim::decode(steim::Scheme::Two, payload, order, expected, out)?,
        Encoding::Int32 => fixed(payload, expected, out, |bytes| order.i32(bytes)),
        Encoding::Cdsn => fixed(payload, expected, out, |bytes| cdsn(order.u16(bytes))),
        Encoding::Sro => return sro(payload, order, expected, out),
        // Int16 and DWWSSN: 16-bit two's complement.
        _ => fixed(payload, expected, out, |bytes| i32::from(order.i16(bytes))),
    }
    Ok(())
}

/// Fields of `N` bytes, one a sample.
fn fixed<const N: usize, T>(payload: &[u8], expected: usize, out: &mut Vec<T>, read: impl Fn([u8; N]) -> T) {
    let (fields, _) = payload.as_chunks::<N>();
    out.extend(fields.iter().take(expected).map(|bytes| read(*bytes)));
}

/// GEOSCOPE: 24-bit integers, or a 12-bit mantissa biased by 2048 over two to the power of the exponent.
fn geoscope(encoding: Encoding, payload: &[u8], order: ByteOrder, expected: usize, out: &mut Vec<f32>) {
    match encoding {
        Encoding::Geoscope24 => fixed(payload, expected, out, |bytes: [u8; 3]| {
            let [a, b, c] = bytes;
            let word = match order {
                ByteOrder::Big => i32::from_be_bytes([a, b, c, 0]),
                ByteOrder::Little => i32::from_be_bytes([c, b, a, 0]),
            };
            (word >> 8) as f32
        }),
        _ => {
            let exponent_mask = if encoding == Encoding::Geoscope163 { 0x7 } else { 0xf };
            fixed(payload, expected, out, |bytes| {
                let word = order.u16(bytes);
                let mantissa = f32::from(word & 0x0fff) - 2048.0;
                mantissa / f32::from(1_u16 << ((word >> 12) & exponent_mask))
            });
        }
    }
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
