//! Refuses documents that would cost too much, before anything walks them.
//!
//! ```text
//! text ─ bytes, brackets ─► parser ─► document ─ selections, depth, introspection, cycles ─► validation, execution
//! ```
//! The parser calls itself once for every open bracket, and the walks of validation visit a fragment again wherever it is
//! spread: forty fragments that each spread the next one twice are a million million selections in 1.5 kB. So brackets are
//! counted in the text first, and then what the document would be with its fragments written out: each fragment is
//! measured once, after those that it spreads. Introspection does not touch the lake and is not counted as depth; its
//! lists within lists are counted as what they would answer.
//! What a list costs, by the rows asked for, stands beside its field (`query`).

use std::collections::HashMap;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Request, Value, Variables};

use super::variables;
use crate::error::{ApiError, ErrorCode};

/// Longest document. The query that tools send to learn the schema has 2 kB.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// Open brackets of all kinds at most: the parser goes one call deeper for each. Tools need about 15.
const NESTING_MAX: usize = 64;
/// Selections of a document with its fragments written out.
const SELECTIONS_MAX: u64 = 4_000;
/// Operations, fragments and directives of a document.
const OPERATIONS_MAX: usize = 64;
const FRAGMENTS_MAX: usize = 256;
const DIRECTIVES_MAX: usize = 256;
/// Values that the variables hold together, those inside lists and objects included: each use of a variable copies it.
const VARIABLE_VALUES_MAX: usize = 1_000;
/// Fields that ask the lake a statement of their own: some ten milliseconds each.
const STATEMENTS: [&str; 6] = ["events", "event", "picks", "stations", "waveformSegments", "totalCount"];
const STATEMENTS_MAX: u64 = 100;
/// Fields that introspection may answer, by the sizes below. The query of the tools comes to about 200 000.
const INTROSPECTION_COST_MAX: u64 = 500_000;

/// Lists of the introspection system and how many elements they have in this schema, about.
const INTROSPECTION_LISTS: [(&str, u64); 8] = [
    ("types", 60),
    ("fields", 12),
    ("inputFields", 6),
    ("args", 6),
    ("enumValues", 5),
    ("directives", 6),
    ("interfaces", 4),
    ("possibleTypes", 4),
];

/// Whether the answer of a request holds stand-ins for fields that were skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIns {
    None,
    Some,
}

/// Parses the document of a request and refuses it where it is too large in any way, or its variables do not fit. The
/// request keeps the document, so that it is not parsed again.
pub(super) fn check(request: &mut Request, depth_max: usize) -> Result<StandIns, ApiError> {
    check_variables(&request.variables)?;
    let mut document = parse(&request.query)?;
    let size = measure(&document)?;
    if size.depth > depth_max {
        let message =
            format!("the query is nested {} levels deep; at most {depth_max} are answered", size.depth);
        return Err(ApiError::new(ErrorCode::QueryTooDeep, message)
            .hint("ask for the inner objects in a second query by their id"));
    }
    variables::coerce(request, &document)?;
    let stand_ins = if variables::add_stand_ins(&mut document) { StandIns::Some } else { StandIns::None };
    request.set_parsed_query(document);
    Ok(stand_ins)
}

fn too_complex(message: String) -> ApiError {
    ApiError::new(ErrorCode::QueryTooComplex, message).hint("ask in several queries")
}

/// The document of a text whose length and brackets are within bounds.
fn parse(text: &str) -> Result<ExecutableDocument, ApiError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the query has {} bytes; at most {DOCUMENT_BYTES_MAX} are read", text.len());
        return Err(too_complex(message).hint("values belong into \"variables\""));
    }
    let signs = Signs::of(text);
    if signs.nesting > NESTING_MAX {
        let message = format!(
            "the query opens {} brackets inside each other; at most {NESTING_MAX} are read",
            signs.nesting
        );
        return Err(ApiError::new(ErrorCode::QueryTooDeep, message));
    }
    if signs.directives > DIRECTIVES_MAX {
        let message =
            format!("the query has {} directives; at most {DIRECTIVES_MAX} are read", signs.directives);
        return Err(too_complex(message));
    }
    parse_query(text).map_err(|error| ApiError::new(ErrorCode::InvalidQuery, error.to_string()))
}

/// What can be counted in a text without parsing it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Signs {
    /// Brackets open at once.
    nesting: usize,
    directives: usize,
}

impl Signs {
    /// Counts outside of comments and strings, whose ends are those of the parser.
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut signs = Self::default();
        let (mut open, mut index) = (0_usize, 0);
        // Where the last block string may end: behind it three quotes are an empty string and the begin of another one.
        // Where one finds no end, those behind it find none either, and each would look as far as the document goes.
        let mut last_block = text.rfind("\"\"\"").unwrap_or(0);
        while let Some(byte) = bytes.get(index) {
            match byte {
                b'#' => index += until(&bytes[index..], |byte| matches!(byte, b'\n' | b'\r')),
                b'"' if index < last_block && bytes[index..].starts_with(b"\"\"\"") => {
                    match block_string(&text[index..]) {
                        Some(length) => index += length,
                        // The empty string that its first two quotes are.
                        None => (index, last_block) = (index + 2, 0),
                    }
                    continue;
                }
                b'"' => index += string(&bytes[index..]),
                b'{' | b'[' | b'(' => {
                    open += 1;
                    signs.nesting = signs.nesting.max(open);
                }
                b'}' | b']' | b')' => open = open.saturating_sub(1),
                b'@' => signs.directives += 1,
                _ => {}
            }
            index += 1;
        }
        signs
    }
}

/// Bytes before the first that `ends`.
fn until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len())
}

/// Bytes of a string but for its closing quote; one that is not closed ends with its line.
fn string(bytes: &[u8]) -> usize {
    let mut index = 1;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'"' | b'\n' | b'\r' => return index,
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    bytes.len()
}

/// Bytes of a block string with its quotes; `None` where it is not closed.
fn block_string(text: &str) -> Option<usize> {
    let mut from = 3;
    loop {
        let end = from + text.get(from..)?.find("\"\"\"")?;
        if !text[..end].ends_with('\\') {
            return Some(end + 3);
        }
        from = end + 3;
    }
}

/// Values are counted with a list of those still to be looked at.
fn check_variables(variables: &Variables) -> Result<(), ApiError> {
    let mut waiting: Vec<&Value> = variables.values().collect();
    let mut count = 0_usize;
    while let Some(value) = waiting.pop() {
        count += 1;
        match value {
            Value::List(values) => waiting.extend(values),
            Value::Object(fields) => waiting.extend(fields.values()),
            _ => {}
        }
        if count + waiting.len() > VARIABLE_VALUES_MAX {
            return Err(too_complex(format!(
                "the variables hold more than {VARIABLE_VALUES_MAX} values, which is as many as are read"
            )));
        }
    }
    Ok(())
}

/// How large a part of a document is with its fragments written out. Numbers saturate: they grow exponentially.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    selections: u64,
    statements: u64,
    /// Levels of fields; introspection counts as none.
    depth: usize,
    /// Fields that introspection would answer.
    introspection: u64,
    /// The same, should this part stand inside an introspection field.
    if_introspection: u64,
}

impl Size {
    /// Beside another part.
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.statements = self.statements.saturating_add(other.statements);
        self.depth = self.depth.max(other.depth);
        self.introspection = self.introspection.saturating_add(other.introspection);
        self.if_introspection = self.if_introspection.saturating_add(other.if_introspection);
    }

    /// Of a field around this part.
    fn inside_field(self, name: &str) -> Self {
        let elements =
            INTROSPECTION_LISTS.iter().find(|(list, _)| *list == name).map_or(1, |(_, count)| *count);
        let introspects = name.starts_with("__");
        Self {
            selections: self.selections.saturating_add(1),
            statements: self.statements.saturating_add(u64::from(STATEMENTS.contains(&name))),
            depth: if introspects { 0 } else { self.depth + 1 },
            introspection: if introspects { self.if_introspection } else { self.introspection },
            if_introspection: self.if_introspection.saturating_mul(elements).saturating_add(1),
        }
    }
}

type Sizes<'a> = HashMap<&'a str, Size>;

/// The sum over all operations and fragments, since validation walks them all; depth is that of the deepest operation.
fn measure(document: &ExecutableDocument) -> Result<Size, ApiError> {
    for (what, count, count_max) in [
        ("operations", document.operations.iter().count(), OPERATIONS_MAX),
        ("fragments", document.fragments.len(), FRAGMENTS_MAX),
    ] {
        if count > count_max {
            return Err(too_complex(format!("the query has {count} {what}; at most {count_max} are read")));
        }
    }
    let fragments = fragment_sizes(document)?;
    let mut size = Size::default();
    for (_, operation) in document.operations.iter() {
        size.add(selections_size(&operation.node.selection_set.node, &fragments));
    }
    let walked = fragments.values().fold(size.selections, |sum, one| sum.saturating_add(one.selections));
    if walked > SELECTIONS_MAX {
        return Err(too_complex(format!(
            "the query with its fragments written out has {walked} selections; at most {SELECTIONS_MAX} are answered"
        )));
    }
    if size.statements > STATEMENTS_MAX {
        let message = format!(
            "the query asks the lake {} questions; at most {STATEMENTS_MAX} are answered",
            size.statements
        );
        return Err(too_complex(message));
    }
    if size.introspection > INTROSPECTION_COST_MAX {
        return Err(too_complex("the query asks for lists of the schema inside too many others".to_owned()));
    }
    Ok(size)
}

/// Each fragment after those that it spreads. What waits stands in a list, for a chain may be as long as the document.
fn fragment_sizes(document: &ExecutableDocument) -> Result<Sizes<'_>, ApiError> {
    enum Step<'a> {
        Enter(&'a str),
        Leave(&'a str, &'a FragmentDefinition),
    }
    let mut sizes = Sizes::new();
    let mut entered: HashMap<&str, ()> = HashMap::new();
    let mut steps: Vec<Step<'_>> = document.fragments.keys().map(|name| Step::Enter(name.as_str())).collect();
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(name) if sizes.contains_key(name) => {}
            Step::Enter(name) => {
                // Unknown fragments are told by validation.
                let Some(fragment) = document.fragments.get(name) else { continue };
                if entered.insert(name, ()).is_some() {
                    let message = format!("the fragment \"{name}\" spreads itself");
                    return Err(ApiError::new(ErrorCode::InvalidQuery, message));
                }
                steps.push(Step::Leave(name, &fragment.node));
                let mut spreads = Vec::new();
                collect_spreads(&fragment.node.selection_set.node, &mut spreads);
                spreads.sort_unstable();
                spreads.dedup();
                steps.extend(spreads.into_iter().map(Step::Enter));
            }
            Step::Leave(name, fragment) => {
                sizes.insert(name, selections_size(&fragment.selection_set.node, &sizes));
            }
        }
    }
    Ok(sizes)
}

/// Names of the fragments spread. The parser bounds how deep selections stand in each other.
fn collect_spreads<'a>(selections: &'a SelectionSet, spreads: &mut Vec<&'a str>) {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => collect_spreads(&field.node.selection_set.node, spreads),
            Selection::InlineFragment(inline) => collect_spreads(&inline.node.selection_set.node, spreads),
            Selection::FragmentSpread(spread) => spreads.push(spread.node.fragment_name.node.as_str()),
        }
    }
}

fn selections_size(selections: &SelectionSet, fragments: &Sizes<'_>) -> Size {
    let mut size = Size::default();
    for selection in &selections.items {
        let inner = |selections: &SelectionSet| selections_size(selections, fragments);
        let one = match &selection.node {
            Selection::Field(field) => {
                inner(&field.node.selection_set.node).inside_field(field.node.name.node.as_str())
            }
            Selection::InlineFragment(inline) => written_out(inner(&inline.node.selection_set.node)),
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                written_out(fragments.get(name).copied().unwrap_or_default())
            }
        };
        size.add(one);
    }
    size
}

/// A fragment where it stands.
const fn written_out(size: Size) -> Size {
    Size { selections: size.selections.saturating_add(1), ..size }
}

#[cfg(test)]
mod tests;
