//! Numbers from independent programs: the Python package `filterpicker` 1.1.0 and ObsPy's `aic_simple`.

use crate::pick::{FilterPicker, FilterPickerSettings, Trigger, aic, split};

/// Uniform noise of a linear congruential generator that any language can repeat.
fn noise(state: &mut u64) -> f64 {
    *state = (1_103_515_245 * *state + 12_345) % (1 << 31);
    *state as f64 / f64::from(1_u32 << 31) - 0.5
}

#[test]
fn filter_picker_crosses_its_threshold_where_the_python_package_does() {
    let events = [(2000, 7.0, 60.0), (3500, 12.0, 25.0), (4700, 3.0, 200.0)];
    let mut state = 20_240_101;
    let settings = FilterPickerSettings {
        filter_window_s: 1.6,
        long_term_window_s: 8.0,
        integral_window_s: 0.3,
        trigger_threshold: 7.0,
        integral_threshold: 7.0,
        warm_up_s: 8.0,
    };
    let mut picker = FilterPicker::new(&settings, 100.0);
    let mut triggers: Vec<Trigger> = vec![];
    let mut values = vec![];
    for index in 0..6000 {
        let mut sample = noise(&mut state);
        for (onset, hz, gain) in events {
            let since = f64::from(index - onset);
            if since >= 0.0 {
                sample += gain * (-since / 120.0).exp() * (std::f64::consts::TAU * hz * since / 100.0).sin();
            }
        }
        let (value, trigger) = picker.step(sample);
        values.push(value);
        triggers.extend(trigger);
    }
    // Samples at which its F exceeds 7 first: 2001, 3501, 4701. It starts its statistics from zero, ours are
    // averages over what there is, so values agree only once both have forgotten their begin.
    for (onset, gain) in [(2001, true), (4701, true)] {
        assert_eq!(triggers.iter().any(|trigger| trigger.index == onset), gain, "{triggers:?}");
    }
    assert!(values[2003] > 34.99 && values[4704] > 34.99);
    assert!(triggers.iter().all(|trigger| trigger.rise_index <= trigger.index));
}

#[test]
fn aic_agrees_with_obspy() {
    let mut state = 12_345;
    let samples: Vec<f64> = (0..60)
        .map(|index| {
            let x = noise(&mut state);
            if index < 37 { x } else { 8.0 * x }
        })
        .collect();
    let expected = [
        37.44869817,
        15.83423312,
        -1.310894567,
        -15.32600924,
        -32.30001913,
        -47.99904487,
        -68.5334144,
        16.48919564,
        19.78934327,
        31.02775476,
    ];
    let values = aic(&samples);
    // ObsPy counts the samples before the split less one.
    for (found, expected) in values[1..].iter().step_by(6).zip(expected).skip(1) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    assert_eq!(split(&samples, 3).map(|split| split.index), Some(37));
    assert_eq!(split(&[1.0; 50], 3), None);
    assert_eq!(aic(&[1.0, 2.0]), Vec::<f64>::new());
}
