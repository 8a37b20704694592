//! Stations from text with named columns in any order (CSV, TSV, FDSN station text), and FDSN station text out.
//!
//! Elevations are metres or kilometres, and nothing in the numbers says which: the unit comes from the header
//! (`Elevation_m`, `Elevation (km)`), from the FDSN standard where the header is its own (`#Network|Station|…`:
//! metres), or from the caller. It is never guessed. NonLinLoc `GTSRCE … LATLON` lines (kilometres) are read too.
//! Text carries no frequency response but its overall sensitivity (`Scale`, `ScaleFreq`, `ScaleUnits`), which is kept, used
//! and written back. Rows of a channel make its station too, where no row does. A row that comes twice counts as it stands
//! last; a station code may be a whole id (`NET.STA`, `NET.STA.LOC.CHA`, `FDSN:…`), which is taken apart.

mod write;

use std::collections::HashSet;

use seislake_model::{Channel, Inventory, Response, SourceId, Station};

pub use write::write;

use crate::gathered::Collection;
use crate::stationxml::{Sensitivity, of_sensitivity};
use crate::table::{Column, Row, Table, something_usable};
use crate::{
    Parsed, Problem, ReadError, SaidDates, encoding, epoch_end, epoch_start, excerpt, keep_far_dates,
    keep_far_dates_of_channel,
};

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
/// A name is one of the site only beside a column of codes.
const SITE: Column = Column {
    meaning: "site name",
    names: &["sitename", "site_name", "site", "description", "station_name", "name"],
};
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
const SCALE: Column = Column { meaning: "scale", names: &["scale"] };
const SCALE_FREQUENCY: Column =
    Column { meaning: "frequency of the scale", names: &["scalefreq", "scale_freq", "scale_frequency_hz"] };
const SCALE_UNITS: Column = Column { meaning: "units of the scale", names: &["scaleunits", "scale_units"] };
/// All that are read.
const ALL: [&Column; 18] = [
    &STATION,
    &LATITUDE,
    &LONGITUDE,
    &ELEVATION,
    &NETWORK,
    &LOCATION,
    &CHANNEL,
    &SITE,
    &START,
    &END,
    &DEPTH,
    &AZIMUTH,
    &DIP,
    &SENSOR,
    &SAMPLE_RATE,
    &SCALE,
    &SCALE_FREQUENCY,
    &SCALE_UNITS,
];
/// By these the line is found that names the columns.
const KNOWN: [&Column; 5] = [&STATION, &NETWORK, &LATITUDE, &LONGITUDE, &ELEVATION];

/// Reads stations. Rows that cannot be used are listed as problems.
///
/// # Errors
/// Where a column is missing, elevations have no unit, or no row can be used.
pub fn read(bytes: &[u8], unit: Option<ElevationUnit>) -> Result<Parsed<Inventory>, ReadError> {
    if is_gtsrce(&encoding::glance(bytes)) {
        return read_gtsrce(bytes);
    }
    let table = Table::read(FORMAT, bytes, &KNOWN)?;
    let columns = Columns::find(&table, unit)?;
    let mut gathered = Collection::default();
    // Stations that rows of channels speak of: rows of their own come first, whatever the order.
    let mut of_channels = Vec::new();
    let mut named = HashSet::new();
    for row in &table.rows {
        let station = match columns.read(row, &mut gathered) {
            Ok(station) => station,
            Err(problem) => {
                gathered.problem(problem.line, format!("left out: {}", problem.reason));
                continue;
            }
        };
        match station {
            StationPlace::OfChannel(station) => of_channels.push((row.line, station)),
            StationPlace::Own(station) => {
                named.insert((station.network.clone(), station.station.clone()));
                gathered.station(row.line, station);
            }
        }
    }
    for (line, station) in of_channels {
        if named.insert((station.network.clone(), station.station.clone())) {
            gathered.station(line, station);
        }
    }
    let usable = gathered.station_count() + gathered.channel_count();
    let mut parsed = gathered.finish();
    something_usable(FORMAT, usable, table.rows.len(), &parsed.problems)?;
    parsed.problems.splice(..0, table.unread(&ALL));
    if columns.elevation.is_none() {
        let reason = "no column for the elevation: taken as 0 m".to_owned();
        parsed.problems.insert(0, Problem { line: 1, reason });
    }
    Ok(parsed)
}

/// A station, and where its place comes from.
enum StationPlace {
    /// A row of its own.
    Own(Station),
    /// The row of one of its channels.
    OfChannel(Station),
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
    scale: Option<usize>,
    scale_frequency: Option<usize>,
    scale_units: Option<usize>,
}

/// Codes of a row.
struct Codes {
    network: String,
    station: String,
    location: String,
    /// Empty: the row is of a station.
    channel: String,
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
            site: table.find(&SITE).filter(|site| *site != station),
            start: table.find(&START),
            end: table.find(&END),
            depth: table.find(&DEPTH),
            azimuth: table.find(&AZIMUTH),
            dip: table.find(&DIP),
            sensor: table.find(&SENSOR),
            sample_rate: table.find(&SAMPLE_RATE),
            scale: table.find(&SCALE),
            scale_frequency: table.find(&SCALE_FREQUENCY),
            scale_units: table.find(&SCALE_UNITS),
        })
    }

    /// The codes of a row: of its columns, or of the id that stands for the station code. Both must agree.
    fn codes(&self, row: &Row) -> Result<Codes, Problem> {
        let code = row.cell(Some(self.station));
        if code.is_empty() {
            return Err(row.problem("no station code".to_owned()));
        }
        let mut parts = parts_of_id(code).ok_or_else(|| {
            row.problem(format!("\"{}\" is neither a station code nor NET.STA.LOC.CHA", excerpt(code)))
        })?;
        for (part, column, what) in [
            (&mut parts.network, self.network, "network"),
            (&mut parts.location, self.location, "location"),
            (&mut parts.channel, self.channel, "channel"),
        ] {
            let cell = row.cell(column);
            let (named, said) = (part.trim_matches('-'), cell.trim_matches('-'));
            if !named.is_empty() && !said.is_empty() && named != said {
                let (code, cell) = (excerpt(code), excerpt(cell));
                return Err(row.problem(format!("\"{code}\" and the {what} column, \"{cell}\", disagree")));
            }
            if part.is_empty() {
                cell.clone_into(part);
            }
        }
        Ok(parts)
    }

    fn read(&self, row: &Row, gathered: &mut Collection) -> Result<StationPlace, Problem> {
        let codes = self.codes(row)?;
        let (latitude, longitude) = row.place(Some(self.latitude), Some(self.longitude))?;
        let elevation_m = match self.elevation {
            None => 0.0,
            Some((index, unit)) => unit.to_metres(row.number(Some(index), "elevation")?),
        };
        let text = |column| Some(row.cell(column)).filter(|text| !text.is_empty()).map(str::to_owned);
        let bad_time = |error: seislake_model::TimestampError| row.problem(error.to_string());
        let start_time = epoch_start(row.cell(self.start)).map_err(bad_time)?;
        let end_time = epoch_end(row.cell(self.end)).map_err(bad_time)?;
        let has_channel = !codes.channel.is_empty();
        let depth = self.depth.filter(|_| has_channel);
        let depth_m = row.optional_number(depth, "burial depth")?.unwrap_or(0.0);
        let station = Station {
            network: codes.network.clone(),
            station: codes.station.clone(),
            latitude,
            longitude,
            // A channel's elevation is that of its sensor, a station's that of the ground.
            elevation_m: elevation_m + depth_m,
            site_name: text(self.site),
            // A station's epoch is not that of one of its channels.
            start_time: start_time.filter(|_| !has_channel),
            end_time: end_time.filter(|_| !has_channel),
            original: None,
            network_original: None,
        };
        let said = SaidDates { start: row.cell(self.start), end: row.cell(self.end) };
        if !has_channel {
            let mut station = station;
            keep_far_dates(&mut station, said);
            return Ok(StationPlace::Own(station));
        }
        let Codes { network, station: code, location, channel } = codes;
        let source_id = SourceId::from_codes(&network, &code, &location, &channel);
        let sample_rate_hz = row.optional_number(self.sample_rate, "sample rate")?;
        let (response, response_original) = self.response(row, gathered)?;
        let mut channel = Channel {
            source_id: source_id.map_err(|error| row.problem(error.to_string()))?,
            latitude,
            longitude,
            elevation_m,
            depth_m,
            azimuth: row.optional_number(self.azimuth, "azimuth")?,
            dip: row.optional_number(self.dip, "dip")?,
            sample_rate_hz: sample_rate_hz.filter(|rate_hz| *rate_hz != 0.0),
            sensor: text(self.sensor),
            start_time,
            end_time,
            response,
            original: None,
            response_original,
        };
        channel.check().map_err(|error| row.problem(error.to_string()))?;
        keep_far_dates_of_channel(&mut channel, said);
        gathered.channel(row.line, channel);
        Ok(StationPlace::OfChannel(station))
    }

    /// The overall sensitivity, where the row states all of it.
    fn response(&self, row: &Row, gathered: &mut Collection) -> Result<ResponseParts, Problem> {
        let value = row.optional_number(self.scale, "scale")?;
        let frequency_hz = row.optional_number(self.scale_frequency, "frequency of the scale")?;
        let units = row.cell(self.scale_units);
        let Some(value) = value else { return Ok((None, None)) };
        let Some(frequency_hz) = frequency_hz.filter(|_| !units.is_empty()) else {
            let reason = "the scale is left out: without its frequency and units it says nothing";
            gathered.problem(row.line, reason.to_owned());
            return Ok((None, None));
        };
        if value == 0.0 || !(1e-30..=1e30).contains(&value.abs()) || frequency_hz < 0.0 {
            return Err(row.problem(format!("{value} at {frequency_hz} Hz is no scale")));
        }
        let sensitivity = Sensitivity { value, frequency_hz, input_unit: units.to_owned() };
        let (original, response) = of_sensitivity(&sensitivity);
        Ok((response, Some(original)))
    }
}

/// A response as it is used, and as it is written again.
type ResponseParts = (Option<Response>, Option<std::sync::Arc<str>>);

/// The codes in a station code: one, or those of `NET.STA`, `NET.STA.LOC`, `NET.STA.LOC.CHA`, `NET_STA` or a source id.
fn parts_of_id(code: &str) -> Option<Codes> {
    if code.starts_with("FDSN:") {
        let id: SourceId = code.parse().ok()?;
        let [network, station, location] =
            [id.network(), id.station(), id.location()].map(|code| code.to_owned());
        return Some(Codes { network, station, location, channel: id.channel() });
    }
    let parts: Vec<&str> = code.split(['.', '_']).collect();
    let part = |index: usize| parts.get(index).map_or(String::new(), |part| (*part).to_owned());
    match parts.len() {
        1 => Some(Codes {
            network: String::new(),
            station: part(0),
            location: String::new(),
            channel: String::new(),
        }),
        2..=4 if !parts.iter().take(2).any(|part| part.is_empty()) => {
            Some(Codes { network: part(0), station: part(1), location: part(2), channel: part(3) })
        }
        _ => None,
    }
}

fn is_gtsrce(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.is_some_and(|line| line.trim_start_matches('#').trim_start().starts_with("GTSRCE"))
}

/// NonLinLoc station statements: `GTSRCE label LATLON latitude longitude depth_km elevation_km`.
fn read_gtsrce(bytes: &[u8]) -> Result<Parsed<Inventory>, ReadError> {
    let text = encoding::decode(FORMAT, bytes)?;
    let mut gathered = Collection::default();
    let mut rows = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let mut words = text.split_whitespace();
        if words.next() != Some("GTSRCE") {
            continue;
        }
        rows += 1;
        match gtsrce(words) {
            Ok(station) => gathered.station(line, station),
            Err(reason) => gathered.problem(line, format!("left out: {reason}")),
        }
    }
    let usable = gathered.station_count();
    let parsed = gathered.finish();
    something_usable("NonLinLoc station text", usable, rows, &parsed.problems)?;
    Ok(parsed)
}

fn gtsrce<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Station, String> {
    let label = words.next().unwrap_or_default();
    let kind = words.next().unwrap_or_default();
    if kind != "LATLON" {
        return Err(format!(
            "station \"{}\" is given in \"{}\" coordinates; only LATLON names a place",
            excerpt(label),
            excerpt(kind)
        ));
    }
    let numbers: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
    let &[latitude, longitude, depth_km, elevation_km] = numbers.as_slice() else {
        return Err(format!("station \"{}\" needs latitude, longitude, depth and elevation", excerpt(label)));
    };
    if !(latitude.abs() <= 90.0 && longitude.abs() <= 360.0) {
        return Err(format!("{latitude}, {longitude} is no place on earth"));
    }
    // A label may name a sensor (`AK_RC01_--`): the place is that of its station.
    let codes = parts_of_id(label).filter(|codes| codes.channel.is_empty());
    let codes = codes.ok_or_else(|| format!("\"{}\" is no station code", excerpt(label)))?;
    Ok(Station {
        network: codes.network,
        station: codes.station,
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

#[cfg(test)]
mod tests;
