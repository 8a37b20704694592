//! `GET /stations` and `POST /stations`: station epochs and their channels.

use axum::Json;
use axum::extract::{RawQuery, State};
use seislake_exchange::stationxml;
use seislake_model::{Channel, Inventory, Response, SourceId, Station, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Body, Parameters, Shared, check_point};
use crate::error::{ApiError, ErrorCode};
use crate::read::Area;

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

/// Which stations.
#[derive(Clone, Debug, Default)]
pub(crate) struct StationFilter {
    pub(crate) network: Option<String>,
    pub(crate) station: Option<String>,
    pub(crate) areas: Vec<Area>,
}

impl StationFilter {
    /// Sort key of a station epoch: network, station, begin.
    pub(crate) fn key(station: &Station) -> String {
        let start = station.start_time.map(|time| time.to_string()).unwrap_or_default();
        format!("{}\t{}\t{start}", station.network, station.station)
    }

    /// Epochs that pass, by their key.
    pub(crate) fn stations<'a>(&self, inventory: &'a Inventory) -> Vec<&'a Station> {
        let equal =
            |wanted: &Option<String>, code: &str| wanted.as_deref().is_none_or(|wanted| wanted == code);
        let mut matching: Vec<&Station> = inventory
            .stations
            .iter()
            .filter(|epoch| equal(&self.network, &epoch.network) && equal(&self.station, &epoch.station))
            .filter(|epoch| self.areas.iter().all(|area| area.contains(epoch.latitude, epoch.longitude)))
            .collect();
        matching.sort_by_cached_key(|station| Self::key(station));
        matching
    }
}

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
    #[serde(default)]
    start_time: Option<Timestamp>,
    #[serde(default)]
    end_time: Option<Timestamp>,
    #[serde(default)]
    channels: Vec<ChannelBody>,
}

/// One channel epoch; coordinates are those of the station where they are not given.
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
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    response: Option<Response>,
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
            start_time: station.start_time,
            end_time: station.end_time,
            channels: inventory.channels.iter().filter(same).map(ChannelBody::from).collect(),
        }
    }

    fn add_to(self, inventory: &mut Inventory) -> Result<(), ApiError> {
        let name = format!("{}_{}", self.network, self.station);
        let wrong = |error: ApiError| ApiError::invalid(format!("station \"{name}\": {}", error.message));
        check_point(self.latitude, self.longitude).map_err(wrong)?;
        let code = |code: &str| code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if self.station.is_empty() || !code(&self.station) || !code(&self.network) {
            return Err(ApiError::invalid(format!("\"{name}\" is not a network and station code")));
        }
        for channel in self.channels {
            let id = SourceId::from_nslc(&self.network, &self.station, &channel.location, &channel.channel);
            let source_id: SourceId =
                id.as_str().parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
            inventory.channels.push(Channel {
                source_id,
                latitude: channel.latitude.unwrap_or(self.latitude),
                longitude: channel.longitude.unwrap_or(self.longitude),
                elevation_m: channel.elevation_m.unwrap_or(self.elevation_m),
                depth_m: channel.depth_m,
                azimuth: channel.azimuth,
                dip: channel.dip,
                sample_rate_hz: channel.sample_rate_hz,
                sensor: channel.sensor,
                start_time: channel.start_time.or(self.start_time),
                end_time: channel.end_time.or(self.end_time),
                response: channel.response,
                original: None,
                response_original: None,
            });
        }
        inventory.stations.push(Station {
            network: self.network,
            station: self.station,
            latitude: self.latitude,
            longitude: self.longitude,
            elevation_m: self.elevation_m,
            site_name: self.site_name,
            start_time: self.start_time,
            end_time: self.end_time,
            original: None,
            network_original: None,
        });
        Ok(())
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
            start_time: channel.start_time,
            end_time: channel.end_time,
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

fn inventory_of_json(bytes: &[u8]) -> Result<Inventory, ApiError> {
    let refuse = |error: serde_json::Error| {
        ApiError::invalid(format!("the body is not a station: {error}")).hint(
            "{\"network\": \"XX\", \"station\": \"STA\", \"latitude\": 64.1, \"longitude\": -21.9, \
             \"elevation_m\": 50}, or an array of such objects",
        )
    };
    let bodies = match serde_json::from_slice::<Value>(bytes).map_err(refuse)? {
        Value::Array(bodies) => bodies,
        body => vec![body],
    };
    let mut inventory = Inventory::default();
    for body in bodies {
        serde_json::from_value::<StationBody>(body).map_err(refuse)?.add_to(&mut inventory)?;
    }
    Ok(inventory)
}

fn inventory_of_stationxml(bytes: &[u8]) -> Result<Inventory, ApiError> {
    let parsed = stationxml::read(bytes).map_err(|error| ApiError::invalid(error.to_string()))?;
    match parsed.problems.first() {
        None => Ok(parsed.value),
        Some(problem) => {
            Err(ApiError::invalid(format!("the StationXML cannot be taken as it is: {problem}")))
        }
    }
}

pub(super) async fn upsert(State(shared): State<Shared>, body: Body) -> Result<Json<Value>, ApiError> {
    let media_type = body.media_type();
    let bytes = body.read(shared.limits.body_bytes_max).await?;
    let inventory = match media_type.as_deref() {
        Some("application/json") => inventory_of_json(&bytes)?,
        Some("application/xml" | "text/xml") => inventory_of_stationxml(&bytes)?,
        other => {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!("stations of media type \"{}\" are not read", other.unwrap_or("")),
            )
            .hint("application/json or application/xml (StationXML)"));
        }
    };
    let counts = json!({
        "station_count": inventory.stations.len(),
        "channel_count": inventory.channels.len(),
    });
    shared.state.stations.upsert(inventory).await?;
    Ok(Json(counts))
}
