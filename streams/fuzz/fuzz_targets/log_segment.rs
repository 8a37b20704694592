//! Any bytes as a segment file of the log, as it is or pasted over a sound one: opened and read to its end, or refused;
//! what is appended afterwards is read back.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use seislake_streams::topic::{Durability, Log, LogSettings, NewRecord};
use tokio::runtime::Runtime;

const TOPIC: &str = "waveforms.raw";
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime"));

fn settings() -> LogSettings {
    LogSettings { durability: Durability::OperatingSystem, recent_bytes: 0, ..LogSettings::default() }
}

fn record(text: &'static str) -> NewRecord {
    NewRecord { key: Bytes::from_static(b"key"), value: Bytes::from_static(text.as_bytes()), arrival_time: None }
}

/// A log with three appends, and its segment file.
fn sound() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = Log::open(folder.path(), settings()).topic(TOPIC, 1).expect("a new topic");
    for text in ["one", "two, longer", "three"] {
        RUNTIME.block_on(topic.append(0, vec![record(text)])).expect("an append");
    }
    drop(topic);
    let mut folders = vec![folder.path().to_owned()];
    let mut segment = None;
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "log") {
                segment = Some(path);
            }
        }
    }
    let segment = segment.expect("a segment file");
    let bytes = std::fs::read(&segment).expect("the segment");
    (folder, segment, bytes)
}

fuzz_target!(|input: &[u8]| {
    let Some(([mode, place], patch)) = input.split_first_chunk::<2>() else { return };
    let (folder, segment, mut bytes) = sound();
    if mode % 2 == 0 {
        bytes = patch.to_vec();
    } else {
        let begin = usize::from(*place) % bytes.len();
        let end = bytes.len().min(begin + patch.len());
        bytes[begin..end].copy_from_slice(&patch[..end - begin]);
    }
    std::fs::write(&segment, &bytes).expect("write the segment");
    let Ok(topic) = Log::open(folder.path(), settings()).topic(TOPIC, 1) else { return };
    let (mut next, end) = (0, topic.end_offset(0).expect("the partition is there"));
    while next < end {
        match RUNTIME.block_on(topic.read(0, next, 1 << 16, Duration::ZERO)) {
            Ok(records) if !records.is_empty() => {
                for read in &records {
                    assert_eq!(read.offset, next);
                    next += 1;
                }
            }
            _ => return,
        }
    }
    let appended = RUNTIME.block_on(topic.append(0, vec![record("four")]));
    if appended.is_ok() {
        let read = RUNTIME.block_on(topic.read(0, end, 1 << 16, Duration::ZERO)).expect("what was appended is there");
        assert_eq!(read.first().map(|record| record.value.as_ref()), Some(b"four".as_slice()));
    }
});
