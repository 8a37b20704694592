//! The stream of files is a function of their contents.

use std::fs;
use std::path::{Path, PathBuf};

use seislake_mseed::{PackSettings, Record, pack};

use super::files::{FileSettings, plan};
use crate::gate::Offer;

fn records(station: &str, start_s: i64, count: usize) -> Vec<Vec<u8>> {
    let samples: Vec<i32> =
        (0..count as i32).map(|index| (index * 7919) % 1000 + start_s as i32 % 97).collect();
    let settings = PackSettings::new(format!("FDSN:XX_{station}__H_H_Z"), start_s * 1_000_000_000, 100.0);
    pack(&settings, samples.as_slice()).unwrap()
}

/// Starts, source ids and refusal reasons in the order offered.
fn offered(paths: &[PathBuf], settings: FileSettings) -> (Vec<(i64, String)>, Vec<String>, usize) {
    let mut stream = plan(paths, settings, &|_| {}).unwrap().stream();
    let (mut found, mut reasons, mut watermarks) = (Vec::new(), Vec::new(), 0);
    loop {
        let offers = stream.next_offers(3000).unwrap();
        if offers.is_empty() {
            return (found, reasons, watermarks);
        }
        for offer in offers {
            match offer {
                Offer::Record(incoming) => {
                    let record = Record::parse(&incoming.bytes).unwrap();
                    assert!(incoming.origin.is_some() && incoming.arrival_time.is_none());
                    found.push((record.start_ns, record.source_id().to_owned()));
                }
                Offer::Refused(refusal) => reasons.push(refusal.reason),
                Offer::Watermark(watermark) => {
                    watermarks += 1;
                    assert!(found.iter().all(|(start, _)| *start <= watermark.0.nanos()));
                }
            }
        }
    }
}

fn write(folder: &Path, name: &str, records: &[Vec<u8>]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, records.concat()).unwrap();
    path
}

#[test]
fn records_of_all_files_come_in_the_order_of_time_whatever_the_order_of_paths() {
    let folder = tempfile::tempdir().unwrap();
    let mut unsorted = records("B", 200, 9000);
    unsorted.extend(records("B", 0, 9000));
    let one = write(folder.path(), "one.mseed", &records("A", 10, 20000));
    let two = write(folder.path(), "two.mseed", &unsorted);
    let three = write(folder.path(), "three.mseed", &records("C", 100, 5000));
    let forward = offered(&[one.clone(), two.clone(), three.clone()], FileSettings::default());
    let backward = offered(&[three, two, one], FileSettings::default());
    assert_eq!(forward, backward);
    assert_eq!(forward, offered(&[folder.path().to_owned()], FileSettings::default()));
    assert!(forward.0.is_sorted_by_key(|(start, _)| *start));
    assert!(forward.0.len() > 100 && forward.2 >= 5, "{} records, {} watermarks", forward.0.len(), forward.2);
}

#[test]
fn records_that_start_together_have_one_order_whatever_file_they_are_in() {
    let folder = tempfile::tempdir().unwrap();
    let record = |station| records(station, 7, 100).remove(0);
    let [a, b, c, d] = ["A", "B", "C", "D"].map(record);
    let whole = write(folder.path(), "whole", &[d.clone(), b.clone(), a.clone(), c.clone()]);
    let left = write(folder.path(), "left", &[c, a]);
    let right = write(folder.path(), "right", &[d, b]);
    let expected: Vec<_> =
        ["A", "B", "C", "D"].iter().map(|s| (7_000_000_000, format!("FDSN:XX_{s}__H_H_Z"))).collect();
    assert_eq!(offered(&[whole], FileSettings::default()).0, expected);
    assert_eq!(offered(&[left.clone(), right.clone()], FileSettings::default()).0, expected);
    assert_eq!(offered(&[right, left], FileSettings::default()).0, expected);
}

#[test]
fn what_is_no_record_is_refused_with_a_reason_and_good_records_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let text = write(folder.path(), "letter.mseed", &[b"Dear archive, this is text.".repeat(30)]);
    let note = write(folder.path(), "notes.txt", &[b"just notes".to_vec()]);
    let good = records("A", 0, 5000);
    let torn = write(folder.path(), "torn.mseed", &[good.concat(), vec![0x55; 700]]);
    let directory = plan(&[folder.path().to_owned()], FileSettings::default(), &|_| {}).unwrap();
    assert_eq!(directory.skipped_files, std::slice::from_ref(&note));
    let (found, reasons, _) = offered(&[text, torn], FileSettings::default());
    assert_eq!(found.len(), good.len());
    assert!(reasons.iter().any(|reason| reason.starts_with("not miniSEED")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("at byte")), "{reasons:?}");
    let (_, reasons, _) = offered(&[note], FileSettings::default());
    assert_eq!(reasons.len(), 1);
    let missing = plan(&[folder.path().join("nowhere")], FileSettings::default(), &|_| {}).unwrap_err();
    assert!(missing.message.contains("nowhere"));
}

#[test]
fn shards_share_the_stations_among_them() {
    let folder = tempfile::tempdir().unwrap();
    for station in ["A", "B", "C", "D", "E", "F"] {
        write(folder.path(), station, &records(station, 0, 2000));
    }
    let paths = [folder.path().to_owned()];
    let all = offered(&paths, FileSettings::default()).0;
    let shard =
        |share| offered(&paths, FileSettings { shard: Some((share, 3)), ..FileSettings::default() }).0;
    let mut parts: Vec<_> = [1, 2, 3].into_iter().flat_map(shard).collect();
    assert!(parts.len() == all.len() && shard(1).len() < all.len());
    parts.sort();
    let mut all = all;
    all.sort();
    assert_eq!(parts, all);
}

#[test]
fn records_of_one_start_take_no_more_memory_than_others() {
    let folder = tempfile::tempdir().unwrap();
    let record = |n: usize| records(&format!("S{n}"), 7, 100).remove(0);
    let all: Vec<Vec<u8>> = (0..200).map(record).collect();
    let path = write(folder.path(), "together.mseed", &all);
    let settings = FileSettings { merge_bytes_max: 10 * all[0].len(), ..FileSettings::default() };
    let mut stream = plan(&[path], settings, &|_| {}).unwrap().stream();
    let mut found = 0;
    loop {
        let offers = stream.next_offers(1).unwrap();
        if offers.is_empty() {
            break;
        }
        assert!(offers.len() <= 11, "{} records at once", offers.len());
        found += offers.len();
    }
    assert_eq!(found, 200);
}
