//! How large an expression becomes when the columns that it names are replaced by what they are.
//!
//! The optimizer moves conditions below the queries that they stand above, and writes there what each column was
//! calculated from. With `x + x AS x` in every query the condition doubles at every level: forty short levels make a
//! condition of a million million operands. So the size of every column is followed through the tree.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Visit, Visitor,
};

/// Operands of a column or condition at most, all replaced.
const OPERANDS_MAX: u64 = 200_000;

/// Columns of a query and their operands, in order.
type Columns = Vec<(String, u64)>;

/// The table expressions that are known at a place.
type Known = HashMap<String, Columns>;

/// An expression is larger than allowed.
#[derive(Debug)]
pub(super) struct TooLarge;

/// # Errors
/// See [`TooLarge`].
pub(super) fn check(statement: &Statement) -> Result<(), TooLarge> {
    match statement {
        Statement::Query(query) => of_query(query, &Known::new()).map(drop),
        _ => Ok(()),
    }
}

fn of_query(query: &Query, known: &Known) -> Result<Columns, TooLarge> {
    let mut known = known.clone();
    for table in query.with.iter().flat_map(|with| &with.cte_tables) {
        let mut columns = of_query(&table.query, &known)?;
        rename(&mut columns, table.alias.columns.iter().map(|column| column.name.value.as_str()));
        known.insert(table.alias.name.value.to_lowercase(), columns);
    }
    // A chain of unions leans to the left: no recursion along it.
    let mut open = vec![query.body.as_ref()];
    let mut all: Option<Columns> = None;
    while let Some(body) = open.pop() {
        let columns = match body {
            SetExpr::SetOperation { left, right, .. } => {
                open.extend([right.as_ref(), left.as_ref()]);
                continue;
            }
            SetExpr::Select(select) => of_select(select, &known)?,
            SetExpr::Query(inner) => of_query(inner, &known)?,
            _ => Columns::new(),
        };
        all = Some(match all {
            None => columns,
            Some(mut before) => {
                for (one, (_, other)) in before.iter_mut().zip(&columns) {
                    one.1 = one.1.max(*other);
                }
                before
            }
        });
    }
    Ok(all.unwrap_or_default())
}

fn rename<'a>(columns: &mut Columns, names: impl Iterator<Item = &'a str>) {
    for (column, name) in columns.iter_mut().zip(names) {
        column.0 = name.to_lowercase();
    }
}

fn of_select(select: &Select, known: &Known) -> Result<Columns, TooLarge> {
    let mut given = Columns::new();
    for table in &select.from {
        of_tables(table, known, &mut given)?;
    }
    // Where two tables have a column of one name, the larger one stands for both.
    let mut sizes = HashMap::<&str, u64>::new();
    for (name, size) in &given {
        let known = sizes.entry(name).or_default();
        *known = (*known).max(*size);
    }
    for condition in select.selection.iter().chain(&select.having).chain(&select.qualify) {
        operands(condition, &sizes)?;
    }
    let mut columns = Columns::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expression) => {
                columns.push((name_of(expression), operands(expression, &sizes)?));
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                columns.push((alias.value.to_lowercase(), operands(expr, &sizes)?));
            }
            _ => columns.extend(given.iter().cloned()),
        }
    }
    Ok(columns)
}

fn of_tables(table: &TableWithJoins, known: &Known, columns: &mut Columns) -> Result<(), TooLarge> {
    for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
        let (mut found, alias) = match factor {
            TableFactor::Derived { subquery, alias, .. } => (of_query(subquery, known)?, alias),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut inner = Columns::new();
                of_tables(table_with_joins, known, &mut inner)?;
                (inner, alias)
            }
            TableFactor::Table { name, alias, .. } => {
                let name = name.to_string().trim_matches('"').to_lowercase();
                (known.get(&name).cloned().unwrap_or_default(), alias)
            }
            _ => continue,
        };
        let names = alias.iter().flat_map(|alias| &alias.columns);
        rename(&mut found, names.map(|column| column.name.value.as_str()));
        columns.append(&mut found);
    }
    Ok(())
}

fn name_of(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) => name.value.to_lowercase(),
        Expr::CompoundIdentifier(names) => {
            names.last().map(|name| name.value.to_lowercase()).unwrap_or_default()
        }
        // Nobody can name it but by its text, which has no use.
        _ => String::new(),
    }
}

fn operands(expression: &Expr, sizes: &HashMap<&str, u64>) -> Result<u64, TooLarge> {
    let mut operands = Operands { sizes, count: 0, case_count: 0 };
    match Visit::visit(expression, &mut operands) {
        ControlFlow::Break(()) => Err(TooLarge),
        ControlFlow::Continue(()) => Ok(operands.count),
    }
}

/// Counts the operands of an expression; those in a `CASE` twice, for the engine keeps two copies of it.
struct Operands<'a> {
    sizes: &'a HashMap<&'a str, u64>,
    count: u64,
    case_count: u32,
}

impl Visitor for Operands<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, part: &Expr) -> ControlFlow<()> {
        let size = match part {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.sizes.get(name_of(part).as_str()).copied().unwrap_or(1)
            }
            _ => 1,
        };
        self.case_count += u32::from(matches!(part, Expr::Case { .. }));
        let copies = 1_u64.checked_shl(self.case_count).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(size.saturating_mul(copies));
        if self.count > OPERANDS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, part: &Expr) -> ControlFlow<()> {
        self.case_count -= u32::from(matches!(part, Expr::Case { .. }));
        ControlFlow::Continue(())
    }
}
