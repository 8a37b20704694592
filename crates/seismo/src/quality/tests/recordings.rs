//! Gaps and overlaps of real recordings against what ObsPy finds (`Stream.get_gaps`, `Stream.merge`).
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seislake_model::{Continuity, SourceId, Timestamp};
use seislake_mseed::{ScanItem, Scanner};
use serde_json::Value;

use super::super::{ChannelContinuity, Piece, Window};

/// Sample times agree to the rounding of ObsPy's microseconds and of its gap lengths.
const TOLERANCE_S: f64 = 2e-6;

/// The files of an entry: a file, or all of a folder with an ending (`folder/*.m`).
fn files(folder: &Path, entry: &str) -> Vec<PathBuf> {
    let Some((parent, ending)) = entry.split_once("/*.") else { return vec![folder.join(entry)] };
    let listed = std::fs::read_dir(folder.join(parent)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = listed
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == ending))
        .collect();
    files.sort();
    files
}

/// Pieces by channel (`NET.STA.LOC.CHA`), one a record.
fn pieces(files: &[PathBuf]) -> BTreeMap<String, Vec<Piece>> {
    let mut channels: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        for item in Scanner::new(&bytes) {
            let ScanItem::Record { record, .. } = item else { continue };
            let id: SourceId = record.source_id().parse().unwrap();
            let name = format!("{}.{}.{}.{}", id.network(), id.station(), id.location(), id.channel());
            let (rate_hz, count) = (record.rate_hz(), u64::from(record.sample_count));
            let piece = Piece::new(record.start_ns, record.last_sample_ns(), rate_hz, count);
            channels.entry(name).or_default().extend(piece);
        }
    }
    channels
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Continuity between the first and the last sample that ObsPy has.
fn between(pieces: &[Piece], merged: &Value, rate_hz: f64) -> Continuity {
    let (start, last) = (time(&merged["start"]), time(&merged["end"]));
    // A quarter of a sample on both sides: ObsPy's times are rounded.
    let margin_s = 0.25 / rate_hz;
    let (start, end) = (start.add_seconds(-margin_s), last.add_seconds(margin_s));
    let mut gathered = ChannelContinuity::new(Window { start_ns: start.nanos(), end_ns: end.nanos() });
    pieces.iter().for_each(|piece| gathered.push(*piece));
    gathered.finish(SourceId::from_nslc("XX", "STA", "", "HHZ")).unwrap()
}

#[test]
fn gaps_are_those_of_obspy() {
    let Some(folder) = seislake_recordings::folder() else { return };
    let truth: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("truth/gaps.json")).unwrap()).unwrap();
    let (mut channel_count, mut gap_count) = (0, 0);
    for (entry, expected) in truth.as_object().unwrap() {
        let channels = pieces(&files(&folder, entry));
        for (name, merged) in expected["merged"].as_object().unwrap() {
            let Some(pieces) = channels.get(name).filter(|_| merged.is_object()) else {
                assert!(name == "error", "{entry}: no records of {name}");
                continue;
            };
            let rate_hz = pieces[0].sample_rate_hz();
            let row = between(pieces, merged, rate_hz);
            let (npts, masked) = (merged["npts"].as_u64().unwrap(), merged["masked"].as_u64().unwrap());
            assert_eq!(row.sample_count, npts - masked, "{entry} {name}");
            let missing_s = masked as f64 / rate_hz;
            assert!((row.gap_s - missing_s).abs() < 0.5 / rate_hz, "{entry} {name}: {} s", row.gap_s);
            gap_count += row.gap_count;
            channel_count += 1;
            let listed = expected["gaps"].as_array().unwrap();
            let all = expected["n_gaps"].as_u64().unwrap() + expected["n_overlaps"].as_u64().unwrap();
            if listed.len() as u64 != all {
                continue;
            }
            let own = |gap: &&Value| gap[0] == name.as_str();
            let length_s = |gap: &Value| gap[3].as_f64().unwrap();
            let holes: Vec<&Value> = listed.iter().filter(own).filter(|gap| length_s(gap) > 0.0).collect();
            assert_eq!(row.gaps.len(), holes.len(), "{entry} {name}: {:?}", row.gaps);
            for (found, hole) in row.gaps.iter().zip(&holes) {
                let difference = found.end_time.seconds_since(time(&hole[2])).abs();
                assert!(difference < TOLERANCE_S, "{entry} {name}: {found:?} is not {hole}");
                assert!((found.seconds() - length_s(hole)).abs() < TOLERANCE_S, "{found:?} is not {hole}");
            }
            let overlapping = listed.iter().filter(own).any(|gap| length_s(gap) < 0.0);
            assert_eq!(row.overlap_count > 0, overlapping, "{entry} {name}");
        }
    }
    assert!(channel_count > 60 && gap_count > 40, "{channel_count} channels, {gap_count} gaps");
}
