//! Discrete Fourier transforms of real samples, and what follows from one transform: amplitudes, the envelope,
//! cross-correlation.
//!
//! Any length works; lengths without large prime factors are fastest. Plans are kept from call to call.

use std::fmt;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Longest run a transform takes: a day at 100 Hz with room. Two buffers of 16 bytes a sample are needed.
pub const TRANSFORM_COUNT_MAX: usize = 10_000_000;

/// Transforms with their plans.
pub struct Fourier {
    planner: FftPlanner<f64>,
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fourier").finish_non_exhaustive()
    }
}

impl Default for Fourier {
    fn default() -> Self {
        Self { planner: FftPlanner::new() }
    }
}

impl Fourier {
    /// The transform of `samples`, followed by zeros up to `count` values: all `count` frequencies.
    pub(super) fn forward(&mut self, samples: &[f64], count: usize) -> Vec<Complex<f64>> {
        let mut values: Vec<_> = samples.iter().map(|sample| Complex::new(*sample, 0.0)).collect();
        values.resize(count, Complex::default());
        self.forward_in_place(&mut values);
        values
    }

    pub(super) fn forward_in_place(&mut self, values: &mut [Complex<f64>]) {
        if !values.is_empty() {
            self.planner.plan_fft_forward(values.len()).process(values);
        }
    }

    /// The inverse, scaled so that it undoes [`Self::forward`].
    pub(super) fn inverse(&mut self, values: &mut [Complex<f64>]) {
        if values.is_empty() {
            return;
        }
        self.planner.plan_fft_inverse(values.len()).process(values);
        let scale = 1.0 / values.len() as f64;
        for value in values {
            *value *= scale;
        }
    }

    /// The inverse of a spectrum of which only the frequencies from zero to half the sample rate are given.
    pub(super) fn inverse_of_half(&mut self, half: &[Complex<f64>]) -> Vec<f64> {
        let count = 2 * half.len().saturating_sub(1);
        let mirrored = half.iter().skip(1).rev().skip(1).map(Complex::conj);
        let mut values: Vec<_> = half.iter().copied().chain(mirrored).take(count).collect();
        self.inverse(&mut values);
        values.into_iter().map(|value| value.re).collect()
    }

    /// Amplitude spectrum: absolute values of the one-sided Fourier transform times the sample interval.
    ///
    /// `samples`: unit u, n of them, no NaN. Result: u/Hz, n/2 + 1 values, the k-th at `k · sample_rate_hz / n`.
    /// As NumPy's `abs(rfft(x)) / sample_rate_hz`. Cost: n log n.
    pub fn amplitudes(&mut self, samples: &[f64], sample_rate_hz: f64) -> Vec<f64> {
        if samples.is_empty() {
            return vec![];
        }
        let values = self.forward(samples, samples.len());
        values[..=samples.len() / 2].iter().map(|value| value.norm() / sample_rate_hz).collect()
    }

    /// Envelope: the absolute value of the analytic signal, in place.
    ///
    /// `samples`: any unit, no NaN. As ObsPy's `envelope`; the transform takes the run as periodic, so both ends should
    /// be tapered. Cost: n log n.
    pub fn envelope(&mut self, samples: &mut [f64]) {
        let count = samples.len();
        let mut values = self.forward(samples, count);
        // Negative frequencies go, positive ones count twice; zero and half the sample rate stay as they are.
        for value in values.iter_mut().take(count.div_ceil(2)).skip(1) {
            *value *= 2.0;
        }
        for value in values.iter_mut().skip(count / 2 + 1) {
            *value = Complex::default();
        }
        self.inverse(&mut values);
        for (sample, value) in samples.iter_mut().zip(values) {
            *sample = value.norm();
        }
    }

    /// Cross-correlation `c[lag] = sum over n of a[n + lag] b[n]`, demeaned and divided by the root of both energies:
    /// 1 where `a` is `b` delayed by `lag` samples.
    ///
    /// `first`, `second`: any units, aligned at their first samples, no NaN. Result: 2 `lag_count_max` + 1 values from
    /// lag `-lag_count_max` to `lag_count_max`; all zero where one of them is constant. For runs of one length equal to
    /// ObsPy's `correlate(a, b, shift)`. Cost: n log n.
    pub fn cross_correlation(&mut self, first: &[f64], second: &[f64], lag_count_max: usize) -> Vec<f64> {
        let (mut first, mut second) = (first.to_vec(), second.to_vec());
        super::demean(&mut first);
        super::demean(&mut second);
        let squares = |samples: &[f64]| samples.iter().map(|sample| sample * sample).sum::<f64>();
        let norm = (squares(&first) * squares(&second)).sqrt();
        let mut lags = vec![0.0; 2 * lag_count_max + 1];
        if norm <= f64::EPSILON {
            return lags;
        }
        // Lags beyond both lengths are zero; zeros behind the samples keep the rest from wrapping around.
        let count = (first.len() + second.len()).next_power_of_two();
        let mut product = self.forward(&first, count);
        for (value, other) in product.iter_mut().zip(self.forward(&second, count)) {
            *value *= other.conj();
        }
        self.inverse(&mut product);
        for (place, value) in lags.iter_mut().enumerate() {
            if place >= lag_count_max && place - lag_count_max < first.len() {
                *value = product[place - lag_count_max].re / norm;
            } else if place < lag_count_max && lag_count_max - place < second.len() {
                *value = product[count + place - lag_count_max].re / norm;
            }
        }
        lags
    }
}
