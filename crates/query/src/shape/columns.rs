//! How large an expression becomes when the columns that it names are replaced by what they are, and how many columns and
//! groupings a statement has.
//!
//! The optimizer moves conditions below the queries that they stand above, and writes there what each column was
//! calculated from. With `x + x AS x` in every query the condition doubles at every level: forty short levels make a
//! condition of a million million operands. So the size of every column is followed through the tree. Every query of a
//! plan has a list of its columns, which `*` makes long in one letter, and every grouping one of its expressions, which
//! `CUBE` doubles with each.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, OrderByKind, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TableWithJoins, Visit, Visitor,
};

/// Operands of a column or condition at most, all replaced.
const OPERANDS_MAX: u64 = 200_000;
/// Columns of one query at most, tables and joins below it included.
const COLUMNS_MAX: usize = 4096;
/// ... of all queries and joins of a statement together: in a build without optimisation, planning takes a minute for them.
const ALL_COLUMNS_MAX: usize = 65_536;
/// Parts of a chain of `UNION`, `INTERSECT` and `EXCEPT` at most: planning takes the square of them.
const PARTS_MAX: usize = 1024;
/// Expressions that a query is sorted by at most: the same.
const SORTED_EXPRESSIONS_MAX: usize = 512;
/// Columns that a table is taken for whose columns are not known here: as many as the widest of ours has, about.
const TABLE_COLUMNS: usize = 48;
/// Sets of a `GROUP BY` at most, those of `CUBE`, `ROLLUP` and `GROUPING SETS` multiplied: each is an expression of the plan
/// for every column.
const GROUPINGS_MAX: u64 = 4096;
/// ... times the expressions that it groups by.
const GROUPED_EXPRESSIONS_MAX: u64 = 65_536;

/// Columns of a query and their operands, in order.
type Columns = Vec<(String, u64)>;

/// The table expressions that are known at a place.
struct Scope<'a> {
    own: HashMap<String, Rc<Columns>>,
    around: Option<&'a Scope<'a>>,
    walked: &'a StatementWalk,
}

/// What was seen of the whole statement so far.
#[derive(Default)]
struct StatementWalk {
    /// Columns of all queries.
    column_count: Cell<usize>,
    /// The queries, by where they stand.
    queries: RefCell<HashSet<*const Query>>,
    /// Table expressions, wherever they stand.
    expressions: RefCell<HashMap<String, Rc<Columns>>>,
}

impl<'a> Scope<'a> {
    fn within(around: &'a Self) -> Self {
        Self { own: HashMap::new(), around: Some(around), walked: around.walked }
    }

    fn find(&self, name: &str) -> Option<Rc<Columns>> {
        let mut place = Some(self);
        while let Some(known) = place {
            if let Some(columns) = known.own.get(name) {
                return Some(Rc::clone(columns));
            }
            place = known.around;
        }
        self.walked.expressions.borrow().get(name).map(Rc::clone)
    }

    /// Counts the columns of a query.
    fn count(&self, columns: usize) -> Result<(), TooLarge> {
        let all = self.walked.column_count.get().saturating_add(columns);
        self.walked.column_count.set(all);
        if columns > COLUMNS_MAX || all > ALL_COLUMNS_MAX {
            return Err(TooLarge::Columns);
        }
        Ok(())
    }
}

/// What is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooLarge {
    /// An expression, its columns replaced by what they are.
    Expression,
    /// The columns of a query, or of all together.
    Columns,
    /// The sets of a grouping.
    Groupings,
    /// The parts of a union, or what is sorted by.
    Parts,
}

/// # Errors
/// See [`TooLarge`].
pub(super) fn check(statement: &Statement) -> Result<(), TooLarge> {
    let walked = StatementWalk::default();
    match Visit::visit(statement, &mut EveryQuery(&walked)) {
        ControlFlow::Break(too_large) => Err(too_large),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Looks at the queries that no other has led to: those in expressions, after the ones around them.
struct EveryQuery<'a>(&'a StatementWalk);

impl Visitor for EveryQuery<'_> {
    type Break = TooLarge;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooLarge> {
        if self.0.queries.borrow().contains(&std::ptr::from_ref(query)) {
            return ControlFlow::Continue(());
        }
        let known = Scope { own: HashMap::new(), around: None, walked: self.0 };
        match of_query(query, &known) {
            Ok(_) => ControlFlow::Continue(()),
            Err(too_large) => ControlFlow::Break(too_large),
        }
    }
}

fn of_query(query: &Query, known: &Scope<'_>) -> Result<Columns, TooLarge> {
    known.walked.queries.borrow_mut().insert(std::ptr::from_ref(query));
    let mut known = Scope::within(known);
    for table in query.with.iter().flat_map(|with| &with.cte_tables) {
        let mut columns = of_query(&table.query, &known)?;
        rename(&mut columns, table.alias.columns.iter().map(|column| column.name.value.as_str()));
        let (name, columns) = (table.alias.name.value.to_lowercase(), Rc::new(columns));
        known.walked.expressions.borrow_mut().insert(name.clone(), Rc::clone(&columns));
        known.own.insert(name, columns);
    }
    let sorted = query.order_by.as_ref().map(|order| &order.kind);
    if matches!(sorted, Some(OrderByKind::Expressions(by)) if by.len() > SORTED_EXPRESSIONS_MAX) {
        return Err(TooLarge::Parts);
    }
    // A chain of unions leans to the left: no recursion along it.
    let mut open = vec![query.body.as_ref()];
    let mut part_count = 0;
    let mut all: Option<Columns> = None;
    while let Some(body) = open.pop() {
        let columns = match body {
            SetExpr::SetOperation { left, right, .. } => {
                open.extend([right.as_ref(), left.as_ref()]);
                part_count += 1;
                if part_count >= PARTS_MAX {
                    return Err(TooLarge::Parts);
                }
                continue;
            }
            SetExpr::Select(select) => of_select(select, &known)?,
            SetExpr::Query(inner) => of_query(inner, &known)?,
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, Vec::len);
                known.count(width)?;
                vec![(String::new(), 1); width]
            }
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

fn of_select(select: &Select, known: &Scope<'_>) -> Result<Columns, TooLarge> {
    check_groupings(&select.group_by)?;
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
        // As soon as there are too many: each `*` adds them all.
        if columns.len() > COLUMNS_MAX {
            return Err(TooLarge::Columns);
        }
    }
    known.count(columns.len())?;
    Ok(columns)
}

/// Sets of a grouping: those of its parts multiplied.
fn check_groupings(group_by: &GroupByExpr) -> Result<(), TooLarge> {
    let GroupByExpr::Expressions(expressions, modifiers) = group_by else { return Ok(()) };
    if expressions.len() > COLUMNS_MAX {
        return Err(TooLarge::Groupings);
    }
    let doubled = |count: usize| u32::try_from(count).ok().and_then(|count| 1_u64.checked_shl(count));
    let (mut sets, mut grouped) = (1_u64, 0_u64);
    for expression in expressions {
        let (own, parts) = match expression {
            Expr::Cube(parts) => (doubled(parts.len()).unwrap_or(u64::MAX), parts.as_slice()),
            Expr::Rollup(parts) => (parts.len() as u64 + 1, parts.as_slice()),
            Expr::GroupingSets(parts) => (parts.len() as u64, parts.as_slice()),
            _ => (1, [].as_slice()),
        };
        let inner: usize = parts.iter().map(Vec::len).sum();
        grouped = grouped.saturating_add(inner.max(1) as u64);
        sets = sets.saturating_mul(own.max(1));
    }
    for modifier in modifiers {
        sets = sets.saturating_mul(match modifier {
            GroupByWithModifier::Cube => doubled(expressions.len()).unwrap_or(u64::MAX),
            _ => expressions.len() as u64 + 1,
        });
    }
    if sets > GROUPINGS_MAX || sets.saturating_mul(grouped) > GROUPED_EXPRESSIONS_MAX {
        return Err(TooLarge::Groupings);
    }
    Ok(())
}

fn of_tables(table: &TableWithJoins, known: &Scope<'_>, columns: &mut Columns) -> Result<(), TooLarge> {
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
                match known.find(&name) {
                    Some(found) => (found.as_ref().clone(), alias),
                    None => (vec![(String::new(), 1); TABLE_COLUMNS], alias),
                }
            }
            TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => (Columns::new(), alias),
            _ => continue,
        };
        let names = alias.iter().flat_map(|alias| &alias.columns);
        rename(&mut found, names.map(|column| column.name.value.as_str()));
        columns.append(&mut found);
        // Each join has the columns of both its sides.
        known.count(columns.len())?;
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
        ControlFlow::Break(()) => Err(TooLarge::Expression),
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
