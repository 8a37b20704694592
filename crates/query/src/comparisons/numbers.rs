//! A text beside a number takes the number's type; one in quotes that is no number is an error.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, lit};

use super::Beside;

/// Texts among numbers, as numbers.
///
/// # Errors
/// A text in quotes is none.
pub(super) fn settled(expressions: &mut [&mut Expr], kinds: &[DataType], beside: Beside) -> Result<bool> {
    let fits = |kind: &DataType| kind.is_numeric() || is_text(kind) || kind.is_null();
    if !kinds.iter().all(fits) || !kinds.iter().any(DataType::is_numeric) || !kinds.iter().any(is_text) {
        return Ok(false);
    }
    // `coalesce(magnitude, 'unknown')` is a text.
    let mut texts = expressions.iter().zip(kinds).filter(|(_, kind)| is_text(kind));
    if beside == Beside::Chosen
        && !texts.all(|(expression, _)| constant_text(expression).is_some_and(|text| number(text).is_some()))
    {
        return Ok(false);
    }
    let target = common_type(kinds);
    for (expression, _) in expressions.iter_mut().zip(kinds).filter(|(_, kind)| is_text(kind)) {
        **expression = match constant_text(expression) {
            Some(text) => match literal(text, &target) {
                Some(value) => lit(value),
                None => return plan_err!("the text '{text}' stands where a number is compared, and is none"),
            },
            None => Expr::Cast(Cast::new(Box::new(std::mem::take(&mut **expression)), target.clone())),
        };
    }
    Ok(true)
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn constant_text(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// The type for texts among such numbers.
fn common_type(kinds: &[DataType]) -> DataType {
    let numbers = || kinds.iter().filter(|kind| kind.is_numeric());
    if numbers().all(|kind| *kind == DataType::UInt64) {
        DataType::UInt64
    } else if numbers().all(DataType::is_integer) {
        DataType::Int64
    } else if numbers().all(|kind| kind.is_integer() || *kind == DataType::Float32) {
        DataType::Float32
    } else {
        DataType::Float64
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// A text as a number of a type, or as one that can be compared with it: 2 is less than '2.5'.
fn literal(text: &str, target: &DataType) -> Option<ScalarValue> {
    let text = text.trim();
    if target.is_integer() {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Some(whole.into());
        }
    }
    if *target == DataType::Float32 {
        return text.parse::<f32>().ok().map(ScalarValue::from);
    }
    number(text).map(ScalarValue::from)
}

/// A function that goes by way of a double where the digits of a decimal are more than that has.
pub(super) fn refuse_doubles(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    const DIGITS_OF_DOUBLE: u8 = 15;
    let ("trunc", Some(number)) = (call.name(), call.args.first()) else { return Ok(()) };
    match number.get_type(schema) {
        Ok(DataType::Decimal128(digits, _) | DataType::Decimal256(digits, _))
            if digits > DIGITS_OF_DOUBLE =>
        {
            plan_err!(
                "trunc of a decimal of {digits} digits is not answered: round it, or CAST it AS DECIMAL({DIGITS_OF_DOUBLE}, …)"
            )
        }
        _ => Ok(()),
    }
}
