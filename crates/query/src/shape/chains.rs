//! Long chains of one operator, shortened while they are syntax: the engine asks every level of a tree for the types of all
//! levels below it, so that a chain of ten thousand costs fifty million questions.
//!
//! `AND` and `OR` are joined in pairs of pairs. Whole numbers and texts at the begin of a chain of `+`, `-` or `||` are
//! calculated, as the engine would from left to right. All other chains stay as they are, since the order of their steps
//! shows, and are refused where they are long.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};

/// Shorter chains are left alone, their columns keep their names.
const CHAIN_LENGTH_MIN: usize = 64;

/// A chain that cannot be shortened may have so many terms: the engine needs a second for a thousand of them.
const CHAIN_LENGTH_MAX: usize = 1000;

/// A chain has more terms than allowed.
#[derive(Debug)]
pub(super) struct TooLong {
    pub(super) term_count: usize,
    pub(super) term_count_max: usize,
}

/// Shortens the chains of a statement.
///
/// # Errors
/// See [`TooLong`].
pub(super) fn shorten(statement: &mut Statement) -> Result<(), TooLong> {
    let mut inner = statement;
    while let Statement::Explain(explain) = inner {
        inner = &mut explain.statement;
    }
    if let Statement::Statement(sql) = inner {
        let mut shorten = Shorten { known: 0, longest: 0 };
        let _ = VisitMut::visit(sql.as_mut(), &mut shorten);
        if shorten.longest >= CHAIN_LENGTH_MAX {
            return Err(TooLong { term_count: shorten.longest + 1, term_count_max: CHAIN_LENGTH_MAX });
        }
    }
    Ok(())
}

struct Shorten {
    /// Operations that are visited next and belong to a chain that was looked at from its top.
    known: usize,
    /// Operations of the longest chain that stays.
    longest: usize,
}

impl VisitorMut for Shorten {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let Expr::BinaryOp { op, .. } = &*expression else { return ControlFlow::Continue(()) };
        if self.known > 0 {
            self.known -= 1;
            return ControlFlow::Continue(());
        }
        let kind = Kind::of(op);
        if kind != Kind::Other && length(expression, kind) > CHAIN_LENGTH_MIN {
            let whole = std::mem::replace(expression, Expr::Value(Value::Null.into()));
            let (first, rest) = taken_apart(whole, kind);
            if kind == Kind::Truth {
                *expression = balanced(first, rest);
            } else {
                *expression = calculated(first, rest);
                // The left side of an operation is visited right after it.
                let length = length(expression, kind);
                self.known = length.saturating_sub(1);
                self.longest = self.longest.max(length);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Operators that stand in one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Truth,
    Sum,
    Product,
    Bits,
    Text,
    Other,
}

impl Kind {
    const fn of(operator: &BinaryOperator) -> Self {
        match operator {
            BinaryOperator::And | BinaryOperator::Or => Self::Truth,
            BinaryOperator::Plus | BinaryOperator::Minus => Self::Sum,
            BinaryOperator::StringConcat => Self::Text,
            BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => Self::Product,
            BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr | BinaryOperator::BitwiseXor => Self::Bits,
            _ => Self::Other,
        }
    }
}

/// Operators of the chain that leans to the left from here; of `AND` and `OR`, as far as it is one of them.
fn length(expression: &Expr, kind: Kind) -> usize {
    let (mut count, mut at, mut before) = (0, expression, None);
    while let Expr::BinaryOp { left, op, .. } = at {
        let goes_on = Kind::of(op) == kind && (kind != Kind::Truth || before.is_none_or(|one| one == op));
        if !goes_on {
            break;
        }
        (count, at, before) = (count + 1, left.as_ref(), Some(op));
    }
    count
}

fn taken_apart(whole: Expr, kind: Kind) -> (Expr, Vec<(BinaryOperator, Expr)>) {
    let (mut rest, mut at) = (Vec::<(BinaryOperator, Expr)>::new(), whole);
    loop {
        let goes_on = match &at {
            Expr::BinaryOp { op, .. } => {
                Kind::of(op) == kind
                    && (kind != Kind::Truth || rest.last().is_none_or(|(before, _)| before == op))
            }
            _ => false,
        };
        match at {
            Expr::BinaryOp { left, op, right } if goes_on => {
                rest.push((op, *right));
                at = *left;
            }
            first => {
                rest.reverse();
                return (first, rest);
            }
        }
    }
}

fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn balanced(first: Expr, rest: Vec<(BinaryOperator, Expr)>) -> Expr {
    let operator = rest.first().map_or(BinaryOperator::And, |(operator, _)| operator.clone());
    let mut terms: Vec<Expr> = std::iter::once(first).chain(rest.into_iter().map(|(_, term)| term)).collect();
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut open = terms.into_iter();
        while let Some(one) = open.next() {
            pairs.push(match open.next() {
                Some(other) => joined(one, operator.clone(), other),
                None => one,
            });
        }
        terms = pairs;
    }
    terms.pop().unwrap_or(Expr::Value(Value::Null.into()))
}

fn calculated(mut first: Expr, rest: Vec<(BinaryOperator, Expr)>) -> Expr {
    let mut rest = rest.into_iter().peekable();
    while let Some(value) = rest.peek().and_then(|(operator, right)| constant(&first, operator, right)) {
        first = Expr::Value(value.into());
        rest.next();
    }
    rest.fold(first, |left, (operator, right)| joined(left, operator, right))
}

/// The value of two constants, where it is sure.
fn constant(left: &Expr, operator: &BinaryOperator, right: &Expr) -> Option<Value> {
    let (Expr::Value(left), Expr::Value(right)) = (left, right) else { return None };
    match (&left.value, operator, &right.value) {
        (
            Value::Number(left, false),
            BinaryOperator::Plus | BinaryOperator::Minus,
            Value::Number(right, false),
        ) => {
            let (left, right) = (left.parse::<i64>().ok()?, right.parse::<i64>().ok()?);
            let sum = match operator {
                BinaryOperator::Plus => left.checked_add(right)?,
                _ => left.checked_sub(right)?,
            };
            // A number below zero would be written as an operation.
            (sum >= 0).then(|| Value::Number(sum.to_string(), false))
        }
        (Value::SingleQuotedString(left), BinaryOperator::StringConcat, Value::SingleQuotedString(right)) => {
            Some(Value::SingleQuotedString(format!("{left}{right}")))
        }
        _ => None,
    }
}
