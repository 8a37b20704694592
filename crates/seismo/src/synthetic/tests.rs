//! Tests of the synthetic network: its truth is true, and its samples do not depend on the cut.

use proptest::prelude::*;
use seislake_model::Phase;

use super::*;

/// A half-space: straight rays.
#[derive(Debug)]
struct HalfSpace;

impl TravelTime for HalfSpace {
    fn name(&self) -> &str {
        "half-space"
    }

    fn time_s(&self, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> Option<f64> {
        let speed_km_per_s = if phase == Phase::P { 6.0 } else { 3.5 };
        Some(distance_km.hypot(depth_km + elevation_km) / speed_km_per_s)
    }
}

fn network(seed: u64) -> SyntheticNetwork {
    SyntheticNetwork::new(SyntheticSettings { seed, ..SyntheticSettings::default() }, &HalfSpace)
}

fn root_mean_square(samples: &[i32]) -> f64 {
    let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (power / samples.len() as f64).sqrt()
}

/// First differences: a crude high-pass filter that removes the microseism.
fn differences(samples: &[i32]) -> Vec<i32> {
    samples.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn samples(network: &SyntheticNetwork, channel_index: usize) -> Vec<i32> {
    let mut out = vec![0; network.sample_count() as usize];
    network.fill(channel_index, 0, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn samples_do_not_depend_on_the_cut(
        seed in 0_u64..3,
        channel_index in 0_usize..12,
        cuts in prop::collection::vec(1_usize..9000, 1..12),
        first in 0_u64..40_000,
    ) {
        let settings = SyntheticSettings { seed, station_count: 4, defects: vec![], ..Default::default() };
        let network = SyntheticNetwork::new(settings, &HalfSpace);
        let mut whole = vec![0; cuts.iter().sum()];
        network.fill(channel_index, first, &mut whole);
        let mut generator = network.generator(channel_index);
        let mut pieces = Vec::new();
        for cut in cuts {
            let mut piece = vec![0; cut];
            generator.fill(first + pieces.len() as u64, &mut piece);
            pieces.extend(piece);
        }
        prop_assert!(whole == pieces);
    }
}

#[test]
fn same_seed_same_network_and_other_seed_another() {
    let (one, again, other) = (network(5), network(5), network(6));
    assert_eq!(one.events(), again.events());
    assert_eq!(one.inventory(), again.inventory());
    assert_eq!(samples(&one, 7), samples(&again, 7));
    assert_ne!(one.events(), other.events());
}

#[test]
fn ten_minutes_hold_several_events_within_the_network_and_its_time() {
    for seed in 0..20 {
        let network = network(seed);
        assert!((4..=11).contains(&network.events().len()), "{}", network.events().len());
        for event in network.events() {
            assert!((1.8..=4.0).contains(&event.magnitude) && (3.0..=20.0).contains(&event.depth_km));
            let second = event.origin_time.seconds_since(network.settings().start_time);
            assert!((30.0..=541.0).contains(&second), "{second}");
            assert!((event.latitude - 31.0).abs() < 0.6 && (event.longitude - 103.4).abs() < 0.6);
        }
        let apart = |pair: &[SyntheticEvent]| pair[1].origin_time.seconds_since(pair[0].origin_time);
        assert!(network.events().windows(2).all(|pair| apart(pair) >= 44.9));
    }
}

#[test]
fn short_runs_have_an_event_too() {
    let settings = SyntheticSettings { duration_s: 60.0, ..Default::default() };
    assert_eq!(SyntheticNetwork::new(settings, &HalfSpace).events().len(), 1);
}

/// The measure: median over the stations of log10 of the mean horizontal Wood-Anderson amplitude, corrected with
/// Hutton & Boore. Tolerance 0.15: the site and path terms of 0.1 shrink to 0.03 in the median of 32; noise adds.
#[test]
fn wood_anderson_amplitudes_give_the_magnitude_back() {
    let network = network(2);
    let rate_hz = network.settings().sample_rate_hz;
    for (event_index, event) in network.events().iter().enumerate() {
        let mut magnitudes: Vec<f64> = Vec::new();
        for station_index in 0..network.settings().station_count {
            let station = &network.inventory().stations[station_index];
            let (p_time, s_time) = network.arrivals(event_index, station_index * COMPONENT_COUNT).unwrap();
            let first = (p_time.seconds_since(network.settings().start_time) * rate_hz) as u64;
            let mut count = ((s_time.seconds_since(p_time) + 15.0) * rate_hz) as usize;
            count = count.min((network.sample_count() - first) as usize);
            let mut peaks = 0.0;
            for component in 1..COMPONENT_COUNT {
                let mut counts = vec![0; count];
                network.fill(station_index * COMPONENT_COUNT + component, first, &mut counts);
                let velocity: Vec<f64> = counts.iter().map(|count| f64::from(*count) / 6.0e8).collect();
                peaks += 0.5 * wavelet::wood_anderson_peak_mm(&velocity, rate_hz).log10();
            }
            let (distance_km, _) = crate::geometry::distance_azimuth(
                event.latitude,
                event.longitude,
                station.latitude,
                station.longitude,
            );
            let hypocentral_km = distance_km.hypot(event.depth_km + station.elevation_m / 1000.0);
            magnitudes.push(peaks - wavelet::hutton_boore_amplitude_mm(0.0, hypocentral_km).log10());
        }
        magnitudes.sort_by(f64::total_cmp);
        let median = magnitudes[magnitudes.len() / 2];
        assert!((median - event.magnitude).abs() < 0.15, "{median} {}", event.magnitude);
    }
}

/// Magnitudes of 1 mm by hand from the published formula: 1.110 log10(R/100) + 0.00189 (R - 100) + 3.
#[test]
fn hutton_boore_amplitudes_agree_with_published_corrections() {
    for (distance_km, correction) in [(17.0, 1.9889), (50.0, 2.5714), (100.0, 3.0), (200.0, 3.5231)] {
        let amplitude_mm = wavelet::hutton_boore_amplitude_mm(correction, distance_km);
        assert!((amplitude_mm - 1.0).abs() < 2e-4, "{distance_km} {amplitude_mm}");
    }
}

/// A 5 Hz velocity of 1 mm/s that swells slowly, so that the filter does not ring: the analytic gain is 2080 · s / (s² + 2hωs + ω²) at s = 10πi.
#[test]
fn wood_anderson_filter_has_the_analytic_gain() {
    let velocity: Vec<f64> =
        (0..4000).map(|n| f64::from(n) / 4e6 * (std::f64::consts::TAU * 0.05 * f64::from(n)).sin()).collect();
    let (s, omega) = (10.0 * std::f64::consts::PI, std::f64::consts::TAU / 0.8);
    let expected_mm = 2080.0 * s / (omega * omega - s * s).hypot(1.4 * omega * s);
    let peak_mm = wavelet::wood_anderson_peak_mm(&velocity, 100.0);
    assert!((peak_mm / expected_mm - 1.0).abs() < 0.03, "{peak_mm} {expected_mm}");
}

#[test]
fn smallest_events_stand_out_on_eight_stations() {
    for seed in 0..4 {
        let network = network(seed);
        let rate_hz = network.settings().sample_rate_hz;
        for event_index in 0..network.events().len() {
            let seen = (0..network.settings().station_count).filter(|station_index| {
                let channel_index = station_index * COMPONENT_COUNT;
                let (p_time, s_time) = network.arrivals(event_index, channel_index).unwrap();
                let onset = (p_time.seconds_since(network.settings().start_time) * rate_hz).ceil() as u64;
                let window = (s_time.seconds_since(p_time) * rate_hz).min(50.0) as usize;
                let (mut before, mut after) = (vec![0; 500], vec![0; window]);
                network.fill(channel_index, onset - 501, &mut before);
                network.fill(channel_index, onset, &mut after);
                root_mean_square(&differences(&after)) > 4.0 * root_mean_square(&differences(&before))
            });
            assert!(seen.count() >= 8, "seed {seed} event {:?}", network.events()[event_index]);
        }
    }
}

#[test]
fn noise_is_as_loud_as_the_station() {
    let network = network(3);
    let (channel_index, station) = (30, network.station_noise[10]);
    let mut out = vec![0; 40 * noise::HOP];
    network.fill(channel_index, 1_000 * noise::HOP as u64, &mut out);
    let expected = f64::from(station.microseism_counts).hypot(f64::from(station.local_counts));
    let measured = root_mean_square(&out);
    assert!((measured / expected - 1.0).abs() < 0.1, "{measured} {expected}");
}

#[test]
fn defects_are_where_they_are_said_to_be() {
    let network = network(4);
    assert_eq!(network.defects().len(), 3);
    for defect in network.defects() {
        match defect {
            Defect::Gap { channel_indices, start_time, end_time } => {
                assert_eq!(channel_indices.len(), COMPONENT_COUNT);
                let channel_index = channel_indices[0];
                assert!(network.is_missing(channel_index, *start_time));
                assert!(!network.is_missing(channel_index, *end_time));
                assert!(!network.is_missing((channel_index + 3) % 96, *start_time));
            }
            Defect::DeadChannel { channel_index, value } => {
                assert!(samples(&network, *channel_index).iter().all(|sample| sample == value));
            }
            Defect::DuplicatePacket { time, .. } => {
                assert!(*time < network.sample_time(network.sample_count()));
            }
        }
    }
}

#[test]
fn first_motion_follows_the_radiation() {
    let network = network(1);
    let settings = network.settings();
    let mut ups = 0;
    for station_index in 0..settings.station_count {
        let path = network.paths[0][station_index].as_ref().unwrap();
        let vertical = path.wavelet(settings, 0);
        let mut begin = vec![0.0; 5];
        vertical.add_to(path.first, &mut begin);
        let first_motion: f32 = begin[..3].iter().sum();
        assert!(first_motion != 0.0);
        ups += usize::from(first_motion > 0.0);
    }
    assert!(
        (1..settings.station_count).contains(&ups),
        "a double couple pushes some and pulls others: {ups}"
    );
}

#[test]
fn sample_times_do_not_drift() {
    let network = network(1);
    let day = network.sample_time(8_640_000).seconds_since(network.settings().start_time);
    assert!((day - 86_400.0).abs() < 1e-9);
}
