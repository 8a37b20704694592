//! `import` is idempotent and does not depend on the order of files.

use crate::seislake::{assert_same_tables, row_count, succeed, synthetic_archive, tables, text};

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
