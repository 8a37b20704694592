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

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, Spans, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, BinaryExpr, Case, Distinct, Expr, ExprSchemable, FetchType, Filter, Join,
    JoinType, LogicalPlan, Operator, Projection, SkipType, Subquery, lit, not,
};
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};

use calls::Call;
pub(crate) use keys::NameKeys;

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

const CORRELATED: &str = "a subquery that reads columns of the query around it may only compare them with = in its WHERE, without \
                          LIMIT (but LIMIT 1), OFFSET, UNION, windows, outer joins or grouping sets: write it as a join";

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

fn subquery_of(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

fn has_subquery(expression: &Expr) -> bool {
    expression.exists(|part| Ok(subquery_of(part).is_some())).unwrap_or(true)
}

fn has_correlated(expression: &Expr) -> bool {
    let correlated =
        |part: &Expr| subquery_of(part).is_some_and(|subquery| !subquery.outer_ref_columns.is_empty());
    expression.exists(|part| Ok(correlated(part))).unwrap_or(true)
}

/// Steps of a subquery that is put into a plan several times: subqueries in one another would double with every level.
const COPIED_STEPS_MAX: usize = 500;

/// # Errors
/// The subquery is too large to be put into the plan several times.
fn check_copied(plan: &LogicalPlan) -> Result<()> {
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
        // The engine moves conditions of inner joins to where it answers them, and goes wrong over others.
        LogicalPlan::Join(Join { join_type, filter: Some(condition), .. })
            if join_type != JoinType::Inner && has_correlated(&condition) =>
        {
            plan_err!("{SUBQUERY_ELSEWHERE}")
        }
        other => Ok(Transformed::no(other)),
    }
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
                    && (expr.any_column_refs() || expr.contains_outer())) =>
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

/// A subquery that stands for its value; `None` if the engine is right about it.
fn scalar(subquery: &Subquery, schema: &DFSchema) -> Result<Option<Expr>> {
    if subquery.subquery.schema().fields().len() != 1 {
        return Ok(None);
    }
    if subquery.outer_ref_columns.is_empty() {
        return if gives_one_row(&subquery.subquery) { Ok(None) } else { only_row(subquery).map(Some) };
    }
    match Ungrouped::of(&subquery.subquery)? {
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

/// An expression over columns, written with what these columns are.
fn written(expression: &Expr, schema: &DFSchema, columns: &[Expr]) -> Result<Expr> {
    let written = expression.clone().unalias().transform_up(|part| {
        let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
        Ok(match columns.get(schema.index_of_column(column)?) {
            Some(column) => Transformed::yes(column.clone().unalias()),
            None => Transformed::no(part),
        })
    })?;
    Ok(written.data)
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

/// How many rows there are, without the engine's rules for `count`.
fn row_count() -> Expr {
    let count =
        AggregateFunction::new_udf(counted::of(count_udaf()), vec![lit(1_i64)], false, None, vec![], None);
    Expr::AggregateFunction(count)
}

fn column_of(plan: &LogicalPlan, index: usize) -> Expr {
    Expr::Column(Column::from(plan.schema().qualified_field(index)))
}

fn with_plan(subquery: &Subquery, plan: LogicalPlan) -> Subquery {
    Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns: subquery.outer_ref_columns.clone(),
        spans: Spans::new(),
    }
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
struct Ungrouped {
    aggregate: Aggregate,
    /// Its columns, written with those of the aggregate.
    columns: Vec<Expr>,
    /// HAVING, written with the columns of the aggregate.
    having: Option<Expr>,
}

impl Ungrouped {
    fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
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
    fn condition(&self, subquery: &Subquery, schema: &DFSchema) -> Result<Option<Expr>> {
        self.having.as_ref().map(|having| self.outside(having, subquery, schema)).transpose()
    }

    /// An expression over the aggregate, in the query around it: each aggregate is a subquery of its own.
    fn outside(&self, expression: &Expr, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
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

fn keeps_first_row(limit: &datafusion::logical_expr::Limit) -> Result<bool> {
    let fetched =
        matches!(limit.get_fetch_type()?, FetchType::Literal(count) if count.is_none_or(|count| count > 0));
    Ok(fetched && matches!(limit.get_skip_type()?, SkipType::Literal(0)))
}

fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    let branches = branches.into_iter().map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Expr::Case(Case::new(None, branches, otherwise.map(Box::new)))
}

fn existence(exists: &Exists, schema: &DFSchema, place: Place) -> Result<Option<Expr>> {
    let Exists { subquery, negated } = exists;
    if let Some(ungrouped) = Ungrouped::of(&subquery.subquery)? {
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

/// A name that no column has which the subquery reads: the engine joins by these, beside it.
const VALUE_NAME: &str = "value of a subquery";

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
fn of_one_row(member: &InSubquery, schema: &DFSchema) -> Result<Option<Expr>> {
    let InSubquery { expr, subquery, negated } = member;
    let is_one_column = subquery.subquery.schema().fields().len() == 1;
    if subquery.outer_ref_columns.is_empty() || !is_one_column {
        return Ok(None);
    }
    let Some(ungrouped) = Ungrouped::of(&subquery.subquery)? else { return Ok(None) };
    let Some(value) = ungrouped.columns.first() else { return Ok(None) };
    let compared = expr.as_ref().clone().eq(ungrouped.outside(value, subquery, schema)?);
    let compared = match ungrouped.condition(subquery, schema)? {
        Some(condition) => case(vec![(condition, compared)], Some(lit(false))),
        None => compared,
    };
    Ok(Some(if *negated { not(compared) } else { compared }))
}

fn membership(member: &InSubquery, schema: &DFSchema, place: Place) -> Result<Option<Expr>> {
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
    let column = column_of(&subquery.subquery, 0);
    let among = |condition: Expr, outer_columns: &[Expr]| -> Result<Expr> {
        let input = Arc::clone(&subquery.subquery);
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

#[cfg(test)]
mod tests;
