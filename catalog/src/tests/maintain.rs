//! Tables in shape: the same rows in fewer files, and nothing lost beside writers.

use std::time::Duration;

use seislake_model::{ErrorKind, Samples, Segment};

use super::*;
use crate::tables::IcebergTable;
use crate::{CompactSettings, ExpireSettings, OrphanSettings, RetentionSettings};

const TABLE: &str = "waveform.segments";

/// Piece `index` of a channel of station `station`: 100 samples at 100 Hz, one second behind the other.
fn piece(station: u64, index: u64) -> Segment {
    let start_time = Timestamp::from_nanos(index as i64 * 1_000_000_000);
    let first = (1000 * station + 100 * index) as i32;
    Segment {
        source_id: SourceId::from_nslc("XX", &format!("S{station}"), "", "HHZ"),
        start_time,
        end_time: start_time.add_nanos(990_000_000),
        sample_rate_hz: 100.0,
        encoding: "steim2".into(),
        quality: "D".into(),
        samples: Samples::Int32((first..first + 100).collect()),
        position: position(10 * index + station),
    }
}

/// One commit per index, three stations each; index 5 is missing.
async fn filled(lake: &Lake) {
    for index in (0..10).filter(|index| *index != 5) {
        let pieces = (0..3).map(|station| piece(station, index)).collect();
        append(lake, table_rows(pieces), &covered(0, index + 1)).await;
    }
}

async fn samples(lake: &Lake, table: &str) -> Vec<String> {
    let sql = format!("SELECT source_id, unnest(samples) AS sample FROM {table}");
    rows_of(&session(lake), &sql).await
}

#[tokio::test]
async fn compaction_keeps_every_sample_and_joins_pieces() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    filled(&lake).await;
    let before = samples(&lake, TABLE).await;
    assert_eq!(before.len(), 1 + 3 * 9 * 100);
    let dry = CompactSettings { dry_run: true, ..CompactSettings::default() };
    assert_eq!(lake.compact(TABLE, dry).await.unwrap().files_before, 27);
    assert_eq!(parquet_files(home.path()), 27, "a dry run changes nothing");

    let report = lake.compact(TABLE, CompactSettings::default()).await.unwrap();
    assert_eq!((report.partitions, report.files_before, report.files_after), (3, 27, 3), "a bucket each");
    assert_eq!(
        (report.rows_before, report.rows_after),
        (27, 6),
        "two pieces of each channel, around the gap"
    );
    assert_eq!(samples(&lake, TABLE).await, before);
    let sql = "SELECT source_id, start_ns, end_ns, sample_count, \"offset\" FROM waveform.segments";
    let rows = rows_of(&session(&lake), sql).await;
    assert_eq!(rows[1], "|FDSN:XX_S0__H_H_Z|0|4990000000|500|0|");
    assert_eq!(rows[2], "|FDSN:XX_S0__H_H_Z|6000000000|9990000000|400|60|");

    let table = lake.load(&seislake_tables::table_def(TABLE).unwrap().ident()).await.unwrap();
    let summary = table.metadata().current_snapshot().unwrap().summary().clone();
    assert_eq!(summary.operation, iceberg::spec::Operation::Replace);
    assert_eq!(summary.additional_properties["total-data-files"], "3");
    assert_eq!(summary.additional_properties["total-records"], "6");
    assert_eq!(lake.sink(TABLE).await.unwrap().committed().await.unwrap(), covered(0, 10));
    let again = lake.compact(TABLE, CompactSettings::default()).await.unwrap();
    assert_eq!(again.partitions, 0, "nothing is left to do");
}

#[tokio::test]
async fn the_past_is_readable_until_it_expires() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    filled(&lake).await;
    let old = lake.snapshot_id(TABLE, crate::AsOf::Latest).await.unwrap().unwrap();
    let before = samples(&lake, TABLE).await;
    lake.compact(TABLE, CompactSettings::default()).await.unwrap();
    let past = format!("waveform.\"segments@{old}\"");
    assert_eq!(samples(&lake, &past).await, before);
    assert_eq!(parquet_files(home.path()), 30);

    let keep = RetentionSettings { snapshots_kept: 1, history_days: 0, ..RetentionSettings::default() };
    let report = lake.expire(TABLE, &ExpireSettings { keep: keep.clone(), dry_run: true }).await.unwrap();
    assert_eq!(parquet_files(home.path()), 30);
    assert_eq!(lake.expire(TABLE, &ExpireSettings { keep, dry_run: false }).await.unwrap(), report);
    assert_eq!((report.snapshots, report.snapshots_left), (11, 1));
    assert_eq!(parquet_files(home.path()), 3, "files that only the past needed are gone");
    assert_eq!(samples(&lake, TABLE).await, before);
}

#[tokio::test]
async fn orphans_go_but_only_when_no_commit_can_want_them() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    filled(&lake).await;
    let stray = home.path().join("warehouse/waveform/segments/data/stray.parquet");
    std::fs::write(&stray, b"left by a crash").unwrap();
    let young = lake
        .delete_orphans(TABLE, OrphanSettings { age_min: Duration::from_secs(3600), dry_run: false })
        .await
        .unwrap();
    assert_eq!((young.files, stray.exists()), (0, true));
    let found =
        lake.delete_orphans(TABLE, OrphanSettings { age_min: Duration::ZERO, dry_run: true }).await.unwrap();
    assert_eq!((found.files, found.bytes, stray.exists()), (1, 15, true));
    assert_eq!(
        lake.delete_orphans(TABLE, OrphanSettings { age_min: Duration::ZERO, dry_run: false }).await.unwrap(),
        found
    );
    assert!(!stray.exists());
    assert_eq!(samples(&lake, TABLE).await.len(), 1 + 3 * 9 * 100);
}

#[tokio::test]
async fn original_records_that_no_row_names_go_once_they_are_old() {
    let home = tempfile::tempdir().unwrap();
    let lake = lake(home.path()).await;
    let store = lake.raw_store();
    let [named, stray, young] =
        ["0-1", "0-2", "0-3"].map(|name| format!("raw/XX/S1/1970/01/01/{name}.mseed"));
    let there = |path: &str| home.path().join("warehouse").join(path).exists();
    // Some seconds old, so that no clock's grain decides.
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    for path in [&named, &stray, &young] {
        store.put(path, vec![0; 1024]).await.unwrap();
        let file =
            std::fs::File::options().write(true).open(home.path().join("warehouse").join(path)).unwrap();
        if *path != young {
            file.set_modified(hour_ago).unwrap();
        }
    }
    for offset in 0..2 {
        let uri = format!("{}#bytes={}-{}", store.uri(&named), 512 * offset, 512 * offset + 511);
        let row = Packet { object_uri: Some(uri), ..packet(offset) };
        append(&lake, table_rows(vec![row]), &covered(0, offset + 1)).await;
    }
    let (old, very_old) = (Duration::from_secs(60), Duration::from_secs(86_400));
    assert_eq!(
        lake.delete_orphan_originals(OrphanSettings { age_min: very_old, dry_run: false })
            .await
            .unwrap()
            .files,
        0
    );
    let found = lake.delete_orphan_originals(OrphanSettings { age_min: old, dry_run: true }).await.unwrap();
    assert_eq!((found.table.as_str(), found.files, found.bytes), ("raw", 1, 1024));
    assert!(there(&stray), "a dry run changes nothing");
    assert_eq!(
        lake.delete_orphan_originals(OrphanSettings { age_min: old, dry_run: false }).await.unwrap(),
        found
    );
    assert!(there(&named) && there(&young) && !there(&stray));
    // Behind a compaction the newest snapshot alone names it, before, an older one may.
    let settings = CompactSettings { everything: true, ..CompactSettings::default() };
    lake.compact("waveform.packets", settings).await.unwrap();
    assert_eq!(
        lake.delete_orphan_originals(OrphanSettings { age_min: old, dry_run: false }).await.unwrap().files,
        0
    );
    // A repair may have lost the rows that named one: what was stored before it stays.
    store.put(&stray, vec![0; 1024]).await.unwrap();
    let file = std::fs::File::options().write(true).open(home.path().join("warehouse").join(&stray)).unwrap();
    file.set_modified(hour_ago).unwrap();
    assert_eq!(
        lake.delete_orphan_originals(OrphanSettings { age_min: old, dry_run: true }).await.unwrap().files,
        1
    );
    let pointed = lake.load(&seislake_tables::table_def("waveform.packets").unwrap().ident()).await.unwrap();
    let metadata = pointed.metadata_location().unwrap().trim_start_matches("file://").to_owned();
    std::fs::write(metadata, "{").unwrap();
    drop(lake);
    let mut told = 0;
    Lake::repair(&super::settings(home.path()), &mut |_| told += 1).await.unwrap();
    assert!(told > 0, "nothing was damaged");
    let lake = self::lake(home.path()).await;
    assert_eq!(
        lake.delete_orphan_originals(OrphanSettings { age_min: old, dry_run: false }).await.unwrap().files,
        0
    );
    assert!(there(&stray) && there(&named), "the last of these records are deleted");
    let mut originals = lake.originals();
    assert_eq!(originals.read(&format!("{}#bytes=512-1023", store.uri(&named))).await.unwrap().len(), 512);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compaction_beside_writers_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (writer, compactor) = (lake(home.path()).await, lake(home.path()).await);
    let writing = tokio::spawn(async move {
        for index in 0..40 {
            append(&writer, table_rows(vec![piece(index % 3, index)]), &covered(0, index + 1)).await;
        }
    });
    let rival = lake(home.path()).await;
    let mut rewritten = 0;
    while !writing.is_finished() {
        let settings = CompactSettings { files_min: 2, ..CompactSettings::default() };
        let (one, two) = tokio::join!(compactor.compact(TABLE, settings), rival.compact(TABLE, settings));
        for result in [one, two] {
            match result {
                Ok(report) => rewritten += report.partitions,
                Err(error) => assert_eq!(error.kind, ErrorKind::Conflict, "{error}"),
            }
        }
    }
    writing.await.unwrap();
    assert!(rewritten > 0);
    assert_eq!(samples(&compactor, TABLE).await.len(), 1 + 40 * 100);
}
