//! What an import says of itself beside its counts: why there is less than was hoped for.

mod reasons;
mod responses;

pub use reasons::{declared_twice, reasons, seams};
pub use responses::{UnusedResponse, describe, unused_responses};
