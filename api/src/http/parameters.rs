//! Query parameters: each known one once, unknown ones refused by name, values with clear errors.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use seislake_model::Timestamp;

use crate::error::{ApiError, ErrorCode};
use crate::limits::HttpLimits;
use crate::read::{Area, Interval, Radius};

/// Parameters of one request, by their canonical name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    values: BTreeMap<&'static str, String>,
}

/// Numbers that a parameter may have, both ends included.
pub(crate) type Range = std::ops::RangeInclusive<f64>;

/// Degrees north.
pub(crate) const LATITUDES: Range = -90.0..=90.0;
/// Degrees east.
pub(crate) const LONGITUDES: Range = -180.0..=180.0;
/// What is not negative.
pub(crate) const LENGTHS: Range = 0.0..=f64::MAX;

/// Pairs of a query string, percent-decoded; `+` is a space.
pub(crate) fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Refuses coordinates that are none.
pub(crate) fn check_point(latitude: f64, longitude: f64) -> Result<(), ApiError> {
    if !LATITUDES.contains(&latitude) {
        return Err(ApiError::invalid(format!("latitude {latitude} is not between -90 and 90")));
    }
    if !LONGITUDES.contains(&longitude) {
        return Err(ApiError::invalid(format!("longitude {longitude} is not between -180 and 180")));
    }
    Ok(())
}

impl Parameters {
    /// Takes those that `known` names (it maps a name or alias to the canonical name). Blanks around values do not count.
    /// A parameter without a value is refused, for nobody could tell whether all or nothing is meant; but an empty
    /// location code is the blank one.
    pub(crate) fn new(
        pairs: Vec<(String, String)>,
        known: impl Fn(&str) -> Option<&'static str>,
        hint: &str,
    ) -> Result<Self, ApiError> {
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let Some(canonical) = known(&name) else {
                return Err(ApiError::new(
                    ErrorCode::UnknownParameter,
                    format!("the parameter \"{name}\" is not known"),
                )
                .hint(hint));
            };
            let value = value.trim().to_owned();
            if value.is_empty() && canonical != "location" {
                return Err(ApiError::invalid(format!("the parameter \"{canonical}\" has no value"))
                    .hint("leave it out where it shall not choose"));
            }
            if values.insert(canonical, value).is_some() {
                return Err(ApiError::invalid(format!("the parameter \"{canonical}\" is given twice")));
            }
        }
        Ok(Self { values })
    }

    /// Those of a route whose names have no aliases.
    pub(crate) fn of(query: Option<&str>, known: &[&'static str]) -> Result<Self, ApiError> {
        let find = |name: &str| known.iter().copied().find(|known| *known == name);
        Self::new(decode_query(query.unwrap_or("")), find, &format!("known are {}", known.join(", ")))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let parse = |text: &str| {
            Timestamp::bound(text).map_err(|error| ApiError::invalid(format!("{name}: {error}")))
        };
        self.text(name).map(parse).transpose()
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let parse = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| ApiError::invalid(format!("{name}: \"{text}\" is not a number")))
        };
        self.text(name).map(parse).transpose()
    }

    /// A number of a range, both ends included.
    pub(crate) fn number_within(&self, name: &str, range: &Range) -> Result<Option<f64>, ApiError> {
        let number = self.number(name)?;
        match number.filter(|number| !range.contains(number)) {
            None => Ok(number),
            Some(number) if *range.end() == f64::MAX => {
                Err(ApiError::invalid(format!("{name}: {number} is less than {}", range.start())))
            }
            Some(number) => {
                let (least, most) = (range.start(), range.end());
                Err(ApiError::invalid(format!("{name}: {number} is not between {least} and {most}")))
            }
        }
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let parse = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| ApiError::invalid(format!("{name}: \"{text}\" is not a count (0, 1, 2, …)")))
        };
        self.text(name).map(parse).transpose()
    }

    pub(crate) fn times(&self, from: &str, to: &str) -> Result<Interval<Timestamp>, ApiError> {
        let interval = Interval { min: self.time(from)?, max: self.time(to)? };
        match (interval.min, interval.max) {
            (Some(min), Some(max)) if min > max => {
                Err(ApiError::invalid(format!("{to} {max} comes before {from} {min}")))
            }
            _ => Ok(interval),
        }
    }

    pub(crate) fn numbers(&self, min: &str, max: &str) -> Result<Interval<f64>, ApiError> {
        let interval = Interval { min: self.number(min)?, max: self.number(max)? };
        match (interval.min, interval.max) {
            (Some(low), Some(high)) if low > high => {
                Err(ApiError::invalid(format!("{min} {low} is larger than {max} {high}")))
            }
            _ => Ok(interval),
        }
    }

    /// `limit` and `offset` of the routes of the original system.
    pub(crate) fn page(&self, limits: &HttpLimits) -> Result<(usize, usize), ApiError> {
        let limit = self.count("limit")?.unwrap_or(limits.page_rows_default);
        if limit == 0 {
            return Err(ApiError::invalid("limit: 0 asks for nothing"));
        }
        if limit > limits.page_rows_max {
            return Err(ApiError::new(
                ErrorCode::PageTooLarge,
                format!(
                    "{limit} rows were asked for in one page; at most {} are given",
                    limits.page_rows_max
                ),
            )
            .hint("page with \"limit\" and \"offset\", or read the table by SQL"));
        }
        Ok((limit, self.count("offset")?.unwrap_or(0)))
    }

    /// Box (`min_latitude` …) and circle (`latitude`, `longitude`, `max_radius_km`) of the routes of the original system.
    pub(crate) fn areas(&self) -> Result<Vec<Area>, ApiError> {
        let mut areas = Vec::new();
        for name in ["min_latitude", "max_latitude"] {
            self.number_within(name, &LATITUDES)?;
        }
        let latitude = self.numbers("min_latitude", "max_latitude")?;
        let west = self.number_within("min_longitude", &LONGITUDES)?;
        let east = self.number_within("max_longitude", &LONGITUDES)?;
        if latitude != Interval::default() || west.is_some() || east.is_some() {
            areas.push(Area::Box { latitude, west, east });
        }
        let centre =
            (self.number_within("latitude", &LATITUDES)?, self.number_within("longitude", &LONGITUDES)?);
        match (centre, self.number_within("max_radius_km", &LENGTHS)?) {
            ((None, None), None) => {}
            ((Some(latitude), Some(longitude)), Some(max)) => {
                areas.push(Area::Ring { latitude, longitude, radius: Radius::Km { min: 0.0, max } });
            }
            _ => {
                return Err(ApiError::invalid(
                    "a circle needs all of \"latitude\", \"longitude\" and \"max_radius_km\"",
                ));
            }
        }
        Ok(areas)
    }
}
