//! Subqueries that stand for a value: of one row, of none, of an aggregate that has a row even of nothing.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Distinct, Expr, FetchType, Filter, LogicalPlan, Projection, Subquery,
};

use super::calls::Call;
use super::counted;
use super::parts::{
    VALUE_NAME, case, check_copied, column_of, has_subquery, keeps_first_row, row_count, with_plan, written,
};

/// A subquery that stands for its value; `None` if the engine is right about it.
pub(super) fn scalar(subquery: &Subquery, schema: &DFSchema) -> Result<Option<Expr>> {
    if subquery.subquery.schema().fields().len() != 1 {
        return Ok(None);
    }
    if subquery.outer_ref_columns.is_empty() {
        return if gives_one_row(&subquery.subquery) { Ok(None) } else { only_row(subquery).map(Some) };
    }
    match WholeAggregate::of(&subquery.subquery)? {
        Some(ungrouped) => ungrouped.value(subquery, schema).map(Some),
        None => match first_row(subquery)? {
            Some(first) => Ok(Some(first)),
            None => only_row(subquery).map(Some),
        },
    }
}

/// `(SELECT y … ORDER BY t LIMIT 1)`: the engine answers no LIMIT of each row around, but the first value of its rows.
fn first_row(subquery: &Subquery) -> Result<Option<Expr>> {
    let LogicalPlan::Limit(limit) = subquery.subquery.as_ref() else { return Ok(None) };
    if !keeps_first_row(limit)? || !matches!(limit.get_fetch_type()?, FetchType::Literal(Some(1))) {
        return Ok(None);
    }
    let mut rows = &limit.input;
    let mut value = column_of(rows, 0);
    while let LogicalPlan::Projection(Projection { expr, input, .. }) = rows.as_ref() {
        value = written(&value, rows.schema(), expr)?;
        rows = input;
    }
    let mut order = vec![];
    if let LogicalPlan::Sort(sort) = rows.as_ref() {
        order.clone_from(&sort.expr);
        rows = &sort.input;
    }
    let first = AggregateFunction::new_udf(first_value_udaf(), vec![value], false, None, order, None);
    let first = vec![Expr::AggregateFunction(first)];
    let first = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(rows), vec![], first)?));
    let value = column_of(&first, 0).alias(VALUE_NAME);
    let plan = LogicalPlan::Projection(Projection::try_new(vec![value], first)?);
    Ok(Some(Expr::ScalarSubquery(with_plan(subquery, plan))))
}

/// The value of the only row; null without one, an error with several.
fn only_row(subquery: &Subquery) -> Result<Expr> {
    let input = Arc::clone(&subquery.subquery);
    let first = Expr::AggregateFunction(AggregateFunction::new_udf(
        first_value_udaf(),
        vec![column_of(&input, 0)],
        false,
        None,
        vec![],
        None,
    ));
    let rows = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(input, vec![], vec![first, row_count()])?));
    let packed = Call::Pack.of(vec![column_of(&rows, 0), column_of(&rows, 1)]).alias(VALUE_NAME);
    let packed = LogicalPlan::Projection(Projection::try_new(vec![packed], rows)?);
    Ok(Call::Only.of(vec![Expr::ScalarSubquery(with_plan(subquery, packed))]))
}

/// It gives one row whatever the tables hold.
fn gives_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Values(values) => values.values.len() == 1,
        LogicalPlan::Projection(projection) => gives_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => gives_one_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && gives_one_row(&sort.input),
        LogicalPlan::Distinct(Distinct::All(input)) => gives_one_row(input),
        _ => false,
    }
}

/// A subquery of an aggregate without groups, which has a row even of nothing.
pub(super) struct WholeAggregate {
    aggregate: Aggregate,
    /// Its columns, written with those of the aggregate.
    pub(super) columns: Vec<Expr>,
    /// HAVING, written with the columns of the aggregate.
    having: Option<Expr>,
}

impl WholeAggregate {
    pub(super) fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        Ok(match plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                let columns = aggregate.schema.columns().into_iter().map(Expr::Column).collect();
                Some(Self { aggregate: aggregate.clone(), columns, having: None })
            }
            LogicalPlan::Projection(Projection { expr, input, .. }) if !expr.iter().any(has_subquery) => {
                let Some(mut inner) = Self::of(input)? else { return Ok(None) };
                let columns = expr.iter().map(|column| written(column, input.schema(), &inner.columns));
                inner.columns = columns.collect::<Result<_>>()?;
                Some(inner)
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) if !has_subquery(predicate) => {
                let Some(mut inner) = Self::of(input)? else { return Ok(None) };
                let predicate = written(predicate, input.schema(), &inner.columns)?;
                inner.having = Some(match inner.having.take() {
                    Some(having) => having.and(predicate),
                    None => predicate,
                });
                Some(inner)
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input)?,
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => Self::of(&sort.input)?,
            LogicalPlan::Distinct(Distinct::All(input)) => Self::of(input)?,
            LogicalPlan::Limit(limit) if keeps_first_row(limit)? => Self::of(&limit.input)?,
            _ => None,
        })
    }

    /// Its value, of the columns of the query around it.
    fn value(&self, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
        let Some(value) = self.columns.first() else {
            return plan_err!("a subquery that stands for a value needs a column");
        };
        let value = self.outside(value, subquery, schema)?;
        Ok(match self.condition(subquery, schema)? {
            Some(condition) => case(vec![(condition, value)], None),
            None => value,
        })
    }

    /// Whether it has its row, of the columns of the query around it; `None` where it always has.
    pub(super) fn condition(&self, subquery: &Subquery, schema: &DFSchema) -> Result<Option<Expr>> {
        self.having.as_ref().map(|having| self.outside(having, subquery, schema)).transpose()
    }

    /// An expression over the aggregate, in the query around it: each aggregate is a subquery of its own.
    pub(super) fn outside(&self, expression: &Expr, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
        let outside = expression.clone().transform_up(|part| match &part {
            Expr::Column(column) => {
                let index = self.aggregate.schema.index_of_column(column)?;
                match self.aggregate.aggr_expr.get(index) {
                    Some(aggregate) => Ok(Transformed::yes(self.alone(aggregate, subquery)?)),
                    None => Ok(Transformed::no(part)),
                }
            }
            Expr::OuterReferenceColumn(_, column) if schema.has_column(column) => {
                Ok(Transformed::yes(Expr::Column(column.clone())))
            }
            _ => Ok(Transformed::no(part)),
        })?;
        Ok(outside.data)
    }

    fn alone(&self, aggregate: &Expr, subquery: &Subquery) -> Result<Expr> {
        check_copied(&self.aggregate.input)?;
        let counting = counting(aggregate);
        let aggregate = match (&counting, aggregate.clone().unalias()) {
            (Some(function), Expr::AggregateFunction(call)) => {
                Expr::AggregateFunction(AggregateFunction { func: Arc::clone(function), ..call })
            }
            (_, other) => other,
        };
        let input = Arc::clone(&self.aggregate.input);
        let rows = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(input, vec![], vec![aggregate])?));
        let column = column_of(&rows, 0);
        let plan = LogicalPlan::Projection(Projection::try_new(vec![column], rows)?);
        let value = Expr::ScalarSubquery(with_plan(subquery, plan));
        Ok(if counting.is_some() { Call::OrZero.of(vec![value]) } else { value })
    }
}

/// The function of an aggregate that is zero without rows, null without rows.
fn counting(aggregate: &Expr) -> Option<Arc<AggregateUDF>> {
    match aggregate {
        Expr::Alias(alias) => counting(&alias.expr),
        Expr::AggregateFunction(call)
            if ["count", "approx_distinct", "regr_count"].contains(&call.func.name()) =>
        {
            Some(counted::of(Arc::clone(&call.func)))
        }
        _ => None,
    }
}
