//! Columns that are calculated from themselves, several times over: `SELECT x + 1 AS x FROM (SELECT x + 1 AS x FROM t)`.
//!
//! The engine takes two equal lists of columns above each other for one, and adds 1 once. So of equal lists in a
//! statement, every one but the first is marked: its first such column goes through a call that gives what it is given.

use std::cell::RefCell;
use std::collections::HashMap;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

use crate::marks::Mark;

/// Marks equal lists of columns.
#[derive(Debug)]
pub(crate) struct MarkProjections;

impl AnalyzerRule for MarkProjections {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        let seen = RefCell::new(HashMap::<Vec<Expr>, usize>::new());
        let marked = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Projection(projection) = node else { return Ok(Transformed::no(node)) };
            let Some(index) = projection.expr.iter().position(reads_its_name) else {
                return Ok(Transformed::no(LogicalPlan::Projection(projection)));
            };
            let count = {
                let mut seen = seen.borrow_mut();
                let count = seen.entry(projection.expr.clone()).or_default();
                *count += 1;
                *count
            };
            if count == 1 {
                return Ok(Transformed::no(LogicalPlan::Projection(projection)));
            }
            let Projection { expr: mut columns, input, .. } = projection;
            if let Some(Expr::Alias(Alias { expr, .. })) = columns.get_mut(index) {
                **expr = Mark::Again(count).on(std::mem::take(expr.as_mut()));
            }
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, input)?)))
        })?;
        Ok(marked.data)
    }

    fn name(&self) -> &'static str {
        "mark_projections"
    }
}

/// `x + 1 AS x`.
fn reads_its_name(column: &Expr) -> bool {
    let Expr::Alias(Alias { expr, name, .. }) = column else { return false };
    !matches!(expr.as_ref(), Expr::Column(_)) && expr.column_refs().iter().any(|read| read.name == *name)
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn columns_are_calculated_as_often_as_the_statement_says() {
        for (step, between, once) in [
            ("SELECT x + 1 AS x FROM", "", 1),
            ("SELECT x + 1 AS x FROM", "WHERE x > -5", 1),
            ("SELECT x + 1 AS x FROM", "ORDER BY x LIMIT 9", 1),
            ("SELECT y, x + y AS x FROM", "", 2),
            ("SELECT y, x + y AS x FROM", "WHERE y = 2", 2),
        ] {
            for count in 0..9 {
                let from = (0..count).fold("(VALUES (0, 2)) AS t(x, y)".to_owned(), |from, _| {
                    format!("({step} {from} {between})")
                });
                let expected = (once * count).to_string();
                assert_eq!(
                    answer(&format!("SELECT x FROM {from}")).await,
                    Ok(expected),
                    "{step} {between} {count}"
                );
            }
        }
        let with = "WITH a AS (SELECT x * 3 AS x FROM (VALUES (1)) AS t(x)), b AS (SELECT x * 3 AS x FROM a) \
                    SELECT x * 3 AS x FROM b";
        assert_eq!(answer(with).await.as_deref(), Ok("27"));
    }
}
