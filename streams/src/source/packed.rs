//! Packed files read as if they were not: gzip, bzip2, and the members of a zip archive.
//!
//! ```text
//! file ─ first bytes ─┬─ plain ───────────────────► the file
//!                     ├─ gzip, bzip2 ─ unpack ────► what is inside
//!                     └─ zip ─ list of members ───► each member for itself
//! ```
//! Everything is bounded: what unpacks to more than 256 MB and more than 100 times its size is refused as a bomb while it
//! is read, archives have at most 10 000 members, and nothing inside is unpacked again. Checksums are verified. Formats: RFC 1952, bzip2, PKWARE APPNOTE 6.3 (stored and deflated members, no encryption, no ZIP64).

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::regular::{open_file, read_at_most};

/// What unpacks to less is no bomb, however small it was packed.
const BYTES_FLOOR: u64 = 256 << 20;
/// Times that a file may grow: records of seismometers grow three times, constant ones some fifty.
const RATIO_MAX: u64 = 100;
/// Bytes of the documents of a file, unpacked: they are in memory together. The stations of all networks, with their
/// responses, are less.
const DOCUMENTS_BYTES_MAX: u64 = 1 << 30;
/// Members of an archive: a year of a network by channel and day has more and comes as directories.
const MEMBERS_MAX: usize = 10_000;

/// A file to be read: plain, packed, or a member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The file that it is or lies in.
    pub path: PathBuf,
    /// How it is called: the path, with the member behind it.
    pub name: String,
    inside: Inside,
    /// Most bytes that may come out.
    bytes_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Plain,
    Gzip,
    Bzip2,
    Zip(ZipMember),
}

/// Where a member of a zip archive lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ZipMember {
    header_at: u64,
    is_deflated: Deflate,
    packed_bytes: u64,
    bytes: u64,
    crc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deflate {
    Yes,
    No,
}

/// What is in a file: itself where it is plain or one packed file, else the members of an archive. Directories and what
/// macOS adds are no members.
///
/// # Errors
/// Where the file cannot be read, or is an archive that is damaged or of a kind that is not read.
pub fn members(path: &Path) -> io::Result<Vec<Member>> {
    let mut head = Vec::new();
    let file = open_file(path)?;
    let file_bytes = file.metadata()?.len();
    file.take(4).read_to_end(&mut head)?;
    let member = |inside| Member {
        path: path.to_owned(),
        name: path.display().to_string(),
        inside,
        bytes_max: bytes_max(file_bytes),
    };
    match head.as_slice() {
        [0x1F, 0x8B, ..] => Ok(vec![member(Inside::Gzip)]),
        [b'B', b'Z', b'h', b'1'..=b'9'] => Ok(vec![member(Inside::Bzip2)]),
        [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => zip_members(path, file_bytes),
        _ => Ok(vec![Member { bytes_max: u64::MAX, ..member(Inside::Plain) }]),
    }
}

/// The whole documents in a file, with their names.
///
/// # Errors
/// As [`members`], and where they are longer than 1 GiB together, or one unpacks to too much or is damaged.
pub fn documents(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let (mut found, mut left) = (Vec::new(), DOCUMENTS_BYTES_MAX);
    for member in members(path)? {
        let bytes = read_at_most(member.open()?, member.byte_count()?, left)?;
        left -= bytes.len() as u64;
        found.push((member.name, bytes));
    }
    Ok(found)
}

fn bytes_max(packed_bytes: u64) -> u64 {
    packed_bytes.saturating_mul(RATIO_MAX).max(BYTES_FLOOR)
}

impl Member {
    /// Neither packed nor in an archive: it can be read from any place.
    pub fn is_plain(&self) -> bool {
        self.inside == Inside::Plain
    }

    /// Reads it from the begin.
    ///
    /// # Errors
    /// Where the file cannot be opened, or is no longer what it was.
    pub fn open(&self) -> io::Result<MemberReader> {
        let mut file = open_file(&self.path)?;
        let reader: Box<dyn Read + Send> = match self.inside {
            Inside::Plain => Box::new(file),
            Inside::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
            Inside::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::new(file))),
            Inside::Zip(member) => {
                let header = read_at(&mut file, member.header_at, 30)?;
                if !header.starts_with(b"PK\x03\x04") {
                    return Err(damaged("a member of the zip archive is not where its list says"));
                }
                let names = u64::from(short(&header, 26)) + u64::from(short(&header, 28));
                file.seek(SeekFrom::Start(member.header_at + 30 + names))?;
                let packed = BufReader::new(file.take(member.packed_bytes));
                let (bytes, crc) = (member.bytes, member.crc);
                match member.is_deflated {
                    Deflate::Yes => {
                        Box::new(ZipReader::new(flate2::bufread::DeflateDecoder::new(packed), bytes, crc))
                    }
                    Deflate::No => Box::new(ZipReader::new(packed, bytes, crc)),
                }
            }
        };
        Ok(MemberReader { reader, left: self.bytes_max })
    }

    /// How many bytes it says that it has; 0 where it does not say.
    fn byte_count(&self) -> io::Result<u64> {
        match self.inside {
            Inside::Plain => Ok(self.path.metadata()?.len()),
            Inside::Gzip | Inside::Bzip2 => Ok(0),
            Inside::Zip(member) => Ok(member.bytes),
        }
    }

    /// The first bytes, at most `count`; nothing where it cannot be read.
    pub fn head(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.open().and_then(|unpacked| unpacked.take(count as u64).read_to_end(&mut bytes));
        if read.is_err() {
            bytes.clear();
        }
        bytes
    }
}

/// What comes out of a [`Member`], with its bound.
pub struct MemberReader {
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl fmt::Debug for MemberReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let (floor, ratio) = (BYTES_FLOOR >> 20, RATIO_MAX);
            damaged(&format!(
                "it unpacks to more than {floor} MB and {ratio} times its size: unpack it first"
            ))
        })?;
        Ok(count)
    }
}

/// A member of a zip archive, whose length and checksum stand in its list.
struct ZipReader<R> {
    reader: flate2::CrcReader<io::Take<R>>,
    bytes: u64,
    crc: u32,
}

impl<R: Read> ZipReader<R> {
    fn new(reader: R, bytes: u64, crc: u32) -> Self {
        // One byte more than there should be tells that there is more.
        Self { reader: flate2::CrcReader::new(reader.take(bytes.saturating_add(1))), bytes, crc }
    }
}

impl<R: Read> Read for ZipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            let left = self.reader.get_ref().limit();
            if left != 1 || self.bytes == u64::MAX || self.reader.crc().sum() != self.crc {
                return Err(damaged(
                    "a member of the zip archive has another length or checksum than its list says",
                ));
            }
        }
        Ok(count)
    }
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

fn read_at(file: &mut File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(count).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < count {
        return Err(damaged("the zip archive ends too early"));
    }
    Ok(bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The end of the list of members, and a comment of up to 64 kB behind it.
const END_BYTES: usize = 22;
const END_SEARCH_BYTES: u64 = END_BYTES as u64 + 0xFFFF;

fn zip_members(path: &Path, file_bytes: u64) -> io::Result<Vec<Member>> {
    let mut file = open_file(path)?;
    let tail_bytes = file_bytes.min(END_SEARCH_BYTES);
    let tail = read_at(&mut file, file_bytes - tail_bytes, tail_bytes)?;
    let is_end = |at: &usize| tail.get(*at..).is_some_and(|rest| rest.starts_with(b"PK\x05\x06"));
    let end_at = (0..=tail.len().saturating_sub(END_BYTES)).rev().find(is_end);
    let end = end_at
        .and_then(|at| tail.get(at..))
        .ok_or_else(|| damaged("the zip archive has no list of members"))?;
    let (count, list_bytes, list_at) = (short(end, 10), word(end, 12), word(end, 16));
    if count == u16::MAX || list_bytes == u32::MAX || list_at == u32::MAX {
        return Err(damaged("it is a zip archive of the large kind (ZIP64): unpack it first"));
    }
    if usize::from(count) > MEMBERS_MAX {
        return Err(damaged(&format!(
            "the zip archive has more than {MEMBERS_MAX} members: unpack it first"
        )));
    }
    if u64::from(list_at) + u64::from(list_bytes) > file_bytes {
        return Err(damaged("the list of members of the zip archive lies outside it"));
    }
    let list = read_at(&mut file, list_at.into(), list_bytes.into())?;
    let mut found = Vec::new();
    let (mut at, mut total_bytes) = (0, 0_u64);
    for _ in 0..count {
        let entry = list.get(at..).filter(|rest| rest.starts_with(b"PK\x01\x02") && rest.len() >= 46);
        let entry = entry.ok_or_else(|| damaged("the list of members of the zip archive is damaged"))?;
        let name_bytes = usize::from(short(entry, 28));
        at += 46 + name_bytes + usize::from(short(entry, 30)) + usize::from(short(entry, 32));
        let name = String::from_utf8_lossy(entry.get(46..46 + name_bytes).unwrap_or_default());
        let last = name.rsplit('/').next().unwrap_or_default();
        if last.is_empty() || last.starts_with("._") {
            continue;
        }
        let member = zip_member(entry)?;
        total_bytes = total_bytes.saturating_add(member.bytes);
        let name: String = name.chars().flat_map(char::escape_debug).take(200).collect();
        found.push(Member {
            path: path.to_owned(),
            name: format!("{}/{name}", path.display()),
            inside: Inside::Zip(member),
            // One more: that there is more is found out by its checksum.
            bytes_max: member.bytes.saturating_add(1),
        });
    }
    if total_bytes > bytes_max(file_bytes) {
        let (floor, ratio) = (BYTES_FLOOR >> 20, RATIO_MAX);
        let reason =
            format!("it unpacks to more than {floor} MB and {ratio} times its size: unpack it first");
        return Err(damaged(&reason));
    }
    Ok(found)
}

fn zip_member(entry: &[u8]) -> io::Result<ZipMember> {
    const ENCRYPTED: u16 = 1;
    if short(entry, 8) & ENCRYPTED != 0 {
        return Err(damaged("the zip archive is encrypted: unpack it first"));
    }
    let is_deflated = match short(entry, 10) {
        0 => Deflate::No,
        8 => Deflate::Yes,
        method => {
            return Err(damaged(&format!("the zip archive is packed by method {method}: unpack it first")));
        }
    };
    let (packed_bytes, bytes, header_at) = (word(entry, 20), word(entry, 24), word(entry, 42));
    if packed_bytes == u32::MAX || bytes == u32::MAX || header_at == u32::MAX {
        return Err(damaged("it is a zip archive of the large kind (ZIP64): unpack it first"));
    }
    Ok(ZipMember {
        header_at: header_at.into(),
        is_deflated,
        packed_bytes: packed_bytes.into(),
        bytes: bytes.into(),
        crc: word(entry, 16),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};

    use super::*;

    /// A zip archive of these members, deflated.
    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut list) = (Vec::new(), Vec::new());
        for (name, bytes) in members {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            let packed = encoder.finish().unwrap();
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            let mut fields = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
            fields.extend(crc.sum().to_le_bytes());
            fields.extend((packed.len() as u32).to_le_bytes());
            fields.extend((bytes.len() as u32).to_le_bytes());
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend([0, 0]);
            list.extend(b"PK\x01\x02\x14\0");
            list.extend(&fields);
            list.extend([0; 10]);
            list.extend((out.len() as u32).to_le_bytes());
            list.extend(name.as_bytes());
            out.extend(b"PK\x03\x04");
            out.extend(&fields);
            out.extend(name.as_bytes());
            out.extend(packed);
        }
        let list_at = out.len() as u32;
        out.extend(&list);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend((members.len() as u16).to_le_bytes());
        out.extend((members.len() as u16).to_le_bytes());
        out.extend((list.len() as u32).to_le_bytes());
        out.extend(list_at.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn documents_of(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let prefix = folder.path().display().to_string();
        let found = documents(&path)?;
        Ok(found.into_iter().map(|(name, bytes)| (name.replace(&prefix, ""), bytes)).collect())
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        let text = b"a station, and another".repeat(1000);
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        encoder.write_all(&text).unwrap();
        for bytes in [text.clone(), gzip(&text), encoder.finish().unwrap()] {
            assert_eq!(documents_of(&bytes).unwrap(), [("/file".to_owned(), text.clone())]);
        }
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(documents_of(&two).unwrap()[0].1, b"one two", "members of one file follow each other");
        let archive = zip(&[("a/", b""), ("a/one", b"1"), ("a/._one", b"x"), ("../two", &text)]);
        let expected = [("/file/a/one".to_owned(), b"1".to_vec()), ("/file/../two".to_owned(), text)];
        assert_eq!(documents_of(&archive).unwrap(), expected);
    }

    #[test]
    fn bombs_are_refused_before_they_are_in_memory() {
        let zeros = vec![0; 1 << 20];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb");
        std::fs::write(&path, gzip(&zeros)).unwrap();
        let mut member = members(&path).unwrap().remove(0);
        assert_eq!(member.bytes_max, BYTES_FLOOR);
        member.bytes_max = 1 << 16;
        let error = member.open().unwrap().read_to_end(&mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("unpacks to more than 256 MB and 100 times its size"), "{error}");
        let mut archive = zip(&[("one", &zeros), ("two", &zeros)]);
        // The list claims three gigabytes for the second member.
        let at = archive.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        archive[at + 24..at + 28].copy_from_slice(&3_000_000_000_u32.to_le_bytes());
        let error = documents_of(&archive).unwrap_err().to_string();
        assert!(error.contains("unpacks to more than"), "{error}");
        // ... or less than there is.
        archive[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
        let error = documents_of(&archive).unwrap_err().to_string();
        assert!(error.contains("another length or checksum"), "{error}");
    }

    #[test]
    fn documents_that_are_too_long_are_refused_before_they_are_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        File::create(&path).unwrap().set_len(60 << 30).unwrap();
        let error = documents(&path).unwrap_err().to_string();
        assert_eq!(error, "it has 64424509440 bytes, and such a file may have 1073741824");
    }

    #[test]
    fn damaged_archives_are_refused_in_one_sentence() {
        let sound = zip(&[("one", b"first member"), ("two", b"second member")]);
        for end in 4..sound.len() {
            assert!(documents_of(&sound[..end]).is_err(), "{end}");
        }
        for at in 0..sound.len() {
            let mut broken = sound.clone();
            broken[at] ^= 0x55;
            if let Err(error) = documents_of(&broken) {
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
        let packed = gzip(b"some text");
        assert!(documents_of(&packed[..packed.len() - 3]).is_err());
    }
}
