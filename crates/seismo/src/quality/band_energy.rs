//! Energy of the windows of a day in a frequency band.
//!
//! Each window is taken by itself: its mean is taken off, a Butterworth band pass at rest runs over it once (causal),
//! and the squares of what comes out are summed. A window with a missing sample has no energy. The recipe is that of
//! Pedersen et al. 2020 (five-minute windows); the band is a setting.
//!
//! Several windows are filtered side by side, one in each lane of the processor's vectors: a recursive filter leaves
//! nothing else to do at once.

use serde::{Deserialize, Serialize};

use super::day_grid::DayGrid;
use crate::signal::{Band, FilterError, SectionFilter, butterworth};

/// Windows filtered side by side.
const LANES: usize = 8;
/// Samples of each lane between two sections: a tile stays in the innermost cache.
const TILE_ROWS: usize = 64;

type Row = [f64; LANES];

/// How component ratios are measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatioSettings {
    /// Length of a window in seconds.
    pub window_s: f64,
    /// Lower corner of the band pass. Microseisms are strong and diffuse between 0.1 and 1 Hz: their ratios are steady.
    pub low_hz: f64,
    /// Upper corner of the band pass.
    pub high_hz: f64,
    /// Order of the Butterworth filter (a band pass has twice as many poles).
    pub order: u32,
}

impl Default for RatioSettings {
    fn default() -> Self {
        Self { window_s: 300.0, low_hz: 0.1, high_hz: 1.0, order: 4 }
    }
}

/// Measures the energy of windows at one sample rate.
#[derive(Clone, Debug)]
pub struct BandEnergy {
    settings: RatioSettings,
    sample_rate_hz: f64,
    filter: SectionFilter,
}

impl BandEnergy {
    /// Designs the filter.
    ///
    /// # Errors
    /// [`FilterError`] where the band does not fit the rate.
    pub fn new(settings: RatioSettings, sample_rate_hz: f64) -> Result<Self, FilterError> {
        let band = Band::BandPass { low_hz: settings.low_hz, high_hz: settings.high_hz };
        let filter = butterworth(settings.order, band, sample_rate_hz)?;
        Ok(Self { settings, sample_rate_hz, filter })
    }

    /// The settings.
    pub fn settings(&self) -> &RatioSettings {
        &self.settings
    }

    /// Sample rate in Hz for which the filter is made.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// Energy (sum of squares, counts²) of each window of the day; `None` where samples are missing.
    /// Constant time a sample and section.
    pub fn energies(&self, grid: &DayGrid) -> Vec<Option<f64>> {
        let windows: Vec<&[f64]> = grid.windows(self.settings.window_s).collect();
        let complete = |window: &[f64]| !window.is_empty() && !window.iter().any(|sample| sample.is_nan());
        let wanted: Vec<usize> = (0..windows.len()).filter(|index| complete(windows[*index])).collect();
        let mut energies = vec![None; windows.len()];
        for chunk in wanted.chunks(LANES) {
            // Lanes without a window of their own repeat the first.
            let lanes: [&[f64]; LANES] =
                std::array::from_fn(|lane| windows[*chunk.get(lane).unwrap_or(&chunk[0])]);
            for (index, energy) in chunk.iter().zip(self.side_by_side(&lanes)) {
                energies[*index] = Some(energy);
            }
        }
        energies
    }

    /// Energies of windows whose lengths differ by a sample at most.
    fn side_by_side(&self, windows: &[&[f64]; LANES]) -> Row {
        let means: Row = std::array::from_fn(|lane| mean(windows[lane]));
        let length = windows.iter().map(|window| window.len()).max().unwrap_or(0);
        let mut memories = vec![[[0.0; LANES]; 2]; self.filter.sections().len()];
        let mut energies = [0.0; LANES];
        let mut tile = [[0.0; LANES]; TILE_ROWS];
        for start in (0..length).step_by(TILE_ROWS) {
            let rows = TILE_ROWS.min(length - start);
            let tile = &mut tile[..rows];
            for (lane, window) in windows.iter().enumerate() {
                let part = window.get(start..window.len().min(start + rows)).unwrap_or_default();
                for (row, sample) in tile.iter_mut().zip(part) {
                    row[lane] = sample - means[lane];
                }
                // A window one sample shorter than the others.
                for row in tile.iter_mut().skip(part.len()) {
                    row[lane] = 0.0;
                }
            }
            for (section, memory) in self.filter.sections().iter().zip(&mut memories) {
                filter_tile(tile, section.numerator, section.denominator, memory);
            }
            for row in tile.iter() {
                for (energy, value) in energies.iter_mut().zip(row) {
                    *energy += value * value;
                }
            }
        }
        energies
    }
}

/// One second order section over a tile, transposed direct form II.
#[inline]
fn filter_tile(tile: &mut [Row], numerator: [f64; 3], denominator: [f64; 2], memory: &mut [Row; 2]) {
    let ([b0, b1, b2], [a1, a2]) = (numerator, denominator);
    let [mut first, mut second] = *memory;
    for row in tile {
        for lane in 0..LANES {
            let input = row[lane];
            let output = b0 * input + first[lane];
            first[lane] = b1 * input - a1 * output + second[lane];
            second[lane] = b2 * input - a2 * output;
            row[lane] = output;
        }
    }
    *memory = [first, second];
}

/// Mean, summed in lanes: as fast as memory and rounded less than a running sum.
fn mean(samples: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let chunks = samples.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (sum, sample) in sums.iter_mut().zip(chunk) {
            *sum += sample;
        }
    }
    (sums.iter().sum::<f64>() + rest) / samples.len().max(1) as f64
}
