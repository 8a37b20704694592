//! Real recordings against what libmseed made of them, and damaged ones.
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::time::DayTime;
use crate::{MergeRule, Merger, Samples, ScanItem, Scanner, TraceList, TraceSegment};

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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
            ScanItem::Record { offset, record } => {
                reading.records += 1;
                match record.decode_into(&mut samples) {
                    Ok(_) => traces.add(&record, &samples),
                    Err(error) => reading.problems.push(format!("{offset}: {error}")),
                }
            }
            ScanItem::ControlHeaders { .. } => {}
            ScanItem::Problem { offset, reason, .. } => reading.problems.push(format!("{offset}: {reason}")),
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
    let Some(folder) = seislake_recordings::folder() else { return };
    let truth = json(&folder.join("truth/miniseed.json"));
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
    assert_eq!(compared, 245, "recordings that libmseed reads");
}

#[test]
fn damaged_recordings_keep_the_records_before_the_damage_and_name_the_problem() {
    let Some(folder) = seislake_recordings::folder() else { return };
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

/// Files where ObsPy stops at foreign bytes and we go on behind them.
const MORE_THAN_OBSPY: [&str; 2] = ["first_10_records/garbage_between.bin", "gaps.mseed/garbage_between.bin"];

/// A text file that begins like the volume header of a SEED volume, and is taken for one.
const LIKE_A_VOLUME: &str = "mseed/obspy/not.mseed";

/// Every file of the truth that libmseed 3 refuses: what ObsPy reads of it is read, and where it is refused by both a
/// problem is named.
#[test]
fn recordings_that_libmseed_refuses_read_as_obspy_reads_them_or_name_a_problem() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let truth = json(&folder.join("truth/miniseed.json"));
    let (mut compared, mut refused, mut wrong) = (0, 0, Vec::new());
    for (path, readers) in truth.as_object().unwrap() {
        if readers.get("libmseed3").is_some() {
            continue;
        }
        let reading = read(&std::fs::read(folder.join(path)).unwrap());
        let Some(expected) = readers.get("obspy").and_then(Value::as_array) else {
            refused += 1;
            if reading.problems.is_empty() && path != LIKE_A_VOLUME {
                wrong.push(format!("{path}: no problem named"));
            }
            continue;
        };
        compared += 1;
        let found: BTreeSet<_> = reading.segments.iter().map(extent).collect();
        // A record whose data offset is 0 is a trace without samples there, and a problem here.
        let expected: BTreeSet<_> =
            expected.iter().filter(|trace| trace["npts"] != 0).map(extent_truth).collect();
        let more = MORE_THAN_OBSPY.iter().any(|file| path.ends_with(file));
        if found != expected && !more {
            wrong.push(format!("{path}: {:?}\n  found {found:?}\n  expected {expected:?}", reading.problems));
        }
        assert!(
            !more || found.iter().map(|f| f.3).sum::<u64>() > expected.iter().map(|e| e.3).sum(),
            "{path}"
        );
    }
    eprintln!("{compared} recordings compared, {refused} refused by both");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 11 && refused >= 41);
}

/// Codes as ObsPy writes them, start and end in nanoseconds since 1970, samples.
type Trace = (String, i64, i64, u64);

fn extent(segment: &TraceSegment) -> Trace {
    (seed_id(&segment.source_id), segment.start_ns, segment.end_ns, segment.sample_count)
}

fn extent_truth(trace: &Value) -> Trace {
    let time = |name: &str| time_ns(trace[name].as_str().unwrap());
    (trace["id"].as_str().unwrap().to_owned(), time("start"), time("end"), trace["npts"].as_u64().unwrap())
}

/// `NET.STA.LOC.CHA`.
fn seed_id(source_id: &str) -> String {
    let codes: Vec<&str> = source_id.trim_start_matches("FDSN:").split('_').collect();
    format!("{}.{}.{}.{}", codes[0], codes[1], codes[2], codes[3..].concat())
}

/// `2008-01-01T00:00:01.970000Z` in nanoseconds since 1970.
fn time_ns(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u16>().unwrap();
    let (year, month, day) = (number(0..4), usize::from(number(5..7)), number(8..10));
    let february = if year.is_multiple_of(4) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30];
    DayTime {
        year,
        day: months[..month - 1].iter().sum::<u16>() + day,
        hour: text[11..13].parse().unwrap(),
        minute: text[14..16].parse().unwrap(),
        second: text[17..19].parse().unwrap(),
        nanosecond: 1000 * text[20..26].parse::<u32>().unwrap(),
    }
    .to_nanos()
    .unwrap()
}

/// Files of an entry of `truth/gaps.json`, whose last part may be `*.m`.
fn files_of(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let path = folder.join(pattern);
    let Some(ending) = path.file_name().unwrap().to_str().unwrap().strip_prefix('*') else {
        return vec![path];
    };
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    files.sort();
    files
}

/// A step between two traces of a channel: codes, last time before, first time behind, missing (or, below zero, doubled)
/// samples.
type Step = (String, i64, i64, i64);

/// Steps between traces in the order of their start times, as ObsPy counts them: an overlap is never longer than the
/// later trace.
fn steps(traces: &[Trace], period_ns: i64) -> Vec<Step> {
    let pairs = traces.iter().zip(traces.iter().skip(1)).filter(|(a, b)| a.0 == b.0);
    let steps = pairs.map(|(a, b)| {
        let offset_ns = (b.1 - a.2).max(b.1 - b.2) - period_ns;
        (a.0.clone(), a.2, b.1, (offset_ns as f64 / period_ns as f64).round() as i64)
    });
    steps.filter(|step| step.3 != 0).collect()
}

#[test]
fn gaps_and_overlaps_are_those_that_obspy_finds() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let truth = json(&folder.join("truth/gaps.json"));
    let (mut files, mut wrong) = (0, Vec::new());
    for (pattern, expected) in truth.as_object().unwrap() {
        let (mut traces, mut merger) = (Vec::new(), Merger::new(MergeRule::Compare));
        for file in files_of(&folder, pattern) {
            let bytes = std::fs::read(file).unwrap();
            traces.extend(read(&bytes).segments);
            for item in Scanner::new(&bytes) {
                if let ScanItem::Record { record, .. } = item {
                    merger.add(&record, &record.decode().unwrap().samples);
                }
            }
            files += 1;
        }
        if traces.len() as u64 != expected["traces"].as_u64().unwrap() {
            wrong.push(format!("{pattern}: {} traces", traces.len()));
        }
        let period_ns = (1e9 / traces[0].rate_hz).round() as i64;
        let mut extents: Vec<_> = traces.iter().filter(|trace| trace.rate_hz > 0.0).map(extent).collect();
        extents.sort();
        let found = steps(&extents, period_ns);
        let gap_count = found.iter().filter(|step| step.3 > 0).count() as u64;
        let counts = (gap_count, found.len() as u64 - gap_count);
        let counts_truth = (expected["n_gaps"].as_u64().unwrap(), expected["n_overlaps"].as_u64().unwrap());
        let found: BTreeSet<_> = found.into_iter().collect();
        let told: BTreeSet<Step> = expected["gaps"].as_array().unwrap().iter().map(step_truth).collect();
        // The list of the truth ends after 300.
        let more = told.len() < 300 && found.len() > told.len();
        if counts != counts_truth || !found.is_superset(&told) || more {
            let (more, less): (Vec<_>, Vec<_>) =
                (found.difference(&told).collect(), told.difference(&found).collect());
            wrong.push(format!(
                "{pattern}: {} steps of {}\n  more {more:?}\n  less {less:?}",
                found.len(),
                told.len()
            ));
        }
        for channel in merger.into_channels() {
            let merged = &expected["merged"][seed_id(&channel.source_id)];
            // Rates of 0 stop ObsPy's merging.
            let (Some(start), Some(end)) = (merged["start"].as_str(), merged["end"].as_str()) else {
                continue;
            };
            let missing: u64 = channel.gaps.iter().map(|gap| gap.sample_count).sum();
            let kept: u64 = channel.pieces.iter().map(|piece| piece.samples.len() as u64).sum();
            let start_ns = channel.pieces[0].start_ns;
            let end_ns = channel.pieces.iter().map(|piece| piece.end_ns).max().unwrap();
            let counts_truth = (merged["masked"].as_u64().unwrap(), merged["npts"].as_u64().unwrap());
            // ObsPy counts the end from the start; ours is what the last record says, half a sample off at most.
            let close = (end_ns - time_ns(end)).abs() <= period_ns / 2;
            if (missing, kept + missing) != counts_truth || start_ns != time_ns(start) || !close {
                wrong.push(format!(
                    "{pattern} {}: {missing} {kept} {start_ns} for {merged}",
                    channel.source_id
                ));
            }
        }
    }
    eprintln!("{files} files compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files >= 11);
}

fn step_truth(gap: &Value) -> Step {
    let time = |index: usize| time_ns(gap[index].as_str().unwrap());
    (gap[0].as_str().unwrap().to_owned(), time(1), time(2), gap[4].as_i64().unwrap())
}
