//! Which state of a table is read.

use std::str::FromStr;
use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::{SnapshotRef, TableMetadata};
use seislake_model::{ErrorKind, SnapshotId, Timestamp};

use crate::error::{Error, Result};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Which state of a table to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest snapshot.
    #[default]
    Latest,
    /// The snapshot of this id; ids belong to one table.
    Snapshot(SnapshotId),
    /// The newest snapshot that was committed at or before this time. Where older snapshots were thinned, it is
    /// the last one kept before.
    Time(Timestamp),
}

impl FromStr for AsOf {
    type Err = Error;

    /// A snapshot id or a UTC time.
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Snapshot(id));
        }
        Timestamp::bound(text).map(Self::Time).map_err(|_| {
            let message = format!("\"{text}\" is neither a snapshot id nor a UTC time");
            Error::new(ErrorKind::Invalid, message)
        })
    }
}

impl AsOf {
    /// The snapshot to read; `None` where the table had no rows yet.
    pub(crate) fn snapshot(
        self,
        table: &TableIdent,
        metadata: &TableMetadata,
    ) -> Result<Option<SnapshotRef>> {
        match self {
            Self::Latest => Ok(metadata.current_snapshot().cloned()),
            Self::Snapshot(id) => metadata.snapshot_by_id(id).cloned().map(Some).ok_or_else(|| {
                let message = format!("table \"{table}\" has no snapshot {id} (any more)");
                Error::new(ErrorKind::NotFound, message)
            }),
            Self::Time(time) => at_time(table, metadata, time),
        }
    }
}

fn at_time(table: &TableIdent, metadata: &TableMetadata, time: Timestamp) -> Result<Option<SnapshotRef>> {
    let milli = time.nanos().div_euclid(NANOS_PER_MILLI);
    let taken = metadata.snapshots().filter(|snapshot| snapshot.timestamp_ms() <= milli);
    if let Some(found) = taken.max_by_key(|snapshot| snapshot.sequence_number()) {
        return Ok(Some(Arc::clone(found)));
    }
    let oldest = metadata.snapshots().min_by_key(|snapshot| snapshot.sequence_number());
    match oldest {
        Some(oldest) if oldest.parent_snapshot_id().is_some() => {
            let begin = Timestamp::from_nanos(oldest.timestamp_ms().saturating_mul(NANOS_PER_MILLI));
            let message = format!("the history of table \"{table}\" begins at {begin}");
            Err(Error::new(ErrorKind::NotFound, message))
        }
        _ => Ok(None),
    }
}
