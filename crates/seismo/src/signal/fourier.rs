//! Discrete Fourier transforms of real samples, and what follows from one transform: amplitudes, the envelope,
//! cross-correlation.
//!
//! Any length works; lengths without large prime factors are fastest. Plans are kept from call to call. An even number of
//! real samples goes through a complex transform of half the length: even samples as real, odd ones as imaginary parts.

use std::fmt;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Longest run a transform takes: a day at 100 Hz with room.
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
    /// The transform of `samples`, followed by zeros up to `count` values: `count / 2 + 1` frequencies from zero on.
    pub(super) fn spectrum(&mut self, samples: &[f64], count: usize) -> Vec<Complex<f64>> {
        let sample = |index: usize| samples.get(index).copied().unwrap_or(0.0);
        if count % 2 == 1 || count == 0 {
            let mut values: Vec<_> = (0..count).map(|index| Complex::new(sample(index), 0.0)).collect();
            self.forward(&mut values);
            values.truncate(count / 2 + 1);
            return values;
        }
        let half = count / 2;
        let mut values = Vec::with_capacity(half + 1);
        values.extend((0..half).map(|index| Complex::new(sample(2 * index), sample(2 * index + 1))));
        self.forward(&mut values);
        values.push(values[0]);
        for low in 0..=half / 2 {
            let high = half - low;
            let (even, odd) = (values[low] + values[high].conj(), values[low] - values[high].conj());
            let (even, odd) = (even * 0.5, odd * Complex::new(0.0, -0.5));
            values[low] = even + odd * turn(low, count);
            values[high] = even.conj() + odd.conj() * turn(high, count);
        }
        values
    }

    /// The `count` samples of a spectrum as [`Self::spectrum`] gives it.
    pub(super) fn samples(&mut self, mut spectrum: Vec<Complex<f64>>, count: usize) -> Vec<f64> {
        if count % 2 == 1 || count == 0 {
            let mirrored: Vec<_> = spectrum.iter().skip(1).rev().map(Complex::conj).collect();
            spectrum.extend(mirrored);
            self.inverse(&mut spectrum);
            return spectrum.into_iter().map(|value| value.re).collect();
        }
        let half = count / 2;
        for low in 0..=half / 2 {
            let high = half - low;
            let even = (spectrum[low] + spectrum[high].conj()) * 0.5;
            let odd = (spectrum[low] - spectrum[high].conj()) * 0.5 * turn(low, count).conj();
            spectrum[low] = even + odd * Complex::i();
            spectrum[high] = even.conj() + odd.conj() * Complex::i();
        }
        spectrum.truncate(half);
        self.inverse(&mut spectrum);
        spectrum.into_iter().flat_map(|value| [value.re, value.im]).collect()
    }

    fn forward(&mut self, values: &mut [Complex<f64>]) {
        if !values.is_empty() {
            self.planner.plan_fft_forward(values.len()).process(values);
        }
    }

    /// Scaled so that it undoes [`Self::forward`].
    fn inverse(&mut self, values: &mut [Complex<f64>]) {
        if values.is_empty() {
            return;
        }
        self.planner.plan_fft_inverse(values.len()).process(values);
        let scale = 1.0 / values.len() as f64;
        for value in values {
            *value *= scale;
        }
    }

    /// Amplitude spectrum: absolute values of the one-sided Fourier transform times the sample interval.
    ///
    /// `samples`: unit u, n of them, no NaN. Result: u/Hz, n/2 + 1 values, the k-th at `k · sample_rate_hz / n`.
    /// As NumPy's `abs(rfft(x)) / sample_rate_hz`. Cost: n log n.
    pub fn amplitudes(&mut self, samples: &[f64], sample_rate_hz: f64) -> Vec<f64> {
        if samples.is_empty() {
            return vec![];
        }
        let spectrum = self.spectrum(samples, samples.len());
        spectrum.into_iter().map(|value| value.norm() / sample_rate_hz).collect()
    }

    /// Envelope: the absolute value of the analytic signal, in place.
    ///
    /// `samples`: any unit, no NaN. As ObsPy's `envelope`; the transform takes the run as periodic, so both ends should
    /// be tapered. Cost: n log n.
    pub fn envelope(&mut self, samples: &mut [f64]) {
        // The imaginary part is the Hilbert transform: every frequency a quarter period later, without zero and half
        // the sample rate.
        let count = samples.len();
        let mut spectrum = self.spectrum(samples, count);
        for (index, value) in spectrum.iter_mut().enumerate() {
            let kept = index > 0 && 2 * index < count;
            *value = if kept { Complex::new(value.im, -value.re) } else { Complex::default() };
        }
        for (sample, imaginary) in samples.iter_mut().zip(self.samples(spectrum, count)) {
            *sample = sample.hypot(imaginary);
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
        let mut product = self.spectrum(&first, count);
        for (value, other) in product.iter_mut().zip(self.spectrum(&second, count)) {
            *value *= other.conj();
        }
        let product = self.samples(product, count);
        for (place, value) in lags.iter_mut().enumerate() {
            if place >= lag_count_max && place - lag_count_max < first.len() {
                *value = product[place - lag_count_max] / norm;
            } else if place < lag_count_max && lag_count_max - place < second.len() {
                *value = product[count + place - lag_count_max] / norm;
            }
        }
        lags
    }
}

/// `exp(-2 pi i index / count)`.
fn turn(index: usize, count: usize) -> Complex<f64> {
    Complex::from_polar(1.0, -std::f64::consts::TAU * index as f64 / count as f64)
}
