//! Manifests: the lists of data files of a snapshot.

use std::sync::Arc;

use iceberg::spec::{DataFile, ManifestContentType, ManifestFile, ManifestWriter, ManifestWriterBuilder};
use iceberg::table::Table;
use seislake_model::{ErrorKind, SnapshotId};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;

/// Manifests of this length are not merged again.
const MERGED_BYTES: i64 = 4 << 20;

/// Manifests of the current snapshot.
pub(super) async fn current(base: &Table) -> Result<Vec<ManifestFile>> {
    let Some(snapshot) = base.metadata().current_snapshot() else { return Ok(Vec::new()) };
    let list = base
        .manifest_list_reader(snapshot)
        .load()
        .await
        .doing(|| format!("read the manifest list of table \"{}\"", base.identifier()))?;
    Ok(list.consume_entries().into_iter().collect())
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

/// A manifest that marks every file as deleted, for a snapshot that replaces all rows; and the files written.
pub(super) async fn removed(
    base: &Table,
    snapshot_id: SnapshotId,
    before: Vec<ManifestFile>,
) -> Result<(Vec<ManifestFile>, Vec<String>)> {
    rewrite(base, snapshot_id, before, Entries::Deleted).await
}

/// Merges small manifests once there are many; returns all manifests to keep, and the files written.
pub(super) async fn merged(
    lake: &Lake,
    base: &Table,
    snapshot_id: SnapshotId,
    before: Vec<ManifestFile>,
) -> Result<(Vec<ManifestFile>, Vec<String>)> {
    if before.len() < lake.write_settings().manifests_max {
        return Ok((before, Vec::new()));
    }
    let (small, mut kept): (Vec<_>, Vec<_>) = before.into_iter().partition(|manifest| {
        manifest.content == ManifestContentType::Data && manifest.manifest_length < MERGED_BYTES
    });
    let (merged, files) = rewrite(base, snapshot_id, small, Entries::Existing).await?;
    kept.extend(merged);
    Ok((kept, files))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entries {
    Existing,
    Deleted,
}

async fn rewrite(
    base: &Table,
    snapshot_id: SnapshotId,
    before: Vec<ManifestFile>,
    status: Entries,
) -> Result<(Vec<ManifestFile>, Vec<String>)> {
    let what = || format!("rewrite manifests of table \"{}\"", base.identifier());
    let mut specs: Vec<i32> = before.iter().map(|manifest| manifest.partition_spec_id).collect();
    specs.sort_unstable();
    specs.dedup();
    let mut written = Vec::new();
    for spec_id in specs {
        let mut writer = writer(base, snapshot_id, spec_id).await?;
        let mut entry_count = 0_usize;
        for manifest in before.iter().filter(|manifest| manifest.partition_spec_id == spec_id) {
            let loaded = manifest.load_manifest(base.file_io()).await.doing(what)?;
            for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
                let file = entry.data_file().clone();
                let sequence = entry.sequence_number().unwrap_or(manifest.sequence_number);
                let file_sequence = entry.file_sequence_number.or(Some(manifest.sequence_number));
                let added_by = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
                match status {
                    Entries::Existing => writer.add_existing_file(file, added_by, sequence, file_sequence),
                    Entries::Deleted => writer.add_delete_file(file, sequence, file_sequence),
                }
                .doing(what)?;
                entry_count += 1;
            }
        }
        if entry_count > 0 {
            written.push(writer.write_manifest_file().await.doing(what)?);
        }
    }
    let files = written.iter().map(|manifest| manifest.manifest_path.clone()).collect();
    Ok((written, files))
}
