//! One segment file of a partition, `<base offset>.log`: batches one behind the other, with a sparse index in memory.
//!
//! Damage does not stop a reader: bytes that hold no whole batch are a *gap*, and its records are read as lost ones
//! ([`Record::is_lost`]). What a crash left of a last append is no gap: it is cut off. Batches of another topic or partition
//! are damage, too: a file that came to lie in the wrong folder ([`misplaced`]) gives no records.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use seislake_model::{ErrorKind, Offset};

use super::batch::{self, BatchHeader, BatchPlace, HEADER_BYTES, MAGIC};
use super::{APPEND_BYTES_MAX, Record, push_lost};
use crate::Error;
use crate::error::Cause;

/// One index entry for at least this many bytes: finding an offset reads at most this much of headers.
const INDEX_INTERVAL_BYTES: u64 = 64 << 10;
/// Behind damage the next whole batch is looked for within so many bytes, in pieces of so many: no append is longer than a
/// sixteenth of it, and a file may claim to be as long as a disk.
const SEARCH_BYTES_MAX: u64 = 1 << 30;
const SEARCH_PIECE_BYTES: usize = 1 << 20;

/// A batch found in the file.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    base: Offset,
    position: u64,
}

/// Bytes that hold no whole batch, although whole ones lie behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) position: u64,
    pub(super) byte_count: u64,
    /// First offset lost, and the one after the last.
    pub(super) from: Offset,
    pub(super) to: Offset,
}

/// Where the batches of a file lie.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    index: Vec<IndexEntry>,
    /// In the order of their positions.
    pub(super) gaps: Vec<Gap>,
    /// Offset after the last whole batch.
    pub(super) next: Offset,
    /// Where it ends.
    pub(super) byte_count: u64,
    /// What lies behind it and is no batch.
    pub(super) torn_bytes: u64,
}

/// What a walk looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verify {
    /// Headers and their checksums.
    Headers,
    /// The checksums of the bodies too.
    Bodies,
}

impl Walk {
    /// Walks the batches of a file of `place` that begins with offset `base`.
    pub(super) fn of(
        file: &File,
        path: &Path,
        place: BatchPlace,
        base: Offset,
        verify: Verify,
    ) -> Result<Self, Error> {
        let context = |e| Error::io(format!("read log segment \"{}\"", path.display()), e);
        let file_bytes = file.metadata().map_err(context)?.len();
        let mut walk = Self { next: base, ..Self::default() };
        while walk.byte_count < file_bytes {
            let position = walk.byte_count;
            let header = header_at(file, path, position)?
                .filter(|header| header.base == walk.next && header.belongs_to(place))
                .filter(|header| position + header.byte_count() <= file_bytes);
            let whole = match (header, verify) {
                (Some(header), Verify::Bodies) => body(file, path, &header, position)?.map(|_| header),
                (header, _) => header,
            };
            if let Some(header) = whole {
                walk.note(&header);
                continue;
            }
            let behind = Behind { place, position, file_bytes, next: walk.next };
            let Some((found, header)) = whole_batch(file, path, &behind)? else {
                walk.torn_bytes = file_bytes - position;
                break;
            };
            let (from, to) = (walk.next, header.base);
            walk.gaps.push(Gap { position, byte_count: found - position, from, to });
            (walk.byte_count, walk.next) = (found, header.base);
        }
        Ok(walk)
    }

    /// Runs of whole batches, as (position, bytes, first offset): what a repair keeps.
    pub(super) fn runs(&self, base: Offset) -> Vec<(u64, u64, Offset)> {
        let (mut position, mut offset) = (0, base);
        let mut runs = Vec::new();
        for gap in &self.gaps {
            runs.push((position, gap.position - position, offset));
            (position, offset) = (gap.position + gap.byte_count, gap.to);
        }
        runs.push((position, self.byte_count - position, offset));
        runs.retain(|(_, byte_count, _)| *byte_count > 0);
        runs
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

    fn gap_at(&self, position: u64) -> Option<&Gap> {
        let index = self.gaps.binary_search_by_key(&position, |gap| gap.position).ok()?;
        self.gaps.get(index)
    }

    /// Where to begin to look for `from`, in a file that begins with `base`.
    fn start(&self, base: Offset, from: Offset) -> IndexEntry {
        let start = self.index.partition_point(|entry| entry.base <= from).saturating_sub(1);
        let entry = self.index.get(start).filter(|entry| entry.base <= from);
        entry.copied().unwrap_or(IndexEntry { base, position: 0 })
    }

    /// The next place behind `position` where a batch is known to begin, or the end.
    fn behind(&self, position: u64) -> IndexEntry {
        let next = self.index.partition_point(|entry| entry.position <= position);
        let end = IndexEntry { base: self.next, position: self.byte_count };
        self.index.get(next).copied().unwrap_or(end)
    }
}

/// A segment file.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    place: BatchPlace,
    base: Offset,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// The last one of its partition, open for appends.
    Open { file: File, walk: Walk },
    /// One before: it ends where the next one begins. It is opened, and walked, when somebody reads it, so that neither
    /// the time of a start nor the number of open files grows with the log.
    Sealed { until: Offset, walk: OnceLock<Walk> },
}

impl Segment {
    /// A new, empty segment.
    pub(super) fn create(directory: &Path, place: BatchPlace, base: Offset) -> Result<Self, Error> {
        let path = directory.join(file_name(base));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|e| Error::io(format!("create log segment \"{}\"", path.display()), e))?;
        let content = Content::Open { file, walk: Walk { next: base, ..Walk::default() } };
        Ok(Self { path, place, base, content })
    }

    /// Opens the last segment of a partition: all checksums are verified, and what a crash left behind the last whole
    /// batch is cut off.
    pub(super) fn open_last(path: &Path, place: BatchPlace, base: Offset) -> Result<Self, Error> {
        let context = |e| Error::io(format!("open log segment \"{}\"", path.display()), e);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(context)?;
        let mut walk = Walk::of(&file, path, place, base, Verify::Bodies)?;
        if walk.torn_bytes > 0 {
            tracing::info!(
                segment = %path.display(), position = walk.byte_count, torn_bytes = walk.torn_bytes,
                "cut off an append that a crash left unfinished"
            );
            file.set_len(walk.byte_count).and_then(|()| file.sync_data()).map_err(context)?;
            walk.torn_bytes = 0;
        }
        tell_of_gaps(path, &walk);
        Ok(Self { path: path.to_owned(), place, base, content: Content::Open { file, walk } })
    }

    /// A segment that `until`, the base of the next one, follows.
    pub(super) fn sealed(path: PathBuf, place: BatchPlace, base: Offset, until: Offset) -> Self {
        Self { path, place, base, content: Content::Sealed { until, walk: OnceLock::new() } }
    }

    /// Nothing is appended any more: the next segment begins at `until`.
    pub(super) fn seal(&mut self, until: Offset) {
        if let Content::Open { walk, .. } = &mut self.content {
            let walk = OnceLock::from(std::mem::take(walk));
            self.content = Content::Sealed { until, walk };
        }
    }

    /// First offset.
    pub(super) fn base(&self) -> Offset {
        self.base
    }

    /// Offset after the last record.
    pub(super) fn next(&self) -> Offset {
        match &self.content {
            Content::Open { walk, .. } => walk.next,
            Content::Sealed { until, .. } => *until,
        }
    }

    /// Length of the file; 0 where nothing can be appended to it.
    pub(super) fn byte_count(&self) -> u64 {
        match &self.content {
            Content::Open { walk, .. } => walk.byte_count,
            Content::Sealed { .. } => 0,
        }
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let Content::Open { file, .. } = &self.content else { return Ok(()) };
        file.sync_data().map_err(|e| Error::io(format!("sync log segment \"{}\"", self.path.display()), e))
    }

    /// Writes an encoded batch at the end of the file. A failed write leaves the segment as it was.
    pub(super) fn write(&mut self, encoded: &[u8]) -> Result<BatchHeader, Error> {
        let path = &self.path;
        let context = |e| Error::io(format!("append to log segment \"{}\"", path.display()), e);
        let Content::Open { file, walk } = &mut self.content else {
            return Err(Error::new(ErrorKind::Internal, "append to a log segment that is closed"));
        };
        if let Err(error) = file.write_all_at(encoded, walk.byte_count) {
            file.set_len(walk.byte_count).map_err(context)?;
            return Err(context(error));
        }
        let header = BatchHeader::parse(encoded)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a log batch was encoded wrongly"))?;
        walk.note(&header);
        Ok(header)
    }

    /// Takes back the last write, `encoded_bytes` long, because it could not be made durable.
    pub(super) fn take_back(&mut self, base: Offset, encoded_bytes: u64) -> Result<(), Error> {
        let Content::Open { file, walk } = &mut self.content else { return Ok(()) };
        walk.byte_count -= encoded_bytes;
        walk.next = base;
        walk.index.retain(|entry| entry.base < base);
        file.set_len(walk.byte_count)
            .map_err(|e| Error::io(format!("truncate log segment \"{}\"", self.path.display()), e))
    }

    /// Adds records from offset `from` on to `records`, whole batches until `bytes_max` is reached; returns the bytes
    /// read. Records of batches that are damaged, or missing before the next segment, are added as lost ones.
    pub(super) fn read(
        &self,
        from: Offset,
        bytes_max: usize,
        records: &mut Vec<Record>,
    ) -> Result<usize, Error> {
        match &self.content {
            Content::Open { file, walk } => self.read_batches(file, walk, from, bytes_max, records),
            Content::Sealed { until, walk } => {
                let context = |e| Error::io(format!("open log segment \"{}\"", self.path.display()), e);
                let file = File::open(&self.path).map_err(context)?;
                let walk = match walk.get() {
                    Some(walk) => walk,
                    None => {
                        let walked = Walk::of(&file, &self.path, self.place, self.base, Verify::Headers)?;
                        tell_of_gaps(&self.path, &walked);
                        walk.get_or_init(|| walked)
                    }
                };
                let mut read_bytes = self.read_batches(&file, walk, from, bytes_max, records)?;
                // Where a copy of the next segment's records lies here too, those of the next segment count.
                let within = records.partition_point(|record| record.offset < *until);
                records.truncate(within);
                let next = records.last().map_or(from, |record| record.offset + 1);
                if next >= walk.next && next < *until {
                    tracing::warn!(
                        segment = %self.path.display(), from = next, to = *until,
                        "records between two log segments are lost"
                    );
                    read_bytes += push_lost(records, next, *until);
                }
                Ok(read_bytes)
            }
        }
    }

    fn read_batches(
        &self,
        file: &File,
        walk: &Walk,
        from: Offset,
        bytes_max: usize,
        records: &mut Vec<Record>,
    ) -> Result<usize, Error> {
        let mut at = walk.start(self.base, from);
        let mut read_bytes = 0;
        while at.position < walk.byte_count && (read_bytes < bytes_max || records.is_empty()) {
            // What is lost from here, if anything is, and where it goes on.
            let mut lost = None;
            if let Some(gap) = walk.gap_at(at.position) {
                lost = Some(IndexEntry { base: gap.to, position: at.position + gap.byte_count });
            } else if let Some(header) =
                header_at(file, &self.path, at.position)?.filter(|header| header.belongs_to(self.place))
            {
                let next = IndexEntry { base: header.next(), position: at.position + header.byte_count() };
                if next.base > from && self.read_batch(file, &header, at.position, from, records)?.is_none() {
                    lost = Some(next);
                } else {
                    read_bytes += if next.base > from { header.body_bytes as usize } else { 0 };
                    at = next;
                }
            } else {
                self.tell_of_damage(at.position, at.base, "batch header");
                lost = Some(walk.behind(at.position));
            }
            if let Some(next) = lost {
                read_bytes += push_lost(records, from.max(at.base), next.base);
                if records.last().is_some_and(|last| last.offset + 1 < next.base) {
                    break;
                }
                at = next;
            }
        }
        Ok(read_bytes)
    }

    /// Adds the records of a batch from `from` on; `None`, and nothing added, where it is damaged.
    fn read_batch(
        &self,
        file: &File,
        header: &BatchHeader,
        position: u64,
        from: Offset,
        records: &mut Vec<Record>,
    ) -> Result<Option<()>, Error> {
        let before = records.len();
        let body = body(file, &self.path, header, position)?;
        let decoded = body.and_then(|body| batch::decode(header, body, from, records));
        if decoded.is_none() {
            records.truncate(before);
            self.tell_of_damage(position, header.base, "batch body");
        }
        Ok(decoded)
    }

    fn tell_of_damage(&self, position: u64, offset: Offset, what: &str) {
        tracing::warn!(
            segment = %self.path.display(), position, offset, what,
            "a log segment is damaged: records are lost"
        );
    }
}

/// Name of the segment that begins at `base`.
pub(super) fn file_name(base: Offset) -> String {
    format!("{base:020}.log")
}

fn tell_of_gaps(path: &Path, walk: &Walk) {
    for Gap { position, byte_count, from, to } in &walk.gaps {
        tracing::warn!(
            segment = %path.display(), position, byte_count, from, to,
            "a log segment is damaged: its records from offset to offset are lost"
        );
    }
    if walk.torn_bytes > 0 {
        tracing::warn!(
            segment = %path.display(), position = walk.byte_count, byte_count = walk.torn_bytes, from = walk.next,
            "the end of a log segment is damaged: its records are lost"
        );
    }
}

fn header_at(file: &File, path: &Path, position: u64) -> Result<Option<BatchHeader>, Error> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, position) {
        Ok(()) => Ok(BatchHeader::parse(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Error::io(format!("read log segment \"{}\"", path.display()), error)),
    }
}

/// The body of the batch at `position`; `None` where its checksum or length is wrong.
fn body(file: &File, path: &Path, header: &BatchHeader, position: u64) -> Result<Option<Bytes>, Error> {
    if header.body_bytes as usize > APPEND_BYTES_MAX {
        return Ok(None);
    }
    let mut body = vec![0; header.body_bytes as usize];
    match file.read_exact_at(&mut body, position + HEADER_BYTES as u64) {
        Ok(()) => Ok(header.matches(&body).then(|| body.into())),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Error::io(format!("read log segment \"{}\"", path.display()), error)),
    }
}

/// Where a batch is looked for behind bad bytes.
struct Behind {
    place: BatchPlace,
    /// Of the bad bytes.
    position: u64,
    file_bytes: u64,
    /// No batch before this offset will do.
    next: Offset,
}

/// The first whole batch behind bad bytes. Every append is synced before the next begins, so such a batch proves that the
/// bytes were good once: that is damage and no append that a crash left unfinished.
fn whole_batch(file: &File, path: &Path, behind: &Behind) -> Result<Option<(u64, BatchHeader)>, Error> {
    let context = |e| Error::io(format!("read log segment \"{}\"", path.display()), e);
    let end = behind.file_bytes.min(behind.position.saturating_add(SEARCH_BYTES_MAX));
    let nothing = vec![0; SEARCH_PIECE_BYTES];
    let mut from = behind.position + 1;
    while from < end {
        // Pieces overlap by less than a header, which may lie across their border.
        let length = (end - from).min((SEARCH_PIECE_BYTES + HEADER_BYTES) as u64) as usize;
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, from).map_err(context)?;
        let looked_at = length.min(SEARCH_PIECE_BYTES);
        let empty = nothing.starts_with(piece.get(..looked_at).unwrap_or_default());
        for at in if empty { 0..0 } else { 0..looked_at } {
            let candidate = piece.get(at..).unwrap_or_default();
            if !candidate.starts_with(MAGIC) {
                continue;
            }
            let Some(header) = BatchHeader::parse(candidate) else { continue };
            let position = from + at as u64;
            if header.base >= behind.next
                && header.belongs_to(behind.place)
                && body(file, path, &header, position)?.is_some()
            {
                return Ok(Some((position, header)));
            }
        }
        from += looked_at as u64;
    }
    Ok(None)
}

/// Where the records of a segment file belong, if not where it lies: told by its first batch. `None` where it is in its
/// place, or says nothing.
pub(super) fn misplaced(
    path: &Path,
    place: BatchPlace,
    base: Offset,
) -> Result<Option<(BatchPlace, Offset)>, Error> {
    let file =
        File::open(path).map_err(|e| Error::io(format!("open log segment \"{}\"", path.display()), e))?;
    let Some(header) = header_at(&file, path, 0)? else { return Ok(None) };
    let told = (header.place().unwrap_or(place), header.base);
    Ok((told != (place, base)).then_some(told))
}
