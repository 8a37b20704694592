//! A response stage by stage, as a StationXML document gives it: from ground motion to counts, through sensor, digitiser
//! and the digital filters behind it.

use crate::InputUnit;

/// All stages of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseStages {
    /// Physical quantity at the input.
    pub input_unit: InputUnit,
    /// How many of the document's input units make one SI unit: 1e9 for nm/s.
    pub input_units_per_si: f64,
    /// What the document says of the whole.
    pub total: Option<TotalSensitivity>,
    /// The stages by number.
    pub stages: Vec<ResponseStage>,
}

/// Overall sensitivity, stated beside the stages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TotalSensitivity {
    /// Counts per input unit of the document.
    pub value: f64,
    /// Frequency at which it holds.
    pub frequency_hz: f64,
}

/// One stage.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseStage {
    /// Place in the chain, counted from 1.
    pub number: u32,
    /// What it does to frequencies.
    pub filter: StageFilter,
    /// Its gain; a polynomial may have none.
    pub gain: Option<StageGain>,
    /// Its sampling; analogue stages have none.
    pub decimation: Option<Decimation>,
}

/// Gain of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageGain {
    /// Output units per input unit.
    pub value: f64,
    /// Frequency at which it holds.
    pub frequency_hz: f64,
}

/// Sampling of a digital stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decimation {
    /// Sample rate before the stage.
    pub input_rate_hz: f64,
    /// Input samples for one output sample.
    pub factor: u32,
    /// Delay of the filter.
    pub delay_s: f64,
    /// Delay that the recorder has taken off its times.
    pub correction_s: f64,
}

/// Filter of a stage, without its gain.
#[derive(Clone, Debug, PartialEq)]
pub enum StageFilter {
    /// None: a gain only.
    Flat,
    /// `a0 · Π(x - zero) / Π(x - pole)`.
    PolesZeros {
        /// What x is.
        plane: Plane,
        /// Poles (real, imaginary).
        poles: Vec<(f64, f64)>,
        /// Zeros (real, imaginary).
        zeros: Vec<(f64, f64)>,
        /// Normalisation factor a0.
        normalization_factor: f64,
        /// Frequency at which a0 makes the filter one.
        normalization_frequency_hz: f64,
    },
    /// Quotient of two polynomials in z⁻¹; without denominators a FIR filter.
    Coefficients {
        /// Numerators by power.
        numerators: Vec<f64>,
        /// Denominators by power.
        denominators: Vec<f64>,
    },
    /// FIR filter.
    Fir {
        /// Coefficients; of a symmetric filter the first half.
        coefficients: Vec<f64>,
        /// What the other half is.
        symmetry: Symmetry,
    },
    /// Values at some frequencies.
    List(Vec<ListElement>),
    /// `Σ c_k · x^k` gives the physical quantity from the output.
    Polynomial(Vec<f64>),
}

/// Variable of a transfer function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Laplace, `iω`: roots in rad/s.
    RadiansPerSecond,
    /// Laplace, `if`: roots in Hz.
    Hertz,
    /// Digital, `e^(iωT)`.
    Z,
}

/// Symmetry of FIR coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symmetry {
    /// All coefficients are there.
    None,
    /// The last of them is the middle of an odd number.
    Odd,
    /// They are half of an even number.
    Even,
}

/// Value of a response at a frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListElement {
    /// Frequency.
    pub frequency_hz: f64,
    /// Amplitude.
    pub amplitude: f64,
    /// Phase, degrees.
    pub phase: f64,
}
