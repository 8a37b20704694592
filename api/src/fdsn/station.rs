//! `fdsnws-station` 1.1: `query` (StationXML 1.2, text) at four levels from the inventory in use, `version`, WADL.

use axum::Router;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use seislake_exchange::station_text;
use seislake_exchange::stationxml::{self, Level};
use seislake_model::{Channel, Inventory, Station, Timestamp};

use super::error::Request;
use super::parameters::{self, Kind, Parameter};
use super::service::{Asked, Service};
use crate::error::ApiError;
use crate::http::{Body, Parameters, Shared};
use crate::read::{Area, Selection};

const LEVELS: &[&str] = &["network", "station", "channel", "response"];
const FORMATS: &[&str] = &["xml", "text"];

static SERVICE: Service = Service {
    name: "station",
    parameters: &[
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
    ],
    queries: &["query"],
};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/fdsnws/station/1/query", get(by_get).post(by_post)).merge(SERVICE.description())
}

async fn by_get(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let request = SERVICE.request(&shared, &uri, &headers);
    answer(&shared, &request, SERVICE.asked_by_get(query.as_deref()))
}

async fn by_post(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = SERVICE.request(&shared, &uri, &headers);
    answer(&shared, &request, SERVICE.asked_by_post(body).await)
}

fn answer(shared: &Shared, request: &Request, asked: Result<Asked, ApiError>) -> Response {
    asked.and_then(|asked| find(shared, request, asked)).unwrap_or_else(|error| request.refuse(&error))
}

fn takes_station(selection: &Selection, station: &Station) -> bool {
    selection.network.take(&station.network)
        && selection.station.take(&station.station)
        && selection.covers(station.start_time, station.end_time)
}

fn takes_channel(selection: &Selection, channel: &Channel) -> bool {
    selection.takes(&channel.source_id) && selection.covers(channel.start_time, channel.end_time)
}

fn find(shared: &Shared, request: &Request, asked: Asked) -> Result<Response, ApiError> {
    let Asked { parameters, selections } = asked;
    let level: Level = parameters.text("level").unwrap_or("station").parse().map_err(ApiError::invalid)?;
    let text = parameters.text("format") == Some("text");
    if text && level == Level::Response {
        return Err(ApiError::invalid("level=response can only be had as format=xml"));
    }
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
        .filter(|channel| selections.iter().any(|selection| takes_channel(selection, channel)))
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
        .filter(|station| selections.iter().any(|selection| takes_station(selection, station)))
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
