//! An Iceberg catalog of our own over SQLite.
//!
//! The stock catalogs cannot take a commit made by hand (`TableCommit` cannot be built outside the crate) and the
//! stock SQL catalog hides a failed COMMIT. Here a commit is one autocommitted `UPDATE … WHERE metadata_location =
//! old`: a compare and swap. The two tables in the database are those of the Java, Python and Rust SQL catalogs, so
//! PyIceberg's `SqlCatalog` (name `seislake`) opens the same file.
//!
//! Namespaces have one level.

mod commit;
mod pointers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::table::Table;
use iceberg::{
    Catalog, MetadataLocation, Namespace, NamespaceIdent, Runtime, TableCommit, TableCreation, TableIdent,
    drop_table_data,
};
use seislake_model::ErrorKind;
use seislake_tables::TABLES;

use crate::error::{Doing, Error, Outward, Result, to_iceberg};
use crate::settings::LakeAccess;
use crate::storage::Warehouse;
use crate::tables::IcebergTable;
pub(crate) use pointers::{Pointers, damage_of};

/// Tables whose parsed metadata are kept in memory.
const METADATA_CACHE_MAX: usize = 256;

/// The catalog of one lake.
#[derive(Debug)]
pub struct SqlCatalog {
    pointers: Pointers,
    warehouse: Warehouse,
    io: FileIO,
    access: LakeAccess,
    /// Parsed metadata by table, with its location: metadata files never change.
    cache: Mutex<HashMap<TableIdent, Table>>,
}

impl SqlCatalog {
    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.pointers.close().await;
    }

    pub(crate) async fn open(database: &Path, warehouse: Warehouse, access: LakeAccess) -> Result<Self> {
        let pointers = Pointers::open(database, access).await?;
        belongs_to(&pointers, &warehouse).await?;
        let io = warehouse.file_io();
        Ok(Self { pointers, warehouse, io, access, cache: Mutex::new(HashMap::new()) })
    }

    pub(crate) fn io(&self) -> &FileIO {
        &self.io
    }

    pub(crate) fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    fn writable(&self) -> Result<()> {
        if self.access == LakeAccess::Read {
            return Err(Error::new(ErrorKind::Invalid, "the lake is open for reading only"));
        }
        Ok(())
    }

    /// The current metadata of a table.
    pub async fn load(&self, ident: &TableIdent) -> Result<Table> {
        let location = self.pointers.location(ident).await?.ok_or_else(|| no_table(ident))?;
        self.load_at(ident, location).await
    }

    /// The current metadata of all tables.
    pub(crate) async fn load_all(&self) -> Result<Vec<Table>> {
        let mut tables = Vec::new();
        for (ident, location) in self.pointers.locations().await? {
            tables.push(self.load_at(&ident, location).await?);
        }
        Ok(tables)
    }

    async fn load_at(&self, ident: &TableIdent, location: String) -> Result<Table> {
        let cached = self.lock_cache().get(ident).cloned();
        if let Some(table) = cached.filter(|table| table.metadata_location() == Some(location.as_str())) {
            return Ok(table);
        }
        let metadata = TableMetadata::read_from(&self.io, &location)
            .await
            .doing(|| format!("read the metadata of table \"{ident}\" at \"{location}\""))?;
        require_own(ident, &location, &metadata)?;
        self.remember(ident, location, metadata)
    }

    fn remember(&self, ident: &TableIdent, location: String, metadata: TableMetadata) -> Result<Table> {
        let table = Table::builder()
            .identifier(ident.clone())
            .file_io(self.io.clone())
            .metadata_location(location)
            .metadata(metadata)
            .runtime(Runtime::current())
            .build()
            .doing(|| format!("open table \"{ident}\""))?;
        let mut cache = self.lock_cache();
        if cache.len() >= METADATA_CACHE_MAX {
            cache.clear();
        }
        cache.insert(ident.clone(), table.clone());
        Ok(table)
    }

    fn lock_cache(&self) -> std::sync::MutexGuard<'_, HashMap<TableIdent, Table>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a table go on at another metadata file of its own; false where the catalog does not point to `old` any more.
    pub(crate) async fn point_to(&self, ident: &TableIdent, old: &str, new: &str) -> Result<bool> {
        self.writable()?;
        self.pointers.swap(ident, old, new).await
    }

    /// Every table of every namespace.
    pub async fn tables(&self) -> Result<Vec<TableIdent>> {
        self.pointers.tables(None).await
    }

    /// Creates a table and its first metadata file; refuses where the name is taken.
    pub async fn create(&self, namespace: &NamespaceIdent, mut creation: TableCreation) -> Result<Table> {
        self.writable()?;
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        self.known_namespace(namespace).await?;
        if self.pointers.location(&ident).await?.is_some() {
            return Err(Error::new(ErrorKind::Conflict, format!("table \"{ident}\" exists already")));
        }
        let location = creation
            .location
            .take()
            .unwrap_or_else(|| format!("{}/{}/{}", self.warehouse.base(), level(namespace), ident.name()));
        creation.location = Some(location.clone());
        let metadata = TableMetadataBuilder::from_table_creation(creation)
            .and_then(TableMetadataBuilder::build)
            .doing(|| format!("create table \"{ident}\""))?
            .metadata;
        let at = MetadataLocation::new_with_metadata(location, &metadata);
        let what = || format!("write the metadata of \"{ident}\"");
        metadata.write_to(&self.io, &at).await.doing(what)?;
        self.warehouse.sync_names().await.doing(what)?;
        self.pointers.insert(&ident, &at.to_string()).await?;
        self.remember(&ident, at.to_string(), metadata)
    }

    async fn known_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        if !self.pointers.namespaces().await?.iter().any(|name| *name == level(namespace)) {
            return Err(no_namespace(namespace));
        }
        Ok(())
    }
}

async fn belongs_to(pointers: &Pointers, warehouse: &Warehouse) -> Result<()> {
    let Some(ident) = pointers.tables(None).await?.into_iter().next() else { return Ok(()) };
    let Some(location) = pointers.location(&ident).await? else { return Ok(()) };
    made_here(warehouse, &ident, &location)
}

/// Tables name their files by absolute paths: a warehouse that was moved or copied is not theirs. `location` is that of the
/// table or of its metadata.
pub(crate) fn made_here(warehouse: &Warehouse, ident: &TableIdent, location: &str) -> Result<()> {
    let base = warehouse.base();
    if location.strip_prefix(base).is_some_and(|rest| rest.starts_with('/')) {
        return Ok(());
    }
    let below = format!("/{}/{}", level(ident.namespace()), ident.name());
    let made_at = location.split_once(&below).map_or(location, |(made_at, _)| made_at);
    let message = format!(
        "its tables were made in the warehouse \"{made_at}\" and name their files by that path; they cannot be used \
         from \"{base}\" (a home is not moved or copied: put it back, or import again)"
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

/// Metadata of another table are sound, and none of this one: files, folders or pointers were swapped.
pub(crate) fn require_own(ident: &TableIdent, location: &str, metadata: &TableMetadata) -> Result<()> {
    let Some(other) = other_than(ident, metadata) else { return Ok(()) };
    let message =
        format!("the metadata of table \"{ident}\" at \"{location}\" are those of table \"{other}\"");
    Err(Error::new(ErrorKind::Corrupt, message))
}

/// The table that metadata say they are of, where that is another one: a table of ours lies where its name says.
pub(crate) fn other_than(ident: &TableIdent, metadata: &TableMetadata) -> Option<String> {
    let own = format!("/{}/{}", level(ident.namespace()), ident.name());
    if metadata.location().ends_with(&own) || !TABLES.iter().any(|table| table.ident() == *ident) {
        return None;
    }
    let mut names = metadata.location().rsplit('/');
    let (name, namespace) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    Some(format!("{namespace}.{name}"))
}

/// The single level of a namespace.
fn level(namespace: &NamespaceIdent) -> String {
    namespace.to_url_string()
}

fn single_level(namespace: &NamespaceIdent) -> Result<String> {
    match namespace.as_ref().as_slice() {
        [name] if !name.is_empty() => Ok(name.clone()),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            format!("namespace \"{namespace}\" must have exactly one level"),
        )),
    }
}

fn no_table(ident: &TableIdent) -> Error {
    Error::new(ErrorKind::NotFound, format!("table \"{ident}\" does not exist"))
}

fn no_namespace(namespace: &NamespaceIdent) -> Error {
    Error::new(ErrorKind::NotFound, format!("namespace \"{namespace}\" does not exist"))
}

/// The namespace is missing, in Iceberg's words.
fn namespace_error(error: Error) -> iceberg::Error {
    match error.kind {
        ErrorKind::NotFound => iceberg::Error::new(iceberg::ErrorKind::NamespaceNotFound, error.message),
        _ => to_iceberg(error),
    }
}

#[async_trait]
impl Catalog for SqlCatalog {
    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> iceberg::Result<Vec<NamespaceIdent>> {
        if let Some(parent) = parent {
            self.known_namespace(parent).await.map_err(namespace_error)?;
            return Ok(Vec::new());
        }
        Ok(self.pointers.namespaces().await.for_iceberg()?.into_iter().map(NamespaceIdent::new).collect())
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> iceberg::Result<Namespace> {
        self.writable().for_iceberg()?;
        let name = single_level(namespace).for_iceberg()?;
        if !self.pointers.insert_namespace(&name, &properties).await.for_iceberg()? {
            let message = format!("namespace \"{namespace}\" exists already");
            return Err(iceberg::Error::new(iceberg::ErrorKind::NamespaceAlreadyExists, message));
        }
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> iceberg::Result<Namespace> {
        self.known_namespace(namespace).await.map_err(namespace_error)?;
        let properties = self.pointers.namespace_properties(&level(namespace)).await.for_iceberg()?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> iceberg::Result<bool> {
        Ok(self.pointers.namespaces().await.for_iceberg()?.contains(&level(namespace)))
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> iceberg::Result<()> {
        self.writable().for_iceberg()?;
        self.known_namespace(namespace).await.map_err(namespace_error)?;
        Ok(self.pointers.replace_namespace(&level(namespace), &properties).await.for_iceberg()?)
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> iceberg::Result<()> {
        self.writable().for_iceberg()?;
        self.known_namespace(namespace).await.map_err(namespace_error)?;
        if !self.pointers.tables(Some(&level(namespace))).await.for_iceberg()?.is_empty() {
            let message = format!("namespace \"{namespace}\" still has tables");
            return Err(iceberg::Error::new(iceberg::ErrorKind::PreconditionFailed, message));
        }
        Ok(self.pointers.delete_namespace(&level(namespace)).await.for_iceberg()?)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> iceberg::Result<Vec<TableIdent>> {
        self.known_namespace(namespace).await.map_err(namespace_error)?;
        Ok(self.pointers.tables(Some(&level(namespace))).await.for_iceberg()?)
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> iceberg::Result<Table> {
        Ok(self.create(namespace, creation).await.for_iceberg()?)
    }

    async fn load_table(&self, table: &TableIdent) -> iceberg::Result<Table> {
        Ok(self.load(table).await.for_iceberg()?)
    }

    async fn drop_table(&self, table: &TableIdent) -> iceberg::Result<()> {
        self.writable().for_iceberg()?;
        self.lock_cache().remove(table);
        if !self.pointers.delete(table).await.for_iceberg()? {
            return Err(to_iceberg(no_table(table)));
        }
        Ok(())
    }

    async fn purge_table(&self, table: &TableIdent) -> iceberg::Result<()> {
        let loaded = self.load(table).await.for_iceberg()?;
        self.drop_table(table).await?;
        drop_table_data(&loaded).await
    }

    async fn table_exists(&self, table: &TableIdent) -> iceberg::Result<bool> {
        Ok(self.pointers.location(table).await.for_iceberg()?.is_some())
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> iceberg::Result<()> {
        self.writable().for_iceberg()?;
        self.known_namespace(to.namespace()).await.map_err(namespace_error)?;
        self.lock_cache().remove(from);
        if !self.pointers.rename(from, to).await.for_iceberg()? {
            return Err(to_iceberg(no_table(from)));
        }
        Ok(())
    }

    async fn register_table(&self, table: &TableIdent, location: String) -> iceberg::Result<Table> {
        self.writable().for_iceberg()?;
        self.known_namespace(table.namespace()).await.map_err(namespace_error)?;
        let metadata = TableMetadata::read_from(&self.io, &location).await?;
        require_own(table, &location, &metadata).for_iceberg()?;
        self.pointers.insert(table, &location).await.for_iceberg()?;
        Ok(self.remember(table, location, metadata).for_iceberg()?)
    }

    async fn update_table(&self, mut commit: TableCommit) -> iceberg::Result<Table> {
        let ident = commit.identifier().clone();
        let requirements = commit.take_requirements();
        Ok(self.commit(&ident, requirements, commit.take_updates()).await.for_iceberg()?)
    }
}

/// A table handle is cheap to share.
pub(crate) type SharedCatalog = Arc<SqlCatalog>;
