//! One suite for every driver, and what only files can suffer.

use std::fs;
use std::os::unix::fs::FileExt;

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
    let batch_bytes = batch::encode(0, &numbered(4)).len();
    for length in 0..=bytes.len() {
        fs::write(last, &bytes[..length]).unwrap();
        let topic = reopened(whole.path()).unwrap();
        let end = base + (length / batch_bytes * 4) as Offset;
        assert_eq!(topic.end_offset(0).unwrap(), end, "cut at byte {length}");
        assert_eq!(topic.append(0, numbered(1)).await.unwrap().base, end);
        assert_eq!(topic.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap().len() as Offset, end + 1);
    }
}

#[tokio::test]
async fn damage_is_an_error_that_names_file_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let segments = written(directory.path()).await;
    let batch_bytes = batch::encode(0, &numbered(4)).len() as u64;
    for (segment, position) in [(0, 5), (0, 70), (0, batch_bytes + 3), (1, 60)] {
        let path = &segments[segment];
        let whole = fs::read(path).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&[whole[position as usize] ^ 0x55], position).unwrap();
        let error = match reopened(directory.path()) {
            Err(error) => error,
            Ok(topic) => topic.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap_err(),
        };
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(error.message.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
        fs::write(path, whole).unwrap();
    }
    assert_eq!(reopened(directory.path()).unwrap().end_offset(0).unwrap(), 40);
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
        assert_eq!(reopened(directory.path()).unwrap_err().kind, ErrorKind::Corrupt);
        fs::write(&path, whole).unwrap();
    }
}

#[tokio::test]
async fn a_missing_segment_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let segments = written(directory.path()).await;
    fs::remove_file(&segments[1]).unwrap();
    assert_eq!(reopened(directory.path()).unwrap_err().kind, ErrorKind::Corrupt);
}
