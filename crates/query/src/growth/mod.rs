//! Functions that make much from little: `repeat('x', 2000000000)` asks for two gigabytes in three words. And those that take
//! long for little, without anybody being able to stop them ([`steps`]).
//!
//! ```text
//! plan ─ GuardGrowth (analyzer) ─► every growing function is a Guarded one, `||` an n-ary concat
//!         └ call, while planning or running ─ size of the result (sizes.rs) ─ more than Growth allows? refused
//! plan ─ widest value ─► rows of a batch: a value that every row of a batch carries is as many times itself
//! rows ─ before a join, a window, `unnest` (widths.rs, windows.rs, unnest.rs) ─ too wide for batches of so many rows?
//!         the statement is tried again with fewer, or ends
//! ```
//! The engine's pool counts what operators hold, not what functions make on the way; so a call is measured before it is
//! made. A search is measured by its text and its pattern. Functions that give no more than they are given are left alone.

mod concat;
mod sizes;
mod steps;
mod unnest;
mod weights;
mod widths;
mod windows;

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PiecewiseMergeJoinExec, SortMergeJoinExec,
    SymmetricHashJoinExec,
};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use crate::carried::carried_by_sessions;
use crate::frames;
use crate::stop::Stop;

use widths::{Rows, WidestRow};

/// Part of the session's memory that one call may make, and all constants of a statement together.
const CALL_SHARE: usize = 4;
/// Part of the session's memory that a batch of constants may take.
const BATCH_SHARE: usize = 16;
/// Bytes that all constants of a plan together may be folded to: every rule of the planner copies them. What is larger is
/// calculated where it is used.
const CONSTANT_BYTES_MAX: u64 = 1 << 20;
/// Rows of a batch where functions make values of unknown size.
const WIDE_ROWS_MAX: usize = 16;
/// A count that a statement says in so many digits makes no value wide.
const SMALL_COUNT: i64 = 10_000;
/// Bytes or elements of a type of fixed size at most.
const FIXED_SIZE_MAX: i32 = 1 << 16;

/// Memory of sessions that this crate did not open.
const UNSAID_MEMORY_BYTES: usize = 256 << 20;

thread_local! {
    /// Bytes that constants took since planning began; `None` while a statement runs.
    static CONSTANT_BYTES: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How much a call may make.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    call_bytes_max: u64,
    batch_bytes_max: usize,
    /// Rows of a batch at the first attempt; 0 for plans that nobody measured: they keep the batches of their session.
    batch_rows: usize,
    widest_row: WidestRow,
}

impl Growth {
    pub(crate) fn of_memory(memory_bytes: usize) -> Self {
        Self {
            call_bytes_max: (memory_bytes / CALL_SHARE) as u64,
            batch_bytes_max: memory_bytes / BATCH_SHARE,
            batch_rows: 0,
            widest_row: WidestRow::default(),
        }
    }

    fn of(options: &ConfigOptions) -> Self {
        options.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of_memory(UNSAID_MEMORY_BYTES))
    }

    /// # Errors
    /// `name` would make more than allowed.
    fn check(&self, name: &str, bytes: u64) -> Result<()> {
        let before = CONSTANT_BYTES.get();
        let all = before.unwrap_or(0).saturating_add(bytes);
        let bytes_max =
            if before.is_some() { CONSTANT_BYTES_MAX.min(self.call_bytes_max) } else { self.call_bytes_max };
        if all > bytes_max {
            return Err(DataFusionError::Execution(format!(
                "\"{name}\" would make about {bytes} bytes of its arguments; this session allows {} bytes at a time: \
                 ask for less, or raise query.memory_bytes",
                bytes_max
            )));
        }
        if before.is_some() {
            CONSTANT_BYTES.set(Some(all));
        }
        Ok(())
    }

    /// The same for a call on so many rows: where fewer would do, the statement is tried again with them.
    fn check_rows(&self, name: &str, bytes: u64, row_count: usize) -> Result<()> {
        let checked = self.check(name, bytes);
        let row_bytes = bytes / row_count.max(1) as u64;
        if checked.is_err() && row_count > 1 && row_bytes <= self.call_bytes_max {
            self.widest_row.met(usize::try_from(row_bytes.max(1)).unwrap_or(usize::MAX));
        }
        checked
    }

    /// # Errors
    /// `name` would take longer than a call may that nothing can stop.
    fn check_steps(&self, name: &str, steps: u64) -> Result<()> {
        if self.check(name, steps / steps::STEPS_OF_BYTE).is_ok() {
            return Ok(());
        }
        Err(DataFusionError::Execution(format!(
            "\"{name}\" would compare about {steps} letters or elements of its arguments and could not be stopped; this \
             session allows {} at a time: ask for less, or raise query.memory_bytes",
            self.call_bytes_max.saturating_mul(steps::STEPS_OF_BYTE)
        )))
    }

    /// Limits for a statement that runs in batches of `batch_rows` or fewer: the share of each of its calls.
    pub(crate) fn for_plan(&self, plan: &LogicalPlan, batch_rows: usize) -> Result<Self> {
        let (mut widest, mut wide_calls) = (0_usize, 0_usize);
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    match part {
                        Expr::Literal(value, _) => widest = widest.max(sizes::constant_bytes(value)),
                        Expr::ScalarFunction(call) if is_wide(call) => wide_calls += 1,
                        _ => {}
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        let mut rows = None;
        if widest > 1024 {
            rows = Some((self.batch_bytes_max / widest).max(1));
        }
        if wide_calls > 0 {
            rows = Some(rows.unwrap_or(WIDE_ROWS_MAX).min(WIDE_ROWS_MAX));
        }
        let call_bytes_max = self.call_bytes_max / wide_calls.max(1) as u64;
        let batch_rows = rows.map_or(batch_rows, |rows| rows.min(batch_rows));
        Ok(Self { call_bytes_max, batch_rows, widest_row: WidestRow::default(), ..self.clone() })
    }

    pub(crate) const fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Rows of a batch with which to try a statement again that met rows too wide for `batch_rows`; `None` where none was
    /// met.
    pub(crate) fn narrower(&self, batch_rows: usize) -> Option<usize> {
        let widest = self.widest_row.bytes();
        (widest > 0 && batch_rows > 1).then(|| (self.batch_bytes_max / widest).clamp(1, batch_rows / 2))
    }

    /// A new attempt begins.
    pub(crate) fn begin_again(&self) {
        self.widest_row.forget();
    }
}

/// An operator that repeats or keeps rows, with what it reads measured.
pub(crate) fn measured(
    node: Arc<dyn ExecutionPlan>,
    options: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let growth = Growth::of(options);
    // Whoever runs a plan that no attempt was made for cannot try again.
    if growth.batch_rows == 0 {
        return Ok(node);
    }
    if node.as_any().is::<UnnestExec>() {
        return unnest::measured(node, options);
    }
    if is_window(node.as_ref()) {
        return windows::measured(node, &growth, options.execution.batch_size);
    }
    let count = widths::calculated_count(node.as_ref());
    if count > 0 {
        let inputs = node.children().into_iter();
        let inputs =
            inputs.map(|input| widths::measured(input, Rows::Calculated { count }, &growth)).collect();
        return node.with_new_children(inputs);
    }
    if !is_join(node.as_ref())
        || !node.children().iter().any(|input| widths::has_wide_columns(&input.schema()))
    {
        return Ok(node);
    }
    // The first side is kept, the second is read batch by batch.
    let inputs = node.children().into_iter().enumerate().map(|(place, input)| {
        widths::measured(input, Rows::Repeated { values: Arc::default(), cut: place > 0 }, &growth)
    });
    let inputs = inputs.collect();
    node.with_new_children(inputs)
}

/// Operators that calculate several wide values of each row.
pub(crate) fn calculates(node: &dyn ExecutionPlan) -> bool {
    widths::calculated_count(node) > 0
}

/// Operators that give a value for every row of a window around it.
pub(crate) fn is_window(node: &dyn ExecutionPlan) -> bool {
    let node = node.as_any();
    node.is::<WindowAggExec>() || node.is::<BoundedWindowAggExec>()
}

/// Operators that repeat the rows that they read.
pub(crate) fn is_join(node: &dyn ExecutionPlan) -> bool {
    let node = node.as_any();
    node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<SymmetricHashJoinExec>()
        || node.is::<PiecewiseMergeJoinExec>()
}

/// While it lives, the calls of this thread are those of a planner: what they make stays, as constants of the plan.
#[derive(Debug)]
pub(crate) struct PlannerScope(Option<u64>);

impl PlannerScope {
    pub(crate) fn begin() -> Self {
        Self(CONSTANT_BYTES.replace(Some(0)))
    }
}

impl Drop for PlannerScope {
    fn drop(&mut self) {
        CONSTANT_BYTES.set(self.0);
    }
}

/// A call that may make values of any size: its count is no small number.
fn is_wide(call: &ScalarFunction) -> bool {
    let name = call.name();
    let counts = match name {
        "repeat" | "lpad" | "rpad" | "array_repeat" | "array_resize" => call.args.get(1..2),
        "range" | "generate_series" => call.args.get(..),
        _ => return false,
    };
    let small = |argument: &Expr| match argument {
        Expr::Literal(value, _) => {
            sizes::integer(value).is_some_and(|count| (-SMALL_COUNT..=SMALL_COUNT).contains(&count))
        }
        _ => false,
    };
    !counts.unwrap_or_default().iter().all(small)
}

carried_by_sessions!(Growth, "growth");

/// Puts the guards in, before constants are calculated.
#[derive(Debug)]
pub(crate) struct GuardGrowth;

impl AnalyzerRule for GuardGrowth {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            let rows = match &node {
                LogicalPlan::Window(window) => Some(Arc::clone(window.input.schema())),
                _ => None,
            };
            let node = node.map_expressions(|expression| {
                let name = names.save(&expression);
                let guarded = expression.transform_up(|part| match &rows {
                    Some(rows) => {
                        let guarded =
                            guard(part)?.transform_data(|part| windows::without_filter(part, rows))?;
                        guarded.map_data(|part| Ok(weights::weighed(frames::forgetting(part)?, options)))
                    }
                    None => guard(part),
                });
                Ok(guarded?.update_data(|expression| name.restore(expression)))
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(guarded.data)
    }

    fn name(&self) -> &'static str {
        "guard_growth"
    }
}

/// `function` with a guard, where it grows and has none.
pub(crate) fn guarded(function: &Arc<ScalarUDF>) -> Option<ScalarUDF> {
    let bare = !function.inner().as_any().is::<GuardedFunction>();
    (bare && is_guarded(function.name()))
        .then(|| ScalarUDF::new_from_impl(GuardedFunction { inner: Arc::clone(function) }))
}

/// `function` without what the engine says of its order, which fails where an argument may lie outside of its domain: windows
/// ordered by `sqrt(x)` would be planned and then refused.
pub(crate) fn unordered(function: &Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.inner().as_any().is::<GuardedFunction>() {
        return Arc::clone(function);
    }
    Arc::new(ScalarUDF::new_from_impl(GuardedFunction { inner: Arc::clone(function) }))
}

fn is_guarded(name: &str) -> bool {
    sizes::of_function(name).is_some() || steps::of_function(name).is_some()
}

/// Whether nothing in `expression` makes much from little, or takes long for it.
fn holds_no_growth(expression: &Expr) -> bool {
    let mut grows = false;
    let walked = expression.apply(|part| {
        grows |= match part {
            Expr::ScalarFunction(call) => is_guarded(call.name()),
            other => steps::is_search(other),
        };
        Ok(if grows { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && !grows
}

fn guard(expression: Expr) -> Result<Transformed<Expr>> {
    match expression {
        Expr::ScalarFunction(call) if call.name() == "arrow_cast" => {
            if let Some(Expr::Literal(name, _)) = call.args.get(1) {
                check_type_name(&name.to_string())?;
            }
            Ok(Transformed::no(Expr::ScalarFunction(call)))
        }
        Expr::ScalarFunction(call) => {
            // Brackets and operators are planned as functions that are in no registry.
            match guarded(&call.func) {
                Some(function) => {
                    let call = ScalarFunction::new_udf(Arc::new(function), call.args);
                    Ok(Transformed::yes(Expr::ScalarFunction(call)))
                }
                None => Ok(Transformed::no(Expr::ScalarFunction(call))),
            }
        }
        Expr::Cast(Cast { ref data_type, .. }) | Expr::TryCast(TryCast { ref data_type, .. }) => {
            check_type(data_type)?;
            Ok(Transformed::no(expression))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            Ok(Transformed::yes(concat::joined(*left, *right)))
        }
        other => Ok(steps::measured(other)),
    }
}

/// A type of fixed size takes its size for every row.
fn check_type(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size > FIXED_SIZE_MAX => {
            plan_err!("a type of fixed size may have {FIXED_SIZE_MAX} elements, not {size}")
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            check_type(field.data_type())
        }
        _ => Ok(()),
    }
}

/// The same for a type that is named as text.
fn check_type_name(name: &str) -> Result<()> {
    if !name.contains("FixedSize") {
        return Ok(());
    }
    let numbers = name.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
    for digits in numbers {
        if digits.parse::<i32>().is_ok_and(|size| size <= FIXED_SIZE_MAX) {
            continue;
        }
        return plan_err!("a type of fixed size may have {FIXED_SIZE_MAX} elements, not {digits}");
    }
    Ok(())
}

/// A function whose result is measured before it is made.
#[derive(Debug, PartialEq, Eq, Hash)]
struct GuardedFunction {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for GuardedFunction {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self { inner }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // What it is rewritten to would go without its guard, so only its arguments are simplified.
        match self.inner.simplify(args.clone(), info)? {
            ExprSimplifyResult::Original(args) => Ok(ExprSimplifyResult::Original(args)),
            ExprSimplifyResult::Simplified(simpler) if holds_no_growth(&simpler) => {
                Ok(ExprSimplifyResult::Simplified(simpler))
            }
            ExprSimplifyResult::Simplified(_) => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Stop::check_of(&args.config_options)?;
        if let Some(size) = sizes::of_function(self.name()) {
            let arguments = sizes::Arguments::new(&args.args, args.number_rows);
            let growth = Growth::of(&args.config_options);
            growth.check_rows(self.name(), size(&arguments)?, args.number_rows)?;
        }
        if let Some(steps) = steps::of_function(self.name()) {
            let arguments = sizes::Arguments::new(&args.args, args.number_rows);
            Growth::of(&args.config_options).check_steps(self.name(), steps(&arguments)?)?;
        }
        self.inner.invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests;
