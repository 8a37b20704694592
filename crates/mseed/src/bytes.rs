//! Fixed-size fields of a header in either byte order.

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The highest byte first.
    Big,
    /// The lowest byte first.
    Little,
}

impl ByteOrder {
    pub(crate) fn u16(self, field: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(field),
            Self::Little => u16::from_le_bytes(field),
        }
    }

    pub(crate) fn i16(self, field: [u8; 2]) -> i16 {
        self.u16(field).cast_signed()
    }

    pub(crate) fn u32(self, field: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(field),
            Self::Little => u32::from_le_bytes(field),
        }
    }

    pub(crate) fn i32(self, field: [u8; 4]) -> i32 {
        self.u32(field).cast_signed()
    }

    pub(crate) fn u64(self, field: [u8; 8]) -> u64 {
        match self {
            Self::Big => u64::from_be_bytes(field),
            Self::Little => u64::from_le_bytes(field),
        }
    }
}

/// The `N` bytes at `offset`, if they are there.
pub(crate) fn field<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}
