//! `EXISTS` and `IN`: true, false, or unknown where a null stands on either side.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, Filter, LogicalPlan, Projection, Subquery, lit, not,
};

use super::Place;
use super::calls::Call;
use super::parts::{case, check_copied, column_of, has_subquery, keeps_first_row, row_count, with_plan};
use super::scalar::WholeAggregate;

pub(super) fn existence(exists: &Exists, schema: &DFSchema, place: Place) -> Result<Option<Expr>> {
    let Exists { subquery, negated } = exists;
    if let Some(ungrouped) = WholeAggregate::of(&subquery.subquery)? {
        return Ok(Some(match (ungrouped.condition(subquery, schema)?, negated) {
            (None, negated) => lit(!negated),
            (Some(condition), false) => Expr::IsTrue(Box::new(condition)),
            (Some(condition), true) => Expr::IsNotTrue(Box::new(condition)),
        }));
    }
    if place == Place::Where {
        return Ok(None);
    }
    let found = some_row(subquery.clone(), place)?;
    Ok(Some(if *negated { not(found) } else { found }))
}

/// Whether a subquery has rows.
fn some_row(subquery: Subquery, place: Place) -> Result<Expr> {
    if place == Place::Where {
        return Ok(Expr::Exists(Exists { subquery, negated: false }));
    }
    let input = match subquery.subquery.as_ref() {
        LogicalPlan::Limit(limit) if keeps_first_row(limit)? => Arc::clone(&limit.input),
        _ => Arc::clone(&subquery.subquery),
    };
    let rows = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(input, vec![], vec![row_count()])?));
    let column = column_of(&rows, 0);
    let plan = LogicalPlan::Projection(Projection::try_new(vec![column], rows)?);
    let count = Expr::ScalarSubquery(with_plan(&subquery, plan));
    Ok(Call::OrZero.of(vec![count]).gt(lit(0_i64)))
}

/// `x IN (SELECT count(*) …)`, which has one row for every row around it: the engine's join has none where it counts none.
pub(super) fn of_one_row(member: &InSubquery, schema: &DFSchema) -> Result<Option<Expr>> {
    let InSubquery { expr, subquery, negated } = member;
    let is_one_column = subquery.subquery.schema().fields().len() == 1;
    if subquery.outer_ref_columns.is_empty() || !is_one_column {
        return Ok(None);
    }
    let Some(ungrouped) = WholeAggregate::of(&subquery.subquery)? else { return Ok(None) };
    let Some(value) = ungrouped.columns.first() else { return Ok(None) };
    let compared = expr.as_ref().clone().eq(ungrouped.outside(value, subquery, schema)?);
    let compared = match ungrouped.condition(subquery, schema)? {
        Some(condition) => case(vec![(condition, compared)], Some(lit(false))),
        None => compared,
    };
    Ok(Some(if *negated { not(compared) } else { compared }))
}

/// The column of a subquery with which a value is compared.
const VALUE: &str = "value of a subquery";

pub(super) fn membership(member: &InSubquery, schema: &DFSchema, place: Place) -> Result<Option<Expr>> {
    if let Some(compared) = of_one_row(member, schema)? {
        return Ok(Some(compared));
    }
    let InSubquery { expr, subquery, negated } = member;
    let fields = subquery.subquery.schema().fields();
    let [field] = fields.iter().as_slice() else { return Ok(None) };
    let null_left = expr.nullable(schema).unwrap_or(true);
    let null_right = field.is_nullable();
    let is_known = place == Place::Where && !null_left && !null_right;
    let is_row_wise = *negated && !subquery.outer_ref_columns.is_empty();
    if is_known && !(is_row_wise && !has_subquery(expr) && !expr.contains_outer()) {
        return Ok(None);
    }
    if has_subquery(expr) || expr.contains_outer() {
        return plan_err!(
            "the left side of IN may not be a subquery itself here: put it into a column of a subquery in FROM"
        );
    }
    if !is_known {
        check_copied(&subquery.subquery)?;
    }
    let (outer, outer_columns) = as_outer(expr, schema)?;
    // A name of its own: over the same table as the query around, `k = k` would be a condition on one of the two.
    let value = column_of(&subquery.subquery, 0).alias(VALUE);
    let values = Projection::try_new(vec![value], Arc::clone(&subquery.subquery))?;
    let values = Arc::new(LogicalPlan::Projection(values));
    let column = column_of(&values, 0);
    let among = |condition: Expr, outer_columns: &[Expr]| -> Result<Expr> {
        let input = Arc::clone(&values);
        let mut kept = with_plan(subquery, LogicalPlan::Filter(Filter::try_new(condition, input)?));
        for column in outer_columns {
            if !kept.outer_ref_columns.contains(column) {
                kept.outer_ref_columns.push(column.clone());
            }
        }
        some_row(kept, place)
    };
    let found = among(column.clone().eq(outer), &outer_columns)?;
    if is_known {
        // The engine makes no join of it that knows of nulls and has another condition, and sees nulls where it calculates.
        return Ok(Some(not(found)));
    }
    let mut branches = vec![(found, lit(!negated))];
    let unknown = lit(ScalarValue::Boolean(None));
    if null_left {
        let any_row = some_row(subquery.clone(), place)?;
        branches.push((expr.as_ref().clone().is_null().and(any_row), unknown.clone()));
    }
    if null_right {
        branches.push((among(column.is_null(), &[])?, unknown));
    }
    Ok(Some(case(branches, Some(lit(*negated)))))
}

/// An expression of the query around, as a subquery sees it; and the columns that it reads.
fn as_outer(expression: &Expr, schema: &DFSchema) -> Result<(Expr, Vec<Expr>)> {
    let mut columns = vec![];
    let outer = expression.clone().transform_up(|part| match &part {
        Expr::Column(column) => {
            let (_, field) = schema.qualified_field_from_column(column)?;
            let outer = Expr::OuterReferenceColumn(Arc::clone(field), column.clone());
            columns.push(outer.clone());
            Ok(Transformed::yes(outer))
        }
        _ => Ok(Transformed::no(part)),
    })?;
    Ok((outer.data, columns))
}
