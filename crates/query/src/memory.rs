//! Memory that statements hold, counted where it is allocated: the engine's pool knows what sorts, joins and aggregates
//! tell it, but neither the rows that a window keeps nor batches on their way.
//!
//! ```text
//! thread at work on a statement ([`Stop`]) ─ large block ─ allocator ─► account of the statement ─► that of the session
//!                                              block freed, by whichever thread ◄────┘
//! operator, function, rule of the planner ─ asks before its next step ─ more than the session allows? the statement ends
//! ```
//! Nothing is refused in the allocator: a step that was begun is finished. How large a step may be, [`crate::growth`] says.
//!
//! [`Stop`]: crate::stop::Stop

mod allocator;

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::common::{DataFusionError, Result};

pub use allocator::CountingAllocator;

/// How much of its limit in [`SessionSettings`](crate::SessionSettings) a session may hold in all: what operators take
/// from the pool, and as much again for everything else.
const SESSION_SHARE: usize = 2;

/// Part of a session's limit below which a statement is small: no more than so many work at a time.
const SMALL_SHARE: usize = 16;

thread_local! {
    /// The account of the statement that this thread works on. A pointer, for the allocator must not register destructors.
    static CURRENT: Cell<*const Account> = const { Cell::new(std::ptr::null()) };
}

/// What all statements of a session hold.
#[derive(Debug)]
pub(crate) struct SessionMemory {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl SessionMemory {
    /// Of a session whose operators may hold so many bytes.
    pub(crate) fn of_pool(memory_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            bytes_max: memory_bytes_max.saturating_mul(SESSION_SHARE),
        })
    }
}

/// What one statement holds: blocks that were allocated for it and that nobody has freed.
#[derive(Default)]
pub(crate) struct Account {
    bytes: AtomicUsize,
    session: OnceLock<Arc<SessionMemory>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Account {
    /// From now on it counts for this session, and is held to its limit.
    pub(crate) fn open(&self, session: &Arc<SessionMemory>) {
        if self.session.set(Arc::clone(session)).is_ok() {
            session.bytes.fetch_add(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// # Errors
    /// The session holds more than it may, and this statement much of it: of several, small ones go on.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(session) = self.session.get() else { return Ok(()) };
        let all = session.bytes.load(Ordering::Relaxed);
        if all <= session.bytes_max {
            return Ok(());
        }
        let own = self.bytes.load(Ordering::Relaxed);
        if own < session.bytes_max / SMALL_SHARE {
            return Ok(());
        }
        Err(DataFusionError::ResourcesExhausted(format!("{own} bytes of {all} that all statements hold")))
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(session) = self.session.get() {
            session.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn take(&self, bytes: usize) {
        let less = |before: usize| Some(before.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let Some(session) = self.session.get() {
            let _ = session.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// While it lives, large blocks that this thread allocates count for an account.
pub(crate) struct Counting {
    /// Keeps alive what the thread points at.
    _account: Arc<Account>,
    before: *const Account,
}

impl Counting {
    pub(crate) fn begin(account: Arc<Account>) -> Self {
        let before = CURRENT.replace(Arc::as_ptr(&account));
        Self { _account: account, before }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

#[cfg(test)]
mod tests;
