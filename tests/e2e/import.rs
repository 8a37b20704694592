//! `import` is idempotent and does not depend on the order of files.

use crate::seislake::{assert_same_tables, query, row_count, succeed, synthetic_archive, tables, text};

#[test]
fn importing_again_adds_no_row_and_order_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 4);
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    succeed(&["import", "--home", text(&one), "--stations", text(&stations), "--", text(&records)]);
    let first = tables(&one);
    assert!(row_count(&first[3].1) > 0, "no event was found");

    succeed(&["import", "--home", text(&one), "--stations", text(&stations), "--", text(&records)]);
    assert_same_tables(&first, &tables(&one));
    // Settings may have changed meanwhile: it is told whatever was given.
    let told = succeed(&["import", "--home", text(&one), "--", text(&records)]);
    assert!(told.contains("all of these records were there already"), "{told}");

    let mut files: Vec<String> = std::fs::read_dir(&records)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect();
    files.sort_by_key(|name| name.bytes().rev().map(|byte| byte.wrapping_mul(167)).collect::<Vec<u8>>());
    let mut arguments = vec!["import", "--home", text(&other), "--stations", text(&stations), "--"];
    arguments.extend(files.iter().map(String::as_str));
    succeed(&arguments);
    assert_same_tables(&first, &tables(&other));
}

#[test]
fn an_import_of_stations_alone_tells_how_many_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let (_, stations) = synthetic_archive(folder.path(), 1);
    let home = folder.path().join("home");
    let import = ["import", "--home", text(&home), "--stations", text(&stations)];
    let told = succeed(&import);
    let report: serde_json::Value =
        serde_json::from_str(&succeed(&[&import[..], &["--json"]].concat())).unwrap();
    let count = |table: &str| {
        let rows = query(&home, &format!("SELECT count(*) FROM network.{table}"));
        rows.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (station_count, channel_count) = (count("stations"), count("channels"));
    assert!(station_count > 1);
    assert_eq!(report["station_count"], station_count);
    assert_eq!(report["channel_count"], channel_count);
    assert!(told.contains(&format!("{station_count} stations and {channel_count} channels taken")), "{told}");
}
