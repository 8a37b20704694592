//! QuakeML 1.2 (BED): bulletins out, catalogues in.
//!
//! Units are those of the standard, not ours: depth and lengths in metres, distances in degrees. Public ids are
//! `smi:seislake.org/…` followed by our name-based ids, so the same pick has the same id in every document.
//! Covariances of hypocentres have no place in QuakeML; they are written as a comment of the origin.

use seislake_model::{
    Amplitude, Arrival, CatalogueEvent, EvaluationMode, EvaluationStatus, Event, EventStatus, Magnitude,
    NOT_EXISTING, Origin, Pick, Provenance, SourceId, Timestamp, is_withdrawn,
};

use crate::xml::{Element, Token, XmlReader, XmlWriter};
use crate::{Parsed, Problem, ReadError, encoding, event_time, wrapped};

/// Kilometres of one degree of a great circle on a sphere of radius 6371 km.
pub(crate) const KM_PER_DEGREE: f64 = 111.194_926_644_558_74;
/// Nearer to a pole longitudes say nothing.
const KM_PER_DEGREE_EAST_MIN: f64 = 0.01;
const FORMAT: &str = "QuakeML";
/// Share of probability within the error ellipse.
const CONFIDENCE_PERCENT: f64 = 68.0;

/// A bulletin: events with everything that belongs to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bulletin {
    /// The events, in the order of the document.
    pub events: Vec<EventDetail>,
}

/// One event with its origins, magnitudes, picks, arrivals and amplitudes. Leave out what the document should not say.
#[derive(Clone, Debug, PartialEq)]
pub struct EventDetail {
    /// The event.
    pub event: Event,
    /// Its origins.
    pub origins: Vec<Origin>,
    /// Its magnitudes.
    pub magnitudes: Vec<Magnitude>,
    /// Arrivals of its origins.
    pub arrivals: Vec<Arrival>,
    /// Picks of its arrivals.
    pub picks: Vec<Pick>,
    /// Amplitudes behind its magnitudes.
    pub amplitudes: Vec<Amplitude>,
}

impl EventDetail {
    /// The one of its origins that the event prefers.
    pub fn preferred_origin(&self) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.origin_id == self.event.preferred_origin_id)
    }
}

/// Writes a document.
pub fn write(bulletin: &Bulletin) -> String {
    let mut xml = XmlWriter::new();
    xml.open(
        "q:quakeml",
        &[("xmlns:q", "http://quakeml.org/xmlns/quakeml/1.2"), ("xmlns", "http://quakeml.org/xmlns/bed/1.2")],
    );
    xml.open("eventParameters", &[("publicID", &public_id("eventparameters/bulletin"))]);
    for detail in &bulletin.events {
        write_event(&mut xml, detail);
    }
    xml.finish()
}

/// Our id as a public id; public ids of others stay as they are. Characters that the standard forbids become `_`.
pub fn public_id(id: &str) -> String {
    if id.starts_with("smi:") || id.starts_with("quakeml:") {
        return id.to_owned();
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "-.*()+?_~'=,;#/&".contains(c);
    let resource: String = id.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    format!("smi:seislake.org/{}", resource.trim_start_matches('/'))
}

fn write_event(xml: &mut XmlWriter, detail: &EventDetail) {
    let event = &detail.event;
    xml.open("event", &[("publicID", &public_id(&event.event_id))]);
    xml.leaf("preferredOriginID", &public_id(&event.preferred_origin_id));
    if let Some(id) = &event.preferred_magnitude_id {
        xml.leaf("preferredMagnitudeID", &public_id(id));
    }
    if event.status == EventStatus::Deleted {
        xml.leaf("type", NOT_EXISTING);
    } else {
        xml.leaf("type", "earthquake");
        xml.leaf("typeCertainty", "suspected");
    }
    creation_info(xml, &event.provenance, &event.revision.to_string());
    for pick in &detail.picks {
        write_pick(xml, pick);
    }
    for amplitude in &detail.amplitudes {
        write_amplitude(xml, amplitude);
    }
    for amplitude in &detail.amplitudes {
        write_station_magnitude(xml, amplitude);
    }
    for origin in &detail.origins {
        write_origin(xml, origin, detail);
    }
    for magnitude in &detail.magnitudes {
        write_magnitude(xml, magnitude, detail);
    }
    xml.close();
}

fn quantity(xml: &mut XmlWriter, name: &'static str, value: f64, uncertainty: Option<f64>) {
    if !value.is_finite() {
        return;
    }
    xml.open(name, &[]);
    xml.number("value", value);
    if let Some(uncertainty) = uncertainty {
        xml.number("uncertainty", uncertainty);
    }
    xml.close();
}

fn time_quantity(xml: &mut XmlWriter, time: Timestamp, uncertainty_s: f64) {
    xml.open("time", &[]);
    xml.leaf("value", &time.to_string());
    xml.number("uncertainty", uncertainty_s);
    xml.close();
}

fn waveform_id(xml: &mut XmlWriter, source_id: &SourceId) {
    let channel = source_id.channel();
    let mut attributes = vec![("networkCode", source_id.network()), ("stationCode", source_id.station())];
    attributes.push(("channelCode", &channel));
    attributes.push(("locationCode", source_id.location()));
    xml.empty("waveformID", &attributes);
}

fn method_id(xml: &mut XmlWriter, element: &str, kind: &str, name: &str) {
    if !name.is_empty() {
        xml.leaf(element, &public_id(&format!("{kind}/{name}")));
    }
}

/// Who says it and when. What has no agency is ours.
fn creation_info(xml: &mut XmlWriter, provenance: &Provenance, version: &str) {
    xml.open("creationInfo", &[]);
    xml.leaf("agencyID", provenance.agency());
    if !provenance.author.is_empty() {
        xml.leaf("author", &provenance.author);
    }
    if let Some(time) = provenance.creation_time {
        xml.leaf("creationTime", &time.to_string());
    }
    if !version.is_empty() {
        xml.leaf("version", version);
    }
    xml.close();
}

fn evaluation(xml: &mut XmlWriter, mode: EvaluationMode, status: EvaluationStatus) {
    xml.leaf("evaluationMode", mode.as_str());
    xml.leaf("evaluationStatus", status.as_str());
}

/// What a solution is to its event.
#[derive(Clone, Copy)]
enum Solution {
    Preferred,
    Other,
}

impl Solution {
    fn of<Id: PartialEq>(id: &Id, preferred: Option<&Id>) -> Self {
        if preferred == Some(id) { Self::Preferred } else { Self::Other }
    }
}

/// How far a solution has been looked at and by whom: the preferred one as its event, one of a withdrawn event was rejected.
fn solution_evaluation(xml: &mut XmlWriter, event: &Event, own: &Provenance, solution: Solution) {
    let of = match solution {
        Solution::Preferred => &event.provenance,
        Solution::Other => own,
    };
    match event.status {
        EventStatus::Deleted => evaluation(xml, of.evaluation_mode, EvaluationStatus::Rejected),
        _ => evaluation(xml, of.evaluation_mode, of.evaluation_status),
    }
}

fn write_pick(xml: &mut XmlWriter, pick: &Pick) {
    xml.open("pick", &[("publicID", &public_id(&pick.pick_id))]);
    time_quantity(xml, pick.pick_time, pick.time_uncertainty_s);
    waveform_id(xml, &pick.source_id);
    method_id(xml, "methodID", "method", &pick.provenance.method);
    xml.leaf("onset", pick.onset.as_str());
    xml.leaf("phaseHint", pick.phase.as_str());
    xml.leaf("polarity", pick.polarity.as_str());
    evaluation(xml, pick.provenance.evaluation_mode, pick.provenance.evaluation_status);
    creation_info(xml, &pick.provenance, &pick.provenance.method_version);
    if pick.snr.is_finite() {
        xml.open("comment", &[]);
        xml.leaf("text", &format!("signal-to-noise ratio {:.2}", pick.snr));
        xml.close();
    }
    xml.close();
}

/// Wood-Anderson amplitudes are ground displacements times the gain of the seismometer, in metres here.
fn write_amplitude(xml: &mut XmlWriter, amplitude: &Amplitude) {
    xml.open("amplitude", &[("publicID", &public_id(&amplitude.amplitude_id))]);
    quantity(xml, "genericAmplitude", amplitude.amplitude_mm * 1e-3, None);
    xml.leaf("type", "AML");
    xml.leaf("category", "point");
    xml.leaf("unit", "m");
    xml.open("timeWindow", &[]);
    xml.leaf("begin", "0");
    xml.leaf("end", "1");
    xml.leaf("reference", &amplitude.amplitude_time.to_string());
    xml.close();
    waveform_id(xml, &amplitude.source_id);
    xml.leaf("magnitudeHint", "ML");
    xml.leaf("evaluationMode", "automatic");
    xml.close();
}

fn write_station_magnitude(xml: &mut XmlWriter, amplitude: &Amplitude) {
    if !amplitude.station_magnitude.is_finite() {
        return;
    }
    let id = public_id(&format!("stationmagnitude/{}", amplitude.amplitude_id));
    xml.open("stationMagnitude", &[("publicID", &id)]);
    xml.leaf("originID", &public_id(&amplitude.origin_id));
    quantity(xml, "mag", amplitude.station_magnitude, None);
    xml.leaf("type", "ML");
    xml.leaf("amplitudeID", &public_id(&amplitude.amplitude_id));
    waveform_id(xml, &amplitude.source_id);
    xml.close();
}

fn write_origin(xml: &mut XmlWriter, origin: &Origin, detail: &EventDetail) {
    let arrivals: Vec<&Arrival> =
        detail.arrivals.iter().filter(|arrival| arrival.origin_id == origin.origin_id).collect();
    let [xx, _, _, yy, ..] = origin.covariance_km2;
    let km_per_degree_east = (KM_PER_DEGREE * origin.latitude.to_radians().cos()).max(KM_PER_DEGREE_EAST_MIN);
    xml.open("origin", &[("publicID", &public_id(&origin.origin_id))]);
    time_quantity(xml, origin.origin_time, origin.time_uncertainty_s);
    quantity(xml, "latitude", origin.latitude, Some(yy.sqrt() / KM_PER_DEGREE));
    quantity(xml, "longitude", origin.longitude, Some(xx.sqrt() / km_per_degree_east));
    quantity(xml, "depth", origin.depth_km * 1000.0, Some(origin.depth_uncertainty_km * 1000.0));
    xml.leaf("depthType", "from location");
    method_id(xml, "methodID", "method", &origin.provenance.method);
    method_id(xml, "earthModelID", "earthmodel", &origin.earth_model);
    write_quality(xml, origin, &arrivals);
    xml.open("originUncertainty", &[]);
    xml.number("minHorizontalUncertainty", origin.ellipse_minor_km * 1000.0);
    xml.number("maxHorizontalUncertainty", origin.ellipse_major_km * 1000.0);
    xml.number("azimuthMaxHorizontalUncertainty", origin.ellipse_azimuth);
    xml.leaf("preferredDescription", "uncertainty ellipse");
    xml.number("confidenceLevel", CONFIDENCE_PERCENT);
    xml.close();
    let solution = Solution::of(&origin.origin_id, Some(&detail.event.preferred_origin_id));
    let provenance = &origin.provenance;
    solution_evaluation(xml, &detail.event, provenance, solution);
    creation_info(xml, provenance, &provenance.method_version);
    xml.open("comment", &[]);
    let covariance: Vec<String> = origin.covariance_km2.iter().map(|value| format!("{value:.6}")).collect();
    let order = "covariance_km2 of east, north, down (xx, xy, xz, yy, yz, zz):";
    xml.leaf("text", &format!("{order} {}", covariance.join(", ")));
    xml.close();
    for arrival in arrivals {
        write_arrival(xml, arrival, origin);
    }
    xml.close();
}

fn write_quality(xml: &mut XmlWriter, origin: &Origin, arrivals: &[&Arrival]) {
    let used = || arrivals.iter().filter(|arrival| arrival.weight > 0.0);
    let farthest_km = used().map(|arrival| arrival.distance_km).fold(f64::NEG_INFINITY, f64::max);
    xml.open("quality", &[]);
    if !arrivals.is_empty() {
        let mut stations: Vec<String> =
            arrivals.iter().map(|arrival| arrival.source_id.station_key()).collect();
        stations.sort_unstable();
        stations.dedup();
        xml.leaf("associatedPhaseCount", &arrivals.len().to_string());
        xml.leaf("associatedStationCount", &stations.len().to_string());
    }
    xml.leaf("usedPhaseCount", &origin.used_phase_count.to_string());
    xml.leaf("usedStationCount", &origin.used_station_count.to_string());
    xml.number("standardError", origin.rms_s);
    xml.number("azimuthalGap", origin.azimuthal_gap);
    xml.number("minimumDistance", origin.nearest_station_km / KM_PER_DEGREE);
    xml.number("maximumDistance", farthest_km / KM_PER_DEGREE);
    xml.close();
}

fn write_arrival(xml: &mut XmlWriter, arrival: &Arrival, origin: &Origin) {
    xml.open("arrival", &[("publicID", &public_id(&arrival.arrival_id))]);
    xml.leaf("pickID", &public_id(&arrival.pick_id));
    xml.leaf("phase", arrival.phase.as_str());
    xml.number("azimuth", arrival.azimuth);
    xml.number("distance", arrival.distance_km / KM_PER_DEGREE);
    xml.number("timeResidual", arrival.residual_s);
    xml.number("timeWeight", arrival.weight);
    method_id(xml, "earthModelID", "earthmodel", &origin.earth_model);
    xml.close();
}

fn write_magnitude(xml: &mut XmlWriter, magnitude: &Magnitude, detail: &EventDetail) {
    let event = &detail.event;
    xml.open("magnitude", &[("publicID", &public_id(&magnitude.magnitude_id))]);
    quantity(xml, "mag", magnitude.magnitude, magnitude.uncertainty);
    xml.leaf("type", &magnitude.magnitude_type);
    xml.leaf("stationCount", &magnitude.station_count.to_string());
    // An origin that the document does not have is nobody's.
    if detail.origins.iter().any(|origin| origin.origin_id == magnitude.origin_id) {
        xml.leaf("originID", &public_id(&magnitude.origin_id));
    }
    method_id(xml, "methodID", "method", &magnitude.provenance.method);
    let solution = Solution::of(&magnitude.magnitude_id, event.preferred_magnitude_id.as_ref());
    let provenance = &magnitude.provenance;
    solution_evaluation(xml, event, provenance, solution);
    creation_info(xml, provenance, &provenance.method_version);
    xml.close();
}

/// Reads the events of a document of any agency: preferred origin (else the first that is not rejected), preferred
/// magnitude (else the first of that origin). An event whose origins are all rejected did not happen: its type is
/// `not existing`, whatever the document calls it. Events without a usable origin are listed as problems.
///
/// # Errors
/// Where the bytes are not well-formed XML (line and column are named) or hold another format.
pub fn read(bytes: &[u8]) -> Result<Parsed<Vec<CatalogueEvent>>, ReadError> {
    let text = encoding::decode(FORMAT, bytes)?;
    let mut reader = XmlReader::new(FORMAT, &text);
    match reader.next()? {
        Token::Start(root) if root.name.eq_ignore_ascii_case("quakeml") || root.name == "eventParameters" => {
        }
        Token::Start(root) => {
            let found = format!("the root element is <{}>", root.name);
            return Err(ReadError::OtherFormat { expected: FORMAT, found });
        }
        _ => {
            return Err(ReadError::OtherFormat { expected: FORMAT, found: "it holds no XML element".into() });
        }
    }
    let mut events = Vec::new();
    let mut problems = Vec::new();
    loop {
        match reader.next()? {
            Token::Start(element) if element.name == "event" => {
                let element = reader.subtree(element)?;
                match event(&element) {
                    Ok(event) => events.push(event),
                    Err(reason) => problems.push(Problem { line: element.line, reason }),
                }
            }
            Token::Start(_) | Token::End => {}
            Token::Eof => return Ok(Parsed { value: events, problems }),
        }
    }
}

fn event(element: &Element) -> Result<CatalogueEvent, String> {
    let id = element.attribute("publicID").unwrap_or_default().to_owned();
    let wanted = element.text_of(&["preferredOriginID"]).map(str::trim);
    let named = |origin: &&Element| wanted.is_some() && origin.attribute("publicID").map(str::trim) == wanted;
    let origins = || element.children("origin");
    let holds = |origin: &&Element| !is_rejected(origin);
    let origin = origins()
        .find(|origin| named(origin) && holds(origin))
        .or_else(|| origins().find(holds))
        .or_else(|| origins().find(named))
        .or_else(|| origins().next())
        .ok_or_else(|| format!("event \"{id}\" has no origin"))?;
    let magnitude = magnitude_of(element, origin);
    let time = origin
        .text_of(&["time", "value"])
        .ok_or_else(|| format!("the origin of event \"{id}\" has no time"))?;
    let origin_time = event_time(time).map_err(|reason| format!("event \"{id}\": {reason}"))?;
    let degrees = |name: &str, limit: f64| {
        let value = origin.number(&[name, "value"]).filter(|value| value.abs() <= limit);
        value.ok_or_else(|| format!("the origin of event \"{id}\" has no valid {name}"))
    };
    let (latitude, longitude) = (degrees("latitude", 90.0)?, degrees("longitude", 360.0)?);
    Ok(CatalogueEvent {
        origin_time,
        latitude,
        longitude: wrapped(longitude),
        depth_km: origin.number(&["depth", "value"]).map(|depth_m| depth_m / 1000.0),
        magnitude: magnitude.and_then(|magnitude| magnitude.number(&["mag", "value"])),
        event_type: match is_rejected(origin) {
            true => Some(NOT_EXISTING.to_owned()),
            false => element.text_of(&["type"]).map(|kind| kind.trim().to_owned()),
        },
        id,
    })
}

/// Whether an origin or magnitude was looked at and found wrong.
fn is_rejected(element: &Element) -> bool {
    element.text_of(&["evaluationStatus"]).is_some_and(|status| is_withdrawn(status.trim()))
}

/// The preferred magnitude; where none is named the first of the origin, else the first that names no origin: another
/// origin's is not this event's as it is told here. None that is rejected.
fn magnitude_of<'a>(event: &'a Element, origin: &Element) -> Option<&'a Element> {
    let magnitudes = || event.children("magnitude").filter(|magnitude| !is_rejected(magnitude));
    let wanted = event.text_of(&["preferredMagnitudeID"]).map(str::trim);
    let origin_id = origin.attribute("publicID").map(str::trim);
    let named = |magnitude: &&Element| magnitude.attribute("publicID").map(str::trim) == wanted;
    let of_origin = |magnitude: &&Element| magnitude.text_of(&["originID"]).map(str::trim) == origin_id;
    let of_none = |magnitude: &&Element| magnitude.text_of(&["originID"]).is_none();
    wanted
        .and_then(|_| magnitudes().find(named))
        .or_else(|| origin_id.and_then(|_| magnitudes().find(of_origin)))
        .or_else(|| magnitudes().find(of_none))
}

#[cfg(test)]
mod tests;
