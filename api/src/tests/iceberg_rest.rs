//! The Iceberg REST catalog: what it declares it serves, and what it tells clients of the files' place.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{House, text_of};
use crate::iceberg_rest;

async fn config(house: &House, properties: BTreeMap<String, String>) -> Value {
    let router = iceberg_rest::router(house.lake.catalog(), properties);
    let request = Request::get("/v1/config?warehouse=seislake").body(Body::empty()).unwrap();
    let (status, text) = text_of(router.oneshot(request).await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn every_endpoint_that_is_declared_answers() {
    let house = House::empty().await;
    let declared = config(&house, BTreeMap::new()).await["endpoints"].as_array().unwrap().clone();
    assert!(declared.len() >= 7);
    for endpoint in declared {
        let (method, path) = endpoint.as_str().unwrap().split_once(' ').unwrap();
        let path =
            path.replace("/{prefix}", "").replace("{namespace}", "bulletin").replace("{table}", "events");
        let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
        let router = iceberg_rest::router(house.lake.catalog(), BTreeMap::new());
        let (status, text) = text_of(router.oneshot(request).await.unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {text}");
    }
}

#[tokio::test]
async fn clients_learn_where_the_files_are_and_may_know_better() {
    let house = House::empty().await;
    assert_eq!(config(&house, house.lake.client_properties().clone()).await["defaults"], json!({}));
    let properties = BTreeMap::from([("s3.endpoint".to_owned(), "http://store:9000".to_owned())]);
    let told = config(&house, properties).await;
    assert_eq!(told["defaults"], json!({ "s3.endpoint": "http://store:9000" }));
    assert_eq!(told["overrides"], json!({}));
}
