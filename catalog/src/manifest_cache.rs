//! The data files of a snapshot, from its manifests; manifests never change and are cached by path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iceberg::spec::{DataFile, ManifestContentType, ManifestFile, SnapshotRef};
use iceberg::table::Table;
use seislake_model::ErrorKind;

use crate::error::{Damage, Error, Result};
use crate::own;
use crate::storage::Warehouse;

/// Data files held by the cache before it is emptied; about 2 kB each.
const CACHED_FILES_MAX: usize = 50_000;

/// Lists of manifests held by the cache before it is emptied; at most some 64 manifests each.
const CACHED_LISTS_MAX: usize = 256;

/// Manifests read so far.
#[derive(Debug, Default)]
pub(crate) struct ManifestCache {
    cached: Mutex<CacheEntry>,
}

#[derive(Debug, Default)]
struct CacheEntry {
    lists: HashMap<String, Arc<Vec<ManifestFile>>>,
    manifests: HashMap<String, Arc<Vec<DataFile>>>,
    file_count: usize,
}

impl ManifestCache {
    /// Manifests of a snapshot; refuses snapshots with delete files. Lists are cached, too: whoever holds a state of the
    /// tables reads on in it when another process has let it go.
    pub(crate) async fn list(
        &self,
        warehouse: &Warehouse,
        table: &Table,
        snapshot: &SnapshotRef,
    ) -> Result<Arc<Vec<ManifestFile>>> {
        if let Some(list) = self.lock().lists.get(snapshot.manifest_list()) {
            return Ok(Arc::clone(list));
        }
        let manifests =
            own::manifests(table, snapshot).await.inspect_err(|error| remember(warehouse, error))?;
        if manifests.iter().any(|manifest| manifest.content == ManifestContentType::Deletes) {
            let message = format!(
                "table \"{}\" at snapshot {} has delete files, which this reader does not apply",
                table.identifier(),
                snapshot.snapshot_id()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let manifests = Arc::new(manifests);
        let mut cached = self.lock();
        if cached.lists.len() >= CACHED_LISTS_MAX {
            cached.lists.clear();
        }
        cached.lists.insert(snapshot.manifest_list().to_owned(), Arc::clone(&manifests));
        Ok(manifests)
    }

    /// Live data files of a manifest.
    pub(crate) async fn files(
        &self,
        warehouse: &Warehouse,
        table: &Table,
        manifest: &ManifestFile,
    ) -> Result<Arc<Vec<DataFile>>> {
        let path = &manifest.manifest_path;
        if let Some(files) = self.lock().manifests.get(path) {
            return Ok(Arc::clone(files));
        }
        let loaded = own::entries(table, manifest).await.inspect_err(|error| remember(warehouse, error))?;
        let alive = loaded.entries().iter().filter(|entry| entry.is_alive());
        let files: Arc<Vec<DataFile>> = Arc::new(alive.map(|entry| entry.data_file().clone()).collect());
        let mut cached = self.lock();
        if cached.file_count > CACHED_FILES_MAX {
            *cached = CacheEntry::default();
        }
        cached.file_count += files.len();
        cached.manifests.insert(path.clone(), Arc::clone(&files));
        Ok(files)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CacheEntry> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(warehouse: &Warehouse, error: &Error) {
    if let Some(damaged) = error.damaged_file() {
        warehouse.remember(damaged);
    }
}
