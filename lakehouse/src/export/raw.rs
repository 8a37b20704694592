//! The original records of a home, byte for byte.

use anyhow::{anyhow, bail};
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use seislake_model::{SourceId, Timestamp};
use seislake_tables::listed;
use seislake_tables::packets::{TABLE, names};
use sha2::{Digest, Sha256};

use crate::Lakehouse;
use crate::originals::{Originals, Place};

/// Which records.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Those that end at or after this time.
    pub from: Option<Timestamp>,
    /// Those that begin before this time.
    pub to: Option<Timestamp>,
    /// A source id, or `NET.STA.LOC.CHA` with wildcards.
    pub source: Option<&'a str>,
}

/// Records that could not be read, and why the first of them could not.
#[derive(Debug, Default)]
pub struct LostOriginals {
    pub count: usize,
    pub first: Option<anyhow::Error>,
}

impl LostOriginals {
    pub fn add(&mut self, error: anyhow::Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }
}

/// Writes the original records by source id and time, of the channels that `takes` takes too. Those that cannot be read are
/// left out and returned.
///
/// # Errors
/// Where there are records and none of them can be read, a lake that cannot be read, and those of `write`.
pub async fn write_records(
    lakehouse: &Lakehouse,
    mut originals: Originals,
    selection: Selection<'_>,
    takes: impl Fn(&SourceId) -> bool + Send,
    mut write: impl FnMut(&[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<LostOriginals> {
    let mut batches = seislake_query::query(&lakehouse.session()?, &statement(selection)).await?;
    let (mut record_count, mut lost) = (0_usize, LostOriginals::default());
    while let Some(batch) = batches.try_next().await? {
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let integer = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let (topics, partitions, offsets, uris, hashes) = (text(0), integer(1), integer(2), text(3), text(4));
        let ids = text(5);
        for row in 0..batch.num_rows() {
            if !ids.value(row).parse().is_ok_and(|source_id| takes(&source_id)) {
                continue;
            }
            let uri = uris.is_valid(row).then(|| uris.value(row));
            let place = (u32::try_from(partitions.value(row)), u64::try_from(offsets.value(row)));
            let (Ok(partition), Ok(offset)) = place else {
                lost.add(anyhow!("a row of waveform.packets names no place of the log"));
                continue;
            };
            let read = originals.read(Place { uri, topic: topics.value(row), partition, offset }).await;
            match read.map_err(Into::into).and_then(|record| as_it_came(record, hashes.value(row))) {
                Ok(record) => {
                    write(&record)?;
                    record_count += 1;
                }
                Err(error) => lost.add(error),
            }
        }
    }
    match lost.first {
        Some(error) if record_count == 0 => Err(error),
        _ => Ok(lost),
    }
}

/// Asks for place, hash and source id of the records.
fn statement(selection: Selection<'_>) -> String {
    let Selection { from, to, source } = selection;
    let literal = |time: Timestamp| format!("to_timestamp_micros({})", time.micros());
    let mut clauses = vec!["true".to_owned()];
    clauses.extend(from.map(|from| format!("{} >= {}", names::last_sample_time, literal(from))));
    clauses.extend(to.map(|to| format!("{} < {}", names::start_time, literal(to))));
    // An identifier names one channel: files of others need not be looked at.
    let identifier = source.and_then(|source| source.parse::<SourceId>().ok());
    if let Some(id) = identifier.filter(|id| !id.as_str().contains(['*', '?', '%', '\''])) {
        let id = SourceId::from_nslc(id.network(), id.station(), id.location(), &id.channel());
        clauses.push(format!("{} = '{id}'", names::source_id));
    }
    format!(
        "SELECT {}, CAST({} AS BIGINT), {} FROM {TABLE} WHERE {} ORDER BY {}",
        names::topic,
        names::partition,
        listed(&[names::offset, names::object_uri, names::sha256, names::source_id]),
        clauses.join(" AND "),
        listed(&[names::source_id, names::start_ns, names::sha256])
    )
}

/// The record, if it is the one that its row was made of.
fn as_it_came(record: Bytes, sha256: &str) -> anyhow::Result<Bytes> {
    if hex::encode(Sha256::digest(&record)) == sha256 {
        Ok(record)
    } else {
        bail!("an original record is not the one of its row: its SHA-256 is not {sha256}")
    }
}
