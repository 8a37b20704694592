//! Bad input through each door: one clear sentence and a sensible status.

use std::path::Path;

use crate::seislake::{Server, command, run, succeed, synthetic_archive, text};

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
    refused(&["config", "check", "--config", text(&file)], 1, &["did you mean \"address\"?", "attic"]);
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
    let output = run(&["import", "--home", text(&home), "--", text(&file)]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "nothing was read: {errors}");
    assert!(errors.contains("no miniSEED record was found: the first of 1 file: not miniSEED"), "{errors}");
    let letters = crate::seislake::query(&home, "SELECT origin, reason FROM stream.dead_letters");
    assert!(letters.contains("letter.mseed"), "{letters}");
    let missing = folder.path().join("nowhere");
    refused(&["import", "--home", text(&home), "--", text(&missing)], 1, &["nowhere"]);
}

#[test]
fn files_that_cannot_be_used_are_named_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let import = |status: i32| {
        let output = run(&["import", "--home", text(&home), "--json", "--", text(&files)]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{errors}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (report, errors)
    };
    std::fs::write(files.join("notes.txt"), "no record, and it claims none").unwrap();
    let (report, errors) = import(1);
    assert_eq!(
        (&report["files"], &report["refused_files"], &report["skipped_files"]),
        (&0.into(), &0.into(), &1.into())
    );
    assert_eq!(errors, "error: no miniSEED record was found: none in 1 file\n");
    for number in 0..12 {
        std::fs::write(files.join(format!("empty-{number:02}.mseed")), "").unwrap();
    }
    let settings = seislake_mseed::PackSettings::new("FDSN:XX_S0__H_H_Z", 0, 100.0);
    let mut records = seislake_mseed::pack(&settings, [1_i32; 100].as_slice()).unwrap().concat();
    records.extend([0xFF; 600]);
    std::fs::write(files.join("a-half.mseed"), records).unwrap();
    let (report, errors) = import(0);
    assert_eq!(
        (&report["files"], &report["refused_files"], &report["skipped_files"]),
        (&1.into(), &12.into(), &1.into())
    );
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 11, "ten files and one line about the rest: {errors}");
    assert!(lines[0].contains("a-half.mseed\" is damaged: good records 1, problems 1, first: "), "{errors}");
    assert!(
        lines[1].contains("empty-00.mseed\" cannot be used: not miniSEED: the file is empty"),
        "{errors}"
    );
    assert!(lines[10].contains("3 more files") && lines[10].contains("seislake dlq list --home"), "{errors}");
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
fn a_statement_is_cut_off_when_its_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    let tables: Vec<String> = (0..6).map(|n| format!("information_schema.columns t{n}")).collect();
    let sql = format!("SELECT count(t0.column_name || t5.column_name) FROM {}", tables.join(" CROSS JOIN "));
    let begin = std::time::Instant::now();
    refused(
        &["query", "--home", text(&home), "--timeout-s", "0.5", &sql],
        1,
        &["longer than 0.5 s", "--timeout-s"],
    );
    assert!(begin.elapsed().as_secs() < 60, "it ran on: {:?}", begin.elapsed());
    succeed(&["query", "--home", text(&home), "--timeout-s", "600", "SELECT 1"]);
    refused(&["query", "--home", text(&home), "--timeout-s", "0", "SELECT 1"], 2, &["--timeout-s"]);
}

#[test]
fn a_moved_home_says_where_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    let moved = folder.path().join("moved");
    std::fs::rename(&home, &moved).unwrap();
    let words = ["moved", "made in the warehouse", text(&home), "put it back"];
    refused(&["query", "--home", text(&moved), "SELECT 1"], 1, &words);
    refused(&["import", "--home", text(&moved), "--", text(folder.path())], 1, &words);
    std::fs::rename(&moved, &home).unwrap();
    succeed(&["query", "--home", text(&home), "SELECT count(*) FROM network.stations"]);
}

#[test]
fn one_damaged_thing_is_one_thing() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    std::fs::write(home.join("purpose.json"), "{").unwrap();
    refused(&["home", "check", "--home", text(&home)], 1, &["1 thing is damaged", "mends it"]);
}

#[test]
fn an_export_of_nothing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    for format in ["mseed", "raw"] {
        let export = ["export", "--home", text(&home), "--format", format, "--source", "FDSN:XX_NONE__H_H_Z"];
        refused(&export, 1, &["no records", "FDSN:XX_NONE__H_H_Z"]);
    }
}

#[test]
fn an_export_refuses_options_that_its_format_does_not_know() {
    for format in ["quakeml", "geojson", "csv", "stationxml"] {
        let export = ["export", "--format", format, "--source", "XX.A..HHZ"];
        refused(&export, 1, &["--source", "mseed, mseed3, sds and raw"]);
    }
    for option in ["--from", "--to"] {
        let export = ["export", "--format", "stationxml", option, "2026-01-01"];
        refused(&export, 1, &["--from and --to", "quakeml, geojson, csv"]);
    }
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
fn a_directory_with_other_things_is_not_made_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    let foreign = folder.path().join("letters");
    for path in [&records, &foreign] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("letter.txt"), "Dear archive").unwrap();
    }
    let foreign_home = ["--home", text(&foreign)];
    let words = ["letters", "letter.txt", "not a home", "--home"];
    refused(&[&["serve"], &foreign_home[..]].concat(), 1, &words);
    refused(&[&["import"], &foreign_home[..], &["--", text(&records)]].concat(), 1, &words);
    refused(&[&["import", "--shard", "1/2"], &foreign_home[..], &["--", text(&records)]].concat(), 1, &words);
    refused(&[&["demo", "--exit"], &foreign_home[..]].concat(), 1, &words);
    let left: Vec<_> = std::fs::read_dir(&foreign).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["letter.txt"], "nothing is made or changed in it");
}

#[test]
fn a_second_process_is_told_whose_home_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let home = small_home(folder.path());
    let _server = Server::start(&home, &[]);
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
}
