//! Rows added and taken out by a repair, beside the sinks: offsets do not move.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::row::{RowConverter, SortField};
use futures::TryStreamExt;
use iceberg::spec::Operation;
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use seislake_model::{ErrorKind, Offsets};
use seislake_tables::TableDef;

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::maintain::conform;
use crate::own::OwnColumns;
use crate::sink::{Change, Replacement, commit, offsets, write_files};
use crate::tables::IcebergTable;

impl Lake {
    /// Offsets that the rows of `table` cover: the next of each topic and partition.
    ///
    /// # Errors
    /// A table that is not there, or cannot be read.
    pub async fn covered(&self, table: &str) -> Result<Offsets> {
        Ok(offsets(self.load(&self.defined(table)?.ident()).await?.metadata()))
    }

    /// Adds rows to `table` that it has lost.
    ///
    /// # Errors
    /// What keeps them from being written.
    pub async fn add_lost_rows(&self, table: &str, rows: &[RecordBatch]) -> Result<()> {
        let table = self.defined(table)?;
        if rows.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let rows = rows.iter().map(|batch| fitted(table, batch)).collect::<Result<Vec<_>>>()?;
        let files = write_files(self, table, &rows).await?;
        let none = Offsets::default();
        let change = Change { table, files, replaced: Replacement::Nothing, covered: &none, seen: &none };
        commit(self, change).await.map(drop)
    }

    /// Takes out of `table` all rows but the first of those that are alike in the columns `key`; returns their number. The
    /// keys of all rows are held in memory as hashes.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub async fn drop_doubled_rows(&self, table: &str, key: &[&str]) -> Result<u64> {
        let mut seen = KeySet { keys: HashSet::new(), hashers: [RandomState::new(), RandomState::new()] };
        self.keep_rows(table, |batch| seen.first_of(batch, key)).await
    }

    /// Takes out of `table` all rows but those of which `keeps` says true; returns their number. One commit: all of them
    /// are taken out, or none.
    ///
    /// # Errors
    /// Files that cannot be read or written, and what `keeps` fails with.
    pub async fn keep_rows(
        &self,
        table: &str,
        mut keeps: impl FnMut(&RecordBatch) -> Result<BooleanArray> + Send,
    ) -> Result<u64> {
        let table = self.defined(table)?;
        let loaded = self.load(&table.ident()).await?;
        // Of one file after the other: all rows of a table may be more than memory holds.
        let (mut paths, mut files, mut dropped) = (BTreeSet::new(), Vec::new(), 0);
        for (_, file) in self.data_files(&loaded).await? {
            let rows = self.rows_of_file(table, file.file_path()).await?;
            let mut kept_of_file = Vec::new();
            let mut dropped_of_file = 0;
            for batch in &rows {
                let mask = keeps(batch)?;
                dropped_of_file += (mask.len() - mask.true_count()) as u64;
                kept_of_file.push(filter_record_batch(batch, &mask).doing(|| "choose rows")?);
            }
            if dropped_of_file > 0 {
                dropped += dropped_of_file;
                paths.insert(file.file_path().to_owned());
                kept_of_file.retain(|batch| batch.num_rows() > 0);
                if !kept_of_file.is_empty() {
                    files.extend(write_files(self, table, &kept_of_file).await?);
                }
            }
        }
        if paths.is_empty() {
            return Ok(0);
        }
        let none = Offsets::default();
        let replaced = Replacement::Files { paths, operation: Operation::Overwrite };
        commit(self, Change { table, files, replaced, covered: &none, seen: &none }).await?;
        Ok(dropped)
    }

    async fn rows_of_file(&self, table: &TableDef, location: &str) -> Result<Vec<RecordBatch>> {
        let what = || format!("read data file \"{location}\"");
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        let path = warehouse.path(location).doing(what)?;
        let reader = ParquetObjectReader::new(warehouse.store(), path.clone());
        let opened = ParquetRecordBatchStreamBuilder::new(reader).await.doing(what)?;
        let loaded = self.load(&table.ident()).await?;
        OwnColumns::of(warehouse, &loaded).require(&path, opened.metadata()).doing(what)?;
        let stream = opened.build().doing(what)?;
        let rows: Vec<RecordBatch> = stream.try_collect().await.doing(what)?;
        let schema = table.arrow_schema();
        rows.iter().map(|batch| conform(batch, &schema)).collect()
    }
}

/// Rows in the schema of a table, found by the names of its columns: statements drop field ids.
pub(crate) fn fitted(table: &TableDef, batch: &RecordBatch) -> Result<RecordBatch> {
    let what = || format!("fit rows to table \"{}\"", table.full_name());
    let schema = table.arrow_schema();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = batch.column_by_name(field.name()).ok_or_else(|| no_column(field.name()))?;
        columns.push(cast(column, field.data_type()).doing(what)?);
    }
    RecordBatch::try_new(schema, columns).doing(what)
}

fn no_column(name: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("there is no column \"{name}\""))
}

/// Keys met so far.
struct KeySet {
    keys: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl KeySet {
    /// Which rows of a batch are the first of their key.
    fn first_of(&mut self, batch: &RecordBatch, key: &[&str]) -> Result<BooleanArray> {
        let mut columns = Vec::with_capacity(key.len());
        for name in key {
            let column = batch.column_by_name(name).cloned();
            columns.push(
                column.ok_or_else(|| {
                    Error::new(ErrorKind::Internal, format!("there is no column \"{name}\""))
                })?,
            );
        }
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converter = RowConverter::new(fields).doing(|| "compare rows")?;
        let rows = converter.convert_columns(&columns).doing(|| "compare rows")?;
        let [high, low] = &self.hashers;
        let first = rows.iter().map(|row| {
            let hash = (u128::from(high.hash_one(row)) << 64) | u128::from(low.hash_one(row));
            self.keys.insert(hash)
        });
        Ok(first.collect::<Vec<bool>>().into())
    }
}
