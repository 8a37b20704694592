//! FDSN event and station services.

use axum::http::StatusCode;
use seislake_model::{Event, Provenance};

use super::{House, event, table_rows};

const EVENT: &str = "/fdsnws/event/1";

#[tokio::test]
async fn quakeml_holds_what_was_asked_for() {
    let house = House::furnished().await;
    let (status, brief) =
        house.get(&format!("{EVENT}/query?starttime=2014-08-24&orderby=time-asc&limit=2")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(brief.matches("<event ").count(), 2, "{brief}");
    assert!(brief.contains("<preferredOriginID>") && brief.contains("<value>5000</value>"), "{brief}");
    assert!(!brief.contains("<arrival "), "arrivals come only when asked for");
    let (_, full) = house
        .get(&format!(
            "{EVENT}/query?eventid=smi:seislake.org/event/0&includearrivals=true&includeallorigins=1"
        ))
        .await;
    assert_eq!(full.matches("<arrival ").count(), 3, "{full}");
    assert_eq!(full.matches("<pick ").count(), 3);
    assert_eq!(full.matches("<origin ").count(), 1);
    assert_eq!(full.matches("<magnitude ").count(), 1);
}

#[tokio::test]
async fn parameters_have_long_and_short_names() {
    let house = House::furnished().await;
    for (query, expected) in [
        ("starttime=2014-08-24T00:00:30&endtime=2014-08-24T00:01:30", 1),
        ("start=2014-08-24T00:00:30&end=2014-08-24T00:01:30", 1),
        ("minmagnitude=1&maxmagnitude=2", 1),
        ("minmag=1", 2),
        ("magtype=ml&minmag=1", 2),
        ("minlat=64.5&maxlat=70&minlon=-20&maxlon=0", 2),
        ("lat=64&lon=-17&maxradius=1.5", 2),
        ("lat=64&lon=343&maxradius=1.5", 2),
        ("latitude=64&longitude=-17&minradius=0.5&maxradius=1.5", 1),
        ("latitude=64&longitude=-17&maxradiuskm=100", 1),
        ("mindepth=4&maxdepth=6", 3),
        ("catalog=seislake&contributor=seislake&eventtype=earthquake", 3),
        ("offset=2", 2),
        ("eventid=0,1", 2),
        ("updatedafter=2001-01-01", 3),
    ] {
        let (status, text) = house.get(&format!("{EVENT}/query?format=text&{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {text}");
        assert_eq!(text.lines().count() - 1, expected, "{query}: {text}");
    }
}

#[tokio::test]
async fn contributors_are_the_agencies_of_the_events() {
    let house = House::furnished().await;
    let of = |number: u32, agency_id: &str| Event {
        revision: 5,
        provenance: Provenance { agency_id: agency_id.to_owned(), ..Provenance::default() },
        ..event(number)
    };
    // Event 0 stays without agency: it is ours.
    house.write(table_rows(vec![of(1, "A & B"), of(2, "Observatory")])).await;
    let (_, listed) = house.get(&format!("{EVENT}/contributors")).await;
    let names =
        ["A &amp; B", "Observatory", "seislake"].map(|name| format!("<Contributor>{name}</Contributor>"));
    assert!(listed.contains(&format!("<Contributors>{}</Contributors>", names.concat())), "{listed}");
    for (asked, expected) in [
        ("observatory", &["event/2"][..]),
        ("seislake", &["event/0"]),
        ("Observatory,%20A%20%26%20B", &["event/2", "event/1"]),
        ("seislake,Observatory,A%20%26%20B,elsewhere", &["event/2", "event/1", "event/0"]),
        ("elsewhere", &[]),
    ] {
        let (_, text) = house.get(&format!("{EVENT}/query?format=text&contributor={asked}")).await;
        let found: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split('|').next()).collect();
        assert_eq!(found, expected, "{asked}: {text}");
        let agencies: Vec<_> = text.lines().skip(1).filter_map(|line| line.split('|').nth(7)).collect();
        assert!(asked != "observatory" || agencies == ["Observatory"], "{text}");
    }
    let (_, geojson) = house.get_json(&format!("{EVENT}/query?format=geojson&eventid=2")).await;
    let properties = &geojson["features"][0]["properties"];
    assert_eq!(
        (&properties["net"], &properties["sources"]),
        (&"Observatory".into(), &",Observatory,".into())
    );
    let (_, page) = house.get_json("/events?event_id=event/0").await;
    assert_eq!(page["events"][0]["agency_id"], "seislake");
}

#[tokio::test]
async fn other_formats_have_their_heads() {
    let house = House::furnished().await;
    let (_, text) = house.get(&format!("{EVENT}/query?format=text")).await;
    assert!(text.starts_with("#EventID|Time|Latitude|Longitude|Depth/km|"), "{text}");
    let (_, csv) = house.get(&format!("{EVENT}/query?format=csv")).await;
    assert!(csv.starts_with("event_id,"), "{csv}");
    let (_, geojson) = house.get_json(&format!("{EVENT}/query?format=geojson")).await;
    assert_eq!(geojson["features"][0]["geometry"]["coordinates"][0], -17.0);
    assert_eq!(geojson["metadata"]["count"], 3);
    assert_eq!(geojson["features"][0]["properties"]["gap"], 80.0);
}

#[tokio::test]
async fn nothing_found_is_204_or_404() {
    let house = House::furnished().await;
    for query in ["minmagnitude=9", "catalog=other", "eventid=nothing", "updatedafter=2030-01-01"] {
        let (status, text) = house.get(&format!("{EVENT}/query?{query}")).await;
        assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""), "{query}");
        let (status, _) = house.get(&format!("{EVENT}/query?{query}&nodata=404")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{query}");
    }
}

#[tokio::test]
async fn errors_are_the_text_of_the_specification() {
    let house = House::empty().await;
    for (query, part) in [
        ("starttime=yesterday", "\"yesterday\" is not a UTC time"),
        ("colour=red", "\"colour\" is not known"),
        ("format=pdf", "format: \"pdf\" is none of xml, text, geojson, csv"),
        ("minlatitude=100", "minlatitude: 100 is not between -90 and 90"),
        ("includearrivals=perhaps", "neither true nor false"),
        ("offset=0", "counted from 1"),
        ("maxradius=1&maxradiuskm=1", "not both"),
    ] {
        let (status, text) = house.get(&format!("{EVENT}/query?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {text}");
        assert!(text.starts_with("Error 400: Bad Request\n\n") && text.contains(part), "{query}: {text}");
        assert!(text.contains("Request Submitted:\n2026-01-02T03:04:05.000Z"), "{text}");
    }
}

#[tokio::test]
async fn too_many_events_are_413_unless_a_limit_is_given() {
    let house = House::furnished().await;
    let limits = crate::HttpLimits { fdsn_events_max: 2, ..Default::default() };
    let router = crate::router(house.state.clone(), limits);
    for (query, status) in [("", StatusCode::PAYLOAD_TOO_LARGE), ("?limit=2", StatusCode::OK)] {
        let request = axum::http::Request::get(format!("{EVENT}/query{query}"));
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
        assert_eq!(response.status(), status, "{query}");
    }
}

#[tokio::test]
async fn post_takes_lines() {
    let house = House::furnished().await;
    let body = "minmagnitude=2\nformat=text\n";
    let (status, text) = house.post(&format!("{EVENT}/query"), "text/plain", body).await;
    assert_eq!((status, text.lines().count()), (StatusCode::OK, 2), "{text}");
    let (status, text) = house.post(&format!("{EVENT}/query"), "text/plain", "nonsense").await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("nonsense"), "{text}");
    // What stands in the address would be heard by nobody.
    for service in ["event", "station", "dataselect", "availability"] {
        let path = format!("/fdsnws/{service}/1/query?format=text");
        let (status, text) = house.post(&path, "text/plain", "network=XX\n").await;
        assert!(
            status == StatusCode::BAD_REQUEST && text.contains("read in its body alone"),
            "{service}: {text}"
        );
    }
}

#[tokio::test]
async fn the_wadl_lists_every_parameter_that_query_accepts() {
    let house = House::empty().await;
    for (service, words) in [
        ("event", "orderby,format,nodata"),
        ("station", "level,format,nodata"),
        ("dataselect", "quality,format,nodata"),
    ] {
        let (_, wadl) = house.get(&format!("/fdsnws/{service}/1/application.wadl")).await;
        let names: Vec<&str> =
            wadl.split("<param name=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() > 10, "{wadl}");
        for name in names.iter().filter(|name| !words.contains(*name)) {
            let (_, text) = house.get(&format!("/fdsnws/{service}/1/query?{name}=1")).await;
            assert!(!text.contains("is not known"), "{service} {name}: {text}");
        }
    }
    assert_eq!(house.get(&format!("{EVENT}/version")).await.1, "1.2.0");
    assert!(house.get(&format!("{EVENT}/catalogs")).await.1.contains("<Catalog>seislake</Catalog>"));
    // Nobody has said anything about an event yet.
    let contributors = house.get(&format!("{EVENT}/contributors")).await.1;
    assert!(contributors.ends_with("<Contributors></Contributors>\n"), "{contributors}");
}

#[tokio::test]
async fn stations_come_as_text_and_stationxml_at_each_level() {
    let house = House::empty().await;
    let station = "/fdsnws/station/1/query";
    for (query, lines) in [
        ("level=network", 1),
        ("level=station", 3),
        ("level=channel", 1),
        ("net=XX&sta=S?&loc=--&cha=HH*&level=station", 1),
        ("sta=S1,S2", 2),
        ("minlat=64.5", 2),
        ("starttime=2015-01-01&endtime=2016-01-01", 3),
    ] {
        let (status, text) = house.get(&format!("{station}?format=text&{query}")).await;
        assert_eq!((status, text.lines().count() - 1), (StatusCode::OK, lines), "{query}: {text}");
    }
    let timeless = r#"{"network":"YY","station":"OLD","latitude":1,"longitude":2,"elevation_m":3}"#;
    house.post("/stations", "application/json", timeless).await;
    let (_, text) = house.get(&format!("{station}?format=text&net=YY")).await;
    assert!(text.contains("|1900-01-01T00:00:00"), "FDSN text has no empty begin: {text}");
    let (_, xml) = house.get(&format!("{station}?level=channel")).await;
    assert!(xml.contains("schemaVersion=\"1.2\"") && xml.contains("code=\"HHZ\""), "{xml}");
    let (status, _) = house.get(&format!("{station}?sta=NONE")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = house.get(&format!("{station}?net=XX&endtime=2009-01-01")).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "before the stations began");
    let body = "level=station\nformat=text\nXX S0 * * 2014-01-01 2015-01-01\nXX S2 * * * *\n";
    let (_, text) = house.post(station, "text/plain", body).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    let (status, _) = house.get(&format!("{station}?level=everything")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// Two stations, one of them closed to the public, as a document of somebody else.
const DOCUMENT: &str = r#"<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.2">
<Source>s</Source><Created>2020-01-01T00:00:00Z</Created><Network code="XX" startDate="2000-01-01T00:00:00Z">
<Description>A network</Description>
<Station code="S0" startDate="2010-01-01T00:00:00Z" restrictedStatus="open"><Latitude>64</Latitude>
<Longitude>-17</Longitude><Elevation>5</Elevation><Site><Name>A</Name></Site><Vault>deep</Vault>
<Channel code="HHZ" locationCode="" startDate="2010-01-01T00:00:00Z"><Latitude>64</Latitude><Longitude>-17</Longitude>
<Elevation>5</Elevation><Depth>0</Depth><SampleRate>100</SampleRate></Channel></Station>
<Station code="S9" startDate="2012-01-01T00:00:00Z" restrictedStatus="closed"><Latitude>60</Latitude>
<Longitude>10</Longitude><Elevation>5</Elevation><Site><Name>B</Name></Site>
<Channel code="HHZ" locationCode="" startDate="2012-01-01T00:00:00Z"><Latitude>60</Latitude><Longitude>10</Longitude>
<Elevation>5</Elevation><Depth>0</Depth><SampleRate>100</SampleRate></Channel></Station></Network></FDSNStationXML>"#;

#[tokio::test]
async fn stations_are_chosen_by_restriction_data_and_change() {
    let house = House::furnished().await;
    let inventory = seislake_exchange::stationxml::read(DOCUMENT.as_bytes()).unwrap().value;
    house.state.stations.upsert(inventory.clone()).await.unwrap();
    house.lake.upsert_inventory(inventory).await.unwrap();
    let station = "/fdsnws/station/1/query?format=text&net=XX";
    for (query, expected) in [
        ("level=station", vec!["S0", "S1", "S2", "S9"]),
        ("level=station&includerestricted=false", vec!["S0", "S1", "S2"]),
        ("level=station&matchtimeseries=true", vec!["S0"]),
        ("level=channel", vec!["S0", "S9"]),
        ("level=channel&matchtimeseries=true&start=2014-08-24&end=2014-08-25", vec!["S0"]),
        ("level=channel&includerestricted=false", vec!["S0"]),
        ("level=station&startafter=2011-01-01", vec!["S9"]),
        ("level=station&updatedafter=2000-01-01", vec!["S0", "S9"]),
    ] {
        let (status, text) = house.get(&format!("{station}&{query}")).await;
        let codes: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split('|').nth(1)).collect();
        assert_eq!((status, codes), (StatusCode::OK, expected), "{query}: {text}");
    }
    for query in ["matchtimeseries=true&start=2020-01-01", "updatedafter=2100-01-01"] {
        let (status, text) = house.get(&format!("{station}&{query}")).await;
        assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""), "{query}");
    }
    let (_, networks) = house.get(&format!("{station}&level=network&sta=S9")).await;
    assert!(networks.ends_with("\nXX|A network|2000-01-01T00:00:00.000||1\n"), "{networks}");
}

#[tokio::test]
async fn stationxml_keeps_what_it_was_given_and_tells_what_is_held() {
    let house = House::furnished().await;
    let inventory = seislake_exchange::stationxml::read(DOCUMENT.as_bytes()).unwrap().value;
    house.state.stations.upsert(inventory).await.unwrap();
    let (_, xml) = house.get("/fdsnws/station/1/query?level=channel&sta=S0&includeavailability=true").await;
    let flat: String = xml.lines().map(str::trim).collect();
    for part in [
        "<Vault>deep</Vault><Channel ",
        "<Extent start=\"2014-08-24T00:00:10.000Z\" end=\"2014-08-24T00:00:30.990Z\"/>",
        "<Description>A network</Description>",
    ] {
        assert!(flat.contains(part), "{part} in {flat}");
    }
    let (_, xml) = house.get("/fdsnws/station/1/query?level=channel&sta=S9&includeavailability=true").await;
    assert!(xml.contains("restrictedStatus=\"closed\"") && !xml.contains("<Extent"), "{xml}");
    let (_, extents) = house.get("/fdsnws/availability/1/extent?sta=S9&includerestricted=true").await;
    assert_eq!(extents, "", "nothing is held of it");
}
