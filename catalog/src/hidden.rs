//! States of tables that the catalog does not know of (any more): an older database was put back, or a row of it is gone.
//!
//! Metadata files are numbered. One that is newer than the file the catalog points to, and covers more, holds rows that
//! nobody sees. A crash between writing a metadata file and moving the pointer leaves such a file, too: its rows come in
//! again from the log, and then it hides nothing. Where the log cannot give them, the owner of a home goes forward to it
//! when it starts, before the first commit: a commit takes the number of the pointer past that of the hidden state. One
//! that was passed so lies *aside*; it is known by the records that it covers.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures::TryStreamExt;
use iceberg::spec::{DataFile, ManifestContentType, Operation, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::{Runtime, TableIdent};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use seislake_model::{ErrorKind, LogRange, Offsets};
use seislake_tables::TableDef;

use crate::error::{Damage, Doing, Error, Result};
use crate::lake::{HiddenState, HiddenStates, Lake, Standing};
use crate::own;
use crate::sink::offsets;
use crate::sql_catalog::require_own;
use crate::storage::Warehouse;
use crate::tables::IcebergTable;

/// Further looks at a state that seems hidden, for a commit under way to move the pointer to it: half a second, far more
/// than that takes.
const HIDDEN_CHECKS: u32 = 5;
const HIDDEN_CHECK_INTERVAL: Duration = Duration::from_millis(100);

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

/// The same; `None` where it is damaged.
async fn sound_at(warehouse: &Warehouse, ident: &TableIdent, location: &str) -> Result<Option<Table>> {
    match open_at(warehouse, ident, location).await {
        Ok(table) => Ok(Some(table)),
        Err(error) => error.damage().map(|_| None),
    }
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

/// The newest of `files` that is newer than `current`, hides something from it and is whole down to its data files; with
/// what it hides.
async fn ahead(
    warehouse: &Warehouse,
    current: &Table,
    files: &[String],
    pointer: &str,
) -> Result<Option<(Table, String)>> {
    for file in files.iter().take_while(|file| version(file) > version(pointer)) {
        let Some(state) = sound_at(warehouse, current.identifier(), file).await? else { continue };
        let Some(what) = hides(state.metadata(), current.metadata()) else { return Ok(None) };
        match missing_file(warehouse, &state).await? {
            None => return Ok(Some((state, what))),
            Some(missing) => tracing::warn!(
                table = %current.identifier(), state = file, missing,
                "a state of a table that is newer than the one of the catalog is not whole"
            ),
        }
    }
    Ok(None)
}

/// A data file of the current snapshot that is not there, or not of its length.
async fn missing_file(warehouse: &Warehouse, table: &Table) -> Result<Option<String>> {
    let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(None) };
    for file in files_of(table, snapshot).await? {
        let path = file.file_path();
        let what = || format!("look for \"{path}\"");
        match warehouse.store().head(&warehouse.path(path).doing(what)?).await {
            Ok(found) if found.size == file.file_size_in_bytes() => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(Some(path.to_owned())),
            Err(error) => return Err(error).doing(what),
        }
    }
    Ok(None)
}

/// Whether a newer state came from the one to which the catalog points, so that it lacks nothing of it. Where its log of
/// metadata files does not reach back so far, its snapshots tell, or the times.
fn descends(state: &TableMetadata, current: &TableMetadata, pointer: &str) -> bool {
    let log = state.metadata_log();
    if log.iter().any(|before| before.metadata_file == pointer) {
        return true;
    }
    if log.first().is_some_and(|oldest| version(&oldest.metadata_file) <= version(pointer)) {
        return false;
    }
    match current.current_snapshot_id() {
        Some(snapshot) if state.snapshot_by_id(snapshot).is_some() => true,
        _ => current.last_updated_ms() <= state.last_updated_ms(),
    }
}

/// The table at the newest of `files` that is not damaged and has rows.
pub(crate) async fn newest_with_rows(
    warehouse: &Warehouse,
    ident: &TableIdent,
    files: &[String],
) -> Result<Option<Table>> {
    for file in files {
        let found = sound_at(warehouse, ident, file).await?;
        if let Some(table) = found.filter(|table| table.metadata().current_snapshot().is_some()) {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// What of a table is hidden from `current`, where anything is. Of several states, the newest.
pub(crate) async fn hidden_from(warehouse: &Warehouse, current: &Table) -> Result<Option<HiddenState>> {
    let Some(pointer) = current.metadata_location().map(str::to_owned) else { return Ok(None) };
    let files = metadata_files(warehouse, current.identifier()).await?;
    if let Some((state, what)) = ahead(warehouse, current, &files, &pointer).await? {
        let standing = match descends(state.metadata(), current.metadata(), &pointer) {
            true => Standing::Ahead,
            false => Standing::Aside,
        };
        return Ok(Some(HiddenState { pointer, state, standing, what }));
    }
    let aside = aside(warehouse, current, &files, &pointer).await?;
    Ok(aside.map(|(state, what)| HiddenState { pointer, state, standing: Standing::Aside, what }))
}

/// The newest state that commits have passed by: `current` has the higher number, but did not come from it, and it covers more
/// records.
async fn aside(
    warehouse: &Warehouse,
    current: &Table,
    files: &[String],
    pointer: &str,
) -> Result<Option<(Table, String)>> {
    let before = current.metadata().metadata_log().iter().map(|log| log.metadata_file.as_str());
    let own: HashSet<&str> = before.chain([pointer]).collect();
    let passed = files.iter().filter(|file| version(file) <= version(pointer));
    for file in passed.filter(|file| !own.contains(file.as_str())) {
        let Some(state) = sound_at(warehouse, current.identifier(), file).await? else { continue };
        if let Some(what) = hides_records(state.metadata(), current.metadata()) {
            return Ok(Some((state, what)));
        }
    }
    Ok(None)
}

/// What a state hides from a table as it is now, in words; `None` where that is nothing.
fn hides_now(hidden: &HiddenState, current: &Table) -> Option<String> {
    let hides = match hidden.standing {
        Standing::Ahead => hides,
        Standing::Aside => hides_records,
    };
    hides(hidden.state.metadata(), current.metadata())
}

/// What `newer` covers and `current` does not, in words; `None` where it hides nothing.
fn hides(newer: &TableMetadata, current: &TableMetadata) -> Option<String> {
    if let Some(records) = hides_records(newer, current) {
        return Some(records);
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
    (offsets(newer).0.is_empty() && replaced && changed)
        .then(|| "the state of its newest metadata file".to_owned())
}

fn hides_records(state: &TableMetadata, current: &TableMetadata) -> Option<String> {
    let ranges = ranges_beyond(&offsets(state), &offsets(current));
    let records: u64 = ranges.iter().map(|range| range.offsets.end - range.offsets.start).sum();
    (records > 0).then(|| format!("{records} records of the log that its newest metadata file covers"))
}

fn ranges_beyond(told: &Offsets, known: &Offsets) -> Vec<LogRange> {
    let partitions = told.0.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(partition, next)| LogRange {
            topic: topic.clone(),
            partition: *partition,
            offsets: known.get(topic, *partition)..*next,
        })
    });
    partitions.filter(|range| !range.offsets.is_empty()).collect()
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
            let Some(found) = self.hidden_state(&ident).await? else { continue };
            tracing::warn!(
                table = %ident, pointer = found.pointer, newest = found.state.metadata_location(), hidden = found.what,
                "the catalog points to an older state of a table than its files hold; what the log holds comes in again \
                 by itself, `seislake home repair` goes forward to the rest"
            );
            hidden.insert(ident, found);
        }
        Ok(hidden)
    }

    /// What is hidden of a table now.
    async fn hidden_state(&self, ident: &TableIdent) -> Result<Option<HiddenState>> {
        hidden_from(&self.catalog().warehouse().unremembered(), &self.load(ident).await?).await
    }

    /// Which records of the log each hidden state covers that its table does not; none where its rows never were in a log.
    /// Those that lie aside are left out: nothing goes forward to them.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn hidden_ranges(&self) -> Result<Vec<(TableIdent, Vec<LogRange>)>> {
        let mut found = Vec::new();
        for (ident, hidden) in self.hidden_at_start() {
            let current = self.load(ident).await?;
            if hidden.standing == Standing::Ahead && hides_now(hidden, &current).is_some() {
                let ranges = ranges_beyond(&offsets(hidden.state.metadata()), &offsets(current.metadata()));
                found.push((ident.clone(), ranges));
            }
        }
        Ok(found)
    }

    /// Lets the catalog point to the hidden state of a table. Left as it is where somebody has committed meanwhile.
    ///
    /// # Errors
    /// The catalog or the warehouse cannot be read or written.
    pub async fn go_forward(&self, ident: &TableIdent) -> Result<()> {
        let Some(hidden) = self.stays_hidden(ident).await? else { return Ok(()) };
        let (Standing::Ahead, Some(location)) = (hidden.standing, hidden.state.metadata_location()) else {
            return Ok(());
        };
        if self.catalog().point_to(ident, &hidden.pointer, location).await? {
            tracing::warn!(
                table = %ident, pointer = hidden.pointer, newest = location, hidden = hidden.what,
                "the catalog pointed to an older state of a table than its files hold, and went forward to the newest"
            );
        }
        Ok(())
    }

    /// Keeps maintenance from the files that only a hidden state names, and from original records that only its rows name:
    /// a repair goes forward to it. Looked at afresh each time, because a catalog may be put back at any time.
    ///
    /// # Errors
    /// `Invalid` while one of `tables` has a newer state than the catalog points to.
    pub(crate) async fn require_nothing_hidden(&self, tables: &[&TableDef]) -> Result<()> {
        for table in tables {
            let Some(HiddenState { what, .. }) = self.stays_hidden(&table.ident()).await? else { continue };
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
    async fn stays_hidden(&self, ident: &TableIdent) -> Result<Option<HiddenState>> {
        let Some(first) = self.hidden_state(ident).await? else { return Ok(None) };
        for _ in 0..HIDDEN_CHECKS {
            tokio::time::sleep(HIDDEN_CHECK_INTERVAL).await;
            match self.hidden_state(ident).await? {
                Some(again) if again.state.metadata_location() == first.state.metadata_location() => {}
                // The first was that of a commit, as another file that is newer now may be.
                _ => return Ok(None),
            }
        }
        Ok(Some(first))
    }

    /// Tables of which the catalog knew an older state than their files hold when the lake was opened, and whose rows have
    /// not come in again since; with what is hidden.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn hidden(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for (ident, hidden) in self.hidden_at_start() {
            let current = self.load(ident).await?;
            found.extend(hides_now(hidden, &current).map(|what| (ident.to_string(), what)));
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
