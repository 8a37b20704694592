//! The HTTP room: routes of the original system, health, console, documentation, and what all doors over HTTP share.

mod assets;
mod body;
pub(crate) mod cors;
mod events;
pub(crate) mod guard;
mod health;
mod ingest;
mod memory;
mod parameters;
mod places;
mod slash;
mod stations;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use assets::{Asset, asset_routes};
pub(crate) use body::{Body, DocumentReaders};
pub(crate) use memory::counted_bodies;
pub(crate) use parameters::{LATITUDES, LENGTHS, Parameters, Range, check_point, decode_query};
pub(crate) use slash::without_slash;

use crate::limits::HttpLimits;
use crate::state::AppState;

/// What the handlers of this room share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) state: AppState,
    pub(crate) limits: HttpLimits,
    pub(crate) reading: DocumentReaders,
}

const PAGES: &[Asset] = &[
    Asset::html("/", include_str!("../../assets/console.html")),
    Asset::html("/docs", include_str!("../../assets/docs.html")),
    Asset::json("/openapi.json", include_str!("../../openapi.json")),
];

/// The routes of this room.
pub(crate) fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/events", get(events::list))
        .route("/stations", get(stations::list).post(stations::upsert))
        .route("/waveforms/ingest", post(ingest::ingest))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/version", get(health::version))
        .with_state(shared)
        .merge(asset_routes(PAGES))
}
