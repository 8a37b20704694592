//! `EXCEPT ALL` and `INTERSECT ALL` count: `{1, 1, 1} EXCEPT ALL {1}` is `{1, 1}`.
//!
//! ```text
//! t EXCEPT ALL u  ──►  (t, row_number() OVER (PARTITION BY all columns))  EXCEPT  (u, row_number() …)
//! ```
//! The engine joins the rows of both sides, however often they stand there.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::config::ConfigOptions;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection,
};
use datafusion::optimizer::AnalyzerRule;

/// Numbers equal rows on both sides.
#[derive(Debug)]
pub(crate) struct CountEqualRows;

impl AnalyzerRule for CountEqualRows {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(counted)?.data)
    }

    fn name(&self) -> &'static str {
        "count_equal_rows"
    }
}

fn counted(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    // Joins that take nulls for equal come from these operators only; where the left rows are distinct, they count once.
    let join = match node {
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
                && join.null_equality == NullEquality::NullEqualsNull
                && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_)) =>
        {
            join
        }
        other => return Ok(Transformed::no(other)),
    };
    let columns = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let Join { left, right, mut on, filter, join_type, join_constraint, null_equality, null_aware, .. } =
        join;
    let (left_keys, right_keys) = on.iter().cloned().unzip();
    let (left, left_number) = numbered(&left, left_keys, "number of an equal row on the left")?;
    let (right, right_number) = numbered(&right, right_keys, "number of an equal row on the right")?;
    on.push((left_number, right_number));
    let join = Join::try_new(left, right, on, filter, join_type, join_constraint, null_equality, null_aware)?;
    let joined = Arc::new(LogicalPlan::Join(join));
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, joined)?)))
}

/// The rows with their numbers among those that are equal to them; and the column of these.
fn numbered(rows: &Arc<LogicalPlan>, keys: Vec<Expr>, name: &str) -> Result<(Arc<LogicalPlan>, Expr)> {
    let mut columns: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(keys).build()?;
    let number_name = number.schema_name().to_string();
    columns.push(Expr::Column(Column::new_unqualified(number_name)).alias(name));
    let rows = LogicalPlanBuilder::from(rows.as_ref().clone()).window(vec![number])?;
    let rows = Arc::new(rows.project(columns)?.build()?);
    Ok((rows, Expr::Column(Column::new_unqualified(name))))
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn equal_rows_are_counted() {
        const ONES: &str = "(VALUES (1), (1), (1)) AS t(x)";
        const NULLS: &str = "(VALUES (1), (1), (2), (NULL), (NULL)) AS t(x)";
        for (sql, expected) in [
            (format!("SELECT x FROM {ONES} EXCEPT ALL SELECT 1"), "1;1"),
            (format!("SELECT x FROM {ONES} EXCEPT ALL SELECT x FROM {ONES}"), ""),
            (format!("SELECT x FROM {ONES} EXCEPT ALL SELECT 2"), "1;1;1"),
            (format!("SELECT DISTINCT x FROM {ONES} EXCEPT ALL SELECT 2"), "1"),
            (
                format!(
                    "SELECT x FROM {NULLS} INTERSECT ALL SELECT x FROM (VALUES (1), (NULL)) AS u(x) ORDER BY 1"
                ),
                "1;",
            ),
            (
                format!(
                    "SELECT x FROM {NULLS} EXCEPT ALL SELECT x FROM (VALUES (1), (NULL)) AS u(x) ORDER BY 1"
                ),
                "1;2;",
            ),
            (format!("SELECT x FROM {NULLS} INTERSECT SELECT x FROM {NULLS} ORDER BY 1"), "1;2;"),
            (format!("SELECT x FROM {NULLS} EXCEPT SELECT 2 ORDER BY 1"), "1;"),
            (
                "SELECT * FROM (VALUES (1, 'a'), (1, 'a'), (1, 'b')) AS t(x, s) EXCEPT ALL \
                 SELECT x + 0.0, s FROM (VALUES (1, 'a')) AS t(x, s) ORDER BY 1, 2"
                    .to_owned(),
                "1,a;1,b",
            ),
            (
                format!(
                    "SELECT count(*) FROM (SELECT x FROM {ONES} EXCEPT ALL SELECT 1 EXCEPT ALL SELECT 1)"
                ),
                "1",
            ),
            (format!("SELECT 7 WHERE 1 IN (SELECT x FROM {ONES} INTERSECT ALL SELECT 1)"), "7"),
        ] {
            assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }
}
