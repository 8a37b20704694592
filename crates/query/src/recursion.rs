//! Recursive tables keep their columns, and the names that stand behind the table's.
//!
//! ```text
//! WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 99) SELECT n FROM t
//!   ──►  WITH RECURSIVE t AS (SELECT * FROM (SELECT 1, 2) AS "first rows"(n, m) UNION ALL SELECT n + 1, …) …
//! ```
//! The engine does not know the names inside the recursion. And it drops a column that the statement outside does not read
//! from some of the rows, unless the first rows come from a table with a name of its own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Query, SetExpr, Statement, TableAliasColumnDef, TableFactor, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Names the first rows of every recursive table of a statement.
pub(crate) fn name_first_rows(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut NameFirstRows);
}

struct NameFirstRows;

impl VisitorMut for NameFirstRows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables =
            query.with.iter_mut().filter(|with| with.recursive).flat_map(|with| &mut with.cte_tables);
        for table in tables {
            if let SetExpr::SetOperation { left, .. } = table.query.body.as_mut()
                && let Some(named) = first_rows(left, &table.alias.columns)
            {
                **left = named;
                table.alias.columns.clear();
            }
        }
        ControlFlow::Continue(())
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
}
