//! What is wrong with a question, in one sentence.

use datafusion::error::DataFusionError;
use seislake_model::ErrorKind;

/// Result of this crate.
pub type Result<T, E = QueryError> = std::result::Result<T, E>;

/// A statement could not be planned or run.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// What is wrong, one sentence.
    pub message: String,
    /// The engine's error.
    #[source]
    pub source: Option<Box<DataFusionError>>,
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let kind = kind(&error);
        Self { kind, message: message(&error), source: Some(Box::new(error)) }
    }
}

fn kind(error: &DataFusionError) -> ErrorKind {
    match error.find_root() {
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

/// The engine repeats the expression that it cannot use, which may be as long as the statement.
const MESSAGE_LETTERS_MAX: usize = 800;

/// The first line of the root cause, without the engine's own prefixes, and what it proposes instead.
fn message(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::External(cause) => cause.to_string(),
        DataFusionError::ResourcesExhausted(_) => {
            "the statement needs more memory than the session may use: ask for less, or raise the limit"
                .to_owned()
        }
        DataFusionError::SQL(cause, _) => cause.to_string(),
        root => root.strip_backtrace(),
    };
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
    let said = match said.char_indices().nth(MESSAGE_LETTERS_MAX) {
        Some((end, _)) => format!("{} …", &said[..end]),
        None => said.to_owned(),
    };
    match lines.next().filter(|next| next.starts_with("Did you mean")) {
        Some(proposal) => format!("{said}; did you mean{}", proposal.trim_start_matches("Did you mean")),
        None => said,
    }
}
