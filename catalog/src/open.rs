//! Opening a lake, and making what is missing of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::{TryStreamExt, future};
use iceberg::{Catalog, NamespaceIdent, TableIdent};
use object_store::ObjectStore;
use object_store::path::Path;
use seislake_model::ErrorKind;
use seislake_tables::TableDef;

use crate::error::{Doing, Error, Result};
use crate::lake::{HiddenStates, Lake};
use crate::originals::ORIGINALS_FOLDER;
use crate::settings::{LakeAccess, LakeSettings};
use crate::sql_catalog::SqlCatalog;
use crate::storage::Warehouse;
use crate::tables::IcebergTable;

/// Iceberg's property for the number of metadata files that the metadata log names.
const METADATA_FILES_KEPT: &str = "write.metadata.previous-versions-max";

/// Tables made at once.
const CREATED_AT_ONCE: usize = 4;

/// Looks for the first table of a rival that opens a new catalog at the same time: five seconds, far more than it takes.
const RIVAL_CHECKS: u32 = 50;
const RIVAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);

impl Lake {
    /// Opens the lake and creates what is missing: database, namespaces, tables (nothing to read it).
    pub async fn open(mut settings: LakeSettings) -> Result<Self> {
        if let (LakeAccess::Write, Some(parent)) = (settings.access, settings.catalog.parent()) {
            tokio::fs::create_dir_all(parent)
                .await
                .doing(|| format!("create directory \"{}\"", parent.display()))?;
        }
        let access = settings.access;
        let warehouse = Warehouse::open(&settings.warehouse, &settings.object_store, access)?;
        warehouse.require_credentials().await?;
        let catalog = SqlCatalog::open(&settings.catalog, warehouse, access).await?;
        settings.add_own(&catalog.tables().await?);
        let lake = Self::of(Arc::new(catalog), settings);
        if access == LakeAccess::Write {
            // A lake that was just made, in a place without files, hides nothing.
            let hidden = if lake.create_missing().await? {
                HiddenStates::new()
            } else {
                lake.look_for_hidden().await?
            };
            lake.set_hidden(hidden);
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
            self.definitions().iter().map(|table| NamespaceIdent::new(table.namespace.to_owned())).collect();
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
        for tables in self.definitions().chunks(CREATED_AT_ONCE) {
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
            (METADATA_FILES_KEPT.to_owned(), self.retention().metadata_files_kept.to_string()),
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
        let mut folders: Vec<&str> = self.definitions().iter().map(|table| table.namespace).collect();
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
}
