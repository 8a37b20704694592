//! One suite for every driver, and what only files can suffer.

use std::fs;
use std::os::unix::fs::FileExt;

mod misplaced;
mod rewrite;

use super::batch::BatchPlace;
use super::*;

fn record(text: &str) -> NewRecord {
    NewRecord { key: Bytes::from_static(b"key"), value: Bytes::from(text.to_owned()), arrival_time: None }
}

fn numbered(count: usize) -> Vec<NewRecord> {
    (0..count).map(|n| record(&format!("record {n:06}"))).collect()
}

fn small() -> LogSettings {
    LogSettings { segment_bytes: 500, ..LogSettings::default() }
}

/// Both drivers, each with a fresh topic of three partitions; the directory lives as long as the list.
fn drivers() -> (tempfile::TempDir, Vec<Arc<dyn Topic>>) {
    let directory = tempfile::tempdir().unwrap();
    let file = FileTopic::open(directory.path(), "t", 3, small()).unwrap();
    (directory, vec![Arc::new(MemoryTopic::new("t", 3)), Arc::new(file)])
}

async fn texts(topic: &dyn Topic, from: Offset, bytes_max: usize) -> Vec<String> {
    let records = topic.read(1, from, bytes_max, Duration::ZERO).await.unwrap();
    for (record, offset) in records.iter().zip(from..) {
        assert_eq!(record.offset, offset, "contiguous from the offset asked for");
    }
    records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}

#[tokio::test]
async fn reads_back_what_was_appended_from_any_offset() {
    let (_directory, topics) = drivers();
    for topic in topics {
        let all = numbered(100);
        for chunk in all.chunks(7) {
            topic.append(1, chunk.to_vec()).await.unwrap();
        }
        assert_eq!(topic.watermarks(1).unwrap(), Watermarks { start: 0, end: 100 });
        assert_eq!(topic.end_offset(0).unwrap(), 0);
        for from in 0..=100 {
            let read = texts(&*topic, from, usize::MAX).await;
            let expected: Vec<_> = (from..100).map(|n| format!("record {n:06}")).collect();
            assert_eq!(read, expected);
        }
    }
}

#[tokio::test]
async fn a_small_limit_still_returns_something_and_reading_on_misses_nothing() {
    let (_directory, topics) = drivers();
    for topic in topics {
        for chunk in numbered(100).chunks(3) {
            topic.append(1, chunk.to_vec()).await.unwrap();
        }
        let mut read = Vec::new();
        while read.len() < 100 {
            let more = texts(&*topic, read.len() as Offset, 1).await;
            assert!(!more.is_empty() && more.len() <= 3);
            read.extend(more);
        }
        assert_eq!(read, (0..100).map(|n| format!("record {n:06}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn keys_values_and_arrival_times_survive() {
    let (_directory, topics) = drivers();
    for topic in topics {
        let records = vec![
            NewRecord {
                key: Bytes::new(),
                value: Bytes::new(),
                arrival_time: Some(Timestamp::from_nanos(-5)),
            },
            NewRecord {
                key: Bytes::from_static(b"k"),
                value: Bytes::from(vec![0; 70_000]),
                arrival_time: None,
            },
        ];
        let appended = topic.append(2, records.clone()).await.unwrap();
        assert_eq!((appended.base, appended.next), (0, 2));
        let read = topic.read(2, 0, usize::MAX, Duration::ZERO).await.unwrap();
        let back: Vec<_> = read
            .into_iter()
            .map(|r| NewRecord { key: r.key, value: r.value, arrival_time: r.arrival_time })
            .collect();
        assert_eq!(back, records);
    }
}

#[tokio::test]
async fn a_reader_at_the_end_waits_for_the_next_append() {
    let (_directory, topics) = drivers();
    for topic in topics {
        assert!(topic.read(0, 0, 1, Duration::ZERO).await.unwrap().is_empty());
        let reader = tokio::spawn({
            let topic = Arc::clone(&topic);
            async move { topic.read(0, 0, usize::MAX, Duration::from_secs(60)).await }
        });
        topic.append(0, vec![record("late")]).await.unwrap();
        assert_eq!(reader.await.unwrap().unwrap()[0].value, "late");
    }
}

#[tokio::test]
async fn wrong_partitions_offsets_and_sizes_are_refused() {
    let (_directory, topics) = drivers();
    for topic in topics {
        assert_eq!(topic.append(3, numbered(1)).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(topic.read(0, 1, 1, Duration::ZERO).await.unwrap_err().kind, ErrorKind::Invalid);
        let huge = NewRecord {
            key: Bytes::new(),
            value: Bytes::from(vec![0; APPEND_BYTES_MAX]),
            arrival_time: None,
        };
        assert_eq!(topic.append(0, vec![huge]).await.unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(topic.end_offset(0).unwrap(), 0);
    }
}

#[test]
fn more_than_one_append_takes_is_cut_into_several() {
    let large = NewRecord { value: Bytes::from(vec![0; 1000]), ..record("") };
    let records = vec![record("a"), large.clone(), large, record("b"), record("c")];
    for bytes_max in [0, 1, 100, 1100, usize::MAX] {
        let appends = in_appends(records.clone(), bytes_max);
        assert!(appends.iter().all(|append| append.len() == 1 || batch::body_bytes(append) <= bytes_max));
        assert_eq!(appends.concat(), records);
    }
    assert_eq!(in_appends(records, usize::MAX).len(), 1);
    assert!(in_appends(Vec::new(), 1).is_empty());
}

#[tokio::test]
async fn many_appenders_get_offsets_without_holes() {
    let (_directory, topics) = drivers();
    for topic in topics {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let topic = Arc::clone(&topic);
                tokio::spawn(async move { topic.append(1, numbered(5)).await.unwrap().base })
            })
            .collect();
        let mut bases = Vec::new();
        for task in tasks {
            bases.push(task.await.unwrap());
        }
        bases.sort_unstable();
        assert_eq!(bases, (0..8).map(|n| n * 5).collect::<Vec<_>>());
        assert_eq!(texts(&*topic, 0, usize::MAX).await.len(), 40);
    }
}

#[test]
fn the_number_of_partitions_cannot_change() {
    let directory = tempfile::tempdir().unwrap();
    Log::open(directory.path(), small()).topic("t", 2).unwrap();
    let log = Log::open(directory.path(), small());
    assert_eq!(log.existing_partitions("t").unwrap(), Some(2));
    assert_eq!(log.existing_partitions("u").unwrap(), None);
    assert_eq!(log.topic("t", 3).unwrap_err().kind, ErrorKind::Conflict);
}

/// A partition with ten appends of four records in several segments.
async fn written(directory: &Path) -> Vec<PathBuf> {
    let topic = FileTopic::open(directory, "t", 1, small()).unwrap();
    for chunk in numbered(40).chunks(4) {
        topic.append(0, chunk.to_vec()).await.unwrap();
    }
    let mut segments: Vec<_> =
        fs::read_dir(directory.join("t/0")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    assert!(segments.len() > 2);
    segments
}

fn reopened(directory: &Path) -> Result<FileTopic, Error> {
    FileTopic::open(directory, "t", 1, small())
}

#[tokio::test]
async fn a_torn_last_append_is_cut_off_wherever_it_was_torn() {
    let whole = tempfile::tempdir().unwrap();
    let segments = written(whole.path()).await;
    let last = segments.last().unwrap();
    let bytes = fs::read(last).unwrap();
    let base: Offset = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let batch_bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4)).len();
    for length in 0..=bytes.len() {
        fs::write(last, &bytes[..length]).unwrap();
        let topic = reopened(whole.path()).unwrap();
        let end = base + (length / batch_bytes * 4) as Offset;
        assert_eq!(topic.end_offset(0).unwrap(), end, "cut at byte {length}");
        assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, end);
        assert_eq!(topic.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap().len() as Offset, end + 1);
    }
}

/// Everything from `from` on, over as many reads as it takes: texts, and `None` for lost records.
async fn all_from(topic: &FileTopic, from: Offset, bytes_max: usize) -> Vec<Option<String>> {
    let mut all = Vec::new();
    while (from + all.len() as Offset) < topic.end_offset(0).unwrap() {
        let next = from + all.len() as Offset;
        let records = topic.read(0, next, bytes_max, Duration::ZERO).await.unwrap();
        assert!(!records.is_empty());
        for (record, offset) in records.iter().zip(next..) {
            assert_eq!(record.offset, offset, "contiguous from the offset asked for");
            all.push((!record.is_lost()).then(|| String::from_utf8_lossy(&record.value).into_owned()));
        }
    }
    all
}

fn expected(lost: std::ops::Range<usize>, count: usize) -> Vec<Option<String>> {
    (0..count).map(|n| (!lost.contains(&n)).then(|| format!("record {n:06}"))).collect()
}

#[tokio::test]
async fn records_of_a_damaged_batch_are_lost_and_all_others_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let segments = written(directory.path()).await;
    let batch_bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4)).len() as u64;
    let bases: Vec<usize> =
        segments.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap()).collect();
    for (segment, position) in [(0, 5), (0, 70), (0, batch_bytes + 3), (1, 60)] {
        let path = &segments[segment];
        let whole = fs::read(path).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&[whole[position as usize] ^ 0x55], position).unwrap();
        let first = bases[segment] + (position / batch_bytes) as usize * 4;
        for bytes_max in [1, 100, usize::MAX] {
            let topic = reopened(directory.path()).unwrap();
            assert_eq!(all_from(&topic, 0, bytes_max).await, expected(first..first + 4, 40));
            assert_eq!(
                all_from(&topic, first as Offset + 1, bytes_max).await,
                expected(first..first + 4, 40)[first + 1..]
            );
        }
        fs::write(path, whole).unwrap();
    }
    assert_eq!(all_from(&reopened(directory.path()).unwrap(), 0, usize::MAX).await, expected(0..0, 40));
}

#[tokio::test]
async fn damage_before_the_last_append_of_the_open_segment_is_not_taken_for_a_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    let topic = FileTopic::open(directory.path(), "t", 1, LogSettings::default()).unwrap();
    for chunk in numbered(8).chunks(4) {
        topic.append(0, chunk.to_vec()).await.unwrap();
    }
    drop(topic);
    let path = directory.path().join("t/0/00000000000000000000.log");
    for position in [2, 50] {
        let whole = fs::read(&path).unwrap();
        let mut bad = whole.clone();
        bad[position] ^= 1;
        fs::write(&path, bad).unwrap();
        let topic = reopened(directory.path()).unwrap();
        assert_eq!(all_from(&topic, 0, usize::MAX).await, expected(0..4, 8));
        assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, 8);
        fs::write(&path, whole).unwrap();
    }
}

#[tokio::test]
async fn records_of_a_missing_segment_are_lost_and_appending_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let segments = written(directory.path()).await;
    let base =
        |index: usize| segments[index].file_stem().unwrap().to_str().unwrap().parse::<usize>().unwrap();
    fs::remove_file(&segments[1]).unwrap();
    let topic = reopened(directory.path()).unwrap();
    for bytes_max in [1, usize::MAX] {
        assert_eq!(all_from(&topic, 0, bytes_max).await, expected(base(1)..base(2), 40));
    }
    assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, 40);
    drop(topic);
    fs::remove_file(&segments[0]).unwrap();
    let topic = reopened(directory.path()).unwrap();
    assert_eq!(topic.watermarks(0).unwrap().start, base(2) as Offset);
    assert_eq!(all_from(&topic, 0, usize::MAX).await[..base(2)], expected(0..base(2), base(2)));
}

#[tokio::test]
async fn a_log_that_lost_its_end_goes_on_where_it_is_told_to() {
    let (_directory, topics) = drivers();
    for topic in topics {
        topic.append(1, numbered(3)).await.unwrap();
        topic.continue_at(1, 2).await.unwrap();
        assert_eq!(topic.end_offset(1).unwrap(), 3, "never back");
        topic.continue_at(1, 10).await.unwrap();
        assert_eq!(topic.append(1, vec![record("on")]).await.unwrap().base, 10);
        let mut lost = Vec::new();
        let mut next = 1;
        while next < 11 {
            for record in topic.read(1, next, usize::MAX, Duration::ZERO).await.unwrap() {
                assert_eq!(record.offset, next);
                lost.extend(record.is_lost().then_some(next));
                next += 1;
            }
        }
        assert_eq!(lost, (3..10).collect::<Vec<_>>());
    }
    let directory = tempfile::tempdir().unwrap();
    reopened(directory.path()).unwrap().continue_at(0, 7).await.unwrap();
    let topic = reopened(directory.path()).unwrap();
    assert_eq!(topic.watermarks(0).unwrap(), Watermarks { start: 7, end: 7 });
    assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, 7);
}

#[tokio::test]
async fn a_lost_topic_file_is_made_again_from_the_folders() {
    let directory = tempfile::tempdir().unwrap();
    FileTopic::open(directory.path(), "t", 3, small()).unwrap().append(2, numbered(2)).await.unwrap();
    for damage in [None, Some("{\"version\":1,\"part")] {
        let path = directory.path().join("t/topic.json");
        match damage {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        let topic = FileTopic::open(directory.path(), "t", 8, small()).unwrap();
        assert_eq!((topic.partitions(), topic.end_offset(2).unwrap()), (3, 2));
        assert_eq!(stored(&path), 3);
    }
}

fn stored(path: &Path) -> u64 {
    let text: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    text["partitions"].as_u64().unwrap()
}

#[tokio::test]
async fn a_repair_tells_what_is_wrong_mends_it_and_finds_nothing_the_next_time() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let segments = written(&log).await;
    let covered = |next: Offset| {
        let mut offsets = seislake_model::Offsets::default();
        offsets.set("t", 0, next);
        offsets
    };
    assert_eq!(check(home.path(), &covered(40)).unwrap(), []);
    let batch_bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4)).len();
    for (segment, position) in [(0, 50), (2, 3)] {
        let mut bytes = fs::read(&segments[segment]).unwrap();
        bytes[position] ^= 0x10;
        fs::write(&segments[segment], bytes).unwrap();
    }
    let missing: Offset = segments[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let third: Offset = segments[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::remove_file(&segments[1]).unwrap();
    let last = segments.last().unwrap();
    let last_bytes = fs::metadata(last).unwrap().len();
    fs::File::options().write(true).open(last).unwrap().set_len(last_bytes - 37).unwrap();
    fs::write(log.join("t/topic.json"), "").unwrap();
    let told: Vec<_> = check(home.path(), &covered(45)).unwrap();
    let found: Vec<_> = told.iter().map(|finding| (finding.damage, finding.lost.clone())).collect();
    let wrong = [
        (LogDamage::TopicFile, 0..0),
        (LogDamage::DamagedBatches, 0..4),
        (LogDamage::Hole, missing..third),
        (LogDamage::DamagedBatches, third..third + 4),
        (LogDamage::TornTail, 36..45),
        (LogDamage::BehindTables, 36..45),
    ];
    assert_eq!(found, wrong, "{last_bytes} {batch_bytes}");
    let mut mended = Vec::new();
    repair(home.path(), &covered(45), |finding| {
        mended.push(finding);
        Ok(())
    })
    .unwrap();
    assert_eq!(mended, told);
    assert_eq!(check(home.path(), &covered(45)).unwrap(), []);
    assert!(segments[0].with_extension("log.damaged").exists(), "the damaged file is kept");
    let topic = reopened(&log).unwrap();
    let all = all_from(&topic, 0, usize::MAX).await;
    let kept: Vec<usize> = (0..all.len()).filter(|n| all[*n].is_some()).collect();
    let lost = |n: &usize| *n < 4 || (missing as usize..third as usize + 4).contains(n) || *n >= 36;
    assert_eq!(kept, (0..45).filter(|n| !lost(n)).collect::<Vec<_>>());
    assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, 45);
}

#[tokio::test]
async fn damage_that_comes_while_a_topic_is_open_stops_no_reader() {
    let directory = tempfile::tempdir().unwrap();
    let segments = written(directory.path()).await;
    let topic =
        FileTopic::open(directory.path(), "t", 1, LogSettings { recent_bytes: 0, ..small() }).unwrap();
    assert_eq!(all_from(&topic, 0, usize::MAX).await, expected(0..0, 40));
    let first = segments.first().unwrap();
    let batch_bytes = batch::encode(BatchPlace::of("t", 0), 0, &numbered(4)).len();
    let whole = fs::read(first).unwrap();
    for position in [3, 60, batch_bytes + 3, batch_bytes + 60] {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        fs::write(first, bytes).unwrap();
        let all = all_from(&topic, 0, 1).await;
        assert_eq!(all.len(), 40);
        assert!(all[..12].iter().any(Option::is_none), "byte {position}");
        assert_eq!(all[12..], expected(0..0, 40)[12..]);
    }
}

/// Damages some file of the partition in a way that looks random and is the same every time.
fn damage(directory: &Path, random: &mut impl FnMut(usize) -> usize) {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = &files[random(files.len())];
    let mut bytes = fs::read(path).unwrap();
    let at = random(bytes.len() + 1);
    match random(6) {
        0 => bytes.truncate(at),
        1 => bytes.clear(),
        2 => bytes.iter_mut().skip(at).take(50).for_each(|byte| *byte = 0),
        3 => bytes.splice(at..at, [0xAA; 7]).for_each(drop),
        4 => return fs::remove_file(path).unwrap(),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x20),
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn whatever_happens_to_its_files_a_log_opens_and_gives_only_what_was_written() {
    for seed in 0..60_u64 {
        let mut state = seed;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit.max(1)
        };
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        written(&log).await;
        for _ in 0..=random(3) {
            damage(&log.join("t/0"), &mut random);
        }
        let survivors = async || {
            let topic = reopened(&log).unwrap();
            topic.continue_at(0, 40).await.unwrap();
            topic.append(0, vec![record("next")]).await.unwrap();
            let all = all_from(&topic, 0, 200).await;
            for (offset, text) in all.iter().enumerate().take(40) {
                let right = format!("record {offset:06}");
                assert!(text.as_ref().is_none_or(|text| *text == right), "seed {seed}: {text:?} at {offset}");
            }
            all[..40].to_vec()
        };
        let before = survivors().await;
        let mut covered = seislake_model::Offsets::default();
        covered.set("t", 0, 40);
        repair(home.path(), &covered, |_| Ok(())).unwrap();
        assert_eq!(check(home.path(), &covered).unwrap(), [], "seed {seed}");
        assert_eq!(survivors().await, before, "seed {seed}");
    }
}
