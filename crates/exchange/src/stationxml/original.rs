//! Elements as they were read: kept as text, and asked for what the model has no place for.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use seislake_model::{Channel, Timestamp};

use super::networks::set_attribute;
use crate::epochs::Side;
use crate::xml::{Element, Token, XmlReader, XmlWriter, number};
use crate::{epoch_end, epoch_start, excerpt, wrapped};

/// Elements of version 1.0 that version 1.2 has no place for.
const GONE: [&str; 1] = ["StorageFormat"];
/// Counts of what a former request selected.
const OF_A_REQUEST: [&str; 2] = ["SelectedNumberStations", "SelectedNumberChannels"];

/// Elements that the one they stand in states once.
const ONCE: [(&[&str], &[&str]); 14] = [
    (
        &["Network", "Station", "Channel"],
        &[
            "Description",
            "DataAvailability",
            "Latitude",
            "Longitude",
            "Elevation",
            "Depth",
            "Azimuth",
            "Dip",
            "WaterLevel",
            "SampleRate",
            "SampleRateRatio",
            "ClockDrift",
            "CalibrationUnits",
            "Sensor",
            "PreAmplifier",
            "DataLogger",
            "Response",
            "Site",
            "Vault",
            "Geology",
            "CreationDate",
            "TerminationDate",
            "TotalNumberStations",
            "TotalNumberChannels",
        ],
    ),
    (&["Site"], &["Name", "Description", "Town", "County", "Region", "Country"]),
    (
        &["Sensor", "PreAmplifier", "DataLogger", "Equipment"],
        &[
            "Type",
            "Description",
            "Manufacturer",
            "Vendor",
            "Model",
            "SerialNumber",
            "InstallationDate",
            "RemovalDate",
        ],
    ),
    (&["DataAvailability"], &["Extent"]),
    (&["SampleRateRatio"], &["NumberSamples", "NumberSeconds"]),
    (&["Comment"], &["Value", "BeginEffectiveTime", "EndEffectiveTime"]),
    (&["Response"], &["InstrumentSensitivity", "InstrumentPolynomial"]),
    (
        &["Stage"],
        &["PolesZeros", "Coefficients", "ResponseList", "FIR", "Polynomial", "Decimation", "StageGain"],
    ),
    (
        &["InstrumentSensitivity", "StageGain"],
        &[
            "Value",
            "Frequency",
            "InputUnits",
            "OutputUnits",
            "FrequencyStart",
            "FrequencyEnd",
            "FrequencyDBVariation",
        ],
    ),
    (
        &["PolesZeros", "Coefficients", "ResponseList", "FIR", "Polynomial", "InstrumentPolynomial"],
        &[
            "Description",
            "InputUnits",
            "OutputUnits",
            "PzTransferFunctionType",
            "NormalizationFactor",
            "NormalizationFrequency",
            "CfTransferFunctionType",
            "Symmetry",
            "ApproximationType",
            "FrequencyLowerBound",
            "FrequencyUpperBound",
            "ApproximationLowerBound",
            "ApproximationUpperBound",
            "MaximumError",
        ],
    ),
    (&["Decimation"], &["InputSampleRate", "Factor", "Offset", "Delay", "Correction"]),
    (&["InputUnits", "OutputUnits", "CalibrationUnits"], &["Name", "Description"]),
    (&["Pole", "Zero"], &["Real", "Imaginary"]),
    (&["ResponseListElement"], &["Frequency", "Amplitude", "Phase"]),
];

/// What an element states once.
fn once_in(parent: &Element) -> &'static [&'static str] {
    let of = ONCE.iter().find(|(parents, _)| parent.foreign.is_none() && parents.contains(&&*parent.name));
    of.map_or(&[], |(_, once)| once)
}

/// Whether it says nothing, whatever unit nothing is in.
fn is_empty(element: &Element) -> bool {
    element.text.is_empty()
        && element.attributes.iter().all(|attribute| attribute.name == "unit")
        && element.children.iter().all(is_empty)
}

/// Takes out of the element, and of what is inside it, what is stated a second time: no reader could tell which of the two
/// holds. One that is empty states nothing. Gives the name and the line of each that says something.
pub(super) fn repeated(element: &mut Element) -> Vec<(String, u64)> {
    // Most elements are numbers of digital filters.
    if element.children.is_empty() {
        return Vec::new();
    }
    let mut told: Vec<_> = element.children.iter_mut().flat_map(repeated).collect();
    let once = once_in(element);
    let is_single = |child: &Element| child.foreign.is_none() && once.contains(&child.name.as_str());
    let says = element.children.iter().filter(|child| is_single(child) && !is_empty(child));
    let said: HashSet<String> = says.map(|child| child.name.clone()).collect();
    let mut kept = HashSet::new();
    let is_second = |child: &mut Element| {
        let gives_way = |child: &Element| is_empty(child) && said.contains(&child.name);
        is_single(child) && (gives_way(child) || !kept.insert(child.name.clone()))
    };
    let mut numbers = HashSet::new();
    // Stages follow one another by their numbers.
    let mut is_second_stage = |child: &Element| {
        // The schema's type is a whole number: "01" and "+1" are 1.
        let number = child.attribute("number").map(|number| {
            let number = number.trim();
            number.parse::<u64>().map_or_else(|_| number.to_owned(), |number| number.to_string())
        });
        child.is_ours("Stage") && number.is_some_and(|number| !numbers.insert(number))
    };
    let stages = element.children.extract_if(.., |child| is_second_stage(child));
    let name_of = |stage: &Element| {
        format!("Stage number=\"{}\"", excerpt(stage.attribute("number").unwrap_or_default().trim()))
    };
    told.extend(stages.map(|stage| (name_of(&stage), stage.line)));
    let seconds = element.children.extract_if(.., is_second).filter(|child| !is_empty(child));
    told.extend(seconds.map(|child| (child.name, child.line)));
    told
}

/// What may be said of a network, station or channel several times, in the order of the schema.
const SEVERAL: [&str; 5] = ["Identifier", "Comment", "Equipment", "Operator", "ExternalReference"];
/// What two originals of one thing may say in other words: numbers that the model holds, and counts.
const IN_OTHER_WORDS: [&str; 9] = [
    "Latitude",
    "Longitude",
    "Elevation",
    "Depth",
    "Azimuth",
    "Dip",
    "SampleRate",
    "TotalNumberStations",
    "TotalNumberChannels",
];

/// Takes into `own` what `others`, elements of the same thing, say and it does not: what may be said several times, what is
/// of another namespace, and a description (as a comment, where `own` has another one). Gives the names of what they state
/// and it does not, or otherwise.
pub(super) fn take_in<'a>(
    own: &mut Element,
    others: impl IntoIterator<Item = &'a Element>,
) -> BTreeSet<String> {
    let mut said: HashSet<Arc<str>> = own.children.iter().map(text_of).collect();
    let (mut added, mut not_taken) = (Vec::new(), BTreeSet::new());
    let mut is_described = own.text_of(&["Description"]).is_some();
    for child in others.into_iter().flat_map(|other| &other.children) {
        if is_empty(child) || said.contains(&text_of(child)) {
            continue;
        }
        let child = match child.name.as_str() {
            name if child.foreign.is_some() || SEVERAL.contains(&name) => child.clone(),
            "Description" if is_described => {
                let value =
                    Element { name: "Value".to_owned(), text: child.text.clone(), ..Element::default() };
                Element { name: "Comment".to_owned(), children: vec![value], ..Element::default() }
            }
            "Description" => {
                is_described = true;
                own.children.retain(|child| !child.is_ours("Description"));
                child.clone()
            }
            name => {
                not_taken.extend((!IN_OTHER_WORDS.contains(&name)).then(|| name.to_owned()));
                continue;
            }
        };
        if said.insert(text_of(&child)) {
            added.push(child);
        }
    }
    let is_of = |child: &Element, name: &str| match child.foreign {
        None => child.name == name,
        Some(_) => name.is_empty(),
    };
    for name in ["Description"].iter().chain(&SEVERAL).chain(&[""]) {
        let of_name: Vec<Element> = added.extract_if(.., |child| is_of(child, name)).collect();
        if !of_name.is_empty() {
            let place = place_of(own, name);
            own.children.splice(place..place, of_name);
        }
    }
    not_taken
}

/// Where an element of a name belongs in another: behind the last of that name, else where the schema has it. Those of other
/// namespaces, of the name "", come last.
fn place_of(parent: &Element, name: &str) -> usize {
    const BEFORE_COMMENTS: [&str; 3] = ["Description", "Identifier", "Comment"];
    let children = &parent.children;
    let behind = |names: &[&str]| {
        children.iter().rposition(|child| names.iter().any(|name| child.is_ours(name))).map(|last| last + 1)
    };
    if let Some(place) = behind(&[name]) {
        return place;
    }
    if let Some(rank) = BEFORE_COMMENTS.iter().position(|known| *known == name) {
        return behind(BEFORE_COMMENTS.get(..rank).unwrap_or_default()).unwrap_or(0);
    }
    match (name, parent.name.as_str()) {
        // Channels have it before their place.
        ("ExternalReference", "Channel") => {
            behind(&[&BEFORE_COMMENTS[..], &["DataAvailability"]].concat()).unwrap_or(0)
        }
        ("Equipment" | "Operator", "Station") => {
            let before =
                ["Latitude", "Longitude", "Elevation", "Site", "WaterLevel", "Vault", "Geology", "Equipment"];
            behind(&before).unwrap_or(children.len())
        }
        _ => children.len(),
    }
}

/// Of several originals of one thing the last, with what only the others say; and the names of what it does not say, or says
/// otherwise.
pub(crate) fn joined(original: &Arc<str>, others: &[Arc<str>]) -> (Arc<str>, BTreeSet<String>) {
    let others: Vec<Element> = others.iter().filter_map(|other| element_of(other)).collect();
    match element_of(original) {
        Some(mut own) => {
            let not_taken = take_in(&mut own, &others);
            (text_of(&own), not_taken)
        }
        None => (Arc::clone(original), BTreeSet::new()),
    }
}

/// Units of lengths, in capitals, and how many metres they have.
const LENGTHS: [(&str, f64); 14] = [
    ("M", 1.0),
    ("METER", 1.0),
    ("METERS", 1.0),
    ("METRE", 1.0),
    ("METRES", 1.0),
    ("KM", 1000.0),
    ("KILOMETER", 1000.0),
    ("KILOMETERS", 1000.0),
    ("KILOMETRE", 1000.0),
    ("KILOMETRES", 1000.0),
    ("FT", 0.3048),
    ("FOOT", 0.3048),
    ("FEET", 0.3048),
    ("CM", 0.01),
];
const LENGTH_ELEMENTS: [&str; 3] = ["Elevation", "Depth", "WaterLevel"];
const ANGLES: [&str; 4] = ["DEGREES", "DEGREE", "DEG", "°"];
const RATES: [&str; 5] = ["SAMPLES/S", "SAMPLES/SECOND", "SPS", "HZ", "HERTZ"];

fn metres(unit: &str) -> Option<f64> {
    let unit = unit.trim().to_uppercase();
    LENGTHS.iter().find(|(name, _)| *name == unit).map(|(_, metres)| *metres)
}

/// Brings lengths to metres, which is all that the standard knows.
pub(super) fn in_metres(element: &mut Element) {
    for child in &mut element.children {
        if child.foreign.is_some() || !LENGTH_ELEMENTS.contains(&child.name.as_str()) {
            continue;
        }
        let Some(of_unit) = child.attribute("unit").and_then(metres) else { continue };
        if let (true, Ok(length)) = (of_unit != 1.0, child.text.parse::<f64>()) {
            child.text = number(length * of_unit);
            set_attribute(child, "unit", Some("METERS"));
        }
    }
}

/// Whether the number of such an element is in a unit that is neither the standard's nor known otherwise.
pub(super) fn is_other_unit(name: &str, unit: &str) -> bool {
    let capitals = unit.trim().to_uppercase();
    match name {
        "Elevation" | "Depth" | "WaterLevel" => metres(unit).is_none(),
        "Latitude" | "Longitude" | "Azimuth" | "Dip" => !ANGLES.contains(&capitals.as_str()),
        "SampleRate" => !RATES.contains(&capitals.as_str()),
        _ => false,
    }
}

/// What comes before the place of a channel, and its parts, in the order of the schema.
const HEAD: [&str; 9] = [
    "Description",
    "Identifier",
    "Comment",
    "DataAvailability",
    "ExternalReference",
    "Latitude",
    "Longitude",
    "Elevation",
    "Depth",
];

/// The original of a channel with its place, which the schema asks for, where the document did not state it.
pub(super) fn with_place(original: Arc<str>, channel: &Channel) -> Arc<str> {
    let place = [
        ("Latitude", channel.latitude),
        ("Longitude", channel.longitude),
        ("Elevation", channel.elevation_m),
        ("Depth", channel.depth_m),
    ];
    let Some(mut element) = element_of(&original) else { return original };
    let is_stated = |element: &Element, name: &str| element.children.iter().any(|child| child.is_ours(name));
    if place.iter().all(|(name, _)| is_stated(&element, name)) {
        return original;
    }
    for (name, value) in place {
        if is_stated(&element, name) {
            continue;
        }
        let rank = |name: &str| HEAD.iter().position(|other| *other == name);
        let before = |child: &Element| child.foreign.is_none() && rank(&child.name) < rank(name);
        let is_head = |child: &Element| rank(&child.name).is_some() && before(child);
        let place = element.children.iter().rposition(is_head).map_or(0, |last| last + 1);
        let child = Element { name: name.to_owned(), text: number(value), ..Element::default() };
        element.children.insert(place, child);
    }
    text_of(&element)
}

/// The element with everything inside, as text.
pub(super) fn text_of(element: &Element) -> Arc<str> {
    let mut writer = XmlWriter::fragment();
    writer.tree(element);
    writer.finish().into()
}

/// The element that [`text_of`] wrote, without what must not be written again; `None` where the text is none.
pub(super) fn element_of(text: &str) -> Option<Element> {
    let mut reader = XmlReader::new("StationXML", text);
    let Ok(Token::Start(start)) = reader.next() else { return None };
    let mut element = reader.subtree(start).ok()?;
    let kept = |child: &Element| {
        child.foreign.is_some()
            || !GONE.contains(&child.name.as_str()) && !OF_A_REQUEST.contains(&child.name.as_str())
    };
    element.children.retain(kept);
    Some(element)
}

/// The element with its dates and directions as the schema wants them, where it has them otherwise.
pub(super) fn valid(mut element: Element) -> Element {
    for attribute in &mut element.attributes {
        if matches!(attribute.name.as_str(), "startDate" | "endDate")
            && !is_date_time(&attribute.value)
            && let Ok(date) = Timestamp::rewritten(&attribute.value)
        {
            attribute.value = date;
        }
    }
    for child in element.children.iter_mut().filter(|child| child.foreign.is_none()) {
        let Ok(angle) = child.text.parse::<f64>() else { continue };
        let valid = match child.name.as_str() {
            "Longitude" => wrapped(angle),
            // From 0 to below 360 degrees.
            "Azimuth" => azimuth(angle),
            _ => continue,
        };
        if valid != angle {
            child.text = number(valid);
        }
    }
    element
}

/// A direction of up to a turn either way as one from 0 to below 360 degrees.
pub(crate) fn azimuth(angle: f64) -> f64 {
    // What lies so little below zero that the sum is a whole turn is north, and north is no negative zero.
    let turned = angle.rem_euclid(360.0);
    if turned < 360.0 { turned + 0.0 } else { 0.0 }
}

/// Whether the text is an `xs:dateTime`: date, time and perhaps a fraction and a zone.
fn is_date_time(text: &str) -> bool {
    const FORM: &str = "0000-00-00T00:00:00";
    let Some((head, tail)) = text.split_at_checked(FORM.len()) else { return false };
    let is_digit = |c: char| c.is_ascii_digit();
    let fits = |form: char, c: char| if form == '0' { is_digit(c) } else { form == c };
    let zone = match tail.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(is_digit) => fraction.trim_start_matches(is_digit),
        Some(_) => return false,
        None => tail,
    };
    let is_zone = |zone: &str| {
        matches!(zone, "" | "Z")
            || zone.len() == 6
                && "+00:00"
                    .chars()
                    .zip(zone.chars())
                    .all(|(form, c)| if form == '+' { matches!(c, '+' | '-') } else { fits(form, c) })
    };
    // Leap seconds and the hour 24 are read by few.
    let below = |range: std::ops::Range<usize>, end: u32| {
        head.get(range).and_then(|text| text.parse::<u32>().ok()).is_some_and(|number| number < end)
    };
    FORM.chars().zip(head.chars()).all(|(form, c)| fits(form, c))
        && below(11..13, 24)
        && below(14..16, 60)
        && below(17..19, 60)
        && is_zone(zone)
}

/// Begin of an element, without what is inside.
fn start_of(text: &str) -> Option<Element> {
    match XmlReader::new("StationXML", text).next() {
        Ok(Token::Start(start)) => Some(start),
        _ => None,
    }
}

/// A date that an original states, in the way that all times are written; `None` where it states none, or no time.
pub(crate) fn stated_date(original: &str, side: Side) -> Option<String> {
    date_of(&start_of(original)?, side)
}

/// The same of an element.
pub(crate) fn date_of(element: &Element, side: Side) -> Option<String> {
    Timestamp::rewritten(element.attribute(side.attribute())?).ok()
}

/// The attribute that says who may have the data.
pub(super) const STATUS: &str = "restrictedStatus";

/// Who may have the data of an epoch (`restrictedStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictedStatus {
    /// Everybody.
    Open,
    /// Not everybody; words that the standard does not know count as this.
    Closed,
    /// Everybody some of them: what lies below says which.
    Partial,
}

impl RestrictedStatus {
    /// The word of the standard.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Partial => "partial",
        }
    }

    /// How many it keeps out.
    const fn strictness(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Partial => 1,
            Self::Closed => 2,
        }
    }
}

/// Of two originals of one thing, the stricter status holds: gives it to `original` where `before` has it. True where that
/// was needed.
pub(crate) fn keep_stricter(before: Option<&str>, original: &mut Option<Arc<str>>) -> bool {
    let of = |text: Option<&str>| text.and_then(restricted_status).unwrap_or(RestrictedStatus::Open);
    let (before, own) = (of(before), of(original.as_deref()));
    let Some(mut element) = original.as_deref().and_then(element_of) else { return false };
    if before.strictness() <= own.strictness() {
        return false;
    }
    set_attribute(&mut element, STATUS, Some(before.as_str()));
    *original = Some(text_of(&element));
    true
}

/// What an original says about who may have its data; `None` where it says nothing.
pub fn restricted_status(original: &str) -> Option<RestrictedStatus> {
    let start = start_of(original)?;
    Some(match start.attribute(STATUS)? {
        "open" => RestrictedStatus::Open,
        "partial" => RestrictedStatus::Partial,
        _ => RestrictedStatus::Closed,
    })
}

/// What a network's original says in FDSN text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSummary {
    /// Description.
    pub description: Option<String>,
    /// Begin of the epoch.
    pub start_time: Option<Timestamp>,
    /// End of the epoch; `None`: open.
    pub end_time: Option<Timestamp>,
    /// Begin and end as text says them: with dates that are too far away to be held, empty where nothing is said.
    pub dates: [String; 2],
}

/// Reads the summary; what is absent or unreadable stays empty.
pub fn network_summary(original: &str) -> NetworkSummary {
    element_of(original).as_ref().map(summary_of).unwrap_or_default()
}

/// Reads the summary of the element itself.
pub(crate) fn summary_of(element: &Element) -> NetworkSummary {
    let time = |side: Side| element.attribute(side.attribute()).unwrap_or_default();
    let date = |side| date_of(element, side).unwrap_or_default().trim_end_matches('Z').to_owned();
    NetworkSummary {
        description: element.text_of(&["Description"]).map(str::to_owned),
        start_time: epoch_start(time(Side::Start)).ok().flatten(),
        end_time: epoch_end(time(Side::End)).ok().flatten(),
        dates: [date(Side::Start), date(Side::End)],
    }
}

/// Overall sensitivity of a response in the units of its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Counts per input unit.
    pub value: f64,
    /// Frequency at which it holds.
    pub frequency_hz: f64,
    /// Name of the input unit.
    pub input_unit: String,
}

/// Reads the `InstrumentSensitivity` of a response's original, ground motion or not.
pub fn sensitivity(response_original: &str) -> Option<Sensitivity> {
    let element = element_of(response_original)?;
    let total = element.child("InstrumentSensitivity")?;
    Some(Sensitivity {
        value: total.number(&["Value"])?,
        frequency_hz: total.number(&["Frequency"])?,
        input_unit: total.text_of(&["InputUnits", "Name"])?.to_owned(),
    })
}
