//! Keeping tables in shape: few large sorted files, no history beyond what is wanted, no files nobody refers to.
//!
//! ```text
//! compact   many small files of a partition ──► a few sorted ones, in one Iceberg `replace` snapshot
//! expire    snapshots older than … ──► gone, and with them the files that only they referred to
//! orphans   files that no snapshot refers to, original records that no row names (left by crashes) ──► deleted
//! ```
//! All three may run beside writers: commits are compare and swap, and files young enough to belong to a commit under
//! way are left alone. All three refuse while the files of a table hold a newer state than the catalog points to (an older
//! catalog was put back): `seislake home repair` goes forward to it first.

mod compact;
mod originals;
mod reachable;

pub(crate) use compact::conform;
pub use compact::{CompactReport, CompactSettings};
pub use reachable::{ExpireReport, ExpireSettings, OrphanReport, OrphanSettings};
