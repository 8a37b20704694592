//! Whole-run functions against SciPy and ObsPy. `reference.py` beside this file computes `reference-signal.json`: every
//! twentieth value of each result. Numbers agree within 1e-9 of the largest value of the case, and the removal of a
//! response too: its transform has the same length as ObsPy's.

use std::sync::LazyLock;

use seislake_model::{InputUnit, PolesZeros, Response};

use crate::signal::*;

static REFERENCE: LazyLock<serde_json::Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("reference-signal.json")).unwrap());

const RATE_HZ: f64 = 50.0;
const TOLERANCE: f64 = 1e-9;

/// Noise of a generator that any language can repeat, a trend and a wavelet at 3 s.
fn samples() -> Vec<f64> {
    let mut state = 20_240_101_u64;
    (0..401)
        .map(|index| {
            state = (1_103_515_245 * state + 12_345) % (1 << 31);
            let since_s = f64::from(index) / RATE_HZ - 3.0;
            let wavelet = (-since_s).exp() * (4.0 * std::f64::consts::TAU * since_s).sin();
            let noise = state as f64 / f64::from(1_u32 << 31) - 0.5;
            1000.0 * noise
                + 200.0
                + 3.0 * f64::from(index)
                + if since_s >= 0.0 { 5000.0 * wavelet } else { 0.0 }
        })
        .collect()
}

fn flat() -> Vec<f64> {
    changed(demean)
}

fn changed(change: impl FnOnce(&mut [f64])) -> Vec<f64> {
    let mut values = samples();
    change(&mut values);
    values
}

fn check(case: &str, found: &[f64]) {
    let reference = &REFERENCE["cases"][case];
    assert_eq!(Some(found.len() as u64), reference["count"].as_u64(), "{case}: length");
    let expected: Vec<f64> =
        reference["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let stride = REFERENCE["stride"].as_u64().unwrap() as usize;
    assert_eq!(expected.len(), found.len().div_ceil(stride), "{case}");
    for (index, (found, expected)) in found.iter().step_by(stride).zip(&expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE * largest,
            "{case}: value {} is {found}, not {expected}",
            index * stride
        );
    }
}

#[test]
fn trend_taper_and_calculus_agree_with_obspy() {
    check("demean", &flat());
    check("detrend", &changed(detrend));
    check("taper", &changed(|samples| taper(samples, 0.07)));
    check("taper_half", &changed(|samples| taper(&mut samples[..400], 0.5))[..400]);
    check("integrate", &changed(|samples| integrate(samples, RATE_HZ)));
    check("differentiate", &changed(|samples| differentiate(samples, RATE_HZ)));
}

#[test]
fn zero_phase_filter_agrees_with_obspy() {
    let filter = butterworth(3, Band::BandPass { low_hz: 2.0, high_hz: 8.0 }, RATE_HZ).unwrap();
    let mut values = flat();
    filter.apply_zero_phase(&mut values);
    check("zero_phase", &values);
}

#[test]
fn resampling_agrees_with_scipy() {
    check("decimate_5", &resample(&samples(), 1, 5));
    check("resample_4_5", &resample(&samples(), 4, 5));
    check("resample_3", &resample(&samples(), 3, 1));
    assert_eq!(resample(&samples(), 1, 1), samples());
    assert_eq!(resample(&[], 2, 1), Vec::<f64>::new());
}

#[test]
fn ratios_of_rates_are_those_of_whole_numbers() {
    assert_eq!(rate_ratio(100.0, 40.0), Some((2, 5)));
    assert_eq!(rate_ratio(100.0, 200.0), Some((2, 1)));
    assert_eq!(rate_ratio(33.333_333, 100.0), Some((3, 1)));
    assert_eq!(rate_ratio(100.0, 0.1), Some((1, 1000)));
    assert_eq!(rate_ratio(100.0, 100.0), Some((1, 1)));
    for (from, to) in
        [(100.0, 0.09), (0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, std::f64::consts::SQRT_2)]
    {
        assert_eq!(rate_ratio(from, to), None, "{from} to {to}");
    }
}

#[test]
fn spectra_agree_with_scipy() {
    let (whole, mut fourier) = (samples(), Fourier::default());
    check("amplitudes", &fourier.amplitudes(&whole, RATE_HZ));
    check("amplitudes_even", &fourier.amplitudes(&whole[..400], RATE_HZ));
    let welch = |fourier: &mut Fourier, count, step| {
        SpectralWindow::new(count, step, RATE_HZ).welch(fourier, std::iter::once(whole.as_slice()))
    };
    check("welch", &welch(&mut fourier, 100, 50));
    check("welch_odd", &welch(&mut fourier, 75, 50));
    check("spectrogram", &SpectralWindow::new(64, 32, RATE_HZ).density(&mut fourier, &whole[96..]));
    assert_eq!(welch(&mut fourier, 402, 1), Vec::<f64>::new());
    assert_eq!(fourier.amplitudes(&[], RATE_HZ), Vec::<f64>::new());
}

#[test]
fn envelope_and_correlation_agree_with_obspy() {
    let (whole, mut fourier) = (samples(), Fourier::default());
    let mut values = flat();
    fourier.envelope(&mut values);
    check("envelope", &values);
    let mut even = flat();
    fourier.envelope(&mut even[..400]);
    check("envelope_even", &even[..400]);
    check("correlation", &fourier.cross_correlation(&whole[..300], &whole[60..360], 90));
    let delayed = fourier.cross_correlation(&[0.0, 0.0, 5.0, 0.0], &[5.0, 0.0, 0.0, 0.0], 9);
    let largest = delayed.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!(largest, 9 + 2, "the first run comes two samples later");
    assert_eq!(fourier.cross_correlation(&[1.0; 4], &[1.0; 4], 1), [0.0; 3]);
}

#[test]
fn numbers_of_a_run_agree_with_numpy() {
    check("rms", &[rms(&samples()).unwrap()]);
    check("peak", &[peak(&samples()).unwrap()]);
    check("energy", &[energy(&samples(), RATE_HZ).unwrap()]);
    assert_eq!((rms(&[]), peak(&[]), energy(&[], RATE_HZ)), (None, None, None));
}

#[test]
fn sta_lta_agrees_with_obspy_on_a_longer_run() {
    check("classic", &classic_sta_lta(&flat(), 10, 100));
    check("recursive", &recursive_sta_lta(&flat(), 10, 100));
}

fn seismometer(input_unit: InputUnit) -> Response {
    Response {
        sensitivity: 4.0e8,
        sensitivity_frequency_hz: 1.0,
        input_unit,
        poles_zeros: Some(PolesZeros {
            poles: vec![(-0.148, 0.148), (-0.148, -0.148), (-180.0, 90.0), (-180.0, -90.0)],
            zeros: vec![(0.0, 0.0), (0.0, 0.0)],
            normalization_factor: REFERENCE["factor"].as_f64().unwrap(),
        }),
    }
}

#[test]
fn removed_responses_agree_with_obspy() {
    let motion = |input, output, pre_filter_hz| {
        let removal = ResponseRemoval { pre_filter_hz, ..ResponseRemoval::to(output) };
        changed(|samples| {
            Fourier::default().remove_response(samples, RATE_HZ, &seismometer(input), &removal);
        })
    };
    let band = Some([0.2, 0.4, 15.0, 20.0]);
    let (displacement, velocity, acceleration) =
        (InputUnit::Displacement, InputUnit::Velocity, InputUnit::Acceleration);
    check("vel", &motion(velocity, velocity, None));
    check("disp", &motion(velocity, displacement, band));
    check("acc", &motion(velocity, acceleration, None));
    check("acc_to_vel", &motion(acceleration, velocity, band));
    let mut none = [];
    let removal = ResponseRemoval::to(velocity);
    Fourier::default().remove_response(&mut none, RATE_HZ, &seismometer(velocity), &removal);
}
