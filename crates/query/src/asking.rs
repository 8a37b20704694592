//! Questions of tests, and their answers as text.

use std::sync::Arc;

use datafusion::catalog::MemoryCatalogProvider;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::{SessionSettings, of_engine, query, session};

/// A session without tables and with little memory.
pub(crate) fn small_session() -> SessionContext {
    let settings = SessionSettings { memory_bytes_max: 64 << 20, ..SessionSettings::default() };
    session(Arc::new(MemoryCatalogProvider::new()), &settings).unwrap()
}

/// All rows (`a,b;a,b`, nulls empty), or the sentence.
pub(crate) async fn answer(sql: &str) -> Result<String, String> {
    answer_of(&small_session(), sql).await
}

/// As [`answer`], of a session with tables.
pub(crate) async fn answer_of(context: &SessionContext, sql: &str) -> Result<String, String> {
    let batches = query(context, sql).await.map_err(|error| error.to_string())?;
    let batches: Vec<_> = batches.try_collect().await.map_err(|error| of_engine(error).to_string())?;
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    let text = |(batch, row): (&arrow::array::RecordBatch, usize)| {
        let cells = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::array_value_to_string(column, row).unwrap_or_default());
        cells.collect::<Vec<_>>().join(",")
    };
    Ok(rows.map(text).collect::<Vec<_>>().join(";"))
}

/// Asks statements below the tables of `with`, each with the answer it must have.
pub(crate) async fn check_all(with: &str, cases: &[(&str, &str)]) {
    let mut wrong = vec![];
    for (sql, expected) in cases {
        let said = answer(&format!("{with} {sql}")).await;
        if said.as_deref() != Ok(expected) {
            wrong.push(format!("{sql}: {said:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
