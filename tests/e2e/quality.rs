//! `quality update` follows what is imported, and `quality report` shows it.

use crate::seislake::{query, run, succeed, synthetic_archive, text};

const CONTINUITY: &str = "SELECT source_id, start_time, sample_count, gap_count, repeated_count \
                          FROM quality.continuity ORDER BY source_id, start_time";
/// The same from the samples' own lengths: no file of the synthetic archive overlaps another.
const COUNTED: &str = "SELECT sum(sample_count) FROM waveform.segments";

#[test]
fn quality_is_kept_up_with_what_arrives_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 12);
    let home = folder.path().join("home");
    let mut files: Vec<_> = std::fs::read_dir(&records).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (first, rest) = files.split_at(6);
    let import = |files: &[std::path::PathBuf]| {
        let mut arguments =
            vec!["import", "--archive-only", "--home", text(&home), "--stations", text(&stations), "--"];
        arguments.extend(files.iter().map(|file| text(file)));
        succeed(&arguments);
    };
    let update = || succeed(&["quality", "update", "--home", text(&home)]);

    import(first);
    let report = run(&["quality", "report", "--home", text(&home)]);
    assert!(
        String::from_utf8_lossy(&report.stderr).contains("seislake quality update"),
        "it says what to do"
    );
    assert!(update().contains("quality.continuity         1 days, 6 rows"));
    let before = query(&home, CONTINUITY);
    assert_eq!(before.lines().count(), 7, "{before}");
    assert_eq!(update().matches("nothing new").count(), 5, "a second run has nothing to do");
    assert_eq!(query(&home, CONTINUITY), before);

    import(rest);
    update();
    let after = query(&home, CONTINUITY);
    assert!(before.lines().all(|line| after.contains(line)), "channels without new data are as before");
    assert_eq!(after.lines().count(), files.len() + 1);
    let received = query(&home, "SELECT sum(sample_count) FROM quality.continuity");
    assert_eq!(received.lines().nth(1), query(&home, COUNTED).lines().nth(1));
    let ratios = query(&home, "SELECT north_east FROM quality.component_ratios WHERE window_count > 0");
    assert_eq!(ratios.lines().count(), files.len() / 3 + 1, "{ratios}");

    let output = folder.path().join("report");
    let arguments =
        ["quality", "report", "--home", text(&home), "--source", "*_H_H_Z", "--output", text(&output)];
    assert!(succeed(&arguments).contains(&format!("continuity         {} rows", files.len() / 3)));
    for name in ["continuity.svg", "latency.svg", "component_ratios.svg"] {
        assert!(std::fs::read_to_string(output.join(name)).unwrap().starts_with("<svg "), "{name}");
    }
    let json = std::fs::read_to_string(output.join("quality.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["continuity"].as_array().unwrap().len(), files.len() / 3);
    let refused = run(&[
        "quality",
        "report",
        "--home",
        text(&home),
        "--source",
        "FDSN:NO_*",
        "--output",
        text(&output),
    ]);
    assert!(!refused.status.success());
}
