//! Whether a statement is still wanted, how many threads work on it, and what memory they hold for it. Who asked drops the
//! flag's other end or raises it; operators look at it where they would otherwise go on for long without asking anybody. A thread that still works on a
//! statement long after it was stopped is in the middle of a call that asks nobody: who owns the threads can tell so.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::carried::carried_by_sessions;
use crate::memory::{Account, AccountScope, OpenAccount};

thread_local! {
    /// That of the statement which this thread works on.
    static AT_WORK: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// A flag shared by who asks and what works: once raised it stays so.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    own: Arc<AtomicBool>,
    /// That of the whole request.
    above: Option<Arc<AtomicBool>>,
    thread_count: Arc<AtomicUsize>,
    memory: Arc<OpenAccount>,
}

impl Stop {
    /// A flag that counts as raised too when this one is: one statement of a request.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { above: Some(Arc::clone(&self.own)), ..Self::default() }
    }

    /// The answer is not wanted any more.
    pub fn raise(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether the answer is not wanted any more.
    pub fn is_raised(&self) -> bool {
        let raised = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        raised(&self.own) || self.above.as_ref().is_some_and(raised)
    }

    /// Threads that work on the statement at this moment.
    pub fn thread_count(&self) -> usize {
        self.thread_count.load(Ordering::Relaxed)
    }

    /// The memory that the statement holds.
    pub(crate) fn account(&self) -> &Arc<Account> {
        self.memory.account()
    }

    /// While it lives, what this thread allocates counts for the statement.
    pub(crate) fn counting(&self) -> AccountScope {
        AccountScope::begin(Arc::clone(self.account()))
    }

    /// What `call` allocates counts for the statement.
    pub fn on_account<T>(&self, call: impl FnOnce() -> T) -> T {
        let _counting = self.counting();
        call()
    }

    /// Whether the statements of its session hold more than they may.
    pub fn is_short_of_memory(&self) -> bool {
        self.account().is_short()
    }

    /// `work` on the statement: threads that poll or drop it are counted, and those of the tasks that the engine spawns
    /// meanwhile, and the memory that they allocate.
    pub fn counted<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        CountedStream { work: Some(work.boxed()), stop: self.clone() }
    }

    /// That of the statement which this thread works on.
    pub(crate) fn at_work() -> Option<Self> {
        AT_WORK.with_borrow(Clone::clone)
    }

    fn enter(&self) -> Entry {
        self.thread_count.fetch_add(1, Ordering::Relaxed);
        let counting = self.counting();
        Entry { before: AT_WORK.replace(Some(self.clone())), stop: self.clone(), _counting: counting }
    }

    /// That of the statement whose options these are; one that nobody raises for sessions without.
    pub(crate) fn of(options: &ConfigOptions) -> Self {
        options.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// # Errors
    /// The answer to the statement whose options these are is not wanted any more, or takes too much memory.
    pub(crate) fn check_of(options: &ConfigOptions) -> Result<()> {
        options.extensions.get::<Self>().map_or(Ok(()), Self::check)
    }

    /// # Errors
    /// The answer is not wanted any more, or takes more memory than the session may hold.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_raised() {
            return Err(DataFusionError::Execution("the statement was stopped".into()));
        }
        self.account().check()
    }
}

/// While it lives, this thread works on a statement.
struct Entry {
    before: Option<Stop>,
    stop: Stop,
    _counting: AccountScope,
}

impl Drop for Entry {
    fn drop(&mut self) {
        AT_WORK.set(self.before.take());
        self.stop.thread_count.fetch_sub(1, Ordering::Relaxed);
    }
}

struct CountedStream<T> {
    work: Option<BoxFuture<'static, T>>,
    stop: Stop,
}

impl<T> Future for CountedStream<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let _entered = self.stop.enter();
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        work.poll_unpin(context)
    }
}

impl<T> Drop for CountedStream<T> {
    fn drop(&mut self) {
        // Plans and batches may take long to drop, too.
        let _entered = self.stop.enter();
        self.work = None;
    }
}

carried_by_sessions!(Stop, "stop");
