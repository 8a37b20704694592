//! Catalogues as tables and GeoJSON, in and out; [`read_catalogue`] also hands QuakeML to its reader.
//!
//! Tables have named columns in any order (comma, semicolon, tab or bar; FDSN event text is one of them); depths are
//! km, as everywhere but in QuakeML, unless the column is `depth_m`. GeoJSON is the USGS summary format: times are
//! integers of milliseconds.

use std::fmt::Write;

use seislake_model::{
    CatalogueEvent, EvaluationStatus, Event, EventStatus, NOT_EXISTING, Origin, Timestamp, is_withdrawn,
};
use serde_json::{Value, json};

use crate::known_formats::{self, Format, HEAD_BYTES};
use crate::table::{Column, Row, Table, something_usable};
use crate::{Parsed, Problem, ReadError, cell, encoding, event_time, quakeml, wrapped, xml};

const FORMAT: &str = "catalogue";
const TIME: Column = Column {
    meaning: "origin time",
    names: &["origin_time", "time", "datetime", "date_time", "origintime", "event_time"],
};
const LATITUDE: Column = Column { meaning: "latitude", names: &["latitude", "lat"] };
const LONGITUDE: Column = Column { meaning: "longitude", names: &["longitude", "lon", "long", "lng"] };
const DEPTH: Column = Column { meaning: "depth", names: &["depth_km", "depth", "depth_m"] };
const MAGNITUDE: Column = Column { meaning: "magnitude", names: &["magnitude", "mag", "ml", "mw"] };
const KIND: Column = Column { meaning: "event type", names: &["eventtype", "event_type", "type"] };
const STATUS: Column =
    Column { meaning: "status", names: &["status", "evaluationstatus", "evaluation_status", "event_status"] };
const ID: Column = Column { meaning: "event id", names: &["event_id", "eventid", "id", "publicid", "case"] };

/// By these the line is found that names the columns.
const KNOWN: [&Column; 3] = [&TIME, &LATITUDE, &LONGITUDE];

/// Reads a catalogue in whatever format it is: QuakeML, GeoJSON (or GeoJSONP, a call of a function with it), or a table.
/// `name_hint` (a file name) is used for ids of rows that have none.
///
/// # Errors
/// Where the document is of no known format, broken, lacks a column, or holds no usable event though it has rows. A format
/// that is known and not read is named.
pub fn read_catalogue(name_hint: &str, bytes: &[u8]) -> Result<Parsed<Vec<CatalogueEvent>>, ReadError> {
    let head = encoding::glance(bytes.get(..HEAD_BYTES).unwrap_or(bytes)).into_owned();
    let read = match head.trim_start().chars().next() {
        Some('<') => quakeml::read(bytes),
        Some('{' | '[') => read_geojson(bytes),
        _ if is_call(&head) => read_geojson(bytes),
        _ => read_table(name_hint, bytes),
    };
    known_formats::or_named(read, bytes, "a catalogue", &[Format::QuakeMl, Format::Json])
}

/// `eqfeed_callback({…`: the name of a function, and what it is given.
fn is_call(text: &str) -> bool {
    let Some((name, rest)) = text.trim_start().split_once('(') else { return false };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    !name.is_empty() && name.chars().all(legal) && rest.trim_start().starts_with('{')
}

/// The document in a call of a function; the text itself where it is none.
fn called_with(text: &str) -> &str {
    if !is_call(text) {
        return text.trim();
    }
    let inside = text.split_once('(').map_or(text, |(_, inside)| inside);
    inside.rsplit_once(')').map_or(inside, |(document, _)| document).trim()
}

/// Reads a table with named columns. Rows without time or place are listed as problems; unreadable depths and
/// magnitudes are taken as unknown.
///
/// # Errors
/// Where it is no text, a column is missing, or no row can be used.
pub fn read_table(name_hint: &str, bytes: &[u8]) -> Result<Parsed<Vec<CatalogueEvent>>, ReadError> {
    let table = Table::read(FORMAT, bytes, &KNOWN)?;
    let (time, latitude, longitude) = (table.need(&TIME)?, table.need(&LATITUDE)?, table.need(&LONGITUDE)?);
    let depth = table.find(&DEPTH);
    let km_per_unit = if depth.is_some_and(|index| table.name(index) == "depth_m") { 1e-3 } else { 1.0 };
    let (magnitude, id, kind) = (table.find(&MAGNITUDE), table.find(&ID), table.find(&KIND));
    let status = table.find(&STATUS);
    let mut events = Vec::new();
    let mut problems = Vec::new();
    for row in &table.rows {
        let event = || -> Result<CatalogueEvent, Problem> {
            let origin_time = row_time(row, time)?;
            let (latitude, longitude) = row.place(Some(latitude), Some(longitude))?;
            let known = |column| row.optional_number(column, "number").ok().flatten();
            let own_id = row.cell(id);
            Ok(CatalogueEvent {
                id: if own_id.is_empty() { format!("{name_hint}:{}", row.line) } else { own_id.to_owned() },
                origin_time,
                latitude,
                longitude,
                depth_km: known(depth).map(|depth| depth * km_per_unit),
                magnitude: known(magnitude),
                event_type: event_type(row.cell(status), row.cell(kind)),
            })
        };
        match event() {
            Ok(event) => events.push(event),
            Err(problem) => problems.push(problem),
        }
    }
    something_usable("a catalogue table", events.len(), table.rows.len(), &problems)?;
    problems
        .splice(..0, table.unread(&[&TIME, &LATITUDE, &LONGITUDE, &DEPTH, &MAGNITUDE, &KIND, &STATUS, &ID]));
    Ok(Parsed { value: events, problems })
}

/// What an event is called; one that is taken back is `not existing`, whatever it was taken for.
fn event_type(status: &str, kind: &str) -> Option<String> {
    let kind = if is_withdrawn(status.trim()) { NOT_EXISTING } else { kind };
    (!kind.is_empty()).then(|| kind.to_owned())
}

fn row_time(row: &Row, column: usize) -> Result<Timestamp, Problem> {
    let text = row.cell(Some(column));
    if text.is_empty() {
        return Err(row.problem("no origin time".to_owned()));
    }
    // ISO 8601 writes fractions of seconds with a comma too.
    event_time(&text.replacen(',', ".", 1)).map_err(|reason| row.problem(reason))
}

/// Reads GeoJSON of the USGS: a `FeatureCollection` or a single `Feature`.
///
/// # Errors
/// Where it is no JSON (line and column are named), no GeoJSON, or no feature can be used.
pub fn read_geojson(bytes: &[u8]) -> Result<Parsed<Vec<CatalogueEvent>>, ReadError> {
    let text = encoding::decode("GeoJSON", bytes)?;
    let document: Value = serde_json::from_str(called_with(&text)).map_err(|error| ReadError::Broken {
        format: "GeoJSON",
        line: error.line() as u64,
        column: error.column() as u64,
        reason: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
    })?;
    let single = std::slice::from_ref(&document);
    let features = match document.get("type").and_then(Value::as_str) {
        Some("FeatureCollection") => document.get("features").and_then(Value::as_array).map(Vec::as_slice),
        Some("Feature") => Some(single),
        _ => None,
    };
    let features = features.ok_or_else(|| ReadError::OtherFormat {
        expected: "GeoJSON",
        found: "it is JSON, but neither a FeatureCollection nor a Feature".to_owned(),
    })?;
    let mut events = Vec::new();
    let mut problems = Vec::new();
    for (index, feature) in features.iter().enumerate() {
        match feature_event(feature) {
            Ok(event) => events.push(event),
            Err(reason) => {
                problems.push(Problem { line: 1, reason: format!("feature {}: {reason}", index + 1) });
            }
        }
    }
    something_usable("GeoJSON", events.len(), features.len(), &problems)?;
    Ok(Parsed { value: events, problems })
}

fn feature_event(feature: &Value) -> Result<CatalogueEvent, String> {
    let properties = feature.get("properties").ok_or("no properties")?;
    let origin_time = feature_time(properties.get("time"))?;
    let coordinate =
        |index| feature.pointer(&format!("/geometry/coordinates/{index}")).and_then(Value::as_f64);
    let (longitude, latitude) = (coordinate(0).ok_or("no longitude")?, coordinate(1).ok_or("no latitude")?);
    if latitude.abs() > 90.0 || longitude.abs() > 360.0 {
        return Err(format!("{latitude}, {longitude} is no place on earth"));
    }
    let id = feature.get("id").or_else(|| properties.get("code"));
    let word = |name: &str| properties.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(CatalogueEvent {
        id: id.map_or(String::new(), |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)),
        origin_time,
        latitude,
        longitude: wrapped(longitude),
        depth_km: coordinate(2),
        magnitude: properties.get("mag").and_then(Value::as_f64),
        event_type: event_type(word("status"), word("type")),
    })
}

/// Milliseconds since 1970, as the USGS writes them, or a text as others do.
fn feature_time(time: Option<&Value>) -> Result<Timestamp, String> {
    const NANOS: f64 = 1e6;
    match time {
        Some(Value::String(text)) => event_time(text),
        Some(Value::Number(number)) => {
            let nanos = match number.as_i64() {
                Some(milliseconds) => milliseconds.checked_mul(1_000_000),
                None => number
                    .as_f64()
                    .map(|milliseconds| milliseconds * NANOS)
                    .filter(|nanos| nanos.abs() < i64::MAX as f64)
                    .map(|nanos| nanos.round() as i64),
            };
            nanos.map(Timestamp::from_nanos).ok_or_else(|| "the time lies too far away".to_owned())
        }
        _ => Err("no time in milliseconds".to_owned()),
    }
}

/// FDSN event text: one line per event, after the header of the standard.
pub fn write_event_text(events: &[Event]) -> String {
    let mut out =
        "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|\
                   Magnitude|MagAuthor|EventLocationName|EventType\n"
            .to_owned();
    for event in events {
        let time = event.origin_time.to_string();
        let (magnitude_type, magnitude) = magnitude_cells(event, 2);
        let agency = cell(event.provenance.agency());
        let author = if event.magnitude.is_some() { agency.as_str() } else { "" };
        let _ = writeln!(
            out,
            "{id}|{time}|{latitude}|{longitude}|{depth}|{agency}|seislake|{agency}|{id}|{magnitude_type}|{magnitude}|\
             {author}||{kind}",
            id = cell(&event.event_id),
            magnitude_type = cell(magnitude_type),
            kind = if event.status == EventStatus::Deleted { NOT_EXISTING } else { "earthquake" },
            time = time.trim_end_matches('Z'),
            latitude = rounded(event.latitude, 6),
            longitude = rounded(event.longitude, 6),
            depth = rounded(event.depth_km, 3),
        );
    }
    out
}

/// CSV with the column names of `bulletin.events`; reads back with [`read_table`].
pub fn write_csv(events: &[Event]) -> String {
    let mut out =
        "event_id,revision,status,origin_time,latitude,longitude,depth_km,magnitude,magnitude_type\n"
            .to_owned();
    for event in events {
        let (magnitude_type, magnitude) = magnitude_cells(event, 3);
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{magnitude},{magnitude_type}",
            quoted(&event.event_id),
            event.revision,
            event.status.as_str(),
            event.origin_time,
            rounded(event.latitude, 6),
            rounded(event.longitude, 6),
            rounded(event.depth_km, 3),
        );
    }
    out
}

fn magnitude_cells(event: &Event, decimals: usize) -> (&str, String) {
    match event.magnitude {
        Some(magnitude) => (event.magnitude_type.as_deref().unwrap_or(""), format!("{magnitude:.decimals$}")),
        None => ("", String::new()),
    }
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// What a GeoJSON document says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoJsonMetadata {
    /// When the document is made.
    pub generated_at: Timestamp,
    /// Where it can be had.
    pub url: String,
    /// Title.
    pub title: String,
}

/// GeoJSON in the summary format of the USGS: all field names are there, `null` where we know nothing. The quality
/// fields (`nst`, `dmin` in degrees, `rms`, `gap`) come from the preferred origin where it is given.
pub fn write_geojson(events: &[(&Event, Option<&Origin>)], metadata: &GeoJsonMetadata) -> String {
    let features: Vec<Value> = events.iter().map(|(event, origin)| feature(event, *origin)).collect();
    let axis = |value: fn(&Event) -> f64| {
        let values = events.iter().map(|(event, _)| value(event));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
            (least.min(value), most.max(value))
        })
    };
    let mut document = json!({
        "type": "FeatureCollection",
        "metadata": {
            "generated": metadata.generated_at.nanos().div_euclid(1_000_000),
            "url": metadata.url,
            "title": metadata.title,
            "status": 200,
            "api": env!("CARGO_PKG_VERSION"),
            "count": events.len(),
        },
        "features": features,
    });
    if !events.is_empty() {
        let (west, east) = west_and_east(events.iter().map(|(event, _)| event.longitude));
        let (south, north) = axis(|event| event.latitude);
        let (top, bottom) = axis(|event| event.depth_km);
        document["bbox"] = json!([west, south, top, east, north, bottom]);
    }
    document.to_string()
}

/// The shortest stretch eastwards that holds all longitudes. Across the date line its west is larger than its east, as
/// RFC 7946, section 5.2, asks for.
fn west_and_east(longitudes: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut longitudes: Vec<f64> = longitudes.map(wrapped).collect();
    longitudes.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (longitudes.first(), longitudes.last()) else { return (-180.0, 180.0) };
    // Behind the widest gap begins the west.
    let mut widest = (first + 360.0 - last, *first, *last);
    for pair in longitudes.windows(2) {
        if pair[1] - pair[0] > widest.0 {
            widest = (pair[1] - pair[0], pair[1], pair[0]);
        }
    }
    (widest.1, widest.2)
}

fn feature(event: &Event, origin: Option<&Origin>) -> Value {
    let code = event.event_id.rsplit('/').next().unwrap_or(&event.event_id);
    // A list ends at each comma.
    let agency = event.provenance.agency().replace(',', " ");
    let magnitude_text = event.magnitude.map_or("?".to_owned(), |magnitude| format!("{magnitude:.1}"));
    let status = match event.status {
        EventStatus::Deleted => "deleted",
        _ if event.provenance.evaluation_status >= EvaluationStatus::Confirmed => "reviewed",
        _ => event.provenance.evaluation_mode.as_str(),
    };
    json!({
        "type": "Feature",
        "properties": {
            "mag": event.magnitude.map(|magnitude| rounded(magnitude, 2)),
            "place": null,
            "time": event.origin_time.nanos().div_euclid(1_000_000),
            "updated": null, "tz": null, "url": null, "detail": null,
            "felt": null, "cdi": null, "mmi": null, "alert": null,
            "status": status,
            "tsunami": 0,
            "sig": null,
            "net": agency,
            "code": code,
            "ids": format!(",{},", event.event_id),
            "sources": format!(",{agency},"),
            "types": ",origin,phase-data,",
            "nst": origin.map(|origin| origin.used_station_count),
            "dmin": origin.map(|origin| rounded(origin.nearest_station_km / quakeml::KM_PER_DEGREE, 5)),
            "rms": origin.map(|origin| rounded(origin.rms_s, 4)),
            "gap": origin.map(|origin| rounded(origin.azimuthal_gap, 1)),
            "magType": event.magnitude_type.as_ref().map(|kind| kind.to_lowercase()),
            "type": "earthquake",
            "title": format!("M {magnitude_text} - {:.3}, {:.3}", event.latitude, event.longitude),
        },
        "geometry": {
            "type": "Point",
            "coordinates": [
                rounded(event.longitude, 6), rounded(event.latitude, 6), rounded(event.depth_km, 3),
            ],
        },
        "id": event.event_id,
    })
}

/// Whether bytes look like a catalogue at all: QuakeML, GeoJSON, or text with a header that names time and place.
pub fn looks_like_catalogue(bytes: &[u8]) -> bool {
    if xml::looks_like_xml(bytes) || bytes.trim_ascii_start().first() == Some(&b'{') {
        return true;
    }
    Table::read(FORMAT, bytes, &KNOWN)
        .is_ok_and(|table| table.find(&TIME).is_some() && table.find(&LATITUDE).is_some())
}

#[cfg(test)]
mod tests;
