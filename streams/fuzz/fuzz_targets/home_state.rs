//! Bytes pasted over checkpoints and the index of seen records: a home opens or says in words why not, and the gate
//! never takes a record twice without saying so.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use seislake_mseed::{PackSettings, pack};
use seislake_streams::gate::{Gate, Offer, ReceivedRecord};
use seislake_streams::runtime::CheckpointStore;
use seislake_streams::topic::{Durability, Log, LogSettings};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime"));
static RECORD: LazyLock<Bytes> = LazyLock::new(|| {
    let settings = PackSettings::new("FDSN:XX_TEST__H_H_Z", 1_700_000_000_000_000_000, 100.0);
    pack(&settings, [1_i32; 50].as_slice()).expect("a record").remove(0).into()
});

/// A home that took one record: the files of its state, and the folder.
static HOME: LazyLock<(tempfile::TempDir, Vec<PathBuf>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    drop(CheckpointStore::open(folder.path()).expect("checkpoints"));
    offer(folder.path()).expect("a new home takes a record");
    let files = files(folder.path());
    (folder, files)
});

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    found
}

/// Opens the gate and offers the record; how many were accepted.
fn offer(home: &Path) -> Result<u64, seislake_streams::Error> {
    let settings = LogSettings { durability: Durability::OperatingSystem, recent_bytes: 0, ..LogSettings::default() };
    let log = Arc::new(Log::open(home, settings));
    RUNTIME.block_on(async {
        let gate = Gate::open(&log, 1, Some(home)).await?;
        let offers = vec![Offer::Record(ReceivedRecord { bytes: RECORD.clone(), arrival_time: None, origin: None })];
        Ok(gate.ingest(offers).await?.accepted)
    })
}

fuzz_target!(|input: &[u8]| {
    let Some(([file, low, high], patch)) = input.split_first_chunk::<3>() else { return };
    let (folder, files) = &*HOME;
    let here = tempfile::tempdir().expect("a folder");
    let chosen = usize::from(*file) % files.len();
    for (number, path) in files.iter().enumerate() {
        let target = here.path().join(path.strip_prefix(folder.path()).expect("below"));
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a folder");
        let mut bytes = std::fs::read(path).expect("a file");
        if number == chosen && !bytes.is_empty() {
            let begin = usize::from(u16::from_le_bytes([*low, *high])) * 3 % bytes.len();
            let end = bytes.len().min(begin + patch.len());
            bytes[begin..end].copy_from_slice(&patch[..end - begin]);
        }
        std::fs::write(target, bytes).expect("write");
    }
    let _ = CheckpointStore::open(here.path());
    let _ = offer(here.path());
});
