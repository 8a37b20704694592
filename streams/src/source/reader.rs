//! The records of one file, in bounded memory: chunk by chunk in file order, or one by one by position.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use seislake_mseed::{ChunkEnd, ScanState, Scanned, Scanner};

/// Reads `path` in chunks of `chunk_bytes` and shows everything found in it, with the bytes of the chunk it lies in.
pub(super) fn scan(path: &Path, chunk_bytes: usize, mut see: impl FnMut(&Scanned<'_>)) -> io::Result<()> {
    let mut chunks = Chunks::open(path, chunk_bytes)?;
    while let Some(chunk) = chunks.next()? {
        let mut scanner = Scanner::resume(&chunk, chunks.end(), chunks.state.clone());
        for scanned in &mut scanner {
            see(&scanned);
        }
        let consumed = scanner.consumed();
        let state = scanner.into_state();
        chunks.keep(&chunk, consumed, state);
    }
    Ok(())
}

/// Up to `bytes_max` bytes at `offset`.
pub(super) fn read_at(path: &Path, offset: u64, length: u64, bytes_max: usize) -> io::Result<Bytes> {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes_max);
    let mut bytes = BytesMut::zeroed(length);
    let count = read_full(&File::open(path)?, &mut bytes, offset)?;
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

/// Chunks of a file, each beginning with what the scanner left of the one before. The file is open only while a chunk
/// is read: an archive of thousands of channels has as many files at a time.
#[derive(Debug)]
struct Chunks {
    path: PathBuf,
    chunk_bytes: usize,
    read_next: u64,
    file_bytes: u64,
    rest: Bytes,
    state: ScanState,
    ended: bool,
}

impl Chunks {
    fn open(path: &Path, chunk_bytes: usize) -> io::Result<Self> {
        let file_bytes = path.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            chunk_bytes,
            read_next: 0,
            file_bytes,
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
        let count = read_full(&File::open(&self.path)?, fresh, self.read_next)?;
        self.read_next += count as u64;
        // A file that grows while it is read ends where it ended when it was opened or later.
        self.ended = count < self.chunk_bytes || self.read_next >= self.file_bytes;
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

/// One record of a file and when it starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) start_ns: i64,
    pub(super) bytes: Bytes,
}

/// The records of one file in the order of their start.
#[derive(Debug)]
pub(super) enum Cursor {
    /// The file is in that order: read on.
    Sorted { chunks: Chunked },
    /// It is not: its index is, and records are fetched one by one.
    Indexed { file: File, index: VecDeque<Place> },
}

#[derive(Debug)]
pub(super) struct Chunked {
    chunks: Chunks,
    ready: VecDeque<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    start_ns: i64,
    offset: u64,
    length: u32,
}

impl Cursor {
    /// The records as they stand in the file.
    pub(super) fn in_file_order(path: &Path, chunk_bytes: usize) -> io::Result<Self> {
        let chunks = Chunks::open(path, chunk_bytes)?;
        Ok(Self::Sorted { chunks: Chunked { chunks, ready: VecDeque::new() } })
    }

    /// Opens a file of which the scan has said whether its records are in order.
    pub(super) fn open(path: &Path, sorted: bool, chunk_bytes: usize) -> io::Result<Self> {
        if sorted {
            return Self::in_file_order(path, chunk_bytes);
        }
        let mut index = Vec::new();
        scan(path, chunk_bytes, |scanned| {
            if let Scanned::Record { offset, record } = scanned {
                let length = u32::try_from(record.length()).unwrap_or(u32::MAX);
                index.push(Place { start_ns: record.start_ns, offset: *offset, length });
            }
        })?;
        index.sort_unstable();
        Ok(Self::Indexed { file: File::open(path)?, index: index.into() })
    }

    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        match self {
            Self::Sorted { chunks } => chunks.next(),
            Self::Indexed { file, index } => {
                let Some(place) = index.pop_front() else { return Ok(None) };
                let mut bytes = BytesMut::zeroed(place.length as usize);
                let count = read_full(file, &mut bytes, place.offset)?;
                bytes.truncate(count);
                Ok(Some(Found { start_ns: place.start_ns, bytes: bytes.freeze() }))
            }
        }
    }
}

impl Chunked {
    fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            let Some(chunk) = self.chunks.next()? else { return Ok(None) };
            let mut scanner = Scanner::resume(&chunk, self.chunks.end(), self.chunks.state.clone());
            for scanned in &mut scanner {
                if let Scanned::Record { record, .. } = scanned {
                    let bytes = chunk.slice_ref(record.bytes());
                    self.ready.push_back(Found { start_ns: record.start_ns, bytes });
                }
            }
            let consumed = scanner.consumed();
            let state = scanner.into_state();
            self.chunks.keep(&chunk, consumed, state);
        }
    }
}
