//! seislake-mseed: miniSEED 2 and 3, read and written.
//!
//! ```text
//! bytes ─ scan ─► Record (header, checksum, blockettes) ─ decode ─► samples ─┬─ trace ─► segments, as libmseed joins
//!                     ▲                                              │       └─ merge ─► one line, gaps, overlaps
//!                     └───────────────────── pack ───────────────────┘
//! ```
//!
//! Damaged input is normal: nothing here panics, loops or allocates by what a header merely claims.
//! Standards: SEED 2.4 (FDSN, 2012), miniSEED 3 and Source Identifiers 1.0 (FDSN, 2022).
//! The crate knows no files, no tables and none of the other crates of this workspace.
#![deny(clippy::indexing_slicing)]
#![warn(missing_docs)]

mod blockette;
mod bytes;
mod decode;
mod encoding;
pub mod inspect;
mod leap;
mod merge;
mod pack;
mod record;
mod samples;
mod scan;
mod source_id;
mod steim;
mod time;
mod trace;
mod v2;
mod v3;

#[cfg(test)]
mod tests;

pub use blockette::{Blockette, BlocketteContent, Blockettes};
pub use bytes::ByteOrder;
pub use decode::{DecodeError, Decoded};
pub use encoding::{Encoding, EncodingError, SampleType};
pub use leap::{LEAP_SECONDS_S, LeapSecond, leap_second_between};
pub use merge::{Agreement, Gap, MergeRule, MergedChannel, MergedPiece, Merger, Overlap};
pub use pack::{PackError, PackSettings, pack, pack_text, set_sequence_number};
pub use record::{ChunkEnd, FormatVersion, Quality, RECORD_LENGTH_MAX, Record, RecordError, StateFlags};
pub use samples::{SampleSlice, Samples};
pub use scan::{ScanItem, ScanState, Scanner};
pub use steim::SteimMismatch;
pub use trace::{TraceList, TraceSegment};
