//! -0.0 equals 0, and a NaN is above all numbers whatever its sign: Arrow puts -0.0 before 0, and a NaN with a sign before all.
//!
//! ```text
//! x = 0  ──►  x IN (-0.0, 0.0)        x <= 5  ──►  x BETWEEN -inf AND 5        x > 5  ──►  x NOT BETWEEN -inf AND 5
//! ```
//! A column beside a constant stays as it is, so that files whose statistics show that they hold nothing are not read.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Between, Cast, InList, TryCast};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit};

use super::nested;
use crate::rewrite::Membership;

/// What stands in a comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// A constant that is 0 or -0.0.
    Zero,
    /// A constant that is not a number.
    Nan,
    /// Any other constant: both zeros are on one side of it.
    Constant,
    /// Something calculated.
    Value,
}

/// A comparison for which both zeros are one, where it was none.
pub(super) fn compared(part: &mut Expr, schema: &DFSchema) -> Option<Expr> {
    let mut beside = beside(part)?;
    let seen: Vec<&Expr> = beside.iter().map(|side| &**side).collect();
    if kind_of(&seen, schema).is_none() {
        return one_zero(&mut beside, schema).then(|| std::mem::take(part));
    }
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if super::compares(*op) => {
            if let Some(member) = compared_pair(left, *op, right, schema)? {
                return Some(member);
            }
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            let kind = kind_of(&[&**expr, &**low, &**high], schema)?;
            match [side(expr, &kind), side(low, &kind), side(high, &kind)] {
                [_, Side::Constant, Side::Constant] => return None,
                [
                    Side::Value,
                    low_side @ (Side::Zero | Side::Constant),
                    high_side @ (Side::Zero | Side::Constant),
                ] => {
                    if low_side == Side::Zero {
                        **low = zero(&kind, Sign::Minus)?;
                    }
                    if high_side == Side::Zero {
                        **high = zero(&kind, Sign::Plus)?;
                    }
                }
                _ => {
                    super::in_groups([expr.as_mut(), low.as_mut(), high.as_mut()], schema);
                }
            }
        }
        Expr::InList(InList { expr, list, .. }) => {
            let all: Vec<&Expr> = std::iter::once(&**expr).chain(list.iter()).collect();
            let kind = kind_of(&all, schema)?;
            let is_constant =
                list.iter().all(|value| matches!(side(value, &kind), Side::Zero | Side::Constant));
            if side(expr, &kind) == Side::Value && is_constant {
                if !list.iter().any(|value| side(value, &kind) == Side::Zero) {
                    return None;
                }
                list.retain(|value| side(value, &kind) != Side::Zero);
                list.extend([zero(&kind, Sign::Minus)?, zero(&kind, Sign::Plus)?]);
            } else {
                let mut all: Vec<&mut Expr> = std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect();
                if !one_zero(&mut all, schema) {
                    return None;
                }
            }
        }
        _ => return None,
    }
    Some(std::mem::take(part))
}

/// What stands beside each other in a comparison.
fn beside(part: &mut Expr) -> Option<Vec<&mut Expr>> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if super::compares(*op) => Some(vec![left, right]),
        Expr::Between(Between { expr, low, high, .. }) => Some(vec![expr, low, high]),
        Expr::InList(InList { expr, list, .. }) => {
            Some(std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect())
        }
        _ => None,
    }
}

/// Changes both sides; or gives another comparison. `None` where neither is needed.
fn compared_pair(
    left: &mut Box<Expr>,
    operator: Operator,
    right: &mut Box<Expr>,
    schema: &DFSchema,
) -> Option<Option<Expr>> {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let kind = kind_of(&[&**left, &**right], schema)?;
    match (side(left, &kind), operator, side(right, &kind)) {
        (_, Eq | NotEq, Side::Zero) => return membership(left, &kind, asked_by(operator)).map(Some),
        (Side::Zero, Eq | NotEq, _) => return membership(right, &kind, asked_by(operator)).map(Some),
        (Side::Value, Lt | LtEq | Gt | GtEq, Side::Zero | Side::Constant) => {
            if let Some(member) = up_to(left, operator, right, &kind) {
                return Some(Some(member));
            }
        }
        (Side::Zero | Side::Constant, Lt | LtEq | Gt | GtEq, Side::Value) => {
            if let Some(member) = up_to(right, operator.swap()?, left, &kind) {
                return Some(Some(member));
            }
        }
        _ => return one_zero(&mut [left.as_mut(), right.as_mut()], schema).then_some(None),
    }
    super::in_groups([left.as_mut(), right.as_mut()], schema).then_some(None)
}

/// A column beside a limit, as a range from the lowest number on: below it there is only a NaN with a sign. What is
/// calculated is not calculated twice for it.
fn up_to(value: &mut Expr, operator: Operator, limit: &Expr, kind: &DataType) -> Option<Expr> {
    let column = match &*value {
        Expr::Cast(Cast { expr, .. }) => expr.as_ref(),
        other => other,
    };
    if !matches!(column, Expr::Column(_)) {
        return None;
    }
    let excluded = matches!(operator, Operator::Lt | Operator::GtEq);
    let limit = constant(limit)?;
    let (low, high) = match (limit.cast_to(kind).ok()?, limit.data_type().is_decimal()) {
        (ScalarValue::Float64(Some(limit)), _) if limit > f64::NEG_INFINITY => {
            (lit(f64::NEG_INFINITY), lit(if excluded { limit.next_down() } else { limit + 0.0 }))
        }
        (ScalarValue::Float32(Some(limit)), false) if limit > f32::NEG_INFINITY => {
            (lit(f32::NEG_INFINITY), lit(if excluded { limit.next_down() } else { limit + 0.0 }))
        }
        _ => return None,
    };
    let negated = matches!(operator, Operator::Gt | Operator::GtEq);
    let value = Box::new(std::mem::take(value));
    Some(Expr::Between(Between::new(value, negated, Box::new(low), Box::new(high))))
}

/// `x = 0`: of a list, for an `OR` would calculate `x` twice.
fn membership(value: &mut Expr, kind: &DataType, asked: Membership) -> Option<Expr> {
    let list = vec![zero(kind, Sign::Minus)?, zero(kind, Sign::Plus)?];
    let negated = asked == Membership::NotIn;
    Some(Expr::InList(InList::new(Box::new(std::mem::take(value)), list, negated)))
}

fn asked_by(operator: Operator) -> Membership {
    if operator == Operator::NotEq { Membership::NotIn } else { Membership::In }
}

/// Values that are compared with each other, with one zero; nothing changes where all but one are constants other than 0 and NaN.
pub(super) fn one_zero(values: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let seen: Vec<&Expr> = values.iter().map(|value| &**value).collect();
    let Some(kind) = kind_of(&seen, schema) else {
        return values.iter_mut().fold(false, |changed, value| changed | nested::in_group(value, schema));
    };
    let sides: Vec<Side> = seen.into_iter().map(|value| side(value, &kind)).collect();
    let value_count = sides.iter().filter(|side| **side == Side::Value).count();
    if value_count < 2 && !sides.contains(&Side::Zero) && !sides.contains(&Side::Nan) {
        return false;
    }
    let mut changed = false;
    for (value, side) in values.iter_mut().zip(sides) {
        match (side, zero(&kind, Sign::Plus)) {
            (Side::Zero, Some(zero)) => {
                **value = zero;
                changed = true;
            }
            (Side::Value, _) => changed |= in_group(value, schema),
            _ => {}
        }
    }
    changed
}

/// Values that make groups, keys or peers, with one zero.
pub(super) fn in_group(expression: &mut Expr, schema: &DFSchema) -> bool {
    let zero = float(expression, schema).and_then(|kind| zero(&kind, Sign::Plus));
    match zero {
        Some(zero) => {
            *expression = std::mem::take(expression) + zero;
            true
        }
        None => nested::in_group(expression, schema),
    }
}

fn float(expression: &Expr, schema: &DFSchema) -> Option<DataType> {
    let kind = expression.get_type(schema).ok()?;
    matches!(kind, DataType::Float32 | DataType::Float64).then_some(kind)
}

/// The type in which values are compared, where it has two zeros: 64 bits where some have 64, for 32 hold both zeros, too.
fn kind_of(values: &[&Expr], schema: &DFSchema) -> Option<DataType> {
    let kinds = || values.iter().filter_map(|value| float(value, schema));
    kinds().find(|kind| *kind == DataType::Float64).or_else(|| kinds().next())
}

/// The zeros that a floating point type has.
#[derive(Clone, Copy)]
enum Sign {
    Minus,
    Plus,
}

fn zero(kind: &DataType, sign: Sign) -> Option<Expr> {
    match (kind, sign) {
        (DataType::Float32, Sign::Minus) => Some(lit(-0.0_f32)),
        (DataType::Float32, Sign::Plus) => Some(lit(0.0_f32)),
        (DataType::Float64, Sign::Minus) => Some(lit(-0.0_f64)),
        (DataType::Float64, Sign::Plus) => Some(lit(0.0_f64)),
        _ => None,
    }
}

fn side(expression: &Expr, kind: &DataType) -> Side {
    let Some(value) = constant(expression) else { return Side::Value };
    match value.cast_to(kind) {
        Ok(ScalarValue::Float32(Some(0.0)) | ScalarValue::Float64(Some(0.0))) => Side::Zero,
        Ok(ScalarValue::Float32(Some(number))) if number.is_nan() => Side::Nan,
        Ok(ScalarValue::Float64(Some(number))) if number.is_nan() => Side::Nan,
        _ => Side::Constant,
    }
}

/// The value of a constant, cast or not.
fn constant(expression: &Expr) -> Option<ScalarValue> {
    match expression {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(Cast { expr, data_type }) | Expr::TryCast(TryCast { expr, data_type }) => {
            constant(expr)?.cast_to(data_type).ok()
        }
        Expr::Negative(inner) => constant(inner)?.arithmetic_negate().ok(),
        _ => None,
    }
}
