//! The root of the schema: one field per kind of list.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use seislake_model::SourceId;

use super::bulletin::{EventConnection, EventEdge, EventNode, PickConnection, PickEdge, PickNode};
use super::cursor::{Cursor, PageStart, page_info};
use super::inputs::{AsOfInput, EventFilterInput, EventOrderInput, PhaseName, TimeRange, Within, page_rows};
use super::network::{StationConnection, StationEdge, StationNode};
use super::scalars::Snapshot;
use super::view::{RequestViews, View};
use super::waveform::{SegmentConnection, SegmentEdge, SegmentNode};
use crate::error::{ApiError, ErrorCode};
use crate::limits::HttpLimits;
use crate::read::{
    EventFilter, EventOrder, Page, PickFilter, SegmentFilter, SortKey, StationFilter, WithSamples, events,
    events_by_id, picks, segments,
};
use crate::state::{AppState, AsOf};

/// Cost of a list: its fields for every row asked for, at most a full page (a larger page is refused by the field). How many
/// lists are asked for is counted by the guard.
fn cost(first: Option<i32>, child: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(100).min(1000);
    1_usize.saturating_add(rows.saturating_mul(child))
}

/// Where a page starts and in which state of the lake.
fn start(
    after: Option<&str>,
    as_of: Option<AsOfInput>,
    list: &str,
) -> Result<(Option<Cursor>, AsOf), ApiError> {
    let cursor = after.map(|text| Cursor::decode(text, list)).transpose()?;
    match (cursor, as_of) {
        (Some(cursor), Some(AsOfInput::SnapshotId(id))) if cursor.snapshot != Some(id.0) => {
            Err(ApiError::invalid("\"asOf\" names another snapshot than the cursor in \"after\"")
                .hint("leave \"asOf\" out when paging: the cursor holds the snapshot"))
        }
        (Some(cursor), _) => {
            let as_of = cursor.as_of();
            Ok((Some(cursor), as_of))
        }
        (None, as_of) => Ok((None, as_of.map(AsOf::from).unwrap_or_default())),
    }
}

/// The state of the lake that a field reads.
async fn view(
    context: &Context<'_>,
    table: &str,
    cursor: Option<&Cursor>,
    as_of: AsOf,
) -> Result<Arc<View>, ApiError> {
    let state = context.data::<AppState>().map_err(|_| no_state())?;
    let request = context.data::<Arc<RequestViews>>().map_err(|_| no_state())?;
    match cursor {
        Some(cursor) => View::resume(request, state, table, cursor).await,
        None => View::open(request, state, table, as_of).await,
    }
}

fn no_state() -> ApiError {
    ApiError::new(ErrorCode::Internal, "the request has no state")
}

fn continued(cursor: Option<&Cursor>) -> PageStart {
    if cursor.is_some() { PageStart::Yes } else { PageStart::No }
}

/// A page of a list that is read from the lake.
struct LakePage {
    view: Arc<View>,
    start: PageStart,
    /// Rows to ask for: one more than are shown.
    page: Page,
    limit: usize,
}

impl LakePage {
    async fn open(
        context: &Context<'_>,
        (table, list): (&str, &str),
        first: Option<i32>,
        after: Option<&str>,
        as_of: Option<AsOfInput>,
    ) -> Result<Self, ApiError> {
        let limits = context.data::<HttpLimits>().map_err(|_| no_state())?;
        let limit = page_rows(first, limits)?;
        let (cursor, as_of) = start(after, as_of, list)?;
        let view = view(context, table, cursor.as_ref(), as_of).await?;
        let start = continued(cursor.as_ref());
        let page = Page { after: cursor.map(Cursor::key), offset: 0, limit: limit + 1 };
        Ok(Self { view, start, page, limit })
    }
}

/// The lake: events, picks, stations, waveforms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query;

#[Object]
impl Query {
    /// Earthquakes, the newest revision of each.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "arguments of the GraphQL field")]
    async fn events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which events.")] filter: Option<EventFilterInput>,
        #[graphql(default)] order_by: EventOrderInput,
        #[graphql(desc = "Rows of the page: 100 where not given, at most 1000.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the row before the page.")] after: Option<String>,
        as_of: Option<AsOfInput>,
    ) -> Result<EventConnection> {
        let filter = filter.as_ref().map(EventFilterInput::filter).transpose()?.unwrap_or_default();
        let (list, order) = (order_by.list(), order_by.order());
        let opened =
            LakePage::open(context, ("bulletin.events", list), first, after.as_deref(), as_of).await?;
        let LakePage { view, start, page, limit } = opened;
        let mut rows: Vec<EventNode> = events(&view.context, &filter, order, &page)
            .await?
            .into_iter()
            .map(|row| EventNode { row: Arc::new(row), view: Arc::clone(&view) })
            .collect();
        let cursor =
            |node: &EventNode| Cursor::new(list, view.snapshot, order.key_of(&node.row.event)).encode();
        let page_info = page_info(&mut rows, limit, start, cursor);
        view.keep(&page_info);
        let edges = rows.iter().map(|node| EventEdge { cursor: cursor(node), node: node.clone() }).collect();
        Ok(EventConnection {
            edges,
            nodes: rows,
            page_info,
            snapshot_id: view.snapshot.map(Snapshot),
            filter,
            view: Arc::clone(&view),
        })
    }

    /// One earthquake; null where there is none of that id. Of one that was merged into another, the other.
    async fn event(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Event id, e.g. \"event/…\".")] id: String,
        as_of: Option<AsOfInput>,
    ) -> Result<Option<EventNode>> {
        let as_of = as_of.map(AsOf::from).unwrap_or_default();
        let view = view(context, "bulletin.events", None, as_of).await?;
        let filter = EventFilter { event_ids: vec![id], ..EventFilter::default() };
        let page = Page { limit: 1, ..Page::default() };
        let rows = events_by_id(&view.context, &filter, EventOrder::default(), &page).await?;
        Ok(rows.into_iter().next().map(|row| EventNode { row: Arc::new(row), view }))
    }

    /// Phase picks, oldest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "arguments of the GraphQL field")]
    async fn picks(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Onset time.")] time_range: Option<TimeRange>,
        #[graphql(desc = "FDSN source identifier of the channel.")] source_id: Option<String>,
        #[graphql(desc = "Network code.")] network: Option<String>,
        #[graphql(desc = "Station code.")] station: Option<String>,
        phase: Option<PhaseName>,
        #[graphql(desc = "Rows of the page: 100 where not given, at most 1000.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the row before the page.")] after: Option<String>,
        as_of: Option<AsOfInput>,
    ) -> Result<PickConnection> {
        const LIST: &str = "picks";
        let filter = PickFilter {
            pick_time: time_range.as_ref().map(TimeRange::interval).transpose()?.unwrap_or_default(),
            source_id: source_id.as_deref().map(source).transpose()?,
            network,
            station,
            phase: phase.map(Into::into),
        };
        let opened =
            LakePage::open(context, ("bulletin.picks", LIST), first, after.as_deref(), as_of).await?;
        let LakePage { view, start, page, limit } = opened;
        let mut rows: Vec<PickNode> = picks(&view.context, &filter, &page)
            .await?
            .into_iter()
            .map(|pick| PickNode { pick, view: Arc::clone(&view) })
            .collect();
        let cursor = |node: &PickNode| {
            let key = SortKey {
                value: 0.0,
                micros: node.pick.pick_time.micros(),
                id: node.pick.pick_id.to_string(),
            };
            Cursor::new(LIST, view.snapshot, key).encode()
        };
        let page_info = page_info(&mut rows, limit, start, cursor);
        view.keep(&page_info);
        let edges = rows.iter().map(|node| PickEdge { cursor: cursor(node), node: node.clone() }).collect();
        Ok(PickConnection {
            edges,
            nodes: rows,
            page_info,
            snapshot_id: view.snapshot.map(Snapshot),
            filter,
            view: Arc::clone(&view),
        })
    }

    /// Station epochs of the inventory in use, by network, station and begin.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn stations(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Network code.")] network: Option<String>,
        #[graphql(desc = "Station code.")] station: Option<String>,
        within: Option<Within>,
        #[graphql(desc = "Rows of the page: 100 where not given, at most 1000.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the row before the page.")] after: Option<String>,
    ) -> Result<StationConnection> {
        const LIST: &str = "stations";
        let limit = page_rows(first, context.data::<HttpLimits>()?)?;
        let cursor = after.as_deref().map(|text| Cursor::decode(text, LIST)).transpose()?;
        let continued = continued(cursor.as_ref());
        let inventory = context.data::<AppState>()?.stations.current();
        let filter = StationFilter {
            network,
            station,
            areas: within.as_ref().map(Within::area).transpose()?.into_iter().collect(),
        };
        let matching = filter.stations(&inventory);
        let total_count = matching.len();
        let key = |station: &seislake_model::Station| StationFilter::key(station);
        let after = cursor.map(|cursor| cursor.key().id).unwrap_or_default();
        let mut rows: Vec<StationNode> = matching
            .into_iter()
            .filter(|station| after.is_empty() || key(station) > after)
            .take(limit + 1)
            .map(|station| StationNode { station: station.clone(), inventory: Arc::clone(&inventory) })
            .collect();
        let cursor = |node: &StationNode| {
            Cursor::new(LIST, None, SortKey { value: 0.0, micros: 0, id: key(&node.station) }).encode()
        };
        let page_info = page_info(&mut rows, limit, continued, cursor);
        let edges =
            rows.iter().map(|node| StationEdge { cursor: cursor(node), node: node.clone() }).collect();
        Ok(StationConnection { edges, nodes: rows, page_info, total_count })
    }

    /// Waveform segments of a channel that share a moment with the window, oldest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn waveform_segments(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "FDSN source identifier, e.g. \"FDSN:IU_ANMO_00_B_H_Z\".")] source_id: String,
        time_range: TimeRange,
        #[graphql(desc = "Rows of the page: 100 where not given, at most 1000.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the row before the page.")] after: Option<String>,
        as_of: Option<AsOfInput>,
    ) -> Result<SegmentConnection> {
        const LIST: &str = "segments";
        let limits = context.data::<HttpLimits>()?;
        let filter = SegmentFilter { source_id: source(&source_id)?, window: time_range.interval()? };
        let opened =
            LakePage::open(context, ("waveform.segments", LIST), first, after.as_deref(), as_of).await?;
        let LakePage { view, start, page, limit } = opened;
        let mut rows = segments(&view.context, &filter, WithSamples::No, &page).await?;
        let cursor = |row: &crate::read::SegmentRow| {
            let key = SortKey { value: 0.0, micros: row.start_time.micros(), id: row.position.clone() };
            Cursor::new(LIST, view.snapshot, key).encode()
        };
        let page_info = page_info(&mut rows, limit, start, cursor);
        view.keep(&page_info);
        if wants_samples(context) && !rows.is_empty() {
            let sample_count: u64 = rows.iter().map(|row| u64::from(row.sample_count)).sum();
            check_samples(sample_count, limits.samples_max)?;
            let page = Page { limit: rows.len(), ..page };
            rows = segments(&view.context, &filter, WithSamples::Yes, &page).await?;
        }
        let cursors: Vec<String> = rows.iter().map(cursor).collect();
        let nodes: Vec<SegmentNode> = rows.into_iter().map(SegmentNode::from).collect();
        let edges = nodes
            .iter()
            .zip(cursors)
            .map(|(node, cursor)| SegmentEdge { cursor, node: node.clone() })
            .collect();
        Ok(SegmentConnection {
            edges,
            nodes,
            page_info,
            snapshot_id: view.snapshot.map(Snapshot),
            filter,
            view: Arc::clone(&view),
        })
    }
}

fn source(text: &str) -> Result<SourceId, ApiError> {
    text.parse::<SourceId>().map_err(|error| ApiError::invalid(error.to_string()))
}

fn wants_samples(context: &Context<'_>) -> bool {
    let selected = context.look_ahead();
    selected.field("nodes").field("samples").exists()
        || selected.field("edges").field("node").field("samples").exists()
}

fn check_samples(sample_count: u64, samples_max: usize) -> Result<(), ApiError> {
    if sample_count <= samples_max as u64 {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::PageTooLarge,
        format!("the segments hold {sample_count} samples; at most {samples_max} are given in one page"),
    )
    .hint("ask for fewer segments with \"first\", or read waveform.segments by Flight SQL"))
}
