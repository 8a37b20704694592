//! Which files a table needs, and letting the others go.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use iceberg::TableUpdate;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use object_store::ObjectStore;
use seislake_model::ErrorKind;
use serde::Serialize;

use crate::error::{Doing, Error, Result};
use crate::lake::{Lake, defined};
use crate::sink::expired;
use crate::{RetentionSettings, TABLES};

/// Attempts at a commit against rival writers.
const ATTEMPTS_MAX: u32 = 10;

/// What of the past is let go.
#[derive(Clone, Debug)]
pub struct ExpireSettings {
    /// What is kept.
    pub keep: RetentionSettings,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What became of a table's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExpireReport {
    /// `namespace.table`.
    pub table: String,
    /// Snapshots let go.
    pub snapshots: usize,
    /// Snapshots left.
    pub snapshots_left: usize,
    /// Files that only they needed.
    pub files: usize,
}

/// Files that nothing refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrphanReport {
    /// `namespace.table`, or `raw` for original records.
    pub table: String,
    /// Files found (and deleted, unless it was a dry run).
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Lake {
    /// Lets old snapshots of `namespace.table` go and deletes the files that only they needed.
    pub async fn expire(&self, table: &str, settings: &ExpireSettings) -> Result<ExpireReport> {
        let table = defined(table)?;
        let mut report = ExpireReport { table: table.full_name(), ..ExpireReport::default() };
        for _ in 0..ATTEMPTS_MAX {
            let base = self.load(&table.ident()).await?;
            let (ids, _) = expired(base.metadata(), &settings.keep, now_ms());
            let ids: HashSet<i64> = ids.into_iter().collect();
            let (gone, kept): (Vec<SnapshotRef>, Vec<SnapshotRef>) = base
                .metadata()
                .snapshots()
                .cloned()
                .partition(|snapshot| ids.contains(&snapshot.snapshot_id()));
            (report.snapshots, report.snapshots_left) = (gone.len(), kept.len());
            if gone.is_empty() {
                return Ok(report);
            }
            let needed = self.files_of(&base, &kept).await?;
            let freed: Vec<String> = self
                .files_of(&base, &gone)
                .await?
                .into_iter()
                .filter(|file| !needed.contains(file))
                .collect();
            report.files = freed.len();
            if settings.dry_run {
                return Ok(report);
            }
            let updates = vec![TableUpdate::RemoveSnapshots { snapshot_ids: ids.into_iter().collect() }];
            match self.catalog().commit_to(&base, Vec::new(), updates).await {
                Ok(_) => {
                    self.catalog().delete_quietly(freed).await;
                    return Ok(report);
                }
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        let message = format!("table \"{}\" is too busy to let snapshots go", table.full_name());
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Finds, and unless `dry_run` deletes, files of a table that nothing refers to and that are older than `age_min`:
    /// younger ones may belong to a commit under way.
    pub async fn delete_orphans(
        &self,
        table: &str,
        age_min: Duration,
        dry_run: bool,
    ) -> Result<OrphanReport> {
        let table = defined(table)?;
        let mut report = OrphanReport { table: table.full_name(), ..OrphanReport::default() };
        // Listed before the table is loaded: a file that is committed in between is then known as needed.
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        let place = warehouse.path(self.load(&table.ident()).await?.metadata().location());
        let what = || format!("list the files of table \"{}\"", table.full_name());
        let place = place.doing(what)?;
        let listed: Vec<_> = warehouse.store().list(Some(&place)).try_collect().await.doing(what)?;
        let base = self.load(&table.ident()).await?;
        let snapshots: Vec<SnapshotRef> = base.metadata().snapshots().cloned().collect();
        let mut needed = self.files_of(&base, &snapshots).await?;
        needed.extend(base.metadata_location().map(str::to_owned));
        needed.extend(base.metadata().metadata_log().iter().map(|log| log.metadata_file.clone()));
        let youngest = SystemTime::now().checked_sub(age_min).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut orphans = Vec::new();
        for object in listed {
            let location = format!("{}/{}", warehouse.base(), object.location);
            if SystemTime::from(object.last_modified) < youngest && !needed.contains(&location) {
                report.files += 1;
                report.bytes += object.size;
                orphans.push(location);
            }
        }
        if !dry_run {
            catalog.delete_quietly(orphans).await;
        }
        Ok(report)
    }

    /// Names of all tables that can be kept in shape.
    pub fn table_names() -> Vec<String> {
        TABLES.iter().map(|table| table.full_name()).collect()
    }

    /// Manifest lists, manifests and live data files of snapshots.
    async fn files_of(&self, table: &Table, snapshots: &[SnapshotRef]) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for snapshot in snapshots {
            files.insert(snapshot.manifest_list().to_owned());
            for manifest in self.manifests().list(table, snapshot).await? {
                if files.insert(manifest.manifest_path.clone()) {
                    let data = self.manifests().files(table, &manifest).await?;
                    files.extend(data.iter().map(|file| file.file_path().to_owned()));
                }
            }
        }
        Ok(files)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
