//! The port through which rows reach the lake: `streams` calls [`Sink`], `catalog` implements it.

use async_trait::async_trait;
use seislake_model::{Offsets, Result, SnapshotId};

use crate::TableBatch;

/// Moves rows of one table into the lake; rows and covered offsets become visible in one commit.
///
/// A sink belongs to one table and to one or more topics. Rows whose offsets [`Sink::committed`] already covers must
/// not be written again: the caller starts reading there.
#[async_trait]
pub trait Sink: Send {
    /// Next offsets that the table's current snapshot covers.
    async fn committed(&self) -> Result<Offsets>;
    /// Takes rows (of this sink's table only); they may be spilled to files but are not visible yet.
    async fn write(&mut self, rows: TableBatch) -> Result<()>;
    /// Makes everything written since the last commit visible together with `covered` (merged into the table's
    /// offsets; a commit of offsets already covered is a no-op that drops the pending rows).
    /// Returns the snapshot that covers them; `None` where the table has none yet. Rows of a commit that failed stay with
    /// the sink: the same commit may be tried again, whether the first one came through or not.
    async fn commit(&mut self, covered: &Offsets) -> Result<Option<SnapshotId>>;
}
