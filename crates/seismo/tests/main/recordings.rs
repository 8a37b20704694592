#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! Recordings from outside, where they are there.

use std::path::{Path, PathBuf};

use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{Samples, ScanItem, Scanner};
use seislake_seismo::pick::Piece;

pub(crate) struct Record {
    pub(crate) source_id: SourceId,
    pub(crate) start: Timestamp,
    pub(crate) rate_hz: f64,
    pub(crate) samples: Vec<f64>,
}

impl Record {
    /// What a picker takes.
    pub(crate) fn piece(&self) -> Piece<'_> {
        Piece {
            version: 2,
            source_id: &self.source_id,
            start_time: self.start,
            sample_rate_hz: self.rate_hz,
            samples: &self.samples,
        }
    }
}

/// The records of all miniSEED files (by their extension) of a folder, by time.
pub(crate) fn records(folder: &Path, extension: &str) -> Vec<Record> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).unwrap();
        for scanned in Scanner::new(&bytes) {
            let ScanItem::Record { record, .. } = scanned else { continue };
            let samples = match record.decode().unwrap().samples {
                Samples::Int32(samples) => samples.into_iter().map(f64::from).collect(),
                Samples::Float32(samples) => samples.into_iter().map(f64::from).collect(),
                Samples::Float64(samples) => samples,
            };
            records.push(Record {
                source_id: record.source_id().parse().unwrap(),
                start: Timestamp::from_nanos(record.start_ns),
                rate_hz: record.rate_hz(),
                samples,
            });
        }
    }
    records.sort_by(|a, b| (a.start, &a.source_id).cmp(&(b.start, &b.source_id)));
    records
}
