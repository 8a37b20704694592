//! Samples in the number type of their encoding: owned for reading, borrowed for writing.

use std::ops::Range;

/// Decoded samples; a reusable buffer for [`crate::Record::decode_into`].
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Counts: integer, Steim, CDSN, SRO and DWWSSN encodings.
    Int32(Vec<i32>),
    /// IEEE single precision and GEOSCOPE encodings.
    Float32(Vec<f32>),
    /// IEEE double precision.
    Float64(Vec<f64>),
}

impl Default for Samples {
    fn default() -> Self {
        Self::Int32(Vec::new())
    }
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

    /// Both hold the same number type.
    pub fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Appends `other`; nothing happens where the number types differ.
    pub(crate) fn append(&mut self, other: &Self) {
        self.append_from(0, other);
    }

    /// Sample `index` as a number; counts are exact.
    pub fn value(&self, index: usize) -> Option<f64> {
        match self {
            Self::Int32(samples) => samples.get(index).map(|value| f64::from(*value)),
            Self::Float32(samples) => samples.get(index).map(|value| f64::from(*value)),
            Self::Float64(samples) => samples.get(index).copied(),
        }
    }

    /// Sum of counts; `None` where samples are floats.
    pub fn sum_of_counts(&self) -> Option<i64> {
        let Self::Int32(counts) = self else { return None };
        Some(counts.iter().map(|count| i64::from(*count)).sum())
    }

    /// Sum of the samples, added one by one in their order.
    pub fn sum(&self) -> f64 {
        match self {
            Self::Int32(samples) => samples.iter().map(|sample| f64::from(*sample)).sum(),
            Self::Float32(samples) => samples.iter().map(|sample| f64::from(*sample)).sum(),
            Self::Float64(samples) => samples.iter().sum(),
        }
    }

    /// Appends the little-endian bytes of these samples to `bytes`; nothing where the range leaves the samples.
    pub fn extend_le_bytes(&self, range: Range<usize>, bytes: &mut Vec<u8>) {
        match self {
            Self::Int32(samples) => extend(bytes, samples.get(range).unwrap_or_default(), i32::to_le_bytes),
            Self::Float32(samples) => extend(bytes, samples.get(range).unwrap_or_default(), f32::to_le_bytes),
            Self::Float64(samples) => extend(bytes, samples.get(range).unwrap_or_default(), f64::to_le_bytes),
        }
    }

    /// Drops all but the first `count` samples.
    pub(crate) fn truncate(&mut self, count: usize) {
        match self {
            Self::Int32(samples) => samples.truncate(count),
            Self::Float32(samples) => samples.truncate(count),
            Self::Float64(samples) => samples.truncate(count),
        }
    }

    /// Appends `other` without its first `skipped` samples; nothing happens where the number types differ.
    pub(crate) fn append_from(&mut self, skipped: usize, other: &Self) {
        match (self, other) {
            (Self::Int32(own), Self::Int32(more)) => {
                own.extend_from_slice(more.get(skipped..).unwrap_or_default());
            }
            (Self::Float32(own), Self::Float32(more)) => {
                own.extend_from_slice(more.get(skipped..).unwrap_or_default());
            }
            (Self::Float64(own), Self::Float64(more)) => {
                own.extend_from_slice(more.get(skipped..).unwrap_or_default());
            }
            _ => {}
        }
    }

    /// As far as both go, the samples from `first` on are bit for bit those of `other`; at least one is compared.
    pub(crate) fn agrees_from(&self, first: usize, other: &Self) -> bool {
        match (self, other) {
            (Self::Int32(own), Self::Int32(more)) => agree(own, first, more, |a, b| a == b),
            (Self::Float32(own), Self::Float32(more)) => {
                agree(own, first, more, |a, b| a.to_bits() == b.to_bits())
            }
            (Self::Float64(own), Self::Float64(more)) => {
                agree(own, first, more, |a, b| a.to_bits() == b.to_bits())
            }
            _ => false,
        }
    }

    /// Borrows the samples.
    pub fn as_slice(&self) -> SampleSlice<'_> {
        match self {
            Self::Int32(samples) => SampleSlice::Int32(samples),
            Self::Float32(samples) => SampleSlice::Float32(samples),
            Self::Float64(samples) => SampleSlice::Float64(samples),
        }
    }

    /// Takes the buffer out as an empty one for integers, keeping its memory where the type fits.
    pub(crate) fn take_int32(&mut self) -> Vec<i32> {
        match std::mem::take(self) {
            Self::Int32(buffer) => emptied(buffer),
            _ => Vec::new(),
        }
    }

    /// Takes the buffer out as an empty one for single precision.
    pub(crate) fn take_float32(&mut self) -> Vec<f32> {
        match std::mem::take(self) {
            Self::Float32(buffer) => emptied(buffer),
            _ => Vec::new(),
        }
    }

    /// Takes the buffer out as an empty one for double precision.
    pub(crate) fn take_float64(&mut self) -> Vec<f64> {
        match std::mem::take(self) {
            Self::Float64(buffer) => emptied(buffer),
            _ => Vec::new(),
        }
    }
}

/// The memory of a buffer without what was in it.
fn emptied<T>(mut buffer: Vec<T>) -> Vec<T> {
    buffer.clear();
    buffer
}

fn extend<T: Copy, const N: usize>(bytes: &mut Vec<u8>, samples: &[T], le_bytes: impl Fn(T) -> [u8; N]) {
    bytes.reserve(samples.len() * N);
    for sample in samples {
        bytes.extend_from_slice(&le_bytes(*sample));
    }
}

fn agree<T>(own: &[T], first: usize, more: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    let own = own.get(first..).unwrap_or_default();
    !own.is_empty() && !more.is_empty() && own.iter().zip(more).all(|(a, b)| same(a, b))
}

/// Samples to be packed, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleSlice<'a> {
    /// Counts.
    Int32(&'a [i32]),
    /// IEEE single precision.
    Float32(&'a [f32]),
    /// IEEE double precision.
    Float64(&'a [f64]),
}

impl SampleSlice<'_> {
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

impl<'a> From<&'a [i32]> for SampleSlice<'a> {
    fn from(samples: &'a [i32]) -> Self {
        Self::Int32(samples)
    }
}

impl<'a> From<&'a [f32]> for SampleSlice<'a> {
    fn from(samples: &'a [f32]) -> Self {
        Self::Float32(samples)
    }
}

impl<'a> From<&'a [f64]> for SampleSlice<'a> {
    fn from(samples: &'a [f64]) -> Self {
        Self::Float64(samples)
    }
}
