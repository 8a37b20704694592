//! Recursive filters of first order, as the bands of FilterPicker use them (Lomax, Satriano & Vassallo 2012).

use serde::{Deserialize, Serialize};

use super::exact;

/// High pass of first order: `y[i] = c (y[i-1] + x[i] - x[i-1])` with `c = w / (w + dt)`, `w = 1 / (2 pi f)`.
/// The first sample counts as the level before it, so an offset gives no step. Constant time a sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OnePoleHighPass {
    #[serde(with = "exact::scalar")]
    gain: f64,
    #[serde(with = "exact::scalar")]
    last_input: f64,
    #[serde(with = "exact::scalar")]
    output: f64,
    started: bool,
}

impl OnePoleHighPass {
    /// A high pass with its corner at `corner_hz` for samples at `sample_rate_hz`; both must be positive.
    pub fn new(corner_hz: f64, sample_rate_hz: f64) -> Self {
        let (time_constant_s, interval_s) = (1.0 / (std::f64::consts::TAU * corner_hz), 1.0 / sample_rate_hz);
        Self {
            gain: time_constant_s / (time_constant_s + interval_s),
            last_input: 0.0,
            output: 0.0,
            started: false,
        }
    }

    /// Takes one sample, gives the filtered one.
    pub fn step(&mut self, sample: f64) -> f64 {
        if !self.started {
            self.started = true;
            self.last_input = sample;
        }
        self.output = self.gain * (self.output + sample - self.last_input);
        self.last_input = sample;
        self.output
    }
}

/// Low pass of first order: `y[i] = y[i-1] + c (x[i] - y[i-1])` with `c = dt / (w + dt)`, `w = 1 / (2 pi f)`.
/// Starts at the level of the first sample. Constant time a sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OnePoleLowPass {
    #[serde(with = "exact::scalar")]
    gain: f64,
    #[serde(with = "exact::scalar")]
    output: f64,
    started: bool,
}

impl OnePoleLowPass {
    /// A low pass with its corner at `corner_hz` for samples at `sample_rate_hz`; both must be positive.
    pub fn new(corner_hz: f64, sample_rate_hz: f64) -> Self {
        let (time_constant_s, interval_s) = (1.0 / (std::f64::consts::TAU * corner_hz), 1.0 / sample_rate_hz);
        Self { gain: interval_s / (time_constant_s + interval_s), output: 0.0, started: false }
    }

    /// Takes one sample, gives the filtered one.
    pub fn step(&mut self, sample: f64) -> f64 {
        if !self.started {
            self.started = true;
            self.output = sample;
        }
        self.output += self.gain * (sample - self.output);
        self.output
    }
}
