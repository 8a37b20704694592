//! Formats of the field, read and written as pure functions on bytes and text: no files, no clocks, no sockets.
//!
//! ```text
//! StationXML, station CSV, FDSN text ─► Inventory            Inventory ─► StationXML, FDSN text
//! QuakeML, GeoJSON, CSV/TSV, FDSN text ─► [CatalogueEvent]   Bulletin  ─► QuakeML, GeoJSON, CSV, FDSN text
//! rows of quality ─► CSV, SVG
//! ```
//! Readers take what they can use and list the rest as [`Problem`]s; a document that is broken as a whole is one
//! [`ReadError`], one sentence that names the place.
#![warn(missing_docs)]

pub mod catalogue_text;
mod encoding;
mod epochs;
mod gathered;
pub mod known_formats;
pub mod quakeml;
pub mod quality_plots;
pub mod quality_text;
#[cfg(test)]
mod round_trip;
pub mod station_text;
pub mod stationxml;
mod table;
mod xml;

pub use catalogue_text::read_catalogue;
pub use encoding::in_charset;
pub use epochs::{Begins, SaidDates, epoch_end, epoch_start, keep_far_dates, keep_far_dates_of_channel};
pub use station_text::ElevationUnit;

use seislake_model::{Inventory, Timestamp};

use epochs::{Moment, moment};

/// What was read, and what was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    /// What was read.
    pub value: T,
    /// What was left out or mended, in order of lines.
    pub problems: Vec<Problem>,
}

/// A part of a document that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Why, one sentence.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// A document that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not well-formed, or a value that cannot be what it must be.
    #[error("broken {format} at line {line}, column {column}: {reason}")]
    Broken {
        /// Format, e.g. `StationXML`.
        format: &'static str,
        /// Line, from 1.
        line: u64,
        /// Column in bytes, from 1.
        column: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another format than expected.
    #[error("not {expected}: {found}")]
    OtherFormat {
        /// What was expected.
        expected: &'static str,
        /// What was found instead.
        found: String,
    },
    /// A column that must be there is not.
    #[error(
        "no column for the {wanted} (one of {names}); the first line must name the columns, it reads \"{header}\""
    )]
    MissingColumn {
        /// Meaning of the column.
        wanted: &'static str,
        /// Names that would have been understood.
        names: String,
        /// The first line.
        header: String,
    },
    /// Elevations without a unit.
    #[error(
        "column \"{column}\" does not say whether elevations are in m or km; say --elevation-unit m|km, or name the column elevation_m or elevation_km"
    )]
    ElevationUnit {
        /// Name of the column.
        column: String,
    },
    /// Rows, but none that could be used.
    #[error("none of {rows} rows of {format} could be used; line {line}: {reason}")]
    NothingUsable {
        /// Format.
        format: &'static str,
        /// Rows seen.
        rows: usize,
        /// Line of the first problem.
        line: u64,
        /// The first problem.
        reason: String,
    },
}

/// Reads stations in any format this crate knows: StationXML where the first character is `<`, else text.
///
/// # Errors
/// See [`stationxml::read`] and [`station_text::read`]; a document of a format that is known and not read is named.
pub fn read_stations(bytes: &[u8], unit: Option<ElevationUnit>) -> Result<Parsed<Inventory>, ReadError> {
    let read =
        if xml::looks_like_xml(bytes) { stationxml::read(bytes) } else { station_text::read(bytes, unit) };
    known_formats::or_named(read, bytes, "stations", &[known_formats::Format::StationXml])
}

/// Text of others as it may stand in a sentence: of bounded length, on one line.
fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let text = text.trim();
    let short: String =
        text.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() { format!("{short}…") } else { short }
}

/// Text as a cell of FDSN text: bars and line ends would break the table, other control characters command a terminal.
fn cell(text: &str) -> String {
    text.replace(|c: char| c == '|' || c.is_control(), " ")
}

/// Time of an event: unlike an epoch it has no other end to stand for.
///
/// # Errors
/// One sentence where the text is no moment, or one that is not held.
fn event_time(text: &str) -> Result<Timestamp, String> {
    match moment(text.trim()) {
        Ok(Moment::Held(time)) => Ok(time),
        Ok(_) => Err(format!("\"{}\" lies outside the years 1677 to 2262, which are held", excerpt(text))),
        Err(_) => Err(format!("\"{}\" is not a UTC time such as 2014-08-24T00:01:08.92Z", excerpt(text))),
    }
}

/// A longitude of up to a whole turn either way as one between -180 and 180.
fn wrapped(longitude: f64) -> f64 {
    if longitude.abs() <= 180.0 { longitude } else { (longitude + 180.0).rem_euclid(360.0) - 180.0 }
}
