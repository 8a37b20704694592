//! Promises in files: the GraphQL schema and the OpenAPI document. `BLESS=1` rewrites the former.

use std::path::Path;

use axum::http::StatusCode;
use serde_json::Value;

use super::{House, code_in};

#[test]
fn the_graphql_schema_is_the_one_promised() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let schema = crate::schema_sdl();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let promised = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(promised == schema, "the schema differs from api/schema.graphql: run the tests with BLESS=1");
}

#[tokio::test]
async fn openapi_declares_the_routes_that_are_served() {
    let house = House::empty().await;
    let (_, document) = house.get_json("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 16);
    for (path, methods) in paths {
        for method in ["get", "post", "put", "delete"] {
            let request = axum::http::Request::builder().method(method.to_uppercase().as_str()).uri(path);
            let (status, text) = house.send(request.body(axum::body::Body::empty()).unwrap()).await;
            let served = status != StatusCode::METHOD_NOT_ALLOWED
                && !(status == StatusCode::NOT_FOUND && code_in(&text) == "NOT_FOUND" && path != "/metrics");
            assert_eq!(served, methods.get(method).is_some(), "{method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn the_page_of_routes_asks_before_it_writes_into_the_lake() {
    let house = House::empty().await;
    let (_, document) = house.get_json("/openapi.json").await;
    let mut changing = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["x-changes-the-lake"] == true {
                changing.push(format!("{method} {path}"));
            }
        }
    }
    changing.sort();
    assert_eq!(changing, ["post /stations", "post /waveforms/ingest"]);
    let (_, page) = house.get("/docs").await;
    let asks = page.find("if (changes && !confirm(").expect("the page asks");
    assert!(asks < page.find("await fetch(url").expect("the page sends"), "it asks before it sends");
}

#[tokio::test]
async fn openapi_declares_the_parameters_and_fields_that_are_served() {
    let house = House::furnished().await;
    let (_, document) = house.get_json("/openapi.json").await;
    for path in ["/events", "/stations"] {
        for parameter in document["paths"][path]["get"]["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let (_, text) = house.get(&format!("{path}?{name}=1")).await;
            assert!(!text.contains("UNKNOWN_PARAMETER"), "{path} {name}: {text}");
        }
    }
    for (path, list, schema) in [("/events", "events", "Event"), ("/stations", "stations", "Station")] {
        let (_, page) = house.get_json(path).await;
        let names = |value: &Value| -> Vec<String> {
            let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(
            names(&page[list][0]),
            names(&document["components"]["schemas"][schema]["properties"]),
            "{schema}"
        );
    }
}
