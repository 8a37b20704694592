//! Rows of the `quality.*` tables as they stand, by time and by patterns of source ids.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::prelude::SessionContext;
use seislake_model::{
    ComponentRatios, Condition, Continuity, ErrorKind, Latency, SignalLevel, SourceId, Span, Timestamp,
    Timing,
};

use super::literal;
use crate::QueryError;
use crate::error::Result;

/// What is stored of a stretch of time; rows by channel (or sensor), then time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
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
) -> Result<Stored> {
    let [from, to] = [from, to].map(|time| format!("to_timestamp_micros({})", time.micros()));
    let within = format!("start_time >= {from} AND start_time < {to}");
    let channels = matching(patterns, &["source_id"]);
    // A sensor matches where one of its components does.
    let codes = ["Z", "N", "E", "1", "2"].map(|code| format!("concat(instrument_id, '_{code}')"));
    let sensors = matching(patterns, &codes.each_ref().map(String::as_str));
    let rows = async |table: &str, condition: &str, key: &str| {
        let sql =
            format!("SELECT * FROM quality.{table} WHERE {within}{condition} ORDER BY {key}, start_time");
        Ok::<_, QueryError>(context.sql(&sql).await?.collect().await?)
    };
    Ok(Stored {
        continuity: decode("continuity", &rows("continuity", &channels, "source_id").await?, continuity)?,
        latency: decode("latency", &rows("latency", &channels, "source_id").await?, latency)?,
        component_ratios: decode(
            "component_ratios",
            &rows("component_ratios", &sensors, "instrument_id").await?,
            ratios,
        )?,
        signal_levels: decode("signal_levels", &rows("signal_levels", &channels, "source_id").await?, level)?,
        timing: decode("timing", &rows("timing", &channels, "source_id").await?, timing)?,
    })
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

/// One row of a batch, by column names; a column that is not there or null reads as none.
struct Row<'a> {
    batch: &'a RecordBatch,
    index: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name).filter(|column| column.is_valid(self.index))
    }

    fn text(&self, name: &str) -> Option<&str> {
        Some(self.column(name)?.as_string_opt::<i32>()?.value(self.index))
    }

    fn number<T: ArrowPrimitiveType>(&self, name: &str) -> Option<T::Native> {
        Some(self.column(name)?.as_primitive_opt::<T>()?.value(self.index))
    }

    fn double(&self, name: &str) -> Option<f64> {
        self.number::<Float64Type>(name)
    }

    fn count(&self, name: &str) -> Option<u64> {
        u64::try_from(self.number::<Int64Type>(name)?).ok()
    }

    fn start_time(&self) -> Option<Timestamp> {
        self.number::<TimestampMicrosecondType>("start_time").map(Timestamp::from_micros)
    }

    fn source_id(&self) -> Option<SourceId> {
        self.text("source_id")?.parse().ok()
    }

    fn list<T: ArrowPrimitiveType>(&self, name: &str) -> Option<Vec<T::Native>> {
        let list = self.column(name)?.as_list_opt::<i32>()?.value(self.index);
        Some(list.as_primitive_opt::<T>()?.values().to_vec())
    }

    fn spans(&self, begins: &str, ends: &str) -> Option<Vec<Span>> {
        let (begins, ends) = (self.list::<Int64Type>(begins)?, self.list::<Int64Type>(ends)?);
        let moments = begins.into_iter().zip(ends);
        let spans = moments.map(|(begin, end)| Span {
            start_time: Timestamp::from_nanos(begin),
            end_time: Timestamp::from_nanos(end),
        });
        Some(spans.collect())
    }
}

/// The rows of a table. One that cannot be read is an error that names it, not a row less in a report.
fn decode<T>(table: &str, batches: &[RecordBatch], row: impl Fn(&Row<'_>) -> Option<T>) -> Result<Vec<T>> {
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| Row { batch, index }));
    let unreadable = |at: &Row<'_>| {
        let id = at.text("source_id").or_else(|| at.text("instrument_id")).unwrap_or("without an id");
        let time = at.start_time().map_or_else(|| "unknown time".to_owned(), |time| time.to_string());
        let message =
            format!("table \"quality.{table}\" holds a row that cannot be read: \"{id}\" at {time}");
        QueryError { kind: ErrorKind::Corrupt, message, source: None }
    };
    rows.map(|at| row(&at).ok_or_else(|| unreadable(&at))).collect()
}

fn continuity(row: &Row<'_>) -> Option<Continuity> {
    Some(Continuity {
        source_id: row.source_id()?,
        start_time: row.start_time()?,
        sample_rate_hz: row.double("sample_rate_hz")?,
        sample_count: row.count("sample_count")?,
        expected_count: row.count("expected_count")?,
        repeated_count: row.count("repeated_count")?,
        gap_count: row.count("gap_count")?,
        gap_s: row.double("gap_s")?,
        overlap_count: row.count("overlap_count")?,
        overlap_s: row.double("overlap_s")?,
        gaps: row.spans("gap_start_ns", "gap_end_ns")?,
        overlaps: row.spans("overlap_start_ns", "overlap_end_ns")?,
    })
}

fn latency(row: &Row<'_>) -> Option<Latency> {
    Some(Latency {
        source_id: row.source_id()?,
        start_time: row.start_time()?,
        packet_count: row.count("packet_count")?,
        latency_min_s: row.double("latency_min_s")?,
        latency_p50_s: row.double("latency_p50_s")?,
        latency_p90_s: row.double("latency_p90_s")?,
        latency_p99_s: row.double("latency_p99_s")?,
        latency_max_s: row.double("latency_max_s")?,
        bin_counts: row.list::<Int32Type>("bin_counts")?,
    })
}

fn ratios(row: &Row<'_>) -> Option<ComponentRatios> {
    Some(ComponentRatios {
        instrument_id: row.text("instrument_id")?.to_owned(),
        start_time: row.start_time()?,
        components: row.text("components")?.to_owned(),
        sample_rate_hz: row.double("sample_rate_hz")?,
        low_hz: row.double("low_hz")?,
        high_hz: row.double("high_hz")?,
        window_count: row.count("window_count")?,
        north_east: row.double("north_east"),
        vertical_east: row.double("vertical_east"),
        vertical_north: row.double("vertical_north"),
    })
}

fn level(row: &Row<'_>) -> Option<SignalLevel> {
    let words = [Condition::Good, Condition::Dead, Condition::Clipped, Condition::Spiky];
    let word = row.text("condition")?;
    Some(SignalLevel {
        source_id: row.source_id()?,
        start_time: row.start_time()?,
        sample_count: row.count("sample_count")?,
        minimum: row.double("minimum")?,
        maximum: row.double("maximum")?,
        mean: row.double("mean")?,
        rms: row.double("rms")?,
        constant_s: row.double("constant_s")?,
        clipped_count: row.count("clipped_count")?,
        spike_count: row.count("spike_count")?,
        condition: words.into_iter().find(|condition| condition.as_str() == word)?,
    })
}

fn timing(row: &Row<'_>) -> Option<Timing> {
    Some(Timing {
        source_id: row.source_id()?,
        start_time: row.start_time()?,
        packet_count: row.count("packet_count")?,
        stated_count: row.count("stated_count")?,
        timing_quality_min: row.number::<Int32Type>("timing_quality_min")?,
        timing_quality_p50: row.double("timing_quality_p50")?,
        timing_quality_mean: row.double("timing_quality_mean")?,
    })
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
