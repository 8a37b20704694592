//! `seislake inspect`: what is in miniSEED or SEED files, and what is wrong with them.
//!
//! ```text
//! paths ─ walk, as import does ─► files, on all cores:
//! file ─ scan ─► records ─┬─ headers, blockettes, flags, texts ─► findings
//!                         └─ decode ─┬─► segments, as libmseed joins them
//!                                    └─► gaps, overlaps (equal or different), duplicates
//! ```
//!
//! The JSON is a promise: fields may be added, never changed.

mod findings;
mod text;

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, bail};
use findings::Findings;
use rayon::prelude::*;
use seislake_exchange::known_formats::recognise;
use seislake_mseed::{
    Agreement, MergeRule, MergedChannel, Merger, Record, Samples, Scanned, Scanner, TraceList, TraceSegment,
};
use seislake_streams::source::packed::documents;
use seislake_streams::source::walk::{Candidate, walk};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::command_line::InspectArgs;
use crate::terminal::{print_result, tell};

#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    path: String,
    records: usize,
    problems: Vec<Problem>,
    segments: Vec<SegmentReport>,
    bytes: usize,
    #[serde(flatten)]
    findings: Findings,
    gaps: Vec<GapReport>,
    overlaps: Vec<OverlapReport>,
    /// Records whose samples were all there already, equal.
    duplicates: u64,
}

#[derive(Serialize)]
struct Problem {
    offset: u64,
    reason: String,
    /// Bytes that are no record; absent where the record as such is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
}

#[derive(Serialize)]
struct SegmentReport {
    source_id: String,
    start_ns: i64,
    end_ns: i64,
    sample_count: usize,
    rate_hz: f64,
    encoding: &'static str,
    first: Vec<serde_json::Value>,
    last: Vec<serde_json::Value>,
    sum: serde_json::Value,
    sha256_le: String,
    records: u64,
}

#[derive(Serialize)]
struct GapReport {
    source_id: String,
    after_ns: i64,
    before_ns: i64,
    sample_count: u64,
}

#[derive(Serialize)]
struct OverlapReport {
    source_id: String,
    start_ns: i64,
    end_ns: i64,
    sample_count: u64,
    equal: bool,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let (report, skipped_count) = inspect(&args.paths)?;
    if skipped_count > 0 {
        tell(&format!("{skipped_count} files of directories hold no records and were passed over"));
    }
    if args.json {
        print_result(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        print_result(&text::describe(&report))?;
    }
    let record_count: usize = report.files.iter().map(|file| file.records).sum();
    if record_count == 0 {
        bail!("no miniSEED record was found");
    }
    Ok(())
}

/// The report of all files, path after path as they are named, within a directory in the order of their paths; and the
/// count of files in directories that hold no record and do not claim to.
fn inspect(paths: &[PathBuf]) -> anyhow::Result<(Report, usize)> {
    let (mut report, mut skipped_count) = (Report { files: Vec::new() }, 0);
    for path in paths {
        let candidates = walk(std::slice::from_ref(path))?;
        let files: Vec<_> = candidates.par_iter().map(inspect_file).collect::<anyhow::Result<_>>()?;
        skipped_count += files.iter().filter(|found: &&Vec<_>| found.is_empty()).count();
        report.files.extend(files.into_iter().flatten());
    }
    Ok((report, skipped_count))
}

/// A file, or the members of an archive. Nothing for a file of a directory that is not miniSEED. One that cannot be read
/// is an error where it was named, and a problem of its own in a directory.
fn inspect_file(candidate: &Candidate) -> anyhow::Result<Vec<FileReport>> {
    let name = candidate.path.display().to_string();
    match documents(&candidate.path) {
        Ok(documents) => {
            let files = documents.into_iter().map(|(name, bytes)| examine(name, &bytes));
            Ok(files.filter(|file| file.records > 0 || candidate.claims_to_hold_records()).collect())
        }
        Err(error) if candidate.named => Err(error).with_context(|| format!("cannot read \"{name}\"")),
        Err(error) => {
            let mut file = examine(name, &[]);
            let reason = format!("the file cannot be read: {error}");
            file.problems.push(Problem { offset: 0, reason, length: None });
            Ok(vec![file])
        }
    }
}

fn examine(path: String, bytes: &[u8]) -> FileReport {
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
            Scanned::Record { offset, record } => {
                file.records += 1;
                file.findings.add(offset, &record);
                if let Some(reason) = decode(&record, &mut samples, &mut traces, &mut merger) {
                    file.problems.push(Problem { offset, reason, length: None });
                }
            }
            Scanned::Problem { offset, reason, length } => {
                file.problems.push(Problem { offset, reason: reason.to_string(), length: Some(length) });
            }
            Scanned::ControlHeaders { offset, length } => file.findings.add_control_headers(offset, length),
        }
    }
    if file.records == 0
        && let Some(format) = recognise(bytes)
    {
        file.problems
            .insert(0, Problem { offset: 0, reason: format!("not miniSEED: {format}"), length: None });
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
        Samples::Int32(counts) => counts[range].iter().map(|count| (*count).into()).collect(),
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
    use seislake_mseed::{PackSettings, pack};
    use serde_json::{Value, json};

    use super::*;

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
        serde_json::to_value(examine("a.mseed".to_owned(), &file())).unwrap()
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

    #[test]
    fn a_directory_stands_for_its_files_in_order_and_foreign_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("2023")).unwrap();
        let contents: [(&str, &[u8]); 5] = [
            ("2023/b.D.2023.318", &file()),
            ("2023/a.D.2023.318", &file()),
            ("empty.mseed", b""),
            ("notes.txt", b"nothing of ours"),
            ("z.mseed", b"foreign bytes"),
        ];
        contents.iter().for_each(|(name, bytes)| std::fs::write(root.join(name), bytes).unwrap());
        let (report, skipped_count) = inspect(&[root.join("z.mseed"), root.to_owned()]).unwrap();
        let found: Vec<_> = report
            .files
            .iter()
            .map(|file| (file.path.strip_prefix(&format!("{}/", root.display())).unwrap(), file.records))
            .collect();
        let (a, b) = (("2023/a.D.2023.318", 5), ("2023/b.D.2023.318", 5));
        assert_eq!(found, [("z.mseed", 0), a, b, ("empty.mseed", 0), ("z.mseed", 0)]);
        assert_eq!(skipped_count, 1);
        // A file in a directory is told as if it had been named.
        let (named, _) = inspect(&[root.join("2023/a.D.2023.318")]).unwrap();
        assert_eq!(json!(named.files[0]), json!(report.files[1]));
        assert!(inspect(&[root.join("none")]).is_err());
    }

    #[test]
    fn the_text_names_the_place_of_every_problem() {
        let text = text::describe(&Report { files: vec![examine("a.mseed".to_owned(), &file())] });
        assert!(text.starts_with("a.mseed: 5 records, "), "{text}");
        for line in
            ["at byte 1536: bytes are no miniSEED record", "clock is off", "clock locked", "gap of 1 sample"]
        {
            assert!(text.contains(line), "no \"{line}\" in\n{text}");
        }
    }
}
