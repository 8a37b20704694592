//! SQL functions: one file each and one line in [`FUNCTIONS`].

mod distance_km;

use datafusion::logical_expr::ScalarUDF;

/// Constructors of every function of ours.
pub const FUNCTIONS: &[fn() -> ScalarUDF] = &[distance_km::function];
