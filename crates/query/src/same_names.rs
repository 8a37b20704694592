//! Conditions that the engine moves from operator to operator find their columns by name.
//!
//! ```text
//! FilterExec: b@1 = 'x'                      where `b@1` is the `b` of `t`
//!   HashJoinExec: t.a = u.a                  gives a@0, b@1, a@2, b@3
//!     ──►  FilterExec: b@1 = 'x' over `u`
//! ```
//! So while the engine moves them, operators that nothing passes stand above every operator that gives two columns of one
//! name, or one that bears the name of another column below.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::union::UnionExec;

use crate::pass_through::{Watch, unwatched, watched};

/// A rule of the engine; those that move conditions do so with the operators of this page.
#[derive(Debug)]
pub(crate) struct KeepApart(pub(crate) Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for KeepApart {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match self.0.name() {
            "FilterPushdown" | "FilterPushdown(Post)" => {}
            // A guess of rows that is below an OFFSET becomes a certain zero.
            "aggregate_statistics" if leaves_out(&plan)? => return Ok(plan),
            _ => return self.0.optimize(plan, options),
        }
        let fenced = plan.transform_up(|node| {
            let sides = fenced_side(node)?;
            if mixes_up(sides.data.as_ref()) {
                return Ok(Transformed::yes(watched(sides.data, Fence)));
            }
            Ok(sides)
        })?;
        let moved = self.0.optimize(fenced.data, options)?;
        if !fenced.transformed {
            return Ok(moved);
        }
        let open = moved.transform_up(|node| {
            let below = unwatched::<Fence>(node.as_ref()).map(Arc::clone);
            Ok(below.map_or_else(|| Transformed::no(node), Transformed::yes))
        })?;
        Ok(open.data)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether first rows are left out somewhere.
fn leaves_out(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| {
        Ok(node.as_any().downcast_ref::<GlobalLimitExec>().is_some_and(|limit| limit.skip() > 0))
    })
}

/// Passes batches on, and lets no condition through.
#[derive(Clone, Debug)]
struct Fence;

impl Watch for Fence {
    const NAME: &'static str = "FenceExec";
}

/// Whether a column that an operator gives would be taken for another one.
fn mixes_up(node: &dyn ExecutionPlan) -> bool {
    let schema = node.schema();
    if has_doubles(&schema) {
        return true;
    }
    let kind = node.as_any();
    if let Some(aggregate) = kind.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr().expr();
        let below = aggregate.input().schema();
        return schema.fields().iter().enumerate().any(|(index, field)| {
            let group = groups.get(index).map(|(group, _)| group);
            below
                .index_of(field.name())
                .is_ok_and(|found| !group.is_some_and(|group| is_column(group.as_ref(), field.name(), found)))
        });
    }
    if kind.is::<UnionExec>() {
        let named = |input: &Arc<dyn ExecutionPlan>| {
            let below = input.schema();
            below
                .fields()
                .iter()
                .map(|field| field.name())
                .eq(schema.fields().iter().map(|field| field.name()))
        };
        return !node.children().into_iter().all(named);
    }
    // It keeps conditions that go no further, with the columns below it.
    kind.downcast_ref::<FilterExec>()
        .is_some_and(|filter| filter.projection().is_some() && has_doubles(&filter.input().schema()))
}

fn has_doubles(schema: &Schema) -> bool {
    let mut seen = HashSet::new();
    schema.fields().iter().any(|field| !seen.insert(field.name()))
}

fn is_column(expression: &dyn PhysicalExpr, name: &str, index: usize) -> bool {
    let column = expression.as_any().downcast_ref::<Column>();
    column.is_some_and(|column| column.name() == name && column.index() == index)
}

/// Conditions on the keys of the rows that a semi join gives go to its other side, too: not where another column than the
/// key's partner bears that name, and not where nulls of the other side count.
fn fenced_side(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.as_any().downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
    let gives_left = match join.join_type() {
        JoinType::LeftSemi | JoinType::LeftAnti => true,
        JoinType::RightSemi | JoinType::RightAnti => false,
        _ => return Ok(Transformed::no(node)),
    };
    let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
    let other = if gives_left { right.schema() } else { left.schema() };
    let mixed_up = join.on().iter().any(|(of_left, of_right)| {
        let (key, partner) = if gives_left { (of_left, of_right) } else { (of_right, of_left) };
        let Some(key) = key.as_any().downcast_ref::<Column>() else { return false };
        other.index_of(key.name()).is_ok_and(|found| !is_column(partner.as_ref(), key.name(), found))
    });
    if !mixed_up && !join.null_aware {
        return Ok(Transformed::no(node));
    }
    let sides =
        if gives_left { vec![left, watched(right, Fence)] } else { vec![watched(left, Fence), right] };
    node.with_new_children(sides).map(Transformed::yes)
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn conditions_on_columns_of_one_name_are_asked_of_their_own_table() {
        const WITH: &str =
            "WITH t AS (SELECT * FROM (VALUES (1, 'a', 1.0), (1, 'b', 0.0), (1, NULL, 2.0)) AS v(a, b, x)),
            u AS (SELECT * FROM (VALUES (1, 'a', 0.0), (2, 'b', 1.0)) AS v(a, b, x))";
        for (sql, expected) in [
            (
                "SELECT p.b, p.x, q.b FROM t AS p RIGHT JOIN (SELECT * FROM u WHERE a = 1) AS q
                 ON p.a = q.a AND NOT (CASE q.x WHEN 0 THEN 1.5 ELSE q.x END = 1)
                 WHERE NOT upper(p.b) = 'a' AND p.b IS NULL OR p.x IN (0.0, -0.0)",
                "b,0.0,a",
            ),
            (
                "SELECT p.b, p.x, q.b FROM t AS p RIGHT JOIN u AS q ON p.a = q.a WHERE coalesce(p.b, 'z') = 'z' ORDER BY p.x NULLS LAST",
                ",2.0,a;,,b",
            ),
            ("SELECT p.x, q.x FROM t AS p FULL JOIN u AS q ON p.a = q.a WHERE coalesce(p.x, 5) = 5", ",1.0"),
        ] {
            assert_eq!(answer(&format!("{WITH} {sql}")).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
