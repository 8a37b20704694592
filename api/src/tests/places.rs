//! Earthquakes at the edges of the map and of time, through every door that knows events: one table of cases.

use seislake_model::Event;
use serde_json::{Value, json};

use super::{House, event, table_rows, time};

/// Events by name: where, when, how deep.
const EVENTS: [(&str, f64, f64, f64, &str); 9] = [
    ("north", 90.0, 0.0, 10.0, "2014-08-24T00:00:00Z"),
    ("south", -90.0, 135.0, 10.0, "2014-08-24T00:01:00Z"),
    ("east", 0.0, 180.0, 10.0, "2014-08-24T00:02:00Z"),
    ("west", 0.0, -180.0, 10.0, "2014-08-24T00:03:00Z"),
    ("fiji", -17.0, 179.9, 600.0, "2014-08-24T00:04:00Z"),
    ("samoa", -17.0, -179.9, 10.0, "2014-08-24T00:05:00Z"),
    ("greenwich", 51.5, 0.0, -3.0, "1700-01-01T00:00:00Z"),
    ("arctic", 89.9, 170.0, 10.0, "2200-01-01T00:00:00Z"),
    ("zero", 0.0, 0.0, 0.0, "2016-12-31T23:59:59.999999Z"),
];

/// South, north, west and east of a box.
type Edges = (f64, f64, f64, f64);

/// Boxes, and who lies in each.
const BOXES: [(Edges, &str); 8] = [
    ((-20.0, 20.0, 170.0, -170.0), "east fiji samoa west"),
    ((-20.0, 20.0, -180.0, -179.0), "east samoa west"),
    ((-20.0, 20.0, 179.0, 180.0), "east fiji west"),
    ((-90.0, 90.0, -180.0, 180.0), "arctic east fiji greenwich north samoa south west zero"),
    ((80.0, 90.0, -10.0, 10.0), "north"),
    ((80.0, 90.0, 160.0, -160.0), "arctic north"),
    ((-90.0, -80.0, -10.0, 10.0), "south"),
    ((0.0, 0.0, 0.0, 0.0), "zero"),
];

/// A circle (latitude, longitude, radius in km), and who lies in it.
const CIRCLES: [((f64, f64, f64), &str); 7] = [
    ((90.0, 0.0, 50.0), "arctic north"),
    ((89.5, -10.0, 100.0), "arctic north"),
    ((-90.0, -45.0, 1.0), "south"),
    ((0.0, 180.0, 1.0), "east west"),
    ((0.0, -180.0, 1.0), "east west"),
    ((-17.0, 180.0, 15.0), "fiji samoa"),
    ((-17.0, -179.95, 10.0), "samoa"),
];

/// Times that bound a search, and who lies after and before.
const TIMES: [(&str, &str, &str); 3] = [
    ("1700-01-01T00:00:00Z", "arctic east fiji greenwich north samoa south west zero", "greenwich"),
    ("2017-01-01T00:00:00Z", "arctic", "east fiji greenwich north samoa south west zero"),
    ("2200-01-01T00:00:00Z", "arctic", "arctic east fiji greenwich north samoa south west zero"),
];

async fn house() -> House {
    let house = House::empty().await;
    let events = EVENTS.iter().enumerate().map(|(number, (name, latitude, longitude, depth_km, at))| Event {
        event_id: format!("event/{name}").into(),
        latitude: *latitude,
        longitude: *longitude,
        depth_km: *depth_km,
        origin_time: time(at),
        ..event(number as u32)
    });
    house.write(table_rows(events.collect())).await;
    house
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    names.join(" ")
}

/// Names in answers of `/events`.
async fn by_rest(house: &House, query: &str) -> String {
    let (_, page) = house.get_json(&format!("/events?{query}")).await;
    let rows = page["events"].as_array().unwrap_or_else(|| panic!("{query}: {page}"));
    sorted(rows.iter().map(|row| row["event_id"].as_str().unwrap()[6..].to_owned()).collect())
}

/// Names in answers of `fdsnws-event`, as text.
async fn by_fdsn(house: &House, query: &str) -> String {
    let (_, text) = house.get(&format!("/fdsnws/event/1/query?format=text&{query}")).await;
    let rows = text.lines().skip(1).map(|line| line.split('|').next().unwrap_or_default());
    sorted(rows.map(|id| id.rsplit('/').next().unwrap_or_default().to_owned()).collect())
}

async fn by_graphql(house: &House, filter: Value) -> String {
    let query = "query($f: EventFilter) { events(filter: $f) { nodes { eventId } } }";
    let body = json!({"query": query, "variables": {"f": filter}}).to_string();
    let (_, text) = house.post("/graphql", "application/json", body).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let rows = answer["data"]["events"]["nodes"].as_array().unwrap_or_else(|| panic!("{filter}: {answer}"));
    sorted(rows.iter().map(|row| row["eventId"].as_str().unwrap()[6..].to_owned()).collect())
}

#[tokio::test]
async fn boxes_reach_over_the_date_line_and_the_poles_at_every_door() {
    let house = house().await;
    for ((south, north, west, east), wanted) in BOXES {
        let rest =
            format!("min_latitude={south}&max_latitude={north}&min_longitude={west}&max_longitude={east}");
        let fdsn = rest.replace('_', "");
        let graphql = json!({"within": {"box": {
            "latitudeMin": south, "latitudeMax": north, "longitudeMin": west, "longitudeMax": east}}});
        assert_eq!(by_rest(&house, &rest).await, wanted, "/events {rest}");
        assert_eq!(by_fdsn(&house, &fdsn).await, wanted, "FDSN {fdsn}");
        assert_eq!(by_graphql(&house, graphql).await, wanted, "GraphQL {rest}");
    }
    // Only the FDSN services take longitudes of the next turn.
    assert_eq!(
        by_fdsn(&house, "minlatitude=-20&maxlatitude=20&minlongitude=170&maxlongitude=190").await,
        BOXES[0].1
    );
    assert_eq!(
        by_fdsn(&house, "minlatitude=-20&maxlatitude=20&minlongitude=-190&maxlongitude=-170").await,
        BOXES[0].1
    );
}

#[tokio::test]
async fn circles_reach_over_the_date_line_and_the_poles_at_every_door() {
    let house = house().await;
    for ((latitude, longitude, radius_km), wanted) in CIRCLES {
        let point = format!("latitude={latitude}&longitude={longitude}");
        let graphql = json!({"within": {"radius": {
            "latitude": latitude, "longitude": longitude, "radiusKm": radius_km}}});
        assert_eq!(
            by_rest(&house, &format!("{point}&max_radius_km={radius_km}")).await,
            wanted,
            "/events {point}"
        );
        assert_eq!(
            by_fdsn(&house, &format!("{point}&maxradiuskm={radius_km}")).await,
            wanted,
            "FDSN {point}"
        );
        let degrees = radius_km / 110.0;
        assert_eq!(
            by_fdsn(&house, &format!("{point}&maxradius={degrees}")).await,
            wanted,
            "FDSN degrees {point}"
        );
        assert_eq!(by_graphql(&house, graphql).await, wanted, "GraphQL {point}");
    }
}

#[tokio::test]
async fn depths_above_the_sea_and_times_of_other_centuries_are_found_at_every_door() {
    let house = house().await;
    assert_eq!(by_rest(&house, "max_depth_km=-1").await, "greenwich");
    assert_eq!(by_fdsn(&house, "maxdepth=-1").await, "greenwich");
    assert_eq!(by_graphql(&house, json!({"depthKm": {"lte": -1.0}})).await, "greenwich");
    for (at, after, before) in TIMES {
        assert_eq!(by_rest(&house, &format!("start_time={at}")).await, after, "/events from {at}");
        assert_eq!(by_rest(&house, &format!("end_time={at}")).await, before, "/events to {at}");
        assert_eq!(by_fdsn(&house, &format!("starttime={at}")).await, after, "FDSN from {at}");
        assert_eq!(by_fdsn(&house, &format!("endtime={at}")).await, before, "FDSN to {at}");
        assert_eq!(by_graphql(&house, json!({"timeRange": {"from": at}})).await, after, "GraphQL from {at}");
        assert_eq!(by_graphql(&house, json!({"timeRange": {"to": at}})).await, before, "GraphQL to {at}");
    }
}
