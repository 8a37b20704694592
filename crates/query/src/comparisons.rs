//! Values beside each other are compared by what they are: the engine compares numbers with texts as texts, spans of time
//! field by field, and takes -0.0 for less than 0.
//!
//! ```text
//! depth_km >= '10'                   ──►  depth_km >= 10.0                        ([`numbers`])
//! end_time - start_time > INTERVAL '1 day'  ──►  both in nanoseconds              ([`spans`])
//! latitude >= 0                      ──►  latitude NOT BETWEEN -inf AND -5e-324   ([`zeros`])
//! rank() OVER (ORDER BY latitude)    ──►  rank() OVER (ORDER BY latitude + 0.0)   ([`zeros`])
//! GROUP BY list, array_has(list, x)  ──►  of lists with one zero and one NaN      ([`nested`])
//! GROUP BY INTERVAL …, row_number() OVER … in GROUP BY                            refused
//! ```
//! The rule works before the engine gives types, on operators, `BETWEEN`, `IN`, `CASE`, functions that choose one of their
//! arguments, orders, groups and joins.

mod nested;
mod numbers;
mod sets;
mod spans;
mod zeros;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{
    Between, BinaryExpr, Case, InList, InSubquery, Sort, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, WindowFrame,
    WindowFrameBound, WindowFrameUnits,
};
use datafusion::optimizer::AnalyzerRule;

/// Makes values comparable, before the engine does it in its own way.
#[derive(Debug)]
pub(crate) struct CompareValues;

impl AnalyzerRule for CompareValues {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = plan.transform_up_with_subqueries(|node| {
            // Its columns have the types that were settled when it was planned.
            if matches!(node, LogicalPlan::Values(_)) {
                return Ok(Transformed::no(node));
            }
            refuse_windows(&node)?;
            spans::refuse_groups(&node)?;
            let node = sets::columns_below(node)?;
            let sets_below = node.transformed;
            let node = node.data;
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let (sorts, groups) = (sort_count(&node), group_count(&node));
            let mut index = 0;
            let node = node.map_expressions(|expression| {
                let name = names.save(&expression);
                let mut compared = expression.transform_up(|part| compared(part, &schema))?;
                if index < sorts {
                    compared.transformed |= spans::in_order(&mut compared.data, &schema);
                }
                if index < sorts || index < groups {
                    compared.transformed |= zeros::in_group(&mut compared.data, &schema);
                }
                index += 1;
                Ok(compared.update_data(|expression| name.restore(expression)))
            })?;
            let node = node.transform_data(|node| match node {
                LogicalPlan::Join(join) => joined(join),
                LogicalPlan::Sort(mut sort) => {
                    let schema = Arc::clone(sort.input.schema());
                    let changed = nulls_apart(&mut sort.expr, &schema);
                    let sort = LogicalPlan::Sort(sort);
                    Ok(if changed { Transformed::yes(sort) } else { Transformed::no(sort) })
                }
                LogicalPlan::Distinct(Distinct::All(input)) => distinct(input),
                LogicalPlan::Distinct(Distinct::On(on)) => Ok(distinct_on(on)),
                other => Ok(Transformed::no(other)),
            })?;
            if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
                .map(|node| if sets_below { Transformed::yes(node.data) } else { node })
        })?;
        Ok(compared.data)
    }

    fn name(&self) -> &'static str {
        "compare_values"
    }
}

/// A value as it is compared: both zeros are one, and what is not a number. Whether it became another expression.
pub(crate) fn one_value(value: &mut Expr, schema: &DFSchema) -> bool {
    zeros::in_group(value, schema)
}

/// Expressions of a node that make groups: they come first.
fn group_count(node: &LogicalPlan) -> usize {
    match node {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.len(),
        _ => 0,
    }
}

/// Expressions of a node that order its rows.
fn sort_count(node: &LogicalPlan) -> usize {
    match node {
        LogicalPlan::Sort(sort) => sort.expr.len(),
        _ => 0,
    }
}

/// The engine plans them, and fails at the operator.
fn refuse_windows(node: &LogicalPlan) -> Result<()> {
    let (expressions, place): (Vec<&Expr>, &str) = match node {
        LogicalPlan::Aggregate(aggregate) => (aggregate.group_expr.iter().collect(), "GROUP BY"),
        LogicalPlan::Filter(filter) => (vec![&filter.predicate], "WHERE and HAVING"),
        LogicalPlan::Sort(sort) => (sort.expr.iter().map(|sort| &sort.expr).collect(), "ORDER BY"),
        _ => return Ok(()),
    };
    for expression in expressions {
        let mut window = false;
        expression.apply(|part| {
            window |= matches!(part, Expr::WindowFunction(_));
            Ok(if window { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if window {
            return plan_err!(
                "functions of a window are not allowed in {place}: give them a name among the columns of a subquery"
            );
        }
    }
    Ok(())
}

/// What becomes of values that stand beside each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// They are compared.
    Compared,
    /// They are compared, and one of them is the result.
    Picked,
    /// One of them is the result.
    Chosen,
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn compared(mut part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = match &mut part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            settled(&mut [left.as_mut(), right.as_mut()], Beside::Compared, schema)?
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            settled(&mut [expr.as_mut(), low.as_mut(), high.as_mut()], Beside::Compared, schema)?
        }
        Expr::InList(InList { expr, list, .. }) => {
            let mut all: Vec<&mut Expr> = std::iter::once(expr.as_mut()).chain(list.iter_mut()).collect();
            settled(&mut all, Beside::Compared, schema)?
        }
        Expr::Case(case) => settled_case(case, schema)?,
        Expr::InSubquery(membership) => member(membership, schema)?,
        Expr::ScalarFunction(call) => {
            spans::refuse_small_parts(call, schema)?;
            numbers::refuse_doubles(call, schema)?;
            if let Some(changed) = nested::in_function(call, schema) {
                return Ok(if changed { Transformed::yes(part) } else { Transformed::no(part) });
            }
            let beside = match call.name() {
                "greatest" | "least" | "nullif" => Beside::Picked,
                "coalesce" | "nvl" => Beside::Chosen,
                _ => return Ok(Transformed::no(part)),
            };
            let name = call.func.name();
            let mut arguments: Vec<&mut Expr> = call.args.iter_mut().collect();
            settled(&mut arguments, beside, schema)?
                | match name {
                    "nullif" => zeros::one_zero(&mut arguments, schema),
                    "greatest" | "least" => in_groups(arguments, schema),
                    _ => false,
                }
        }
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, params } = call.as_mut();
            let peers = in_groups_of_peers(params, schema);
            let of = Values::of(params.distinct);
            spans::refuse_extremes(fun.name(), &params.args, of, schema)?;
            let order = peers | in_order(&mut params.order_by, schema);
            let order = order | nulls_apart(&mut params.order_by, schema);
            let values = in_groups(compared_values(fun.name(), of, &mut params.args), schema);
            let groups = params.partition_by.iter_mut();
            groups.fold(order | values, |changed, group| {
                changed | zeros::in_group(group, schema) | spans::in_order(group, schema)
            })
        }
        Expr::AggregateFunction(call) => {
            let of = Values::of(call.params.distinct);
            spans::refuse_extremes(call.func.name(), &call.params.args, of, schema)?;
            let order = in_order(&mut call.params.order_by, schema);
            let order = order | nulls_apart(&mut call.params.order_by, schema);
            let values = compared_values(call.func.name(), of, &mut call.params.args);
            order | in_groups(values, schema)
        }
        _ => false,
    };
    if let Some(other) = zeros::compared(&mut part, schema) {
        part = other;
        changed = true;
    }
    Ok(if changed { Transformed::yes(part) } else { Transformed::no(part) })
}

/// `RANGE` of peers only says what `GROUPS` says, which the engine also does for structs and lists of them.
fn in_groups_of_peers(params: &mut WindowFunctionParams, schema: &DFSchema) -> bool {
    let frame = &params.window_frame;
    let of_peers = |bound: &WindowFrameBound| *bound == WindowFrameBound::CurrentRow || bound.is_unbounded();
    let kind = params.order_by.first().and_then(|sort| sort.expr.get_type(schema).ok());
    if frame.units != WindowFrameUnits::Range
        || !of_peers(&frame.start_bound)
        || !of_peers(&frame.end_bound)
        || !kind.is_some_and(|kind| kind.is_nested())
    {
        return false;
    }
    let (start, end) = (frame.start_bound.clone(), frame.end_bound.clone());
    params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, start, end);
    true
}

/// Aggregates that compare the first of their arguments.
const EXTREMES: [&str; 7] = [
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "max",
    "median",
    "min",
    "percentile_cont",
];

/// Which values an aggregate is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    All,
    Distinct,
}

impl Values {
    const fn of(distinct: bool) -> Self {
        if distinct { Self::Distinct } else { Self::All }
    }
}

/// What an aggregate compares of its arguments.
fn compared_values<'a>(name: &str, of: Values, arguments: &'a mut [Expr]) -> &'a mut [Expr] {
    let count = match name {
        _ if of == Values::Distinct => arguments.len(),
        name if EXTREMES.contains(&name) => 1,
        _ => 0,
    };
    arguments.get_mut(..count).unwrap_or_default()
}

fn in_groups<'a>(values: impl IntoIterator<Item = &'a mut Expr>, schema: &DFSchema) -> bool {
    values.into_iter().fold(false, |changed, value| changed | zeros::in_group(value, schema))
}

/// What stands last, too: in lists -0.0 would decide before the elements behind it, and a NaN has its place.
fn in_order(order: &mut [Sort], schema: &DFSchema) -> bool {
    order.iter_mut().fold(false, |changed, sort| {
        changed | spans::in_order(&mut sort.expr, schema) | zeros::in_group(&mut sort.expr, schema)
    })
}

/// A null inside of a list or struct is above all values, wherever the nulls among the lists are put: the engine would put it
/// there, too.
fn nulls_apart(order: &mut Vec<Sort>, schema: &DFSchema) -> bool {
    let count = order.len();
    let mut apart = Vec::with_capacity(count);
    for mut sort in std::mem::take(order) {
        let is_nested = sort.expr.get_type(schema).is_ok_and(|kind| kind.is_nested());
        if is_nested && sort.asc == sort.nulls_first {
            apart.push(Sort::new(sort.expr.clone().is_null(), !sort.nulls_first, false));
            sort.nulls_first = !sort.asc;
        }
        apart.push(sort);
    }
    *order = apart;
    order.len() > count
}

fn settled(expressions: &mut [&mut Expr], beside: Beside, schema: &DFSchema) -> Result<bool> {
    // What has no type yet, the engine refuses in its own words.
    let kinds = expressions.iter().map(|expression| expression.get_type(schema));
    let Ok(kinds) = kinds.collect::<Result<Vec<DataType>>>() else { return Ok(false) };
    Ok(numbers::settled(expressions, &kinds, beside)? || spans::settled(expressions, &kinds, beside)?)
}

fn settled_case(case: &mut Case, schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    if let Some(operand) = &mut case.expr {
        let values = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
        let mut compared: Vec<&mut Expr> = std::iter::once(operand.as_mut()).chain(values).collect();
        changed |= settled(&mut compared, Beside::Compared, schema)?;
        changed |= zeros::one_zero(&mut compared, schema);
    }
    let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
    let mut results: Vec<&mut Expr> = results.chain(case.else_expr.iter_mut().map(Box::as_mut)).collect();
    Ok(changed | settled(&mut results, Beside::Chosen, schema)?)
}

/// `x IN (SELECT y …)`: `y` through a projection above the subquery.
fn member(membership: &mut InSubquery, schema: &DFSchema) -> Result<bool> {
    let InSubquery { expr, subquery, .. } = membership;
    let Ok(kind) = expr.get_type(schema) else { return Ok(false) };
    let columns = subquery.subquery.schema().columns();
    let [column] = columns.as_slice() else { return Ok(false) };
    let column = Expr::Column(column.clone());
    let kinds = [kind, column.get_type(subquery.subquery.schema())?];
    let mut inner = column.clone();
    let changed = {
        let mut both = [expr.as_mut(), &mut inner];
        let settled = numbers::settled(&mut both, &kinds, Beside::Compared)?
            || spans::settled(&mut both, &kinds, Beside::Compared)?;
        let outer = zeros::in_group(expr, schema);
        settled | outer | zeros::in_group(&mut inner, subquery.subquery.schema())
    };
    if inner != column {
        let name = column.schema_name().to_string();
        let columns = vec![inner.alias(name)];
        let projection = Projection::try_new(columns, Arc::clone(&subquery.subquery))?;
        subquery.subquery = Arc::new(LogicalPlan::Projection(projection));
    }
    Ok(changed)
}

/// The keys of a join are pairs of expressions, each of its own side.
fn joined(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let kinds = [left.get_type(join.left.schema())?, right.get_type(join.right.schema())?];
        let mut both = [&mut *left, &mut *right];
        changed |= numbers::settled(&mut both, &kinds, Beside::Compared)?
            || spans::settled(&mut both, &kinds, Beside::Compared)?;
        changed |= zeros::in_group(left, join.left.schema()) | zeros::in_group(right, join.right.schema());
    }
    let join = LogicalPlan::Join(join);
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}

/// The first row of each group, in an order that begins with the groups: both with one zero.
fn distinct_on(mut on: DistinctOn) -> Transformed<LogicalPlan> {
    let schema = Arc::clone(on.input.schema());
    let groups = on.on_expr.iter_mut();
    let mut changed = groups.fold(false, |changed, group| changed | zeros::in_group(group, &schema));
    let keys = on.sort_expr.iter_mut().flatten();
    changed |= keys.fold(false, |changed, key| changed | zeros::in_group(&mut key.expr, &schema));
    let node = LogicalPlan::Distinct(Distinct::On(on));
    if changed { Transformed::yes(node) } else { Transformed::no(node) }
}

/// Different rows: -0.0 is no other number than 0.0.
fn distinct(input: Arc<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(input.schema());
    let mut changed = false;
    let columns = schema.iter().map(|(qualifier, field)| {
        let mut column = Expr::from((qualifier, field));
        if zeros::in_group(&mut column, &schema) {
            changed = true;
            column = column.alias_qualified(qualifier.cloned(), field.name());
        }
        column
    });
    let columns: Vec<Expr> = columns.collect();
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
    }
    let projection = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::All(Arc::new(projection)))))
}

#[cfg(test)]
mod tests;
