//! Snapshots in use stay, one state of all tables is one state, and nobody's change of the stations is lost.

use std::time::Duration;

use datafusion::prelude::SessionContext;
use seislake_model::{Channel, ErrorKind, Inventory};

use super::*;
use crate::{AsOf, ExpireSettings, OrphanSettings, RetentionSettings, SnapshotSet};

const PICKS: &str = "SELECT count(*) AS n FROM bulletin.picks";

/// A lake that keeps no past of its own accord.
async fn forgetful(home: &Path) -> Lake {
    let mut settings = settings(home);
    settings.retention = RetentionSettings {
        snapshots_kept: 1,
        history_days: 0,
        cursor_lease: Duration::from_secs(3),
        ..RetentionSettings::default()
    };
    Lake::open(settings).await.unwrap()
}

fn session_at(lake: &Lake, set: &SnapshotSet) -> SessionContext {
    let context = session(lake);
    context.register_catalog("seislake", lake.provider_at(set.clone()));
    context
}

async fn add_picks(lake: &Lake, indices: std::ops::Range<i64>) {
    for index in indices {
        let rows = table_rows(picks(index..index + 1));
        append(lake, rows, &covered(0, index as u64 + 1)).await;
    }
}

async fn let_all_go(lake: &Lake) {
    let keep = RetentionSettings { snapshots_kept: 1, history_days: 0, ..RetentionSettings::default() };
    let settings = ExpireSettings { keep, dry_run: false };
    lake.expire("bulletin.picks", &settings).await.unwrap();
    lake.delete_orphans("bulletin.picks", OrphanSettings { age_min: Duration::ZERO, dry_run: false })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_state_that_is_held_outlives_commits_expire_and_orphans() {
    let home = tempfile::tempdir().unwrap();
    let lake = forgetful(home.path()).await;
    add_picks(&lake, 0..3).await;
    let set = lake.pin(AsOf::Latest).await.unwrap();
    let id = set.snapshot_id("bulletin.picks").unwrap();
    let before = session_at(&lake, &set);
    add_picks(&lake, 3..9).await;
    lake.compact("bulletin.picks", crate::CompactSettings::default()).await.unwrap();
    let_all_go(&lake).await;
    for _ in 0..2 {
        assert_eq!(rows_of(&before, PICKS).await[1], "|3|", "all statements see one state");
    }
    assert_eq!(rows_of(&session(&lake), PICKS).await[1], "|9|");
    drop((set, before));
    let_all_go(&lake).await;
    assert!(lake.find_snapshot(id).await.unwrap().is_none(), "nobody holds it any more");
}

#[tokio::test]
async fn a_statement_under_way_holds_what_it_reads() {
    let home = tempfile::tempdir().unwrap();
    let lake = forgetful(home.path()).await;
    add_picks(&lake, 0..4).await;
    let plan = session(&lake).sql("SELECT pick_id FROM bulletin.picks").await.unwrap();
    let mut stream = plan.execute_stream().await.unwrap();
    add_picks(&lake, 4..5).await;
    lake.compact("bulletin.picks", crate::CompactSettings::default()).await.unwrap();
    let_all_go(&lake).await;
    let mut rows = 0;
    while let Some(batch) = futures::StreamExt::next(&mut stream).await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 4);
}

#[tokio::test]
async fn what_a_cursor_names_is_kept_for_its_time() {
    let home = tempfile::tempdir().unwrap();
    let lake = forgetful(home.path()).await;
    add_picks(&lake, 0..2).await;
    let set = lake.pin(AsOf::Latest).await.unwrap();
    let id = set.snapshot_id("bulletin.picks").unwrap();
    lake.keep(&set);
    drop(set);
    add_picks(&lake, 2..6).await;
    let again = lake.pin(AsOf::Snapshot(id)).await.unwrap();
    assert_eq!(rows_of(&session_at(&lake, &again), PICKS).await[1], "|2|");
    drop(again);
    let mut next = 6;
    let refused = loop {
        add_picks(&lake, next..next + 1).await;
        next += 1;
        match lake.pin(AsOf::Snapshot(id)).await {
            Err(error) => break error,
            Ok(_) => assert!(next < 10_000, "it is kept for ever"),
        }
    };
    assert_eq!(refused.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn tables_are_read_in_one_state_whatever_is_committed_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    add_picks(&lake, 0..1).await;
    append(&lake, table_rows(vec![event("a", 1, EventStatus::Closed, None)]), &Offsets::default()).await;
    let set = lake.pin(AsOf::Latest).await.unwrap();
    let id = set.snapshot_id("bulletin.events").unwrap();
    let by_id = lake.pin(AsOf::Snapshot(id)).await.unwrap();
    add_picks(&lake, 1..2).await;
    append(&lake, table_rows(vec![event("b", 1, EventStatus::Closed, None)]), &Offsets::default()).await;
    for set in [set, by_id] {
        let context = session_at(&lake, &set);
        assert_eq!(rows_of(&context, PICKS).await[1], "|1|");
        for table in ["events", "events_current"] {
            let sql = format!("SELECT count(*) AS n FROM bulletin.{table}");
            assert_eq!(rows_of(&context, &sql).await[1], "|1|", "{table}");
        }
    }
}

fn of_station(code: &str) -> Inventory {
    let source_id = SourceId::from_nslc("XX", code, "", "HHZ");
    let channel = Channel {
        source_id,
        latitude: 1.0,
        longitude: 2.0,
        elevation_m: 3.0,
        depth_m: 0.0,
        azimuth: None,
        dip: None,
        sample_rate_hz: Some(100.0),
        sensor: None,
        start_time: None,
        end_time: None,
        response: None,
        original: None,
        response_original: None,
    };
    Inventory { stations: vec![station(code)], channels: vec![channel] }
}

#[tokio::test]
async fn stations_added_by_two_processes_at_once_are_all_there() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (lake(home.path()).await, lake(home.path()).await);
    for round in 0..5 {
        let (a, b) = (of_station(&format!("A{round}")), of_station(&format!("B{round}")));
        let (left, right) = tokio::join!(one.upsert_inventory(a), other.upsert_inventory(b));
        left.unwrap();
        right.unwrap();
    }
    let inventory = one.inventory().await.unwrap();
    assert_eq!((inventory.stations.len(), inventory.channels.len()), (10, 10));
}

#[tokio::test]
async fn maintenance_goes_on_beside_commits() {
    let home = tempfile::tempdir().unwrap();
    let mut often = settings(home.path());
    often.retention.snapshots_kept = 2;
    often.retention.history_days = 0;
    let (writer, keeper) = (Lake::open(often).await.unwrap(), lake(home.path()).await);
    add_picks(&writer, 0..4).await;
    let writing = tokio::spawn(async move { add_picks(&writer, 4..60).await });
    while !writing.is_finished() {
        let_all_go_beside(&keeper).await;
    }
    writing.await.unwrap();
    assert_eq!(rows_of(&session(&keeper), PICKS).await[1], "|60|");
}

/// As `maintain` does it in a process of its own: files of commits under way are young.
async fn let_all_go_beside(lake: &Lake) {
    let keep = RetentionSettings { snapshots_kept: 1, history_days: 0, ..RetentionSettings::default() };
    let settings = ExpireSettings { keep, dry_run: false };
    lake.expire("bulletin.picks", &settings).await.unwrap();
    lake.delete_orphans(
        "bulletin.picks",
        OrphanSettings { age_min: Duration::from_secs(3600), dry_run: false },
    )
    .await
    .unwrap();
}
