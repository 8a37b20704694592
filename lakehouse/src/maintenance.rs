//! Maintenance of a home's tables, one after the other.

use std::fmt;

use seislake_catalog::{
    CompactReport, CompactSettings, ExpireReport, ExpireSettings, Lake, OrphanReport, OrphanSettings,
};
use serde::Serialize;

use crate::upkeep::Failures;

/// Its rows name the original records below `raw/`, which are cleaned with it.
const TABLE_OF_ORIGINALS: &str = "waveform.packets";

/// What is done to each table.
#[derive(Clone, Debug)]
pub enum Maintenance {
    /// Small files are merged.
    Compact(CompactSettings),
    /// Old snapshots are let go.
    Expire(ExpireSettings),
    /// Files that nothing refers to are deleted.
    DeleteOrphans(OrphanSettings),
}

/// What was done to a table, or in a dry run would be.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    Compacted(CompactReport),
    Expired(ExpireReport),
    Deleted(OrphanReport),
}

impl Maintenance {
    /// Does it to `table`; what fails is added to `failures`.
    pub async fn of(&self, lake: &Lake, table: &str, failures: &mut Failures) -> Vec<Report> {
        match self {
            Self::Compact(settings) => {
                let compacted = lake.compact(table, *settings).await;
                failures.of(table, compacted.map_err(Into::into)).map(Report::Compacted).into_iter().collect()
            }
            Self::Expire(settings) => {
                let expired = lake.expire(table, settings).await;
                failures.of(table, expired.map_err(Into::into)).map(Report::Expired).into_iter().collect()
            }
            Self::DeleteOrphans(settings) => {
                let deleted = lake.delete_orphans(table, *settings).await;
                let mut reports: Vec<_> =
                    failures.of(table, deleted.map_err(Into::into)).into_iter().collect();
                if table == TABLE_OF_ORIGINALS {
                    let deleted = lake.delete_orphan_originals(*settings).await;
                    reports.extend(failures.of("original records", deleted.map_err(Into::into)));
                }
                reports.into_iter().map(Report::Deleted).collect()
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted(report) => write!(
                f,
                "{}: {} partitions, {} files of {} MB with {} rows -> {} files of {} MB with {} rows",
                report.table,
                report.partitions,
                report.files_before,
                report.bytes_before >> 20,
                report.rows_before,
                report.files_after,
                report.bytes_after >> 20,
                report.rows_after
            ),
            Self::Expired(report) => write!(
                f,
                "{}: {} snapshots let go with {} files, {} snapshots left",
                report.table, report.snapshots, report.files, report.snapshots_left
            ),
            Self::Deleted(report) => {
                write!(f, "{}: {} files, {} MB", report.table, report.files, report.bytes >> 20)
            }
        }
    }
}
