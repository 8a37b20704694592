//! Rewriting the parts of all expressions of a plan, subqueries included; columns keep their names.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Every part of every expression, from the innermost outwards, with the columns that it sees.
pub(crate) fn every_part(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten = expression.transform_up(|part| rewrite(part, &schema))?;
            Ok(rewritten.update_data(|expression| name.restore(expression)))
        })
    })?;
    Ok(rewritten.data)
}

/// Whether a value is asked to be one of several, or none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    In,
    NotIn,
}
