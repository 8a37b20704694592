//! Operators ask at every batch whether the statement is still wanted and holds no more memory than it may, and let others
//! run.
//!
//! The engine's operators yield where they read: a join over two small tables reads for a moment and may then work for
//! hours. So every join, window and `unnest` gets a [`Stoppable`] above it, as does every source of rows and the whole
//! plan, and the condition of a nested loop, which may look at pairs for hours without finding one, a
//! [`StoppableCondition`].

pub(crate) mod planning;

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::unnest::UnnestExec;
use futures::{Stream, StreamExt};

use crate::growth;
use crate::pass_through::{InputPartition, Watch, watched};
use crate::stop::Stop;

/// Puts the questions in; the last rule, so that no other has to know them.
#[derive(Debug)]
pub(crate) struct AskWhetherWanted;

impl PhysicalOptimizerRule for AskWhetherWanted {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stop = Stop::of(options);
        let asking = |input| watched(input, Stoppable(stop.clone()));
        let asked = plan.transform_up(|node| {
            if node.children().is_empty() {
                return Ok(Transformed::yes(asking(node)));
            }
            if growth::calculates(node.as_ref()) {
                return Ok(Transformed::yes(growth::measured(node, options)?));
            }
            if !multiplies(node.as_ref()) {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(asking(growth::measured(with_condition(node, &stop)?, options)?)))
        })?;
        Ok(asking(asked.data))
    }

    fn name(&self) -> &'static str {
        "ask_whether_wanted"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Operators that may give more than they read.
fn multiplies(node: &dyn ExecutionPlan) -> bool {
    growth::is_join(node)
        || growth::is_window(node)
        || node.as_any().is::<UnnestExec>()
        || node.as_any().is::<RecursiveQueryExec>()
}

/// A nested loop whose condition asks, too.
fn with_condition(node: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let asking = |filter: &JoinFilter| {
        let expression =
            Arc::new(StoppableCondition { condition: Arc::clone(filter.expression()), stop: stop.clone() });
        JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    };
    if let Some(join) = node.as_any().downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = join.filter()
    {
        let projection = join.projection().as_ref().map(|columns| columns.to_vec());
        let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
        let asking = asking(filter);
        return Ok(Arc::new(NestedLoopJoinExec::try_new(
            left,
            right,
            Some(asking),
            join.join_type(),
            projection,
        )?));
    }
    if let Some(join) = node.as_any().downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        let asking = asking(filter);
        return Ok(Arc::new(join.builder().with_filter(Some(asking)).build()?));
    }
    Ok(node)
}

/// Passes batches on as long as the statement is wanted.
#[derive(Clone, Debug)]
struct Stoppable(Stop);

impl Watch for Stoppable {
    const NAME: &'static str = "StoppableExec";

    fn execute(&self, of: InputPartition<'_>) -> Result<SendableRecordBatchStream> {
        let input = of.execute()?;
        Ok(Box::pin(StoppableStream { input, stop: self.0.clone(), batch_count: 0 }))
    }
}

/// Batches after which others have their turn. Counted by each operator for itself: the budget of a tokio task is one for
/// all of them, and a plan with more joins than it has units would spend it before it reached a table, for ever.
const TURN_BATCHES: u32 = 32;

struct StoppableStream {
    input: SendableRecordBatchStream,
    stop: Stop,
    /// Since the last turn of others.
    batch_count: u32,
}

impl Stream for StoppableStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = self.stop.check() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.batch_count == TURN_BATCHES {
            self.batch_count = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.input.poll_next_unpin(context);
        self.batch_count += u32::from(polled.is_ready());
        polled
    }
}

impl RecordBatchStream for StoppableStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// A condition that fails once its statement is not wanted any more.
#[derive(Debug)]
struct StoppableCondition {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for StoppableCondition {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for StoppableCondition {}

impl Hash for StoppableCondition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for StoppableCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for StoppableCondition {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.check()?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Self { condition, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
