//! The columns that `USING` names are one column of both tables: where a row has no partner, the value is that of the table
//! which has the row. The engine takes the left table's, which is null in the rows of the right table alone.
//!
//! ```text
//! SELECT k, x FROM t FULL JOIN u USING (k) WHERE k > 2
//!   ──►  SELECT coalesce(t.k, u.k) AS k, x FROM t FULL JOIN u ON t.k = u.k WHERE coalesce(t.k, u.k) > 2
//! SELECT * FROM t RIGHT JOIN u USING (k)
//!   ──►  SELECT u.k AS k, t.* EXCLUDE (k), u.* EXCLUDE (k) FROM t RIGHT JOIN u ON t.k = u.k
//! SELECT k FROM t JOIN u USING (k) JOIN v USING (k)
//!   ──►  SELECT t.k AS k FROM t JOIN u ON t.k = u.k JOIN v ON t.k = v.k     the engine merges columns of two tables only
//! ```
//! Other inner and left joins are left alone. What cannot be written so is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderBy,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::names::ident_name;

const NATURAL: &str =
    "NATURAL RIGHT and FULL joins are answered with their columns named: write USING (…) or ON …";
const NAMELESS: &str =
    "a RIGHT or FULL join with USING needs a name for each of its tables: write AS name behind it";
const BRACKETS: &str = "a RIGHT or FULL join with USING or NATURAL in brackets is answered at the begin of FROM: elsewhere write ON …";
const UNCLEAR: &str =
    "it is not clear which table has the column of this USING: write ON …, and coalesce(…) of both columns";
const WILDCARD: &str = "* of a RIGHT or FULL join with USING, or of several with one column, is answered alone and for one list of joins: name the columns";

/// Writes out the joins of a statement that merge columns of rows without a partner.
///
/// # Errors
/// A sentence that says how to write it.
pub(crate) fn write_out(statement: &mut Statement) -> Result<(), &'static str> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(message),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<&'static str> {
        let order_by = query.order_by.as_mut();
        match in_body(&mut query.body, order_by) {
            Ok(()) => ControlFlow::Continue(()),
            Err(message) => ControlFlow::Break(message),
        }
    }
}

/// The queries of a body that are no queries with a WITH or an order of their own.
fn in_body(body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> Result<(), &'static str> {
    match body {
        SetExpr::Select(select) => in_select(select, order_by),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, None)?;
            in_body(right, None)
        }
        _ => Ok(()),
    }
}

/// A column of both sides of a join, as an expression.
struct MergedColumn {
    column: Ident,
    value: Expr,
}

fn in_select(select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<(), &'static str> {
    let mut merged = vec![];
    let mut excluded = vec![];
    for table in &mut select.from {
        open_brackets(table)?;
        in_joins(table, &mut merged, &mut excluded)?;
    }
    if merged.is_empty() {
        return Ok(());
    }
    write_wildcards(select, &merged, &excluded)?;
    // The engine lets no column have a name that one of a table beside it has.
    let beside: Vec<Ident> = select.projection.iter().filter_map(column_beside).cloned().collect();
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && !beside.iter().any(|column| same(column, name))
            && let Some(found) = merged.iter().find(|merged| same(&merged.column, name))
        {
            *item = SelectItem::ExprWithAlias { expr: found.value.clone(), alias: name.clone() };
        }
    }
    // Conditions of joins speak of tables; the columns of what they join are not there yet.
    let from = std::mem::take(&mut select.from);
    let mut names = Names { merged: &merged, depth: 0 };
    let _: ControlFlow<()> = select.visit(&mut names);
    select.from = from;
    let named: Vec<&Ident> = select.projection.iter().filter_map(name_of).collect();
    merged.retain(|merged| !named.iter().any(|name| same(name, &merged.column)));
    if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = order_by {
        let mut names = Names { merged: &merged, depth: 0 };
        let _: ControlFlow<()> = order.visit(&mut names);
    }
    Ok(())
}

/// `(a JOIN b …) JOIN c` is `a JOIN b … JOIN c`; brackets elsewhere are a table of their own.
fn open_brackets(joins: &mut TableWithJoins) -> Result<(), &'static str> {
    while let TableFactor::NestedJoin { table_with_joins, alias: None } = &joins.relation {
        let mut inner = table_with_joins.as_ref().clone();
        inner.joins.append(&mut joins.joins);
        *joins = inner;
    }
    let tables = std::iter::once(&joins.relation).chain(joins.joins.iter().map(|join| &join.relation));
    for table in tables {
        if let TableFactor::NestedJoin { table_with_joins, .. } = table
            && merges_right(table_with_joins)
        {
            return Err(BRACKETS);
        }
    }
    Ok(())
}

/// Whether rows of one of its joins may have no partner on the left of a merged column, inside of brackets, too.
fn merges_right(joins: &TableWithJoins) -> bool {
    let mut tables = std::iter::once(&joins.relation).chain(joins.joins.iter().map(|join| &join.relation));
    let inside = |table: &TableFactor| matches!(table, TableFactor::NestedJoin { table_with_joins, .. } if merges_right(table_with_joins));
    joins.joins.iter().any(|join| keeps_right(join) && !is_on(join)) || tables.any(inside)
}

fn column_beside(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last(),
        _ => None,
    }
}

fn name_of(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    }
}

/// Puts merged columns in the place of their names, but for those in subqueries, which have tables of their own.
struct Names<'a> {
    merged: &'a [MergedColumn],
    depth: usize,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(name) = expression
            && let Some(found) = self.merged.iter().find(|merged| same(&merged.column, name))
        {
            *expression = found.value.clone();
        }
        ControlFlow::Continue(())
    }
}

fn same(one: &Ident, other: &Ident) -> bool {
    ident_name(one) == ident_name(other)
}

/// Whether several joins of a list merge one column, and all of its tables have names by which that can be written.
fn merges_often(joins: &TableWithJoins) -> bool {
    let mut tables = std::iter::once(&joins.relation).chain(joins.joins.iter().map(|join| &join.relation));
    let columns: Vec<&Ident> = joins.joins.iter().flat_map(named_columns).collect();
    let often =
        |(place, column): (usize, &&Ident)| columns.iter().skip(place + 1).any(|other| same(column, other));
    columns.iter().enumerate().any(often) && tables.all(|table| name_of_table(table).is_some())
}

/// The columns that a join names in USING.
fn named_columns(join: &Join) -> Vec<&Ident> {
    let columns = match &join.join_operator {
        JoinOperator::Join(JoinConstraint::Using(columns))
        | JoinOperator::Inner(JoinConstraint::Using(columns))
        | JoinOperator::Left(JoinConstraint::Using(columns))
        | JoinOperator::LeftOuter(JoinConstraint::Using(columns)) => columns.as_slice(),
        _ => &[],
    };
    columns.iter().filter_map(|name| name.0.last().and_then(ObjectNamePart::as_ident)).collect()
}

/// A table of a list of joins, and its columns that are merged.
struct Table {
    name: ObjectName,
    merged: Vec<Ident>,
}

/// Writes a list of joins with ON, if rows of one of them may have no partner on the left, or several merge one column.
fn in_joins(
    joins: &mut TableWithJoins,
    merged: &mut Vec<MergedColumn>,
    tables: &mut Vec<Table>,
) -> Result<(), &'static str> {
    if !joins.joins.iter().any(|join| keeps_right(join) && !is_on(join)) && !merges_often(joins) {
        let named = std::iter::once(&joins.relation).chain(joins.joins.iter().map(|join| &join.relation));
        let uses = joins.joins.iter().any(|join| !is_on(join));
        for table in named {
            // Without names, or with columns of their own to merge, a wildcard cannot be written out.
            let name = if uses { None } else { name_of_table(table) };
            tables.push(Table { name: name.unwrap_or_else(|| ObjectName(vec![])), merged: vec![] });
        }
        return Ok(());
    }
    let mut here: Vec<MergedColumn> = vec![];
    let mut named = vec![Table { name: name_of_table(&joins.relation).ok_or(NAMELESS)?, merged: vec![] }];
    for join in &mut joins.joins {
        let mut right = Table { name: name_of_table(&join.relation).ok_or(NAMELESS)?, merged: vec![] };
        let side = side(&join.join_operator);
        match constraint(&mut join.join_operator) {
            Some(JoinConstraint::Natural) => return Err(NATURAL),
            Some(constraint @ JoinConstraint::Using(_)) => {
                let JoinConstraint::Using(columns) = std::mem::replace(constraint, JoinConstraint::None)
                else {
                    return Err(UNCLEAR);
                };
                let mut condition = None;
                for column in columns {
                    let [ObjectNamePart::Identifier(column)] = column.0.as_slice() else {
                        return Err(UNCLEAR);
                    };
                    let known = here.iter().position(|merged| same(&merged.column, column));
                    let left_value = match (known, named.as_mut_slice()) {
                        (Some(index), _) => here.get(index).map(|merged| merged.value.clone()),
                        (None, [only]) => {
                            only.merged.push(column.clone());
                            Some(column_of(&only.name, column))
                        }
                        (None, _) => None,
                    };
                    let left_value = left_value.ok_or(UNCLEAR)?;
                    let right_value = column_of(&right.name, column);
                    let equal = parsed(&format!("{left_value} = {right_value}"))?;
                    condition = Some(match condition {
                        Some(before) => parsed(&format!("{before} AND {equal}"))?,
                        None => equal,
                    });
                    let value = match side {
                        Side::Left => left_value,
                        Side::Right => right_value,
                        Side::Both => first_given(&left_value, &right_value)?,
                        Side::Neither => return Err(UNCLEAR),
                    };
                    right.merged.push(column.clone());
                    let merged = MergedColumn { column: column.clone(), value };
                    match known.and_then(|index| here.get_mut(index)) {
                        Some(known) => *known = merged,
                        None => here.push(merged),
                    }
                }
                *constraint = JoinConstraint::On(condition.ok_or(UNCLEAR)?);
            }
            _ => {}
        }
        named.push(right);
    }
    merged.extend(here);
    tables.extend(named);
    Ok(())
}

/// The table of a join that has a row wherever the join has one.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    /// Either of both.
    Both,
    /// It gives the columns of one table only.
    Neither,
}

fn side(operator: &JoinOperator) -> Side {
    match operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::CrossJoin(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_) => Side::Left,
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Side::Right,
        JoinOperator::FullOuter(_) => Side::Both,
        _ => Side::Neither,
    }
}

fn keeps_right(join: &Join) -> bool {
    matches!(side(&join.join_operator), Side::Right | Side::Both)
}

fn is_on(join: &Join) -> bool {
    let mut operator = join.join_operator.clone();
    !matches!(constraint(&mut operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}

fn name_of_table(table: &TableFactor) -> Option<ObjectName> {
    match table {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(ObjectName::from(vec![alias.name.clone()]))
        }
        TableFactor::Table { name, alias: None, args: None, .. } => Some(name.clone()),
        _ => None,
    }
}

fn column_of(table: &ObjectName, column: &Ident) -> Expr {
    let table = table.0.iter().filter_map(ObjectNamePart::as_ident).cloned();
    Expr::CompoundIdentifier(table.chain([column.clone()]).collect())
}

/// `coalesce`, flat: one in another would double with every join.
fn first_given(left: &Expr, right: &Expr) -> Result<Expr, &'static str> {
    let left = left.to_string();
    let values = left.strip_prefix("coalesce(").and_then(|values| values.strip_suffix(')')).unwrap_or(&left);
    parsed(&format!("coalesce({values}, {right})"))
}

fn parsed(sql: &str) -> Result<Expr, &'static str> {
    let mut parser = Parser::new(&GenericDialect).try_with_sql(sql).map_err(|_| UNCLEAR)?;
    parser.parse_expr().map_err(|_| UNCLEAR)
}

/// `*` as the merged columns and those of each table without them.
fn write_wildcards(
    select: &mut Select,
    merged: &[MergedColumn],
    tables: &[Table],
) -> Result<(), &'static str> {
    let mut items = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let options = match item {
            SelectItem::Wildcard(options) => options,
            other => {
                items.push(other);
                continue;
            }
        };
        let plain = WildcardAdditionalOptions {
            wildcard_token: options.wildcard_token.clone(),
            ..Default::default()
        };
        if options != plain || select.from.len() > 1 || tables.iter().any(|table| table.name.0.is_empty()) {
            return Err(WILDCARD);
        }
        items.extend(merged.iter().map(|merged| SelectItem::ExprWithAlias {
            expr: merged.value.clone(),
            alias: merged.column.clone(),
        }));
        items.extend(tables.iter().map(|table| {
            let options = WildcardAdditionalOptions {
                opt_exclude: match table.merged.is_empty() {
                    true => None,
                    false => Some(ExcludeSelectItem::Multiple(table.merged.clone())),
                },
                ..Default::default()
            };
            let kind = SelectItemQualifiedWildcardKind::ObjectName(table.name.clone());
            SelectItem::QualifiedWildcard(kind, options)
        }));
    }
    select.projection = items;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    const WITH: &str = "WITH t AS (SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(k, x)),
        u AS (SELECT * FROM (VALUES (2, 'c'), (3, 'd'), (4, 'd')) AS v(k, y)),
        w AS (SELECT * FROM (VALUES (4, 'e'), (5, 'f')) AS v(k, z)), l AS (SELECT * FROM (VALUES (3)) AS v(k))";

    #[tokio::test]
    async fn merged_columns_have_the_value_of_the_table_with_the_row() {
        let mut wrong = vec![];
        for (sql, expected) in [
            ("SELECT k, x, y FROM t FULL JOIN u USING (k) ORDER BY k", "1,a,;2,b,c;3,,d;4,,d"),
            ("SELECT k, x, y FROM t RIGHT JOIN u USING (k) ORDER BY k", "2,b,c;3,,d;4,,d"),
            ("SELECT K + 1 FROM t FULL OUTER JOIN u USING (k) WHERE k > 2 ORDER BY k DESC", "5;4"),
            ("SELECT * FROM t FULL JOIN u USING (k) ORDER BY k", "1,a,;2,b,c;3,,d;4,,d"),
            ("SELECT * FROM t RIGHT JOIN l USING (k)", "3,"),
            (
                "SELECT k, count(*) FROM t FULL JOIN u USING (k) GROUP BY k HAVING k <> 3 ORDER BY k",
                "1,1;2,1;4,1",
            ),
            (
                "SELECT k, x, y, z FROM t FULL JOIN u USING (k) FULL JOIN w USING (k) ORDER BY k",
                "1,a,,;2,b,c,;3,,d,;4,,d,e;5,,,f",
            ),
            ("SELECT * FROM t FULL JOIN u USING (k) RIGHT JOIN w USING (k) ORDER BY 1", "4,,d,e;5,,,f"),
            (
                "SELECT k FROM t FULL JOIN (SELECT k FROM u) AS v USING (k) UNION SELECT k FROM w ORDER BY k",
                "1;2;3;4;5",
            ),
            ("SELECT max(k) FROM (SELECT k, x FROM t FULL JOIN u USING (k)) AS s", "4"),
            ("SELECT k FROM t FULL JOIN u USING (k) WHERE k IN (SELECT k FROM w)", "4"),
            ("SELECT DISTINCT y, k * 2 AS k FROM t RIGHT JOIN u USING (k) ORDER BY k", "c,4;d,6;d,8"),
            (
                "SELECT k, row_number() OVER (ORDER BY k DESC) FROM t FULL JOIN u USING (k) ORDER BY k",
                "1,4;2,3;3,2;4,1",
            ),
            ("SELECT k, x, y FROM t LEFT JOIN u USING (k) ORDER BY k", "1,a,;2,b,c"),
            ("SELECT * FROM t NATURAL JOIN u", "2,b,c"),
            ("SELECT k FROM (t FULL JOIN u USING (k)) ORDER BY k", "1;2;3;4"),
            ("SELECT count(k), sum(k) FROM ((t RIGHT JOIN u USING (k))) WHERE k > 2", "2,7"),
            (
                "SELECT k, z FROM ((t FULL JOIN u USING (k)) FULL JOIN w USING (k)) ORDER BY k",
                "1,;2,;3,;4,e;5,f",
            ),
            ("SELECT k, y, z FROM u JOIN w USING (k) LEFT JOIN l USING (k)", "4,d,e"),
            (
                "SELECT k FROM t LEFT JOIN u USING (k) LEFT JOIN w USING (K) WHERE k > 1 GROUP BY k ORDER BY k",
                "2",
            ),
            (
                "SELECT k + 1 AS n FROM t LEFT JOIN u USING (k) LEFT JOIN w USING (k) LEFT JOIN l USING (k) ORDER BY n",
                "2;3",
            ),
            ("SELECT k, x FROM t LEFT JOIN u USING (k) LEFT JOIN w USING (k) ORDER BY k DESC", "2,b;1,a"),
            ("SELECT * FROM u JOIN w USING (k) LEFT JOIN l USING (k)", "4,d,e"),
            ("SELECT x, z FROM t LEFT JOIN (u JOIN w USING (k)) ON t.k < w.k ORDER BY x", "a,e;b,e"),
        ] {
            let said = answer(&format!("{WITH} {sql}")).await;
            if said.as_deref() != Ok(expected) {
                wrong.push(format!("{sql}: {said:?}, not {expected:?}"));
            }
        }
        for (sql, part) in [
            ("SELECT * FROM t NATURAL FULL JOIN u", "write USING"),
            ("SELECT * FROM (t NATURAL FULL JOIN u)", "write USING"),
            ("SELECT x FROM t JOIN (u FULL JOIN w USING (k)) ON t.x = u.y", "write ON"),
            ("SELECT x FROM t JOIN (l JOIN (u FULL JOIN w USING (k)) ON true) ON true", "write ON"),
            ("SELECT k FROM t RIGHT JOIN (SELECT k FROM u) USING (k)", "write AS name"),
            ("SELECT k FROM t JOIN w ON t.k = w.k FULL JOIN u USING (k)", "write ON"),
            ("SELECT * FROM t FULL JOIN u USING (k), w", "name the columns"),
        ] {
            let said = answer(&format!("{WITH} {sql}")).await;
            if !said.as_ref().is_err_and(|said| said.contains(part)) {
                wrong.push(format!("{sql}: {said:?}, not {part:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
