//! One snapshot of a table as a DataFusion table: manifests → files → Parquet scan.
//!
//! Files are left out by the bounds that manifests keep; row groups and pages by `ParquetSource`, into which the
//! optimizer pushes the filters. Bounds are also handed on as statistics, so that counts, minima and maxima are
//! answered without reading.

use std::any::Any;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFile, ManifestFile, SnapshotRef};
use iceberg::table::Table;
use object_store::ObjectMeta;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;

use super::field_ids::FieldIds;
use super::row_groups::{Footers, spread};
use super::statistics;
use crate::error::{Doing, Outward, Result};
use crate::lake::Lake;
use crate::leases::Lease;
use crate::own::OwnColumns;

/// Compressed bytes of rows read at once, about.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ROWS_MIN: usize = 8;

/// A table at one snapshot; a statement sees one state however long it runs.
#[derive(Debug)]
pub(super) struct LakeTable {
    lake: Lake,
    table: Table,
    /// `None`: the table has no rows yet.
    snapshot: Option<SnapshotRef>,
    schema: SchemaRef,
    /// Paths of the only files to read; `None`: all of the snapshot.
    only: Option<HashSet<String>>,
    /// The snapshot stays while it is planned and read.
    lease: Arc<Lease>,
}

impl LakeTable {
    pub(super) fn new(lake: Lake, table: Table, snapshot: Option<SnapshotRef>) -> Result<Self> {
        let what = || format!("read the schema of table \"{}\"", table.identifier());
        let metadata = table.metadata();
        let current = metadata.current_snapshot_id();
        let schema = match &snapshot {
            // The newest state is read with the newest schema, the past with its own.
            Some(past) if Some(past.snapshot_id()) != current => past.schema(metadata).doing(what)?,
            _ => Arc::clone(metadata.current_schema()),
        };
        let schema = Arc::new(with_plain_lists(&schema_to_arrow_schema(&schema).doing(what)?));
        let leased = snapshot.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let lease = Arc::new(lake.leases().take(leased));
        Ok(Self { lake, table, snapshot, schema, only: None, lease })
    }

    /// The same, with the rows of these files of the snapshot only.
    pub(super) fn restricted_to(self, files: HashSet<String>) -> Self {
        Self { only: Some(files), ..self }
    }

    /// Which of the containers described may hold rows that pass.
    fn may_match(
        &self,
        predicate: Option<&PruningPredicate>,
        described: Vec<Statistics>,
    ) -> DataFusionResult<Vec<bool>> {
        let Some(predicate) = predicate.filter(|_| !described.is_empty()) else {
            return Ok(vec![true; described.len()]);
        };
        let described = described.into_iter().map(Arc::new).collect();
        predicate.prune(&PrunableStatistics::new(described, Arc::clone(&self.schema)))
    }

    /// Files that may hold rows that pass.
    async fn files(&self, predicate: Option<&PruningPredicate>) -> DataFusionResult<Vec<DataFile>> {
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        let (cache, catalog) = (self.lake.manifests(), self.lake.catalog());
        let warehouse = catalog.warehouse();
        let manifests = cache.list(warehouse, &self.table, snapshot).await.for_engine()?;
        let described = manifests.iter().map(|manifest| self.describe(manifest)).collect();
        let wanted = self.may_match(predicate, described)?;
        let mut found = Vec::new();
        for (manifest, _) in manifests.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            let files = cache.files(warehouse, &self.table, manifest).await.for_engine()?;
            let described = files.iter().map(|file| statistics::for_pruning(file, &self.schema)).collect();
            let wanted = self.may_match(predicate, described)?;
            found
                .extend(files.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(file, _)| file.clone()));
        }
        if let Some(only) = &self.only {
            found.retain(|file| only.contains(file.file_path()));
        }
        Ok(found)
    }

    fn describe(&self, manifest: &ManifestFile) -> Statistics {
        match self.table.metadata().partition_spec_by_id(manifest.partition_spec_id) {
            Some(spec) => statistics::of_manifest(manifest, spec, &self.schema),
            None => Statistics::new_unknown(&self.schema),
        }
    }

    fn pruning_predicate(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> DataFusionResult<Option<PruningPredicate>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(None) };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        Ok(PruningPredicate::try_new(filter, Arc::clone(&self.schema)).ok())
    }

    fn projected(&self, projection: Option<&Vec<usize>>) -> DataFusionResult<SchemaRef> {
        Ok(match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        })
    }

    fn partitioned(&self, file: &DataFile, statistics: &Statistics) -> DataFusionResult<PartitionedFile> {
        let location = self
            .lake
            .catalog()
            .warehouse()
            .path(file.file_path())
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let meta = ObjectMeta {
            location,
            last_modified: Default::default(),
            size: file.file_size_in_bytes(),
            e_tag: None,
            version: None,
        };
        Ok(PartitionedFile::new_from_meta(meta).with_statistics(Arc::new(statistics.clone())))
    }
}

/// Makes readers of data files, which stay as long as the plan that reads them.
#[derive(Debug)]
struct LeasedReaders {
    readers: CachedParquetFileReaderFactory,
    columns: Arc<OwnColumns>,
    _lease: Arc<Lease>,
}

impl ParquetFileReaderFactory for LeasedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let (path, columns) = (file.object_meta.location.clone(), Arc::clone(&self.columns));
        let reader = self.readers.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(OwnReader { reader, path, columns }))
    }
}

/// Reads a data file that has the columns of the table.
struct OwnReader {
    reader: Box<dyn AsyncFileReader + Send>,
    path: Path,
    columns: Arc<OwnColumns>,
}

impl AsyncFileReader for OwnReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.reader.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.reader.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let read = async move {
            let metadata = self.reader.get_metadata(options).await?;
            let own = self.columns.require(&self.path, &metadata);
            own.map(|()| metadata).map_err(|error| ParquetError::External(Box::new(error)))
        };
        read.boxed()
    }
}

/// The schema with lists as DataFusion's own functions make them, of elements that may be null: those functions give their
/// result the type of their argument, and then fail to build one whose elements may not. The scan casts the lists, which
/// copies no element.
fn with_plain_lists(schema: &Schema) -> Schema {
    let plain = |field: &Arc<Field>| match field.data_type() {
        DataType::List(element) => {
            let element = Field::new_list_field(element.data_type().clone(), true);
            Arc::new(field.as_ref().clone().with_data_type(DataType::List(Arc::new(element))))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = schema.fields().iter().map(plain).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Rows read at once: fewer where they are wide, so that an array of samples is not grown again and again.
fn batch_rows(files: &[Statistics]) -> usize {
    let sum = |value: fn(&Statistics) -> Precision<usize>| {
        files.iter().filter_map(|file| value(file).get_value().copied()).sum::<usize>()
    };
    let (rows, bytes) = (sum(|file| file.num_rows), sum(|file| file.total_byte_size));
    (BATCH_BYTES * rows / bytes.max(1)).max(BATCH_ROWS_MIN)
}

#[async_trait]
impl TableProvider for LakeTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let predicate = self.pruning_predicate(state, filters)?;
        let files = self.files(predicate.as_ref()).await?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(self.projected(projection)?)));
        }
        let known: Vec<Statistics> =
            files.iter().map(|file| statistics::for_plan(file, &self.schema)).collect();
        let total = Statistics::try_merge_iter(known.iter(), &self.schema)?;
        let files = files.iter().zip(&known).map(|(file, statistics)| self.partitioned(file, statistics));
        let files = files.collect::<DataFusionResult<_>>()?;

        let catalog = self.lake.catalog();
        let warehouse = catalog.warehouse();
        let runtime = state.runtime_env();
        runtime.register_object_store(warehouse.store_url().as_ref(), warehouse.store());
        let columns = Arc::new(OwnColumns::of(warehouse, &self.table));
        let footers = Footers {
            store: warehouse.store(),
            cache: runtime.cache_manager.get_file_metadata_cache(),
            columns: Arc::clone(&columns),
        };
        let partitions = state.config().target_partitions();
        let groups = spread(files, partitions, &self.schema, predicate.as_ref(), &footers).await?;
        if groups.is_empty() {
            return Ok(Arc::new(EmptyExec::new(self.projected(projection)?)));
        }
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..Default::default()
        };
        // Rows that do not pass are dropped before their samples are decoded, and nobody copies those that do.
        options.global.pushdown_filters = true;
        let batch_rows = batch_rows(&known).min(state.config().batch_size());
        // The predicate reaches the source through the optimizer; set here it would be evaluated twice.
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(LeasedReaders {
                readers: CachedParquetFileReaderFactory::new(footers.store, footers.cache),
                columns,
                _lease: Arc::clone(&self.lease),
            }));
        let config = FileScanConfigBuilder::new(warehouse.store_url().clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(total)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_batch_size(Some(batch_rows))
            .with_expr_adapter(Some(Arc::new(FieldIds)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
