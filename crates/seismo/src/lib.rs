//! Seismology as functions on slices and small state machines: no files, no clocks, no topics, no SQL.
//!
//! ```text
//! samples ─ pick ─► picks ─ associate ─► associations ─ locate ─► origins ─ magnitude ─► ML
//!            signal               travel_time ──┴──────────┘
//! ```
//! Every stateful part is cut invariant: its output does not depend on how the stream was cut.
#![warn(missing_docs)]

pub mod associate;
pub mod compare;
pub mod event;
pub mod geometry;
pub mod locate;
pub mod magnitude;
pub mod pick;
pub mod quality;
pub mod signal;
pub mod synthetic;
pub mod travel_time;
