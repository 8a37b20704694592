//! A Wood-Anderson torsion seismograph in front of any sensor, sample by sample.
//!
//! ```text
//! counts ── 1 / (sensitivity · poles and zeros) ── to displacement ── high pass ── Wood-Anderson ──► mm on paper
//! ```
//! The whole chain is one rational function of s. Its zeros at the origin cancel the integrations, so what remains is
//! stable; it goes to second order sections by Al-Alaoui's transform (1993), which integrates to within 3 % up to 0.4
//! of the sample rate where the bilinear transform is 15 % off at 0.2. Free period 0.8 s, damping 0.7 and static
//! magnification 2080 after Uhrhammer & Collins (1990). The high pass (Butterworth, order 2) keeps the integration of
//! noise below its corner away, where a Wood-Anderson record has nothing to offer either.

use rustfft::num_complex::Complex;
use seislake_model::{InputUnit, Response};
use serde::{Deserialize, Serialize};

use super::SectionFilter;

const FREE_PERIOD_S: f64 = 0.8;
const DAMPING: f64 = 0.7;
const MAGNIFICATION: f64 = 2080.0;
const MM_PER_M: f64 = 1000.0;
/// Corner of the high pass that makes the inverse of a sensor stable.
const HIGH_PASS_HZ: f64 = 0.25;
/// Roots of the sensor beyond this part of the sample rate are constant gain in the pass band.
const BEYOND: f64 = 0.5;
/// Poles that make an improper chain proper sit at this part of the sample rate.
const CLOSING: f64 = 0.45;

/// Streaming simulation: samples in counts, out comes the displacement of a Wood-Anderson seismograph in mm.
/// Starts at rest with the first sample as zero level: leave it some seconds before trusting amplitudes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WoodAnderson {
    filter: SectionFilter,
    #[serde(with = "super::exact::scalar")]
    level: f64,
    started: bool,
}

impl WoodAnderson {
    /// For samples at `sample_rate_hz` of a channel with this response.
    /// `None` where the response cannot be inverted: zero or non-finite sensitivity, more than 60 roots.
    pub fn new(response: &Response, sample_rate_hz: f64) -> Option<Self> {
        let (zeros, poles) = chain(response, sample_rate_hz)?;
        let rate = sample_rate_hz;
        let digital_zeros: Vec<_> = zeros.iter().map(|root| to_z(*root, rate)).collect();
        let digital_poles: Vec<_> = poles.iter().map(|root| to_z(*root, rate)).collect();
        let missing = digital_poles.len().saturating_sub(digital_zeros.len());
        let mut padded = digital_zeros;
        // A root at infinity in s is the zero of the transform's denominator in z.
        padded.extend(std::iter::repeat_n(Complex::new(-ALAOUI, 0.0), missing));
        let unscaled = SectionFilter::from_zeros_poles(&padded, &digital_poles, 1.0);
        let reference_hz = (rate / 20.0).clamp(1.0, 5.0);
        let wanted = magnification(response, reference_hz)?;
        let gain = wanted / unscaled.gain(reference_hz, rate);
        let filter = SectionFilter::from_zeros_poles(&padded, &digital_poles, gain);
        gain.is_finite().then_some(Self { filter, level: 0.0, started: false })
    }

    /// Takes one sample in counts, gives the trace amplitude in mm.
    #[inline]
    pub fn step(&mut self, sample: f64) -> f64 {
        if !self.started {
            self.started = true;
            self.level = sample;
        }
        self.filter.step(sample - self.level)
    }

    /// Samples in counts become trace amplitudes in mm, in place.
    pub(crate) fn apply(&mut self, samples: &mut [f64]) {
        let Some(first) = samples.first() else { return };
        if !self.started {
            self.started = true;
            self.level = *first;
        }
        let level = self.level;
        samples.iter_mut().for_each(|sample| *sample -= level);
        self.filter.apply(samples);
    }

    /// Sets states that have faded away to zero.
    pub(crate) fn settle(&mut self) {
        self.filter.settle();
    }

    /// Gain in mm per count at `frequency_hz`.
    pub fn gain(&self, frequency_hz: f64, sample_rate_hz: f64) -> f64 {
        self.filter.gain(frequency_hz, sample_rate_hz)
    }
}

/// Sensors have up to some dozen roots; more is a damaged inventory.
const ROOTS_MAX: usize = 60;

const ALAOUI: f64 = 1.0 / 7.0;

/// Al-Alaoui's transform `s = 8/(7T) (1 - z^-1) / (1 + z^-1/7)`, solved for z. Maps the left half plane into the
/// unit circle.
fn to_z(s: Complex<f64>, sample_rate_hz: f64) -> Complex<f64> {
    let rate = 8.0 / 7.0 * sample_rate_hz;
    (s * ALAOUI + rate) / (-s + rate)
}

type Roots = Vec<Complex<f64>>;

/// Zeros and poles of the chain in s, proper and stable.
fn chain(response: &Response, sample_rate_hz: f64) -> Option<(Roots, Roots)> {
    let complex = |roots: &[(f64, f64)]| roots.iter().map(|&(re, im)| Complex::new(re, im)).collect();
    let (sensor_zeros, sensor_poles): (Vec<Complex<f64>>, Vec<Complex<f64>>) = match &response.poles_zeros {
        Some(analogue) => (complex(&analogue.zeros), complex(&analogue.poles)),
        None => (vec![], vec![]),
    };
    if sensor_zeros.len() + sensor_poles.len() > ROOTS_MAX {
        return None;
    }
    let limit = std::f64::consts::TAU * BEYOND * sample_rate_hz;
    let inside = |root: &&Complex<f64>| root.norm() < limit;
    let integrations = match response.input_unit {
        InputUnit::Displacement => 0,
        InputUnit::Velocity => 1,
        InputUnit::Acceleration => 2,
    };
    // The inverse of the sensor: its poles are our zeros and the other way round.
    let mut zeros: Vec<_> = sensor_poles.iter().filter(inside).copied().collect();
    let (at_origin, elsewhere): (Vec<Complex<f64>>, Vec<Complex<f64>>) =
        sensor_zeros.iter().filter(inside).partition(|root| root.norm() < 1e-9);
    let mut poles: Vec<_> = elsewhere.into_iter().map(|zero| Complex::new(-zero.re.abs(), zero.im)).collect();
    let poles_at_origin = integrations + at_origin.len();

    let free = std::f64::consts::TAU / FREE_PERIOD_S;
    poles.extend(conjugates(free, DAMPING));
    let mut zeros_at_origin = 2;
    while zeros_at_origin < poles_at_origin.max(4) {
        poles.extend(conjugates(std::f64::consts::TAU * HIGH_PASS_HZ, std::f64::consts::FRAC_1_SQRT_2));
        zeros_at_origin += 2;
    }
    zeros.extend(std::iter::repeat_n(Complex::new(0.0, 0.0), zeros_at_origin - poles_at_origin));
    while zeros.len() > poles.len() {
        poles.push(Complex::new(-std::f64::consts::TAU * CLOSING * sample_rate_hz, 0.0));
    }
    // A pole on the axis would ring for ever.
    poles.iter().all(|pole| pole.re < 0.0).then_some((zeros, poles))
}

fn conjugates(corner: f64, damping: f64) -> [Complex<f64>; 2] {
    let pole = Complex::new(-damping * corner, corner * (1.0 - damping * damping).sqrt());
    [pole, pole.conj()]
}

/// What the chain should make of one count at `frequency_hz`, mm: exact, with every root of the sensor.
fn magnification(response: &Response, frequency_hz: f64) -> Option<f64> {
    let at = |hz: f64| {
        let s = Complex::new(0.0, std::f64::consts::TAU * hz);
        let analogue = response.poles_zeros.as_ref();
        let product = |roots: &[(f64, f64)]| {
            roots.iter().map(|&(re, im)| (s - Complex::new(re, im)).norm()).product::<f64>()
        };
        analogue.map_or(1.0, |analogue| product(&analogue.zeros) / product(&analogue.poles))
    };
    let shape = at(frequency_hz) / at(response.sensitivity_frequency_hz);
    let angular = std::f64::consts::TAU * frequency_hz;
    let per_displacement = match response.input_unit {
        InputUnit::Displacement => 1.0,
        InputUnit::Velocity => angular,
        InputUnit::Acceleration => angular * angular,
    };
    let s = Complex::new(0.0, angular);
    let second_order =
        |corner: f64, damping: f64| (s * s / (s * s + s * (2.0 * damping * corner) + corner * corner)).norm();
    let seismograph = MAGNIFICATION * MM_PER_M * second_order(std::f64::consts::TAU / FREE_PERIOD_S, DAMPING);
    let high_pass = second_order(std::f64::consts::TAU * HIGH_PASS_HZ, std::f64::consts::FRAC_1_SQRT_2);
    let gain = seismograph * high_pass / (response.sensitivity.abs() * shape * per_displacement);
    (gain.is_finite() && gain > 0.0).then_some(gain)
}
