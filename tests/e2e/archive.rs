//! Archive homes: records only, in shares, killed and compacted; the tables say the same.

use std::path::Path;

use crate::crash::kill_in_mid_work;
use crate::seislake::{fail, query, spawn, succeed, synthetic_archive, text};

/// What a waveform table says, whatever its layout: packets by content, samples by source.
fn contents(home: &Path) -> [String; 2] {
    [
        "SELECT source_id, start_ns, sample_count, sha256 FROM waveform.packets ORDER BY 1, 2, 4",
        "SELECT source_id, count(sample) AS n, sum(CAST(sample AS BIGINT)) AS total, \
         sum(CAST(sample AS BIGINT) * CAST(sample AS BIGINT)) AS squares, min(start_ns) AS first, max(end_ns) AS last \
         FROM (SELECT source_id, start_ns, end_ns, unnest(samples) AS sample FROM waveform.segments) \
         GROUP BY 1 ORDER BY 1",
    ]
    .map(|sql| query(home, sql))
}

#[test]
fn shares_fill_the_same_tables_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = synthetic_archive(folder.path(), 2);
    let whole = folder.path().join("whole");
    succeed(&["import", "--archive-only", "--home", text(&whole), "--", text(&records)]);
    let expected = contents(&whole);
    assert!(expected[0].lines().count() > 100, "{}", expected[0]);
    for of in [2, 4] {
        let home = folder.path().join(format!("shared-{of}"));
        let shares: Vec<_> = (1..=of)
            .map(|share| {
                let shard = format!("{share}/{of}");
                spawn(&["import", "--shard", &shard, "--home", text(&home), "--", text(&records)])
            })
            .collect();
        for mut share in shares {
            assert!(share.wait().success());
        }
        assert_eq!(contents(&home), expected, "{of} shares side by side");
        succeed(&["import", "--shard", &format!("1/{of}"), "--home", text(&home), "--", text(&records)]);
        assert_eq!(contents(&home), expected, "a share imported again");
        let message = fail(&["import", "--shard", "1/3", "--home", text(&home), "--", text(&records)]);
        assert!(message.contains("is an archive in"), "{message}");
    }
    let message = fail(&["import", "--home", text(&whole), "--", text(&records)]);
    assert!(message.contains("is an archive"), "{message}");
}

#[test]
fn a_killed_archive_import_goes_on_and_compaction_changes_nothing_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = synthetic_archive(folder.path(), 2);
    let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
    succeed(&["import", "--archive-only", "--home", text(&calm), "--", text(&records)]);
    let import = ["import", "--archive-only", "--home", text(&killed), "--", text(&records)];
    kill_in_mid_work(&import, &killed, 2);
    succeed(&["import", "--archive-only", "--home", text(&killed), "--", text(&records)]);
    let expected = contents(&calm);
    assert_eq!(contents(&killed), expected);
    succeed(&["maintain", "compact", "--all", "--home", text(&killed)]);
    succeed(&["maintain", "expire", "--keep", "1", "--days", "0", "--home", text(&killed)]);
    succeed(&["maintain", "orphans", "--older-than-hours", "0", "--home", text(&killed)]);
    assert_eq!(contents(&killed), expected);
}
