//! Builds the `WHERE` of a statement and runs it: values travel as parameters, never as text.

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, SessionContext};
use seislake_model::{ErrorKind, Timestamp};

use crate::error::{ApiError, ErrorCode};

/// Time zone of `timestamptz` columns in Arrow.
const UTC: &str = "+00:00";

/// Conditions joined by `AND`, with the values of their parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    clauses: Vec<String>,
    values: Vec<ScalarValue>,
}

impl Conditions {
    fn bind(&mut self, value: ScalarValue) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// A parameter holding text.
    pub(crate) fn text(&mut self, text: &str) -> String {
        self.bind(ScalarValue::Utf8(Some(text.to_owned())))
    }

    /// A parameter holding a moment, to the microsecond.
    pub(crate) fn time(&mut self, time: Timestamp) -> String {
        self.bind(ScalarValue::TimestampMicrosecond(Some(time.micros()), Some(UTC.into())))
    }

    /// A parameter holding a float.
    pub(crate) fn number(&mut self, value: f64) -> String {
        self.bind(ScalarValue::Float64(Some(value)))
    }

    /// A list of text parameters for `IN`.
    pub(crate) fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str>) -> String {
        texts.map(|text| self.text(text)).collect::<Vec<_>>().join(", ")
    }

    /// Adds a condition.
    pub(crate) fn add(&mut self, clause: impl Into<String>) {
        self.clauses.push(clause.into());
    }

    /// Adds `column IN (…)`; nothing where no values are given.
    pub(crate) fn one_of<'a>(&mut self, column: &str, texts: impl Iterator<Item = &'a str>) {
        let list = self.texts(texts);
        if !list.is_empty() {
            self.add(format!("{column} IN ({list})"));
        }
    }

    /// The conditions as text for `WHERE`; `true` where there are none.
    pub(crate) fn joined(&self) -> String {
        if self.clauses.is_empty() { "true".to_owned() } else { self.clauses.join(" AND ") }
    }

    /// Drops the conditions added so far but keeps the values of the parameters that text already names.
    pub(crate) fn take_clauses(&mut self) -> String {
        let text = self.joined();
        self.clauses.clear();
        text
    }

    /// Runs `sql`, which names the parameters of these conditions.
    pub(crate) async fn run(
        self,
        context: &SessionContext,
        what: &str,
        sql: &str,
    ) -> Result<Vec<RecordBatch>, ApiError> {
        self.frame(context, what, sql).await?.collect().await.map_err(|error| failure(what, &error))
    }

    /// The same, batch by batch as they are read; later errors are those of the engine, see [`failure`].
    pub(crate) async fn stream(
        self,
        context: &SessionContext,
        what: &str,
        sql: &str,
    ) -> Result<SendableRecordBatchStream, ApiError> {
        self.frame(context, what, sql).await?.execute_stream().await.map_err(|error| failure(what, &error))
    }

    async fn frame(self, context: &SessionContext, what: &str, sql: &str) -> Result<DataFrame, ApiError> {
        let failed = |error| failure(what, &error);
        let frame = context.sql(sql).await.map_err(failed)?;
        if self.values.is_empty() { Ok(frame) } else { frame.with_param_values(self.values).map_err(failed) }
    }
}

/// What the caller should know: an error of the lake says itself what to do, others are ours.
pub(crate) fn failure(what: &str, error: &DataFusionError) -> ApiError {
    match error.find_root() {
        DataFusionError::External(cause) => match cause.downcast_ref::<seislake_catalog::Error>() {
            Some(error) if error.kind != ErrorKind::Internal => {
                ApiError::of_room(error.kind, &format!("read {what}"), &error.to_string(), error)
            }
            _ => ApiError::internal(&format!("read {what}"), error),
        },
        DataFusionError::ResourcesExhausted(_) => {
            ApiError::new(ErrorCode::Unavailable, format!("reading {what} needs more memory than there is"))
                .hint("ask for less, or again when other queries have ended")
        }
        _ => ApiError::internal(&format!("read {what}"), error),
    }
}
