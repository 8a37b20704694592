//! What stands behind a condition of `CASE` is calculated for the rows of that condition only: `CASE WHEN v = 0 THEN false ELSE
//! 6 / v > 2 END` never divides by zero.
//!
//! The engine writes a `CASE` of conditions with AND and OR, which calculate both sides. It leaves `CASE true WHEN …` as it
//! is, which says the same.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::expressions::CaseExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::{ProjectionExec, remove_unnecessary_projections};

use crate::rewrite;

/// Keeps the `CASE`s whose parts may fail.
#[derive(Debug)]
pub(crate) struct KeepCases;

impl AnalyzerRule for KeepCases {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::every_part(plan, |part, schema| Ok(kept(part, schema)))
    }

    fn name(&self) -> &'static str {
        "keep_cases"
    }
}

/// The engine's rule that moves projections, which also calculates parts of a join's condition beforehand, for all rows of
/// one side: not where a `CASE` guards them. And it takes the columns of every join for those of its left side and then those
/// of its right one: not above joins that have others.
#[derive(Debug)]
pub(crate) struct KeepJoinCases(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for KeepJoinCases {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_other = |node: &dyn ExecutionPlan| has_case(node) || has_other_columns(node);
        if self.0.name() == "ProjectionPushdown" && plan.exists(|node| Ok(is_other(node.as_ref())))? {
            let moved = plan.transform_down(|node| {
                let stays = node.as_any().is::<ProjectionExec>()
                    && node.children().into_iter().any(|input| has_other_columns(input.as_ref()));
                if stays { Ok(Transformed::no(node)) } else { remove_unnecessary_projections(node) }
            })?;
            return Ok(moved.data);
        }
        self.0.optimize(plan, options)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// A join that gives other columns than those of its left side and then those of its right one.
fn has_other_columns(node: &dyn ExecutionPlan) -> bool {
    let node = node.as_any();
    let loops = node.downcast_ref::<NestedLoopJoinExec>().map(NestedLoopJoinExec::join_type);
    let kind = loops.or_else(|| node.downcast_ref::<HashJoinExec>().map(HashJoinExec::join_type));
    kind.is_some_and(|kind| {
        matches!(kind, JoinType::LeftMark | JoinType::RightMark | JoinType::RightSemi | JoinType::RightAnti)
    })
}

fn has_case(node: &dyn ExecutionPlan) -> bool {
    let filter = node.as_any().downcast_ref::<NestedLoopJoinExec>().and_then(NestedLoopJoinExec::filter);
    let condition = filter.map(|filter| Arc::clone(filter.expression()));
    condition
        .is_some_and(|condition| condition.exists(|part| Ok(part.as_any().is::<CaseExpr>())).unwrap_or(true))
}

fn kept(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let branches = match part {
        Expr::Case(case) if case.expr.is_none() && may_be_written_out(&case, schema) && guards(&case) => case,
        Expr::ScalarFunction(call)
            if call.func.name() == "coalesce"
                && call.args.iter().skip(1).any(may_fail)
                // Each value but the last stands there twice.
                && !call.args.iter().rev().skip(1).any(is_nested)
                && call.args.iter().all(|argument| is_condition(argument, schema)) =>
        {
            let mut arguments = call.args;
            let last = arguments.pop().map(Box::new);
            let given = |argument: Expr| (Box::new(argument.clone().is_not_null()), Box::new(argument));
            Case::new(None, arguments.into_iter().map(given).collect(), last)
        }
        other => return Transformed::no(other),
    };
    Transformed::yes(Expr::Case(Case { expr: Some(Box::new(lit(true))), ..branches }))
}

fn is_nested(argument: &Expr) -> bool {
    let nests = |part: &Expr| match part {
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => call.func.name() == "coalesce",
        _ => false,
    };
    argument.exists(|part| Ok(nests(part))).unwrap_or(true)
}

fn is_condition(expression: &Expr, schema: &DFSchema) -> bool {
    matches!(expression.get_type(schema), Ok(DataType::Boolean | DataType::Null))
}

/// The engine does so with conditions, and with constants, which may stand in a comparison.
fn may_be_written_out(case: &Case, schema: &DFSchema) -> bool {
    let values = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    values().all(|value| is_condition(value, schema))
        || values().all(|value| matches!(**value, Expr::Literal(..)))
}

fn guards(case: &Case) -> bool {
    let first = case.when_then_expr.iter().take(1).map(|(_, then)| then);
    let others = case.when_then_expr.iter().skip(1).flat_map(|(when, then)| [when, then]);
    first.chain(others).chain(&case.else_expr).any(|guarded| may_fail(guarded))
}

/// Comparisons of columns and constants do not fail; all else may.
fn may_fail(expression: &Expr) -> bool {
    let harmless = |part: &Expr| match part {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(
                op,
                Operator::And
                    | Operator::Or
                    | Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            )
        }
        Expr::Column(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Between(_)
        | Expr::InList(_)
        | Expr::Case(_) => true,
        _ => false,
    };
    expression.exists(|part| Ok(!harmless(part))).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn what_a_condition_guards_is_calculated_for_its_rows_only() {
        const T: &str = "FROM (VALUES (0, 'x'), (1, '1'), (2, '2'), (NULL, NULL)) AS t(v, s)";
        for (sql, expected) in [
            (format!("SELECT CASE WHEN v = 0 THEN false ELSE 6 / v > 3 END {T}"), "false;true;false;"),
            (format!("SELECT count(*) {T} WHERE CASE WHEN v = 0 THEN false ELSE 6 / v > 2 END"), "2"),
            (format!("SELECT count(*) {T} WHERE CASE WHEN v > 0 THEN CAST(s AS INT) = v END"), "2"),
            (
                format!(
                    "SELECT count(*) {T} WHERE CASE WHEN v = 0 THEN true WHEN 6 / v > 3 THEN false ELSE true END"
                ),
                "3",
            ),
            (
                format!(
                    "SELECT count(*) {T} WHERE CASE WHEN v = 0 THEN 'a' WHEN 6 / v > 3 THEN 'b' ELSE 'c' END = 'b'"
                ),
                "1",
            ),
            (format!("SELECT count(*) {T} WHERE NOT CASE WHEN v = 0 THEN false ELSE 6 / v > 3 END"), "2"),
            (format!("SELECT coalesce(v = 0 OR NULL, 6 / (v - 0) > 3) {T} WHERE v <> 0"), "true;false"),
            (format!("SELECT count(*) {T} WHERE CASE WHEN v = 1 THEN true ELSE s = 'x' END"), "2"),
            (format!("SELECT CASE v WHEN 0 THEN false ELSE 6 / v > 3 END {T}"), "false;true;false;"),
            (
                format!(
                    "SELECT sum(CASE WHEN v = 0 THEN 0 ELSE 6 / v END) FILTER (WHERE CASE WHEN v = 0 THEN false ELSE 6 / v > 3 END) {T}"
                ),
                "6",
            ),
            (
                "SELECT count(*) FROM (VALUES (0), (2)) AS t(v) JOIN (VALUES (3)) AS u(w) \
                 ON CASE WHEN v = 0 THEN false ELSE 6 / v = w END"
                    .to_owned(),
                "1",
            ),
        ] {
            assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
