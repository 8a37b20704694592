//! Snapshots in use: what somebody reads, or may still ask for, is not let go.
//!
//! A *snapshot set* is one state of all tables: table → snapshot. Whoever reads holds it, and with it a lease on its
//! snapshots; commits, `expire` and `orphans` of this process leave those and their files alone. A cursor cannot hold
//! anything: the set it was made of is kept for a stated time after the last page (`lake.cursor_lease_s`).
//! Other processes know nothing of these leases: beside them, `expire` spares what was current lately.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use iceberg::TableIdent;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use seislake_model::SnapshotId;

use crate::as_of::AsOf;
use crate::error::Result;

/// Sets kept for cursors, one a commit at the most: more would swell the metadata that every commit writes.
const KEPT_MAX: usize = 200;
/// However long somebody reads: after this the snapshot may go, and the reader with it.
const READING_MAX: Duration = Duration::from_secs(3600);

/// One state of all tables, held while it is read; cheap to clone.
#[derive(Clone)]
pub struct SnapshotSet(Arc<LeasedSet>);

struct LeasedSet {
    tables: BTreeMap<TableIdent, (Table, At)>,
    lease: Lease,
}

/// How one table of a set is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    AsOf(AsOf),
    /// It had no rows yet.
    Empty,
}

impl At {
    pub(crate) fn snapshot(self, table: &Table) -> Result<Option<SnapshotRef>> {
        match self {
            Self::AsOf(as_of) => as_of.snapshot(table.identifier(), table.metadata()),
            Self::Empty => Ok(None),
        }
    }
}

/// What is kept of a set for cursors: names, not the metadata of all tables.
#[derive(Debug)]
struct CursorState {
    until: Instant,
    snapshots: BTreeMap<TableIdent, SnapshotId>,
    _lease: Lease,
}

impl fmt::Debug for SnapshotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotSet").field("snapshots", &self.0.lease.snapshots).finish_non_exhaustive()
    }
}

impl SnapshotSet {
    pub(crate) fn new(tables: BTreeMap<TableIdent, (Table, At)>, lease: Lease) -> Self {
        Self(Arc::new(LeasedSet { tables, lease }))
    }

    /// The snapshot of `table` (`bulletin.events`) in this state; `None` where it has none yet.
    pub fn snapshot_id(&self, table: &str) -> Option<SnapshotId> {
        let (loaded, at) = self.0.tables.iter().find(|(ident, _)| ident.to_string() == table)?.1;
        at.snapshot(loaded).ok().flatten().map(|snapshot| snapshot.snapshot_id())
    }

    /// The table as it is in this state.
    pub(crate) fn table(&self, ident: &TableIdent) -> Option<Result<(Table, Option<SnapshotRef>)>> {
        let (table, at) = self.0.tables.get(ident)?;
        Some(at.snapshot(table).map(|snapshot| (table.clone(), snapshot)))
    }

    fn snapshots(&self) -> BTreeMap<TableIdent, SnapshotId> {
        let id = |(ident, (table, at)): (&TableIdent, &(Table, At))| {
            Some((ident.clone(), at.snapshot(table).ok()??.snapshot_id()))
        };
        self.0.tables.iter().filter_map(id).collect()
    }
}

/// Keeps some snapshots; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    id: u64,
    snapshots: HashSet<SnapshotId>,
    leases: Weak<Leases>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(leases) = self.leases.upgrade() {
            leases.lock().held.remove(&self.id);
        }
    }
}

/// All leases of a lake in this process.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// Since when which snapshots are read.
    held: HashMap<u64, (Instant, HashSet<SnapshotId>)>,
    /// What cursors may still ask for, the oldest first.
    kept: VecDeque<CursorState>,
}

impl Leases {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(self: &Arc<Self>, snapshots: HashSet<SnapshotId>) -> Lease {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.held.insert(id, (Instant::now(), snapshots.clone()));
        Lease { id, snapshots, leases: Arc::downgrade(self) }
    }

    /// Snapshots that must not be let go.
    pub(crate) fn leased(&self) -> HashSet<SnapshotId> {
        let mut state = self.lock();
        let gone = state.take_over();
        let read = state.held.values().filter(|(since, _)| since.elapsed() < READING_MAX);
        let leased = read.flat_map(|(_, snapshots)| snapshots.iter().copied()).collect();
        drop(state);
        // Outside the lock, which giving back a lease takes.
        drop(gone);
        leased
    }

    pub(crate) fn keep(self: &Arc<Self>, set: &SnapshotSet, time: Duration) {
        let snapshots = set.snapshots();
        let lease = self.take(snapshots.values().copied().collect());
        let mut state = self.lock();
        let mut gone = state.take_over();
        if let Some(place) = state.kept.iter().position(|kept| kept.snapshots == snapshots) {
            gone.extend(state.kept.remove(place));
        }
        if state.kept.len() >= KEPT_MAX {
            gone.extend(state.kept.pop_front());
        }
        state.kept.push_back(CursorState { until: Instant::now() + time, snapshots, _lease: lease });
        drop(state);
        drop(gone);
    }

    pub(crate) fn find(&self, id: SnapshotId) -> Option<BTreeMap<TableIdent, SnapshotId>> {
        let mut state = self.lock();
        let gone = state.take_over();
        let found = state.kept.iter().rev().find(|kept| kept.snapshots.values().any(|kept| *kept == id));
        let found = found.map(|kept| kept.snapshots.clone());
        drop(state);
        drop(gone);
        found
    }
}

impl State {
    /// Takes out what was kept long enough; to be dropped outside the lock.
    #[must_use]
    fn take_over(&mut self) -> Vec<CursorState> {
        let now = Instant::now();
        let (over, kept) = self.kept.drain(..).partition::<Vec<_>, _>(|kept| kept.until <= now);
        self.kept = kept.into();
        over
    }
}
