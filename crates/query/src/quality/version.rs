//! The version of rows of `waveform.segments`: column `quality`, which lakes of before lack.

use std::borrow::Cow;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result as DataFusionResult;
use datafusion::prelude::SessionContext;
use seislake_model::Result;
use seislake_mseed::Quality;
use seislake_tables::segments::{TABLE, names};

use crate::error::OfEngine;

/// The column as an expression: null where the table has none.
pub(crate) async fn column(context: &SessionContext) -> Result<String> {
    let table = context.table_provider(TABLE.full_name()).await.of_engine()?;
    Ok(match table.schema().column_with_name(names::quality) {
        Some(_) => names::quality.to_owned(),
        None => format!("CAST(NULL AS VARCHAR) AS {}", names::quality),
    })
}

/// Rank of the version of each row; that of `D`, which says that nothing is known, where the row does not say. `None` for a
/// row whose quality is none at all, whoever wrote it: readers pass over it, and the log tells.
pub(crate) fn ranks(batch: &RecordBatch) -> DataFusionResult<Vec<Option<u8>>> {
    let unknown = Some(Quality::Letter('D').publication_version());
    let Some(column) = batch.column_by_name(names::quality) else {
        return Ok(vec![unknown; batch.num_rows()]);
    };
    let texts = match column.data_type() {
        DataType::Utf8 => Cow::Borrowed(column),
        _ => Cow::Owned(cast(column, &DataType::Utf8)?),
    };
    let rank = |text: Option<&str>| match text.map(str::parse::<Quality>) {
        None => unknown,
        Some(quality) => quality.ok().map(|quality| quality.publication_version()),
    };
    let ranks: Vec<Option<u8>> = texts.as_string::<i32>().iter().map(rank).collect();
    let count = ranks.iter().filter(|rank| rank.is_none()).count();
    if count > 0 {
        tracing::warn!(table = %TABLE, count, "rows of unknown quality are passed over");
    }
    Ok(ranks)
}
