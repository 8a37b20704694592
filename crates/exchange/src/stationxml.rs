//! FDSN StationXML: versions 1.0 to 1.2 in, 1.2 out.
//!
//! Read one channel at a time. Of a response the overall sensitivity and the first analogue poles-and-zeros stage are
//! kept; digital filters, polynomials and response lists are not. Documents that break the schema in harmless ways
//! (no namespace, no coordinates on a channel) are read; channels without a place are listed as problems.

use std::f64::consts::TAU;

use seislake_model::{Channel, InputUnit, Inventory, PolesZeros, Response, SourceId, Station, Timestamp};

use crate::xml::{Element, Token, XmlReader, XmlWriter, decode};
use crate::{Parsed, Problem, ReadError, epoch_end, epoch_start};

const FORMAT: &str = "StationXML";
/// Normalisation factors are kept where the response at the sensitivity's frequency is one within this share.
const NORMALISATION_TOLERANCE: f64 = 0.01;

/// How much a document says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Networks only.
    Network,
    /// And stations.
    Station,
    /// And channels with their sensitivity.
    Channel,
    /// And responses.
    Response,
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "network" => Ok(Self::Network),
            "station" => Ok(Self::Station),
            "channel" => Ok(Self::Channel),
            "response" => Ok(Self::Response),
            _ => Err(format!("\"{text}\" is not a level; use network, station, channel or response")),
        }
    }
}

/// Reads a document.
///
/// # Errors
/// Where the bytes are not well-formed XML (line and column are named) or not StationXML.
pub fn read(bytes: &[u8]) -> Result<Parsed<Inventory>, ReadError> {
    let text = decode(bytes);
    let mut reader = XmlReader::new(FORMAT, &text);
    match reader.next()? {
        Token::Start(root) if root.name == "FDSNStationXML" => {}
        Token::Start(root) => {
            let found = format!("the root element is <{}>", root.name);
            return Err(ReadError::OtherFormat { expected: FORMAT, found });
        }
        _ => {
            return Err(ReadError::OtherFormat { expected: FORMAT, found: "it holds no XML element".into() });
        }
    }
    let mut inventory = Inventory::default();
    let mut problems = Vec::new();
    let mut network = String::new();
    loop {
        match reader.next()? {
            Token::Start(element) if element.name == "Network" => {
                network = element.attribute("code").unwrap_or_default().to_owned();
            }
            Token::Start(element) if element.name == "Station" => {
                read_station(&mut reader, &network, element, &mut inventory, &mut problems)?;
            }
            Token::Start(element) => {
                reader.subtree(element)?;
            }
            Token::End => {}
            Token::Eof => return Ok(Parsed { value: inventory, problems }),
        }
    }
}

fn read_station(
    reader: &mut XmlReader<'_>,
    network: &str,
    mut start: Element,
    inventory: &mut Inventory,
    problems: &mut Vec<Problem>,
) -> Result<(), ReadError> {
    let first_channel = inventory.channels.len();
    let mut channels = Vec::new();
    loop {
        match reader.next()? {
            Token::Start(element) => {
                let element = reader.subtree(element)?;
                if element.name == "Channel" {
                    channels.push(channel_head(element));
                } else {
                    start.children.push(element);
                }
            }
            Token::End => break,
            Token::Eof => return Err(reader.broken("the document ends too early")),
        }
    }
    let station = match station(network, &start) {
        Ok(station) => Some(station),
        Err(reason) => {
            problems.push(Problem { line: start.line, reason });
            None
        }
    };
    let code = start.attribute("code").unwrap_or_default();
    for element in channels {
        match channel(network, code, station.as_ref(), &element) {
            Ok(channel) => inventory.channels.push(channel),
            Err(reason) => problems.push(Problem { line: element.line, reason }),
        }
    }
    // A station whose own place is unknown stands where its first channel stands.
    let placed = station.or_else(|| {
        let channel = inventory.channels.get(first_channel)?;
        let (start_time, end_time) = epochs(&start).ok()?;
        Some(Station {
            network: network.to_owned(),
            station: code.to_owned(),
            latitude: channel.latitude,
            longitude: channel.longitude,
            elevation_m: channel.elevation_m,
            site_name: None,
            start_time,
            end_time,
        })
    });
    inventory.stations.extend(placed);
    Ok(())
}

/// A channel without the stages that are not kept: most of a document is coefficients of digital filters.
fn channel_head(mut channel: Element) -> Element {
    if let Some(response) = channel.children.iter_mut().find(|child| child.name == "Response") {
        for stage in &mut response.children {
            stage
                .children
                .retain(|child| !matches!(child.name.as_str(), "Coefficients" | "FIR" | "ResponseList"));
        }
    }
    channel
}

fn epochs(element: &Element) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let attribute = |name| element.attribute(name).unwrap_or_default();
    let start_time = epoch_start(attribute("startDate")).map_err(|error| error.to_string())?;
    Ok((start_time, epoch_end(attribute("endDate")).map_err(|error| error.to_string())?))
}

fn place(element: &Element) -> Option<(f64, f64)> {
    let (latitude, longitude) = (element.number(&["Latitude"])?, element.number(&["Longitude"])?);
    (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some((latitude, longitude))
}

fn station(network: &str, element: &Element) -> Result<Station, String> {
    let code = element.attribute("code").filter(|code| !code.is_empty()).ok_or("a station without a code")?;
    let (latitude, longitude) = place(element)
        .ok_or_else(|| format!("station \"{network}.{code}\" has no valid latitude and longitude"))?;
    let (start_time, end_time) = epochs(element)?;
    Ok(Station {
        network: network.to_owned(),
        station: code.to_owned(),
        latitude,
        longitude,
        elevation_m: element.number(&["Elevation"]).unwrap_or(0.0),
        site_name: element.text_of(&["Site", "Name"]).map(str::to_owned),
        start_time,
        end_time,
    })
}

fn channel(
    network: &str,
    station_code: &str,
    station: Option<&Station>,
    element: &Element,
) -> Result<Channel, String> {
    let code = element.attribute("code").unwrap_or_default();
    let location = element.attribute("locationCode").unwrap_or_default();
    let source_id = SourceId::from_nslc(network, station_code, location, code);
    let (latitude, longitude) = place(element)
        .or_else(|| station.map(|station| (station.latitude, station.longitude)))
        .ok_or_else(|| format!("channel \"{source_id}\" has no valid latitude and longitude"))?;
    let (start_time, end_time) = epochs(element)?;
    let ratio = || {
        let samples = element.number(&["SampleRateRatio", "NumberSamples"])?;
        Some(samples / element.number(&["SampleRateRatio", "NumberSeconds"])?)
    };
    let sensor = ["Description", "Model", "Type"].iter().find_map(|name| element.text_of(&["Sensor", name]));
    Ok(Channel {
        source_id,
        latitude,
        longitude,
        elevation_m: element
            .number(&["Elevation"])
            .or_else(|| station.map(|station| station.elevation_m))
            .unwrap_or(0.0),
        depth_m: element.number(&["Depth"]).unwrap_or(0.0),
        azimuth: element.number(&["Azimuth"]),
        dip: element.number(&["Dip"]),
        sample_rate_hz: element.number(&["SampleRate"]).or_else(ratio).filter(|rate_hz| *rate_hz > 0.0),
        sensor: sensor.map(str::to_owned),
        start_time,
        end_time,
        response: element.child("Response").and_then(response),
    })
}

/// Sensitivity and first analogue poles-and-zeros stage; `None` where the input is no ground motion.
fn response(element: &Element) -> Option<Response> {
    let total = element.child("InstrumentSensitivity");
    let first_stage = element.children("Stage").find_map(|stage| {
        let names = ["PolesZeros", "Coefficients", "FIR", "ResponseList", "Polynomial"];
        names.iter().find_map(|name| stage.text_of(&[name, "InputUnits", "Name"]))
    });
    let unit = total.and_then(|total| total.text_of(&["InputUnits", "Name"])).or(first_stage)?;
    let (input_unit, units_per_si) = input_unit(unit)?;
    let positive = |value: &f64| *value != 0.0;
    let sensitivity = total
        .and_then(|total| total.number(&["Value"]))
        .filter(positive)
        .or_else(|| stage_gains(element))
        .filter(positive)?;
    let sensitivity_frequency_hz = total
        .and_then(|total| total.number(&["Frequency"]))
        .or_else(|| element.child("Stage")?.number(&["StageGain", "Frequency"]))
        .unwrap_or(1.0);
    let poles_zeros =
        element.children("Stage").filter_map(|stage| stage.child("PolesZeros")).find_map(poles_zeros);
    Some(Response {
        sensitivity: sensitivity * units_per_si,
        sensitivity_frequency_hz,
        input_unit,
        poles_zeros: poles_zeros.map(|stage| normalised(stage, sensitivity_frequency_hz)),
    })
}

fn stage_gains(element: &Element) -> Option<f64> {
    let gains: Vec<f64> =
        element.children("Stage").filter_map(|stage| stage.number(&["StageGain", "Value"])).collect();
    (!gains.is_empty()).then(|| gains.iter().product())
}

/// Physical quantity of a unit's name, and how many of the unit make one SI unit.
fn input_unit(name: &str) -> Option<(InputUnit, f64)> {
    let name = name.trim().to_ascii_lowercase().replace(' ', "");
    let (length, rest) = name.split_once('/').unwrap_or((&name, ""));
    let units_per_si = match length {
        "m" | "meter" | "meters" => 1.0,
        "cm" => 1e2,
        "mm" => 1e3,
        "um" => 1e6,
        "nm" => 1e9,
        _ => return None,
    };
    let unit = match rest {
        "" => InputUnit::Displacement,
        "s" | "sec" | "second" => InputUnit::Velocity,
        "s**2" | "s^2" | "s/s" | "(s**2)" | "(s^2)" | "s2" | "sec**2" | "sec/sec" => InputUnit::Acceleration,
        _ => return None,
    };
    Some((unit, units_per_si))
}

/// The analogue stage in rad/s; `None` for digital ones.
fn poles_zeros(element: &Element) -> Option<PolesZeros> {
    let kind = element.text_of(&["PzTransferFunctionType"]).unwrap_or("LAPLACE (RADIANS/SECOND)");
    let scale = match kind {
        "LAPLACE (RADIANS/SECOND)" => 1.0,
        "LAPLACE (HERTZ)" => TAU,
        _ => return None,
    };
    let roots = |name| -> Option<Vec<(f64, f64)>> {
        let complex = |root: &Element| {
            Some((scale * root.number(&["Real"])?, scale * root.number(&["Imaginary"]).unwrap_or(0.0)))
        };
        element.children(name).map(complex).collect()
    };
    let (poles, zeros) = (roots("Pole")?, roots("Zero")?);
    let order = poles.len() as i32 - zeros.len() as i32;
    let normalization_factor = element.number(&["NormalizationFactor"]).unwrap_or(1.0) * scale.powi(order);
    Some(PolesZeros { poles, zeros, normalization_factor })
}

/// The stage with a factor that makes it one at the frequency of the sensitivity. The factor of the document is kept
/// where it does so within a percent; it is often given for another frequency, or wrong.
fn normalised(mut stage: PolesZeros, frequency_hz: f64) -> PolesZeros {
    let omega = TAU * frequency_hz;
    let product = |roots: &[(f64, f64)]| roots.iter().map(|(re, im)| re.hypot(omega - im)).product::<f64>();
    let gain = product(&stage.zeros) / product(&stage.poles);
    let is_one = (gain * stage.normalization_factor.abs() - 1.0).abs() < NORMALISATION_TOLERANCE;
    if !is_one && gain.is_finite() && gain > 0.0 {
        stage.normalization_factor = 1.0 / gain;
    }
    stage
}

/// Name of a unit in StationXML.
pub(crate) const fn unit_name(unit: InputUnit) -> &'static str {
    match unit {
        InputUnit::Displacement => "m",
        InputUnit::Velocity => "m/s",
        InputUnit::Acceleration => "m/s**2",
    }
}

/// Writes StationXML 1.2. `created_at` is the time the document claims to be made at.
/// Channels without a station epoch get one from their own place.
pub fn write(inventory: &Inventory, level: Level, created_at: Timestamp) -> String {
    let mut xml = XmlWriter::new();
    xml.open("FDSNStationXML", &[("xmlns", "http://www.fdsn.org/xml/station/1"), ("schemaVersion", "1.2")]);
    xml.leaf("Source", "Seislake");
    xml.leaf("Created", &created_at.to_string());
    let stations = stations_with_channels(inventory);
    let mut networks: Vec<&str> = stations.iter().map(|(station, _)| station.network.as_str()).collect();
    networks.sort_unstable();
    networks.dedup();
    for network in networks {
        xml.open("Network", &[("code", network)]);
        if level >= Level::Station {
            for (station, channels) in stations.iter().filter(|(station, _)| station.network == network) {
                write_station(&mut xml, station, channels, level);
            }
        }
        xml.close();
    }
    xml.finish()
}

/// Each station epoch with the channels that begin in it; channels of no epoch go to the nearest one before, or to a
/// station of their own.
fn stations_with_channels(inventory: &Inventory) -> Vec<(Station, Vec<&Channel>)> {
    let mut stations: Vec<(Station, Vec<&Channel>)> =
        inventory.stations.iter().map(|station| (station.clone(), Vec::new())).collect();
    for channel in &inventory.channels {
        let (network, code) = (channel.source_id.network(), channel.source_id.station());
        let of_station = |station: &Station| {
            station.station == code && (station.network == network || station.network.is_empty())
        };
        let covers = |station: &Station| {
            let start = channel.start_time.unwrap_or(Timestamp::MIN);
            station.start_time.unwrap_or(Timestamp::MIN) <= start
                && station.end_time.is_none_or(|end| start < end)
        };
        let position = stations
            .iter()
            .position(|(station, _)| of_station(station) && covers(station))
            .or_else(|| stations.iter().position(|(station, _)| of_station(station)));
        match position.and_then(|position| stations.get_mut(position)) {
            Some((_, channels)) => channels.push(channel),
            None => stations.push((station_of(channel), vec![channel])),
        }
    }
    stations
}

fn station_of(channel: &Channel) -> Station {
    Station {
        network: channel.source_id.network().to_owned(),
        station: channel.source_id.station().to_owned(),
        latitude: channel.latitude,
        longitude: channel.longitude,
        elevation_m: channel.elevation_m,
        site_name: None,
        start_time: channel.start_time,
        end_time: channel.end_time,
    }
}

fn open_epoch(
    xml: &mut XmlWriter,
    name: &'static str,
    codes: &[(&str, &str)],
    epoch: (Option<Timestamp>, Option<Timestamp>),
) {
    let (start, end) = (epoch.0.map(|time| time.to_string()), epoch.1.map(|time| time.to_string()));
    let mut attributes = codes.to_vec();
    attributes.extend(start.as_deref().map(|start| ("startDate", start)));
    attributes.extend(end.as_deref().map(|end| ("endDate", end)));
    xml.open(name, &attributes);
}

fn write_station(xml: &mut XmlWriter, station: &Station, channels: &[&Channel], level: Level) {
    open_epoch(xml, "Station", &[("code", &station.station)], (station.start_time, station.end_time));
    xml.number("Latitude", station.latitude);
    xml.number("Longitude", station.longitude);
    xml.number("Elevation", station.elevation_m);
    xml.open("Site", &[]);
    xml.leaf("Name", station.site_name.as_deref().unwrap_or(&station.station));
    xml.close();
    if level >= Level::Channel {
        for channel in channels {
            write_channel(xml, channel, level);
        }
    }
    xml.close();
}

fn write_channel(xml: &mut XmlWriter, channel: &Channel, level: Level) {
    let (code, location) = (channel.source_id.channel(), channel.source_id.location());
    let codes = [("code", code.as_str()), ("locationCode", location)];
    open_epoch(xml, "Channel", &codes, (channel.start_time, channel.end_time));
    xml.number("Latitude", channel.latitude);
    xml.number("Longitude", channel.longitude);
    xml.number("Elevation", channel.elevation_m);
    xml.number("Depth", channel.depth_m);
    for (name, value) in
        [("Azimuth", channel.azimuth), ("Dip", channel.dip), ("SampleRate", channel.sample_rate_hz)]
    {
        if let Some(value) = value {
            xml.number(name, value);
        }
    }
    if let Some(sensor) = &channel.sensor {
        xml.open("Sensor", &[]);
        xml.leaf("Description", sensor);
        xml.close();
    }
    if let Some(response) = &channel.response {
        write_response(xml, response, level);
    }
    xml.close();
}

fn write_units(xml: &mut XmlWriter, input: InputUnit) {
    for (element, name) in [("InputUnits", unit_name(input)), ("OutputUnits", "count")] {
        xml.open(element, &[]);
        xml.leaf("Name", name);
        xml.close();
    }
}

fn write_response(xml: &mut XmlWriter, response: &Response, level: Level) {
    xml.open("Response", &[]);
    xml.open("InstrumentSensitivity", &[]);
    xml.number("Value", response.sensitivity);
    xml.number("Frequency", response.sensitivity_frequency_hz);
    write_units(xml, response.input_unit);
    xml.close();
    if let (Level::Response, Some(stage)) = (level, &response.poles_zeros) {
        xml.open("Stage", &[("number", "1")]);
        xml.open("PolesZeros", &[]);
        write_units(xml, response.input_unit);
        xml.leaf("PzTransferFunctionType", "LAPLACE (RADIANS/SECOND)");
        xml.number("NormalizationFactor", stage.normalization_factor);
        xml.number("NormalizationFrequency", response.sensitivity_frequency_hz);
        for (name, roots) in [("Zero", &stage.zeros), ("Pole", &stage.poles)] {
            for (index, (real, imaginary)) in roots.iter().enumerate() {
                xml.open(name, &[("number", &index.to_string())]);
                xml.number("Real", *real);
                xml.number("Imaginary", *imaginary);
                xml.close();
            }
        }
        xml.close();
        xml.open("StageGain", &[]);
        xml.number("Value", response.sensitivity);
        xml.number("Frequency", response.sensitivity_frequency_hz);
        xml.close();
        xml.close();
    }
    xml.close();
}

#[cfg(test)]
mod tests;
