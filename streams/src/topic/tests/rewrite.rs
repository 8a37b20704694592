//! A repair that is killed between any two of its steps, damage that comes a second time, and topics that are gone.

use std::path::PathBuf;

use seislake_model::Offsets;

use super::super::rewrite::{Step, steps};
use super::*;

/// Flips a bit of the batch that holds record `first` of the file, whose batches are of one length.
fn flip(path: &Path, batch_index: usize) {
    let batch_bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4)).len();
    let mut bytes = fs::read(path).unwrap();
    bytes[batch_index * batch_bytes + 50] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// A home whose topic holds 40 records in one file, ten appends of four.
async fn in_one_file() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let topic = FileTopic::open(&home.path().join("log"), "t", 1, LogSettings::default()).unwrap();
    for chunk in numbered(40).chunks(4) {
        topic.append(0, chunk.to_vec()).await.unwrap();
    }
    let path = home.path().join("log/t/0/00000000000000000000.log");
    (home, path)
}

async fn read(home: &Path) -> Vec<Option<String>> {
    all_from(&reopened(&home.join("log")).unwrap(), 0, usize::MAX).await
}

#[tokio::test]
async fn a_repair_killed_between_any_two_steps_loses_no_record_and_goes_on_later() {
    for damaged in [vec![2, 5], vec![0, 5], vec![0, 1, 8], vec![2]] {
        for torn in [false, true] {
            for taken in 0.. {
                let (home, path) = in_one_file().await;
                damaged.iter().for_each(|index| flip(&path, *index));
                let mut right: Vec<_> = expected(0..0, 40);
                damaged.iter().for_each(|index| right[index * 4..index * 4 + 4].fill(None));
                if torn {
                    let mut bytes = fs::read(&path).unwrap();
                    bytes.extend([7; 20]);
                    fs::write(&path, bytes).unwrap();
                }
                let whole = fs::read(&path).unwrap();
                let none = Offsets::default();
                let found = check(home.path(), &none).unwrap();
                let directory = path.parent().unwrap();
                let planned = steps(directory, &found[0]).unwrap();
                if taken > planned.len() {
                    break;
                }
                for step in &planned[..taken] {
                    step.take(directory).unwrap();
                }
                let case = format!("{damaged:?} torn {torn}, killed after {:?}", &planned[..taken]);
                assert_eq!(read(home.path()).await, right, "{case}");
                // The log goes on, and so does the repair later.
                let topic = reopened(&home.path().join("log")).unwrap();
                assert_eq!(topic.append(0, vec![record("more")]).await.unwrap().base, 40, "{case}");
                drop(topic);
                right.push(Some("more".to_owned()));
                repair(home.path(), &none, |_| Ok(())).unwrap();
                assert_eq!(read(home.path()).await, right, "{case}");
                assert_eq!(check(home.path(), &none).unwrap(), [], "{case}");
                let kept = fs::read(path.with_extension("log.damaged")).unwrap();
                assert!(kept.starts_with(&whole[..whole.len() - if torn { 20 } else { 0 }]), "{case}");
                assert!(
                    planned.contains(&Step::Keep {
                        file: path.clone(),
                        kept: path.with_extension("log.damaged")
                    })
                );
            }
        }
    }
}

#[tokio::test]
async fn a_second_damage_keeps_the_copy_of_the_first() {
    let (home, path) = in_one_file().await;
    flip(&path, 2);
    let first = fs::read(&path).unwrap();
    repair(home.path(), &Offsets::default(), |_| Ok(())).unwrap();
    flip(&path, 0);
    let second = fs::read(&path).unwrap();
    repair(home.path(), &Offsets::default(), |_| Ok(())).unwrap();
    assert_eq!(fs::read(path.with_extension("log.damaged")).unwrap(), first);
    assert_eq!(fs::read(path.with_extension("log.damaged-1")).unwrap(), second);
}

#[tokio::test]
async fn the_damaged_end_of_a_segment_that_another_follows_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let segments = written(&log).await;
    let mut bytes = fs::read(&segments[0]).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&segments[0], &bytes).unwrap();
    let before = read(home.path()).await;
    repair(home.path(), &Offsets::default(), |_| Ok(())).unwrap();
    assert_eq!(fs::read(segments[0].with_extension("log.damaged")).unwrap(), bytes);
    assert_eq!(read(home.path()).await, before);
    assert_eq!(check(home.path(), &Offsets::default()).unwrap(), []);
}

#[tokio::test]
async fn a_topic_whose_folder_is_gone_is_told_of() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::open(home.path(), small());
    let names = [
        "waveforms.raw",
        "waveforms.phase_picks",
        "waveforms.associations",
        "bulletin.proposals",
        "bulletin.revisions",
    ];
    for name in names {
        log.topic(name, 1).unwrap();
        log.topic(&format!("{name}.dlq"), 2).unwrap();
    }
    fs::remove_dir_all(home.path().join("log/waveforms.associations")).unwrap();
    assert_eq!(check(home.path(), &Offsets::default()).unwrap(), [], "a log that was only begun");
    log.topic("waveforms.raw", 1).unwrap().append(0, numbered(3)).await.unwrap();
    fs::remove_dir_all(home.path().join("log/waveforms.phase_picks")).unwrap();
    let mut covered = Offsets::default();
    covered.set("waveforms.phase_picks", 0, 7);
    covered.set("waveform.segments", 0, 9);
    let told = check(home.path(), &covered).unwrap();
    let found: Vec<_> =
        told.iter().map(|finding| (&*finding.topic, finding.damage, finding.lost.clone())).collect();
    let missing = LogDamage::TopicMissing;
    assert_eq!(found, [("waveforms.associations", missing, 0..0), ("waveforms.phase_picks", missing, 0..7)]);
}

#[tokio::test]
async fn a_topic_of_an_own_stage_whose_folder_is_gone_is_told_of() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::open(home.path(), small());
    log.topic("waveforms.raw", 1).unwrap().append(0, numbered(3)).await.unwrap();
    for name in ["waveforms.raw.dlq", "strict.phase_picks", "strict.phase_picks.dlq"] {
        log.topic(name, 1).unwrap();
    }
    let found = |known: &[(&str, Offset)]| {
        let mut covered = Offsets::default();
        for (topic, next) in known {
            covered.set(topic, 0, *next);
        }
        let told = check(home.path(), &covered).unwrap();
        let told = told.into_iter().map(|finding| (finding.topic, finding.damage, finding.lost));
        told.collect::<Vec<_>>()
    };
    let (topic, missing) = ("strict.phase_picks", LogDamage::TopicMissing);
    assert!(found(&[(topic, 0), ("quiet.phase_picks", 0)]).is_empty(), "one that was never begun");
    fs::remove_dir_all(home.path().join("log").join(topic)).unwrap();
    assert!(found(&[]).is_empty(), "nothing names it");
    assert_eq!(found(&[(topic, 0)]), [(topic.to_owned(), missing, 0..0)]);
    assert_eq!(found(&[(topic, 7)]), [(topic.to_owned(), missing, 0..7)]);
    // A table that is kept up from another is no topic.
    assert!(found(&[("waveform.segments", 9)]).is_empty());
}
