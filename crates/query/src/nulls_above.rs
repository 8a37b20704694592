//! What held for rows does not hold for the nulls that stand in for them above.
//!
//! ```text
//! WHERE a = 1 GROUP BY ROLLUP (a, b) ORDER BY a     `a` is 1 in every row that is read, and null in the sums over all `a`
//! t LEFT JOIN (SELECT k, 5 AS n FROM u) USING (k)   `n` is 5 in every row of `u`, and null where `u` has no row
//! ```
//! The engine takes what was constant, equal, unique or together below for so above, and sorts, groups and spreads its rows
//! by that. So an operator that says nothing about its rows stands above grouping sets, and below the sides of outer
//! joins that may have no row.
//!
//! And the sum over all rows, which `ROLLUP`, `CUBE` and the set `()` ask for, is there where there are no rows, too: the
//! engine gives none, neither by its operators nor where it sees that there are no rows.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result, ScalarValue, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{Distribution, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::TryStreamExt;

use crate::pass_through::{InputPartition, Watch, watched};

/// Puts the operators in; the first rule, before any other believes what is not so.
#[derive(Debug)]
pub(crate) struct ForgetBelowNulls;

impl PhysicalOptimizerRule for ForgetBelowNulls {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let forgotten = plan.transform_up(|node| {
            let sets = node.as_any().downcast_ref::<AggregateExec>();
            if sets.is_some_and(|aggregate| aggregate.group_expr().has_grouping_set()) {
                return Ok(Transformed::yes(watched(node, FactBarrier::OfSets)));
            }
            if let Some(total) = total_of_nothing(node.as_ref())? {
                return Ok(Transformed::yes(watched(node, total)));
            }
            let Some([left, right]) = may_have_no_row(node.as_ref()) else {
                return Ok(Transformed::no(node));
            };
            let mut changed = false;
            let sides = node.children().into_iter().zip([left, right]).map(|(side, absent)| {
                let side = Arc::clone(side);
                if !absent || side.equivalence_properties().eq_group().is_empty() {
                    return side;
                }
                changed = true;
                watched(side, FactBarrier::OfSides)
            });
            let sides: Vec<_> = sides.collect();
            if changed {
                node.with_new_children(sides).map(Transformed::yes)
            } else {
                Ok(Transformed::no(node))
            }
        })?;
        Ok(forgotten.data)
    }

    fn name(&self) -> &'static str {
        "forget_below_nulls"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The engine's rules, of which one leaves out what stands over no rows: not the total of grouping sets; and one gives
/// names to keys of windows.
#[derive(Debug)]
pub(crate) struct KeepTotals(pub(crate) Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for KeepTotals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let has_sets = matches!(&plan, LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_))));
        match self.0.name() {
            "propagate_empty_relation" if has_sets => Ok(Transformed::no(plan)),
            "common_sub_expression_eliminate" => {
                self.0.rewrite(plan, config)?.transform_data(keys_without_names)
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// What windows have in common is calculated once, and the engine gives it its old name in some of them: their keys are the same
/// only without.
fn keys_without_names(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Window(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let keys = expression.transform_up(|part| {
                let Expr::WindowFunction(mut window) = part else { return Ok(Transformed::no(part)) };
                let keys = window.params.partition_by.iter_mut();
                for key in keys.chain(window.params.order_by.iter_mut().map(|sort| &mut sort.expr)) {
                    *key = std::mem::take(key).unalias();
                }
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            })?;
            Ok(keys.update_data(|expression| name.restore(expression)))
        })
    })
}

/// Which sides of a join are null where they have no row.
fn may_have_no_row(node: &dyn ExecutionPlan) -> Option<[bool; 2]> {
    let node = node.as_any();
    let kind = if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        *join.join_type()
    } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        *join.join_type()
    } else {
        node.downcast_ref::<SortMergeJoinExec>()?.join_type()
    };
    match kind {
        JoinType::Left => Some([false, true]),
        JoinType::Right => Some([true, false]),
        JoinType::Full => Some([true, true]),
        _ => None,
    }
}

/// Passes batches on, and says nothing about their rows.
#[derive(Clone, Copy, Debug)]
enum FactBarrier {
    /// Above grouping sets: rows of one group lie in any partition, too.
    OfSets,
    /// Below a join.
    OfSides,
}

impl Watch for FactBarrier {
    const NAME: &'static str = "ForgettingExec";

    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
        let known = PlanProperties::clone(input.properties());
        let unknown = known.with_eq_properties(EquivalenceProperties::new(input.schema()));
        Arc::new(match self {
            Self::OfSets => {
                let count = input.output_partitioning().partition_count();
                unknown.with_partitioning(Partitioning::UnknownPartitioning(count))
            }
            Self::OfSides => unknown,
        })
    }

    fn keeps_order(&self) -> bool {
        false
    }
}

/// The row of the set `()` over no rows, where an operator gives the groups of such a set: keys are null, counts are zero.
fn total_of_nothing(node: &dyn ExecutionPlan) -> Result<Option<TotalOfNothing>> {
    let Some(last) = node.as_any().downcast_ref::<AggregateExec>() else { return Ok(None) };
    let forgetting = last.input().children();
    let first = forgetting.first().and_then(|input| input.as_any().downcast_ref::<AggregateExec>());
    let Some(sets) = first.map(AggregateExec::group_expr).filter(|sets| sets.has_grouping_set()) else {
        return Ok(None);
    };
    if !sets.groups().iter().any(|absent| absent.iter().all(|absent| *absent)) {
        return Ok(None);
    }
    let schema = node.schema();
    let key_count = sets.expr().len();
    // A bit for each key that the set leaves out.
    let id = (0..key_count).fold(0_u64, |id, _| (id << 1) | 1);
    let values = schema.fields().iter().enumerate().map(|(index, field)| {
        let value = match index.checked_sub(key_count) {
            None => return ScalarValue::try_from(field.data_type()),
            Some(0) => ScalarValue::UInt64(Some(id)),
            Some(behind) => match last.aggr_expr().get(behind - 1) {
                Some(aggregate) => aggregate.create_accumulator()?.evaluate()?,
                None => return internal_err!("grouping sets give a column that is none of theirs"),
            },
        };
        value.cast_to(field.data_type())
    });
    let columns = values.map(|value| value?.to_array_of_size(1)).collect::<Result<Vec<_>>>()?;
    Ok(Some(TotalOfNothing(RecordBatch::try_new(schema, columns)?)))
}

/// Passes batches on; where there are no rows, one that is known.
#[derive(Clone, Debug)]
struct TotalOfNothing(RecordBatch);

impl Watch for TotalOfNothing {
    const NAME: &'static str = "TotalOfNothingExec";

    fn required_distribution(&self) -> Distribution {
        Distribution::SinglePartition
    }

    fn execute(&self, of: InputPartition<'_>) -> Result<SendableRecordBatchStream> {
        let schema = of.input.schema();
        let begun = (of.execute()?, Some(self.0.clone()));
        let batches = futures::stream::try_unfold(begun, |(mut batches, total)| async move {
            match batches.try_next().await? {
                Some(batch) => {
                    let total = total.filter(|_| batch.num_rows() == 0);
                    Ok(Some((batch, (batches, total))))
                }
                None => Ok(total.map(|total| (total, (batches, None)))),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::check_all;

    const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (1, 'a', 10), (1, 'b', 20), (2, 'a', 30), (1, 'a', 40)) AS v(a, b, n)),
        u AS (SELECT * FROM (VALUES ('a', 7), ('d', 8)) AS v(b, m))";

    async fn check(cases: &[(&str, &str)]) {
        check_all(WITH, cases).await;
    }

    #[tokio::test]
    async fn grouping_sets_are_ordered_by_columns_that_were_constant() {
        check(&[
            (
                "SELECT a, b, count(*) FROM t WHERE a = 1 GROUP BY ROLLUP (a, b) ORDER BY a NULLS LAST, b NULLS LAST",
                "1,a,2;1,b,1;1,,3;,,3",
            ),
            (
                "SELECT a, b, count(*) FROM t WHERE a = 1 GROUP BY ROLLUP (a, b) ORDER BY a NULLS FIRST, b NULLS FIRST LIMIT 2",
                ",,3;1,,3",
            ),
            (
                "SELECT a, n FROM t WHERE a = n / 10 GROUP BY GROUPING SETS ((a), (n)) ORDER BY n NULLS FIRST, a NULLS FIRST",
                "1,;,10",
            ),
            (
                "SELECT a, b, row_number() OVER (ORDER BY a NULLS FIRST, b NULLS LAST) AS r FROM t
                 WHERE a = 1 AND b = 'a' GROUP BY CUBE (a, b) ORDER BY r",
                ",a,1;,,2;1,a,3;1,,4",
            ),
        ])
        .await;
    }

    #[tokio::test]
    async fn grouping_sets_over_many_rows_keep_their_groups_together() {
        check(&[(
            "SELECT count(*), count(DISTINCT b), sum(c) FROM (SELECT a, b, count(*) AS c FROM
             (SELECT 1 AS a, value % 30000 AS b FROM range(0, 90000)) WHERE a = 1 GROUP BY GROUPING SETS ((a, b), (b), (a)))",
            "60001,30000,270000",
        )])
        .await;
    }

    #[tokio::test]
    async fn grouping_sets_over_nothing_have_their_total() {
        check(&[
            ("SELECT a, b, count(*), sum(n), count(DISTINCT b) FROM t WHERE n > 99 GROUP BY ROLLUP (a, b)", ",,0,,0"),
            ("SELECT a, grouping(a), grouping(a, b), count(n) + 1 FROM t WHERE n > 99 GROUP BY CUBE (a, b)", ",1,3,1"),
            ("SELECT a, max(b) FROM t WHERE n > 99 GROUP BY GROUPING SETS ((a), ()) HAVING count(*) = 0", ","),
            ("SELECT a, count(*) FROM t WHERE n > 99 GROUP BY GROUPING SETS ((a), (b))", ""),
            ("SELECT a, count(*) FROM t WHERE n > 99 GROUP BY ROLLUP (a) HAVING a IS NOT NULL", ""),
            ("SELECT count(*), sum(c) FROM (SELECT a, count(*) AS c FROM t GROUP BY ROLLUP (a))", "3,8"),
            ("SELECT a, b, count(*), sum(n) FROM t WHERE false GROUP BY ROLLUP (a, b)", ",,0,"),
            ("SELECT count(*) FROM t WHERE a = 1 AND a = 2 GROUP BY GROUPING SETS ((a), ())", "0"),
            ("SELECT a, count(*) FROM (SELECT * FROM t LIMIT 0) AS v GROUP BY CUBE (a)", ",0"),
            ("SELECT t.a, count(*) FROM t JOIN (SELECT * FROM u WHERE false) AS v ON t.b = v.b GROUP BY ROLLUP (t.a)", ",0"),
            ("SELECT a, count(*) FROM t WHERE false GROUP BY GROUPING SETS ((a), (b))", ""),
            ("SELECT a, count(*) FROM t WHERE false GROUP BY a", ""),
        ])
        .await;
    }

    #[tokio::test]
    async fn rows_of_outer_joins_are_ordered_by_columns_that_were_constant() {
        check(&[
            (
                "SELECT t.b, k FROM t LEFT JOIN (SELECT b, 5 AS k FROM u WHERE b = 'a') AS r ON t.b = r.b
                 ORDER BY k NULLS FIRST, n",
                "b,;a,5;a,5;a,5",
            ),
            (
                "SELECT k, r.b FROM (SELECT b, 5 AS k FROM u WHERE b = 'a') AS r RIGHT JOIN t ON t.b = r.b
                 ORDER BY k NULLS LAST, n LIMIT 4",
                "5,a;5,a;5,a;,",
            ),
            (
                "SELECT k, j FROM (SELECT b, 5 AS k FROM u) AS r FULL JOIN (SELECT b, 6 AS j FROM t WHERE n > 10) AS s ON s.b = r.b
                 ORDER BY j NULLS FIRST, k NULLS FIRST",
                "5,;,6;5,6;5,6",
            ),
        ])
        .await;
    }
}
