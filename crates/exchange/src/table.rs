//! Text tables with named columns in any order: comma, semicolon, tab or bar between them.

use crate::{Problem, ReadError, encoding, excerpt};

/// Longest line, bytes; no table of the field has one of a kilobyte.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Columns and rows that one table may have.
const COLUMNS_MAX: usize = 1000;
const ROWS_MAX: usize = 1_000_000;

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
    header_line_number: u64,
    pub(crate) delimiter: u8,
    pub(crate) rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) line: u64,
    cells: csv::StringRecord,
    /// A comma in tables that semicolons divide: there it cannot be anything else.
    decimal_mark: char,
}

impl Row {
    /// The cell of a column; empty where there is none.
    pub(crate) fn cell(&self, column: Option<usize>) -> &str {
        column.and_then(|index| self.cells.get(index)).unwrap_or("")
    }

    /// The finite number in a column.
    ///
    /// # Errors
    /// A problem that names the column's meaning, where there is none.
    pub(crate) fn number(&self, column: Option<usize>, meaning: &str) -> Result<f64, Problem> {
        self.optional_number(column, meaning)?.ok_or_else(|| self.problem(format!("no {meaning}")))
    }

    /// The finite number in a column; `None` where the cell is empty.
    ///
    /// # Errors
    /// A problem that names the column's meaning, where there is something else.
    pub(crate) fn optional_number(
        &self,
        column: Option<usize>,
        meaning: &str,
    ) -> Result<Option<f64>, Problem> {
        let text = self.cell(column);
        if text.is_empty() {
            return Ok(None);
        }
        let number = match self.decimal_mark {
            ',' => text.replacen(',', ".", 1).parse(),
            _ => text.parse(),
        };
        let number = number.ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| self.problem(format!("\"{}\" is not a {meaning}", excerpt(text))))
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
    /// Reads a table. Lines that begin with `#` are comments, but for one before all rows that names two of the `known`
    /// columns.
    ///
    /// # Errors
    /// Where the bytes are no text, or there is no line at all.
    pub(crate) fn read(expected: &'static str, bytes: &[u8], known: &[&Column]) -> Result<Self, ReadError> {
        let other = |found: &str| ReadError::OtherFormat { expected, found: found.to_owned() };
        let text = encoding::decode(expected, bytes)?;
        if text.chars().take(4096).any(|c| c == '\0') {
            return Err(other("it holds binary data"));
        }
        // Lines of old Macintosh files end with a carriage return alone.
        let text =
            if text.contains('\r') && !text.contains('\n') { text.replace('\r', "\n").into() } else { text };
        let too_long = text.lines().position(|line| line.len() > LINE_BYTES_MAX);
        if let Some(index) = too_long {
            return Err(broken(index as u64 + 1, format!("the line has more than {LINE_BYTES_MAX} bytes")));
        }
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let names_columns = |line: &str| {
            let cells = header_cells(line, delimiter_of(line));
            known
                .iter()
                .filter(|column| cells.iter().any(|cell| column.names.contains(&cell.as_str())))
                .count()
                > 1
        };
        let header_line = lines.find(|(_, line)| !line.starts_with('#') || names_columns(line));
        let (index, header_line) = header_line.ok_or_else(|| {
            other(if text.trim().is_empty() { "it is empty" } else { "it holds comments only" })
        })?;
        let delimiter = delimiter_of(header_line);
        let header = header_cells(header_line, delimiter);
        if header.len() > COLUMNS_MAX {
            let reason = format!("{} columns; at most {COLUMNS_MAX} are read", header.len());
            return Err(broken(index as u64 + 1, reason));
        }
        let body_at = text.match_indices('\n').nth(index).map_or(text.len(), |(at, _)| at + 1);
        let rows = rows(text.get(body_at..).unwrap_or_default(), delimiter, header.len(), index as u64 + 1)?;
        let header_line_number = index as u64 + 1;
        Ok(Self { header, header_line: excerpt(header_line), header_line_number, delimiter, rows })
    }

    /// Position of a column.
    pub(crate) fn find(&self, column: &Column) -> Option<usize> {
        column.names.iter().find_map(|name| self.header.iter().position(|cell| cell == name))
    }

    /// Columns that mean the same as another one of `columns`, which is read in their place.
    pub(crate) fn unread(&self, columns: &[&Column]) -> Vec<Problem> {
        let read: Vec<usize> = columns.iter().filter_map(|column| self.find(column)).collect();
        let of_cell = |(index, cell): (usize, &String)| {
            let column = columns.iter().find(|column| column.names.contains(&cell.as_str()))?;
            let in_its_place = self.find(column).filter(|_| !read.contains(&index))?;
            let (name, other) = (excerpt(cell), excerpt(self.name(in_its_place)));
            let meaning = column.meaning;
            let reason = if name == other {
                let (first, second) = (in_its_place + 1, index + 1);
                format!(
                    "two columns are called \"{name}\": column {first} is the {meaning}, column {second} is not read"
                )
            } else {
                format!("the column \"{name}\" is not read: \"{other}\" is the {meaning}")
            };
            Some(Problem { line: self.header_line_number, reason })
        };
        self.header.iter().enumerate().filter_map(of_cell).collect()
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
}

fn delimiter_of(header_line: &str) -> u8 {
    let is_there = |byte: &&u8| header_line.as_bytes().contains(byte);
    *[b'|', b'\t', b';', b','].iter().find(is_there).unwrap_or(&b',')
}

/// Names of the columns, see [`normalise`].
fn header_cells(line: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .trim(csv::Trim::All)
        .has_headers(false)
        .quoting(delimiter != b'|')
        .from_reader(line.trim_start_matches('#').as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => record.iter().map(normalise).collect(),
        _ => Vec::new(),
    }
}

fn broken(line: u64, reason: String) -> ReadError {
    ReadError::Broken { format: "table", line, column: 1, reason }
}

/// The rows that are not empty; cells that no column names are left out.
fn rows(body: &str, delimiter: u8, columns: usize, lines_before: u64) -> Result<Vec<Row>, ReadError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .has_headers(false)
        .quoting(delimiter != b'|')
        .from_reader(body.as_bytes());
    let decimal_mark = if delimiter == b';' { ',' } else { '.' };
    let mut rows = Vec::new();
    for record in reader.records() {
        let mut record = record.map_err(|error| {
            let line = lines_before + error.position().map_or(1, csv::Position::line);
            broken(line, "the row cannot be taken apart".to_owned())
        })?;
        let line = lines_before + record.position().map_or(1, |position| line_of(body, position));
        if record.iter().any(|cell| !cell.is_empty()) {
            if rows.len() == ROWS_MAX {
                return Err(broken(line, format!("at most {ROWS_MAX} rows are read; divide the table")));
            }
            record.truncate(columns);
            rows.push(Row { line, cells: record, decimal_mark });
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
