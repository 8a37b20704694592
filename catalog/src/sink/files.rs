//! Data files: rows sorted, spread over partitions, written as Parquet.
//!
//! Only keys are sorted; rows are gathered chunk by chunk, so that wide rows (samples) are never copied as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{SortColumn, SortOptions, concat, interleave_record_batch, lexsort_to_indices};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int32Type};
use iceberg::spec::{DataFile, Literal, PartitionSpec, Struct, TableMetadata};
use iceberg::transform::create_transform_function;
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use seislake_model::ErrorKind;

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::tables::{ColumnType, SortBy, TableDef};

/// Values of the partition fields of a row.
type PartitionKey = Vec<Option<i32>>;

/// Writes rows to new data files, one per partition.
pub(crate) async fn write(lake: &Lake, table: &TableDef, batches: &[RecordBatch]) -> Result<Vec<DataFile>> {
    let loaded = lake.load(&table.ident()).await?;
    let metadata = loaded.metadata();
    let order = sorted(table, batches)?;
    let mut rows_of = BTreeMap::<PartitionKey, Vec<(usize, usize)>>::new();
    let keys = partition_keys(metadata, batches)?;
    let starts = starts(batches);
    for row in order {
        let batch = starts.partition_point(|start| *start <= row) - 1;
        rows_of.entry(keys[row].clone()).or_default().push((batch, row - starts[batch]));
    }
    let properties = writer_properties(table, batches, lake.write_settings().zstd_level)?;
    let mut files = Vec::new();
    for (key, rows) in rows_of {
        let partition: Struct = key.iter().map(|value| value.map(Literal::int)).collect();
        let what = || format!("write a data file of table \"{}\"", table.full_name());
        let spec = metadata.default_partition_spec();
        let location = data_location(metadata, spec, &partition);
        let output = loaded.file_io().new_output(location).doing(what)?;
        let builder = ParquetWriterBuilder::new(properties.clone(), Arc::clone(metadata.current_schema()));
        let mut writer = builder.build(output).await.doing(what)?;
        let sources: Vec<&RecordBatch> = batches.iter().collect();
        // As many rows at a time as a page holds.
        for chunk in rows.chunks(table.page_rows) {
            let batch = interleave_record_batch(&sources, chunk).doing(what)?;
            writer.write(&batch).await.doing(what)?;
            // Encoding is work without waiting: let others have their turn.
            tokio::task::yield_now().await;
        }
        for mut file in writer.close().await.doing(what)? {
            file.partition(partition.clone()).partition_spec_id(spec.spec_id());
            if let SortBy::Columns(_) = table.sort {
                file.sort_order_id(metadata.default_sort_order_id() as i32);
            }
            let built = file.build().map_err(|cause| Error {
                kind: ErrorKind::Internal,
                message: format!("cannot describe a data file of table \"{}\"", table.full_name()),
                source: Some(Box::new(cause)),
            })?;
            files.push(built);
        }
    }
    Ok(files)
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

/// Index of the first row of each batch among all rows.
fn starts(batches: &[RecordBatch]) -> Vec<usize> {
    let mut next = 0;
    let starts = batches.iter().map(|batch| {
        let start = next;
        next += batch.num_rows();
        start
    });
    starts.collect()
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

/// Row numbers in the order of the table.
fn sorted(table: &TableDef, batches: &[RecordBatch]) -> Result<Vec<usize>> {
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
    Ok(order.values().iter().map(|row| *row as usize).collect())
}

fn hilbert(longitudes: &ArrayRef, latitudes: &ArrayRef) -> ArrayRef {
    let pairs = longitudes.as_primitive::<Float64Type>().iter().zip(latitudes.as_primitive::<Float64Type>());
    let indices =
        pairs.map(|(longitude, latitude)| Some(seislake_spatial::hilbert_index(longitude?, latitude?)));
    Arc::new(indices.collect::<UInt64Array>())
}

fn partition_keys(metadata: &TableMetadata, batches: &[RecordBatch]) -> Result<Vec<PartitionKey>> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut keys = vec![PartitionKey::new(); rows];
    for field in metadata.default_partition_spec().fields() {
        let what = || format!("partition by \"{}\"", field.name);
        let function = create_transform_function(&field.transform).doing(what)?;
        let name = metadata.current_schema().name_by_field_id(field.source_id).unwrap_or_default();
        let mut row = 0;
        for batch in batches {
            let unknown = || Error::new(ErrorKind::Internal, format!("there is no column \"{name}\""));
            let source = batch.column_by_name(name).ok_or_else(unknown)?;
            for value in integers(&function.transform(Arc::clone(source)).doing(what)?, &field.name)? {
                keys[row].push(value);
                row += 1;
            }
        }
    }
    Ok(keys)
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
fn writer_properties(table: &TableDef, batches: &[RecordBatch], zstd_level: i32) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(zstd_level).doing(|| format!("use zstd level {zstd_level}"))?;
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_data_page_row_count_limit(table.page_rows)
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
            ColumnType::Double if has_nan(batches, column.name) => {
                let path = ColumnPath::from(column.name);
                builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
                continue;
            }
            ColumnType::Int | ColumnType::Double | ColumnType::Text => continue,
        };
        if matches!(
            column.kind,
            ColumnType::IntList(_) | ColumnType::LongList(_) | ColumnType::DoubleList(_)
        ) {
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
