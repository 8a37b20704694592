//! Stations and channels, as the inventory in use knows them.

use std::sync::Arc;

use async_graphql::{Object, SimpleObject};
use seislake_model::{Channel, Inventory, Station};

use super::cursor::PageInfo;
use super::scalars::{DateTime, number};

/// One epoch of a station.
#[derive(Clone, Debug)]
pub(super) struct StationNode {
    pub(super) station: Station,
    pub(super) inventory: Arc<Inventory>,
}

/// One epoch of a station.
#[Object(name = "Station")]
impl StationNode {
    /// Network code; empty where the source names none.
    async fn network(&self) -> &str {
        &self.station.network
    }
    /// Station code.
    async fn station(&self) -> &str {
        &self.station.station
    }
    /// Degrees north, WGS84.
    async fn latitude(&self) -> Option<f64> {
        number(self.station.latitude)
    }
    /// Degrees east, WGS84.
    async fn longitude(&self) -> Option<f64> {
        number(self.station.longitude)
    }
    /// Metres above sea level.
    async fn elevation_m(&self) -> Option<f64> {
        number(self.station.elevation_m)
    }
    /// Name of the site.
    async fn site_name(&self) -> Option<&str> {
        self.station.site_name.as_deref()
    }
    /// Begin of the epoch; null: since ever.
    async fn start_time(&self) -> Option<DateTime> {
        self.station.start_time.map(DateTime)
    }
    /// End of the epoch; null: open.
    async fn end_time(&self) -> Option<DateTime> {
        self.station.end_time.map(DateTime)
    }
    /// Channel epochs of the station.
    #[graphql(complexity = "1 + 3 * child_complexity")]
    async fn channels(&self) -> Vec<ChannelNode> {
        let same = |channel: &&Channel| {
            channel.source_id.network() == self.station.network
                && channel.source_id.station() == self.station.station
        };
        self.inventory.channels.iter().filter(same).map(ChannelNode::from).collect()
    }
}

/// One epoch of a channel.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Channel")]
pub(super) struct ChannelNode {
    /// FDSN source identifier.
    source_id: String,
    /// Location code; empty where blank.
    location: String,
    /// SEED channel code.
    channel: String,
    /// Degrees north, WGS84.
    latitude: Option<f64>,
    /// Degrees east, WGS84.
    longitude: Option<f64>,
    /// Metres above sea level, of the sensor; the ground above it is `depthM` higher.
    elevation_m: Option<f64>,
    /// Metres from the ground down to the sensor.
    depth_m: Option<f64>,
    /// Degrees clockwise from north.
    azimuth: Option<f64>,
    /// Degrees down from horizontal; -90 is up.
    dip: Option<f64>,
    /// Nominal sample rate.
    sample_rate_hz: Option<f64>,
    /// Description of the sensor.
    sensor: Option<String>,
    /// Begin of the epoch; null: since ever.
    start_time: Option<DateTime>,
    /// End of the epoch; null: open.
    end_time: Option<DateTime>,
    /// Counts per input unit at `sensitivityFrequencyHz`; null where the response is unknown.
    sensitivity: Option<f64>,
    /// Frequency at which the sensitivity holds.
    sensitivity_frequency_hz: Option<f64>,
}

impl From<&Channel> for ChannelNode {
    fn from(row: &Channel) -> Self {
        Self {
            source_id: row.source_id.to_string(),
            location: row.source_id.location().to_owned(),
            channel: row.source_id.channel(),
            latitude: number(row.latitude),
            longitude: number(row.longitude),
            elevation_m: number(row.elevation_m),
            depth_m: number(row.depth_m),
            azimuth: row.azimuth.and_then(number),
            dip: row.dip.and_then(number),
            sample_rate_hz: row.sample_rate_hz.and_then(number),
            sensor: row.sensor.clone(),
            start_time: row.start_time.map(DateTime),
            end_time: row.end_time.map(DateTime),
            sensitivity: row.response.as_ref().and_then(|response| number(response.sensitivity)),
            sensitivity_frequency_hz: row
                .response
                .as_ref()
                .and_then(|response| number(response.sensitivity_frequency_hz)),
        }
    }
}

/// A station epoch and its cursor.
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct StationEdge {
    pub(super) cursor: String,
    pub(super) node: StationNode,
}

/// A page of station epochs, by network, station and begin.
#[derive(Debug, SimpleObject)]
pub(super) struct StationConnection {
    /// Station epochs of this page.
    pub(super) nodes: Vec<StationNode>,
    /// The same with cursors.
    pub(super) edges: Vec<StationEdge>,
    pub(super) page_info: PageInfo,
    /// Station epochs that pass the filter, on all pages.
    pub(super) total_count: usize,
}
