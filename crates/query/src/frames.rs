//! Aggregates over frames whose begin moves: what leaves a frame is forgotten. The engine takes it away again, which floating
//! point numbers cannot undo: after a NaN or an infinity nothing is a number any more, after 1e20 the small ones are lost, and
//! an average of no values divides by zero.
//!
//! ```text
//! frame   | r3 r4 r5 | r6 r7 r8 |     back: one state of r6 … r8, and the rows themselves
//!           front: states of r3…r5, r4…r5, r5; the first goes with the row that leaves
//! value = state of the front's first and that of the back, merged
//! ```
//! When the front is empty, the rows of the back become a new front: each row is added twice, whatever the frame's length.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ReversedUDAF, WindowFrameBound,
    WindowFunctionDefinition,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::by_engine::by_engine;

/// Aggregates whose state is small and merges with another one.
pub(crate) const MERGED: [&str; 24] = [
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "covar_pop",
    "covar_samp",
    "mean",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];
/// The engine's total of different values wraps around, is 0 where there is none, and knows whole numbers alone.
const SUM_DISTINCT: &str =
    "sum(DISTINCT …) is not answered over a window: sum the rows of a subquery with SELECT DISTINCT";

/// An aggregate over a window, with a begin that forgets where its frame moves on.
///
/// # Errors
/// One that the engine calculates wrongly.
pub(crate) fn forgetting(expression: Expr) -> Result<Expr> {
    let Expr::WindowFunction(mut window) = expression else { return Ok(expression) };
    let moves = !matches!(
        &window.params.window_frame.start_bound,
        WindowFrameBound::Preceding(from) if from.is_null()
    );
    if let WindowFunctionDefinition::AggregateUDF(function) = &window.fun {
        let name = function.name();
        if name == "sum" && window.params.distinct {
            return plan_err!("{SUM_DISTINCT}");
        }
        let merged = (moves || name == COUNT_OF_PAIRS) && MERGED.contains(&name);
        if merged && !window.params.distinct && !is_forgetting(function) {
            let call = FrameCall { engine: Arc::clone(function) };
            window.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(AggregateUDF::new_from_impl(call)));
        }
    }
    Ok(Expr::WindowFunction(window))
}

/// A count, which the engine calls null where a frame has no row.
const COUNT_OF_PAIRS: &str = "regr_count";

/// Whether a function of a window was looked at already.
pub(crate) fn is_forgetting(function: &AggregateUDF) -> bool {
    function.inner().as_any().is::<FrameCall>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FrameCall {
    engine: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for FrameCall {
    by_engine!(engine: name aliases signature coerce_types return_type return_field is_nullable state_fields accumulator documentation set_monotonicity supports_null_handling_clause supports_within_group_clause order_sensitivity);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match self.engine.name() {
            COUNT_OF_PAIRS => ScalarValue::new_zero(data_type),
            _ => self.engine.default_value(data_type),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kind = args.return_field.data_type();
        if self.engine.name() == "sum" && !kind.is_floating() {
            return self.engine.create_sliding_accumulator(args);
        }
        Ok(Box::new(TwoStacks::new(FreshState::of(Arc::clone(&self.engine), &args))?))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.engine.inner().reverse_expr() {
            ReversedUDAF::Reversed(engine) => {
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(Self { engine })))
            }
            other => other,
        }
    }
}

/// Makes accumulators of nothing.
struct FreshState {
    engine: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl fmt::Debug for FreshState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshState").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl FreshState {
    fn of(engine: Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        Self {
            engine,
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn make(&self) -> Result<Box<dyn Accumulator>> {
        self.engine.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// The rows of a frame, as states.
#[derive(Debug)]
struct TwoStacks {
    fresh: FreshState,
    /// States of a row and all behind it that are in the front.
    front: VecDeque<Vec<ScalarValue>>,
    front_bytes: usize,
    back: Box<dyn Accumulator>,
    /// Rows of the back.
    rows: Vec<Vec<ArrayRef>>,
    rows_bytes: usize,
}

/// Bytes of a state.
fn state_bytes(state: &[ScalarValue]) -> usize {
    size_of::<Vec<ScalarValue>>() + state.iter().map(ScalarValue::size).sum::<usize>()
}

/// Bytes of a row of so many columns, but for its values, which the rows of a batch share: an array of one value each.
const fn row_bytes(column_count: usize) -> usize {
    const ARRAY_BYTES: usize = 160;
    size_of::<Vec<ArrayRef>>() + column_count * (size_of::<ArrayRef>() + ARRAY_BYTES)
}

impl TwoStacks {
    fn new(fresh: FreshState) -> Result<Self> {
        let back = fresh.make()?;
        Ok(Self { fresh, front: VecDeque::new(), front_bytes: 0, back, rows: vec![], rows_bytes: 0 })
    }

    /// The rows of the back become the front.
    fn turn(&mut self) -> Result<()> {
        let mut state = self.fresh.make()?;
        for row in std::mem::take(&mut self.rows).into_iter().rev() {
            state.update_batch(&row)?;
            let first = state.state()?;
            self.front_bytes += state_bytes(&first);
            self.front.push_front(first);
        }
        self.rows_bytes = 0;
        self.back = self.fresh.make()?;
        Ok(())
    }
}

fn merge(into: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<()> {
    let columns = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
    into.merge_batch(&columns)
}

impl Accumulator for TwoStacks {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let row_count = values.first().map_or(0, |column| column.len());
        for row in 0..row_count {
            self.rows.push(values.iter().map(|column| column.slice(row, 1)).collect());
            self.rows_bytes += row_bytes(values.len());
        }
        self.back.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let row_count = values.first().map_or(0, |column| column.len());
        for _ in 0..row_count {
            if self.front.is_empty() {
                self.turn()?;
            }
            self.front_bytes -= self.front.pop_front().map_or(0, |state| state_bytes(&state));
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.back.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Some(first) = self.front.front() else { return self.back.state() };
        let mut all = self.fresh.make()?;
        merge(all.as_mut(), first)?;
        merge(all.as_mut(), &self.back.state()?)?;
        all.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = self.fresh.make()?;
        if let Some(first) = self.front.front() {
            merge(all.as_mut(), first)?;
        }
        if !self.rows.is_empty() {
            merge(all.as_mut(), &self.back.state()?)?;
        }
        all.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows_bytes + self.front_bytes + self.back.size()
    }
}

/// The engine's accumulator of a frame that moves on, which has no value where no value is in the frame.
#[derive(Debug)]
pub(crate) struct OfValues {
    engine: Box<dyn Accumulator>,
    kind: DataType,
    value_count: usize,
}

impl OfValues {
    pub(crate) fn new(engine: Box<dyn Accumulator>, kind: DataType) -> Self {
        Self { engine, kind, value_count: 0 }
    }
}

fn value_count(values: &[ArrayRef]) -> usize {
    values.first().map_or(0, |column| column.len() - column.logical_null_count())
}

impl Accumulator for OfValues {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.value_count += value_count(values);
        self.engine.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.value_count = self.value_count.saturating_sub(value_count(values));
        self.engine.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.engine.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.value_count += value_count(states);
        self.engine.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.value_count {
            0 => ScalarValue::try_new_null(&self.kind),
            _ => self.engine.evaluate(),
        }
    }

    fn size(&self) -> usize {
        self.engine.size()
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::{answer, check_all};

    #[tokio::test]
    async fn what_leaves_a_frame_is_forgotten() {
        const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (1, 3, 'NaN'::double), (2, NULL, 1), (3, NULL, 2), (4, 5, 'Infinity'),
            (5, 4, 1), (6, 6, 1)) AS v(i, n, x)), b AS (SELECT * FROM (VALUES (1, 1e20), (2, 1.0), (3, 2.0), (4, 3.0)) AS v(i, x)) ";
        const PAIR: &str = "(ORDER BY i ROWS 1 PRECEDING)";
        let of = |sql: &str| sql.replace("PAIR", PAIR);
        let cases = [
            ("SELECT min(n) OVER PAIR, max(n) OVER PAIR FROM t ORDER BY i", "3,3;3,3;,;5,5;4,5;4,6"),
            ("SELECT avg(n) OVER PAIR FROM t ORDER BY i", "3.0;3.0;;5.0;4.5;5.0"),
            ("SELECT avg(n::decimal(5,1)) OVER PAIR FROM t ORDER BY i LIMIT 3", "3.00000;3.00000;"),
            ("SELECT sum(n) OVER PAIR FROM t ORDER BY i", "3;3;;5;9;10"),
            ("SELECT sum(x) OVER PAIR FROM t ORDER BY i", "NaN;NaN;3.0;inf;inf;2.0"),
            ("SELECT avg(x) OVER PAIR FROM t ORDER BY i", "NaN;NaN;1.5;inf;inf;1.0"),
            (
                "SELECT max(x) OVER PAIR, min(x) OVER PAIR FROM t ORDER BY i",
                "NaN,NaN;NaN,1.0;2.0,1.0;inf,2.0;inf,1.0;1.0,1.0",
            ),
            (
                "SELECT sum(x) OVER PAIR, avg(x) OVER PAIR FROM b ORDER BY i",
                "1e20,1e20;1e20,5e19;3.0,1.5;5.0,2.5",
            ),
            (
                "SELECT sum(x) OVER (ORDER BY i ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM b ORDER BY i",
                ";1e20;1e20;3.0",
            ),
            (
                "SELECT sum(x) OVER (ORDER BY i ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM b ORDER BY i",
                "3.0;5.0;3.0;",
            ),
            (
                "SELECT var_pop(x) OVER PAIR, stddev(x) OVER PAIR FROM b WHERE i > 1 ORDER BY i",
                "0.0,;0.25,0.7071067811865476;0.25,0.7071067811865476",
            ),
            ("SELECT bool_and(n > 3) OVER PAIR FROM t ORDER BY i", "false;false;;true;true;true"),
            ("SELECT regr_slope(x, i) OVER PAIR FROM b WHERE i > 1 ORDER BY i", ";1.0;1.0"),
            (
                "SELECT regr_count(x, i) OVER (ORDER BY i ROWS BETWEEN 1 FOLLOWING AND 1 FOLLOWING) FROM b ORDER BY i",
                "1;1;1;0",
            ),
            (
                "SELECT regr_count(x, i) OVER (ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM b ORDER BY i",
                "0;1;2;3",
            ),
            ("SELECT regr_count(x, i) FILTER (WHERE i > 1) OVER PAIR FROM b ORDER BY i LIMIT 2", "0;1"),
            ("SELECT count(n) OVER PAIR, count(*) OVER PAIR FROM t ORDER BY i LIMIT 3", "1,1;1,2;0,2"),
            ("SELECT sum(x) FILTER (WHERE i <> 2) OVER PAIR FROM b ORDER BY i", "1e20;1e20;2.0;5.0"),
            (
                "SELECT sum(x) OVER (PARTITION BY i % 2 ORDER BY i RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) FROM b ORDER BY i",
                "1e20;1.0;1e20;4.0",
            ),
            (
                "SELECT avg(x) OVER (ORDER BY i DESC ROWS 1 PRECEDING) FROM b ORDER BY i DESC LIMIT 2",
                "3.0;2.5",
            ),
        ];
        let cases: Vec<(String, &str)> = cases.iter().map(|(sql, rows)| (of(sql), *rows)).collect();
        let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, rows)| (sql.as_str(), *rows)).collect();
        check_all(WITH, &cases).await;
    }

    #[tokio::test]
    async fn frames_that_the_engine_reads_wrongly_are_refused() {
        for (call, part) in [
            ("median(x::decimal(5, 1)) OVER (ORDER BY x ROWS 1 PRECEDING)", "begin moves"),
            ("sum(DISTINCT x) OVER (ORDER BY x ROWS 1 PRECEDING)", "SELECT DISTINCT"),
            ("sum(DISTINCT x::double) OVER ()", "SELECT DISTINCT"),
            ("sum(x) OVER (ORDER BY x RANGE BETWEEN 10 PRECEDING AND 5 PRECEDING)", "RANGE"),
            ("max(x) OVER (ORDER BY x RANGE BETWEEN 1 FOLLOWING AND 5 FOLLOWING)", "RANGE"),
            ("sum(x) OVER w", "RANGE"),
            ("lead(x) IGNORE NULLS OVER (ORDER BY x)", "lag"),
            ("lag(x, -1) IGNORE NULLS OVER (ORDER BY x)", "lag"),
        ] {
            let window = "WINDOW w AS (ORDER BY x RANGE BETWEEN 10 PRECEDING AND 5 PRECEDING)";
            let sql = format!("SELECT {call} FROM (VALUES (1), (2)) AS t(x) {window}");
            let sql = if call.ends_with(" w") { sql } else { sql.replace(window, "") };
            let said = answer(&sql).await;
            assert!(said.as_ref().is_err_and(|said| said.contains(part)), "{sql}: {said:?}");
        }
        check_all("", &[
            ("SELECT lag(x) IGNORE NULLS OVER (ORDER BY i) FROM (VALUES (1, 5), (2, NULL), (3, 7)) AS t(i, x) ORDER BY i", ";5;5"),
            ("SELECT lead(x) RESPECT NULLS OVER (ORDER BY i) FROM (VALUES (1, 5), (2, NULL), (3, 7)) AS t(i, x) ORDER BY i", ";7;"),
            ("SELECT sum(x) OVER (ORDER BY x RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) FROM (VALUES (1), (2)) AS t(x)", ";1"),
            ("SELECT median(x) OVER () FROM (VALUES (1.0), (2)) AS t(x) LIMIT 1", "1.5"),
        ]).await;
    }
}
