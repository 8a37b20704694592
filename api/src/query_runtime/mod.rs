//! Where the statements of all doors run: on threads of their own, so that nothing else waits for them.
//!
//! ```text
//! door ─ run ─► line of its asker ─► place ─► parse ─ plan ─ execute ─► batches ─► QueryStream ─► door
//!                                    └ threads of low priority         └ a reader that is slow gives the place back
//! ```
//! A statement ends when its stream is dropped, when its time is over, or with the process; its place is free once it has
//! really ended. How deep, how large and how hungry it may be, the crate `query` says.

mod asker;
mod places;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_query::{QueryError, Question};
use tokio::sync::{Semaphore, mpsc};

pub use asker::Asker;
pub(crate) use asker::in_its_name;
pub use stream::{QueryStream, TimeLimit};

use places::{Place, Places};
use stream::Part;

/// Stack of a thread. What needs more gets a stack of its own.
const THREAD_STACK_BYTES: usize = 16 << 20;
/// Threads that read files.
const READING_THREADS_MAX: usize = 64;
/// How nice the threads are to all others: of two that want a core, these get a tenth.
const NICENESS: i32 = 10;
/// Batches that wait for the reader of an answer.
const BATCHES_AHEAD: usize = 2;

/// Limits over all statements.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLimits {
    /// Threads; 0: as many as there are cores.
    pub thread_count: usize,
    /// Statements that work at the same time.
    pub concurrency: usize,
    /// Statements that wait for their turn; more are refused.
    pub waiting_max: usize,
    /// Time of a statement, that in its line included.
    pub time_max: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { thread_count: 0, concurrency: 8, waiting_max: 256, time_max: Duration::from_secs(60) }
    }
}

/// Why there is no (more) answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryFailure {
    /// The statement is wrong, or asks for too much.
    #[error("{0}")]
    Engine(QueryError),
    /// It was not done in time.
    #[error("the statement took longer than {} s (query.timeout_s)", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Too many wait.
    #[error("as many statements as allowed wait for their turn (query.waiting_count)")]
    Busy,
    /// The threads are gone: the process stops, or the engine panicked.
    #[error("the statement was broken off")]
    BrokenOff,
}

impl From<QueryError> for QueryFailure {
    fn from(error: QueryError) -> Self {
        Self::Engine(error)
    }
}

impl From<DataFusionError> for QueryFailure {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(QueryError::from(error))
    }
}

/// The threads of all statements, and their places.
#[derive(Clone)]
pub struct QueryRuntime(Arc<Shared>);

struct Shared {
    runtime: Option<tokio::runtime::Runtime>,
    places: Arc<Places>,
    /// Deep statements work one after the other: each may touch hundreds of megabytes of stack.
    deep: Semaphore,
    limits: QueryLimits,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting: what does not end by itself ends with the process.
            runtime.shutdown_background();
        }
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
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(if limits.thread_count == 0 { cores } else { limits.thread_count })
            .max_blocking_threads(READING_THREADS_MAX)
            .thread_stack_size(THREAD_STACK_BYTES)
            .thread_name("query")
            .on_thread_start(be_nice)
            .enable_all()
            .build()?;
        let places = Places::new(limits.concurrency, limits.waiting_max);
        Ok(Self(Arc::new(Shared { runtime: Some(runtime), places, deep: Semaphore::new(1), limits })))
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
        let runtime = self.0.runtime.as_ref().ok_or(QueryFailure::BrokenOff)?;
        let (out, parts) = mpsc::channel(BATCHES_AHEAD);
        let stop = question.stop().clone();
        let work = Work { places: Arc::clone(&self.0.places), shared: Arc::downgrade(&self.0), asker, until };
        let task = runtime.spawn(work.done(session, question, out));
        QueryStream::of_task(parts, stop, task.abort_handle(), time).await
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
    places: Arc<Places>,
    shared: std::sync::Weak<Shared>,
    asker: Asker,
    until: Until,
}

type Out = mpsc::Sender<Result<Part, QueryFailure>>;

impl Work {
    async fn done(self, session: SessionContext, question: Question, out: Out) {
        let last = match self.answer(&session, question, &out).await {
            Ok(()) => Ok(Part::End),
            Err(failure) => Err(failure),
        };
        // Nobody may listen any more.
        let _ = out.send(last).await;
    }

    async fn place(&self) -> Result<Place, QueryFailure> {
        self.places.take(&self.asker).await.map_err(|_| QueryFailure::Busy)
    }

    async fn answer(
        &self,
        session: &SessionContext,
        question: Question,
        out: &Out,
    ) -> Result<(), QueryFailure> {
        let mut place = self.place().await?;
        let asked = seislake_query::parse(session, question)?;
        let shared = self.shared.upgrade().ok_or(QueryFailure::BrokenOff)?;
        let mut alone = None;
        if asked.is_deep() {
            drop(place);
            alone = Some(shared.deep.acquire().await.map_err(|_| QueryFailure::BrokenOff)?);
            place = self.place().await?;
        }
        let plan = asked.plan().await?;
        let schema = SchemaRef::clone(plan.schema());
        out.send(Ok(Part::Schema(schema))).await.map_err(|_| QueryFailure::BrokenOff)?;
        if self.until == Until::Planned {
            return Ok(());
        }
        let mut batches = plan.execute().await?;
        while let Some(batch) = batches.try_next().await? {
            place = self.hand_over(batch, place, out).await?;
        }
        drop(batches);
        drop((place, alone));
        Ok(())
    }

    /// Gives a batch to the reader. While it does not take it, the place belongs to others.
    async fn hand_over(&self, batch: RecordBatch, place: Place, out: &Out) -> Result<Place, QueryFailure> {
        match out.try_send(Ok(Part::Batch(batch))) {
            Ok(()) => Ok(place),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(QueryFailure::BrokenOff),
            Err(mpsc::error::TrySendError::Full(part)) => {
                drop(place);
                out.send(part).await.map_err(|_| QueryFailure::BrokenOff)?;
                self.place().await
            }
        }
    }
}

/// Lowers the priority of the thread at hand: of Linux's threads each has its own.
fn be_nice() {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "the standard library knows no priorities; the call takes numbers only")]
    // SAFETY: `setpriority` reads its three numbers and touches no memory of ours; failing, it changes nothing.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS);
    }
}

#[cfg(test)]
mod tests;
