//! Bad input through each door: one clear sentence and a sensible status.

use std::path::Path;

use crate::seislake::{command, run, spawn, succeed, synthetic_archive, text};

/// The command fails with `status` and one line on standard error that contains every one of `words`.
fn refused(arguments: &[&str], status: i32, words: &[&str]) {
    let output = run(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {errors}");
    for word in words {
        assert!(errors.contains(word), "{arguments:?}: \"{word}\" is missing in: {errors}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
    if status == 1 {
        assert_eq!(errors.trim_end().lines().count(), 1, "more than one line: {errors}");
    }
}

fn small_home(folder: &Path) -> std::path::PathBuf {
    let home = folder.join("home");
    let (_, stations) = synthetic_archive(folder, 1);
    succeed(&["import", "--home", text(&home), "--stations", text(&stations)]);
    home
}

#[test]
fn unknown_configuration_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seislake.toml");
    std::fs::write(&file, "[http]\nadress = \"127.0.0.1:1\"\n[attic]\nx = 1\n").unwrap();
    refused(&["config", "check", "--config", text(&file)], 1, &["http.adress", "attic"]);
    refused(
        &["serve", "--home", text(&folder.path().join("h")), "--config", text(&file)],
        1,
        &["http.adress"],
    );
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    refused(&["import"], 2, &["PATH"]);
    refused(&["fly"], 2, &["fly"]);
    refused(&["query", "--format", "poem", "SELECT 1"], 2, &["poem"]);
}

#[test]
fn broken_station_files_are_refused_with_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let xml = folder.path().join("broken.xml");
    std::fs::write(&xml, "<FDSNStationXML><Network code=\"XX\"><Station></Network>").unwrap();
    refused(&["import", "--home", text(&home), "--stations", text(&xml)], 1, &["broken.xml"]);
    let csv = folder.path().join("stations.csv");
    std::fs::write(&csv, "Latitude,Longitude,Elevation,Name\n64.1,-17.2,1.2,AAA\n").unwrap();
    refused(&["import", "--home", text(&home), "--stations", text(&csv)], 1, &["--elevation-unit"]);
}

#[test]
fn a_text_file_named_mseed_is_a_dead_letter_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let file = folder.path().join("letter.mseed");
    std::fs::write(&file, "Dear archive, this is not a record.\n".repeat(40)).unwrap();
    succeed(&["import", "--home", text(&home), "--", text(&file)]);
    let letters = crate::seislake::query(&home, "SELECT origin, reason FROM stream.dead_letters");
    assert!(letters.contains("letter.mseed"), "{letters}");
    let missing = folder.path().join("nowhere");
    refused(&["import", "--home", text(&home), "--", text(&missing)], 1, &["nowhere"]);
}

#[test]
fn wrong_sql_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    let home = text(&home);
    refused(&["query", "--home", home, "SELECT nothing FROM bulletin.events"], 1, &["nothing"]);
    refused(&["query", "--home", home, "SELEKT 1"], 1, &["SELEKT"]);
    refused(&["query", "--home", home, "DROP TABLE bulletin.events"], 1, &["only reading statements"]);
    refused(&["query", "--home", home, "SELECT * FROM bulletin.earthquakes"], 1, &["earthquakes"]);
}

#[test]
fn a_home_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    refused(&["serve", "--home", text(&file)], 1, &["a-file"]);
    refused(&["query", "--home", text(&folder.path().join("none")), "SELECT 1"], 1, &["not a home"]);
}

#[test]
fn a_second_process_is_told_whose_home_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    let addresses = home.join("run/addresses.json");
    let mut server =
        spawn(&["serve", "--home", text(&home), "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"]);
    let begin = std::time::Instant::now();
    while !addresses.exists() {
        assert!(begin.elapsed().as_secs() < 60, "the server did not start");
        assert!(server.try_wait().unwrap().is_none(), "the server ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    refused(
        &["import", "--home", text(&home), "--", text(folder.path())],
        1,
        &["running seislake", "--home"],
    );
    let output = command()
        .args(["query", "--home", text(&home), "SELECT count(*) FROM network.stations"])
        .output()
        .unwrap();
    assert!(output.status.success(), "reading beside a server: {}", String::from_utf8_lossy(&output.stderr));
    server.kill().unwrap();
    server.wait().unwrap();
}
