//! One snapshot: data files that come and go and the offsets they cover, committed together.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use iceberg::spec::{
    DataFile, MAIN_BRANCH, ManifestFile, ManifestListWriter, Operation, Snapshot, SnapshotReference,
    SnapshotRetention, Summary, TableMetadata,
};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use seislake_model::{ErrorKind, Offset, Offsets, SnapshotId};
use seislake_tables::TableDef;

use super::manifests::{FileTotals, KeptManifests, Removal};
use super::{OFFSET_PROPERTY, manifests, offsets, retention};
use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::tables::IcebergTable;

/// Pause after a lost attempt, times the number of the attempt.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// What a commit is to do.
pub(crate) struct Change<'a> {
    pub(crate) table: &'static TableDef,
    pub(crate) files: Vec<DataFile>,
    /// What the files take the place of.
    pub(crate) replaced: Replacement,
    /// Next offsets that the rows cover.
    pub(crate) covered: &'a Offsets,
    /// Offsets at which the rows begin.
    pub(crate) seen: &'a Offsets,
}

/// What becomes of the files where the table covers the offsets already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftovers {
    /// They were in no commit: they are deleted.
    Delete,
    /// An earlier commit of them may have come through although it failed: they are left to the search for orphans.
    Keep,
}

/// The files of the table that a commit takes out.
pub(crate) enum Replacement {
    /// None: rows are added.
    Nothing,
    /// All: the table has new contents, made from those of this snapshot (`None`: from an empty table). Where it is
    /// not the current one any more, somebody else's rows would be lost.
    Everything(Option<SnapshotId>),
    /// These, all of which must be there still.
    Files {
        /// Paths of the files.
        paths: BTreeSet<String>,
        /// `Replace` where the new files hold the same rows in a better layout, `Overwrite` where they hold newer ones.
        operation: Operation,
    },
}

impl Replacement {
    fn operation(&self) -> Operation {
        match self {
            Self::Nothing => Operation::Append,
            Self::Everything(_) => Operation::Overwrite,
            Self::Files { operation, .. } => operation.clone(),
        }
    }
}

/// How a commit ended; holds the snapshot that is current then.
pub(crate) enum CommitOutcome {
    /// By this commit.
    Now(Option<SnapshotId>),
    /// The table covered these offsets before: the rows were dropped.
    Before(Option<SnapshotId>),
}

impl CommitOutcome {
    /// The snapshot that is current afterwards.
    pub(crate) fn snapshot(&self) -> Option<SnapshotId> {
        match self {
            Self::Now(snapshot) | Self::Before(snapshot) => *snapshot,
        }
    }
}

/// Relation of the offsets of a table to those of a commit.
enum Coverage {
    /// The table stands where the rows begin.
    Behind,
    /// The table holds these rows already.
    Covered,
    /// The table stands elsewhere: some of the rows may be in it.
    Moved { topic: String, partition: u32, found: Offset, expected: Offset },
}

fn coverage(have: &Offsets, seen: &Offsets, covered: &Offsets) -> Coverage {
    let pairs = covered.0.iter().flat_map(|(topic, partitions)| {
        partitions.iter().map(move |(partition, next)| (topic, *partition, *next))
    });
    let mut all_covered = !covered.0.is_empty();
    let mut moved = None;
    for (topic, partition, next) in pairs {
        let (found, expected) = (have.get(topic, partition), seen.get(topic, partition));
        all_covered &= found >= next;
        if found != expected {
            moved = Some(Coverage::Moved { topic: topic.clone(), partition, found, expected });
        }
    }
    match (all_covered, moved) {
        (true, _) => Coverage::Covered,
        (false, Some(moved)) => moved,
        (false, None) => Coverage::Behind,
    }
}

/// Commits a change; tries again when somebody else commits meanwhile.
pub(crate) async fn commit(lake: &Lake, change: Change<'_>) -> Result<CommitOutcome> {
    commit_again(lake, change, Leftovers::Delete).await
}

/// The same for a change that may have been committed before.
pub(super) async fn commit_again(
    lake: &Lake,
    change: Change<'_>,
    leftovers: Leftovers,
) -> Result<CommitOutcome> {
    let committer = lake.committer(change.table);
    let _turn = committer.lock().await;
    let mut attempt =
        Attempt { lake, change: &change, snapshot_id: new_snapshot_id(), added: None, leftovers };
    for count in 1..=lake.write_settings().commit_attempts_max {
        if let Some(committed) = attempt.run().await? {
            return Ok(committed);
        }
        lake.counters().conflicts.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(RETRY_PAUSE * count).await;
    }
    let message = format!("table \"{}\" is too busy: every attempt to commit lost", change.table.full_name());
    Err(Error::new(ErrorKind::Unavailable, message))
}

struct Attempt<'a> {
    lake: &'a Lake,
    change: &'a Change<'a>,
    snapshot_id: SnapshotId,
    /// Manifest of the new files, written once.
    added: Option<ManifestFile>,
    leftovers: Leftovers,
}

/// Files that one attempt wrote, and the snapshot made of them.
struct CommitAttempt {
    snapshot: Snapshot,
    /// To be deleted if the attempt loses.
    files: Vec<String>,
}

impl Attempt<'_> {
    /// `None` where somebody else committed first.
    async fn run(&mut self) -> Result<Option<CommitOutcome>> {
        let (lake, change) = (self.lake, self.change);
        let base = lake.load(&change.table.ident()).await?;
        let metadata = base.metadata();
        match coverage(&offsets(metadata), change.seen, change.covered) {
            Coverage::Behind => {}
            Coverage::Covered => {
                self.discard().await;
                return Ok(Some(CommitOutcome::Before(metadata.current_snapshot_id())));
            }
            Coverage::Moved { topic, partition, found, expected } => {
                self.discard().await;
                return Err(rival(change.table, &topic, partition, found, expected));
            }
        }
        if let Replacement::Everything(of) = change.replaced
            && of != metadata.current_snapshot_id()
        {
            self.discard().await;
            let message = format!("table \"{}\" changed since it was read", change.table.full_name());
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let offset_updates = offset_properties(metadata, change.covered);
        let nothing_to_replace = match &change.replaced {
            Replacement::Nothing => true,
            Replacement::Everything(_) => metadata.current_snapshot().is_none(),
            Replacement::Files { paths, .. } => paths.is_empty(),
        };
        if change.files.is_empty() && nothing_to_replace {
            return self.move_offsets(&base, offset_updates).await;
        }
        let produced = match self.produce(&base, &offset_updates).await {
            Ok(produced) => produced,
            Err(error) => {
                // Files to replace are gone: nothing of this change can be used.
                if error.kind == ErrorKind::Conflict {
                    self.discard().await;
                }
                return Err(error);
            }
        };
        let (expired, expired_lists) = retention::expired(
            metadata,
            lake.retention(),
            &lake.leases().leased(),
            produced.snapshot.timestamp_ms(),
        );
        let mut updates = vec![
            TableUpdate::AddSnapshot { snapshot: produced.snapshot },
            TableUpdate::SetSnapshotRef {
                ref_name: MAIN_BRANCH.to_owned(),
                reference: main(self.snapshot_id),
            },
        ];
        if !offset_updates.is_empty() {
            updates.push(TableUpdate::SetProperties { updates: offset_updates });
        }
        if !expired.is_empty() {
            updates.push(TableUpdate::RemoveSnapshots { snapshot_ids: expired });
        }
        let requirements = vec![TableRequirement::UuidMatch { uuid: metadata.uuid() }];
        match lake.catalog().commit_to(&base, requirements, updates).await {
            Ok(_) => {
                lake.catalog().delete_quietly(expired_lists).await;
                self.count();
                Ok(Some(CommitOutcome::Now(Some(self.snapshot_id))))
            }
            // Only a lost race tells for sure that the files are not in use.
            Err(error) if error.kind == ErrorKind::Conflict => {
                lake.catalog().delete_quietly(produced.files).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes the files of a change that will never be committed.
    async fn discard(&mut self) {
        if self.leftovers == Leftovers::Keep {
            return;
        }
        let manifest = self.added.take().map(|manifest| manifest.manifest_path);
        let files = self.change.files.iter().map(|file| file.file_path().to_owned());
        let files = files.chain(manifest).collect();
        self.lake.catalog().delete_quietly(files).await;
    }

    /// A commit without rows: only the offsets move, no snapshot is made.
    async fn move_offsets(
        &self,
        base: &Table,
        updates: HashMap<String, String>,
    ) -> Result<Option<CommitOutcome>> {
        let done = Some(CommitOutcome::Now(base.metadata().current_snapshot_id()));
        if updates.is_empty() {
            return Ok(done);
        }
        let updates = vec![TableUpdate::SetProperties { updates }];
        match self.lake.catalog().commit_to(base, Vec::new(), updates).await {
            Ok(_) => Ok(done),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn produce(&mut self, base: &Table, offsets: &HashMap<String, String>) -> Result<CommitAttempt> {
        let (lake, change, snapshot_id) = (self.lake, self.change, self.snapshot_id);
        let what = || format!("write a snapshot of table \"{}\"", change.table.full_name());
        let metadata = base.metadata();
        if self.added.is_none() && !change.files.is_empty() {
            self.added = Some(manifests::added(base, snapshot_id, &change.files).await?);
        }
        let before = manifests::current(base).await?;
        let KeptManifests { manifests: mut kept, mut files, gone } = match &change.replaced {
            Replacement::Nothing => manifests::merged(lake, base, snapshot_id, before).await?,
            Replacement::Everything(_) => manifests::without(base, snapshot_id, before, Removal::All).await?,
            Replacement::Files { paths, .. } => {
                manifests::without(base, snapshot_id, before, Removal::Paths(paths)).await?
            }
        };
        kept.extend(self.added.clone());
        let location =
            format!("{}/metadata/snap-{snapshot_id}-{}.avro", metadata.location(), uuid::Uuid::new_v4());
        let output = base.file_io().new_output(&location).doing(what)?;
        let sequence = metadata.next_sequence_number();
        let parent = metadata.current_snapshot_id();
        let writer = output.writer().await.doing(what)?;
        let mut list = ManifestListWriter::v2(writer, snapshot_id, parent, sequence);
        list.add_manifests(kept.into_iter()).doing(what)?;
        list.close().await.doing(what)?;
        files.push(location.clone());
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            .with_timestamp_ms(now_ms().max(metadata.last_updated_ms() + 1))
            .with_manifest_list(location)
            .with_schema_id(metadata.current_schema_id())
            .with_summary(summary(metadata, change, gone, offsets))
            .build();
        Ok(CommitAttempt { snapshot, files })
    }

    fn count(&self) {
        let (counters, come) = (self.lake.counters(), FileTotals::of(&self.change.files));
        counters.snapshots.fetch_add(1, Ordering::Relaxed);
        counters.files.fetch_add(come.files, Ordering::Relaxed);
        counters.rows.fetch_add(come.records, Ordering::Relaxed);
        counters.bytes.fetch_add(come.bytes, Ordering::Relaxed);
        let table = self.change.table.full_name();
        metrics::counter!("seislake_table_snapshots_total", "table" => table.clone()).increment(1);
        metrics::counter!("seislake_table_rows_total", "table" => table).increment(come.records);
    }
}

fn rival(table: &TableDef, topic: &str, partition: u32, found: Offset, expected: Offset) -> Error {
    let table = table.full_name();
    let cause = format!("table covers offset {found} of \"{topic}\" partition {partition}, not {expected}");
    Error {
        kind: ErrorKind::Conflict,
        message: format!("another writer moved the offsets of table \"{table}\""),
        source: Some(cause.into()),
    }
}

/// Properties for the offsets that move forward.
fn offset_properties(metadata: &TableMetadata, covered: &Offsets) -> HashMap<String, String> {
    let have = offsets(metadata);
    let mut properties = HashMap::new();
    for (topic, partitions) in &covered.0 {
        for (partition, next) in partitions {
            if *next > have.get(topic, *partition) {
                properties.insert(format!("{OFFSET_PROPERTY}{topic}.{partition}"), next.to_string());
            }
        }
    }
    properties
}

fn main(snapshot_id: SnapshotId) -> SnapshotReference {
    let retention = SnapshotRetention::Branch {
        min_snapshots_to_keep: None,
        max_snapshot_age_ms: None,
        max_ref_age_ms: None,
    };
    SnapshotReference::new(snapshot_id, retention)
}

fn summary(
    metadata: &TableMetadata,
    change: &Change<'_>,
    gone: FileTotals,
    offsets: &HashMap<String, String>,
) -> Summary {
    let before = metadata.current_snapshot().map(|snapshot| &snapshot.summary().additional_properties);
    let total = |key: &str| -> u64 {
        before.and_then(|summary| summary.get(key)).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let come = FileTotals::of(&change.files);
    let counts = [
        ("data-files", "deleted-data-files", come.files, gone.files),
        ("records", "deleted-records", come.records, gone.records),
        ("files-size", "removed-files-size", come.bytes, gone.bytes),
    ];
    let mut properties = HashMap::new();
    for (name, removed, come, gone) in counts {
        let left = total(&format!("total-{name}")).saturating_sub(gone);
        properties.insert(format!("added-{name}"), come.to_string());
        properties.insert(format!("total-{name}"), (left + come).to_string());
        if gone > 0 {
            properties.insert(removed.to_owned(), gone.to_string());
        }
    }
    for name in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
        properties.insert(name.to_owned(), total(name).to_string());
    }
    properties.extend(offsets.clone());
    Summary { operation: change.replaced.operation(), additional_properties: properties }
}

/// Positive and practically unique, as Iceberg asks.
fn new_snapshot_id() -> SnapshotId {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    ((high ^ low) >> 1) as SnapshotId
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
