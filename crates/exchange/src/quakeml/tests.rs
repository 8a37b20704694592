//! Tests of QuakeML.

use seislake_model::{Onset, Phase, Polarity};

use super::*;

fn bulletin() -> Bulletin {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let source_id = SourceId::from_nslc("XX", "AAA", "", "HHZ");
    let event = Event {
        event_id: "event/1".into(),
        revision: 2,
        status: EventStatus::Closed,
        preferred_origin_id: "origin/1".into(),
        preferred_magnitude_id: Some("magnitude/1".into()),
        origin_time: time("2020-01-02T03:04:05.678901Z"),
        latitude: 31.25,
        longitude: 103.5,
        depth_km: 10.5,
        magnitude: Some(2.345),
        magnitude_type: Some("ML".into()),
        merged_into: None,
        provenance: Provenance::default(),
    };
    let origin = Origin {
        origin_id: "origin/1".into(),
        event_id: "event/1".into(),
        origin_time: event.origin_time,
        time_uncertainty_s: 0.1,
        latitude: 31.25,
        longitude: 103.5,
        depth_km: 10.5,
        covariance_km2: [1.0, 0.1, 0.2, 4.0, 0.3, 9.0],
        ellipse_major_km: 2.1,
        ellipse_minor_km: 0.9,
        ellipse_azimuth: 10.0,
        depth_uncertainty_km: 3.0,
        rms_s: 0.2,
        azimuthal_gap: 90.0,
        nearest_station_km: 11.119_492_664,
        used_phase_count: 1,
        used_station_count: 1,
        provenance: Provenance::automatic("octree-edt", "1", None),
        earth_model: "iasp91".into(),
    };
    let pick = Pick {
        pick_id: "pick/1".into(),
        source_id: source_id.clone(),
        pick_time: time("2020-01-02T03:04:08Z"),
        time_uncertainty_s: 0.05,
        phase: Phase::P,
        polarity: Polarity::Positive,
        onset: Onset::Impulsive,
        snr: 12.0,
        provenance: Provenance::automatic("filter_picker+aic", "1", None),
    };
    let arrival = Arrival {
        arrival_id: "arrival/1".into(),
        origin_id: "origin/1".into(),
        event_id: "event/1".into(),
        pick_id: "pick/1".into(),
        source_id: source_id.clone(),
        pick_time: pick.pick_time,
        phase: Phase::P,
        distance_km: 11.119_492_664,
        azimuth: 45.0,
        residual_s: -0.02,
        weight: 1.0,
        time_uncertainty_s: Some(pick.time_uncertainty_s),
        polarity: Some(pick.polarity),
        onset: Some(pick.onset),
        pick_method: Some(pick.provenance.method.clone()),
        pick_method_version: Some(pick.provenance.method_version.clone()),
    };
    let magnitude = Magnitude {
        magnitude_id: "magnitude/1".into(),
        event_id: "event/1".into(),
        origin_id: "origin/1".into(),
        magnitude_type: "ML".into(),
        magnitude: 2.345,
        uncertainty: Some(0.2),
        station_count: 1,
        provenance: Provenance::automatic("hutton-boore-1987", "1", None),
    };
    let amplitude = Amplitude {
        amplitude_id: "amplitude/1".into(),
        event_id: "event/1".into(),
        origin_id: "origin/1".into(),
        source_id: SourceId::from_nslc("XX", "AAA", "", "HHN"),
        amplitude_mm: 1.5,
        amplitude_time: time("2020-01-02T03:04:10Z"),
        hypocentral_distance_km: 15.0,
        station_magnitude: 2.3,
    };
    Bulletin {
        events: vec![EventDetail {
            event,
            origins: vec![origin],
            magnitudes: vec![magnitude],
            arrivals: vec![arrival],
            picks: vec![pick],
            amplitudes: vec![amplitude],
        }],
    }
}

#[test]
fn units_are_those_of_the_standard() {
    let text = write(&bulletin());
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "<depth> <value>10500</value> <uncertainty>3000</uncertainty>",
        "<genericAmplitude> <value>0.0015</value>",
        "<maxHorizontalUncertainty>2100</maxHorizontalUncertainty>",
        "<pickID>smi:seislake.org/pick/1</pickID>",
        "<waveformID networkCode=\"XX\" stationCode=\"AAA\" channelCode=\"HHZ\" locationCode=\"\"/>",
        "<preferredOriginID>smi:seislake.org/origin/1</preferredOriginID>",
    ] {
        assert!(flat.contains(expected), "{expected} in {flat}");
    }
    let distance: f64 = flat.split("<distance>").nth(1).unwrap().split('<').next().unwrap().parse().unwrap();
    assert!((distance - 0.1).abs() < 1e-9);
}

#[test]
fn written_events_read_back() {
    let parsed = read(write(&bulletin()).as_bytes()).unwrap();
    let mut expected = CatalogueEvent::from(&bulletin().events[0].event);
    expected.id = "smi:seislake.org/event/1".into();
    expected.event_type = Some("earthquake".into());
    assert_eq!(parsed, Parsed { value: vec![expected], problems: vec![] });
}

#[test]
fn preferred_origin_and_magnitude_are_taken_whatever_their_order() {
    let mut bulletin = bulletin();
    let detail = &mut bulletin.events[0];
    let mut first = detail.origins[0].clone();
    first.origin_id = "origin/0".into();
    first.latitude = -1.0;
    detail.origins.insert(0, first);
    assert_eq!(read(write(&bulletin).as_bytes()).unwrap().value[0].latitude, 31.25);
}

#[test]
fn events_without_an_origin_are_problems() {
    let text = "<quakeml><eventParameters>\n<event publicID='smi:a/1'/></eventParameters></quakeml>";
    let parsed = read(text.as_bytes()).unwrap();
    assert_eq!(parsed.problems, [Problem { line: 2, reason: "event \"smi:a/1\" has no origin".into() }]);
}

#[test]
fn public_ids_hold_only_legal_characters() {
    assert_eq!(public_id("event/1"), "smi:seislake.org/event/1");
    assert_eq!(public_id("method/a b<c"), "smi:seislake.org/method/a_b_c");
    assert_eq!(public_id("quakeml:us/1"), "quakeml:us/1");
}

#[test]
fn a_magnitude_of_another_origin_is_not_the_events() {
    let magnitude = |id: &str, origin: Option<&str>, value: f64| {
        let origin = origin.map_or(String::new(), |id| format!("<originID>{id}</originID>"));
        format!("<magnitude publicID='{id}'><mag><value>{value}</value></mag>{origin}</magnitude>")
    };
    let read_with = |head: &str, magnitudes: &[String]| {
        let origin = |id: &str| {
            format!(
                "<origin publicID='{id}'><time><value>2020-01-01T00:00:00Z</value></time><latitude><value>1</value>\
                 </latitude><longitude><value>-190</value></longitude></origin>"
            )
        };
        let (one, two) = (origin("o1"), origin("o2"));
        let text = format!(
            "<quakeml><eventParameters><event publicID='e'><preferredOriginID>o2</preferredOriginID>{head}{one}{two}{}\
             </event></eventParameters></quakeml>",
            magnitudes.concat()
        );
        read(text.as_bytes()).unwrap().value.remove(0)
    };
    let (first, second) = (magnitude("m1", Some("o1"), 9.0), magnitude("m2", Some("o2"), 2.0));
    let loose = magnitude("m3", None, 3.0);
    let of = |head: &str, magnitudes: &[String]| read_with(head, magnitudes).magnitude;
    assert_eq!(of("", &[first.clone(), second.clone()]), Some(2.0));
    let preferred = "<preferredMagnitudeID>m1</preferredMagnitudeID>";
    assert_eq!(of(preferred, &[first.clone(), second]), Some(9.0));
    assert_eq!(of("", &[first.clone(), loose]), Some(3.0));
    assert_eq!(of("<preferredMagnitudeID>gone</preferredMagnitudeID>", std::slice::from_ref(&first)), None);
    assert_eq!(read_with("<type>quarry blast</type>", &[first]).event_type.as_deref(), Some("quarry blast"));
    assert_eq!(read_with("", &[]).longitude, 170.0);
}

#[test]
fn what_is_rejected_is_not_read_as_an_event() {
    let origin = |id: &str, latitude: f64, status: &str| {
        format!(
            "<origin publicID='{id}'><time><value>2020-01-01T00:00:00Z</value></time><latitude><value>{latitude}</value>\
             </latitude><longitude><value>2</value></longitude><evaluationStatus>{status}</evaluationStatus></origin>\
             <magnitude publicID='m{id}'><mag><value>{latitude}</value></mag><originID>{id}</originID>\
             <evaluationStatus>{status}</evaluationStatus></magnitude>"
        )
    };
    let read_event = |inside: &str| {
        let text = format!(
            "<quakeml><eventParameters><event publicID='e'><type>earthquake</type>{inside}</event></eventParameters></quakeml>"
        );
        read(text.as_bytes()).unwrap().value.remove(0)
    };
    let (bad, good) = (origin("bad", 1.0, " rejected "), origin("good", 3.0, "confirmed"));
    let alone = read_event(&bad);
    assert!(!alone.may_be_earthquake() && alone.magnitude.is_none(), "{alone:?}");
    for preferred in
        ["", "<preferredOriginID>bad</preferredOriginID>", "<preferredOriginID>good</preferredOriginID>"]
    {
        let both = read_event(&format!("{bad}{good}{preferred}"));
        assert_eq!((both.latitude, both.magnitude), (3.0, Some(3.0)), "{preferred}");
        assert!(both.may_be_earthquake());
    }
    let named = format!("{bad}{good}<preferredMagnitudeID>mbad</preferredMagnitudeID>");
    assert_eq!(read_event(&named).magnitude, Some(3.0));
}

#[test]
fn beside_a_pole_the_uncertainty_of_the_longitude_is_a_number() {
    let mut bulletin = bulletin();
    bulletin.events[0].origins[0].latitude = 90.0;
    bulletin.events[0].magnitudes[0].uncertainty = None;
    let text = write(&bulletin);
    assert!(!text.contains("inf") && !text.contains("NaN"), "{text}");
    let magnitude = text.split("<magnitude ").nth(1).unwrap().split("</mag>").next().unwrap();
    assert!(magnitude.contains("<value>") && !magnitude.contains("uncertainty"), "{magnitude}");
}

#[test]
fn a_document_says_who_found_it_and_how_far_it_was_looked_at() {
    let mut bulletin = bulletin();
    let text = write(&bulletin);
    assert!(!text.contains("final"), "nobody has looked at it: {text}");
    assert!(text.contains("<evaluationMode>automatic</evaluationMode>"));
    assert!(text.contains("<evaluationStatus>preliminary</evaluationStatus>"));
    assert!(text.contains("<agencyID>seislake</agencyID>"), "what names no agency is ours");

    let detail = &mut bulletin.events[0];
    detail.event.provenance.evaluation_status = EvaluationStatus::Reviewed;
    detail.event.provenance.evaluation_mode = EvaluationMode::Manual;
    let other = Origin { origin_id: "origin/other".into(), ..detail.origins[0].clone() };
    detail.origins[0].provenance = Provenance {
        agency_id: "A & B".to_owned(),
        author: "analyst".to_owned(),
        evaluation_mode: EvaluationMode::Manual,
        creation_time: Some("2020-01-02T03:05:00Z".parse().unwrap()),
        ..Provenance::default()
    };
    detail.origins.push(other);
    let text = write(&bulletin);
    let origins: Vec<&str> = text.split("<origin ").skip(1).collect();
    assert!(origins[0].contains("<evaluationMode>manual</evaluationMode>"), "{}", origins[0]);
    assert!(origins[0].contains("<evaluationStatus>reviewed</evaluationStatus>"), "as far as its event");
    assert!(
        origins[0].contains("<agencyID>A &amp; B</agencyID>")
            && origins[0].contains("<author>analyst</author>")
    );
    assert!(origins[0].contains("<creationTime>2020-01-02T03:05:00.000Z</creationTime>"), "{}", origins[0]);
    assert!(origins[1].contains("<evaluationStatus>preliminary</evaluationStatus>"), "not the preferred one");

    bulletin.events[0].event.status = EventStatus::Deleted;
    assert_eq!(write(&bulletin).matches("<evaluationStatus>rejected</evaluationStatus>").count(), 3);
}
