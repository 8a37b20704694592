//! What is damaged in a lake, and mending it: from the pointers down to the data files.
//!
//! ```text
//! catalog.sqlite ── lost or damaged ──► made anew from the newest sound metadata file of each table
//! metadata, manifests of the current snapshot ── damaged ──► the table goes back to its newest sound state
//! older snapshots ── damaged ──► let go
//! data files ── damaged or missing ──► taken out, the rows that can still be read put back
//! ```
//! A table that goes back takes its offsets along: what the log still holds comes in again. Nothing of the warehouse is
//! deleted, and the catalog is kept beside the new one. Nobody else may have the lake open for a repair.

mod data;

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};

use iceberg::spec::{DataFile, TableMetadata};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use seislake_model::{ErrorKind, Offsets, free_name};
use seislake_tables::{TableDef, origins, picks, segments};
use serde::Serialize;

use crate::error::{Damage, Doing, Error, Result};
use crate::hidden::{files_of, hidden_from, metadata_files, newest_with_rows, open_at};
use crate::lake::{HiddenState, Lake, Standing};
use crate::originals::ORIGINALS_FOLDER;
use crate::settings::{LakeAccess, LakeSettings};
use crate::sink::offsets;
use crate::sql_catalog::{Pointers, damage_of, made_here, other_than};
use crate::storage::Warehouse;
use crate::tables::IcebergTable;

/// Bytes of a data file looked at in one piece.
const CHECKED_BYTES: u64 = 8 << 20;

/// One thing that is wrong with a lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LakeFinding {
    /// The file, or `table namespace.name`.
    pub object: String,
    /// The table, where it is of one.
    #[serde(skip)]
    pub table: Option<TableIdent>,
    /// What is wrong with it.
    pub damage: String,
    /// What it means: rows that are lost, states that are.
    pub lost: String,
    /// What a repair does, or did, about it.
    pub remedy: String,
}

/// Whether to change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    Repair,
}

impl Lake {
    /// What is damaged in a lake; every file that its tables need is read. Nothing is changed.
    ///
    /// # Errors
    /// What keeps a file from being read: it is not told as damage.
    pub async fn check(settings: &LakeSettings) -> Result<(Vec<LakeFinding>, Offsets)> {
        let mut found = Vec::new();
        let covered = Doctor::visit(settings, Mode::Check, &mut |finding| found.push(finding)).await?;
        Ok((found, covered))
    }

    /// Mends what [`Lake::check`] finds, and tells each thing before it is changed; gives the offsets that the tables cover
    /// afterwards.
    ///
    /// # Errors
    /// What keeps a file from being read or written: only what was read and found wrong is damage, and is changed. Files
    /// of one table in the folder of another.
    pub async fn repair(
        settings: &LakeSettings,
        tell: &mut (dyn FnMut(LakeFinding) + Send + Sync),
    ) -> Result<Offsets> {
        // Whatever keeps a file from being read is met before anything is changed.
        let (found, covered) = Self::check(settings).await?;
        if found.is_empty() {
            return Ok(covered);
        }
        Doctor::visit(settings, Mode::Repair, tell).await?;
        // What came to light behind what was mended.
        let covered = Doctor::visit(settings, Mode::Repair, tell).await?;
        Self::open(settings.clone()).await?.spare_originals().await?;
        Ok(covered)
    }
}

struct Doctor<'a> {
    settings: LakeSettings,
    mode: Mode,
    warehouse: Warehouse,
    tell: &'a mut (dyn FnMut(LakeFinding) + Send + Sync),
    /// The catalog of before the first change is kept.
    kept: bool,
}

/// Tables that a catalog names, with the locations of their metadata, one of which may be missing.
type TablePointers = Vec<(TableIdent, Option<String>)>;

/// A table in the state in which it will be used.
struct SoundTable {
    table: Table,
    /// It is not the one that the catalog points to.
    moved: bool,
}

/// Whether the catalog can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CatalogState {
    Sound,
    Lost,
}

/// Tables that the folders of a warehouse are named after.
async fn table_folders(warehouse: &Warehouse) -> Result<Vec<TableIdent>> {
    let store = warehouse.store();
    let what = || "list the folders of the warehouse";
    let mut tables = Vec::new();
    for namespace in store.list_with_delimiter(None).await.doing(what)?.common_prefixes {
        let Some(name) = namespace.filename().filter(|name| *name != ORIGINALS_FOLDER) else { continue };
        for table in store.list_with_delimiter(Some(&namespace)).await.doing(what)?.common_prefixes {
            tables.extend(
                table
                    .filename()
                    .map(|table| TableIdent::new(NamespaceIdent::new(name.to_owned()), table.to_owned())),
            );
        }
    }
    Ok(tables)
}

impl<'a> Doctor<'a> {
    async fn visit(
        settings: &'a LakeSettings,
        mode: Mode,
        tell: &'a mut (dyn FnMut(LakeFinding) + Send + Sync),
    ) -> Result<Offsets> {
        let access = match mode {
            Mode::Check => LakeAccess::Read,
            Mode::Repair => LakeAccess::Write,
        };
        if settings.is_local() && !FilePath::new(&settings.warehouse).is_dir() {
            tell(LakeFinding {
                object: settings.warehouse.clone(),
                table: None,
                damage: "the folder of the warehouse is not there".into(),
                lost: "all rows".into(),
                remedy: "it is made anew, empty; what the log holds comes in again at the next start".into(),
            });
            if mode == Mode::Check {
                return Ok(Offsets::default());
            }
        }
        let warehouse = Warehouse::open(&settings.warehouse, &settings.object_store, access)?;
        warehouse.require_credentials().await?;
        let warehouse = warehouse.unremembered();
        let mut settings = settings.clone();
        settings.add_own(&table_folders(&warehouse).await?);
        Doctor { settings, mode, warehouse, tell, kept: false }.examine().await
    }

    /// Tells what is wrong with a table.
    fn find(
        &mut self,
        table: &TableIdent,
        object: impl Into<String>,
        damage: String,
        lost: String,
        remedy: &str,
    ) {
        let (table, object, remedy) = (Some(table.clone()), object.into(), remedy.to_owned());
        (self.tell)(LakeFinding { object, table, damage, lost, remedy });
    }

    async fn examine(&mut self) -> Result<Offsets> {
        let known = self.pointers().await?;
        let named: Vec<TableIdent> = known.iter().flatten().map(|(ident, _)| ident.clone()).collect();
        self.settings.add_own(&named);
        self.require_own(known.as_ref()).await?;
        self.require_own_folders().await?;
        let mut covered = Offsets::default();
        let mut sound = Vec::new();
        let idents: BTreeSet<TableIdent> = self
            .settings
            .tables
            .iter()
            .map(|table| table.ident())
            .chain(known.iter().flatten().map(|(ident, _)| ident.clone()))
            .collect();
        let catalog = if known.is_some() { CatalogState::Sound } else { CatalogState::Lost };
        for ident in idents {
            let pointer = known.iter().flatten().find(|(known, _)| *known == ident);
            let pointer = pointer.map(|(_, location)| location.clone());
            if let Some(found) = self.state_of(&ident, pointer, catalog).await? {
                covered.extend(&offsets(found.table.metadata()));
                sound.push(found);
            }
        }
        if self.mode == Mode::Repair
            && (catalog == CatalogState::Lost || sound.iter().any(|sound| sound.moved))
        {
            self.point_to(&sound, catalog).await?;
        }
        for found in &sound {
            self.history(&found.table).await?;
            self.data(&found.table).await?;
        }
        Ok(covered)
    }

    /// A home that was moved or copied is not damaged, and nothing of it can be mended: every file would be told as lost.
    async fn require_own(&self, known: Option<&TablePointers>) -> Result<()> {
        let mut named = known.into_iter().flatten();
        if let Some((ident, location)) = named.find_map(|(ident, location)| Some((ident, location.as_ref()?)))
        {
            return made_here(&self.warehouse, ident, location);
        }
        for ident in self.settings.tables.iter().map(|table| table.ident()).collect::<Vec<_>>() {
            for file in metadata_files(&self.warehouse, &ident).await? {
                if let Some(metadata) = self.metadata(&file).await? {
                    return made_here(&self.warehouse, &ident, metadata.location());
                }
            }
        }
        Ok(())
    }

    /// Folders that were swapped are not damaged: a table that is made anew in the folder of another would mix their files.
    async fn require_own_folders(&self) -> Result<()> {
        for ident in self.settings.tables.iter().map(|table| table.ident()).collect::<Vec<_>>() {
            let mut other = None;
            for file in metadata_files(&self.warehouse, &ident).await? {
                let Some(metadata) = self.metadata(&file).await? else { continue };
                other = other_than(&ident, &metadata);
                if other.is_none() {
                    break;
                }
            }
            let Some(other) = other else { continue };
            let base = self.warehouse.base();
            let folder = format!("{base}/{}/{}", ident.namespace().to_url_string(), ident.name());
            let message = format!(
                "the folder of table \"{ident}\" (\"{folder}\") holds the files of table \"{other}\" and none of its own: \
                 put each back where its name says, or take this one away, and check again; nothing was changed"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// What a metadata file says; `None` where it is damaged.
    async fn metadata(&self, file: &str) -> Result<Option<TableMetadata>> {
        let read = TableMetadata::read_from(&self.warehouse.file_io(), file).await;
        match read.doing(|| format!("read the metadata at \"{file}\"")) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) => error.damage().map(|_| None),
        }
    }

    /// The tables that the catalog knows, with the locations of their metadata; `None` where it is damaged.
    async fn pointers(&mut self) -> Result<Option<TablePointers>> {
        let catalog = self.settings.catalog.clone();
        let damage = match damage_of(&catalog).await? {
            Some(damage) => damage,
            None => match Pointers::open(&catalog, LakeAccess::Read).await?.rows().await {
                Ok(known) if !known.is_empty() || !self.holds_rows().await? => return Ok(Some(known)),
                Ok(_) => "it names no table, while the warehouse holds some".to_owned(),
                Err(error) => said(&error.damage()?),
            },
        };
        (self.tell)(LakeFinding {
            object: catalog.display().to_string(),
            table: None,
            damage,
            lost: "nothing, where the metadata files are whole".into(),
            remedy: "it is made anew from the newest metadata file of each table; the old file is kept"
                .into(),
        });
        Ok(None)
    }

    /// Tables without rows are those of a home whose making was cut off: it goes on by itself.
    async fn holds_rows(&self) -> Result<bool> {
        for ident in self.settings.tables.iter().map(|table| table.ident()).collect::<Vec<_>>() {
            let files = metadata_files(&self.warehouse, &ident).await?;
            if newest_with_rows(&self.warehouse, &ident, &files).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest state of a table that can be read down to its lists of files.
    async fn state_of(
        &mut self,
        ident: &TableIdent,
        row: Option<Option<String>>,
        catalog: CatalogState,
    ) -> Result<Option<SoundTable>> {
        let mut damage = None;
        let named = row.is_some();
        match &row {
            Some(Some(location)) => match self.open(ident, location).await {
                Ok(table) => return self.forward(ident, table).await.map(Some),
                Err(error) => damage = Some((location.clone(), said(&error.damage()?))),
            },
            Some(None) => {
                let catalog = self.settings.catalog.display().to_string();
                damage = Some((catalog, format!("it names no metadata file of table \"{ident}\"")));
            }
            None if catalog == CatalogState::Sound => return self.unnamed(ident).await,
            None => {}
        }
        let pointer = row.flatten();
        let files = metadata_files(&self.warehouse, ident).await?;
        let older = files.iter().skip_while(|file| {
            pointer.as_ref().is_some_and(|pointer| files.contains(pointer) && *file != pointer)
        });
        let mut found = None;
        for file in older.filter(|file| pointer.as_ref() != Some(file)) {
            match self.open(ident, file).await {
                Ok(table) => {
                    found = Some(table);
                    break;
                }
                Err(error) => {
                    let found = (file.clone(), said(&error.damage()?));
                    damage = damage.or(Some(found));
                }
            }
        }
        match (&found, damage) {
            (_, None) => {}
            (Some(table), Some((file, damage))) => {
                let at = seislake_model::Timestamp::from_micros(
                    table.metadata().last_updated_ms().saturating_mul(1000),
                );
                let lost =
                    format!("what was committed to table \"{ident}\" after {at}, but for what the log holds");
                self.find(
                    ident,
                    file,
                    damage,
                    lost,
                    "the table goes back to that state, and takes in again what the log holds",
                );
            }
            (None, Some((file, damage))) => {
                let lost = format!("all rows of table \"{ident}\", but for what the log holds");
                self.find(
                    ident,
                    file,
                    damage,
                    lost,
                    "the table is made anew, and takes in again what the log holds",
                );
                if self.mode == Mode::Repair && named {
                    self.back_up()?;
                    Pointers::open(&self.settings.catalog, LakeAccess::Write).await?.delete(ident).await?;
                }
            }
        }
        Ok(found.map(|table| SoundTable { table, moved: true }))
    }

    /// The table as it is, or the newer state that its files hold and the catalog does not know of.
    async fn forward(&mut self, ident: &TableIdent, table: Table) -> Result<SoundTable> {
        let Some(HiddenState { pointer, state, standing, what }) =
            hidden_from(&self.warehouse, &table).await?
        else {
            return Ok(SoundTable { table, moved: false });
        };
        // A commit may be under way: then the pointer is there by now.
        let now = Pointers::open(&self.settings.catalog, LakeAccess::Read).await?.location(ident).await?;
        if now.as_ref() != Some(&pointer) {
            return Ok(SoundTable { table, moved: false });
        }
        let lost = format!("hidden: {what} of table \"{ident}\"");
        let file = state.metadata_location().unwrap_or_default().to_owned();
        match standing {
            Standing::Ahead => {
                let damage = format!(
                    "the catalog points to an older state (\"{pointer}\"): it was put back, or a commit broke off"
                );
                self.find(ident, file, damage, lost, "the catalog goes forward to that file");
                Ok(SoundTable { table: state, moved: true })
            }
            Standing::Aside => {
                let damage = format!(
                    "the catalog pointed to an older state once, and went on from there (to \"{pointer}\")"
                );
                let remedy =
                    "nothing of either state is deleted; what the log holds comes in again at the next start";
                self.find(ident, file, damage, lost, remedy);
                Ok(SoundTable { table, moved: false })
            }
        }
    }

    /// A table that a sound catalog does not name: one of ours was never made, or its row is lost. Somebody may have dropped
    /// one of his own.
    async fn unnamed(&mut self, ident: &TableIdent) -> Result<Option<SoundTable>> {
        let files = metadata_files(&self.warehouse, ident).await?;
        let Some(table) = newest_with_rows(&self.warehouse, ident, &files).await? else { return Ok(None) };
        let damage = format!("the catalog does not name table \"{ident}\"");
        self.find(
            ident,
            table.metadata_location().unwrap_or_default(),
            damage,
            "hidden: all its rows".into(),
            "the catalog names it again, at its newest metadata file",
        );
        Ok(Some(SoundTable { table, moved: true }))
    }

    async fn open(&self, ident: &TableIdent, location: &str) -> Result<Table> {
        open_at(&self.warehouse, ident, location).await
    }

    /// Writes the pointers of the states found.
    async fn point_to(&mut self, sound: &[SoundTable], catalog: CatalogState) -> Result<()> {
        match catalog {
            CatalogState::Lost => self.put_aside()?,
            CatalogState::Sound => self.back_up()?,
        }
        let pointers = Pointers::open(&self.settings.catalog, LakeAccess::Write).await?;
        for found in sound.iter().filter(|found| found.moved) {
            let ident = found.table.identifier();
            let Some(location) = found.table.metadata_location() else { continue };
            pointers.insert_namespace(&ident.namespace().to_url_string(), &Default::default()).await?;
            pointers.delete(ident).await?;
            pointers.insert(ident, location).await?;
        }
        pointers.close().await;
        Ok(())
    }

    /// Keeps the catalog as it is beside itself, before the first change.
    fn back_up(&mut self) -> Result<()> {
        if self.kept {
            return Ok(());
        }
        for file in catalog_files(&self.settings.catalog) {
            let kept = kept_name(&file)?;
            match std::fs::copy(&file, &kept) {
                // The log of a database goes away when its last connection is closed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.doing(|| format!("keep a copy of \"{}\"", file.display()))?),
            }
        }
        self.kept = true;
        Ok(())
    }

    /// The same for a catalog of no use: it is not copied, because it may claim to be as long as a disk.
    fn put_aside(&self) -> Result<()> {
        for file in catalog_files(&self.settings.catalog) {
            match std::fs::rename(&file, kept_name(&file)?) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.doing(|| format!("put \"{}\" aside", file.display()))?,
            }
        }
        Ok(())
    }

    /// Older snapshots whose lists of files cannot be read: time travel, `expire` and `orphans` need them.
    async fn history(&mut self, table: &Table) -> Result<()> {
        let current = table.metadata().current_snapshot_id();
        let mut unreadable = Vec::new();
        for snapshot in table.metadata().snapshots().filter(|old| Some(old.snapshot_id()) != current) {
            if let Err(error) = files_of(table, snapshot).await {
                let lost = format!("the state of table \"{}\" at that snapshot", table.identifier());
                let object = snapshot.manifest_list().to_owned();
                let damage = said(&error.damage()?);
                self.find(table.identifier(), object, damage, lost, "the snapshot is let go");
                unreadable.push(snapshot.snapshot_id());
            }
        }
        if unreadable.is_empty() || self.mode == Mode::Check {
            return Ok(());
        }
        let lake = Lake::open(self.settings.clone()).await?;
        let updates = vec![TableUpdate::RemoveSnapshots { snapshot_ids: unreadable }];
        lake.catalog().commit(table.identifier(), Vec::new(), updates).await.map(drop)
    }
}

fn rows_lost(rows: u64, saved: u64, mode: Mode) -> String {
    match mode {
        Mode::Check => format!("up to {rows} rows"),
        Mode::Repair => format!("{} of {rows} rows, but for what the log holds,", rows.saturating_sub(saved)),
    }
}

/// Between which values of the order of the table the rows of a file lie.
fn bounds(table: Option<&TableDef>, file: &DataFile) -> String {
    let Some(table) = table else { return String::new() };
    let mut text = String::new();
    for name in [
        segments::names::source_id,
        segments::names::start_time,
        picks::names::pick_time,
        origins::names::origin_time,
    ] {
        let Some(column) = table.columns.iter().find(|column| column.name == name) else { continue };
        let (first, last) = (file.lower_bounds().get(&column.id), file.upper_bounds().get(&column.id));
        if let (Some(first), Some(last)) = (first, last) {
            text.push_str(&format!(", {name} from {first} to {last}"));
        }
    }
    text
}

/// A message with all its causes.
fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        // What the object store puts before what one of its parts said.
        let label = more.strip_prefix("Generic ").and_then(|rest| rest.split_once(" error: "));
        let more = label.map_or(more.as_str(), |(_, said)| said);
        if !text.contains(more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name beside a damaged file, under which nothing is kept yet.
///
/// # Errors
/// `Invalid` where all names are taken.
pub fn kept_name(file: &FilePath) -> Result<PathBuf> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let first = PathBuf::from(format!("{}.damaged-{}", file.display(), since.as_secs()));
    free_name(&first, |name| name.symlink_metadata().is_ok()).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("too many files are kept beside \"{}\"", file.display()))
    })
}

/// The database and what SQLite keeps beside it.
fn catalog_files(catalog: &FilePath) -> Vec<PathBuf> {
    ["", "-wal", "-shm"].iter().map(|end| PathBuf::from(format!("{}{end}", catalog.display()))).collect()
}
