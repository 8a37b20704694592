//! The quality of recordings: what is missing, what came late, what the sensor does.
//!
//! ```text
//! start, end, rate, count of pieces ──► continuity      samples expected and received, gaps, overlaps
//! arrival and last sample of packets ─► latency         percentiles
//! samples ─► day_grid ─┬─► signal_level                 dead, clipped, spiky
//!                      └─► band_energy ─► component_ratios
//! ```
//! Nothing here depends on the order in which pieces come, nor on how a recording was cut into pieces.
//!
//! | file | what | reference |
//! |---|---|---|
//! | `continuity` | samples received once, gaps, overlaps of a stretch of time | half-sample rule of libmseed |
//! | `latency` | percentiles by linear interpolation, histogram | Hyndman & Fan 1996, type 7 |
//! | `day_grid` | the samples of a day on the grid of their rate | – |
//! | `band_energy` | energy of five-minute windows in a band | Pedersen et al. 2020, SRL 91, 272 |
//! | `component_ratios` | daily medians of the ratios of energies | Pedersen et al. 2020 |
//! | `signal_level` | offset, rms, dead, clipped and spiky channels | – |

mod band_energy;
mod component_ratios;
mod continuity;
mod day_grid;
mod latency;
mod signal_level;
mod statistics;

pub use band_energy::{BandEnergy, RatioSettings};
pub use component_ratios::{Components, component_ratios};
pub use continuity::{ChannelContinuity, Piece, SPANS_MAX, Window};
pub use day_grid::{DayGrid, GridSample, Places, SAMPLE_RATE_HZ_MAX};
pub use latency::latency;
pub use signal_level::signal_level;
pub use statistics::{percentile, timing};

#[cfg(test)]
mod tests;
