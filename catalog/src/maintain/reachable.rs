//! Which files a table needs, and letting the others go.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use object_store::ObjectStore;
use seislake_model::ErrorKind;
use seislake_tables::TableDef;
use serde::Serialize;

use crate::error::{Damage, Doing, Error, Result};
use crate::lake::Lake;
use crate::originals::ORIGINALS_FOLDER;
use crate::settings::RetentionSettings;
use crate::sink::expired;
use crate::tables::IcebergTable;

/// Attempts at a commit against rival writers, and the pause after a lost one, times its number.
const ATTEMPTS_MAX: u32 = 10;
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// What of the past is let go.
#[derive(Clone, Debug)]
pub struct ExpireSettings {
    /// What is kept.
    pub keep: RetentionSettings,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Which files that nothing refers to are deleted.
#[derive(Clone, Copy, Debug)]
pub struct OrphanSettings {
    /// Younger ones may belong to a commit under way.
    pub age_min: Duration,
    /// They are only counted.
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
    /// Lets old snapshots of `namespace.table` go and deletes the files that only they needed. Those in use here stay.
    ///
    /// # Errors
    /// `Invalid` while its files hold a newer state than the catalog points to.
    pub async fn expire(&self, table: &str, settings: &ExpireSettings) -> Result<ExpireReport> {
        let table = self.defined(table)?;
        let mut report = ExpireReport { table: table.full_name(), ..ExpireReport::default() };
        for attempt in 1..=ATTEMPTS_MAX {
            let base = self.load(&table.ident()).await?;
            let (ids, kept) = self.to_let_go(&base, &settings.keep);
            (report.snapshots, report.snapshots_left) = (ids.len(), kept.len());
            if ids.is_empty() {
                return Ok(report);
            }
            self.require_nothing_hidden(&[table]).await?;
            let gone: Vec<SnapshotRef> = base
                .metadata()
                .snapshots()
                .filter(|gone| ids.contains(&gone.snapshot_id()))
                .cloned()
                .collect();
            let needed = self.files_of(&base, &kept).await?;
            let mut freed = self.files_of(&base, &gone).await?;
            freed.retain(|file| !needed.contains(file));
            report.files = freed.len();
            if settings.dry_run {
                return Ok(report);
            }
            if self.let_go(table, &ids).await? {
                self.catalog().delete_quietly(freed.into_iter().collect()).await;
                return Ok(report);
            }
            tokio::time::sleep(RETRY_PAUSE * attempt).await;
        }
        let message = format!("table \"{}\" is too busy to let snapshots go", table.full_name());
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Ids of the snapshots to let go, and the snapshots that stay.
    fn to_let_go(&self, base: &Table, keep: &RetentionSettings) -> (HashSet<i64>, Vec<SnapshotRef>) {
        let (ids, _) = expired(base.metadata(), keep, &self.leases().leased(), now_ms());
        let ids: HashSet<i64> = ids.into_iter().collect();
        let snapshots = base.metadata().snapshots();
        let kept = snapshots.filter(|snapshot| !ids.contains(&snapshot.snapshot_id())).cloned().collect();
        (ids, kept)
    }

    /// Takes snapshots out of the newest state of a table, whatever was committed since they were chosen: what came
    /// later builds on the current snapshot, which stays, and needs no file that only older ones have. False where
    /// others committed first, or began to read one of them.
    async fn let_go(&self, table: &TableDef, ids: &HashSet<i64>) -> Result<bool> {
        if !self.leases().leased().is_disjoint(ids) {
            return Ok(false);
        }
        for attempt in 1..=ATTEMPTS_MAX {
            let base = self.load(&table.ident()).await?;
            let there = |id: &i64| base.metadata().snapshot_by_id(*id).is_some();
            let snapshot_ids: Vec<i64> = ids.iter().copied().filter(there).collect();
            if base.metadata().current_snapshot_id().is_some_and(|current| ids.contains(&current)) {
                return Ok(false);
            }
            if snapshot_ids.is_empty() {
                return Ok(true);
            }
            let updates = vec![TableUpdate::RemoveSnapshots { snapshot_ids }];
            match self.catalog().commit_to(&base, Vec::new(), updates).await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind == ErrorKind::Conflict => {
                    tokio::time::sleep(RETRY_PAUSE * attempt).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Finds, and unless it is a dry run deletes, files of a table that nothing refers to.
    ///
    /// # Errors
    /// `Invalid` while some of them hold a newer state than the catalog points to.
    pub async fn delete_orphans(&self, table: &str, settings: OrphanSettings) -> Result<OrphanReport> {
        let table = self.defined(table)?;
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
        let youngest = SystemTime::now().checked_sub(settings.age_min).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut orphans = Vec::new();
        for object in listed {
            let location = format!("{}/{}", warehouse.base(), object.location);
            if SystemTime::from(object.last_modified) < youngest && !needed.contains(&location) {
                report.files += 1;
                report.bytes += object.size;
                orphans.push(location);
            }
        }
        if !orphans.is_empty() {
            self.require_nothing_hidden(&[table]).await?;
        }
        if !settings.dry_run {
            catalog.delete_quietly(orphans).await;
        }
        Ok(report)
    }

    /// Names of all tables that can be kept in shape.
    pub fn table_names(&self) -> Vec<String> {
        self.definitions().iter().map(|table| table.full_name()).collect()
    }

    /// Files of the warehouse found damaged or missing since the lake was opened, with what is wrong. Those that no snapshot
    /// of their table names any more are forgotten.
    pub async fn damages(&self) -> BTreeMap<String, String> {
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        let mut damages = warehouse.damages();
        let mut needed: HashMap<TableIdent, Option<BTreeSet<String>>> = HashMap::new();
        let found: Vec<String> = damages.keys().cloned().collect();
        for path in found {
            let mut parts = path.split('/').map(str::to_owned);
            let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else { continue };
            if namespace == ORIGINALS_FOLDER {
                continue;
            }
            let ident = TableIdent::new(NamespaceIdent::new(namespace), name);
            let of_table = match needed.entry(ident) {
                Entry::Occupied(known) => known.into_mut(),
                // What cannot be read may name the file.
                Entry::Vacant(unknown) => {
                    let files = self.files_needed(unknown.key()).await.ok();
                    unknown.insert(files)
                }
            };
            let location = format!("{}/{path}", warehouse.base());
            if of_table.as_ref().is_some_and(|files| !files.contains(&location)) {
                warehouse.forget_damage(&path);
                damages.remove(&path);
            } else {
                warehouse.confirm_missing(&path);
            }
        }
        damages
    }

    /// Its metadata file, and all that its snapshots name; nothing of a table that is not there (any more).
    pub(crate) async fn files_needed(&self, ident: &TableIdent) -> Result<BTreeSet<String>> {
        let table = match self.load(ident).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            loaded => loaded?,
        };
        let snapshots: Vec<SnapshotRef> = table.metadata().snapshots().cloned().collect();
        let mut files = self.files_of(&table, &snapshots).await?;
        files.extend(table.metadata_location().map(str::to_owned));
        Ok(files)
    }

    /// Manifest lists, manifests and live data files of snapshots. One that a commit let go meanwhile has none.
    async fn files_of(&self, table: &Table, snapshots: &[SnapshotRef]) -> Result<BTreeSet<String>> {
        let mut files = BTreeSet::new();
        for snapshot in snapshots {
            match self.files_of_one(table, snapshot, &mut files).await {
                Err(error) if error.misses_a_file() => {
                    let now = self.load(table.identifier()).await?;
                    if now.metadata().snapshot_by_id(snapshot.snapshot_id()).is_some() {
                        return Err(error);
                    }
                }
                read => read?,
            }
        }
        Ok(files)
    }

    async fn files_of_one(
        &self,
        table: &Table,
        snapshot: &SnapshotRef,
        files: &mut BTreeSet<String>,
    ) -> Result<()> {
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        let manifests = self.manifests().list(warehouse, table, snapshot).await?;
        files.insert(snapshot.manifest_list().to_owned());
        for manifest in manifests.iter() {
            if !files.contains(&manifest.manifest_path) {
                let data = self.manifests().files(warehouse, table, manifest).await?;
                files.extend(data.iter().map(|file| file.file_path().to_owned()));
                files.insert(manifest.manifest_path.clone());
            }
        }
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
