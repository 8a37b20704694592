//! Parameters of the FDSN services: their names, short aliases and types, and how values are read.

use seislake_model::Timestamp;

use super::error::NoData;
use crate::error::ApiError;
use crate::http::{LATITUDES, Parameters, Range, decode_query};
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
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) alias: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    /// Values, where only some words are allowed.
    pub(super) options: &'static [&'static str],
    /// Numbers that are allowed.
    pub(super) range: Range,
}

impl Parameter {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, alias: None, kind, default: None, options: &[], range: f64::MIN..=f64::MAX }
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn range(mut self, range: &Range) -> Self {
        self.range = *range.start()..=*range.end();
        self
    }

    pub(super) const fn options(mut self, options: &'static [&'static str]) -> Self {
        self.options = options;
        self
    }
}

/// What a service takes: groups that several have, and its own.
pub(super) type ParameterGroups = &'static [&'static [Parameter]];

/// The begin and end of what is wanted.
pub(super) const TIMES: &[Parameter] = &[
    Parameter::new("starttime", Kind::Time).alias("start"),
    Parameter::new("endtime", Kind::Time).alias("end"),
];
/// Codes, or patterns of them.
pub(super) const CODES: &[Parameter] = &[
    Parameter::new("network", Kind::Text).alias("net"),
    Parameter::new("station", Kind::Text).alias("sta"),
    Parameter::new("location", Kind::Text).alias("loc"),
    Parameter::new("channel", Kind::Text).alias("cha"),
];
/// A box, or a ring around a place.
pub(super) const AREA: &[Parameter] = &[
    Parameter::new("minlatitude", Kind::Number).range(&LATITUDE).alias("minlat").default("-90.0"),
    Parameter::new("maxlatitude", Kind::Number).range(&LATITUDE).alias("maxlat").default("90.0"),
    Parameter::new("minlongitude", Kind::Number).range(&LONGITUDE).alias("minlon").default("-180.0"),
    Parameter::new("maxlongitude", Kind::Number).range(&LONGITUDE).alias("maxlon").default("180.0"),
    Parameter::new("latitude", Kind::Number).range(&LATITUDE).alias("lat").default("0.0"),
    Parameter::new("longitude", Kind::Number).range(&LONGITUDE).alias("lon").default("0.0"),
    Parameter::new("minradius", Kind::Number).range(&RADIUS).default("0.0"),
    Parameter::new("maxradius", Kind::Number).range(&RADIUS).default("180.0"),
    Parameter::new("minradiuskm", Kind::Number).range(&RADIUS_KM),
    Parameter::new("maxradiuskm", Kind::Number).range(&RADIUS_KM),
];
/// The status of an answer without data.
pub(super) const NO_DATA: &[Parameter] =
    &[Parameter::new("nodata", Kind::Count).default("204").options(&["204", "404"])];

/// Latitudes of a box or of a centre.
pub(super) const LATITUDE: Range = LATITUDES;
/// Longitudes may be of the turn before or after.
pub(super) const LONGITUDE: Range = -360.0..=360.0;
/// Great circles end at the antipode.
pub(super) const RADIUS: Range = 0.0..=180.0;
/// Farther than any point from any other.
pub(super) const RADIUS_KM: Range = 0.0..=EARTH_CIRCUMFERENCE_KM;
/// From above the highest top to the centre of the earth, km.
pub(super) const DEPTH: Range = -100.0..=6400.0;
/// No scale gives more or less.
pub(super) const MAGNITUDE: Range = -20.0..=20.0;

/// Reads the parameters of a request against the list of its service: each value is of its type, in its range or one of
/// its options, whether or not the request makes use of it.
pub(super) fn parse(pairs: Vec<(String, String)>, groups: ParameterGroups) -> Result<Parameters, ApiError> {
    let find = |name: &str| {
        let name = name.to_ascii_lowercase();
        let parameter = groups
            .iter()
            .copied()
            .flatten()
            .find(|parameter| parameter.name == name || parameter.alias == Some(&name))?;
        Some(parameter.name)
    };
    let parameters = Parameters::new(pairs, find, "application.wadl lists the parameters")?;
    for parameter in groups.iter().copied().flatten() {
        let name = parameter.name;
        match parameter.kind {
            Kind::Time => parameters.time(name).map(drop)?,
            Kind::Number => parameters.number_within(name, &parameter.range).map(drop)?,
            Kind::Flag => flag(&parameters, name).map(drop)?,
            Kind::Count if parameter.options.is_empty() => parameters.count(name).map(drop)?,
            Kind::Count | Kind::Text => {}
        }
        if let Some(word) = parameters.text(name)
            && !parameter.options.is_empty()
            && !parameter.options.contains(&word)
        {
            let options = parameter.options.join(", ");
            return Err(ApiError::invalid(format!("{name}: \"{word}\" is none of {options}")));
        }
    }
    Ok(parameters)
}

/// A POST has its parameters in the body: some in its address as well would be heard by nobody.
pub(super) fn refuse_in_address(query: Option<&str>) -> Result<(), ApiError> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => {
            Err(ApiError::invalid("the address of a POST has parameters: they are read in its body alone")
                .hint("name=value, one a line, before lines of channels"))
        }
    }
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
