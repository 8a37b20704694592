//! -0.0 equals 0: Arrow puts it before 0.
//!
//! Beside a constant the constant is changed, so that files whose statistics show that they hold nothing are not read.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit};

/// A comparison for which both zeros are one, where it was none.
pub(super) fn compared(part: &mut Expr, schema: &DFSchema) -> Option<Expr> {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if super::compares(*op) => {
            let (left_zero, right_zero) = (is_zero(left), is_zero(right));
            let kind = if left_zero { float(right, schema) } else { float(left, schema) }?;
            let lowest = |low: bool| zero(&kind, low);
            match (left_zero, *op, right_zero) {
                (_, Eq | NotEq, true) => return membership(left, &kind, *op == NotEq),
                (true, Eq | NotEq, false) => return membership(right, &kind, *op == NotEq),
                (_, Lt | GtEq, true) => **right = lowest(true)?,
                (_, Gt | LtEq, true) => **right = lowest(false)?,
                (true, Gt | LtEq, false) => **left = lowest(true)?,
                (true, Lt | GtEq, false) => **left = lowest(false)?,
                _ => {
                    // Beside any other constant both zeros are on one side.
                    let constant = |side: &Expr| matches!(side, Expr::Literal(..));
                    let zeros = left_zero || right_zero;
                    if !zeros && (constant(left) || constant(right)) || float(right, schema).is_none() {
                        return None;
                    }
                    in_group(left, schema);
                    in_group(right, schema);
                }
            }
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            let kind = float(expr, schema)?;
            if !is_zero(low) && !is_zero(high) {
                return None;
            }
            if is_zero(low) {
                **low = zero(&kind, true)?;
            }
            if is_zero(high) {
                **high = zero(&kind, false)?;
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            let kind = float(expr, schema)?;
            if !list.iter().any(is_zero) {
                return None;
            }
            list.retain(|value| !is_zero(value));
            list.extend([zero(&kind, true)?, zero(&kind, false)?]);
        }
        _ => return None,
    }
    Some(std::mem::take(part))
}

/// `x = 0`: of a list, for an `OR` would calculate `x` twice.
fn membership(value: &mut Expr, kind: &DataType, negated: bool) -> Option<Expr> {
    let list = vec![zero(kind, true)?, zero(kind, false)?];
    Some(Expr::InList(InList::new(Box::new(std::mem::take(value)), list, negated)))
}

/// Values that make groups or keys, with one zero.
pub(super) fn in_group(expression: &mut Expr, schema: &DFSchema) -> bool {
    let zero = float(expression, schema).and_then(|kind| zero(&kind, false));
    match zero {
        Some(zero) => {
            *expression = std::mem::take(expression) + zero;
            true
        }
        None => false,
    }
}

fn float(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    let kind = expression.get_type(schema).ok()?;
    matches!(kind, DataType::Float32 | DataType::Float64).then_some(kind)
}

fn zero(kind: &DataType, negative: bool) -> Option<Expr> {
    match (kind, negative) {
        (DataType::Float32, true) => Some(lit(-0.0_f32)),
        (DataType::Float32, false) => Some(lit(0.0_f32)),
        (DataType::Float64, true) => Some(lit(-0.0_f64)),
        (DataType::Float64, false) => Some(lit(0.0_f64)),
        _ => None,
    }
}

fn is_zero(expression: &Expr) -> bool {
    let Expr::Literal(value, _) = expression else { return false };
    match value {
        ScalarValue::Float32(Some(value)) => *value == 0.0,
        ScalarValue::Float64(Some(value)) => *value == 0.0,
        ScalarValue::Int64(Some(value)) => *value == 0,
        _ => false,
    }
}
