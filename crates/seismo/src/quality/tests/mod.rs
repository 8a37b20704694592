//! Tests of quality: hand-computed cases, NumPy and ObsPy as oracles, real recordings, invariance.

mod continuity;
mod invariance;
mod levels;
mod ratios;
mod recordings;

use seislake_model::{SourceId, Timestamp};

use super::Window;

const DAY_NS: i64 = 86_400_000_000_000;

fn channel() -> SourceId {
    SourceId::from_nslc("XX", "STA", "00", "HHZ")
}

fn day_start() -> Timestamp {
    "2024-02-29T00:00:00Z".parse().unwrap()
}

fn day() -> Window {
    Window::day_of(day_start())
}

/// Integers from -32768 to 32767 by a linear congruential generator, as the oracle scripts make them.
fn noise(seed: u32, count: usize) -> Vec<i32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i32 - 32_768
        })
        .collect()
}
