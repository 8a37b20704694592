//! Table functions over waveforms: one file each and one line in [`TABLE_FUNCTIONS`].
//!
//! ```text
//! samples('FDSN:…', from, to)
//!    └─ arguments ── sources ── scan (waveform.segments, pruned, part by part) ── pieces (every moment once) ── rows ── batches
//! ```
//! Nothing is read before the first batch is asked for; memory does not grow with the length of the window.

mod arguments;
mod pieces;
mod samples;
mod scan;
mod sources;
mod spectrogram;
mod traces;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, Session, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, expressions::col};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use futures::TryStreamExt;
use seislake_model::SourceId;

use arguments::Window;
use scan::{Scan, Segments, Waveform};
use sources::Sources;

/// A table function.
#[derive(Debug)]
pub struct TableFunction {
    /// Name in SQL.
    pub name: &'static str,
    /// How it is called.
    pub syntax: &'static str,
    /// What one row is, gaps, limits and reference: sentences.
    pub doc: &'static str,
    /// Columns with their meanings.
    pub columns: &'static [(&'static str, &'static str)],
    /// A statement.
    pub example: &'static str,
    schema: fn() -> SchemaRef,
    /// A row names its channel, so that `source` may be a pattern.
    many_sources: bool,
    /// Reads what comes behind `(source, from, to)`.
    rows: fn(&[Expr]) -> Result<MakeRows>,
}

/// Every table function.
pub static TABLE_FUNCTIONS: &[TableFunction] = &[samples::FUNCTION, traces::FUNCTION, spectrogram::FUNCTION];

/// Starts the rows of a channel; rows in a batch.
type MakeRows = Arc<dyn Fn(&SourceId, usize) -> Box<dyn Rows> + Send + Sync>;

fn make_rows(make: impl Fn(&SourceId, usize) -> Box<dyn Rows> + Send + Sync + 'static) -> MakeRows {
    Arc::new(make)
}

/// Turns a waveform, piece by piece, into batches of rows.
trait Rows: Send {
    /// Takes the next piece. Called when [`Self::next`] has nothing more.
    fn push(&mut self, waveform: Waveform) -> Result<()>;

    /// Nothing more comes.
    fn finish(&mut self) -> Result<()>;

    /// The next batch that is complete, or the rest behind the end.
    fn next(&mut self) -> Result<Option<RecordBatch>>;
}

/// A table function at work in a session: it knows the catalog.
#[derive(Debug)]
pub(crate) struct OverCatalog {
    pub(crate) function: &'static TableFunction,
    pub(crate) catalog: Arc<dyn CatalogProvider>,
}

impl TableFunctionImpl for OverCatalog {
    fn call(&self, arguments: &[Expr]) -> Result<Arc<dyn TableProvider>> {
        let window = arguments::window(self.function.name, arguments)?;
        if !self.function.many_sources && matches!(window.sources, Sources::Matching(_)) {
            return plan_err!("{}: source must be one channel, not a pattern", self.function.name);
        }
        let rows = (self.function.rows)(&arguments[3..])?;
        let schema = (self.function.schema)();
        Ok(Arc::new(WaveformTable { catalog: Arc::clone(&self.catalog), window, rows, schema }))
    }
}

struct WaveformTable {
    catalog: Arc<dyn CatalogProvider>,
    window: Window,
    rows: MakeRows,
    schema: SchemaRef,
}

impl fmt::Debug for WaveformTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveformTable").field("window", &self.window).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for WaveformTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return plan_err!("table functions over waveforms need a session of this crate");
        };
        let stream = WaveformStream {
            catalog: Arc::clone(&self.catalog),
            state: Arc::new(state.clone()),
            window: self.window.clone(),
            rows: Arc::clone(&self.rows),
            schema: Arc::clone(&self.schema),
        };
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        // Rows of one channel come in order of their time.
        let times = match self.window.sources {
            Sources::One(_) | Sources::Spelled(_) => ["time", "time_ns", "start_time"].as_slice(),
            Sources::Matching(_) => &[],
        };
        let first = times.iter().find(|name| projected.column_with_name(name).is_some());
        let ordering = match first {
            Some(name) => LexOrdering::new([PhysicalSortExpr::new_default(col(name, &projected)?)]),
            None => None,
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(stream)];
        let schema = Arc::clone(&self.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, projection, ordering, false, limit)?))
    }
}

struct WaveformStream {
    catalog: Arc<dyn CatalogProvider>,
    state: Arc<SessionState>,
    window: Window,
    rows: MakeRows,
    schema: SchemaRef,
}

impl fmt::Debug for WaveformStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveformStream").field("window", &self.window).finish_non_exhaustive()
    }
}

impl PartitionStream for WaveformStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (catalog, state, window) =
            (Arc::clone(&self.catalog), Arc::clone(&self.state), self.window.clone());
        let (rows, batch_rows) = (Arc::clone(&self.rows), context.session_config().batch_size());
        let stream = futures::stream::once(async move {
            let segments = Segments::open(&catalog, state, context, window.time_ns).await?;
            let sources = match window.sources {
                Sources::One(source_id) => vec![source_id],
                Sources::Spelled(sources) => segments.first_of(sources).await?.into_iter().collect(),
                Sources::Matching(pattern) => segments.matching(&pattern).await?,
            };
            let flow = Flow { segments, sources: sources.into(), rows, batch_rows, current: None };
            Ok::<_, DataFusionError>(futures::stream::try_unfold(flow, |mut flow| async move {
                Ok(flow.next().await?.map(|batch| (batch, flow)))
            }))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream.try_flatten()))
    }
}

/// From the scans through the rows, one channel after the other.
struct Flow {
    segments: Segments,
    sources: VecDeque<SourceId>,
    rows: MakeRows,
    batch_rows: usize,
    current: Option<Current>,
}

struct Current {
    scan: Scan,
    rows: Box<dyn Rows>,
    ended: bool,
}

impl Flow {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let current = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(source_id) = self.sources.pop_front() else { return Ok(None) };
                    let rows = (self.rows)(&source_id, self.batch_rows);
                    let scan = Scan::new(self.segments.clone(), source_id);
                    self.current.insert(Current { scan, rows, ended: false })
                }
            };
            if let Some(batch) = current.rows.next()? {
                return Ok(Some(batch));
            }
            if current.ended {
                self.current = None;
                continue;
            }
            match current.scan.next().await? {
                Some(waveform) => current.rows.push(waveform)?,
                None => {
                    current.ended = true;
                    current.rows.finish()?;
                }
            }
        }
    }
}

/// Time zone of `timestamptz` in Arrow.
const UTC: &str = "+00:00";

fn time_field(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())), false)
}
