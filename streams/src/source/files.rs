//! Files and directories of miniSEED as one stream of records in the order of time.
//!
//! ```text
//! paths ─ walk ─ scan headers (all cores) ─► plan ─ merge by start ─► offers: refusals, records, watermarks
//! ```
//! The stream is a function of the contents of the files, not of their names or order: records are merged by start
//! time, then by their bytes. Files are opened when the stream reaches their first record; a file whose records are
//! not in order is read through an index. Memory is bounded by [`FileSettings::merge_bytes_max`], plus 24 bytes per
//! record of the files that need an index while they are open.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rayon::prelude::*;
use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{Record, ScanItem};

use super::packed::{Member, members};
use super::reader::{Cursor, HELD_BYTES_MAX, RecordOrder, RecordPlace, read_at, scan};
use super::sequence::FileSequence;
use super::walk::{Candidate, walk};
use crate::Error;
use crate::error::Cause;
use crate::gate::{Offer, ReceivedRecord, Refusal};
use crate::message::Watermark;

/// Bytes of damaged input that a refusal carries.
const REFUSED_BYTES_MAX: usize = 64 << 10;
/// Chunks in which headers are scanned.
const SCAN_CHUNK_BYTES: usize = 1 << 20;
/// Channels of one file that are remembered: whole networks have less.
const SOURCES_PER_FILE_MAX: usize = 100_000;
/// Bytes by which a foreign file is told.
const RECOGNISED_BYTES: usize = 1024;
const CHUNK_BYTES_MIN: usize = 16 << 10;
pub(super) const CHUNK_BYTES_MAX: usize = 1 << 20;

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub struct FileSettings {
    /// Memory of the buffers of all open files.
    pub merge_bytes_max: usize,
    /// A watermark is offered whenever the data have moved on by this much.
    pub watermark_interval_s: f64,
    /// Problems of one file that become dead letters; the rest is counted in the last of them.
    pub problems_per_file_max: usize,
    /// Only the stations of share `.0` (from 1) of `.1`.
    pub shard: Option<(u32, u32)>,
    /// Says what a file is that begins with these bytes and is no miniSEED: one sentence for its dead letter.
    pub recognise: fn(&[u8]) -> Option<String>,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            merge_bytes_max: 48 << 20,
            watermark_interval_s: 30.0,
            problems_per_file_max: 1000,
            shard: None,
            recognise: |_| None,
        }
    }
}

/// How far a scan or a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes looked at.
    pub bytes: u64,
    /// Bytes of all files.
    pub total_bytes: u64,
}

/// What is to be read.
#[derive(Debug)]
pub struct Plan {
    /// Files with records, by the start of their first record.
    files: Vec<PlannedFile>,
    refusals: Vec<Refusal>,
    settings: FileSettings,
    /// Files of directories that hold no record and do not claim to.
    pub skipped_files: Vec<PathBuf>,
    /// Files of which something, or all, becomes dead letters.
    pub damaged_files: Vec<DamagedFile>,
    /// Bytes of the files with records.
    pub total_bytes: u64,
    /// Records found.
    pub record_count: u64,
    /// Networks of the records, by station code.
    pub networks: BTreeMap<String, BTreeSet<String>>,
}

/// A file that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// The file.
    pub name: Arc<str>,
    /// Records found beside the damage; 0: nothing of the file can be used.
    pub record_count: u64,
    /// Dead letters it makes.
    pub problem_count: usize,
    /// The first of them.
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) member: Member,
    pub(super) name: Arc<str>,
    pub(super) first_start_ns: i64,
    /// Source of its first record.
    pub(super) first_source: String,
    order: RecordOrder,
}

/// What the scan of one file found.
struct FileScan {
    file: Option<PlannedFile>,
    refusals: Vec<Refusal>,
    skipped: Option<PathBuf>,
    bytes: u64,
    record_count: u64,
    sources: HashSet<String>,
}

/// Walks `paths` and scans the headers of all files. `progress` is called from several threads.
///
/// # Errors
/// `NotFound` for a path that does not exist, `Unavailable` for a directory that cannot be listed. A file that cannot
/// be read becomes a refusal.
pub fn plan(
    paths: &[PathBuf],
    settings: FileSettings,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Plan, Error> {
    let sized: Vec<(Candidate, u64)> = walk(paths)?
        .into_iter()
        .map(|candidate| {
            let bytes = candidate.path.metadata().map_or(0, |metadata| metadata.len());
            (candidate, bytes)
        })
        .collect();
    let total_bytes = sized.iter().map(|(_, bytes)| bytes).sum();
    let done = AtomicU64::new(0);
    let scans: Vec<Vec<FileScan>> = sized
        .par_iter()
        .map(|(candidate, bytes)| {
            let found = scan_members(candidate, *bytes, settings);
            let bytes = done.fetch_add(*bytes, Ordering::Relaxed) + bytes;
            progress(Progress { bytes, total_bytes });
            found
        })
        .collect();
    let mut plan = Plan {
        files: Vec::new(),
        refusals: Vec::new(),
        settings,
        skipped_files: Vec::new(),
        damaged_files: Vec::new(),
        total_bytes: 0,
        record_count: 0,
        networks: BTreeMap::new(),
    };
    for found in scans.into_iter().flatten() {
        plan.damaged_files.extend(found.damage());
        plan.refusals.extend(found.refusals);
        plan.skipped_files.extend(found.skipped);
        plan.record_count += found.record_count;
        for source in found.sources.iter().filter_map(|source| source.parse::<SourceId>().ok()) {
            let networks = plan.networks.entry(source.station().to_owned()).or_default();
            networks.insert(source.network().to_owned());
        }
        if let Some(file) = found.file {
            plan.total_bytes += found.bytes;
            plan.files.push(file);
        }
    }
    plan.files.sort_by_key(|file| file.first_start_ns);
    if settings.leaves_refusals_to_others() {
        plan.damaged_files.clear();
    }
    Ok(plan)
}

/// The file, or the members of an archive. Of an archive in a directory members that hold no record are passed over.
fn scan_members(candidate: &Candidate, bytes: u64, settings: FileSettings) -> Vec<FileScan> {
    match members(&candidate.path) {
        Ok(members) if members.is_empty() => {
            vec![FileScan::refused(candidate, "not miniSEED: the archive is empty".to_owned())]
        }
        Ok(members) => members.iter().map(|member| scan_member(candidate, member, bytes, settings)).collect(),
        Err(error) => vec![FileScan::refused(candidate, format!("the file cannot be read: {error}"))],
    }
}

fn scan_member(candidate: &Candidate, member: &Member, bytes: u64, settings: FileSettings) -> FileScan {
    let name: Arc<str> = member.name.as_str().into();
    let mut problems: Vec<(u64, u64, String)> = Vec::new();
    let (mut record_count, mut problem_count) = (0_u64, 0_usize);
    let (mut first_start_ns, mut last_start_ns, mut order) = (i64::MAX, i64::MIN, RecordOrder::ByStart);
    let mut first_source = String::new();
    let mut sources = HashSet::new();
    let scanned = scan(member, SCAN_CHUNK_BYTES, |scanned| match scanned {
        ScanItem::Record { record, .. } => {
            if record_count == 0 {
                record.source_id().clone_into(&mut first_source);
            }
            if !sources.contains(record.source_id()) && sources.len() < SOURCES_PER_FILE_MAX {
                sources.insert(record.source_id().to_owned());
            }
            record_count += 1;
            if last_start_ns > record.start_ns {
                order = RecordOrder::Mixed;
            }
            last_start_ns = record.start_ns;
            first_start_ns = first_start_ns.min(record.start_ns);
        }
        ScanItem::Problem { offset, length, reason } => {
            problem_count += 1;
            if problems.len() < settings.problems_per_file_max {
                problems.push((*offset, *length, reason.to_string()));
            }
        }
        ScanItem::ControlHeaders { .. } => {}
    });
    let mut found =
        FileScan { file: None, refusals: Vec::new(), skipped: None, bytes, record_count, sources };
    let refusal = |offset, length, reason| Refusal {
        bytes: read_at(member, offset, length, REFUSED_BYTES_MAX).unwrap_or_default(),
        reason,
        origin: Some(Arc::clone(&name)),
    };
    match scanned {
        Ok(_) if member.is_plain() => {}
        Ok(read_bytes) => {
            found.bytes = read_bytes;
            if order == RecordOrder::Mixed && read_bytes > HELD_BYTES_MAX {
                let reason = format!(
                    "packed, its records are not in the order of time, and it is larger than {} MB: unpack it first",
                    HELD_BYTES_MAX >> 20
                );
                return FileScan::refused(candidate, reason);
            }
        }
        // A packed file that breaks off would break off again when its records are read.
        Err(error) if !member.is_plain() => {
            return FileScan::refused(candidate, format!("the file cannot be read: {error}"));
        }
        Err(error) => found.refusals.push(refusal(0, 0, format!("the file cannot be read: {error}"))),
    }
    if record_count > 0 {
        let hidden = problem_count - problems.len();
        for (offset, length, reason) in problems {
            found.refusals.push(refusal(offset, length, format!("{reason} (at byte {offset})")));
        }
        if hidden > 0 {
            found.refusals.push(refusal(0, 0, format!("{hidden} more problems of this file are not listed")));
        }
        let member = member.clone();
        found.file = Some(PlannedFile { member, name, first_start_ns, first_source, order });
    } else if candidate.claims_to_hold_records() && found.refusals.is_empty() {
        let known = if bytes > 0 { (settings.recognise)(&member.head(RECOGNISED_BYTES)) } else { None };
        let reason = match (known, problems.first()) {
            (Some(what), _) => format!("not miniSEED: {what}"),
            (None, Some((offset, _, reason))) => format!("not miniSEED: {reason} (at byte {offset})"),
            (None, None) if bytes == 0 => "not miniSEED: the file is empty".to_owned(),
            (None, None) => "no data records in this file".to_owned(),
        };
        found.refusals.push(refusal(0, bytes, reason));
    } else if found.refusals.is_empty() {
        found.skipped = Some(candidate.path.clone());
    }
    found
}

impl FileScan {
    /// A file of which nothing can be used.
    fn refused(candidate: &Candidate, reason: String) -> Self {
        let origin: Arc<str> = candidate.path.display().to_string().into();
        let refusal = Refusal { bytes: Bytes::new(), reason, origin: Some(origin) };
        let (refusals, skipped) = match candidate.claims_to_hold_records() {
            true => (vec![refusal], None),
            false => (Vec::new(), Some(candidate.path.clone())),
        };
        Self { file: None, refusals, skipped, bytes: 0, record_count: 0, sources: HashSet::new() }
    }

    fn damage(&self) -> Option<DamagedFile> {
        let first = self.refusals.first()?;
        Some(DamagedFile {
            name: first.origin.clone().unwrap_or_default(),
            record_count: self.record_count,
            problem_count: self.refusals.len(),
            reason: first.reason.clone(),
        })
    }
}

impl Plan {
    /// Files with records.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// The same records file by file, day by day and channel by channel: for filling tables, where time need not move
    /// on for all stations together.
    pub fn sequence(self) -> FileSequence {
        FileSequence::new(self.refusals, self.files, self.settings)
    }

    /// The stream of everything planned.
    pub fn stream(mut self) -> FileStream {
        let share = self.settings.merge_bytes_max / self.files.len().max(1);
        let refusals = self.settings.refusals_of_share(std::mem::take(&mut self.refusals));
        FileStream {
            refusals: refusals.into_iter(),
            waiting: self.files.into_iter().peekable(),
            open: Vec::new(),
            heads: BinaryHeap::new(),
            chunk_bytes: share.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX),
            settings: self.settings,
            watermark: None,
            bytes: 0,
        }
    }
}

/// A record and the file it is in.
type RecordInFile = (RecordPlace, Option<Arc<str>>);

/// The merged stream; see [`Plan::stream`]. Reading blocks: call it from a thread that may.
#[derive(Debug)]
pub struct FileStream {
    refusals: std::vec::IntoIter<Refusal>,
    waiting: std::iter::Peekable<std::vec::IntoIter<PlannedFile>>,
    open: Vec<Option<(Cursor, Arc<str>)>>,
    /// The next record of each open file, with the file's index.
    heads: BinaryHeap<Reverse<(RecordPlace, usize)>>,
    chunk_bytes: usize,
    settings: FileSettings,
    watermark: Option<Timestamp>,
    bytes: u64,
}

impl FileStream {
    /// Bytes of records read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next offers, about `bytes_max` bytes of records; empty at the end.
    ///
    /// # Errors
    /// A file that was readable when it was scanned and is not any more.
    pub fn next_offers(&mut self, bytes_max: usize) -> Result<Vec<Offer>, Error> {
        let mut offers: Vec<Offer> = self.refusals.by_ref().map(Offer::Refused).collect();
        let mut taken = 0;
        while taken < bytes_max {
            let Some(together) = self.take_together()? else { break };
            for (found, origin) in together {
                taken += found.bytes.len();
                self.bytes += found.bytes.len() as u64;
                self.offer_watermark(found.start_ns, &mut offers);
                if self.settings.is_ours(&found.bytes) {
                    offers.push(Offer::Record(ReceivedRecord {
                        bytes: found.bytes,
                        arrival_time: None,
                        origin,
                    }));
                }
            }
        }
        Ok(offers)
    }

    /// All records of the earliest start, in the order of their bytes: a file's own order among them does not count. Of
    /// more than memory may hold, as many as it may: they are in order among themselves.
    fn take_together(&mut self) -> Result<Option<Vec<RecordInFile>>, Error> {
        let mut together: Vec<RecordInFile> = Vec::new();
        let mut byte_count = 0;
        while byte_count < self.settings.merge_bytes_max {
            self.open_due_files()?;
            let Some(Reverse((head, _))) = self.heads.peek() else { break };
            if together.first().is_some_and(|(first, _)| first.start_ns != head.start_ns) {
                break;
            }
            let Some(Reverse((found, index))) = self.heads.pop() else { break };
            let origin = self.open.get(index).and_then(Option::as_ref).map(|(_, name)| Arc::clone(name));
            byte_count += found.bytes.len();
            together.push((found, origin));
            self.advance(index)?;
        }
        together.sort();
        Ok((!together.is_empty()).then_some(together))
    }

    /// Opens every file whose first record may be the next one.
    fn open_due_files(&mut self) -> Result<(), Error> {
        loop {
            let next_ns = self.heads.peek().map(|Reverse((found, _))| found.start_ns);
            let due = |file: &PlannedFile| next_ns.is_none_or(|next_ns| file.first_start_ns <= next_ns);
            let Some(file) = self.waiting.next_if(|file| due(file)) else { return Ok(()) };
            let cursor = Cursor::open(&file.member, file.order, self.chunk_bytes)
                .map_err(|error| Error::io(format!("cannot read \"{}\"", file.name), error))?;
            self.open.push(Some((cursor, file.name)));
            self.advance(self.open.len() - 1)?;
        }
    }

    /// Puts the next record of a file among the heads, or closes the file.
    fn advance(&mut self, index: usize) -> Result<(), Error> {
        let Some(slot) = self.open.get_mut(index) else { return Ok(()) };
        let Some((cursor, name)) = slot else { return Ok(()) };
        match cursor.next().map_err(|error| Error::io(format!("cannot read \"{name}\""), error))? {
            Some(found) => self.heads.push(Reverse((found, index))),
            None => *slot = None,
        }
        Ok(())
    }

    /// Nothing that starts before the record at hand follows.
    fn offer_watermark(&mut self, start_ns: i64, offers: &mut Vec<Offer>) {
        let start = Timestamp::from_nanos(start_ns);
        let due =
            self.watermark.is_none_or(|last| start.seconds_since(last) >= self.settings.watermark_interval_s);
        if due {
            if self.watermark.is_some() {
                offers.push(Offer::Watermark(Watermark(start)));
            }
            self.watermark = Some(start);
        }
    }
}

impl FileSettings {
    /// What belongs to no station belongs to the first share.
    pub(super) fn refusals_of_share(&self, refusals: Vec<Refusal>) -> Vec<Refusal> {
        if self.leaves_refusals_to_others() { Vec::new() } else { refusals }
    }

    fn leaves_refusals_to_others(&self) -> bool {
        self.shard.is_some_and(|(share, _)| share != 1)
    }

    /// Whether the record belongs to the share of stations asked for.
    pub(super) fn is_ours(&self, bytes: &Bytes) -> bool {
        let Some((share, of)) = self.shard else { return true };
        let source_id =
            Record::parse(bytes).ok().and_then(|record| record.source_id().parse::<SourceId>().ok());
        // The high bits of the hash: the low ones choose the partition, and each share should fill all of them.
        let share_of = |source_id: SourceId| {
            (u64::from(crc32c::crc32c(source_id.station_key().as_bytes())) * u64::from(of)) >> 32
        };
        // What has no usable source is refused by the gate: one share takes it, so that it is refused once.
        source_id.map_or(share == 1, |source_id| share_of(source_id) + 1 == u64::from(share))
    }
}
