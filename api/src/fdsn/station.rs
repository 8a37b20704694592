//! `fdsnws-station` 1.1: `query` (StationXML 1.2, text) at four levels from the inventory in use, `version`, WADL.

use axum::Router;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use seislake_exchange::station_text;
use seislake_exchange::stationxml::{self, Level};
use seislake_model::{Channel, Inventory, Station, Timestamp};

use super::error::Request;
use super::parameters::{self, Kind, Parameter};
use super::{SERVICE_VERSION, wadl};
use crate::error::ApiError;
use crate::http::{Body, Parameters, Shared, decode_query};
use crate::read::{Area, Interval};

const LEVELS: &[&str] = &["network", "station", "channel", "response"];
const FORMATS: &[&str] = &["xml", "text"];

/// What `query` accepts.
const PARAMETERS: &[Parameter] = &[
    Parameter::new("starttime", Kind::Time).alias("start"),
    Parameter::new("endtime", Kind::Time).alias("end"),
    Parameter::new("startbefore", Kind::Time),
    Parameter::new("startafter", Kind::Time),
    Parameter::new("endbefore", Kind::Time),
    Parameter::new("endafter", Kind::Time),
    Parameter::new("network", Kind::Text).alias("net"),
    Parameter::new("station", Kind::Text).alias("sta"),
    Parameter::new("location", Kind::Text).alias("loc"),
    Parameter::new("channel", Kind::Text).alias("cha"),
    Parameter::new("minlatitude", Kind::Number).alias("minlat").default("-90.0"),
    Parameter::new("maxlatitude", Kind::Number).alias("maxlat").default("90.0"),
    Parameter::new("minlongitude", Kind::Number).alias("minlon").default("-180.0"),
    Parameter::new("maxlongitude", Kind::Number).alias("maxlon").default("180.0"),
    Parameter::new("latitude", Kind::Number).alias("lat").default("0.0"),
    Parameter::new("longitude", Kind::Number).alias("lon").default("0.0"),
    Parameter::new("minradius", Kind::Number).default("0.0"),
    Parameter::new("maxradius", Kind::Number).default("180.0"),
    Parameter::new("minradiuskm", Kind::Number),
    Parameter::new("maxradiuskm", Kind::Number),
    Parameter::new("level", Kind::Text).default("station").options(LEVELS),
    Parameter::new("format", Kind::Text).default("xml").options(FORMATS),
    Parameter::new("nodata", Kind::Count).default("204").options(&["204", "404"]),
];

const PATHS: &[&str] = &["version", "application.wadl"];

/// Largest POST body: parameters and lines of channels.
const BODY_BYTES_MAX: usize = 1 << 20;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/fdsnws/station/1/query", get(by_get).post(by_post))
        .route("/fdsnws/station/1/application.wadl", get(application))
        .route("/fdsnws/station/1/version", get(|| async { SERVICE_VERSION }))
        .route("/fdsnws/station/1/", get(application))
}

fn request(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Request {
    Request::new("station", uri, headers, shared.state.clock.now())
}

async fn application(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let base = request(&shared, &uri, &headers).service_uri();
    ([(header::CONTENT_TYPE, "application/xml")], wadl::write("station", &base, PARAMETERS, PATHS))
        .into_response()
}

async fn by_get(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let request = request(&shared, &uri, &headers);
    answer(&shared, &request, decode_query(query.as_deref().unwrap_or("")), None)
}

async fn by_post(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = request(&shared, &uri, &headers);
    let mut lines = Vec::new();
    let pairs = body.read(BODY_BYTES_MAX).await.and_then(|bytes| {
        parameters::decode_body(&String::from_utf8_lossy(&bytes), |line| {
            lines.push(Selection::from_line(line)?);
            Ok(())
        })
    });
    match pairs {
        Ok(pairs) => answer(&shared, &request, pairs, (!lines.is_empty()).then_some(lines)),
        Err(error) => request.refuse(&error),
    }
}

/// Channels by codes and time.
#[derive(Clone, Debug)]
struct Selection {
    network: String,
    station: String,
    location: String,
    channel: String,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
}

impl Selection {
    fn from_parameters(parameters: &Parameters) -> Result<Self, ApiError> {
        let text = |name: &str| parameters.text(name).unwrap_or("*").to_owned();
        let Interval { min, max } = parameters::times(parameters)?;
        Ok(Self {
            network: text("network"),
            station: text("station"),
            location: text("location"),
            channel: text("channel"),
            start_time: min,
            end_time: max,
        })
    }

    /// `NET STA LOC CHA START END`, `*` for open ends.
    fn from_line(line: &str) -> Result<Self, ApiError> {
        let mut words = line.split_whitespace();
        let mut next = || words.next();
        let (Some(network), Some(station), Some(location), Some(channel), Some(start), Some(end)) =
            (next(), next(), next(), next(), next(), next())
        else {
            return Err(ApiError::invalid(format!(
                "\"{line}\" is not of the form NET STA LOC CHA START END"
            )));
        };
        let time = |word: &str| -> Result<Option<Timestamp>, ApiError> {
            if word == "*" { Ok(None) } else { Ok(Some(word.parse::<Timestamp>()?)) }
        };
        Ok(Self {
            network: network.to_owned(),
            station: station.to_owned(),
            location: location.to_owned(),
            channel: channel.to_owned(),
            start_time: time(start)?,
            end_time: time(end)?,
        })
    }

    /// Whether an epoch shares a moment with the window.
    fn covers(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
        let begins = |from: Timestamp| end.is_none_or(|end| end > from);
        let ends = |to: Timestamp| start.is_none_or(|start| start <= to);
        self.start_time.is_none_or(begins) && self.end_time.is_none_or(ends)
    }

    fn takes_station(&self, station: &Station) -> bool {
        matches(&self.network, &station.network)
            && matches(&self.station, &station.station)
            && self.covers(station.start_time, station.end_time)
    }

    fn takes_channel(&self, channel: &Channel) -> bool {
        let id = &channel.source_id;
        matches(&self.network, id.network())
            && matches(&self.station, id.station())
            && matches(&self.location, id.location())
            && matches(&self.channel, &id.channel())
            && self.covers(channel.start_time, channel.end_time)
    }

    /// Whether only channels of some codes are wanted.
    fn names_channels(&self) -> bool {
        self.location != "*" || self.channel != "*"
    }
}

/// Comma-separated patterns with `*` and `?`; `--` is the blank location.
fn matches(patterns: &str, code: &str) -> bool {
    patterns.split(',').map(str::trim).any(|pattern| {
        let pattern = if pattern == "--" || pattern == "  " { "" } else { pattern };
        wildcard(pattern.as_bytes(), code.as_bytes())
    })
}

fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            wildcard(rest, text) || text.split_first().is_some_and(|(_, text)| wildcard(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => wildcard(rest, text),
        (Some((a, rest)), Some((b, text))) => a.eq_ignore_ascii_case(b) && wildcard(rest, text),
        _ => false,
    }
}

/// Longest pattern: the match backtracks.
const PATTERN_LENGTH_MAX: usize = 4096;

fn answer(
    shared: &Shared,
    request: &Request,
    pairs: Vec<(String, String)>,
    lines: Option<Vec<Selection>>,
) -> Response {
    match find(shared, request, pairs, lines) {
        Ok(response) => response,
        Err(error) => request.refuse(&error),
    }
}

fn find(
    shared: &Shared,
    request: &Request,
    pairs: Vec<(String, String)>,
    lines: Option<Vec<Selection>>,
) -> Result<Response, ApiError> {
    let parameters = parameters::parse(pairs, PARAMETERS)?;
    for name in ["network", "station", "location", "channel"] {
        let text = parameters.text(name).unwrap_or("");
        let stars = text.split(',').map(|pattern| pattern.matches('*').count()).max().unwrap_or(0);
        if text.len() > PATTERN_LENGTH_MAX || stars > 4 {
            return Err(ApiError::invalid(format!("{name}: the pattern is too long or has too many \"*\"")));
        }
    }
    let level: Level = parameters.text("level").unwrap_or("station").parse().map_err(ApiError::invalid)?;
    let text = parameters.text("format") == Some("text");
    if text && level == Level::Response {
        return Err(ApiError::invalid("level=response can only be had as format=xml"));
    }
    let selections = match lines {
        Some(lines) => lines,
        None => vec![Selection::from_parameters(&parameters)?],
    };
    let times = EpochTimes::from_parameters(&parameters)?;
    let areas = parameters::areas(&parameters)?;
    let found = select(&shared.state.stations.current(), &selections, &times, &areas, level);
    if found.stations.is_empty() {
        return Ok(request.no_data(parameters::no_data(&parameters)));
    }
    let (media_type, body) = if text {
        let found = with_start_times(found);
        ("text/plain; charset=utf-8", station_text::write(&found, level))
    } else {
        ("application/xml", stationxml::write(&found, level, request.submitted_at))
    };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// What FDSN text says where an epoch began before anybody wrote it down.
const SINCE_EVER: Timestamp = Timestamp::from_nanos(-2_208_988_800_000_000_000);

/// FDSN text has no epochs without a begin, and ObsPy does not read them: they begin with the year 1900.
fn with_start_times(mut inventory: Inventory) -> Inventory {
    for station in &mut inventory.stations {
        station.start_time.get_or_insert(SINCE_EVER);
    }
    for channel in &mut inventory.channels {
        channel.start_time.get_or_insert(SINCE_EVER);
    }
    inventory
}

/// Conditions on the ends of epochs.
#[derive(Debug)]
struct EpochTimes {
    start_before: Option<Timestamp>,
    start_after: Option<Timestamp>,
    end_before: Option<Timestamp>,
    end_after: Option<Timestamp>,
}

impl EpochTimes {
    fn from_parameters(parameters: &Parameters) -> Result<Self, ApiError> {
        Ok(Self {
            start_before: parameters.time("startbefore")?,
            start_after: parameters.time("startafter")?,
            end_before: parameters.time("endbefore")?,
            end_after: parameters.time("endafter")?,
        })
    }

    fn hold(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
        let (start, end) = (start.unwrap_or(Timestamp::MIN), end.unwrap_or(Timestamp::MAX));
        self.start_before.is_none_or(|bound| start < bound)
            && self.start_after.is_none_or(|bound| start > bound)
            && self.end_before.is_none_or(|bound| end < bound)
            && self.end_after.is_none_or(|bound| end > bound)
    }
}

/// Epochs that pass. Where channels are named, a station needs one of them.
fn select(
    inventory: &Inventory,
    selections: &[Selection],
    times: &EpochTimes,
    areas: &[Area],
    level: Level,
) -> Inventory {
    let within = |latitude, longitude| areas.iter().all(|area| area.contains(latitude, longitude));
    let channels: Vec<Channel> = inventory
        .channels
        .iter()
        .filter(|channel| selections.iter().any(|selection| selection.takes_channel(channel)))
        .filter(|channel| times.hold(channel.start_time, channel.end_time))
        .filter(|channel| within(channel.latitude, channel.longitude))
        .cloned()
        .collect();
    let has_channel = |station: &Station| {
        channels.iter().any(|channel| {
            channel.source_id.network() == station.network && channel.source_id.station() == station.station
        })
    };
    let needs_channel = selections.iter().all(Selection::names_channels);
    let stations: Vec<Station> = inventory
        .stations
        .iter()
        .filter(|station| selections.iter().any(|selection| selection.takes_station(station)))
        .filter(|station| level >= Level::Channel || times.hold(station.start_time, station.end_time))
        .filter(|station| within(station.latitude, station.longitude))
        .filter(|station| !needs_channel || has_channel(station))
        .cloned()
        .collect();
    let known = |channel: &Channel| {
        stations.iter().any(|station| {
            channel.source_id.network() == station.network && channel.source_id.station() == station.station
        })
    };
    let channels = channels.into_iter().filter(|channel| known(channel)).collect();
    Inventory { stations, channels }
}
