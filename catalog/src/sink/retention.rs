//! Which snapshots a commit lets go: all of the newest are kept, then the last one of each hour, then none.

use std::collections::HashSet;

use iceberg::spec::TableMetadata;

use crate::settings::RetentionSettings;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Ids of the snapshots to remove, and their manifest lists, which nothing else refers to. Those `leased` stay.
pub(crate) fn expired(
    metadata: &TableMetadata,
    keep: &RetentionSettings,
    leased: &HashSet<i64>,
    now_ms: i64,
) -> (Vec<i64>, Vec<String>) {
    if metadata.snapshots().len() <= keep.snapshots_kept {
        return (Vec::new(), Vec::new());
    }
    let referenced = referenced(metadata);
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.timestamp_ms()));
    let spared = spared(metadata, now_ms - keep.spare.as_millis() as i64);
    let oldest_ms = now_ms - i64::from(keep.history_days) * DAY_MS;
    let mut hours = HashSet::new();
    let mut ids = Vec::new();
    let mut lists = Vec::new();
    for (index, snapshot) in snapshots.into_iter().enumerate() {
        let taken_ms = snapshot.timestamp_ms();
        let last_of_hour = hours.insert(taken_ms.div_euclid(HOUR_MS));
        let kept = index < keep.snapshots_kept.max(1)
            || referenced.contains(&snapshot.snapshot_id())
            || leased.contains(&snapshot.snapshot_id())
            || spared.contains(&snapshot.snapshot_id())
            || (last_of_hour && taken_ms >= oldest_ms);
        if !kept {
            ids.push(snapshot.snapshot_id());
            lists.push(snapshot.manifest_list().to_owned());
        }
    }
    (ids, lists)
}

/// Snapshots that were current after a moment: those made since, and those whose place they took.
fn spared(metadata: &TableMetadata, after_ms: i64) -> HashSet<i64> {
    let lately = metadata.snapshots().filter(|snapshot| snapshot.timestamp_ms() > after_ms);
    lately
        .flat_map(|snapshot| [Some(snapshot.snapshot_id()), snapshot.parent_snapshot_id()])
        .flatten()
        .collect()
}

/// Snapshots that a branch or tag names.
fn referenced(metadata: &TableMetadata) -> HashSet<i64> {
    // The library offers the references in no other form than JSON.
    let json = serde_json::to_value(metadata).unwrap_or_default();
    let references = json.get("refs").and_then(|refs| refs.as_object());
    references
        .into_iter()
        .flat_map(|refs| refs.values())
        .filter_map(|reference| reference.get("snapshot-id")?.as_i64())
        .collect()
}
