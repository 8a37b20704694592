//! Picks, associations and locations of real recordings in one go.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod iceland;
mod recordings;
mod ridgecrest;
