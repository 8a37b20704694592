//! Tests of the whole path, on packed records and on real recordings.
#![allow(clippy::indexing_slicing, reason = "a test may fail by panic")]

mod damage;
mod merge;
mod packing;
mod pitfalls;
mod recordings;
mod round_trip;
