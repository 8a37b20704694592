use arrow::array::{ArrayRef, Float64Builder, ListBuilder, RecordBatch};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::{Error, ErrorKind};

use super::*;
use crate::SessionSettings;
use crate::error::OfEngine;

const ROWS: usize = 40;
const SAMPLES: usize = 10_000;

/// A session over `bulletin.lists`: 40 rows of 80 kB each, as doubles.
fn session(memory_bytes_max: usize) -> SessionContext {
    let mut lists = ListBuilder::new(Float64Builder::new());
    for row in 0..ROWS {
        lists.append_value((0..SAMPLES).map(|sample| Some((row + sample) as f64)));
    }
    let batch = RecordBatch::try_from_iter([("samples", Arc::new(lists.finish()) as ArrayRef)]).unwrap();
    let schema = MemorySchemaProvider::new();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    schema.register_table("lists".into(), Arc::new(table)).unwrap();
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("bulletin", Arc::new(schema)).unwrap();
    let settings = SessionSettings { memory_bytes_max, target_partitions: 1, batch_size: 8192 };
    crate::session(Arc::new(catalog), &settings).unwrap()
}

async fn run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    crate::query(context, sql).await?.try_collect().await.of_engine()
}

#[tokio::test]
async fn lists_beyond_the_memory_of_the_session_end_the_statement_with_a_sentence() {
    const SQL: &str = "SELECT count(envelope(demean(samples))) AS n FROM lists";
    assert_eq!(run(&session(64 << 20), SQL).await.unwrap()[0].num_rows(), 1);
    // Batches are cut to single rows, and one is still too much.
    let context = session(1 << 17);
    let error = run(&context, SQL).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    let sentence =
        "the statement needs more memory than the session may use: ask for less, or raise query.memory_bytes";
    assert_eq!(error.message, sentence);
    // What a call held is given back: a smaller statement has its turn.
    assert!(run(&context, "SELECT rms([1.0, 2.0, 3.0])").await.is_ok());
    assert_eq!(context.runtime_env().memory_pool.reserved(), 0);
}

#[tokio::test]
async fn rows_with_lists_travel_in_small_batches_and_others_do_not() {
    let context = session(64 << 20);
    let joined =
        run(&context, "SELECT a.samples FROM lists a CROSS JOIN generate_series(1, 50)").await.unwrap();
    assert_eq!(joined.iter().map(RecordBatch::num_rows).sum::<usize>(), 50 * ROWS);
    let largest = joined.iter().map(RecordBatch::num_rows).max().unwrap();
    assert!(largest <= LIST_ROWS_MAX, "a batch of {largest} rows");
    let numbers = run(&context, "SELECT value FROM generate_series(1, 5000)").await.unwrap();
    assert!(numbers.iter().any(|batch| batch.num_rows() == 5000));
}
