use proptest::prelude::*;
use seislake_model::{
    Amplitude, Arrival, ArrivalId, Coordinates, EvaluationMode, Origin, Phase, PickId, SourceId,
};

use super::*;
use crate::geometry::distance_azimuth;

const BEGIN_S: f64 = 1_000_000.0;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_nanos(0).add_seconds(BEGIN_S + seconds)
}

/// Straight rays at 6 km/s.
#[derive(Debug)]
struct Straight;

impl TravelTime for Straight {
    fn name(&self) -> &str {
        "straight"
    }

    fn time_s(&self, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> Option<f64> {
        let km = distance_km.hypot(depth_km + elevation_km);
        Some(km / if phase == Phase::P { 6.0 } else { 3.5 })
    }
}

/// Where the stations A, B, … stand.
fn site(station: &str) -> Coordinates {
    let number = f64::from(station.bytes().next().unwrap_or(b'A') - b'A');
    let (north, east) = (number.sin(), number.cos());
    Coordinates { latitude: 64.0 + 0.2 * north, longitude: -17.0 + 0.4 * east, elevation_m: 0.0 }
}

/// An origin at `seconds` with a P at each station and the picks of these numbers.
fn location(name: &str, seconds: f64, picks: &[(u32, &str)]) -> Location {
    let event_id = EventId::of(name);
    let origin_id = OriginId::of(&format!("{name}/{picks:?}/{seconds}"));
    let arrivals = picks.iter().map(|(number, station)| {
        let source_id: SourceId = format!("FDSN:XX_{station}__H_H_Z").parse().unwrap();
        let at_station = site(station);
        let (km, _) = distance_azimuth(64.0, -17.0, at_station.latitude, at_station.longitude);
        let travel_s = Straight.time_s(Phase::P, km, 8.0, 0.0).unwrap();
        Arrival {
            arrival_id: ArrivalId::of(&format!("{origin_id}/{number}")),
            origin_id: origin_id.clone(),
            event_id: event_id.clone(),
            pick_id: PickId::of(&number.to_string()),
            source_id,
            pick_time: at(seconds + travel_s),
            phase: Phase::P,
            distance_km: 10.0,
            azimuth: 0.0,
            residual_s: 0.0,
            weight: 1.0,
            time_uncertainty_s: None,
            polarity: None,
            onset: None,
            pick_method: None,
            pick_method_version: None,
        }
    });
    let arrivals: Vec<Arrival> = arrivals.collect();
    let origin = Origin {
        origin_id: origin_id.clone(),
        event_id,
        origin_time: at(seconds),
        time_uncertainty_s: 0.2,
        latitude: 64.0,
        longitude: -17.0,
        depth_km: 8.0,
        covariance_km2: [1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
        ellipse_major_km: 1.0,
        ellipse_minor_km: 1.0,
        ellipse_azimuth: 0.0,
        depth_uncertainty_km: 1.0,
        rms_s: 0.1,
        azimuthal_gap: 90.0,
        nearest_station_km: 5.0,
        used_phase_count: arrivals.len() as u32,
        used_station_count: arrivals.len() as u32,
        provenance: Provenance::automatic("octree-edt", "1", Some(at(seconds + 20.0))),
        earth_model: "test".to_owned(),
    };
    let place = |arrival: &Arrival| (arrival.source_id.clone(), site(arrival.source_id.station()));
    let sites = arrivals.iter().map(place).collect();
    Location { origin, arrivals, sites, amplitude_traces: Vec::new() }
}

fn origin(location: Location) -> Proposal {
    Proposal::Origin { location: Box::new(location) }
}

fn magnitude(of: &Location, magnitude: f64, station_count: u32) -> Proposal {
    let Origin { origin_id, event_id, .. } = of.origin.clone();
    let kind = "ML".to_owned();
    let magnitude = Magnitude {
        magnitude_id: MagnitudeId::of(&format!("{origin_id}/{magnitude}")),
        event_id: event_id.clone(),
        origin_id: origin_id.clone(),
        magnitude_type: kind,
        magnitude,
        uncertainty: None,
        station_count,
        provenance: Provenance::automatic("hutton-boore-1987", "1", Some(at(60.0))),
    };
    let amplitude = Amplitude {
        amplitude_id: "amplitude/1".into(),
        event_id,
        origin_id,
        source_id: "FDSN:XX_A__H_H_N".parse().unwrap(),
        amplitude_mm: 1.0,
        amplitude_time: at(5.0),
        hypocentral_distance_km: 10.0,
        station_magnitude: 2.0,
    };
    Proposal::Magnitude {
        magnitude: Box::new(MagnitudeResult { magnitude: Some(magnitude), amplitudes: vec![amplitude] }),
    }
}

fn by_hand(event_id: &EventId, action: ReviewAction) -> Proposal {
    let provenance = Provenance {
        author: "analyst".to_owned(),
        evaluation_mode: EvaluationMode::Manual,
        creation_time: Some(at(1000.0)),
        ..Provenance::default()
    };
    Proposal::Review { review: Box::new(Review { event_id: event_id.clone(), action, provenance }) }
}

fn owner() -> EventOwner {
    EventOwner::new(EventSettings::default(), Arc::new(Straight))
}

/// The only event of the revision that a proposal makes.
fn one(owner: &mut EventOwner, proposal: Proposal) -> Event {
    let revision = owner.propose(proposal).unwrap().unwrap();
    assert_eq!(revision.events.len(), 1, "{revision:?}");
    revision.events[0].clone()
}

const FOUR: [(u32, &str); 4] = [(1, "A"), (2, "B"), (3, "C"), (4, "D")];

#[test]
fn an_origin_declares_an_event_and_its_magnitude_revises_it() {
    let mut owner = owner();
    let first = location("a", 0.0, &FOUR);
    let event = one(&mut owner, origin(first.clone()));
    assert_eq!((event.event_id.clone(), event.revision), (EventId::of("a"), 1));
    assert_eq!((event.magnitude, event.status), (None, EventStatus::Closed));
    assert_eq!(event.provenance.evaluation_status, EvaluationStatus::Preliminary);
    assert_eq!(event.provenance.creation_time, Some(at(20.0)));
    let event = one(&mut owner, magnitude(&first, 2.5, 3));
    assert_eq!(
        (event.revision, event.magnitude, event.magnitude_type.as_deref()),
        (2, Some(2.5), Some("ML"))
    );
    assert_eq!(event.provenance.creation_time, Some(at(60.0)), "the youngest of what it rests on");
    assert_eq!(owner.propose(origin(first.clone())), Ok(None), "said before");
    assert_eq!(owner.propose(magnitude(&first, 2.5, 3)), Ok(None), "said before");
}

#[test]
fn an_event_keeps_its_id_when_its_first_pick_changes() {
    let mut owner = owner();
    one(&mut owner, origin(location("a", 0.0, &FOUR)));
    let later = location("other first pick", -0.3, &[(9, "E"), (1, "A"), (2, "B"), (3, "C"), (4, "D")]);
    let revision = owner.propose(origin(later.clone())).unwrap().unwrap();
    let event = &revision.events[0];
    assert_eq!((event.event_id.clone(), event.revision), (EventId::of("a"), 2));
    assert_eq!(event.preferred_origin_id, later.origin.origin_id, "of more phases");
    assert_eq!(revision.origins[0].event_id, EventId::of("a"));
    assert!(revision.arrivals.iter().all(|arrival| arrival.event_id == EventId::of("a")));
    let fewer = owner.propose(origin(location("fewer", 0.1, &FOUR[..2]))).unwrap().unwrap();
    assert!(fewer.events.is_empty(), "an origin that is not preferred changes no event");
    assert_eq!(fewer.origins[0].event_id, EventId::of("a"), "but it is kept");
    let measured = owner.propose(magnitude(&later, 2.0, 3)).unwrap().unwrap();
    assert_eq!(measured.amplitudes[0].event_id, EventId::of("a"));
}

#[test]
fn two_halves_of_one_earthquake_are_one_event_and_two_earthquakes_are_two() {
    let mut owner = owner();
    one(&mut owner, origin(location("north", 0.0, &FOUR)));
    let of = |owner: &mut EventOwner, location: Location| {
        owner.propose(origin(location)).unwrap().unwrap().origins[0].event_id.clone()
    };
    let south = location("south", 0.2, &[(5, "E"), (6, "F"), (7, "G")]);
    assert_eq!(of(&mut owner, south), EventId::of("north"), "its picks come where the other has them");
    let other_sensors = location("sensors", 0.05, &[(31, "A"), (32, "B"), (33, "C")]);
    assert_eq!(of(&mut owner, other_sensors), EventId::of("north"), "the same P, picked again");
    let later = location("later", 0.7, &[(41, "H"), (42, "I"), (43, "J")]);
    assert_eq!(of(&mut owner, later), EventId::of("later"), "0.7 s: no picks of the other");
    let next = location("next", 0.35, &[(11, "A"), (12, "B"), (13, "H")]);
    assert_eq!(of(&mut owner, next), EventId::of("next"), "station A has a P of each");
    let with_s = |name, seconds, picks: &[(u32, &str)]| {
        let mut location = location(name, seconds, picks);
        let arrival = &mut location.arrivals[0];
        (arrival.phase, arrival.pick_time) = (Phase::S, arrival.pick_time.add_seconds(4.0));
        location
    };
    let s = with_s("S", 100.0, &[(51, "A"), (52, "K"), (53, "L")]);
    assert_eq!(of(&mut owner, s), EventId::of("S"));
    let other = with_s("other S", 100.4, &[(61, "A"), (62, "M"), (63, "N")]);
    assert_eq!(of(&mut owner, other), EventId::of("other S"), "station A has an S of each");
    let same = with_s("same S", 100.1, &[(71, "A"), (72, "O"), (73, "P")]);
    assert_eq!(of(&mut owner, same), EventId::of("S"));
}

#[test]
fn an_origin_that_joins_two_events_merges_them_and_leaves_a_pointer() {
    let mut owner = owner();
    one(&mut owner, origin(location("small", 0.0, &FOUR[..2])));
    one(&mut owner, origin(location("large", 4.9, &[(3, "A"), (4, "B"), (5, "E")])));
    let all = [(1, "A"), (2, "B"), (3, "A"), (4, "B"), (5, "E")];
    let revision = owner.propose(origin(location("all", 2.0, &all))).unwrap().unwrap();
    let [survivor, merged] = revision.events.as_slice() else { panic!("{revision:?}") };
    assert_eq!((survivor.event_id.clone(), survivor.revision), (EventId::of("large"), 2));
    assert_eq!((merged.event_id.clone(), merged.revision), (EventId::of("small"), 2));
    assert_eq!(merged.merged_into, Some(EventId::of("large")));
    assert_eq!(merged.status, EventStatus::Deleted);
    // Who speaks of the merged one speaks of its survivor.
    let event = one(
        &mut owner,
        by_hand(&EventId::of("small"), ReviewAction::Evaluate { status: EvaluationStatus::Confirmed }),
    );
    assert_eq!((event.event_id, event.revision), (EventId::of("large"), 3));
}

#[test]
fn a_person_decides_over_programs() {
    let mut owner = owner();
    let first = location("a", 0.0, &FOUR);
    let event_id = one(&mut owner, origin(first.clone())).event_id;
    let review = |action| by_hand(&event_id, action);
    let event = one(&mut owner, review(ReviewAction::Evaluate { status: EvaluationStatus::Reviewed }));
    assert_eq!(event.provenance.evaluation_status, EvaluationStatus::Reviewed);
    assert_eq!(event.provenance.evaluation_mode, EvaluationMode::Manual);

    let better = location("better", 0.1, &[(1, "A"), (2, "B"), (3, "C"), (4, "D"), (5, "E")]);
    assert_eq!(one(&mut owner, origin(better.clone())).preferred_origin_id, better.origin.origin_id);
    let back = ReviewAction::PreferOrigin { origin_id: first.origin.origin_id.clone() };
    assert_eq!(one(&mut owner, review(back)).preferred_origin_id, first.origin.origin_id);

    let by_hand = Provenance { evaluation_mode: EvaluationMode::Manual, ..Provenance::default() };
    let mut manual = location("manual", 0.2, &FOUR[..3]);
    manual.origin.provenance = by_hand;
    let kept = owner.propose(origin(manual)).unwrap().unwrap();
    assert!(kept.events.is_empty(), "what was chosen stays chosen");

    let gone = one(&mut owner, review(ReviewAction::Withdraw));
    assert_eq!((gone.status, gone.merged_into.clone()), (EventStatus::Deleted, None));
    let again = owner.propose(origin(location("again", 0.0, &FOUR[1..]))).unwrap().unwrap();
    assert_eq!(again.events[0].event_id, EventId::of("again"), "withdrawn events take nothing in ...");
    let named = owner.propose(origin(location("a", 0.1, &[(1, "A"), (61, "M")]))).unwrap().unwrap();
    assert_eq!((named.events.len(), &named.origins[0].event_id), (0, &event_id), "... but what names them");
    let both = [(1, "A"), (2, "B"), (3, "C"), (4, "D"), (62, "N")];
    let both = owner.propose(origin(location("a", 0.15, &both))).unwrap().unwrap();
    assert_eq!(both.origins[0].event_id, EventId::of("again"), "and is no living event's");
    let wrong = ReviewAction::PreferOrigin { origin_id: "origin/none".into() };
    assert!(matches!(owner.propose(review(wrong)), Err(Refusal::Senseless(_))));
    let nobody = by_hand_of("event/nobody");
    assert_eq!(
        owner.propose(nobody).unwrap_err().to_string(),
        "event \"event/nobody\" is not among the 5000 latest events"
    );
}

fn by_hand_of(event_id: &str) -> Proposal {
    by_hand(&event_id.into(), ReviewAction::Withdraw)
}

#[test]
fn a_split_gives_origins_and_their_magnitudes_to_an_event_of_their_own() {
    let mut owner = owner();
    let first = location("a", 0.0, &FOUR);
    let second = location("a", 0.3, &FOUR[..3]);
    let event_id = one(&mut owner, origin(first)).event_id;
    owner.propose(origin(second.clone())).unwrap();
    one(&mut owner, magnitude(&second, 3.0, 5));
    let split = ReviewAction::Split { origin_ids: vec![second.origin.origin_id.clone()] };
    let revision = owner.propose(by_hand(&event_id, split.clone())).unwrap().unwrap();
    let [left, new] = revision.events.as_slice() else { panic!("{revision:?}") };
    assert_eq!((left.event_id.clone(), left.magnitude), (event_id.clone(), None));
    assert_eq!((new.revision, new.magnitude), (1, Some(3.0)));
    assert_ne!(new.event_id, event_id);
    let error = owner.propose(by_hand(&event_id, split)).unwrap_err().to_string();
    assert!(error.ends_with("not all of these origins are its own"), "{error}");
    let merged = owner.propose(by_hand(&new.event_id, ReviewAction::Merge { into: event_id.clone() }));
    let merged = merged.unwrap().unwrap();
    assert_eq!(merged.events[0].merged_into, Some(event_id));
    assert_eq!(merged.events[1].magnitude, Some(3.0));
}

#[test]
fn the_preferred_magnitude_is_of_the_preferred_type_and_agency() {
    let settings = EventSettings { preferred_agencies: vec!["Ours".to_owned()], ..EventSettings::default() };
    let mut owner = EventOwner::new(settings, Arc::new(Straight));
    let first = location("a", 0.0, &FOUR);
    one(&mut owner, origin(first.clone()));
    let of = |kind: &str, agency: &str, value| {
        let Proposal::Magnitude { mut magnitude } = magnitude(&first, value, 3) else { unreachable!() };
        let one = magnitude.magnitude.as_mut().unwrap();
        (one.magnitude_type, one.provenance.agency_id) = (kind.to_owned(), agency.to_owned());
        Proposal::Magnitude { magnitude }
    };
    assert_eq!(one(&mut owner, of("ML", "", 3.0)).magnitude, Some(3.0));
    assert_eq!(one(&mut owner, of("mw", "", 3.2)).magnitude, Some(3.2));
    assert!(owner.propose(of("mb", "", 3.3)).unwrap().unwrap().events.is_empty());
    assert_eq!(one(&mut owner, of("mb", "OURS", 3.4)).magnitude, Some(3.4));
}

#[test]
fn only_the_latest_events_are_remembered() {
    let mut owner =
        EventOwner::new(EventSettings { events_max: 3, ..EventSettings::default() }, Arc::new(Straight));
    let stations = |n: u32| [(10 * n, "A"), (10 * n + 1, "B"), (10 * n + 2, "C")];
    let many: Vec<Location> =
        (0..10).map(|n| location(&n.to_string(), 100.0 * f64::from(n), &stations(n))).collect();
    for location in &many {
        one(&mut owner, origin(location.clone()));
    }
    assert_eq!(owner.snapshot().events.len(), 3);
    assert_eq!(
        (owner.index.of_event(&EventId::of("0")), owner.index.of_event(&EventId::of("9"))),
        (None, Some(9))
    );
    assert!(matches!(owner.propose(magnitude(&many[0], 1.0, 3)), Err(Refusal::NotFound { .. })));
    assert_eq!(one(&mut owner, magnitude(&many[9], 1.0, 3)).revision, 2);
}

/// Proposals about a few events, in any order; splits and magnitudes are of origins proposed before.
fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
    let stations = ["A", "B", "C", "D", "E", "F"];
    let picks = prop::collection::btree_map(0u32..12, prop::sample::select(stations.to_vec()), 2..6);
    let one = (0u32..4, 0.0..8.0, picks, 0u32..10, 0u32..4, any::<prop::sample::Index>());
    prop::collection::vec(one, 1..25).prop_map(|all| {
        let (mut made, mut proposals) = (Vec::<Location>::new(), Vec::new());
        for (name, seconds, picks, kind, other, index) in all {
            let picks: Vec<(u32, &str)> = picks.into_iter().collect();
            let new = location(&name.to_string(), seconds, &picks);
            let before = made.get(index.index(made.len().max(1))).cloned();
            let event_id = new.origin.event_id.clone();
            let measured = |alone: bool, of: &Location| match magnitude(of, 2.0, 3) {
                Proposal::Magnitude { mut magnitude } if alone => {
                    magnitude.magnitude = None;
                    Proposal::Magnitude { magnitude }
                }
                whole => whole,
            };
            match (kind, before) {
                (5, Some(of)) => proposals.push(measured(index.index(2) == 0, &of)),
                (6, Some(of)) => {
                    let origin_ids = vec![of.origin.origin_id];
                    proposals.push(by_hand(&of.origin.event_id, ReviewAction::Split { origin_ids }));
                }
                (7, _) => {
                    let into = EventId::of(&other.to_string());
                    proposals.push(by_hand(&event_id, ReviewAction::Merge { into }));
                }
                (8, _) => {
                    let status = EvaluationStatus::Confirmed;
                    proposals.push(by_hand(&event_id, ReviewAction::Evaluate { status }));
                }
                (9, _) => proposals.push(by_hand(&event_id, ReviewAction::Withdraw)),
                _ => {
                    made.push(new.clone());
                    proposals.push(origin(new));
                }
            }
        }
        proposals
    })
}

/// How many splits, merges and repeated results the proposals of the tests make: none would test nothing.
#[test]
fn generated_proposals_split_merge_and_measure() {
    use proptest::strategy::ValueTree;
    let (mut splits, mut merges, mut measured) = (0, 0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let mut owner = owner();
        for proposal in proposals().new_tree(&mut runner).unwrap().current() {
            let is_split = matches!(&proposal, Proposal::Review { review } if matches!(review.action, ReviewAction::Split { .. }));
            let Ok(Some(revision)) = owner.propose(proposal) else { continue };
            splits += usize::from(is_split);
            merges += usize::from(revision.events.iter().any(|event| event.merged_into.is_some()));
            measured += usize::from(!revision.amplitudes.is_empty());
        }
    }
    assert!(splits > 5 && merges > 20 && measured > 20, "{splits} {merges} {measured}");
}

proptest! {
    #[test]
    fn what_becomes_of_proposals_does_not_depend_on_cuts(proposals in proposals(), cut in 0usize..25) {
        let settings = EventSettings { events_max: 3, ..EventSettings::default() };
        let mut whole = EventOwner::new(settings.clone(), Arc::new(Straight));
        let mut parts = EventOwner::new(settings.clone(), Arc::new(Straight));
        for (number, proposal) in proposals.into_iter().enumerate() {
            if number == cut {
                let json = serde_json::to_string(&parts.snapshot()).unwrap();
                parts = EventOwner::restore(settings.clone(), Arc::new(Straight), serde_json::from_str(&json).unwrap());
            }
            prop_assert_eq!(parts.propose(proposal.clone()), whole.propose(proposal));
        }
        prop_assert_eq!(parts.snapshot(), whole.snapshot());
    }

    /// Revisions are numbered without gaps; every origin belongs to one event; who was merged points to one that lives,
    /// or that was merged or forgotten later; what is refused changes nothing.
    #[test]
    fn every_event_has_one_owner(proposals in proposals(), events_max in prop::sample::select(vec![2, 4, 5000])) {
        let settings = EventSettings { events_max, ..EventSettings::default() };
        let mut owner = EventOwner::new(settings, Arc::new(Straight));
        let mut latest = BTreeMap::<EventId, Event>::new();
        for proposal in proposals {
            let before = owner.snapshot();
            match owner.propose(proposal) {
                Err(_) | Ok(None) => prop_assert_eq!(owner.snapshot(), before),
                Ok(Some(revision)) => {
                    for event in revision.events {
                        let number = latest.get(&event.event_id).map_or(0, |last| last.revision);
                        // One that was forgotten begins again.
                        prop_assert!(event.revision == number + 1 || (event.revision == 1 && events_max < 5000));
                        latest.insert(event.event_id.clone(), event);
                    }
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            for (number, event) in &owner.snapshot().events {
                for origin in &event.origins {
                    prop_assert!(seen.insert(origin.origin_id.clone()));
                    prop_assert_eq!(owner.index.of_origin(&origin.origin_id), Some(*number));
                }
                prop_assert!(event.merged_into.is_none() || event.origins.is_empty());
                if let Some(survivor) = &event.merged_into {
                    prop_assert!(owner.number_of(survivor).is_ok(), "nobody points to what is forgotten");
                }
            }
        }
    }
}

#[test]
fn amplitudes_without_a_magnitude_are_taken_once() {
    let mut owner = owner();
    let first = location("a", 0.0, &FOUR);
    one(&mut owner, origin(first.clone()));
    let Proposal::Magnitude { mut magnitude } = magnitude(&first, 2.5, 3) else { unreachable!() };
    magnitude.magnitude = None;
    let alone = || Proposal::Magnitude { magnitude: magnitude.clone() };
    assert_eq!(owner.propose(alone()).unwrap().unwrap().amplitudes.len(), 1);
    assert_eq!(owner.propose(alone()), Ok(None));
}

#[test]
fn what_no_earthquake_can_have_is_refused() {
    let mut owner = owner();
    let good = location("a", 0.0, &FOUR);
    type Change = fn(&mut Location);
    let wrong: [(Change, &str); 8] = [
        (|it| it.origin.latitude = 200.0, "the latitude is 2e2, no number from -90 to 90"),
        (|it| it.origin.longitude = f64::NAN, "the longitude is NaN, no number from -180 to 180"),
        (|it| it.origin.depth_km = -1e308, "the depth in km is -1e308, no number from -20 to 1000"),
        (|it| it.origin.event_id = "".into(), "the event id must have 1 to 256 characters"),
        (|it| it.origin.origin_id = "x".repeat(300).into(), "the origin id must have 1 to 256 characters"),
        (|it| it.origin.used_station_count = u32::MAX, "4294967295 stations are more than 1000000"),
        (
            |it| it.origin.provenance.agency_id = "é".repeat(300),
            "its provenance holds a text of more than 256 characters",
        ),
        (|it| it.arrivals = vec![it.arrivals[0].clone(); 20_001], "20001 arrivals are more than 20000"),
    ];
    for (change, reason) in wrong {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(owner.propose(origin(changed)).unwrap_err().to_string(), reason);
    }
    assert_eq!(owner.snapshot(), EventOwnerState::default());
    one(&mut owner, origin(good.clone()));
    for (value, stations) in [(1e6, 3), (f64::NAN, 3), (2.0, u32::MAX)] {
        assert!(matches!(owner.propose(magnitude(&good, value, stations)), Err(Refusal::Senseless(_))));
    }
    assert_eq!(one(&mut owner, magnitude(&good, 2.0, 3)).magnitude, Some(2.0));
}
