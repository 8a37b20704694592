//! Promises in files: the GraphQL schema and the OpenAPI document. `BLESS=1` rewrites the former.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

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

/// Endpoints of the Iceberg catalog as paths of the document.
fn iceberg_paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for endpoint in crate::iceberg_rest::ENDPOINTS {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let path = format!("/iceberg{}", path.replace("/{prefix}", ""));
        let names = path.split(['{', '}']).skip(1).step_by(2);
        let parameters: Vec<Value> = names
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let content = json!({"application/json": {"schema": {"type": "object"}}});
        let mut responses = json!({"200": {"description": "The answer."}});
        if method == "GET" {
            responses["200"]["content"] = content.clone();
        }
        responses["4XX"] = json!({"description": "An error of the specification.", "content": content});
        let operation = json!({
            "tags": ["Iceberg"], "summary": "Iceberg REST catalog, for reading", "description": "",
            "parameters": parameters, "responses": responses,
        });
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method.to_lowercase()] = operation;
    }
    paths
}

/// The document with what is made from the lists of the routers in place of what stood there.
fn generated(document: &Value) -> Value {
    let mut document = document.clone();
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| !path.starts_with("/fdsnws/") && !path.starts_with("/iceberg/"));
    paths.extend(crate::fdsn::openapi::paths());
    paths.extend(iceberg_paths());
    document
}

#[test]
fn openapi_tells_the_services_as_their_lists_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let wanted = generated(&document);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&wanted).unwrap() + "\n").unwrap();
        return;
    }
    assert!(wanted == document, "the services differ from api/openapi.json: run the tests with BLESS=1");
}

/// What people and pages open; programs need not know it.
const PAGES: [&str; 5] = ["/", "/docs", "/openapi.json", "/graphiql", "/assets/"];

#[tokio::test]
async fn every_route_stands_in_openapi() {
    let house = House::empty().await;
    let (_, document) = house.get_json("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let catalog =
        Router::new().nest("/iceberg", crate::iceberg_rest::router(house.lake.catalog(), BTreeMap::new()));
    let router = crate::router_with(house.state.clone(), crate::HttpLimits::default(), catalog);
    let routes = format!("{router:?}");
    let routes: BTreeSet<&str> = routes
        .split('"')
        .filter(|text| text.starts_with('/'))
        .filter(|path| !PAGES.iter().any(|page| path == page || *page != "/" && path.starts_with(page)))
        .collect();
    assert!(routes.len() > 25, "the routes of the router are found: {routes:?}");
    for route in routes {
        // A root without its slash is the same; what lies behind a nested door has no name here.
        let told = paths.contains_key(route) || paths.contains_key(&format!("{route}/"));
        assert!(told || route == "/iceberg" || route.contains("{*"), "{route} is not in openapi.json");
    }
}

#[tokio::test]
async fn openapi_declares_the_routes_that_are_served() {
    let house = House::empty().await;
    let (_, document) = house.get_json("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 16);
    for (path, methods) in paths.iter().filter(|(path, _)| !path.starts_with("/iceberg")) {
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
async fn the_page_of_routes_fills_paths_and_saves_records() {
    let house = House::empty().await;
    let (_, page) = house.get("/docs").await;
    let fills = page.find("filled.replace(`{${name}}`, encodeURIComponent(value))").expect("it fills");
    let asks = page.find("const url = filled + ").expect("it asks for the filled path");
    let sends = page.find("await fetch(url").expect("the page sends");
    assert!(fills < asks && asks < sends, "it fills before it sends");
    let saves = page.find("download: 'answer.'").expect("records are saved");
    assert!(sends < saves && saves < page.find("await answer.text()").expect("texts are shown"));
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
