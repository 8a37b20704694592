//! Columns of one name: the first keeps it, those behind it are numbered (`count(*)`, `count(*)_1`), as in DuckDB.
//!
//! ```text
//! SELECT count(*), count(*)      ──►  SELECT count(*), count(*) AS "count(*)_1"     the engine refuses equal columns
//! SELECT event_id, * FROM t      ──►  SELECT event_id AS "event_id_1", * FROM t
//! SELECT n, CAST(n AS DOUBLE)    ──►  SELECT n, CAST(n AS DOUBLE) AS "CAST(n AS DOUBLE)"     the engine names both `n`
//! SELECT 1 AS a, 2 AS a          ──►  SELECT 1 AS a, 2 AS "a_1"      where no other query reads them
//! SELECT mod(7, 3), 7 % 3        ──►  SELECT mod(7, 3) AS "mod(7, 3)", …      the engine says that both are one
//! SELECT a.*, b.* FROM a, b      ──►  the answer's columns numbered: formats like JSON keep one of a name only
//! ```

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan, Projection};
use datafusion::sql::parser::Statement as ParserStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor,
    TypedString, Value, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
    visit_expressions_mut,
};
use seislake_model::Error;

/// Gives names to columns of a statement that stand in their query already.
pub(crate) fn number_columns(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        number_given(query);
    }
    let _: ControlFlow<()> = statement.visit(&mut NumberColumns);
}

struct NumberColumns;

impl VisitorMut for NumberColumns {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        each_select(&mut query.body, of_select);
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            if !table.alias.columns.is_empty() {
                name_nulls(&mut table.query.body);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias: Some(alias), .. } = table
            && !alias.columns.is_empty()
        {
            name_nulls(&mut subquery.body);
        }
        ControlFlow::Continue(())
    }
}

/// The queries of a body that are no queries with a WITH or an order of their own.
fn each_select(body: &mut SetExpr, name: fn(&mut Select)) {
    match body {
        SetExpr::Select(select) => name(select),
        SetExpr::SetOperation { left, right, .. } => {
            each_select(left, name);
            each_select(right, name);
        }
        _ => {}
    }
}

/// The columns of a table that gives them other names: the engine finds none that it has named `NULL` itself.
fn name_nulls(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for (index, item) in select.projection.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(expression) = item
                    && matches!(without_casts(expression), Expr::Value(value) if value.value == Value::Null)
                {
                    let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("null_{index}")) };
                }
            }
        }
        SetExpr::SetOperation { left, .. } => name_nulls(left),
        SetExpr::Query(query) => name_nulls(&mut query.body),
        _ => {}
    }
}

fn of_select(select: &mut Select) {
    let all = select.projection.iter().any(|item| {
        let SelectItem::Wildcard(options) = item else { return false };
        is_whole(options)
    });
    let tables: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options)
                if is_whole(options) =>
            {
                Some(table.to_string().to_lowercase())
            }
            _ => None,
        })
        .collect();
    let mut taken: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        })
        .collect();
    let mut bare_counts: HashMap<String, usize> = HashMap::new();
    for item in &select.projection {
        if let SelectItem::UnnamedExpr(expression) = item {
            *bare_counts.entry(bare_name(&without_casts(expression))).or_default() += 1;
        }
    }
    let mut names: HashSet<String> = taken.clone();
    names.extend(select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expression) if subquery_name(expression).is_none() => {
            Some(bare_name(&without_casts(expression)))
        }
        _ => None,
    }));
    let mut seen: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expression) = item else { continue };
        if let Some(name) = subquery_name(expression) {
            if !names.insert(name.clone()) {
                let name = free(&name, &mut taken);
                let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
            }
            continue;
        }
        let column = column_name(expression);
        let bare = without_casts(expression);
        if bare != *expression {
            let is_column = column_name(&bare).is_some();
            let several = bare_counts.get(&bare_name(&bare)).is_some_and(|count| *count > 1);
            if several || is_column && (all || !tables.is_empty()) {
                let name = expression.to_string();
                let name = if taken.insert(name.clone()) { name } else { free(&name, &mut taken) };
                let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
            }
            continue;
        }
        let known = match &column {
            // `x` and `t.x` may be the same column, `t.x` and `u.x` are none.
            Some(name) => {
                let written = text(expression);
                let unqualified = matches!(expression, Expr::Identifier(_));
                let table = written.rsplit_once('.').map_or("", |(table, _)| table);
                let known = all
                    || tables.contains(table)
                    || seen.contains(&written)
                    || seen.contains(&format!("column {name}"))
                    || unqualified && seen.contains(&format!("qualified {name}"));
                seen.insert(written);
                seen.insert(if unqualified { format!("column {name}") } else { format!("qualified {name}") });
                known
            }
            None => !seen.insert(text(expression)),
        };
        if known {
            let name = free(&column.unwrap_or_else(|| expression.to_string()), &mut taken);
            let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
        }
    }
}

/// The outermost query may give a name twice: nothing reads its columns by their names. But where it orders or groups by such
/// a name, one of the two would have to be guessed.
fn number_given(query: &mut Query) {
    let mut read: HashSet<String> = HashSet::new();
    let mut reads = |expression: &Expr| {
        read.extend(column_name(expression));
        ControlFlow::<()>::Continue(())
    };
    let _ = visit_expressions(&query.order_by, &mut reads);
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let _ = visit_expressions(&select.group_by, &mut reads);
    let _ = visit_expressions(&select.having, &mut reads);
    let _ = visit_expressions(&select.qualify, &mut reads);
    let names = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(ident_name(alias)),
        SelectItem::UnnamedExpr(expression) => column_name(expression),
        _ => None,
    });
    let mut taken: HashSet<String> = names.collect();
    // Whether a name was given, or is that of a column.
    let mut seen: HashMap<String, bool> = HashMap::new();
    for item in &mut select.projection {
        let (name, given) = match item {
            SelectItem::ExprWithAlias { alias, .. } => (ident_name(alias), true),
            SelectItem::UnnamedExpr(expression) => match column_name(expression) {
                Some(name) => (name, false),
                None => continue,
            },
            _ => continue,
        };
        // Columns of one name are of different tables, or are numbered elsewhere.
        let doubled = seen.get(&name).is_some_and(|was_given| *was_given || given);
        *seen.entry(name.clone()).or_default() |= given;
        if !doubled || read.contains(&name) {
            continue;
        }
        let name = Ident::with_quote('"', free(&name, &mut taken));
        match item {
            SelectItem::ExprWithAlias { alias, .. } => *alias = name,
            SelectItem::UnnamedExpr(expression) => {
                let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
                *item = SelectItem::ExprWithAlias { expr, alias: name };
            }
            _ => {}
        }
    }
}

fn is_whole(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions { opt_exclude, opt_except, opt_replace, .. } = options;
    opt_exclude.is_none() && opt_except.is_none() && opt_replace.is_none()
}

/// Name of the column that an expression is.
fn column_name(expression: &Expr) -> Option<String> {
    let name = match expression {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => names.last()?,
        Expr::Nested(inner) => return column_name(inner),
        _ => return None,
    };
    Some(ident_name(name))
}

/// Name of the only column of a subquery that stands for its value, which the value bears, too.
pub(crate) fn subquery_name(expression: &Expr) -> Option<String> {
    let query = match expression {
        Expr::Subquery(query) => query,
        Expr::Nested(inner) => return subquery_name(inner),
        _ => return None,
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    match select.projection.as_slice() {
        [SelectItem::ExprWithAlias { alias, .. }] => Some(ident_name(alias)),
        [SelectItem::UnnamedExpr(expression)] => Some(bare_name(&without_casts(expression))),
        _ => None,
    }
}

pub(crate) fn ident_name(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// An expression as the engine names its column: casts leave no trace.
fn without_casts(expression: &Expr) -> Expr {
    let mut bare = expression.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut bare, |part| {
        match part {
            Expr::Cast { expr, .. } => {
                let inner = std::mem::replace(expr.as_mut(), Expr::Identifier(Ident::new("")));
                *part = inner;
            }
            Expr::TypedString(TypedString { value, .. }) => *part = Expr::Value(value.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    bare
}

/// What tells columns apart, wherever they come from.
fn bare_name(bare: &Expr) -> String {
    column_name(bare).unwrap_or_else(|| text(bare))
}

/// An expression as text; what has no quotes is the same in small and capital letters.
pub(crate) fn text(expression: &Expr) -> String {
    if let Expr::Nested(inner) = expression {
        return text(inner);
    }
    let text = expression.to_string();
    if text.contains(['"', '\'']) { text } else { text.to_lowercase() }
}

/// The name with the first number that nothing has.
fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let mut number = 1;
    loop {
        let numbered = format!("{name}_{number}");
        if taken.insert(numbered.clone()) {
            return numbered;
        }
        number += 1;
    }
}

/// Whether the engine refused a statement since columns of a query have one name that differ in the text, or since it cannot
/// order by a calculated one that has no name.
pub(crate) fn lacks_names(error: &Error) -> bool {
    let said = error.chain();
    ["require unique expression names", "Column in ORDER BY must be in GROUP BY"]
        .iter()
        .any(|reason| said.contains(reason))
}

/// Names each column of every query that calculates and has no name by its text.
pub(crate) fn name_calculated(statement: &mut ParserStatement) {
    match statement {
        ParserStatement::Statement(statement) => {
            let _: ControlFlow<()> = statement.visit(&mut NameCalculated);
        }
        ParserStatement::Explain(explain) => name_calculated(&mut explain.statement),
        ParserStatement::CreateExternalTable(_) | ParserStatement::CopyTo(_) | ParserStatement::Reset(_) => {}
    }
}

struct NameCalculated;

impl VisitorMut for NameCalculated {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        each_select(&mut query.body, name_select);
        ControlFlow::Continue(())
    }
}

fn name_select(select: &mut Select) {
    let names = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(ident_name(alias)),
        SelectItem::UnnamedExpr(expression) => column_name(expression),
        _ => None,
    });
    let mut taken: HashSet<String> = names.collect();
    let all = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut seen: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expression) = item else { continue };
        let column = column_name(expression);
        if let Some(column) = &column
            && seen.insert(column.clone())
            && !all
        {
            continue;
        }
        let name = column.unwrap_or_else(|| expression.to_string());
        let name = if taken.insert(name.clone()) { name } else { free(&name, &mut taken) };
        let expr = std::mem::replace(expression, Expr::Identifier(Ident::new("")));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
    }
}

/// A plan whose columns have different names.
///
/// # Errors
/// Never for a plan that has columns.
pub(crate) fn numbered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut given: HashSet<&str> = HashSet::new();
    let schema = Arc::clone(plan.schema());
    let mut taken: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if taken.len() == schema.fields().len() {
        return Ok(plan);
    }
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = PlannedExpr::Column(Column::new(qualifier.cloned(), field.name()));
        if given.insert(field.name()) { column } else { column.alias(free(field.name(), &mut taken)) }
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

#[cfg(test)]
mod tests {
    use crate::asking::{answer, small_session};

    async fn names(sql: &str) -> String {
        let plan = crate::plan(&small_session(), sql).await.unwrap();
        let schema = plan.schema().unwrap();
        schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn columns_of_one_name_are_answered_and_numbered() {
        const T: &str = "(VALUES (2, 'b'), (1, 'a')) AS t(n, s)";
        const U: &str = "(VALUES (1, 'c')) AS u(n, v)";
        for (sql, columns, rows) in [
            ("SELECT n, n FROM T ORDER BY n", "n n_1", "1,1;2,2"),
            ("SELECT n, t.n, N FROM T ORDER BY n", "n n_1 n_2", "1,1,1;2,2,2"),
            ("SELECT t.n, n FROM T ORDER BY n", "n n_1", "1,1;2,2"),
            ("SELECT n, * FROM T ORDER BY n", "n_1 n s", "1,1,a;2,2,b"),
            ("SELECT *, n FROM T ORDER BY n", "n s n_1", "1,a,1;2,b,2"),
            ("SELECT *, n AS n_1, n FROM T ORDER BY n", "n s n_1 n_2", "1,a,1,1;2,b,2,2"),
            ("SELECT t.n, t.* FROM T ORDER BY t.n", "n_1 n s", "1,1,a;2,2,b"),
            ("SELECT t.n, u.* FROM T JOIN U ON t.n = u.n", "n n_1 v", "1,1,c"),
            ("SELECT * EXCLUDE (n), n FROM T ORDER BY n", "s n", "a,1;b,2"),
            ("SELECT DISTINCT n, n FROM T ORDER BY n", "n n_1", "1,1;2,2"),
            ("SELECT t.*, u.* FROM T JOIN U ON t.n = u.n", "n s n_1 v", "1,a,1,c"),
            ("SELECT * FROM T JOIN U ON t.n = u.n", "n s n_1 v", "1,a,1,c"),
            ("SELECT t.n, u.n FROM T, U ORDER BY t.n DESC LIMIT 1", "n n_1", "2,1"),
            (
                "SELECT s, s, count(*), COUNT(*) FROM T GROUP BY s ORDER BY s",
                "s s_1 count(*) COUNT(*)_1",
                "a,a,1,1;b,b,1,1",
            ),
            ("SELECT * FROM (SELECT n, n FROM T) AS v ORDER BY n_1", "n n_1", "1,1;2,2"),
            ("SELECT t.n, \"t\".* FROM T ORDER BY t.n", "n_1 n s", "1,1,a;2,2,b"),
            ("SELECT \"t\".\"n\", t.n, 1 + 0 FROM T ORDER BY 1", "n n_1 1 + 0", "1,1,1;2,2,1"),
            ("SELECT t.n, u.n, 7 AS n_1 FROM T, U ORDER BY t.n DESC LIMIT 1", "n n_2 n_1", "2,1,7"),
            ("SELECT mod(n, 3), n % 3, 1 AS n FROM T ORDER BY 1", "mod(n, 3) n % 3 n", "1,1,1;2,2,1"),
            (
                "SELECT rank() OVER (ORDER BY sum(n)) FROM T GROUP BY s ORDER BY 1",
                "rank() OVER (ORDER BY sum(n))",
                "1;2",
            ),
            ("SELECT (n + 1) * 2, n + 1 * 2 FROM T ORDER BY 1", "(n + 1) * 2 n + 1 * 2", "4,3;6,4"),
            (
                "SELECT mod(n, 3), n % 3, s FROM T GROUP BY n, s ORDER BY s",
                "mod(n, 3) n % 3 s",
                "1,1,a;2,2,b",
            ),
        ] {
            let sql = sql.replace(" T", &format!(" {T}")).replace(" U", &format!(" {U}"));
            assert_eq!(names(&sql).await, columns, "{sql}");
            assert_eq!(answer(&sql).await.as_deref(), Ok(rows), "{sql}");
        }
        for (sql, columns) in [
            ("SELECT 1 AS a, 2 AS a", "a a_1"),
            ("SELECT 1 AS a, 2 AS A, 3 AS \"A\", 4 AS a_1, 5 AS a", "a a_2 A a_1 a_3"),
            ("SELECT s AS n, n FROM T", "n n_1"),
            ("SELECT n, (SELECT max(v) AS n FROM U) FROM T", "n n_1"),
            ("SELECT (SELECT 1 AS k), (SELECT 2 AS k), (SELECT n FROM U LIMIT 1), n FROM T", "k k_1 n_1 n"),
            ("SELECT count(*), (SELECT COUNT(*) FROM U) FROM T", "count(*) count(*)_1"),
            (
                "SELECT (SELECT max(v) FROM U), max(s), (SELECT max(v) FROM U) FROM T",
                "max(u.v) max(t.s) max(v)_1",
            ),
            ("SELECT n, s AS n FROM T", "n n_1"),
            ("SELECT n, CAST(n AS DOUBLE) FROM T", "n CAST(n AS DOUBLE)"),
            ("SELECT CAST(t.n AS DOUBLE), n::VARCHAR, n FROM T", "CAST(t.n AS DOUBLE) n::VARCHAR n"),
            ("SELECT *, CAST(n AS DOUBLE) FROM T", "n s CAST(n AS DOUBLE)"),
            (
                "SELECT 1, CAST(1 AS DOUBLE), try_cast(1 AS DOUBLE)",
                "Int64(1) CAST(1 AS DOUBLE) TRY_CAST(1 AS DOUBLE)",
            ),
            ("SELECT n + 1, CAST(n + 1 AS DOUBLE) FROM T", "t.n + Int64(1) CAST(n + 1 AS DOUBLE)"),
            ("SELECT '2020-01-01', DATE '2020-01-01'", "Utf8(\"2020-01-01\") DATE '2020-01-01'"),
        ] {
            let sql = sql.replace(" T", &format!(" {T}")).replace(" U", &format!(" {U}"));
            assert_eq!(names(&sql).await, columns, "{sql}");
        }
        let guessed = answer("SELECT 1 AS a, 2 AS a ORDER BY a").await;
        assert!(guessed.is_err(), "{guessed:?}");
        for (sql, rows) in [
            ("SELECT 1 AS a, 2 AS a", "1,2"),
            ("SELECT s AS n, n FROM (VALUES (1, 'a')) AS t(n, s)", "a,1"),
            ("SELECT a, b FROM (SELECT 1, CAST(1 AS DOUBLE)) AS q(a, b)", "1,1.0"),
            ("SELECT a, b FROM (SELECT 1, NULL) AS q(a, b)", "1,"),
            (
                "WITH q(a, b, c) AS (SELECT 1, NULL, CAST(NULL AS BIGINT) UNION ALL SELECT 2, 3, 4) SELECT * FROM q ORDER BY a",
                "1,,;2,3,4",
            ),
            ("SELECT 1, CAST(1 AS DOUBLE) UNION ALL SELECT 2, CAST(2 AS DOUBLE)", "1,1.0;2,2.0"),
            ("SELECT 1, 1", "1,1"),
            ("SELECT 1, 1 UNION ALL SELECT 2, 3", "1,1;2,3"),
            ("SELECT 'a', 'A', 'a'", "a,A,a"),
            ("SELECT count(*), count(*) FROM range(0, 3)", "3,3"),
            ("SELECT count(*), (SELECT count(*) FROM range(0, 5)) FROM range(0, 3)", "3,5"),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(rows), "{sql}");
        }
    }
}
