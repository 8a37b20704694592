//! `unnest` repeats the other columns of a row for every element of its list: what comes of a batch is measured before.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::unnest::UnnestExec;
use futures::{Stream, StreamExt};

use super::Growth;
use super::sizes::{bytes_at, elements_of_depth};
use crate::pass_through::{InputPartition, Watch, watched};

/// The node with its input measured, where it is an `unnest`.
pub(super) fn measured(
    node: Arc<dyn ExecutionPlan>,
    options: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(unnest) = node.as_any().downcast_ref::<UnnestExec>() else { return Ok(node) };
    let lists = unnest.list_column_indices().iter();
    let lists = lists.map(|list| (list.index_in_input_schema, list.depth)).collect();
    let input = Arc::clone(unnest.input());
    let measured = watched(input, UnnestGuard { lists, growth: Growth::of(options) });
    node.with_new_children(vec![measured])
}

/// Refuses batches of which too much would be made.
#[derive(Clone, Debug)]
struct UnnestGuard {
    /// Columns with lists, and how many levels down their elements are.
    lists: Arc<[(usize, usize)]>,
    growth: Growth,
}

impl Watch for UnnestGuard {
    const NAME: &'static str = "MeasuredExec";

    fn execute(&self, of: InputPartition<'_>) -> Result<SendableRecordBatchStream> {
        let input = of.execute()?;
        Ok(Box::pin(MeasuredStream { input, lists: Arc::clone(&self.lists), growth: self.growth.clone() }))
    }
}

struct MeasuredStream {
    input: SendableRecordBatchStream,
    lists: Arc<[(usize, usize)]>,
    growth: Growth,
}

impl MeasuredStream {
    fn check(&self, batch: &RecordBatch) -> Result<()> {
        let columns = || batch.columns().iter().enumerate();
        let mut bytes = 0_u64;
        for row in 0..batch.num_rows() {
            let lists =
                self.lists.iter().filter_map(|(index, depth)| Some((batch.columns().get(*index)?, *depth)));
            let elements = lists.map(|(list, depth)| elements_of_depth(list, row, depth)).max().unwrap_or(0);
            let others = columns().filter(|(index, _)| !self.lists.iter().any(|(list, _)| list == index));
            let width = others.fold(0, |sum: u64, (_, column)| sum.saturating_add(bytes_at(column, row)));
            bytes = bytes.saturating_add(elements.saturating_mul(width));
        }
        self.growth.check_rows("unnest", bytes, batch.num_rows())
    }
}

impl Stream for MeasuredStream {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = futures::ready!(self.input.poll_next_unpin(context));
        Poll::Ready(batch.map(|batch| {
            let batch = batch?;
            self.check(&batch)?;
            Ok(batch)
        }))
    }
}

impl RecordBatchStream for MeasuredStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
