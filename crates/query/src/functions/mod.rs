//! SQL functions: one file each and one line in [`FUNCTIONS`].

mod continuity;
mod distance_km;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Constructors of every function of ours.
pub const FUNCTIONS: &[fn() -> ScalarUDF] = &[distance_km::function];

/// Constructors of every aggregate function of ours.
pub const AGGREGATES: &[fn() -> AggregateUDF] = &[continuity::function];
