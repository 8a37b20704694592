//! What is not a number is one value, greater than every number: `x / x` of 0 equals `CAST('NaN' AS DOUBLE)`.
//!
//! ```text
//! plan ─ OneNan (after the engine has given types) ─► x / y, sqrt(x), … of floating point numbers: OneSign calls
//! ```
//! Processors give a NaN with a sign, and Arrow compares with it: a negative one would be less than all numbers, and another
//! value than the positive one. What is stored is settled where it is compared ([`crate::comparisons`]), so that files are passed over by their statistics.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::by_engine::named_as_its_argument;
use crate::growth;
use crate::rewrite;

static ONE_SIGN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(OneSign { signature }))
});

/// Functions of the engine that make a NaN of numbers.
const MAKERS: [&str; 18] = [
    "arrow_cast",
    "acos",
    "acosh",
    "asin",
    "atanh",
    "cos",
    "cot",
    "ln",
    "log",
    "log10",
    "log2",
    "pow",
    "power",
    "sin",
    "sqrt",
    "tan",
    "nanvl",
    "signum",
];

/// Puts one NaN in the place of both.
#[derive(Debug)]
pub(crate) struct OneNan;

impl AnalyzerRule for OneNan {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::every_part(plan, settled)
    }

    fn name(&self) -> &'static str {
        "one_nan"
    }
}

fn settled(mut part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let makes = match &part {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(
            op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
        ),
        Expr::Negative(value) => !matches!(**value, Expr::Literal(..)),
        Expr::ScalarFunction(call) => MAKERS.contains(&call.name()),
        // `'-nan'`
        Expr::Cast(Cast { expr, .. }) | Expr::TryCast(TryCast { expr, .. }) => {
            expr.get_type(schema).is_ok_and(|kind| kind.is_string())
        }
        _ => false,
    };
    if !makes || !matches!(part.get_type(schema), Ok(DataType::Float32 | DataType::Float64)) {
        return Ok(Transformed::no(part));
    }
    // The sign of a NaN on the way makes no difference to a calculation.
    match &mut part {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            bare(left);
            bare(right);
        }
        Expr::Negative(value) => bare(value),
        Expr::ScalarFunction(call) => {
            call.args.iter_mut().for_each(bare);
            call.func = growth::unordered(&call.func);
        }
        _ => {}
    }
    let call = ScalarFunction::new_udf(Arc::clone(&ONE_SIGN), vec![part]);
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// Takes the call away from a part of a calculation.
fn bare(part: &mut Expr) {
    if let Expr::ScalarFunction(call) = part
        && call.func.inner().as_any().is::<OneSign>()
        && let Some(inner) = call.args.pop()
    {
        *part = inner;
    }
}

/// Gives what it is given, but one NaN for both.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneSign {
    signature: Signature,
}

impl ScalarUDFImpl for OneSign {
    named_as_its_argument!();

    fn name(&self) -> &'static str {
        "one nan"
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), field.is_nullable()))),
            _ => exec_err!("a calculation gives one value"),
        }
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        match inputs {
            [interval] => Ok((*interval).clone()),
            _ => exec_err!("a calculation gives one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match args.args.into_iter().next() {
            Some(ColumnarValue::Array(array)) => ColumnarValue::Array(with_one_nan(array)),
            Some(ColumnarValue::Scalar(ScalarValue::Float32(Some(value)))) if value.is_nan() => {
                ColumnarValue::Scalar(ScalarValue::Float32(Some(f32::NAN)))
            }
            Some(ColumnarValue::Scalar(ScalarValue::Float64(Some(value)))) if value.is_nan() => {
                ColumnarValue::Scalar(ScalarValue::Float64(Some(f64::NAN)))
            }
            Some(other) => other,
            None => return exec_err!("a calculation gives one value"),
        })
    }
}

/// Most arrays hold no NaN, and are passed on.
fn with_one_nan(array: ArrayRef) -> ArrayRef {
    if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        if values.values().iter().any(|value| value.is_nan()) {
            let settled: PrimitiveArray<Float64Type> =
                values.unary(|value| if value.is_nan() { f64::NAN } else { value });
            return Arc::new(settled);
        }
    } else if let Some(values) = array.as_primitive_opt::<Float32Type>()
        && values.values().iter().any(|value| value.is_nan())
    {
        let settled: PrimitiveArray<Float32Type> =
            values.unary(|value| if value.is_nan() { f32::NAN } else { value });
        return Arc::new(settled);
    }
    array
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn what_is_calculated_and_not_a_number_is_one_value_above_all_numbers() {
        const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (0.0), (2.0), (CAST('NaN' AS DOUBLE)), (CAST('Infinity' AS DOUBLE))) AS v(x))";
        for (sql, expected) in [
            ("SELECT count(*) FROM t WHERE x / x = CAST('NaN' AS DOUBLE)", "3"),
            ("SELECT count(*) FROM t WHERE (x - x) * 2 > 5", "2"),
            ("SELECT x / x, count(*) FROM t GROUP BY x / x ORDER BY 1", "1.0,1;NaN,3"),
            ("SELECT x FROM t ORDER BY x / x, x", "2.0;0.0;inf;NaN"),
            ("SELECT min(x / x), max(x / x) FROM t", "1.0,NaN"),
            ("SELECT DISTINCT -(x / x) AS y FROM t ORDER BY y", "-1.0;NaN"),
            ("SELECT count(*) FROM t JOIN (SELECT x / x AS y FROM t) AS u ON t.x = u.y", "3"),
            ("SELECT rank() OVER (ORDER BY x / x) AS r FROM t ORDER BY r", "1;2;2;2"),
            ("SELECT count(*) FROM t WHERE sqrt(-x) > 1", "3"),
            ("SELECT 0.0 / 0.0 = CAST('NaN' AS DOUBLE), sqrt(-1) > 1", "true,true"),
            (
                "SELECT count(DISTINCT y) FROM (SELECT x % 0.0 AS y FROM t UNION ALL SELECT x FROM t) AS s",
                "4",
            ),
            ("SELECT rank() OVER (ORDER BY abs(x - 1)) AS r FROM t ORDER BY r", "1;1;3;4"),
            (
                "SELECT CAST('-nan' AS DOUBLE) > 1, CAST('-nan' AS DOUBLE) = CAST('NaN' AS DOUBLE)",
                "true,true",
            ),
            ("SELECT sum(x) OVER (ORDER BY sqrt(x * x)) FROM t WHERE x < 9 ORDER BY 1", "0.0;2.0"),
            ("SELECT count(*) OVER (ORDER BY ln(x - 1) DESC) FROM t ORDER BY 1", "2;2;3;4"),
            ("SELECT count(*) OVER (PARTITION BY acos(x)) FROM t ORDER BY 1", "1;3;3;3"),
            ("SELECT x + 1, x * 2 FROM t WHERE x < 3 ORDER BY x", "1.0,0.0;3.0,4.0"),
        ] {
            assert_eq!(answer(&format!("{WITH} {sql}")).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
