//! What a server does by itself, and what can be done beside it.

use std::time::{Duration, Instant};

use seislake_mseed::{ScanItem, Scanner};

use crate::seislake::{Server, query, row_count, succeed, synthetic_archive, text};

/// Every record of a file or folder, in order of its bytes.
fn records(path: &std::path::Path) -> Vec<Vec<u8>> {
    let files = match path.is_dir() {
        true => std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![path.to_owned()],
    };
    let mut found = Vec::new();
    for file in files {
        for scanned in Scanner::new(&std::fs::read(file).unwrap()) {
            match scanned {
                ScanItem::Record { record, .. } => found.push(record.bytes().to_vec()),
                other => panic!("{other:?}"),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn originals_kept_in_the_warehouse_are_exported_beside_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, stations) = synthetic_archive(folder.path(), 3);
    let home = folder.path().join("home");
    let config = folder.path().join("seislake.toml");
    std::fs::write(&config, "[archive]\nkeep_raw = true\n").unwrap();
    for _again in 0..2 {
        let import = ["import", "--archive-only", "--home", text(&home), "--config", text(&config)];
        succeed(&[&import[..], &["--stations", text(&stations), "--", text(&archive)]].concat());
    }
    let uri = query(&home, "SELECT object_uri, start_time FROM waveform.packets ORDER BY start_time LIMIT 1");
    let day = uri.lines().nth(1).unwrap().split(',').nth(1).unwrap()[..10].replace('-', "/");
    assert!(uri.contains("/raw/") && uri.contains(&format!("/{day}/")), "{uri}");

    let _server = Server::start(&home, &[]);
    let output = folder.path().join("all.mseed");
    succeed(&["export", "--home", text(&home), "--format", "raw", "--output", text(&output)]);
    assert!(records(&output) == records(&archive), "byte for byte");
}

#[test]
fn a_server_keeps_quality_tables_up_and_puts_small_files_together() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, stations) = synthetic_archive(folder.path(), 2);
    let home = folder.path().join("home");
    let mut files: Vec<_> = std::fs::read_dir(&archive).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // Each import commits a file of its own.
    for file in &files[..16] {
        succeed(&[
            "import",
            "--archive-only",
            "--home",
            text(&home),
            "--stations",
            text(&stations),
            "--",
            text(file),
        ]);
    }
    let crowded = || {
        let json = succeed(&[
            "maintain",
            "compact",
            "--home",
            text(&home),
            "--table",
            "waveform.packets",
            "--files-min",
            "16",
            "--dry-run",
            "--json",
        ]);
        let reports: serde_json::Value = serde_json::from_str(&json).unwrap();
        reports[0]["files_before"].as_u64().unwrap()
    };
    assert_eq!(crowded(), 16);
    let config = folder.path().join("seislake.toml");
    std::fs::write(&config, "[upkeep]\nquality_interval_s = 0.2\ncompact_interval_s = 0.2\n").unwrap();
    let _server = Server::start(&home, &["--config", text(&config)]);
    let begin = Instant::now();
    while crowded() > 0 || row_count(&query(&home, "SELECT source_id FROM quality.continuity")) < 16 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the tables are as they were");
        std::thread::sleep(Duration::from_millis(100));
    }
    let packets = query(&home, "SELECT count(DISTINCT source_id) FROM waveform.packets");
    assert_eq!(packets.lines().nth(1), Some("16"));
}
