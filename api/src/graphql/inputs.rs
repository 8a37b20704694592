//! Arguments of the root fields, and how they become filters of the statements.

use async_graphql::{Enum, InputObject, OneofObject};

use super::scalars::{DateTime, Snapshot};
use crate::error::{ApiError, ErrorCode};
use crate::http::check_point;
use crate::limits::HttpLimits;
use crate::read::{Area, EventFilter, EventOrder, Interval, Radius};
use crate::state::AsOf;
use seislake_model::{Phase, Timestamp};

/// A window of time; both ends belong to it, a missing end is open.
#[derive(Clone, Debug, InputObject)]
pub(super) struct TimeRange {
    /// First moment.
    pub(super) from: Option<DateTime>,
    /// Last moment.
    pub(super) to: Option<DateTime>,
}

impl TimeRange {
    pub(super) fn interval(&self) -> Result<Interval<Timestamp>, ApiError> {
        let interval = Interval { min: self.from.map(|time| time.0), max: self.to.map(|time| time.0) };
        match (interval.min, interval.max) {
            (Some(from), Some(to)) if from > to => {
                Err(ApiError::invalid(format!("the time range ends at {to}, before it begins at {from}")))
            }
            _ => Ok(interval),
        }
    }
}

/// A closed range of numbers; a missing end is open.
#[derive(Clone, Debug, InputObject)]
pub(super) struct NumberRange {
    /// Greater than or equal.
    gte: Option<f64>,
    /// Less than or equal.
    lte: Option<f64>,
}

impl NumberRange {
    /// The range of the argument `name`.
    fn interval(&self, name: &str) -> Result<Interval<f64>, ApiError> {
        match (self.gte, self.lte) {
            (Some(gte), Some(lte)) if gte > lte => {
                Err(ApiError::invalid(format!("{name}: gte {gte} is larger than lte {lte}")))
            }
            (min, max) => Ok(Interval { min, max }),
        }
    }
}

/// A box in degrees; where west is larger than east it crosses the date line.
#[derive(Clone, Debug, InputObject)]
pub(super) struct GeoBox {
    latitude_min: f64,
    latitude_max: f64,
    longitude_min: f64,
    longitude_max: f64,
}

/// A circle around a point.
#[derive(Clone, Debug, InputObject)]
pub(super) struct GeoRadius {
    latitude: f64,
    longitude: f64,
    radius_km: f64,
}

/// A part of the surface of the Earth.
#[derive(Clone, Debug, OneofObject)]
pub(super) enum Within {
    /// A box.
    Box(GeoBox),
    /// A circle.
    Radius(GeoRadius),
}

impl Within {
    pub(super) fn area(&self) -> Result<Area, ApiError> {
        match self {
            Self::Box(bounds) => {
                check_point(bounds.latitude_min, bounds.longitude_min)?;
                check_point(bounds.latitude_max, bounds.longitude_max)?;
                if bounds.latitude_min > bounds.latitude_max {
                    return Err(ApiError::invalid(format!(
                        "latitudeMin {} is larger than latitudeMax {}",
                        bounds.latitude_min, bounds.latitude_max
                    )));
                }
                Ok(Area::Box {
                    latitude: Interval { min: Some(bounds.latitude_min), max: Some(bounds.latitude_max) },
                    west: Some(bounds.longitude_min),
                    east: Some(bounds.longitude_max),
                })
            }
            Self::Radius(circle) => {
                check_point(circle.latitude, circle.longitude)?;
                if circle.radius_km.is_nan() || circle.radius_km < 0.0 {
                    return Err(ApiError::invalid(format!("radiusKm {} is not a length", circle.radius_km)));
                }
                Ok(Area::Ring {
                    latitude: circle.latitude,
                    longitude: circle.longitude,
                    radius: Radius::Km { min: 0.0, max: circle.radius_km },
                })
            }
        }
    }
}

/// Which events.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(name = "EventFilter")]
pub(super) struct EventFilterInput {
    /// Origin time.
    time_range: Option<TimeRange>,
    /// Epicentre.
    within: Option<Within>,
    /// Preferred magnitude; events without one pass only where this is not given.
    magnitude: Option<NumberRange>,
    /// Type of the preferred magnitude, e.g. `ML`.
    magnitude_type: Option<String>,
    /// Depth below sea level, km.
    depth_km: Option<NumberRange>,
}

impl EventFilterInput {
    pub(super) fn filter(&self) -> Result<EventFilter, ApiError> {
        let interval = |name: &str, range: &Option<NumberRange>| {
            range.as_ref().map_or(Ok(Interval::default()), |range| range.interval(name))
        };
        Ok(EventFilter {
            origin_time: self.time_range.as_ref().map(TimeRange::interval).transpose()?.unwrap_or_default(),
            areas: self.within.as_ref().map(Within::area).transpose()?.into_iter().collect(),
            magnitude: interval("magnitude", &self.magnitude)?,
            magnitude_type: self.magnitude_type.clone(),
            depth_km: interval("depthKm", &self.depth_km)?,
            ..EventFilter::default()
        })
    }
}

/// Order of events; ties are broken by the event id, events without magnitude come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(name = "EventOrder")]
pub(super) enum EventOrderInput {
    /// Newest first.
    #[default]
    OriginTimeDesc,
    /// Oldest first.
    OriginTimeAsc,
    /// Largest first.
    MagnitudeDesc,
    /// Smallest first.
    MagnitudeAsc,
}

impl EventOrderInput {
    pub(super) const fn order(self) -> EventOrder {
        match self {
            Self::OriginTimeDesc => EventOrder::TimeDescending,
            Self::OriginTimeAsc => EventOrder::TimeAscending,
            Self::MagnitudeDesc => EventOrder::MagnitudeDescending,
            Self::MagnitudeAsc => EventOrder::MagnitudeAscending,
        }
    }

    /// Name of the list in cursors.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::OriginTimeDesc => "events-time-desc",
            Self::OriginTimeAsc => "events-time-asc",
            Self::MagnitudeDesc => "events-magnitude-desc",
            Self::MagnitudeAsc => "events-magnitude-asc",
        }
    }
}

/// Which state of the lake to read; without it, the newest.
#[derive(Clone, Copy, Debug, OneofObject)]
#[graphql(name = "AsOf")]
pub(super) enum AsOfInput {
    /// A snapshot of the table that the field reads.
    SnapshotId(Snapshot),
    /// A moment: every table as it was then.
    Timestamp(DateTime),
}

impl From<AsOfInput> for AsOf {
    fn from(input: AsOfInput) -> Self {
        match input {
            AsOfInput::SnapshotId(id) => Self::Snapshot(id.0),
            AsOfInput::Timestamp(time) => Self::Time(time.0),
        }
    }
}

/// Seismic phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "Phase")]
pub(super) enum PhaseName {
    /// First compressional wave.
    P,
    /// First shear wave.
    S,
}

impl From<PhaseName> for Phase {
    fn from(name: PhaseName) -> Self {
        match name {
            PhaseName::P => Self::P,
            PhaseName::S => Self::S,
        }
    }
}

impl From<Phase> for PhaseName {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::P => Self::P,
            Phase::S => Self::S,
        }
    }
}

/// Rows of a page: `first`, checked against the limit.
pub(super) fn page_rows(first: Option<i32>, limits: &HttpLimits) -> Result<usize, ApiError> {
    let Some(first) = first else { return Ok(limits.page_rows_default) };
    let rows = usize::try_from(first)
        .map_err(|_| ApiError::invalid(format!("\"first\" is {first}; it must not be negative")))?;
    if rows > limits.page_rows_max {
        return Err(ApiError::new(
            ErrorCode::PageTooLarge,
            format!("{rows} rows were asked for in one page; at most {} are given", limits.page_rows_max),
        )
        .hint(
            "page through the list with \"after: pageInfo.endCursor\", or export the table by Flight SQL",
        ));
    }
    Ok(rows)
}
