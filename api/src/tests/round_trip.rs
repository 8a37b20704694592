//! A generated catalogue through the tables, and out of every door that knows events: each says what went in.
//!
//! Named as lost: text, CSV and GeoJSON round places to a millionth of a degree and depths to a metre, text magnitudes to a
//! hundredth and GeoJSON times to a millisecond; the tables of events round times down to a microsecond.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use seislake_exchange::read_catalogue;
use seislake_model::{CatalogueEvent, Event};
use serde_json::{Value, json};

use super::{House, event, magnitude, origin, table_rows, with_magnitude};

/// 1700-01-01 to 2199-12-31, microseconds.
const YEARS: std::ops::Range<i64> = -8_520_336_000_000_000..7_258_118_400_000_000;
const EVENT_COUNT: u32 = 60;

/// Places on the edges of the map come as often as others.
fn degrees(limit: f64) -> impl Strategy<Value = f64> {
    prop_oneof![3 => -limit..=limit, 1 => prop::sample::select(vec![-limit, 0.0, limit, limit - 1e-6])]
}

fn events() -> Vec<Event> {
    let one = (YEARS, degrees(90.0), degrees(180.0), -5.0..800.0_f64, prop::option::of(-3.0..10.0_f64));
    let mut runner = TestRunner::deterministic();
    let generated = (0..EVENT_COUNT).map(|number| {
        let (micros, latitude, longitude, depth_km, size) =
            one.new_tree(&mut runner).expect("the strategy rejects nothing").current();
        let made = Event {
            event_id: format!("event/g{number}").into(),
            preferred_origin_id: format!("origin/g{number}").into(),
            origin_time: seislake_model::Timestamp::from_micros(micros),
            latitude,
            longitude,
            depth_km,
            ..event(number)
        };
        size.map_or(made.clone(), |size| with_magnitude(&made, size))
    });
    generated.collect()
}

async fn house(events: &[Event]) -> House {
    let house = House::empty().await;
    house.write(table_rows(events.iter().map(origin).collect())).await;
    house.write(table_rows(events.iter().filter_map(magnitude).collect())).await;
    house.write(table_rows(events.to_vec())).await;
    house
}

/// What may be lost on the way.
struct Loss {
    time_s: f64,
    degrees: f64,
    km: f64,
    magnitude: f64,
}

fn check(events: &[Event], read: &[CatalogueEvent], loss: &Loss, door: &str) {
    assert_eq!(read.len(), events.len(), "{door}");
    for event in events {
        let name = event.event_id.rsplit('/').next().unwrap();
        let found = read.iter().find(|found| found.id.ends_with(&format!("/{name}")));
        let found = found.unwrap_or_else(|| panic!("{door}: {name} is missing"));
        assert!(
            found.origin_time.seconds_since(event.origin_time).abs() <= loss.time_s,
            "{door}: {found:?} {event:?}"
        );
        for (one, other, tolerance) in [
            (found.latitude, event.latitude, loss.degrees),
            (found.longitude, event.longitude, loss.degrees),
            (found.depth_km.unwrap_or(f64::NAN), event.depth_km, loss.km),
            (found.magnitude.unwrap_or(-99.0), event.magnitude.unwrap_or(-99.0), loss.magnitude),
        ] {
            assert!((one - other).abs() <= tolerance, "{door}: {found:?} {event:?}");
        }
    }
}

#[tokio::test]
async fn a_catalogue_comes_out_of_every_door_as_it_went_in() {
    let events = events();
    let house = house(&events).await;
    let rounded = Loss { time_s: 0.0, degrees: 1e-6, km: 1e-3, magnitude: 0.005 + 1e-9 };
    let exact = Loss { time_s: 0.0, degrees: 0.0, km: 1e-9, magnitude: 0.0 };
    let milliseconds = Loss { time_s: 1e-3, ..rounded };
    for (format, loss) in [("text", &rounded), ("csv", &rounded), ("geojson", &milliseconds), ("xml", &exact)]
    {
        let (_, text) =
            house.get(&format!("/fdsnws/event/1/query?format={format}&includeallorigins=true")).await;
        let read = read_catalogue("x", text.as_bytes()).unwrap();
        assert_eq!(read.problems, [], "{format}");
        check(&events, &read.value, loss, format);
    }
    let row = |id: &Value, names: [&str; 5], row: &Value| CatalogueEvent {
        id: id.as_str().unwrap().to_owned(),
        origin_time: row[names[0]].as_str().unwrap().parse().unwrap(),
        latitude: row[names[1]].as_f64().unwrap(),
        longitude: row[names[2]].as_f64().unwrap(),
        depth_km: row[names[3]].as_f64(),
        magnitude: row[names[4]].as_f64(),
        event_type: None,
    };
    let (_, page) = house.get_json("/events?limit=100").await;
    let names = ["origin_time", "latitude", "longitude", "depth_km", "magnitude"];
    let rows = page["events"].as_array().unwrap().iter().map(|event| row(&event["event_id"], names, event));
    check(&events, &rows.collect::<Vec<_>>(), &exact, "/events");
    let query =
        "{ events(first: 100) { nodes { eventId originTime latitude longitude depthKm magnitude } } }";
    let (_, text) = house.post("/graphql", "application/json", json!({"query": query}).to_string()).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let names = ["originTime", "latitude", "longitude", "depthKm", "magnitude"];
    let nodes = answer["data"]["events"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let rows = nodes.iter().map(|event| row(&event["eventId"], names, event));
    check(&events, &rows.collect::<Vec<_>>(), &exact, "GraphQL");
    // The command `export` writes this.
    let context = house.state.sessions.session(crate::state::AsOf::Latest).await.unwrap();
    let bulletin = crate::fdsn::bulletin(&context, None, None).await.unwrap();
    let read = read_catalogue("x", seislake_exchange::quakeml::write(&bulletin).as_bytes()).unwrap();
    check(&events, &read.value, &exact, "export");
}
