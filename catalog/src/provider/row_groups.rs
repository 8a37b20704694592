//! The row groups that a query of few files needs, spread over the partitions of its scan.
//!
//! DataFusion cuts files by bytes; what a query of one channel needs lies together, in one half of one file. Here the
//! footers, which are cached, tell which row groups may hold rows that pass, and these are cut into equal shares.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{
    ParquetAccessPlan, ParquetFileMetrics, RowGroupAccessPlanFilter,
};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::RowGroupMetaData;

use super::field_ids::with_names_of;
use crate::own::OwnColumns;

/// More files than this are spread as files: reading their footers first would hold up the query.
const FILES_MAX: usize = 32;

const FOOTERS_AT_ONCE: usize = 8;

/// Row groups one behind the other in a file.
struct Run {
    file: usize,
    first_offset: i64,
    last_offset: i64,
}

/// What the footers are read with.
pub(super) struct Footers {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) cache: Arc<dyn FileMetadataCache>,
    pub(super) columns: Arc<OwnColumns>,
}

/// The files in at most `partitions` groups of about the same work.
pub(super) async fn spread(
    files: Vec<PartitionedFile>,
    partitions: usize,
    schema: &Schema,
    predicate: Option<&PruningPredicate>,
    footers: &Footers,
) -> DataFusionResult<Vec<FileGroup>> {
    let Some(predicate) = predicate.filter(|_| files.len() <= FILES_MAX && partitions > 1) else {
        return Ok(FileGroup::new(files).split_files(partitions));
    };
    let mut reads = Vec::new();
    for (index, file) in files.iter().enumerate() {
        reads.push(row_groups(index, file, schema, predicate, footers));
    }
    let read: Vec<Vec<(Run, i64)>> = stream::iter(reads).buffered(FOOTERS_AT_ONCE).try_collect().await?;
    let needed: Vec<(Run, i64)> = read.into_iter().flatten().collect();
    let total: i64 = needed.iter().map(|(_, bytes)| bytes).sum();
    let share = (total / partitions as i64).max(1);
    let mut groups: Vec<Vec<Run>> = Vec::new();
    let mut done = 0;
    for (run, bytes) in needed {
        // A row group belongs to the share in which its middle lies.
        let place = usize::try_from((done + bytes / 2) / share).unwrap_or(0).min(partitions - 1);
        done += bytes;
        groups.resize_with(groups.len().max(place + 1), Vec::new);
        let group = &mut groups[place];
        match group.last_mut() {
            Some(last) if last.file == run.file => last.last_offset = run.last_offset,
            _ => group.push(run),
        }
    }
    let part = |run: &Run| files[run.file].clone().with_range(run.first_offset, run.last_offset + 1);
    let groups = groups.iter().filter(|group| !group.is_empty());
    Ok(groups.map(|group| FileGroup::new(group.iter().map(part).collect())).collect())
}

/// Row groups of a file that may hold rows that pass, with their bytes.
async fn row_groups(
    index: usize,
    file: &PartitionedFile,
    schema: &Schema,
    predicate: &PruningPredicate,
    footers: &Footers,
) -> DataFusionResult<Vec<(Run, i64)>> {
    let metadata = DFParquetMetadata::new(&*footers.store, &file.object_meta)
        .with_file_metadata_cache(Some(Arc::clone(&footers.cache)))
        .fetch_metadata()
        .await?;
    let own = footers.columns.require(&file.object_meta.location, &metadata);
    own.map_err(|error| DataFusionError::External(Box::new(error)))?;
    let parquet_schema = metadata.file_metadata().schema_descr();
    let file_schema = with_names_of(schema, &parquet_to_arrow_schema(parquet_schema, None)?);
    let groups = metadata.row_groups();
    let mut filter = RowGroupAccessPlanFilter::new(ParquetAccessPlan::new_all(groups.len()));
    // Bounds are found by name, which is the table's here: a column that the file lacks tells nothing.
    if schema.fields().iter().any(|field| file_schema.column_with_name(field.name()).is_some()) {
        let metrics = ParquetFileMetrics::new(0, "", &ExecutionPlanMetricsSet::new());
        filter.prune_by_statistics(&file_schema, parquet_schema, groups, predicate, &metrics);
    }
    let plan = filter.build();
    let wanted = (0..groups.len()).filter(|group| plan.should_scan(*group));
    let run = |group: usize| {
        let offset = offset(&groups[group]);
        (Run { file: index, first_offset: offset, last_offset: offset }, groups[group].compressed_size())
    };
    Ok(wanted.map(run).collect())
}

/// The byte by which DataFusion tells to which range of a file a row group belongs.
fn offset(group: &RowGroupMetaData) -> i64 {
    let column = group.column(0);
    column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())
}
