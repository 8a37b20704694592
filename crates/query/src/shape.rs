//! How deep a statement is, before anything walks it.
//!
//! ```text
//! text ─ length ─ tokens: brackets, operators ─ parser (its own limit of nesting) ─ tree: stack, size ─ plan
//! ```
//! The engine's planner, optimizer and operators are recursive: a chain of 10 000 additions is a tree of 10 000 levels.
//! Each kind of level has a price in bytes of stack, measured in a build without optimisation (`shape/tests.rs` holds
//! them against what a statement really uses). The sum along the deepest branch is what the statement is given; one that
//! needs more than [`STACK_BYTES_MAX`] is refused. A table expression that is named twice is planned twice: the size counts
//! it as often as it is named, so that a short statement cannot ask for a plan of millions of steps.

mod cases;
mod chains;
mod columns;

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, SetExpr, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use seislake_model::{Error, Result};

use crate::deep_stack::{Deep, on_stack};
use crate::dialect::Seislake;
use crate::error::{OfEngine, of_engine, refused};
use crate::panics::Calls;

/// A statement longer than this is refused.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// Brackets, subqueries and `CASE` within each other at most.
pub(crate) const NESTING_MAX: usize = 128;
/// Operators of a statement at most: each may be a level.
const OPERATORS_MAX: usize = 40_000;
/// Words that open a level without a bracket (`EXPLAIN`, `INTERVAL`, `ARRAY<`, `[]`) at most.
const OPENINGS_MAX: usize = 64;
/// Steps of a plan at most, an operand counted as one.
const SIZE_MAX: usize = 1_000_000;
/// Stack of one statement at most. Not memory: pages are taken as they are touched.
const STACK_BYTES_MAX: usize = 3 << 29;

/// Stack of a statement without any nesting.
const BASE_BYTES: usize = 3 << 19;
/// ... of an operator, a function, a cast.
const EXPRESSION_BYTES: usize = 160 << 10;
/// ... of an operator with two sides: chains of them are the usual long statement.
const OPERATOR_BYTES: usize = 48 << 10;
/// ... of a query within a query.
const QUERY_BYTES: usize = 768 << 10;
/// ... of a table, join or part of a union, each of which stands above the ones before it.
const RELATION_BYTES: usize = 96 << 10;
/// ... of a level while the statement is parsed, and of an operator while its tree is walked and dropped.
const PARSED_LEVEL_BYTES: usize = 256 << 10;
const WALKED_LEVEL_BYTES: usize = 8 << 10;

/// ... of a function over a window: each may stand above the ones before it, wherever they are written.
const WINDOW_BYTES: usize = 160 << 10;

/// Functions over windows of a statement at most: planning takes the square of them.
const WINDOWS_MAX: usize = 256;
/// Size of a query or table in a plan, in operands.
const RELATION_SIZE: usize = 20;

/// ... of an operand in a `CASE`, beside that it doubles at every one.
const CASE_SIZE: usize = 8;

/// A syntax tree and the stack that its statement needs.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) statement: Deep<Statement>,
    pub(crate) calls: Calls,
}

impl Syntax {
    /// Parses one statement and measures it.
    ///
    /// # Errors
    /// It is not SQL, not one statement, too long, or too deep.
    pub(crate) fn read(state: &SessionState, sql: &str) -> Result<Self> {
        if sql.len() > STATEMENT_BYTES_MAX {
            let length = sql.len();
            return Err(refused(format!(
                "the statement has {length} bytes; at most {STATEMENT_BYTES_MAX} are allowed"
            )));
        }
        let tokens = check_tokens(sql)?;
        let levels = (1 + tokens.depth + tokens.openings + tokens.operators).min(NESTING_MAX);
        let bytes = BASE_BYTES + levels * PARSED_LEVEL_BYTES + tokens.operators * WALKED_LEVEL_BYTES;
        on_stack(bytes, || {
            let mut statement = Calls::default().caught(|| one_statement(state, sql)).of_engine()??;
            cases::flatten(&mut statement);
            // Before it is shortened: the optimizer builds some of the chains again. Never less than for the text, whose
            // nested CASE may just have been flattened.
            let needed = stack_bytes(&statement)?.max(bytes);
            chains::shorten(&mut statement).map_err(|chains::TooLong { term_count, term_count_max }| {
                refused(format!(
                    "the statement has a chain of {term_count} terms with +, -, *, / or ||; at most {term_count_max} are \
                     allowed: add up rows with sum(), or join texts with string_agg()"
                ))
            })?;
            let calls = Calls::of(&statement);
            Ok(Self { statement: Deep::new(statement, needed), calls })
        })
    }
}

fn one_statement(state: &SessionState, sql: &str) -> Result<Statement> {
    let parser = DFParserBuilder::new(sql)
        .with_dialect(&Seislake)
        .with_recursion_limit(state.config_options().sql_parser.recursion_limit);
    let mut statements = parser.build().and_then(|mut parser| parser.parse_statements()).map_err(too_deep)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(refused("there is no statement")),
        (Some(_), false) => Err(refused("one statement at a time is answered, not several")),
    }
}

/// The refusal of a statement that would change or set something.
pub(crate) fn not_reading(statement: &str) -> Error {
    refused(format!("only reading statements (SELECT, EXPLAIN, SHOW) are allowed, not \"{statement}\""))
}

fn nested_too_deeply() -> Error {
    refused("the statement is nested too deeply: write it with fewer brackets, subqueries or operators")
}

/// The parser's own words for the limit are about itself.
fn too_deep(error: DataFusionError) -> Error {
    let text = error.to_string();
    if text.contains("RecursionLimitExceeded") || text.contains("recursion limit exceeded") {
        return nested_too_deeply();
    }
    of_engine(error)
}

/// What the tokens of a statement tell about its tree.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    /// Brackets within each other.
    depth: usize,
    operators: usize,
    openings: usize,
}

/// Counts what the parser does not count itself.
fn check_tokens(sql: &str) -> Result<Tokens> {
    // What is no sequence of tokens is no statement: the parser says so better.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(Tokens::default()) };
    let mut deepest = 0;
    let (mut depth, mut operators, mut openings) = (0_usize, 0_usize, 0_usize);
    let mut before: Option<&Token> = None;
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBrace => depth = depth.saturating_sub(1),
            Token::RBracket => {
                depth = depth.saturating_sub(1);
                openings += usize::from(matches!(before, Some(Token::LBracket)));
            }
            Token::Lt => {
                openings += usize::from(before.is_some_and(opens_a_type));
                operators += 1;
            }
            Token::Word(word) => {
                let text = word.value.to_ascii_uppercase();
                openings += usize::from(text == "EXPLAIN");
                openings +=
                    usize::from(text == "INTERVAL" && before.is_some_and(|token| is_word(token, &text)));
                operators += usize::from(KEYWORD_OPERATORS.contains(&text.as_str()));
            }
            Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => {}
            _ => operators += 1,
        }
        deepest = deepest.max(depth);
        before = Some(token);
    }
    if openings > OPENINGS_MAX || deepest > NESTING_MAX {
        return Err(nested_too_deeply());
    }
    if operators > OPERATORS_MAX {
        return Err(refused(format!(
            "the statement has {operators} operators; at most {OPERATORS_MAX} are allowed: write long lists with IN or VALUES"
        )));
    }
    Ok(Tokens { depth: deepest, operators, openings })
}

/// Words between two operands, or before one.
const KEYWORD_OPERATORS: [&str; 25] = [
    "AND",
    "OR",
    "XOR",
    "NOT",
    "IS",
    "IN",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "REGEXP",
    "SIMILAR",
    "BETWEEN",
    "DIV",
    "COLLATE",
    "AT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "MINUS",
    "JOIN",
    "APPLY",
    "CASE",
    "PIVOT",
    "UNPIVOT",
    "OVERLAPS",
];

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(before) if before.value.eq_ignore_ascii_case(word))
}

fn opens_a_type(token: &Token) -> bool {
    ["ARRAY", "STRUCT", "MAP", "NESTED", "TUPLE", "NULLABLE"].iter().any(|word| is_word(token, word))
}

/// Stack that planning and running `statement` takes.
fn stack_bytes(statement: &Statement) -> Result<usize> {
    let mut inner = statement;
    while let Statement::Explain(explain) = inner {
        inner = &explain.statement;
    }
    let sql = match inner {
        Statement::Statement(sql) => sql,
        Statement::CopyTo(_) => return Err(not_reading("COPY")),
        Statement::CreateExternalTable(_) => return Err(not_reading("CREATE EXTERNAL TABLE")),
        Statement::Explain(_) | Statement::Reset(_) => return Err(not_reading("RESET")),
    };
    let mut walk = Walk { depth: BASE_BYTES, peak: BASE_BYTES, ..Walk::default() };
    let walked = Visit::visit(sql.as_ref(), &mut walk);
    let needed = walk.peak + walk.window_count * WINDOW_BYTES;
    match walked {
        ControlFlow::Continue(()) if needed > STACK_BYTES_MAX => Err(nested_too_deeply()),
        ControlFlow::Break(TooMuch::Stack) => Err(nested_too_deeply()),
        ControlFlow::Break(TooMuch::Size) => Err(refused(
            "the statement asks for too large a plan: too many parts, too often named, CASE in CASE, or subqueries in subqueries",
        )),
        ControlFlow::Continue(()) => match columns::check(sql) {
            Ok(()) => Ok(needed),
            Err(too_large) => Err(refused(format!(
                "the statement asks for too large a plan: {}",
                match too_large {
                    columns::TooLarge::Expression => "its columns multiply from query to query",
                    columns::TooLarge::Columns =>
                        "its queries and joins have too many columns: name those that you need",
                    columns::TooLarge::Parts => "its UNIONs or ORDER BY have too many parts",
                    columns::TooLarge::Groupings =>
                        "GROUP BY asks for too many sets: use fewer or smaller CUBE, ROLLUP and GROUPING SETS",
                }
            ))),
        },
    }
}

enum TooMuch {
    Stack,
    Size,
}

/// One query that is being walked.
struct Level {
    depth: usize,
    peak: usize,
    size: usize,
    /// The table expressions of its `WITH`, by where they stand.
    expressions: HashMap<*const Query, String>,
    /// Sizes of those walked so far.
    sizes: HashMap<String, usize>,
}

#[derive(Default)]
struct Walk {
    /// Bytes of stack down to here, and at the deepest place so far.
    depth: usize,
    peak: usize,
    levels: Vec<Level>,
    size: usize,
    /// `CASE` and subqueries of expressions around here: the engine keeps two copies of what stands in one.
    copied_count: usize,
    /// Functions over windows.
    window_count: usize,
}

impl Walk {
    fn enter(&mut self, bytes: usize) -> ControlFlow<TooMuch> {
        self.depth = self.depth.saturating_add(bytes);
        self.peak = self.peak.max(self.depth);
        if self.peak > STACK_BYTES_MAX {
            ControlFlow::Break(TooMuch::Stack)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn leave(&mut self, bytes: usize) {
        self.depth = self.depth.saturating_sub(bytes);
    }

    fn count(&mut self, size: usize) -> ControlFlow<TooMuch> {
        self.size = self.size.saturating_add(size);
        if self.size > SIZE_MAX { ControlFlow::Break(TooMuch::Size) } else { ControlFlow::Continue(()) }
    }
}

/// Whether planning doubles with this expression.
fn is_copied(expression: &Expr) -> bool {
    matches!(expression, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
        || cases::is_case(expression)
}

/// Size of `operands` within so many `CASE` or subqueries: the engine keeps two copies of what stands in one, and walks both.
fn case_size(operands: usize, copied_count: usize) -> usize {
    let copies = u32::try_from(copied_count).ok().and_then(|count| 1_usize.checked_shl(count));
    match copied_count {
        0 => operands,
        _ => operands.saturating_mul(copies.unwrap_or(usize::MAX)).saturating_mul(CASE_SIZE),
    }
}

fn expression_bytes(expression: &Expr) -> usize {
    match expression {
        Expr::BinaryOp { .. } => OPERATOR_BYTES,
        Expr::Value(_) | Expr::Identifier(_) => 0,
        Expr::CompoundIdentifier(parts) => parts.len() * OPERATOR_BYTES,
        Expr::CompoundFieldAccess { access_chain, .. } => (1 + access_chain.len()) * EXPRESSION_BYTES,
        _ => EXPRESSION_BYTES,
    }
}

/// Tables, joins and parts of unions of a query, without those of queries below it.
fn relation_count(query: &Query) -> usize {
    let mut count = 0;
    let mut open = vec![query.body.as_ref()];
    while let Some(body) = open.pop() {
        count += 1;
        match body {
            SetExpr::SetOperation { left, right, .. } => open.extend([left.as_ref(), right.as_ref()]),
            SetExpr::Select(select) => {
                count += select.from.iter().map(|table| 1 + table.joins.len()).sum::<usize>();
                count += select.lateral_views.len();
            }
            _ => {}
        }
    }
    count
}

impl Visitor for Walk {
    type Break = TooMuch;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooMuch> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        let expressions = with
            .map(|table| (std::ptr::from_ref(table.query.as_ref()), table.alias.name.value.to_lowercase()));
        let expressions = expressions.collect();
        let level =
            Level { depth: self.depth, peak: self.peak, size: self.size, expressions, sizes: HashMap::new() };
        self.levels.push(level);
        self.peak = self.depth;
        self.size = 0;
        let relations = relation_count(query);
        self.count(relations.saturating_mul(RELATION_SIZE))?;
        self.enter(QUERY_BYTES.saturating_add(relations.saturating_mul(RELATION_BYTES)))
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<TooMuch> {
        let Some(level) = self.levels.pop() else { return ControlFlow::Continue(()) };
        let height = self.peak.saturating_sub(level.depth);
        let size = self.size;
        self.depth = level.depth;
        self.peak = self.peak.max(level.peak);
        self.size = level.size;
        let name = self.levels.last_mut().and_then(|parent| {
            let name = parent.expressions.remove(&std::ptr::from_ref(query))?;
            parent.sizes.insert(name.clone(), size);
            Some(name)
        });
        match name {
            // Its plan stands below those that name it.
            Some(_) => self.enter(height),
            None => self.count(size),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<TooMuch> {
        let name = relation.to_string().trim_matches('"').to_lowercase();
        let size = self.levels.iter().rev().find_map(|level| level.sizes.get(&name)).copied();
        self.count(size.unwrap_or(RELATION_SIZE))
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<TooMuch> {
        self.enter(RELATION_BYTES)
    }

    fn post_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<TooMuch> {
        self.leave(RELATION_BYTES);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<TooMuch> {
        self.copied_count += usize::from(is_copied(expression));
        self.window_count += usize::from(matches!(expression, Expr::Function(call) if call.over.is_some()));
        if self.window_count > WINDOWS_MAX {
            return ControlFlow::Break(TooMuch::Size);
        }
        self.count(case_size(1, self.copied_count))?;
        self.enter(expression_bytes(expression))
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<TooMuch> {
        self.copied_count -= usize::from(is_copied(expression));
        self.leave(expression_bytes(expression));
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, _: &SqlStatement) -> ControlFlow<TooMuch> {
        self.enter(QUERY_BYTES)
    }

    fn post_visit_statement(&mut self, _: &SqlStatement) -> ControlFlow<TooMuch> {
        self.leave(QUERY_BYTES);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
