//! A digital filter as a cascade of second order sections, sample by sample.

use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::exact;

/// One section: `H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2)`, transposed direct form II.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// `b0, b1, b2`.
    #[serde(with = "exact::array")]
    pub numerator: [f64; 3],
    /// `a1, a2`; `a0` is one.
    #[serde(with = "exact::array")]
    pub denominator: [f64; 2],
    #[serde(with = "exact::array")]
    memory: [f64; 2],
}

impl Section {
    /// A section at rest.
    pub fn new(numerator: [f64; 3], denominator: [f64; 2]) -> Self {
        Self { numerator, denominator, memory: [0.0; 2] }
    }

    #[inline]
    fn step(&mut self, input: f64) -> f64 {
        let [b0, b1, b2] = self.numerator;
        let [a1, a2] = self.denominator;
        let output = b0 * input + self.memory[0];
        // What does not wait for the output comes first: the next sample waits for this sum.
        self.memory[0] = (b1 * input + self.memory[1]) - a1 * output;
        self.memory[1] = b2 * input - a2 * output;
        output
    }

    fn response(&self, delay: Complex<f64>) -> Complex<f64> {
        let [b0, b1, b2] = self.numerator;
        let [a1, a2] = self.denominator;
        let squared = delay * delay;
        (delay * b1 + squared * b2 + b0) / (delay * a1 + squared * a2 + 1.0)
    }
}

/// Cascade of sections with state. Input and output in the same unit unless the design says otherwise.
/// NaN or infinity stay in the state for ever: split the stream at gaps. Constant time a sample, no allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SectionFilter {
    sections: Vec<Section>,
}

/// Below this a state is zero: arithmetic on subnormal numbers is a hundred times slower.
const STATE_MIN: f64 = 1e-200;

impl SectionFilter {
    /// A cascade at rest.
    pub fn new(sections: Vec<Section>) -> Self {
        Self { sections }
    }

    /// The sections, first to last.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Takes one sample, gives the filtered one.
    #[inline]
    pub fn step(&mut self, sample: f64) -> f64 {
        self.sections.iter_mut().fold(sample, |value, section| section.step(value))
    }

    /// Filters in place: as [`SectionFilter::step`], with the state of short cascades at hand.
    pub fn apply(&mut self, samples: &mut [f64]) {
        match self.sections.as_mut_slice() {
            [first] => cascade([first], samples),
            [first, second] => cascade([first, second], samples),
            [first, second, third] => cascade([first, second, third], samples),
            _ => samples.iter_mut().for_each(|sample| *sample = self.step(*sample)),
        }
    }

    /// The same cascade at rest.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        let rest = |section: &Section| Section::new(section.numerator, section.denominator);
        Self { sections: self.sections.iter().map(rest).collect() }
    }

    /// Filters forwards and then backwards in place, both from rest: no delay, the gain squared. Needs the whole run,
    /// so a stream cannot be filtered so. As the `zerophase` of ObsPy's filters.
    pub fn apply_zero_phase(&self, samples: &mut [f64]) {
        for _ in 0..2 {
            self.at_rest().apply(samples);
            samples.reverse();
        }
    }

    /// Sets states that have faded away to zero.
    pub(crate) fn settle(&mut self) {
        for section in &mut self.sections {
            for value in &mut section.memory {
                if value.abs() < STATE_MIN {
                    *value = 0.0;
                }
            }
        }
    }

    /// Gain (absolute value of the transfer function) at `frequency_hz` for samples at `sample_rate_hz`.
    pub fn gain(&self, frequency_hz: f64, sample_rate_hz: f64) -> f64 {
        let delay = Complex::from_polar(1.0, -std::f64::consts::TAU * frequency_hz / sample_rate_hz);
        self.sections.iter().map(|section| section.response(delay).norm()).product()
    }

    /// The cascade with these zeros and poles in the z plane, every complex one with its conjugate, and `gain` at the
    /// first section. Poles come in pairs; missing zeros lie at the origin.
    pub(crate) fn from_zeros_poles(zeros: &[Complex<f64>], poles: &[Complex<f64>], gain: f64) -> Self {
        let (zeros, poles) = (quadratics(zeros), quadratics(poles));
        let count = zeros.len().max(poles.len());
        let mut sections: Vec<Section> = (0..count)
            .map(|index| {
                let numerator = zeros.get(index).copied().unwrap_or([1.0, 0.0, 0.0]);
                let [_, a1, a2] = poles.get(index).copied().unwrap_or([1.0, 0.0, 0.0]);
                Section::new(numerator, [a1, a2])
            })
            .collect();
        match sections.first_mut() {
            Some(first) => first.numerator.iter_mut().for_each(|value| *value *= gain),
            None => sections.push(Section::new([gain, 0.0, 0.0], [0.0, 0.0])),
        }
        Self { sections }
    }
}

/// Samples through sections that stay in registers meanwhile.
fn cascade<const N: usize>(sections: [&mut Section; N], samples: &mut [f64]) {
    let mut held = sections.each_ref().map(|section| Section::clone(section));
    for sample in samples {
        *sample = held.iter_mut().fold(*sample, |value, section| section.step(value));
    }
    for (section, held) in sections.into_iter().zip(held) {
        *section = held;
    }
}

/// Polynomials in `z^-1` of degree two (one for a lone real root), conjugates and neighbouring reals together.
fn quadratics(roots: &[Complex<f64>]) -> Vec<[f64; 3]> {
    const REAL: f64 = 1e-12;
    let mut products: Vec<[f64; 3]> = roots
        .iter()
        .filter(|root| root.im > REAL)
        .map(|root| [1.0, -2.0 * root.re, root.norm_sqr()])
        .collect();
    let mut reals: Vec<f64> = roots.iter().filter(|root| root.im.abs() <= REAL).map(|root| root.re).collect();
    reals.sort_by(f64::total_cmp);
    for pair in reals.chunks(2) {
        products.push(match pair {
            [first, second] => [1.0, -(first + second), first * second],
            [only] => [1.0, -only, 0.0],
            _ => [1.0, 0.0, 0.0],
        });
    }
    products
}
