//! Tables that are kept up from another table: only what changed is made anew.
//!
//! ```text
//! files of the source that are newer than the last run ─► channels and days touched ─► caller makes their rows
//! day of the target: rows of other channels + new rows ─► one new file ┐
//! ... of every touched day                                            ├─► one commit: files in, files out, position
//! ```
//! The position is the sequence number of the source's snapshot, kept among the table properties like the offset of a
//! topic and checked in the same way: a run that was overtaken by another changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use iceberg::spec::{DataFile, Literal, ManifestContentType, Operation, PrimitiveLiteral};
use iceberg::table::Table;
use seislake_model::{ErrorKind, Offsets, SnapshotId, SourceId, Timestamp};
use seislake_tables::segments::names;
use seislake_tables::{TableBatch, TableDef};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::own;
use crate::sink::{Change, Replacement, commit, offsets, write_files};
use crate::tables::IcebergTable;

const DAY_NS: i64 = 86_400_000_000_000;
/// A sample may be due up to this long after its rounded time: rows may touch the day after.
const MARGIN_NS: i64 = 1_000_000_000;
/// A row that claims to be longer touches only this many days: its time is damaged.
const DAYS_A_ROW_MAX: i64 = 3660;
/// Where more channels of a day are touched, all are made anew.
const CHANNELS_A_DAY_MAX: usize = 100_000;
/// The source is one sequence of snapshots: partition 0 of a topic with its name.
const PARTITION: u32 = 0;

/// Which channels of a day were touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channels {
    /// All that have rows there.
    All,
    /// These.
    Some(BTreeSet<String>),
}

impl Channels {
    /// Whether a source id is among them.
    pub fn contains(&self, source_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(channels) => channels.contains(source_id),
        }
    }

    /// With all channels of the sensors to which these belong, as `FDSN:NET_STA_LOC_B_S`.
    fn instruments(&self) -> Self {
        let key =
            |id: &String| id.parse::<SourceId>().map_or(id.clone(), |id| id.instrument_key().to_owned());
        match self {
            Self::All => Self::All,
            Self::Some(channels) => Self::Some(channels.iter().map(key).collect()),
        }
    }

    fn insert(&mut self, source_id: &str) {
        let Self::Some(channels) = self else { return };
        if !channels.contains(source_id) {
            channels.insert(source_id.to_owned());
        }
        if channels.len() > CHANNELS_A_DAY_MAX {
            *self = Self::All;
        }
    }
}

/// One run over what changed; nothing is visible before [`Upkeep::commit`].
#[derive(Debug)]
pub struct Upkeep {
    lake: Lake,
    table: &'static TableDef,
    seen: Offsets,
    covered: Offsets,
    days: BTreeMap<i64, Channels>,
    /// The state of the target on which this run builds; `None`: it is empty.
    snapshot: Option<SnapshotId>,
    /// Data files of the target, by day since 1970.
    files: BTreeMap<i64, Vec<DataFile>>,
    added: Vec<DataFile>,
    removed: BTreeSet<String>,
}

impl Lake {
    /// What changed in `source` since `target` was last kept up from it. `source` has rows of channels by start (and
    /// end) time; `target` is partitioned by day. `None` where nothing changed.
    pub async fn upkeep(&self, target: &str, source: &str) -> Result<Option<Upkeep>> {
        let (table, source) = (self.defined(target)?, self.defined(source)?);
        let loaded = self.load(&table.ident()).await?;
        let seen = offsets(loaded.metadata());
        let position = seen.get(&source.full_name(), PARTITION);
        let newest = self.load(&source.ident()).await?;
        let Some(snapshot) = newest.metadata().current_snapshot() else { return Ok(None) };
        let sequence = u64::try_from(snapshot.sequence_number()).unwrap_or(0);
        if sequence <= position {
            return Ok(None);
        }
        let fresh = live_files(&newest, position).await?;
        let days = match position {
            0 => days_of_files(&fresh, source),
            _ => self.days_of_rows(&fresh, source, snapshot.snapshot_id()).await?,
        };
        let mut covered = Offsets::default();
        covered.set(&source.full_name(), PARTITION, sequence);
        let mut files: BTreeMap<i64, Vec<DataFile>> = BTreeMap::new();
        for file in live_files(&loaded, 0).await? {
            files.entry(partition_day(&file)?).or_default().push(file);
        }
        let (lake, added, removed) = (self.clone(), Vec::new(), BTreeSet::new());
        let snapshot = loaded.metadata().current_snapshot_id();
        Ok(Some(Upkeep { lake, table, seen, covered, days, snapshot, files, added, removed }))
    }

    /// Days and channels of the rows of some files.
    async fn days_of_rows(
        &self,
        files: &[DataFile],
        source: &TableDef,
        snapshot: SnapshotId,
    ) -> Result<BTreeMap<i64, Channels>> {
        let what = || format!("read the changes of table \"{}\"", source.full_name());
        let paths: HashSet<String> = files.iter().map(|file| file.file_path().to_owned()).collect();
        let mut days: BTreeMap<i64, Channels> = BTreeMap::new();
        if paths.is_empty() {
            return Ok(days);
        }
        let columns: &[&str] = match source.columns.iter().any(|column| column.name == names::end_ns) {
            true => &[names::source_id, names::start_ns, names::end_ns],
            false => &[names::source_id, names::start_ns],
        };
        let provider = self.files_provider(source, snapshot, paths).await?;
        let rows = SessionContext::new().read_table(provider).doing(what)?;
        let rows = rows.select_columns(columns).doing(what)?;
        let mut batches = rows.execute_stream().await.doing(what)?;
        while let Some(batch) = batches.try_next().await.doing(what)? {
            let sources = batch.column(0).as_string::<i32>();
            let starts = batch.column(1).as_primitive::<Int64Type>();
            let ends = batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                for day in days_between(starts.value(row), ends.value(row)) {
                    let channels = days.entry(day).or_insert_with(|| Channels::Some(BTreeSet::new()));
                    channels.insert(sources.value(row));
                }
            }
        }
        Ok(days)
    }
}

impl Upkeep {
    /// Touched days (first moment) and channels, oldest first.
    pub fn days(&self) -> impl Iterator<Item = (Timestamp, &Channels)> {
        self.days.iter().map(|(day, channels)| (Timestamp::from_nanos(day.saturating_mul(DAY_NS)), channels))
    }

    /// Puts the rows of a touched day in the place of those that its touched channels (and the channels of the new
    /// rows) had. `rows` must hold all rows of these channels on the day and none of another day. Nothing is kept in
    /// memory but the names of files.
    pub async fn replace_day(&mut self, day: Timestamp, rows: TableBatch) -> Result<()> {
        if rows.table != self.table {
            let message = format!("rows of \"{}\" for table \"{}\"", rows.table, self.table);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let day = day.nanos().div_euclid(DAY_NS);
        let Some(channels) = self.days.get(&day) else {
            let message = format!("day {day} of table \"{}\" was not touched", self.table.full_name());
            return Err(Error::new(ErrorKind::Internal, message));
        };
        let mut batches = self.kept(day, channels, &rows.rows).await?;
        batches.extend(rows.rows);
        batches.retain(|batch| batch.num_rows() > 0);
        if !batches.is_empty() {
            self.added.extend(write_files(&self.lake, self.table, &batches).await?);
        }
        let replaced = self.files.remove(&day).unwrap_or_default();
        self.removed.extend(replaced.iter().map(|file| file.file_path().to_owned()));
        Ok(())
    }

    /// Rows of a day's channels that were neither touched nor made.
    async fn kept(&self, day: i64, channels: &Channels, made: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        let what = || format!("read table \"{}\"", self.table.full_name());
        let files = self.files.get(&day).map(Vec::as_slice).unwrap_or_default();
        let snapshot = match self.snapshot {
            Some(snapshot) if !files.is_empty() && *channels != Channels::All => snapshot,
            _ => return Ok(Vec::new()),
        };
        let key = self.table.identity.first().copied().unwrap_or_default();
        let touched = if key == names::source_id { channels.clone() } else { channels.instruments() };
        let paths = files.iter().map(|file| file.file_path().to_owned()).collect();
        let provider = self.lake.files_provider(self.table, snapshot, paths).await?;
        let rows = SessionContext::new().read_table(provider).doing(what)?;
        let names = |batch: &RecordBatch| {
            let names = batch.column_by_name(key).map(|names| names.as_string::<i32>().clone());
            let table = self.table.full_name();
            names.ok_or_else(|| Error::new(ErrorKind::Internal, format!("table \"{table}\" has no key")))
        };
        let of_made = made.iter().map(names).collect::<Result<Vec<_>>>()?;
        let of_made: HashSet<&str> = of_made.iter().flat_map(|names| names.iter().flatten()).collect();
        let schema = self.table.arrow_schema();
        let mut kept = Vec::new();
        for batch in rows.collect().await.doing(what)? {
            let names = names(&batch)?;
            let other = |name: &str| !touched.contains(name) && !of_made.contains(name);
            let others: BooleanArray = (0..names.len()).map(|row| Some(other(names.value(row)))).collect();
            let batch = filter_record_batch(&batch, &others).doing(what)?;
            // The table as DataFusion sees it has other lists than the table as it is written.
            let columns = batch.columns().iter().zip(schema.fields());
            let columns = columns.map(|(column, field)| cast(column, field.data_type()).doing(what));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            kept.push(RecordBatch::try_new(Arc::clone(&schema), columns).doing(what)?);
        }
        Ok(kept)
    }

    /// Makes all replaced days visible in one snapshot, together with the position in the source. Returns the
    /// snapshot that is current then.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where another run or a compaction came first: nothing was changed, start anew.
    pub async fn commit(self) -> Result<Option<SnapshotId>> {
        let change = Change {
            table: self.table,
            files: self.added,
            replaced: Replacement::Files { paths: self.removed, operation: Operation::Overwrite },
            covered: &self.covered,
            seen: &self.seen,
        };
        Ok(commit(&self.lake, change).await?.snapshot())
    }
}

/// Live data files that came after a snapshot of the table.
async fn live_files(table: &Table, after: u64) -> Result<Vec<DataFile>> {
    let mut files = Vec::new();
    let newer = |sequence: i64| u64::try_from(sequence).unwrap_or(0) > after;
    let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(files) };
    for manifest in own::manifests(table, snapshot).await? {
        if manifest.content != ManifestContentType::Data || !newer(manifest.sequence_number) {
            continue;
        }
        let loaded = own::entries(table, &manifest).await?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            if newer(entry.sequence_number().unwrap_or(manifest.sequence_number)) {
                files.push(entry.data_file().clone());
            }
        }
    }
    Ok(files)
}

/// Days of files by their bounds, for the first run, which makes everything.
fn days_of_files(files: &[DataFile], source: &TableDef) -> BTreeMap<i64, Channels> {
    let bound = |bounds: &std::collections::HashMap<i32, iceberg::spec::Datum>, name: &str| {
        let column = source.columns.iter().find(|column| column.name == name)?;
        match bounds.get(&column.id)?.literal() {
            PrimitiveLiteral::Long(value) => Some(*value),
            _ => None,
        }
    };
    let mut days = BTreeMap::new();
    for file in files {
        let first = bound(file.lower_bounds(), names::start_ns);
        let last =
            bound(file.upper_bounds(), names::end_ns).or_else(|| bound(file.upper_bounds(), names::start_ns));
        let (Some(first), Some(last)) = (first, last) else { continue };
        days.extend(days_between(first, last).map(|day| (day, Channels::All)));
    }
    days
}

fn days_between(start_ns: i64, end_ns: i64) -> std::ops::RangeInclusive<i64> {
    let first = start_ns.div_euclid(DAY_NS);
    let last = end_ns.saturating_add(MARGIN_NS).div_euclid(DAY_NS);
    first..=last.min(first.saturating_add(DAYS_A_ROW_MAX)).max(first)
}

fn partition_day(file: &DataFile) -> Result<i64> {
    match file.partition().fields() {
        [Some(Literal::Primitive(PrimitiveLiteral::Int(day)))] => Ok(i64::from(*day)),
        _ => {
            let message = format!("data file \"{}\" is not of one day", file.file_path());
            Err(Error::new(ErrorKind::Internal, message))
        }
    }
}
