//! Spans of time are compared by their length: a month is 30 days and a day 24 hours, as in PostgreSQL and DuckDB.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{
    DataType, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    TimeUnit,
};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Distinct, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::{Beside, Values};

/// Nanoseconds of every span there is: months alone reach 5.6e24.
const LENGTH: DataType = DataType::Decimal128(38, 0);

const NS_OF_MILLISECOND: i128 = 1_000_000;
const NS_OF_DAY: i128 = 86_400_000_000_000;
const NS_OF_MONTH: i128 = 30 * NS_OF_DAY;

static LENGTH_NS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(LengthNs { signature: Signature::any(1, Volatility::Immutable) }))
});

const EPOCH: &str = "take their length in seconds, extract(epoch FROM …)";

/// Spans beside spans, as lengths.
///
/// # Errors
/// One of them would be the result, which is no length.
pub(super) fn settled(expressions: &mut [&mut Expr], kinds: &[DataType], beside: Beside) -> Result<bool> {
    let fits = |kind: &DataType| is_span(kind) || is_text(kind) || kind.is_null();
    let fields = kinds.iter().any(is_interval);
    let texts = kinds.iter().any(is_text) && kinds.iter().any(is_span);
    if beside == Beside::Chosen || !(fields || texts) || !kinds.iter().all(fits) {
        return Ok(false);
    }
    if beside == Beside::Picked {
        return plan_err!("greatest, least and nullif are not answered for intervals: {EPOCH}");
    }
    for (expression, kind) in expressions.iter_mut().zip(kinds).filter(|(_, kind)| !kind.is_null()) {
        let mut span = std::mem::take(&mut **expression);
        if is_text(kind) {
            span = Expr::Cast(Cast::new(Box::new(span), DataType::Interval(IntervalUnit::MonthDayNano)));
        }
        **expression = length(span);
    }
    Ok(true)
}

/// What rows are ordered by, as a length where it is a span.
pub(super) fn in_order(expression: &mut Expr, schema: &DFSchema) -> bool {
    let span = expression.get_type(schema).is_ok_and(|kind| is_interval(&kind));
    if span {
        *expression = length(std::mem::take(expression));
    }
    span
}

/// Spans that are put into groups: which of the equal ones would stand for the group?
pub(super) fn refuse_groups(node: &LogicalPlan) -> Result<()> {
    let schema = node.schema();
    let grouped = match node {
        LogicalPlan::Aggregate(aggregate) => {
            let kinds = aggregate.group_expr.iter().map(|group| group.get_type(aggregate.input.schema()));
            kinds.flatten().any(|kind| is_interval(&kind))
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            let kinds = distinct.on_expr.iter().map(|group| group.get_type(distinct.input.schema()));
            kinds.flatten().any(|kind| is_interval(&kind))
        }
        LogicalPlan::Distinct(Distinct::All(_)) => {
            schema.fields().iter().any(|field| is_interval(field.data_type()))
        }
        LogicalPlan::RecursiveQuery(query) => {
            query.is_distinct && schema.fields().iter().any(|field| is_interval(field.data_type()))
        }
        _ => false,
    };
    if grouped {
        return plan_err!("GROUP BY, DISTINCT and UNION are not answered for intervals: {EPOCH}");
    }
    Ok(())
}

/// Aggregates that compare spans field by field.
pub(super) fn refuse_extremes(name: &str, args: &[Expr], of: Values, schema: &DFSchema) -> Result<()> {
    let compares = of == Values::Distinct || matches!(name, "min" | "max" | "median" | "approx_distinct");
    let spans = || args.iter().any(|arg| arg.get_type(schema).is_ok_and(|kind| is_interval(&kind)));
    if compares && spans() {
        return plan_err!("{name} is not answered for intervals: {EPOCH}");
    }
    Ok(())
}

/// Parts of a second of a span: the engine multiplies in too few bits, and answers with another number.
pub(super) fn refuse_small_parts(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    let ("date_part", [Expr::Literal(part, _), span]) = (call.name(), call.args.as_slice()) else {
        return Ok(());
    };
    let part = part.try_as_str().flatten().unwrap_or_default().to_lowercase();
    let is_small = ["milli", "micro", "nano", "ms", "us", "ns"].iter().any(|unit| part.starts_with(unit))
        && !part.starts_with("millenn");
    if is_small && span.get_type(schema).is_ok_and(|kind| is_span(&kind)) {
        return plan_err!("{part} of a span is not answered: {EPOCH}");
    }
    Ok(())
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_interval(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_))
}

fn is_span(kind: &DataType) -> bool {
    is_interval(kind) || matches!(kind, DataType::Duration(_))
}

fn length(span: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&LENGTH_NS), vec![span]))
}

/// Length of a span in nanoseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LengthNs {
    signature: Signature,
}

impl ScalarUDFImpl for LengthNs {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "length of span"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(LENGTH)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(spans)] => Ok(ColumnarValue::Array(lengths(spans)?)),
            [ColumnarValue::Scalar(span)] => {
                let lengths = lengths(&span.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?))
            }
            _ => exec_err!("a length is that of one span"),
        }
    }
}

fn lengths(spans: &ArrayRef) -> Result<ArrayRef> {
    let lengths: Decimal128Array = match spans.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => spans
            .as_primitive::<IntervalYearMonthType>()
            .iter()
            .map(|months| months.map(|months| i128::from(months) * NS_OF_MONTH))
            .collect(),
        DataType::Interval(IntervalUnit::DayTime) => spans
            .as_primitive::<IntervalDayTimeType>()
            .iter()
            .map(|span| {
                span.map(|span| {
                    i128::from(span.days) * NS_OF_DAY + i128::from(span.milliseconds) * NS_OF_MILLISECOND
                })
            })
            .collect(),
        DataType::Interval(IntervalUnit::MonthDayNano) => spans
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .map(|span| {
                span.map(|span| {
                    i128::from(span.months) * NS_OF_MONTH
                        + i128::from(span.days) * NS_OF_DAY
                        + i128::from(span.nanoseconds)
                })
            })
            .collect(),
        DataType::Duration(unit) => {
            let step = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => NS_OF_MILLISECOND,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            };
            let steps = cast_array(spans, &DataType::Int64)?;
            let steps = steps.as_primitive::<Int64Type>().iter();
            steps.map(|steps| steps.map(|steps| i128::from(steps) * step)).collect()
        }
        other => return exec_err!("{other} is no span of time"),
    };
    Ok(Arc::new(lengths.with_precision_and_scale(38, 0)?))
}
