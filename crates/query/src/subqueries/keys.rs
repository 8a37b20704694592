//! Conditions of subqueries on the row around them compare columns that nothing else reads.
//!
//! ```text
//! SELECT max(y) FROM u WHERE abs(u.x) = t.x
//!   ──►  SELECT max(y) FROM (SELECT u.* FROM (SELECT *, abs(u.x) AS "key 1" FROM u) WHERE "key 1" = t.x)
//! (SELECT y FROM u WHERE u.k = t.k) AS q     ──►  SELECT y AS q.y FROM (SELECT y FROM u WHERE u.k = t.k)
//! ```
//! The engine lifts such a condition out of its subquery, together with the columns of it, and takes these for columns of
//! the subquery: those of one name are mixed up, those of a name given to it are not found, and what is calculated or cast
//! does not lie in a group of its own.
//!
//! And what stands on the left of `NOT IN` is marked: what a WHERE says about it (`k = 3 AND k NOT IN (SELECT …)`), the engine
//! asks of the rows of the subquery, too, and so loses a null among them, for which `NOT IN` is never true.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, SubqueryAlias};
use datafusion::optimizer::AnalyzerRule;

use super::parts::has_subquery;
use crate::marks::Mark;

/// Gives the columns of conditions names of their own; after the engine has given types, for these are casts.
#[derive(Debug)]
pub(crate) struct NameKeys;

impl AnalyzerRule for NameKeys {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let mut key_count = 0;
        let named = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(mut filter) => {
                let marked = std::mem::take(&mut filter.predicate).transform_up(not_in)?;
                filter.predicate = marked.data;
                if filter.predicate.contains_outer() {
                    keyed(filter, &mut key_count)
                } else {
                    Ok(Transformed::new_transformed(LogicalPlan::Filter(filter), marked.transformed))
                }
            }
            LogicalPlan::SubqueryAlias(alias) if reads_outer(&alias.input)? => {
                written_out(&alias).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(named.data)
    }

    fn name(&self) -> &'static str {
        "name_keys"
    }
}

fn not_in(part: Expr) -> Result<Transformed<Expr>> {
    Ok(match part {
        Expr::InSubquery(InSubquery { expr, subquery, negated: true }) => {
            let expr = Box::new(Mark::NotIn.on(*expr));
            Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated: true }))
        }
        other => Transformed::no(other),
    })
}

/// Whether a condition of a plan reads the row around it.
fn reads_outer(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Filter(filter) if filter.predicate.contains_outer())))
}

/// A table of FROM as the columns of it, under its name.
fn written_out(table: &SubqueryAlias) -> Result<LogicalPlan> {
    let inner = table.input.schema().columns().into_iter();
    let columns = inner.zip(table.schema.iter()).map(|(column, (qualifier, field))| {
        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(&table.input))?))
}

fn keyed(filter: Filter, key_count: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let Filter { predicate, input, .. } = filter;
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut with_keys = columns.clone();
    let mut conditions = split_conjunction_owned(predicate);
    for condition in &mut conditions {
        if condition.contains_outer() && !has_subquery(condition) {
            name_keys(condition, &mut with_keys, key_count)?;
        }
    }
    let Some(predicate) = conjunction(conditions) else {
        return Ok(Transformed::no(LogicalPlan::clone(&input)));
    };
    if with_keys.len() == columns.len() {
        return Ok(Transformed::no(LogicalPlan::Filter(Filter::try_new(predicate, input)?)));
    }
    let keys = LogicalPlan::Projection(Projection::try_new(with_keys, input)?);
    let kept = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(keys))?);
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(kept))?)))
}

/// One side of `=` as it is, of other conditions each column.
fn name_keys(condition: &mut Expr, columns: &mut Vec<Expr>, key_count: &mut usize) -> Result<()> {
    let mut key = |of: Expr| {
        *key_count += 1;
        let name = format!("key {key_count} of a subquery");
        columns.push(of.alias(&name));
        Expr::Column(Column::new_unqualified(name))
    };
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition {
        let (reads_left, reads_right) = (left.any_column_refs(), right.any_column_refs());
        let inner = if reads_left { left } else { right };
        if reads_left != reads_right && !inner.contains_outer() {
            **inner = key(std::mem::take(inner.as_mut()));
            return Ok(());
        }
    }
    let named = std::mem::take(condition).transform_down(|part| {
        Ok(match part {
            Expr::Column(_) => Transformed::new(key(part), true, TreeNodeRecursion::Jump),
            other => Transformed::no(other),
        })
    })?;
    *condition = named.data;
    Ok(())
}
