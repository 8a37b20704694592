//! Finding snapshots: by table and moment, and by id alone.

use std::collections::BTreeMap;

use seislake_model::{ErrorKind, SnapshotId, Timestamp};
use seislake_tables::TABLES;

use crate::error::Result;
use crate::lake::{Lake, defined};
use crate::provider::AsOf;
use crate::tables::IcebergTable;

/// Which snapshot an id means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSnapshot {
    /// `namespace.table`.
    pub table: String,
    /// When it was committed, to the millisecond.
    pub committed_at: Timestamp,
    /// It is the newest of its table.
    pub current: bool,
}

impl Lake {
    /// How many commits each table has had that made a snapshot; a table never goes back by itself.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub async fn commit_numbers(&self) -> Result<BTreeMap<String, i64>> {
        let mut numbers = BTreeMap::new();
        for table in TABLES {
            let loaded = match self.load(&table.ident()).await {
                // A lake that is opened for reading may be older than the table.
                Err(error) if error.kind == ErrorKind::NotFound => continue,
                loaded => loaded?,
            };
            numbers.insert(table.full_name(), loaded.metadata().last_sequence_number());
        }
        Ok(numbers)
    }

    /// The snapshot of `table` (`bulletin.events`) that a reader would see; `None` where it has none yet.
    pub async fn snapshot_id(&self, table: &str, as_of: AsOf) -> Result<Option<SnapshotId>> {
        let ident = defined(table)?.ident();
        let loaded = self.load(&ident).await?;
        Ok(as_of.snapshot(&ident, loaded.metadata())?.map(|snapshot| snapshot.snapshot_id()))
    }

    /// The table that has a snapshot of this id; `None` where there is none (any more).
    pub async fn find_snapshot(&self, id: SnapshotId) -> Result<Option<FoundSnapshot>> {
        for ident in self.tables().await? {
            let loaded = self.load(&ident).await?;
            if let Some(snapshot) = loaded.metadata().snapshot_by_id(id) {
                return Ok(Some(FoundSnapshot {
                    table: ident.to_string(),
                    committed_at: Timestamp::from_micros(snapshot.timestamp_ms().saturating_mul(1000)),
                    current: loaded.metadata().current_snapshot_id() == Some(id),
                }));
            }
        }
        Ok(None)
    }
}
