//! End to end: the real binary through its public doors, and the rules of the house.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod archive;
mod bad_input;
mod crash;
mod dependencies;
mod export;
mod iceland;
mod import;
mod layering;
mod own_stages;
mod pages;
mod quality;
mod seislake;
mod serve;
