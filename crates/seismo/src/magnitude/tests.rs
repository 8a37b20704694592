//! Magnitudes against hand calculation.

use seislake_model::Origin;

use super::*;

fn time(seconds: f64) -> Timestamp {
    Timestamp::from_nanos(1_400_000_000_000_000_000).add_seconds(seconds)
}

fn location(traces: Vec<AmplitudeTrace>) -> Location {
    let origin = Origin {
        origin_id: "origin/1".into(),
        event_id: "event/1".into(),
        origin_time: time(0.0),
        time_uncertainty_s: 0.1,
        latitude: 0.0,
        longitude: 0.0,
        depth_km: 0.0,
        covariance_km2: [0.0; 6],
        ellipse_major_km: 0.0,
        ellipse_minor_km: 0.0,
        ellipse_azimuth: 0.0,
        depth_uncertainty_km: 0.0,
        rms_s: 0.0,
        azimuthal_gap: 0.0,
        nearest_station_km: 0.0,
        used_phase_count: 0,
        used_station_count: 0,
        provenance: Provenance::default(),
        earth_model: String::new(),
    };
    Location { origin, arrivals: Vec::new(), sites: BTreeMap::new(), amplitude_traces: traces }
}

/// Station number `n` stands `10 n` km to the north.
fn coordinates(source_id: &SourceId, _: Timestamp) -> Option<Coordinates> {
    let number: f64 = source_id.station().strip_prefix('S')?.parse().ok()?;
    let frame = crate::geometry::LocalFrame::new(0.0, 0.0);
    let (latitude, longitude) = frame.to_degrees(0.0, 10.0 * number);
    Some(Coordinates { latitude, longitude, elevation_m: 0.0 })
}

/// Peak of `peak_mm` in the second after S (3.5 km/s), half of it before, noise of 0.001 mm.
fn trace(station: usize, channel: &str, peak_mm: f32) -> AmplitudeTrace {
    let s = 10.0 * station as f64 / 3.5;
    let start = s.floor() - 5.0;
    let mut peaks_mm = vec![peak_mm / 2.0; 30];
    peaks_mm[5] = peak_mm;
    AmplitudeTrace {
        source_id: SourceId::from_nslc("XX", &format!("S{station}"), "", channel),
        start_time: time(start),
        peaks_mm,
        noise_mm: 0.001,
        high_peaks_mm: Vec::new(),
        high_noise_mm: 0.0,
        at: None,
    }
}

#[test]
fn one_millimetre_at_known_distances_gives_the_published_values() {
    for (distance_km, expected) in [(17.0, 1.9889), (50.0, 2.5714), (100.0, 3.0), (200.0, 3.5231)] {
        let value = Attenuation::HuttonBoore1987.minus_log_a0(distance_km).unwrap();
        assert!((value - expected).abs() < 1e-4, "{distance_km}: {value}");
        let iaspei = Attenuation::Iaspei.minus_log_a0(distance_km).unwrap();
        assert!((iaspei - value).abs() < 2e-3, "{distance_km}: {iaspei}");
    }
}

#[test]
fn a_regional_table_is_interpolated_and_ends_where_it_ends() {
    let table = Attenuation::Table(vec![(10.0, 1.0), (20.0, 2.0), (40.0, 2.4)]);
    let values = [5.0, 10.0, 15.0, 30.0, 40.0, 41.0].map(|r| table.minus_log_a0(r));
    assert_eq!(values, [None, Some(1.0), Some(1.5), Some(2.2), Some(2.4), None]);
    assert_eq!(table.minus_log_a0(f64::NAN), None);
}

#[test]
fn network_magnitude_is_the_median_of_station_means() {
    // Distances 10, 20, 30 km; amplitudes made for ML 2.0, 2.2 (as 2.1 and 2.3) and 3.0.
    let amplitude = |station: usize, magnitude: f64| {
        let correction = Attenuation::HuttonBoore1987.minus_log_a0(10.0 * station as f64).unwrap();
        10_f64.powf(magnitude - correction) as f32
    };
    let traces = vec![
        trace(1, "HHN", amplitude(1, 2.0)),
        trace(2, "HHN", amplitude(2, 2.1)),
        trace(2, "HHE", amplitude(2, 2.3)),
        trace(3, "HHE", amplitude(3, 3.0)),
    ];
    let result = local_magnitude(&MagnitudeSettings::default(), &location(traces), &coordinates);
    let magnitude = result.magnitude.unwrap();
    assert!((magnitude.magnitude - 2.2).abs() < 1e-3, "{}", magnitude.magnitude);
    let uncertainty = magnitude.uncertainty.unwrap();
    assert!((uncertainty - 0.5292).abs() < 1e-3, "{uncertainty}");
    assert_eq!((magnitude.station_count, magnitude.provenance.method.as_str()), (3, "hutton-boore-1987"));
    assert_eq!((result.amplitudes.len(), magnitude.event_id.as_str()), (4, "event/1"));
    let last = result.amplitudes.iter().map(|amplitude| amplitude.amplitude_time).max().unwrap();
    assert_eq!(magnitude.provenance.creation_time, Some(last.add_seconds(1.0)));
}

#[test]
fn too_few_stations_give_no_magnitude() {
    let event = location(vec![trace(1, "HHN", 1.0), trace(2, "HHN", 1.0)]);
    let result = local_magnitude(&MagnitudeSettings::default(), &event, &coordinates);
    assert_eq!((result.magnitude, result.amplitudes.len()), (None, 2));
    let two = MagnitudeSettings { stations_min: 2, ..MagnitudeSettings::default() };
    assert!(local_magnitude(&two, &event, &coordinates).magnitude.is_some());
}

#[test]
fn one_station_tells_nothing_of_the_uncertainty() {
    let one = MagnitudeSettings { stations_min: 1, ..MagnitudeSettings::default() };
    let event = location(vec![trace(1, "HHN", 1.0), trace(1, "HHE", 2.0)]);
    let magnitude = local_magnitude(&one, &event, &coordinates).magnitude.unwrap();
    assert_eq!((magnitude.station_count, magnitude.uncertainty), (1, None));
    let event = location(vec![trace(1, "HHN", 1.0), trace(2, "HHN", 1.0)]);
    let magnitude = local_magnitude(&one, &event, &coordinates).magnitude.unwrap();
    assert!(magnitude.uncertainty.is_some_and(|uncertainty| uncertainty > 0.0));
}

#[test]
fn noise_the_unknown_and_the_broken_do_not_count() {
    let mut traces: Vec<_> = (1..=4).map(|station| trace(station, "HHN", 1.0)).collect();
    traces[0].noise_mm = 0.5;
    traces[1].peaks_mm.fill(f32::NAN);
    traces[2].source_id = SourceId::from_nslc("XX", "NOWHERE", "", "HHN");
    let result = local_magnitude(&MagnitudeSettings::default(), &location(traces), &coordinates);
    let counted: Vec<_> = result.amplitudes.iter().map(|amplitude| amplitude.source_id.station()).collect();
    assert_eq!(counted, ["S4"]);
}

#[test]
fn a_peak_that_noise_hides_is_read_above_two_hertz_and_one_that_it_does_not_is_read_whole() {
    for (noise_mm, high_noise_mm, expected) in
        [(0.1, 0.1, Some(1.0)), (0.1, 0.3, Some(1.0)), (0.5, 0.1, Some(0.8)), (0.5, 0.3, None)]
    {
        let mut hidden = trace(4, "HHN", 1.0);
        hidden.high_peaks_mm = hidden.peaks_mm.iter().map(|peak| peak * 0.8).collect();
        (hidden.noise_mm, hidden.high_noise_mm) = (noise_mm, high_noise_mm);
        let result = local_magnitude(&MagnitudeSettings::default(), &location(vec![hidden]), &coordinates);
        let found = result.amplitudes.first().map(|amplitude| (amplitude.amplitude_mm * 10.0).round() / 10.0);
        assert_eq!(found, expected, "{noise_mm} {high_noise_mm}");
    }
}

#[test]
fn peaks_before_s_and_of_a_later_event_do_not_count() {
    let mut early = trace(4, "HHN", 1.0);
    early.peaks_mm[1] = 50.0;
    early.peaks_mm[29] = 90.0;
    let result = local_magnitude(&MagnitudeSettings::default(), &location(vec![early]), &coordinates);
    assert_eq!(result.amplitudes[0].amplitude_mm, 1.0);
}

/// Amplitude of a station 40 km away, its S 11.43 s behind the origin and 5.43 s behind the begin of its trace.
fn amplitude_mm(traces: Vec<AmplitudeTrace>) -> Option<f64> {
    let result = local_magnitude(&MagnitudeSettings::default(), &location(traces), &coordinates);
    result.amplitudes.first().map(|amplitude| amplitude.amplitude_mm)
}

#[test]
fn a_trace_that_ends_before_s_has_shown_has_no_amplitude() {
    // What is looked at ends 9 s behind S, in the 15th second.
    for (second_count, expected) in [
        (30, Some(1.0)),
        (15, Some(1.0)),
        (9, Some(1.0)),
        (8, None),
        (7, None),
        (6, None),
        (5, None),
        (1, None),
    ] {
        let mut cut = trace(4, "HHN", 1.0);
        cut.peaks_mm.truncate(second_count);
        assert_eq!(amplitude_mm(vec![cut]), expected, "{second_count} s");
    }
    let mut late = trace(4, "HHN", 1.0);
    late.start_time = late.start_time.add_seconds(6.0);
    assert_eq!(amplitude_mm(vec![late]), None, "begun behind S");
}

#[test]
fn a_peak_in_the_last_second_of_a_trace_that_ends_early_may_have_grown() {
    for (second_count, last_mm, expected) in [
        (10, 2.0, None),
        (10, 0.9, Some(1.0)),
        (15, 2.0, Some(2.0)),
        // Behind what is looked at.
        (16, 2.0, Some(1.0)),
    ] {
        let mut cut = trace(4, "HHN", 1.0);
        cut.peaks_mm.truncate(second_count);
        cut.peaks_mm[second_count - 1] = last_mm;
        assert_eq!(amplitude_mm(vec![cut]), expected, "{second_count} s, {last_mm} mm");
    }
    // Above 2 Hz it would be past its peak, but noise does not hide it below.
    let mut growing = trace(4, "HHN", 1.0);
    growing.peaks_mm.truncate(10);
    growing.peaks_mm[9] = 2.0;
    growing.high_peaks_mm = vec![0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1];
    growing.high_noise_mm = 0.001;
    assert_eq!(amplitude_mm(vec![growing]), None);
}

#[test]
fn noise_is_what_was_there_before_the_own_pick_though_an_earlier_event_still_runs() {
    // An earlier event 20 s before, whose trace begins in the quiet; the own begins in its coda.
    let own = trace(4, "HHN", 1.0);
    let mut earlier = own.clone();
    earlier.start_time = own.start_time.add_seconds(-20.0);
    earlier.peaks_mm = [vec![0.5; 20], own.peaks_mm.clone()].concat();
    for (coda_mm, expected) in [(0.2, Some(1.0)), (0.3, None)] {
        let own = AmplitudeTrace { noise_mm: coda_mm, ..own.clone() };
        assert_eq!(amplitude_mm(vec![earlier.clone(), own]), expected, "{coda_mm} mm");
    }
    // A pick between P and S begins a trace too, whose noise is the P wave of the same event.
    let p_time = own.start_time.add_seconds(0.4);
    let mut between = AmplitudeTrace { noise_mm: 0.3, ..own.clone() };
    between.start_time = own.start_time.add_seconds(2.0);
    between.peaks_mm.drain(..2);
    let mut event = location(vec![earlier, own.clone(), between]);
    event.arrivals.push(arrival_of(&own.source_id, Phase::P, p_time));
    event.arrivals.push(arrival_of(&own.source_id, Phase::S, own.start_time.add_seconds(5.4)));
    let result = local_magnitude(&MagnitudeSettings::default(), &event, &coordinates);
    assert_eq!(result.amplitudes.len(), 1);
}

fn arrival_of(source_id: &SourceId, phase: Phase, pick_time: Timestamp) -> Arrival {
    Arrival {
        arrival_id: "arrival/1".into(),
        origin_id: "origin/1".into(),
        event_id: "event/1".into(),
        pick_id: "pick/1".into(),
        source_id: source_id.clone(),
        pick_time,
        phase,
        distance_km: 40.0,
        azimuth: 0.0,
        residual_s: 0.0,
        weight: 1.0,
        time_uncertainty_s: None,
        polarity: None,
        onset: None,
        pick_method: None,
        pick_method_version: None,
    }
}

/// Pitfall 23.
#[test]
fn magnitudes_use_the_hypocentral_distance_of_a_source_and_a_sensor_at_their_heights() {
    let distance_km = |depth_km: f64, elevation_m: f64| {
        let mut event = location(vec![trace(4, "HHN", 1.0)]);
        event.origin.depth_km = depth_km;
        let high = |source_id: &SourceId, time| {
            coordinates(source_id, time).map(|at| Coordinates { elevation_m, ..at })
        };
        let result = local_magnitude(&MagnitudeSettings::default(), &event, &high);
        let amplitude = &result.amplitudes[0];
        let correction =
            Attenuation::HuttonBoore1987.minus_log_a0(amplitude.hypocentral_distance_km).unwrap();
        let expected = amplitude.amplitude_mm.log10() + correction;
        assert!((amplitude.station_magnitude - expected).abs() < 1e-9);
        amplitude.hypocentral_distance_km
    };
    // The station is 40 km away: 3-4-5 with a source 30 km below it, the same with 2 km of it as height.
    assert!((distance_km(30.0, 0.0) - 50.0).abs() < 0.05);
    assert!((distance_km(28.0, 2000.0) - 50.0).abs() < 0.05);
    // Above sea level depth is negative: at the height of the sensor only the epicentral distance is left.
    assert!((distance_km(-2.0, 2000.0) - 40.0).abs() < 0.05);
}

#[test]
fn a_component_that_records_too_little_does_not_count_for_its_station() {
    let all = |weak_mm: f32| {
        let strong = (1..=3).map(|station| trace(station, "HHE", 1.0));
        let other = (1..=3).map(|station| trace(station, "HHN", if station == 2 { weak_mm } else { 1.0 }));
        let located = location(strong.chain(other).collect());
        local_magnitude(&MagnitudeSettings::default(), &located, &coordinates)
    };
    let (sound, weak, quiet) = (all(1.0), all(0.05), all(0.2));
    let magnitude = |result: &MagnitudeResult| result.magnitude.as_ref().unwrap().clone();
    assert_eq!(magnitude(&weak).magnitude, magnitude(&sound).magnitude);
    assert_eq!(magnitude(&weak).uncertainty, magnitude(&sound).uncertainty);
    assert_eq!(weak.amplitudes.len(), 6, "the amplitude is told all the same");
    // 0.7 below the other: both count, as those of any S wave.
    assert_ne!(magnitude(&quiet).uncertainty, magnitude(&sound).uncertainty);
}
