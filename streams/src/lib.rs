//! The shell through which records flow: logs, the gate in front of them, sources, stages and the runtime.
//!
//! ```text
//! source::files ─► gate ─► waveforms.raw ─► stages ─► waveforms.* ─► runtime::SinkRunner ─► tables::Sink
//!                    └──► waveforms.raw.dlq ──────────────────────────────┘
//! ```
//! The crate knows topics and stages, and which rows they make; how tables lie on disk it does not know: rows leave
//! through the [`seislake_tables::Sink`] port.

pub mod control;
mod database;
pub mod earth;
mod error;
pub mod gate;
pub mod message;
mod record;
pub mod replace;
pub mod runtime;
pub mod source;
pub mod stages;
pub mod topic;
pub mod topology;

pub use database::{StateFound, put_state_aside, state_of};
pub use seislake_model::Error;
