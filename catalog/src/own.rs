//! Files say which table they are of: a list of manifests by their places, a manifest by the places of its files and its
//! schema, a data file by its columns.
//!
//! A file of another table is as sound as its own, and its checksum is right: files were swapped, or one was copied over
//! another. It is damage like a wrong checksum, never rows.

use std::collections::{BTreeMap, BTreeSet};

use iceberg::spec::{Manifest, ManifestFile, Schema, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use object_store::path::Path;
use parquet::file::metadata::ParquetMetaData;
use seislake_tables::TABLES;

use crate::damaged::FileDamage;
use crate::error::{Doing, Result};
use crate::storage::Warehouse;
use crate::tables::IcebergTable;

/// The manifests of a snapshot.
///
/// # Errors
/// A list that cannot be read, or names manifests of another table.
pub(crate) async fn manifests(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<ManifestFile>> {
    let what = || format!("read the manifest list of table \"{}\"", table.identifier());
    let list = table.manifest_list_reader(snapshot).load().await.doing(what)?;
    let manifests: Vec<ManifestFile> = list.consume_entries().into_iter().collect();
    let other = other_place(table, manifests.iter().map(|manifest| manifest.manifest_path.as_str()));
    let why = other.map(|other| format!("it names manifests of table \"{other}\""));
    require_none(table, snapshot.manifest_list(), why)?;
    Ok(manifests)
}

/// The entries of a manifest.
///
/// # Errors
/// A manifest that cannot be read, names data files of another table, or has the columns of one.
pub(crate) async fn entries(table: &Table, manifest: &ManifestFile) -> Result<Manifest> {
    let path = &manifest.manifest_path;
    let what = || format!("read manifest \"{path}\" of table \"{}\"", table.identifier());
    let loaded = manifest.load_manifest(table.file_io()).await.doing(what)?;
    let other = other_place(table, loaded.entries().iter().map(|entry| entry.file_path()));
    let why = other
        .map(|other| format!("it names data files of table \"{other}\""))
        .or_else(|| foreign(&names(table.metadata()), of_schema(loaded.metadata().schema())));
    require_none(table, path, why)?;
    Ok(loaded)
}

fn require_none(table: &Table, location: &str, why: Option<String>) -> Result<()> {
    let Some(why) = why else { return Ok(()) };
    let path = location.strip_prefix(base(table).unwrap_or_default()).unwrap_or(location);
    Err(FileDamage::of_another_table(Path::from(path), &why))
        .doing(|| format!("read table \"{}\"", table.identifier()))
}

/// The place of the warehouse: that of a table ends with its name.
fn base(table: &Table) -> Option<&str> {
    let ident = table.identifier();
    let folder = format!("/{}/{}", ident.namespace().to_url_string(), ident.name());
    table.metadata().location().strip_suffix(&folder)
}

/// Another table of ours in whose folder one of `locations` lies. Elsewhere others may have put files of this one.
fn other_place<'a>(table: &Table, mut locations: impl Iterator<Item = &'a str>) -> Option<String> {
    let base = base(table)?;
    if !TABLES.iter().any(|ours| ours.ident() == *table.identifier()) {
        return None;
    }
    locations.find_map(|location| {
        let mut parts = location.strip_prefix(base)?.strip_prefix('/')?.split('/');
        let (namespace, name) = (parts.next()?, parts.next()?);
        let other = TABLES.iter().find(|other| other.namespace == namespace && other.name == name)?;
        (other.ident() != *table.identifier()).then(|| other.full_name())
    })
}

fn of_schema(schema: &Schema) -> impl Iterator<Item = (i32, &str)> {
    schema.as_struct().fields().iter().map(|field| (field.id, field.name.as_str()))
}

/// Names of columns by their ids; more than one where a column was renamed.
type Names = BTreeMap<i32, BTreeSet<String>>;

/// Those that a table has or had.
fn names(metadata: &TableMetadata) -> Names {
    let mut names = Names::new();
    for (id, name) in metadata.schemas_iter().flat_map(|schema| of_schema(schema)) {
        names.entry(id).or_default().insert(name.to_owned());
    }
    names
}

/// Why columns are those of another table. Ids that this one does not know tell nothing: older schemas may be let go.
fn foreign<'a>(own: &Names, mut columns: impl Iterator<Item = (i32, &'a str)>) -> Option<String> {
    columns.find_map(|(id, name)| {
        let own = own.get(&id).filter(|names| !names.contains(name))?;
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        Some(format!("its column {id} is \"{name}\", and that of its table \"{}\"", own.join("\" or \"")))
    })
}

/// The columns of a table: what its data files may say.
#[derive(Debug)]
pub(crate) struct OwnColumns {
    names: Names,
    warehouse: Warehouse,
}

impl OwnColumns {
    pub(crate) fn of(warehouse: &Warehouse, table: &Table) -> Self {
        Self { names: names(table.metadata()), warehouse: warehouse.clone() }
    }

    /// Refuses a data file with the columns of another table, which is remembered as damaged.
    pub(crate) fn require(&self, path: &Path, file: &ParquetMetaData) -> std::result::Result<(), FileDamage> {
        let fields = file.file_metadata().schema_descr().root_schema().get_fields();
        // Files of others may have no ids, and are then read by name.
        let fields = fields.iter().map(|field| field.get_basic_info()).filter(|field| field.has_id());
        let Some(why) = foreign(&self.names, fields.map(|field| (field.id(), field.name()))) else {
            return Ok(());
        };
        let damaged = FileDamage::of_another_table(path.clone(), &why);
        self.warehouse.remember(&damaged);
        Err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seislake_tables::TableDef;

    #[test]
    fn no_table_of_ours_has_the_columns_of_another() {
        let columns = |table: &TableDef| -> Vec<(i32, &str)> {
            table.columns.iter().map(|column| (column.id, column.name)).collect()
        };
        for table in TABLES {
            let own =
                columns(table).iter().map(|(id, name)| (*id, BTreeSet::from([(*name).to_owned()]))).collect();
            for other in TABLES {
                let is_foreign = foreign(&own, columns(other).into_iter()).is_some();
                assert_eq!(
                    is_foreign,
                    table.full_name() != other.full_name(),
                    "{} {}",
                    table.name,
                    other.name
                );
            }
        }
    }
}
