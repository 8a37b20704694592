//! What is left of subqueries after planning cannot be answered.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::parts::{CORRELATED, subquery_of};
use crate::error::SUBQUERY_ELSEWHERE;

/// Ends a statement with subqueries that read the rows around them and of which the engine, having tried, made no joins: its
/// other rules go wrong over them.
#[derive(Debug)]
pub(crate) struct RefuseWhatIsLeft;

impl OptimizerRule for RefuseWhatIsLeft {
    fn name(&self) -> &'static str {
        "refuse_what_is_left"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.apply(|node| match node {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => node.apply_expressions(|expression| {
                expression.apply(|part| match subquery_of(part) {
                    Some(subquery) if !subquery.outer_ref_columns.is_empty() => plan_err!("{CORRELATED}"),
                    _ => Ok(TreeNodeRecursion::Continue),
                })
            }),
            _ => Ok(TreeNodeRecursion::Continue),
        })?;
        Ok(Transformed::no(plan))
    }
}

/// Ends a statement that has subqueries when all is planned.
///
/// # Errors
/// There are such subqueries.
pub(crate) fn refuse_what_is_left(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| match subquery_of(part) {
                // Of LATERAL.
                None if matches!(part, Expr::OuterReferenceColumn(..)) => plan_err!("{CORRELATED}"),
                None => Ok(TreeNodeRecursion::Continue),
                Some(subquery) if subquery.outer_ref_columns.is_empty() => plan_err!("{SUBQUERY_ELSEWHERE}"),
                Some(_) => plan_err!("{CORRELATED}"),
            })
        })
    })?;
    Ok(())
}
