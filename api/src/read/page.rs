//! Which part of a list: bounds, the place where a page begins, how many there are.

use super::columns::{FromRow, Row};
use crate::error::ApiError;

/// A closed interval, open-ended where a bound is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Interval<T> {
    pub(crate) min: Option<T>,
    pub(crate) max: Option<T>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortKey {
    /// Microseconds of the time, or the bits of a magnitude: see `EventOrder`.
    pub(crate) value: f64,
    /// Exact value of a time.
    pub(crate) micros: i64,
    /// Breaks ties.
    pub(crate) id: String,
}

/// Which part of the result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) after: Option<SortKey>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// A count.
#[derive(Debug)]
pub(crate) struct Total(pub(crate) i64);

impl FromRow for Total {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self(row.integer("total")?))
    }
}
