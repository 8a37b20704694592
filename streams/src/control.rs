//! Control records in `waveforms.raw`: what the readers of a partition must know beside its miniSEED records, at the place
//! where it begins to hold. Punctuation is one kind (see [`crate::message`]), stations are the other.
//!
//! ```json
//! {"version":1,"station":"XX_ABC","inventory":{"stations":[…],"channels":[…]}}      key "station"
//! ```
//! So a stage that needs places or responses is a function of its log: replayed, it knows of each record what it knew.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use seislake_model::{Channel, Coordinates, ErrorKind, Inventory, SourceId, Station, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::message::{WATERMARK_KEY, check_version, from_json, to_json};
use crate::topic::{NewRecord, Record};

/// Key of records that tell of a station. No source id is like it.
pub const STATION_KEY: &[u8] = b"station";

const VERSION: u32 = 1;

/// Largest control record: thousands of epochs of a station.
const STATION_BYTES_MAX: usize = 8 << 20;
/// What stands around the epochs in it, at most.
const ENVELOPE_BYTES_MAX: usize = 4096;

/// All epochs of a station and its channels, as they are known from this record on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationControl {
    version: u32,
    /// `NETWORK_STATION`; the network is empty where the epochs name none.
    pub station: String,
    /// Its epochs, without the documents they were read from.
    pub inventory: Inventory,
}

/// Whether the readers of records pass over it: it is no miniSEED record and no loss.
#[must_use]
pub fn is_control(record: &Record) -> bool {
    [WATERMARK_KEY, STATION_KEY].contains(&record.key.as_ref())
}

/// The station that a record of `waveforms.raw` tells of; `None` where it is another record.
///
/// # Errors
/// `Corrupt`: a record with that key that cannot be read.
pub fn station_of(record: &Record) -> Result<Option<StationControl>, Error> {
    if record.key.as_ref() != STATION_KEY {
        return Ok(None);
    }
    let control: StationControl = from_json("control record of a station", &record.value)?;
    check_version(control.version)?;
    let stations = control.inventory.stations.iter().map(Station::check_numbers);
    let channels = control.inventory.channels.iter().map(Channel::check_numbers);
    match stations.chain(channels).collect() {
        Ok(()) => Ok(Some(control)),
        Err(error) => Err(Error::caused(ErrorKind::Corrupt, "read a control record of a station", error)),
    }
}

/// Half the SHA-256 of what a control record says.
pub(crate) type ControlHash = [u8; 16];

/// What a control record says, by its hash.
#[must_use]
pub(crate) fn hash_of(value: &[u8]) -> ControlHash {
    let mut half = ControlHash::default();
    half.copy_from_slice(&Sha256::digest(value)[..16]);
    half
}

/// A station on its way to the partitions that need it.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) station: String,
    pub(crate) hash: ControlHash,
    value: Bytes,
}

impl Announcement {
    /// One for each station of an inventory, in the order of their keys. A station with more epochs than a record holds is
    /// left out, with a line in the log.
    ///
    /// # Errors
    /// `Internal`: an inventory that cannot be written as JSON.
    pub(crate) fn all(inventory: &Inventory) -> Result<Vec<Self>, Error> {
        let mut announcements = Vec::new();
        for (station, inventory) in by_station(inventory) {
            let control = StationControl { version: VERSION, station, inventory };
            let value = to_json(&control)?;
            let station = control.station;
            if value.len() > STATION_BYTES_MAX {
                let (bytes, bytes_max) = (value.len(), STATION_BYTES_MAX);
                tracing::warn!(
                    station,
                    bytes,
                    bytes_max,
                    "a station has too many epochs: it is picked without them"
                );
                continue;
            }
            announcements.push(Self { station, hash: hash_of(&value), value });
        }
        Ok(announcements)
    }

    /// The partition whose records need it; `None`: all, because it names no network.
    pub(crate) fn partition(&self, partitions: u32) -> Option<u32> {
        let named = !self.station.starts_with('_');
        named.then(|| crate::gate::partition_of_station(&self.station, partitions))
    }

    pub(crate) fn record(&self) -> NewRecord {
        NewRecord { key: Bytes::from_static(STATION_KEY), value: self.value.clone(), arrival_time: None }
    }
}

/// Whether the log can tell of the stations of `additions`, as they are in `inventory`.
///
/// # Errors
/// `Invalid`: one with more epochs than a record holds.
pub fn check_sizes(inventory: &Inventory, additions: &Inventory) -> Result<(), Error> {
    let touched: BTreeSet<String> = by_station(additions).into_keys().collect();
    for (station, inventory) in by_station(inventory) {
        if !touched.contains(&station) {
            continue;
        }
        let bytes = to_json(&inventory)?.len();
        if bytes > STATION_BYTES_MAX - ENVELOPE_BYTES_MAX {
            let message = format!(
                "the epochs of station \"{station}\" take {bytes} bytes with their responses: more than the {STATION_BYTES_MAX} \
                 that the log holds of a station"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

/// The epochs of each station, without the documents they were read from.
fn by_station(inventory: &Inventory) -> BTreeMap<String, Inventory> {
    let mut stations: BTreeMap<String, Inventory> = BTreeMap::new();
    for station in &inventory.stations {
        let mut station = station.clone();
        // No stage needs these texts.
        (station.original, station.network_original, station.site_name) = (None, None, None);
        let key = format!("{}_{}", station.network, station.station);
        stations.entry(key).or_default().stations.push(station);
    }
    for channel in &inventory.channels {
        let mut channel = channel.clone();
        (channel.original, channel.response_original, channel.sensor) = (None, None, None);
        stations.entry(channel.source_id.station_key()).or_default().channels.push(channel);
    }
    for epochs in stations.values_mut() {
        // The order in which a store gives them says nothing.
        epochs.stations.sort_by_key(|station| station.start_time);
        epochs.channels.sort_by(|a, b| (&a.source_id, a.start_time).cmp(&(&b.source_id, b.start_time)));
    }
    stations
}

/// Places and responses of the stations of a partition, as its control records tell them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stations(BTreeMap<String, Inventory>);

impl Stations {
    /// Those of an inventory.
    #[must_use]
    pub fn of_inventory(inventory: &Inventory) -> Self {
        Self(by_station(inventory))
    }

    /// Whether anything was said of the station of a channel.
    #[must_use]
    pub fn know(&self, source_id: &SourceId) -> bool {
        self.of(source_id.network(), source_id.station()).next().is_some()
    }

    /// Takes what a control record says in the place of what was said of that station before.
    pub fn take(&mut self, control: StationControl) {
        self.0.insert(control.station, control.inventory);
    }

    /// Where a channel stood at a time.
    #[must_use]
    pub fn coordinates(&self, source_id: &SourceId, time: Timestamp) -> Option<Coordinates> {
        self.of(source_id.network(), source_id.station())
            .find_map(|inventory| inventory.coordinates(source_id, time))
    }

    /// The epochs of a station: its own, then those that name no network.
    pub fn of<'a>(&'a self, network: &str, station: &str) -> impl Iterator<Item = &'a Inventory> {
        let keys = [format!("{network}_{station}"), format!("_{station}")];
        keys.into_iter().filter_map(|key| self.0.get(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(value: &[u8]) -> Record {
        let (key, value) = (Bytes::from_static(STATION_KEY), Bytes::copy_from_slice(value));
        Record { offset: 0, key, value, arrival_time: None }
    }

    /// As it stands in logs: every later version must read it. A hash of another would tell all stations again, once.
    const OF_VERSION_1: &str = r#"{"version":1,"station":"XX_A","inventory":{"stations":[{"network":"XX","station":"A","latitude":1.5,"longitude":-2.0,"elevation_m":30.0,"site_name":null,"start_time":"2020-01-01T00:00:00.000Z","end_time":null}],"channels":[{"source_id":"FDSN:XX_A__H_H_Z","latitude":1.5,"longitude":-2.0,"elevation_m":29.0,"depth_m":1.0,"azimuth":0.0,"dip":-90.0,"sample_rate_hz":100.0,"sensor":null,"start_time":null,"end_time":null,"response":{"sensitivity":1000000000.0,"sensitivity_frequency_hz":1.0,"input_unit":"m/s","poles_zeros":{"poles":[[-1.0,2.0]],"zeros":[[0.0,0.0]],"normalization_factor":1.0}}}]}}"#;

    #[test]
    fn the_form_of_control_records_is_kept() {
        let control = station_of(&record_of(OF_VERSION_1.as_bytes())).unwrap().unwrap();
        assert_eq!((control.station.as_str(), control.inventory.channels[0].depth_m), ("XX_A", 1.0));
        let again = Announcement::all(&control.inventory).unwrap();
        assert_eq!(String::from_utf8_lossy(&again[0].value), OF_VERSION_1);
    }

    #[test]
    fn a_station_of_more_epochs_than_a_record_holds_is_told() {
        let control = station_of(&record_of(OF_VERSION_1.as_bytes())).unwrap().unwrap();
        let mut many = control.inventory.clone();
        many.channels = vec![many.channels[0].clone(); 30_000];
        let error = check_sizes(&many, &control.inventory).unwrap_err().to_string();
        assert!(error.contains("the epochs of station \"XX_A\" take"), "{error}");
        let mut other = control.inventory.clone();
        other.stations[0].station = "B".into();
        other.channels.clear();
        assert!(check_sizes(&many, &other).is_ok(), "only what comes is asked");
        assert!(check_sizes(&control.inventory, &control.inventory).is_ok());
    }

    #[test]
    fn a_control_record_that_cannot_be_believed_is_damage() {
        let station = r#"{"network":"XX","station":"A","latitude":LAT,"longitude":0.0,"elevation_m":0.0,"site_name":null,"start_time":null,"end_time":null}"#;
        let control = |latitude: &str, version: &str| {
            let station = station.replace("LAT", latitude);
            format!(
                r#"{{"version":{version},"station":"XX_A","inventory":{{"stations":[{station}],"channels":[]}}}}"#
            )
        };
        assert!(station_of(&record_of(control("1.0", "1").as_bytes())).unwrap().is_some());
        for wrong in [control("500.0", "1"), control("1.0", "2"), "{}".to_owned(), String::new()] {
            let error = station_of(&record_of(wrong.as_bytes())).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupt, "{wrong}");
        }
    }
}
