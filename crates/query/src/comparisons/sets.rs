//! What grouping sets group by is a column of the rows below them, as it is compared: both zeros are one.
//!
//! ```text
//! SELECT round(x), count(*) FROM t GROUP BY ROLLUP (round(x))
//!   ──►  SELECT "round(x)", count(*) FROM (SELECT *, round(x) + 0.0 AS "round(x)" FROM t) GROUP BY ROLLUP ("round(x)")
//! ```
//! Other groups are calculated where they stand, under their old names. Names within sets cannot be kept so: `grouping` and
//! what is above would not find them.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, Projection};

use super::{compared, zeros};

/// An aggregate of grouping sets, over columns of what it groups by.
pub(super) fn columns_below(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let aggregate = match node {
        LogicalPlan::Aggregate(aggregate)
            if matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) =>
        {
            aggregate
        }
        other => return Ok(Transformed::no(other)),
    };
    let schema = Arc::clone(aggregate.input.schema());
    let mut columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let mut replaced: Vec<(Expr, Expr)> = vec![];
    let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    for group in sets.distinct_expr() {
        let mut settled = group.clone().transform_up(|part| compared(part, &schema))?;
        settled.transformed |= zeros::in_group(&mut settled.data, &schema);
        if !settled.transformed {
            continue;
        }
        if let Expr::Column(column) = group {
            let index = schema.index_of_column(column)?;
            if let Some(kept) = columns.get_mut(index) {
                *kept = settled.data.alias_qualified(column.relation.clone(), &column.name);
            }
        } else {
            let name = group.schema_name().to_string();
            columns.push(settled.data.alias(&name));
            replaced.push((group.clone(), Expr::Column(Column::new_unqualified(name))));
        }
    }
    if columns.iter().all(|column| matches!(column, Expr::Column(_))) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
    let replace = |expression: &mut Expr| {
        if let Some((_, column)) = replaced.iter().find(|(group, _)| group == expression) {
            *expression = column.clone();
        }
    };
    let mut group_expr = group_expr;
    for group in &mut group_expr {
        match group {
            Expr::GroupingSet(GroupingSet::Rollup(groups) | GroupingSet::Cube(groups)) => {
                groups.iter_mut().for_each(replace);
            }
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
                sets.iter_mut().flatten().for_each(replace);
            }
            _ => {}
        }
    }
    let told = |expression: Expr| {
        let told = expression.transform_down(|mut part| {
            let Expr::AggregateFunction(call) = &mut part else { return Ok(Transformed::no(part)) };
            if call.func.name() != "grouping" {
                return Ok(Transformed::no(part));
            }
            call.params.args.iter_mut().for_each(replace);
            Ok(Transformed::new(part, true, TreeNodeRecursion::Jump))
        })?;
        Ok(told.data)
    };
    let aggr_expr = aggr_expr.into_iter().map(told).collect::<Result<Vec<Expr>>>()?;
    let input = Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input)?));
    Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?)))
}
