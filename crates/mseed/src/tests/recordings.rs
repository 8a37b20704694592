//! Real recordings against what libmseed made of them, and damaged ones.
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Samples, Scanned, Scanner, TraceList, TraceSegment};

/// The folder of recordings, where there is one.
fn test_data() -> Option<PathBuf> {
    let folder = std::env::var("SEISLAKE_TEST_DATA")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
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

/// A record whose blockette chain is lost: libmseed goes on with a guessed encoding, we refuse the record.
const GUESSED: [&str; 1] = ["first_10_records/blockette_offset_swapped.bin"];

#[test]
fn intact_recordings_read_as_libmseed_reads_them() {
    let Some(folder) = test_data() else { return };
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("truth/miniseed.json")).unwrap()).unwrap();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (path, readers) in truth.as_object().unwrap() {
        let Some(expected) = readers.get("libmseed3").and_then(Value::as_array) else { continue };
        if GUESSED.iter().any(|guessed| path.ends_with(guessed)) {
            continue;
        }
        let reading = read(&std::fs::read(folder.join(path)).unwrap());
        let found: Vec<String> = reading.segments.iter().map(describe).collect();
        let expected: Vec<String> = expected.iter().map(describe_truth).collect();
        compared += 1;
        if found != expected {
            wrong.push(format!(
                "{path}: {:?}\n  found    {found:#?}\n  expected {expected:#?}",
                reading.problems
            ));
        }
    }
    eprintln!("{compared} recordings compared");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Source, start and end in nanoseconds since 1970, sample count.
type Extent = (&'static str, i64, i64, u64);

/// Files that libmseed 3 refuses as a whole: source, start, end and count as ObsPy 1.5 reads them.
#[test]
fn recordings_with_foreign_bytes_give_their_intact_records() {
    let Some(folder) = test_data() else { return };
    let (wrap, noise) = (1_199_768_286_000_000_000_i64, 1_199_768_285_075_000_000_i64);
    let cases: [(&str, &[Extent], usize); 5] = [
        (
            "blockette008.mseed",
            &[("FDSN:BW_PART__E_H_Z", 1_202_601_600_145_000_000, 1_202_601_608_350_000_000, 1642)],
            0,
        ),
        (
            "fullseed.mseed",
            &[
                ("FDSN:GE_APE__B_H_E", 1_254_406_910_675_000_000, 1_254_406_941_125_000_000, 610),
                ("FDSN:GE_APE__B_H_N", 1_254_406_898_505_000_000, 1_254_406_928_555_000_000, 602),
                ("FDSN:GE_APE__B_H_Z", 1_254_406_894_445_000_000, 1_254_406_925_545_000_000, 623),
            ],
            0,
        ),
        (
            "brokenlastrecord.mseed",
            &[("FDSN:NL_HGN_00_B_H_Z", 1_054_174_402_043_400_000, 1_054_174_551_518_400_000, 5980)],
            1,
        ),
        ("microsecond_wrap.mseed", &[("FDSN:IM_NV32__B_H_E", wrap, wrap + 6_900_000_000, 277)], 0),
        (
            "single_record_plus_noise_record.mseed",
            &[("FDSN:IM_NV32__B_H_E", noise, noise + 6_900_000_000, 277)],
            1,
        ),
    ];
    for (name, expected, problems) in cases {
        let reading = read(&std::fs::read(folder.join("mseed/obspy").join(name)).unwrap());
        let found: Vec<_> = reading
            .segments
            .iter()
            .map(|s| (s.source_id.as_str(), s.start_ns, s.end_ns, s.sample_count))
            .collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(reading.problems.len(), problems, "{name}: {:?}", reading.problems);
    }
}

#[test]
fn damaged_recordings_keep_the_records_before_the_damage_and_name_the_problem() {
    let Some(folder) = test_data() else { return };
    let mut files = 0;
    for original in std::fs::read_dir(folder.join("mseed-damaged")).unwrap() {
        for file in std::fs::read_dir(original.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let reading = read(&std::fs::read(&path).unwrap());
            files += 1;
            let mutation = path.file_stem().unwrap().to_str().unwrap();
            let original = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let records = if original.ends_with("first_10_records") { 10 } else { 100 };
            // A doubled file is sound, and so may be a record whose flipped bits no checksum covers.
            let unseen = mutation == "dup_all" || mutation.starts_with("flip");
            assert!(
                unseen || !reading.problems.is_empty(),
                "{original}/{mutation}: nothing reported, {} records",
                reading.records
            );
            if mutation == "trunc_hdr" {
                assert_eq!(reading.records, 0, "{original}/{mutation}");
            } else if mutation != "flip200_2" && mutation != "flip200_4" {
                assert!(
                    reading.records * 10 >= records * 4,
                    "{original}/{mutation}: {} records",
                    reading.records
                );
            }
        }
    }
    assert!(files >= 60, "{files} damaged files");
}
