//! One state of the lake as one root field sees it, and the loader that reads children of many parents at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::dataloader::{DataLoader, Loader};
use datafusion::prelude::SessionContext;
use seislake_model::{Amplitude, Arrival, Magnitude, Origin, Pick, SnapshotId};

use super::cursor::{Cursor, PageInfo};
use crate::error::{ApiError, ErrorCode};
use crate::query_runtime::Asker;
use crate::read::{
    self, Near, amplitudes_of_events, arrivals_of_origins, arrivals_of_picks, magnitudes_of_events,
    origins_of_events, picks_by_id,
};
use crate::state::{AppState, AsOf, Pinned, Snapshots};

/// A session on the lake as of one snapshot, shared by all fields below a root field.
pub(super) struct View {
    pub(super) context: SessionContext,
    pub(super) snapshot: Option<SnapshotId>,
    /// Kept where a page has a cursor for the next one.
    pub(super) snapshots: Arc<dyn Snapshots>,
    pub(super) loader: DataLoader<BulletinLoader>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl View {
    /// The lake as of `as_of`; fields of one request that ask for the same get the same state.
    pub(super) async fn open(
        request: &RequestViews,
        state: &AppState,
        table: &str,
        as_of: AsOf,
    ) -> Result<Arc<Self>, ApiError> {
        let pinned = request.pinned(state, as_of).await?;
        let snapshot = pinned.snapshots.id(table);
        let Pinned { context, snapshots } = pinned;
        let asker = Asker::current();
        // Batches are read by tasks of their own, in the name of who asked.
        let spawn = move |work| tokio::spawn(asker.clone().scope(work));
        let loader =
            DataLoader::new(BulletinLoader { context: context.clone() }, spawn).max_batch_size(BATCH_MAX);
        Ok(Arc::new(Self { context, snapshot, snapshots, loader }))
    }

    /// The state in which the page after `cursor` is read: that of the page before, and where its time is over the
    /// newest, which the answer says.
    pub(super) async fn resume(
        request: &RequestViews,
        state: &AppState,
        table: &str,
        cursor: &Cursor,
    ) -> Result<Arc<Self>, ApiError> {
        match Self::open(request, state, table, cursor.as_of()).await {
            Err(error) if error.code == ErrorCode::NotFound => {
                request.say(
                    "the state of the lake that the cursor was made of is kept no more: the page goes on from its row \
                     in the newest state",
                );
                Self::open(request, state, table, AsOf::Latest).await
            }
            opened => opened,
        }
    }
}

impl View {
    /// Keeps the state where the page has a successor.
    pub(super) fn keep(&self, page: &PageInfo) {
        if page.has_next_page {
            self.snapshots.keep();
        }
    }
}

/// The states of the lake that one request reads, and what its answer has to say of them.
#[derive(Debug, Default)]
pub(super) struct RequestViews {
    pinned: tokio::sync::Mutex<Vec<(AsOf, Pinned)>>,
    notices: Mutex<Vec<&'static str>>,
}

impl RequestViews {
    async fn pinned(&self, state: &AppState, as_of: AsOf) -> Result<Pinned, ApiError> {
        let mut pinned = self.pinned.lock().await;
        if let Some((_, known)) = pinned.iter().find(|(known, _)| *known == as_of) {
            return Ok(known.clone());
        }
        let made = state.sessions.pin(as_of).await?;
        pinned.push((as_of, made.clone()));
        Ok(made)
    }

    fn say(&self, notice: &'static str) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }

    /// What the answer has to say.
    pub(super) fn notices(&self) -> Vec<&'static str> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let mut by_id: HashMap<String, Arc<read::EventRow>> =
            rows.into_iter().map(|row| (row.event.event_id.to_string(), Arc::new(row))).collect();
        let gone = keys.iter().map(|key| key.0.id.as_str()).filter(|id| !by_id.contains_key(*id));
        let survivors = read::survivors(&self.context, &gone.collect::<Vec<_>>()).await?;
        if !survivors.is_empty() {
            let filter =
                read::EventFilter { event_ids: survivors.values().cloned().collect(), ..Default::default() };
            let rows = read::events(&self.context, &filter, read::EventOrder::default(), &page).await?;
            by_id.extend(rows.into_iter().map(|row| (row.event.event_id.to_string(), Arc::new(row))));
        }
        let of = |id: &String| by_id.get(survivors.get(id).unwrap_or(id)).map(Arc::clone);
        Ok(keys.iter().filter_map(|key| Some((key.clone(), of(&key.0.id)?))).collect())
    }
}
