//! Parameters of the FDSN services: their names, short aliases and types, and how values are read.

use seislake_model::Timestamp;

use super::error::NoData;
use crate::error::ApiError;
use crate::http::{Parameters, check_point, decode_query};
use crate::read::{Area, Interval, Radius};

/// Types as the WADL names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Time,
    Number,
    Count,
    Flag,
    Text,
}

impl Kind {
    pub(super) const fn xml_type(self) -> &'static str {
        match self {
            Self::Time => "xs:dateTime",
            Self::Number => "xs:double",
            Self::Count => "xs:int",
            Self::Flag => "xs:boolean",
            Self::Text => "xs:string",
        }
    }
}

/// One parameter of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) alias: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    /// Values, where only some words are allowed.
    pub(super) options: &'static [&'static str],
}

impl Parameter {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, alias: None, kind, default: None, options: &[] }
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }
}

/// Reads the parameters of a request against the list of its service; words are checked against their options.
pub(super) fn parse(
    pairs: Vec<(String, String)>,
    known: &'static [Parameter],
) -> Result<Parameters, ApiError> {
    let find = |name: &str| {
        let name = name.to_ascii_lowercase();
        let parameter =
            known.iter().find(|parameter| parameter.name == name || parameter.alias == Some(&name))?;
        Some(parameter.name)
    };
    let parameters = Parameters::new(pairs, find, "application.wadl lists the parameters")?;
    for parameter in known.iter().filter(|parameter| !parameter.options.is_empty()) {
        if let Some(word) = parameters.text(parameter.name)
            && !parameter.options.contains(&word)
        {
            return Err(ApiError::invalid(format!(
                "{}: \"{word}\" is none of {}",
                parameter.name,
                parameter.options.join(", ")
            )));
        }
    }
    Ok(parameters)
}

/// Pairs of a POST body: `name=value`, one a line or joined by `&`; other lines are handed to `line`.
pub(super) fn decode_body(
    body: &str,
    mut line_of_other_form: impl FnMut(&str) -> Result<(), ApiError>,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut pairs = Vec::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.contains('=') {
            pairs.extend(decode_query(line).into_iter().map(|(name, value)| (name, value.trim().to_owned())));
        } else {
            line_of_other_form(line)?;
        }
    }
    Ok(pairs)
}

/// `true`, `1`, `t`, `yes`, `y` and their opposites, in any case.
pub(super) fn flag(parameters: &Parameters, name: &str) -> Result<bool, ApiError> {
    match parameters.text(name).map(str::to_ascii_lowercase).as_deref() {
        None | Some("0" | "false" | "f" | "no" | "n") => Ok(false),
        Some("1" | "true" | "t" | "yes" | "y") => Ok(true),
        Some(other) => Err(ApiError::invalid(format!("{name}: \"{other}\" is neither true nor false"))),
    }
}

pub(super) fn no_data(parameters: &Parameters) -> NoData {
    match parameters.text("nodata") {
        Some("404") => NoData::NotFound,
        _ => NoData::NoContent,
    }
}

/// `starttime` and `endtime`.
pub(super) fn times(parameters: &Parameters) -> Result<Interval<Timestamp>, ApiError> {
    parameters.times("starttime", "endtime")
}

/// Farther than any point from any other.
const EARTH_CIRCUMFERENCE_KM: f64 = 40_100.0;

/// A longitude of any turn, brought to -180 … 180.
fn wrap(longitude: f64) -> f64 {
    if (-180.0..=180.0).contains(&longitude) {
        longitude
    } else {
        (longitude + 180.0).rem_euclid(360.0) - 180.0
    }
}

/// Box and ring of the FDSN parameters.
pub(super) fn areas(parameters: &Parameters) -> Result<Vec<Area>, ApiError> {
    let mut areas = Vec::new();
    let latitude = parameters.numbers("minlatitude", "maxlatitude")?;
    let (west, east) = (parameters.number("minlongitude")?, parameters.number("maxlongitude")?);
    for bound in [latitude.min, latitude.max].into_iter().flatten() {
        check_point(bound, 0.0)?;
    }
    for bound in [west, east].into_iter().flatten() {
        if !(-360.0..=360.0).contains(&bound) {
            return Err(ApiError::invalid(format!("longitude {bound} is not between -180 and 180")));
        }
    }
    if latitude != Interval::default() || west.is_some() || east.is_some() {
        let whole_turn = matches!((west, east), (Some(west), Some(east)) if east - west >= 360.0);
        let (west, east) = if whole_turn { (None, None) } else { (west.map(wrap), east.map(wrap)) };
        areas.push(Area::Box { latitude, west, east });
    }
    if let Some(ring) = ring(parameters)? {
        areas.push(ring);
    }
    Ok(areas)
}

fn ring(parameters: &Parameters) -> Result<Option<Area>, ApiError> {
    let degrees = parameters.numbers("minradius", "maxradius")?;
    let km = parameters.numbers("minradiuskm", "maxradiuskm")?;
    let given = degrees != Interval::default() || km != Interval::default();
    let centre = (parameters.number("latitude")?, parameters.number("longitude")?);
    let (latitude, longitude) = match centre {
        (None, None) if !given => return Ok(None),
        // The specification gives both a default of zero.
        (latitude, longitude) => (latitude.unwrap_or(0.0), longitude.unwrap_or(0.0)),
    };
    check_point(latitude, wrap(longitude))?;
    if degrees != Interval::default() && km != Interval::default() {
        return Err(ApiError::invalid("give the radius either in degrees or in km, not both"));
    }
    let longitude = wrap(longitude);
    if km == Interval::default() {
        let (min, max) = (degrees.min.unwrap_or(0.0), degrees.max.unwrap_or(180.0));
        return Ok(Some(Area::Ring { latitude, longitude, radius: Radius::Degrees { min, max } }));
    }
    let (min, max) = (km.min.unwrap_or(0.0), km.max.unwrap_or(EARTH_CIRCUMFERENCE_KM));
    Ok(Some(Area::Ring { latitude, longitude, radius: Radius::Km { min, max } }))
}
