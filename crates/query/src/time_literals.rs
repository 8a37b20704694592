//! Times in statements: any UTC time of the years 1 to 9999 is one, and so is a leap second.
//!
//! ```text
//! TIMESTAMP '2599-12-31T23:59:59'   (nanoseconds end in 2262)  ──►  TIMESTAMP(6) '2599-12-31T23:59:59'
//! '2016-12-31T23:59:60'             (unknown to Arrow)         ──►  '2017-01-01T00:00:00.000Z'
//! ```
//! Only literals are looked at, before anything is calculated with them; all other times are [`crate::times`].

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{DataType, Expr, Value, ValueWithSpan, visit_expressions_mut};
use seislake_model::Timestamp;

/// Digits of a second in the columns of time: microseconds reach farther than any date.
const MICROSECONDS: u64 = 6;
/// Digits of a second that need nanoseconds.
const NANOSECONDS: u64 = 9;

/// Makes the time literals of a statement ones that can be planned.
pub(crate) fn widen(statement: &mut Statement) {
    match statement {
        Statement::Statement(statement) => {
            let _: ControlFlow<()> = visit_expressions_mut(statement.as_mut(), |expression| {
                widen_expression(expression);
                ControlFlow::Continue(())
            });
        }
        Statement::Explain(explain) => widen(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {}
    }
}

fn widen_expression(expression: &mut Expr) {
    match expression {
        Expr::TypedString(typed) => {
            without_leap_second(&mut typed.value);
            widen_type(&mut typed.data_type, &typed.value);
        }
        Expr::Cast { expr, data_type, .. } => {
            if let Expr::Value(value) = expr.as_ref() {
                widen_type(data_type, value);
            }
        }
        Expr::Value(value) => without_leap_second(value),
        _ => {}
    }
}

/// A time, but none that a number of nanoseconds since 1970 holds.
fn is_beyond(value: &ValueWithSpan) -> bool {
    let Value::SingleQuotedString(text) = &value.value else { return false };
    text.parse::<Timestamp>().is_err() && Timestamp::bound(text).is_ok()
}

fn widen_type(data_type: &mut DataType, value: &ValueWithSpan) {
    let wide = match data_type {
        DataType::Timestamp(None | Some(NANOSECONDS), zone) => DataType::Timestamp(Some(MICROSECONDS), *zone),
        _ => return,
    };
    if is_beyond(value) {
        *data_type = wide;
    }
}

/// Writes second 60 as the following full second.
fn without_leap_second(value: &mut ValueWithSpan) {
    if let Value::SingleQuotedString(text) = &mut value.value
        && text.contains(":59:60")
        && let Ok(time) = text.parse::<Timestamp>()
    {
        *text = time.to_string();
    }
}
