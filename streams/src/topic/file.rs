//! The embedded log: segment files `<directory>/<topic>/<partition>/<base offset>.log` and `<topic>/topic.json`.
//!
//! One writer at a time per partition; an append is written and synced before the next begins, and is visible to
//! readers only then. One process owns the directory (the binary holds the lock).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use seislake_model::{ErrorKind, Offset};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::batch::{BatchPlace, HEADER_BYTES};
use super::recent::{Append, Recent};
use super::segment::{Segment, file_name, misplaced};
use super::{
    AppendPlace, Durability, LogSettings, NewRecord, Record, Topic, Watermarks, batch, beyond_end,
    check_append, no_partition, push_lost, wait_beyond,
};
use crate::error::Cause;
use crate::replace::replace;
use crate::{Error, database};

/// Partitions that a topic may have: twice what settings allow, and room for its dead letters.
pub(super) const PARTITIONS_MAX: u32 = 512;
/// Bytes of a small file of the log that are read.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;
const TOPIC_FILE_VERSION: u32 = 1;

/// What `topic.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct TopicFile {
    version: u32,
    partitions: u32,
    /// Checksum of the number of partitions; absent in files of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<u32>,
}

impl TopicFile {
    fn of(partitions: u32) -> Self {
        Self {
            version: TOPIC_FILE_VERSION,
            partitions,
            checksum: Some(crc32c::crc32c(&partitions.to_le_bytes())),
        }
    }

    /// The number of partitions, where it can be believed beside the folders that are there.
    fn believed(&self, folders: &[u32]) -> Option<u32> {
        let Self { version, partitions, checksum } = self;
        let found = folders.last().map_or(0, |last| last + 1);
        let possible = *version == TOPIC_FILE_VERSION && (1..=PARTITIONS_MAX).contains(partitions);
        let confirmed = match checksum {
            Some(checksum) => *checksum == crc32c::crc32c(&partitions.to_le_bytes()),
            // All folders are made with the topic.
            None => found == 0 || found == *partitions,
        };
        (possible && confirmed).then_some(*partitions)
    }
}

/// Number of partitions of the topic kept in `directory`; `None` where there is none. Where `topic.json` is lost or cannot
/// be believed, the folders of the partitions tell.
pub(super) fn stored_partitions(directory: &Path) -> Result<Option<u32>, Error> {
    if let Some(told) = told_partitions(directory)? {
        return Ok(Some(told));
    }
    let found = partition_folders(directory)?.last().map(|last| last + 1);
    if found.is_some() {
        tracing::warn!(
            topic = %directory.display(), partitions = found,
            "the file that says how many partitions a topic has is lost or damaged: its folders are counted"
        );
    }
    Ok(found)
}

/// What `topic.json` says; `None` where it is lost, damaged, or says what cannot be.
pub(super) fn told_partitions(directory: &Path) -> Result<Option<u32>, Error> {
    let Some(text) = small_file(&directory.join("topic.json"))? else { return Ok(None) };
    let Ok(file) = serde_json::from_slice::<TopicFile>(&text) else { return Ok(None) };
    Ok(file.believed(&partition_folders(directory)?))
}

/// The contents of a small file; `None` where it is not there, or is none of ours by its size.
pub(super) fn small_file(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let context = |e| Error::io(format!("read \"{}\"", path.display()), e);
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(context(error)),
    };
    let mut text = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(context)?;
    Ok((text.len() as u64 <= SMALL_FILE_BYTES_MAX).then_some(text))
}

/// Numbers of the partitions that have a folder, smallest first.
pub(super) fn partition_folders(directory: &Path) -> Result<Vec<u32>, Error> {
    let context = |e| Error::io(format!("list topic directory \"{}\"", directory.display()), e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(context(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(context)?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        // Other spellings of a number are no folders of ours, and numbers beyond all partitions neither.
        numbers.extend(
            number.filter(|number| {
                *number < PARTITIONS_MAX && name.to_str() == Some(number.to_string().as_str())
            }),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn store_partitions(directory: &Path, partitions: u32) -> Result<(), Error> {
    let path = directory.join("topic.json");
    let temporary = directory.join("topic.json.new");
    let text = serde_json::to_vec(&TopicFile::of(partitions))
        .map_err(|e| Error::caused(ErrorKind::Internal, "encode topic.json", e))?;
    replace(&path, &temporary, &text)
        .map_err(|e| Error::io(format!("create topic \"{}\"", directory.display()), e))
}

/// Makes the folders of partitions that are not there.
fn create_folders(directory: &Path, partitions: u32) -> Result<(), Error> {
    let folders = (0..partitions).map(|partition| directory.join(partition.to_string()));
    let missing: Vec<PathBuf> = folders.filter(|folder| !folder.is_dir()).collect();
    for folder in &missing {
        fs::create_dir_all(folder)
            .map_err(|e| Error::io(format!("open log partition \"{}\"", folder.display()), e))?;
    }
    if missing.is_empty() { Ok(()) } else { sync_directory(directory) }
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), Error> {
    fs::File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|e| Error::io(format!("sync directory \"{}\"", directory.display()), e))
}

/// First offsets of the segment files in a directory, smallest first.
pub(super) fn segment_bases(directory: &Path) -> Result<Vec<Offset>, Error> {
    let context = |e| Error::io(format!("open log partition \"{}\"", directory.display()), e);
    let mut bases = Vec::new();
    for entry in fs::read_dir(directory).map_err(context)? {
        let name = entry.map_err(context)?.file_name();
        let name = name.to_str().unwrap_or_default();
        let base = name.strip_suffix(".log").and_then(|base| base.parse().ok());
        bases.extend(base.filter(|base| file_name(*base) == name));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// First offsets of the segments that belong to `place`. Others are set aside: their records are those of another
/// partition, or of other offsets, and a repair puts them back.
fn bases_in_place(directory: &Path, place: BatchPlace) -> Result<Vec<Offset>, Error> {
    let mut bases = segment_bases(directory)?;
    let mut kept = Vec::with_capacity(bases.len());
    for base in bases.drain(..) {
        let path = directory.join(file_name(base));
        if misplaced(&path, place, base)?.is_none() {
            kept.push(base);
            continue;
        }
        let aside = database::free_name(&path.with_extension(MISPLACED))?;
        tracing::warn!(
            segment = %path.display(), kept = %aside.display(),
            "a log segment lies in the wrong place: its records are not read; `seislake home repair` puts it back"
        );
        fs::rename(&path, &aside)
            .map_err(|e| Error::io(format!("set log segment \"{}\" aside", path.display()), e))?;
        sync_directory(directory)?;
    }
    Ok(kept)
}

/// Ending of segments that were set aside because they belong elsewhere.
pub(super) const MISPLACED: &str = "log.misplaced";

/// A topic of the embedded log.
#[derive(Debug)]
pub struct FileTopic {
    name: String,
    partitions: Vec<Arc<Partition>>,
}

impl FileTopic {
    /// Opens the topic under `directory/<name>`, creating it with `partitions` where it does not exist yet; one that
    /// exists keeps its number of partitions. A torn last append is cut off.
    pub fn open(directory: &Path, name: &str, partitions: u32, settings: LogSettings) -> Result<Self, Error> {
        let directory = directory.join(name);
        fs::create_dir_all(&directory)
            .map_err(|e| Error::io(format!("create topic directory \"{}\"", directory.display()), e))?;
        let count = stored_partitions(&directory)?.unwrap_or(partitions);
        if told_partitions(&directory)?.is_none() {
            store_partitions(&directory, count)?;
        }
        create_folders(&directory, count)?;
        let recent = Arc::new(Mutex::new(Recent::new(count as usize, settings.recent_bytes)));
        let partitions = (0..count)
            .map(|partition| {
                let place = BatchPlace::of(name, partition);
                let directory = directory.join(partition.to_string());
                let recent = Arc::clone(&recent);
                Partition::open(directory, partition as usize, place, settings, recent).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), partitions })
    }

    fn partition(&self, partition: u32) -> Result<&Arc<Partition>, Error> {
        self.partitions.get(partition as usize).ok_or_else(|| no_partition(&self.name, partition))
    }
}

#[async_trait]
impl Topic for FileTopic {
    fn name(&self) -> &str {
        &self.name
    }

    fn partitions(&self) -> u32 {
        self.partitions.len() as u32
    }

    async fn append(&self, partition: u32, records: Vec<NewRecord>) -> Result<AppendPlace, Error> {
        check_append(&self.name, &records)?;
        let partition = Arc::clone(self.partition(partition)?);
        tokio::task::spawn_blocking(move || partition.append(&records)).await.map_err(Error::task)?
    }

    async fn read(
        &self,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<Vec<Record>, Error> {
        let kept = Arc::clone(self.partition(partition)?);
        let end = *kept.end.borrow();
        if from > end {
            return Err(beyond_end(&self.name, partition, from, end));
        }
        if !wait_beyond(kept.end.subscribe(), from, wait).await {
            return Ok(Vec::new());
        }
        tokio::task::spawn_blocking(move || kept.read(from, bytes_max)).await.map_err(Error::task)?
    }

    async fn continue_at(&self, partition: u32, offset: Offset) -> Result<(), Error> {
        let partition = Arc::clone(self.partition(partition)?);
        tokio::task::spawn_blocking(move || partition.continue_at(offset)).await.map_err(Error::task)?
    }

    fn watermarks(&self, partition: u32) -> Result<Watermarks, Error> {
        let partition = self.partition(partition)?;
        Ok(Watermarks { start: partition.start(), end: *partition.end.borrow() })
    }

    fn ends(&self, partition: u32) -> Result<watch::Receiver<Offset>, Error> {
        Ok(self.partition(partition)?.end.subscribe())
    }
}

#[derive(Debug)]
struct Partition {
    directory: PathBuf,
    number: usize,
    place: BatchPlace,
    settings: LogSettings,
    /// Held while an append is written and synced.
    writer: Mutex<()>,
    segments: RwLock<Vec<Segment>>,
    /// Of the topic.
    recent: Arc<Mutex<Recent>>,
    end: watch::Sender<Offset>,
}

impl Partition {
    fn open(
        directory: PathBuf,
        number: usize,
        place: BatchPlace,
        settings: LogSettings,
        recent: Arc<Mutex<Recent>>,
    ) -> Result<Self, Error> {
        let bases = bases_in_place(&directory, place)?;
        let mut segments: Vec<Segment> = Vec::new();
        for (index, base) in bases.iter().enumerate() {
            let path = directory.join(file_name(*base));
            segments.push(match bases.get(index + 1) {
                Some(until) => Segment::sealed(path, place, *base, *until),
                None => Segment::open_last(&path, place, *base)?,
            });
        }
        let end = watch::Sender::new(segments.last().map_or(0, Segment::next));
        Ok(Self {
            directory,
            number,
            place,
            settings,
            writer: Mutex::default(),
            segments: RwLock::new(segments),
            recent,
            end,
        })
    }

    fn start(&self) -> Offset {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).first().map_or(0, Segment::base)
    }

    fn append(&self, records: &[NewRecord]) -> Result<AppendPlace, Error> {
        let durable = self.settings.durability == Durability::EveryAppend;
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let base = *self.end.borrow();
        if records.is_empty() {
            return Ok(AppendPlace { base, next: base, durable });
        }
        let encoded = Bytes::from(batch::encode(self.place, base, records));
        self.roll(base)?;
        let header = {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let segment =
                segments.last_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "no open segment"))?;
            segment.write(&encoded)?
        };
        if durable && let Err(error) = self.sync() {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(segment) = segments.last_mut() {
                segment.take_back(base, encoded.len() as u64)?;
            }
            return Err(error);
        }
        self.recent().add(self.number, header, encoded.slice(HEADER_BYTES..));
        let next = header.next();
        self.end.send_replace(next);
        Ok(AppendPlace { base, next, durable })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self) -> Result<(), Error> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.last().map_or(Ok(()), Segment::sync)
    }

    /// Begins a new segment where there is none or the last is full.
    fn roll(&self, base: Offset) -> Result<(), Error> {
        let full = |segment: &Segment| segment.byte_count() >= self.settings.segment_bytes;
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        if segments.last().is_none_or(full) {
            self.begin_segment(&mut segments, base)?;
        }
        Ok(())
    }

    fn begin_segment(&self, segments: &mut Vec<Segment>, base: Offset) -> Result<(), Error> {
        let segment = Segment::create(&self.directory, self.place, base)?;
        if self.settings.durability == Durability::EveryAppend {
            sync_directory(&self.directory)?;
        }
        if let Some(last) = segments.last_mut() {
            last.seal(base);
        }
        segments.push(segment);
        Ok(())
    }

    fn continue_at(&self, offset: Offset) -> Result<(), Error> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.end.borrow() >= offset {
            return Ok(());
        }
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        self.begin_segment(&mut segments, offset)?;
        drop(segments);
        self.end.send_replace(offset);
        Ok(())
    }

    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let end = *self.end.borrow();
        let recent = self.recent().since(self.number, from, bytes_max);
        let mut records = match recent {
            Some(appends) => self.decode(from, appends)?,
            None => self.read_files(from, bytes_max)?,
        };
        // What is written but not yet synced is not there yet.
        records.truncate(end.saturating_sub(from) as usize);
        if records.first().is_some_and(|record| record.offset != from) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("log partition \"{}\" begins behind offset {from}", self.directory.display()),
            ));
        }
        Ok(records)
    }

    fn decode(&self, from: Offset, appends: Vec<Append>) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        for (header, body) in appends {
            batch::decode(&header, body, from, &mut records).ok_or_else(|| {
                let message = format!("an append to \"{}\" changed in memory", self.directory.display());
                Error::new(ErrorKind::Internal, message)
            })?;
        }
        Ok(records)
    }

    fn read_files(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Error> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut read_bytes = 0;
        let start = segments.first().map_or(from, Segment::base);
        if from < start {
            read_bytes += push_lost(&mut records, from, start);
        }
        let next_of = |records: &[Record]| records.last().map_or(from, |record| record.offset + 1);
        let first = segments.partition_point(|segment| segment.next() <= from);
        for segment in segments.get(first..).unwrap_or_default() {
            let next = next_of(&records);
            let enough = read_bytes >= bytes_max && !records.is_empty();
            if enough || next < segment.base() {
                break;
            }
            read_bytes += segment.read(next, bytes_max - read_bytes.min(bytes_max), &mut records)?;
            if next_of(&records) < segment.next() {
                break;
            }
        }
        Ok(records)
    }
}
