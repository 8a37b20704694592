//! What stands around every request.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use seislake_model::{SnapshotId, Timestamp};
use tower::ServiceExt;

use super::{House, code_in, text_of};
use crate::state::{AsOf, Pinned, Sessions};
use crate::{ApiError, AppState, HttpLimits, router, router_with};

/// A lake that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Sessions for Silent {
    async fn pin(&self, _as_of: AsOf) -> Result<Pinned, ApiError> {
        std::future::pending().await
    }

    async fn committed_at(&self, _: SnapshotId) -> Result<Option<Timestamp>, ApiError> {
        Ok(None)
    }
}

fn events() -> Request<Body> {
    Request::get("/events").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let house = House::empty().await;
    let state = AppState { sessions: Arc::new(Silent), ..house.state.clone() };
    let limits = HttpLimits { request_time_max: Duration::from_millis(1), ..HttpLimits::default() };
    let (status, text) = text_of(router(state, limits).oneshot(events()).await.unwrap()).await;
    assert_eq!((status, code_in(&text)), (StatusCode::GATEWAY_TIMEOUT, "TIMED_OUT".into()));
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_again() {
    let house = House::empty().await;
    let limits = HttpLimits { concurrent_requests_max: 0, ..HttpLimits::default() };
    let router = router(house.state.clone(), limits);
    let response = router.clone().oneshot(events()).await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    let (status, text) = text_of(response).await;
    assert_eq!((status, code_in(&text)), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE".into()));
    let live = Request::get("/livez").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(live).await.unwrap().status(), StatusCode::OK, "health is always answered");
}

#[tokio::test]
async fn a_panic_is_an_error_of_ours_and_the_others_go_on() {
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    let house = House::empty().await;
    let others = Router::new().route("/panics", get(panics));
    let router = router_with(house.state.clone(), HttpLimits::default(), others);
    let request = Request::get("/panics").body(Body::empty()).unwrap();
    let (status, text) = text_of(router.clone().oneshot(request).await.unwrap()).await;
    assert_eq!((status, code_in(&text)), (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL".into()));
    assert_eq!(router.oneshot(events()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_without_announced_length_is_measured_as_it_comes() {
    let house = House::empty().await;
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 8192]));
    let request = Request::post("/waveforms/ingest")
        .header("content-type", "application/vnd.fdsn.mseed")
        .body(Body::from_stream(futures::stream::iter(chunks)))
        .unwrap();
    let (status, text) = house.send(request).await;
    assert_eq!((status, code_in(&text)), (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE".into()));
}

#[tokio::test]
async fn answers_are_packed_where_the_client_can_unpack_them_and_errors_never() {
    let house = House::furnished().await;
    for (query, packed) in [("", true), ("?starttime=yesterday", false)] {
        let request = Request::get(format!("/fdsnws/event/1/query{query}")).header("accept-encoding", "gzip");
        let response = house.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers().contains_key("content-encoding"), packed, "{query}");
    }
}
