//! Times in statements: any UTC time of the years 1 to 9999 is one, and so is a leap second.
//!
//! ```text
//! TIMESTAMP '2599-12-31T23:59:59'   (nanoseconds end in 2262)  ──►  TIMESTAMP(6) '2599-12-31T23:59:59'
//! '2016-12-31T23:59:60'             (unknown to Arrow)         ──►  '2017-01-01T00:00:00.000Z'
//! ```
//! Only literals are looked at; everything else is the statement's own.

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

fn widen_type(data_type: &mut DataType, value: &ValueWithSpan) {
    let DataType::Timestamp(precision @ (None | Some(NANOSECONDS)), _) = data_type else { return };
    let Value::SingleQuotedString(text) = &value.value else { return };
    if text.parse::<Timestamp>().is_err() && Timestamp::bound(text).is_ok() {
        *precision = Some(MICROSECONDS);
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
