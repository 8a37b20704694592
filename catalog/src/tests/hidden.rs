//! An older catalog put back beside newer files: nothing that only the newer files hold is lost.

use std::path::{Path, PathBuf};

use seislake_model::{ErrorKind, Inventory};

use super::*;
use crate::tables::IcebergTable;
use crate::{ExpireSettings, LakeFinding, OrphanSettings, RetentionSettings};

const TABLE: &str = "waveform.packets";

fn stations(code: &str) -> Inventory {
    Inventory { stations: vec![station(code)], channels: vec![] }
}

async fn arrive(lake: &Lake, offsets: std::ops::Range<u64>) {
    let next = offsets.end;
    append(lake, table_rows(offsets.map(packet).collect()), &covered(0, next)).await;
}

/// Closes a lake, until its catalog is one file: the threads of SQLite end behind the close.
async fn close_whole(lake: Lake, home: &Path) {
    lake.close().await;
    drop(lake);
    for _ in 0..500 {
        if !home.join("catalog.db-wal").exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the catalog is still open");
}

/// A lake of three commits of ten rows each, whose catalog is that of before the second. The inventory is empty.
async fn put_back(home: &Path) -> Lake {
    let catalog = home.join("catalog.db");
    let older: PathBuf = home.join("older.db");
    let before = lake(home).await;
    arrive(&before, 0..10).await;
    close_whole(before, home).await;
    std::fs::copy(&catalog, &older).unwrap();
    let after = lake(home).await;
    arrive(&after, 10..20).await;
    arrive(&after, 20..30).await;
    after.upsert_inventory(stations("AAA")).await.unwrap();
    after.upsert_inventory(stations("BBB")).await.unwrap();
    close_whole(after, home).await;
    std::fs::copy(&older, &catalog).unwrap();
    lake(home).await
}

async fn findings(home: &Path) -> Vec<LakeFinding> {
    Lake::check(&settings(home)).await.unwrap().0
}

#[tokio::test]
async fn a_catalog_goes_forward_to_what_no_log_gives_again() {
    let home = tempfile::tempdir().unwrap();
    let lake = put_back(home.path()).await;
    let hidden = lake.hidden_ranges().await.unwrap();
    let packets = hidden.iter().find(|(table, _)| table.name() == "packets").unwrap();
    assert_eq!(packets.1.len(), 1);
    assert_eq!((packets.1[0].topic.as_str(), packets.1[0].partition), (TOPIC, 0));
    assert_eq!(packets.1[0].offsets, 10..30);
    let of_stations = hidden.iter().find(|(table, _)| table.name() == "stations").unwrap();
    assert!(of_stations.1.is_empty(), "no log holds stations: {of_stations:?}");
    for (table, _) in &hidden {
        lake.go_forward(table).await.unwrap();
    }
    assert_eq!(lake.hidden_ranges().await.unwrap(), vec![]);
    assert!(lake.hidden().await.unwrap().is_empty());
    arrive(&lake, 30..40).await;
    lake.upsert_inventory(stations("CCC")).await.unwrap();
    assert_eq!((count(&lake, TABLE).await, count(&lake, "network.stations").await), (40, 3));
    lake.close().await;
    assert_eq!(findings(home.path()).await, vec![]);
}

/// Takes a data file away that only the newest hidden state of a table has.
async fn lose_newest_file(lake: &Lake, table: &str) {
    let ident = lake.defined(table).unwrap().ident();
    let newest = lake.hidden_at_start().find(|(found, _)| **found == ident).unwrap().1.state.clone();
    let files_at = async |id| {
        let snapshot = newest.metadata().snapshot_by_id(id).unwrap();
        crate::hidden::files_of(&newest, snapshot).await.unwrap()
    };
    let current = newest.metadata().current_snapshot().unwrap();
    let before = files_at(current.parent_snapshot_id().unwrap()).await;
    let files = files_at(current.snapshot_id()).await;
    let only = files.iter().find(|file| !before.iter().any(|older| older.file_path() == file.file_path()));
    std::fs::remove_file(only.unwrap().file_path().trim_start_matches("file://")).unwrap();
}

async fn codes(lake: &Lake) -> Vec<String> {
    rows_of(&session(lake), "SELECT station FROM network.stations ORDER BY 1").await.split_off(1)
}

#[tokio::test]
async fn a_catalog_goes_forward_to_the_newest_state_that_is_whole() {
    for by_repair in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let lake = put_back(home.path()).await;
        for table in [TABLE, "network.stations"] {
            lose_newest_file(&lake, table).await;
        }
        if by_repair {
            lake.close().await;
            Lake::repair(&settings(home.path()), &mut |_| {}).await.unwrap();
        } else {
            for (table, _) in lake.hidden_ranges().await.unwrap() {
                lake.go_forward(&table).await.unwrap();
            }
            lake.close().await;
        }
        let lake = super::lake(home.path()).await;
        assert_eq!((count(&lake, TABLE).await, codes(&lake).await), (20, vec!["|AAA|".to_owned()]));
        lake.close().await;
        assert_eq!(findings(home.path()).await, vec![]);
    }
}

#[tokio::test]
async fn a_repair_loses_nothing_that_came_to_the_older_state() {
    let home = tempfile::tempdir().unwrap();
    let lake = put_back(home.path()).await;
    lake.upsert_inventory(stations("DDD")).await.unwrap();
    arrive(&lake, 10..15).await;
    lake.close().await;
    Lake::repair(&settings(home.path()), &mut |_| {}).await.unwrap();
    let lake = super::lake(home.path()).await;
    assert_eq!((count(&lake, TABLE).await, codes(&lake).await), (15, vec!["|DDD|".to_owned()]));
    for (table, _) in lake.hidden_ranges().await.unwrap() {
        lake.go_forward(&table).await.unwrap();
    }
    assert_eq!((count(&lake, TABLE).await, codes(&lake).await), (15, vec!["|DDD|".to_owned()]));
}

#[tokio::test]
async fn a_hidden_state_that_commits_have_passed_by_is_still_guarded_and_told() {
    let home = tempfile::tempdir().unwrap();
    let lake = put_back(home.path()).await;
    // As many commits as it takes to get behind the number of the hidden state, and of half its records.
    for next in 10..20 {
        arrive(&lake, next..next + 1).await;
    }
    lake.close().await;
    let told = findings(home.path()).await;
    assert!(told.iter().any(|found| found.damage.contains("went on from there")), "{told:?}");
    let again = super::lake(home.path()).await;
    assert!(again.hidden().await.unwrap().contains_key(TABLE));
    let orphans = OrphanSettings { age_min: std::time::Duration::ZERO, dry_run: false };
    let keep = RetentionSettings {
        snapshots_kept: 1,
        history_days: 0,
        cursor_lease: std::time::Duration::ZERO,
        ..RetentionSettings::default()
    };
    let expire = ExpireSettings { keep, dry_run: false };
    for error in [
        again.delete_orphans(TABLE, orphans).await.unwrap_err(),
        again.expire(TABLE, &expire).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("home repair"), "{error}");
    }
    let files = parquet_files(home.path());
    again.close().await;
    // A repair does not choose between rows that only the one or only the other has.
    Lake::repair(&settings(home.path()), &mut |_| {}).await.unwrap();
    assert_eq!(parquet_files(home.path()), files);
    let again = super::lake(home.path()).await;
    assert_eq!(count(&again, TABLE).await, 20);
    arrive(&again, 20..30).await;
    assert!(!again.hidden().await.unwrap().contains_key(TABLE), "all came in again");
    again.close().await;
    assert!(!findings(home.path()).await.iter().any(|found| found.damage.contains("went on from there")));
}
