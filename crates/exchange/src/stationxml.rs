//! FDSN StationXML: versions 1.0 to 1.2 in, 1.2 out.
//!
//! ```text
//! <Network>  ─┐                    ┌─► what we understand: codes, places, epochs, sensitivity, poles and zeros
//! <Station>  ─┼─ one at a time ────┤
//! <Channel>  ─┘                    └─► the element as it was (`original`), written again as it was
//! ```
//! Numbers and dates that the schema does not allow and we read (longitudes beyond 180, azimuths west of north, days of the
//! year) are written as it wants them: one of them makes a document that ObsPy reads nothing of.
//! Of a response the overall sensitivity and the first analogue poles-and-zeros stage are part of the model, where they
//! tell it: a response with a stage that is a list of values or a polynomial, or whose sensor cannot be read, is none
//! there, for sensitivity alone would be off by orders of magnitude. [`response_stages`] reads all stages from the original. Everything else of a document (equipment, comments, elements
//! and attributes of other namespaces) survives in the originals; comments of XML itself and the layout do not. Documents that break the schema in harmless ways (no namespace,
//! no coordinates on a channel) are read; channels without a place are listed as problems.

mod networks;
mod original;
mod response;
mod stages;
mod write;

use std::collections::HashSet;
use std::sync::Arc;

use seislake_model::{Channel, InputUnit, Inventory, SourceId, Station, Timestamp, check_station};

pub(crate) use networks::{group_networks, with_begin};
pub use original::{
    NetworkSummary, RestrictedStatus, Sensitivity, network_summary, restricted_status, sensitivity,
};
pub(crate) use original::{azimuth, joined, keep_stricter, stated_date, summary_of as network_summary_of};
pub(crate) use response::of_sensitivity;
pub use response::response_problem;
pub use stages::response_stages;
pub use write::{Document, write, write_document};
pub(crate) use write::{original_of_channel, original_of_station};

use crate::gathered::Collection;
use crate::xml::{Element, Token, XmlReader};
use crate::{Parsed, ReadError, encoding, epoch_end, epoch_start, excerpt};

const FORMAT: &str = "StationXML";
/// Name of the root element.
const ROOT: &str = "FDSNStationXML";

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

/// Reads a document, or several one behind the other.
///
/// # Errors
/// Where the bytes are not well-formed XML (line and column are named) or not StationXML.
pub fn read(bytes: &[u8]) -> Result<Parsed<Inventory>, ReadError> {
    let text = encoding::decode(FORMAT, bytes)?;
    let mut reader = XmlReader::new(FORMAT, &text);
    match reader.next()? {
        Token::Start(root) if root.name == ROOT => {}
        Token::Start(root) => {
            let found = format!("the root element is <{}>", excerpt(&root.name));
            return Err(ReadError::OtherFormat { expected: FORMAT, found });
        }
        _ => {
            return Err(ReadError::OtherFormat { expected: FORMAT, found: "it holds no XML element".into() });
        }
    }
    let mut parts = Parts::default();
    loop {
        let outside = reader.is_outside();
        match reader.next()? {
            // Another document in the same bytes, as `cat` joins them.
            Token::Start(root) if outside && root.name == ROOT => {}
            Token::Start(root) if outside => {
                let name = excerpt(&root.name);
                return Err(reader.broken(&format!("behind the document stands another one, <{name}>")));
            }
            Token::Start(element) if element.is_ours("Network") => parts.network = Network::new(element),
            Token::Start(element) if element.is_ours("Station") => {
                parts.read_station(&mut reader, element)?;
            }
            Token::Start(element) => {
                let element = reader.subtree(element)?;
                parts.network.element.children.push(element);
            }
            // Of the network or of the document: what stands between them belongs to neither.
            Token::End => parts.network = Network::default(),
            Token::Eof => return Ok(parts.gathered.finish()),
        }
    }
}

/// The network whose stations are being read.
#[derive(Default)]
struct Network {
    code: String,
    element: Element,
    /// The element as text, made at the first station.
    original: Option<Arc<str>>,
}

impl Network {
    fn new(element: Element) -> Self {
        let code = element.attribute("code").unwrap_or_default().to_owned();
        Self { code, element, original: None }
    }

    fn original(&mut self) -> Option<Arc<str>> {
        if self.original.is_none() && !self.element.name.is_empty() {
            self.original = Some(original::text_of(&self.element));
        }
        self.original.clone()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    network: Network,
    gathered: Collection,
    /// Each response once: the channels of an instrument share it.
    responses: HashSet<Arc<str>>,
}

impl Parts {
    fn read_station(&mut self, reader: &mut XmlReader<'_>, mut start: Element) -> Result<(), ReadError> {
        let first_channel = self.gathered.channel_count();
        self.tell_repeated_of_network();
        let mut channels = Vec::new();
        loop {
            match reader.next()? {
                Token::Start(element) => {
                    let element = reader.subtree(element)?;
                    if element.is_ours("Channel") {
                        channels.push(self.channel_head(element));
                    } else {
                        start.children.push(element);
                    }
                }
                Token::End => break,
                Token::Eof => return Err(reader.broken("the document ends too early")),
            }
        }
        self.tell_repeated(&mut start);
        original::in_metres(&mut start);
        let network = self.network.code.clone();
        let station = match station(&network, &start) {
            Ok(station) => Some(station),
            Err(reason) => {
                self.gathered.problem(start.line, format!("left out: {reason}"));
                None
            }
        };
        let code = start.attribute("code").unwrap_or_default();
        for head in channels {
            match channel(&network, code, station.as_ref(), &head.element) {
                Ok(channel) => {
                    let original = Some(original::with_place(head.original, &channel));
                    let response_original = head.response_original;
                    self.gathered
                        .channel(head.element.line, Channel { original, response_original, ..channel });
                }
                Err(reason) => self.gathered.problem(head.element.line, format!("left out: {reason}")),
            }
        }
        // A station whose own place is unknown stands where its first channel stands, and is not written as it was.
        let original = station.is_some().then(|| original::text_of(&start));
        let placed = station.or_else(|| {
            let channel = self.gathered.channel_at(first_channel)?;
            let (start_time, end_time) = epochs(&start).ok()?;
            Some(Station { start_time, end_time, ..station_of(channel) })
        });
        if let Some(station) = placed {
            let network_original = self.network.original();
            self.gathered.station(start.line, Station { original, network_original, ..station });
        }
        Ok(())
    }

    /// What the network states twice, told before its first station takes it along.
    fn tell_repeated_of_network(&mut self) {
        if self.network.original.is_none() {
            let mut head = std::mem::take(&mut self.network.element);
            self.tell_repeated(&mut head);
            self.network.element = head;
            self.network.original();
        }
    }

    fn tell_repeated(&mut self, element: &mut Element) {
        let code = element.attribute("code").unwrap_or_default().to_owned();
        for (name, line) in original::repeated(element) {
            let (code, kind) = (excerpt(&code), element.name.to_lowercase());
            self.gathered
                .problem(line, format!("{kind} \"{code}\": <{name}> is stated before; the first one holds"));
        }
    }

    /// A channel as text, and as an element without the numbers that are not part of the model: most of a document is
    /// coefficients of digital filters.
    fn channel_head(&mut self, mut element: Element) -> ChannelHead {
        self.tell_repeated(&mut element);
        original::in_metres(&mut element);
        let response = element.children.iter().position(|child| child.is_ours("Response"));
        let response = response.map(|index| element.children.remove(index));
        let original = original::text_of(&element);
        let response_original = response.as_ref().map(|response| {
            let text = original::text_of(response);
            let known = self.responses.get(&text).cloned();
            known.unwrap_or_else(|| {
                self.responses.insert(Arc::clone(&text));
                text
            })
        });
        if let Some(mut response) = response {
            for filter in response.children.iter_mut().flat_map(|stage| &mut stage.children) {
                if matches!(filter.name.as_str(), "Coefficients" | "FIR" | "ResponseList" | "Polynomial") {
                    let kept = ["InputUnits", "OutputUnits", "CfTransferFunctionType"];
                    filter.children.retain(|child| kept.contains(&child.name.as_str()));
                }
            }
            element.children.push(response);
        }
        ChannelHead { element, original, response_original }
    }
}

struct ChannelHead {
    element: Element,
    original: Arc<str>,
    response_original: Option<Arc<str>>,
}

/// A station on the ground above a channel.
fn station_of(channel: &Channel) -> Station {
    Station {
        network: channel.source_id.network().to_owned(),
        station: channel.source_id.station().to_owned(),
        latitude: channel.latitude,
        longitude: channel.longitude,
        elevation_m: channel.elevation_m + channel.depth_m,
        site_name: None,
        start_time: channel.start_time,
        end_time: channel.end_time,
        original: None,
        network_original: None,
    }
}

fn epochs(element: &Element) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let attribute = |name| element.attribute(name).unwrap_or_default();
    let start_time = epoch_start(attribute("startDate")).map_err(|error| error.to_string())?;
    Ok((start_time, epoch_end(attribute("endDate")).map_err(|error| error.to_string())?))
}

/// That all numbers are in the units of the standard.
///
/// # Errors
/// One sentence where one of them is in another that is not known here.
fn units(element: &Element) -> Result<(), String> {
    let unknown = element.children.iter().find_map(|child| {
        let unit = child.attribute("unit").filter(|unit| child.foreign.is_none() && !unit.is_empty())?;
        original::is_other_unit(&child.name, unit).then(|| (child.name.clone(), excerpt(unit)))
    });
    unknown.map_or(Ok(()), |(name, unit)| Err(format!("<{name}> is in \"{unit}\", a unit that is not known")))
}

/// Latitude and longitude, where both are stated.
///
/// # Errors
/// One sentence where one of them is no number of its range.
fn place(element: &Element) -> Result<Option<(f64, f64)>, String> {
    let degrees = |name, most: f64| match element.stated_number(&[name])? {
        Some(value) if value.abs() > most => {
            Err(format!("<{name}> is {value}, which is not between -{most} and {most}"))
        }
        value => Ok(value),
    };
    let longitude = degrees("Longitude", 360.0)?.map(crate::wrapped);
    Ok(degrees("Latitude", 90.0)?.zip(longitude))
}

fn station(network: &str, element: &Element) -> Result<Station, String> {
    let code = element.attribute("code").filter(|code| !code.is_empty()).ok_or("a station without a code")?;
    check_station(network, code).map_err(|error| error.to_string())?;
    let named = |reason: String| format!("station \"{network}.{code}\": {reason}");
    units(element).map_err(named)?;
    let place = place(element).map_err(named)?;
    let (latitude, longitude) =
        place.ok_or_else(|| format!("station \"{network}.{code}\" has no latitude and longitude"))?;
    let (start_time, end_time) = epochs(element).map_err(named)?;
    Ok(Station {
        network: network.to_owned(),
        station: code.to_owned(),
        latitude,
        longitude,
        elevation_m: element.stated_number(&["Elevation"]).map_err(named)?.unwrap_or(0.0),
        site_name: element.text_of(&["Site", "Name"]).map(str::to_owned),
        start_time,
        end_time,
        original: None,
        network_original: None,
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
    let source_id = SourceId::from_codes(network, station_code, location, code);
    let source_id = source_id.map_err(|error| error.to_string())?;
    numbers(source_id, station, element)
}

/// A channel whose codes are known.
fn numbers(source_id: SourceId, station: Option<&Station>, element: &Element) -> Result<Channel, String> {
    let named = |reason: String| format!("channel \"{source_id}\": {reason}");
    let number = |path: &[&str]| element.stated_number(path).map_err(named);
    for name in ["Value", "Frequency"] {
        number(&["Response", "InstrumentSensitivity", name])?;
    }
    units(element).map_err(named)?;
    let own_place = place(element).map_err(named)?;
    let (latitude, longitude) = own_place
        .or_else(|| station.map(|station| (station.latitude, station.longitude)))
        .ok_or_else(|| format!("channel \"{source_id}\" has no latitude and longitude"))?;
    let (start_time, end_time) = epochs(element).map_err(named)?;
    let ratio = || {
        let samples = element.number(&["SampleRateRatio", "NumberSamples"])?;
        Some(samples / element.number(&["SampleRateRatio", "NumberSeconds"])?)
    };
    let sensor = ["Description", "Model", "Type"].iter().find_map(|name| element.text_of(&["Sensor", name]));
    let (depth_m, azimuth, dip) =
        (number(&["Depth"])?.unwrap_or(0.0), number(&["Azimuth"])?, number(&["Dip"])?);
    // The elevation of a channel is its sensor's, that of a station the ground's.
    let below_station = || station.map(|station| station.elevation_m - depth_m);
    let elevation_m = number(&["Elevation"])?.or_else(below_station);
    // Channels of logs and of the state of health have the rate 0.
    let sample_rate_hz = number(&["SampleRate"])?.or_else(ratio).filter(|rate_hz| *rate_hz != 0.0);
    Ok(Channel {
        latitude,
        longitude,
        elevation_m: elevation_m.unwrap_or(0.0),
        depth_m,
        azimuth,
        dip,
        sample_rate_hz,
        sensor: sensor.map(str::to_owned),
        start_time,
        end_time,
        response: element.child("Response").and_then(|element| response::response(element).ok()),
        original: None,
        response_original: None,
        source_id,
    })
}

/// Name of a unit in StationXML.
pub(crate) const fn unit_name(unit: InputUnit) -> &'static str {
    match unit {
        InputUnit::Displacement => "m",
        InputUnit::Velocity => "m/s",
        InputUnit::Acceleration => "m/s**2",
    }
}

#[cfg(test)]
mod tests;
