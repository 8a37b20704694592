//! StationXML 1.2 out: originals as they were read, everything else from what is known of it.
//!
//! An element that was read is written again with its attributes and children; only counts of a former selection are
//! left out, dates and directions are made valid, and availability is that of our own data. Channels come after what their station says of itself.

use std::collections::HashMap;
use std::sync::Arc;

use seislake_model::{Channel, InputUnit, Inventory, Response, Station, Timestamp};

use super::networks::{set_attribute, with_status};
use super::original::{RestrictedStatus, STATUS, azimuth, element_of, text_of, valid};
use super::{Level, group_networks, station_of, unit_name};
use crate::epochs::Side;
use crate::xml::{Element, XmlWriter};

/// First and last sample that are held of a channel in its epoch.
type Availability<'a> = &'a dyn Fn(&Channel) -> Option<(Timestamp, Timestamp)>;

/// How a document is written.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    /// How much it says.
    pub level: Level,
    /// The time it claims to be made at.
    pub created_at: Timestamp,
    /// What is held of a channel, where the document shall say so.
    pub availability: Option<Availability<'a>>,
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("level", &self.level).finish_non_exhaustive()
    }
}

/// Writes StationXML 1.2. `created_at` is the time the document claims to be made at.
/// Channels without a station epoch get one from their own place.
pub fn write(inventory: &Inventory, level: Level, created_at: Timestamp) -> String {
    write_document(inventory, &Document { level, created_at, availability: None })
}

/// Writes StationXML 1.2 as `document` says.
pub fn write_document(inventory: &Inventory, document: &Document<'_>) -> String {
    let mut xml = XmlWriter::new();
    xml.open("FDSNStationXML", &[("xmlns", "http://www.fdsn.org/xml/station/1"), ("schemaVersion", "1.2")]);
    xml.leaf("Source", "Seislake");
    xml.leaf("Created", &document.created_at.to_string());
    let stations = stations_with_channels(inventory);
    for network in group_networks(stations.iter().map(|(station, _)| station)) {
        match &network.element {
            Some(element) => open_with_children(&mut xml, &valid(element.clone())),
            None => xml.open("Network", &[("code", &network.code)]),
        }
        if document.level >= Level::Station {
            let listed = network.stations.iter().filter_map(|index| Some((index, stations.get(*index)?)));
            for (index, (station, channels)) in listed {
                let of_network = network.statuses.get(index).copied();
                write_station(&mut xml, station, of_network, channels, document);
            }
        }
        xml.close();
    }
    xml.finish()
}

fn open_with_children(xml: &mut XmlWriter, element: &Element) {
    xml.open_read(element);
    for child in &element.children {
        xml.tree(child);
    }
}

/// Each station epoch with the channels that begin in it; channels of no epoch go to the nearest one before, or to a
/// station of their own.
fn stations_with_channels(inventory: &Inventory) -> Vec<(Station, Vec<&Channel>)> {
    let mut stations: Vec<(Station, Vec<&Channel>)> =
        inventory.stations.iter().map(|station| (station.clone(), Vec::new())).collect();
    let mut by_code: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for (index, (station, _)) in stations.iter().enumerate() {
        by_code.entry((station.network.clone(), station.station.clone())).or_default().push(index);
    }
    for channel in &inventory.channels {
        let covers = |station: &Station| {
            let start = channel.start_time.unwrap_or(Timestamp::MIN);
            station.start_time.unwrap_or(Timestamp::MIN) <= start
                && station.end_time.is_none_or(|end| start < end)
        };
        let code = channel.source_id.station().to_owned();
        let key = (channel.source_id.network().to_owned(), code.clone());
        let epochs = by_code.get(&key).or_else(|| by_code.get(&(String::new(), code)));
        let place = epochs.and_then(|epochs| {
            let covering =
                epochs.iter().find(|index| stations.get(**index).is_some_and(|(station, _)| covers(station)));
            covering.or(epochs.first()).copied()
        });
        match place.and_then(|place| stations.get_mut(place)) {
            Some((_, channels)) => channels.push(channel),
            None => {
                by_code.entry(key).or_default().push(stations.len());
                stations.push((station_of(channel), vec![channel]));
            }
        }
    }
    stations
}

fn open_epoch(
    xml: &mut XmlWriter,
    name: &str,
    codes: &[(&str, &str)],
    epoch: (Option<Timestamp>, Option<Timestamp>),
) {
    let (start, end) = (epoch.0.map(|time| time.to_string()), epoch.1.map(|time| time.to_string()));
    let mut attributes = codes.to_vec();
    attributes.extend(start.as_deref().map(|start| ("startDate", start)));
    attributes.extend(end.as_deref().map(|end| ("endDate", end)));
    xml.open(name, &attributes);
}

fn write_station(
    xml: &mut XmlWriter,
    station: &Station,
    of_network: Option<RestrictedStatus>,
    channels: &[&Channel],
    document: &Document<'_>,
) {
    match station.original.as_deref().and_then(element_of) {
        Some(mut element) => {
            set_attribute(&mut element, "code", Some(&station.station));
            of_network.into_iter().for_each(|status| with_status(&mut element, status));
            open_with_children(xml, &valid(with_start(element, station.start_time)));
        }
        None => open_station(xml, station, of_network),
    }
    if document.level >= Level::Channel {
        for channel in channels {
            write_channel(xml, channel, document);
        }
    }
    xml.close();
}

/// The element with the begin of its epoch, where it is known and the document did not say it.
fn with_start(mut element: Element, start_time: Option<Timestamp>) -> Element {
    if let (None, Some(start)) = (element.attribute("startDate"), start_time) {
        set_attribute(&mut element, "startDate", Some(&start.to_string()));
    }
    element
}

fn open_station(xml: &mut XmlWriter, station: &Station, of_network: Option<RestrictedStatus>) {
    let status = of_network.filter(|status| *status != RestrictedStatus::Partial);
    let mut attributes = vec![("code", station.station.as_str())];
    attributes.extend(status.map(|status| (STATUS, status.as_str())));
    open_epoch(xml, "Station", &attributes, (station.start_time, station.end_time));
    xml.number("Latitude", station.latitude);
    xml.number("Longitude", station.longitude);
    xml.number("Elevation", station.elevation_m);
    xml.open("Site", &[]);
    xml.leaf("Name", station.site_name.as_deref().unwrap_or(&station.station));
    xml.close();
}

/// An original of a station that no document gave, with dates that it states beside those that are held.
pub(crate) fn original_of_station(station: &Station, dates: [Option<String>; 2]) -> Arc<str> {
    let mut xml = XmlWriter::fragment();
    open_station(&mut xml, station, None);
    with_dates(xml.finish(), dates)
}

/// The same of a channel, without its response.
pub(crate) fn original_of_channel(channel: &Channel, dates: [Option<String>; 2]) -> Arc<str> {
    let mut xml = XmlWriter::fragment();
    open_channel(&mut xml, channel, None);
    with_dates(xml.finish(), dates)
}

fn with_dates(original: String, dates: [Option<String>; 2]) -> Arc<str> {
    let Some(mut element) = element_of(&original) else { return original.into() };
    for (side, date) in [Side::Start, Side::End].into_iter().zip(dates) {
        if let Some(date) = date {
            set_attribute(&mut element, side.attribute(), Some(&date));
        }
    }
    text_of(&element)
}

fn write_channel(xml: &mut XmlWriter, channel: &Channel, document: &Document<'_>) {
    let held = document.availability.and_then(|availability| availability(channel));
    let extent = match document.availability {
        Some(_) => ExtentSource::Archive,
        None => ExtentSource::Document,
    };
    match channel.original.as_deref().and_then(element_of) {
        Some(mut element) => {
            set_attribute(&mut element, "code", Some(&channel.source_id.channel()));
            set_attribute(&mut element, "locationCode", Some(channel.source_id.location()));
            let element = valid(with_start(element, channel.start_time));
            open_channel_read(xml, &element, extent, held);
        }
        None => open_channel(xml, channel, held),
    }
    match channel.response_original.as_deref().and_then(element_of) {
        Some(mut element) => {
            if document.level < Level::Response {
                element.children.retain(|child| child.name.starts_with("Instrument"));
            }
            xml.tree(&element);
        }
        None => {
            if let Some(response) = &channel.response {
                write_response(xml, response, document.level);
            }
        }
    }
    xml.close();
}

/// Elements that come before the availability.
const BEFORE_AVAILABILITY: [&str; 3] = ["Description", "Identifier", "Comment"];

/// Where the times of the data of a channel come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExtentSource {
    Document,
    /// In the place of what the document says.
    Archive,
}

fn open_channel_read(
    xml: &mut XmlWriter,
    element: &Element,
    extent: ExtentSource,
    held: Option<(Timestamp, Timestamp)>,
) {
    xml.open_read(element);
    let head = element.children.iter().take_while(|child| BEFORE_AVAILABILITY.contains(&child.name.as_str()));
    let head_count = head.count();
    for child in element.children.iter().take(head_count) {
        xml.tree(child);
    }
    write_availability(xml, held);
    for child in element.children.iter().skip(head_count) {
        if extent == ExtentSource::Document || child.name != "DataAvailability" {
            xml.tree(child);
        }
    }
}

fn write_availability(xml: &mut XmlWriter, held: Option<(Timestamp, Timestamp)>) {
    if let Some((start, end)) = held {
        xml.open("DataAvailability", &[]);
        xml.empty("Extent", &[("start", &start.to_string()), ("end", &end.to_string())]);
        xml.close();
    }
}

fn open_channel(xml: &mut XmlWriter, channel: &Channel, held: Option<(Timestamp, Timestamp)>) {
    let (code, location) = (channel.source_id.channel(), channel.source_id.location());
    let codes = [("code", code.as_str()), ("locationCode", location)];
    open_epoch(xml, "Channel", &codes, (channel.start_time, channel.end_time));
    write_availability(xml, held);
    xml.number("Latitude", channel.latitude);
    xml.number("Longitude", channel.longitude);
    xml.number("Elevation", channel.elevation_m);
    xml.number("Depth", channel.depth_m);
    for (name, value) in [
        ("Azimuth", channel.azimuth.map(azimuth)),
        ("Dip", channel.dip),
        ("SampleRate", channel.sample_rate_hz),
    ] {
        if let Some(value) = value {
            xml.number(name, value);
        }
    }
    if let Some(sensor) = &channel.sensor {
        xml.open("Sensor", &[]);
        xml.leaf("Description", sensor);
        xml.close();
    }
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
