//! Where a stage stands: its topics, and the name of its checkpoints.

use std::sync::Arc;

use crate::topic::Topic;

/// Where a stage reads and writes.
#[derive(Clone, Debug)]
pub struct StageWiring {
    /// Name in the log: what the stage says, its dead letters and its checkpoints bear it.
    pub stage: &'static str,
    /// What it does.
    pub kind: &'static str,
    /// Topic it reads.
    pub input: Arc<dyn Topic>,
    /// Partition it reads.
    pub partition: u32,
    /// Topic it writes, partition 0.
    pub output: Arc<dyn Topic>,
    /// Its dead letters go here, partition `1 + partition`.
    pub letters: Arc<dyn Topic>,
}

/// Name of the checkpoints of a stage on a partition.
pub(super) fn checkpoint_key(StageWiring { stage, input, partition, .. }: &StageWiring) -> String {
    format!("{stage}/{}/{partition}", input.name())
}
