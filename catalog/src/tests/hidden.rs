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

/// A lake of three commits of ten rows each, whose catalog is that of before the second. The inventory is empty.
async fn put_back(home: &Path) -> Lake {
    let catalog = home.join("catalog.db");
    let older: PathBuf = home.join("older.db");
    let before = lake(home).await;
    arrive(&before, 0..10).await;
    before.close().await;
    std::fs::copy(&catalog, &older).unwrap();
    let after = lake(home).await;
    arrive(&after, 10..20).await;
    arrive(&after, 20..30).await;
    after.upsert_inventory(stations("AAA")).await.unwrap();
    after.close().await;
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
    lake.upsert_inventory(stations("BBB")).await.unwrap();
    assert_eq!((count(&lake, TABLE).await, count(&lake, "network.stations").await), (40, 2));
    lake.close().await;
    assert_eq!(findings(home.path()).await, vec![]);
}

#[tokio::test]
async fn a_catalog_does_not_go_forward_to_a_state_whose_files_are_gone() {
    let home = tempfile::tempdir().unwrap();
    let lake = put_back(home.path()).await;
    let ident = lake.defined(TABLE).unwrap().ident();
    let newest = lake.hidden_at_start().find(|(table, _)| **table == ident).unwrap().1.state.clone();
    let snapshot = newest.metadata().current_snapshot().unwrap();
    let files = crate::hidden::files_of(&newest, snapshot).await.unwrap();
    let path = files.last().unwrap().file_path().trim_start_matches("file://");
    std::fs::remove_file(path).unwrap();
    lake.go_forward(&ident).await.unwrap();
    assert_eq!(lake.hidden_ranges().await.unwrap().iter().filter(|(table, _)| *table == ident).count(), 1);
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
