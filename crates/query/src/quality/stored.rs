//! Rows of the `quality.*` tables as they stand, by time and by patterns of source ids.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use seislake_model::{
    ComponentRatios, Continuity, Error, ErrorKind, Latency, Result, SignalLevel, Timestamp, Timing,
};
use seislake_tables::component_ratios::names::{instrument_id, start_time};
use seislake_tables::continuity::names::source_id;
use seislake_tables::{TableDef, TableRow, decode};

use super::{collected, literal};

/// What is stored of a stretch of time; rows by channel (or sensor), then time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// `quality.continuity`
    pub continuity: Vec<Continuity>,
    /// `quality.latency`
    pub latency: Vec<Latency>,
    /// `quality.component_ratios`
    pub component_ratios: Vec<ComponentRatios>,
    /// `quality.signal_levels`
    pub signal_levels: Vec<SignalLevel>,
    /// `quality.timing`
    pub timing: Vec<Timing>,
}

/// Rows that begin at or after `from` and before `to`, of channels whose source id matches one of the patterns (`*` any
/// text, `?` any character; no pattern: all).
pub async fn stored(
    context: &SessionContext,
    from: Timestamp,
    to: Timestamp,
    patterns: &[String],
) -> Result<Content> {
    let [from, to] = [from, to].map(|time| format!("to_timestamp_micros({})", time.micros()));
    let within = format!("{start_time} >= {from} AND {start_time} < {to}");
    let channels = matching(patterns, &[source_id]);
    // A sensor matches where one of its components does.
    let codes = ["Z", "N", "E", "1", "2"].map(|code| format!("concat({instrument_id}, '_{code}')"));
    let sensors = matching(patterns, &codes.each_ref().map(String::as_str));
    Ok(Content {
        continuity: rows(context, &within, &channels, source_id).await?,
        latency: rows(context, &within, &channels, source_id).await?,
        component_ratios: rows(context, &within, &sensors, instrument_id).await?,
        signal_levels: rows(context, &within, &channels, source_id).await?,
        timing: rows(context, &within, &channels, source_id).await?,
    })
}

async fn rows<R: TableRow>(
    context: &SessionContext,
    within: &str,
    condition: &str,
    key: &str,
) -> Result<Vec<R>> {
    let table = R::TABLE;
    let sql = format!("SELECT * FROM {table} WHERE {within}{condition} ORDER BY {key}, {start_time}");
    decoded(&collected(context, &sql).await?)
}

/// ` AND (...)`: one of the expressions matches one of the patterns.
fn matching(patterns: &[String], expressions: &[&str]) -> String {
    let mut clauses = Vec::new();
    for pattern in patterns {
        let pattern = literal(&regular_expression(pattern));
        clauses.extend(expressions.iter().map(|expression| format!("{expression} ~ {pattern}")));
    }
    if clauses.is_empty() { String::new() } else { format!(" AND ({})", clauses.join(" OR ")) }
}

/// A pattern with `*` and `?` as a regular expression over the whole text.
fn regular_expression(pattern: &str) -> String {
    let mut text = String::from("^");
    for character in pattern.chars() {
        match character {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            letter if letter.is_alphanumeric() || matches!(letter, '_' | ':') => text.push(letter),
            other => {
                text.push('\\');
                text.push(other);
            }
        }
    }
    text.push('$');
    text
}

/// The rows of a table. One that cannot be read is an error that names it, not a row less in a report.
fn decoded<R: TableRow>(batches: &[RecordBatch]) -> Result<Vec<R>> {
    let table = R::TABLE;
    let corrupt = |reason: String| {
        let message = format!("table \"{table}\" holds rows that cannot be read: {reason}");
        Error::new(ErrorKind::Corrupt, message)
    };
    let mut rows = Vec::new();
    for batch in batches {
        let decoded = decode(batch).map_err(|error| corrupt(error.to_string()))?;
        if let Some(first) = decoded.unreadable.first() {
            return Err(corrupt(format!("{} ({})", first.reason, identity(table, batch, first.index))));
        }
        rows.extend(decoded.rows);
    }
    Ok(rows)
}

/// What names a row, for a sentence.
fn identity(table: &TableDef, batch: &RecordBatch, index: usize) -> String {
    let cells = table.identity.iter().filter_map(|name| {
        let formatter = ArrayFormatter::try_new(batch.column_by_name(name)?, &FormatOptions::new()).ok()?;
        Some(formatter.value(index).to_string())
    });
    cells.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::regular_expression;

    #[test]
    fn patterns_match_whole_ids() {
        assert_eq!(regular_expression("FDSN:XX_*_?_Z"), "^FDSN:XX_.*_._Z$");
        assert_eq!(regular_expression("a.b'(c"), r"^a\.b\'\(c$");
    }
}
