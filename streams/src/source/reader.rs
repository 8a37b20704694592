//! The records of one file, in bounded memory: chunk by chunk in file order, or one by one by position.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use seislake_mseed::{ChunkEnd, ScanItem, ScanState, Scanner};

use super::packed::{Member, MemberReader};
use super::regular::open_file;

/// Reads `member` in chunks of `chunk_bytes` and shows everything found in it, with the bytes of the chunk it lies in.
/// Returns the count of bytes read.
pub(super) fn scan(
    member: &Member,
    chunk_bytes: usize,
    mut see: impl FnMut(&ScanItem<'_>),
) -> io::Result<u64> {
    let mut chunks = Chunks::open(member, chunk_bytes)?;
    while let Some(chunk) = chunks.next()? {
        let mut scanner = Scanner::resume(&chunk, chunks.end(), chunks.state.clone());
        for scanned in &mut scanner {
            see(&scanned);
        }
        let consumed = scanner.consumed();
        let state = scanner.into_state();
        chunks.keep(&chunk, consumed, state);
    }
    Ok(chunks.read_next)
}

/// Up to `bytes_max` bytes at `offset`; of packed files none, they would be unpacked once more for each piece.
pub(super) fn read_at(member: &Member, offset: u64, length: u64, bytes_max: usize) -> io::Result<Bytes> {
    if !member.is_plain() {
        return Ok(Bytes::new());
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes_max);
    let mut bytes = BytesMut::zeroed(length);
    let count = read_full(&open_file(&member.path)?, &mut bytes, offset)?;
    bytes.truncate(count);
    Ok(bytes.freeze())
}

fn read_full(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Fills `bytes` from a stream as far as it goes.
fn read_stream(stream: &mut MemberReader, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where chunks come from. A plain file is open only while a chunk is read: an archive of thousands of channels has as many
/// files at a time. A packed one is read in one go.
#[derive(Debug)]
enum Origin {
    Plain { path: PathBuf, file_bytes: u64 },
    Packed(MemberReader),
}

/// Chunks of a file, each beginning with what the scanner left of the one before.
#[derive(Debug)]
struct Chunks {
    origin: Origin,
    chunk_bytes: usize,
    read_next: u64,
    rest: Bytes,
    state: ScanState,
    ended: bool,
}

impl Chunks {
    fn open(member: &Member, chunk_bytes: usize) -> io::Result<Self> {
        let origin = if member.is_plain() {
            let file_bytes = member.path.metadata()?.len();
            Origin::Plain { path: member.path.clone(), file_bytes }
        } else {
            Origin::Packed(member.open()?)
        };
        Ok(Self {
            origin,
            chunk_bytes,
            read_next: 0,
            rest: Bytes::new(),
            state: ScanState::default(),
            ended: false,
        })
    }

    /// The next chunk; `None` behind the last one.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let mut bytes = BytesMut::zeroed(self.rest.len() + self.chunk_bytes);
        let (kept, fresh) = bytes.split_at_mut(self.rest.len());
        kept.copy_from_slice(&self.rest);
        let (count, file_bytes) = match &mut self.origin {
            Origin::Plain { path, file_bytes } => {
                (read_full(&open_file(path)?, fresh, self.read_next)?, *file_bytes)
            }
            Origin::Packed(stream) => (read_stream(stream, fresh)?, u64::MAX),
        };
        self.read_next += count as u64;
        // A file that grows while it is read ends where it ended when it was opened or later.
        self.ended = count < self.chunk_bytes || self.read_next >= file_bytes;
        bytes.truncate(self.rest.len() + count);
        Ok(Some(bytes.freeze()))
    }

    fn end(&self) -> ChunkEnd {
        if self.ended { ChunkEnd::Last } else { ChunkEnd::More }
    }

    /// What the scanner has not consumed stands at the begin of the next chunk.
    fn keep(&mut self, chunk: &Bytes, consumed: usize, state: ScanState) {
        self.rest = Bytes::copy_from_slice(chunk.get(consumed..).unwrap_or_default());
        self.state = state;
    }
}

/// Largest packed file, unpacked, whose records may come in any order.
pub(super) const HELD_BYTES_MAX: u64 = 256 << 20;

/// One record of a file and when it starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordPlace {
    pub(super) start_ns: i64,
    pub(super) bytes: Bytes,
}

/// The records of one file in the order of their start.
#[derive(Debug)]
pub(super) enum Cursor {
    /// The file is in that order: read on.
    Sorted { chunks: ChunkReader },
    /// It is not: its index is, and records are fetched one by one.
    Indexed { file: File, index: VecDeque<Place> },
    /// Nor is it plain: all its records are held. [`HELD_BYTES_MAX`] bounds them.
    Held { records: VecDeque<RecordPlace> },
}

#[derive(Debug)]
pub(super) struct ChunkReader {
    chunks: Chunks,
    ready: VecDeque<RecordPlace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    start_ns: i64,
    offset: u64,
    length: u32,
}

/// How records follow each other in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordOrder {
    ByStart,
    Mixed,
}

impl Cursor {
    /// The records as they stand in the file.
    pub(super) fn in_file_order(member: &Member, chunk_bytes: usize) -> io::Result<Self> {
        let chunks = Chunks::open(member, chunk_bytes)?;
        Ok(Self::Sorted { chunks: ChunkReader { chunks, ready: VecDeque::new() } })
    }

    /// Opens a file of which the scan has said whether its records are in order.
    pub(super) fn open(member: &Member, order: RecordOrder, chunk_bytes: usize) -> io::Result<Self> {
        if order == RecordOrder::ByStart {
            return Self::in_file_order(member, chunk_bytes);
        }
        if !member.is_plain() {
            let mut records = Vec::new();
            scan(member, chunk_bytes, |scanned| {
                if let ScanItem::Record { record, .. } = scanned {
                    let bytes = Bytes::copy_from_slice(record.bytes());
                    records.push(RecordPlace { start_ns: record.start_ns, bytes });
                }
            })?;
            records.sort_by_key(|found| found.start_ns);
            return Ok(Self::Held { records: records.into() });
        }
        let mut index = Vec::new();
        scan(member, chunk_bytes, |scanned| {
            if let ScanItem::Record { offset, record } = scanned {
                let length = u32::try_from(record.length()).unwrap_or(u32::MAX);
                index.push(Place { start_ns: record.start_ns, offset: *offset, length });
            }
        })?;
        index.sort_unstable();
        Ok(Self::Indexed { file: open_file(&member.path)?, index: index.into() })
    }

    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Option<RecordPlace>> {
        match self {
            Self::Sorted { chunks } => chunks.next(),
            Self::Held { records } => Ok(records.pop_front()),
            Self::Indexed { file, index } => {
                let Some(place) = index.pop_front() else { return Ok(None) };
                let mut bytes = BytesMut::zeroed(place.length as usize);
                let count = read_full(file, &mut bytes, place.offset)?;
                bytes.truncate(count);
                Ok(Some(RecordPlace { start_ns: place.start_ns, bytes: bytes.freeze() }))
            }
        }
    }
}

impl ChunkReader {
    fn next(&mut self) -> io::Result<Option<RecordPlace>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            let Some(chunk) = self.chunks.next()? else { return Ok(None) };
            let mut scanner = Scanner::resume(&chunk, self.chunks.end(), self.chunks.state.clone());
            for scanned in &mut scanner {
                if let ScanItem::Record { record, .. } = scanned {
                    let bytes = chunk.slice_ref(record.bytes());
                    self.ready.push_back(RecordPlace { start_ns: record.start_ns, bytes });
                }
            }
            let consumed = scanner.consumed();
            let state = scanner.into_state();
            self.chunks.keep(&chunk, consumed, state);
        }
    }
}
