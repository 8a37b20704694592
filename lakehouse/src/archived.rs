//! Records that the log of a home has lost and its tables still hold.

use std::ops::Range;

use async_trait::async_trait;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use seislake_model::{ErrorKind, Offset};
use seislake_streams::Error;
use seislake_streams::gate::{ArchivedRecord, ArchivedRecords};
use seislake_tables::listed;
use seislake_tables::packets::{TABLE, names};

use crate::Lakehouse;

const READ: &str = "read the records that the tables hold";

/// Rows of `waveform.packets`.
#[derive(Debug)]
pub(crate) struct ArchivedPackets(pub(crate) Lakehouse);

#[async_trait]
impl ArchivedRecords for ArchivedPackets {
    async fn records(
        &self,
        topic: &str,
        partition: u32,
        offsets: Range<Offset>,
    ) -> Result<Vec<ArchivedRecord>, Error> {
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::caused(ErrorKind::Unavailable, READ, cause)
        };
        let sql = format!(
            "SELECT {} FROM {TABLE} WHERE {} = '{}' AND {} = {partition} AND {offset} >= {} AND {offset} < {}",
            listed(&[names::source_id, names::start_ns, names::sha256]),
            names::topic,
            topic.replace('\'', "''"),
            names::partition,
            offsets.start,
            offsets.end,
            offset = listed(&[names::offset])
        );
        let session = self.0.session().map_err(|error| failed(error.into()))?;
        let stream = seislake_query::query(&session, &sql).await;
        let mut batches = stream.map_err(|error| failed(error.into()))?;
        let mut records = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(|error| failed(error.into()))? {
            let sources = batch.column(0).as_string::<i32>();
            let starts = batch.column(1).as_primitive::<Int64Type>();
            let hashes = batch.column(2).as_string::<i32>();
            for row in 0..batch.num_rows() {
                // A row whose hash is none is of no use here.
                let Some(sha256) = bytes_of(hashes.value(row)) else { continue };
                let source_id = sources.value(row).to_owned();
                records.push(ArchivedRecord { source_id, start_ns: starts.value(row), sha256 });
            }
        }
        Ok(records)
    }
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 2 * bytes.len() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
