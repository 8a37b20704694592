//! Events: the newest revision of each, filtered, sorted, a page at a time, beside the preferred origin.

use std::collections::HashMap;

use datafusion::prelude::SessionContext;
use seislake_model::{Event, EventStatus, Origin, OriginId, Provenance, Timestamp};
use seislake_seismo::geometry::distance_azimuth;
use seislake_tables::events as events_table;
use seislake_tables::events::names as column;

use super::columns::{FromRow, Row, read, rows};
use super::page::{Interval, Page, SortKey, Total};
use super::solutions::{Near, preferred_origins};
use super::statement::Conditions;
use crate::error::ApiError;

/// Revisions of one event lie at most this far apart in origin time. It lets a time filter reach the files below the
/// choice of the newest revision.
const REVISION_SPREAD_S: f64 = 3600.0;
/// An event is merged into one that lives then; so often the survivor was merged itself is looked for.
const MERGES_MAX: usize = 8;

/// A part of the surface of the Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Area {
    /// Degrees; west may be larger than east: the box then crosses the date line.
    Box { latitude: Interval<f64>, west: Option<f64>, east: Option<f64> },
    /// Ring around a point.
    Ring { latitude: f64, longitude: f64, radius: Radius },
}

/// How far from the centre of a ring, both bounds included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Radius {
    /// Along the geodesic of the WGS84 ellipsoid.
    Km { min: f64, max: f64 },
    /// Angle of the great circle on the sphere, degrees.
    Degrees { min: f64, max: f64 },
}

impl Area {
    /// Whether a point lies in the area, by the same formula as the SQL condition.
    pub(crate) fn contains(&self, latitude: f64, longitude: f64) -> bool {
        match *self {
            Self::Box { latitude: bounds, west, east } => {
                let within = |longitude: f64| match (west, east) {
                    (Some(west), Some(east)) if west > east => longitude >= west || longitude <= east,
                    (west, east) => {
                        west.is_none_or(|west| longitude >= west) && east.is_none_or(|east| longitude <= east)
                    }
                };
                // The date line has two names, and a pole has all longitudes.
                let inside = within(longitude)
                    || longitude.abs() == 180.0 && within(-longitude)
                    || latitude.abs() == 90.0;
                bounds.min.is_none_or(|min| latitude >= min)
                    && bounds.max.is_none_or(|max| latitude <= max)
                    && inside
            }
            Self::Ring { latitude: centre, longitude: meridian, radius } => match radius {
                Radius::Km { min, max } => {
                    (min..=max).contains(&distance_azimuth(centre, meridian, latitude, longitude).0)
                }
                Radius::Degrees { min, max } => {
                    let north = ((latitude - centre) / 2.0).to_radians().sin().powi(2);
                    let east = ((longitude - meridian) / 2.0).to_radians().sin().powi(2);
                    let chord = north + centre.to_radians().cos() * latitude.to_radians().cos() * east;
                    (min..=max).contains(&(2.0 * chord.min(1.0).sqrt().asin()).to_degrees())
                }
            },
        }
    }

    fn add_to(&self, conditions: &mut Conditions) {
        match *self {
            Self::Box { latitude, west, east } => {
                between(conditions, column::latitude, latitude);
                add_longitudes(conditions, west, east);
            }
            Self::Ring { latitude, longitude, radius } => {
                let reach = match radius {
                    Radius::Km { max, .. } => max / KM_PER_DEGREE_MIN,
                    Radius::Degrees { max, .. } => max,
                };
                // The band of latitudes prunes files and pages; the distance decides.
                between(
                    conditions,
                    column::latitude,
                    Interval { min: Some(latitude - reach), max: Some(latitude + reach) },
                );
                let distance = distance(conditions, latitude, longitude, radius);
                let (Radius::Km { min, max } | Radius::Degrees { min, max }) = radius;
                let (min, max) = (conditions.number(min), conditions.number(max));
                conditions.add(format!("{distance} BETWEEN {min} AND {max}"));
            }
        }
    }
}

/// Meridians of a box. The date line has two names, and a pole has all longitudes.
fn add_longitudes(conditions: &mut Conditions, west: Option<f64>, east: Option<f64>) {
    let crosses = matches!((west, east), (Some(west), Some(east)) if west > east);
    let reaches_date_line =
        crosses || west.is_none_or(|west| west <= -180.0) || east.is_none_or(|east| east >= 180.0);
    let mut parts = Vec::new();
    if let Some(west) = west {
        parts.push(format!("{} >= {}", column::longitude, conditions.number(west)));
    }
    if let Some(east) = east {
        parts.push(format!("{} <= {}", column::longitude, conditions.number(east)));
    }
    if parts.is_empty() {
        return;
    }
    let mut clause = format!("({})", parts.join(if crosses { " OR " } else { " AND " }));
    if reaches_date_line {
        clause.push_str(&format!(" OR abs({}) = 180", column::longitude));
    }
    conditions.add(format!("({clause} OR abs({}) = 90)", column::latitude));
}

/// Shortest kilometres of a degree of latitude on the ellipsoid (at the equator), rounded down.
const KM_PER_DEGREE_MIN: f64 = 110.5;

/// Distance of an epicentre from a point, in the unit of `radius`.
fn distance(conditions: &mut Conditions, latitude: f64, longitude: f64, radius: Radius) -> String {
    let (north, east) = (conditions.number(latitude), conditions.number(longitude));
    let (row_north, row_east) = (column::latitude, column::longitude);
    match radius {
        Radius::Km { .. } => format!("distance_km({north}, {east}, {row_north}, {row_east})"),
        Radius::Degrees { .. } => {
            let cosine = conditions.number(latitude.to_radians().cos());
            format!(
                "degrees(2.0 * asin(sqrt(least(1.0, power(sin(radians(({row_north} - {north}) / 2.0)), 2.0) + \
                 {cosine} * cos(radians({row_north})) * power(sin(radians(({row_east} - {east}) / 2.0)), 2.0)))))"
            )
        }
    }
}

fn between(conditions: &mut Conditions, column: &str, interval: Interval<f64>) {
    if let Some(min) = interval.min {
        let min = conditions.number(min);
        conditions.add(format!("{column} >= {min}"));
    }
    if let Some(max) = interval.max {
        let max = conditions.number(max);
        conditions.add(format!("{column} <= {max}"));
    }
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EventFilter {
    pub(crate) origin_time: Interval<Timestamp>,
    pub(crate) areas: Vec<Area>,
    pub(crate) magnitude: Interval<f64>,
    pub(crate) magnitude_type: Option<String>,
    pub(crate) depth_km: Interval<f64>,
    pub(crate) event_ids: Vec<String>,
    /// As [`agencies`] tells them; none: of all.
    pub(crate) agencies: Vec<String>,
    /// Revisions to leave out, as `event_id#revision`.
    pub(crate) known_revisions: Vec<String>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventOrder {
    /// Newest first.
    #[default]
    TimeDescending,
    /// Oldest first.
    TimeAscending,
    /// Largest first; without magnitude last.
    MagnitudeDescending,
    /// Smallest first; without magnitude last.
    MagnitudeAscending,
}

/// An event and, where it is known, its preferred origin.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) event: Event,
    pub(crate) origin: Option<Origin>,
}

/// Stands for "no magnitude" in sort keys: smaller than every magnitude when descending, larger when ascending.
const NO_MAGNITUDE: f64 = 1.0e6;

impl EventOrder {
    fn key(self) -> String {
        match self {
            Self::TimeDescending | Self::TimeAscending => column::origin_time.to_owned(),
            Self::MagnitudeDescending => format!("coalesce({}, -1000000.0)", column::magnitude),
            Self::MagnitudeAscending => format!("coalesce({}, 1000000.0)", column::magnitude),
        }
    }

    const fn descending(self) -> bool {
        matches!(self, Self::TimeDescending | Self::MagnitudeDescending)
    }

    const fn by_time(self) -> bool {
        matches!(self, Self::TimeDescending | Self::TimeAscending)
    }

    /// The key of an event in this order.
    pub(crate) fn key_of(self, event: &Event) -> SortKey {
        let none = if self.descending() { -NO_MAGNITUDE } else { NO_MAGNITUDE };
        SortKey {
            value: event.magnitude.unwrap_or(none),
            micros: event.origin_time.micros(),
            id: event.event_id.to_string(),
        }
    }

    fn add_after(self, conditions: &mut Conditions, after: &SortKey) {
        let key = if self.by_time() {
            conditions.time(Timestamp::from_micros(after.micros))
        } else {
            conditions.number(after.value)
        };
        let id = conditions.text(&after.id);
        let (sorted, beyond) = (self.key(), if self.descending() { "<" } else { ">" });
        let event_id = column::event_id;
        conditions.add(format!("({sorted} {beyond} {key} OR ({sorted} = {key} AND {event_id} > {id}))"));
    }

    fn order_by(self) -> String {
        let direction = if self.descending() { "DESC" } else { "ASC" };
        format!("{} {direction}, {} ASC", self.key(), column::event_id)
    }
}

/// `FROM` and `WHERE` of the newest revisions that pass the filter.
fn newest(filter: &EventFilter, conditions: &mut Conditions) -> String {
    let widened = |time: Timestamp, seconds: f64| time.add_seconds(seconds);
    if let Some(from) = filter.origin_time.min {
        let from = conditions.time(widened(from, -REVISION_SPREAD_S));
        conditions.add(format!("{} >= {from}", column::origin_time));
    }
    if let Some(to) = filter.origin_time.max {
        let to = conditions.time(widened(to, REVISION_SPREAD_S));
        conditions.add(format!("{} <= {to}", column::origin_time));
    }
    conditions.one_of(column::event_id, filter.event_ids.iter().map(String::as_str));
    let rows = conditions.take_clauses();
    conditions.add("newest = 1");
    conditions.add(format!("{} <> '{}'", column::status, EventStatus::Deleted.as_str()));
    if let Some(from) = filter.origin_time.min {
        let from = conditions.time(from);
        conditions.add(format!("{} >= {from}", column::origin_time));
    }
    if let Some(to) = filter.origin_time.max {
        let to = conditions.time(to);
        conditions.add(format!("{} <= {to}", column::origin_time));
    }
    for area in &filter.areas {
        area.add_to(conditions);
    }
    between(conditions, column::magnitude, filter.magnitude);
    between(conditions, column::depth_km, filter.depth_km);
    if let Some(kind) = &filter.magnitude_type {
        let kind = conditions.text(&kind.to_lowercase());
        conditions.add(format!("lower({}) = {kind}", column::magnitude_type));
    }
    if !filter.agencies.is_empty() {
        let agency = agency(conditions);
        conditions.one_of(&agency, filter.agencies.iter().map(String::as_str));
    }
    let (event_id, revision) = (column::event_id, column::revision);
    let known = conditions.texts(filter.known_revisions.iter().map(String::as_str));
    if !known.is_empty() {
        conditions.add(format!("concat({event_id}, '#', {revision}) NOT IN ({known})"));
    }
    format!(
        "(SELECT *, row_number() OVER (PARTITION BY {event_id} ORDER BY {revision} DESC) AS newest \
         FROM {} WHERE {rows}) AS revisions",
        events_table::TABLE
    )
}

/// A page of events with their preferred origins.
pub(crate) async fn events(
    context: &SessionContext,
    filter: &EventFilter,
    order: EventOrder,
    page: &Page,
) -> Result<Vec<EventRow>, ApiError> {
    let mut conditions = Conditions::default();
    let from = newest(filter, &mut conditions);
    if let Some(after) = &page.after {
        order.add_after(&mut conditions, after);
    }
    let sql = format!(
        // All columns: a state of before may lack some, which are read as null.
        "SELECT * FROM {from} WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
        conditions.joined(),
        order.order_by(),
        page.limit,
        page.offset,
    );
    let events: Vec<Event> = rows(&conditions.run(context, "events", &sql).await?)?;
    // By a statement of their own: a join reads all origins there are, whatever the page.
    let near = events
        .iter()
        .map(|event| Near { id: event.preferred_origin_id.to_string(), time: event.origin_time });
    let origins = preferred_origins(context, &near.collect::<Vec<_>>()).await?;
    let by_id: HashMap<OriginId, Origin> =
        origins.into_iter().map(|origin| (origin.origin_id.clone(), origin)).collect();
    let row = |event: Event| EventRow { origin: by_id.get(&event.preferred_origin_id).cloned(), event };
    Ok(events.into_iter().map(row).collect())
}

/// The events of these ids; of one that was merged its survivor, once.
pub(crate) async fn events_by_id(
    context: &SessionContext,
    filter: &EventFilter,
    order: EventOrder,
    page: &Page,
) -> Result<Vec<EventRow>, ApiError> {
    let rows = events(context, filter, order, page).await?;
    let gone = |id: &&String| !rows.iter().any(|row| *row.event.event_id == ***id);
    let gone: Vec<&str> = filter.event_ids.iter().filter(gone).map(String::as_str).collect();
    let survivors = survivors(context, &gone).await?;
    if survivors.is_empty() {
        return Ok(rows);
    }
    let event_ids = filter.event_ids.iter().map(|id| survivors.get(id).unwrap_or(id).clone());
    let filter = EventFilter { event_ids: event_ids.collect(), ..filter.clone() };
    events(context, &filter, order, page).await
}

/// An event and the one that it was merged into.
#[derive(Debug)]
struct MergePointer {
    event_id: String,
    into: String,
}

impl FromRow for MergePointer {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            event_id: row.text(column::event_id)?.to_owned(),
            into: row.text(column::merged_into)?.to_owned(),
        })
    }
}

/// The survivors of those of the events that were merged into others.
pub(crate) async fn survivors(
    context: &SessionContext,
    event_ids: &[&str],
) -> Result<HashMap<String, String>, ApiError> {
    let mut found: HashMap<String, String> = HashMap::new();
    // A state of before knew no merging.
    let table = context.table(events_table::TABLE.full_name()).await;
    let table = table.map_err(|error| ApiError::internal("look at the table of events", &error))?;
    if event_ids.is_empty() || !table.schema().has_column_with_unqualified_name(column::merged_into) {
        return Ok(found);
    }
    let mut open: Vec<String> = event_ids.iter().map(|id| (*id).to_owned()).collect();
    for _ in 0..MERGES_MAX {
        if open.is_empty() {
            break;
        }
        let mut conditions = Conditions::default();
        conditions.one_of(column::event_id, open.iter().map(String::as_str));
        let (event_id, into) = (column::event_id, column::merged_into);
        let sql = format!(
            "SELECT {event_id}, {into} FROM (SELECT *, row_number() OVER (PARTITION BY {event_id} ORDER BY {} DESC) \
             AS newest FROM {} WHERE {}) AS revisions WHERE newest = 1 AND {into} IS NOT NULL",
            column::revision,
            events_table::TABLE,
            conditions.joined(),
        );
        let merged: Vec<MergePointer> = read(&conditions.run(context, "events", &sql).await?)?;
        open = merged.iter().map(|merged| merged.into.clone()).collect();
        for MergePointer { event_id, into } in merged {
            found.values_mut().filter(|last| **last == event_id).for_each(|last| last.clone_from(&into));
            if event_ids.contains(&event_id.as_str()) {
                found.insert(event_id, into);
            }
        }
    }
    Ok(found)
}

/// Who answers for an event, as [`Provenance::agency`] says it.
fn agency(conditions: &mut Conditions) -> String {
    let ours = conditions.text(Provenance::default().agency());
    format!("coalesce(nullif({}, ''), {ours})", column::agency_id)
}

/// An agency.
#[derive(Debug)]
struct Agency(String);

impl FromRow for Agency {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self(row.text(column::agency_id)?.to_owned()))
    }
}

/// The agencies that answer for the events there are, in the order of their names.
pub(crate) async fn agencies(context: &SessionContext) -> Result<Vec<String>, ApiError> {
    // A state of before knew no agencies.
    let table = context.table(events_table::TABLE.full_name()).await;
    let table = table.map_err(|error| ApiError::internal("look at the table of events", &error))?;
    if !table.schema().has_column_with_unqualified_name(column::agency_id) {
        return Ok(vec![Provenance::default().agency().to_owned()]);
    }
    let mut conditions = Conditions::default();
    let from = newest(&EventFilter::default(), &mut conditions);
    let agency = agency(&mut conditions);
    let sql = format!(
        "SELECT DISTINCT {agency} AS {} FROM {from} WHERE {} ORDER BY 1",
        column::agency_id,
        conditions.joined()
    );
    let found: Vec<Agency> = read(&conditions.run(context, "agencies", &sql).await?)?;
    Ok(found.into_iter().map(|Agency(name)| name).collect())
}

/// How many events pass the filter.
pub(crate) async fn count_events(context: &SessionContext, filter: &EventFilter) -> Result<i64, ApiError> {
    let mut conditions = Conditions::default();
    let from = newest(filter, &mut conditions);
    let sql = format!("SELECT count(*) AS total FROM {from} WHERE {}", conditions.joined());
    let totals: Vec<Total> = read(&conditions.run(context, "events", &sql).await?)?;
    Ok(totals.first().map_or(0, |total| total.0))
}
