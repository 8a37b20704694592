//! `fdsnws-event` 1.2: `query` (QuakeML 1.2, text, GeoJSON, CSV), `catalogs`, `contributors`, `version`, WADL.

use std::collections::{HashMap, HashSet};

use axum::Router;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use datafusion::prelude::SessionContext;
use seislake_exchange::catalogue_text::{GeoJsonMetadata, write_csv, write_event_text, write_geojson};
use seislake_exchange::quakeml::{self, Bulletin, EventDetail};
use seislake_model::{Event, Magnitude, MagnitudeId, Origin, Timestamp};

use super::error::Request;
use super::parameters::{self, Kind, Parameter, ParameterGroups};
use super::{SERVICE_VERSION, wadl};
use crate::error::{ApiError, ErrorCode};
use crate::http::{Body, Parameters, Shared, decode_query};
use crate::read::{
    EventFilter, EventOrder, EventRow, Interval, Near, Page, agencies, amplitudes_of_events,
    arrivals_of_events, events, events_by_id, magnitudes_of_events, origins_of_events, picks_by_id,
    preferred_origins,
};
use crate::state::AsOf;

/// Name of our only catalogue.
const CATALOGUE: &str = "seislake";

const ORDERS: &[&str] = &["time", "time-asc", "magnitude", "magnitude-asc"];
const FORMATS: &[&str] = &["xml", "text", "geojson", "csv"];

const OWN: &[Parameter] = &[
    Parameter::new("mindepth", Kind::Number).range(&parameters::DEPTH),
    Parameter::new("maxdepth", Kind::Number).range(&parameters::DEPTH),
    Parameter::new("minmagnitude", Kind::Number).range(&parameters::MAGNITUDE).alias("minmag"),
    Parameter::new("maxmagnitude", Kind::Number).range(&parameters::MAGNITUDE).alias("maxmag"),
    Parameter::new("magnitudetype", Kind::Text).alias("magtype"),
    Parameter::new("eventtype", Kind::Text),
    Parameter::new("eventid", Kind::Text),
    Parameter::new("includeallorigins", Kind::Flag).default("false"),
    Parameter::new("includeallmagnitudes", Kind::Flag).default("false"),
    Parameter::new("includearrivals", Kind::Flag).default("false"),
    Parameter::new("catalog", Kind::Text),
    Parameter::new("contributor", Kind::Text),
    Parameter::new("updatedafter", Kind::Time),
    Parameter::new("limit", Kind::Count),
    Parameter::new("offset", Kind::Count).default("1"),
    Parameter::new("orderby", Kind::Text).default("time").options(ORDERS),
    Parameter::new("format", Kind::Text).default("xml").options(FORMATS),
];

/// What `query` accepts.
pub(super) const PARAMETERS: ParameterGroups =
    &[parameters::TIMES, parameters::AREA, OWN, parameters::NO_DATA];

const PATHS: &[&str] = &["catalogs", "contributors", "version", "application.wadl"];

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/fdsnws/event/1/query", get(by_get).post(by_post))
        .route("/fdsnws/event/1/application.wadl", get(application))
        .route("/fdsnws/event/1/version", get(|| async { SERVICE_VERSION }))
        .route(
            "/fdsnws/event/1/catalogs",
            get(|| async { list("Catalogs", "Catalog", &[CATALOGUE.to_owned()]) }),
        )
        .route("/fdsnws/event/1/contributors", get(contributors))
        .route("/fdsnws/event/1", get(application))
        .route("/fdsnws/event/1/", get(application))
}

fn list(outer: &str, inner: &str, names: &[String]) -> Response {
    let escaped = |name: &String| name.replace('&', "&amp;").replace('<', "&lt;");
    let names: String = names.iter().map(|name| format!("<{inner}>{}</{inner}>", escaped(name))).collect();
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{outer}>{names}</{outer}>\n");
    ([(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

fn request(shared: &Shared, uri: &axum::http::Uri, headers: &HeaderMap) -> Request {
    Request::new("event", uri, headers, shared.state.clock.now())
}

/// The agencies that answer for the events there are.
async fn contributors(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let found = async { agencies(&shared.state.sessions.session(AsOf::Latest).await?).await };
    match found.await {
        Ok(names) => list("Contributors", "Contributor", &names),
        Err(error) => request(&shared, &uri, &headers).refuse(&error),
    }
}

async fn application(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let base = request(&shared, &uri, &headers).service_uri();
    ([(header::CONTENT_TYPE, "application/xml")], wadl::write("event", &base, PARAMETERS, &["query"], PATHS))
        .into_response()
}

async fn by_get(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let request = request(&shared, &uri, &headers);
    answer(&shared, &request, decode_query(query.as_deref().unwrap_or(""))).await
}

async fn by_post(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let request = request(&shared, &uri, &headers);
    if let Err(error) = parameters::refuse_in_address(query.as_deref()) {
        return request.refuse(&error);
    }
    let pairs = body.read(BODY_BYTES_MAX).await.and_then(|bytes| {
        parameters::decode_body(&String::from_utf8_lossy(&bytes), |line| {
            Err(ApiError::invalid(format!("\"{line}\" is not of the form name=value")))
        })
    });
    match pairs {
        Ok(pairs) if pairs.is_empty() => {
            let error = ApiError::invalid("the body is empty").hint("parameters as name=value, one a line");
            request.refuse(&error)
        }
        Ok(pairs) => answer(&shared, &request, pairs).await,
        Err(error) => request.refuse(&error),
    }
}

/// Largest POST body: parameters only.
const BODY_BYTES_MAX: usize = 1 << 16;

/// What a request asks for.
#[derive(Debug)]
struct Query {
    filter: EventFilter,
    order: EventOrder,
    page: Page,
    /// Whether the caller said how many events it wants at most.
    limited: bool,
    all_origins: bool,
    all_magnitudes: bool,
    arrivals: bool,
    /// Agencies that were asked for.
    contributors: Option<Vec<String>>,
    /// Asks for another catalogue or type of event than ours.
    elsewhere: bool,
}

/// Our event id from the forms in which clients know it: ours, the public id of QuakeML, the bare UUID.
fn event_id(text: &str) -> String {
    let id = text.trim();
    let id = id
        .strip_prefix("smi:seislake.org/")
        .or_else(|| id.strip_prefix("quakeml:seislake.org/"))
        .unwrap_or(id);
    if id.contains('/') { id.to_owned() } else { format!("event/{id}") }
}

fn order(parameters: &Parameters) -> EventOrder {
    match parameters.text("orderby") {
        Some("time-asc") => EventOrder::TimeAscending,
        Some("magnitude") => EventOrder::MagnitudeDescending,
        Some("magnitude-asc") => EventOrder::MagnitudeAscending,
        _ => EventOrder::TimeDescending,
    }
}

fn query(parameters: &Parameters, events_max: usize) -> Result<Query, ApiError> {
    let offset = parameters.count("offset")?.unwrap_or(1);
    if offset == 0 {
        return Err(ApiError::invalid("offset: 0 is not a position; events are counted from 1"));
    }
    let limit = parameters.count("limit")?;
    if limit == Some(0) {
        return Err(ApiError::invalid("limit: 0 asks for nothing"));
    }
    let of_ours = |name: &str, ours: &str| {
        parameters
            .text(name)
            .is_none_or(|words| words.split(',').any(|word| word.trim().eq_ignore_ascii_case(ours)))
    };
    let elsewhere =
        !of_ours("catalog", CATALOGUE) || !(of_ours("eventtype", "earthquake") || of_ours("eventtype", "*"));
    let event_ids =
        parameters.text("eventid").map_or_else(Vec::new, |ids| ids.split(',').map(event_id).collect());
    Ok(Query {
        filter: EventFilter {
            origin_time: parameters::times(parameters)?,
            areas: parameters::areas(parameters)?,
            magnitude: parameters.numbers("minmagnitude", "maxmagnitude")?,
            magnitude_type: parameters.text("magnitudetype").map(str::to_owned),
            depth_km: parameters.numbers("mindepth", "maxdepth")?,
            event_ids,
            agencies: Vec::new(),
            known_revisions: Vec::new(),
        },
        order: order(parameters),
        page: Page {
            after: None,
            offset: offset - 1,
            limit: limit.unwrap_or(events_max).min(events_max) + 1,
        },
        limited: limit.is_some_and(|limit| limit <= events_max),
        all_origins: parameters::flag(parameters, "includeallorigins")?,
        all_magnitudes: parameters::flag(parameters, "includeallmagnitudes")?,
        arrivals: parameters::flag(parameters, "includearrivals")?,
        contributors: parameters
            .text("contributor")
            .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
        elsewhere,
    })
}

/// Whether a query string can be read; for tests of what clients send.
#[cfg(test)]
pub(super) fn is_readable(text: &str) -> Result<(), ApiError> {
    const EVENTS_MAX: usize = 1000;
    parameters::parse(decode_query(text), PARAMETERS)
        .and_then(|parameters| query(&parameters, EVENTS_MAX).map(drop))
}

async fn answer(shared: &Shared, request: &Request, pairs: Vec<(String, String)>) -> Response {
    find(shared, request, pairs).await.unwrap_or_else(|error| request.refuse(&error))
}

async fn find(
    shared: &Shared,
    request: &Request,
    pairs: Vec<(String, String)>,
) -> Result<Response, ApiError> {
    let parameters = parameters::parse(pairs, PARAMETERS)?;
    let events_max = shared.limits.fdsn_events_max;
    let mut query = query(&parameters, events_max)?;
    let no_data = parameters::no_data(&parameters);
    if query.elsewhere {
        return Ok(request.no_data(no_data));
    }
    let context = shared.state.sessions.session(AsOf::Latest).await?;
    if let Some(asked) = &query.contributors {
        let is_asked = |name: &String| asked.iter().any(|word| word.eq_ignore_ascii_case(name));
        let known = agencies(&context).await?;
        query.filter.agencies = known.iter().filter(|name| is_asked(name)).cloned().collect();
        if query.filter.agencies.is_empty() {
            return Ok(request.no_data(no_data));
        }
        if query.filter.agencies.len() == known.len() {
            query.filter.agencies.clear();
        }
    }
    if let Some(time) = parameters.time("updatedafter")? {
        query.filter.known_revisions = revisions_at(shared, &query.filter, time).await?;
    }
    let mut rows = events_by_id(&context, &query.filter, query.order, &query.page).await?;
    if rows.is_empty() {
        return Ok(request.no_data(no_data));
    }
    if rows.len() >= query.page.limit {
        if !query.limited {
            return Err(ApiError::new(
                ErrorCode::PageTooLarge,
                format!("more than {events_max} events match; at most {events_max} are given at once"),
            )
            .hint("narrow the request, or page with limit and offset"));
        }
        rows.truncate(query.page.limit - 1);
    }
    let format = parameters.text("format").unwrap_or("xml");
    write(&context, request, &query, rows, format).await
}

/// Every current event of an interval with its origins, magnitudes, arrivals and picks, oldest first.
pub(crate) async fn bulletin(
    context: &SessionContext,
    origin_time: Interval<Timestamp>,
) -> Result<Bulletin, ApiError> {
    let query = Query {
        filter: EventFilter { origin_time, ..EventFilter::default() },
        order: EventOrder::TimeAscending,
        page: Page { limit: i64::MAX as usize, ..Page::default() },
        limited: false,
        all_origins: true,
        all_magnitudes: true,
        arrivals: true,
        contributors: None,
        elsewhere: false,
    };
    let rows = events(context, &query.filter, query.order, &query.page).await?;
    details(context, &query, rows).await
}

/// Revisions of events that stood in the lake at `time`: what has not changed since.
async fn revisions_at(
    shared: &Shared,
    filter: &EventFilter,
    time: Timestamp,
) -> Result<Vec<String>, ApiError> {
    let context = match shared.state.sessions.session(AsOf::Time(time)).await {
        Ok(context) => context,
        // Before the first commit there was nothing.
        Err(error) if error.code == ErrorCode::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let near = EventFilter {
        origin_time: Interval { ..filter.origin_time },
        event_ids: filter.event_ids.clone(),
        ..EventFilter::default()
    };
    let page = Page { limit: shared.limits.fdsn_events_max, ..Page::default() };
    let rows = events(&context, &near, EventOrder::TimeDescending, &page).await?;
    Ok(rows.iter().map(|row| format!("{}#{}", row.event.event_id, row.event.revision)).collect())
}

async fn write(
    context: &SessionContext,
    request: &Request,
    query: &Query,
    rows: Vec<EventRow>,
    format: &str,
) -> Result<Response, ApiError> {
    let plain = |rows: Vec<EventRow>| rows.into_iter().map(|row| row.event).collect::<Vec<Event>>();
    let (media_type, body) = match format {
        "text" => ("text/plain; charset=utf-8", write_event_text(&plain(rows))),
        "csv" => ("text/csv; charset=utf-8", write_csv(&plain(rows))),
        "geojson" => {
            let metadata = GeoJsonMetadata {
                generated_at: request.submitted_at,
                url: request.uri.clone(),
                title: "Seislake events".to_owned(),
            };
            let events: Vec<_> = rows.iter().map(|row| (&row.event, row.origin.as_ref())).collect();
            ("application/geo+json", write_geojson(&events, &metadata))
        }
        _ => ("application/xml", quakeml::write(&details(context, query, rows).await?)),
    };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// Rows of many events, by event.
fn by_event<T>(rows: Vec<T>, event_id: impl Fn(&T) -> &str) -> HashMap<String, Vec<T>> {
    let mut grouped: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        grouped.entry(event_id(&row).to_owned()).or_default().push(row);
    }
    grouped
}

/// The preferred origin and magnitude of each event, or all of them, with arrivals and picks where asked for.
async fn details(context: &SessionContext, query: &Query, rows: Vec<EventRow>) -> Result<Bulletin, ApiError> {
    let near: Vec<Near> = rows
        .iter()
        .map(|row| Near { id: row.event.event_id.to_string(), time: row.event.origin_time })
        .collect();
    let mut origins = HashMap::new();
    if query.all_origins {
        origins = by_event(origins_of_events(context, &near).await?, |row| &row.event_id);
    }
    let times: HashMap<&str, (Timestamp, Option<&MagnitudeId>)> = rows
        .iter()
        .map(|row| {
            let event = &row.event;
            (event.event_id.as_str(), (event.origin_time, event.preferred_magnitude_id.as_ref()))
        })
        .collect();
    let mut found = magnitudes_of_events(context, &near).await?;
    if !query.all_magnitudes {
        let is_preferred = |row: &Magnitude| {
            times.get(row.event_id.as_str()).is_some_and(|(_, id)| *id == Some(&row.magnitude_id))
        };
        found.retain(is_preferred);
    }
    // Their origins come with them.
    let mut of_magnitudes = HashMap::new();
    if !query.all_origins {
        let near = found.iter().filter_map(|row| {
            let (time, _) = times.get(row.event_id.as_str())?;
            Some(Near { id: row.origin_id.to_string(), time: *time })
        });
        of_magnitudes =
            by_event(preferred_origins(context, &near.collect::<Vec<_>>()).await?, |row| &row.event_id);
    }
    let mut magnitudes = by_event(found, |row| &row.event_id);
    let (mut arrivals, mut amplitudes, mut picks) = (HashMap::new(), HashMap::new(), HashMap::new());
    if query.arrivals {
        let found = arrivals_of_events(context, &near).await?;
        let mut seen = HashSet::new();
        let near_picks: Vec<Near> = found
            .iter()
            .filter(|arrival| seen.insert(arrival.pick_id.clone()))
            .map(|arrival| Near { id: arrival.pick_id.to_string(), time: arrival.pick_time })
            .collect();
        for pick in picks_by_id(context, &near_picks).await? {
            picks.insert(pick.pick_id.clone(), pick);
        }
        arrivals = by_event(found, |row| &row.event_id);
        amplitudes = by_event(amplitudes_of_events(context, &near).await?, |row| &row.event_id);
    }
    let details = rows.into_iter().map(|EventRow { event, origin }| {
        let id = event.event_id.as_str();
        let mut origins = origins.remove(id).unwrap_or_default();
        let is_there =
            |origin: &Origin| origins.iter().any(|other: &Origin| other.origin_id == origin.origin_id);
        if let Some(origin) = origin.filter(|origin| !is_there(origin)) {
            origins.push(origin);
        }
        for origin in of_magnitudes.remove(id).unwrap_or_default() {
            if origins.iter().all(|other: &Origin| other.origin_id != origin.origin_id) {
                origins.push(origin);
            }
        }
        let magnitudes = magnitudes.remove(id).unwrap_or_default();
        let mut arrivals = arrivals.remove(id).unwrap_or_default();
        arrivals.retain(|arrival| origins.iter().any(|origin| origin.origin_id == arrival.origin_id));
        let mut seen = HashSet::new();
        let picks = arrivals
            .iter()
            .filter(|arrival| seen.insert(arrival.pick_id.as_str()))
            .filter_map(|arrival| picks.get(&arrival.pick_id).cloned())
            .collect();
        let mut amplitudes = amplitudes.remove(id).unwrap_or_default();
        amplitudes.retain(|amplitude| origins.iter().any(|origin| origin.origin_id == amplitude.origin_id));
        EventDetail { event, origins, magnitudes, arrivals, picks, amplitudes }
    });
    Ok(Bulletin { events: details.collect() })
}
