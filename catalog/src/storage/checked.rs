//! An object store that compares what it reads from the warehouse with the checksums in the files.
//!
//! Every reader (scans, compaction, Iceberg's metadata) goes through it, so nothing that is damaged is taken for data.
//! What was found damaged or missing is remembered, for `/readyz`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

use super::checksums::{self, Damage, FileSums, TRAILER_BYTES};
use super::leads_nowhere;
use crate::damaged::FileDamage;

/// Last bytes of a Parquet file read at first: mostly its footer and its sums.
const TAIL_BYTES: u64 = 64 << 10;
/// Sums kept in memory: 32 MB, those of 128 GB of data.
const SUMS_MAX: usize = 8 << 20;
/// Damaged files remembered.
const DAMAGES_MAX: usize = 64;
/// Bytes of a file that is read whole: lists of files have some megabytes.
const WHOLE_BYTES_MAX: u64 = 1 << 30;
/// By this name errors tell that a checksum was wrong.
const STORE: &str = "checksum";

/// How a file carries its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Parquet,
    Avro,
    Json,
    /// Not at all: original records, foreign files.
    Other,
}

impl Kind {
    pub(super) fn of(path: &Path) -> Self {
        match path.as_ref().rsplit_once('.').map(|(_, extension)| extension) {
            Some("parquet") => Self::Parquet,
            Some("avro") => Self::Avro,
            Some("json") => Self::Json,
            _ => Self::Other,
        }
    }
}

pub(super) struct CheckedStore {
    inner: Arc<dyn ObjectStore>,
    /// Of a local warehouse: a pipe in the place of a file would be read for ever.
    directory: Option<PathBuf>,
    known: Mutex<SumCache>,
    damages: Mutex<BTreeMap<String, Wrong>>,
    /// Whether what is found is remembered.
    remembers: bool,
}

/// What is wrong with a file.
#[derive(Clone, Debug)]
struct Wrong {
    what: String,
    /// One that is not there may have been let go: it is told of when it is known to be needed.
    is_told: bool,
}

/// Sums of Parquet files looked at, whose contents never change; `None` for those without.
#[derive(Default)]
struct SumCache {
    files: HashMap<Path, Option<(Arc<FileSums>, ObjectMeta)>>,
    sum_count: usize,
}

impl fmt::Debug for CheckedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Display for CheckedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl CheckedStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let (known, damages) = (Mutex::default(), Mutex::default());
        Self { inner, directory: None, known, damages, remembers: true }
    }

    /// The same files, and nothing found in them is remembered.
    pub(super) fn unremembered(&self) -> Self {
        Self { directory: self.directory.clone(), remembers: false, ..Self::new(Arc::clone(&self.inner)) }
    }

    /// The same over a directory of this machine.
    pub(super) fn over(inner: Arc<dyn ObjectStore>, directory: PathBuf) -> Self {
        Self { directory: Some(directory), ..Self::new(inner) }
    }

    /// Refuses what is no file, and files that are read whole and longer than any of ours.
    fn refuse_strange(&self, path: &Path) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let metadata = match std::fs::metadata(directory.join(path.as_ref())) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound && leads_nowhere(&error) => {
                return Err(self.damaged(path, Damage::Strange));
            }
            // What is not there is told by the store.
            Err(_) => return Ok(()),
        };
        let too_long = matches!(Kind::of(path), Kind::Avro | Kind::Json) && metadata.len() > WHOLE_BYTES_MAX;
        match metadata.is_file() && !too_long {
            true => Ok(()),
            false => Err(self.damaged(path, Damage::Strange)),
        }
    }

    /// Files found damaged or missing so far, with what is wrong.
    pub(super) fn damages(&self) -> BTreeMap<String, String> {
        self.lock_damages().iter().map(|(path, wrong)| (path.clone(), wrong.what.clone())).collect()
    }

    fn lock_damages(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Wrong>> {
        self.damages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody needs the file any more.
    pub(super) fn forget_damage(&self, path: &str) {
        self.lock_damages().remove(path);
    }

    /// A file that is not there is needed: that is told.
    pub(super) fn confirm_missing(&self, path: &str) {
        if let Some(wrong) = self.lock_damages().get_mut(path).filter(|wrong| !wrong.is_told) {
            wrong.is_told = true;
            tell(path, &wrong.what);
        }
    }

    fn note(&self, path: &Path, wrong: Wrong) {
        let mut damages = self.lock_damages();
        if !self.remembers || damages.len() >= DAMAGES_MAX || damages.contains_key(path.as_ref()) {
            return;
        }
        if wrong.is_told {
            tell(path.as_ref(), &wrong.what);
        }
        damages.insert(path.to_string(), wrong);
    }

    /// Remembers a file that is not there, whoever looked for it.
    fn noted<T>(&self, path: &Path, got: Result<T>) -> Result<T> {
        if let Err(object_store::Error::NotFound { .. }) = &got
            && Kind::of(path) != Kind::Other
        {
            self.note(path, Wrong { what: "it is not there".to_owned(), is_told: false });
        }
        got
    }

    /// Remembers what others found.
    pub(super) fn remember(&self, found: &FileDamage) {
        self.note(found.path(), Wrong { what: found.damage().to_owned(), is_told: true });
    }

    fn damaged(&self, path: &Path, damage: Damage) -> object_store::Error {
        self.note(path, Wrong { what: damage.to_string(), is_told: true });
        let source = Box::new(FileDamage::new(path.clone(), damage.to_string()));
        object_store::Error::Generic { store: STORE, source }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SumCache> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of a Parquet file.
    async fn sealed(&self, path: &Path) -> Result<Option<(Arc<FileSums>, ObjectMeta)>> {
        if let Some(known) = self.lock().files.get(path) {
            return Ok(known.clone());
        }
        let tail = GetOptions::new().with_range(Some(GetRange::Suffix(TAIL_BYTES)));
        let got = self.inner.get_opts(path, tail).await?;
        let meta = got.meta.clone();
        let tail = got.bytes().await?;
        let found = self.parse(path, &meta, tail).await?;
        let mut known = self.lock();
        if known.sum_count > SUMS_MAX {
            *known = SumCache::default();
        }
        known.sum_count += found.as_ref().map_or(1, |sealed| sealed.count());
        let found = found.map(|sealed| (Arc::new(sealed), meta));
        known.files.insert(path.clone(), found.clone());
        Ok(found)
    }

    async fn parse(&self, path: &Path, meta: &ObjectMeta, tail: Bytes) -> Result<Option<FileSums>> {
        let refuse = |damage| self.damaged(path, damage);
        let footer = checksums::footer_start(meta.size, &tail).map_err(refuse)?;
        let tail = self.tail_from(path, meta.size, tail, footer.saturating_sub(TRAILER_BYTES)).await?;
        let Some(section) = checksums::section_start(meta.size, footer, &tail).map_err(refuse)? else {
            return Ok(None);
        };
        let tail = self.tail_from(path, meta.size, tail, section).await?;
        let tail = tail.slice(tail.len().saturating_sub((meta.size - section) as usize)..);
        FileSums::parse(meta.size, footer, &tail).map(Some).map_err(refuse)
    }

    /// The last bytes of a file from `from` on or earlier.
    async fn tail_from(&self, path: &Path, size: u64, tail: Bytes, from: u64) -> Result<Bytes> {
        if from >= size - tail.len() as u64 {
            return Ok(tail);
        }
        self.inner.get_range(path, from..size).await
    }

    /// Ranges of a Parquet file, each block around them compared with its sum.
    async fn checked_ranges(
        &self,
        path: &Path,
        sealed: &FileSums,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let around: Vec<Range<u64>> = ranges.iter().map(|range| sealed.around(range)).collect();
        let merged = merged(around.clone());
        let read = self.inner.get_ranges(path, &merged).await?;
        for (range, bytes) in merged.iter().zip(&read) {
            sealed.check(range.start, bytes).map_err(|damage| self.damaged(path, damage))?;
        }
        let cut = |(range, around): (&Range<u64>, &Range<u64>)| {
            let place = merged.partition_point(|merged| merged.start <= around.start).saturating_sub(1);
            let begin = merged.get(place).map_or(0, |merged| merged.start);
            let bytes = read.get(place).cloned().unwrap_or_default();
            let first = ((range.start - begin) as usize).min(bytes.len());
            let last = ((range.end - begin) as usize).min(bytes.len());
            bytes.slice(first..last)
        };
        Ok(ranges.iter().zip(&around).map(cut).collect())
    }

    /// A Parquet file, or a part of it.
    async fn get_parquet(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let Some((sealed, meta)) = self.sealed(path).await? else {
            return self.inner.get_opts(path, options).await;
        };
        let range = match &options.range {
            Some(range) => range
                .as_range(sealed.size())
                .map_err(|source| object_store::Error::Generic { store: STORE, source: Box::new(source) })?,
            None => 0..sealed.size(),
        };
        let bytes = self.checked_ranges(path, &sealed, std::slice::from_ref(&range)).await?;
        Ok(whole(bytes.into_iter().next().unwrap_or_default(), meta, range))
    }

    /// A file that is read whole.
    async fn get_whole(
        &self,
        path: &Path,
        options: GetOptions,
        check: fn(&[u8]) -> std::result::Result<(), Damage>,
    ) -> Result<GetResult> {
        let got = self.inner.get_opts(path, options).await?;
        let meta = got.meta.clone();
        let bytes = got.bytes().await?;
        check(&bytes).map_err(|damage| self.damaged(path, damage))?;
        let range = 0..bytes.len() as u64;
        Ok(whole(bytes, meta, range))
    }
}

fn tell(path: &str, what: &str) {
    metrics::counter!("seislake_damaged_files_total").increment(1);
    tracing::error!(file = path, what, "a file of the warehouse cannot be used");
}

fn whole(bytes: Bytes, meta: ObjectMeta, range: Range<u64>) -> GetResult {
    let payload = GetResultPayload::Stream(futures::stream::once(async { Ok(bytes) }).boxed());
    GetResult { payload, meta, range, attributes: Default::default() }
}

/// The ranges in order, those that meet as one.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn is_of_link_to_nothing(error: &object_store::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(leads_nowhere))
}

#[async_trait]
impl ObjectStore for CheckedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.refuse_strange(location)?;
        if options.head {
            return self.inner.get_opts(location, options).await;
        }
        let got = match Kind::of(location) {
            Kind::Parquet => self.get_parquet(location, options).await,
            Kind::Avro if options.range.is_none() => {
                self.get_whole(location, options, checksums::check_avro).await
            }
            Kind::Json if options.range.is_none() => {
                self.get_whole(location, options, checksums::check_json).await
            }
            Kind::Avro | Kind::Json | Kind::Other => self.inner.get_opts(location, options).await,
        };
        self.noted(location, got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.refuse_strange(location)?;
        let got = async {
            if Kind::of(location) != Kind::Parquet {
                return self.inner.get_ranges(location, ranges).await;
            }
            match self.sealed(location).await? {
                Some((sealed, _)) => self.checked_ranges(location, &sealed, ranges).await,
                None => self.inner.get_ranges(location, ranges).await,
            }
        };
        self.noted(location, got.await)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        // A link to nothing is no file: who needs one is told when it is read.
        let is_file = |found: &Result<ObjectMeta>| !found.as_ref().is_err_and(is_of_link_to_nothing);
        self.inner.list(prefix).filter(move |found| std::future::ready(is_file(found))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
