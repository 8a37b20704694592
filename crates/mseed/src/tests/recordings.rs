//! Real recordings against what libmseed made of them, and damaged ones.
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Samples, Scanned, Scanner, TraceList, TraceSegment};

/// The folder of recordings, where there is one.
fn test_data() -> Option<PathBuf> {
    let folder = std::env::var("SEISLAKE_TEST_DATA").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let found = folder.join("truth/miniseed.json").exists();
    if !found {
        eprintln!("skipped: no recordings at \"{}\"", folder.display());
    }
    found.then_some(folder)
}

struct Reading {
    segments: Vec<TraceSegment>,
    problems: Vec<String>,
    records: usize,
}

fn read(bytes: &[u8]) -> Reading {
    let mut traces = TraceList::new();
    let mut samples = Samples::default();
    let mut reading = Reading { segments: Vec::new(), problems: Vec::new(), records: 0 };
    for item in Scanner::new(bytes) {
        match item {
            Scanned::Record { offset, record } => {
                reading.records += 1;
                match record.decode_into(&mut samples) {
                    Ok(_) => traces.add(&record, &samples),
                    Err(error) => reading.problems.push(format!("{offset}: {error}")),
                }
            }
            Scanned::ControlHeaders { .. } => {}
            Scanned::Problem { offset, reason, .. } => reading.problems.push(format!("{offset}: {reason}")),
        }
    }
    reading.segments = traces.into_segments();
    reading
}

fn little_endian(samples: &Samples) -> Vec<u8> {
    match samples {
        Samples::Int32(samples) => samples.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Samples::Float32(samples) => samples.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Samples::Float64(samples) => samples.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// One line that holds all that the truth says of a segment.
fn describe(segment: &TraceSegment) -> String {
    let hash = match segment.samples.is_empty() {
        true => String::new(),
        false => hex::encode(Sha256::digest(little_endian(&segment.samples))),
    };
    format!(
        "{} {} {} {} {} {hash}",
        segment.source_id, segment.start_ns, segment.end_ns, segment.sample_count, segment.rate_hz
    )
}

fn describe_truth(segment: &Value) -> String {
    format!(
        "{} {} {} {} {} {}",
        segment["sid"].as_str().unwrap(),
        segment["start_ns"],
        segment["end_ns"],
        segment["npts"],
        segment["rate"].as_f64().unwrap(),
        segment["sha256_le"].as_str().unwrap_or("")
    )
}

#[test]
fn intact_recordings_read_as_libmseed_reads_them() {
    let Some(folder) = test_data() else { return };
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("truth/miniseed.json")).unwrap()).unwrap();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (path, readers) in truth.as_object().unwrap() {
        let Some(expected) = readers.get("libmseed3").and_then(Value::as_array) else { continue };
        let reading = read(&std::fs::read(folder.join(path)).unwrap());
        let found: Vec<String> = reading.segments.iter().map(describe).collect();
        let expected: Vec<String> = expected.iter().map(describe_truth).collect();
        compared += 1;
        if found != expected {
            wrong.push(format!("{path}: {:?}\n  found    {found:#?}\n  expected {expected:#?}", reading.problems));
        }
    }
    eprintln!("{compared} recordings compared");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Segments of files that libmseed 3 refuses as a whole, as ObsPy reads them: start, end, count.
#[test]
fn recordings_that_need_resynchronisation_give_their_intact_records() {
    let Some(folder) = test_data() else { return };
    let cases = [
        ("blockette008.mseed", "FDSN:BW_BGLD__E_H_E"),
        ("fullseed.mseed", ""),
        ("brokenlastrecord.mseed", ""),
        ("microsecond_wrap.mseed", ""),
        ("single_record_plus_noise_record.mseed", ""),
    ];
    for (name, _) in cases {
        let reading = read(&std::fs::read(folder.join("mseed/obspy").join(name)).unwrap());
        eprintln!("{name} {:?} {:?}", reading.segments.iter().map(describe).collect::<Vec<_>>(), reading.problems);
    }
}
