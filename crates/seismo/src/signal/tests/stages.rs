//! Every kind of stage against evalresp. `response_stages.py` beside this file writes the document and computes
//! `reference-response-stages.json` from it. Values agree within 1e-9 of themselves: both sides sum the same numbers.

use rustfft::num_complex::Complex;
use seislake_model::{
    InputUnit, Plane, ResponseStage, ResponseStages, StageFilter, StageGain, Symmetry, TotalSensitivity,
};

use crate::signal::{FrequencyResponse, StageError, StageWarning, StagedResponse};

const DOCUMENT: &[u8] = include_bytes!("testdata-response-stages.xml");
const REFERENCE: &str = include_str!("reference-response-stages.json");
const TOLERANCE: f64 = 1e-9;

fn responses() -> Vec<(String, ResponseStages)> {
    let parsed = seislake_exchange::stationxml::read(DOCUMENT).unwrap();
    assert_eq!(parsed.problems, []);
    let stages = |text: &str| seislake_exchange::stationxml::response_stages(text).unwrap();
    let one = |channel: seislake_model::Channel| {
        (channel.source_id.channel(), stages(&channel.response_original.unwrap()))
    };
    parsed.value.channels.into_iter().map(one).collect()
}

#[test]
fn every_kind_of_stage_is_that_of_evalresp() {
    let reference: serde_json::Value = serde_json::from_str(REFERENCE).unwrap();
    let frequencies: Vec<f64> = serde_json::from_value(reference["frequencies_hz"].clone()).unwrap();
    let responses = responses();
    assert_eq!(responses.len(), reference["responses"].as_object().unwrap().len());
    for (code, stages) in responses {
        let response = StagedResponse::new(&stages).unwrap();
        for (output, name) in [
            (InputUnit::Displacement, "DISP"),
            (InputUnit::Velocity, "VEL"),
            (InputUnit::Acceleration, "ACC"),
        ] {
            let expected: Vec<[f64; 2]> =
                serde_json::from_value(reference["responses"][&code][name].clone()).unwrap();
            for (frequency_hz, [re, im]) in frequencies.iter().zip(expected) {
                let (found, expected) = (response.at(output, *frequency_hz), Complex::new(re, im));
                let error = (found - expected).norm() / expected.norm();
                assert!(error < TOLERANCE, "{code} {name} {frequency_hz} Hz: {found} {expected}");
            }
        }
    }
}

#[test]
fn the_stages_tell_the_overall_sensitivity_that_they_make() {
    let share = |code: &str| {
        let (_, stages) = responses().into_iter().find(|(name, _)| name == code).unwrap();
        let total = stages.total.unwrap();
        StagedResponse::new(&stages).unwrap().sensitivity(total.frequency_hz) / total.value
    };
    assert!((share("HHA") - 1.0).abs() < 0.05);
    assert!((share("HHC") - 1.887).abs() < 0.001, "the document says half of what its stages make");
}

#[test]
fn what_is_wrong_with_a_response_that_can_be_evaluated_is_said() {
    let warnings = |code: &str| {
        let (_, stages) = responses().into_iter().find(|(name, _)| name == code).unwrap();
        StagedResponse::new(&stages).unwrap().warnings().to_vec()
    };
    assert_eq!(warnings("HHA"), []);
    let is_sensitivity = |warning: &StageWarning| matches!(warning, StageWarning::Sensitivity { .. });
    assert!(warnings("HHC").iter().any(is_sensitivity), "{:?}", warnings("HHC"));
    let not_one = |warning: &StageWarning| matches!(warning, StageWarning::NotNormalised { stage: 1, .. });
    assert!(warnings("HHI").iter().any(not_one), "{:?}", warnings("HHI"));
    let rate = StageWarning::RateOfNeighbour { stage: 3, rate_hz: 100.0 };
    assert!(warnings("HHL").contains(&rate), "{:?}", warnings("HHL"));
}

fn flat(stage: ResponseStage) -> ResponseStages {
    ResponseStages {
        input_unit: InputUnit::Velocity,
        input_units_per_si: 1.0,
        total: Some(TotalSensitivity { value: 1.0, frequency_hz: 1.0 }),
        stages: vec![stage],
    }
}

#[test]
fn what_a_stage_lacks_is_said() {
    let gain = Some(StageGain { value: 2.0, frequency_hz: 1.0 });
    let fir = |coefficients: &[f64]| StageFilter::Fir {
        coefficients: coefficients.to_vec(),
        symmetry: Symmetry::None,
    };
    let stage =
        |filter: StageFilter, gain, decimation| flat(ResponseStage { number: 7, filter, gain, decimation });
    let elsewhere = Some(StageGain { value: 2.0, frequency_hz: 0.0 });
    let differentiator = StageFilter::PolesZeros {
        plane: Plane::RadiansPerSecond,
        poles: vec![],
        zeros: vec![(0.0, 0.0)],
        normalization_factor: 1.0,
        normalization_frequency_hz: 1.0,
    };
    for (response, expected) in [
        (stage(StageFilter::Flat, None, None), StageError::NoGain { stage: 7 }),
        (stage(fir(&[1.0]), gain, None), StageError::NoRate { stage: 7 }),
        (stage(differentiator, elsewhere, None), StageError::NothingPasses { stage: 7, frequency_hz: 0.0 }),
        (stage(StageFilter::List(vec![]), gain, None), StageError::List { stage: 7, count: 0 }),
        (
            stage(StageFilter::Polynomial(vec![0.0, 1.0, 2.0]), None, None),
            StageError::NotLinear { stage: 7, count: 3 },
        ),
    ] {
        assert_eq!(StagedResponse::new(&response), Err(expected));
    }
    let response = StagedResponse::new(&stage(StageFilter::Flat, gain, None)).unwrap();
    assert_eq!(response.at(InputUnit::Velocity, 3.0), Complex::new(2.0, 0.0));
    assert_eq!(response.at(InputUnit::Displacement, 0.0), Complex::default());
    assert_eq!(response.at(InputUnit::Acceleration, 0.0), Complex::default(), "no value, not infinity");
}
