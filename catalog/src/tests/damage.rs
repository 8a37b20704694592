//! Flipped bits, lost ends and lost files: an error that names the file, never other rows.

use std::path::PathBuf;
use std::time::Duration;

use seislake_model::ErrorKind;

use super::*;
use crate::tables::IcebergTable;

/// Files of the warehouse whose path contains `part`.
fn files(home: &Path, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![home.join("warehouse")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.to_string_lossy().contains(part) => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// All samples, or the error.
async fn read(home: &Path) -> Result<Vec<String>, String> {
    let lake = Lake::open(settings(home)).await.map_err(|error| format!("{error}: {:?}", error.kind))?;
    let context = session(&lake);
    let sql = "SELECT source_id, start_ns, samples FROM waveform.segments WHERE sample_rate_hz = 100.0";
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

async fn filled(home: &Path) {
    let lake = lake(home).await;
    let rows = (0..20).map(|offset| segment(offset, Samples::Int32((0..300).collect()))).collect();
    append(&lake, table_rows(rows), &covered(0, 20)).await;
}

#[tokio::test]
async fn flipped_bits_never_give_other_rows() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path()).await;
    let sound = read(home.path()).await.unwrap();
    assert!(sound.len() > 20);
    for part in ["segments/data", "segments/metadata/snap-", "-m0.avro", "segments/metadata/0"] {
        let of_table = |file: &PathBuf| file.to_string_lossy().contains("segments");
        // Of metadata files the last is the current one.
        for file in files(home.path(), part).into_iter().rev().filter(of_table).take(1) {
            let bytes = std::fs::read(&file).unwrap();
            let step = (bytes.len() / 25).max(1);
            let mut refused = 0;
            for at in (0..bytes.len()).step_by(step) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                std::fs::write(&file, &damaged).unwrap();
                match read(home.path()).await {
                    Ok(rows) => assert_eq!(rows, sound, "byte {at} of {}", file.display()),
                    Err(_) => refused += 1,
                }
            }
            std::fs::write(&file, &bytes).unwrap();
            assert!(refused > 0, "nothing of {} is checked", file.display());
        }
    }
    assert_eq!(read(home.path()).await.unwrap(), sound);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path()).await;
    let file = files(home.path(), "segments/data").remove(0);
    let bytes = std::fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 4;
    for damaged in
        [flipped, bytes[..bytes.len() - 37].to_vec(), bytes[..bytes.len() / 2].to_vec(), Vec::new()]
    {
        std::fs::write(&file, &damaged).unwrap();
        let lake = lake(home.path()).await;
        let frame = session(&lake).sql("SELECT samples FROM waveform.segments").await.unwrap();
        let error = frame.collect().await.unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("damaged"), "{error}");
        let damages = lake.damages().await;
        assert!(damages.keys().any(|path| path.contains(&name)), "{damages:?}");
        let error = lake.compact("waveform.segments", everything()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{error:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let lake = lake(home.path()).await;
    let frame = session(&lake).sql("SELECT samples FROM waveform.segments").await.unwrap();
    assert!(frame.collect().await.unwrap_err().to_string().contains(&name));
    assert_eq!(lake.damages().await.values().next().map(String::as_str), Some("it is not there"));
}

#[tokio::test]
async fn a_damaged_file_that_no_snapshot_names_any_more_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path()).await;
    let file = files(home.path(), "segments/data").remove(0);
    std::fs::write(&file, b"no data").unwrap();
    let lake = lake(home.path()).await;
    let segments = seislake_tables::table_def("waveform.segments").unwrap();
    let frame = session(&lake).sql("SELECT samples FROM waveform.segments").await.unwrap();
    frame.collect().await.unwrap_err();
    let none = Offsets::default();
    let loaded = lake.load(&segments.ident()).await.unwrap();
    let replaced = crate::sink::Replacement::Everything(loaded.metadata().current_snapshot_id());
    let change =
        crate::sink::Change { table: segments, files: Vec::new(), replaced, covered: &none, seen: &none };
    crate::sink::commit(&lake, change).await.unwrap();
    assert_eq!(lake.damages().await.len(), 1, "an older snapshot names it");
    let keep = crate::RetentionSettings {
        snapshots_kept: 1,
        history_days: 0,
        ..crate::RetentionSettings::default()
    };
    lake.expire("waveform.segments", &crate::ExpireSettings { keep, dry_run: false }).await.unwrap();
    assert_eq!(lake.damages().await, std::collections::BTreeMap::new());
}

fn everything() -> crate::CompactSettings {
    crate::CompactSettings { everything: true, ..crate::CompactSettings::default() }
}

#[tokio::test]
async fn nothing_is_deleted_while_the_files_hold_a_newer_state_than_the_catalog() {
    let home = tempfile::tempdir().unwrap();
    let (catalog, kept) = (settings(home.path()).catalog, home.path().join("catalog.kept"));
    let tables = ["waveform.packets", "waveform.segments"];
    for index in 0..3 {
        if index == 2 {
            // Somebody who still looks at it may keep its log beside it.
            let whole = sqlx::sqlite::SqliteConnectOptions::new().filename(&catalog);
            let whole = sqlx::SqlitePool::connect_with(whole).await.unwrap();
            let into = format!("VACUUM INTO '{}'", kept.display());
            sqlx::query(&into).execute(&whole).await.unwrap();
            whole.close().await;
        }
        let lake = lake(home.path()).await;
        let (store, path) = (lake.raw_store(), format!("raw/XX/S1/1970/01/01/{index}.mseed"));
        store.put(&path, vec![0; 512]).await.unwrap();
        let object_uri = Some(format!("{}#bytes=0-511", store.uri(&path)));
        let named = table_rows(vec![Packet { object_uri, ..packet(index) }]);
        append(&lake, named, &covered(0, index + 1)).await;
        let samples = table_rows(vec![segment(index, Samples::Int32((0..300).collect()))]);
        append(&lake, samples, &covered(0, index + 1)).await;
        lake.close().await;
    }
    // Another file, as a backup that is put back: what still closes the one of before writes to that.
    std::fs::rename(&kept, &catalog).unwrap();
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{beside}", catalog.display()));
    }

    let lake = lake(home.path()).await;
    let before = files(home.path(), "");
    let orphans = crate::OrphanSettings { age_min: Duration::ZERO, dry_run: false };
    let keep = crate::RetentionSettings {
        snapshots_kept: 1,
        history_days: 0,
        ..crate::RetentionSettings::default()
    };
    let expired = crate::ExpireSettings { keep, dry_run: false };
    let mut refusals = vec![lake.delete_orphan_originals(orphans).await.unwrap_err()];
    for table in tables {
        refusals.push(lake.delete_orphans(table, orphans).await.unwrap_err());
        refusals.push(lake.expire(table, &expired).await.unwrap_err());
        refusals.push(lake.compact(table, everything()).await.unwrap_err());
    }
    for error in refusals {
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains("run `seislake home repair` first"), "{error}");
    }
    assert_eq!(files(home.path(), ""), before);
    lake.close().await;

    Lake::repair(&settings(home.path()), &mut |_| {}).await.unwrap();
    let lake = self::lake(home.path()).await;
    lake.delete_orphan_originals(orphans).await.unwrap();
    for table in tables {
        lake.expire(table, &expired).await.unwrap();
        lake.delete_orphans(table, orphans).await.unwrap();
        assert_eq!(count(&lake, table).await, 3, "{table}");
    }
    assert_eq!(files(home.path(), ".mseed").len(), 3);
}

#[tokio::test]
async fn sizes_of_files_are_those_that_metadata_say() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path()).await;
    let lake = lake(home.path()).await;
    let before = read(home.path()).await.unwrap();
    lake.compact("waveform.segments", everything()).await.unwrap();
    let loaded = lake.load(&seislake_tables::table_def("waveform.segments").unwrap().ident()).await.unwrap();
    let live = lake.data_files(&loaded).await.unwrap();
    assert!(!live.is_empty());
    for (_, file) in live {
        let path = file.file_path().strip_prefix("file://").unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().len(), file.file_size_in_bytes());
    }
    assert!(!before.is_empty());
}
