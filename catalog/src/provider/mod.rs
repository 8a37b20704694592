//! The lake as DataFusion sees it: catalog, schemas, tables, and the past.
//!
//! `bulletin.events` is the newest snapshot; `"events@4711"` the snapshot of that id, `"events@2026-01-01T00:00:00Z"`
//! the table as it was then. `bulletin.events_current` shows the latest revision of each event that is not deleted.

mod field_ids;
mod manifests;
mod row_groups;
mod statistics;
mod table;
mod view;

use std::any::Any;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use iceberg::spec::{SnapshotRef, TableMetadata};
use iceberg::{NamespaceIdent, TableIdent};
use seislake_model::{ErrorKind, SnapshotId, Timestamp};
use seislake_tables::{TABLES, TableDef};

pub(crate) use manifests::ManifestCache;
use table::LakeTable;

use crate::error::{Doing, Error, Result, to_engine};
use crate::lake::Lake;
use crate::leases::SnapshotSet;
use crate::tables::IcebergTable;

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

impl Lake {
    /// A table (or view) as it is now; `name` may carry `@snapshot-id` or `@time`.
    pub async fn table_provider(&self, namespace: &str, name: &str) -> Result<Arc<dyn TableProvider>> {
        self.table_provider_as_of(namespace, name, AsOf::Latest).await
    }

    /// The same as of a snapshot or time, unless `name` says its own.
    pub async fn table_provider_as_of(
        &self,
        namespace: &str,
        name: &str,
        as_of: AsOf,
    ) -> Result<Arc<dyn TableProvider>> {
        let (name, as_of) = match name.split_once('@') {
            Some((name, text)) => (name, text.parse()?),
            None => (name, as_of),
        };
        if let Some(view) = view::find(namespace, name) {
            let table = self.lake_table(namespace, view.table, as_of).await?;
            return view.provider(Arc::new(table)).await;
        }
        Ok(Arc::new(self.lake_table(namespace, name, as_of).await?))
    }

    /// The rows of some files of a snapshot.
    pub(crate) async fn files_provider(
        &self,
        table: &TableDef,
        snapshot: SnapshotId,
        files: HashSet<String>,
    ) -> Result<Arc<dyn TableProvider>> {
        let table = self.lake_table(table.namespace, table.name, AsOf::Snapshot(snapshot)).await?;
        Ok(Arc::new(table.restricted_to(files)))
    }

    /// A table (or view) in one state of all tables.
    async fn pinned_provider(
        &self,
        namespace: &str,
        name: &str,
        set: &SnapshotSet,
    ) -> Result<Arc<dyn TableProvider>> {
        let view = view::find(namespace, name);
        let ident = TableIdent::from_strs([namespace, view.map_or(name, |view| view.table)])
            .doing(|| "name a table")?;
        let missing = || Error::new(ErrorKind::NotFound, format!("table \"{ident}\" does not exist"));
        let (table, snapshot) = set.table(&ident).ok_or_else(missing)??;
        let table = Arc::new(LakeTable::new(self.clone(), table, snapshot)?);
        match view {
            Some(view) => view.provider(table).await,
            None => Ok(table),
        }
    }

    /// A table as it is now, and the snapshot that is.
    pub(crate) async fn current_table(
        &self,
        table: &TableDef,
    ) -> Result<(Arc<dyn TableProvider>, Option<SnapshotId>)> {
        let loaded = self.load(&table.ident()).await?;
        let snapshot = loaded.metadata().current_snapshot().cloned();
        let id = snapshot.as_ref().map(|snapshot| snapshot.snapshot_id());
        Ok((Arc::new(LakeTable::new(self.clone(), loaded, snapshot)?), id))
    }

    async fn lake_table(&self, namespace: &str, name: &str, as_of: AsOf) -> Result<LakeTable> {
        let ident = TableIdent::new(NamespaceIdent::new(namespace.to_owned()), name.to_owned());
        let table = self.load(&ident).await?;
        let snapshot = as_of.snapshot(&ident, table.metadata())?;
        LakeTable::new(self.clone(), table, snapshot)
    }
}

/// What is said of a table of ours that a lake has not.
fn not_made(namespace: &str, name: &str) -> Option<Error> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let table = view::find(namespace, name).map_or(name, |view| view.table);
    let table = TABLES.iter().find(|ours| ours.namespace == namespace && ours.name == table)?.full_name();
    let message = format!(
        "the home has no table \"{table}\" yet: its first import was interrupted, or it is older than the table; run \
         `seislake import` again"
    );
    Some(Error::new(ErrorKind::NotFound, message))
}

/// The lake as a DataFusion catalog.
#[derive(Debug)]
pub struct LakeCatalogProvider {
    lake: Lake,
    state: State,
}

/// Which state of the tables a catalog shows.
#[derive(Clone, Debug)]
enum State {
    /// Looked up for each statement.
    AsOf(AsOf),
    /// One for all statements.
    Pinned(SnapshotSet),
}

impl LakeCatalogProvider {
    /// The lake as of a time.
    pub fn new(lake: Lake, as_of: AsOf) -> Self {
        Self { lake, state: State::AsOf(as_of) }
    }

    /// The lake in one state.
    pub(crate) fn pinned(lake: Lake, set: SnapshotSet) -> Self {
        Self { lake, state: State::Pinned(set) }
    }
}

impl CatalogProvider for LakeCatalogProvider {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.lake.names().iter().map(|ident| ident.namespace().to_url_string()).collect();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        // Those of ours also where no table of theirs is made yet.
        let known = self.schema_names().iter().any(|known| known == name)
            || TABLES.iter().any(|table| table.namespace == name);
        let schema = LakeSchemaProvider {
            lake: self.lake.clone(),
            state: self.state.clone(),
            namespace: name.to_owned(),
        };
        known.then(|| Arc::new(schema) as Arc<dyn SchemaProvider>)
    }
}

#[derive(Debug)]
struct LakeSchemaProvider {
    lake: Lake,
    state: State,
    namespace: String,
}

#[async_trait]
impl SchemaProvider for LakeSchemaProvider {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        let names = self.lake.names();
        let tables = names.iter().filter(|ident| ident.namespace().to_url_string() == self.namespace);
        let views = view::VIEWS.iter().filter(|view| view.namespace == self.namespace);
        tables.map(|ident| ident.name().to_owned()).chain(views.map(|view| view.name.to_owned())).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let found = match &self.state {
            State::AsOf(as_of) => self.lake.table_provider_as_of(&self.namespace, name, *as_of).await,
            State::Pinned(_) if name.contains('@') => self.lake.table_provider(&self.namespace, name).await,
            State::Pinned(set) => self.lake.pinned_provider(&self.namespace, name, set).await,
        };
        match found {
            Ok(table) => Ok(Some(table)),
            // A missing table is for DataFusion to report, a missing snapshot for us, and a table of ours that is not made.
            Err(error) if error.kind == ErrorKind::NotFound && !self.table_exist(name) => {
                not_made(&self.namespace, name).map_or(Ok(None), |error| Err(to_engine(error)))
            }
            Err(error) => Err(to_engine(error)),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        self.table_names().iter().any(|known| known == name)
    }
}
