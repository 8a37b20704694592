//! The runtime: runs stages over topics and feeds tables, exactly once across crashes.
//!
//! ```text
//! waveforms.raw ─► StageRunner<Pick> × partition ─► phase_picks ─► … ─► magnitudes       (checkpoints: redb)
//!      └─ SinkRunner: packets, segments     └─ SinkRunner: picks     └─ SinkRunner: bulletin    (offsets: the tables)
//! ```
//! Runners wait for appends, they do not poll. What they cannot read becomes a dead letter. A full disk, or a lake that does
//! not answer, makes a runner wait and try again; one that gives up stops the whole pipeline with its error.

mod checkpoint;
mod feed;
mod pipeline;
mod recovery;
mod retry;
mod rows;
mod said;
mod sink_runner;
mod stage;
mod stage_runner;
mod tabulate;
#[cfg(test)]
mod tests;
mod wiring;

pub use checkpoint::CheckpointStore;
pub(crate) use checkpoint::checkpoint_inputs;
pub use feed::FeedItem;
pub(crate) use pipeline::{Builder, StageContext};
pub use pipeline::{Lag, Mark, Pipeline, PipelineParts, PipelineSettings};
pub use recovery::{continue_log, log_holds};
pub use retry::RetrySettings;
pub use rows::rows_of;
pub use sink_runner::SinkSettings;
pub use stage::{Output, Stage};
pub use stage_runner::{StageRunner, StageSettings};
pub use tabulate::BlockEnd;
pub(crate) use tabulate::batch;
pub use wiring::StageWiring;
