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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
pub(crate) struct Account(Mutex<Books>);

#[derive(Default)]
struct Books {
    bytes: usize,
    /// While the statement goes on. What it leaves in caches is nobody's afterwards.
    session: Option<Arc<SessionMemory>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Account {
    /// From now on it counts for this session, and is held to its limit.
    pub(crate) fn open(&self, session: &Arc<SessionMemory>) {
        let mut books = self.books();
        if books.session.is_none() {
            session.bytes.fetch_add(books.bytes, Ordering::Relaxed);
            books.session = Some(Arc::clone(session));
        }
    }

    /// The statement is over: what is left of it counts for no session.
    pub(crate) fn close(&self) {
        let mut books = self.books();
        if let Some(session) = books.session.take() {
            session.bytes.fetch_sub(books.bytes, Ordering::Relaxed);
        }
    }

    /// # Errors
    /// The session holds more than it may, and this statement much of it: of several, small ones go on.
    pub(crate) fn check(&self) -> Result<()> {
        let books = self.books();
        let Some(session) = &books.session else { return Ok(()) };
        let (own, all) = (books.bytes, session.bytes.load(Ordering::Relaxed));
        if all <= session.bytes_max || own < session.bytes_max / SMALL_SHARE {
            return Ok(());
        }
        drop(books);
        Err(DataFusionError::ResourcesExhausted(format!("{own} bytes of {all} that all statements hold")))
    }

    /// Whether the session holds more than it may.
    pub(crate) fn is_short(&self) -> bool {
        let session = self.books().session.clone();
        session.is_some_and(|session| session.bytes.load(Ordering::Relaxed) > session.bytes_max)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.books().bytes
    }

    fn add(&self, bytes: usize) {
        let mut books = self.books();
        books.bytes += bytes;
        if let Some(session) = &books.session {
            session.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn take(&self, bytes: usize) {
        let mut books = self.books();
        books.bytes -= bytes;
        if let Some(session) = &books.session {
            session.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Nothing large is allocated or freed while they are held.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes an account with the last of those who go on with its statement.
#[derive(Debug, Default)]
pub(crate) struct OpenAccount(Arc<Account>);

impl OpenAccount {
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for OpenAccount {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// While it lives, large blocks that this thread allocates count for an account.
pub(crate) struct AccountScope {
    /// Keeps alive what the thread points at.
    _account: Arc<Account>,
    before: *const Account,
}

impl AccountScope {
    pub(crate) fn begin(account: Arc<Account>) -> Self {
        let before = CURRENT.replace(Arc::as_ptr(&account));
        Self { _account: account, before }
    }
}

impl Drop for AccountScope {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

#[cfg(test)]
mod tests;
