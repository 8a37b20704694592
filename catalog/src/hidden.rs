//! States of tables that the catalog does not know of (any more): an older database was put back, or a row of it is gone.
//!
//! Metadata files are numbered. One that is newer than the file the catalog points to, and covers more, holds rows that
//! nobody sees. A crash between writing a metadata file and moving the pointer leaves such a file, too: its rows come in
//! again from the log, and then it hides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use iceberg::spec::{DataFile, ManifestContentType, Operation, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::{Runtime, TableIdent};
use object_store::ObjectStore;
use object_store::path::Path;
use seislake_model::{ErrorKind, Offsets};
use seislake_tables::TableDef;

use crate::error::{Damage, Doing, Error, Result};
use crate::lake::{HiddenStates, Lake};
use crate::own;
use crate::sink::offsets;
use crate::sql_catalog::require_own;
use crate::storage::Warehouse;
use crate::tables::IcebergTable;

/// Further looks at a state that seems hidden, for a commit under way to move the pointer to it: half a second, far more
/// than that takes.
const HIDDEN_CHECKS: u32 = 5;
const HIDDEN_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A state of a table that is newer than the one the catalog points to.
struct HiddenState {
    pointer: String,
    newest: Table,
    /// What only `newest` covers, in words.
    what: String,
}

/// Number of a metadata file, as its name begins.
fn version(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or_default();
    name.split('-').next().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// Metadata files of a table, the newest first.
pub(crate) async fn metadata_files(warehouse: &Warehouse, ident: &TableIdent) -> Result<Vec<String>> {
    let folder = Path::from(format!("{}/{}/metadata", ident.namespace().to_url_string(), ident.name()));
    let listed: Vec<_> = warehouse
        .store()
        .list(Some(&folder))
        .try_collect()
        .await
        .doing(|| format!("list the metadata of table \"{ident}\""))?;
    let mut files: Vec<_> = listed
        .into_iter()
        .filter(|object| object.location.as_ref().ends_with(".metadata.json"))
        .map(|object| {
            let location = format!("{}/{}", warehouse.base(), object.location);
            (version(&location), object.last_modified, location)
        })
        .collect();
    files.sort();
    Ok(files.into_iter().rev().map(|(_, _, location)| location).collect())
}

/// A table at a metadata file, its current snapshot read down to the entries of its manifests.
pub(crate) async fn open_at(warehouse: &Warehouse, ident: &TableIdent, location: &str) -> Result<Table> {
    let what = || format!("read the metadata of table \"{ident}\" at \"{location}\"");
    let io = warehouse.file_io();
    let metadata = TableMetadata::read_from(&io, location).await.doing(what)?;
    require_own(ident, location, &metadata)?;
    let table = Table::builder()
        .identifier(ident.clone())
        .file_io(io)
        .metadata_location(location.to_owned())
        .metadata(metadata)
        .runtime(Runtime::current())
        .build()
        .doing(what)?;
    if let Some(snapshot) = table.metadata().current_snapshot() {
        files_of(&table, snapshot).await?;
    }
    Ok(table)
}

/// Live data files of a snapshot.
pub(crate) async fn files_of(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<DataFile>> {
    let mut files = Vec::new();
    for manifest in own::manifests(table, snapshot).await? {
        let loaded = own::entries(table, &manifest).await?;
        if manifest.content == ManifestContentType::Data {
            let live = loaded.entries().iter().filter(|entry| entry.is_alive());
            files.extend(live.map(|entry| entry.data_file().clone()));
        }
    }
    Ok(files)
}

/// The table at the newest of `files` that is not damaged, where that is newer than `pointer`.
pub(crate) async fn newer(
    warehouse: &Warehouse,
    ident: &TableIdent,
    files: &[String],
    pointer: &str,
) -> Result<Option<Table>> {
    for file in files.iter().take_while(|file| version(file) > version(pointer)) {
        match open_at(warehouse, ident, file).await {
            Ok(table) => return Ok(Some(table)),
            Err(error) => drop(error.damage()?),
        }
    }
    Ok(None)
}

/// The table at the newest of `files` that is not damaged and has rows.
pub(crate) async fn newest_with_rows(
    warehouse: &Warehouse,
    ident: &TableIdent,
    files: &[String],
) -> Result<Option<Table>> {
    for file in files {
        match open_at(warehouse, ident, file).await {
            Ok(table) if table.metadata().current_snapshot().is_some() => return Ok(Some(table)),
            Ok(_) => {}
            Err(error) => drop(error.damage()?),
        }
    }
    Ok(None)
}

/// What `newer` covers and `current` does not, in words; `None` where it hides nothing.
pub(crate) fn hides(newer: &TableMetadata, current: &TableMetadata) -> Option<String> {
    let (told, known) = (offsets(newer), offsets(current));
    let records = records_beyond(&told, &known);
    if records > 0 {
        return Some(format!("{records} records of the log that its newest metadata file covers"));
    }
    let (rows_told, rows_known) = (rows(newer), rows(current));
    if rows_told > rows_known {
        return Some(format!("{} rows that its newest metadata file holds", rows_told - rows_known));
    }
    // Tables that follow no log are replaced as a whole, and changed by nothing else.
    let replaced = newer
        .current_snapshot()
        .is_some_and(|snapshot| !matches!(snapshot.summary().operation, Operation::Replace));
    let changed = newer.last_sequence_number() > current.last_sequence_number();
    (told.0.is_empty() && replaced && changed).then(|| "the state of its newest metadata file".to_owned())
}

fn records_beyond(told: &Offsets, known: &Offsets) -> u64 {
    let partitions = told.0.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(partition, next)| next.saturating_sub(known.get(topic, *partition)))
    });
    partitions.sum()
}

fn rows(metadata: &TableMetadata) -> u64 {
    let summary = metadata.current_snapshot().map(|snapshot| &snapshot.summary().additional_properties);
    summary.and_then(|summary| summary.get("total-records")?.parse().ok()).unwrap_or(0)
}

impl Lake {
    /// Looks once for states that the catalog does not know of, and warns of them.
    pub(crate) async fn look_for_hidden(&self) -> Result<HiddenStates> {
        let mut hidden = HiddenStates::new();
        for ident in self.definitions().iter().map(|table| table.ident()) {
            let Some(HiddenState { pointer, newest, what }) = self.hidden_state(&ident).await? else {
                continue;
            };
            tracing::warn!(
                table = %ident, pointer, newest = newest.metadata_location(), hidden = what,
                "the catalog points to an older state of a table than its files hold; `seislake home repair` goes \
                 forward to it, what the log holds comes in again by itself"
            );
            hidden.insert(ident, newest);
        }
        Ok(hidden)
    }

    /// What is hidden of a table now.
    async fn hidden_state(&self, ident: &TableIdent) -> Result<Option<HiddenState>> {
        let warehouse = &self.catalog().warehouse().unremembered();
        let current = self.load(ident).await?;
        let Some(pointer) = current.metadata_location().map(str::to_owned) else { return Ok(None) };
        let files = metadata_files(warehouse, ident).await?;
        let Some(newest) = newer(warehouse, ident, &files, &pointer).await? else { return Ok(None) };
        let what = hides(newest.metadata(), current.metadata());
        Ok(what.map(|what| HiddenState { pointer, newest, what }))
    }

    /// Keeps maintenance from the files that only a hidden state names, and from original records that only its rows name:
    /// a repair goes forward to it. Looked at afresh each time, because a catalog may be put back at any time.
    ///
    /// # Errors
    /// `Invalid` while one of `tables` has a newer state than the catalog points to.
    pub(crate) async fn require_nothing_hidden(&self, tables: &[&TableDef]) -> Result<()> {
        for table in tables {
            let Some(what) = self.stays_hidden(&table.ident()).await? else { continue };
            let message = format!(
                "the catalog points to an older state of table \"{}\" than its files hold (hidden: {what}); nothing that \
                 may belong to the newer one is deleted: run `seislake home repair` first, which goes forward to it",
                table.full_name()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// What is hidden of a table, and not only until a commit under way moves the pointer to it.
    async fn stays_hidden(&self, ident: &TableIdent) -> Result<Option<String>> {
        let Some(first) = self.hidden_state(ident).await? else { return Ok(None) };
        for _ in 0..HIDDEN_CHECKS {
            tokio::time::sleep(HIDDEN_CHECK_INTERVAL).await;
            match self.hidden_state(ident).await? {
                Some(again) if again.newest.metadata_location() == first.newest.metadata_location() => {}
                // The first was that of a commit, as another file that is newer now may be.
                _ => return Ok(None),
            }
        }
        Ok(Some(first.what))
    }

    /// Tables of which the catalog knew an older state than their files hold when the lake was opened, and whose rows have
    /// not come in again since; with what is hidden.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn hidden(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for (ident, newest) in self.hidden_at_start() {
            let current = self.load(ident).await?;
            found.extend(hides(newest.metadata(), current.metadata()).map(|what| (ident.to_string(), what)));
        }
        Ok(found)
    }

    /// The metadata file from which a table that the catalog does not name is taken back: its newest with rows.
    pub(crate) async fn forgotten(&self, ident: &TableIdent) -> Result<Option<String>> {
        let warehouse = &self.catalog().warehouse().unremembered();
        let files = metadata_files(warehouse, ident).await?;
        let found = newest_with_rows(warehouse, ident, &files).await?;
        Ok(found.and_then(|table| table.metadata_location().map(str::to_owned)))
    }
}
