//! Table functions over waveforms: one file each and one line in [`TABLE_FUNCTIONS`].
//!
//! ```text
//! samples('FDSN:…', from, to)
//!    └─ arguments ── scan (waveform.segments, pruned, part by part) ── pieces (every moment once) ── rows ── batches
//! ```
//! Nothing is read before the first batch is asked for; memory does not grow with the length of the window.

mod arguments;
mod pieces;
mod samples;
mod scan;
mod spectrogram;
mod traces;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, Session, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::TableType;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, expressions::col};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use arguments::Window;
use scan::{Scan, Source, Waveform};

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
    /// Reads what comes behind `(source, from, to)`.
    rows: fn(&[Expr]) -> Result<MakeRows>,
}

/// Every table function.
pub static TABLE_FUNCTIONS: &[TableFunction] = &[samples::FUNCTION, traces::FUNCTION, spectrogram::FUNCTION];

/// Starts the rows of one scan: channel and rows in a batch.
type MakeRows = Arc<dyn Fn(&Window, usize) -> Box<dyn Rows> + Send + Sync>;

fn make_rows(make: impl Fn(&Window, usize) -> Box<dyn Rows> + Send + Sync + 'static) -> MakeRows {
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
        let source = Source {
            catalog: Arc::clone(&self.catalog),
            state: Arc::new(state.clone()),
            window: self.window.clone(),
        };
        let stream =
            WaveformStream { source, rows: Arc::clone(&self.rows), schema: Arc::clone(&self.schema) };
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        // Rows come in order of their first column that is left.
        let times = ["time", "time_ns", "start_time"];
        let first = times.into_iter().find(|name| projected.column_with_name(name).is_some());
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
    source: Source,
    rows: MakeRows,
    schema: SchemaRef,
}

impl fmt::Debug for WaveformStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaveformStream").field("window", &self.source.window).finish_non_exhaustive()
    }
}

impl PartitionStream for WaveformStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = (self.rows)(&self.source.window, context.session_config().batch_size());
        let flow = Flow { scan: Scan::new(self.source.clone(), context), rows, ended: false };
        let stream = futures::stream::try_unfold(flow, |mut flow| async move {
            Ok(flow.next().await?.map(|batch| (batch, flow)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}

/// From the scan through the rows.
struct Flow {
    scan: Scan,
    rows: Box<dyn Rows>,
    ended: bool,
}

impl Flow {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rows.next()? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.scan.next().await? {
                Some(waveform) => self.rows.push(waveform)?,
                None => {
                    self.ended = true;
                    self.rows.finish()?;
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
