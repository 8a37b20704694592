//! A window gives one value for every row: `string_agg(x, ',') OVER (ORDER BY t)` as many texts as there are rows, each as
//! long as all before it. What it will make is measured by its argument, before it is made.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    Case, ColumnarValue, Expr, ExprSchemable, WindowFrame, WindowFrameBound, WindowFrameUnits,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr, WindowExpr,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::Growth;
use super::sizes::{bytes_at, integer};
use super::widths::{self, Rows, Values, bytes_of, is_wide, widest_value};
use crate::stop::Stop;

/// Partitions of a window whose bytes are remembered; with more of them at once, all begin anew: what they then hold is
/// counted where it is allocated.
const PARTITIONS_MAX: usize = 10_000;

/// Aggregates whose value is one of those that they read; all others may hold all of them.
const ONE_OF_ITS_VALUES: [&str; 6] = ["min", "max", "first_value", "last_value", "nth_value", "median"];

/// Aggregates over a window that give wide values, without `FILTER`: the engine does not let a filter be read back, so it
/// becomes part of the argument, where the function leaves out nulls.
///
/// # Errors
/// The function does not leave out nulls.
pub(super) fn without_filter(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let wide = |expression: &Expr| Ok::<_, DataFusionError>(is_wide(&expression.get_type(schema)?));
    match expression {
        Expr::WindowFunction(ref window) if window.params.filter.is_some() && wide(&expression)? => {}
        other => return Ok(Transformed::no(other)),
    }
    let Expr::WindowFunction(mut window) = expression else { return Ok(Transformed::no(expression)) };
    let name = window.fun.name().to_owned();
    let leaves_out_nulls = ["string_agg", "min", "max"].contains(&name.as_str());
    let (Some(filter), Some(first), true) =
        (window.params.filter.take(), window.params.args.first_mut(), leaves_out_nulls)
    else {
        return plan_err!(
            "\"{name}\" over a window takes no FILTER: choose its rows in a subquery, or its values with CASE"
        );
    };
    let argument = std::mem::take(first);
    *first = Expr::Case(Case::new(None, vec![(filter, Box::new(argument))], None));
    Ok(Transformed::yes(Expr::WindowFunction(window)))
}

/// The node with its rows and the arguments of its functions measured, where it is a window.
pub(crate) fn measured(
    node: Arc<dyn ExecutionPlan>,
    growth: &Growth,
    batch_rows: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let any = node.as_any();
    if let Some(window) = any.downcast_ref::<BoundedWindowAggExec>() {
        let guard = |function| with_measured_argument(function, growth, Some(batch_rows));
        let functions = window.window_expr().iter().map(guard).collect::<Result<Vec<_>>>()?;
        let values = values(&functions, &window.input().schema())?;
        let can_repartition = !window.partition_keys().is_empty();
        let input = match widths::has_wide_columns(&window.input().schema()) || !values.is_empty() {
            true => widths::measured(window.input(), Rows::Repeated { values, cut: true }, growth),
            false => Arc::clone(window.input()),
        };
        let mode = window.input_order_mode.clone();
        return Ok(Arc::new(BoundedWindowAggExec::try_new(functions, input, mode, can_repartition)?));
    }
    if let Some(window) = any.downcast_ref::<WindowAggExec>() {
        let guard = |function| with_measured_argument(function, growth, None);
        let functions = window.window_expr().iter().map(guard).collect::<Result<Vec<_>>>()?;
        let can_repartition = !window.partition_keys().is_empty();
        let values = values(&functions, &window.input().schema())?;
        let input = widths::measured(window.input(), Rows::Kept { values }, growth);
        return Ok(Arc::new(WindowAggExec::try_new(functions, input, can_repartition)?));
    }
    Ok(node)
}

/// What `lag`, `first_value` and the like give: for every row one of the values of their arguments.
fn values(functions: &[Arc<dyn WindowExpr>], schema: &Schema) -> Result<Values> {
    let mut values = Vec::new();
    for function in functions.iter().filter(|function| function.as_any().is::<StandardWindowExpr>()) {
        if !is_wide(function.field()?.data_type()) {
            continue;
        }
        for argument in function.expressions() {
            if is_wide(&argument.data_type(schema)?) {
                values.push(argument);
            }
        }
    }
    Ok(values.into())
}

/// An aggregate that gives wide values, and has no filter any more ([`without_filter`]), its first argument measured; `batch_rows` where it is fed batch by batch.
fn with_measured_argument(
    function: &Arc<dyn WindowExpr>,
    growth: &Growth,
    batch_rows: Option<usize>,
) -> Result<Arc<dyn WindowExpr>> {
    if !is_wide(function.field()?.data_type()) {
        return Ok(Arc::clone(function));
    }
    let any = function.as_any();
    let (partition_by, order_by) = (function.partition_by(), function.order_by());
    let frame = Arc::clone(function.get_window_frame());
    let guard =
        |aggregate: &AggregateFunctionExpr| guarded(aggregate, &frame, partition_by, growth, batch_rows);
    if let Some(plain) = any.downcast_ref::<PlainAggregateWindowExpr>() {
        let aggregate = guard(plain.get_aggregate_expr())?;
        let frame = Arc::clone(&frame);
        return Ok(Arc::new(PlainAggregateWindowExpr::new(aggregate, partition_by, order_by, frame, None)));
    }
    if let Some(sliding) = any.downcast_ref::<SlidingAggregateWindowExpr>() {
        let aggregate = guard(sliding.get_aggregate_expr())?;
        let frame = Arc::clone(&frame);
        return Ok(Arc::new(SlidingAggregateWindowExpr::new(aggregate, partition_by, order_by, frame, None)));
    }
    Ok(Arc::clone(function))
}

fn guarded(
    aggregate: &AggregateFunctionExpr,
    frame: &WindowFrame,
    partition_by: &[Arc<dyn PhysicalExpr>],
    growth: &Growth,
    batch_rows: Option<usize>,
) -> Result<Arc<AggregateFunctionExpr>> {
    let mut arguments = aggregate.expressions();
    let Some(first) = arguments.first_mut() else {
        return internal_err!("\"{}\" gives wide values and has no argument", aggregate.name());
    };
    *first = Arc::new(WindowArgument {
        argument: Arc::clone(first),
        function: aggregate.fun().name().to_owned(),
        one_of_its_values: ONE_OF_ITS_VALUES.contains(&aggregate.fun().name()),
        frame_rows: frame_rows(frame),
        partition_by: partition_by.into(),
        seen_bytes: Arc::default(),
        growth: growth.clone(),
        batch_rows,
    });
    let order_by = aggregate.order_bys().iter().map(|order| Arc::clone(&order.expr)).collect();
    match aggregate.with_new_expressions(arguments, order_by) {
        Some(aggregate) => Ok(Arc::new(aggregate)),
        None => internal_err!("the arguments of \"{}\" cannot be measured", aggregate.name()),
    }
}

/// Rows of a frame that is counted in rows and has two ends; `None` for all others.
fn frame_rows(frame: &WindowFrame) -> Option<u64> {
    let rows = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(count) | WindowFrameBound::Following(count) => integer_of(count),
    };
    match frame.units {
        WindowFrameUnits::Rows => {
            Some(rows(&frame.start_bound)?.saturating_add(rows(&frame.end_bound)?).saturating_add(1))
        }
        WindowFrameUnits::Range | WindowFrameUnits::Groups => None,
    }
}

fn integer_of(value: &ScalarValue) -> Option<u64> {
    integer(value).and_then(|count| u64::try_from(count).ok())
}

/// An argument of an aggregate over a window: where it is read for so many rows that too much would be made, the statement
/// ends, or is run again in smaller batches.
#[derive(Debug)]
struct WindowArgument {
    argument: Arc<dyn PhysicalExpr>,
    function: String,
    one_of_its_values: bool,
    frame_rows: Option<u64>,
    /// What tells partitions of the window apart.
    partition_by: Arc<[Arc<dyn PhysicalExpr>]>,
    /// Bytes that each partition had in the batches before, where an aggregate goes on from batch to batch.
    seen_bytes: Arc<Mutex<HashMap<Vec<ScalarValue>, u64>>>,
    growth: Growth,
    /// Rows of the batches that it is fed with; `None` where it is given all rows at once.
    batch_rows: Option<usize>,
}

impl WindowArgument {
    /// Bytes of one value of the function at most, for the rows of a batch with these arguments.
    fn value_bytes(&self, values: &ArrayRef, batch: &RecordBatch) -> Result<u64> {
        let widest = widest_value(values) as u64;
        if self.one_of_its_values || values.is_empty() {
            return Ok(widest);
        }
        let bytes = bytes_of(values) as u64;
        let all = match (self.batch_rows, self.frame_rows) {
            (Some(_), None) => self.with_those_before(bytes, bytes_at(values, 0), batch)?,
            _ => bytes,
        };
        Ok(self.frame_rows.map_or(all, |rows| all.min(rows.saturating_mul(widest.max(8)))))
    }

    /// `bytes` of a partition, and those of its batches before. The engine keeps the last row of a batch for the next, and
    /// shows it again.
    fn with_those_before(&self, bytes: u64, first_bytes: u64, batch: &RecordBatch) -> Result<u64> {
        let key = |column: &Arc<dyn PhysicalExpr>| {
            ScalarValue::try_from_array(&column.evaluate(batch)?.into_array(batch.num_rows())?, 0)
        };
        let key = self.partition_by.iter().map(key).collect::<Result<Vec<_>>>()?;
        let mut seen = self.seen_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= PARTITIONS_MAX && !seen.contains_key(&key) {
            seen.clear();
        }
        let all = match seen.get(&key) {
            Some(before) => before.saturating_add(bytes.saturating_sub(first_bytes)),
            None => bytes,
        };
        seen.insert(key, all);
        Ok(all)
    }
}

impl fmt::Display for WindowArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.argument.fmt(f)
    }
}

impl PartialEq for WindowArgument {
    fn eq(&self, other: &Self) -> bool {
        self.argument.eq(&other.argument)
    }
}

impl Eq for WindowArgument {}

impl Hash for WindowArgument {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.argument.hash(state);
    }
}

impl PhysicalExpr for WindowArgument {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.argument.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.argument.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.argument.evaluate(batch)?.into_array(batch.num_rows())?;
        // Each partition is a step of its own.
        if let Some(stop) = Stop::at_work() {
            stop.check()?;
        }
        let value_bytes = self.value_bytes(&values, batch)?;
        if let Some(batch_rows) = self.batch_rows {
            let bytes = usize::try_from(value_bytes).unwrap_or(usize::MAX);
            let row_count = batch_rows.min(batch.num_rows());
            self.growth.widest_row.check(bytes, row_count, self.growth.call_bytes_max)?;
        } else {
            self.growth.check(&self.function, value_bytes.saturating_mul(batch.num_rows() as u64))?;
        }
        Ok(ColumnarValue::Array(values))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.argument]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let argument = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.argument));
        Ok(Arc::new(Self {
            argument,
            function: self.function.clone(),
            one_of_its_values: self.one_of_its_values,
            frame_rows: self.frame_rows,
            partition_by: Arc::clone(&self.partition_by),
            seen_bytes: Arc::clone(&self.seen_bytes),
            growth: self.growth.clone(),
            batch_rows: self.batch_rows,
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.argument.fmt_sql(f)
    }
}
