//! The lake as DataFusion sees it: catalog, schemas, tables, and the past.
//!
//! `bulletin.events` is the newest snapshot; `"events@4711"` the snapshot of that id, `"events@2026-01-01T00:00:00Z"`
//! the table as it was then. `bulletin.events_current` shows the latest revision of each event that is not deleted,
//! as does that name in the namespace of a stage of one's own.

mod field_ids;
mod row_groups;
mod statistics;
mod table;
mod view;

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use iceberg::{NamespaceIdent, TableIdent};
use seislake_model::{ErrorKind, SnapshotId};
use seislake_tables::TableDef;

use table::LakeTable;

use crate::as_of::AsOf;
use crate::error::{Doing, Error, Result, to_engine};
use crate::lake::Lake;
use crate::leases::SnapshotSet;
use crate::tables::IcebergTable;

impl Lake {
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
        if let Some(view) = view::find(self.definitions(), namespace, name) {
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
        let view = view::find(self.definitions(), namespace, name);
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
fn not_made(lake: &Lake, namespace: &str, name: &str) -> Option<Error> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let table = view::find(lake.definitions(), namespace, name).map_or(name, |view| view.table);
    let table =
        lake.definitions().iter().find(|ours| ours.namespace == namespace && ours.name == table)?.full_name();
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
            || self.lake.definitions().iter().any(|table| table.namespace == name);
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
        let views = view::of(self.lake.definitions(), &self.namespace);
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
                not_made(&self.lake, &self.namespace, name).map_or(Ok(None), |error| Err(to_engine(error)))
            }
            Err(error) => Err(to_engine(error)),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let name = name.split_once('@').map_or(name, |(name, _)| name);
        self.table_names().iter().any(|known| known == name)
    }
}
