//! Joins repeat rows, and windows keep them: how wide they are shows when they come. Batches are cut by rows, and 8192 rows
//! of a megabyte are no batch any more.
//!
//! ```text
//! input ─ Width ─ rows too wide for a batch? ─ no ──► join, window
//!                       └ yes: the attempt ends ─► the statement is run again, in smaller batches  (statement.rs)
//! ```
//! Once rows were given to who asked, an attempt cannot be repeated: then the statement ends with the sentence of all that
//! need too much memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column as PhysicalColumn, Literal as PhysicalLiteral};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use futures::{Stream, StreamExt};

use super::Growth;
use super::sizes::constant_bytes;
use crate::pass_through::{InputPartition, Watch, watched};
use crate::stop::Stop;

/// The widest row that an attempt at a statement met too early, bytes; 0 where there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct WidestRow(Arc<AtomicUsize>);

impl WidestRow {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Rows of so many bytes were too many in one batch, and fewer would do.
    pub(super) fn met(&self, row_bytes: usize) {
        self.0.fetch_max(row_bytes, Ordering::Relaxed);
    }

    /// # Errors
    /// `row_count` rows of so many bytes are more than `bytes_max`, and fewer would do.
    pub(super) fn check(&self, row_bytes: usize, row_count: usize, bytes_max: u64) -> Result<()> {
        if row_count <= 1 || (row_bytes as u64).saturating_mul(row_count as u64) <= bytes_max {
            return Ok(());
        }
        self.met(row_bytes);
        Err(DataFusionError::ResourcesExhausted(format!("{row_count} rows of {row_bytes} bytes")))
    }
}

/// Whether values of a type are as long as they like.
pub(super) fn is_wide(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| is_wide(field.data_type())),
        DataType::FixedSizeList(..) | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_wide(values),
        DataType::RunEndEncoded(_, values) => is_wide(values.data_type()),
        other => other.primitive_width().is_none() && !matches!(other, DataType::Boolean | DataType::Null),
    }
}

pub(super) fn has_wide_columns(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| is_wide(field.data_type()))
}

/// Bytes of the widest value of an array, at most.
pub(super) fn widest_value(array: &dyn Array) -> usize {
    fn of_offsets<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
        let lengths = offsets.windows(2).map(|pair| match pair {
            [begin, end] => end.as_usize() - begin.as_usize(),
            _ => 0,
        });
        lengths.max().unwrap_or(0)
    }
    /// Elements are as wide as their type or, where that is not fixed, as the widest of them.
    fn of_lists(elements_max: usize, values: &dyn Array) -> usize {
        let width = values.data_type().primitive_width().unwrap_or_else(|| widest_value(values));
        elements_max.saturating_mul(width)
    }
    match array.data_type() {
        DataType::Utf8 => of_offsets(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => of_offsets(array.as_string::<i64>().value_offsets()),
        DataType::Binary => of_offsets(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => of_offsets(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => array.as_string_view().lengths().max().unwrap_or(0) as usize,
        DataType::BinaryView => array.as_binary_view().lengths().max().unwrap_or(0) as usize,
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            of_lists(of_offsets(lists.value_offsets()), lists.values())
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            of_lists(of_offsets(lists.value_offsets()), lists.values())
        }
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .fold(0, |sum: usize, column| sum.saturating_add(widest_value(column))),
        other => match other.primitive_width() {
            Some(width) => width,
            // Of types that hardly anybody uses, all bytes for each value.
            None => bytes_of(array),
        },
    }
}

/// Bytes of the values of an array that may share its memory with others.
pub(super) fn bytes_of(array: &dyn Array) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

fn widest_row(columns: &[ArrayRef]) -> usize {
    columns.iter().fold(0, |sum: usize, column| sum.saturating_add(widest_value(column)))
}

/// What becomes of the rows that were read.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// They are repeated in batches of the session's size, each with further values as wide as these. Batches that come
    /// larger are cut, but not where the engine keeps them: it would count the memory of the whole for each part.
    Repeated { values: Values, cut: bool },
    /// They are kept until the last has come, and each gets values as wide as these.
    Kept { values: Values },
    /// So many values are calculated of each, as wide as the widest of its columns.
    Calculated { count: usize },
}

/// Expressions whose values a window gives.
pub(super) type Values = Arc<[Arc<dyn PhysicalExpr>]>;

/// `input`, its rows measured.
pub(super) fn measured(
    input: &Arc<dyn ExecutionPlan>,
    rows: Rows,
    growth: &Growth,
) -> Arc<dyn ExecutionPlan> {
    watched(Arc::clone(input), Width { rows, growth: growth.clone() })
}

/// Wide values that an operator calculates of each row, all at once; 0 for operators that do not.
pub(super) fn calculated_count(node: &dyn ExecutionPlan) -> usize {
    let any = node.as_any();
    let (expressions, input): (Vec<Arc<dyn PhysicalExpr>>, _) =
        if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
            let expressions = projection.expr().iter().map(|projected| Arc::clone(&projected.expr));
            (expressions.collect(), projection.input())
        } else if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
            let groups = aggregate.group_expr().expr().iter().map(|(group, _)| Arc::clone(group));
            let arguments = aggregate.aggr_expr().iter().flat_map(|function| function.expressions());
            (groups.chain(arguments).collect(), aggregate.input())
        } else {
            return 0;
        };
    let schema = input.schema();
    let calculated = expressions.iter().filter(|expression| {
        let any = expression.as_any();
        let read = any.is::<PhysicalColumn>() || any.is::<PhysicalLiteral>();
        !read && expression.data_type(&schema).is_ok_and(|data_type| is_wide(&data_type))
    });
    calculated.count()
}

/// Measures the rows that an operator reads, and cuts its batches.
#[derive(Clone, Debug)]
struct Width {
    rows: Rows,
    growth: Growth,
}

impl Width {
    /// What repeats no rows itself works in batches of usual size, however narrow those of the join above are.
    fn context_of_input(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
    ) -> Arc<TaskContext> {
        let rows = self.growth.batch_rows;
        if rows <= context.session_config().batch_size() || repeats_rows(input) {
            return Arc::clone(context);
        }
        Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone().with_batch_size(rows),
            context.scalar_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            context.runtime_env(),
        ))
    }
}

fn repeats_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.exists(|node| {
        Ok(super::is_join(node.as_ref())
            || super::is_window(node.as_ref())
            || node.as_any().is::<UnnestExec>())
    })
    .unwrap_or(true)
}

impl Watch for Width {
    const NAME: &'static str = "WidthExec";

    fn execute(&self, of: InputPartition<'_>) -> Result<SendableRecordBatchStream> {
        let InputPartition { input, partition, context } = of;
        let input = input.execute(partition, self.context_of_input(input, &context))?;
        Ok(Box::pin(WidthStream {
            input,
            rows: self.rows.clone(),
            growth: self.growth.clone(),
            stop: Stop::of(context.session_config().options()),
            part_rows: usize::MAX,
            batch_rows: context.session_config().batch_size(),
            rest: None,
            row_count: 0,
            widest_values: vec![],
            kept: MemoryConsumer::new("rows of a window").register(context.memory_pool()),
        }))
    }
}

struct WidthStream {
    input: SendableRecordBatchStream,
    rows: Rows,
    growth: Growth,
    stop: Stop,
    batch_rows: usize,
    /// Rows of the parts into which the batch at hand is cut.
    part_rows: usize,
    /// What is left of it.
    rest: Option<RecordBatch>,
    row_count: usize,
    /// Of each function of a window.
    widest_values: Vec<usize>,
    kept: MemoryReservation,
}

impl WidthStream {
    fn check(&mut self, batch: &RecordBatch) -> Result<()> {
        match &self.rows {
            Rows::Repeated { values, cut } => {
                let mut values = values.iter().map(|value| widest_of(value, batch));
                let row_bytes = values.try_fold(widest_row(batch.columns()), |sum, width| {
                    Ok::<_, DataFusionError>(sum.saturating_add(width?))
                })?;
                self.part_rows = if *cut { self.batch_rows } else { usize::MAX };
                self.growth.widest_row.check(row_bytes, self.batch_rows, self.growth.call_bytes_max)
            }
            Rows::Kept { values } => {
                let bytes = batch.columns().iter().map(|column| bytes_of(column));
                self.kept.try_grow(bytes.fold(0, usize::saturating_add))?;
                self.row_count += batch.num_rows();
                self.widest_values.resize(values.len(), 0);
                for (widest, value) in self.widest_values.iter_mut().zip(values.iter()) {
                    *widest = (*widest).max(widest_of(value, batch)?);
                }
                let row_bytes =
                    self.widest_values.iter().fold(0_u64, |sum, width| sum.saturating_add(*width as u64));
                self.growth.check("OVER", row_bytes.saturating_mul(self.row_count as u64))
            }
            Rows::Calculated { count } => {
                let wide = batch.columns().iter().filter(|column| is_wide(column.data_type()));
                let widest = wide.map(|column| widest_value(column)).max().unwrap_or(0);
                let part_rows = self.growth.batch_bytes_max / widest.saturating_mul(*count).max(1);
                self.part_rows = part_rows.min(self.batch_rows);
                Ok(())
            }
        }
    }

    /// The next part of `batch`.
    fn cut(&mut self, batch: RecordBatch) -> RecordBatch {
        let part_rows = self.part_rows.max(1);
        if batch.num_rows() <= part_rows {
            return batch;
        }
        let part = batch.slice(0, part_rows);
        self.rest = Some(batch.slice(part_rows, batch.num_rows() - part_rows));
        part
    }
}

/// Bytes of the widest value of an expression over a batch, at most.
fn widest_of(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<usize> {
    Ok(match expression.evaluate(batch)? {
        ColumnarValue::Scalar(value) => constant_bytes(&value),
        ColumnarValue::Array(values) => widest_value(&values),
    })
}

impl Stream for WidthStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = self.stop.check() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(self.cut(rest))));
        }
        let batch = futures::ready!(self.input.poll_next_unpin(context));
        Poll::Ready(batch.map(|batch| {
            let batch = batch?;
            self.check(&batch)?;
            Ok(self.cut(batch))
        }))
    }
}

impl RecordBatchStream for WidthStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
