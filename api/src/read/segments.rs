//! Waveform segments of one channel in a window of time; samples only where asked for.

use datafusion::prelude::SessionContext;
use seislake_model::{SourceId, Timestamp};
use seislake_tables::listed;
use seislake_tables::segments as table;
use seislake_tables::segments::names as column;

use super::columns::{FromRow, Row, read};
use super::page::{Interval, Page, Total};
use super::statement::Conditions;
use crate::error::ApiError;

/// Which segments: those that share a moment with the window.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFilter {
    pub(crate) source_id: SourceId,
    pub(crate) window: Interval<Timestamp>,
}

/// A segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentRow {
    pub(crate) source_id: SourceId,
    pub(crate) start_time: Timestamp,
    pub(crate) end_time: Timestamp,
    pub(crate) sample_rate_hz: f64,
    pub(crate) sample_count: u32,
    pub(crate) encoding: String,
    /// Partition and offset of the first record: breaks ties between segments that begin at the same moment.
    pub(crate) position: String,
    /// Samples; `None` where they were not asked for.
    pub(crate) samples: Option<Vec<f64>>,
}

/// Whether samples travel with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithSamples {
    /// Header columns only: sample files are not touched.
    No,
    /// All samples of the segments.
    Yes,
}

impl SegmentFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.one_of(column::source_id, [self.source_id.as_str()].into_iter());
        if let Some(from) = self.window.min {
            let from = conditions.time(from);
            conditions.add(format!("{} >= {from}", column::end_time));
        }
        if let Some(to) = self.window.max {
            let to = conditions.time(to);
            conditions.add(format!("{} <= {to}", column::start_time));
        }
        conditions
    }
}

/// Partition and offset, as [`SegmentRow::position`].
fn position_of_row() -> String {
    format!("concat(\"{}\", '/', \"{}\")", column::partition, column::offset)
}

/// A page of segments, oldest first.
pub(crate) async fn segments(
    context: &SessionContext,
    filter: &SegmentFilter,
    with_samples: WithSamples,
    page: &Page,
) -> Result<Vec<SegmentRow>, ApiError> {
    let mut conditions = filter.conditions();
    if let Some(after) = &page.after {
        let (time, position) =
            (conditions.time(Timestamp::from_micros(after.micros)), conditions.text(&after.id));
        let start = column::start_time;
        conditions
            .add(format!("({start} > {time} OR ({start} = {time} AND {} > {position}))", position_of_row()));
    }
    let samples = match with_samples {
        WithSamples::Yes => format!(", {}", listed(&[column::samples, column::samples_float])),
        WithSamples::No => String::new(),
    };
    let columns = [
        column::source_id,
        column::start_ns,
        column::end_ns,
        column::sample_rate_hz,
        column::sample_count,
        column::encoding,
    ];
    let sql = format!(
        "SELECT {}, {} AS position{samples} FROM {} WHERE {} ORDER BY {}, position LIMIT {} OFFSET {}",
        listed(&columns),
        position_of_row(),
        table::TABLE,
        conditions.joined(),
        column::start_time,
        page.limit,
        page.offset
    );
    read(&conditions.run(context, "waveform segments", &sql).await?)
}

/// How many segments pass the filter.
pub(crate) async fn count_segments(
    context: &SessionContext,
    filter: &SegmentFilter,
) -> Result<i64, ApiError> {
    let conditions = filter.conditions();
    let sql = format!("SELECT count(*) AS total FROM {} WHERE {}", table::TABLE, conditions.joined());
    let totals: Vec<Total> = read(&conditions.run(context, "waveform segments", &sql).await?)?;
    Ok(totals.first().map_or(0, |total| total.0))
}

impl FromRow for SegmentRow {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let samples = if row.has(column::samples) {
            let integers = row.optional_list(column::samples)?;
            if integers.is_some() { integers } else { row.optional_list(column::samples_float)? }
        } else {
            None
        };
        Ok(Self {
            source_id: row.source_id(column::source_id)?,
            start_time: row.nanos(column::start_ns)?,
            end_time: row.nanos(column::end_ns)?,
            sample_rate_hz: row.number(column::sample_rate_hz)?,
            sample_count: row.count(column::sample_count)?,
            encoding: row.text(column::encoding)?.to_owned(),
            position: row.text("position")?.to_owned(),
            samples,
        })
    }
}
