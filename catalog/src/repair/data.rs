//! The data files of a table: those that cannot be read as a whole are taken out, and what can still be read put back.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use iceberg::spec::{DataFile, Operation};
use iceberg::table::Table;
use object_store::ObjectStoreExt;
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use seislake_model::{ErrorKind, Offsets};
use seislake_tables::TableDef;

use super::{CHECKED_BYTES, Doctor, Mode, bounds, rows_lost, said};
use crate::error::{Damage, Doing, Error, Result};
use crate::hidden::files_of;
use crate::lake::Lake;
use crate::maintain::conform;
use crate::own::OwnColumns;
use crate::sink::{Change, Replacement, commit, write_files};

impl Doctor<'_> {
    /// Data files of the current snapshot, read as a whole.
    pub(super) async fn data(&mut self, table: &Table) -> Result<()> {
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(()) };
        let mut damaged = Vec::new();
        for file in files_of(table, snapshot).await? {
            if let Err(error) = self.read_whole(table, &file).await {
                damaged.push((file, said(&error.damage()?)));
            }
        }
        if damaged.is_empty() {
            return Ok(());
        }
        let definition = self.settings.table(&table.identifier().to_string());
        let lake = match (self.mode, definition) {
            (Mode::Repair, Some(_)) => Some(Lake::open(self.settings.clone()).await?),
            _ => None,
        };
        let mut files = Vec::new();
        for (file, damage) in &damaged {
            let rows = match (&lake, definition) {
                (Some(_), Some(definition)) => self.readable(table, definition, file).await?,
                _ => Vec::new(),
            };
            let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
            let lost = format!(
                "{} of table \"{}\"{}",
                rows_lost(file.record_count(), count as u64, self.mode),
                table.identifier(),
                bounds(definition, file)
            );
            let remedy = "the file is taken out of the table; rows of it that can still be read are put back";
            self.find(table.identifier(), file.file_path(), damage.clone(), lost, remedy);
            if let (Some(lake), Some(definition), true) = (&lake, definition, count > 0) {
                files.extend(write_files(lake, definition, &rows).await?);
            }
        }
        if let (Some(lake), Some(definition)) = (lake, definition) {
            let paths = damaged.iter().map(|(file, _)| file.file_path().to_owned()).collect();
            let none = Offsets::default();
            let replaced = Replacement::Files { paths, operation: Operation::Overwrite };
            let change = Change { table: definition, files, replaced, covered: &none, seen: &none };
            commit(&lake, change).await?;
        }
        Ok(())
    }

    /// Reads every byte of a file, which compares them with their sums.
    async fn read_whole(&self, table: &Table, file: &DataFile) -> Result<()> {
        let what = || format!("read data file \"{}\"", file.file_path());
        let path = self.warehouse.path(file.file_path()).doing(what)?;
        let store = self.warehouse.store();
        let size = store.head(&path).await.doing(what)?.size;
        if size != file.file_size_in_bytes() {
            let message = format!("it has {size} bytes, not {}", file.file_size_in_bytes());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let mut first = 0;
        while first < size {
            let last = (first + CHECKED_BYTES).min(size);
            store.get_range(&path, first..last).await.doing(what)?;
            first = last;
        }
        // Files without sums are at least read as what they are.
        let reader = ParquetObjectReader::new(store, path.clone());
        let opened = ParquetRecordBatchStreamBuilder::new(reader).await.doing(what)?;
        OwnColumns::of(&self.warehouse, table).require(&path, opened.metadata()).doing(what)
    }

    /// Rows of the row groups that are not damaged.
    async fn readable(
        &self,
        table: &Table,
        definition: &TableDef,
        file: &DataFile,
    ) -> Result<Vec<RecordBatch>> {
        let what = || format!("read data file \"{}\"", file.file_path());
        let path = self.warehouse.path(file.file_path()).doing(what)?;
        let schema = definition.arrow_schema();
        let columns = OwnColumns::of(&self.warehouse, table);
        let open = async || {
            let reader = ParquetObjectReader::new(self.warehouse.store(), path.clone());
            ParquetRecordBatchStreamBuilder::new(reader).await.doing(what)
        };
        let read = async |group| -> Result<Vec<RecordBatch>> {
            let stream = open().await?.with_row_groups(vec![group]).build().doing(what)?;
            let batches: Vec<RecordBatch> = stream.try_collect().await.doing(what)?;
            batches.iter().map(|batch| conform(batch, &schema)).collect()
        };
        let groups = match open().await {
            Ok(builder) if columns.require(&path, builder.metadata()).is_err() => 0,
            Ok(builder) => builder.metadata().num_row_groups(),
            Err(error) => error.damage().map(|_| 0)?,
        };
        let mut rows = Vec::new();
        for group in 0..groups {
            match read(group).await {
                Ok(batches) => rows.extend(batches),
                Err(error) => drop(error.damage()?),
            }
        }
        Ok(rows)
    }
}
