//! Threads of statements, and fresh ones for those that a statement does not give back.
//!
//! ```text
//! statement ─ begin ─► newest generation of threads ─ first poll ─► works ─► ended, or its stop is raised
//!                                                                             └ GRACE later a thread still works on it:
//!            its place is free, its generation is left, a new one takes all that has not begun ◄┘
//! ```
//! A call on one batch asks nobody whether it is still wanted: a pattern of a megabyte on a text of a hundred may take days.
//! Such a thread cannot be ended, only left to itself. After [`GENERATIONS_MAX`] generations there are no more threads for
//! statements of this kind until one of the calls ends, and they are refused at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use seislake_query::Stop;
use tokio::task::AbortHandle;
use tokio_util::task::AbortOnDropHandle;

use super::asker::Asker;
use super::places::Place;

/// Stack of a thread. What needs more gets a stack of its own.
const THREAD_STACK_BYTES: usize = 16 << 20;
/// Threads that read files.
const READING_THREADS_MAX: usize = 64;
/// Generations of threads of one kind at most, each of which but the newest has a thread that does not come back: each
/// costs a part of a core, and its statement the memory that it holds.
const GENERATIONS_MAX: usize = 8;

/// What threads are started.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadSettings {
    /// What they are called in lists of threads, in metrics and in the log.
    pub(super) name: &'static str,
    pub(super) count: usize,
    /// How nice they are to all others.
    pub(super) niceness: i32,
    /// How long a statement that was stopped may go on before its threads count as lost.
    pub(super) grace: Duration,
}

/// Threads of one kind.
#[derive(Debug)]
pub(super) struct Threads {
    settings: ThreadSettings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    newest: Arc<Generation>,
    /// Those with a thread that does not come back, as long as it does not.
    left: Vec<Arc<Generation>>,
    /// Those that work, wait to begin, or have ended without their threads.
    statements: Vec<Arc<Statement>>,
    held: HeldThreads,
}

/// Threads that statements do not give back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldThreads {
    /// What kind of threads.
    pub(crate) name: &'static str,
    /// How many are held.
    pub(crate) count: usize,
    /// No fresh ones are started any more: there are as many as allowed.
    pub(crate) exhausted: bool,
}

/// Threads that were started together.
#[derive(Debug)]
pub(super) struct Generation(Option<tokio::runtime::Runtime>);

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Without waiting: what does not end by itself ends with the process.
            runtime.shutdown_background();
        }
    }
}

/// A statement on threads of this kind.
pub(super) struct Statement {
    pub(super) asker: Asker,
    pub(super) stop: Stop,
    state: Mutex<OfStatement>,
}

#[derive(Default)]
struct OfStatement {
    /// What has not begun.
    work: Option<BoxFuture<'static, ()>>,
    tasks: Vec<AbortHandle>,
    generation: Option<Arc<Generation>>,
    place: Option<Place>,
    /// The turn of a deep statement.
    turn: Option<Place>,
    stopped_at: Option<Instant>,
    lost: bool,
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Statement {
    pub(super) fn new(asker: Asker, stop: Stop) -> Arc<Self> {
        Arc::new(Self { asker, stop, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, OfStatement> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the place that it works in; with `None` it goes to others.
    pub(super) fn keep(&self, place: Option<Place>) {
        let before = std::mem::replace(&mut self.state().place, place);
        drop(before);
    }

    /// Keeps the turn of a deep statement, until it is done.
    pub(super) fn keep_turn(&self, turn: Place) {
        self.state().turn = Some(turn);
    }

    /// Gives back what others wait for.
    pub(super) fn leave(&self) {
        let kept = {
            let mut state = self.state();
            (state.place.take(), state.turn.take())
        };
        drop(kept);
    }

    /// Its answer is not wanted any more.
    pub(super) fn end(&self) {
        self.stop.raise();
        let (work, tasks) = {
            let mut state = self.state();
            (state.work.take(), std::mem::take(&mut state.tasks))
        };
        drop(work);
        for task in tasks {
            task.abort();
        }
    }

    fn begin_on(self: &Arc<Self>, generation: &Arc<Generation>) {
        let Some(runtime) = &generation.0 else { return };
        let (statement, on) = (Arc::clone(self), Arc::clone(generation));
        // Counted by whom it works for, so that a thread that does not come back is seen wherever it stands.
        let task = runtime.spawn(self.stop.counted(async move {
            let Some(work) = statement.taken(on) else { return };
            let _leaves = Leaves(statement);
            work.await;
        }));
        self.state().tasks.push(task.abort_handle());
        if self.stop.is_raised() {
            task.abort();
        }
    }

    /// Its work, for the first thread that asks.
    fn taken(&self, on: Arc<Generation>) -> Option<BoxFuture<'static, ()>> {
        let mut state = self.state();
        let work = state.work.take()?;
        state.generation = Some(on);
        Some(work)
    }

    fn has_begun(&self) -> bool {
        self.state().work.is_none()
    }

    /// Threads that it has not given back although it was stopped `grace` ago, and whether that is new.
    fn lost_threads(&self, now: Instant, grace: Duration) -> (usize, bool) {
        if !self.stop.is_raised() {
            return (0, false);
        }
        let count = self.stop.thread_count();
        let mut state = self.state();
        let stopped_at = *state.stopped_at.get_or_insert(now);
        if count == 0 || now.saturating_duration_since(stopped_at) < grace {
            return (0, false);
        }
        let new = !std::mem::replace(&mut state.lost, true);
        drop(state);
        if new {
            self.leave();
        }
        (count, new)
    }
}

/// Gives the place of a statement back when its work is done or broken off.
struct Leaves(Arc<Statement>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Threads {
    /// Starts the first generation.
    pub(super) fn start(settings: ThreadSettings) -> std::io::Result<Self> {
        let state = State {
            newest: Arc::new(Generation::start(settings)?),
            left: Vec::new(),
            statements: Vec::new(),
            held: HeldThreads { name: settings.name, ..HeldThreads::default() },
        };
        Ok(Self { settings, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` for `statement`; `false` where all threads are held and there are no fresh ones.
    pub(super) fn begin(&self, statement: &Arc<Statement>, work: BoxFuture<'static, ()>) -> bool {
        let newest = {
            let mut state = self.state();
            if state.held.exhausted {
                return false;
            }
            statement.state().work = Some(work);
            state.statements.push(Arc::clone(statement));
            Arc::clone(&state.newest)
        };
        statement.begin_on(&newest);
        true
    }

    pub(super) fn held(&self) -> HeldThreads {
        self.state().held
    }

    /// Looks for threads that do not come back, and replaces their generation.
    pub(super) fn look(&self, now: Instant) {
        let mut told = Vec::new();
        // What ends here is dropped when nobody waits for the lock.
        let (statements, ended, left) = {
            let mut state = self.state();
            let (ended, statements): (Vec<_>, Vec<_>) =
                state.statements.drain(..).partition(|one| Arc::strong_count(one) == 1 && has_ended(one));
            state.statements.clone_from(&statements);
            let (ended_generations, left): (Vec<_>, Vec<_>) =
                state.left.drain(..).partition(|one| Arc::strong_count(one) == 1 && one.is_idle());
            state.left = left;
            (statements, ended, ended_generations)
        };
        drop((ended, left));
        let newest = Arc::clone(&self.state().newest);
        let (mut count, mut of_newest) = (0, 0);
        for statement in &statements {
            let (lost, new) = statement.lost_threads(now, self.settings.grace);
            count += lost;
            let on_newest =
                || statement.state().generation.as_ref().is_some_and(|on| Arc::ptr_eq(on, &newest));
            if lost > 0 && on_newest() {
                of_newest += lost;
            }
            if new {
                told.push(statement.asker.clone());
            }
        }
        let replaced = of_newest > 0 && self.replace();
        let exhausted = of_newest >= self.settings.count && !replaced;
        self.state().held = HeldThreads { name: self.settings.name, count, exhausted };
        let threads = self.settings.name;
        metrics::gauge!("seislake_query_threads_held", "threads" => threads).set(count as f64);
        metrics::counter!("seislake_query_threads_replaced_total", "threads" => threads)
            .increment(u64::from(replaced));
        for asker in told {
            tracing::warn!(
                threads,
                %asker,
                replaced,
                "a statement goes on although it was stopped: its threads are left to it"
            );
        }
    }

    /// A new generation, that all which has not begun begins on; `false` where there are as many as allowed.
    fn replace(&self) -> bool {
        if self.state().left.len() + 1 >= GENERATIONS_MAX {
            return false;
        }
        let fresh = match Generation::start(self.settings) {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                tracing::error!(%error, threads = self.settings.name, "no fresh threads for statements");
                return false;
            }
        };
        let statements = {
            let mut state = self.state();
            let before = std::mem::replace(&mut state.newest, Arc::clone(&fresh));
            state.left.push(before);
            state.statements.clone()
        };
        for statement in statements.iter().filter(|statement| !statement.has_begun()) {
            statement.begin_on(&fresh);
        }
        true
    }
}

/// Nobody works on it, nor will.
fn has_ended(statement: &Arc<Statement>) -> bool {
    statement.stop.thread_count() == 0 && statement.has_begun()
}

impl Generation {
    pub(super) fn start(settings: ThreadSettings) -> std::io::Result<Self> {
        let niceness = settings.niceness;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.count)
            .max_blocking_threads(READING_THREADS_MAX)
            .thread_stack_size(THREAD_STACK_BYTES)
            .thread_name(settings.name)
            .on_thread_start(move || be_nice(niceness))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Does `work` on these threads; dropped, it ends. A panic of it is one of who waits for it.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(runtime) = &self.0 else { return work.await };
        match AbortOnDropHandle::new(runtime.spawn(work)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The threads are gone, and with them the process.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Begins `work` on these threads; it ends when the handle is dropped.
    pub(super) fn begin(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortOnDropHandle<()>> {
        self.0.as_ref().map(|runtime| AbortOnDropHandle::new(runtime.spawn(work)))
    }

    fn is_idle(&self) -> bool {
        self.0.as_ref().is_none_or(|runtime| runtime.metrics().num_alive_tasks() == 0)
    }
}

/// Lowers the priority of the thread at hand: of Linux's threads each has its own.
fn be_nice(niceness: i32) {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "the standard library knows no priorities; the call takes numbers only")]
    // SAFETY: `setpriority` reads its three numbers and touches no memory of ours; failing, it changes nothing.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, niceness);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}
