//! Manifests: the lists of data files of a snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;

use iceberg::spec::{
    DataFile, Manifest, ManifestContentType, ManifestFile, ManifestWriter, ManifestWriterBuilder,
};
use iceberg::table::Table;
use seislake_model::{ErrorKind, SnapshotId};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::own;

/// Manifests of this length are not merged again.
const MERGED_BYTES: i64 = 4 << 20;

/// The manifests that a new snapshot keeps, and what making them meant.
#[derive(Default)]
pub(super) struct KeptManifests {
    pub(super) manifests: Vec<ManifestFile>,
    /// Files written on the way.
    pub(super) files: Vec<String>,
    /// Data files taken out.
    pub(super) gone: FileTotals,
}

/// Sums over data files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileTotals {
    pub(super) files: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl FileTotals {
    pub(super) fn of(files: &[DataFile]) -> Self {
        let mut totals = Self::default();
        files.iter().for_each(|file| totals.add(file));
        totals
    }

    fn add(&mut self, file: &DataFile) {
        self.files += 1;
        self.records += file.record_count();
        self.bytes += file.file_size_in_bytes();
    }
}

/// Which data files to take out.
#[derive(Clone, Copy)]
pub(super) enum Removal<'a> {
    All,
    Paths(&'a BTreeSet<String>),
}

impl Removal<'_> {
    fn takes(self, file: &DataFile) -> bool {
        match self {
            Self::All => true,
            Self::Paths(paths) => paths.contains(file.file_path()),
        }
    }
}

/// Manifests of the current snapshot that have live files.
pub(super) async fn current(base: &Table) -> Result<Vec<ManifestFile>> {
    let Some(snapshot) = base.metadata().current_snapshot() else { return Ok(Vec::new()) };
    let counted = |count: Option<u32>| count.is_none_or(|count| count > 0);
    let alive = |manifest: &ManifestFile| {
        counted(manifest.added_files_count) || counted(manifest.existing_files_count)
    };
    Ok(own::manifests(base, snapshot).await?.into_iter().filter(alive).collect())
}

async fn writer(base: &Table, snapshot_id: SnapshotId, spec_id: i32) -> Result<ManifestWriter> {
    let metadata = base.metadata();
    let spec = metadata.partition_spec_by_id(spec_id).ok_or_else(|| {
        let message = format!("table \"{}\" has no partition spec {spec_id}", base.identifier());
        Error::new(ErrorKind::Corrupt, message)
    })?;
    let location = format!("{}/metadata/{}-m0.avro", metadata.location(), uuid::Uuid::new_v4());
    let output = base
        .file_io()
        .new_output(&location)
        .doing(|| format!("write a manifest of table \"{}\"", base.identifier()))?;
    let schema = Arc::clone(metadata.current_schema());
    let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec.as_ref().clone());
    Ok(builder.build_v2_data())
}

/// The manifest of new files. Their sequence number is inherited, so that it survives a repeated attempt.
pub(super) async fn added(base: &Table, snapshot_id: SnapshotId, files: &[DataFile]) -> Result<ManifestFile> {
    let what = || format!("write a manifest of table \"{}\"", base.identifier());
    let mut writer = writer(base, snapshot_id, base.metadata().default_partition_spec_id()).await?;
    for file in files {
        writer.add_file(file.clone(), -1).doing(what)?;
    }
    writer.write_manifest_file().await.doing(what)
}

/// Marks data files as deleted; manifests without any of them stay as they are.
///
/// # Errors
/// `Conflict` where a file to take out is not there (any more).
pub(super) async fn without(
    base: &Table,
    snapshot_id: SnapshotId,
    before: Vec<ManifestFile>,
    removal: Removal<'_>,
) -> Result<KeptManifests> {
    let what = || format!("rewrite manifests of table \"{}\"", base.identifier());
    let mut kept = KeptManifests::default();
    for manifest in before {
        let loaded = own::entries(base, &manifest).await?;
        let mut alive = loaded.entries().iter().filter(|entry| entry.is_alive());
        if !alive.any(|entry| removal.takes(entry.data_file())) {
            kept.manifests.push(manifest);
            continue;
        }
        let mut writer = writer(base, snapshot_id, manifest.partition_spec_id).await?;
        copy(&manifest, &loaded, &mut writer, |file| {
            let taken = removal.takes(file);
            if taken {
                kept.gone.add(file);
            }
            if taken { Entries::Deleted } else { Entries::Existing }
        })
        .doing(what)?;
        kept.written(writer.write_manifest_file().await.doing(what)?);
    }
    match removal {
        Removal::Paths(paths) if paths.len() as u64 != kept.gone.files => {
            let missing = paths.len() as u64 - kept.gone.files;
            let message = format!(
                "{missing} of {} files to replace are not in table \"{}\" any more",
                paths.len(),
                base.identifier()
            );
            Err(Error::new(ErrorKind::Conflict, message))
        }
        _ => Ok(kept),
    }
}

/// Merges small manifests once there are many.
pub(super) async fn merged(
    lake: &Lake,
    base: &Table,
    snapshot_id: SnapshotId,
    before: Vec<ManifestFile>,
) -> Result<KeptManifests> {
    if before.len() < lake.write_settings().manifests_max {
        return Ok(KeptManifests { manifests: before, ..KeptManifests::default() });
    }
    let what = || format!("merge manifests of table \"{}\"", base.identifier());
    let (small, large): (Vec<_>, Vec<_>) = before.into_iter().partition(|manifest| {
        manifest.content == ManifestContentType::Data && manifest.manifest_length < MERGED_BYTES
    });
    let mut kept = KeptManifests { manifests: large, ..KeptManifests::default() };
    let specs: BTreeSet<i32> = small.iter().map(|manifest| manifest.partition_spec_id).collect();
    for spec_id in specs {
        let mut writer = writer(base, snapshot_id, spec_id).await?;
        for manifest in small.iter().filter(|manifest| manifest.partition_spec_id == spec_id) {
            let loaded = own::entries(base, manifest).await?;
            copy(manifest, &loaded, &mut writer, |_| Entries::Existing).doing(what)?;
        }
        kept.written(writer.write_manifest_file().await.doing(what)?);
    }
    Ok(kept)
}

impl KeptManifests {
    fn written(&mut self, manifest: ManifestFile) {
        self.files.push(manifest.manifest_path.clone());
        self.manifests.push(manifest);
    }
}

/// What a copied entry says of its file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entries {
    Existing,
    Deleted,
}

/// Copies the live entries of a manifest.
fn copy(
    manifest: &ManifestFile,
    loaded: &Manifest,
    writer: &mut ManifestWriter,
    mut status_of: impl FnMut(&DataFile) -> Entries,
) -> iceberg::Result<()> {
    for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
        let file = entry.data_file().clone();
        let sequence = entry.sequence_number().unwrap_or(manifest.sequence_number);
        let file_sequence = entry.file_sequence_number.or(Some(manifest.sequence_number));
        let added_by = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
        match status_of(&file) {
            Entries::Existing => writer.add_existing_file(file, added_by, sequence, file_sequence)?,
            Entries::Deleted => writer.add_delete_file(file, sequence, file_sequence)?,
        }
    }
    Ok(())
}
