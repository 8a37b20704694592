//! What no earthquake can have: whoever proposes it is mistaken.

use std::ops::RangeInclusive;

use seislake_model::{Location, MagnitudeResult, Provenance};

use super::Refusal;

/// Deeper than the deepest earthquake, higher than the highest mountain.
const DEPTH_KM: RangeInclusive<f64> = -20.0..=1000.0;
const LATITUDE: RangeInclusive<f64> = -90.0..=90.0;
const LONGITUDE: RangeInclusive<f64> = -180.0..=180.0;
const MAGNITUDE: RangeInclusive<f64> = -10.0..=12.0;
/// More than there are seismometers.
const STATIONS_MAX: u32 = 1_000_000;
/// Characters of an id, or of a text that says where something comes from.
const TEXT_CHARS_MAX: usize = 256;
/// Arrivals of an origin, and amplitudes of a magnitude.
const PARTS_MAX: usize = 20_000;

fn within(what: &str, value: f64, range: &RangeInclusive<f64>) -> Result<(), Refusal> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    Err(Refusal::Senseless(format!("{what} is {value:e}, no number from {least} to {most}")))
}

fn named(what: &str, id: &str) -> Result<(), Refusal> {
    if id.is_empty() || id.chars().count() > TEXT_CHARS_MAX {
        return Err(Refusal::Senseless(format!("the {what} must have 1 to {TEXT_CHARS_MAX} characters")));
    }
    Ok(())
}

fn stated(provenance: &Provenance) -> Result<(), Refusal> {
    let Provenance { agency_id, author, method, method_version, .. } = provenance;
    let long = [agency_id, author, method, method_version]
        .into_iter()
        .any(|text| text.chars().count() > TEXT_CHARS_MAX);
    match long {
        true => Err(Refusal::Senseless(format!(
            "its provenance holds a text of more than {TEXT_CHARS_MAX} characters"
        ))),
        false => Ok(()),
    }
}

fn counted(what: &str, count: usize, most: usize) -> Result<(), Refusal> {
    match count <= most {
        true => Ok(()),
        false => Err(Refusal::Senseless(format!("{count} {what} are more than {most}"))),
    }
}

/// Whether an origin can be.
pub(super) fn origin(location: &Location) -> Result<(), Refusal> {
    let origin = &location.origin;
    named("origin id", &origin.origin_id)?;
    named("event id", &origin.event_id)?;
    within("the latitude", origin.latitude, &LATITUDE)?;
    within("the longitude", origin.longitude, &LONGITUDE)?;
    within("the depth in km", origin.depth_km, &DEPTH_KM)?;
    counted("stations", origin.used_station_count as usize, STATIONS_MAX as usize)?;
    counted("arrivals", location.arrivals.len(), PARTS_MAX)?;
    stated(&origin.provenance)
}

/// Whether a magnitude can be.
pub(super) fn magnitude(result: &MagnitudeResult) -> Result<(), Refusal> {
    counted("amplitudes", result.amplitudes.len(), PARTS_MAX)?;
    let Some(magnitude) = &result.magnitude else { return Ok(()) };
    named("magnitude id", &magnitude.magnitude_id)?;
    within("the magnitude", magnitude.magnitude, &MAGNITUDE)?;
    counted("stations", magnitude.station_count as usize, STATIONS_MAX as usize)?;
    stated(&magnitude.provenance)
}
