//! Stations from text with named columns in any order (CSV, TSV, FDSN station text), and FDSN station text out.
//!
//! Elevations are metres or kilometres, and nothing in the numbers says which: the unit comes from the header
//! (`Elevation_m`, `Elevation (km)`), from the FDSN standard where the header is its own (`#Network|Station|…`:
//! metres), or from the caller. It is never guessed. NonLinLoc `GTSRCE … LATLON` lines (kilometres) are read too.
//! Text carries no frequency response, so channels read here have none.

use std::fmt::Write;

use seislake_model::{Channel, Inventory, SourceId, Station, Timestamp};

use crate::stationxml::{Level, network_summary, sensitivity};
use crate::table::{Column, Row, Table, something_usable};
use crate::{Parsed, Problem, ReadError, epoch_end, epoch_start, xml};

/// Unit of elevations where the text does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElevationUnit {
    /// m.
    Metres,
    /// km.
    Kilometres,
}

impl std::str::FromStr for ElevationUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "m" => Ok(Self::Metres),
            "km" => Ok(Self::Kilometres),
            _ => Err(format!("\"{text}\" is not an elevation unit; use m or km")),
        }
    }
}

impl ElevationUnit {
    fn to_metres(self, value: f64) -> f64 {
        match self {
            Self::Metres => value,
            Self::Kilometres => value * 1000.0,
        }
    }
}

const FORMAT: &str = "station text";
const STATION: Column = Column {
    meaning: "station code",
    names: &["station", "sta", "station_code", "code", "name", "station_name", "id"],
};
const NETWORK: Column = Column { meaning: "network code", names: &["network", "net", "network_code"] };
const LOCATION: Column = Column { meaning: "location code", names: &["location", "loc", "location_code"] };
const CHANNEL: Column =
    Column { meaning: "channel code", names: &["channel", "cha", "chan", "channel_code"] };
const LATITUDE: Column = Column { meaning: "latitude", names: &["latitude", "lat"] };
const LONGITUDE: Column = Column { meaning: "longitude", names: &["longitude", "lon", "long", "lng"] };
const ELEVATION: Column = Column {
    meaning: "elevation",
    names: &[
        "elevation",
        "elevation_m",
        "elevation_km",
        "elev",
        "elev_m",
        "elev_km",
        "ele",
        "height",
        "height_m",
        "height_km",
        "altitude",
        "altitude_m",
        "altitude_km",
    ],
};
const SITE: Column =
    Column { meaning: "site name", names: &["sitename", "site_name", "site", "description"] };
const START: Column =
    Column { meaning: "start time", names: &["starttime", "start_time", "start", "startdate"] };
const END: Column = Column { meaning: "end time", names: &["endtime", "end_time", "end", "enddate"] };
const DEPTH: Column = Column { meaning: "burial depth", names: &["depth", "depth_m"] };
const AZIMUTH: Column = Column { meaning: "azimuth", names: &["azimuth"] };
const DIP: Column = Column { meaning: "dip", names: &["dip"] };
const SENSOR: Column =
    Column { meaning: "sensor", names: &["sensordescription", "sensor_description", "sensor"] };
const SAMPLE_RATE: Column =
    Column { meaning: "sample rate", names: &["samplerate", "sample_rate", "sample_rate_hz"] };

/// Reads stations. Rows that cannot be used are listed as problems.
///
/// # Errors
/// Where a column is missing, elevations have no unit, or no row can be used.
pub fn read(bytes: &[u8], unit: Option<ElevationUnit>) -> Result<Parsed<Inventory>, ReadError> {
    let table = Table::read(FORMAT, bytes)?;
    if table.header_line().starts_with("GTSRCE") || table.header_line().starts_with("#GTSRCE") {
        return read_gtsrce(bytes);
    }
    let columns = Columns::find(&table, unit)?;
    let mut inventory = Inventory::default();
    let mut problems = Vec::new();
    if columns.elevation.is_none() {
        problems.push(Problem { line: 1, reason: "no column for the elevation: taken as 0 m".to_owned() });
    }
    for row in &table.rows {
        match columns.read(row) {
            Ok((station, channel)) => {
                let known = |other: &Station| {
                    other.network == station.network
                        && other.station == station.station
                        && (channel.is_some() || other.start_time == station.start_time)
                };
                if !inventory.stations.iter().any(known) {
                    inventory.stations.push(station);
                }
                inventory.channels.extend(channel);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let skipped: Vec<Problem> = problems.iter().filter(|problem| problem.line > 1).cloned().collect();
    something_usable(FORMAT, inventory.stations.len(), table.rows.len(), &skipped)?;
    Ok(Parsed { value: inventory, problems })
}

struct Columns {
    station: usize,
    latitude: usize,
    longitude: usize,
    elevation: Option<(usize, ElevationUnit)>,
    network: Option<usize>,
    location: Option<usize>,
    channel: Option<usize>,
    site: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    depth: Option<usize>,
    azimuth: Option<usize>,
    dip: Option<usize>,
    sensor: Option<usize>,
    sample_rate: Option<usize>,
}

impl Columns {
    fn find(table: &Table, unit: Option<ElevationUnit>) -> Result<Self, ReadError> {
        let (latitude, longitude) = (table.need(&LATITUDE)?, table.need(&LONGITUDE)?);
        let station = table.need(&STATION)?;
        let network = table.find(&NETWORK);
        // The header of the FDSN web service: its standard says metres.
        let is_fdsn = table.delimiter == b'|' && network == Some(0) && station == 1;
        let elevation = match table.find(&ELEVATION) {
            None => None,
            Some(index) => {
                let name = table.name(index);
                let stated = if name.ends_with("_km") {
                    Some(ElevationUnit::Kilometres)
                } else if name.ends_with("_m") || is_fdsn {
                    Some(ElevationUnit::Metres)
                } else {
                    unit
                };
                let unit = stated.ok_or_else(|| ReadError::ElevationUnit { column: name.to_owned() })?;
                Some((index, unit))
            }
        };
        Ok(Self {
            station,
            latitude,
            longitude,
            elevation,
            network,
            location: table.find(&LOCATION),
            channel: table.find(&CHANNEL),
            site: table.find(&SITE),
            start: table.find(&START),
            end: table.find(&END),
            depth: table.find(&DEPTH),
            azimuth: table.find(&AZIMUTH),
            dip: table.find(&DIP),
            sensor: table.find(&SENSOR),
            sample_rate: table.find(&SAMPLE_RATE),
        })
    }

    fn read(&self, row: &Row) -> Result<(Station, Option<Channel>), Problem> {
        let (latitude, longitude) = row.place(Some(self.latitude), Some(self.longitude))?;
        let elevation_m = match self.elevation {
            None => 0.0,
            Some((index, unit)) => unit.to_metres(row.number(Some(index), "elevation")?),
        };
        let code = row.cell(Some(self.station));
        if code.is_empty() {
            return Err(row.problem("no station code".to_owned()));
        }
        let optional = |column: Option<usize>| row.cell(column).parse::<f64>().ok().filter(|n| n.is_finite());
        let text = |column| Some(row.cell(column)).filter(|text| !text.is_empty()).map(str::to_owned);
        let bad_time = |error: seislake_model::TimestampError| row.problem(error.to_string());
        let start_time = epoch_start(row.cell(self.start)).map_err(bad_time)?;
        let end_time = epoch_end(row.cell(self.end)).map_err(bad_time)?;
        let has_channel = !row.cell(self.channel).is_empty();
        let station = Station {
            network: row.cell(self.network).to_owned(),
            station: code.to_owned(),
            latitude,
            longitude,
            elevation_m,
            site_name: text(self.site),
            // A station's epoch is not that of one of its channels.
            start_time: start_time.filter(|_| !has_channel),
            end_time: end_time.filter(|_| !has_channel),
            original: None,
            network_original: None,
        };
        let channel = has_channel.then(|| Channel {
            source_id: SourceId::from_nslc(
                &station.network,
                code,
                row.cell(self.location),
                row.cell(self.channel),
            ),
            latitude,
            longitude,
            elevation_m,
            depth_m: optional(self.depth).unwrap_or(0.0),
            azimuth: optional(self.azimuth),
            dip: optional(self.dip),
            sample_rate_hz: optional(self.sample_rate),
            sensor: text(self.sensor),
            start_time,
            end_time,
            response: None,
            original: None,
            response_original: None,
        });
        Ok((station, channel))
    }
}

/// NonLinLoc station statements: `GTSRCE label LATLON latitude longitude depth_km elevation_km`.
fn read_gtsrce(bytes: &[u8]) -> Result<Parsed<Inventory>, ReadError> {
    let text = xml::decode(bytes);
    let mut inventory = Inventory::default();
    let mut problems = Vec::new();
    let mut rows = 0;
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        if words.next() != Some("GTSRCE") {
            continue;
        }
        rows += 1;
        match gtsrce(words) {
            Ok(station) => inventory.stations.push(station),
            Err(reason) => problems.push(Problem { line: index as u64 + 1, reason }),
        }
    }
    something_usable("NonLinLoc station text", inventory.stations.len(), rows, &problems)?;
    Ok(Parsed { value: inventory, problems })
}

fn gtsrce<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Station, String> {
    let label = words.next().unwrap_or_default();
    let kind = words.next().unwrap_or_default();
    if kind != "LATLON" {
        return Err(format!(
            "station \"{label}\" is given in \"{kind}\" coordinates; only LATLON names a place"
        ));
    }
    let numbers: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
    let &[latitude, longitude, depth_km, elevation_km] = numbers.as_slice() else {
        return Err(format!("station \"{label}\" needs latitude, longitude, depth and elevation"));
    };
    if !(latitude.abs() <= 90.0 && longitude.abs() <= 360.0) {
        return Err(format!("{latitude}, {longitude} is no place on earth"));
    }
    Ok(Station {
        network: String::new(),
        station: label.to_owned(),
        latitude,
        longitude: crate::wrapped(longitude),
        elevation_m: (elevation_km - depth_km) * 1000.0,
        site_name: None,
        start_time: None,
        end_time: None,
        original: None,
        network_original: None,
    })
}

/// FDSN station text at a level; `Response` is not expressible and written as `Channel`.
pub fn write(inventory: &Inventory, level: Level) -> String {
    match level {
        Level::Network => write_networks(inventory),
        Level::Station => write_stations(inventory),
        Level::Channel | Level::Response => write_channels(inventory),
    }
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or(String::new(), |time| time.to_string().trim_end_matches('Z').to_owned())
}

/// Bars and line ends would break the table.
fn field(text: Option<&String>) -> String {
    text.map_or(String::new(), |text| text.replace(['|', '\n', '\r'], " "))
}

fn write_networks(inventory: &Inventory) -> String {
    let network_of = |station: &Station| (station.network.clone(), station.network_original.clone());
    let mut networks: Vec<_> = inventory.stations.iter().map(network_of).collect();
    networks.sort_unstable();
    networks.dedup();
    let mut out = "#Network|Description|StartTime|EndTime|TotalStations\n".to_owned();
    for network in networks {
        let stations = || inventory.stations.iter().filter(|station| network_of(station) == network);
        let mut codes: Vec<&str> = stations().map(|station| station.station.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let summary = network.1.as_deref().map(network_summary).unwrap_or_default();
        // Where the network does not say, it lasts as long as its stations: clients do not read an empty begin.
        let start = summary.start_time.or_else(|| stations().filter_map(|station| station.start_time).min());
        let last = || stations().map(|station| station.end_time.unwrap_or(Timestamp::MAX)).max();
        let end = summary.end_time.or_else(|| last().filter(|end| *end < Timestamp::MAX));
        let (start, end, description) = (time(start), time(end), field(summary.description.as_ref()));
        let _ = writeln!(out, "{}|{description}|{start}|{end}|{}", network.0, codes.len());
    }
    out
}

fn write_stations(inventory: &Inventory) -> String {
    let mut out = "#Network|Station|Latitude|Longitude|Elevation|SiteName|StartTime|EndTime\n".to_owned();
    for s in &inventory.stations {
        let (site, start, end) = (field(s.site_name.as_ref()), time(s.start_time), time(s.end_time));
        let (network, station) = (&s.network, &s.station);
        let _ = writeln!(
            out,
            "{network}|{station}|{}|{}|{}|{site}|{start}|{end}",
            s.latitude, s.longitude, s.elevation_m
        );
    }
    out
}

fn write_channels(inventory: &Inventory) -> String {
    let mut out = "#Network|Station|Location|Channel|Latitude|Longitude|Elevation|Depth|Azimuth|Dip|\
                   SensorDescription|Scale|ScaleFreq|ScaleUnits|SampleRate|StartTime|EndTime\n"
        .to_owned();
    for c in &inventory.channels {
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let scale = match (&c.response, c.response_original.as_deref().and_then(sensitivity)) {
            (_, Some(total)) => {
                format!("{}|{}|{}", total.value, total.frequency_hz, field(Some(&total.input_unit)))
            }
            (Some(response), None) => {
                let unit = crate::stationxml::unit_name(response.input_unit);
                format!("{}|{}|{unit}", response.sensitivity, response.sensitivity_frequency_hz)
            }
            (None, None) => "||".to_owned(),
        };
        let id = &c.source_id;
        let _ = writeln!(
            out,
            "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{scale}|{}|{}|{}",
            id.network(),
            id.station(),
            id.location(),
            id.channel(),
            c.latitude,
            c.longitude,
            c.elevation_m,
            c.depth_m,
            optional(c.azimuth),
            optional(c.dip),
            field(c.sensor.as_ref()),
            optional(c.sample_rate_hz),
            time(c.start_time),
            time(c.end_time),
        );
    }
    out
}

#[cfg(test)]
mod tests;
