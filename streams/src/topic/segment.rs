//! One segment file of a partition, `<base offset>.log`: batches one behind the other, with a sparse index in memory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use seislake_model::{ErrorKind, Offset};

use super::batch::{self, BatchHeader, HEADER_BYTES, MAGIC};
use super::{APPEND_BYTES_MAX, Record};
use crate::Error;

/// One index entry for at least this many bytes: finding an offset reads at most this much of headers.
const INDEX_INTERVAL_BYTES: u64 = 64 << 10;

/// A batch found in the file.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    base: Offset,
    position: u64,
}

/// A segment file.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    base: Offset,
    next: Offset,
    byte_count: u64,
    index: Vec<IndexEntry>,
}

impl Segment {
    /// A new, empty segment.
    pub(super) fn create(directory: &Path, base: Offset) -> Result<Self, Error> {
        let path = directory.join(format!("{base:020}.log"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|e| Error::io(format!("create log segment \"{}\"", path.display()), e))?;
        Ok(Self { path, file, base, next: base, byte_count: 0, index: Vec::new() })
    }

    /// Opens a segment and walks its headers. In the `last` segment of a partition all checksums are verified, and
    /// what a crash left behind the last whole batch is cut off; anywhere else damage is an error.
    pub(super) fn open(path: &Path, base: Offset, last: Last) -> Result<Self, Error> {
        let context = |e| Error::io(format!("open log segment \"{}\"", path.display()), e);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(context)?;
        let file_bytes = file.metadata().map_err(context)?.len();
        let mut segment =
            Self { path: path.to_owned(), file, base, next: base, byte_count: 0, index: Vec::new() };
        while segment.byte_count < file_bytes {
            let header = segment.header_at(segment.byte_count)?.filter(|header| header.base == segment.next);
            let fits = |header: &BatchHeader| segment.byte_count + header.byte_count() <= file_bytes;
            let whole = match (header.filter(fits), last) {
                (Some(header), Last::No) => Some(header),
                (Some(header), Last::Yes) => segment.body(&header, segment.byte_count)?.map(|_| header),
                (None, _) => None,
            };
            let Some(header) = whole else {
                segment.drop_torn_tail(file_bytes, last)?;
                break;
            };
            segment.note(&header);
        }
        Ok(segment)
    }

    /// First offset.
    pub(super) fn base(&self) -> Offset {
        self.base
    }

    /// Offset after the last record.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Length of the file.
    pub(super) fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(|e| Error::io(format!("sync log segment \"{}\"", self.path.display()), e))
    }

    /// Writes an encoded batch at the end of the file. A failed write leaves the segment as it was.
    pub(super) fn write(&mut self, encoded: &[u8]) -> Result<BatchHeader, Error> {
        let context = |e| Error::io(format!("append to log segment \"{}\"", self.path.display()), e);
        if let Err(error) = self.file.write_all_at(encoded, self.byte_count) {
            self.file.set_len(self.byte_count).map_err(context)?;
            return Err(context(error));
        }
        let header = BatchHeader::parse(encoded)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a log batch was encoded wrongly"))?;
        self.note(&header);
        Ok(header)
    }

    /// Takes back the last write, `encoded_bytes` long, because it could not be made durable.
    pub(super) fn take_back(&mut self, base: Offset, encoded_bytes: u64) -> Result<(), Error> {
        self.byte_count -= encoded_bytes;
        self.next = base;
        self.index.retain(|entry| entry.base < base);
        self.file
            .set_len(self.byte_count)
            .map_err(|e| Error::io(format!("truncate log segment \"{}\"", self.path.display()), e))
    }

    /// Adds whole batches from offset `from` on to `records` until `bytes_max` is reached; returns the bytes read.
    pub(super) fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        records: &mut Vec<Record>,
    ) -> Result<usize, Error> {
        let start = self.index.partition_point(|entry| entry.base <= from).saturating_sub(1);
        let mut position = self.index.get(start).map_or(0, |entry| entry.position);
        let mut read_bytes = 0;
        while position < self.byte_count && (read_bytes < bytes_max || records.is_empty()) {
            let header =
                self.header_at(position)?.ok_or_else(|| self.damaged(position, from, "batch header"))?;
            if header.next() > from {
                let body = self.body(&header, position)?;
                let body = body.ok_or_else(|| self.damaged(position, header.base, "batch body"))?;
                batch::decode(&header, body, from, records)
                    .ok_or_else(|| self.damaged(position, header.base, "batch layout"))?;
                read_bytes += header.body_bytes as usize;
            }
            position += header.byte_count();
        }
        Ok(read_bytes)
    }

    fn note(&mut self, header: &BatchHeader) {
        let due =
            self.index.last().is_none_or(|last| self.byte_count - last.position >= INDEX_INTERVAL_BYTES);
        if due {
            self.index.push(IndexEntry { base: header.base, position: self.byte_count });
        }
        self.byte_count += header.byte_count();
        self.next = header.next();
    }

    fn header_at(&self, position: u64) -> Result<Option<BatchHeader>, Error> {
        let mut bytes = [0; HEADER_BYTES];
        match self.file.read_exact_at(&mut bytes, position) {
            Ok(()) => Ok(BatchHeader::parse(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io(format!("read log segment \"{}\"", self.path.display()), error)),
        }
    }

    /// The body of the batch at `position`; `None` where its checksum or length is wrong.
    fn body(&self, header: &BatchHeader, position: u64) -> Result<Option<Bytes>, Error> {
        if header.body_bytes as usize > APPEND_BYTES_MAX {
            return Ok(None);
        }
        let mut body = vec![0; header.body_bytes as usize];
        match self.file.read_exact_at(&mut body, position + HEADER_BYTES as u64) {
            Ok(()) => Ok(header.matches(&body).then(|| body.into())),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io(format!("read log segment \"{}\"", self.path.display()), error)),
        }
    }

    /// Cuts off an unfinished last append. Every append is synced before the next begins, so a whole batch behind the
    /// bad bytes proves that they were once good: then it is damage, and nothing is cut.
    fn drop_torn_tail(&mut self, file_bytes: u64, last: Last) -> Result<(), Error> {
        let position = self.byte_count;
        if last == Last::No || self.whole_batch_behind(position, file_bytes)? {
            return Err(self.damaged(position, self.next, "batch"));
        }
        tracing::info!(
            segment = %self.path.display(), position, torn_bytes = file_bytes - position,
            "cut off an append that a crash left unfinished"
        );
        self.file
            .set_len(position)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| Error::io(format!("truncate log segment \"{}\"", self.path.display()), e))
    }

    fn whole_batch_behind(&self, position: u64, file_bytes: u64) -> Result<bool, Error> {
        let mut tail = vec![0; (file_bytes - position) as usize];
        self.file
            .read_exact_at(&mut tail, position)
            .map_err(|e| Error::io(format!("read log segment \"{}\"", self.path.display()), e))?;
        for at in 1..tail.len().saturating_sub(HEADER_BYTES) {
            let candidate = &tail[at..];
            if !candidate.starts_with(MAGIC) {
                continue;
            }
            let Some(header) = BatchHeader::parse(candidate) else { continue };
            let body = candidate.get(HEADER_BYTES..header.byte_count() as usize);
            if header.base > self.next && body.is_some_and(|body| header.matches(body)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn damaged(&self, position: u64, offset: Offset, what: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "log segment \"{}\" is damaged: bad {what} at byte {position} (record offset {offset})",
                self.path.display()
            ),
        )
    }
}

/// Whether a segment is the last of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}
