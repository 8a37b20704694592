//! The answer to a statement as its door reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt};
use seislake_query::Stop;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::QueryFailure;
use super::parts::Ending;
use super::threads::Statement;

/// What a statement's task sends.
#[derive(Debug)]
pub(super) enum Part {
    Schema(SchemaRef),
    Batch(RecordBatch),
    End,
}

/// Which time of a statement is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// From the question to the last row, however fast the reader is.
    Whole(Duration),
    /// That which the reader waits for rows: a long answer may be read for as long as it takes.
    Waiting(Duration),
}

/// Batches of an answer. Dropped, it ends the statement.
pub struct QueryStream {
    schema: SchemaRef,
    source: Source,
}

enum Source {
    Task(Task),
    /// Polled where it is read.
    Here(SendableRecordBatchStream),
    Ended,
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl QueryStream {
    /// Of a session without a runtime.
    pub(crate) fn here(stream: SendableRecordBatchStream) -> Self {
        Self { schema: stream.schema(), source: Source::Here(stream) }
    }

    /// Waits until the task has planned.
    pub(super) async fn of_task(
        parts: mpsc::Receiver<Result<Part, QueryFailure>>,
        statement: Arc<Statement>,
        time: TimeLimit,
    ) -> Result<Self, QueryFailure> {
        let mut task = Task { parts, statement, clock: Clock::start(time) };
        match std::future::poll_fn(|context| task.poll(context)).await? {
            Part::Schema(schema) => Ok(Self { schema, source: Source::Task(task) }),
            Part::Batch(_) | Part::End => Ok(Self { schema: Schema::empty().into(), source: Source::Ended }),
        }
    }

    /// When the answer ends although its reader has not taken all of it.
    pub(crate) fn ending(&self) -> Ending {
        match &self.source {
            Source::Task(task) => Ending { stop: task.statement.stop.clone(), time: task.clock.end() },
            Source::Here(_) | Source::Ended => Ending { stop: Stop::default(), time: None },
        }
    }

    /// Columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, QueryFailure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = match &mut self.source {
            Source::Ended => return Poll::Ready(None),
            Source::Here(stream) => {
                return stream
                    .poll_next_unpin(context)
                    .map(|batch| batch.map(|batch| batch.map_err(QueryFailure::from)));
            }
            Source::Task(task) => match task.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(part) => part,
            },
        };
        match part {
            Ok(Part::Batch(batch)) => Poll::Ready(Some(Ok(batch))),
            Ok(Part::Schema(_) | Part::End) => {
                self.source = Source::Ended;
                Poll::Ready(None)
            }
            Err(failure) => {
                self.source = Source::Ended;
                Poll::Ready(Some(Err(failure)))
            }
        }
    }
}

/// A statement at work elsewhere.
struct Task {
    parts: mpsc::Receiver<Result<Part, QueryFailure>>,
    statement: Arc<Statement>,
    clock: Clock,
}

impl Task {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Part, QueryFailure>> {
        if self.clock.is_over() {
            return Poll::Ready(Err(self.out_of_time()));
        }
        match self.parts.poll_recv(context) {
            Poll::Ready(part) => {
                self.clock.answered();
                Poll::Ready(part.unwrap_or(Err(QueryFailure::BrokenOff)))
            }
            Poll::Pending => self.clock.poll_over(context).map(|()| Err(self.out_of_time())),
        }
    }

    fn out_of_time(&self) -> QueryFailure {
        self.statement.end();
        QueryFailure::TimedOut(self.clock.limit)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.statement.end();
    }
}

/// What is left of the time.
struct Clock {
    limit: Duration,
    whole: Option<Instant>,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Clock {
    fn start(time: TimeLimit) -> Self {
        let (limit, whole) = match time {
            TimeLimit::Whole(limit) => (limit, Instant::now().checked_add(limit)),
            TimeLimit::Waiting(limit) => (limit, None),
        };
        Self { limit, whole, left: limit, waiting: None }
    }

    /// The end of the time from the question to the last row, and how long that is.
    fn end(&self) -> Option<(tokio::time::Instant, Duration)> {
        self.whole.map(|end| (end.into(), self.limit))
    }

    fn is_over(&self) -> bool {
        self.whole.is_some_and(|end| Instant::now() >= end)
    }

    fn answered(&mut self) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let left = self.whole.map_or(self.left, |end| end.saturating_duration_since(now));
        let (_, sleep) = self.waiting.get_or_insert_with(|| (now, Box::pin(tokio::time::sleep(left))));
        sleep.as_mut().poll(context)
    }
}
