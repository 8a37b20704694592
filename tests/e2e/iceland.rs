//! The Iceland dike of 24 August 2014: real records of twelve stations, fifteen reference events in five minutes.

use crate::seislake::{succeed, text};

const FOUND_MIN: u64 = 12;

#[test]
fn the_dike_events_are_found() {
    let Some(data) = seislake_recordings::folder() else { return };
    let case = data.join("cases/iceland-dike-20140824");
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    succeed(&[
        "import",
        "--home",
        text(&home),
        "--elevation-unit",
        "km",
        "--stations",
        text(&case.join("iceland_stations.txt")),
        "--velocity-model",
        text(&case.join("iceland_vmodel.txt")),
        "--",
        text(&case),
    ]);
    let truth = std::fs::read_to_string(data.join("cases/TRUTH.tsv")).unwrap();
    let dike: Vec<&str> =
        truth.lines().filter(|line| line.starts_with("case\t") || line.starts_with("iceland-dike")).collect();
    let reference = folder.path().join("reference.tsv");
    std::fs::write(&reference, dike.join("\n")).unwrap();
    let output = succeed(&[
        "compare",
        "--home",
        text(&home),
        "--reference",
        text(&reference),
        "--time-tolerance-s",
        "1.5",
        "--distance-tolerance-km",
        "5",
        "--json",
    ]);
    let comparison: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(comparison["reference_count"], 15);
    let matched = comparison["matched"].as_u64().unwrap();
    assert!(matched >= FOUND_MIN, "{matched} of 15 events found: {output}");
}
