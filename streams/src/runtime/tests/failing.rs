//! Sinks that fail for a while, logs that are full for a while: nothing is lost, nothing comes twice, and it goes on.

use std::time::Duration;

use super::memory_sink::{Fuel, Tables};
use super::*;
use crate::gate::LiveSettings;

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_fail_some_times_change_no_row() {
    for failures in [1, 4] {
        let (log, tables) = (Arc::new(Log::memory()), Tables::default());
        for table in tables_of(&all_stages()) {
            tables.fail(&table.full_name(), failures);
        }
        let gate = open_gate(&log, None).await;
        import(&log, &gate, &CheckpointStore::memory().unwrap(), &tables, &Fuel::endless()).await;
        assert!(&tables.rows() == undisturbed(), "{failures} failures");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_says_that_it_waits_and_that_it_works_again() {
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    let mut patient = settings();
    patient.sink.retry.give_up_after = None;
    patient.sink.commit_interval = Duration::from_millis(20);
    let checkpoints = CheckpointStore::memory().unwrap();
    tables.refuse("waveform.packets");
    let pipeline = start_with(patient, &log, &checkpoints, &tables, &Fuel::endless()).await;
    assert_eq!(pipeline.failing(), None);
    gate.ingest(world().offers[..100].to_vec()).await.unwrap();
    gate.finish().await.unwrap();
    wait_until(|| pipeline.failing().is_some_and(|reason| reason.contains("waveform.packets is refused")))
        .await;
    tables.allow("waveform.packets");
    pipeline.drain().await.unwrap();
    assert_eq!(pipeline.failing(), None);
    assert!(!tables.rows()["waveform.packets"].is_empty());
    pipeline.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_live_record_is_seen_soon_and_so_are_the_next_ones() {
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    let mut live = settings();
    live.sink.commit_interval = Duration::from_millis(50);
    let checkpoints = CheckpointStore::memory().unwrap();
    let pipeline = start_with(live, &log, &checkpoints, &tables, &Fuel::endless()).await;
    // The second starts where the first does, on another channel: time does not move on. The third claims to be of 2090.
    let records = [("A", 1_000), ("B", 1_000), ("A", 3_786_912_000), ("A", 900)];
    for (count, (station, start_s)) in (1..).zip(records) {
        let settings = PackSettings::new(format!("FDSN:XX_{station}__H_H_Z"), start_s * 1_000_000_000, 100.0);
        let bytes = pack(&settings, [1, 2, 3].as_slice()).unwrap().remove(0).into();
        let arrival_time = Some(seislake_model::Timestamp::from_nanos(1_001_000_000_000));
        gate.ingest(vec![Offer::Record(ReceivedRecord { bytes, arrival_time, origin: None })]).await.unwrap();
        let now = seislake_model::Timestamp::from_nanos(1_001_000_000_000 + count as i64);
        gate.follow(now, &LiveSettings::default()).await.unwrap();
        for table in ["waveform.packets", "waveform.segments"] {
            wait_until(|| tables.rows()[table].len() == count).await;
        }
    }
    let end = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap().end_offset(0).unwrap();
    for _ in 0..3 {
        gate.follow(seislake_model::Timestamp::from_nanos(1_002_000_000_000), &LiveSettings::default())
            .await
            .unwrap();
    }
    let after = log.topic(WAVEFORMS_RAW, PARTITIONS).unwrap().end_offset(0).unwrap();
    assert_eq!(after, end, "where nothing came, nothing is punctuated");
    pipeline.shutdown().await.unwrap();
}

async fn wait_until(condition: impl Fn() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(std::time::Instant::now() < limit, "not within a minute");
        tokio::task::yield_now().await;
    }
}
