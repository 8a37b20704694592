//! One object store for Iceberg and DataFusion, rooted at the warehouse.
//!
//! Iceberg names files by absolute URL (`file:///…`, `s3://bucket/…`); the store knows them relative to the
//! warehouse. Files outside the warehouse are refused. What is written carries a checksum, what is read is compared
//! with it (`checksums`, `checked`).

mod checked;
mod checksums;
mod credentials;
mod local;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::buffered::BufWriter;
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use seislake_model::ErrorKind;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use self::checked::{CheckedStore, Kind};
use self::checksums::{BlockSums, seal_avro, seal_json, seal_parquet};
use self::local::Directories;
use crate::damaged::FileDamage;
use crate::error::{Doing, Error, Result};
use crate::settings::LakeAccess;

pub(crate) use checksums::{FOOTER_KEY, FOOTER_VALUE};

/// The place where data and metadata files lie.
#[derive(Clone)]
pub(crate) struct Warehouse {
    /// URL without a final slash.
    base: String,
    store: Arc<CheckedStore>,
    /// Under this URL DataFusion finds the store.
    store_url: ObjectStoreUrl,
    /// Directories of a local warehouse.
    directories: Option<Arc<Directories>>,
    /// Bytes of data files written and not yet described to Iceberg, whose writer does not know of their checksums.
    sizes: Arc<Mutex<HashMap<Path, u64>>>,
    /// What others need to read the files in place, under Iceberg's names; never a credential.
    client_properties: BTreeMap<String, String>,
    /// Without credentials of its own a bucket is opened with those of the machine, asked for at this address.
    machine_credentials_at: Option<String>,
}

impl fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warehouse").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Warehouse {
    /// Opens the warehouse at a directory, a `file://` URL or an `s3://bucket/prefix` URL.
    pub(crate) fn open(
        location: &str,
        options: &BTreeMap<String, String>,
        access: LakeAccess,
    ) -> Result<Self> {
        let store_url =
            ObjectStoreUrl::parse(format!("seislake-warehouse://{}", uuid::Uuid::new_v4().simple()))
                .doing(|| "name the warehouse")?;
        if let Some(rest) = location.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.trim_end_matches('/');
            let builder = s3(bucket, options)?;
            let client_properties = client_properties(&builder);
            let machine_credentials_at = credentials::asked_of_machine_at(&builder);
            let store = builder.build().doing(|| format!("open bucket \"{bucket}\""))?;
            let store = Arc::new(CheckedStore::new(Arc::new(PrefixStore::new(store, prefix))));
            let base = format!("s3://{}", rest.trim_end_matches('/'));
            let (directories, sizes) = (None, Arc::default());
            return Ok(Self {
                base,
                store,
                store_url,
                directories,
                sizes,
                client_properties,
                machine_credentials_at,
            });
        }
        let path = location.strip_prefix("file://").unwrap_or(location);
        if path.contains("://") {
            let message =
                format!("warehouse \"{location}\" is neither a directory nor a file:// or s3:// URL");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let directory = directory(path, access)?;
        let store = LocalFileSystem::new_with_prefix(&directory)
            .doing(|| format!("open warehouse \"{location}\""))?;
        Ok(Self {
            base: format!("file://{}", directory.display()),
            store: Arc::new(CheckedStore::over(Arc::new(store), directory.clone())),
            store_url,
            directories: Some(Arc::new(Directories::below(directory))),
            sizes: Arc::default(),
            client_properties: BTreeMap::new(),
            machine_credentials_at: None,
        })
    }

    /// Finds out early that there are no credentials, and says how to give some.
    pub(crate) async fn require_credentials(&self) -> Result<()> {
        match &self.machine_credentials_at {
            Some(address) => credentials::require_machine(&self.base, address).await,
            None => Ok(()),
        }
    }

    pub(crate) fn client_properties(&self) -> &BTreeMap<String, String> {
        &self.client_properties
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::<CheckedStore>::clone(&self.store)
    }

    /// Files found damaged or missing since the warehouse was opened, with what is wrong.
    pub(crate) fn damages(&self) -> BTreeMap<String, String> {
        self.store.damages()
    }

    /// The same, for looking at what may be damaged: that is told by whoever looks, and remembered nowhere.
    pub(crate) fn unremembered(&self) -> Self {
        Self { store: Arc::new(self.store.unremembered()), ..self.clone() }
    }

    /// Remembers a file that was found damaged by what it says.
    pub(crate) fn remember(&self, found: &FileDamage) {
        self.store.remember(found);
    }

    /// Files that are needed and not there are told of.
    pub(crate) fn confirm_missing(&self, path: &str) {
        self.store.confirm_missing(path);
    }

    /// Nobody needs this file any more.
    pub(crate) fn forget_damage(&self, path: &str) {
        self.store.forget_damage(path);
    }

    /// Bytes of a data file that was just written; `None` where it was not, or asked for before.
    pub(crate) fn written_bytes(&self, location: &str) -> Option<u64> {
        let path = self.path(location).ok()?;
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner).remove(&path)
    }

    pub(crate) fn store_url(&self) -> &ObjectStoreUrl {
        &self.store_url
    }

    /// Iceberg's view of the store.
    pub(crate) fn file_io(&self) -> FileIO {
        FileIOBuilder::new(Arc::new(WarehouseStorage { warehouse: Some(self.clone()) })).build()
    }

    /// Path of a file within the store.
    pub(crate) fn path(&self, location: &str) -> iceberg::Result<Path> {
        let outside = || {
            let message = format!("file \"{location}\" lies outside the warehouse \"{}\"", self.base);
            iceberg::Error::new(iceberg::ErrorKind::DataInvalid, message)
        };
        let relative = location.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/'));
        Path::parse(relative.ok_or_else(outside)?).map_err(|_| outside())
    }

    /// Makes the contents of a local file durable before a commit names it; object stores are durable when a write
    /// returns. Its name is durable after [`Warehouse::sync_names`].
    pub(crate) async fn sync(&self, path: &Path) -> std::io::Result<()> {
        match &self.directories {
            Some(directories) => directories.sync(path).await,
            None => Ok(()),
        }
    }

    /// Makes the names of all files synced so far durable.
    pub(crate) async fn sync_names(&self) -> std::io::Result<()> {
        match &self.directories {
            Some(directories) => directories.sync_names().await,
            None => Ok(()),
        }
    }
}

fn directory(path: &str, access: LakeAccess) -> Result<PathBuf> {
    if access == LakeAccess::Write {
        std::fs::create_dir_all(path).doing(|| format!("create warehouse \"{path}\""))?;
    }
    FilePath::new(path).canonicalize().doing(|| format!("open warehouse \"{path}\""))
}

fn s3(bucket: &str, options: &BTreeMap<String, String>) -> Result<AmazonS3Builder> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    // Connections outlive the statement that opened them; on its threads they would stand still with its longest call.
    if let Ok(runtime) = Handle::try_current() {
        builder = builder.with_http_connector(SpawnedReqwestConnector::new(runtime));
    }
    for (key, value) in options {
        let key: AmazonS3ConfigKey =
            key.parse().doing(|| format!("read the object store option \"{key}\""))?;
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

/// Region, and endpoint with its style of addresses where it is none of Amazon's.
fn client_properties(builder: &AmazonS3Builder) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut add = |name: &str, value: String| properties.insert(name.to_owned(), value);
    if let Some(region) = builder.get_config_value(&AmazonS3ConfigKey::Region) {
        add("client.region", region.clone());
        add("s3.region", region);
    }
    if let Some(endpoint) = builder.get_config_value(&AmazonS3ConfigKey::Endpoint) {
        add("s3.endpoint", endpoint);
        let virtual_hosts = builder.get_config_value(&AmazonS3ConfigKey::VirtualHostedStyleRequest);
        add("s3.path-style-access", (virtual_hosts.as_deref() != Some("true")).to_string());
    }
    properties
}

/// Implements Iceberg's storage traits. It lives in this process only: the store itself is not serialised.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WarehouseStorage {
    #[serde(skip)]
    warehouse: Option<Warehouse>,
}

fn storage_error(location: &str, cause: impl std::error::Error + Send + Sync + 'static) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::Unexpected, format!("cannot access \"{location}\""))
        .with_source(cause)
}

impl WarehouseStorage {
    fn at(&self, location: &str) -> iceberg::Result<(&Warehouse, Path)> {
        let warehouse = self.warehouse.as_ref().ok_or_else(|| {
            let message = "the storage of a warehouse cannot move to another process";
            iceberg::Error::new(iceberg::ErrorKind::FeatureUnsupported, message)
        })?;
        Ok((warehouse, warehouse.path(location)?))
    }
}

#[typetag::serde]
impl StorageFactory for WarehouseStorage {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde]
impl Storage for WarehouseStorage {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        let (warehouse, at) = self.at(path)?;
        match warehouse.store.head(&at).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(storage_error(path, error)),
        }
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        let (warehouse, at) = self.at(path)?;
        let head = warehouse.store.head(&at).await.map_err(|error| storage_error(path, error))?;
        Ok(FileMetadata { size: head.size })
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        let (warehouse, at) = self.at(path)?;
        let found = warehouse.store.get(&at).await.map_err(|error| storage_error(path, error))?;
        found.bytes().await.map_err(|error| storage_error(path, error))
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let (warehouse, at) = self.at(path)?;
        Ok(Box::new(Reader { store: warehouse.store(), at, location: path.to_owned() }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> iceberg::Result<()> {
        let (warehouse, at) = self.at(path)?;
        let bytes = match Kind::of(&at) {
            Kind::Json => seal_json(bytes.into()).into(),
            Kind::Avro => seal_avro(bytes.into()).into(),
            Kind::Parquet | Kind::Other => bytes,
        };
        warehouse.store.put(&at, bytes.into()).await.map_err(|error| storage_error(path, error))?;
        warehouse.sync(&at).await.map_err(|error| storage_error(path, error))
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let (warehouse, at) = self.at(path)?;
        let inner = BufWriter::new(warehouse.store(), at.clone());
        let seal = match Kind::of(&at) {
            Kind::Parquet => Seal::Parquet { sums: BlockSums::default(), last: Bytes::new(), written: 0 },
            Kind::Avro => Seal::Whole(Vec::new()),
            Kind::Json | Kind::Other => Seal::None,
        };
        Ok(Box::new(Writer { inner, warehouse: warehouse.clone(), at, location: path.to_owned(), seal }))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        let (warehouse, at) = self.at(path)?;
        match warehouse.store.delete(&at).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(storage_error(path, error)),
        }
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        let (warehouse, at) = self.at(path.trim_end_matches('/'))?;
        let files = warehouse.store.list(Some(&at)).map_ok(|file| file.location).boxed();
        let deleted = warehouse.store.delete_stream(files);
        deleted.try_for_each(|_| async { Ok(()) }).await.map_err(|error| storage_error(path, error))
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        self.at(path)?;
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        self.at(path)?;
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct Reader {
    store: Arc<dyn ObjectStore>,
    at: Path,
    location: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        let found = self.store.get_range(&self.at, range).await;
        found.map_err(|error| storage_error(&self.location, error))
    }
}

struct Writer {
    inner: BufWriter,
    warehouse: Warehouse,
    at: Path,
    location: String,
    seal: Seal,
}

/// How the checksum comes into a file that is being written.
enum Seal {
    None,
    /// Held back whole: lists of files are small.
    Whole(Vec<u8>),
    /// Of data files the last part is held back: it ends with the footer, before which the sums go.
    Parquet {
        sums: BlockSums,
        last: Bytes,
        written: u64,
    },
}

impl Writer {
    async fn put(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.inner.put(bytes).await.map_err(|error| storage_error(&self.location, error))
    }
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        let ready = match &mut self.seal {
            Seal::None => bytes,
            Seal::Whole(held) => {
                held.extend(bytes);
                return Ok(());
            }
            Seal::Parquet { sums, last, written } => {
                let ready = std::mem::replace(last, bytes);
                sums.add(&ready);
                *written += ready.len() as u64;
                ready
            }
        };
        if ready.is_empty() { Ok(()) } else { self.put(ready).await }
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        match std::mem::replace(&mut self.seal, Seal::None) {
            Seal::None => {}
            Seal::Whole(held) => self.put(seal_avro(held).into()).await?,
            Seal::Parquet { sums, last, mut written } => {
                let end =
                    seal_parquet(sums, &last).map_err(|damage| storage_error(&self.location, damage))?;
                for part in end.into_iter().filter(|part| !part.is_empty()) {
                    written += part.len() as u64;
                    self.put(part).await?;
                }
                let mut sizes = self.warehouse.sizes.lock().unwrap_or_else(PoisonError::into_inner);
                sizes.insert(self.at.clone(), written);
            }
        }
        self.inner.shutdown().await.map_err(|error| storage_error(&self.location, error))?;
        self.warehouse.sync(&self.at).await.map_err(|error| storage_error(&self.location, error))
    }
}

/// Nothing lies there, nor can: the name, or the link, leads to nothing, back to itself, below what is no folder, or to a name
/// that no file has. Of a name that does, the folder above is told.
pub fn leads_nowhere(error: &std::io::Error) -> bool {
    use rustix::io::Errno as Os;
    let errors = [Os::NOENT, Os::NOTDIR, Os::LOOP, Os::NAMETOOLONG].map(|errno| Some(errno.raw_os_error()));
    errors.contains(&error.raw_os_error())
}
