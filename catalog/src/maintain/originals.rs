//! Original records that no row names: left by a process that ended between storing them and committing their rows.
//!
//! ```text
//! objects below raw/, old enough ─ less what rows of waveform.packets name, in any snapshot kept ─ looked at again ─► deleted
//! ```
//! Objects are listed before rows are read, so what is committed in between is known as named; younger ones may belong
//! to a commit under way. A block that is made again after a crash has the names it had: that is why an object's age is
//! looked at once more before it goes.
//!
//! A repair that lost rows of the lake may have lost those that named records: what was stored before it stays, for the
//! records may be nowhere else.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use arrow::array::AsArray;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use iceberg::Catalog;
use iceberg::spec::SnapshotRef;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use seislake_model::SnapshotId;
use seislake_tables::TableDef;

use super::reachable::{OrphanReport, OrphanSettings};
use crate::error::{Doing, Result};
use crate::lake::Lake;
use crate::originals::{ORIGINALS_FOLDER, object_of, places_of};
use crate::tables::IcebergTable;

/// Its rows name original records.
const TABLE: &str = "waveform.packets";
/// ... in this column.
const COLUMN: &str = "object_uri";
/// Property of the namespace of the table: seconds since 1970.
const SPARED_UNTIL: &str = "seislake.originals-spared-until";

impl Lake {
    /// Finds, and unless it is a dry run deletes, original records below `raw/` that no row of `waveform.packets` names.
    /// Cost: a listing of `raw/`, and where it holds old objects at all, one column of the table.
    ///
    /// # Errors
    /// `Invalid` while the files of any table hold a newer state than the catalog points to.
    pub async fn delete_orphan_originals(&self, settings: OrphanSettings) -> Result<OrphanReport> {
        let youngest = SystemTime::now().checked_sub(settings.age_min).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut orphans = self.old_originals(self.spared_until().await?, youngest).await?;
        if !orphans.is_empty() {
            self.spare_named(&mut orphans).await?;
        }
        if !orphans.is_empty() {
            self.require_nothing_hidden(self.definitions()).await?;
        }
        let mut report = OrphanReport { table: ORIGINALS_FOLDER.to_owned(), ..OrphanReport::default() };
        let catalog = self.catalog();
        for (path, bytes) in orphans {
            if !settings.dry_run {
                match catalog.warehouse().store().head(&path).await {
                    Ok(now) if SystemTime::from(now.last_modified) < youngest => {}
                    // Made again meanwhile, or gone.
                    _ => continue,
                }
                catalog.delete_quietly(vec![format!("{}/{path}", catalog.warehouse().base())]).await;
            }
            report.files += 1;
            report.bytes += bytes;
        }
        Ok(report)
    }

    /// From now on, what is below `raw/` is deleted by nobody but its owner.
    pub(crate) async fn spare_originals(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (catalog, namespace) = (self.catalog(), self.defined(TABLE)?.ident().namespace().clone());
        let what = || format!("write namespace \"{namespace}\"");
        let mut properties = catalog.get_namespace(&namespace).await.doing(what)?.properties().clone();
        properties.insert(SPARED_UNTIL.to_owned(), now.as_secs().to_string());
        catalog.update_namespace(&namespace, properties).await.doing(what)
    }

    /// When a repair last lost rows; original records that are older stay.
    async fn spared_until(&self) -> Result<SystemTime> {
        let namespace = self.defined(TABLE)?.ident().namespace().clone();
        let what = || format!("read namespace \"{namespace}\"");
        let found = self.catalog().get_namespace(&namespace).await.doing(what)?;
        let seconds = found.properties().get(SPARED_UNTIL).and_then(|seconds| seconds.parse().ok());
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unwrap_or(0)))
    }

    /// Objects of original records that are younger than `spared` and older than `youngest`, with their sizes.
    async fn old_originals(&self, spared: SystemTime, youngest: SystemTime) -> Result<BTreeMap<Path, u64>> {
        let catalog = self.catalog();
        let store = catalog.warehouse().store();
        let mut listed = store.list(Some(&Path::from(ORIGINALS_FOLDER)));
        // A table may lie there: its files are its own.
        let tables: Vec<Path> = catalog
            .tables()
            .await?
            .iter()
            .filter(|ident| ident.namespace().to_url_string() == ORIGINALS_FOLDER)
            .map(|ident| Path::from_iter([ORIGINALS_FOLDER, ident.name()]))
            .collect();
        let is_of_table = |path: &Path| tables.iter().any(|table| path.prefix_matches(table));
        let mut old = BTreeMap::new();
        while let Some(object) = listed.try_next().await.doing(|| "list the original records")? {
            let stored = SystemTime::from(object.last_modified);
            if stored > spared && stored < youngest && !is_of_table(&object.location) {
                old.insert(object.location, object.size);
            }
        }
        Ok(old)
    }

    /// Takes out of `objects` what rows name. Every file of every snapshot is read once.
    async fn spare_named(&self, objects: &mut BTreeMap<Path, u64>) -> Result<()> {
        let table = self.defined(TABLE)?;
        let loaded = self.load(&table.ident()).await?;
        let mut snapshots: Vec<SnapshotRef> = loaded.metadata().snapshots().cloned().collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
        let mut read = HashSet::new();
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        for snapshot in snapshots {
            let mut files = HashSet::new();
            for manifest in self.manifests().list(warehouse, &loaded, &snapshot).await?.iter() {
                let data = self.manifests().files(warehouse, &loaded, manifest).await?;
                files.extend(data.iter().map(|file| file.file_path().to_owned()));
            }
            files.retain(|file| read.insert(file.clone()));
            if !files.is_empty() && !objects.is_empty() {
                self.spare_named_in(table, snapshot.snapshot_id(), files, objects).await?;
            }
        }
        Ok(())
    }

    async fn spare_named_in(
        &self,
        table: &TableDef,
        snapshot: SnapshotId,
        files: HashSet<String>,
        objects: &mut BTreeMap<Path, u64>,
    ) -> Result<()> {
        let what = || format!("read the {COLUMN} of table \"{TABLE}\"");
        let catalog = self.catalog();
        let provider = self.files_provider(table, snapshot, files).await?;
        let rows = SessionContext::new().read_table(provider).doing(what)?;
        let mut batches = rows.select_columns(&[COLUMN]).doing(what)?.execute_stream().await.doing(what)?;
        // Rows of one object mostly lie together.
        let mut last = String::new();
        while let Some(batch) = batches.try_next().await.doing(what)? {
            for uri in batch.column(0).as_string::<i32>().iter().flatten() {
                let Some(object) = object_of(uri).filter(|object| *object != last) else { continue };
                object.clone_into(&mut last);
                // Rows may name objects of another warehouse: none of ours then.
                for place in places_of(catalog.warehouse(), object) {
                    objects.remove(&place);
                }
            }
        }
        Ok(())
    }
}
