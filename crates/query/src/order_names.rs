//! Names in ORDER BY: alone they are names of the answer; in expressions they are columns of the tables (so say PostgreSQL and
//! DuckDB, for DISTINCT ON, too), and names of the answer where no table has such a column (so says DuckDB alone). The engine takes the answer's
//! in expressions and the tables' in DISTINCT ON, and it cannot order by a column that has the name of another one of the
//! answer.
//!
//! ```text
//! SELECT -n AS n FROM t ORDER BY n                          the answer's
//! SELECT -n AS n FROM t ORDER BY -n                         ──►  ORDER BY n        the column that is calculated so
//! SELECT -n AS n FROM t ORDER BY n + 0                      refused
//! SELECT -n AS m FROM t ORDER BY m + 0                      the answer's
//! SELECT DISTINCT ON (s) s, -n AS n FROM t ORDER BY s, n    ──►  ORDER BY s, -n
//! ```

use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, Expr, GroupByExpr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement as SqlStatement, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions, With,
};
use seislake_model::{Error, Result};

use crate::error::refused;
use crate::names::{self, ident_name, subquery_name};
use crate::standard;

/// Queries of a statement that calculate with names of their answer: each costs a plan of its tables.
const QUERIES_MAX: usize = 32;

/// Puts names and expressions that mean a column of the answer in each other's place.
///
/// # Errors
/// A column that DISTINCT ON gives by a position, which cannot be told.
pub(crate) fn settle(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(sql) => match VisitMut::visit(sql.as_mut(), &mut Settle) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(message) => Err(refused(message)),
        },
        Statement::Explain(explain) => settle(&mut explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

const POSITION: &str = "DISTINCT ON and its ORDER BY give a column by a number that is no position of the answer, or stands at or \
                        behind *: write its name";

struct Settle;

impl VisitorMut for Settle {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<&'static str> {
        let Query { body, order_by, .. } = query;
        let SetExpr::Select(select) = body.as_mut() else { return ControlFlow::Continue(()) };
        let order: &mut [OrderByExpr] = match order_by {
            Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) => order,
            _ => &mut [],
        };
        let Select { projection, distinct, .. } = select.as_mut();
        match distinct {
            Some(Distinct::On(keys)) => {
                for part in keys.iter_mut().chain(order.iter_mut().map(|part| &mut part.expr)) {
                    if let Some(calculated) = calculated(projection, part) {
                        // In brackets a number is no position.
                        *part = Expr::Nested(Box::new(calculated.clone()));
                    } else if matches!(part, Expr::Value(ValueWithSpan { value: Value::Number(..), .. })) {
                        return ControlFlow::Break(POSITION);
                    }
                }
                in_order(keys, order);
            }
            _ => {
                for part in order {
                    if let Some(name) = name_of(projection, &part.expr) {
                        part.expr = Expr::Identifier(name.clone());
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts the keys of DISTINCT ON into the order of ORDER BY, where that begins with them: they are a set, which the engine takes
/// for a list.
fn in_order(keys: &mut [Expr], order: &[OrderByExpr]) {
    for (place, part) in order.iter().enumerate().take(keys.len()) {
        let rest = keys.get(place..).unwrap_or_default();
        let Some(index) = rest.iter().position(|key| names::text(key) == names::text(&part.expr)) else {
            return;
        };
        keys.swap(place, place + index);
    }
}

/// What a column of the answer is calculated as that is named, or given by its position.
fn calculated<'a>(projection: &'a [SelectItem], part: &Expr) -> Option<&'a Expr> {
    if let Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. }) = part {
        let place = number.parse::<usize>().ok()?.checked_sub(1)?;
        let plain =
            |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
        return match projection.get(place)? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }
                if projection.iter().take(place).all(plain) =>
            {
                Some(expr)
            }
            _ => None,
        };
    }
    let name = ident_name(bare(part)?);
    let mut found = projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if ident_name(alias) == name => Some(expr),
        _ => None,
    });
    let only = found.next()?;
    found.next().is_none().then_some(only)
}

/// The name of the one column of the answer that is calculated as `part`.
fn name_of<'a>(projection: &'a [SelectItem], part: &Expr) -> Option<&'a Ident> {
    // A number is a position.
    if bare(part).is_some() || matches!(part, Expr::Value(_)) {
        return None;
    }
    let given = || {
        projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, alias)),
            _ => None,
        })
    };
    let (_, name) = given().find(|(expr, _)| names::text(expr) == names::text(part))?;
    let same = given().filter(|(_, alias)| ident_name(alias) == ident_name(name)).count();
    (same == 1).then_some(name)
}

/// What stands against a statement that calculates with such a name in ORDER BY where a table has a column of that name.
///
/// # Errors
/// The sentence names it, or says that there are too many.
pub(crate) async fn check(statement: &Statement, state: &SessionState) -> Result<Doubt> {
    let sql = match statement {
        Statement::Statement(sql) => sql,
        Statement::Explain(explain) => return Box::pin(check(&explain.statement, state)).await,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {
            return Ok(Doubt(None));
        }
    };
    let mut doubled = Doubled::default();
    let _: ControlFlow<()> = Visit::visit(sql.as_ref(), &mut doubled);
    if doubled.found.len() > QUERIES_MAX {
        return Err(refused(format!(
            "more than {QUERIES_MAX} queries of a statement calculate in ORDER BY with names of their answers"
        )));
    }
    let mut doubt = Doubt(None);
    for Question { names, query } in doubled.found {
        let mut asked = Statement::Statement(Box::new(SqlStatement::Query(Box::new(query))));
        let planned = match standard::settle(&mut asked) {
            Ok(()) => state.statement_to_plan(asked).await.ok(),
            Err(_) => None,
        };
        let Some(plan) = planned else {
            // Its tables are wrong, which the statement itself will say, or read the row around.
            doubt = Doubt(names.first().map(|name| refusal(name)));
            continue;
        };
        let has = |name: &&String| plan.schema().fields().iter().any(|field| field.name() == *name);
        if let Some(name) = names.iter().find(has) {
            return Err(refusal(name));
        }
    }
    Ok(doubt)
}

fn refusal(name: &str) -> Error {
    refused(format!(
        "ORDER BY calculates with \"{name}\", which is a column of the tables and another one of the answer: give \
         that of the answer another name"
    ))
}

/// Why a statement is refused if nothing else is wrong with it: what its tables have cannot be told.
pub(crate) struct Doubt(Option<Error>);

impl Doubt {
    /// # Errors
    /// There is one.
    pub(crate) fn settled(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Whether the tables of a query have columns of these names: all that they have is asked for.
struct Question {
    names: Vec<String>,
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
        if let SetExpr::Select(select) = query.body.as_ref()
            && !select.from.is_empty()
            // The engine takes the tables' there.
            && !matches!(select.distinct, Some(Distinct::On(_)))
        {
            let names = calculated_names(select, query);
            if !names.is_empty() {
                let query = self.tables_of(select, query);
                self.found.push(Question { names, query });
            }
        }
        match self.found.len() > QUERIES_MAX {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.with.pop();
        ControlFlow::Continue(())
    }
}

impl Doubled {
    fn tables_of(&self, select: &Select, query: &Query) -> Query {
        let select = Select {
            projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
            distinct: None,
            group_by: GroupByExpr::Expressions(vec![], vec![]),
            having: None,
            qualify: None,
            selection: None,
            named_window: vec![],
            ..select.clone()
        };
        let mut with: Option<With> = None;
        for around in self.with.iter().flatten() {
            let inner = around.cte_tables.iter().map(table_name).collect::<Vec<_>>();
            let mut all = around.clone();
            if let Some(outer) = with {
                all.recursive |= outer.recursive;
                let outer = outer.cte_tables.into_iter().filter(|table| !inner.contains(&table_name(table)));
                all.cte_tables = outer.chain(all.cte_tables).collect();
            }
            with = Some(all);
        }
        let body = Box::new(SetExpr::Select(Box::new(select)));
        Query { with, body, order_by: None, limit_clause: None, fetch: None, ..query.clone() }
    }
}

fn table_name(table: &Cte) -> String {
    ident_name(&table.alias.name)
}

/// Names that a query gives to columns and calculates with in ORDER BY.
fn calculated_names(select: &Select, query: &Query) -> Vec<String> {
    let order: &[OrderByExpr] = match &query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) => order,
        Some(OrderBy { kind: OrderByKind::All(_), .. }) | None => &[],
    };
    let mut read = Names::default();
    for part in order.iter().filter(|part| bare(&part.expr).is_none()) {
        let _: ControlFlow<()> = Visit::visit(&part.expr, &mut read);
    }
    if read.names.is_empty() {
        return vec![];
    }
    let mut given = vec![];
    for item in &select.projection {
        match item {
            SelectItem::ExprWithAlias { expr, alias } if !is_column(expr, alias) => {
                given.push(ident_name(alias));
            }
            SelectItem::UnnamedExpr(expression) => given.extend(subquery_name(expression)),
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                let replaced = options.opt_replace.iter().flat_map(|replace| &replace.items);
                given.extend(replaced.map(|element| ident_name(&element.column_name)));
            }
            SelectItem::ExprWithAlias { .. } => {}
        }
    }
    given.retain(|name| read.names.contains(name));
    given.sort();
    given.dedup();
    given
}

/// `x AS x`, `t.x AS x`
fn is_column(expression: &Expr, alias: &Ident) -> bool {
    let column = match expression {
        Expr::Identifier(column) => Some(column),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    column.is_some_and(|column| ident_name(column) == ident_name(alias))
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
    names: Vec<String>,
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
            self.names.push(ident_name(name));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::{answer, check_all};

    const WITH: &str = "t AS (SELECT * FROM (VALUES (1, 'b'), (2, 'a')) AS v(n, s)), u AS (SELECT 5 AS k),
        w AS (SELECT * FROM (VALUES (1), (2)) AS v(n)) ";

    #[tokio::test]
    async fn names_alone_are_of_the_answer_and_in_expressions_of_the_tables() {
        check_all(
            &format!("WITH {WITH}"),
            &[
                ("SELECT -n AS n FROM t ORDER BY n", "-2;-1"),
                ("SELECT -n AS n FROM t ORDER BY (n)", "-2;-1"),
                ("SELECT -n AS n FROM t ORDER BY -n", "-2;-1"),
                ("SELECT abs(n - 3) AS n FROM t ORDER BY abs(n - 3)", "1;2"),
                ("SELECT s, max(n) AS n FROM t GROUP BY s ORDER BY max(n) DESC", "a,2;b,1"),
                ("SELECT -n AS \"N\" FROM t ORDER BY n + 0", "-1;-2"),
                ("SELECT -n AS m FROM t ORDER BY m + 0", "-2;-1"),
                ("SELECT n AS n, s AS s FROM t ORDER BY n + 0", "1,b;2,a"),
                ("SELECT t.n AS n FROM t ORDER BY abs(n)", "1;2"),
                ("SELECT s AS m, sum(n) AS k FROM t GROUP BY s ORDER BY k + 1", "b,1;a,2"),
                ("SELECT v AS n FROM (SELECT -n AS v FROM t) AS q ORDER BY n + 0", "-2;-1"),
                ("SELECT DISTINCT ON (m) 1 AS m, -n AS n FROM t ORDER BY m, n", "1,-2"),
                ("SELECT DISTINCT ON (1) 1 AS m, -n AS n FROM t ORDER BY 1, 2 DESC", "1,-1"),
                ("SELECT DISTINCT ON (k) k, -n AS z FROM t, u ORDER BY k, z", "5,-2"),
                ("SELECT n, 1 AS m FROM t ORDER BY 1 DESC", "2,1;1,1"),
                ("SELECT DISTINCT ON (k) k, n FROM t, u ORDER BY k, n DESC", "5,2"),
                ("SELECT DISTINCT ON (s, k) s, k, n FROM t, u ORDER BY k, s, n", "a,5,2;b,5,1"),
                ("SELECT DISTINCT ON (1, 2) s, k, n FROM t, u ORDER BY 2, 1 DESC, n", "b,5,1;a,5,2"),
                ("SELECT count(*) FROM (SELECT DISTINCT ON (2) s, n FROM t) AS q", "2"),
                ("SELECT -n AS n FROM t ORDER BY (-n)", "-2;-1"),
                ("SELECT -n AS n FROM t ORDER BY -N", "-2;-1"),
                ("SELECT abs(n - 3) AS n FROM t ORDER BY ABS(n - 3)", "1;2"),
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn positions_that_cannot_be_told_are_refused() {
        for sql in [
            "SELECT DISTINCT ON (1) * FROM t",
            "SELECT DISTINCT ON (1) t.* FROM t",
            "SELECT DISTINCT ON (2) n, * FROM t",
            "SELECT DISTINCT ON (5) n FROM t",
            "SELECT DISTINCT ON (0) n FROM t",
            "SELECT DISTINCT ON (n) * FROM t ORDER BY 1",
        ] {
            let said = answer(&format!("WITH {WITH} {sql}")).await;
            assert!(said.as_ref().is_err_and(|said| said.contains("write its name")), "{sql}: {said:?}");
        }
    }

    #[tokio::test]
    async fn expressions_that_would_read_another_column_than_elsewhere_are_refused() {
        for (with, sql) in [
            ("", "SELECT -n AS n FROM t ORDER BY n + 0"),
            ("", "SELECT -x.n AS n FROM t AS x ORDER BY abs(n) DESC, n"),
            ("", "SELECT s AS n FROM t ORDER BY N || ''"),
            ("", "SELECT k - n AS n FROM t, u ORDER BY n * 1"),
            ("", "SELECT k - n AS n FROM t CROSS JOIN u WHERE k > 1 ORDER BY n * 1 LIMIT 1"),
            ("", "SELECT * FROM (SELECT -n AS n FROM t ORDER BY n + 0 LIMIT 1) AS q"),
            ("", "SELECT (SELECT -n AS n FROM t ORDER BY n + 0 LIMIT 1)"),
            ("", "SELECT max(n) AS n FROM t GROUP BY s ORDER BY n + 0"),
            ("", "SELECT -t.n AS n FROM t, w ORDER BY n * 1"),
            ("", "SELECT -n AS n FROM t FULL JOIN w USING (n) ORDER BY n + 0"),
            ("", "SELECT -t.n AS n FROM t ORDER BY t.n + 0"),
            ("", "SELECT * REPLACE (-n AS n) FROM t ORDER BY n + 0"),
            ("", "SELECT s, (SELECT max(-w.n) AS n FROM w) FROM t ORDER BY n + 0"),
            ("", "SELECT * FROM (WITH x AS (SELECT 3 AS m) SELECT -m AS m FROM x ORDER BY m + 0) AS q"),
            (
                "",
                "SELECT * FROM (WITH x AS (SELECT 3 AS m) SELECT -n AS n FROM t ORDER BY n + 0 LIMIT 1) AS q",
            ),
            (
                "RECURSIVE",
                "SELECT * FROM (WITH x AS (SELECT 1 AS m) SELECT -j AS j FROM r ORDER BY j + 0 LIMIT 1) AS q",
            ),
            ("EXPLAIN", "SELECT -n AS n FROM t ORDER BY CASE WHEN n = 1 THEN 0 ELSE 1 END"),
        ] {
            let r = "r AS (SELECT 1 AS j UNION ALL SELECT j + 1 FROM r WHERE j < 3)";
            let sql = match with {
                "" => format!("WITH {WITH} {sql}"),
                "RECURSIVE" => format!("WITH RECURSIVE {r} {sql}"),
                explain => format!("{explain} WITH {WITH} {sql}"),
            };
            let said = answer(&sql).await;
            assert!(said.as_ref().is_err_and(|said| said.contains("another name")), "{sql}: {said:?}");
        }
    }
}
