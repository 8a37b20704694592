//! What an open lake is: the catalog, and what all who work on it share.
//!
//! What is done with it stands where its rules are: opening in `open`, sinks in `sink`, reading in `provider` and `snapshots`,
//! keeping in shape in `maintain`. This file uses none of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use iceberg::TableIdent;
use iceberg::table::Table;
use seislake_model::ErrorKind;
use seislake_tables::TableDef;

use crate::error::{Error, Result};
use crate::leases::Leases;
use crate::manifest_cache::ManifestCache;
use crate::settings::{LakeSettings, RetentionSettings, WriteSettings};
use crate::sql_catalog::SharedCatalog;

/// How a hidden state stands to that to which the catalog points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It came from it: going forward to it loses nothing.
    Ahead,
    /// Both came from an older one: each of the two may have rows that the other has not.
    Aside,
}

/// A state of a table that covers what the one to which the catalog points does not.
#[derive(Clone, Debug)]
pub(crate) struct HiddenState {
    pub(crate) pointer: String,
    pub(crate) state: Table,
    pub(crate) standing: Standing,
    /// What only `state` covers, in words.
    pub(crate) what: String,
}

/// States that were hidden when a lake was opened.
pub(crate) type HiddenStates = BTreeMap<TableIdent, HiddenState>;

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
    tables: Vec<&'static TableDef>,
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
    hidden: OnceLock<HiddenStates>,
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
    pub(crate) fn of(catalog: SharedCatalog, settings: LakeSettings) -> Self {
        let LakeSettings { write, retention, tables, .. } = settings;
        let inner = Inner {
            catalog,
            write,
            retention,
            tables,
            manifests: ManifestCache::default(),
            committers: Mutex::default(),
            buffered: AtomicUsize::new(0),
            counters: Counters::default(),
            inventory: tokio::sync::Mutex::default(),
            leases: Arc::default(),
            names: RwLock::new(Arc::from([])),
            hidden: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
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

    /// Ends the connections to the catalog: its file alone is then the whole of it. Nothing is asked of it afterwards.
    pub async fn close(&self) {
        self.inner.catalog.close().await;
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

    /// Tables that it makes where they are missing, and writes.
    pub fn definitions(&self) -> &[&'static TableDef] {
        &self.inner.tables
    }

    /// The definition of `namespace.table`, or an error that names it.
    pub fn defined(&self, table: &str) -> Result<&'static TableDef> {
        let found = self.definitions().iter().copied().find(|defined| defined.full_name() == table);
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("table \"{table}\" is not a table of the lake"))
        })
    }

    pub(crate) fn write_settings(&self) -> &WriteSettings {
        &self.inner.write
    }

    pub(crate) fn retention(&self) -> &RetentionSettings {
        &self.inner.retention
    }

    /// What was found when the lake was opened.
    pub(crate) fn set_hidden(&self, hidden: HiddenStates) {
        self.inner.hidden.get_or_init(|| hidden);
    }

    pub(crate) fn hidden_at_start(&self) -> impl Iterator<Item = (&TableIdent, &HiddenState)> {
        self.inner.hidden.get().into_iter().flatten()
    }

    pub(crate) fn leases(&self) -> &Arc<Leases> {
        &self.inner.leases
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
