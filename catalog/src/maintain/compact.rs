//! Compaction: the small files of a partition become a few large ones, sorted over all of them.
//!
//! ```text
//! live files ─ by partition ─ small ones ─► keys only: which rows of which file hold which source
//!            └► ranges of sources, a chunk of memory each ─► read, sort, join pieces ─► files of the target size
//! one commit takes the old files out and puts the new ones in; it fails if any of the old ones is gone
//! ```
//! Rows appended meanwhile stay as they are. Offsets of the table are not touched. Memory is bounded by
//! [`CHUNK_BYTES`] of compressed rows for each file written at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast, interleave_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{DataFile, Operation, Struct};
use iceberg::table::Table;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::file::properties::WriterProperties;
use seislake_model::{ErrorKind, Offsets};
use seislake_tables::{ColumnType, SortBy, TableDef, segments};
use serde::Serialize;

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::own::OwnColumns;
use crate::sink::{Change, DataFileWriter, Replacement, commit, gathered_rows, sorted, writer_properties};
use crate::tables::IcebergTable;

/// Compressed rows sorted in memory at a time, for each file that is being written.
const CHUNK_BYTES: u64 = 8 << 20;
/// Rows read at a time.
const READ_ROWS: usize = 1024;
/// Columns of floats are checked for NaN by their counts in the manifests; without counts they may hold one.
const NO_NAN: u64 = 0;

/// What to compact.
#[derive(Clone, Copy, Debug)]
pub struct CompactSettings {
    /// Size of the files to be made, bytes; files of at least half of it are left as they are.
    pub target_bytes: u64,
    /// A partition with fewer small files than this is left as it is.
    pub files_min: usize,
    /// Rewrite large files too.
    pub everything: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self { target_bytes: 128 << 20, files_min: 4, everything: false, dry_run: false }
    }
}

/// What became of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// `namespace.table`.
    pub table: String,
    /// Partitions rewritten.
    pub partitions: usize,
    /// Files taken out.
    pub files_before: usize,
    /// Files put in; 0 in a dry run.
    pub files_after: usize,
    /// Bytes taken out.
    pub bytes_before: u64,
    /// Bytes put in; 0 in a dry run.
    pub bytes_after: u64,
    /// Rows taken out.
    pub rows_before: u64,
    /// Rows put in: fewer where pieces were joined; 0 in a dry run.
    pub rows_after: u64,
}

/// Rows of one file that belong to one chunk.
#[derive(Clone, Debug)]
struct Piece {
    file: usize,
    rows: Range<usize>,
}

/// What is read, sorted and written at a time.
#[derive(Debug, Default)]
struct Chunk {
    pieces: Vec<Piece>,
    bytes: u64,
}

impl Lake {
    /// Compacts `namespace.table`, one commit per partition.
    ///
    /// # Errors
    /// `NotFound` for a table that is none of ours; `Conflict` where somebody else rewrote the same files meanwhile;
    /// `Invalid` while its files hold a newer state than the catalog points to.
    pub async fn compact(&self, table: &str, settings: CompactSettings) -> Result<CompactReport> {
        let table = self.defined(table)?;
        let mut report = CompactReport { table: table.full_name(), ..CompactReport::default() };
        let crowded = self.crowded_partitions(table, settings).await?;
        if !crowded.is_empty() {
            // Its commits would take the numbers by which a repair knows that a state is newer.
            self.require_nothing_hidden(&[table]).await?;
        }
        for (partition, files) in crowded {
            report.partitions += 1;
            report.files_before += files.len();
            report.bytes_before += files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
            report.rows_before += files.iter().map(DataFile::record_count).sum::<u64>();
            if settings.dry_run {
                continue;
            }
            let paths = files.iter().map(|file| file.file_path().to_owned()).collect();
            let written = self.rewrite(table, partition, files, settings.target_bytes).await?;
            report.files_after += written.len();
            report.bytes_after += written.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
            report.rows_after += written.iter().map(DataFile::record_count).sum::<u64>();
            let none = Offsets::default();
            let replaced = Replacement::Files { paths, operation: Operation::Replace };
            commit(self, Change { table, files: written, replaced, covered: &none, seen: &none }).await?;
        }
        Ok(report)
    }

    /// Files to compact, by partition.
    async fn crowded_partitions(
        &self,
        table: &'static TableDef,
        settings: CompactSettings,
    ) -> Result<Vec<(Struct, Vec<DataFile>)>> {
        let loaded = self.load(&table.ident()).await?;
        let spec_id = loaded.metadata().default_partition_spec_id();
        let mut partitions = BTreeMap::<String, (Struct, Vec<DataFile>)>::new();
        for (file_spec_id, file) in self.data_files(&loaded).await? {
            let small = settings.everything || file.file_size_in_bytes() < settings.target_bytes / 2;
            if small && file_spec_id == spec_id {
                let key = format!("{:?}", file.partition());
                let (_, files) =
                    partitions.entry(key).or_insert_with(|| (file.partition().clone(), Vec::new()));
                files.push(file);
            }
        }
        let crowded = partitions.into_values().filter(|(_, files)| {
            let files_min = if settings.everything { 1 } else { settings.files_min.max(2) };
            files.len() >= files_min
        });
        Ok(crowded.collect())
    }

    /// Live files of the current snapshot, each with the id of its partition spec.
    pub(crate) async fn data_files(&self, table: &Table) -> Result<Vec<(i32, DataFile)>> {
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(Vec::new()) };
        let (mut files, catalog) = (Vec::new(), self.catalog());
        let warehouse = catalog.warehouse();
        for manifest in self.manifests().list(warehouse, table, snapshot).await?.iter() {
            let live = self.manifests().files(warehouse, table, manifest).await?;
            files.extend(live.iter().map(|file| (manifest.partition_spec_id, file.clone())));
        }
        Ok(files)
    }

    /// Bytes of the data files of the current snapshot of `namespace.table`.
    pub async fn stored_bytes(&self, table: &str) -> Result<u64> {
        let loaded = self.load(&self.defined(table)?.ident()).await?;
        Ok(self.data_files(&loaded).await?.iter().map(|(_, file)| file.file_size_in_bytes()).sum())
    }

    async fn rewrite(
        &self,
        table: &'static TableDef,
        partition: Struct,
        files: Vec<DataFile>,
        target_bytes: u64,
    ) -> Result<Vec<DataFile>> {
        let loaded = self.load(&table.ident()).await?;
        let nan_free: BTreeSet<i32> = table
            .columns
            .iter()
            .map(|column| column.id)
            .filter(|id| files.iter().all(|file| file.nan_value_counts().get(id) == Some(&NO_NAN)))
            .collect();
        let nan = |name: &str| {
            table.columns.iter().any(|column| column.name == name && !nan_free.contains(&column.id))
        };
        let properties = writer_properties(table, nan, self.write_settings().compacted_zstd_level)?;
        let rewriter = Arc::new(Rewriter { lake: self.clone(), loaded, table, partition, files, properties });
        let outputs = rewriter.plan(target_bytes).await?;
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        let written: Vec<Vec<DataFile>> = stream::iter(outputs)
            .map(|chunks| {
                let rewriter = Arc::clone(&rewriter);
                async move {
                    let task = tokio::spawn(async move { rewriter.write(chunks).await });
                    task.await.map_err(|error| {
                        Error::new(ErrorKind::Internal, format!("compaction broke off: {error}"))
                    })?
                }
            })
            .buffered(at_once)
            .try_collect()
            .await?;
        Ok(written.into_iter().flatten().collect())
    }
}

struct Rewriter {
    lake: Lake,
    loaded: Table,
    table: &'static TableDef,
    partition: Struct,
    files: Vec<DataFile>,
    properties: WriterProperties,
}

impl Rewriter {
    /// The chunks of each file to be made, in the order of the table.
    async fn plan(&self, target_bytes: u64) -> Result<Vec<Vec<Chunk>>> {
        let mut by_key = BTreeMap::<String, Chunk>::new();
        for (index, file) in self.files.iter().enumerate() {
            let row_bytes = file.file_size_in_bytes() / file.record_count().max(1);
            for (key, rows) in self.runs(file).await? {
                let chunk = by_key.entry(key).or_default();
                chunk.bytes += row_bytes * rows.len() as u64;
                chunk.pieces.push(Piece { file: index, rows });
            }
        }
        let mut outputs = vec![Vec::<Chunk>::new()];
        let mut output_bytes = 0;
        let mut open = Chunk::default();
        for chunk in by_key.into_values() {
            open.bytes += chunk.bytes;
            open.pieces.extend(chunk.pieces);
            if open.bytes >= CHUNK_BYTES {
                output_bytes += open.bytes;
                outputs.last_mut().into_iter().for_each(|output| output.push(std::mem::take(&mut open)));
                if output_bytes >= target_bytes {
                    outputs.push(Vec::new());
                    output_bytes = 0;
                }
            }
        }
        if !open.pieces.is_empty() {
            outputs.last_mut().into_iter().for_each(|output| output.push(std::mem::take(&mut open)));
        }
        outputs.retain(|output| !output.is_empty());
        Ok(outputs)
    }

    /// Rows of a file by the first column of the table's order, where that is a text; else all rows under one key.
    async fn runs(&self, file: &DataFile) -> Result<Vec<(String, Range<usize>)>> {
        let first = match self.table.sort {
            SortBy::Columns([first, ..]) => Some(*first),
            _ => None,
        };
        let text = |name: &&str| {
            self.table.columns.iter().any(|column| column.name == *name && column.kind == ColumnType::Text)
        };
        let Some(name) = first.filter(text) else {
            return Ok(vec![(String::new(), 0..file.record_count() as usize)]);
        };
        let what = || format!("read data file \"{}\"", file.file_path());
        let builder = self.open(file).await?;
        let id = self.table.columns.iter().find(|column| column.name == name).map(|column| column.id);
        let leaf = leaf_of(builder.schema(), id);
        let mask = ProjectionMask::roots(builder.parquet_schema(), leaf);
        let mut batches = builder.with_projection(mask).with_batch_size(1 << 16).build().doing(what)?;
        let mut runs: Vec<(String, Range<usize>)> = Vec::new();
        let mut row = 0;
        while let Some(batch) = batches.try_next().await.doing(what)? {
            let keys = batch.columns().first().map(|column| cast(column, &DataType::Utf8)).transpose();
            let keys = keys.doing(what)?.ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!("data file \"{}\" has no column \"{name}\"", file.file_path()),
                )
            })?;
            for key in keys.as_string::<i32>().iter().map(Option::unwrap_or_default) {
                match runs.last_mut() {
                    Some((last, rows)) if last == key => rows.end = row + 1,
                    _ => runs.push((key.to_owned(), row..row + 1)),
                }
                row += 1;
            }
        }
        Ok(runs)
    }

    async fn open(&self, file: &DataFile) -> Result<ParquetRecordBatchStreamBuilder<ParquetObjectReader>> {
        let what = || format!("read data file \"{}\"", file.file_path());
        let catalog = self.lake.catalog();
        let path: Path = catalog.warehouse().path(file.file_path()).doing(what)?;
        let reader = ParquetObjectReader::new(catalog.warehouse().store(), path.clone())
            .with_file_size(file.file_size_in_bytes());
        let opened = ParquetRecordBatchStreamBuilder::new(reader).await.doing(what)?;
        OwnColumns::of(catalog.warehouse(), &self.loaded).require(&path, opened.metadata()).doing(what)?;
        Ok(opened)
    }

    async fn write(&self, chunks: Vec<Chunk>) -> Result<Vec<DataFile>> {
        let mut writer = DataFileWriter::open(
            &self.lake,
            &self.loaded,
            self.table,
            self.partition.clone(),
            &self.properties,
        )
        .await?;
        for chunk in chunks {
            let rows = compacted(self.table, self.read(chunk).await?)?;
            let step = gathered_rows(std::slice::from_ref(&rows), self.table.page_rows);
            for first in (0..rows.num_rows()).step_by(step) {
                writer.write(&rows.slice(first, step.min(rows.num_rows() - first))).await?;
            }
        }
        writer.close().await
    }

    /// The rows of a chunk in the order of the table.
    async fn read(&self, chunk: Chunk) -> Result<RecordBatch> {
        let schema = self.table.arrow_schema();
        let mut of_file = BTreeMap::<usize, Vec<Range<usize>>>::new();
        for piece in chunk.pieces {
            of_file.entry(piece.file).or_default().push(piece.rows);
        }
        let mut batches = Vec::new();
        for (file, mut rows) in of_file {
            rows.sort_by_key(|rows| rows.start);
            let file = &self.files[file];
            let what = || format!("read data file \"{}\"", file.file_path());
            let builder =
                self.open(file).await?.with_batch_size(READ_ROWS).with_row_selection(selection(rows));
            let mut read = builder.build().doing(what)?;
            while let Some(batch) = read.try_next().await.doing(what)? {
                batches.push(conform(&batch, &schema)?);
            }
        }
        let order = sorted(self.table, &batches)?;
        let sources: Vec<&RecordBatch> = batches.iter().collect();
        if sources.is_empty() {
            return Ok(RecordBatch::new_empty(schema));
        }
        interleave_record_batch(&sources, &order)
            .doing(|| format!("sort rows of \"{}\"", self.table.full_name()))
    }
}

fn selection(ranges: Vec<Range<usize>>) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for range in ranges {
        if range.start > next {
            selectors.push(RowSelector::skip(range.start - next));
        }
        selectors.push(RowSelector::select(range.len()));
        next = range.end;
    }
    selectors.into()
}

fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn leaf_of(schema: &Schema, id: Option<i32>) -> Option<usize> {
    schema.fields().iter().position(|field| id.is_some() && field_id(field) == id)
}

/// Rows in the current columns of the table, found by field id; a column that the file lacks is null.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let what = || "read rows of an older schema";
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        match leaf_of(&batch.schema(), field_id(field)) {
            Some(index) if batch.column(index).data_type() == field.data_type() => {
                Ok(Arc::clone(batch.column(index)))
            }
            Some(index) => cast(batch.column(index), field.data_type()).doing(what),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).doing(what)
}

/// Rows of one partition, in the order of the table, as they are kept for long: pieces of a waveform that were cut
/// only because they came bit by bit are joined.
fn compacted(table: &TableDef, rows: RecordBatch) -> Result<RecordBatch> {
    if *table == segments::TABLE {
        return segments::joined(rows).doing(|| "join segments");
    }
    Ok(rows)
}
