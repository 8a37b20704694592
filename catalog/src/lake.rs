//! The front door: opens a lake, hands out sinks and table providers.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use datafusion::catalog::CatalogProvider;
use futures::{TryStreamExt, future};
use iceberg::table::Table;
use iceberg::{Catalog, NamespaceIdent, TableIdent};
use object_store::ObjectStore;
use object_store::path::Path;
use seislake_model::ErrorKind;
use seislake_tables::{Sink, TABLES, TableDef, table_def};

use crate::error::{Doing, Error, Result};
use crate::hidden::Hidden;
use crate::leases::{Leases, SnapshotSet};
use crate::originals::ORIGINALS_FOLDER;
use crate::provider::{AsOf, LakeCatalogProvider, ManifestCache};
use crate::settings::LakeSettings;
use crate::sink::TableSink;
use crate::sql_catalog::SharedCatalog;
use crate::storage::Warehouse;
use crate::tables::IcebergTable;
use crate::{RetentionSettings, SqlCatalog, WriteSettings};

/// Iceberg's property for the number of metadata files that the metadata log names.
const METADATA_FILES_KEPT: &str = "write.metadata.previous-versions-max";

/// Tables made at once.
const CREATED_AT_ONCE: usize = 4;

/// Looks for the first table of a rival that opens a new catalog at the same time: five seconds, far more than it takes.
const RIVAL_CHECKS: u32 = 50;
const RIVAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// An open lake; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: SharedCatalog,
    write: WriteSettings,
    retention: RetentionSettings,
    manifests: ManifestCache,
    /// One committer per table in this process; rivals in other processes are caught by the compare and swap.
    committers: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Bytes buffered by all sinks.
    buffered: AtomicUsize,
    counters: Counters,
    /// One change of the inventory at a time: it reads before it writes.
    inventory: tokio::sync::Mutex<()>,
    leases: Arc<Leases>,
    /// Names of the tables when they were last listed.
    names: RwLock<Arc<[TableIdent]>>,
    /// What the catalog did not know of when the lake was opened.
    hidden: OnceLock<Hidden>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) snapshots: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// What a lake has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LakeMetrics {
    /// Snapshots committed.
    pub snapshot_count: u64,
    /// Commits tried again because somebody else committed first.
    pub conflict_count: u64,
    /// Data files committed.
    pub file_count: u64,
    /// Rows committed.
    pub row_count: u64,
    /// Bytes of data files committed.
    pub byte_count: u64,
    /// Bytes of rows that sinks hold in memory now.
    pub buffered_bytes: u64,
}

impl Lake {
    /// Opens the lake and creates what is missing: database, namespaces, tables (nothing if `read_only`).
    pub async fn open(settings: LakeSettings) -> Result<Self> {
        if let (false, Some(parent)) = (settings.read_only, settings.catalog.parent()) {
            tokio::fs::create_dir_all(parent)
                .await
                .doing(|| format!("create directory \"{}\"", parent.display()))?;
        }
        let warehouse = Warehouse::open(&settings.warehouse, &settings.object_store, !settings.read_only)?;
        warehouse.require_credentials().await?;
        let catalog = SqlCatalog::open(&settings.catalog, warehouse, settings.read_only).await?;
        let lake = Self {
            inner: Arc::new(Inner {
                catalog: Arc::new(catalog),
                write: settings.write,
                retention: settings.retention,
                manifests: ManifestCache::default(),
                committers: Mutex::default(),
                buffered: AtomicUsize::new(0),
                counters: Counters::default(),
                inventory: tokio::sync::Mutex::default(),
                leases: Arc::default(),
                names: RwLock::new(Arc::from([])),
                hidden: OnceLock::new(),
            }),
        };
        if !settings.read_only {
            // A lake that was just made, in a place without files, hides nothing.
            let hidden =
                if lake.create_missing().await? { Hidden::new() } else { lake.look_for_hidden().await? };
            lake.inner.hidden.get_or_init(|| hidden);
        }
        lake.tables().await?;
        Ok(lake)
    }

    /// Returns whether nothing was there.
    async fn create_missing(&self) -> Result<bool> {
        let catalog = self.catalog();
        let known = catalog.tables().await?;
        let what = || "list namespaces";
        let there: BTreeSet<NamespaceIdent> =
            catalog.list_namespaces(None).await.doing(what)?.into_iter().collect();
        let namespaces: BTreeSet<_> =
            TABLES.iter().map(|table| NamespaceIdent::new(table.namespace.to_owned())).collect();
        // Namespaces come before the first file, with the place of the warehouse. Where they are there, files without a
        // table are those of tables whose making was cut off, or that the catalog has lost.
        let new = known.is_empty() && !self.are_of_this_place(&namespaces, &there).await?;
        if new {
            self.refuse_foreign_files().await?;
        }
        for namespace in namespaces.difference(&there) {
            match catalog.create_namespace(namespace, self.place()).await {
                // Another process created it meanwhile.
                Err(error) if error.kind() == iceberg::ErrorKind::NamespaceAlreadyExists => {}
                created => drop(created.doing(|| format!("create namespace \"{namespace}\""))?),
            }
        }
        // Side by side: those that wait for the disk wait together.
        for tables in TABLES.chunks(CREATED_AT_ONCE) {
            let made = tables.iter().map(|table| async {
                if !known.contains(&table.ident()) && (new || !self.take_back(&table.ident()).await?) {
                    self.create(table).await?;
                }
                self.add_missing_columns(table).await
            });
            future::join_all(made).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(new)
    }

    /// What a namespace of ours says of where its tables lie.
    fn place(&self) -> HashMap<String, String> {
        HashMap::from([("location".to_owned(), self.catalog().warehouse().base().to_owned())])
    }

    /// Whether all `namespaces` are `there`, and were made for this warehouse.
    async fn are_of_this_place(
        &self,
        namespaces: &BTreeSet<NamespaceIdent>,
        there: &BTreeSet<NamespaceIdent>,
    ) -> Result<bool> {
        if !namespaces.is_subset(there) {
            return Ok(false);
        }
        for name in namespaces {
            let made =
                self.catalog().get_namespace(name).await.doing(|| format!("read namespace \"{name}\""))?;
            // Those of an earlier version do not say it.
            if made
                .properties()
                .get("location")
                .is_some_and(|location| location != self.catalog().warehouse().base())
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn create(&self, table: &'static TableDef) -> Result<()> {
        let catalog = self.catalog();
        let ident = table.ident();
        let location = format!("{}/{}/{}", catalog.warehouse().base(), table.namespace, table.name);
        let properties = vec![
            ("comment".to_owned(), table.doc.to_owned()),
            (METADATA_FILES_KEPT.to_owned(), self.inner.retention.metadata_files_kept.to_string()),
            ("write.metadata.delete-after-commit.enabled".to_owned(), "true".to_owned()),
        ];
        match catalog.create(ident.namespace(), table.creation(location, properties)?).await {
            // Another process created it meanwhile.
            Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
            created => created.map(drop),
        }
    }

    /// A table of ours that the catalog has lost is taken back as its files say; false where there is none.
    async fn take_back(&self, ident: &TableIdent) -> Result<bool> {
        let Some(location) = self.forgotten(ident).await? else { return Ok(false) };
        match self.catalog().register_table(ident, location.clone()).await {
            Ok(_) => {
                tracing::warn!(table = %ident, metadata = location, "a table that the catalog had lost is taken back")
            }
            // Another process did so meanwhile.
            Err(error) if error.kind() == iceberg::ErrorKind::CatalogCommitConflicts => {}
            Err(error) => return Err(error).doing(|| format!("take table \"{ident}\" back")),
        }
        Ok(true)
    }

    /// A new catalog takes no warehouse that holds files: they are another home's, or this one's catalog was lost, and here
    /// they would be orphans, to be deleted.
    async fn refuse_foreign_files(&self) -> Result<()> {
        let catalog = self.catalog();
        let warehouse = catalog.warehouse();
        let what = || format!("list the warehouse \"{}\"", warehouse.base());
        let mut folders: Vec<&str> = TABLES.iter().map(|table| table.namespace).collect();
        folders.dedup();
        folders.push(ORIGINALS_FOLDER);
        for folder in folders {
            let Some(found) =
                warehouse.store().list(Some(&Path::from(folder))).try_next().await.doing(what)?
            else {
                continue;
            };
            if self.made_meanwhile().await? {
                return Ok(());
            }
            let base = warehouse.base();
            let message = format!(
                "the warehouse \"{base}\" holds files that the catalog of this home does not know (\"{}\"): each home \
                 needs a place of its own; where the catalog was lost, `seislake home repair` makes it anew",
                found.location
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// Whether another process is making the tables of this catalog: it writes files before it names them.
    async fn made_meanwhile(&self) -> Result<bool> {
        for _ in 0..RIVAL_CHECKS {
            if !self.catalog().tables().await?.is_empty() {
                return Ok(true);
            }
            tokio::time::sleep(RIVAL_CHECK_INTERVAL).await;
        }
        Ok(false)
    }

    /// Brings a table of an earlier version to its definition; rows that are there have nulls in the new columns.
    async fn add_missing_columns(&self, table: &TableDef) -> Result<()> {
        loop {
            let loaded = self.load(&table.ident()).await?;
            let Some(updates) = table.additions(loaded.metadata().current_schema())? else { return Ok(()) };
            match self.catalog().commit(&table.ident(), Vec::new(), updates).await {
                // Another process added them, or committed something else, meanwhile.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                committed => return committed.map(drop),
            }
        }
    }

    /// The Iceberg catalog.
    pub fn catalog(&self) -> SharedCatalog {
        Arc::clone(&self.inner.catalog)
    }

    /// Every table of every namespace.
    pub async fn tables(&self) -> Result<Vec<TableIdent>> {
        let tables = self.inner.catalog.tables().await?;
        *self.inner.names.write().unwrap_or_else(PoisonError::into_inner) = tables.clone().into();
        Ok(tables)
    }

    /// The tables as they were last listed.
    pub(crate) fn names(&self) -> Arc<[TableIdent]> {
        Arc::clone(&self.inner.names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current metadata of a table; its `metadata_location()` is the file to hand to other readers.
    pub async fn load(&self, ident: &TableIdent) -> Result<Table> {
        self.inner.catalog.load(ident).await
    }

    /// A sink into `namespace.table`.
    pub async fn sink(&self, table: &str) -> Result<Box<dyn Sink>> {
        let sink = TableSink::open(self.clone(), defined(table)?).await?;
        Ok(Box::new(sink))
    }

    /// The lake as a catalog of DataFusion, each statement reading the newest snapshots.
    pub fn provider(&self) -> Arc<dyn CatalogProvider> {
        self.provider_as_of(AsOf::Latest)
    }

    /// The same, as the tables were at a time (or, for one table, at a snapshot).
    pub fn provider_as_of(&self, as_of: AsOf) -> Arc<dyn CatalogProvider> {
        Arc::new(LakeCatalogProvider::new(self.clone(), as_of))
    }

    /// The same in one state of all tables, for all statements of a request.
    pub fn provider_at(&self, set: SnapshotSet) -> Arc<dyn CatalogProvider> {
        Arc::new(LakeCatalogProvider::pinned(self.clone(), set))
    }

    /// What others need to read the files in place (endpoint and region of an `s3://` warehouse), under the names of
    /// Iceberg's clients; never a credential.
    pub fn client_properties(&self) -> &BTreeMap<String, String> {
        self.inner.catalog.warehouse().client_properties()
    }

    /// What the lake has done since it was opened.
    pub fn metrics(&self) -> LakeMetrics {
        let counters = &self.inner.counters;
        LakeMetrics {
            snapshot_count: counters.snapshots.load(Ordering::Relaxed),
            conflict_count: counters.conflicts.load(Ordering::Relaxed),
            file_count: counters.files.load(Ordering::Relaxed),
            row_count: counters.rows.load(Ordering::Relaxed),
            byte_count: counters.bytes.load(Ordering::Relaxed),
            buffered_bytes: self.inner.buffered.load(Ordering::Relaxed) as u64,
        }
    }

    pub(crate) fn write_settings(&self) -> &WriteSettings {
        &self.inner.write
    }

    pub(crate) fn retention(&self) -> &RetentionSettings {
        &self.inner.retention
    }

    pub(crate) fn hidden_at_start(&self) -> impl Iterator<Item = (&TableIdent, &Table)> {
        self.inner.hidden.get().into_iter().flatten()
    }

    pub(crate) fn leases(&self) -> &Arc<Leases> {
        &self.inner.leases
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

    pub(crate) fn manifests(&self) -> &ManifestCache {
        &self.inner.manifests
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(crate) fn buffered(&self) -> &AtomicUsize {
        &self.inner.buffered
    }

    pub(crate) async fn inventory_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.inventory.lock().await
    }

    /// The right to commit to a table.
    pub(crate) fn committer(&self, table: &TableDef) -> Arc<tokio::sync::Mutex<()>> {
        let mut committers = self.inner.committers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(committers.entry(table.full_name()).or_default())
    }
}

/// The definition of `namespace.table`, or an error that names it.
pub(crate) fn defined(table: &str) -> Result<&'static TableDef> {
    table_def(table).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("table \"{table}\" is not a table of the lake"))
    })
}
