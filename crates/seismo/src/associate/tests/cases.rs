//! Behaviour on events made by hand.

use super::*;

#[test]
fn finds_the_events_of_a_network_of_60_among_false_picks() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let stations = stations(&mut random, 60, 120.0);
    let sources: Vec<Source> = (0..60)
        .map(|_| Source {
            seconds: random.random_range(0.0..14_400.0),
            east_km: random.random_range(-60.0..60.0),
            north_km: random.random_range(-60.0..60.0),
            depth_km: random.random_range(2.0..16.0),
        })
        .collect();
    let mut picks = Vec::new();
    let mut heard = Vec::new();
    for source in sources {
        let reach_km = random.random_range(25.0..90.0);
        let mut own = arrivals(&mut random, &stations, source, (reach_km, 0.25));
        own.retain(|_| random.random::<f64>() < 0.85);
        if own.len() >= 6 {
            heard.push(place(source));
        }
        picks.extend(own);
    }
    picks.extend(noise(&mut random, &stations, picks.len() * 3 / 10, 0.0..14_400.0));
    let associations = associate(&AssociateSettings::default(), &picks);
    let hits = matched(&heard, &associations, (1.0, 5.0));
    let (recall, precision) = (hits as f64 / heard.len() as f64, hits as f64 / associations.len() as f64);
    assert!(recall >= 0.98 && precision >= 0.98, "recall {recall}, precision {precision}");

    let mut ids: Vec<&str> =
        associations.iter().flat_map(|event| &event.picks).map(|pick| pick.pick_id.as_str()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "a pick belongs to one event at most");
}

#[test]
fn events_some_seconds_apart_on_the_same_stations_stay_apart() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let stations = stations(&mut random, 12, 40.0);
    let sources =
        [0.0, 7.0, 12.0].map(|seconds| Source { seconds, east_km: 2.0, north_km: 1.0, depth_km: 6.0 });
    let picks: Vec<Placed> = sources
        .into_iter()
        .flat_map(|source| arrivals(&mut random, &stations, source, (100.0, 0.1)))
        .collect();
    let associations = associate(&AssociateSettings::default(), &picks);
    assert_eq!(associations.len(), 3);
    assert_eq!(matched(&sources.map(place), &associations, (0.5, 2.0)), 3);
    assert!(associations.iter().all(|event| event.picks.len() == 24), "all P and S");
}

#[test]
fn second_triggers_do_not_split_an_event() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let stations = stations(&mut random, 20, 60.0);
    let source = Source { seconds: 0.0, east_km: 5.0, north_km: -8.0, depth_km: 9.0 };
    let picks = arrivals(&mut random, &stations, source, (100.0, 0.1));
    // Within the interval between events; beyond it second triggers of all stations are a second event.
    for (delay_s, event_interval_s, expected) in
        [(0.5, 1.0, 1), (0.8, 1.0, 1), (0.95, 1.0, 1), (1.3, 3.0, 1), (2.5, 3.0, 1), (2.5, 1.0, 2)]
    {
        let again = picks.iter().map(|(first, at)| {
            (pick(first.source_id.station(), first.phase, first.pick_time.add_seconds(delay_s)), *at)
        });
        let both: Vec<Placed> = picks.iter().cloned().chain(again).collect();
        let settings = AssociateSettings { event_interval_s, ..AssociateSettings::default() };
        assert_eq!(associate(&settings, &both).len(), expected, "{delay_s} {event_interval_s}");
    }
}

#[test]
fn four_stations_suffice_and_three_where_the_settings_say_so() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let stations = stations(&mut random, 4, 150.0);
    let source = Source { seconds: 0.0, east_km: 20.0, north_km: 10.0, depth_km: 130.0 };
    let picks = arrivals(&mut random, &stations, source, (500.0, 0.1));
    let associations = associate(&AssociateSettings::default(), &picks);
    assert_eq!(matched(&[place(source)], &associations, (3.0, 25.0)), 1, "{associations:?}");

    let three = &picks[..6];
    assert!(associate(&AssociateSettings::default(), three).is_empty());
    let sparse = AssociateSettings { sparse_stations_with_both_min: 3, ..AssociateSettings::default() };
    assert_eq!(associate(&sparse, three).len(), 1);
}

#[test]
fn noise_alone_makes_no_events() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let stations = stations(&mut random, 30, 100.0);
    let picks = noise(&mut random, &stations, 1000, 0.0..7200.0);
    assert!(associate(&AssociateSettings::default(), &picks).is_empty());
}

#[test]
fn nothing_comes_before_its_picks_and_amplitudes_are_complete() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let stations = stations(&mut random, 10, 50.0);
    let source = Source { seconds: 5.0, east_km: 0.0, north_km: 0.0, depth_km: 8.0 };
    let mut associator = Associator::new(AssociateSettings::default(), model());
    for (pick, at) in arrivals(&mut random, &stations, source, (100.0, 0.1)) {
        associator.push_pick(pick, at);
    }
    assert!(associator.advance(time(60.0)).is_empty());
    let declared = associator.advance(time(400.0));
    assert_eq!(declared.len(), 1);
    let first = declared[0].picks.iter().min_by_key(|pick| pick.pick_time).unwrap();
    assert_eq!(declared[0].event_id, EventId::of(&first.pick_id));
    assert!(associator.advance(Timestamp::MAX).is_empty());
}

#[test]
fn amplitudes_go_to_the_event_of_their_station_and_time() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let stations = stations(&mut random, 8, 50.0);
    let source = Source { seconds: 0.0, east_km: 0.0, north_km: 0.0, depth_km: 8.0 };
    let mut associator = Associator::new(AssociateSettings::default(), model());
    for (pick, at) in arrivals(&mut random, &stations, source, (100.0, 0.1)) {
        associator.push_pick(pick, at);
    }
    for (station, seconds) in [("S03", 1.0), ("S03", 300.0), ("S03", -300.0), ("OTHER", 1.0)] {
        associator.push_amplitude_trace(AmplitudeTrace {
            source_id: SourceId::from_nslc("XX", station, "", "HHE"),
            start_time: time(seconds),
            peaks_mm: vec![1.0; 30],
            noise_mm: 0.1,
            high_peaks_mm: Vec::new(),
            high_noise_mm: 0.0,
            at: None,
        });
    }
    let declared = associator.advance(Timestamp::MAX);
    let traces: Vec<Timestamp> = declared[0].amplitude_traces.iter().map(|trace| trace.start_time).collect();
    assert_eq!(traces, [time(1.0)]);
}

#[test]
fn late_picks_still_find_each_other() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let stations = stations(&mut random, 10, 50.0);
    let source = Source { seconds: 0.0, east_km: 3.0, north_km: 3.0, depth_km: 8.0 };
    let mut associator = Associator::new(AssociateSettings::default(), model());
    assert!(associator.advance(time(3600.0)).is_empty());
    for (pick, at) in arrivals(&mut random, &stations, source, (100.0, 0.1)) {
        associator.push_pick(pick, at);
    }
    assert_eq!(associator.advance(time(3601.0)).len(), 1);
}

#[test]
fn strange_times_and_places_do_no_harm() {
    let mut associator = Associator::new(AssociateSettings::default(), model());
    let at = |latitude: f64, longitude: f64| Coordinates { latitude, longitude, elevation_m: 0.0 };
    let places =
        [at(f64::NAN, 0.0), at(90.0, 0.0), at(-90.0, 180.0), at(0.0, -180.0), at(0.0, 179.9), at(1.0, 900.0)];
    for (index, place) in places.into_iter().enumerate() {
        for moment in [Timestamp::MIN, Timestamp::MAX, time(0.0), time(1.0)] {
            for phase in [Phase::P, Phase::S] {
                associator.push_pick(pick(&format!("S{index}"), phase, moment), place);
            }
        }
    }
    associator.advance(time(0.0));
    associator.advance(Timestamp::MAX);
    assert!(associator.snapshot().picks.is_empty());
}

#[test]
fn holds_no_more_picks_than_allowed() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let stations = stations(&mut random, 10, 50.0);
    let settings = AssociateSettings { held_picks_max: 100, ..AssociateSettings::default() };
    let mut associator = Associator::new(settings, model());
    let mut sources = Vec::new();
    for index in 0..20 {
        let source = Source { seconds: 400.0 * f64::from(index), east_km: 1.0, north_km: 2.0, depth_km: 7.0 };
        sources.push(place(source));
        for (pick, at) in arrivals(&mut random, &stations, source, (100.0, 0.1)) {
            associator.push_pick(pick, at);
            assert!(associator.snapshot().picks.len() <= 100);
        }
    }
    let associations = associator.advance(Timestamp::MAX);
    assert_eq!((associations.len(), matched(&sources, &associations, (0.5, 2.0))), (20, 20));
}

/// Pitfall 21. Wrong today: P of a distant earthquake, or PKP, that crosses a local network nearly at once is taken for
/// events deep below it, each of a part of the picks. Nothing here knows of waves from outside.
#[test]
fn a_teleseism_crossing_the_network_is_taken_for_deep_events() {
    let mut random = ChaCha8Rng::seed_from_u64(10);
    let stations = stations(&mut random, 40, 120.0);
    for apparent_km_s in [12.0, 20.0, 1000.0] {
        let wave: Vec<Placed> = stations
            .iter()
            .map(|(name, at)| {
                let (east_km, _) = frame().to_km(at.latitude, at.longitude);
                let error = random.random_range(-0.1..0.1);
                (pick(name, Phase::P, time(east_km / apparent_km_s + error)), *at)
            })
            .collect();
        let found = associate(&AssociateSettings::default(), &wave);
        assert!((1..=4).contains(&found.len()), "{apparent_km_s} km/s: {}", found.len());
        assert!(found.iter().all(|event| event.depth_km > 50.0 && event.picks.len() < 20));
    }
}
