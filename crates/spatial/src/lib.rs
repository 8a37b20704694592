//! Space-filling curves: places that are near on the globe get numbers that are near.
//!
//! Depends on nothing of ours and knows no seismology.
#![warn(missing_docs)]

mod hilbert;

pub use hilbert::{HILBERT_BITS, hilbert_distance, hilbert_index};
