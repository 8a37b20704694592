//! Subqueries in expressions mean what the standard says. The engine makes joins of them, and forgets on the way what a join
//! does not know: that no row is a null, that two rows are an error, that an aggregate has a row even of nothing, and that
//! `IN` of a null is neither true nor false.
//!
//! ```text
//! (SELECT y FROM u …)                        ──►  only((SELECT pack(first_value(y), count) FROM u …))     one row or null
//! (SELECT count(*) + 1 FROM u WHERE u.k = t.k) ─►  or_zero((SELECT count FROM u WHERE u.k = t.k)) + 1     for t without u, too
//! (SELECT y FROM u WHERE u.k = t.k ORDER BY z LIMIT 1) ─►  (SELECT first_value(y ORDER BY z) FROM u WHERE u.k = t.k)
//! EXISTS (SELECT count(*) …)                 ──►  true
//! EXISTS (…), x IN (…)  where there is no WHERE ►  or_zero((SELECT count …)) > 0, a CASE of such
//! x IN (…)  where a null is not a false      ──►  CASE WHEN found THEN true WHEN a null stands on either side THEN NULL …
//! ```
//! What is left of them after planning cannot be answered and is refused in one sentence ([`refuse_what_is_left`]).

mod calls;
mod counted;
mod keys;
mod lifted;
mod membership;
mod parts;
mod refusal;
mod scalar;

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, Filter, Join, JoinType, LogicalPlan, Operator, Projection,
    not,
};
use datafusion::optimizer::AnalyzerRule;

pub(crate) use keys::NameKeys;
pub(crate) use refusal::{RefuseWhatIsLeft, refuse_what_is_left};

use self::membership::{existence, membership, of_one_row};
use self::parts::{has_correlated, has_subquery};
use self::scalar::scalar;
use crate::error::SUBQUERY_ELSEWHERE;

/// Puts what the standard says about subqueries into the plan; before the engine gives types.
#[derive(Debug)]
pub(crate) struct Subqueries;

impl AnalyzerRule for Subqueries {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        lifted::check(&plan)?;
        let changed = Cell::new(false);
        let settled = plan.transform_up_with_subqueries(|node| {
            let node = settled(node)?;
            changed.set(changed.get() || node.transformed);
            // What was never null may be null now, and all above has to know.
            if changed.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(settled.data)
    }

    fn name(&self) -> &'static str {
        "subqueries"
    }
}

/// Where a subquery stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a condition, of which the engine makes joins.
    Where,
    /// Elsewhere.
    Select,
}

fn settled(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Filter(Filter { predicate, input, .. }) if has_subquery(&predicate) => {
            let predicate = condition(predicate, input.schema(), Operator::And)?;
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, input)?)))
        }
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) if expr.iter().any(has_subquery) => {
            let node = LogicalPlan::Projection(Projection::try_new_with_schema(expr, input, schema)?);
            in_columns(node)
        }
        LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.iter().chain(&aggregate.aggr_expr).any(has_subquery) =>
        {
            let node = in_columns(LogicalPlan::Aggregate(aggregate))?;
            node.transform_data(below)
        }
        // The engine goes wrong over conditions of joins that read the rows around a subquery, or that nulls decide. Of an
        // inner join they are put behind the join; of others there is no such place.
        LogicalPlan::Join(Join { join_type, filter: Some(condition), .. })
            if join_type != JoinType::Inner && (has_correlated(&condition) || excludes(&condition)) =>
        {
            plan_err!("{SUBQUERY_ELSEWHERE}")
        }
        LogicalPlan::Join(mut join)
            if join
                .filter
                .as_ref()
                .is_some_and(|condition| has_correlated(condition) || excludes(condition)) =>
        {
            // Of an inner join it is a condition on the rows of the join.
            let filter = join.filter.take();
            let predicate =
                filter.map(|filter| condition(filter, &join.schema, Operator::And)).transpose()?;
            let join = Arc::new(LogicalPlan::Join(join));
            Ok(Transformed::yes(match predicate {
                Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, join)?),
                None => Arc::unwrap_or_clone(join),
            }))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether somewhere a value must not be among those of a subquery: nulls there are forgotten in conditions of joins.
fn excludes(condition: &Expr) -> bool {
    let excludes = condition.exists(|part| {
        Ok(match part {
            Expr::InSubquery(member) => member.negated,
            Expr::Not(inner) => inner.exists(|part| Ok(matches!(part, Expr::InSubquery(_))))?,
            _ => false,
        })
    });
    excludes.unwrap_or(true)
}

/// The subqueries of a list of columns.
fn in_columns(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = node.inputs().first().map(|input| Arc::clone(input.schema()));
    let Some(schema) = schema else { return Ok(Transformed::no(node)) };
    let names = NamePreserver::new(&node);
    node.map_expressions(|expression| {
        let name = names.save(&expression);
        let changed = rewritten(expression, &schema, Place::Select)?;
        Ok(changed.update_data(|expression| name.restore(expression)))
    })
}

/// An aggregate whose subqueries are columns of what it reads: the engine answers them there only.
fn below(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) = node else {
        return Ok(Transformed::no(node));
    };
    let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut subqueries: Vec<Expr> = vec![];
    let mut replaced = |expressions: Vec<Expr>| -> Result<Vec<Expr>> {
        let replace = |expression: Expr| {
            let saved = NamePreserver::new_for_projection().save(&expression);
            let replaced = expression.transform_down(|part| {
                if !matches!(part, Expr::ScalarSubquery(_)) {
                    return Ok(Transformed::no(part));
                }
                let index = subqueries.iter().position(|known| *known == part).unwrap_or_else(|| {
                    subqueries.push(part);
                    subqueries.len() - 1
                });
                let column = Expr::Column(Column::new_unqualified(subquery_name(index)));
                Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
            })?;
            Ok(saved.restore(replaced.data))
        };
        expressions.into_iter().map(replace).collect()
    };
    let (group_expr, aggr_expr) = (replaced(group_expr)?, replaced(aggr_expr)?);
    let named = subqueries.into_iter().enumerate();
    columns.extend(named.map(|(index, subquery)| subquery.alias(subquery_name(index))));
    let input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?));
    Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?)))
}

fn subquery_name(index: usize) -> String {
    format!("subquery {}", index + 1)
}

/// A condition of a WHERE. Where only what is true counts, the engine's joins are right: `within` is the operator around.
fn condition(expression: Expr, schema: &DFSchema, within: Operator) -> Result<Expr> {
    let is_whole = within == Operator::And;
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let within = if is_whole { op } else { within };
            let left = Box::new(condition(*left, schema, within)?);
            let right = Box::new(condition(*right, schema, within)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Not(inner) if is_whole && matches!(*inner, Expr::InSubquery(_)) => match *inner {
            Expr::InSubquery(member) => {
                condition(Expr::InSubquery(InSubquery { negated: !member.negated, ..member }), schema, within)
            }
            inner => Ok(not(inner)),
        },
        // Of a constant on the left, the engine's join makes a condition on the right, and forgets the nulls there.
        Expr::InSubquery(InSubquery { expr, subquery, negated })
            if !negated
                || (is_whole
                    && subquery.outer_ref_columns.is_empty()
                    && (expr.any_column_refs() || expr.contains_outer())
                    && is_seen_as_null(&expr, schema)) =>
        {
            let expr = Box::new(rewritten(*expr, schema, Place::Where)?.data);
            let member = InSubquery { expr, subquery, negated };
            Ok(match of_one_row(&member, schema)? {
                Some(compared) => compared,
                None => Expr::InSubquery(member),
            })
        }
        other => Ok(rewritten(other, schema, Place::Where)?.data),
    }
}

/// Whether the engine's join takes a value for one that may be null, if it may be: it asks its columns alone, and
/// `nullif(x, x)` is null where x never is.
fn is_seen_as_null(expression: &Expr, schema: &DFSchema) -> bool {
    let of_column = |column: &Column| schema.field_from_column(column).is_ok_and(|field| field.is_nullable());
    !expression.nullable(schema).unwrap_or(true) || expression.column_refs().into_iter().any(of_column)
}

fn rewritten(expression: Expr, schema: &DFSchema, place: Place) -> Result<Transformed<Expr>> {
    expression.transform_up(|part| {
        let written = match &part {
            Expr::ScalarSubquery(subquery) => scalar(subquery, schema)?,
            Expr::Exists(exists) => existence(exists, schema, place)?,
            Expr::InSubquery(member) => membership(member, schema, place)?,
            _ => None,
        };
        Ok(match written {
            Some(written) => Transformed::yes(written),
            None => Transformed::no(part),
        })
    })
}

#[cfg(test)]
mod tests;
