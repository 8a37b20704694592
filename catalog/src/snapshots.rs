//! Snapshots: found by table and moment or by id alone, and one state of all tables pinned for who reads it.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use iceberg::table::Table;
use seislake_model::{ErrorKind, SnapshotId, Timestamp};

use crate::as_of::AsOf;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::leases::{At, SnapshotSet};
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
    /// One state of all tables, leased while it is held.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that no table has (any more).
    pub async fn pin(&self, as_of: AsOf) -> Result<SnapshotSet> {
        let kept = match as_of {
            AsOf::Snapshot(id) => self.leases().find(id),
            AsOf::Latest | AsOf::Time(_) => None,
        };
        let loaded = self.catalog().load_all().await?;
        let others = match (as_of, &kept) {
            (AsOf::Snapshot(id), None) => others_than(id, &loaded)?,
            (as_of, _) => as_of,
        };
        let at = |table: &Table| match (as_of, &kept) {
            (_, Some(kept)) => {
                kept.get(table.identifier()).map_or(At::Empty, |id| At::AsOf(AsOf::Snapshot(*id)))
            }
            (AsOf::Snapshot(id), None) if table.metadata().snapshot_by_id(id).is_some() => At::AsOf(as_of),
            _ => At::AsOf(others),
        };
        let tables: BTreeMap<TableIdent, (Table, At)> = loaded
            .into_iter()
            .map(|table| (table.identifier().clone(), (table.clone(), at(&table))))
            .collect();
        let snapshot = |(table, at): &(Table, At)| Some(at.snapshot(table).ok()??.snapshot_id());
        let lease = self.leases().take(tables.values().filter_map(snapshot).collect());
        Ok(SnapshotSet::new(tables, lease))
    }

    /// Keeps a state for whoever may ask for more of it later.
    pub fn keep(&self, set: &SnapshotSet) {
        self.leases().keep(set, self.retention().cursor_lease);
    }

    /// How many commits each table has had that made a snapshot; a table never goes back by itself.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub async fn commit_numbers(&self) -> Result<BTreeMap<String, i64>> {
        let mut numbers = BTreeMap::new();
        // Those of stages that are configured no more, too.
        for ident in self.tables().await? {
            let loaded = self.load(&ident).await?;
            numbers.insert(ident.to_string(), loaded.metadata().last_sequence_number());
        }
        Ok(numbers)
    }

    /// The snapshot of `table` (`bulletin.events`) that a reader would see; `None` where it has none yet.
    pub async fn snapshot_id(&self, table: &str, as_of: AsOf) -> Result<Option<SnapshotId>> {
        let ident = self.defined(table)?.ident();
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

/// How the other tables are read where one is read at a snapshot: as they were when it was committed, and at their
/// newest where it is the newest.
fn others_than(id: SnapshotId, tables: &[Table]) -> Result<AsOf> {
    for table in tables {
        let metadata = table.metadata();
        let Some(snapshot) = metadata.snapshot_by_id(id) else { continue };
        if metadata.current_snapshot_id() == Some(id) {
            return Ok(AsOf::Latest);
        }
        let committed_at = Timestamp::from_micros(snapshot.timestamp_ms().saturating_mul(1000));
        return Ok(AsOf::Time(committed_at));
    }
    Err(Error::new(ErrorKind::NotFound, format!("no table has a snapshot {id} (any more)")))
}
