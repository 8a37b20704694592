//! What the stages say about unusual input; the usual is tested with the whole path in `runtime`.

use std::sync::Arc;

use seislake_model::{
    AmplitudeTrace, Channel, Coordinates, InputUnit, Inventory, Onset, Phase, Pick, Polarity, Provenance,
    Response, SourceId, Timestamp,
};
use seislake_mseed::{PackSettings, pack};
use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::pick::PickSettings;
use seislake_seismo::travel_time::VelocityModel;

use super::*;
use crate::control::Announcement;
use crate::earth::Earth;
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
    let source =
        SourcePosition { topic: WAVEFORMS_RAW.into(), partition, offset: 0, index: 0, stage: String::new() };
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
        provenance: Provenance::automatic("test", "1", None),
    };
    let place = STATIONS.iter().find(|(name, ..)| *name == station);
    let at = place.map(|(_, latitude, longitude)| Coordinates {
        latitude: *latitude,
        longitude: *longitude,
        elevation_m: 0.0,
    });
    Message::Pick { pick: Box::new(pick), at }
}

/// Stations around 0 N, 0 E.
const STATIONS: [(&str, f64, f64); 6] = [
    ("A", 0.1, 0.0),
    ("B", -0.1, 0.05),
    ("C", 0.0, 0.12),
    ("D", 0.05, -0.12),
    ("E", -0.15, -0.1),
    ("F", 0.2, 0.2),
];

/// And the picks of an earthquake there.
fn associate_config() -> AssociateConfig {
    AssociateConfig {
        settings: AssociateSettings::default(),
        earth: Earth::new(VelocityModel::built_in("iasp91").unwrap()).unwrap(),
        partition_count: 2,
    }
}

fn earthquake(config: &AssociateConfig, origin_time: Timestamp) -> Vec<Message> {
    let travel_time = &config.earth.travel_time;
    STATIONS
        .iter()
        .map(|(station, latitude, longitude)| {
            let time_s = travel_time.time_s(Phase::P, 111.2 * latitude.hypot(*longitude), 8.0, 0.0).unwrap();
            pick(station, origin_time.add_seconds(time_s))
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
fn a_message_with_a_number_that_is_none_becomes_a_dead_letter() {
    let mut out = Output::new("pick", WAVEFORMS_RAW, 0);
    let Message::Pick { pick: good, at: place } = pick("A", at(1)) else { unreachable!() };
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let picks =
            [Pick { snr: wrong, ..*good.clone() }, Pick { time_uncertainty_s: wrong, ..*good.clone() }];
        for pick in picks {
            out.emit(Message::Pick { pick: Box::new(pick), at: place }).unwrap();
        }
    }
    out.emit(Message::Pick { pick: good.clone(), at: place }).unwrap();
    assert_eq!(out.said().unwrap(), [Message::Pick { pick: good, at: place }], "what was said can be read");
    let reasons = out.reasons().unwrap();
    assert_eq!(reasons.len(), 6);
    assert!(reasons[0].contains("a number that is infinite or none"), "{reasons:?}");
}

#[test]
fn a_restored_pick_stage_works_by_the_settings_of_now() {
    let config = |p_snr_min: f64| PickConfig {
        settings: PickSettings { p_snr_min, s_snr_min: p_snr_min, ..PickSettings::default() },
        stations: Arc::default(),
        partition_count: 1,
        trace_delay_s: 60.0,
        agency_id: String::new(),
    };
    let mut out = Output::new("pick", WAVEFORMS_RAW, 0);
    let mut stage = PickStage::init(&config(1e9)).unwrap();
    for (start_s, restart) in [(1000, true), (1060, false)] {
        for code in ["HHZ", "HHN"] {
            let source_id = SourceId::from_nslc("XX", "A", "", code);
            let settings = PackSettings::new(source_id.as_str(), start_s * 1_000_000_000, 100.0);
            for bytes in pack(&settings, counts(code).as_slice()).unwrap() {
                let (key, value) = (source_id.as_str().to_owned().into(), bytes.into());
                stage.process(&record_of(NewRecord { key, value, arrival_time: None }), &mut out).unwrap();
            }
        }
        stage.process(&record_of(punctuation(Watermark(at(start_s + 60))).unwrap()), &mut out).unwrap();
        if restart {
            stage = PickStage::restore(&config(2.0), stage.snapshot()).unwrap();
        }
    }
    stage.process(&record_of(punctuation(Watermark::MAX).unwrap()), &mut out).unwrap();
    let said = out.said().unwrap();
    let times: Vec<Timestamp> = picks_of(&said).iter().map(|pick| pick.pick_time).collect();
    assert!(!times.is_empty() && times.iter().all(|time| *time >= at(1060)), "{times:?}");
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
    let config = PickConfig::without_stations(4);
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
    let config = PickConfig::without_stations(1);
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

/// A minute of counts of a vertical and a horizontal: noise, and after 30 s a P, after 33 s an S.
fn counts(code: &str) -> Vec<i32> {
    let mut noise = 1_u32;
    (0..6000)
        .map(|index| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = |onset_s: f64, gain: f64| {
                let since = f64::from(index) / 100.0 - onset_s;
                let wave = gain * (-since / 1.2).exp() * (std::f64::consts::TAU * 6.0 * since).sin();
                if since < 0.0 { 0.0 } else { wave }
            };
            let (p, s) = if code == "HHZ" { (30_000.0, 7000.0) } else { (6000.0, 40_000.0) };
            ((noise >> 22) as f64 - 512.0 + wave(30.0, p) + wave(33.0, s)).round() as i32
        })
        .collect()
}

/// What the pick stage says about that minute at each of the starts; activity flags are set in all records.
fn picked(inventory: Inventory, starts_s: &[i64], activity: u8) -> Vec<Message> {
    picked_beside(&Inventory::default(), inventory, starts_s, activity)
}

/// The same in a home that knows stations of which the log says nothing.
fn picked_beside(home: &Inventory, inventory: Inventory, starts_s: &[i64], activity: u8) -> Vec<Message> {
    let config = PickConfig {
        settings: PickSettings::default(),
        stations: Arc::new(home.clone()),
        partition_count: 1,
        trace_delay_s: 60.0,
        agency_id: String::new(),
    };
    let mut stage = PickStage::init(&config).unwrap();
    let mut out = Output::new("pick", WAVEFORMS_RAW, 0);
    for station in Announcement::all(&inventory).unwrap() {
        stage.process(&record_of(station.record()), &mut out).unwrap();
    }
    for start_s in starts_s {
        for code in ["HHZ", "HHN"] {
            let source_id = SourceId::from_nslc("XX", "A", "", code);
            let settings = PackSettings::new(source_id.as_str(), start_s * 1_000_000_000, 100.0);
            for mut bytes in pack(&settings, counts(code).as_slice()).unwrap() {
                bytes[36] = activity;
                let (key, value) = (source_id.as_str().to_owned().into(), bytes.into());
                stage.process(&record_of(NewRecord { key, value, arrival_time: None }), &mut out).unwrap();
            }
        }
    }
    stage.process(&record_of(punctuation(Watermark::MAX).unwrap()), &mut out).unwrap();
    assert_eq!(out.reasons().unwrap(), Vec::<String>::new());
    out.said().unwrap()
}

fn picks_of(said: &[Message]) -> Vec<&Pick> {
    said.iter()
        .filter_map(|said| match said {
            Message::Pick { pick, .. } => Some(&**pick),
            _ => None,
        })
        .collect()
}

/// Pitfall 17.
#[test]
fn amplitudes_are_made_with_the_response_of_the_epoch_of_the_record() {
    let epoch = |sensitivity: f64, start_s: Option<i64>, end_s: Option<i64>| Channel {
        source_id: SourceId::from_nslc("XX", "A", "", "HHN"),
        latitude: 0.0,
        longitude: 0.0,
        elevation_m: 0.0,
        depth_m: 0.0,
        azimuth: Some(0.0),
        dip: Some(0.0),
        sample_rate_hz: Some(100.0),
        sensor: None,
        start_time: start_s.map(at),
        end_time: end_s.map(at),
        response: Some(Response {
            sensitivity,
            sensitivity_frequency_hz: 1.0,
            input_unit: InputUnit::Velocity,
            poles_zeros: None,
        }),
        original: None,
        response_original: None,
    };
    let channels = vec![epoch(1e9, None, Some(5000)), epoch(4e9, Some(5000), None)];
    let said = picked(Inventory { stations: vec![], channels }, &[1000, 5000], 0);
    let peaks: Vec<f32> = said
        .iter()
        .filter_map(|said| match said {
            Message::AmplitudeTrace { amplitude_trace } => {
                Some(amplitude_trace.peaks_mm.iter().copied().fold(0.0, f32::max))
            }
            _ => None,
        })
        .collect();
    assert_eq!(peaks.len(), 2, "one trace an epoch");
    assert!((peaks[0] / peaks[1] - 4.0).abs() < 1e-3, "{peaks:?}");
}

/// A log of before stations stood in it, or one that lost them.
#[test]
fn stations_that_the_log_does_not_tell_of_are_those_of_the_home() {
    let station = |latitude: f64| seislake_model::Station {
        network: "XX".into(),
        station: "A".into(),
        latitude,
        longitude: 0.0,
        elevation_m: 0.0,
        site_name: None,
        start_time: None,
        end_time: None,
        original: None,
        network_original: None,
    };
    let of = |latitude| Inventory { stations: vec![station(latitude)], channels: Vec::new() };
    let latitudes = |said: Vec<Message>| -> Vec<Option<f64>> {
        let picks = said.into_iter().filter_map(|said| match said {
            Message::Pick { at, .. } => Some(at.map(|at| at.latitude)),
            _ => None,
        });
        picks.collect()
    };
    let untold = latitudes(picked_beside(&of(7.0), Inventory::default(), &[1000], 0));
    let told = latitudes(picked_beside(&of(7.0), of(8.0), &[1000], 0));
    assert!(!untold.is_empty() && untold.iter().all(|latitude| *latitude == Some(7.0)), "{untold:?}");
    assert!(told.len() == untold.len() && told.iter().all(|latitude| *latitude == Some(8.0)), "{told:?}");
}

/// Pitfall 20. Wrong today: records that say they hold a calibration pulse (activity flag, bit 0) are picked like any
/// other; only `inspect` tells them.
#[test]
fn records_flagged_as_calibration_are_picked_like_any_other() {
    let (plain, flagged) =
        (picked(Inventory::default(), &[1000], 0), picked(Inventory::default(), &[1000], 1));
    assert!(!picks_of(&plain).is_empty());
    assert_eq!(picks_of(&plain), picks_of(&flagged));
}

/// States are packed by position: a field that is left out where it is empty makes those behind it unreadable.
#[test]
fn traces_are_read_back_from_states_whatever_of_them_is_empty() {
    for (peaks_mm, high_peaks_mm) in
        [(vec![], vec![]), (vec![1.0], vec![]), (vec![], vec![2.0]), (vec![1.0, 2.0], vec![0.5, 0.25])]
    {
        let trace = AmplitudeTrace {
            source_id: SourceId::from_nslc("XX", "A", "", "HHE"),
            start_time: at(5),
            peaks_mm,
            noise_mm: 0.25,
            high_peaks_mm,
            high_noise_mm: 0.0177,
            at: Some(Coordinates { latitude: 1.0, longitude: -2.0, elevation_m: 3.0 }),
        };
        let packed = rmp_serde::to_vec(&vec![trace.clone()]).unwrap();
        assert_eq!(rmp_serde::from_slice::<Vec<AmplitudeTrace>>(&packed).unwrap(), [trace]);
    }
    // As it was before there were amplitudes above 2 Hz.
    let before = (SourceId::from_nslc("XX", "A", "", "HHE"), at(5), vec![1.0_f32], 0.25_f32);
    let read: AmplitudeTrace = rmp_serde::from_slice(&rmp_serde::to_vec(&before).unwrap()).unwrap();
    assert_eq!(
        (read.peaks_mm, read.high_peaks_mm, read.high_noise_mm, read.at),
        (vec![1.0], vec![], 0.0, None)
    );
}

/// A bit of a state changed on the disk: it is refused, or the stage goes on with it. How often each.
fn changed_states<S: Stage>(config: &S::Config, before: &[Record], after: &[Record]) -> (usize, usize) {
    let mut stage = S::init(config).unwrap();
    for record in before {
        stage.process(record, &mut Output::new(S::NAME, WAVEFORMS_RAW, 0)).unwrap();
    }
    let sound = rmp_serde::to_vec(&stage.snapshot()).unwrap();
    let (mut refused, mut went_on, mut random) = (0, 0, 1_u64);
    for _ in 0..300 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = sound.clone();
        let place = (random >> 20) as usize % bytes.len();
        bytes[place] ^= 1 << (random >> 61);
        let Ok(state) = rmp_serde::from_slice(&bytes) else {
            refused += 1;
            continue;
        };
        let mut stage = S::restore(config, state).unwrap();
        for record in after {
            let _ = stage.process(record, &mut Output::new(S::NAME, WAVEFORMS_RAW, 0));
        }
        drop(stage.snapshot());
        went_on += 1;
    }
    (refused, went_on)
}

#[test]
fn a_state_with_a_changed_bit_is_refused_or_worked_with() {
    let config = PickConfig::without_stations(1);
    let mut records = Vec::new();
    for code in ["HHZ", "HHN"] {
        let source_id = SourceId::from_nslc("XX", "A", "", code);
        for bytes in pack(&PackSettings::new(source_id.as_str(), 0, 100.0), counts(code).as_slice()).unwrap()
        {
            let (key, value) = (source_id.as_str().to_owned().into(), bytes.into());
            records.push(record_of(NewRecord { key, value, arrival_time: None }));
        }
    }
    let mut after = records.split_off(records.len() - 3);
    after.push(record_of(punctuation(Watermark::MAX).unwrap()));
    let (refused, went_on) = changed_states::<PickStage>(&config, &records, &after);
    assert!(refused > 0 && went_on > 0, "{refused} {went_on}");

    let config = associate_config();
    let mut records: Vec<Record> =
        earthquake(&config, at(1000)).into_iter().map(|said| message(0, said)).collect();
    let mut after = records.split_off(3);
    after.extend([0, 1].map(|partition| watermark(partition, Timestamp::MAX)));
    let (refused, went_on) = changed_states::<AssociateStage>(&config, &records, &after);
    assert!(refused > 0 && went_on > 0, "{refused} {went_on}");
}
