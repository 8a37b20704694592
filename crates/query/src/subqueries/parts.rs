//! What the rooms of subqueries share: finding them, and plans and columns of theirs.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, Spans, plan_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion::logical_expr::{Case, Expr, FetchType, LogicalPlan, SkipType, Subquery, lit};

use super::counted;

pub(super) const CORRELATED: &str = "a subquery that reads columns of the query around it may only compare them with = in its WHERE, without \
                          LIMIT (but LIMIT 1), OFFSET, UNION, windows, outer joins or grouping sets: write it as a join";

pub(super) fn subquery_of(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

pub(super) fn has_subquery(expression: &Expr) -> bool {
    expression.exists(|part| Ok(subquery_of(part).is_some())).unwrap_or(true)
}

pub(super) fn has_correlated(expression: &Expr) -> bool {
    let correlated =
        |part: &Expr| subquery_of(part).is_some_and(|subquery| !subquery.outer_ref_columns.is_empty());
    expression.exists(|part| Ok(correlated(part))).unwrap_or(true)
}

/// Steps of a subquery that is put into a plan several times: subqueries in one another would double with every level.
pub(super) const COPIED_STEPS_MAX: usize = 500;

/// # Errors
/// The subquery is too large to be put into the plan several times.
pub(super) fn check_copied(plan: &LogicalPlan) -> Result<()> {
    let mut step_count = 0;
    plan.apply_with_subqueries(|_| {
        step_count += 1;
        Ok(if step_count > COPIED_STEPS_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if step_count > COPIED_STEPS_MAX {
        return plan_err!("subqueries stand in one another too often: put the inner ones into FROM");
    }
    Ok(())
}

/// How many rows there are, without the engine's rules for `count`.
pub(super) fn row_count() -> Expr {
    let count =
        AggregateFunction::new_udf(counted::of(count_udaf()), vec![lit(1_i64)], false, None, vec![], None);
    Expr::AggregateFunction(count)
}

pub(super) fn column_of(plan: &LogicalPlan, index: usize) -> Expr {
    Expr::Column(Column::from(plan.schema().qualified_field(index)))
}

pub(super) fn with_plan(subquery: &Subquery, plan: LogicalPlan) -> Subquery {
    Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns: subquery.outer_ref_columns.clone(),
        spans: Spans::new(),
    }
}

/// An expression over columns, written with what these columns are.
pub(super) fn written(expression: &Expr, schema: &DFSchema, columns: &[Expr]) -> Result<Expr> {
    let written = expression.clone().unalias().transform_up(|part| {
        let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
        Ok(match columns.get(schema.index_of_column(column)?) {
            Some(column) => Transformed::yes(column.clone().unalias()),
            None => Transformed::no(part),
        })
    })?;
    Ok(written.data)
}

pub(super) fn keeps_first_row(limit: &datafusion::logical_expr::Limit) -> Result<bool> {
    let fetched =
        matches!(limit.get_fetch_type()?, FetchType::Literal(count) if count.is_none_or(|count| count > 0));
    Ok(fetched && matches!(limit.get_skip_type()?, SkipType::Literal(0)))
}

pub(super) fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    let branches = branches.into_iter().map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Expr::Case(Case::new(None, branches, otherwise.map(Box::new)))
}

/// A name that no column has which the subquery reads: the engine joins by these, beside it.
pub(super) const VALUE_NAME: &str = "value of a subquery";
