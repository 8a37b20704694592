//! Events: text, and QuakeML against the other server's own schema.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use seislake_model::Timestamp;

use super::database::Database;
use super::elements::Element;
use super::{corpus, exchanges};
use crate::tests::House;

async fn house(root: &std::path::Path) -> House {
    let house = House::empty().await;
    for rows in Database::open(root).await.bulletin().await {
        house.write(rows).await;
    }
    house
}

/// Id, time, magnitude type; latitude, longitude, depth and magnitude. Author, catalogue, contributor, place name and type
/// are those of the agency: ours are always the same.
fn rows(text: &str) -> Vec<([String; 2], Timestamp, [f64; 4])> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        let id = cells[0].trim_start_matches("event/").to_owned();
        let numbers = [2, 3, 4, 10].map(|index: usize| cells[index].parse().unwrap());
        ([id, cells[9].to_owned()], cells[1].parse().unwrap(), numbers)
    };
    text.lines().skip(1).map(row).collect()
}

/// Our text is rounded: degrees to 1e-6, kilometres to 1e-3, magnitudes to 1e-2.
const ROUNDED: [f64; 4] = [0.51e-6, 0.51e-6, 0.51e-3, 0.51e-2];

#[tokio::test]
async fn text_names_the_same_events() {
    let Some(root) = corpus() else { return };
    let house = house(&root).await;
    let mut compared = 0;
    for (request, expected) in
        exchanges(&root, "event").iter().filter(|(request, _)| request.contains("format=text"))
    {
        let (mut request, mut ours_more) = (request.clone(), None);
        if let Some((before, _)) = request.split_once("&eventtype=") {
            // What we locate are earthquakes: asking for another type asks for nothing, and the one event that is
            // "other" there is not told from the others here.
            request = format!("{before}&eventtype=earthquake");
            ours_more = Some("rs2019qtevor");
        }
        let (status, text) = house.get(&request).await;
        assert_eq!(status, StatusCode::OK, "{request}: {text}");
        let mut ours = rows(&text);
        if let Some(id) = ours_more {
            let before = ours.len();
            ours.retain(|row| row.0[0] != id);
            assert_eq!(ours.len(), before - 1, "{id}");
        }
        let theirs = rows(std::str::from_utf8(expected).unwrap());
        assert_eq!(ours.len(), theirs.len(), "{request}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!((&ours.0, ours.1), (&theirs.0, theirs.1), "{request}");
            for ((our, their), tolerance) in ours.2.iter().zip(theirs.2).zip(ROUNDED) {
                assert!((our - their).abs() <= tolerance, "{request}: {ours:?} {theirs:?}");
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 3, "requests for text");
}

/// What both schemas say, by public id.
#[derive(Debug, Default, PartialEq)]
struct Said {
    event: [String; 3],
    /// Time, latitude, longitude, depth in km.
    origins: BTreeMap<String, (Timestamp, [f64; 3])>,
    /// Type, value, stations.
    magnitudes: BTreeMap<String, (String, f64, String)>,
    /// Time and channel.
    picks: BTreeMap<String, (Timestamp, [String; 4])>,
    /// By pick: phase, azimuth, distance in degrees, residual.
    arrivals: BTreeMap<String, (String, [f64; 3])>,
}

/// Numbers of the two servers are the same to nine digits, as far as the other one writes them.
fn nine_digits(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap()
}

/// A public id without what we put before those of others.
fn id(text: &str) -> String {
    text.trim_start_matches("smi:seislake.org/").trim_start_matches("event/").to_owned()
}

fn said(document: &str) -> Said {
    let root = Element::root(document);
    let all = |name: &str| {
        let mut found = Vec::new();
        root.deep(name, &mut found);
        // Magnitudes of the other schema hold an element of the same name with the value.
        found.retain(|element| name == "arrival" || !element.attribute("publicID").is_empty());
        found
    };
    // Our depths are metres, as QuakeML has it.
    let per_km = if root.name == "quakeml" { 1000.0 } else { 1.0 };
    let value = |element: &Element, name: &str| element.number_at(&[name, "value"]);
    let public_id = |element: &Element| id(element.attribute("publicID"));
    let moment = |element: &Element| element.text_at(&["time", "value"]).parse().unwrap();
    let [event] = all("event")[..] else { panic!("one event") };
    let name = |name: &str| id(event.text_at(&[name]));
    let origin = |origin: &Element| {
        let place = [value(origin, "latitude"), value(origin, "longitude"), value(origin, "depth") / per_km];
        (public_id(origin), (moment(origin), place.map(nine_digits)))
    };
    let magnitude = |magnitude: &Element| {
        let value = if per_km > 1.0 { value(magnitude, "mag") } else { value(magnitude, "magnitude") };
        let stations = magnitude.text_at(&["stationCount"]).to_owned();
        (public_id(magnitude), (magnitude.text_at(&["type"]).to_owned(), nine_digits(value), stations))
    };
    let pick = |pick: &Element| {
        let channel = pick.at(&["waveformID"]).unwrap();
        let codes = ["networkCode", "stationCode", "locationCode", "channelCode"];
        (public_id(pick), (moment(pick), codes.map(|code| channel.attribute(code).to_owned())))
    };
    let arrival = |arrival: &Element| {
        let numbers = ["azimuth", "distance", "timeResidual"].map(|name| arrival.number_at(&[name]));
        // The lake knows first arrivals of P and S only: those through the core are P.
        let phase = arrival.text_at(&["phase"]).replace("PKP", "P");
        (id(arrival.text_at(&["pickID"])), (phase, numbers.map(nine_digits)))
    };
    Said {
        event: [public_id(event), name("preferredOriginID"), name("preferredMagnitudeID")],
        origins: all("origin").into_iter().map(origin).collect(),
        magnitudes: all("magnitude").into_iter().map(magnitude).collect(),
        picks: all("pick").into_iter().map(pick).collect(),
        arrivals: all("arrival").into_iter().map(arrival).collect(),
    }
}

/// Parameters that the specification does not have and we do not either.
const THEIRS: [&str; 4] = ["formatted", "includefocalmechanism", "includestationmts", "includecomments"];

#[tokio::test]
async fn documents_hold_the_same_origins_magnitudes_picks_and_arrivals() {
    let Some(root) = corpus() else { return };
    let house = house(&root).await;
    let mut counts = Vec::new();
    for (request, expected) in
        exchanges(&root, "event").iter().filter(|(request, _)| request.contains("format=sc3ml"))
    {
        // Its own schema and parameters are unknown here, and said to be so; the standard's are asked for instead.
        let (status, text) = house.get(request).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains("formatted"), "{request}: {text}");
        let own = |pair: &&str| !THEIRS.iter().any(|name| pair.starts_with(name));
        let (path, query) = request.split_once('?').unwrap();
        let query: Vec<&str> = query.split('&').filter(own).collect();
        let request = format!("{path}?{}", query.join("&").replace("format=sc3ml", "format=xml"));
        let (status, text) = house.get(&request).await;
        assert_eq!(status, StatusCode::OK, "{request}: {text}");
        let (ours, theirs) = (said(&text), said(std::str::from_utf8(expected).unwrap()));
        assert_eq!(ours, theirs, "{request}");
        counts.push([ours.origins.len(), ours.magnitudes.len(), ours.picks.len(), ours.arrivals.len()]);
    }
    assert_eq!(counts, [[1, 1, 0, 0], [2, 2, 127, 127]]);
}
