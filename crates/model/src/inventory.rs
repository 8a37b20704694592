//! Stations, channels and instrument responses (StationXML words), by epoch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{SourceId, Timestamp};

/// A place: WGS84 degrees, metres above sea level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Height of the sensor above sea level (elevation minus burial depth).
    pub elevation_m: f64,
}

/// One epoch of a station.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// Network code; empty where the source names none (it then matches any network).
    pub network: String,
    /// Station code.
    pub station: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres above sea level.
    pub elevation_m: f64,
    /// Site name.
    pub site_name: Option<String>,
    /// Begin of the epoch; `None`: since ever.
    pub start_time: Option<Timestamp>,
    /// End of the epoch; `None`: open.
    pub end_time: Option<Timestamp>,
    /// The `<Station>` element it was read from, without its channels: everything a StationXML document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Arc<str>>,
    /// The `<Network>` element it was read from, without its stations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_original: Option<Arc<str>>,
}

/// One epoch of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Channel.
    pub source_id: SourceId,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres above sea level, of the surface.
    pub elevation_m: f64,
    /// Burial depth.
    pub depth_m: f64,
    /// Degrees clockwise from north.
    pub azimuth: Option<f64>,
    /// Degrees down from horizontal; -90 is up.
    pub dip: Option<f64>,
    /// Nominal sample rate.
    pub sample_rate_hz: Option<f64>,
    /// Sensor description.
    pub sensor: Option<String>,
    /// Begin of the epoch; `None`: since ever.
    pub start_time: Option<Timestamp>,
    /// End of the epoch; `None`: open.
    pub end_time: Option<Timestamp>,
    /// Response, where known.
    pub response: Option<Response>,
    /// The `<Channel>` element it was read from, without its response: everything a StationXML document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Arc<str>>,
    /// The `<Response>` element it was read from, with all its stages. Channels of one instrument share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_original: Option<Arc<str>>,
}

/// Physical quantity at the input of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputUnit {
    /// Displacement, m.
    #[serde(rename = "m")]
    Displacement,
    /// Velocity, m/s.
    #[serde(rename = "m/s")]
    Velocity,
    /// Acceleration, m/s².
    #[serde(rename = "m/s**2")]
    Acceleration,
}

/// Response as poles and zeros and an overall sensitivity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Counts per input unit at `sensitivity_frequency_hz`.
    pub sensitivity: f64,
    /// Frequency at which the sensitivity holds.
    pub sensitivity_frequency_hz: f64,
    /// Input unit.
    pub input_unit: InputUnit,
    /// Analogue stage; `None`: flat.
    pub poles_zeros: Option<PolesZeros>,
}

/// Laplace transfer function `a0 · Π(s - zero) / Π(s - pole)`, s in rad/s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolesZeros {
    /// Poles (real, imaginary), rad/s.
    pub poles: Vec<(f64, f64)>,
    /// Zeros (real, imaginary), rad/s.
    pub zeros: Vec<(f64, f64)>,
    /// Normalisation factor a0.
    pub normalization_factor: f64,
}

/// Everything known about a network's stations and channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Station epochs.
    pub stations: Vec<Station>,
    /// Channel epochs.
    pub channels: Vec<Channel>,
}

fn holds(start: Option<Timestamp>, end: Option<Timestamp>, time: Timestamp) -> bool {
    start.is_none_or(|start| start <= time) && end.is_none_or(|end| time < end)
}

impl Inventory {
    /// Where the sensor of `source_id` stood at `time`: the channel epoch if there is one, else the station epoch.
    /// Station epochs without a network code match any network.
    pub fn coordinates(&self, source_id: &SourceId, time: Timestamp) -> Option<Coordinates> {
        if let Some(channel) = self.channel(source_id, time) {
            return Some(Coordinates {
                latitude: channel.latitude,
                longitude: channel.longitude,
                elevation_m: channel.elevation_m - channel.depth_m,
            });
        }
        let (network, station) = (source_id.network(), source_id.station());
        self.stations
            .iter()
            .filter(|epoch| epoch.station == station && holds(epoch.start_time, epoch.end_time, time))
            .filter(|epoch| epoch.network.is_empty() || epoch.network == network)
            .max_by_key(|epoch| !epoch.network.is_empty())
            .map(|epoch| Coordinates {
                latitude: epoch.latitude,
                longitude: epoch.longitude,
                elevation_m: epoch.elevation_m,
            })
    }

    /// The channel epoch of `source_id` at `time`.
    pub fn channel(&self, source_id: &SourceId, time: Timestamp) -> Option<&Channel> {
        self.channels
            .iter()
            .find(|epoch| epoch.source_id == *source_id && holds(epoch.start_time, epoch.end_time, time))
    }

    /// Adds `other`; epochs of the same station or channel and start are replaced.
    pub fn merge(&mut self, other: Self) {
        for station in other.stations {
            let same = |epoch: &Station| {
                epoch.network == station.network
                    && epoch.station == station.station
                    && epoch.start_time == station.start_time
            };
            match self.stations.iter_mut().find(|epoch| same(epoch)) {
                Some(epoch) => *epoch = station,
                None => self.stations.push(station),
            }
        }
        for channel in other.channels {
            let same = |epoch: &Channel| {
                epoch.source_id == channel.source_id && epoch.start_time == channel.start_time
            };
            match self.channels.iter_mut().find(|epoch| same(epoch)) {
                Some(epoch) => *epoch = channel,
                None => self.channels.push(channel),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(network: &str, latitude: f64, start: Option<i64>, end: Option<i64>) -> Station {
        Station {
            network: network.into(),
            station: "S1".into(),
            latitude,
            longitude: 0.0,
            elevation_m: 10.0,
            site_name: None,
            start_time: start.map(Timestamp::from_nanos),
            end_time: end.map(Timestamp::from_nanos),
            original: None,
            network_original: None,
        }
    }

    #[test]
    fn coordinates_are_those_of_the_epoch() {
        let inventory = Inventory {
            stations: vec![
                station("XX", 1.0, None, Some(100)),
                station("XX", 2.0, Some(100), None),
                station("", 3.0, None, None),
            ],
            channels: vec![],
        };
        let id = SourceId::from_nslc("XX", "S1", "", "HHZ");
        let latitude =
            |id: &SourceId, time| inventory.coordinates(id, Timestamp::from_nanos(time)).map(|c| c.latitude);
        assert_eq!(latitude(&id, 99), Some(1.0));
        assert_eq!(latitude(&id, 100), Some(2.0));
        assert_eq!(latitude(&SourceId::from_nslc("YY", "S1", "", "HHZ"), 100), Some(3.0));
        assert_eq!(latitude(&SourceId::from_nslc("XX", "S2", "", "HHZ"), 100), None);
    }
}
