//! Segments that come to lie in another folder, and descriptions of topics that say what cannot be.

use super::*;

/// Two partitions with records of their own in several segments.
async fn two(log: &Path, topic: &str) {
    let opened = FileTopic::open(log, topic, 2, small()).unwrap();
    for partition in 0..2_u32 {
        let records: Vec<_> =
            (0..(20 + 20 * partition)).map(|n| record(&format!("{topic} {partition} {n:03}"))).collect();
        for chunk in records.chunks(4) {
            opened.append(partition, chunk.to_vec()).await.unwrap();
        }
    }
}

/// Texts of all records that can be read, by partition.
async fn all(log: &Path, topic: &str) -> Vec<Vec<String>> {
    let opened = FileTopic::open(log, topic, 2, small()).unwrap();
    let mut found = Vec::new();
    for partition in 0..2 {
        let (mut next, mut texts) = (0, Vec::new());
        while next < opened.end_offset(partition).unwrap() {
            let records = opened.read(partition, next, usize::MAX, Duration::ZERO).await.unwrap();
            next = records.last().unwrap().offset + 1;
            let kept = records.iter().filter(|record| !record.is_lost());
            texts.extend(kept.map(|record| String::from_utf8_lossy(&record.value).into_owned()));
        }
        found.push(texts);
    }
    found
}

fn swap(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&aside, other).unwrap();
}

fn nth_segment(folder: &Path, index: usize) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    files.sort();
    files[index].clone()
}

type Move = fn(&Path);

#[tokio::test]
async fn segments_that_were_swapped_give_no_record_of_others_and_a_repair_puts_them_back() {
    let moves: [(&str, Move); 6] = [
        ("first segments of two partitions", |log| {
            swap(&nth_segment(&log.join("a/0"), 0), &nth_segment(&log.join("a/1"), 0))
        }),
        ("a first and a later one", |log| {
            swap(&nth_segment(&log.join("a/0"), 0), &nth_segment(&log.join("a/1"), 2))
        }),
        ("two of one partition", |log| {
            swap(&nth_segment(&log.join("a/1"), 0), &nth_segment(&log.join("a/1"), 1))
        }),
        ("segments of two topics", |log| {
            swap(&nth_segment(&log.join("a/0"), 1), &nth_segment(&log.join("b/0"), 1))
        }),
        ("folders of two partitions", |log| swap(&log.join("a/0"), &log.join("a/1"))),
        ("folders of two topics", |log| {
            swap(&log.join("a"), &log.join("b"));
            swap(&log.join("a/topic.json"), &log.join("b/topic.json"));
        }),
    ];
    for (what, change) in moves {
        for start_between in [false, true] {
            let home = tempfile::tempdir().unwrap();
            let log = home.path().join("log");
            two(&log, "a").await;
            two(&log, "b").await;
            let (a, b) = (all(&log, "a").await, all(&log, "b").await);
            change(&log);
            if start_between {
                for (topic, whole) in [("a", &a), ("b", &b)] {
                    for (partition, texts) in all(&log, topic).await.iter().enumerate() {
                        assert!(
                            texts.iter().all(|text| whole[partition].contains(text)),
                            "{what}: {texts:?}"
                        );
                    }
                }
            }
            let none = seislake_model::Offsets::default();
            let told = check(home.path(), &none).unwrap();
            assert!(told.iter().any(|finding| finding.damage == LogDamage::Misplaced), "{what}: {told:?}");
            repair(home.path(), &none, |_| Ok(())).unwrap();
            assert_eq!(check(home.path(), &none).unwrap(), [], "{what}");
            assert_eq!((all(&log, "a").await, all(&log, "b").await), (a, b), "{what}");
        }
    }
}

#[tokio::test]
async fn segments_of_before_places_were_kept_are_read_as_they_were() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    drop(FileTopic::open(&log, "t", 1, small()).unwrap());
    let mut bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4));
    bytes[28..36].fill(0);
    let sum = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&sum.to_le_bytes());
    fs::write(log.join("t/0/00000000000000000000.log"), bytes).unwrap();
    let topic = reopened(&log).unwrap();
    topic.append(0, vec![record("record 000004")]).await.unwrap();
    assert_eq!(all_from(&topic, 0, usize::MAX).await, expected(0..0, 5));
    assert_eq!(check(home.path(), &seislake_model::Offsets::default()).unwrap(), []);
}

#[tokio::test]
async fn a_segment_that_claims_to_be_as_long_as_a_disk_is_read_in_a_moment() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let segments = written(&log).await;
    for path in [segments.last().unwrap(), segments.first().unwrap()] {
        let length = fs::metadata(path).unwrap().len();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(!check(home.path(), &seislake_model::Offsets::default()).unwrap().is_empty());
        assert_eq!(all_from(&reopened(&log).unwrap(), 0, usize::MAX).await, expected(0..0, 40));
        file.set_len(length).unwrap();
    }
}

#[tokio::test]
async fn a_description_that_says_what_cannot_be_is_not_believed() {
    let texts = [
        r#"{"version":1,"partitions":0}"#,
        r#"{"version":1,"partitions":2}"#,
        r#"{"version":1,"partitions":5}"#,
        r#"{"version":1,"partitions":4000000000}"#,
        r#"{"version":1,"partitions":-1}"#,
        r#"{"version":1,"partitions":"3"}"#,
        r#"{"version":1,"partitions":3.5}"#,
        r#"{"version":0,"partitions":3}"#,
        r#"{"version":4294967295,"partitions":3}"#,
        r#"{"version":1,"partitions":5,"checksum":1}"#,
        r#"{"version":1,"partitions":null}"#,
        "[]",
        "3",
        "",
    ];
    for text in texts {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        FileTopic::open(&log, "t", 3, small()).unwrap().append(2, numbered(2)).await.unwrap();
        let path = log.join("t/topic.json");
        fs::write(&path, text).unwrap();
        let none = seislake_model::Offsets::default();
        let told = check(home.path(), &none).unwrap();
        assert_eq!(
            told.iter().map(|finding| finding.damage).collect::<Vec<_>>(),
            [LogDamage::TopicFile],
            "{text}"
        );
        let topic = Log::open(home.path(), small()).topic("t", 3).unwrap();
        assert_eq!((topic.partitions(), topic.end_offset(2).unwrap()), (3, 2), "{text}");
        fs::write(&path, text).unwrap();
        repair(home.path(), &none, |_| Ok(())).unwrap();
        assert_eq!(check(home.path(), &none).unwrap(), [], "{text}");
        assert_eq!(stored(&path), 3);
    }
    // One of before checksums, and a folder that was lost.
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    FileTopic::open(&log, "t", 3, small()).unwrap().append(2, numbered(2)).await.unwrap();
    fs::write(log.join("t/topic.json"), r#"{"version":1,"partitions":3}"#).unwrap();
    assert_eq!(check(home.path(), &seislake_model::Offsets::default()).unwrap(), []);
    store(&log.join("t"), 3);
    fs::remove_dir_all(log.join("t/2")).unwrap();
    let mut covered = seislake_model::Offsets::default();
    covered.set("t", 2, 2);
    let told = check(home.path(), &covered).unwrap();
    assert_eq!(told.iter().map(|finding| finding.damage).collect::<Vec<_>>(), [LogDamage::BehindTables]);
    repair(home.path(), &covered, |_| Ok(())).unwrap();
    assert_eq!(check(home.path(), &covered).unwrap(), []);
    assert_eq!(Log::open(home.path(), small()).topic("t", 3).unwrap().end_offset(2).unwrap(), 2);
}

fn store(directory: &Path, partitions: u32) {
    file::store_partitions(directory, partitions).unwrap();
}

#[tokio::test]
async fn a_scan_from_outside_gives_every_record_once_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    two(&log, "a").await;
    let whole = all(&log, "a").await;
    let scanned = || {
        let mut found = vec![Vec::new(); 2];
        scan(home.path(), "a", |partition, records| {
            let texts = records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned());
            found[partition as usize].extend(texts);
            Ok(())
        })
        .unwrap();
        found
    };
    assert_eq!(scanned(), whole);
    let last = nth_segment(&log.join("a/0"), 1);
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 3]).unwrap();
    let part = scanned();
    assert!(part[0].len() < whole[0].len() && whole[0].starts_with(&part[0][..4]));
    assert_eq!(fs::read(&last).unwrap().len(), bytes.len() - 3);
}
