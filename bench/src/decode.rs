//! Decoding a file in memory, beside others on the same file; one core, best of several runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use seislake_mseed::{ScanItem, Scanner};

const RUNS: usize = 7;

const PYMSEED: &str = include_str!("peers/pymseed.py");
const LIBMSEED: &str = include_str!("peers/libmseed.py");
const OBSPY: &str = include_str!("peers/obspy.py");

/// Scans and decodes all records of a file in memory into one buffer, as an Arrow array is filled.
pub(crate) fn samples_per_s(bytes: &[u8]) -> anyhow::Result<f64> {
    let (mut best_s, mut samples) = (f64::INFINITY, Vec::new());
    for _ in 0..RUNS {
        samples.clear();
        let begin = Instant::now();
        for scanned in Scanner::new(bytes) {
            if let ScanItem::Record { record, .. } = scanned {
                record.append_int32(&mut samples)?;
            }
        }
        best_s = best_s.min(begin.elapsed().as_secs_f64());
    }
    Ok(samples.len() as f64 / best_s)
}

/// pymseed, record by record in Python.
pub(crate) fn pymseed_samples_per_s(file: &Path, python: &str) -> Option<f64> {
    peer(PYMSEED, file, RUNS, python)
}

/// The C library inside pymseed, called without Python in the loop.
pub(crate) fn libmseed_samples_per_s(file: &Path, python: &str) -> Option<f64> {
    peer(LIBMSEED, file, RUNS, python)
}

/// `obspy.read`.
pub(crate) fn obspy_samples_per_s(file: &Path, python: &str) -> Option<f64> {
    peer(OBSPY, file, RUNS, python)
}

/// A script that prints samples and seconds; `None` where it cannot run.
pub(crate) fn peer(script: &str, path: &Path, runs: usize, python: &str) -> Option<f64> {
    let output = Command::new(python)
        .args(["-c", script])
        .arg(path)
        .arg(runs.to_string())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (samples, seconds) = text.trim().split_once(' ')?;
    Some(samples.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?)
}
