use proptest::prelude::*;

use super::*;

fn settings(filter_window_s: f64) -> FilterPickerSettings {
    FilterPickerSettings {
        filter_window_s,
        long_term_window_s: 4.0,
        integral_window_s: 0.3,
        trigger_threshold: 6.0,
        integral_threshold: 5.0,
        warm_up_s: 2.0,
    }
}

/// Noise in which the ground moves now and then, and the recorder is dead for a while.
fn recording() -> impl Strategy<Value = Vec<f64>> {
    let noise = prop::collection::vec(-1.0..1.0_f64, 3000);
    let bursts = prop::collection::vec((0..3000_usize, 1.0..300.0_f64), 0..5);
    (noise, bursts, 0..6000_usize).prop_map(|(mut samples, bursts, dead)| {
        for (begin, gain) in bursts {
            for (index, sample) in samples.iter_mut().skip(begin).take(200).enumerate() {
                *sample *= 1.0 + gain * (-(index as f64) / 40.0).exp();
            }
        }
        samples.iter_mut().skip(dead).take(500).for_each(|sample| *sample = 0.25);
        samples
    })
}

fn state(picker: &FilterPicker) -> String {
    serde_json::to_string(picker).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blocks_give_what_single_samples_give_however_they_are_cut(
        samples in recording(),
        filter_window_s in prop::sample::select(vec![0.1, 1.6, 4.0, 60.0]),
        cuts in prop::collection::vec(1..400_usize, 1..20),
    ) {
        let settings = settings(filter_window_s);
        let mut whole = FilterPicker::new(&settings, 100.0);
        let mut expected = vec![];
        whole.push(&samples, |at, trigger| expected.push((at, trigger)));
        let mut single = FilterPicker::new(&settings, 100.0);
        let mut found = vec![];
        for (at, sample) in samples.iter().enumerate() {
            found.extend(single.step(*sample).1.map(|trigger| (at as u64, trigger)));
        }
        prop_assert_eq!(&found, &expected);
        let mut cut = FilterPicker::new(&settings, 100.0);
        let mut found = vec![];
        let (mut rest, mut lengths) = (samples.as_slice(), cuts.iter().cycle());
        while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
            let (now, later) = rest.split_at(rest.len().min(*length));
            cut.push(now, |at, trigger| found.push((at, trigger)));
            rest = later;
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(state(&cut), state(&whole));
    }

    #[test]
    fn wide_registers_and_plain_code_agree(samples in recording()) {
        let mut picker = FilterPicker::new(&settings(1.6), 100.0);
        for sample in &samples[..1000] {
            picker.step(*sample);
        }
        let Ok(bands) = <[Bands; 1]>::try_from(picker.bands.clone()) else { panic!("one block of bands") };
        let quiet = Quiet { last_sample: samples[999], position: 1000.0, gain: picker.gain_min, limit: 1e300 };
        let text = |bands: Option<[Bands; 1]>| serde_json::to_string(&bands.map(|bands| bands.to_vec())).unwrap();
        prop_assert_eq!(
            text(quiet.pass(bands.clone(), &samples[1000..])),
            text(quiet.pass_plain(bands, &samples[1000..]))
        );
    }
}
