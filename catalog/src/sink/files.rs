//! Data files: rows sorted, spread over partitions, written as Parquet.
//!
//! Only keys are sorted; rows are gathered chunk by chunk, so that wide rows (samples) are never copied as a whole.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, UInt64Array};
use arrow::compute::{SortColumn, SortOptions, concat, interleave_record_batch, lexsort_to_indices};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type, TimestampMicrosecondType};
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{DataFile, Literal, PartitionSpec, Struct, TableMetadata};
use iceberg::table::Table;
use iceberg::transform::create_transform_function;
use iceberg::writer::CurrentFileStatus;
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriter, ParquetWriterBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use seislake_model::ErrorKind;
use seislake_tables::{ColumnType, SortBy, TableDef};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::storage::{FOOTER_KEY, FOOTER_VALUE};
use crate::tables::IcebergTable;

/// Bytes of a page: what a reader of a short piece of a waveform has to decode at least.
const PAGE_BYTES: usize = 256 << 10;
/// Bytes of a row group: what a writer holds in memory. Those of a channel-day are several, so that all cores read it.
const ROW_GROUP_BYTES: usize = 4 << 20;
/// Rows of a partition are not spread over several files below this, bytes in memory.
const PARALLEL_FILE_BYTES_MIN: usize = 32 << 20;
/// Bytes of rows gathered at once: what the encoder makes of them fits the caches of a core.
const GATHERED_BYTES: usize = 512 << 10;

/// Rows that lie in so few pieces are written as they lie.
const RUNS_MAX: usize = 16;

/// Values of the partition fields of a row.
type PartitionKey = Vec<Option<i32>>;

/// Writes rows to new data files, one per partition; several, over ranges of the order, where there is much to write.
/// Files are written on all cores.
pub(crate) async fn write(
    lake: &Lake,
    table: &'static TableDef,
    batches: &[RecordBatch],
) -> Result<Vec<DataFile>> {
    let loaded = lake.load(&table.ident()).await?;
    let order = sorted(table, batches)?;
    let keys = partition_keys(loaded.metadata(), batches)?;
    let rows_of = by_partition(order, &keys);
    let nan = |column: &str| has_nan(batches, column);
    let properties = writer_properties(table, nan, lake.write_settings().zstd_level)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let file_bytes = (bytes / cores).max(PARALLEL_FILE_BYTES_MIN);
    let file_rows = (file_bytes.saturating_mul(rows) / bytes.max(1)).max(1);
    let writing =
        Arc::new(OpenFiles { lake: lake.clone(), loaded, table, batches: batches.to_vec(), properties });
    let mut jobs = Vec::new();
    for (key, rows) in rows_of {
        let partition: Struct = key.iter().map(|value| value.map(Literal::int)).collect();
        // Equal parts: no small rest.
        let parts = rows.len().div_ceil(file_rows);
        for part in rows.chunks(rows.len().div_ceil(parts.max(1)).max(1)) {
            jobs.push((Arc::clone(&writing), partition.clone(), part.to_vec()));
        }
    }
    let written: Vec<Vec<DataFile>> = stream::iter(jobs)
        .map(|(writing, partition, rows)| {
            let task = tokio::spawn(async move { writing.file(partition, &rows).await });
            async move {
                task.await.map_err(|error| {
                    Error::new(ErrorKind::Internal, format!("writing a data file broke off: {error}"))
                })?
            }
        })
        .buffered(cores)
        .try_collect()
        .await?;
    Ok(written.into_iter().flatten().collect())
}

/// Rows under way to files.
struct OpenFiles {
    lake: Lake,
    loaded: Table,
    table: &'static TableDef,
    batches: Vec<RecordBatch>,
    properties: WriterProperties,
}

impl OpenFiles {
    /// One file of these rows.
    async fn file(&self, partition: Struct, rows: &[(usize, usize)]) -> Result<Vec<DataFile>> {
        let sources: Vec<&RecordBatch> = self.batches.iter().collect();
        let mut writer =
            DataFileWriter::open(&self.lake, &self.loaded, self.table, partition, &self.properties).await?;
        for chunk in rows.chunks(gathered_rows(&self.batches, self.table.page_rows)) {
            for batch in gather(&sources, chunk)? {
                writer.write(&batch).await?;
            }
        }
        writer.close().await
    }
}

/// Writes one data file of one partition, rows in order.
pub(crate) struct DataFileWriter<'a> {
    lake: Lake,
    table: &'a TableDef,
    metadata: &'a TableMetadata,
    partition: Struct,
    writer: ParquetWriter,
}

impl<'a> DataFileWriter<'a> {
    pub(crate) async fn open(
        lake: &Lake,
        loaded: &'a Table,
        table: &'a TableDef,
        partition: Struct,
        properties: &WriterProperties,
    ) -> Result<Self> {
        let what = || format!("write a data file of table \"{}\"", table.full_name());
        let metadata = loaded.metadata();
        let location = data_location(metadata, metadata.default_partition_spec(), &partition);
        let output = loaded.file_io().new_output(location).doing(what)?;
        let builder = ParquetWriterBuilder::new(properties.clone(), Arc::clone(metadata.current_schema()));
        let writer = builder.build(output).await.doing(what)?;
        Ok(Self { lake: lake.clone(), table, metadata, partition, writer })
    }

    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let what = || format!("write a data file of table \"{}\"", self.table.full_name());
        self.writer.write(batch).await.doing(what)?;
        // Encoding is work without waiting: let others have their turn.
        tokio::task::yield_now().await;
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<Vec<DataFile>> {
        let what = || format!("write a data file of table \"{}\"", self.table.full_name());
        let mut files = Vec::new();
        let location = self.writer.current_file_path();
        for mut file in self.writer.close().await.doing(what)? {
            // The writer does not know of the checksums that the warehouse put into the file.
            if let Some(bytes) = self.lake.catalog().warehouse().written_bytes(&location) {
                file.file_size_in_bytes(bytes);
            }
            file.partition(self.partition.clone())
                .partition_spec_id(self.metadata.default_partition_spec_id());
            if let SortBy::Columns(_) = self.table.sort {
                file.sort_order_id(self.metadata.default_sort_order_id() as i32);
            }
            let built = file.build().map_err(|cause| Error {
                kind: ErrorKind::Internal,
                message: format!("cannot describe a data file of table \"{}\"", self.table.full_name()),
                source: Some(Box::new(cause)),
            })?;
            files.push(built);
        }
        Ok(files)
    }
}

/// The rows asked for, in order: copied together, or as they lie where they mostly lie together already.
fn gather(sources: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<Vec<RecordBatch>> {
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    for &(batch, row) in rows {
        match runs.last_mut() {
            Some((last, run)) if *last == batch && run.end == row => run.end += 1,
            _ => runs.push((batch, row..row + 1)),
        }
    }
    if runs.len() <= RUNS_MAX {
        return Ok(runs.into_iter().map(|(batch, run)| sources[batch].slice(run.start, run.len())).collect());
    }
    interleave_record_batch(sources, rows).doing(|| "gather rows").map(|batch| vec![batch])
}

/// Rows gathered at once: a page of them, fewer where rows are wide.
pub(crate) fn gathered_rows(batches: &[RecordBatch], page_rows: usize) -> usize {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    (GATHERED_BYTES * rows / bytes.max(1)).clamp(1, page_rows)
}

fn data_location(metadata: &TableMetadata, spec: &PartitionSpec, partition: &Struct) -> String {
    let name = uuid::Uuid::now_v7();
    let root = metadata.location();
    if spec.is_unpartitioned() {
        return format!("{root}/data/{name}.parquet");
    }
    let folder = spec.partition_to_path(partition, Arc::clone(metadata.current_schema()));
    format!("{root}/data/{folder}/{name}.parquet")
}

fn column(table: &TableDef, batches: &[RecordBatch], name: &str) -> Result<ArrayRef> {
    let missing = || {
        Error::new(ErrorKind::Internal, format!("table \"{}\" has no column \"{name}\"", table.full_name()))
    };
    let parts: Vec<&dyn Array> = batches
        .iter()
        .map(|batch| batch.column_by_name(name).map(AsRef::as_ref).ok_or_else(missing))
        .collect::<Result<_>>()?;
    concat(&parts).doing(|| format!("gather column \"{name}\""))
}

/// Batch and row numbers in the order of the table.
pub(crate) fn sorted(table: &TableDef, batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>> {
    let keys = match table.sort {
        SortBy::Columns(names) => {
            names.iter().map(|name| column(table, batches, name)).collect::<Result<Vec<_>>>()?
        }
        SortBy::Hilbert { longitude, latitude, time } => {
            let (longitudes, latitudes) =
                (column(table, batches, longitude)?, column(table, batches, latitude)?);
            vec![hilbert(&longitudes, &latitudes), column(table, batches, time)?]
        }
    };
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let keys: Vec<SortColumn> = keys.into_iter().map(|values| SortColumn { values, options }).collect();
    let order =
        lexsort_to_indices(&keys, None).doing(|| format!("sort rows of \"{}\"", table.full_name()))?;
    let places: Vec<(usize, usize)> = batches
        .iter()
        .enumerate()
        .flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row)))
        .collect();
    Ok(order.values().iter().map(|row| places[*row as usize]).collect())
}

fn hilbert(longitudes: &ArrayRef, latitudes: &ArrayRef) -> ArrayRef {
    let pairs = longitudes.as_primitive::<Float64Type>().iter().zip(latitudes.as_primitive::<Float64Type>());
    let indices =
        pairs.map(|(longitude, latitude)| Some(seislake_spatial::hilbert_index(longitude?, latitude?)));
    Arc::new(indices.collect::<UInt64Array>())
}

/// Values of each partition field for the rows of a batch.
type BatchKeys = Vec<Vec<Option<i32>>>;

/// Rows of each partition, in their order: neighbours mostly belong together.
fn by_partition(
    order: Vec<(usize, usize)>,
    keys: &[BatchKeys],
) -> BTreeMap<PartitionKey, Vec<(usize, usize)>> {
    let alike = |a: (usize, usize), b: (usize, usize)| {
        keys[a.0].iter().zip(&keys[b.0]).all(|(left, right)| left[a.1] == right[b.1])
    };
    let mut rows_of = BTreeMap::<PartitionKey, Vec<(usize, usize)>>::new();
    for run in order.chunk_by(|a, b| alike(*a, *b)) {
        let Some(&(batch, row)) = run.first() else { continue };
        let key = keys[batch].iter().map(|values| values[row]).collect();
        rows_of.entry(key).or_default().extend_from_slice(run);
    }
    rows_of
}

/// Partition of each row of each batch.
fn partition_keys(metadata: &TableMetadata, batches: &[RecordBatch]) -> Result<Vec<BatchKeys>> {
    let mut keys: Vec<BatchKeys> = vec![BatchKeys::new(); batches.len()];
    for field in metadata.default_partition_spec().fields() {
        let what = || format!("partition by \"{}\"", field.name);
        let function = create_transform_function(&field.transform).doing(what)?;
        let name = metadata.current_schema().name_by_field_id(field.source_id).unwrap_or_default();
        for (batch, keys) in batches.iter().zip(&mut keys) {
            let unknown = || Error::new(ErrorKind::Internal, format!("there is no column \"{name}\""));
            let source = whole_seconds(batch.column_by_name(name).ok_or_else(unknown)?);
            keys.push(integers(&function.transform(source).doing(what)?, &field.name)?);
        }
    }
    Ok(keys)
}

/// Times rounded down to a second, other values as they are. The transform of days rounds the last second of a day before
/// 1970 up to the next one, and readers that look for that day would not find it.
fn whole_seconds(values: &ArrayRef) -> ArrayRef {
    const SECOND_US: i64 = 1_000_000;
    let Some(times) = values.as_primitive_opt::<TimestampMicrosecondType>() else {
        return Arc::clone(values);
    };
    let seconds: PrimitiveArray<TimestampMicrosecondType> =
        times.unary(|micros| micros.saturating_sub(micros.rem_euclid(SECOND_US)));
    Arc::new(seconds.with_data_type(values.data_type().clone()))
}

fn integers(values: &ArrayRef, field: &str) -> Result<Vec<Option<i32>>> {
    match values.data_type() {
        DataType::Int32 => Ok(values.as_primitive::<Int32Type>().iter().collect()),
        DataType::Date32 => Ok(values.as_primitive::<Date32Type>().iter().collect()),
        other => {
            let message = format!("partition field \"{field}\" of type {other} cannot be written");
            Err(Error::new(ErrorKind::Internal, message))
        }
    }
}

/// zstd throughout; times, counts and samples as bit-packed differences, floats of samples as split bytes.
/// `nan` tells the columns of floats that hold a NaN.
pub(crate) fn writer_properties(
    table: &TableDef,
    nan: impl Fn(&str) -> bool,
    zstd_level: i32,
) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(zstd_level).doing(|| format!("use zstd level {zstd_level}"))?;
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_key_value_metadata(Some(vec![KeyValue::new(FOOTER_KEY.to_owned(), FOOTER_VALUE.to_owned())]))
        .set_data_page_row_count_limit(table.page_rows)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_write_batch_size(table.page_rows.min(1024))
        .set_max_row_group_row_count(Some(table.row_group_rows));
    for column in table.columns {
        let element =
            || ColumnPath::new(vec![column.name.to_owned(), "list".to_owned(), "element".to_owned()]);
        let (path, encoding) = match column.kind {
            ColumnType::Time | ColumnType::Long => {
                (ColumnPath::from(column.name), Encoding::DELTA_BINARY_PACKED)
            }
            ColumnType::IntList(_) | ColumnType::LongList(_) => (element(), Encoding::DELTA_BINARY_PACKED),
            ColumnType::DoubleList(_) => (element(), Encoding::BYTE_STREAM_SPLIT),
            ColumnType::Binary => {
                let path = ColumnPath::from(column.name);
                builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
                (path, Encoding::PLAIN)
            }
            // Bounds leave NaN out while SQL holds it for greater than everything: no bounds, no wrong pruning.
            ColumnType::Double if nan(column.name) => {
                let path = ColumnPath::from(column.name);
                builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
                continue;
            }
            ColumnType::Int | ColumnType::Double | ColumnType::Text => continue,
        };
        if matches!(column.kind, ColumnType::IntList(_) | ColumnType::LongList(_) | ColumnType::DoubleList(_))
        {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        builder =
            builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    Ok(builder.build())
}

fn has_nan(batches: &[RecordBatch], name: &str) -> bool {
    let columns = batches.iter().filter_map(|batch| batch.column_by_name(name));
    let mut doubles = columns.filter_map(|column| column.as_primitive_opt::<Float64Type>());
    doubles.any(|column| column.iter().flatten().any(f64::is_nan))
}
