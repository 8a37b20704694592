//! Whatever stands in a topic or a state file, the path goes on: a letter for what it cannot read, and all events found.

use std::time::Duration;

use bytes::Bytes;
use seislake_model::{DeadLetter, Offset, RecordPosition};

use super::memory_sink::{Fuel, Tables};
use super::*;
use crate::message::{
    ASSOCIATIONS, Envelope, Message, PHASE_PICKS, PROPOSALS, REVISIONS, SourcePosition, dead_letter_topic,
    letter_record,
};
use crate::topic::{NewRecord, Topic};
use crate::topology::Topology;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.below(200);
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// The stages of a home without a configuration.
fn topology() -> Topology {
    Topology::of(&all_stages().iter().map(|stage| stage.name.to_owned()).collect::<Vec<_>>(), Vec::new())
        .unwrap()
}

fn raw(key: &'static str, value: impl Into<Bytes>) -> NewRecord {
    NewRecord { key: Bytes::from_static(key.as_bytes()), value: value.into(), arrival_time: None }
}

/// Things that no reader of `topic` can use.
fn poison(topic: &str, random: &mut Random) -> Vec<NewRecord> {
    let source = SourcePosition {
        topic: WAVEFORMS_RAW.into(),
        partition: 0,
        offset: 1 << 40,
        index: 7,
        stage: String::new(),
    };
    let foreign =
        Message::Watermark { watermark: Watermark::MAX, partition: 900, partition_count: 4_000_000_000 };
    let foreign = Envelope::new(source, foreign).to_record().unwrap();
    let letter = DeadLetter {
        position: RecordPosition { topic: topic.into(), partition: 0, offset: Offset::MAX },
        index: u32::MAX,
        stage: "pick".into(),
        reason: "foreign".into(),
        origin: None,
        record: vec![],
    };
    vec![
        raw("", random.bytes()),
        raw("watermark", random.bytes()),
        raw("watermark", r#"{"version":2,"watermark":"max"}"#),
        raw("watermark", r#"{"version":1,"watermark":null}"#),
        raw("watermark", r#"{"version":1,"watermark":"2262-04-11T00:00:00.000Z"}"#),
        raw("FDSN:XX_A__H_H_Z", random.bytes()),
        raw(
            "x",
            r#"{"version":1,"source":{"topic":"waveforms.raw","partition":0,"offset":0,"index":0},"kind":"dream"}"#,
        ),
        raw(
            "x",
            r#"{"version":9,"source":{"topic":"waveforms.raw","partition":0,"offset":0,"index":0},"kind":"watermark","watermark":"max","partition":0,"partition_count":2}"#,
        ),
        raw(
            "x",
            r#"{"version":1,"source":{"topic":"t","partition":0,"offset":0,"index":0},"kind":"location","location":null}"#,
        ),
        foreign,
        letter_record(&letter).unwrap(),
    ]
}

fn topics(log: &Log) -> Vec<Arc<dyn Topic>> {
    let path =
        [(WAVEFORMS_RAW, PARTITIONS), (PHASE_PICKS, 1), (ASSOCIATIONS, 1), (PROPOSALS, 1), (REVISIONS, 1)];
    let mut topics = Vec::new();
    for (name, partitions) in path {
        topics.push(log.topic(name, partitions).unwrap());
        topics.push(log.topic(&dead_letter_topic(name), 1 + partitions).unwrap());
    }
    topics
}

async fn spread(log: &Log, random: &mut Random) -> usize {
    let mut count = 0;
    for topic in topics(log) {
        for partition in 0..topic.partitions() {
            let records = poison(topic.name(), random);
            count += records.len();
            topic.append(partition, records).await.unwrap();
        }
    }
    count
}

fn work(seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut random = Random(seed);
        let log = Arc::new(Log::memory());
        let (checkpoints, tables) = (CheckpointStore::memory().unwrap(), Tables::default());
        let mut count = spread(&log, &mut random).await;
        // The network's records come in two lives; before the second there is poison behind what the first has read.
        for half in [0, 1] {
            let gate = open_gate(&log, None).await;
            let pipeline = start(&log, &checkpoints, &tables, &Fuel::endless()).await;
            let offers = &world().offers;
            let middle = offers.len() / 2;
            for offers in [&offers[..middle], &offers[middle..]][half].chunks(200) {
                gate.ingest(offers.to_vec()).await.unwrap();
            }
            if half == 1 {
                gate.finish().await.unwrap();
            }
            pipeline.drain().await.unwrap();
            pipeline.shutdown().await.unwrap();
            drop(gate);
            if half == 0 {
                count += spread(&log, &mut random).await;
            }
        }
        for table in ["picks", "origins", "arrivals", "events", "magnitudes", "amplitudes"] {
            let table = format!("bulletin.{table}");
            assert!(tables.rows()[&table] == undisturbed()[&table], "{table}");
        }
        assert_eq!(tables.rows()["waveform.packets"].len(), undisturbed()["waveform.packets"].len());
        let letters = &tables.rows()["stream.dead_letters"];
        assert!(letters.len() >= count, "{} letters for {count} bad records", letters.len());
        for topic in topics(&log) {
            let named = letters.iter().filter(|letter| letter.starts_with(&format!("{}|", topic.name())));
            assert!(named.count() > 0, "no letter of {}", topic.name());
        }
    });
}

#[test]
fn whatever_stands_in_a_topic_the_events_are_found_and_the_rest_is_told_of() {
    for seed in 1..=3 {
        work(seed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_cannot_be_read_make_stages_replay() {
    let log = Arc::new(Log::memory());
    let (checkpoints, tables) = (CheckpointStore::memory().unwrap(), Tables::default());
    let gate = open_gate(&log, None).await;
    import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
    let mut random = Random(5);
    let keys = ["pick/waveforms.raw/0", "pick/waveforms.raw/1", "associate/waveforms.phase_picks/0"];
    for round in 0..3 {
        for key in keys {
            let mut bytes = random.bytes();
            if round == 1 {
                // A whole checkpoint whose state is of another kind.
                bytes =
                    rmp_serde::to_vec(&(2_u32, 1_u64, 0_u64, 0_u64, Some(Bytes::from_static(b"\x93\x01"))))
                        .unwrap();
            }
            if round == 2 {
                bytes = rmp_serde::to_vec(&(2_u32, 1_u64 << 60, 0_u64, 0_u64, None::<Bytes>)).unwrap();
            }
            checkpoints.save_bytes(key, &bytes, None).unwrap();
        }
        import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
        assert!(&tables.rows() == undisturbed(), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_lost_goes_on_behind_what_the_tables_hold() {
    let tables = Tables::default();
    let checkpoints = CheckpointStore::memory().unwrap();
    let log = Arc::new(Log::memory());
    let gate = open_gate(&log, None).await;
    import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
    for checkpoints in [checkpoints, CheckpointStore::memory().unwrap()] {
        let log = Arc::new(Log::memory());
        assert!(
            continue_log(&log, PARTITIONS, &topology(), &mut tables.sinks(&Fuel::endless()), &checkpoints)
                .await
                .unwrap()
        );
        assert!(
            !continue_log(&log, PARTITIONS, &topology(), &mut tables.sinks(&Fuel::endless()), &checkpoints)
                .await
                .unwrap()
        );
        let gate = open_gate(&log, None).await;
        // Without an index and without asking the tables, the same records come a second time, each at a new place.
        let before = tables.rows()["waveform.packets"].len();
        let pipeline = start(&log, &checkpoints, &tables, &Fuel::endless()).await;
        gate.ingest(world().offers[..50].to_vec()).await.unwrap();
        gate.finish().await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), pipeline.drain()).await.unwrap().unwrap();
        pipeline.shutdown().await.unwrap();
        assert!(tables.rows()["waveform.packets"].len() > before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_another_home_keep_no_record_from_being_picked() {
    let checkpoints = CheckpointStore::memory().unwrap();
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;

    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let lost =
        continue_log(&log, PARTITIONS, &topology(), &mut tables.sinks(&Fuel::endless()), &checkpoints).await;
    assert!(!lost.unwrap(), "a new log has lost nothing");
    let gate = open_gate(&log, None).await;
    import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
    assert!(&tables.rows() == undisturbed());
}
