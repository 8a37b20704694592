//! What stands behind events: origins, magnitudes, amplitudes, arrivals and picks, read for many parents at once.
//!
//! Each parent comes with a time near which its children lie, so that a batch of parents reads few files.

use datafusion::prelude::SessionContext;
use seislake_model::{Amplitude, Arrival, Magnitude, Origin, Phase, Pick, SourceId, Timestamp};
use seislake_tables::picks::names::{network, phase, pick_id, pick_time, source_id, station};
use seislake_tables::{TableRow, amplitudes, arrivals, magnitudes, origins, picks as picks_table};

use super::columns::{read, rows};
use super::page::{Interval, Page, Total};
use super::statement::Conditions;
use crate::error::ApiError;

/// Parents in one statement at most.
const PARENTS_MAX: usize = 2000;

/// Children lie within this time of their parent: the slowest phase that is picked travels less than an hour.
const CHILD_SPREAD_S: f64 = 3600.0;

/// A parent: its id and a time near which its children lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Near {
    pub(crate) id: String,
    pub(crate) time: Timestamp,
}

async fn children<R: TableRow>(
    context: &SessionContext,
    what: Children,
    parents: &[Near],
) -> Result<Vec<R>, ApiError> {
    let (table, mut children) = (R::TABLE, Vec::new());
    for parents in parents.chunks(PARENTS_MAX) {
        let mut conditions = Conditions::default();
        conditions.one_of(what.parent, parents.iter().map(|parent| parent.id.as_str()));
        let times = || parents.iter().map(|parent| parent.time);
        if let (Some(column), Some(first), Some(last)) = (what.time, times().min(), times().max()) {
            let first = conditions.time(first.add_seconds(-CHILD_SPREAD_S));
            let last = conditions.time(last.add_seconds(CHILD_SPREAD_S));
            conditions.add(format!("{column} BETWEEN {first} AND {last}"));
        }
        let sql =
            format!("SELECT * FROM {table} WHERE {} ORDER BY {}", conditions.joined(), what.order.join(", "));
        children.extend(rows(&conditions.run(context, &table.full_name(), &sql).await?)?);
    }
    Ok(children)
}

/// By which parent, pruned by which time, in which order.
#[derive(Clone, Copy, Debug)]
struct Children {
    parent: &'static str,
    time: Option<&'static str>,
    order: &'static [&'static str],
}

/// Origins of events.
pub(crate) async fn origins_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Origin>, ApiError> {
    let what = Children {
        parent: origins::names::event_id,
        time: Some(origins::names::origin_time),
        order: &[origins::names::origin_time, origins::names::origin_id],
    };
    children(context, what, events).await
}

/// The preferred origins of events, by their own ids and times: an event's time is that of its preferred origin.
pub(crate) async fn preferred_origins(
    context: &SessionContext,
    origins: &[Near],
) -> Result<Vec<Origin>, ApiError> {
    let what = Children {
        parent: origins::names::origin_id,
        time: Some(origins::names::origin_time),
        order: &[origins::names::origin_id],
    };
    children(context, what, origins).await
}

/// Magnitudes of events.
pub(crate) async fn magnitudes_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Magnitude>, ApiError> {
    let what = Children {
        parent: magnitudes::names::event_id,
        time: None,
        order: &[magnitudes::names::magnitude_type, magnitudes::names::magnitude_id],
    };
    children(context, what, events).await
}

/// Amplitudes of events.
pub(crate) async fn amplitudes_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Amplitude>, ApiError> {
    let what = Children {
        parent: amplitudes::names::event_id,
        time: Some(amplitudes::names::amplitude_time),
        order: &[amplitudes::names::source_id, amplitudes::names::amplitude_id],
    };
    children(context, what, events).await
}

const fn arrivals_of(parent: &'static str) -> Children {
    let time = Some(arrivals::names::pick_time);
    let order = &[arrivals::names::distance_km, arrivals::names::pick_time, arrivals::names::arrival_id];
    Children { parent, time, order }
}

/// Arrivals of all origins of events.
pub(crate) async fn arrivals_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of(arrivals::names::event_id), events).await
}

/// Arrivals of origins.
pub(crate) async fn arrivals_of_origins(
    context: &SessionContext,
    origins: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of(arrivals::names::origin_id), origins).await
}

/// Arrivals that use picks.
pub(crate) async fn arrivals_of_picks(
    context: &SessionContext,
    picks: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of(arrivals::names::pick_id), picks).await
}

/// Picks by their ids.
pub(crate) async fn picks_by_id(context: &SessionContext, picks: &[Near]) -> Result<Vec<Pick>, ApiError> {
    let what = Children { parent: pick_id, time: Some(pick_time), order: &[pick_time, pick_id] };
    children(context, what, picks).await
}

/// Which picks.
#[derive(Clone, Debug, Default)]
pub(crate) struct PickFilter {
    pub(crate) pick_time: Interval<Timestamp>,
    pub(crate) source_id: Option<SourceId>,
    pub(crate) network: Option<String>,
    pub(crate) station: Option<String>,
    pub(crate) phase: Option<Phase>,
}

impl PickFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        let texts = [
            (source_id, self.source_id.as_ref().map(SourceId::as_str)),
            (network, self.network.as_deref()),
            (station, self.station.as_deref()),
            (phase, self.phase.map(Phase::as_str)),
        ];
        for (column, text) in texts {
            conditions.one_of(column, text.into_iter());
        }
        if let Some(from) = self.pick_time.min {
            let from = conditions.time(from);
            conditions.add(format!("{pick_time} >= {from}"));
        }
        if let Some(to) = self.pick_time.max {
            let to = conditions.time(to);
            conditions.add(format!("{pick_time} <= {to}"));
        }
        conditions
    }
}

/// A page of picks, oldest first.
pub(crate) async fn picks(
    context: &SessionContext,
    filter: &PickFilter,
    page: &Page,
) -> Result<Vec<Pick>, ApiError> {
    let mut conditions = filter.conditions();
    if let Some(after) = &page.after {
        let (time, id) = (conditions.time(Timestamp::from_micros(after.micros)), conditions.text(&after.id));
        conditions.add(format!("({pick_time} > {time} OR ({pick_time} = {time} AND {pick_id} > {id}))"));
    }
    let sql = format!(
        "SELECT * FROM {} WHERE {} ORDER BY {pick_time}, {pick_id} LIMIT {} OFFSET {}",
        picks_table::TABLE,
        conditions.joined(),
        page.limit,
        page.offset
    );
    rows(&conditions.run(context, "picks", &sql).await?)
}

/// How many picks pass the filter.
pub(crate) async fn count_picks(context: &SessionContext, filter: &PickFilter) -> Result<i64, ApiError> {
    let conditions = filter.conditions();
    let sql = format!("SELECT count(*) AS total FROM {} WHERE {}", picks_table::TABLE, conditions.joined());
    let totals: Vec<Total> = read(&conditions.run(context, "picks", &sql).await?)?;
    Ok(totals.first().map_or(0, |total| total.0))
}
