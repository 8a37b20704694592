//! Whole numbers that do not fit their type are an error: the engine lets them begin again at the other end.
//!
//! ```text
//! plan ─ CheckIntegers (after the engine has given types) ─► a + b, a - b, a * b, -a of whole numbers: Checked calls
//! sum of whole numbers ([`sum`]) in place of the engine's
//! a / 3, CAST(x AS INT), … ─► marked as rounded: `a / 3 = 1` does not say that a is 3
//! ```

pub(crate) mod sum;

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, Datum, Scalar};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TryCast, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::by_engine::named_as_its_argument;
use crate::marks::Mark;
use crate::rewrite;

static CALLS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    [Operator::Plus, Operator::Minus, Operator::Multiply].map(|operator| {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(CheckedOperator { operator, signature }))
    })
});

/// Puts checked operators in the place of those that wrap around.
#[derive(Debug)]
pub(crate) struct CheckIntegers;

impl AnalyzerRule for CheckIntegers {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::every_part(plan, checked)
    }

    fn name(&self) -> &'static str {
        "check_integers"
    }
}

fn checked(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let whole = |part: &Expr| part.get_type(schema).ok().filter(DataType::is_integer);
    let call = match &part {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if whole(left).is_some() && whole(left) == whole(right) =>
        {
            call_of(*op).map(|call| (call, left.as_ref().clone(), right.as_ref().clone()))
        }
        Expr::Negative(value) => match whole(value) {
            Some(kind) => {
                let zero = lit(ScalarValue::new_zero(&kind)?);
                call_of(Operator::Minus).map(|call| (call, zero, value.as_ref().clone()))
            }
            None => None,
        },
        Expr::BinaryExpr(BinaryExpr { op: Operator::Plus | Operator::Minus, .. })
            if part.get_type(schema).is_ok_and(|kind| is_widest_decimal(&kind)) =>
        {
            let call = ScalarFunction::new_udf(Arc::clone(&DECIMAL), vec![part]);
            return Ok(Transformed::yes(Expr::ScalarFunction(call)));
        }
        _ => None,
    };
    Ok(match call {
        Some((call, left, right)) => {
            let call = ScalarFunction::new_udf(Arc::clone(call), vec![left, right]);
            Transformed::yes(Expr::ScalarFunction(call))
        }
        None if is_rounded(&part, schema) => Transformed::yes(Mark::Rounded.on(part)),
        None => Transformed::no(part),
    })
}

/// Whether several values give the same: a division that leaves digits out, a cast to fewer of them. The engine's
/// calculation with bounds takes both for exact.
fn is_rounded(part: &Expr, schema: &DFSchema) -> bool {
    let is_exact = |kind: &DataType| kind.is_integer() || kind.is_decimal();
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) => {
            let literal = |side: &Expr| matches!(side, Expr::Literal(..));
            !(literal(left) && literal(right)) && part.get_type(schema).is_ok_and(|kind| is_exact(&kind))
        }
        Expr::Cast(Cast { expr, data_type: to }) | Expr::TryCast(TryCast { expr, data_type: to }) => {
            if matches!(expr.as_ref(), Expr::Literal(..)) {
                return false;
            }
            let Ok(from) = expr.get_type(schema) else { return false };
            match (&from, to) {
                (DataType::Float64 | DataType::Float32 | DataType::Float16, to) => {
                    is_exact(to) || to.is_floating() && *to < from
                }
                (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale), to) => match to {
                    DataType::Decimal128(_, kept) | DataType::Decimal256(_, kept) => kept < scale,
                    to => to.is_integer() && *scale > 0 || to.is_floating(),
                },
                _ => false,
            }
        }
        _ => false,
    }
}

/// Narrower ones have a digit more than their parts.
fn is_widest_decimal(kind: &DataType) -> bool {
    match kind {
        DataType::Decimal128(precision, _) => *precision == DECIMAL128_MAX_PRECISION,
        DataType::Decimal256(precision, _) => *precision == DECIMAL256_MAX_PRECISION,
        _ => false,
    }
}

static DECIMAL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(CheckedDecimal { signature }))
});

/// A decimal number, which ends the statement where it has more digits than its type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedDecimal {
    signature: Signature,
}

impl ScalarUDFImpl for CheckedDecimal {
    named_as_its_argument!();

    fn name(&self) -> &'static str {
        "checked"
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&inputs.first().map_or(DataType::Null, |interval| interval.data_type()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return exec_err!("a number is one value") };
        let array = match value {
            ColumnarValue::Scalar(value) => value.to_array()?,
            ColumnarValue::Array(array) => Arc::clone(array),
        };
        let fits = match array.data_type() {
            DataType::Decimal128(precision, _) => {
                array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
            }
            DataType::Decimal256(precision, _) => {
                array.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
            }
            _ => Ok(()),
        };
        match fits {
            Ok(()) => Ok(value.clone()),
            Err(error) => exec_err!("Overflow: {error}"),
        }
    }
}

fn call_of(operator: Operator) -> Option<&'static Arc<ScalarUDF>> {
    let [plus, minus, multiply] = &*CALLS;
    match operator {
        Operator::Plus => Some(plus),
        Operator::Minus => Some(minus),
        Operator::Multiply => Some(multiply),
        _ => None,
    }
}

/// An operator of whole numbers of one type, which ends the statement where its value does not fit the type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedOperator {
    operator: Operator,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedOperator {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.operator {
            Operator::Plus => "+",
            Operator::Minus => "-",
            _ => "*",
        }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let parts: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(parts.join(&format!(" {} ", self.name())))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let parts: Vec<String> = args.iter().map(|part| part.schema_name().to_string()).collect();
        Ok(parts.join(&format!(" {} ", self.name())))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Int64))
    }

    // What the engine would assume has no type, and it fails to order by functions of it.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&inputs.first().map_or(DataType::Int64, |interval| interval.data_type()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return exec_err!("an operator has two sides") };
        let constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let (left, right) = (datum(left)?, datum(right)?);
        let value = match self.operator {
            Operator::Plus => numeric::add(left.as_ref(), right.as_ref()),
            Operator::Minus => numeric::sub(left.as_ref(), right.as_ref()),
            _ => numeric::mul(left.as_ref(), right.as_ref()),
        }?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
        }
        Ok(ColumnarValue::Array(value))
    }
}

fn datum(side: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match side {
        ColumnarValue::Scalar(value) => Box::new(Scalar::new(value.to_array()?)),
        ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
    })
}

#[cfg(test)]
mod tests {
    use crate::asking::{answer, check_all};

    #[tokio::test]
    async fn an_order_is_kept_behind_conditions_that_round() {
        const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (4), (2), (3), (5)) AS v(a)),
            u AS (SELECT * FROM (VALUES (4.7), (3.2), (4.1)) AS v(x)), d AS (SELECT x::decimal(5, 2) AS x FROM u) ";
        check_all(
            WITH,
            &[
                ("SELECT a FROM t WHERE a / 3 = 1 ORDER BY a", "3;4;5"),
                ("SELECT a FROM t WHERE a / 3 = 1 ORDER BY a DESC LIMIT 1", "5"),
                ("SELECT a FROM t WHERE a / 3 >= 1 AND a / 3 <= 1 ORDER BY a DESC", "5;4;3"),
                (
                    "SELECT a, sum(a) OVER (ORDER BY a ROWS 1 PRECEDING) FROM t WHERE a / 3 = 1 ORDER BY a",
                    "3,3;4,7;5,9",
                ),
                ("SELECT a FROM (SELECT a, a / 3 AS q FROM t) AS s WHERE q = 1 ORDER BY a", "3;4;5"),
                ("SELECT a, row_number() OVER (ORDER BY a) FROM t WHERE a / 3 = 1 ORDER BY 2", "3,1;4,2;5,3"),
                ("SELECT a FROM t WHERE 7 / a = 1 ORDER BY a", "4;5"),
                ("SELECT a FROM t WHERE 7 / (a - 1) / 2 = 1 ORDER BY a DESC", "4;3"),
                ("SELECT x FROM u WHERE CAST(x AS INT) = 4 ORDER BY x", "4.1;4.7"),
                ("SELECT x FROM u WHERE TRY_CAST(x AS INT) = 4 ORDER BY x", "4.1;4.7"),
                ("SELECT x FROM d WHERE x::decimal(5, 0) = 5 ORDER BY x", "4.70"),
                ("SELECT x FROM d WHERE CAST(x AS INT) = 4 ORDER BY x", "4.10;4.70"),
                ("SELECT a / 3 AS q, count(*) FROM t GROUP BY a / 3 ORDER BY q", "0,1;1,3"),
                ("SELECT a / 3 FROM t GROUP BY a / 3 HAVING a / 3 > 0", "1"),
                ("SELECT max(a / 2) FROM t", "2"),
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn whole_numbers_that_do_not_fit_are_an_error() {
        let wide = "CAST('90000000000000000000000000000000000000' AS DECIMAL(38, 0))";
        let of = |sql: &str| sql.replace("MAX", "9223372036854775807").replace("WIDE", wide);
        for sql in [
            "SELECT MAX + 1",
            "SELECT -MAX - 2",
            "SELECT MAX * 2",
            "SELECT x + 1 FROM (VALUES (1), (MAX)) AS t(x)",
            "SELECT x - 2 FROM (VALUES (1), (-MAX)) AS t(x)",
            "SELECT x * x FROM (VALUES (1), (4294967296)) AS t(x)",
            "SELECT -x FROM (VALUES (-MAX - 1)) AS t(x)",
            "SELECT arrow_cast(x, 'Int32') + arrow_cast(x, 'Int32') FROM (VALUES (2147483647)) AS t(x)",
            "SELECT arrow_cast(x, 'UInt8') - arrow_cast(255, 'UInt8') FROM (VALUES (1)) AS t(x)",
            "SELECT count(*) FROM (VALUES (1), (MAX)) AS t(x) WHERE x + 1 < 0",
            "SELECT count(*) FROM (VALUES (MAX)) AS t(x) JOIN (VALUES (1)) AS u(y) ON x + 1 = y",
            "SELECT sum(x) FROM (VALUES (1), (MAX)) AS t(x)",
            "SELECT y, sum(x) FROM (VALUES (1, 1), (MAX, 1), (5, 2)) AS t(x, y) GROUP BY y",
            "SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (1), (MAX)) AS t(x)",
            "SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM (VALUES (1), (MAX)) AS t(x)",
            "SELECT sum(arrow_cast(x, 'UInt64')) FROM (VALUES (MAX), (MAX), (2)) AS t(x)",
            "SELECT sum(x) FROM (VALUES (WIDE), (WIDE)) AS t(x)",
            "SELECT k, sum(x) FROM (VALUES (1, WIDE), (1, WIDE)) AS t(k, x) GROUP BY k",
            "SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM (VALUES (WIDE), (WIDE)) AS t(x)",
            "SELECT x + x FROM (VALUES (WIDE)) AS t(x)",
            "SELECT -x - x FROM (VALUES (WIDE)) AS t(x)",
            "SELECT WIDE + WIDE",
        ] {
            let answered = answer(&of(sql)).await;
            assert!(answered.as_ref().is_err_and(|error| error.contains("verflow")), "{sql}: {answered:?}");
        }
    }

    #[tokio::test]
    async fn what_fits_is_as_before() {
        let of = |sql: &str| sql.replace("MAX", "9223372036854775807");
        for (sql, expected) in [
            ("SELECT MAX - 1 + 1, -MAX - 1", "9223372036854775807,-9223372036854775808"),
            ("SELECT x + 1, 2 * x, -x, x - x FROM (VALUES (1), (NULL)) AS t(x)", "2,2,-1,0;,,,"),
            ("SELECT sum(x), sum(x + 0.5) FROM (VALUES (1), (NULL), (2)) AS t(x)", "3,4.0"),
            ("SELECT sum(x) FROM (VALUES (1)) AS t(x) WHERE x > 1", ""),
            (
                "SELECT y, sum(x) FROM (VALUES (1, 1), (NULL, 2), (5, 1)) AS t(x, y) GROUP BY y ORDER BY y",
                "1,6;2,",
            ),
            (
                "SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM (VALUES (1), (2), (MAX - 2)) AS t(x) ORDER BY x",
                "1;3;9223372036854775807",
            ),
            (
                "SELECT rank() OVER (ORDER BY abs(x - 2)) AS r FROM (VALUES (1), (3), (5)) AS t(x) ORDER BY r",
                "1;1;3",
            ),
            ("SELECT sum(DISTINCT x) FROM (VALUES (2), (2), (3)) AS t(x)", "5"),
            ("SELECT count(*) FROM (VALUES (1), (2)) AS t(x) GROUP BY x + 1 HAVING x + 1 = 2", "1"),
            ("SELECT x + 1 FROM (VALUES (1), (2)) AS t(x) GROUP BY x + 1 ORDER BY x + 1 DESC", "3;2"),
            ("SELECT DATE '2024-01-01' + 1, 1.5 + 1", "2024-01-02,2.5"),
            (
                "SELECT sum(x), x + x FROM (VALUES (CAST('1.25' AS DECIMAL(38, 2)))) AS t(x) GROUP BY x",
                "1.25,2.50",
            ),
            (
                "SELECT sum(x) OVER (ORDER BY x ROWS 1 PRECEDING) FROM (VALUES (CAST(1 AS DECIMAL(10, 1))), (2), (NULL)) AS t(x) ORDER BY x",
                "1.0;3.0;2.0",
            ),
        ] {
            assert_eq!(answer(&of(sql)).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
