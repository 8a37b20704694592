//! Rows of a topic's records outside a pipeline: for tables that have lost rows whose records the log still holds.

use seislake_tables::TableBatch;

use super::tabulate::{BlockEnd, BlockSettings, LetterTable, MessageTable, RawTable, Tabulate};
use crate::Error;
use crate::message::{WAVEFORMS_RAW, dead_letter_topic};
use crate::topic::Record;
use crate::topology::Topology;

/// The rows that a sink of `topic` makes of these records, with the stages of a home. Segments are cut where `records` end: those of a sink may be
/// longer. What cannot be read makes none.
///
/// # Errors
/// Rows that their table cannot have: a fault of ours.
pub fn rows_of(
    topology: &Topology,
    topic: &str,
    partition: u32,
    records: Vec<Record>,
) -> Result<Vec<TableBatch>, Error> {
    let name = topic.split_once('@').map_or(topic, |(name, _)| name);
    let mut table: Box<dyn Tabulate> = match name {
        WAVEFORMS_RAW => {
            let whole = BlockSettings { records: u64::MAX, bytes: usize::MAX, end: BlockEnd::Session };
            Box::new(RawTable::new(topic, partition, whole, None))
        }
        letters if letters.ends_with(&dead_letter_topic("")) => Box::new(LetterTable::new(topic, partition)),
        output => match topology.stage_of_output(output) {
            Some(stage) => Box::new(MessageTable::new(topic, partition, stage)),
            None => return Ok(Vec::new()),
        },
    };
    let mut blocks = table.push(records)?;
    blocks.extend(table.close()?);
    Ok(blocks.into_iter().flat_map(|block| block.rows).collect())
}
