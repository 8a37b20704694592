//! One state of the lake as one root field sees it, and the loader that reads children of many parents at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use datafusion::prelude::SessionContext;
use seislake_model::{Amplitude, Arrival, Magnitude, Origin, Pick, SnapshotId};

use crate::error::ApiError;
use crate::query_runtime::Asker;
use crate::read::{
    self, Near, amplitudes_of_events, arrivals_of_origins, arrivals_of_picks, magnitudes_of_events,
    origins_of_events, picks_by_id,
};
use crate::state::{AppState, AsOf};

/// A session on the lake as of one snapshot, shared by all fields below a root field.
pub(super) struct View {
    pub(super) context: SessionContext,
    pub(super) snapshot: Option<SnapshotId>,
    pub(super) loader: DataLoader<BulletinLoader>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl View {
    /// Opens the lake as of `as_of`, pinned to the snapshot of `table`.
    pub(super) async fn open(state: &AppState, table: &str, as_of: AsOf) -> Result<Arc<Self>, ApiError> {
        let snapshot = match as_of {
            AsOf::Snapshot(id) => Some(id),
            other => state.sessions.snapshot_id(table, other).await?,
        };
        let pinned = match (as_of, snapshot) {
            (AsOf::Latest, Some(id)) => AsOf::Snapshot(id),
            (other, _) => other,
        };
        let context = state.sessions.session(pinned).await?;
        let asker = Asker::current();
        // Batches are read by tasks of their own, in the name of who asked.
        let spawn = move |work| tokio::spawn(asker.clone().scope(work));
        let loader =
            DataLoader::new(BulletinLoader { context: context.clone() }, spawn).max_batch_size(BATCH_MAX);
        Ok(Arc::new(Self { context, snapshot, loader }))
    }
}

/// Parents in one batch at most.
const BATCH_MAX: usize = 1000;

/// Reads children for a batch of parents.
#[derive(Clone)]
pub(super) struct BulletinLoader {
    context: SessionContext,
}

/// Origins of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OriginsOf(pub(super) Near);
/// Magnitudes of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MagnitudesOf(pub(super) Near);
/// Amplitudes of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AmplitudesOf(pub(super) Near);
/// Arrivals of an origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArrivalsOf(pub(super) Near);
/// Arrivals that use a pick.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArrivalsOfPick(pub(super) Near);
/// A pick.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PickOf(pub(super) Near);
/// The event of an arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventOf(pub(super) Near);

/// Hands each parent its children.
fn grouped<K: Clone + Eq + std::hash::Hash, T: Clone>(
    keys: &[K],
    near: impl Fn(&K) -> &Near,
    rows: Vec<T>,
    parent: impl Fn(&T) -> &str,
) -> HashMap<K, Arc<Vec<T>>> {
    let mut by_parent: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        by_parent.entry(parent(&row).to_owned()).or_default().push(row);
    }
    keys.iter()
        .map(|key| (key.clone(), Arc::new(by_parent.get(&near(key).id).cloned().unwrap_or_default())))
        .collect()
}

fn parents<K>(keys: &[K], near: impl Fn(&K) -> &Near) -> Vec<Near> {
    keys.iter().map(|key| near(key).clone()).collect()
}

macro_rules! load_children {
    ($($key:ident: $row:ident by $parent:ident through $read:ident;)*) => {$(
        impl Loader<$key> for BulletinLoader {
            type Value = Arc<Vec<$row>>;
            type Error = ApiError;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, ApiError> {
                let rows = $read(&self.context, &parents(keys, |key| &key.0)).await?;
                Ok(grouped(keys, |key| &key.0, rows, |row| &row.$parent))
            }
        }
    )*};
}

load_children! {
    OriginsOf: Origin by event_id through origins_of_events;
    MagnitudesOf: Magnitude by event_id through magnitudes_of_events;
    AmplitudesOf: Amplitude by event_id through amplitudes_of_events;
    ArrivalsOf: Arrival by origin_id through arrivals_of_origins;
    ArrivalsOfPick: Arrival by pick_id through arrivals_of_picks;
    PickOf: Pick by pick_id through picks_by_id;
}

impl Loader<EventOf> for BulletinLoader {
    type Value = Arc<read::EventRow>;
    type Error = ApiError;

    async fn load(&self, keys: &[EventOf]) -> Result<HashMap<EventOf, Self::Value>, ApiError> {
        let filter = read::EventFilter {
            event_ids: keys.iter().map(|key| key.0.id.clone()).collect(),
            ..Default::default()
        };
        let page = read::Page { limit: keys.len(), ..Default::default() };
        let rows = read::events(&self.context, &filter, read::EventOrder::default(), &page).await?;
        let rows: HashMap<String, Arc<read::EventRow>> =
            rows.into_iter().map(|row| (row.event.event_id.clone(), Arc::new(row))).collect();
        Ok(keys.iter().filter_map(|key| Some((key.clone(), Arc::clone(rows.get(&key.0.id)?)))).collect())
    }
}
