//! Where the statements of all doors run: on threads of their own, so that nothing else waits for them.
//!
//! ```text
//! door ─ run ─┬─ Flight SQL, command line ─► threads "sql"  ─┐
//!             └─ all other doors ──────────► threads "doors" ─┴► line of its asker ─► place ─► parse ─ plan ─ execute ─► batches
//!                                                                                              QueryStream ─► door ◄──┘
//! ```
//! Statements that clients write may hold every thread that they run on; those that we write for the other doors have as
//! many threads and places of their own, and are answered all the same. A statement ends when its stream is dropped, when
//! its time is over, or with the process; its place is free once it has really ended, and a reader that is slow gives it
//! back. What is written of the rows is made on threads of the doors, too. A thread that does not come back is replaced ([`threads`]). How deep, how large and how hungry a statement may be,
//! the crate `query` says.

mod asker;
mod parts;
mod places;
mod stream;
mod threads;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, Stream, TryStreamExt};
use seislake_model::Error;
use seislake_query::{Question, of_engine};
use tokio::sync::mpsc;
use tracing::Instrument;

pub use asker::Asker;
pub(crate) use asker::{door_of, in_its_name};
pub use stream::{QueryStream, TimeLimit};
use threads::HeldThreads;

pub(crate) use parts::Ending;
use places::Places;
use stream::Part;
use threads::{Generation, Statement, ThreadSettings, Threads};

/// How nice the threads of clients' statements are to all others: of two that want a core, these get a tenth.
const SQL_NICENESS: i32 = 10;
/// Those of our own statements, and of what is written of their rows, stand between.
const DOORS_NICENESS: i32 = 5;
/// How often threads that do not come back are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Batches that wait for the reader of an answer.
const BATCHES_AHEAD: usize = 2;

/// Limits over all statements of a kind: those that clients write, and ours.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLimits {
    /// Threads; 0: as many as there are cores.
    pub thread_count: usize,
    /// Statements that work at the same time.
    pub concurrency: usize,
    /// Statements that wait for their turn; more are refused.
    pub waiting_max: usize,
    /// Rows of an answer; one with more ends with an error.
    pub row_count_max: u64,
    /// How long a statement that was stopped may go on before its threads are replaced.
    pub grace: Duration,
    /// Time of a statement, that in its line included.
    pub time_max: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            thread_count: 0,
            concurrency: 8,
            waiting_max: 256,
            row_count_max: 1_000_000_000,
            grace: Duration::from_secs(5),
            time_max: Duration::from_secs(60),
        }
    }
}

impl QueryLimits {
    fn threads(&self, name: &'static str, niceness: i32) -> ThreadSettings {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let count = if self.thread_count == 0 { cores() } else { self.thread_count };
        ThreadSettings { name, count, niceness, grace: self.grace }
    }
}

/// Why there is no (more) answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryFailure {
    /// The statement is wrong, or asks for too much.
    #[error("{0}")]
    Engine(Error),
    /// It was not done in time.
    #[error("the statement took longer than {} s (query.timeout_s)", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It has more rows than an answer may have.
    #[error("the answer has more than {0} rows (query.row_count)")]
    TooManyRows(u64),
    /// Its reader took nothing while other statements needed the memory.
    #[error(
        "the answer was not read while other statements needed the memory that it held: read faster, or ask for less"
    )]
    Stalled,
    /// Nothing can run any more.
    #[error("all threads of statements are held by statements that cannot be stopped")]
    NoThreads,
    /// Too many wait.
    #[error("as many statements as allowed wait for their turn (query.waiting_count)")]
    Busy,
    /// The threads are gone: the process stops, or the engine panicked.
    #[error("the statement was broken off")]
    BrokenOff,
}

impl From<Error> for QueryFailure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<DataFusionError> for QueryFailure {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(of_engine(error))
    }
}

/// The threads of all statements, and their places.
#[derive(Clone)]
pub struct QueryRuntime(Arc<Shared>);

struct Shared {
    sql: Arc<Kind>,
    doors: Arc<Kind>,
    /// Threads on which answers are written. Not those of statements: who waits for a statement must see its time end.
    answers: Generation,
    limits: QueryLimits,
}

/// What statements of one kind share.
struct Kind {
    threads: Threads,
    places: Arc<Places>,
    /// Deep statements work one after the other: each may touch hundreds of megabytes of stack.
    deep: Arc<Places>,
}

impl Kind {
    fn start(name: &'static str, niceness: i32, limits: &QueryLimits) -> std::io::Result<Arc<Self>> {
        let threads = Threads::start(limits.threads(name, niceness))?;
        let places = Places::new(limits.concurrency, limits.waiting_max);
        Ok(Arc::new(Self { threads, places, deep: Places::new(1, limits.waiting_max) }))
    }
}

impl fmt::Debug for QueryRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRuntime").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl QueryRuntime {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(limits: QueryLimits) -> std::io::Result<Self> {
        let sql = Kind::start("sql", SQL_NICENESS, &limits)?;
        let doors = Kind::start("doors", DOORS_NICENESS, &limits)?;
        let interval = LOOK_INTERVAL.min(limits.grace);
        let answers = Generation::start(limits.threads("answers", DOORS_NICENESS))?;
        let shared = Arc::new(Shared { sql, doors, answers, limits });
        let watched = Arc::downgrade(&shared);
        // A thread: of a runtime whose threads are all held, nothing would look.
        std::thread::Builder::new().name("query watch".into()).spawn(move || {
            while let Some(shared) = watched.upgrade() {
                let now = Instant::now();
                shared.sql.threads.look(now);
                shared.doors.threads.look(now);
                drop(shared);
                std::thread::sleep(interval);
            }
        })?;
        Ok(Self(shared))
    }

    /// Whether statements can run, else why not.
    ///
    /// # Errors
    /// One sentence for a probe, where all threads of a kind are held.
    pub fn check(&self) -> Result<(), String> {
        let exhausted = self.held_threads().into_iter().find(|held| held.exhausted);
        exhausted.map_or(Ok(()), |held| {
            Err(format!(
                "no \"{}\" statement can run: {} threads are held by statements that cannot be stopped (restart the server)",
                held.name, held.count
            ))
        })
    }

    /// What an operator should know although statements run.
    pub fn note(&self) -> Option<String> {
        let held: usize = self.held_threads().iter().map(|held| held.count).sum();
        (held > 0)
            .then(|| format!("{held} threads were replaced: statements that cannot be stopped go on in them"))
    }

    /// Threads that statements do not give back, of each kind.
    pub(crate) fn held_threads(&self) -> [HeldThreads; 2] {
        [self.0.sql.threads.held(), self.0.doors.threads.held()]
    }

    /// Answers a request on threads beside those of its door: what it writes (XML, JSON, records) takes long at times.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.0.answers.finish(work).await
    }

    /// The same for an answer in many parts, of which one is made ahead of the reader; it ends as `ending` says.
    pub(crate) fn answer_in_parts<T: Send + 'static, E: From<QueryFailure> + Send + 'static>(
        &self,
        ending: Ending,
        parts: impl Stream<Item = Result<T, E>> + Send + 'static,
    ) -> impl Stream<Item = Result<T, E>> + Send + 'static {
        let (out, made) = mpsc::channel(1);
        let task = self.0.answers.begin(parts::hand_over(parts, ending, out));
        futures::stream::unfold((made, task), |(mut made, task)| async move {
            let part = made.recv().await?;
            Some((part, (made, task)))
        })
    }

    /// The session with this runtime in its options: statements of it run here, see [`QueryRuntime::of`].
    #[must_use]
    pub fn attach(&self, session: &SessionContext) -> SessionContext {
        let mut state = session.state();
        state.config_mut().set_extension(Arc::new(self.clone()));
        SessionContext::new_with_state(state)
    }

    /// The runtime that was attached to a session.
    pub fn of(session: &SessionContext) -> Option<Self> {
        session.copied_config().get_extension::<Self>().map(|runtime| Self::clone(&runtime))
    }

    /// The limit of time of every statement.
    pub fn time_max(&self) -> Duration {
        self.0.limits.time_max
    }

    /// Columns of the answer to `question`: it is planned, not run.
    ///
    /// # Errors
    /// See [`QueryFailure`].
    pub async fn plan(
        &self,
        asker: Asker,
        session: SessionContext,
        question: Question,
    ) -> Result<SchemaRef, QueryFailure> {
        let time = TimeLimit::Whole(self.time_max());
        Ok(self.begin(asker, session, question, Until::Planned, time).await?.schema())
    }

    /// Answers `question`; the stream begins when the statement is planned.
    ///
    /// # Errors
    /// See [`QueryFailure`].
    pub async fn run(
        &self,
        asker: Asker,
        session: SessionContext,
        question: Question,
        time: TimeLimit,
    ) -> Result<QueryStream, QueryFailure> {
        self.begin(asker, session, question, Until::Answered, time).await
    }

    async fn begin(
        &self,
        asker: Asker,
        session: SessionContext,
        question: Question,
        until: Until,
        time: TimeLimit,
    ) -> Result<QueryStream, QueryFailure> {
        let kind = if asker.writes_statements() { &self.0.sql } else { &self.0.doors };
        let (out, parts) = mpsc::channel(BATCHES_AHEAD);
        let statement = Statement::new(asker, question.stop().clone());
        let row_count_max = self.0.limits.row_count_max;
        let work = Work { kind: Arc::clone(kind), statement: Arc::clone(&statement), until, row_count_max };
        if !kind.threads.begin(&statement, work.done(session, question, out).in_current_span().boxed()) {
            return Err(QueryFailure::NoThreads);
        }
        QueryStream::of_task(parts, statement, time).await
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Planned,
    Answered,
}

/// What a statement works with.
struct Work {
    kind: Arc<Kind>,
    statement: Arc<Statement>,
    until: Until,
    row_count_max: u64,
}

type Out = mpsc::Sender<Result<Part, QueryFailure>>;

impl Work {
    async fn done(self, session: SessionContext, question: Question, out: Out) {
        let last = match self.answer(&session, question, &out).await {
            Ok(()) => Ok(Part::End),
            Err(failure) => Err(failure),
        };
        self.statement.leave();
        // Nobody may listen any more.
        let _ = out.send(last).await;
    }

    async fn take_place(&self) -> Result<(), QueryFailure> {
        let place = self.kind.places.take(&self.statement.asker).await.map_err(|_| QueryFailure::Busy)?;
        self.statement.keep(Some(place));
        Ok(())
    }

    async fn answer(
        &self,
        session: &SessionContext,
        question: Question,
        out: &Out,
    ) -> Result<(), QueryFailure> {
        self.take_place().await?;
        let asked = seislake_query::parse(session, question)?;
        if asked.is_deep() {
            self.statement.keep(None);
            let turn = self.kind.deep.take(&self.statement.asker).await;
            self.statement.keep_turn(turn.map_err(|_| QueryFailure::Busy)?);
            self.take_place().await?;
        }
        let plan = asked.plan().await?;
        if self.until == Until::Planned {
            let schema = plan.schema()?;
            return out.send(Ok(Part::Schema(schema))).await.map_err(|_| QueryFailure::BrokenOff);
        }
        let mut batches = plan.execute().await?;
        // That of the batches themselves: a door that was told another one would cast them to it.
        out.send(Ok(Part::Schema(batches.schema()))).await.map_err(|_| QueryFailure::BrokenOff)?;
        let mut row_count = 0_u64;
        while let Some(batch) = batches.try_next().await? {
            row_count += batch.num_rows() as u64;
            if row_count > self.row_count_max {
                return Err(QueryFailure::TooManyRows(self.row_count_max));
            }
            self.hand_over(batch, out).await?;
        }
        Ok(())
    }

    /// Gives a batch to the reader. While it does not take it, the place belongs to others.
    async fn hand_over(&self, batch: RecordBatch, out: &Out) -> Result<(), QueryFailure> {
        match out.try_send(Ok(Part::Batch(batch))) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(QueryFailure::BrokenOff),
            Err(mpsc::error::TrySendError::Full(part)) => {
                self.statement.keep(None);
                out.send(part).await.map_err(|_| QueryFailure::BrokenOff)?;
                self.take_place().await
            }
        }
    }
}

#[cfg(test)]
mod tests;
