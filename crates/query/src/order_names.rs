//! Names in expressions of ORDER BY: by the standard, in PostgreSQL and in DuckDB they are columns of the tables first, and
//! names of the answer where no table has such a column. The engine takes the answer's, and it cannot order by a column of the
//! same name as one of the answer: such a statement is refused. A name that stands alone is one of the answer everywhere.
//!
//! ```text
//! SELECT -n AS n FROM t ORDER BY n          the answer's
//! SELECT -n AS n FROM t ORDER BY n + 0      refused
//! SELECT -n AS m FROM t ORDER BY m + 0      the answer's
//! ```

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr,
    Statement as SqlStatement, Visit, Visitor, With,
};
use seislake_model::Result;

use crate::error::refused;
use crate::names::ident_name;

/// Such names of a statement: each costs a plan of its query.
const NAMES_MAX: usize = 32;

/// Refuses a statement that calculates with such a name in ORDER BY where a table has a column of that name.
///
/// # Errors
/// The sentence names it.
pub(crate) async fn check(statement: &Statement, state: &SessionState) -> Result<()> {
    let sql = match statement {
        Statement::Statement(sql) => sql,
        Statement::Explain(explain) => return Box::pin(check(&explain.statement, state)).await,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => return Ok(()),
    };
    let mut doubled = Doubled::default();
    let _: ControlFlow<()> = sql.visit(&mut doubled);
    if doubled.found.len() > NAMES_MAX {
        return Err(refused(format!("ORDER BY calculates with more than {NAMES_MAX} names of the answer")));
    }
    for Question { name, query } in doubled.found {
        let asked = Statement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        // An error: no table has it.
        if state.statement_to_plan(asked).await.is_ok() {
            return Err(refused(format!(
                "ORDER BY calculates with \"{name}\", which is a column of the tables and another one of the answer: \
                 give that of the answer another name"
            )));
        }
    }
    Ok(())
}

/// Whether a table of a query has a column: the query asks for it alone.
struct Question {
    name: String,
    query: Query,
}

#[derive(Default)]
struct Doubled {
    /// Tables of WITH around, the innermost last.
    with: Vec<Option<With>>,
    found: Vec<Question>,
}

impl Visitor for Doubled {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.with.push(query.with.clone());
        for name in calculated_names(query) {
            if let Some(query) = self.asking_for(query, &name) {
                self.found.push(Question { name: ident_name(&name), query });
            }
            if self.found.len() > NAMES_MAX {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.with.pop();
        ControlFlow::Continue(())
    }
}

impl Doubled {
    fn asking_for(&self, query: &Query, name: &Ident) -> Option<Query> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let mut select = select.clone();
        select.projection = vec![SelectItem::UnnamedExpr(Expr::Identifier(name.clone()))];
        select.distinct = None;
        select.group_by = GroupByExpr::Expressions(vec![], vec![]);
        select.having = None;
        select.qualify = None;
        select.selection = None;
        let mut with: Option<With> = None;
        for around in self.with.iter().flatten() {
            let inner = around.cte_tables.iter().map(table_name).collect::<Vec<_>>();
            let mut all = around.clone();
            let outer = with.map(|with| with.cte_tables).unwrap_or_default();
            let outer = outer.into_iter().filter(|table| !inner.contains(&table_name(table)));
            all.cte_tables = outer.chain(all.cte_tables).collect();
            with = Some(all);
        }
        let body = Box::new(SetExpr::Select(select));
        Some(Query { with, body, order_by: None, limit_clause: None, ..query.clone() })
    }
}

fn table_name(table: &Cte) -> String {
    ident_name(&table.alias.name)
}

fn order_of(query: &Query) -> &[OrderByExpr] {
    match &query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) => order,
        Some(OrderBy { kind: OrderByKind::All(_), .. }) | None => &[],
    }
}

/// Names that a query gives to calculated columns and calculates with in ORDER BY.
fn calculated_names(query: &Query) -> Vec<Ident> {
    let SetExpr::Select(select) = query.body.as_ref() else { return vec![] };
    let calculating = order_of(query).iter().filter(|part| bare(&part.expr).is_none());
    let mut read = Names::default();
    for part in calculating {
        let _: ControlFlow<()> = part.expr.visit(&mut read);
    }
    let given = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
        _ => None,
    });
    let of_answer = |name: &Ident| {
        let name = ident_name(name);
        given.clone().any(|(expr, alias)| {
            let itself = match expr {
                Expr::Identifier(column) => ident_name(column) == name,
                Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|last| ident_name(last) == name),
                _ => false,
            };
            ident_name(alias) == name && !itself
        })
    };
    let mut names: Vec<Ident> = vec![];
    for name in read.names {
        if of_answer(&name) && !names.iter().any(|other| ident_name(other) == ident_name(&name)) {
            names.push(name);
        }
    }
    names
}

/// The name that an expression is.
fn bare(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Identifier(name) => Some(name),
        Expr::Nested(inner) => bare(inner),
        _ => None,
    }
}

/// Names without a table, but those of subqueries.
#[derive(Default)]
struct Names {
    depth: usize,
    names: Vec<Ident>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let (0, Expr::Identifier(name)) = (self.depth, expression) {
            self.names.push(name.clone());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::{answer, check_all};

    #[tokio::test]
    async fn expressions_of_order_by_read_no_name_of_the_answer_that_is_a_column() {
        const WITH: &str =
            "WITH t AS (SELECT * FROM (VALUES (1, 'b'), (2, 'a')) AS v(n, s)), u AS (SELECT 5 AS k) ";
        check_all(
            WITH,
            &[
                ("SELECT -n AS n FROM t ORDER BY n", "-2;-1"),
                ("SELECT -n AS n FROM t ORDER BY (n)", "-2;-1"),
                ("SELECT -n AS \"N\" FROM t ORDER BY n + 0", "-1;-2"),
                ("SELECT -n AS m FROM t ORDER BY m + 0", "-2;-1"),
                ("SELECT n AS n, s AS s FROM t ORDER BY n + 0", "1,b;2,a"),
                ("SELECT t.n AS n FROM t ORDER BY abs(n)", "1;2"),
                ("SELECT s AS m, sum(n) AS k FROM t GROUP BY s ORDER BY k + 1", "b,1;a,2"),
                ("SELECT v AS n FROM (SELECT -n AS v FROM t) AS q ORDER BY n + 0", "-2;-1"),
            ],
        )
        .await;
        for sql in [
            "SELECT -n AS n FROM t ORDER BY n + 0",
            "SELECT -x.n AS n FROM t AS x ORDER BY abs(n) DESC, n",
            "SELECT s AS n FROM t ORDER BY N || ''",
            "SELECT k - n AS n FROM t, u ORDER BY n * 1",
            "SELECT k - n AS n FROM t CROSS JOIN u WHERE k > 1 ORDER BY n * 1 LIMIT 1",
            "SELECT * FROM (SELECT -n AS n FROM t ORDER BY n + 0 LIMIT 1) AS q",
            "SELECT (SELECT -n AS n FROM t ORDER BY n + 0 LIMIT 1)",
            "SELECT max(n) AS n FROM t GROUP BY s ORDER BY n + 0",
            "SELECT * FROM (WITH t AS (SELECT 3 AS m) SELECT -m AS m FROM t ORDER BY m + 0) AS q",
            "EXPLAIN SELECT -n AS n FROM t ORDER BY CASE WHEN n = 1 THEN 0 ELSE 1 END",
        ] {
            let sql = match sql.strip_prefix("EXPLAIN ") {
                Some(rest) => format!("EXPLAIN {WITH} {rest}"),
                None => format!("{WITH} {sql}"),
            };
            let said = answer(&sql).await;
            assert!(
                said.as_ref()
                    .is_err_and(|said| said.contains("another name") || said.contains("WITH query name")),
                "{sql}: {said:?}"
            );
        }
    }
}
