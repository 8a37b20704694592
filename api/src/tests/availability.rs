//! FDSN availability over a lake.

use axum::http::StatusCode;

use super::House;

const SERVICE: &str = "/fdsnws/availability/1";

#[tokio::test]
async fn spans_are_cut_to_the_window_and_extents_are_not() {
    let house = House::furnished().await;
    let spans = [
        "XX S0 -- HHZ 2014-08-24T00:00:10.500000Z 2014-08-24T00:00:10.990000Z",
        "XX S0 -- HHZ 2014-08-24T00:00:20.000000Z 2014-08-24T00:00:20.990000Z",
    ];
    let window = "start=2014-08-24T00:00:10.5&end=2014-08-24T00:00:25";
    let (status, text) = house.get(&format!("{SERVICE}/query?format=request&{window}")).await;
    assert_eq!((status, text.lines().collect::<Vec<_>>()), (StatusCode::OK, spans.to_vec()));
    let (_, text) = house.get(&format!("{SERVICE}/query?format=request&mergegaps=8.9&{window}")).await;
    assert_eq!(text.lines().count(), 2, "a gap of 9 s");
    let (_, text) = house.get(&format!("{SERVICE}/query?format=request&mergegaps=9.1&{window}")).await;
    assert_eq!(text, "XX S0 -- HHZ 2014-08-24T00:00:10.500000Z 2014-08-24T00:00:20.990000Z\n");
    let (_, json) = house.get_json(&format!("{SERVICE}/extent?format=json&{window}")).await;
    let source = &json["datasources"][0];
    assert_eq!(source["earliest"], "2014-08-24T00:00:10.000000Z");
    assert_eq!(source["latest"], "2014-08-24T00:00:30.990000Z");
    assert_eq!((&source["timespanCount"], &source["restriction"]), (&3.into(), &"OPEN".into()));
    assert_eq!(json["created"], "2026-01-02T03:04:05Z");
    let (_, json) = house.get_json(&format!("{SERVICE}/query?format=json&show=latestupdate&limit=2")).await;
    let source = &json["datasources"][0];
    assert_eq!(source["timespans"].as_array().unwrap().len(), 2);
    assert!(source["updated"].as_str().unwrap().ends_with('Z'), "{json}");
}

#[tokio::test]
async fn every_format_has_its_head_and_post_takes_lines() {
    let house = House::furnished().await;
    let (_, text) = house.get(&format!("{SERVICE}/query?merge=quality,samplerate")).await;
    assert!(text.starts_with("#N  S   L   C    Earliest "), "{text}");
    let (_, csv) = house.get(&format!("{SERVICE}/extent?format=geocsv")).await;
    assert!(csv.starts_with("#dataset: GeoCSV 2.0\n#delimiter: |\n"), "{csv}");
    assert!(csv.contains("\nXX|S0||HHZ|D|100.0|2014-08-24T00:00:10.000000Z|"), "{csv}");
    let body = "format=request\nXX S0 -- HHZ 2014-08-24T00:00:20 2014-08-24T00:00:20.5\nYY * * * * *\n";
    let (_, text) = house.post(&format!("{SERVICE}/query"), "text/plain", body).await;
    assert_eq!(text, "XX S0 -- HHZ 2014-08-24T00:00:20.000000Z 2014-08-24T00:00:20.500000Z\n");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let house = House::furnished().await;
    for (query, part) in [
        ("query?merge=colour", "merge: \"colour\" is none of"),
        ("extent?merge=overlap", "merge: \"overlap\" is none of"),
        ("query?orderby=timespancount", "spans are counted by extent only"),
        ("extent?show=latestupdate", "show: \"latestupdate\""),
        ("query?mergegaps=-1", "mergegaps: -1 is less than 0"),
        ("query?limit=0", "limit: 0"),
        ("query?quality=X", "quality: \"X\" is none of"),
        ("query?format=xml", "format: \"xml\" is none of"),
    ] {
        let (status, text) = house.get(&format!("{SERVICE}/{query}")).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(part), "{query}: {text}");
    }
    let (status, text) = house.get(&format!("{SERVICE}/query?net=YY")).await;
    assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""));
    let (status, _) = house.get(&format!("{SERVICE}/extent?start=2020-01-01&nodata=404")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
