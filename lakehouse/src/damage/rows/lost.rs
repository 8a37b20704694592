//! Records that have a row in `waveform.packets` and whose samples are in no segment.
//!
//! ```text
//! neither a segment nor the log holds it ─┬ its original is below raw/ ─► segments are made again from it
//!                                         └ it is not ──────────────────► lost: told, then forgotten
//! ```
//! While the packets and the index of records seen know a record, importing its file brings nothing back. A lost one is
//! therefore forgotten by both, once it was told of. The rows go last: while they are there, the next repair finds the
//! record again, whatever a repair that was killed had come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_catalog::OriginalReader;
use seislake_model::{ErrorKind, TimeBase};
use seislake_streams::put_state_aside;
use seislake_streams::topic::Record;
use seislake_tables::listed;
use seislake_tables::packets::{TABLE, names};
use sha2::{Digest, Sha256};

use super::{
    Finding, KnownOffsets, MissingRows, OFFSETS_MAX, PACKETS, Pieces, SEGMENTS, Spans, TableFindings,
};
use crate::Lakehouse;

/// Bytes of originals of which segments are made at once.
const ORIGINAL_BYTES_MAX: usize = 32 << 20;

/// Records of which nothing but a row of `waveform.packets` is left.
#[derive(Debug, Default)]
pub(in super::super) struct LostRecords {
    topics: Vec<LostOfTopic>,
    /// By network and station.
    told: BTreeMap<(String, String), TableFindings>,
}

#[derive(Debug)]
struct LostOfTopic {
    /// The home or share that has the topic.
    place: PathBuf,
    topic: String,
    offsets: KnownOffsets,
}

impl LostRecords {
    pub(in super::super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// One for each station.
    pub(in super::super) fn findings(&self) -> Vec<Finding> {
        let finding = |((network, station), told): (&(String, String), &TableFindings)| Finding {
            part: "rows",
            object: format!("station \"{network}.{station}\""),
            damage: format!(
                "the samples of {} records are neither in \"{SEGMENTS}\" nor in the log{}",
                told.row_count,
                told.times()
            ),
            lost: format!("{} records of {network}.{station}", told.row_count),
            remedy: "they are forgotten: import the files of this station again".into(),
        };
        self.told.iter().map(finding).collect()
    }

    /// Takes the rows of these records out of `waveform.packets`, and puts the indexes of records seen aside that know
    /// them: they are to be made again from log and tables. All logs must be closed.
    pub(in super::super) async fn forget(&self, lakehouse: &Lakehouse) -> anyhow::Result<()> {
        for lost in &self.topics {
            put_state_aside(&lost.place.join("state").join("seen.redb"))?;
        }
        lakehouse.lake().keep_rows(PACKETS, |batch| self.others(batch)).await?;
        Ok(())
    }

    /// Which rows of `waveform.packets` are of other records.
    fn others(&self, batch: &RecordBatch) -> seislake_catalog::Result<BooleanArray> {
        let column = |name: &str| {
            let missing = || format!("there is no column \"{name}\"");
            let column = batch.column_by_name(name).cloned();
            column.ok_or_else(|| seislake_catalog::Error::new(ErrorKind::Internal, missing()))
        };
        let (topics, partitions, offsets) = (column("topic")?, column("partition")?, column("offset")?);
        let (topics, partitions) = (topics.as_string::<i32>(), partitions.as_primitive::<Int32Type>());
        let offsets = offsets.as_primitive::<Int64Type>();
        let is_other = |row: usize| {
            let Some((partition, offset)) = position(partitions.value(row), offsets.value(row)) else {
                return true;
            };
            let is_lost =
                |lost: &LostOfTopic| lost.topic == topics.value(row) && lost.offsets.holds(partition, offset);
            !self.topics.iter().any(is_lost)
        };
        Ok((0..batch.num_rows()).map(is_other).collect::<Vec<bool>>().into())
    }
}

/// Partition and offset that a row names, where a log may have such.
fn position(partition: i32, offset: i64) -> Option<(u32, u64)> {
    let (partition, offset) = (u32::try_from(partition).ok()?, u64::try_from(offset).ok()?);
    (offset < OFFSETS_MAX).then_some((partition, offset))
}

impl MissingRows<'_> {
    /// Looks for records that neither a segment (`spans`) nor the log holds.
    pub(super) async fn without_samples(
        &mut self,
        place: &Path,
        topic: &str,
        session: &SessionContext,
        spans: &Spans,
        in_log: &KnownOffsets,
    ) -> anyhow::Result<()> {
        let sql = format!(
            "SELECT {} FROM {TABLE} WHERE {} = '{}' AND {} > 0",
            listed(&[
                names::partition,
                names::offset,
                names::source_id,
                names::network,
                names::station,
                names::start_ns,
                names::last_sample_time,
                names::sample_rate_hz,
                names::sample_count,
                names::object_uri,
                names::sha256,
            ]),
            names::topic,
            topic.replace('\'', "''"),
            names::sample_count
        );
        let mut batches = seislake_query::query(session, &sql).await?;
        let mut stored = self.lakehouse.lake().originals();
        let (mut originals, mut original_bytes) = (Pieces::new(), 0);
        let mut offsets = KnownOffsets::default();
        let told_before = self.lost.record_count();
        while let Some(batch) = batches.try_next().await? {
            let text = |column: usize| batch.column(column).as_string::<i32>();
            let integer = |column: usize| batch.column(column).as_primitive::<Int64Type>();
            let (partitions, numbers) = (batch.column(0).as_primitive::<Int32Type>(), integer(1));
            let (sources, networks, stations, uris, hashes) = (text(2), text(3), text(4), text(9), text(10));
            let (starts, counts) = (integer(5), integer(8));
            let ends = batch.column(6).as_primitive::<TimestampMicrosecondType>();
            let rates = batch.column(7).as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let Some((partition, offset)) = position(partitions.value(row), numbers.value(row)) else {
                    continue;
                };
                // The column is rounded down to a microsecond.
                let (source, start_ns) = (sources.value(row), starts.value(row));
                let last_ns = ends.value(row).saturating_mul(1000).max(start_ns);
                let count = counts.value(row).unsigned_abs();
                let no_series = TimeBase::new(start_ns, last_ns, rates.value(row), count).is_none();
                if no_series || in_log.holds(partition, offset) || spans.hold(source, start_ns, last_ns) {
                    continue;
                }
                let uri = uris.is_valid(row).then(|| uris.value(row));
                let Some(value) = original(&mut stored, uri, hashes.value(row)).await? else {
                    offsets.add(partition, offset);
                    self.lost.note(networks.value(row), stations.value(row), (start_ns, last_ns));
                    continue;
                };
                original_bytes += value.len();
                let key = Bytes::copy_from_slice(source.as_bytes());
                let record = Record { offset, key, value, arrival_time: None };
                originals.entry(partition).or_default().push(record);
                if original_bytes > ORIGINAL_BYTES_MAX {
                    self.make_again(topic, SEGMENTS, std::mem::take(&mut originals)).await?;
                    original_bytes = 0;
                }
            }
        }
        self.make_again(topic, SEGMENTS, originals).await?;
        if self.lost.record_count() > told_before {
            self.lost.topics.push(LostOfTopic { place: place.to_owned(), topic: topic.to_owned(), offsets });
        }
        Ok(())
    }
}

impl LostRecords {
    fn record_count(&self) -> usize {
        self.told.values().map(|told| told.row_count).sum()
    }

    fn note(&mut self, network: &str, station: &str, (start_ns, last_ns): (i64, i64)) {
        let told = self.told.entry((network.to_owned(), station.to_owned())).or_default();
        told.row_count += 1;
        told.note(start_ns, last_ns);
    }
}

/// The record that a row names below `raw/`; `None` where it names none, or what is there is not the record of the row.
///
/// # Errors
/// A store that cannot be asked: what it holds is not lost.
async fn original(
    stored: &mut OriginalReader,
    uri: Option<&str>,
    sha256: &str,
) -> anyhow::Result<Option<Bytes>> {
    let Some(uri) = uri else { return Ok(None) };
    match stored.read(uri).await {
        // A copy: the reader's is a part of a whole object, which would stay in memory with it.
        Ok(record) if hex::encode(Sha256::digest(&record)) == sha256 => {
            Ok(Some(Bytes::copy_from_slice(&record)))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Invalid) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
