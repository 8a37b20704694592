//! Offering again appends nothing; sessions end exactly once, crash or not.

use async_trait::async_trait;
use bytes::Bytes;
use seislake_model::{DeadLetter, Station};
use seislake_mseed::{PackSettings, pack};

use super::*;
use crate::topic::{Durability, LogSettings};

const PARTITIONS: u32 = 3;

fn record(station: &str, start_s: i64) -> Offer {
    let samples: Vec<i32> = (0..100).map(|n| (n * n + start_s as i32) % 997).collect();
    let settings = PackSettings::new(format!("FDSN:XX_{station}__H_H_Z"), start_s * 1_000_000_000, 100.0);
    let bytes = pack(&settings, samples.as_slice()).unwrap().remove(0);
    Offer::Record(ReceivedRecord { bytes: bytes.into(), arrival_time: None, origin: None })
}

fn records() -> Vec<Offer> {
    (0..30).map(|n| record(["A", "B", "C", "D", "E"][n % 5], n as i64)).collect()
}

fn at(seconds: i64) -> Watermark {
    Watermark(Timestamp::from_nanos(seconds * 1_000_000_000))
}

/// Watermarks and keys of a partition, in order.
async fn content(log: &Log, partition: u32) -> Vec<String> {
    let topic = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    let records = topic.read(partition, 0, usize::MAX, Duration::ZERO).await.unwrap();
    records
        .iter()
        .map(|record| match watermark_of(record).unwrap() {
            Some(Watermark::MAX) => "max".to_owned(),
            Some(watermark) => watermark.0.to_string(),
            None => String::from_utf8_lossy(&record.key).into_owned(),
        })
        .collect()
}

async fn contents(log: &Log) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        all.push(content(log, partition).await);
    }
    all
}

async fn letters(log: &Log) -> Vec<DeadLetter> {
    let topic = log.topic(&dead_letter_topic(WAVEFORMS_RAW), 1 + PARTITIONS).unwrap();
    let records = topic.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap();
    records.iter().map(|record| letter_of(record).unwrap()).collect()
}

#[tokio::test]
async fn a_record_without_a_station_is_a_dead_letter() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    let report = gate.ingest(vec![record("", 0), record("A", 0)]).await.unwrap();
    assert_eq!((report.accepted, report.dead_letters), (1, 1));
    let letters = letters(&log).await;
    assert!(letters[0].reason.contains("the station code is \"\""), "{}", letters[0].reason);
}

#[tokio::test]
async fn what_was_offered_before_is_dropped_also_by_a_gate_that_was_opened_anew() {
    let home = tempfile::tempdir().unwrap();
    let settings = LogSettings { durability: Durability::OperatingSystem, ..LogSettings::default() };
    // With an index on disk, and with one that has to be read back from the log.
    for directory in [Some(home.path()), None] {
        let log = Log::open(directory.unwrap_or(&home.path().join("other")), settings);
        let gate = Gate::open(&log, PARTITIONS, directory).await.unwrap();
        let mut offers = records();
        offers.push(record("A", 0));
        let report = gate.ingest(offers).await.unwrap();
        assert_eq!((report.accepted, report.duplicates, report.samples), (30, 1, 3000));
        let before = contents(&log).await;
        drop(gate);
        let gate = Gate::open(&log, PARTITIONS, directory).await.unwrap();
        let report = gate.ingest(records()).await.unwrap();
        assert_eq!((report.accepted, report.duplicates), (0, 30));
        assert_eq!(contents(&log).await, before);
        drop(gate);
    }
}

#[tokio::test]
async fn records_of_a_station_stay_in_one_partition_and_in_order() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.ingest(records()).await.unwrap();
    let all = contents(&log).await;
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 30);
    for station in ["A", "B", "C", "D", "E"] {
        let key = format!("FDSN:XX_{station}__H_H_Z");
        let holding = all.iter().filter(|partition| partition.contains(&key)).count();
        assert_eq!(holding, 1);
    }
}

#[tokio::test]
async fn what_cannot_be_used_becomes_one_dead_letter_with_a_reason() {
    let log = Log::memory();
    let offers = || {
        let Offer::Record(mut torn) = record("A", 1) else { unreachable!() };
        torn.bytes = torn.bytes.slice(..300);
        let Offer::Record(mut damaged) = record("B", 2) else { unreachable!() };
        let mut bytes = damaged.bytes.to_vec();
        // The control word of the first Steim frame: too few samples are left.
        bytes[64..68].fill(0);
        damaged.bytes = bytes.into();
        let refusal =
            Refusal { bytes: Bytes::from_static(b"hello"), reason: "text".into(), origin: Some("f".into()) };
        vec![Offer::Record(torn), Offer::Record(damaged), Offer::Refused(refusal), record("C", 3)]
    };
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    let report = gate.ingest(offers()).await.unwrap();
    assert_eq!((report.accepted, report.dead_letters), (1, 3));
    let kept = letters(&log).await;
    assert!(kept[0].reason.starts_with("not a miniSEED record"), "{}", kept[0].reason);
    assert!(kept[1].reason.contains("samples"), "{}", kept[1].reason);
    assert_eq!((kept[2].reason.as_str(), kept[2].origin.as_deref()), ("text", Some("f")));
    assert_eq!(kept.iter().map(|letter| letter.position.offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(gate.ingest(offers()).await.unwrap().dead_letters, 0);
    let reopened = Gate::open(&log, PARTITIONS, None).await.unwrap();
    assert_eq!(reopened.ingest(offers()).await.unwrap().dead_letters, 0);
    assert_eq!(letters(&log).await.len(), 3);
}

#[tokio::test]
async fn a_session_ends_once_and_new_records_begin_another() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    assert!(!gate.finish().await.unwrap(), "nothing to end");
    gate.punctuate(at(1)).await.unwrap();
    assert_eq!(contents(&log).await.concat().len(), 0, "no watermark outside of a session");
    gate.ingest(records()).await.unwrap();
    for seconds in [5, 5, 4, 9] {
        gate.punctuate(at(seconds)).await.unwrap();
    }
    assert!(gate.finish().await.unwrap());
    assert!(!gate.finish().await.unwrap());
    for partition in contents(&log).await {
        let tail: Vec<_> = partition.iter().rev().take(3).collect();
        assert_eq!(tail, ["max", "1970-01-01T00:00:09.000Z", "1970-01-01T00:00:05.000Z"]);
    }
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.ingest(records()).await.unwrap();
    assert!(!gate.finish().await.unwrap(), "the same records again are no session");
    gate.ingest(vec![record("A", 100)]).await.unwrap();
    assert!(gate.finish().await.unwrap());
    for partition in contents(&log).await {
        assert_eq!(partition.iter().filter(|text| *text == "max").count(), 2);
        assert_eq!(partition.last().unwrap(), "max");
    }
}

#[tokio::test]
async fn an_end_of_session_that_a_crash_cut_short_is_completed() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.ingest(records()).await.unwrap();
    drop(gate);
    let raw = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    raw.append(1, vec![punctuation(Watermark::MAX).unwrap()]).await.unwrap();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.ingest(records()).await.unwrap();
    assert!(!gate.finish().await.unwrap());
    for partition in contents(&log).await {
        assert_eq!(partition.iter().filter(|text| *text == "max").count(), 1);
        assert_eq!(partition.last().unwrap(), "max");
    }
}

#[tokio::test]
async fn silent_partitions_follow_the_time_of_the_others() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    let settings = LiveSettings { lateness_s: 2.0, idle_after_s: 20.0, interval_s: 1.0 };
    let live = |seconds: i64| {
        let Offer::Record(mut incoming) = record("A", seconds) else { unreachable!() };
        incoming.arrival_time = Some(at(seconds + 1).0);
        vec![Offer::Record(incoming)]
    };
    gate.ingest(live(100)).await.unwrap();
    gate.follow(at(101).0, &settings).await.unwrap();
    let lengths = |all: Vec<Vec<String>>| all.iter().map(Vec::len).collect::<Vec<_>>();
    let mut first = lengths(contents(&log).await);
    first.sort_unstable();
    assert_eq!(first, [0, 0, 2], "only the partition that got records");
    gate.ingest(live(130)).await.unwrap();
    gate.follow(at(131).0, &settings).await.unwrap();
    for partition in contents(&log).await {
        assert_eq!(partition.last().unwrap(), "1970-01-01T00:02:08.990Z");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_stops_waiting_leaves_no_record_unknown() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::open(home.path(), LogSettings::default());
    let gate = Gate::open(&log, PARTITIONS, Some(home.path())).await.unwrap();
    for round in 0..40 {
        let offers: Vec<Offer> =
            (0..20).map(|n| record(["A", "B", "C"][n % 3], 100 * round + n as i64)).collect();
        let patience = Duration::from_micros(50 * round as u64);
        let hasty = tokio::time::timeout(patience, gate.ingest(offers.clone())).await;
        let report = gate.ingest(offers).await.unwrap();
        if let Ok(first) = hasty {
            assert_eq!((first.unwrap().accepted, report.accepted), (20, 0));
        }
        assert_eq!(report.accepted + report.duplicates, 20);
    }
    let count: usize = contents(&log).await.iter().map(Vec::len).sum();
    assert_eq!(count, 800, "each record once");
}

/// What can happen to a file.
fn damaged(whole: &[u8], kind: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match kind {
        0 => bytes.truncate(whole.len() / 2),
        1 => bytes.truncate(100),
        2 => bytes.clear(),
        3 => bytes.iter_mut().take(4096).for_each(|byte| *byte = 0),
        4 => bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 31 % 251) as u8),
        seed => {
            let mut random = seed as u64;
            for _ in 0..10 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (random >> 33) as usize % bytes.len();
                bytes[at] ^= 1 << (random % 8);
            }
        }
    }
    bytes
}

#[tokio::test]
async fn a_damaged_index_is_made_again_from_the_log_and_nothing_is_taken_twice() {
    let home = tempfile::tempdir().unwrap();
    let settings = LogSettings { durability: Durability::OperatingSystem, ..LogSettings::default() };
    let open = async || {
        let log = Log::open(home.path(), settings);
        let gate = Gate::open(&log, PARTITIONS, Some(home.path())).await.unwrap();
        (log, gate)
    };
    let (log, gate) = open().await;
    gate.ingest(records()).await.unwrap();
    gate.finish().await.unwrap();
    let before = contents(&log).await;
    drop((log, gate));
    let path = home.path().join("state/seen.redb");
    let whole = std::fs::read(&path).unwrap();
    for kind in 0..25 {
        std::fs::write(&path, damaged(&whole, kind)).unwrap();
        let (log, gate) = open().await;
        let report = gate.ingest(records()).await.unwrap();
        assert_eq!((report.accepted, report.duplicates), (0, 30), "damage {kind}");
        assert!(!gate.finish().await.unwrap(), "damage {kind}");
        assert_eq!(contents(&log).await, before, "damage {kind}");
    }
}

/// The first records of partition 0 as a table holds them.
#[derive(Debug)]
struct Archive(Vec<ArchivedRecord>);

#[async_trait]
impl ArchivedRecords for Archive {
    async fn records(
        &self,
        topic: &str,
        partition: u32,
        offsets: Range<Offset>,
    ) -> Result<Vec<ArchivedRecord>, Error> {
        assert_eq!(topic, WAVEFORMS_RAW);
        let mine = if partition == 0 { &self.0[..] } else { &[] };
        Ok(mine
            .iter()
            .skip(offsets.start as usize)
            .take((offsets.end - offsets.start) as usize)
            .cloned()
            .collect())
    }
}

#[tokio::test]
async fn what_the_tables_hold_is_not_taken_again_although_the_log_has_lost_it() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::open(home.path(), LogSettings::default());
    let gate = Gate::open(&log, PARTITIONS, Some(home.path())).await.unwrap();
    gate.ingest(records()).await.unwrap();
    let raw = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    let held = raw.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap();
    drop((gate, raw, log));
    assert!(held.len() > 3);
    let archived = held.iter().take(3).map(|record| {
        let header = seislake_mseed::Record::parse(&record.value).unwrap();
        let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&record.value).into();
        ArchivedRecord { source_id: header.source_id().to_owned(), start_ns: header.start_ns, sha256 }
    });
    let archive = Arc::new(Archive(archived.collect()));
    // The log is lost. The index is kept, and knows records that are nowhere any more; or it is lost too.
    for state in ["kept", "lost"] {
        std::fs::remove_dir_all(home.path().join("log")).unwrap();
        if state == "lost" {
            std::fs::remove_dir_all(home.path().join("state")).unwrap();
        }
        let log = Log::open(home.path(), LogSettings::default());
        log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap().continue_at(0, 3).await.unwrap();
        let archived = Arc::<Archive>::clone(&archive);
        let gate =
            Gate::open_beside(&log, PARTITIONS, Some(home.path()), Some(archived), IndexSource::Log).await;
        let report = gate.unwrap().ingest(records()).await.unwrap();
        assert_eq!((report.accepted, report.duplicates), (27, 3), "index {state}");
    }
}

#[tokio::test]
async fn every_refused_record_is_listed_with_its_place_whether_its_letter_is_new_or_not() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    let refusal =
        || Offer::Refused(Refusal { bytes: Bytes::from_static(b"?"), reason: "text".into(), origin: None });
    for _ in 0..2 {
        let offers = vec![record("A", 0), record("", 0), refusal(), record("B", 0), refusal()];
        let checked = gate.check(offers).await.unwrap();
        let refused = checked.refused();
        assert_eq!(refused.iter().map(|refused| refused.offer).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(refused[1].reason, "text");
        gate.append(checked).await.unwrap();
    }
    assert_eq!(letters(&log).await.len(), 2);
}

#[tokio::test]
async fn samples_without_believable_times_are_a_dead_letter() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    let samples = [1, 2, 3];
    let with_rate = |rate: f64| {
        let mut settings = PackSettings::new("FDSN:XX_A__H_H_Z", 0, 100.0);
        settings.format_version = seislake_mseed::FormatVersion::Three;
        let mut bytes = pack(&settings, samples.as_slice()).unwrap().remove(0);
        bytes[16..24].copy_from_slice(&rate.to_le_bytes());
        bytes[28..32].fill(0);
        let checksum = crc32c::crc32c(&bytes);
        bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
        Offer::Record(ReceivedRecord {
            bytes: bytes.into(),
            arrival_time: Some(Timestamp::MAX),
            origin: None,
        })
    };
    let absurd =
        [0.0, 1e-300, -1e300, 1e12, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    for rate in absurd {
        let report = gate.ingest(vec![with_rate(rate)]).await.unwrap();
        assert_eq!((report.accepted, report.dead_letters), (0, 1), "{rate}");
    }
    // A hundred hertz, a sample in ten seconds, one a day.
    for rate in [100.0, -10.0, -86_400.0] {
        assert_eq!(gate.ingest(vec![with_rate(rate)]).await.unwrap().accepted, 1, "{rate}");
    }
    let topic = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    for partition in 0..PARTITIONS {
        for record in topic.read(partition, 0, usize::MAX, Duration::ZERO).await.unwrap() {
            assert_eq!(record.arrival_time, None, "a clock that shows the year 2262 is not believed");
        }
    }
}

fn inventory(stations: &[(&str, &str, f64)]) -> Arc<Inventory> {
    let stations = stations.iter().map(|(network, station, latitude)| Station {
        network: (*network).to_owned(),
        station: (*station).to_owned(),
        latitude: *latitude,
        longitude: 0.0,
        elevation_m: 0.0,
        site_name: None,
        start_time: None,
        end_time: None,
        original: Some("<Station/>".into()),
        network_original: None,
    });
    Arc::new(Inventory { stations: stations.collect(), channels: Vec::new() })
}

/// Stations that the log of a partition tells of, with their latitudes, in order.
async fn told(log: &Log, partition: u32) -> Vec<(String, f64)> {
    let topic = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    let records = topic.read(partition, 0, usize::MAX, Duration::ZERO).await.unwrap();
    let controls = records.iter().filter_map(|record| station_of(record).unwrap());
    controls.map(|control| (control.station, control.inventory.stations[0].latitude)).collect()
}

#[tokio::test]
async fn the_log_hears_of_each_station_once_in_its_partition_and_of_changes() {
    let home = tempfile::tempdir().unwrap();
    let settings = LogSettings { durability: Durability::OperatingSystem, ..LogSettings::default() };
    for directory in [Some(home.path()), None] {
        let log = Log::open(directory.unwrap_or(&home.path().join("other")), settings);
        let (before, after) = ([("XX", "A", 1.0), ("XX", "B", 2.0)], [("XX", "A", 1.0), ("XX", "B", 3.0)]);
        for stations in [before, before, after, after] {
            let gate = Gate::open(&log, PARTITIONS, directory).await.unwrap();
            gate.announce(inventory(&stations)).await.unwrap();
            assert!(!gate.finish().await.unwrap(), "a station opens no session");
        }
        let partition = |station: &str| partition_of_station(&format!("XX_{station}"), PARTITIONS);
        let mut expected = vec![Vec::new(); PARTITIONS as usize];
        for (station, latitude) in [("A", 1.0), ("B", 2.0), ("B", 3.0)] {
            expected[partition(station) as usize].push((format!("XX_{station}"), latitude));
        }
        for of in 0..PARTITIONS {
            assert_eq!(told(&log, of).await, expected[of as usize]);
        }
        // Records of a station come behind what is said of it, in the same partition.
        let gate = Gate::open(&log, PARTITIONS, directory).await.unwrap();
        gate.ingest(vec![record("A", 0)]).await.unwrap();
        let keys = content(&log, partition("A")).await;
        assert_eq!(keys.last().map(String::as_str), Some("FDSN:XX_A__H_H_Z"));
    }
}

#[tokio::test]
async fn a_station_without_a_network_is_told_to_all_partitions() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.announce(inventory(&[("", "A", 1.0)])).await.unwrap();
    for partition in 0..PARTITIONS {
        assert_eq!(told(&log, partition).await, [("_A".to_owned(), 1.0)]);
    }
}

#[tokio::test]
async fn stations_wait_for_a_log_that_cannot_be_written_and_come_before_the_next_record() {
    let home = tempfile::tempdir().unwrap();
    let log = Log::open(home.path(), LogSettings::default());
    let gate = Gate::open(&log, PARTITIONS, Some(home.path())).await.unwrap();
    let segment_folder = home.path().join("log").join(WAVEFORMS_RAW);
    let aside = home.path().join("aside");
    std::fs::rename(&segment_folder, &aside).unwrap();
    std::fs::write(&segment_folder, "no folder").unwrap();
    assert!(gate.announce(inventory(&[("XX", "A", 1.0)])).await.is_err());
    std::fs::remove_file(&segment_folder).unwrap();
    std::fs::rename(&aside, &segment_folder).unwrap();
    gate.ingest(vec![record("A", 0)]).await.unwrap();
    let partition = partition_of_station("XX_A", PARTITIONS);
    assert_eq!(content(&log, partition).await, ["station", "FDSN:XX_A__H_H_Z"]);
}

#[tokio::test]
async fn a_partition_that_lost_its_log_ends_no_session_twice() {
    let log = Log::memory();
    let gate = Gate::open(&log, PARTITIONS, None).await.unwrap();
    gate.ingest(records()).await.unwrap();
    assert!(gate.finish().await.unwrap());
    drop(gate);
    let topic = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    let damaged = Log::memory();
    let lost = partition_of_station("XX_A", PARTITIONS);
    let copy = damaged.topic(WAVEFORMS_RAW, PARTITIONS).unwrap();
    for partition in 0..PARTITIONS {
        let records = topic.read(partition, 0, usize::MAX, Duration::ZERO).await.unwrap();
        if partition == lost {
            copy.continue_at(partition, records.len() as Offset).await.unwrap();
            continue;
        }
        let records = records.into_iter();
        let new =
            records.map(|Record { key, value, arrival_time, .. }| NewRecord { key, value, arrival_time });
        copy.append(partition, new.collect()).await.unwrap();
    }
    let before = copy.end_offset(lost).unwrap();
    let gate = Gate::open(&damaged, PARTITIONS, None).await.unwrap();
    assert_eq!(copy.end_offset(lost).unwrap(), before, "an end was said that had been said");
    // The next session ends in all of them.
    gate.ingest(vec![record("Z", 100)]).await.unwrap();
    assert!(gate.finish().await.unwrap());
    assert_eq!(
        copy.end_offset(lost).unwrap(),
        before + 1 + u64::from(partition_of_station("XX_Z", PARTITIONS) == lost)
    );
}
