//! Floats in snapshots, bit for bit: JSON readers may round the last digit, and JSON has no infinity.
//! A single float is the integer of its bits; a list is the bytes of its values, little-endian, or in formats for human
//! readers one text of sixteen hex digits a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `#[serde(with = "exact::scalar")]` on `f64`.
pub(crate) mod scalar {
    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// A list of floats whose serde form is exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExactList(pub(crate) Vec<f64>);

impl Serialize for ExactList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        list::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ExactList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::read(deserializer).map(Self)
    }
}

/// For `#[serde(with = "exact::array")]` on `[f64; N]`.
pub(crate) mod array {
    use super::{Deserializer, Serializer, list};
    use serde::de::Error;

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        values: &[f64; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        list::serialize(values, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[f64; N], D::Error> {
        let values = list::read(deserializer)?;
        values.try_into().map_err(|_| D::Error::custom("wrong number of floats"))
    }
}

mod list {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::{Error, Visitor};
    use std::fmt::{self, Write};

    const DIGITS: usize = 16;

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            return serializer.serialize_bytes(&bytes);
        }
        let mut text = String::with_capacity(values.len() * DIGITS);
        for value in values {
            let _ = write!(text, "{:016x}", value.to_bits());
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        if !deserializer.is_human_readable() {
            return deserializer.deserialize_bytes(LittleEndian);
        }
        let text = String::deserialize(deserializer)?;
        if !text.len().is_multiple_of(DIGITS) {
            return Err(D::Error::custom("floats are not sixteen hex digits each"));
        }
        text.as_bytes()
            .chunks(DIGITS)
            .map(|digits| {
                std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                    .map(f64::from_bits)
                    .ok_or_else(|| D::Error::custom("a float is not hex"))
            })
            .collect()
    }

    /// Reads eight bytes a value.
    struct LittleEndian;

    impl Visitor<'_> for LittleEndian {
        type Value = Vec<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("eight bytes a float")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<f64>, E> {
            let (values, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err(E::invalid_length(bytes.len(), &self));
            }
            Ok(values.iter().map(|value| f64::from_le_bytes(*value)).collect())
        }
    }
}
