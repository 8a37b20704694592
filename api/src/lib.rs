//! The doors: GraphQL, the HTTP routes of the original system, FDSN web services, health and console.
//!
//! ```text
//! request ─ limits ─ route ─┬─ graphql ─┐
//!                           ├─ http ────┼─ read (one SQL statement each) ─► Sessions ─► lake
//!                           └─ fdsn ────┘     └─ records (samples as miniSEED)
//! POST /waveforms/ingest ─────────────────────────────────────────────────► Ingest   ─► waveforms.raw
//! ```
//! Doors translate: no algorithm, no retry, one statement per resolver. What they need from the rest of the house
//! stands in [`state`] as ports; the binary fills them.
#![warn(missing_docs)]

mod body_watch;
mod codes;
pub mod door;
mod doors;
pub mod error;
mod fdsn;
mod flight_sql;
mod graphql;
mod http;
pub mod iceberg_rest;
mod limits;
mod query_runtime;
mod read;
mod records;
pub mod request;
pub mod state;

pub use doors::{router, router_with};
pub use error::{ApiError, ErrorCode};
pub use fdsn::bulletin;
pub use flight_sql::FlightSql;
pub use graphql::{check_document, schema_sdl};
pub use limits::HttpLimits;
pub use query_runtime::{Asker, QueryFailure, QueryLimits, QueryRuntime, QueryStream, TimeLimit};
pub use records::{
    RecordBlock, RecordFormat, TextRecord, channels_of, records, text_in_format, text_records,
};
pub use state::AppState;

#[cfg(test)]
mod tests;
