//! Recursive tables keep their columns, and the names that stand behind the table's.
//!
//! ```text
//! WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 99) SELECT n FROM t
//!   ──►  WITH RECURSIVE t AS (SELECT * FROM (SELECT 1, 2) AS "first rows"(n, m) UNION ALL SELECT n + 1, …) …
//! ```
//! The engine does not know the names inside the recursion. And it drops a column that the statement outside does not read
//! from some of the rows, unless the first rows come from a table with a name of its own. A bare NULL among the first rows has
//! no type that a later row could have: it is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, SelectItem, SetExpr, Statement, TableAliasColumnDef, TableFactor, Value, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Names the first rows of every recursive table of a statement.
///
/// # Errors
/// A column of them is a bare NULL.
pub(crate) fn name_first_rows(statement: &mut Statement) -> Result<(), &'static str> {
    match statement.visit(&mut NameFirstRows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(message),
    }
}

struct NameFirstRows;

impl VisitorMut for NameFirstRows {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let tables =
            query.with.iter_mut().filter(|with| with.recursive).flat_map(|with| &mut with.cte_tables);
        for table in tables {
            let SetExpr::SetOperation { left, .. } = table.query.body.as_mut() else { continue };
            if has_bare_null(left) {
                return ControlFlow::Break(BARE_NULL);
            }
            if let Some(named) = first_rows(left, &table.alias.columns) {
                **left = named;
                table.alias.columns.clear();
            }
        }
        ControlFlow::Continue(())
    }
}

const BARE_NULL: &str = "a NULL in the first rows of a recursive table needs the type of the rows behind it: CAST(NULL AS BIGINT)";

/// Whether a column of the rows is nothing but NULL.
fn has_bare_null(rows: &SetExpr) -> bool {
    match rows {
        SetExpr::Select(select) => select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                is_null(expression)
            }
            _ => false,
        }),
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, Vec::len);
            (0..width).any(|column| values.rows.iter().all(|row| row.get(column).is_some_and(is_null)))
        }
        SetExpr::Query(query) => has_bare_null(&query.body),
        SetExpr::SetOperation { left, right, .. } => has_bare_null(left) && has_bare_null(right),
        _ => false,
    }
}

fn is_null(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_null(inner),
        Expr::Value(value) => value.value == Value::Null,
        _ => false,
    }
}

/// `SELECT * FROM (rows) AS "first rows"(columns)`
fn first_rows(rows: &SetExpr, columns: &[TableAliasColumnDef]) -> Option<SetExpr> {
    let template = "SELECT * FROM (SELECT 1) AS \"first rows\"";
    let Ok([Statement::Query(mut query)]) =
        <[Statement; 1]>::try_from(Parser::parse_sql(&GenericDialect, template).ok()?)
    else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = &mut select.from.first_mut()?.relation
    else {
        return None;
    };
    *subquery.body = rows.clone();
    alias.columns = columns.to_vec();
    Some(*query.body)
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn columns_used_only_inside_are_there() {
        for (sql, expected) in [
            (
                "WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 8)
                 SELECT n FROM t ORDER BY n",
                "1;2;3",
            ),
            (
                "WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 8)
                 SELECT count(*) FROM t",
                "3",
            ),
            (
                "WITH RECURSIVE t AS (SELECT value AS n, 'x' AS s FROM range(0, 2) UNION ALL
                 SELECT n + 2, s || 'y' FROM t WHERE length(s) < 3) SELECT max(n) FROM t",
                "5",
            ),
            (
                "WITH RECURSIVE u AS (SELECT 1 AS x), t(a, b, c) AS (SELECT x, 2, 3 FROM u UNION SELECT b, c, a FROM t)
                 SELECT b FROM t ORDER BY b",
                "1;2;3",
            ),
            (
                "SELECT (WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 8)
                 SELECT max(n) FROM t), 7",
                "3,7",
            ),
            (
                "WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 8)
                 SELECT x.n, y.m FROM t AS x JOIN t AS y ON x.n = y.n ORDER BY 1",
                "1,2;2,4;3,8",
            ),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn casts_beside_what_they_cast_are_columns_of_their_own() {
        for (sql, expected) in [
            (
                "WITH RECURSIVE t(a, b) AS (SELECT 1, CAST(1 AS DOUBLE) UNION ALL SELECT a + 1, b / 2 FROM t WHERE a < 3)
                 SELECT * FROM t ORDER BY a",
                "1,1.0;2,0.5;3,0.25",
            ),
            (
                "WITH RECURSIVE t AS (SELECT 1 AS a, CAST('1' AS VARCHAR) AS b UNION ALL
                 SELECT a + 1, CAST(a + 1 AS VARCHAR) FROM t WHERE a < 3) SELECT * FROM t ORDER BY a",
                "1,1;2,2;3,3",
            ),
            (
                "WITH RECURSIVE t(n, p) AS (SELECT 1, CAST(NULL AS BIGINT) UNION ALL SELECT n + 1, n FROM t WHERE n < 3)
                 SELECT * FROM t ORDER BY n",
                "1,;2,1;3,2",
            ),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn a_bare_null_in_the_first_rows_is_refused_in_words() {
        for sql in [
            "WITH RECURSIVE t(n, p) AS (SELECT 1, NULL UNION ALL SELECT n + 1, n FROM t WHERE n < 3) SELECT * FROM t",
            "WITH RECURSIVE t AS (SELECT 1 AS n, (NULL) AS p UNION ALL SELECT n + 1, n FROM t WHERE n < 3) SELECT * FROM t",
            "WITH RECURSIVE t(n, p) AS (VALUES (1, NULL) UNION ALL SELECT n + 1, n FROM t WHERE n < 3) SELECT * FROM t",
        ] {
            let said = answer(sql).await;
            assert!(said.as_ref().is_err_and(|said| said.contains("CAST(NULL AS")), "{sql}: {said:?}");
        }
    }
}
