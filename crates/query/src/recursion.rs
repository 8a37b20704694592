//! Recursive tables keep their columns, what these may hold, and the names that stand behind the table's.
//!
//! ```text
//! WITH RECURSIVE t(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m * 2 FROM t WHERE m < 99) SELECT n FROM t
//!   ──►  WITH RECURSIVE t AS (SELECT * FROM (SELECT 1, 2) AS "first rows"(n, m) UNION ALL
//!                             SELECT * FROM (SELECT n + 1, …) AS "later rows") …
//! ```
//! The engine does not know the names inside the recursion. And it drops a column that the statement outside does not read
//! from some of the rows, unless the first rows come from a table with a name of its own. A bare NULL among the first rows has
//! no type that a later row could have: it is refused.
//!
//! The engine takes the columns for what they are in the first rows. So a column may be null there, too, whatever its first
//! values are; and what later rows give is cast to the type of the first, which is refused where it would be cut off. Those
//! are the only casts that stand above the later rows. Rows of `UNION` are compared as everywhere: with one zero and one NaN.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result as EngineResult, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{Alias, Cast};
use datafusion::logical_expr::{
    Expr as PlannedExpr, ExprSchemable, LogicalPlan, Projection, RecursiveQuery, TableScan,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectNamePart, Query, SelectItem, SetExpr, Statement, TableAliasColumnDef, TableFactor,
    Value, VisitMut, VisitorMut, visit_relations,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::comparisons::one_value;
use crate::marks::Mark;

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
            let SetExpr::SetOperation { left, right, .. } = table.query.body.as_mut() else { continue };
            if has_bare_null(left) {
                return ControlFlow::Break(BARE_NULL);
            }
            if reads(right, &table.alias.name)
                && let Some(named) = rows_of(right, "later rows", &[])
            {
                **right = named;
            }
            if let Some(named) = rows_of(left, "first rows", &table.alias.columns) {
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

/// Whether rows come from a table of this name.
fn reads(rows: &SetExpr, table: &Ident) -> bool {
    let read = visit_relations(rows, |name| match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] if name.value.eq_ignore_ascii_case(&table.value) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    read.is_break()
}

/// `SELECT * FROM (rows) AS "name"(columns)`
fn rows_of(rows: &SetExpr, name: &str, columns: &[TableAliasColumnDef]) -> Option<SetExpr> {
    let template = "SELECT * FROM (SELECT 1) AS rows";
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
    alias.name = Ident::with_quote('"', name);
    alias.columns = columns.to_vec();
    Some(*query.body)
}

/// Tells the engine that columns of recursive tables may be null, and refuses those that would be cut off; before any other
/// rule looks at them.
#[derive(Debug)]
pub(crate) struct WidenRecursion;

impl AnalyzerRule for WidenRecursion {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> EngineResult<LogicalPlan> {
        let changed = Cell::new(false);
        let widened = plan.transform_up_with_subqueries(|node| {
            let node = match node {
                LogicalPlan::TableScan(scan) => read_again(scan)?,
                LogicalPlan::RecursiveQuery(query) => recursive(query)?,
                other => Transformed::no(other),
            };
            changed.set(changed.get() || node.transformed);
            // What was never null may be null now, and all above has to know.
            if changed.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })?;
        Ok(widened.data)
    }

    fn name(&self) -> &'static str {
        "widen_recursion"
    }
}

/// The rows of the step before.
fn read_again(scan: TableScan) -> EngineResult<Transformed<LogicalPlan>> {
    let provider = source_as_provider(&scan.source).ok();
    let table = provider.as_ref().and_then(|provider| provider.as_any().downcast_ref::<CteWorkTable>());
    let Some(table) = table else { return Ok(Transformed::no(LogicalPlan::TableScan(scan))) };
    let schema = table.schema();
    let fields = schema.fields().iter().map(|field| Field::clone(field).with_nullable(true));
    let fields: Vec<Field> = fields.collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let source = provider_as_source(Arc::new(CteWorkTable::new(table.name(), schema)));
    let scan = TableScan::try_new(scan.table_name, source, scan.projection, scan.filters, scan.fetch)?;
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

fn recursive(query: RecursiveQuery) -> EngineResult<Transformed<LogicalPlan>> {
    let RecursiveQuery { name, static_term, recursive_term, is_distinct } = query;
    if let LogicalPlan::Projection(Projection { expr, input, .. }) = recursive_term.as_ref() {
        for (later, first) in expr.iter().zip(static_term.schema().fields()) {
            let later = match later {
                PlannedExpr::Alias(Alias { expr, .. }) => expr.as_ref(),
                other => other,
            };
            let PlannedExpr::Cast(Cast { expr: later, data_type }) = later else { continue };
            let later = later.get_type(input.schema())?;
            if cuts_off(&later, data_type) {
                return cut_off(&name, first.name(), data_type, &later);
            }
        }
    }
    let names: Vec<(Option<TableReference>, &String)> =
        static_term.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.name())).collect();
    let first = static_term.schema().iter().map(|(qualifier, field)| {
        let mut column = PlannedExpr::from((qualifier, field));
        let is_other = is_distinct && one_value(&mut column, static_term.schema());
        if !field.is_nullable() {
            column = Mark::MayBeNull.on(column);
        } else if !is_other {
            return column;
        }
        column.alias_qualified(qualifier.cloned(), field.name())
    });
    // The engine passes the later rows on under names of their own.
    let later = recursive_term.schema().iter().zip(names).map(|((qualifier, field), (first, name))| {
        let mut column = PlannedExpr::from((qualifier, field));
        if is_distinct {
            one_value(&mut column, recursive_term.schema());
        }
        column.alias_qualified(first, name)
    });
    let (first, later) = (first.collect(), later.collect());
    let recursive_term =
        Arc::new(LogicalPlan::Projection(Projection::try_new(later, Arc::clone(&recursive_term))?));
    let static_term =
        Arc::new(LogicalPlan::Projection(Projection::try_new(first, Arc::clone(&static_term))?));
    let query = RecursiveQuery { name, static_term, recursive_term, is_distinct };
    Ok(Transformed::yes(LogicalPlan::RecursiveQuery(query)))
}

fn cut_off<T>(table: &str, column: &str, first: &DataType, later: &DataType) -> EngineResult<T> {
    plan_err!(
        "column \"{column}\" of the recursive table \"{table}\" has the type {first} in its first rows, which would cut off \
         values of the type {later} in later ones: CAST one of them"
    )
}

/// Keeps the columns of recursive tables in the types in which they are read again, where rules after [`WidenRecursion`] gave
/// them others: a day and a span are a time. The last rule that looks at types.
#[derive(Debug)]
pub(crate) struct KeepRecursiveTypes;

impl AnalyzerRule for KeepRecursiveTypes {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> EngineResult<LogicalPlan> {
        let kept = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::RecursiveQuery(query) => kept_types(query),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(kept.data)
    }

    fn name(&self) -> &'static str {
        "keep_recursive_types"
    }
}

fn kept_types(query: RecursiveQuery) -> EngineResult<Transformed<LogicalPlan>> {
    let RecursiveQuery { name, static_term, recursive_term, is_distinct } = query;
    let mut kinds = types_of(static_term.schema().fields());
    recursive_term.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.as_any().downcast_ref::<CteWorkTable>()
            && table.name() == name
        {
            kinds = types_of(table.schema().fields());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    for (kind, field) in kinds.iter().zip(static_term.schema().fields()) {
        if cuts_off(field.data_type(), kind) {
            return plan_err!(
                "column \"{}\" of the recursive table \"{name}\" has the type {} in its first rows, and {kind} where it is read \
                 again: CAST it in the first rows",
                field.name(),
                field.data_type()
            );
        }
    }
    let fields = static_term.schema().fields().iter().zip(recursive_term.schema().fields());
    for (kind, (first, later)) in kinds.iter().zip(fields) {
        if cuts_off(later.data_type(), kind) {
            return cut_off(&name, first.name(), kind, later.data_type());
        }
    }
    let (first, later) = (in_types(&static_term, &kinds)?, in_types(&recursive_term, &kinds)?);
    let changed = first.is_some() || later.is_some();
    let static_term = first.unwrap_or(static_term);
    let recursive_term = later.unwrap_or(recursive_term);
    let query =
        LogicalPlan::RecursiveQuery(RecursiveQuery { name, static_term, recursive_term, is_distinct });
    Ok(if changed { Transformed::yes(query) } else { Transformed::no(query) })
}

fn types_of(fields: &Fields) -> Vec<DataType> {
    fields.iter().map(|field| field.data_type().clone()).collect()
}

/// `rows` with columns of these types; `None` where they have them.
fn in_types(rows: &Arc<LogicalPlan>, kinds: &[DataType]) -> EngineResult<Option<Arc<LogicalPlan>>> {
    let schema = rows.schema();
    if schema.fields().iter().zip(kinds).all(|(field, kind)| field.data_type().equals_datatype(kind)) {
        return Ok(None);
    }
    let columns = schema.iter().zip(kinds).map(|((qualifier, field), kind)| {
        let column = PlannedExpr::from((qualifier, field));
        if field.data_type().equals_datatype(kind) {
            return column;
        }
        PlannedExpr::Cast(Cast::new(Box::new(column), kind.clone()))
            .alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = columns.collect();
    Ok(Some(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(rows))?))))
}

/// Whether a cast loses a part of a value without an error.
fn cuts_off(from: &DataType, to: &DataType) -> bool {
    let scale = |kind: &DataType| match kind {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        kind if kind.is_integer() => Some(0),
        _ => None,
    };
    if from.is_floating() && to.is_floating() {
        return from.primitive_width() > to.primitive_width();
    }
    if *to == DataType::Boolean {
        return from.is_numeric();
    }
    match (from, to) {
        (
            DataType::Timestamp(..),
            DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_),
        ) => true,
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => from > to,
        (from, to) => {
            scale(to).is_some_and(|to| from.is_floating() || scale(from).is_some_and(|from| from > to))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use crate::asking::{answer, small_session};

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

    #[tokio::test]
    async fn columns_that_are_null_in_later_rows_only_may_be_null() {
        const T: &str =
            "WITH RECURSIVE t(n, p) AS (SELECT 1, 2 UNION ALL SELECT n + 1, nullif(p, 2) FROM t WHERE n < 3)";
        for (sql, expected) in [
            ("SELECT * FROM t WHERE p IS NULL ORDER BY n", "2,;3,"),
            ("SELECT count(p), count(*) FROM t", "1,3"),
            ("SELECT n, coalesce(p, 7) FROM t ORDER BY n", "1,2;2,7;3,7"),
            ("SELECT n FROM t WHERE 7 NOT IN (SELECT p FROM t)", ""),
            ("SELECT n, 7 IN (SELECT p FROM t) FROM t ORDER BY n LIMIT 1", "1,"),
        ] {
            assert_eq!(answer(&format!("{T} {sql}")).await.as_deref(), Ok(expected), "{sql}");
        }
        for (sql, expected) in [
            (
                "WITH RECURSIVE t(n, p) AS (SELECT 1, 2 UNION ALL SELECT n + 1, NULL FROM t WHERE n < 3)
                 SELECT * FROM t WHERE p IS NULL ORDER BY n",
                "2,;3,",
            ),
            (
                "WITH RECURSIVE t(n, p) AS (SELECT 1, 2 UNION ALL SELECT n + 1, nullif(p, 2) FROM t WHERE n < 4 AND p IS NOT NULL)
                 SELECT * FROM t ORDER BY n",
                "1,2;2,",
            ),
            (
                "WITH RECURSIVE t AS (SELECT 1 AS n, 1 AS m UNION ALL SELECT n + 1, n + 1 FROM t WHERE n < 2) SELECT * FROM t ORDER BY n",
                "1,1;2,2",
            ),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn later_values_that_the_type_of_the_first_would_cut_off_are_refused() {
        for sql in [
            "WITH RECURSIVE t(n, p) AS (SELECT 1, 1 UNION ALL SELECT n + 1, p * 1.5 FROM t WHERE n < 4) SELECT * FROM t",
            "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 0.5 FROM t WHERE n < 3) SELECT * FROM t",
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION SELECT x FROM (SELECT n + 1.5 AS x FROM t) AS s WHERE x < 9) SELECT * FROM t",
            "WITH RECURSIVE t(n, p) AS (SELECT 1, CAST(1 AS DECIMAL(9, 1)) UNION ALL SELECT n + 1, CAST(n AS DECIMAL(9, 2)) / 4
             FROM t WHERE n < 3) SELECT * FROM t",
            "WITH RECURSIVE t(n, p) AS (SELECT 1, DATE '2024-01-01' UNION ALL SELECT n + 1, TIMESTAMP '2024-01-02T03:04:05'
             FROM t WHERE n < 3) SELECT * FROM t",
        ] {
            let said = answer(sql).await;
            assert!(said.as_ref().is_err_and(|said| said.contains("cut off")), "{sql}: {said:?}");
        }
        for (sql, expected) in [
            (
                "WITH RECURSIVE t(n, p) AS (SELECT 1, 1 UNION ALL SELECT n + 1, CAST(p * 1.5 AS BIGINT) FROM t WHERE n < 3)
                 SELECT * FROM t ORDER BY n",
                "1,1;2,1;3,1",
            ),
            (
                "WITH RECURSIVE t(n, p) AS (SELECT 1, 1.0 UNION ALL SELECT n + 1, n FROM t WHERE n < 3) SELECT * FROM t ORDER BY n",
                "1,1.0;2,1.0;3,2.0",
            ),
            (
                "WITH RECURSIVE t(n, p) AS (SELECT CAST(1 AS SMALLINT), 'a' UNION ALL SELECT n + 1, n FROM t WHERE n < 3)
                 SELECT * FROM t ORDER BY n",
                "1,a;2,1;3,2",
            ),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn rows_of_a_union_are_one_whatever_their_zero_is_called() {
        for (sql, expected) in [
            ("WITH RECURSIVE t AS (SELECT 0.0 AS x UNION SELECT -x FROM t) SELECT * FROM t", "0.0"),
            ("WITH RECURSIVE t AS (SELECT -0.0 AS x UNION SELECT -x FROM t) SELECT * FROM t", "0.0"),
            (
                "WITH RECURSIVE t AS (SELECT ARRAY[0.0] AS x UNION SELECT ARRAY[-(x[1])] FROM t) SELECT * FROM t",
                "[0.0]",
            ),
            (
                "WITH RECURSIVE t AS (SELECT CAST('NaN' AS DOUBLE) AS x, 1 AS n UNION SELECT -x, n FROM t) SELECT * FROM t",
                "NaN,1",
            ),
            (
                "WITH RECURSIVE t AS (SELECT -0.0 AS x, 1 AS n UNION ALL SELECT -x, n + 1 FROM t WHERE n < 2) SELECT x FROM t",
                "-0.0;0.0",
            ),
        ] {
            assert_eq!(answer(sql).await.as_deref(), Ok(expected), "{sql}");
        }
    }

    #[tokio::test]
    async fn later_rows_bear_the_names_of_the_first() {
        let sql = "WITH RECURSIVE t AS (SELECT 1 AS n, 'a' AS s UNION ALL SELECT n + 1, s || 'b' FROM t WHERE n < 3) SELECT * FROM t";
        let batches =
            crate::query(&small_session(), sql).await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        for batch in batches {
            let names: Vec<&str> =
                batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(names, ["n", "s"]);
        }
    }

    #[tokio::test]
    async fn a_day_and_a_span_are_a_time_in_every_row() {
        for (sql, expected) in [
            (
                "WITH RECURSIVE t(d) AS (SELECT DATE '2024-01-01' UNION ALL SELECT d + INTERVAL '1 day' FROM t
                 WHERE d < DATE '2024-01-03') SELECT * FROM t",
                Err("cut off"),
            ),
            (
                "WITH RECURSIVE t(d) AS (SELECT DATE '2024-01-01' + INTERVAL '6 hours' UNION ALL SELECT d + INTERVAL '1 day' FROM t
                 WHERE d < DATE '2024-01-03') SELECT * FROM t",
                Err("CAST it in the first rows"),
            ),
            (
                "WITH RECURSIVE t(d) AS (SELECT DATE '2024-01-01' UNION ALL SELECT CAST(d + INTERVAL '1 day' AS DATE) FROM t
                 WHERE d < DATE '2024-01-03') SELECT * FROM t",
                Ok("2024-01-01;2024-01-02;2024-01-03"),
            ),
            (
                "WITH RECURSIVE t(d) AS (SELECT CAST('2024-01-01' AS TIMESTAMP) UNION ALL SELECT d + INTERVAL '1 day' FROM t
                 WHERE d < DATE '2024-01-02') SELECT * FROM t",
                Ok("2024-01-01T00:00:00;2024-01-02T00:00:00"),
            ),
        ] {
            let said = answer(sql).await;
            match expected {
                Ok(rows) => assert_eq!(said.as_deref(), Ok(rows), "{sql}"),
                Err(told) => assert!(said.as_ref().is_err_and(|said| said.contains(told)), "{sql}: {said:?}"),
            }
        }
    }
}
