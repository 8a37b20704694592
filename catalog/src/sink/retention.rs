//! Which snapshots a commit lets go: all of the newest are kept, then the last one of each hour, then none.

use std::collections::HashSet;

use iceberg::spec::TableMetadata;

use crate::settings::RetentionSettings;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Ids of the snapshots to remove, and their manifest lists, which nothing else refers to.
pub(crate) fn expired(
    metadata: &TableMetadata,
    keep: &RetentionSettings,
    now_ms: i64,
) -> (Vec<i64>, Vec<String>) {
    if metadata.snapshots().len() <= keep.snapshots_kept {
        return (Vec::new(), Vec::new());
    }
    let referenced = referenced(metadata);
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.timestamp_ms()));
    let oldest_ms = now_ms - i64::from(keep.history_days) * DAY_MS;
    let mut hours = HashSet::new();
    let mut ids = Vec::new();
    let mut lists = Vec::new();
    for (index, snapshot) in snapshots.into_iter().enumerate() {
        let taken_ms = snapshot.timestamp_ms();
        let last_of_hour = hours.insert(taken_ms.div_euclid(HOUR_MS));
        let kept = index < keep.snapshots_kept.max(1)
            || referenced.contains(&snapshot.snapshot_id())
            || (last_of_hour && taken_ms >= oldest_ms);
        if !kept {
            ids.push(snapshot.snapshot_id());
            lists.push(snapshot.manifest_list().to_owned());
        }
    }
    (ids, lists)
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
