//! Builds the `WHERE` of a statement and runs it: values travel as parameters, never as text.

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::{Error, Timestamp};
use seislake_query::{BatchRows, FoundBy, Question};

use crate::error::{ApiError, ErrorCode};
use crate::query_runtime::{Asker, QueryFailure, QueryRuntime, QueryStream, TimeLimit};

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

    /// Adds that one of `clauses` holds; nothing where there are none.
    pub(crate) fn add_any(&mut self, clauses: Vec<String>) {
        if let Some(any) = any_of(clauses) {
            self.add(any);
        }
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
        let answer = self.stream(context, what, sql).await?;
        answer.try_collect().await.map_err(|error| query_failure(what, &error))
    }

    /// The same, batch by batch as they are read; later errors are told by [`query_failure`].
    pub(crate) async fn stream(
        self,
        context: &SessionContext,
        what: &str,
        sql: &str,
    ) -> Result<QueryStream, ApiError> {
        let question = Question::new(sql).with_values(self.values).in_batches(BatchRows::OfSession);
        let answer = match QueryRuntime::of(context) {
            Some(runtime) => {
                let time = TimeLimit::Waiting(runtime.time_max());
                runtime.run(Asker::current(), context.clone(), question, time).await
            }
            None => here(context, question).await.map_err(QueryFailure::from),
        };
        answer.map_err(|error| query_failure(what, &error))
    }
}

/// `clauses` joined by `OR`, in pairs of pairs: a chain would be a tree as deep as it is long.
fn any_of(mut clauses: Vec<String>) -> Option<String> {
    while clauses.len() > 1 {
        let pair = |pair: &[String]| match pair {
            [one, other] => format!("({one} OR {other})"),
            rest => rest.concat(),
        };
        clauses = clauses.chunks(2).map(pair).collect();
    }
    clauses.pop()
}

/// Of a session without threads for statements: those of the task at hand.
async fn here(context: &SessionContext, question: Question) -> Result<QueryStream, Error> {
    let plan = seislake_query::parse(context, question)?.plan().await?;
    Ok(QueryStream::here(plan.execute().await?))
}

/// What the caller should know when a statement of ours has failed.
pub(crate) fn query_failure(what: &str, failure: &QueryFailure) -> ApiError {
    const ASK_FOR_LESS: &str = "ask for less: a shorter time range, a smaller area or page";
    let code = ErrorCode::from(failure);
    match failure {
        QueryFailure::Engine(error) => match FoundBy::of(error) {
            FoundBy::Us | FoundBy::Table(_) => ApiError::of_room(&format!("read {what}"), error),
            FoundBy::Memory => ApiError::new(code, format!("reading {what} needs more memory than there is"))
                .hint("ask for less, or again when other queries have ended"),
            // The statement is ours: what the engine finds wrong with it is no fault of the caller.
            FoundBy::Engine => ApiError::internal(&format!("read {what}"), &error.chain()),
        },
        QueryFailure::TimedOut(limit) => {
            ApiError::new(code, format!("reading {what} took longer than {} s", limit.as_secs_f64()))
                .hint(ASK_FOR_LESS)
        }
        QueryFailure::TooManyRows(count) => {
            ApiError::new(code, format!("{what}: there are more than {count} rows (query.row_count)"))
                .hint(ASK_FOR_LESS)
        }
        QueryFailure::Busy => {
            ApiError::new(code, "as many queries as allowed are waiting").hint("try again in a second")
        }
        QueryFailure::NoThreads | QueryFailure::Stalled => ApiError::new(code, failure.to_string()),
        QueryFailure::BrokenOff => ApiError::internal(&format!("read {what}"), failure),
    }
}
