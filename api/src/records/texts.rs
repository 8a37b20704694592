//! Text records (log channels): where they are kept. They hold no samples and so have no row in `waveform.segments`;
//! what they say is read from the original records.

use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt};
use seislake_model::{SourceId, Timestamp};

use crate::error::{ApiError, ErrorCode};
use crate::read::{Conditions, FromRow, Interval, Row, Selection, add_conditions, query_failure, read};

const WHAT: &str = "the index of text records";

/// A text record, and where its original is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRecord {
    /// Channel.
    pub source_id: SourceId,
    /// Partition of the topic of raw records.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// Where the original is stored in the warehouse, if it is kept there.
    pub object_uri: Option<String>,
}

impl FromRow for TextRecord {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let damaged =
            |_| ApiError::new(ErrorCode::Corrupt, "column \"offset\" of waveform.packets is damaged");
        Ok(Self {
            source_id: row.source_id("source_id")?,
            partition: row.count("partition")?,
            offset: u64::try_from(row.integer("offset")?).map_err(damaged)?,
            object_uri: row.optional_text("object_uri")?.map(str::to_owned),
        })
    }
}

/// The text records that start in an interval (start included, end not; open-ended where `None`) of the channels that
/// `source` names, as in [`super::records`]: by channel and time, those of one time as they came.
///
/// # Errors
/// Where `source` is no source; those of the session.
pub async fn text_records(
    context: &SessionContext,
    source: Option<&str>,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
) -> Result<impl Stream<Item = Result<Vec<TextRecord>, ApiError>> + Send + 'static, ApiError> {
    let mut conditions = Conditions::default();
    let selection = Selection::of_source(source, Interval { min: None, max: None })?;
    add_conditions(std::slice::from_ref(&selection), &mut conditions);
    conditions.add("encoding = 'text'");
    if let Some(from) = from {
        conditions.add(format!("start_ns >= {}", from.nanos()));
    }
    if let Some(to) = to {
        conditions.add(format!("start_ns < {}", to.nanos()));
    }
    let sql = format!(
        "SELECT source_id, \"partition\", \"offset\", object_uri FROM waveform.packets WHERE {} \
         ORDER BY source_id, start_ns, \"partition\", \"offset\"",
        conditions.joined(),
    );
    let batches = conditions.stream(context, WHAT, &sql).await?;
    Ok(batches.map(move |batch| {
        let batch = batch.map_err(|error| query_failure(WHAT, &error))?;
        let mut rows: Vec<TextRecord> = read(std::slice::from_ref(&batch))?;
        rows.retain(|row| selection.takes(&row.source_id));
        Ok(rows)
    }))
}
