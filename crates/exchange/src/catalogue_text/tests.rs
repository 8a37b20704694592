//! Tests of catalogue tables and GeoJSON.

use seislake_model::Provenance;

use super::*;

fn event(magnitude: Option<f64>) -> Event {
    Event {
        event_id: "event/1".into(),
        revision: 2,
        status: EventStatus::Closed,
        preferred_origin_id: "origin/1".into(),
        preferred_magnitude_id: None,
        origin_time: "2020-01-02T03:04:05.678901Z".parse().unwrap(),
        latitude: 1.25,
        longitude: -2.5,
        depth_km: 10.5,
        magnitude,
        magnitude_type: magnitude.map(|_| "ML".into()),
        merged_into: None,
        provenance: Provenance::default(),
    }
}

#[test]
fn columns_come_in_any_order_under_many_names() {
    let text = "mag\tcase\tlon\torigin_time\tlat\tdepth_km\twho\n\
                1.1\ta/1\t-16.9\t2014-08-24T00:01:08.92Z\t64.7\t6.0\tsomeone\n\
                \ta/2\t-16.9\t2014-08-24 00:01:20\t64.8\t\tsomeone\n\
                \ta/3\t\t2014-08-24T00:02:00Z\t\t\tsee who\n";
    let parsed = read_catalogue("truth.tsv", text.as_bytes()).unwrap();
    assert_eq!(parsed.value.len(), 2);
    assert_eq!((parsed.value[0].id.as_str(), parsed.value[0].magnitude), ("a/1", Some(1.1)));
    assert_eq!((parsed.value[1].depth_km, parsed.value[1].magnitude), (None, None));
    assert_eq!(parsed.problems, [Problem { line: 4, reason: "no latitude".into() }]);
}

#[test]
fn rows_without_an_id_are_named_after_their_line() {
    let parsed =
        read_catalogue("mine.csv", b"time,latitude,longitude,depth_m\n2020-01-01,1,2,3000\n").unwrap();
    assert_eq!((parsed.value[0].id.as_str(), parsed.value[0].depth_km), ("mine.csv:2", Some(3.0)));
}

#[test]
fn what_we_write_we_read() {
    let events = [event(Some(2.345)), event(None)];
    let metadata = GeoJsonMetadata {
        generated_at: Timestamp::from_nanos(0),
        url: "http://localhost/".into(),
        title: "All events".into(),
    };
    let rows = [(&events[0], None), (&events[1], None)];
    for text in [write_csv(&events), write_event_text(&events), write_geojson(&rows, &metadata)] {
        let parsed = read_catalogue("", text.as_bytes()).unwrap();
        assert_eq!(parsed.problems, []);
        let read = &parsed.value[0];
        assert_eq!((read.id.as_str(), read.latitude, read.longitude), ("event/1", 1.25, -2.5));
        assert_eq!((read.depth_km, parsed.value[1].magnitude), (Some(10.5), None));
        assert!((read.magnitude.unwrap() - 2.345).abs() < 0.01);
        assert!(read.origin_time.seconds_since(events[0].origin_time).abs() < 1e-3);
    }
}

#[test]
fn events_that_were_taken_back_are_so_in_every_table() {
    let events = [Event { status: EventStatus::Deleted, ..event(Some(2.0)) }, event(Some(1.0))];
    let metadata =
        GeoJsonMetadata { generated_at: Timestamp::from_nanos(0), url: String::new(), title: String::new() };
    let rows = [(&events[0], None), (&events[1], None)];
    for text in [
        write_csv(&events),
        write_event_text(&events),
        write_geojson(&rows, &metadata),
        "time,latitude,longitude,evaluation_status,type\n2020-01-01,1,2,rejected,earthquake\n2020-01-01,1,2,,\n".into(),
    ] {
        let read = read_catalogue("x", text.as_bytes()).unwrap().value;
        let kept: Vec<bool> = read.iter().map(CatalogueEvent::may_be_earthquake).collect();
        assert_eq!(kept, [false, true], "{text}");
    }
}

#[test]
fn event_text_has_no_control_characters_and_no_bars_in_its_cells() {
    let provenance = Provenance { agency_id: "a\u{1b}[31m|b\u{9b}".into(), ..Provenance::default() };
    let written = write_event_text(&[Event { provenance, ..event(Some(1.0)) }]);
    assert!(written.contains("|a [31m b |seislake|"), "{written:?}");
}

#[test]
fn geojson_is_a_collection_or_a_single_feature() {
    let feature = r#"{"type":"Feature","id":"ci1","properties":{"mag":null,"time":1562383193040},
                      "geometry":{"type":"Point","coordinates":[-117.6,35.77,8]}}"#;
    let single = read_catalogue("", feature.as_bytes()).unwrap().value;
    assert_eq!(single[0].origin_time.to_string(), "2019-07-06T03:19:53.040Z");
    let no_place = feature.replace("35.77", "null");
    let both = format!("{{\"type\":\"FeatureCollection\",\"features\":[{feature},{no_place}]}}");
    let parsed = read_catalogue("", both.as_bytes()).unwrap();
    assert_eq!((parsed.value.len(), parsed.problems[0].reason.as_str()), (1, "feature 2: no latitude"));
}

#[test]
fn what_is_no_catalogue_is_refused_in_one_sentence() {
    for (bytes, expected) in [
        (&b"000001D AAA  \x00\x00"[..], "not a catalogue: it is miniSEED; give it to `seislake import`"),
        (b"\x01\x02 \x00\x00", "not catalogue: it holds binary data"),
        (b"{\"type\": \"Feat", "broken GeoJSON at line 1"),
        (b"{\"a\": 1}", "neither a FeatureCollection nor a Feature"),
        (b"YEAR,MONTH,LATITUDE,LONGITUDE\n1904,8,1,2\n", "no column for the origin time"),
        (b"time,lat,lon\nyesterday,1,2\n", "\"yesterday\" is not a UTC time"),
        (b"<seiscomp/>", "it is XML of SeisComP; convert it"),
        (b"time,lat,lon\n1500-01-01,1,2\n", "\"1500-01-01\" lies outside the years 1677 to 2262"),
        (b"<kml/>", "the root element is <kml>"),
    ] {
        let error = read_catalogue("x", bytes).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_box_across_the_date_line_has_its_west_in_the_east() {
    let metadata =
        GeoJsonMetadata { generated_at: Timestamp::from_nanos(0), url: String::new(), title: String::new() };
    for (longitudes, expected) in [
        (vec![179.5, -179.5], (179.5, -179.5)),
        (vec![-179.5, 170.0, 179.0], (170.0, -179.5)),
        (vec![-10.0, 10.0], (-10.0, 10.0)),
        (vec![5.0], (5.0, 5.0)),
        (vec![180.0, -180.0, 170.0], (170.0, -180.0)),
        (vec![-90.0, 0.0, 90.0, 179.0], (-90.0, 179.0)),
    ] {
        let events: Vec<Event> =
            longitudes.iter().map(|longitude| Event { longitude: *longitude, ..event(None) }).collect();
        let rows: Vec<_> = events.iter().map(|event| (event, None)).collect();
        let document: Value = serde_json::from_str(&write_geojson(&rows, &metadata)).unwrap();
        let corner = |index: usize| document["bbox"][index].as_f64().unwrap();
        let across = |west: f64| if west == -180.0 { 180.0 } else { west };
        assert_eq!(
            (across(corner(0)), across(corner(3))),
            (across(expected.0), across(expected.1)),
            "{longitudes:?}"
        );
    }
}

#[test]
fn what_an_event_was_is_read() {
    let kinds = |text: &str| -> Vec<Option<String>> {
        read_catalogue("", text.as_bytes()).unwrap().value.into_iter().map(|event| event.event_type).collect()
    };
    let text = "#EventID|Time|Latitude|Longitude|EventType\n1|2020-01-01T00:00:00|1|2|quarry blast\n2|2020-01-01T00:00:00|1|2|\n";
    assert_eq!(kinds(text), [Some("quarry blast".to_owned()), None]);
    let feature = |more: &str| {
        format!(
            r#"{{"type":"Feature","properties":{{"time":0{more}}},"geometry":{{"coordinates":[1,2,3]}}}}"#
        )
    };
    assert_eq!(kinds(&feature(r#","type":"explosion""#)), [Some("explosion".to_owned())]);
    assert_eq!(
        kinds(&feature(r#","type":"earthquake","status":"deleted""#)),
        [Some("not existing".to_owned())]
    );
}

#[test]
fn a_second_column_of_one_meaning_is_told() {
    let text = "id,time,latitude,longitude,ml,mw\na,2024-01-01T00:00:00,1,2,3.5,4.5\n";
    let parsed = read_table("c", text.as_bytes()).unwrap();
    assert_eq!(parsed.value[0].magnitude, Some(3.5));
    let reason = "the column \"mw\" is not read: \"ml\" is the magnitude".to_owned();
    assert_eq!(parsed.problems, [Problem { line: 1, reason }]);
}
