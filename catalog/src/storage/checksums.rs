//! The checksum of a file of the warehouse, kept in the file at a place that every other reader passes over.
//!
//! ```text
//! Parquet   pages, indexes ─ blocks of 16 KiB ─► sums ─┐ section ─┐
//!           [ pages … indexes ][ sums … trailer "SLCRC32C" ][ footer · length · PAR1 ]   no offset of the file moves
//! Avro      the sixteen free bytes of the sync marker: magic, length and sum of the file without its markers
//! JSON      one more line of 32 blanks (0) and tabs (1): the sum of all before it
//! ```
//! All sums are CRC-32C. The Parquet writer at hand writes no page checksums, and those would not cover headers,
//! indexes and footers: a flipped bit in a bound loses rows as surely as one in a page changes them. Files of others,
//! and of versions before this one, carry none of this and are read as they are. (Decision 0043.)

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};

/// Bytes under one sum: what is read at least, and little beside the pages of a waveform (256 KiB).
pub(super) const BLOCK_BYTES: u64 = 16 << 10;
/// Says in the footer that the file carries sums: where they are missing then, it is damaged.
pub(crate) const FOOTER_KEY: &str = "seislake.checksums";
/// The value of the key, for people.
pub(crate) const FOOTER_VALUE: &str = "crc32c of blocks of 16384 bytes, before the footer";

const MAGIC: [u8; 8] = *b"SLCRC32C";
/// Count of blocks, bytes of a block, sum of the footer, sum of the section so far, magic.
pub(super) const TRAILER_BYTES: u64 = 24;
/// Length of the footer, "PAR1".
const END_BYTES: usize = 8;
const MARKER_BYTES: usize = 16;
const AVRO_MAGIC: &[u8; 4] = b"Obj\x01";
/// A line feed and a blank or tab for each bit.
const JSON_LINE_BYTES: usize = 33;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("it is no file, or longer than such a file ever is")]
    Strange,
    #[error("it does not end as a Parquet file does")]
    End,
    #[error("its checksums are damaged or missing")]
    Sums,
    #[error("its footer has checksum {computed:08x}, not {stored:08x}")]
    Footer { stored: u32, computed: u32 },
    #[error("its bytes from {first} on have checksum {computed:08x}, not {stored:08x}")]
    Block { first: u64, stored: u32, computed: u32 },
    #[error("it has checksum {computed:08x}, not {stored:08x}")]
    Whole { stored: u32, computed: u32 },
}

/// Sums of the blocks of a file that is being written.
#[derive(Debug, Default)]
pub(super) struct BlockSums {
    sums: Vec<u32>,
    open: u32,
    open_bytes: usize,
}

impl BlockSums {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        let block = BLOCK_BYTES as usize;
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(block - self.open_bytes));
            self.open = crc32c_append(self.open, part);
            self.open_bytes += part.len();
            if self.open_bytes == block {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        if self.open_bytes > 0 {
            self.sums.push(self.open);
            (self.open, self.open_bytes) = (0, 0);
        }
    }

    /// What follows the last bytes added: the section of sums.
    fn section(mut self, footer: &[u8]) -> Vec<u8> {
        self.close();
        let count = self.sums.len() as u32;
        let mut section: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        for number in [count, BLOCK_BYTES as u32, crc32c(footer)] {
            section.extend(number.to_le_bytes());
        }
        section.extend(crc32c(&section).to_le_bytes());
        section.extend(MAGIC);
        section
    }
}

/// The last bytes of a Parquet file with the section of sums before its footer. `sums` covers what came before `last`.
///
/// # Errors
/// Where `last` does not hold the whole footer.
pub(super) fn seal_parquet(mut sums: BlockSums, last: &Bytes) -> Result<[Bytes; 3], Damage> {
    let footer_at = footer_start(last.len() as u64, last)? as usize;
    let (pages, footer) = (last.slice(..footer_at), last.slice(footer_at..));
    sums.add(&pages);
    let section = sums.section(&footer).into();
    Ok([pages, section, footer])
}

/// Where the footer of a Parquet file begins, told from its last bytes.
pub(super) fn footer_start(size: u64, tail: &[u8]) -> Result<u64, Damage> {
    let end = tail.last_chunk::<END_BYTES>().ok_or(Damage::End)?;
    let (length, magic) = end.split_at(4);
    let length = length.try_into().map_or(0, u32::from_le_bytes);
    if magic != b"PAR1" {
        return Err(Damage::End);
    }
    size.checked_sub(u64::from(length) + END_BYTES as u64).ok_or(Damage::End)
}

/// Where the section of sums begins that ends at the footer; `None` for a file without one. `tail` are the last bytes
/// of the file, from [`TRAILER_BYTES`] before the footer or earlier.
pub(super) fn section_start(size: u64, footer: u64, tail: &[u8]) -> Result<Option<u64>, Damage> {
    let tail_start = size - tail.len() as u64;
    let inside = |at: u64| at.checked_sub(tail_start).and_then(|at| usize::try_from(at).ok());
    let trailer = footer
        .checked_sub(TRAILER_BYTES)
        .and_then(inside)
        .and_then(|at| tail.get(at..at + TRAILER_BYTES as usize))
        .filter(|trailer| trailer.ends_with(&MAGIC));
    let Some(trailer) = trailer else {
        let footer = inside(footer).and_then(|at| tail.get(at..)).unwrap_or_default();
        let said = finds(footer, FOOTER_KEY.as_bytes()) || finds(tail, &MAGIC);
        return if said { Err(Damage::Sums) } else { Ok(None) };
    };
    let sums = u64::from(number(trailer, 0)) * 4;
    footer.checked_sub(TRAILER_BYTES + sums).map(Some).ok_or(Damage::Sums)
}

/// The sums of a Parquet file.
#[derive(Debug)]
pub(super) struct FileSums {
    size: u64,
    /// Bytes that the sums cover: everything before them.
    covered: u64,
    footer: u64,
    footer_sum: u32,
    sums: Vec<u32>,
}

impl FileSums {
    /// Reads and checks the sums. `tail` are the bytes from the section on.
    pub(super) fn parse(size: u64, footer: u64, tail: &[u8]) -> Result<Self, Damage> {
        let covered = size - tail.len() as u64;
        let section = tail.get(..(footer - covered) as usize).ok_or(Damage::Sums)?;
        let at = section.len().checked_sub(TRAILER_BYTES as usize).ok_or(Damage::Sums)?;
        let (stored, computed) = (number(section, at + 12), crc32c(&section[..at + 12]));
        let sums: Vec<u32> = (0..at / 4).map(|index| number(section, 4 * index)).collect();
        let block_bytes = u64::from(number(section, at + 4));
        let whole = sums.len() as u64 == covered.div_ceil(BLOCK_BYTES) && block_bytes == BLOCK_BYTES;
        if stored != computed || !whole {
            return Err(Damage::Sums);
        }
        let sealed = Self { size, covered, footer, footer_sum: number(section, at + 8), sums };
        sealed.check(covered, tail)?;
        Ok(sealed)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Sums held.
    pub(super) fn count(&self) -> usize {
        self.sums.len()
    }

    /// The least range around `range` that sums cover.
    pub(super) fn around(&self, range: &std::ops::Range<u64>) -> std::ops::Range<u64> {
        let start = match range.start {
            start if start < self.covered => start / BLOCK_BYTES * BLOCK_BYTES,
            start => start.min(self.footer),
        };
        let end = match range.end.min(self.size) {
            end if end <= self.covered => end.next_multiple_of(BLOCK_BYTES).min(self.covered),
            end if end > self.footer => self.size,
            end => end,
        };
        start..end
    }

    /// Compares the bytes from `start` on with the sums; both ends as [`FileSums::around`] makes them.
    pub(super) fn check(&self, start: u64, bytes: &[u8]) -> Result<(), Damage> {
        let end = start + bytes.len() as u64;
        let mut first = start;
        while first < end.min(self.covered) {
            let last = (first + BLOCK_BYTES).min(self.covered);
            let block = bytes.get((first - start) as usize..(last - start) as usize).ok_or(Damage::End)?;
            let stored = self.sums.get((first / BLOCK_BYTES) as usize).copied().ok_or(Damage::Sums)?;
            let computed = crc32c(block);
            if stored != computed {
                return Err(Damage::Block { first, stored, computed });
            }
            first = last;
        }
        if end == self.size && start <= self.footer {
            let computed = crc32c(bytes.get((self.footer - start) as usize..).unwrap_or_default());
            if computed != self.footer_sum {
                return Err(Damage::Footer { stored: self.footer_sum, computed });
            }
        }
        Ok(())
    }
}

/// Puts the checksum of an Avro file into its sync marker, which its writer draws by lot.
pub(super) fn seal_avro(mut file: Vec<u8>) -> Vec<u8> {
    let Some(marker) = file.last_chunk::<MARKER_BYTES>().copied() else { return file };
    if !file.starts_with(AVRO_MAGIC) {
        return file;
    }
    let places = places(&file, &marker);
    write_at(&mut file, &places, &[0; MARKER_BYTES]);
    let mut sealed = [0; MARKER_BYTES];
    sealed[..8].copy_from_slice(&MAGIC);
    sealed[8..12].copy_from_slice(&(file.len() as u32).to_le_bytes());
    sealed[12..].copy_from_slice(&crc32c(&file).to_le_bytes());
    write_at(&mut file, &places, &sealed);
    file
}

/// Compares an Avro file with its checksum, where it has one.
pub(super) fn check_avro(file: &[u8]) -> Result<(), Damage> {
    let marker = file.last_chunk::<MARKER_BYTES>().copied().unwrap_or_default();
    if !marker.starts_with(&MAGIC) {
        // The end is lost or damaged where the marker still stands elsewhere.
        return if finds(file, &MAGIC) { Err(Damage::Sums) } else { Ok(()) };
    }
    let mut without = file.to_vec();
    write_at(&mut without, &places(file, &marker), &[0; MARKER_BYTES]);
    let (stored, computed) = (number(&marker, 12), crc32c(&without));
    let whole = number(&marker, 8) == file.len() as u32 && stored == computed;
    if whole { Ok(()) } else { Err(Damage::Whole { stored, computed }) }
}

/// Ends a JSON text with a line that says its checksum.
pub(super) fn seal_json(mut text: Vec<u8>) -> Vec<u8> {
    if !text.starts_with(b"{") {
        return text;
    }
    let sum = crc32c(&text);
    text.push(b'\n');
    text.extend((0..32).map(|bit| if sum >> bit & 1 == 1 { b'\t' } else { b' ' }));
    text
}

/// Compares a JSON text with its checksum, where it has one.
pub(super) fn check_json(text: &[u8]) -> Result<(), Damage> {
    let Some((text, line)) = text.split_last_chunk::<JSON_LINE_BYTES>() else { return Ok(()) };
    let [b'\n', bits @ ..] = line else { return Ok(()) };
    if !bits.iter().all(|bit| matches!(bit, b' ' | b'\t')) {
        return Ok(());
    }
    let stored = bits.iter().rev().fold(0, |sum, bit| sum << 1 | u32::from(*bit == b'\t'));
    let computed = crc32c(text);
    if stored == computed { Ok(()) } else { Err(Damage::Whole { stored, computed }) }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

/// Where a marker stands in a file.
fn places(file: &[u8], marker: &[u8; MARKER_BYTES]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(found) =
        file.get(at..).and_then(|rest| rest.windows(MARKER_BYTES).position(|w| w == marker))
    {
        places.push(at + found);
        at += found + MARKER_BYTES;
    }
    places
}

fn write_at(file: &mut [u8], places: &[usize], marker: &[u8; MARKER_BYTES]) {
    for place in places {
        if let Some(bytes) = file.get_mut(*place..place + MARKER_BYTES) {
            bytes.copy_from_slice(marker);
        }
    }
}

fn finds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a Parquet file ends: pages, then a footer with its length.
    fn parquet(page_bytes: usize) -> Bytes {
        let mut file: Vec<u8> = (0..page_bytes).map(|at| (at * 7 % 251) as u8).collect();
        let footer = format!("footer {FOOTER_KEY} footer");
        file.extend(footer.as_bytes());
        file.extend((footer.len() as u32).to_le_bytes());
        file.extend(b"PAR1");
        file.into()
    }

    fn sealed(page_bytes: usize) -> Vec<u8> {
        let file = parquet(page_bytes);
        let (first, last) = (file.slice(..page_bytes / 2), file.slice(page_bytes / 2..));
        let mut sums = BlockSums::default();
        sums.add(&first);
        let mut whole = first.to_vec();
        seal_parquet(sums, &last).unwrap().iter().for_each(|part| whole.extend(part));
        whole
    }

    /// All that a reader does with a file it reads whole.
    fn read(file: &[u8]) -> Result<bool, Damage> {
        let size = file.len() as u64;
        let footer = footer_start(size, file)?;
        let Some(section) = section_start(size, footer, file)? else { return Ok(false) };
        let sums = FileSums::parse(size, footer, &file[section as usize..])?;
        sums.check(0, file).map(|()| true)
    }

    #[test]
    fn every_flipped_bit_and_every_lost_end_of_a_parquet_file_is_found() {
        let file = sealed(40);
        assert_eq!(read(&file), Ok(true));
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(read(&parquet(40)), Err(Damage::Sums), "the footer says that there are sums");
    }

    #[test]
    fn a_range_is_checked_in_whole_blocks() {
        let file = sealed(50_000);
        let size = file.len() as u64;
        let footer = footer_start(size, &file).unwrap();
        let section = section_start(size, footer, &file).unwrap().unwrap();
        assert_eq!(section, 50_000);
        let sums = FileSums::parse(size, footer, &file[section as usize..]).unwrap();
        assert_eq!(sums.around(&(20_000..20_001)), 16_384..32_768);
        assert_eq!(sums.around(&(49_000..49_999)), 32_768..50_000, "the last block is shorter");
        assert_eq!(sums.around(&(size - 8..size)), footer..size);
        assert_eq!(sums.around(&(0..size + 10)), 0..size);
        let mut damaged = file.clone();
        damaged[20_000] ^= 1;
        assert!(sums.check(0, &damaged[..16_384]).is_ok());
        assert!(matches!(
            sums.check(16_384, &damaged[16_384..32_768]),
            Err(Damage::Block { first: 16_384, .. })
        ));
    }

    #[test]
    fn files_of_others_are_read_as_they_are() {
        let mut plain = b"PAR1 pages footer".to_vec();
        plain.extend(6_u32.to_le_bytes());
        plain.extend(b"PAR1");
        assert_eq!(read(&plain), Ok(false));
        assert_eq!(check_json(b"{\"a\": 1}"), Ok(()));
        assert_eq!(check_avro(b"Obj\x01 header 0123456789abcdef"), Ok(()));
    }

    #[test]
    fn every_flipped_bit_of_avro_and_json_is_found_or_harmless() {
        let marker = *b"0123456789abcdef";
        let mut avro = b"Obj\x01 header ".to_vec();
        avro.extend(marker);
        avro.extend(b" a block ");
        avro.extend(marker);
        let avro = seal_avro(avro);
        assert_eq!(check_avro(&avro), Ok(()));
        for bit in 0..avro.len() * 8 {
            let mut damaged = avro.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(check_avro(&damaged).is_err(), "bit {bit}");
        }
        assert!(check_avro(&avro[..avro.len() - 3]).is_err());
        let text = b"{\"offset\": \"12345\"}";
        let json = seal_json(text.to_vec());
        assert_eq!(check_json(&json), Ok(()));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap()["offset"], "12345");
        for bit in 0..text.len() * 8 {
            let mut damaged = json.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(check_json(&damaged).is_err(), "bit {bit}");
        }
    }
}
