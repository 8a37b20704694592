//! `GET /stations` and `POST /stations`: station epochs and their channels.
//!
//! What is posted is checked before it is written: what cannot be kept is named in the answer, the rest is taken. Where
//! nothing is left the answer is 400.

use std::fmt;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use seislake_exchange::{
    Problem, SaidDates, epoch_end, epoch_start, in_charset, keep_far_dates, keep_far_dates_of_channel,
    read_stations,
};
use seislake_model::{Channel, Inventory, SourceId, Station, Timestamp};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Body, Parameters, Shared};
use crate::error::{ApiError, ErrorCode};
use crate::read::StationFilter;

const PARAMETERS: &[&str] = &[
    "network",
    "station",
    "min_latitude",
    "max_latitude",
    "min_longitude",
    "max_longitude",
    "latitude",
    "longitude",
    "max_radius_km",
    "limit",
    "offset",
];

/// A page of stations.
#[derive(Debug, Serialize)]
pub(super) struct StationPage {
    total_count: usize,
    limit: usize,
    offset: usize,
    stations: Vec<StationBody>,
}

/// One station epoch with its channels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StationBody {
    network: String,
    station: String,
    latitude: f64,
    longitude: f64,
    elevation_m: f64,
    #[serde(default)]
    site_name: Option<String>,
    #[serde(default, deserialize_with = "start_time")]
    start_time: Date,
    #[serde(default, deserialize_with = "end_time")]
    end_time: Date,
    #[serde(default, deserialize_with = "channels")]
    channels: Vec<ChannelBody>,
}

/// One channel epoch; coordinates are those of the station where they are not given. Its elevation is that of the sensor:
/// where it is not given, `depth_m` below the station.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelBody {
    #[serde(default)]
    location: String,
    channel: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
    elevation_m: Option<f64>,
    #[serde(default)]
    depth_m: f64,
    azimuth: Option<f64>,
    dip: Option<f64>,
    sample_rate_hz: Option<f64>,
    sensor: Option<String>,
    #[serde(default, deserialize_with = "start_time")]
    start_time: Date,
    #[serde(default, deserialize_with = "end_time")]
    end_time: Date,
    response: Option<seislake_model::Response>,
}

/// Channel epochs of one station of a JSON body.
const STATION_CHANNELS_MAX: usize = 10_000;

fn channels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ChannelBody>, D::Error> {
    struct OfChannels;
    impl<'de> Visitor<'de> for OfChannels {
        type Value = Vec<ChannelBody>;

        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(text, "an array of at most {STATION_CHANNELS_MAX} channels")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            let mut channels = Vec::new();
            while let Some(channel) = elements.next_element()? {
                if channels.len() == STATION_CHANNELS_MAX {
                    return Err(A::Error::invalid_length(channels.len() + 1, &self));
                }
                channels.push(channel);
            }
            Ok(channels)
        }
    }
    deserializer.deserialize_seq(OfChannels)
}

/// A date of an epoch, and what was said where it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Date {
    time: Option<Timestamp>,
    said: String,
}

impl From<Option<Timestamp>> for Date {
    fn from(time: Option<Timestamp>) -> Self {
        Self { time, said: String::new() }
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.time.serialize(serializer)
    }
}

fn start_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let said = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(Date { time: epoch_start(&said).map_err(serde::de::Error::custom)?, said })
}

fn end_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let said = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(Date { time: epoch_end(&said).map_err(serde::de::Error::custom)?, said })
}

impl StationBody {
    fn of(station: &Station, inventory: &Inventory) -> Self {
        let same = |channel: &&Channel| {
            channel.source_id.network() == station.network && channel.source_id.station() == station.station
        };
        Self {
            network: station.network.clone(),
            station: station.station.clone(),
            latitude: station.latitude,
            longitude: station.longitude,
            elevation_m: station.elevation_m,
            site_name: station.site_name.clone(),
            start_time: station.start_time.into(),
            end_time: station.end_time.into(),
            channels: inventory.channels.iter().filter(same).map(ChannelBody::from).collect(),
        }
    }

    /// Adds the station and its channels, those that can be kept; what cannot is told in `problems`.
    fn add_to(self, inventory: &mut Inventory, index: usize, problems: &mut Vec<StationProblem>) {
        let mut refuse =
            |reason: String| problems.push(StationProblem { line: None, index: Some(index), reason });
        let mut channels = Vec::new();
        for channel in self.channels {
            let (network, station) = (&self.network, &self.station);
            let source_id = SourceId::from_codes(network, station, &channel.location, &channel.channel);
            // A channel without dates has those of its station.
            let date = |own: Date, stations: &Date| if own.said.is_empty() { stations.clone() } else { own };
            let start = date(channel.start_time, &self.start_time);
            let end = date(channel.end_time, &self.end_time);
            let channel = source_id.map_err(|error| error.to_string()).and_then(|source_id| {
                let mut channel = Channel {
                    source_id,
                    latitude: channel.latitude.unwrap_or(self.latitude),
                    longitude: channel.longitude.unwrap_or(self.longitude),
                    elevation_m: channel.elevation_m.unwrap_or(self.elevation_m - channel.depth_m),
                    depth_m: channel.depth_m,
                    azimuth: channel.azimuth,
                    dip: channel.dip,
                    sample_rate_hz: channel.sample_rate_hz,
                    sensor: channel.sensor,
                    start_time: start.time,
                    end_time: end.time,
                    response: channel.response,
                    original: None,
                    response_original: None,
                };
                channel.check().map_err(|error| error.to_string())?;
                keep_far_dates_of_channel(&mut channel, SaidDates { start: &start.said, end: &end.said });
                Ok(channel)
            });
            match channel {
                Ok(channel) => channels.push(channel),
                Err(reason) => refuse(reason),
            }
        }
        let mut station = Station {
            network: self.network,
            station: self.station,
            latitude: self.latitude,
            longitude: self.longitude,
            elevation_m: self.elevation_m,
            site_name: self.site_name,
            start_time: self.start_time.time,
            end_time: self.end_time.time,
            original: None,
            network_original: None,
        };
        let said = SaidDates { start: &self.start_time.said, end: &self.end_time.said };
        match station.check() {
            Ok(()) => {
                keep_far_dates(&mut station, said);
                inventory.stations.push(station);
                inventory.channels.extend(channels);
            }
            // What stands at a place that cannot be has no place either.
            Err(error) => refuse(error.to_string()),
        }
    }
}

impl From<&Channel> for ChannelBody {
    fn from(channel: &Channel) -> Self {
        Self {
            location: channel.source_id.location().to_owned(),
            channel: channel.source_id.channel(),
            latitude: Some(channel.latitude),
            longitude: Some(channel.longitude),
            elevation_m: Some(channel.elevation_m),
            depth_m: channel.depth_m,
            azimuth: channel.azimuth,
            dip: channel.dip,
            sample_rate_hz: channel.sample_rate_hz,
            sensor: channel.sensor.clone(),
            start_time: channel.start_time.into(),
            end_time: channel.end_time.into(),
            response: channel.response.clone(),
        }
    }
}

pub(super) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<StationPage>, ApiError> {
    let parameters = Parameters::of(query.as_deref(), PARAMETERS)?;
    let (limit, offset) = parameters.page(&shared.limits)?;
    let filter = StationFilter {
        network: parameters.text("network").map(str::to_owned),
        station: parameters.text("station").map(str::to_owned),
        areas: parameters.areas()?,
    };
    let inventory = shared.state.stations.current();
    let matching = filter.stations(&inventory);
    let total_count = matching.len();
    let stations = matching
        .into_iter()
        .skip(offset)
        .take(limit)
        .map(|station| StationBody::of(station, &inventory))
        .collect();
    Ok(Json(StationPage { total_count, limit, offset, stations }))
}

/// Something of a body that was left out or mended, and where it stands.
#[derive(Clone, Debug, Serialize)]
struct StationProblem {
    /// Line of the document, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// Place in the array, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    reason: String,
}

/// Problems that an answer lists; the others are counted.
const PROBLEMS_LISTED: usize = 1000;

/// Problems of a JSON body at most: with more it is not a list of stations, and is refused as a whole.
const PROBLEMS_MAX: usize = 10_000;
/// Stations and channels of a body at most. The largest networks have a tenth of it.
const STATIONS_MAX: usize = 100_000;
const CHANNELS_MAX: usize = 500_000;

/// What a body holds, and what of it cannot be kept.
#[derive(Debug, Default)]
struct PostedStations {
    inventory: Inventory,
    problems: Vec<StationProblem>,
}

impl PostedStations {
    fn of_json(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let is_array = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let posted = match is_array {
            true => json.deserialize_seq(Elements),
            false => <&RawValue>::deserialize(&mut json).map(|element| {
                let mut posted = Self::default();
                posted.take(0, element);
                posted
            }),
        };
        posted.and_then(|posted| json.end().map(|()| posted)).map_err(|error| {
            ApiError::invalid(format!("the body is not a station: {error}")).hint(
                "{\"network\": \"XX\", \"station\": \"STA\", \"latitude\": 64.1, \"longitude\": -21.9, \
                 \"elevation_m\": 50}, or an array of such objects",
            )
        })
    }

    /// Takes one element of the body; one that is no station is a problem, and the others count.
    fn take(&mut self, index: usize, element: &RawValue) {
        match serde_json::from_str::<StationBody>(element.get()) {
            Ok(body) => body.add_to(&mut self.inventory, index, &mut self.problems),
            Err(error) => {
                let reason = format!("not a station: {error}");
                self.problems.push(StationProblem { line: None, index: Some(index), reason });
            }
        }
    }

    /// Refuses what would fill the memory.
    fn check_size(&self) -> Result<(), String> {
        for (what, count, count_max) in [
            ("problems", self.problems.len(), PROBLEMS_MAX),
            ("stations", self.inventory.stations.len(), STATIONS_MAX),
            ("channels", self.inventory.channels.len(), CHANNELS_MAX),
        ] {
            if count > count_max {
                return Err(format!("it holds more than {count_max} {what}; send it in several requests"));
            }
        }
        Ok(())
    }

    /// Reads a document; `charset` is what came beside it and outranks what it says of its letters itself.
    fn of_document(bytes: &[u8], charset: Option<&str>) -> Result<Self, ApiError> {
        let read = match charset {
            Some(charset) => in_charset(bytes, charset).and_then(|bytes| read_stations(&bytes, None)),
            None => read_stations(bytes, None),
        };
        let parsed = read.map_err(|error| ApiError::invalid(error.to_string()))?;
        let problem = |problem: Problem| {
            let (line, reason) = (Some(problem.line), problem.reason);
            StationProblem { line, index: None, reason }
        };
        let problems = parsed.problems.into_iter().map(problem).collect();
        let posted = Self { inventory: parsed.value, problems };
        posted.check_size().map_err(ApiError::invalid)?;
        Ok(posted)
    }

    /// Takes out what has no network code: clients cannot ask for it, and no data are at hand to tell it from.
    fn refuse_nameless(&mut self) {
        for station in self.inventory.name_networks(|_| Vec::new()) {
            let reason = format!("station \"{station}\" has no network code");
            self.problems.push(StationProblem { line: None, index: None, reason });
        }
    }

    /// The answer where nothing is left: what was refused, and why.
    fn refusal(mut self) -> Response {
        let count = self.problems.len();
        let message = match self.problems.first() {
            Some(first) => {
                format!("nothing of the body can be kept; {count} problems, the first: {}", first.reason)
            }
            None => "the body holds no station".to_owned(),
        };
        self.problems.truncate(PROBLEMS_LISTED);
        let error = ApiError::invalid(message);
        let body = json!({
            "error": error.json(),
            "problem_count": count,
            "problems": self.problems,
        });
        (error.code.status(), Json(body)).into_response()
    }
}

/// An array of stations, one in memory at a time.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = PostedStations;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("an array of stations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<PostedStations, A::Error> {
        let mut posted = PostedStations::default();
        let mut index = 0;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            posted.take(index, element);
            posted.check_size().map_err(A::Error::custom)?;
            index += 1;
        }
        Ok(posted)
    }
}

/// Reads a body away from the threads that others wait for. Few at a time: what is read takes several times its bytes.
async fn read(shared: &Shared, media_type: Option<String>, body: Body) -> Result<PostedStations, ApiError> {
    let charset = body.charset();
    let bytes = body.read(shared.limits.body_bytes_max).await?;
    let reader: fn(&[u8], Option<&str>) -> Result<PostedStations, ApiError> = match media_type.as_deref() {
        // It is UTF-8 whatever is said.
        Some("application/json") => |bytes, _| PostedStations::of_json(bytes),
        Some("application/xml" | "text/xml" | "text/csv" | "text/plain" | "text/tab-separated-values") => {
            PostedStations::of_document
        }
        other => {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!("stations of media type \"{}\" are not read", other.unwrap_or("")),
            )
            .hint("application/json, application/xml (StationXML), text/csv or text/plain (named columns)"));
        }
    };
    shared.reading.read(move || reader(&bytes, charset.as_deref())).await
}

pub(super) async fn upsert(State(shared): State<Shared>, body: Body) -> Result<Response, ApiError> {
    let media_type = body.media_type();
    let mut posted = read(&shared, media_type, body).await?;
    posted.refuse_nameless();
    if posted.inventory.stations.is_empty() && posted.inventory.channels.is_empty() {
        return Ok(posted.refusal());
    }
    let PostedStations { inventory, mut problems } = posted;
    let mut report = json!({
        "station_count": inventory.stations.len(),
        "channel_count": inventory.channels.len(),
        "problem_count": problems.len(),
    });
    problems.truncate(PROBLEMS_LISTED);
    report["problems"] = json!(problems);
    shared.state.stations.upsert(inventory).await?;
    Ok(Json(report).into_response())
}
