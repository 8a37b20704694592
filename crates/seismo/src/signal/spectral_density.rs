//! Power spectral density: modified periodograms of a Hann window, each without its mean, one by one (spectrogram) or
//! averaged (Welch 1967).
//!
//! ```text
//! samples ── windows, overlapping ── demean ── Hann ── Fourier ── |X|² / (rate · sum of squared weights), one-sided
//! ```

use super::taper::periodic_hann;
use super::{Fourier, demean};

/// Windows of a spectral estimate.
#[derive(Clone, Debug)]
pub struct SpectralWindow {
    weights: Vec<f64>,
    step: usize,
    scale: f64,
}

impl SpectralWindow {
    /// Windows of `count` samples, at least 2, that begin `step` samples, at least 1, after one another.
    pub fn new(count: usize, step: usize, sample_rate_hz: f64) -> Self {
        let weights = periodic_hann(count.max(2));
        let scale = 1.0 / (sample_rate_hz * weights.iter().map(|weight| weight * weight).sum::<f64>());
        Self { weights, step: step.max(1), scale }
    }

    /// Samples in a window.
    pub fn count(&self) -> usize {
        self.weights.len()
    }

    /// Samples from the begin of a window to that of the next.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Density of the first window of `samples`, unit²/Hz, at frequencies `sample_rate_hz / count` apart from zero to half
    /// the rate; empty where the samples are fewer than a window. No NaN.
    /// As a column of SciPy's `spectrogram(..., window="hann", detrend="constant", scaling="density")`.
    pub fn density(&self, fourier: &mut Fourier, samples: &[f64]) -> Vec<f64> {
        let count = self.weights.len();
        let Some(window) = samples.get(..count) else { return vec![] };
        let mut window = window.to_vec();
        demean(&mut window);
        for (sample, weight) in window.iter_mut().zip(&self.weights) {
            *sample *= weight;
        }
        let mut density: Vec<f64> =
            fourier.spectrum(&window, count).into_iter().map(|value| value.norm_sqr() * self.scale).collect();
        // Both signs of a frequency are in one value; zero and half the sample rate have only one.
        let twice = 1..count.div_ceil(2);
        density[twice].iter_mut().for_each(|value| *value *= 2.0);
        density
    }

    /// Mean density over all windows within gapless `runs`, unit²/Hz; empty where no run holds a window. No NaN.
    /// For a single run equal to SciPy's `welch(..., window="hann", detrend="constant")`. Cost: n log window.
    pub fn welch<'a>(&self, fourier: &mut Fourier, runs: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
        let mut sum = vec![];
        let mut window_count = 0_u32;
        for run in runs {
            let mut rest = run;
            while rest.len() >= self.weights.len() {
                let density = self.density(fourier, rest);
                sum.resize(density.len(), 0.0);
                for (total, value) in sum.iter_mut().zip(density) {
                    *total += value;
                }
                window_count += 1;
                rest = rest.get(self.step..).unwrap_or_default();
            }
        }
        sum.iter_mut().for_each(|value| *value /= f64::from(window_count));
        sum
    }
}
