//! Ground motion from counts: division by the instrument response in the frequency domain.
//!
//! ```text
//! counts ── demean, taper ── Fourier ── pre-filter ── / response, lifted to the water level ── inverse ──► m, m/s, m/s²
//! ```
//! As ObsPy's `Trace.remove_response`. The response is a [`Response`], overall sensitivity and the analogue poles and zeros
//! (the digital filters of a recorder are one in their pass band and left out), or all stages, see
//! [`StagedResponse`].

use rustfft::num_complex::Complex;
use seislake_model::{InputUnit, Response};

use super::taper::quarter_cosine_taper;
use super::{Fourier, StagedResponse, demean};

/// How to remove a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponseRemoval {
    /// Quantity wanted; m, m/s or m/s².
    pub output: InputUnit,
    /// The response counts as no smaller than its largest value less so many dB: noise where the sensor hears nothing
    /// is not blown up.
    pub water_level_db: f64,
    /// Corners f1 < f2 < f3 < f4 of a band: cosine flanks from f1 to f2 and from f3 to f4, nothing outside.
    pub pre_filter_hz: Option<[f64; 4]>,
    /// Part of the run that is tapered, half of it at each end.
    pub taper_share: f64,
}

impl ResponseRemoval {
    /// Water level of 60 dB, 5 % taper, no pre-filter: the defaults of ObsPy.
    pub fn to(output: InputUnit) -> Self {
        Self { output, water_level_db: 60.0, pre_filter_hz: None, taper_share: 0.05 }
    }
}

/// Something that turns ground motion into counts.
pub trait FrequencyResponse {
    /// Counts per `output` unit at `frequency_hz`; zero where it has no finite value.
    fn at(&self, output: InputUnit, frequency_hz: f64) -> Complex<f64>;
}

/// Overall sensitivity and the analogue poles and zeros.
impl FrequencyResponse for Response {
    fn at(&self, output: InputUnit, frequency_hz: f64) -> Complex<f64> {
        let s = Complex::new(0.0, std::f64::consts::TAU * frequency_hz);
        let mut value = Complex::new(self.sensitivity, 0.0);
        if let Some(stage) = &self.poles_zeros {
            value *= stage.normalization_factor;
            for &(re, im) in &stage.zeros {
                value *= s - Complex::new(re, im);
            }
            for &(re, im) in &stage.poles {
                value /= s - Complex::new(re, im);
            }
        }
        finite(value * s.powi(derivatives(self.input_unit) - derivatives(output)))
    }
}

/// A response in one of the forms in which it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Instrument {
    /// Overall sensitivity and the analogue poles and zeros.
    Analogue(Response),
    /// All stages.
    Staged(StagedResponse),
}

impl FrequencyResponse for Instrument {
    fn at(&self, output: InputUnit, frequency_hz: f64) -> Complex<f64> {
        match self {
            Self::Analogue(response) => response.at(output, frequency_hz),
            Self::Staged(response) => response.at(output, frequency_hz),
        }
    }
}

/// The value, or zero where it is none.
pub(super) fn finite(value: Complex<f64>) -> Complex<f64> {
    if value.re.is_finite() && value.im.is_finite() { value } else { Complex::default() }
}

/// Which derivative of displacement a quantity is.
pub(super) fn derivatives(unit: InputUnit) -> i32 {
    match unit {
        InputUnit::Displacement => 0,
        InputUnit::Velocity => 1,
        InputUnit::Acceleration => 2,
    }
}

impl Fourier {
    /// Ground motion of a gapless run in counts, in place, in the unit of `removal.output`.
    ///
    /// `samples`: counts, no NaN; positive `sample_rate_hz`. Frequencies at which the response is zero are left out.
    /// Cost: n log n and one evaluation of the response a frequency.
    pub fn remove_response(
        &mut self,
        samples: &mut [f64],
        sample_rate_hz: f64,
        response: &impl FrequencyResponse,
        removal: &ResponseRemoval,
    ) {
        if samples.is_empty() {
            return;
        }
        demean(samples);
        quarter_cosine_taper(samples, removal.taper_share);
        let count = transform_count(samples.len());
        let interval_hz = sample_rate_hz / count as f64;
        let gains: Vec<Complex<f64>> =
            (0..=count / 2).map(|index| response.at(removal.output, index as f64 * interval_hz)).collect();
        let largest = gains.iter().map(|gain| gain.norm()).fold(0.0, f64::max);
        let level = largest * 10.0_f64.powf(-removal.water_level_db / 20.0);
        let mut spectrum = self.spectrum(samples, count);
        for (index, (value, gain)) in spectrum.iter_mut().zip(&gains).enumerate() {
            let weight =
                removal.pre_filter_hz.map_or(1.0, |corners| flank(index as f64 * interval_hz, corners));
            *value *= inverse(*gain, level) * weight;
        }
        if let Some(last) = spectrum.last_mut() {
            *last = Complex::new(last.norm(), 0.0);
        }
        let motion = self.samples(spectrum, count);
        samples.iter_mut().zip(motion).for_each(|(sample, value)| *sample = value);
    }
}

/// One over a gain that is lifted to `level`, its phase untouched; zero where it is zero.
fn inverse(gain: Complex<f64>, level: f64) -> Complex<f64> {
    let size = gain.norm();
    if size == 0.0 {
        return Complex::default();
    }
    (gain * (level / size).max(1.0)).inv()
}

fn flank(frequency_hz: f64, [begin, low, high, end]: [f64; 4]) -> f64 {
    let cosine = |share: f64| 0.5 * (1.0 - (std::f64::consts::PI * share).cos());
    match frequency_hz {
        f if f < begin || f > end => 0.0,
        f if f <= low => cosine((f - begin) / (low - begin)),
        f if f < high => 1.0,
        f => cosine((end - f) / (end - high)),
    }
}

/// Largest prime factor that a transform length should have, and the length from which on it matters.
const FACTOR_MAX: usize = 500;
const FACTOR_MATTERS: usize = 5000;
const TRIALS: usize = 10;

/// Length of the transform: twice the samples, so that the ends do not meet; a little more where that has a large
/// prime factor. The same lengths as ObsPy's.
fn transform_count(sample_count: usize) -> usize {
    let count = 2 * sample_count.next_multiple_of(2);
    let good = |count: usize| count <= FACTOR_MATTERS || largest_factor(count) < FACTOR_MAX;
    (0..=TRIALS)
        .map(|trial| count + 2 * trial)
        .find(|count| good(*count))
        .unwrap_or(count.next_power_of_two())
}

fn largest_factor(mut number: usize) -> usize {
    let (mut largest, mut factor) = (1, 2);
    while factor * factor <= number {
        while number.is_multiple_of(factor) {
            number /= factor;
            largest = factor;
        }
        factor += 1;
    }
    largest.max(number)
}
