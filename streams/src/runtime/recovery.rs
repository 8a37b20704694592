//! A log that lost its end goes on behind everything that tables and checkpoints know of it.
//!
//! Offsets are never given twice: the tables say which records they hold by their offsets. What lay between the end of the
//! log and the place where it goes on is read as lost records.

use std::collections::BTreeMap;
use std::time::Duration;

use seislake_model::{ErrorKind, LogRange, Offsets};
use seislake_tables::Sink;

use super::CheckpointStore;
use super::pipeline::Topics;
use crate::Error;
use crate::topic::Log;
use crate::topology::Topology;

/// Nothing that was ever in a log lies further behind its end: such an offset is damage itself.
const LOST_MAX: u64 = 1 << 32;

/// Bytes of records looked at at once.
const READ_BYTES: usize = 8 << 20;

/// Lets each topic go on where the tables of `sinks` and the `checkpoints` say that it once was. True where records of
/// `waveforms.raw` are lost. Call it before anybody else opens the log.
///
/// Checkpoints that speak of records of which neither the log nor a table knows anything are those of another home, or of
/// one that lost everything: they are put aside, so that what comes is looked at.
///
/// # Errors
/// Tables or files that cannot be read or written.
pub async fn continue_log(
    log: &Log,
    raw_partitions: u32,
    topology: &Topology,
    sinks: &mut BTreeMap<String, Box<dyn Sink>>,
    checkpoints: &CheckpointStore,
) -> Result<bool, Error> {
    let topics = Topics::open(log, raw_partitions, topology.all())?;
    let mut of_tables = Offsets::default();
    for sink in sinks.values_mut() {
        of_tables.extend(&sink.committed().await?);
    }
    let mut known = checkpoints.inputs()?;
    let raw = topics.raw.name();
    let mut is_new = true;
    for partition in 0..topics.raw.partitions() {
        is_new &= topics.raw.end_offset(partition)? == 0 && of_tables.get(raw, partition) == 0;
    }
    if is_new && (0..topics.raw.partitions()).any(|partition| known.get(raw, partition) > 0) {
        tracing::warn!(
            "the checkpoints know records that neither log nor tables ever had: they are put aside"
        );
        checkpoints.anew()?;
        known = Offsets::default();
    }
    known.extend(&of_tables);
    let mut raw_is_lost = false;
    for topic in topics.all() {
        for partition in 0..topic.partitions() {
            let (end, next) = (topic.end_offset(partition)?, known.get(topic.name(), partition));
            if next <= end || next - end > LOST_MAX {
                continue;
            }
            tracing::warn!(
                topic = topic.name(),
                partition,
                log_end = end,
                next,
                "the log ends before records that tables or stages have had: it goes on behind them; the records \
                 between are lost from the log"
            );
            topic.continue_at(partition, next).await?;
            raw_is_lost |= topic.name() == topics.raw.name();
        }
    }
    Ok(raw_is_lost)
}

/// Whether the log can still give every record of `ranges`. Records are read for it.
///
/// # Errors
/// A log that cannot be read.
pub async fn log_holds(
    log: &Log,
    raw_partitions: u32,
    topology: &Topology,
    ranges: &[LogRange],
) -> Result<bool, Error> {
    let topics = Topics::open(log, raw_partitions, topology.all())?;
    for range in ranges {
        let found = topics.all().find(|topic| topic.name() == range.topic);
        let Some(topic) = found.filter(|topic| range.partition < topic.partitions()) else {
            return Ok(false);
        };
        let there = topic.watermarks(range.partition)?;
        if there.start > range.offsets.start || there.end < range.offsets.end {
            return Ok(false);
        }
        let mut next = range.offsets.start;
        while next < range.offsets.end {
            let read = match topic.read(range.partition, next, READ_BYTES, Duration::ZERO).await {
                Err(error) if error.kind == ErrorKind::Corrupt => return Ok(false),
                read => read?,
            };
            let Some(last) = read.last() else { return Ok(false) };
            if read.iter().any(|record| record.is_lost() && record.offset < range.offsets.end) {
                return Ok(false);
            }
            next = last.offset + 1;
        }
    }
    Ok(true)
}
