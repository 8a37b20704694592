//! What is wrong with a question, in one sentence: errors of the engine as errors of this house.

use datafusion::error::DataFusionError;
use seislake_model::{Error, ErrorKind, Result, causes};

use crate::proposals;

/// An error of the engine as one of this house, with it as its source. Where a table said what is wrong, in an error of this
/// house, that is repeated.
pub fn of_engine(error: DataFusionError) -> Error {
    let (kind, message) = match of_a_table(&error) {
        Some(said) => (said.kind, shortened(&said.message)),
        None => (kind(&error), message(&error)),
    };
    Error::caused(kind, message, error)
}

/// Hands errors of the engine on as errors of this house.
pub(crate) trait OfEngine<T> {
    /// See [`of_engine`].
    fn of_engine(self) -> Result<T>;
}

impl<T> OfEngine<T> for Result<T, DataFusionError> {
    fn of_engine(self) -> Result<T> {
        self.map_err(of_engine)
    }
}

/// Who found that a statement is not answered.
#[derive(Clone, Copy, Debug)]
pub enum FoundBy<'a> {
    /// We, before the engine saw it, or after it was done.
    Us,
    /// A table, whose room says so.
    Table(&'a Error),
    /// The memory of the session, which is taken.
    Memory,
    /// The engine.
    Engine,
}

impl<'a> FoundBy<'a> {
    /// Of an error of a statement.
    pub fn of(error: &'a Error) -> Self {
        let source = error.source.as_deref();
        let engine = source.and_then(|source| source.downcast_ref::<DataFusionError>());
        let Some(engine) = engine else { return Self::Us };
        match (of_a_table(engine), engine.find_root()) {
            (Some(said), _) => Self::Table(said),
            (None, DataFusionError::ResourcesExhausted(_)) => Self::Memory,
            (None, _) => Self::Engine,
        }
    }
}

/// What a room below the engine said of its table.
fn of_a_table(error: &DataFusionError) -> Option<&Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// A statement that is wrong.
pub(crate) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, shortened(&message.into()))
}

fn kind(error: &DataFusionError) -> ErrorKind {
    let root = error.find_root();
    match root {
        DataFusionError::ParquetError(_) if of_condition(&root.to_string()).is_some() => ErrorKind::Invalid,
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::ArrowError(..)
        | DataFusionError::Execution(_) => ErrorKind::Invalid,
        DataFusionError::ResourcesExhausted(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ObjectStore(_) => ErrorKind::Unavailable,
        DataFusionError::ParquetError(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}

/// Letters of a sentence to a client at most: what it repeats of a request may be as long as the request.
const MESSAGE_LETTERS_MAX: usize = 400;

/// Names with which the engine writes out its trees.
const TREE_WORDS: [&str; 14] = [
    "ScalarFunction(",
    "ScalarFunction {",
    "AggregateFunction(",
    "AggregateFunction {",
    "WindowFunction(",
    "BinaryExpr(",
    "BinaryExpr {",
    "Literal(",
    "Column(Column {",
    "Cast(Cast {",
    "Negative(",
    "Alias(Alias {",
    "Case(Case {",
    "ScalarSubquery(",
];

/// Names that the engine gives to what it makes of subqueries.
const ENGINE_NAMES: [&str; 3] = ["__correlated_sq", "__scalar_sq", "__always_true"];

/// What is wrong with a subquery of which the engine can make no join.
pub(crate) const SUBQUERY_ELSEWHERE: &str =
    "a subquery cannot stand here: put its value into a column of a subquery in FROM, or join it";

/// A sentence short enough for a client: its begin and, where something was left out, its end.
#[must_use]
pub fn shortened(message: &str) -> String {
    if message.chars().nth(MESSAGE_LETTERS_MAX).is_none() {
        return message.to_owned();
    }
    let letters: Vec<char> = message.chars().collect();
    // What is wrong may stand before or behind what was repeated.
    let (begin, end) = (MESSAGE_LETTERS_MAX * 2 / 3, MESSAGE_LETTERS_MAX / 3 - 3);
    let text = |part: Option<&[char]>| part.unwrap_or_default().iter().collect::<String>();
    format!("{} … {}", text(letters.get(..begin)), text(letters.get(letters.len() - end..)))
}

/// Without a tree of the engine: the sentence before it says what is wrong.
fn without_tree(message: &str) -> String {
    let tree = TREE_WORDS.iter().filter_map(|word| message.find(word)).min();
    match tree {
        Some(at) => {
            let before =
                message.get(..at).unwrap_or_default().trim_end_matches([' ', ':', '[', '(', '"', '`']);
            format!("{before} an expression of another kind")
        }
        None => message.to_owned(),
    }
}

/// What is wrong with a condition that was calculated while a file was read: no fault of the file.
fn of_condition(message: &str) -> Option<&str> {
    let (_, error) = message.split_once("Error evaluating filter predicate: ")?;
    let (_, said) = error.split_once("(\"")?;
    said.split_once("\")").map(|(said, _)| said)
}

/// What the engine cannot do with some values, in the words of those who ask: how it begins to say so, and what is said.
const IN_OTHER_WORDS: [(&str, &str); 5] = [
    (
        "Row format support not yet implemented for",
        "maps have no order: they are not grouped, ordered or made distinct; read their values with m['key']",
    ),
    (
        "Aggregate can not be used as a sliding accumulator",
        "this aggregate is not answered over a frame whose begin moves: write UNBOUNDED PRECEDING, or join the rows",
    ),
    (
        "Column in ORDER BY must be in GROUP BY",
        "ORDER BY reads a column that is neither in GROUP BY nor in an aggregate",
    ),
    (
        "Schema contains qualified field name",
        "ORDER BY reads a column of the tables and another column of the answer has its name: give that another name",
    ),
    (
        "does not satisfy order requirements",
        "the engine cannot order this window: calculate what it is ordered or partitioned by in a subquery",
    ),
];

/// What the engine says of a part of the syntax tree that it has no plan for, without the tree.
fn not_answered(message: &str) -> Option<String> {
    let tree = message.strip_prefix("Unsupported ast node ")?.trim_start_matches("in sqltorel: ");
    let name: String = tree.chars().take_while(char::is_ascii_alphanumeric).collect();
    Some(format!("{} is not answered here", name.to_uppercase()))
}

/// The first line of the root cause, without the engine's own prefixes, and what it proposes instead.
fn message(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::External(cause) => cause.to_string(),
        DataFusionError::ResourcesExhausted(_) => {
            "the statement needs more memory than the session may use: ask for less, or raise query.memory_bytes"
                .to_owned()
        }
        DataFusionError::SQL(cause, _) => cause.to_string(),
        DataFusionError::SchemaError(cause, _) => {
            proposals::of_columns(cause).unwrap_or_else(|| cause.to_string())
        }
        root => root.strip_backtrace(),
    };
    if ENGINE_NAMES.iter().any(|name| text.contains(name)) {
        return SUBQUERY_ELSEWHERE.to_owned();
    }
    let text = of_condition(&text).map_or(text.as_str(), |said| said);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let prefixes = [
        "Error during planning: ",
        "sql parser error: ",
        "Schema error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "Invalid or Unsupported Configuration: ",
    ];
    let bare = prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(line);
    let said = bare.trim_end_matches('.');
    if let Some((_, ours)) = IN_OTHER_WORDS.iter().find(|(theirs, _)| said.contains(theirs)) {
        return (*ours).to_owned();
    }
    let said = not_answered(said).unwrap_or_else(|| without_tree(said));
    let said = match lines.next().filter(|next| next.starts_with("Did you mean")) {
        Some(proposal) => format!("{said}; did you mean{}", proposal.trim_start_matches("Did you mean")),
        None => said,
    };
    shortened(&said)
}

#[cfg(test)]
mod tests {
    use arrow::error::ArrowError;
    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_sentence_is_short_whatever_it_repeats() {
        for said in ["x".repeat(90_000), format!("no \"{}\" here: ask otherwise", "é".repeat(5000))] {
            let error = of_engine(DataFusionError::Execution(said.clone()));
            assert!(error.message.chars().count() <= MESSAGE_LETTERS_MAX, "{}", error.message.len());
        }
        let error =
            of_engine(DataFusionError::Plan(format!("no \"{}\" here: ask otherwise", "é".repeat(5000))));
        assert!(error.message.starts_with("no \"éé") && error.message.ends_with("ask otherwise"), "{error}");
    }

    #[test]
    fn what_a_table_says_is_repeated_and_not_sorted_anew() {
        let lost = || {
            Error::caused(ErrorKind::Corrupt, "the file \"a\" is not there", ParquetError::EOF("b".into()))
        };
        let away = || Error::new(ErrorKind::Unavailable, "cannot read table \"t\"");
        let external = |error: Error| DataFusionError::External(Box::new(error));
        for (error, said) in [
            (external(away()), away()),
            (external(lost()), lost()),
            (
                DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(lost()))), None),
                lost(),
            ),
            (external(Error::caused(ErrorKind::Unavailable, away().message, external(lost()))), away()),
        ] {
            let error = of_engine(error.context("while it was read"));
            assert_eq!((error.kind, &error.message), (said.kind, &said.message), "{error:?}");
            assert!(
                matches!(FoundBy::of(&error), FoundBy::Table(of) if of.message == said.message),
                "{error:?}"
            );
            assert!(error.chain().contains("while it was read"), "{}", error.chain());
        }
    }

    #[test]
    fn who_found_what_is_wrong_is_known() {
        let memory = of_engine(DataFusionError::ResourcesExhausted("no more".into()).context("a sort"));
        assert!(matches!(FoundBy::of(&memory), FoundBy::Memory) && memory.kind == ErrorKind::Unavailable);
        let plan = of_engine(DataFusionError::Plan("no such column".into()));
        assert!(matches!(FoundBy::of(&plan), FoundBy::Engine) && plan.kind == ErrorKind::Invalid);
        assert!(matches!(FoundBy::of(&refused("there is no statement")), FoundBy::Us));
    }

    #[test]
    fn a_condition_that_fails_is_no_damage() {
        let said = "Cannot cast string 'D009' to value of Int64 type";
        let inner = DataFusionError::ArrowError(Box::new(ArrowError::CastError(said.to_owned())), None);
        let compute = ArrowError::ComputeError(format!("Error evaluating filter predicate: {inner:?}"));
        let error = DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(compute))));
        let error = of_engine(error);
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, said));
    }

    #[test]
    fn a_tree_of_the_engine_is_not_repeated() {
        let tree = "Argument #1 must be an INTEGER, got ScalarFunction(ScalarFunction { func: ScalarUDF { inner: Repeat }, args: [] })";
        let error = of_engine(DataFusionError::Plan(tree.into()));
        assert_eq!(error.message, "Argument #1 must be an INTEGER, got an expression of another kind");
    }
}
