//! Correlated subqueries that cannot be answered: the engine lifts a condition on the row around out of the subquery, past
//! whatever stands above it there. That is right past filters, columns and inner joins, and wrong past an operator whose
//! rows depend on which rows it sees: windows, OFFSET, outer joins on the side that may be null, grouping sets. A subquery
//! of FROM (LATERAL) is one of them, and its count over no rows would be null where it is zero.
//!
//! Beside them, grouping sets that are stated twice: the engine makes one of them, with every row counted twice.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, JoinType, Limit, LogicalPlan};

use super::parts::{CORRELATED, subquery_of};

/// # Errors
/// One sentence where the plan has such a subquery, or such grouping sets.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    // Not with subqueries: those of expressions would look like those of FROM.
    plan.apply(|node| {
        match node {
            LogicalPlan::Aggregate(aggregate) => check_sets(aggregate)?,
            LogicalPlan::Subquery(lateral) if !lateral.outer_ref_columns.is_empty() => {
                reads_outer(&lateral.subquery)?;
                check_lateral(&lateral.subquery)?;
            }
            _ => {}
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Some(subquery) = subquery_of(part) {
                    if !subquery.outer_ref_columns.is_empty() {
                        reads_outer(&subquery.subquery)?;
                    }
                    check(&subquery.subquery)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Whether a node or one below it reads the row around.
///
/// # Errors
/// Such a node stands below an operator that must see all its rows.
fn reads_outer(node: &LogicalPlan) -> Result<bool> {
    let below = node.inputs().into_iter().map(reads_outer).collect::<Result<Vec<bool>>>()?;
    let side = |index: usize| below.get(index).copied().unwrap_or(false);
    let any = below.contains(&true);
    let is_wrong = match node {
        LogicalPlan::Window(_) => any,
        LogicalPlan::Limit(limit) => any && skips(limit),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => side(1),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => side(0),
            JoinType::Full => any,
        },
        LogicalPlan::Aggregate(aggregate) => any && sets(aggregate).next().is_some(),
        _ => false,
    };
    if is_wrong {
        return plan_err!("{CORRELATED}");
    }
    let mut reads = any;
    node.apply_expressions(|expression| {
        reads |= expression.exists(|part| Ok(matches!(part, Expr::OuterReferenceColumn(..))))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(reads)
}

/// # Errors
/// A subquery of FROM counts rows without groups, or has LIMIT.
fn check_lateral(node: &LogicalPlan) -> Result<()> {
    node.apply(|node| match node {
        LogicalPlan::Limit(_) => plan_err!("{CORRELATED}"),
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            let counts = aggregate.aggr_expr.iter().try_fold(false, |counts, expression| {
                Ok::<_, DataFusionError>(counts || expression.exists(|part| Ok(is_count(part)))?)
            });
            if counts? { plan_err!("{CORRELATED}") } else { Ok(TreeNodeRecursion::Continue) }
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// An aggregate that is something else than null over no rows.
fn is_count(expression: &Expr) -> bool {
    let Expr::AggregateFunction(call) = expression else { return false };
    !call.func.default_value(&DataType::Int64).is_ok_and(|value| value.is_null())
}

/// An OFFSET that is not nothing.
fn skips(limit: &Limit) -> bool {
    let is_zero = |skip: &Expr| matches!(skip, Expr::Literal(ScalarValue::Int64(Some(0)), _));
    limit.skip.as_deref().is_some_and(|skip| !is_zero(skip))
}

fn sets(aggregate: &Aggregate) -> impl Iterator<Item = &GroupingSet> {
    aggregate.group_expr.iter().filter_map(|expression| match expression {
        Expr::GroupingSet(sets) => Some(sets),
        _ => None,
    })
}

fn check_sets(aggregate: &Aggregate) -> Result<()> {
    for set in sets(aggregate) {
        let mut stated: Vec<Vec<String>> = match set {
            // The sets of these are apart as long as their columns are.
            GroupingSet::Rollup(columns) | GroupingSet::Cube(columns) => {
                columns.iter().map(|column| vec![column.to_string()]).collect()
            }
            GroupingSet::GroupingSets(sets) => sets.iter().map(|set| names(set)).collect(),
        };
        let count = stated.len();
        stated.sort_unstable();
        stated.dedup();
        if stated.len() < count {
            return plan_err!("a grouping set is stated twice: state each once");
        }
    }
    Ok(())
}

/// The columns of a grouping set, each once, in an order that does not depend on how it was written.
fn names(set: &[Expr]) -> Vec<String> {
    let mut names: Vec<String> = set.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.dedup();
    names
}
