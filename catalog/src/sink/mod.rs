//! Rows into tables, exactly once.
//!
//! ```text
//! write(rows) ─► Arrow batches in memory ─► (limit) Parquet files ─┐
//! commit(offsets) ─────────────────────────► the rest as files ────┴─► one snapshot + offsets as table properties
//! ```
//!
//! A file is visible only through a snapshot: a process that dies between writing and committing leaves files that
//! nothing refers to, never rows. What could not be written or committed stays with the sink: the caller tries again. The offsets are checked in the same step that swaps the pointer.

mod append;
mod files;
mod manifests;
mod retention;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use iceberg::spec::{DataFile, TableMetadata};
use seislake_model::{ErrorKind, Offsets, SnapshotId};
use seislake_tables::{Sink, TableBatch, TableDef};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::tables::IcebergTable;

pub(crate) use append::{Change, CommitOutcome, Replacement, commit};
use append::{Leftovers, commit_again};
pub(crate) use files::{DataFileWriter, gathered_rows, sorted, write as write_files, writer_properties};
pub(crate) use retention::expired;

/// Prefix of the table properties that hold next offsets: `seislake.offset.<topic>.<partition>`.
const OFFSET_PROPERTY: &str = "seislake.offset.";
/// Below this a sink does not spill, however full the others are: tiny files help nobody.
const SPILL_BYTES_MIN: usize = 1 << 20;

/// Buffers the rows of one table and commits them with the offsets they cover.
pub(crate) struct TableSink {
    lake: Lake,
    table: &'static TableDef,
    /// Offsets of the table when this sink last looked: a rival that moved them since is a conflict.
    seen: Mutex<Offsets>,
    batches: Vec<RecordBatch>,
    batch_bytes: usize,
    /// Rows on their way to files while more are buffered; one such task at a time.
    spilling: Option<SpillState>,
    files: Vec<DataFile>,
    /// A commit of these files ended without telling how: they may be in the table.
    leftovers: Leftovers,
}

struct SpillState {
    task: JoinHandle<Result<Vec<DataFile>>>,
    /// What the files are made of, until they are there: no longer, for it is much memory.
    unwritten: Arc<Mutex<Vec<RecordBatch>>>,
    bytes: usize,
}

impl Lake {
    /// A sink into `namespace.table`.
    pub async fn sink(&self, table: &str) -> Result<Box<dyn Sink>> {
        let sink = TableSink::open(self.clone(), self.defined(table)?).await?;
        Ok(Box::new(sink))
    }
}

impl TableSink {
    pub(crate) async fn open(lake: Lake, table: &'static TableDef) -> Result<Self> {
        let loaded = lake.load(&table.ident()).await?;
        let seen = Mutex::new(offsets(loaded.metadata()));
        Ok(Self {
            lake,
            table,
            seen,
            batches: Vec::new(),
            batch_bytes: 0,
            spilling: None,
            files: Vec::new(),
            leftovers: Leftovers::Delete,
        })
    }

    /// Begins to write what is buffered to files, once the rows before are written.
    async fn spill(&mut self) -> Result<()> {
        self.spilled().await?;
        if self.batches.is_empty() {
            return Ok(());
        }
        let batches = std::mem::take(&mut self.batches);
        let bytes = std::mem::take(&mut self.batch_bytes);
        let (lake, table) = (self.lake.clone(), self.table);
        let unwritten = Arc::new(Mutex::new(batches.clone()));
        let kept = Arc::clone(&unwritten);
        let task = tokio::spawn(async move {
            let files = files::write(&lake, table, &batches).await?;
            kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
            Ok(files)
        });
        self.spilling = Some(SpillState { task, unwritten, bytes });
        Ok(())
    }

    /// Waits for the rows that are on their way to files. Those that did not get there are buffered again.
    async fn spilled(&mut self) -> Result<()> {
        let Some(spilling) = &mut self.spilling else { return Ok(()) };
        let written = (&mut spilling.task).await.unwrap_or_else(|error| {
            let message = format!("writing rows of \"{}\" broke off: {error}", self.table.full_name());
            Err(Error::new(ErrorKind::Internal, message))
        });
        let Some(SpillState { unwritten, bytes, .. }) = self.spilling.take() else { return Ok(()) };
        match written {
            Ok(files) => {
                self.lake.buffered().fetch_sub(bytes, Ordering::Relaxed);
                self.files.extend(files);
                Ok(())
            }
            Err(error) => {
                let mut batches =
                    std::mem::take(&mut *unwritten.lock().unwrap_or_else(PoisonError::into_inner));
                batches.append(&mut self.batches);
                self.batches = batches;
                self.batch_bytes += bytes;
                Err(error)
            }
        }
    }

    async fn push(&mut self, rows: TableBatch) -> Result<()> {
        if rows.table != self.table {
            let message = format!("rows of \"{}\" in a sink of \"{}\"", rows.table, self.table);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let mut bytes = 0;
        for batch in rows.rows.into_iter().filter(|batch| batch.num_rows() > 0) {
            bytes += batch.get_array_memory_size();
            self.batches.push(batch);
        }
        self.batch_bytes += bytes;
        let all = self.lake.buffered().fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limits = self.lake.write_settings();
        let crowded = all >= limits.buffer_bytes_max && self.batch_bytes >= SPILL_BYTES_MIN;
        if (crowded || self.batch_bytes >= limits.sink_bytes_max)
            && let Err(error) = self.spill().await
        {
            // The rows are taken all the same: the commit writes them, or fails and says why.
            tracing::debug!(table = %self.table.full_name(), %error, "rows could not be written yet");
        }
        Ok(())
    }

    async fn commit_rows(&mut self, covered: &Offsets) -> Result<Option<SnapshotId>> {
        self.spill().await?;
        self.spilled().await?;
        let seen = self.seen().clone();
        let change = Change {
            table: self.table,
            files: self.files.clone(),
            replaced: Replacement::Nothing,
            covered,
            seen: &seen,
        };
        let leftovers = std::mem::replace(&mut self.leftovers, Leftovers::Keep);
        let committed = commit_again(&self.lake, change, leftovers).await;
        // Where a rival moved the offsets, the files are gone.
        if committed.as_ref().map_or_else(|error| error.kind == ErrorKind::Conflict, |_| true) {
            self.files.clear();
            self.leftovers = Leftovers::Delete;
        }
        let committed = committed?;
        if let CommitOutcome::Before(_) = committed {
            tracing::info!(table = %self.table.full_name(), "offsets were committed before: rows dropped");
        }
        let mut seen = self.seen();
        for (topic, partitions) in &covered.0 {
            for (partition, next) in partitions {
                let next = (*next).max(seen.get(topic, *partition));
                seen.set(topic, *partition, next);
            }
        }
        Ok(committed.snapshot())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Offsets> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TableSink {
    fn drop(&mut self) {
        let mut bytes = self.batch_bytes;
        if let Some(spilling) = self.spilling.take() {
            spilling.task.abort();
            bytes += spilling.bytes;
        }
        self.lake.buffered().fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[async_trait]
impl Sink for TableSink {
    async fn committed(&self) -> Result<Offsets> {
        let table = self.lake.load(&self.table.ident()).await?;
        let offsets = offsets(table.metadata());
        // Without pending rows the caller starts anew from here.
        if self.batches.is_empty() && self.files.is_empty() && self.spilling.is_none() {
            *self.seen() = offsets.clone();
        }
        Ok(offsets)
    }

    async fn write(&mut self, rows: TableBatch) -> Result<()> {
        Ok(self.push(rows).await?)
    }

    async fn commit(&mut self, covered: &Offsets) -> Result<Option<SnapshotId>> {
        Ok(self.commit_rows(covered).await?)
    }
}

/// Next offsets that a table covers.
pub(crate) fn offsets(metadata: &TableMetadata) -> Offsets {
    let mut offsets = Offsets::default();
    for (key, value) in metadata.properties() {
        let parsed = key
            .strip_prefix(OFFSET_PROPERTY)
            .and_then(|name| name.rsplit_once('.'))
            .and_then(|(topic, partition)| Some((topic, partition.parse().ok()?, value.parse().ok()?)));
        if let Some((topic, partition, next)) = parsed {
            offsets.set(topic, partition, next);
        }
    }
    offsets
}

#[cfg(test)]
mod tests {
    use seislake_model::{DeadLetter, RecordPosition};

    use super::*;
    use crate::LakeSettings;

    #[tokio::test]
    async fn rows_are_held_until_they_are_in_files_and_no_longer() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        let settings = LakeSettings::new(place("warehouse").display().to_string(), place("catalog.sqlite"));
        let lake = Lake::open(settings).await.unwrap();
        let mut sink =
            TableSink::open(lake.clone(), lake.defined("stream.dead_letters").unwrap()).await.unwrap();
        let letter = DeadLetter {
            position: RecordPosition { topic: "t".into(), partition: 0, offset: 0 },
            index: 0,
            stage: "ingest".to_owned(),
            reason: "none".to_owned(),
            origin: None,
            record: vec![0; 100],
        };
        sink.push(TableBatch::of(vec![letter]).unwrap()).await.unwrap();
        sink.spill().await.unwrap();
        let spilling = sink.spilling.as_mut().unwrap();
        let rows = |spilling: &SpillState| spilling.unwritten.lock().unwrap().len();
        assert_eq!(rows(spilling), 1, "while the file is written");
        assert_eq!((&mut spilling.task).await.unwrap().unwrap().len(), 1);
        assert_eq!(rows(spilling), 0);
    }
}
