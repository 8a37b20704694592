//! Rows of availability as text, GeoCSV, JSON and as lines for another request.

use std::fmt::Write;

use seislake_model::Timestamp;
use serde_json::{Map, Value, json};

use super::spans::Span;

/// Which method's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Time spans.
    Query,
    /// Extents.
    Extent,
}

/// What the rows show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFields {
    pub(crate) method: Method,
    pub(crate) quality: bool,
    pub(crate) sample_rate: bool,
    /// The time of the latest change; extents always have it.
    pub(crate) updated: bool,
}

/// With microseconds, as the service writes times of samples.
fn precise(time: Timestamp) -> String {
    let text = Timestamp::from_micros(time.micros()).to_string();
    let digits = text.split_once('.').map_or(0, |(_, rest)| rest.len() - 1);
    format!("{}{}Z", text.trim_end_matches('Z'), "0".repeat(6_usize.saturating_sub(digits)))
}

/// To the second.
pub(crate) fn coarse(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('.').map_or(text.clone(), |(head, _)| format!("{head}Z"))
}

struct Field {
    /// Heading in text.
    short: &'static str,
    /// Heading in GeoCSV.
    long: &'static str,
    unit: &'static str,
    kind: &'static str,
    /// Width of a column that is aligned to the right.
    right: Option<usize>,
    value: fn(&Span) -> String,
}

/// The fields shown, in order.
fn fields(shown: RowFields) -> Vec<Field> {
    let field = |short, long, unit, kind, right, value| Field { short, long, unit, kind, right, value };
    let text = |short, long, value| field(short, long, "unitless", "string", None, value);
    let time = |name, value| field(name, name, "ISO_8601", "datetime", None, value);
    let mut fields = vec![
        text("#N", "Network", |span| span.source_id.network().to_owned()),
        text("S", "Station", |span| span.source_id.station().to_owned()),
        text("L", "Location", |span| span.source_id.location().to_owned()),
        text("C", "Channel", |span| span.source_id.channel()),
    ];
    if shown.quality {
        // The blanks are those of the service that this form comes from.
        fields.push(field("Q", "Quality", "unitless ", "string ", None, |span| span.quality.to_string()));
    }
    if shown.sample_rate {
        let value = |span: &Span| format!("{:?}", span.rate_hz);
        fields.push(field("SampleRate", "SampleRate", "hertz ", "float ", Some(11), value));
    }
    fields.push(time("Earliest", |span| precise(span.start)));
    fields.push(time("Latest", |span| precise(span.end)));
    if shown.updated || shown.method == Method::Extent {
        fields.push(time("Updated", |span| coarse(span.updated)));
    }
    if shown.method == Method::Extent {
        let count = |span: &Span| span.span_count.to_string();
        fields.push(field("TimeSpans", "TimeSpans", "unitless", "integer", Some(10), count));
        fields.push(text("Restriction", "Restriction", |span| restriction(span).to_owned()));
    }
    fields
}

const fn restriction(span: &Span) -> &'static str {
    if span.restricted { "RESTRICTED" } else { "OPEN" }
}

/// Columns of equal width; a blank location is `--`.
pub(crate) fn text(rows: &[Span], shown: RowFields) -> String {
    let mut columns: Vec<Vec<String>> = Vec::new();
    for field in fields(shown) {
        let values = rows.iter().map(|row| match (field.value)(row) {
            blank if blank.is_empty() => "--".to_owned(),
            value => value,
        });
        let cells: Vec<String> = std::iter::once(field.short.to_owned()).chain(values).collect();
        let widest = cells.iter().map(String::len).max().unwrap_or(0);
        let align = |cell: String| match field.right {
            Some(width) => format!("{cell:>width$}", width = widest.max(width)),
            None => format!("{cell:<widest$}"),
        };
        columns.push(cells.into_iter().map(align).collect());
    }
    let mut out = String::new();
    for line in 0..=rows.len() {
        let cells: Vec<&str> =
            columns.iter().filter_map(|column| column.get(line)).map(String::as_str).collect();
        let _ = writeln!(out, "{}", cells.join("  "));
    }
    out
}

/// GeoCSV 2.0.
pub(crate) fn geocsv(rows: &[Span], shown: RowFields) -> String {
    let fields = fields(shown);
    let joined = |part: fn(&Field) -> &'static str| fields.iter().map(part).collect::<Vec<_>>().join("|");
    let mut out = format!(
        "#dataset: GeoCSV 2.0\n#delimiter: |\n#field_unit: {}\n#field_type: {}\n{}\n",
        joined(|field| field.unit),
        joined(|field| field.kind),
        joined(|field| field.long)
    );
    for row in rows {
        let cells: Vec<String> = fields.iter().map(|field| (field.value)(row)).collect();
        let _ = writeln!(out, "{}", cells.join("|"));
    }
    out
}

/// Lines that a body of POST may hold.
pub(crate) fn request(rows: &[Span]) -> String {
    let mut out = String::new();
    for row in rows {
        let id = &row.source_id;
        let location = if id.location().is_empty() { "--" } else { id.location() };
        let (start, end) = (precise(row.start), precise(row.end));
        let _ = writeln!(out, "{} {} {location} {} {start} {end}", id.network(), id.station(), id.channel());
    }
    out
}

/// One object; spans of `query` stand in lists by channel, as long as they follow each other.
pub(crate) fn json(rows: &[Span], shown: RowFields, created_at: Timestamp) -> String {
    let mut sources: Vec<Map<String, Value>> = Vec::new();
    let mut open: Option<Map<String, Value>> = None;
    for row in rows {
        let head = head(row, shown);
        let span = json!([precise(row.start), precise(row.end)]);
        match (shown.method, &open, sources.last_mut()) {
            (Method::Query, Some(last), Some(source)) if *last == head => {
                if let Some(Value::Array(spans)) = source.get_mut("timespans") {
                    spans.push(span);
                }
            }
            (Method::Query, ..) => {
                let mut source = head.clone();
                source.insert("timespans".into(), json!([span]));
                sources.push(source);
            }
            (Method::Extent, ..) => {
                let mut source = head.clone();
                source.insert("earliest".into(), precise(row.start).into());
                source.insert("latest".into(), precise(row.end).into());
                source.insert("timespanCount".into(), row.span_count.into());
                source.insert("updated".into(), coarse(row.updated).into());
                source.insert("restriction".into(), restriction(row).into());
                sources.push(source);
            }
        }
        open = Some(head);
    }
    json!({"created": coarse(created_at), "version": 1.0, "datasources": sources}).to_string()
}

fn head(row: &Span, shown: RowFields) -> Map<String, Value> {
    let id = &row.source_id;
    let mut head = Map::new();
    head.insert("network".into(), id.network().into());
    head.insert("station".into(), id.station().into());
    head.insert("location".into(), id.location().into());
    head.insert("channel".into(), id.channel().into());
    if shown.quality {
        head.insert("quality".into(), row.quality.to_string().into());
    }
    if shown.sample_rate {
        head.insert("samplerate".into(), row.rate_hz.into());
    }
    if shown.updated && shown.method == Method::Query {
        head.insert("updated".into(), coarse(row.updated).into());
    }
    head
}
