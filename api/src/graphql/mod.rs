//! GraphQL over the lake: events with what stands behind them, picks, stations, waveform segments.
//!
//! ```text
//! request ─ guard, variables, cost ─ root field ─► View (session as of one snapshot) ─► one statement per field
//!                                         └─ loader: children of all parents of a level in one statement
//! ```
//! Lists are Relay connections. A cursor holds the snapshot it was made of, so paging sees one state of the lake however
//! much is committed meanwhile. The schema is a promise: `api/schema.graphql` is compared by a test.

mod bulletin;
mod cursor;
mod guard;
mod inputs;
mod network;
mod order;
mod query;
mod scalars;
mod serve;
mod variables;
mod view;
mod waveform;

use async_graphql::{EmptyMutation, EmptySubscription, Request, SDLExportOptions, Schema};

use crate::error::ApiError;
use crate::limits::HttpLimits;
use crate::state::AppState;

pub(crate) use serve::{refused, routes};

/// The schema with resolvers.
pub(crate) type ApiSchema = Schema<query::Query, EmptyMutation, EmptySubscription>;

/// The schema over a state, with limits.
pub(crate) fn schema(state: AppState, limits: HttpLimits) -> ApiSchema {
    Schema::build(query::Query, EmptyMutation, EmptySubscription)
        .data(state)
        .limit_complexity(limits.query_cost_max)
        .extension(order::FieldOrder::default())
        .data(limits)
        .finish()
}

/// Refuses a document as the door does before anything else walks it, with the limits of an unchanged configuration.
///
/// # Errors
/// It is no GraphQL document, or too large in any way.
pub fn check_document(text: &str) -> Result<(), ApiError> {
    guard::check(&mut Request::new(text), HttpLimits::default().query_depth_max).map(|_| ())
}

/// The schema as text: what `api/schema.graphql` holds.
pub fn schema_sdl() -> String {
    let options = SDLExportOptions::new().include_specified_by();
    Schema::build(query::Query, EmptyMutation, EmptySubscription).finish().sdl_with_options(options)
}
