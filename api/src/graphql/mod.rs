//! GraphQL over the lake: events with what stands behind them, picks, stations, waveform segments.
//!
//! ```text
//! request ─ depth, cost ─ root field ─► View (session as of one snapshot) ─► one statement per field
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
mod view;
mod waveform;

use async_graphql::{EmptyMutation, EmptySubscription, Schema};

use crate::limits::HttpLimits;
use crate::state::AppState;

pub(crate) use serve::routes;

/// The schema with resolvers.
pub(crate) type ApiSchema = Schema<query::Query, EmptyMutation, EmptySubscription>;

/// Levels of nesting that the parser accepts at all: what introspection tools send needs about 15.
const PARSER_DEPTH_MAX: usize = 64;

/// Lists in one query at most: stops fragments that double themselves.
const DIRECTIVES_MAX: usize = 16;

/// The schema over a state, with limits.
pub(crate) fn schema(state: AppState, limits: HttpLimits) -> ApiSchema {
    Schema::build(query::Query, EmptyMutation, EmptySubscription)
        .data(state)
        .limit_complexity(limits.query_cost_max)
        .limit_recursive_depth(PARSER_DEPTH_MAX)
        .limit_directives(DIRECTIVES_MAX)
        .extension(guard::DepthGuard { depth_max: limits.query_depth_max })
        .extension(order::FieldOrder::default())
        .data(limits)
        .finish()
}

/// The schema as text: what `api/schema.graphql` holds.
pub fn schema_sdl() -> String {
    Schema::build(query::Query, EmptyMutation, EmptySubscription).finish().sdl()
}
