//! `CASE` within `CASE`, written as one while it is syntax: the engine keeps two copies of what stands in a `CASE`, and of
//! what stands in that one, so that every level doubles its work. Tools nest fifty of them for a list of ranges.
//!
//! ```text
//! CASE WHEN a THEN x ELSE CASE WHEN b THEN y ELSE z END END   ──►   CASE WHEN a THEN x WHEN b THEN y ELSE z END
//! CASE WHEN a THEN CASE WHEN b THEN x ELSE y END ELSE z END   ──►   CASE WHEN a IS NOT TRUE THEN z WHEN b THEN x ELSE y END
//! ```
//! `coalesce` is a `CASE` to the engine: within each other they are one with more arguments.
//! What is evaluated, and for which rows, stays the same. A `CASE` within a condition or an operation stays where it is.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Value,
    Visit, VisitMut, Visitor, VisitorMut,
};

/// Statements with fewer levels are left alone, their columns keep their names.
const LEVELS_MIN: usize = 6;

/// Writes the deeply nested `CASE` of a statement as flat ones.
pub(super) fn flatten(statement: &mut Statement) {
    let mut inner = statement;
    while let Statement::Explain(explain) = inner {
        inner = &mut explain.statement;
    }
    if let Statement::Statement(sql) = inner {
        let mut levels = Levels::default();
        let _ = Visit::visit(sql.as_ref(), &mut levels);
        if levels.most > LEVELS_MIN {
            let _ = VisitMut::visit(sql.as_mut(), &mut Flatten);
        }
    }
}

/// How many `CASE` stand within each other.
#[derive(Default)]
struct Levels {
    here: usize,
    most: usize,
}

impl Visitor for Levels {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.here += usize::from(is_case(expression));
        self.most = self.most.max(self.here);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.here -= usize::from(is_case(expression));
        ControlFlow::Continue(())
    }
}

/// What the engine plans as a `CASE`.
pub(super) fn is_case(expression: &Expr) -> bool {
    match expression {
        Expr::Case { .. } => true,
        Expr::Function(call) => {
            let name = call.name.to_string().to_lowercase();
            ["coalesce", "nvl", "ifnull", "nvl2"].contains(&name.as_str())
        }
        _ => false,
    }
}

/// The arguments of `coalesce(…)`, or of what is the same with two.
fn choices(expression: &mut Expr) -> Option<&mut Vec<FunctionArg>> {
    let Expr::Function(call) = expression else { return None };
    let name = call.name.to_string().to_lowercase();
    match &mut call.args {
        FunctionArguments::List(list) if ["coalesce", "nvl", "ifnull"].contains(&name.as_str()) => {
            Some(&mut list.args)
        }
        _ => None,
    }
}

/// `coalesce(a, coalesce(b, c))` is `coalesce(a, b, c)`.
fn flatten_choices(expression: &mut Expr) {
    let Some(arguments) = choices(expression) else { return };
    let (mut flat, mut found) = (vec![], false);
    for mut argument in std::mem::take(arguments) {
        let inner = match &mut argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) => choices(inner),
            _ => None,
        };
        match inner {
            Some(inner) => {
                flat.append(inner);
                found = true;
            }
            None => flat.push(argument),
        }
    }
    *arguments = flat;
    if found && let Expr::Function(call) = expression {
        call.name = ObjectName::from(vec!["coalesce".into()]);
    }
}

struct Flatten;

impl VisitorMut for Flatten {
    type Break = ();

    /// From the inside out: what stands within is flat already.
    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        flatten_choices(expression);
        let whole = std::mem::replace(expression, Expr::Value(Value::Null.into()));
        *expression = match Branches::of(whole) {
            Ok(branches) => branches.flat().into_expression(),
            Err(other) => *other,
        };
        ControlFlow::Continue(())
    }
}

/// The parts of a `CASE` without an operand.
struct Branches {
    conditions: Vec<CaseWhen>,
    otherwise: Option<Box<Expr>>,
}

impl Branches {
    fn of(expression: Expr) -> Result<Self, Box<Expr>> {
        match expression {
            Expr::Case { operand: None, conditions, else_result, .. } => {
                Ok(Self { conditions, otherwise: else_result })
            }
            Expr::Case { operand: Some(operand), mut conditions, else_result, .. }
                if is_repeatable(&operand) =>
            {
                for branch in &mut conditions {
                    let value = std::mem::replace(&mut branch.condition, Expr::Value(Value::Null.into()));
                    branch.condition = Expr::BinaryOp {
                        left: operand.clone(),
                        op: BinaryOperator::Eq,
                        right: Box::new(Expr::Nested(Box::new(value))),
                    };
                }
                Ok(Self { conditions, otherwise: else_result })
            }
            other => Err(Box::new(other)),
        }
    }

    fn flat(mut self) -> Self {
        let in_else = self.otherwise.as_deref().map_or(0, branch_count);
        let in_then = self.conditions.last().map_or(0, |branch| branch_count(&branch.result));
        if in_else > 0 && in_else >= in_then {
            if let Some(inner) =
                self.otherwise.take().and_then(|inner| Self::of(without_brackets(*inner)).ok())
            {
                self.conditions.extend(inner.conditions);
                self.otherwise = inner.otherwise;
            }
        } else if in_then > 0
            && let Some(last) = self.conditions.pop()
            && let Ok(inner) = Self::of(without_brackets(last.result))
        {
            let otherwise = self.otherwise.take();
            self.conditions.push(CaseWhen {
                condition: Expr::IsNotTrue(Box::new(Expr::Nested(Box::new(last.condition)))),
                result: otherwise.map_or(Expr::Value(Value::Null.into()), |result| *result),
            });
            self.conditions.extend(inner.conditions);
            self.otherwise = inner.otherwise;
        }
        self
    }

    fn into_expression(self) -> Expr {
        Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: self.conditions,
            else_result: self.otherwise,
        }
    }
}

/// An operand that may be written at every condition.
fn is_repeatable(operand: &Expr) -> bool {
    matches!(operand, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_))
}

fn without_brackets(mut expression: Expr) -> Expr {
    while let Expr::Nested(inner) = expression {
        expression = *inner;
    }
    expression
}

/// Branches of a `CASE` without an operand, 0 for all else: inner ones are written so when it is asked.
fn branch_count(mut expression: &Expr) -> usize {
    while let Expr::Nested(inner) = expression {
        expression = inner;
    }
    match expression {
        Expr::Case { operand: None, conditions, .. } => conditions.len(),
        _ => 0,
    }
}
