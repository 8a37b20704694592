//! What is in the bytes of a miniSEED or SEED file, and what is wrong with them.
//!
//! ```text
//! file ─ scan ─► records ─┬─ headers, blockettes, flags, texts ─► findings
//!                         └─ decode ─┬─► segments, as libmseed joins them
//!                                    └─► gaps, overlaps (equal or different), duplicates
//! ```
//!
//! The JSON is a promise: fields may be added, never changed.

mod findings;

use std::ops::Range;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::findings::{Event, Extent, Findings, Leap, Text, TimingQuality};
use crate::{
    Agreement, MergeRule, MergedChannel, Merger, Record, Samples, ScanItem, Scanner, TraceList, TraceSegment,
};

/// The bytes of one file.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// How the file was named.
    pub path: String,
    /// Records that were found, damaged ones too where their extent is known.
    pub records: usize,
    /// What cannot be used.
    pub problems: Vec<Problem>,
    /// Samples in the order of their channels and times.
    pub segments: Vec<SegmentReport>,
    /// Length of the file.
    pub bytes: usize,
    /// What its headers tell.
    #[serde(flatten)]
    pub findings: Findings,
    /// Samples that are missing.
    pub gaps: Vec<GapReport>,
    /// Samples that are there more than once.
    pub overlaps: Vec<OverlapReport>,
    /// Records whose samples were all there already, equal.
    pub duplicates: u64,
}

/// Something that cannot be used, and where.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// Where, in bytes.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// Bytes that are no record; absent where the record as such is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

/// Samples without a gap, as libmseed joins records; `first` and `last` are three samples at most.
#[derive(Debug, Serialize)]
pub struct SegmentReport {
    /// Of which channel.
    pub source_id: String,
    /// Time of the first sample, ns since 1970.
    pub start_ns: i64,
    /// Time of the last sample, ns since 1970.
    pub end_ns: i64,
    /// How many samples.
    pub sample_count: usize,
    /// Nominal sample rate.
    pub rate_hz: f64,
    /// Of the records.
    pub encoding: &'static str,
    /// The first samples.
    pub first: Vec<serde_json::Value>,
    /// The last samples.
    pub last: Vec<serde_json::Value>,
    /// Of all samples.
    pub sum: serde_json::Value,
    /// Of the samples in little-endian order.
    pub sha256_le: String,
    /// Of how many records.
    pub records: u64,
}

/// Samples that are missing between two that are there.
#[derive(Debug, Serialize)]
pub struct GapReport {
    /// Of which channel.
    pub source_id: String,
    /// Time of the sample before it, ns since 1970.
    pub after_ns: i64,
    /// Time of the sample behind it, ns since 1970.
    pub before_ns: i64,
    /// How many samples.
    pub sample_count: u64,
}

/// Samples that are there more than once.
#[derive(Debug, Serialize)]
pub struct OverlapReport {
    /// Of which channel.
    pub source_id: String,
    /// Time of the first sample, ns since 1970.
    pub start_ns: i64,
    /// Time of the last sample, ns since 1970.
    pub end_ns: i64,
    /// How many samples.
    pub sample_count: u64,
    /// Whether they agree.
    pub equal: bool,
}

/// Examines the bytes of a file; `path` is how the report names it.
#[must_use]
pub fn inspect(path: String, bytes: &[u8]) -> FileReport {
    let mut file = FileReport {
        path,
        records: 0,
        problems: Vec::new(),
        segments: Vec::new(),
        bytes: bytes.len(),
        findings: Findings::default(),
        gaps: Vec::new(),
        overlaps: Vec::new(),
        duplicates: 0,
    };
    let mut traces = TraceList::new();
    let mut merger = Merger::new(MergeRule::Compare);
    let mut samples = Samples::default();
    for scanned in Scanner::new(bytes) {
        match scanned {
            ScanItem::Record { offset, record } => {
                file.records += 1;
                file.findings.add(offset, &record);
                if let Some(reason) = decode(&record, &mut samples, &mut traces, &mut merger) {
                    file.problems.push(Problem { offset, reason, length: None });
                }
            }
            ScanItem::Problem { offset, reason, length } => {
                file.problems.push(Problem { offset, reason: reason.to_string(), length: Some(length) });
            }
            ScanItem::ControlHeaders { offset, length } => file.findings.add_control_headers(offset, length),
        }
    }
    file.segments = traces.into_segments().iter().map(segment_report).collect();
    merger.into_channels().into_iter().for_each(|channel| file.add_channel(&channel));
    file
}

/// Adds the samples of a record to its traces; what is wrong with them.
fn decode(
    record: &Record<'_>,
    samples: &mut Samples,
    traces: &mut TraceList,
    merger: &mut Merger,
) -> Option<String> {
    match record.decode_into(samples) {
        Ok(mismatch) => {
            traces.add(record, samples);
            merger.add(record, samples);
            mismatch.map(|mismatch| mismatch.to_string())
        }
        Err(error) => Some(error.to_string()),
    }
}

impl FileReport {
    fn add_channel(&mut self, channel: &MergedChannel) {
        self.duplicates += channel.duplicate_count;
        self.gaps.extend(channel.gaps.iter().map(|gap| GapReport {
            source_id: channel.source_id.clone(),
            after_ns: gap.after_ns,
            before_ns: gap.before_ns,
            sample_count: gap.sample_count,
        }));
        self.overlaps.extend(channel.overlaps.iter().map(|overlap| OverlapReport {
            source_id: channel.source_id.clone(),
            start_ns: overlap.start_ns,
            end_ns: overlap.end_ns,
            sample_count: overlap.sample_count,
            equal: overlap.agreement == Agreement::Equal,
        }));
    }
}

fn segment_report(segment: &TraceSegment) -> SegmentReport {
    const SHOWN: usize = 3;
    let samples = &segment.samples;
    let count = samples.len();
    let sum = samples.sum_of_counts().map_or_else(|| samples.sum().into(), serde_json::Value::from);
    SegmentReport {
        source_id: segment.source_id.to_string(),
        start_ns: segment.start_ns,
        end_ns: segment.end_ns,
        sample_count: count,
        rate_hz: segment.rate_hz,
        encoding: segment.encoding.as_str(),
        first: numbers(samples, 0..count.min(SHOWN)),
        last: numbers(samples, count.saturating_sub(SHOWN)..count),
        sum,
        sha256_le: sha256_le(samples),
        records: segment.record_count,
    }
}

/// Counts as whole numbers.
fn numbers(samples: &Samples, range: Range<usize>) -> Vec<serde_json::Value> {
    match samples {
        Samples::Int32(counts) => {
            counts.get(range).unwrap_or_default().iter().map(|count| (*count).into()).collect()
        }
        _ => range.map(|index| samples.value(index).into()).collect(),
    }
}

/// SHA-256 of the samples in little-endian order.
fn sha256_le(samples: &Samples) -> String {
    const HASHED_AT_ONCE: usize = 8192;
    let (mut hash, mut bytes) = (Sha256::new(), Vec::new());
    for first in (0..samples.len()).step_by(HASHED_AT_ONCE) {
        bytes.clear();
        samples.extend_le_bytes(first..samples.len().min(first + HASHED_AT_ONCE), &mut bytes);
        hash.update(&bytes);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test may fail by panic")]

    use serde_json::{Value, json};

    use super::*;
    use crate::{PackSettings, pack};

    /// Three records with a gap of a second before the last, a doubled record, a log record and foreign bytes.
    fn file() -> Vec<u8> {
        let record = |start_s: i64, samples: &[i32]| {
            let start_ns = 1_700_000_000_000_000_000 + start_s * 1_000_000_000;
            let settings = PackSettings {
                timing_quality: Some(90),
                ..PackSettings::new("FDSN:XX_TEST__L_H_Z", start_ns, 1.0)
            };
            pack(&settings, samples).unwrap().remove(0)
        };
        let mut log = record(0, &[1]);
        log[15..18].copy_from_slice(b"LOG");
        log[52] = 0;
        log[30..32].copy_from_slice(&[0, 12]);
        log[64..76].copy_from_slice(b"clock is off");
        let mut locked = record(3, &[4, 5]);
        locked[37] = 0x20;
        let mut announced = record(6, &[7]);
        announced[36] = 0x10;
        [record(0, &[1, 2, 3]), locked, record(3, &[4, 5]), b"foreign bytes".to_vec(), log, announced]
            .concat()
    }

    fn report() -> Value {
        serde_json::to_value(inspect("a.mseed".to_owned(), &file())).unwrap()
    }

    #[test]
    fn the_promised_fields_are_there() {
        let report = report();
        assert_eq!((&report["path"], &report["records"]), (&json!("a.mseed"), &json!(5)));
        assert_eq!(report["problems"][0]["offset"], 1536);
        assert_eq!(report["problems"][0]["reason"], "bytes are no miniSEED record");
        let segment = &report["segments"][0];
        assert_eq!(segment["source_id"], "FDSN:XX_TEST__L_H_Z");
        assert_eq!(segment["start_ns"], 1_700_000_000_000_000_000_i64);
        assert_eq!((&segment["sample_count"], &segment["rate_hz"]), (&json!(5), &json!(1.0)));
        assert_eq!((&segment["first"], &segment["last"]), (&json!([1, 2, 3]), &json!([3, 4, 5])));
        assert_eq!((&segment["sum"], &segment["encoding"]), (&json!(15), &json!("steim2")));
        assert_eq!(segment["sha256_le"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn texts_flags_clocks_gaps_and_duplicates_are_told() {
        let report = report();
        assert_eq!(report["texts"][0]["text"], "clock is off");
        assert_eq!(report["flags"], json!({ "clock locked": 1, "positive leap second": 1 }));
        assert_eq!(report["timing_quality"], json!({ "records": 5, "min": 90, "mean": 90.0, "max": 90 }));
        assert_eq!(report["leap_seconds"][0]["announced"], "positive");
        assert_eq!(report["record_lengths"], json!({ "512": 5 }));
        assert_eq!(report["encodings"], json!({ "steim2": 4, "text": 1 }));
        assert_eq!(report["blockettes"], json!({ "1000": 5, "1001": 5 }));
        assert_eq!((&report["duplicates"], &report["gaps"][0]["sample_count"]), (&json!(1), &json!(1)));
        assert_eq!(report["problems"][0]["length"], 13);
    }
}
