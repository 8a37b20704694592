//! The routes of the original system, health and pages.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{House, code_in, word};
use crate::ErrorCode;

fn ids(page: &Value, list: &str, field: &str) -> Vec<String> {
    page[list].as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_shows_the_newest_revision_of_each_event_with_the_names_of_the_original_system() {
    let house = House::furnished().await;
    let (status, page) = house.get_json("/events").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(page["total_count"], 3);
    assert_eq!(ids(&page, "events", "event_id"), ["event/2", "event/1", "event/0"]);
    let event = &page["events"][1];
    assert_eq!(event["origin_time"], "2014-08-24T00:01:00.123456789Z");
    assert_eq!(event["revision"], 2);
    assert_eq!(event["magnitude_ml"], 2.5);
    assert_eq!(event["phase_count"], 8);
    assert_eq!(event["quality_flag"], "A");
    assert_eq!(event["depth_km"], 5.0);
    assert_eq!(page["events"][0]["magnitude_ml"], Value::Null);
}

#[tokio::test]
async fn events_filters_sorts_and_pages() {
    let house = House::furnished().await;
    for (query, expected) in [
        ("min_magnitude=2", vec!["event/1"]),
        ("order_by=magnitude", vec!["event/1", "event/0", "event/2"]),
        ("order_by=magnitude-asc", vec!["event/0", "event/1", "event/2"]),
        ("order_by=time-asc&limit=1&offset=1", vec!["event/1"]),
        ("start_time=2014-08-24T00:00:30Z&end_time=2014-08-24T00:01:30Z", vec!["event/1"]),
        ("min_latitude=65.5", vec!["event/2"]),
        ("min_longitude=170&max_longitude=-10&order_by=time-asc&limit=1", vec!["event/0"]),
        ("latitude=64.5&longitude=-17&max_radius_km=60", vec!["event/1", "event/0"]),
        ("latitude=64.5&longitude=-17&max_radius_km=50", vec![]),
        ("min_depth_km=6", vec![]),
        ("event_id=event/0", vec!["event/0"]),
        ("magnitude_type=ml", vec!["event/1", "event/0"]),
    ] {
        let (status, page) = house.get_json(&format!("/events?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {page}");
        assert_eq!(ids(&page, "events", "event_id"), expected, "{query}");
    }
    let (_, page) = house.get_json("/events?limit=1").await;
    assert_eq!(page["total_count"], 3, "a full page is counted");
}

#[tokio::test]
async fn an_empty_lake_has_no_events() {
    let (status, page) = House::empty().await.get_json("/events").await;
    assert_eq!((status, &page["total_count"]), (StatusCode::OK, &json!(0)));
}

#[tokio::test]
async fn wrong_parameters_are_one_sentence_each() {
    let house = House::empty().await;
    for (path, code, part) in [
        ("/events?start_time=yesterday", ErrorCode::InvalidArgument, "yesterday"),
        ("/events?magnitude=2", ErrorCode::UnknownParameter, r#"\"magnitude\""#),
        ("/events?limit=10000000", ErrorCode::PageTooLarge, "10000000"),
        ("/events?limit=-1", ErrorCode::InvalidArgument, "-1"),
        ("/events?min_magnitude=5&max_magnitude=4", ErrorCode::InvalidArgument, "min_magnitude"),
        ("/events?latitude=64&longitude=-17", ErrorCode::InvalidArgument, "max_radius_km"),
        ("/events?min_latitude=91", ErrorCode::InvalidArgument, "91"),
        ("/events?order_by=size", ErrorCode::InvalidArgument, "size"),
        ("/events?limit=1&limit=2", ErrorCode::InvalidArgument, "twice"),
        ("/stations?colour=red", ErrorCode::UnknownParameter, "colour"),
        ("/nowhere", ErrorCode::NotFound, "/nowhere"),
    ] {
        let (status, text) = house.get(path).await;
        assert_eq!((status, code_in(&text).as_str()), (code.status(), word(code)), "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
    let (status, text) = house.post("/events", "application/json", "{}").await;
    assert_eq!((status, code_in(&text)), (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED".into()));
}

#[tokio::test]
async fn stations_are_listed_filtered_and_replaced() {
    let house = House::empty().await;
    let (_, page) = house.get_json("/stations?max_latitude=65").await;
    assert_eq!(ids(&page, "stations", "station"), ["S0", "S1"]);
    assert_eq!(page["stations"][0]["channels"][0]["channel"], "HHZ");
    let moved = json!({"network": "XX", "station": "S1", "latitude": 10.0, "longitude": 20.0, "elevation_m": 0,
        "start_time": "2010-01-01T00:00:00Z", "channels": [{"channel": "HHN", "sample_rate_hz": 50}]});
    let (status, text) = house.post("/stations", "application/json", moved.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (_, page) = house.get_json("/stations?station=S1").await;
    assert_eq!((&page["total_count"], &page["stations"][0]["latitude"]), (&json!(1), &json!(10.0)));
    assert_eq!(page["stations"][0]["channels"][0]["latitude"], 10.0);
}

#[tokio::test]
async fn unusable_stations_are_refused_by_name() {
    let house = House::empty().await;
    for (media_type, body, part) in [
        (
            "application/json",
            r#"{"network":"XX","station":"A","latitude":95,"longitude":0,"elevation_m":0}"#,
            "XX.A",
        ),
        ("application/json", r#"{"network":"XX","station":"A","latitude":5,"longitude":0}"#, "elevation_m"),
        ("application/json", r#"{"network":"XX","stations":1}"#, "stations"),
        ("application/json", "[", "not a station"),
        ("application/xml", "<FDSNStationXML", "StationXML"),
    ] {
        let (status, text) = house.post("/stations", media_type, body).await;
        assert_eq!((status, code_in(&text)), (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT".into()), "{text}");
        assert!(text.contains(part), "{text}");
    }
    let (status, _) = house.post("/stations", "image/png", "x").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn the_charset_of_a_document_outranks_what_it_declares() {
    let house = House::empty().await;
    // The name is two letters in GB2312 and two others in UTF-8.
    let document = [
        &b"<?xml version='1.0' encoding='UTF-8'?><FDSNStationXML><Network code='XX'><Station code='GBK'>"[..],
        b"<Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation>",
        b"<Site><Name>\xC9\xBD\xCB\xAE</Name></Site></Station></Network></FDSNStationXML>",
    ]
    .concat();
    let (status, text) = house.post("/stations", "text/xml; charset=\"GB2312\"", document.clone()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (_, page) = house.get_json("/stations?station=GBK").await;
    assert_eq!(page["stations"][0]["site_name"], "山水");
    let (status, text) = house.post("/stations", "text/xml; charset=IBM437", document).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("IBM437"), "{text}");
}

#[tokio::test]
async fn sample_arrays_are_packed_and_taken_once() {
    let house = House::empty().await;
    let router = house.router();
    let trace = json!({"network": "SY", "station": "T001", "location": "", "channel": "HHZ",
        "start_time": "2026-01-02T00:00:00.123456789Z", "sample_rate_hz": 100.0,
        "samples": (-5000..5000).collect::<Vec<i32>>()});
    let floats = json!([{"source_id": "FDSN:SY_T001__H_H_N", "start_time": "2026-01-02T00:00:00Z",
        "sample_rate_hz": 100, "samples": [0.5, 1, 2]}]);
    for (body, sample_count) in [(trace, 10_000), (floats, 3)] {
        let (status, text) = house.post("/waveforms/ingest", "application/json", body.to_string()).await;
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &report["sample_count"]), (StatusCode::OK, &json!(sample_count)), "{text}");
        let (_, text) = house.post("/waveforms/ingest", "application/json", body.to_string()).await;
        let again: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(again["accepted_count"], 0);
        assert_eq!(again["duplicate_count"], report["accepted_count"]);
    }
    drop(router);
}

#[tokio::test]
async fn names_that_the_standard_does_not_know_are_refused() {
    let house = House::empty().await;
    for (field, code, what) in [
        ("network", "TOOLONGNETWORK", "network"),
        ("network", "", "network"),
        ("station", "", "station"),
        ("station", "a b", "source identifier"),
        ("location", "123456789", "location"),
        ("channel", "HHZZZ", "channel"),
        ("channel", "", "source code"),
    ] {
        let mut trace = json!({"network": "SY", "station": "T001", "location": "", "channel": "HHZ",
            "start_time": "2026-01-02T00:00:00Z", "sample_rate_hz": 100.0, "samples": [1, 2, 3]});
        trace[field] = json!(code);
        let (status, text) = house.post("/waveforms/ingest", "application/json", trace.to_string()).await;
        assert_eq!(
            (status, code_in(&text).as_str()),
            (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            "{text}"
        );
        assert!(text.contains(what), "{field} \"{code}\": {text}");
    }
}

#[tokio::test]
async fn damage_in_a_body_is_reported_beside_what_was_taken() {
    let house = House::empty().await;
    let settings = seislake_mseed::PackSettings::new("FDSN:XX_S0__H_H_Z", 0, 100.0);
    let samples: Vec<i32> = (0..100).collect();
    let mut body = seislake_mseed::pack(&settings, samples.as_slice()).unwrap().concat();
    let record_bytes = body.len();
    body.extend([0xFF; 600]);
    let (status, text) = house.post("/waveforms/ingest", "application/vnd.fdsn.mseed", body).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &report["accepted_count"]), (StatusCode::OK, &json!(1)), "{text}");
    let letter = &report["dead_letters"][0];
    assert_eq!((&letter["index"], &letter["byte_count"]), (&json!(1), &json!(600)), "{text}");
    assert_eq!(
        (&letter["byte_offset"], &report["dead_letter_count"]),
        (&json!(record_bytes), &json!(1)),
        "{text}"
    );
}

#[tokio::test]
async fn bodies_that_hold_no_waveform_are_refused() {
    let house = House::empty().await;
    let mseed = "application/vnd.fdsn.mseed";
    for (media_type, body, code) in [
        (mseed, b"this is not miniSEED, but text".to_vec(), ErrorCode::Unprocessable),
        (mseed, Vec::new(), ErrorCode::InvalidArgument),
        (mseed, vec![0; (1 << 16) + 1], ErrorCode::BodyTooLarge),
        ("text/csv", b"1,2,3".to_vec(), ErrorCode::UnsupportedMediaType),
        ("application/json", b"{\"samples\": [1]}".to_vec(), ErrorCode::InvalidArgument),
        (
            "application/json",
            br#"{"source_id":"FDSN:A_B__H_H_Z","start_time":"2026-01-01","sample_rate_hz":0,"samples":[1]}"#
                .to_vec(),
            ErrorCode::InvalidArgument,
        ),
    ] {
        let (status, text) = house.post("/waveforms/ingest", media_type, body).await;
        assert_eq!((status, code_in(&text).as_str()), (code.status(), word(code)), "{text}");
    }
}

#[tokio::test]
async fn health_says_which_part_is_not_ready() {
    let house = House::empty().await;
    assert_eq!(house.get("/livez").await.0, StatusCode::OK);
    let (status, body) = house.get_json("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["parts"], json!({"catalog": "ready", "pipeline": "it stands still"}));
    assert_eq!(house.get("/metrics").await.0, StatusCode::NOT_FOUND, "no recorder was given");
    assert_eq!(house.get_json("/version").await.1["name"], "seislake");
}

#[tokio::test]
async fn pages_need_no_other_host() {
    let house = House::empty().await;
    for path in ["/", "/docs", "/graphiql"] {
        let (status, page) = house.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        for place in ["src=\"http", "href=\"http", "url(http", "//unpkg", "//cdn"] {
            assert!(!page.contains(place), "{path} loads from elsewhere: {place}");
        }
        for script in page.split("=\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert_eq!(house.get(&format!("/assets/{script}")).await.0, StatusCode::OK, "{script}");
        }
    }
}
