#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! Frequency responses of real StationXML documents against evalresp: all stages, and what is left without the recorder's
//! digital filters; STA/LTA of real recordings against ObsPy.

use std::path::Path;

use rustfft::num_complex::Complex;

use seislake_model::{InputUnit, Timestamp};
use seislake_mseed::{Samples, ScanItem, Scanner};

use crate::signal::{
    FrequencyResponse, StagedResponse, classic_sta_lta, demean, recursive_sta_lta, trigger_onsets,
};

/// Amplitudes agree within this share up to this part of the sample rate: filters of recorders are one to about 2 % there.
const TOLERANCE: f64 = 0.03;
const BAND: f64 = 0.2;

/// All stages agree within this share, amplitude and phase, up to this part of the Nyquist frequency. The truth has nine
/// digits.
const STAGES_TOLERANCE: f64 = 1e-6;
const NYQUIST_SHARE: f64 = 0.8;

/// Documents whose overall sensitivity is not the product of the gains of their stages, which evalresp takes.
const CONTRADICT_THEMSELVES: [(&str, &str); 2] = [
    ("metadata/stationxml/IU_ANMO_BH.xml", "IU.ANMO.00.BH1"),
    ("metadata/stationxml/SL_BOJS_LHZ.xml", "SL.BOJS..LHZ"),
];

#[test]
fn responses_of_agencies_are_those_of_evalresp() {
    let Some(root) = seislake_recordings::folder() else { return };
    let text = std::fs::read_to_string(root.join("truth/response.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let frequencies: Vec<f64> = truth["frequencies_hz"].as_array().unwrap().iter().map(number).collect();
    let (mut agreeing, mut contradicting) = (0, 0);
    for (file, entry) in truth["files"].as_object().unwrap() {
        let Ok(parsed) = seislake_exchange::stationxml::read(&std::fs::read(root.join(file)).unwrap()) else {
            continue;
        };
        for channel in entry["channels"].as_array().unwrap() {
            let Some(expected) = channel["evalresp_VEL"].as_array() else { continue };
            let id = channel["id"].as_str().unwrap();
            let start: Timestamp = channel["start"].as_str().unwrap().parse().unwrap();
            let found = parsed.value.channels.iter().find(|found| {
                let source = &found.source_id;
                let parts = [source.network(), source.station(), source.location(), &source.channel()];
                parts.join(".") == id && found.start_time.unwrap_or(start) == start
            });
            let response = found.and_then(|found| found.response.as_ref());
            let Some(response) = response else {
                assert_eq!(channel["input_units"].as_str(), Some("COUNTS"), "{file} {id} has no response");
                continue;
            };
            let original = found.and_then(|found| found.response_original.as_deref()).unwrap();
            let stages = seislake_exchange::stationxml::response_stages(original);
            let staged = StagedResponse::new(&stages.unwrap()).unwrap();
            let nyquist_hz = 0.5 * number(&channel["rate"]);
            for (hz, expected) in frequencies.iter().zip(expected) {
                let expected = Complex::new(number(&expected[0]), number(&expected[1]));
                let error = (staged.at(InputUnit::Velocity, *hz) - expected).norm() / expected.norm();
                assert!(
                    *hz > NYQUIST_SHARE * nyquist_hz || error < STAGES_TOLERANCE,
                    "{file} {id} {hz} Hz: {error}"
                );
            }
            let band_hz = BAND * number(&channel["rate"]);
            let differs =
                frequencies.iter().zip(expected).filter(|(hz, _)| **hz <= band_hz).find(|(hz, expected)| {
                    let expected = Complex::new(number(&expected[0]), number(&expected[1]));
                    let found = response.at(InputUnit::Velocity, **hz);
                    (found.norm() / expected.norm() - 1.0).abs() > TOLERANCE
                });
            if CONTRADICT_THEMSELVES.contains(&(file, id)) {
                assert!(differs.is_some(), "{file} {id} agrees by now");
                contradicting += 1;
            } else {
                assert_eq!(differs, None, "{file} {id}");
                agreeing += 1;
            }
        }
    }
    assert_eq!((agreeing, contradicting), (123, 2), "channel epochs that agree, and that cannot");
}

/// Largest ratios agree to the digits that the truth gives.
const RATIO_TOLERANCE: f64 = 1e-6;
/// The truth lists the first onsets of a trace.
const ONSETS_LISTED: usize = 50;

/// The samples of the channel `id` (`NET.STA.LOC.CHA`) in `file`, one record behind the other.
fn samples_of(file: &Path, id: &str) -> Vec<f64> {
    let bytes = std::fs::read(file).unwrap();
    let mut all = Vec::new();
    for scanned in Scanner::new(&bytes) {
        let ScanItem::Record { record, .. } = scanned else { continue };
        let source: seislake_model::SourceId = record.source_id().parse().unwrap();
        let parts = [source.network(), source.station(), source.location(), &source.channel()];
        if parts.join(".") != id {
            continue;
        }
        match record.decode().unwrap().samples {
            Samples::Int32(samples) => all.extend(samples.into_iter().map(f64::from)),
            Samples::Float32(samples) => all.extend(samples.into_iter().map(f64::from)),
            Samples::Float64(samples) => all.extend(samples),
        }
    }
    all
}

#[test]
fn sta_lta_of_recordings_is_that_of_obspy() {
    let Some(root) = seislake_recordings::folder() else { return };
    let text = std::fs::read_to_string(root.join("truth/stalta.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    let truth = truth.as_object().unwrap();
    let (mut compared, mut texts) = (0, 0);
    for (name, expected) in truth {
        let (file, id) = name.split_once('#').unwrap();
        if file.ends_with(".slist.gz") {
            texts += 1;
            continue;
        }
        let mut samples = samples_of(&root.join(file), id);
        assert_eq!(samples.len() as u64, expected["npts"].as_u64().unwrap(), "{name}");
        demean(&mut samples);
        let count = |key: &str| expected[key].as_u64().unwrap() as usize;
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let (sta, lta) = (count("nsta"), count("nlta"));
        let ratios = [
            ("classic", classic_sta_lta(&samples, sta, lta)),
            ("recursive", recursive_sta_lta(&samples, sta, lta)),
        ];
        for (kind, ratio) in ratios {
            let expected = &expected[kind];
            let (place, largest) =
                ratio.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            assert!(
                (largest / number(&expected["max"]) - 1.0).abs() < RATIO_TOLERANCE,
                "{name} {kind}: {largest}"
            );
            assert_eq!(place as u64, expected["argmax"].as_u64().unwrap(), "{name} {kind}");
            let mut onsets = trigger_onsets(&ratio, number(&truth[name]["on"]), number(&truth[name]["off"]));
            onsets.truncate(ONSETS_LISTED);
            assert_eq!(serde_json::json!(onsets), expected["onsets"], "{name} {kind}");
        }
        compared += 1;
    }
    assert_eq!((compared, texts), (68, 6), "traces compared, and those that are no miniSEED");
}
