//! Stations, channels and instrument responses (StationXML words), by epoch.

mod check;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use check::InventoryError;

use crate::{SourceId, Timestamp};

/// A place: WGS84 degrees, metres above sea level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Height of the sensor above sea level.
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
    /// Metres above sea level, of the sensor, as in StationXML 1.2 and FDSN text; the ground above it is `depth_m` higher.
    pub elevation_m: f64,
    /// Metres from the ground down to the sensor.
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
                elevation_m: channel.elevation_m,
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

    /// Adds `other`; epochs of the same station or channel and start are replaced: of several in `other` the last one
    /// stays. Cost: linear in both.
    pub fn merge(&mut self, other: Self) {
        replace_or_add(&mut self.stations, other.stations, |epoch| {
            (epoch.network.clone(), epoch.station.clone(), epoch.start_time)
        });
        replace_or_add(&mut self.channels, other.channels, |epoch| {
            (epoch.source_id.clone(), epoch.start_time)
        });
    }
}

impl Inventory {
    /// Gives stations without a network code, and their channels, the networks that `networks_of` knows of their station
    /// code: one epoch of each. Epochs that name their network hold where both are there. Returns the station codes of which it knows none; their epochs are taken out.
    pub fn name_networks(&mut self, networks_of: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        let mut unknown = Vec::new();
        let mut named = |code: &str| {
            let networks = networks_of(code);
            if networks.is_empty() {
                unknown.push(code.to_owned());
            }
            networks
        };
        let mut found = Self::default();
        for station in std::mem::take(&mut self.stations) {
            if !station.network.is_empty() {
                found.stations.push(station);
                continue;
            }
            let networks = named(&station.station).into_iter();
            found.stations.extend(networks.map(|network| Station { network, ..station.clone() }));
        }
        for channel in std::mem::take(&mut self.channels) {
            let id = &channel.source_id;
            if !id.network().is_empty() {
                found.channels.push(channel);
                continue;
            }
            let renamed = named(id.station()).into_iter().map(|network| Channel {
                source_id: SourceId::from_nslc(&network, id.station(), id.location(), &id.channel()),
                ..channel.clone()
            });
            found.channels.extend(renamed);
        }
        unknown.sort_unstable();
        unknown.dedup();
        found.merge(std::mem::take(self));
        *self = found;
        unknown
    }

    /// Channels of which two epochs hold at one time, with the begins of both: the first of them in time is believed.
    #[must_use]
    pub fn overlapping_channels(&self) -> Vec<(&SourceId, Option<Timestamp>, Option<Timestamp>)> {
        let mut epochs: Vec<&Channel> = self.channels.iter().collect();
        epochs.sort_by(|a, b| (&a.source_id, a.start_time).cmp(&(&b.source_id, b.start_time)));
        let pairs = epochs.iter().zip(epochs.iter().skip(1)).filter(|(one, next)| {
            one.source_id == next.source_id
                && one.end_time.is_none_or(|end| next.start_time.is_none_or(|start| start < end))
        });
        pairs.map(|(one, next)| (&one.source_id, one.start_time, next.start_time)).collect()
    }

    /// Whether a station or channel lacks its network code.
    pub fn lacks_networks(&self) -> bool {
        self.stations.iter().any(|station| station.network.is_empty())
            || self.channels.iter().any(|channel| channel.source_id.network().is_empty())
    }
}

fn replace_or_add<T, K: Eq + std::hash::Hash>(epochs: &mut Vec<T>, others: Vec<T>, key: impl Fn(&T) -> K) {
    let mut known: HashMap<K, usize> =
        epochs.iter().enumerate().map(|(index, epoch)| (key(epoch), index)).collect();
    for other in others {
        let index = *known.entry(key(&other)).or_insert(epochs.len());
        match epochs.get_mut(index) {
            Some(epoch) => *epoch = other,
            None => epochs.push(other),
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

    fn channel() -> Channel {
        Channel {
            source_id: SourceId::from_nslc("XX", "S1", "", "HHZ"),
            latitude: 1.0,
            longitude: 2.0,
            elevation_m: 3.0,
            depth_m: 0.0,
            azimuth: Some(0.0),
            dip: Some(-90.0),
            sample_rate_hz: Some(100.0),
            sensor: None,
            start_time: None,
            end_time: None,
            response: Some(Response {
                sensitivity: -1e9,
                sensitivity_frequency_hz: 1.0,
                input_unit: InputUnit::Velocity,
                poles_zeros: None,
            }),
            original: None,
            response_original: None,
        }
    }

    #[test]
    fn the_elevation_of_a_channel_is_that_of_its_sensor_however_deep_it_is() {
        let elevation_m = |depth_m| {
            let borehole = Channel { elevation_m: 1671.0, depth_m, ..channel() };
            let inventory = Inventory { stations: vec![], channels: vec![borehole] };
            inventory.coordinates(&channel().source_id, Timestamp::from_nanos(0)).map(|at| at.elevation_m)
        };
        assert_eq!((elevation_m(0.0), elevation_m(145.0)), (Some(1671.0), Some(1671.0)));
    }

    #[test]
    fn epochs_that_hold_at_one_time_are_found() {
        let epoch = |start: Option<i64>, end: Option<i64>| Channel {
            start_time: start.map(Timestamp::from_nanos),
            end_time: end.map(Timestamp::from_nanos),
            ..channel()
        };
        let count = |channels| Inventory { stations: vec![], channels }.overlapping_channels().len();
        assert_eq!(count(vec![epoch(None, Some(5)), epoch(Some(5), None)]), 0);
        assert_eq!(count(vec![epoch(Some(5), None), epoch(None, Some(6))]), 1);
        assert_eq!(count(vec![epoch(Some(1), None), epoch(Some(5), None)]), 1);
        assert_eq!(count(vec![]), 0);
    }

    #[test]
    fn the_last_of_two_equal_epochs_stays() {
        let mut inventory = Inventory { stations: vec![station("XX", 1.0, None, None)], channels: vec![] };
        let again = vec![
            station("XX", 2.0, None, None),
            station("YY", 3.0, None, None),
            station("XX", 4.0, None, None),
        ];
        inventory.merge(Inventory { stations: again, channels: vec![channel(), channel()] });
        let latitudes: Vec<f64> = inventory.stations.iter().map(|station| station.latitude).collect();
        assert_eq!((latitudes, inventory.channels.len()), (vec![4.0, 3.0], 1));
    }

    #[test]
    fn stations_without_a_network_are_named_after_what_is_known_of_them() {
        let mut lost = station("", 3.0, None, None);
        lost.station = "S2".into();
        let nameless = Channel { source_id: SourceId::from_nslc("", "S1", "00", "HHZ"), ..channel() };
        let mut inventory = Inventory {
            stations: vec![station("", 1.0, None, None), lost, station("ZZ", 2.0, None, None)],
            channels: vec![nameless],
        };
        assert!(inventory.lacks_networks());
        let known = |code: &str| match code {
            "S1" => vec!["XX".to_owned(), "YY".to_owned()],
            _ => Vec::new(),
        };
        assert_eq!(inventory.name_networks(known), ["S2"]);
        let networks: Vec<&str> = inventory.stations.iter().map(|station| station.network.as_str()).collect();
        assert_eq!(networks, ["XX", "YY", "ZZ"]);
        let ids: Vec<&str> = inventory.channels.iter().map(|channel| channel.source_id.as_str()).collect();
        assert_eq!(ids, ["FDSN:XX_S1_00_H_H_Z", "FDSN:YY_S1_00_H_H_Z"]);
        assert!(!inventory.lacks_networks());
    }

    #[test]
    fn numbers_that_cannot_be_are_refused_by_name() {
        station("", 1.0, Some(0), Some(0)).check().unwrap();
        channel().check().unwrap();
        for latitude in [91.0, -90.1, f64::NAN, f64::INFINITY] {
            let message = station("XX", latitude, None, None).check().unwrap_err().to_string();
            assert!(message.contains("XX.S1") && message.contains("latitude"), "{message}");
        }
        let message = station("XX", 1.0, Some(100), Some(99)).check().unwrap_err().to_string();
        assert!(message.contains("before it begins"), "{message}");
        type Break = fn(&mut Channel, f64);
        let fields: [(&str, Break, &[f64]); 9] = [
            ("latitude", |channel, value| channel.latitude = value, &[91.0]),
            ("longitude", |channel, value| channel.longitude = value, &[180.1, -181.0]),
            ("elevation", |channel, value| channel.elevation_m = value, &[1e6]),
            ("depth", |channel, value| channel.depth_m = value, &[-1e6]),
            ("azimuth", |channel, value| channel.azimuth = Some(value), &[361.0]),
            ("dip", |channel, value| channel.dip = Some(value), &[-91.0]),
            ("sample rate", |channel, value| channel.sample_rate_hz = Some(value), &[0.0, -1.0, 1e300]),
            (
                "sensitivity",
                |channel, value| {
                    channel.response.iter_mut().for_each(|response| response.sensitivity = value);
                },
                &[0.0, 1e300, -1e300],
            ),
            (
                "frequency",
                |channel, value| {
                    channel
                        .response
                        .iter_mut()
                        .for_each(|response| response.sensitivity_frequency_hz = value);
                },
                &[-1.0],
            ),
        ];
        for (what, set, values) in fields {
            for value in values.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
                let mut broken = channel();
                set(&mut broken, *value);
                let message = broken.check().unwrap_err().to_string();
                assert!(message.contains(what) && message.contains("FDSN:XX_S1__H_H_Z"), "{message}");
            }
        }
    }
}
