//! `seislake inspect`: what is in a miniSEED or SEED file, and what is wrong with it.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use seislake_model::Timestamp;
use seislake_mseed::{Samples, Scanned, Scanner, TraceList, TraceSegment};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::command_line::InspectArgs;
use crate::terminal::print_result;

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
}

#[derive(Serialize)]
struct Problem {
    offset: u64,
    reason: String,
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
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let files = args.files.iter().map(|path| inspect(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let report = Report { files };
    if args.json {
        return print_result(&format!("{}\n", serde_json::to_string(&report)?));
    }
    print_result(&describe(&report))
}

fn inspect(path: &Path) -> anyhow::Result<FileReport> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    let mut report = FileReport {
        path: path.display().to_string(),
        records: 0,
        problems: Vec::new(),
        segments: Vec::new(),
    };
    let mut traces = TraceList::new();
    for scanned in Scanner::new(&bytes) {
        match scanned {
            Scanned::Record { offset, record } => {
                report.records += 1;
                match record.decode() {
                    Ok(decoded) => {
                        if let Some(mismatch) = &decoded.mismatch {
                            report.problems.push(Problem { offset, reason: mismatch.to_string() });
                        }
                        traces.add(&record, &decoded.samples);
                    }
                    Err(error) => report.problems.push(Problem { offset, reason: error.to_string() }),
                }
            }
            Scanned::Problem { offset, reason, .. } => {
                report.problems.push(Problem { offset, reason: reason.to_string() });
            }
            Scanned::ControlHeaders { .. } => {}
        }
    }
    report.segments = traces.into_segments().iter().map(segment_report).collect();
    Ok(report)
}

fn segment_report(segment: &TraceSegment) -> SegmentReport {
    let (first, last, sum, hash) = match &segment.samples {
        Samples::Int32(samples) => {
            let sum: i64 = samples.iter().map(|sample| i64::from(*sample)).sum();
            summary(samples, |sample| (*sample).into(), |sample| sample.to_le_bytes(), sum.into())
        }
        Samples::Float32(samples) => {
            let sum: f64 = samples.iter().map(|sample| f64::from(*sample)).sum();
            summary(samples, |sample| (*sample).into(), |sample| sample.to_le_bytes(), sum.into())
        }
        Samples::Float64(samples) => {
            let sum: f64 = samples.iter().sum();
            summary(samples, |sample| (*sample).into(), |sample| sample.to_le_bytes(), sum.into())
        }
    };
    SegmentReport {
        source_id: segment.source_id.to_string(),
        start_ns: segment.start_ns,
        end_ns: segment.end_ns,
        sample_count: segment.samples.len(),
        rate_hz: segment.rate_hz,
        encoding: segment.encoding.as_str(),
        first,
        last,
        sum,
        sha256_le: hash,
    }
}

type Summary = (Vec<serde_json::Value>, Vec<serde_json::Value>, serde_json::Value, String);

fn summary<T, const N: usize>(
    samples: &[T],
    json: impl Fn(&T) -> serde_json::Value,
    little_endian: impl Fn(&T) -> [u8; N],
    sum: serde_json::Value,
) -> Summary {
    const SHOWN: usize = 3;
    let mut hash = Sha256::new();
    for sample in samples {
        hash.update(little_endian(sample));
    }
    let first = samples.iter().take(SHOWN).map(&json).collect();
    let last = samples.iter().skip(samples.len().saturating_sub(SHOWN)).map(&json).collect();
    (first, last, sum, hex::encode(hash.finalize()))
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        let _ = writeln!(
            text,
            "{}: {} records, {} segments, {} problems",
            file.path,
            file.records,
            file.segments.len(),
            file.problems.len()
        );
        for segment in &file.segments {
            let _ = writeln!(
                text,
                "  {:<24} {}  {}  {:>9} samples  {} Hz  {}",
                segment.source_id,
                Timestamp::from_nanos(segment.start_ns),
                Timestamp::from_nanos(segment.end_ns),
                segment.sample_count,
                segment.rate_hz,
                segment.encoding
            );
        }
        for problem in &file.problems {
            let _ = writeln!(text, "  at byte {}: {}", problem.offset, problem.reason);
        }
    }
    text
}
