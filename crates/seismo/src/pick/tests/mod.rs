//! Tests of the picker: invariance (synthetic), oracles (numbers), and real recordings.

mod invariance;
mod noise;
mod oracles;
mod pitfalls;
mod recordings;
mod station;
