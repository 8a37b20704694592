//! Times of the years 1 to 9999 in every expression: the engine likes nanoseconds, which end in 1677 and 2262.
//!
//! ```text
//! plan ─ WideTimes ─► types of the engine
//!         ├ a date or a text beside a time: microseconds       start_time < DATE '2599-01-01'
//!         ├ times of two units beside each other: microseconds  to_timestamp_seconds(1) = start_time
//!         ├ casts to nanoseconds, `to_timestamp`: microseconds  start_time::TIMESTAMP
//!         ├ a day beside a span: microseconds                  DATE '2599-01-01' + INTERVAL '6 hours'
//!         └ `date_trunc`, `date_bin`: our own ([`truncation`], [`bins`])
//! x AT TIME ZONE 'Asia/Tokyo'  ──►  our own `timezone` ([`zones`])
//! ```
//! Microseconds are the unit of the columns and reach over 290 000 years. Nanoseconds stay where nothing else stands
//! beside them. The rule works before the engine's own rules for types, on everything that compares or joins values:
//! operators, `BETWEEN`, `IN`, `CASE`, functions that choose one of their arguments, joins and unions.

mod bins;
mod calendar;
mod microseconds;
mod truncation;
pub(crate) mod zones;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, DataFusionError, Result, ScalarValue, exec_datafusion_err, exec_err, plan_err,
};
use datafusion::config::ConfigOptions;
use datafusion::functions::datetime;
use datafusion::functions::math;
use datafusion::logical_expr::expr::{
    Between, BinaryExpr, Case, Cast, InList, InSubquery, ScalarFunction, TryCast,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, ScalarUDF, Union, lit,
};
use datafusion::optimizer::AnalyzerRule;
use seislake_model::Timestamp;

/// Gives times a unit that holds them, before the engine gives them one.
#[derive(Debug)]
pub(crate) struct WideTimes;

impl AnalyzerRule for WideTimes {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        let widened = plan.transform_up_with_subqueries(|node| {
            // Its columns have the types that were settled when it was planned.
            if matches!(node, LogicalPlan::Values(_)) {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let node = node.map_expressions(|expression| {
                let name = names.save(&expression);
                let widened = expression.transform_up(|part| widened(part, &schema, options))?;
                Ok(widened.update_data(|expression| name.restore(expression)))
            })?;
            let node = node.transform_data(|node| match node {
                LogicalPlan::Join(join) => joined(join),
                LogicalPlan::Union(union) => united(union),
                other => Ok(Transformed::no(other)),
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(widened.data)
    }

    fn name(&self) -> &'static str {
        "wide_times"
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_date(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Date64)
}

/// The type in which values of such types can stand beside each other, where the engine would choose one that holds too
/// little: `None` leaves the choice to it.
fn common_type<'a>(kinds: impl Iterator<Item = &'a DataType>) -> Option<DataType> {
    let (mut zone, mut units, mut others) = (None, vec![], false);
    for kind in kinds {
        match kind {
            DataType::Timestamp(unit, of) => {
                zone = zone.or_else(|| of.clone());
                units.push(*unit);
            }
            DataType::Null => {}
            kind if is_text(kind) || is_date(kind) => others = true,
            _ => return None,
        }
    }
    let first = *units.first()?;
    let mixed = others || units.iter().any(|unit| *unit != first);
    mixed.then_some(DataType::Timestamp(TimeUnit::Microsecond, zone))
}

/// `expressions` in one type, where they need one of ours.
fn in_one_type(expressions: &mut [&mut Expr], schema: &DFSchema) -> bool {
    // What has no type yet, the engine refuses in its own words.
    let kinds = expressions.iter().map(|expression| expression.get_type(schema));
    let Ok(kinds) = kinds.collect::<Result<Vec<_>>>() else { return false };
    // Texts within the reach of nanoseconds beside nothing but those are the engine's.
    let exact = kinds.iter().zip(expressions.iter()).all(|(kind, expression)| match kind {
        DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Null => true,
        kind => is_text(kind) && is_near(expression),
    });
    let exact = exact || expressions.iter().any(|expression| is_finer(expression));
    let Some(common) = common_type(kinds.iter()).filter(|_| !exact) else { return false };
    for (expression, kind) in expressions.iter_mut().zip(&kinds) {
        if *kind != common {
            **expression = in_type(std::mem::take(&mut **expression), kind, &common);
        }
    }
    true
}

/// `2026-01-01 00:05`, which the engine does not read.
fn ends_with_minutes(text: &str) -> bool {
    let form = |(letter, wanted): (u8, u8)| match wanted {
        b'0' => letter.is_ascii_digit(),
        b'T' => matches!(letter, b'T' | b't' | b' '),
        other => letter == other,
    };
    text.len() == 16 && text.bytes().zip(*b"0000-00-00T00:00").all(form)
}

/// A value of `kind` in the common type. Between units not by a cast: the engine turns `CAST(a AS …) < b` into
/// `a < CAST(b AS …)`, and what is no longer a time becomes null.
fn in_type(mut expression: Expr, kind: &DataType, common: &DataType) -> Expr {
    if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &mut expression
        && ends_with_minutes(text)
    {
        text.push_str(":00");
    }
    let changes_unit = matches!(kind, DataType::Timestamp(unit, _) if *unit != TimeUnit::Microsecond);
    if *kind == *common {
        expression
    } else if changes_unit {
        cast(microseconds::of(expression), common)
    } else {
        cast(expression, common)
    }
}

/// A text that says more than microseconds hold: the engine compares it in nanoseconds.
fn is_finer(expression: &Expr) -> bool {
    let time = constant_text(expression).and_then(|text| text.parse::<Timestamp>().ok());
    time.is_some_and(|time| time.nanos().rem_euclid(1000) != 0)
}

/// A text that is a time within the reach of nanoseconds.
fn is_near(expression: &Expr) -> bool {
    constant_text(expression).is_some_and(|text| text.parse::<Timestamp>().is_ok())
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    // The span between two moments needs one unit too.
    matches!(
        operator,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | Operator::Minus
    )
}

fn widened(mut expression: Expr, schema: &DFSchema, options: &ConfigOptions) -> Result<Transformed<Expr>> {
    let changed = match &mut expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus, right })
            if is_clock_and_span(left, right, schema) || is_clock_and_span(right, left, schema) =>
        {
            return plan_err!(
                "a time of day and an interval are not added up: it has no day to go on to; add to a TIMESTAMP"
            );
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            in_one_type(&mut [left.as_mut(), right.as_mut()], schema) || day_and_span(left, right, schema)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            day_and_span(left, right, schema) || day_and_span(right, left, schema)
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            in_one_type(&mut [expr.as_mut(), low.as_mut(), high.as_mut()], schema)
        }
        Expr::InList(InList { expr, list, .. }) => {
            let mut all: Vec<&mut Expr> = std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect();
            in_one_type(&mut all, schema)
        }
        Expr::Case(case) => widened_case(case, schema),
        Expr::InSubquery(InSubquery { expr, subquery, .. }) => {
            let kinds = [expr.get_type(schema)?, subquery.subquery.schema().field(0).data_type().clone()];
            let common = common_type(kinds.iter());
            if let Some(common) = &common {
                **expr = in_type(std::mem::take(expr.as_mut()), &kinds[0], common);
                *subquery = cast_subquery(subquery.clone(), common)?;
            }
            common.is_some()
        }
        Expr::Cast(Cast { expr, data_type }) | Expr::TryCast(TryCast { expr, data_type }) => {
            let wide = wide_target(expr, data_type, schema);
            if let Some(wide) = &wide {
                data_type.clone_from(wide);
            }
            wide.is_some()
        }
        Expr::ScalarFunction(_) => return widened_call(expression, schema, options),
        _ => false,
    };
    Ok(if changed { Transformed::yes(expression) } else { Transformed::no(expression) })
}

/// The engine makes an interval of them.
fn is_clock_and_span(clock: &Expr, span: &Expr, schema: &DFSchema) -> bool {
    let is_span = |kind: DataType| matches!(kind, DataType::Interval(_) | DataType::Duration(_));
    let is_clock = |kind: DataType| matches!(kind, DataType::Time32(_) | DataType::Time64(_));
    clock.get_type(schema).is_ok_and(is_clock) && span.get_type(schema).is_ok_and(is_span)
}

/// A day beside a span of time is its begin: the engine would drop the hours of the span.
fn day_and_span(day: &mut Expr, span: &Expr, schema: &DFSchema) -> bool {
    let is_day = day.get_type(schema).is_ok_and(|kind| is_date(&kind));
    let is_span = span.get_type(schema).is_ok_and(|kind| matches!(kind, DataType::Interval(_)));
    if is_day && is_span {
        *day = cast(std::mem::take(day), &DataType::Timestamp(TimeUnit::Microsecond, None));
    }
    is_day && is_span
}

fn widened_case(case: &mut Case, schema: &DFSchema) -> bool {
    let mut changed = false;
    if let Some(operand) = &mut case.expr {
        let values = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
        let mut compared: Vec<&mut Expr> = std::iter::once(operand.as_mut()).chain(values).collect();
        changed |= in_one_type(&mut compared, schema);
    }
    let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    let mut results: Vec<&mut Expr> = results.chain(case.else_expr.iter_mut().map(Box::as_mut)).collect();
    changed |= in_one_type(&mut results, schema);
    changed
}

/// What a cast to nanoseconds becomes: they cannot hold what its value may be.
fn wide_target(value: &Expr, target: &DataType, schema: &DFSchema) -> Option<DataType> {
    let DataType::Timestamp(TimeUnit::Nanosecond, zone) = target else { return None };
    let wide = match value.get_type(schema).ok()? {
        DataType::Timestamp(unit, _) => unit != TimeUnit::Nanosecond,
        kind => is_date(&kind) || is_text(&kind) && !is_near(value),
    };
    wide.then(|| DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
}

fn widened_call(expression: Expr, schema: &DFSchema, options: &ConfigOptions) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(mut call) = expression else { return Ok(Transformed::no(expression)) };
    let chosen = match call.name() {
        "coalesce" | "nvl" | "greatest" | "least" | "nullif" | "make_array" => 0,
        "nvl2" => 1,
        "date_trunc" => return truncation::planned(call, schema),
        "date_bin" => return bins::planned(call, schema),
        "to_timestamp" => return wide_timestamp(call, schema, options),
        "to_char" | "date_format" | "to_unixtime" => return without_zone(call, schema),
        _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    let mut arguments: Vec<&mut Expr> = call.args.iter_mut().skip(chosen).collect();
    let changed = in_one_type(&mut arguments, schema);
    let call = Expr::ScalarFunction(call);
    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
}

/// The engine knows these functions for microseconds without a zone only.
fn without_zone(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Some(first) = call.args.first_mut() {
        let kind = first.get_type(schema)?;
        match kind {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(Some(&zone)) => {
                *first = cast(std::mem::take(first), &DataType::Timestamp(TimeUnit::Microsecond, None));
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            kind if is_text(&kind) && call.func.name() == "to_unixtime" && call.args.len() == 1 => {
                in_times(&mut call.args[0], schema)?;
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            _ => {}
        }
    }
    Ok(Transformed::no(Expr::ScalarFunction(call)))
}

/// `to_timestamp` of what nanoseconds may not hold.
fn wide_timestamp(
    mut call: ScalarFunction,
    schema: &DFSchema,
    options: &ConfigOptions,
) -> Result<Transformed<Expr>> {
    let Some(first) = call.args.first() else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let kind = first.get_type(schema)?;
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
    let with = |function: Arc<ScalarUDF>, args| Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
    let wide = match &kind {
        // With formats the engine reads nanoseconds, and says so where they end.
        kind if is_text(kind) && call.args.len() == 1 && !is_near(first) => {
            cast(call.args.swap_remove(0), &microseconds)
        }
        kind if is_date(kind) => cast(call.args.swap_remove(0), &microseconds),
        DataType::Timestamp(unit, _) if *unit != TimeUnit::Nanosecond => {
            cast(call.args.swap_remove(0), &microseconds)
        }
        kind if kind.is_integer() => {
            cast(with(datetime::to_timestamp_seconds(options), vec![call.args.swap_remove(0)]), &microseconds)
        }
        kind if kind.is_floating() => {
            // Seconds: what no time is so large is refused by the cast to whole numbers.
            let micros = cast(call.args.swap_remove(0), &DataType::Float64) * lit(1e6);
            cast(cast(with(math::round(), vec![micros]), &DataType::Int64), &microseconds)
        }
        _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    Ok(Transformed::yes(wide))
}

fn cast(expression: Expr, kind: &DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), kind.clone()))
}

/// The keys of a join are pairs of expressions, each of its own side.
fn joined(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let kinds = [left.get_type(join.left.schema())?, right.get_type(join.right.schema())?];
        let Some(common) = common_type(kinds.iter()) else { continue };
        let [left_kind, right_kind] = &kinds;
        *left = in_type(std::mem::take(left), left_kind, &common);
        *right = in_type(std::mem::take(right), right_kind, &common);
        changed = true;
    }
    let join = LogicalPlan::Join(join);
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}

/// Each column of a union has one type.
fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = 0..union.schema.fields().len();
    let common: Vec<Option<DataType>> = columns
        .map(|index| {
            let kinds = union.inputs.iter().filter_map(|input| input.schema().fields().get(index));
            common_type(kinds.map(|field| field.data_type()))
        })
        .collect();
    if common.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let mut inputs = vec![];
    for input in union.inputs {
        let columns = input.schema().iter().zip(&common).map(|((qualifier, field), common)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            match common {
                Some(common) => in_type(column, field.data_type(), common).alias(field.name()),
                None => column,
            }
        });
        let columns = columns.collect();
        inputs.push(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?)));
    }
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// A text that a call was given as a constant.
fn constant_text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// A date or a text becomes a time.
fn in_times(expression: &mut Expr, schema: &DFSchema) -> Result<()> {
    let kind = expression.get_type(schema)?;
    let unit = match kind {
        kind if is_text(&kind) && is_near(expression) => TimeUnit::Nanosecond,
        kind if is_text(&kind) || is_date(&kind) => TimeUnit::Microsecond,
        _ => return Ok(()),
    };
    *expression = cast(std::mem::take(expression), &DataType::Timestamp(unit, None));
    Ok(())
}

/// Nanoseconds of one step of a unit.
const fn step_ns(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Time zones in which days begin with those of UTC.
fn is_utc(zone: Option<&Arc<str>>) -> bool {
    zone.is_none_or(|zone| matches!(zone.as_ref(), "UTC" | "+00:00" | "Z" | "Etc/UTC"))
}

/// A constant time as nanoseconds since 1970.
fn moment_ns(value: &ScalarValue) -> Option<i128> {
    let (steps, unit) = match value {
        ScalarValue::TimestampSecond(steps, _) => (steps, TimeUnit::Second),
        ScalarValue::TimestampMillisecond(steps, _) => (steps, TimeUnit::Millisecond),
        ScalarValue::TimestampMicrosecond(steps, _) => (steps, TimeUnit::Microsecond),
        ScalarValue::TimestampNanosecond(steps, _) => (steps, TimeUnit::Nanosecond),
        _ => return None,
    };
    steps.map(|steps| i128::from(steps) * step_ns(unit))
}

/// Times through a function of nanoseconds since 1970.
fn mapped(name: &str, times: &ColumnarValue, function: impl Fn(i128) -> i128) -> Result<ColumnarValue> {
    converted(name, times, &times.data_type(), function)
}

/// Times in the unit of another type.
fn in_unit(times: &ColumnarValue, target: &DataType) -> Result<ColumnarValue> {
    converted("a time in microseconds", times, target, |moment| moment)
}

fn converted(
    name: &str,
    times: &ColumnarValue,
    target: &DataType,
    function: impl Fn(i128) -> i128,
) -> Result<ColumnarValue> {
    let (DataType::Timestamp(unit, _), DataType::Timestamp(target_unit, _)) = (times.data_type(), target)
    else {
        return exec_err!("{name}: needs a time, not {}", times.data_type());
    };
    let (step, target_step) = (step_ns(unit), step_ns(*target_unit));
    let map = |array: &ArrayRef| -> Result<ArrayRef> {
        let steps = cast_array(array, &DataType::Int64)?;
        let mapped =
            steps.as_primitive::<Int64Type>().try_unary::<_, Int64Type, DataFusionError>(|steps| {
                let moment = function(i128::from(steps) * step).div_euclid(target_step);
                i64::try_from(moment)
                    .map_err(|_| exec_datafusion_err!("{name}: the result is beyond the times there are"))
            })?;
        Ok(cast_array(&mapped, target)?)
    };
    Ok(match times {
        ColumnarValue::Array(array) => ColumnarValue::Array(map(array)?),
        ColumnarValue::Scalar(value) => {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&map(&value.to_array()?)?, 0)?)
        }
    })
}

#[cfg(test)]
mod tests;
