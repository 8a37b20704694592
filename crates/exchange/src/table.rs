//! Text tables with named columns in any order: comma, semicolon, tab or bar between them.

use crate::{Problem, ReadError, xml};

/// A column: its meaning, and the names under which it goes (normalised, see [`normalise`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) meaning: &'static str,
    pub(crate) names: &'static [&'static str],
}

/// A table whose first line names the columns.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<String>,
    header_line: String,
    pub(crate) delimiter: u8,
    pub(crate) rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    cells: Vec<String>,
}

impl Row {
    /// The cell of a column; empty where there is none.
    pub(crate) fn cell(&self, column: Option<usize>) -> &str {
        column.and_then(|index| self.cells.get(index)).map_or("", String::as_str)
    }

    /// The finite number in a column.
    ///
    /// # Errors
    /// A problem that names the column's meaning, where there is none.
    pub(crate) fn number(&self, column: Option<usize>, meaning: &str) -> Result<f64, Problem> {
        let text = self.cell(column);
        text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
            self.problem(if text.is_empty() {
                format!("no {meaning}")
            } else {
                format!("\"{text}\" is not a {meaning}")
            })
        })
    }

    /// Latitude and longitude in their ranges, degrees.
    pub(crate) fn place(
        &self,
        latitude: Option<usize>,
        longitude: Option<usize>,
    ) -> Result<(f64, f64), Problem> {
        let place = (self.number(latitude, "latitude")?, self.number(longitude, "longitude")?);
        if place.0.abs() > 90.0 || place.1.abs() > 360.0 {
            return Err(self.problem(format!("{}, {} is no place on earth", place.0, place.1)));
        }
        Ok((place.0, crate::wrapped(place.1)))
    }

    pub(crate) fn problem(&self, reason: String) -> Problem {
        Problem { line: self.line, reason }
    }
}

impl Table {
    /// Reads a table. Lines that begin with `#` are comments, but for the first, which may name the columns.
    ///
    /// # Errors
    /// Where the bytes are no text, or there is no line at all.
    pub(crate) fn read(expected: &'static str, bytes: &[u8]) -> Result<Self, ReadError> {
        let other = |found: &str| ReadError::OtherFormat { expected, found: found.to_owned() };
        if bytes.iter().take(4096).any(|byte| *byte == 0) {
            return Err(other("it holds binary data"));
        }
        let text = xml::decode(bytes);
        let mut skipped = 0;
        let header_line = text
            .lines()
            .inspect(|_| skipped += 1)
            .find(|line| !line.trim().is_empty())
            .ok_or_else(|| other("it is empty"))?;
        let delimiter = *[b'|', b'\t', b';', b',']
            .iter()
            .find(|byte| header_line.as_bytes().contains(byte))
            .unwrap_or(&b',');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .has_headers(false)
            .quoting(delimiter != b'|')
            .from_reader(header_line.trim_start_matches('#').as_bytes());
        let mut header = Vec::new();
        if let Some(Ok(record)) = reader.records().next() {
            header = record.iter().map(normalise).collect();
        }
        let body_at = text.match_indices('\n').nth(skipped - 1).map_or(text.len(), |(at, _)| at + 1);
        let rows = rows(text.get(body_at..).unwrap_or_default(), delimiter, skipped as u64)?;
        Ok(Self { header, header_line: excerpt(header_line), delimiter, rows })
    }

    /// Position of a column.
    pub(crate) fn find(&self, column: &Column) -> Option<usize> {
        column.names.iter().find_map(|name| self.header.iter().position(|cell| cell == name))
    }

    /// Position of a column that must be there.
    pub(crate) fn need(&self, column: &Column) -> Result<usize, ReadError> {
        self.find(column).ok_or_else(|| ReadError::MissingColumn {
            wanted: column.meaning,
            names: column.names.join(", "),
            header: self.header_line.clone(),
        })
    }

    /// Name of a column.
    pub(crate) fn name(&self, index: usize) -> &str {
        self.header.get(index).map_or("", String::as_str)
    }

    /// The first line.
    pub(crate) fn header_line(&self) -> &str {
        &self.header_line
    }
}

fn rows(body: &str, delimiter: u8, lines_before: u64) -> Result<Vec<Row>, ReadError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .has_headers(false)
        .quoting(delimiter != b'|')
        .from_reader(body.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| ReadError::Broken {
            format: "table",
            line: lines_before + error.position().map_or(1, csv::Position::line),
            column: 1,
            reason: "the row cannot be taken apart".to_owned(),
        })?;
        let line = lines_before + record.position().map_or(1, |position| line_of(body, position));
        if record.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line, cells: record.iter().map(str::to_owned).collect() });
        }
    }
    Ok(rows)
}

/// Line of a record: its position is where the reader stood before it skipped empty lines and comments.
fn line_of(body: &str, position: &csv::Position) -> u64 {
    let rest = body.get(position.byte() as usize..).unwrap_or_default();
    let is_skipped = |line: &&str| line.trim().is_empty() || line.starts_with('#');
    position.line() + rest.lines().take_while(is_skipped).count() as u64
}

/// The name of a column without case, spaces, quotes and `#`; units in brackets or after a slash become a suffix:
/// `Elevation (km)` and `Elevation/km` are `elevation_km`.
pub(crate) fn normalise(name: &str) -> String {
    let lower = name.trim().trim_start_matches('#').trim().to_lowercase();
    let mut out = String::with_capacity(lower.len());
    for c in lower.chars() {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            ')' | ']' | '"' | '\'' => {}
            _ if !out.is_empty() && !out.ends_with('_') => out.push('_'),
            _ => {}
        }
    }
    out.trim_end_matches('_').to_owned()
}

fn excerpt(line: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let line = line.trim();
    let short: String =
        line.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() > CHARACTERS_MAX { format!("{short}…") } else { short }
}

/// Refuses a table of which nothing could be used.
pub(crate) fn something_usable(
    format: &'static str,
    usable: usize,
    rows: usize,
    problems: &[Problem],
) -> Result<(), ReadError> {
    match problems.first() {
        Some(problem) if usable == 0 && rows > 0 => {
            Err(ReadError::NothingUsable { format, rows, line: problem.line, reason: problem.reason.clone() })
        }
        _ => Ok(()),
    }
}
