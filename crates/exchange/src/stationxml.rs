//! FDSN StationXML: versions 1.0 to 1.2 in, 1.2 out.
//!
//! ```text
//! <Network>  ─┐                    ┌─► what we understand: codes, places, epochs, sensitivity, poles and zeros
//! <Station>  ─┼─ one at a time ────┤
//! <Channel>  ─┘                    └─► the element as it was (`original`), written again as it was
//! ```
//! Of a response the overall sensitivity and the first analogue poles-and-zeros stage are part of the model, where they
//! tell it: a response with a stage that is a list of values or a polynomial, or whose sensor cannot be read, is none
//! there, for sensitivity alone would be off by orders of magnitude. [`response_stages`] reads all stages from the original. Everything else of a document (equipment, comments, elements
//! and attributes of other namespaces) survives in the originals; comments of XML itself and the layout do not. Documents that break the schema in harmless ways (no namespace,
//! no coordinates on a channel) are read; channels without a place are listed as problems.

mod networks;
mod original;
mod stages;
mod write;

use std::collections::HashSet;
use std::f64::consts::TAU;
use std::sync::Arc;

use seislake_model::{
    Channel, InputUnit, Inventory, PolesZeros, Response, SourceId, Station, Timestamp, check_station,
};

pub(crate) use networks::group_networks;
pub(crate) use original::summary_of as network_summary_of;
pub use original::{
    NetworkSummary, RestrictedStatus, Sensitivity, network_summary, restricted_status, sensitivity,
};
pub use stages::response_stages;
pub use write::{Document, write, write_document};

use crate::gathered::Gathered;
use crate::xml::{Element, Token, XmlReader, decode, number};
use crate::{Parsed, ReadError, epoch_end, epoch_start, excerpt};

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
            let found = format!("the root element is <{}>", excerpt(&root.name));
            return Err(ReadError::OtherFormat { expected: FORMAT, found });
        }
        _ => {
            return Err(ReadError::OtherFormat { expected: FORMAT, found: "it holds no XML element".into() });
        }
    }
    let mut parts = Parts::default();
    loop {
        match reader.next()? {
            Token::Start(element) if element.name == "Network" => parts.network = Network::new(element),
            Token::Start(element) if element.name == "Station" => parts.read_station(&mut reader, element)?,
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
    gathered: Gathered,
    /// Each response once: the channels of an instrument share it.
    responses: HashSet<Arc<str>>,
}

impl Parts {
    fn read_station(&mut self, reader: &mut XmlReader<'_>, mut start: Element) -> Result<(), ReadError> {
        let first_channel = self.gathered.channel_count();
        let mut channels = Vec::new();
        loop {
            match reader.next()? {
                Token::Start(element) => {
                    let element = reader.subtree(element)?;
                    if element.name == "Channel" && element.foreign.is_none() {
                        channels.push(self.channel_head(element));
                    } else {
                        start.children.push(element);
                    }
                }
                Token::End => break,
                Token::Eof => return Err(reader.broken("the document ends too early")),
            }
        }
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
                    let (original, response_original) = (Some(head.original), head.response_original);
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

    /// A channel as text, and as an element without the numbers that are not part of the model: most of a document is
    /// coefficients of digital filters.
    fn channel_head(&mut self, mut element: Element) -> ChannelHead {
        let response = element.children.iter().position(|child| child.name == "Response");
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

/// A station at the place of a channel.
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
        original: None,
        network_original: None,
    }
}

fn epochs(element: &Element) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let attribute = |name| element.attribute(name).unwrap_or_default();
    let start_time = epoch_start(attribute("startDate")).map_err(|error| error.to_string())?;
    Ok((start_time, epoch_end(attribute("endDate")).map_err(|error| error.to_string())?))
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
    let elevation_m = number(&["Elevation"])?.or_else(|| station.map(|station| station.elevation_m));
    let (depth_m, azimuth, dip) = (number(&["Depth"])?, number(&["Azimuth"])?, number(&["Dip"])?);
    // Channels of logs and of the state of health have the rate 0.
    let sample_rate_hz = number(&["SampleRate"])?.or_else(ratio).filter(|rate_hz| *rate_hz != 0.0);
    Ok(Channel {
        latitude,
        longitude,
        elevation_m: elevation_m.unwrap_or(0.0),
        depth_m: depth_m.unwrap_or(0.0),
        azimuth,
        dip,
        sample_rate_hz,
        sensor: sensor.map(str::to_owned),
        start_time,
        end_time,
        response: element.child("Response").and_then(response),
        original: None,
        response_original: None,
        source_id,
    })
}

/// Sensitivity and first analogue poles-and-zeros stage; `None` where the input is no ground motion, or where they do
/// not tell the response.
fn response(element: &Element) -> Option<Response> {
    if !element.children("Stage").all(is_modelled) {
        return None;
    }
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

/// Whether a stage is one that sensitivity and poles and zeros tell: digital filters are one in their pass band.
fn is_modelled(stage: &Element) -> bool {
    let digital = |filter: &Element| {
        filter.text_of(&["CfTransferFunctionType"]).is_none_or(|kind| kind.eq_ignore_ascii_case("DIGITAL"))
    };
    let first = stage.attribute("number").is_none_or(|number| number.trim() == "1");
    let readable = |filter: &Element| match filter.text_of(&["PzTransferFunctionType"]) {
        Some("DIGITAL (Z-TRANSFORM)") => !first,
        _ => poles_zeros(filter).is_some(),
    };
    stage.child("ResponseList").is_none()
        && stage.child("Polynomial").is_none()
        && stage.child("Coefficients").is_none_or(digital)
        && stage.child("PolesZeros").is_none_or(readable)
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
    let scaled = |name| -> Option<Vec<(f64, f64)>> {
        Some(roots(element, name)?.into_iter().map(|(re, im)| (scale * re, scale * im)).collect())
    };
    let (poles, zeros) = (scaled("Pole")?, scaled("Zero")?);
    let order = poles.len() as i32 - zeros.len() as i32;
    let normalization_factor = element.number(&["NormalizationFactor"]).unwrap_or(1.0) * scale.powi(order);
    Some(PolesZeros { poles, zeros, normalization_factor })
}

/// Poles or zeros as the document has them; `None` where one is no number.
fn roots(element: &Element, name: &str) -> Option<Vec<(f64, f64)>> {
    let complex =
        |root: &Element| Some((root.number(&["Real"])?, root.number(&["Imaginary"]).unwrap_or(0.0)));
    element.children(name).map(complex).collect()
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

/// A response of which only the overall sensitivity is known, as text tells it: as an element that is written again in
/// every form, and what evaluation can use of it.
pub(crate) fn of_sensitivity(sensitivity: &Sensitivity) -> (Arc<str>, Option<Response>) {
    let leaf = |name: &str, text: String| Element { name: name.to_owned(), text, ..Element::default() };
    let holding = |name: &str, children: Vec<Element>| Element {
        name: name.to_owned(),
        children,
        ..Element::default()
    };
    let total = holding(
        "InstrumentSensitivity",
        vec![
            leaf("Value", number(sensitivity.value)),
            leaf("Frequency", number(sensitivity.frequency_hz)),
            holding("InputUnits", vec![leaf("Name", sensitivity.input_unit.clone())]),
            holding("OutputUnits", vec![leaf("Name", "count".to_owned())]),
        ],
    );
    let element = holding("Response", vec![total]);
    (original::text_of(&element), response(&element))
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
