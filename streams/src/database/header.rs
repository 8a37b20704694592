//! The first bytes of a database file, looked at before the library opens it. Of a file that was closed in order the library
//! follows the page numbers there unchecked: a wrong one makes it ask for terabytes of memory, which ends the process.
//!
//! ```text
//! 0   magic number, 9 bytes · flags · page size at 12 · region: header pages at 16, data pages at most at 20
//! 64  two slots of 128 bytes, one of them current: roots of the tables, …, XXH3-128 of the slot's first 112 bytes
//! ```
//! Source: redb's file format, version 3 (`docs/design.md` of redb).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use redb::StorageError;
use twox_hash::XxHash3_128;

const HEADER_BYTES: usize = 320;
const FLAGS: usize = 9;
/// The second slot is the current one.
const SECOND_IS_CURRENT: u8 = 1;
/// The file was not closed in order: the library looks at the checksums itself.
const UNCLEAN: u8 = 2;
const PAGE_BYTES: u32 = 4096;
/// The library's own limit on the pages of a region.
const REGION_PAGES_MAX: u32 = 1 << 20;

/// Looks at the header of the file, where there is one.
///
/// # Errors
/// [`StorageError::Corrupted`] where the library must not open the file.
pub(super) fn check(path: &Path) -> Result<(), StorageError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Shorter ones the library makes anew, or refuses.
    let Some(header) = bytes.first_chunk() else { return Ok(()) };
    problem(header).map_or(Ok(()), |problem| Err(StorageError::Corrupted(problem.to_owned())))
}

fn problem(header: &[u8; HEADER_BYTES]) -> Option<&'static str> {
    let number = |offset: usize| header[offset..].first_chunk().copied().map_or(0, u32::from_le_bytes);
    if number(12) != PAGE_BYTES || number(16) > REGION_PAGES_MAX || number(20) > REGION_PAGES_MAX {
        return Some("its pages have no size that the library writes");
    }
    let (first, second) = header[64..].split_at(128);
    let current = if header[FLAGS] & SECOND_IS_CURRENT == 0 { first } else { second };
    let (body, stated) = current.split_at(112);
    let is_sound = XxHash3_128::oneshot(body).to_le_bytes() == *stated;
    (!is_sound && header[FLAGS] & UNCLEAN == 0).then_some("the checksum of its roots is wrong")
}
