//! What the stages say about unusual input; the usual is tested with the whole path in `runtime`.

use std::sync::Arc;

use seislake_model::{Inventory, Onset, Phase, Pick, Polarity, SourceId, Station, Timestamp};
use seislake_mseed::{PackSettings, pack};
use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::pick::PickSettings;
use seislake_seismo::travel_time::{LayeredModel, default_table};

use super::*;
use crate::message::{Envelope, Message, PHASE_PICKS, SourcePosition, WAVEFORMS_RAW, Watermark, punctuation};
use crate::runtime::{Output, Stage};
use crate::topic::{NewRecord, Record};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn record_of(new: NewRecord) -> Record {
    Record { offset: 0, key: new.key, value: new.value, arrival_time: new.arrival_time }
}

fn message(partition: u32, message: Message) -> Record {
    let source = SourcePosition { topic: WAVEFORMS_RAW.into(), partition, offset: 0, index: 0 };
    record_of(Envelope::new(source, message).to_record().unwrap())
}

fn watermark(partition: u32, time: Timestamp) -> Record {
    message(partition, Message::Watermark { watermark: Watermark(time), partition, partition_count: 2 })
}

fn pick(station: &str, time: Timestamp) -> Message {
    let source_id = SourceId::from_nslc("XX", station, "", "HHZ");
    let pick = Pick {
        pick_id: Pick::id_of(&source_id, time, Phase::P, "test"),
        source_id,
        pick_time: time,
        time_uncertainty_s: 0.1,
        phase: Phase::P,
        polarity: Polarity::Undecidable,
        onset: Onset::Impulsive,
        snr: 10.0,
        method: "test".into(),
    };
    Message::Pick { pick: Box::new(pick) }
}

/// Stations around 0 N, 0 E and the picks of an earthquake there.
fn associate_config() -> AssociateConfig {
    let places = [
        ("A", 0.1, 0.0),
        ("B", -0.1, 0.05),
        ("C", 0.0, 0.12),
        ("D", 0.05, -0.12),
        ("E", -0.15, -0.1),
        ("F", 0.2, 0.2),
    ];
    let stations = places.map(|(station, latitude, longitude)| Station {
        network: "XX".into(),
        station: station.into(),
        latitude,
        longitude,
        elevation_m: 0.0,
        site_name: None,
        start_time: None,
        end_time: None,
        original: None,
        network_original: None,
    });
    AssociateConfig {
        settings: AssociateSettings::default(),
        inventory: InventoryHandle::new(Inventory { stations: stations.to_vec(), channels: vec![] }),
        travel_time: Arc::new(default_table(&LayeredModel::iasp91())),
    }
}

fn earthquake(config: &AssociateConfig, origin_time: Timestamp) -> Vec<Message> {
    let travel_time = &config.travel_time;
    let inventory = config.inventory.current();
    let km = |station: &Station| 111.2 * station.latitude.hypot(station.longitude);
    inventory
        .stations
        .iter()
        .map(|station| {
            let time_s = travel_time.time_s(Phase::P, km(station), 8.0, 0.0).unwrap();
            pick(&station.station, origin_time.add_seconds(time_s))
        })
        .collect()
}

fn associations(out: &Output) -> usize {
    out.said().unwrap().iter().filter(|said| matches!(said, Message::Association { .. })).count()
}

#[test]
fn a_station_without_coordinates_is_reported_once() {
    let mut stage = AssociateStage::init(&associate_config()).unwrap();
    let mut out = Output::new("associate", PHASE_PICKS, 0);
    for seconds in [1, 2, 3] {
        stage.process(&message(0, pick("NOWHERE", at(seconds))), &mut out).unwrap();
    }
    let reasons = out.reasons().unwrap();
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].contains("no coordinates for station \"XX_NOWHERE\""), "{reasons:?}");
}

#[test]
fn an_event_waits_until_every_partition_has_passed_it() {
    let config = associate_config();
    let mut stage = AssociateStage::init(&config).unwrap();
    let mut out = Output::new("associate", PHASE_PICKS, 0);
    for one in earthquake(&config, at(1000)) {
        stage.process(&message(0, one), &mut out).unwrap();
    }
    stage.process(&watermark(0, at(9000)), &mut out).unwrap();
    assert_eq!(associations(&out), 0, "partition 1 has promised nothing");
    stage.process(&watermark(1, at(1001)), &mut out).unwrap();
    assert_eq!(associations(&out), 0);
    stage.process(&watermark(1, at(9000)), &mut out).unwrap();
    assert_eq!(associations(&out), 1);
}

#[test]
fn what_a_partition_says_after_its_end_waits_for_the_others() {
    let config = associate_config();
    let mut stage = AssociateStage::init(&config).unwrap();
    let mut out = Output::new("associate", PHASE_PICKS, 0);
    stage.process(&watermark(0, Timestamp::MAX), &mut out).unwrap();
    // Partition 0 is a session ahead, with an earthquake before that of partition 1.
    for one in earthquake(&config, at(500)) {
        stage.process(&message(0, one), &mut out).unwrap();
    }
    let mut stage = AssociateStage::restore(&config, stage.snapshot()).unwrap();
    for one in earthquake(&config, at(1000)) {
        stage.process(&message(1, one), &mut out).unwrap();
    }
    stage.process(&watermark(1, Timestamp::MAX), &mut out).unwrap();
    assert_eq!(associations(&out), 1, "that of the session that ended");
    for partition in [0, 1] {
        stage.process(&watermark(partition, Timestamp::MAX), &mut out).unwrap();
    }
    assert_eq!(associations(&out), 2);
}

#[test]
fn the_pick_stage_promises_less_than_it_was_promised_and_passes_the_end_on() {
    let config = PickConfig {
        settings: PickSettings::default(),
        inventory: InventoryHandle::default(),
        partition_count: 4,
        trace_delay_s: 60.0,
    };
    let mut stage = PickStage::init(&config).unwrap();
    let mut out = Output::new("pick", WAVEFORMS_RAW, 3);
    for time in [at(1000), Timestamp::MAX] {
        stage.process(&record_of(punctuation(Watermark(time)).unwrap()), &mut out).unwrap();
    }
    let promised = at(1000).add_seconds(-config.settings.latency_s());
    let said = |time| Message::Watermark { watermark: Watermark(time), partition: 3, partition_count: 4 };
    assert_eq!(out.said().unwrap(), [said(promised), said(Timestamp::MAX)]);
}

#[test]
fn the_pick_stage_refuses_what_is_no_record_and_goes_on() {
    let config = PickConfig {
        settings: PickSettings::default(),
        inventory: InventoryHandle::default(),
        partition_count: 1,
        trace_delay_s: 60.0,
    };
    let mut stage = PickStage::init(&config).unwrap();
    let mut out = Output::new("pick", WAVEFORMS_RAW, 0);
    let settings = PackSettings::new("FDSN:XX_A__H_H_Z", 0, 100.0);
    let good = pack(&settings, [1, 2, 3].as_slice()).unwrap().remove(0);
    for value in [vec![1, 2, 3], good] {
        let record = NewRecord { key: "FDSN:XX_A__H_H_Z".into(), value: value.into(), arrival_time: None };
        stage.process(&record_of(record), &mut out).unwrap();
    }
    assert_eq!(out.reasons().unwrap().len(), 1);
}
