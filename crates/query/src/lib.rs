//! Asking questions: a DataFusion session over any catalog, with limits and Seislake's SQL functions.
//!
//! Only reading statements pass; memory is limited, large sorts and aggregates spill to disk. The crate knows neither
//! topics nor Iceberg: tables come in as a [`CatalogProvider`](datafusion::catalog::CatalogProvider).
#![warn(missing_docs)]

mod by_engine;
mod carried;
mod cases;
mod clauses;
mod comparisons;
mod deep_stack;
mod dialect;
mod error;
mod extremes;
mod frames;
mod functions;
mod growth;
mod integers;
pub mod layout;
mod list_memory;
mod marks;
mod memory;
mod merged_keys;
mod multisets;
mod named_windows;
mod names;
mod nested_order;
mod nulls_above;
mod one_nan;
mod order_names;
mod panics;

mod pass_through;
mod projections;
mod proposals;
pub mod quality;
mod recursion;
mod rewrite;
mod same_names;
mod session;
mod shape;
mod standard;
mod statement;
mod stop;
mod stoppable;
mod subqueries;
mod table_functions;
mod time_literals;
mod times;

#[cfg(test)]
mod asking;
#[cfg(test)]
mod document;
#[cfg(test)]
mod slt;

pub use error::{FoundBy, of_engine, shortened};
pub use functions::{AGGREGATES, FUNCTIONS};
pub use memory::CountingAllocator;
pub use session::{CATALOG_NAME, SessionSettings, session};
pub use shape::STATEMENT_BYTES_MAX;
pub use statement::{BatchRows, Plan, Question, StatementText, parse, plan, query};
pub use stop::Stop;
pub use table_functions::{TABLE_FUNCTIONS, TableFunction};
