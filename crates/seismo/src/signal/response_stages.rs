//! Frequency response of all stages of an instrument: sensor, digitiser and digital filters.
//!
//! ```text
//! m, m/s, m/s² ── stage 1: H1(f) · gain ── stage 2: H2(f) · gain ── … ──► counts
//! ```
//! As evalresp (IRIS) evaluates them, which ObsPy calls:
//!
//! - A stage is its filter times its gain. Where the gain, or a normalisation factor, is given for another frequency than
//!   the overall sensitivity, the filter is divided by its size at the frequency of the gain. A document that states no
//!   overall sensitivity is measured by its last gain of a frequency above zero.
//! - A digital filter that does not say its sampling takes that of the stage before it, or else the one behind it.
//! - FIR coefficients whose sum is off one by more than 2 % are divided by it.
//! - FIR filters that are symmetric, said or seen, have no delay: recorders take it off. Others turn the phase by the
//!   correction that the document says has been applied.
//! - Lists are interpolated by a cubic spline of amplitude and one of phase (not-a-knot), and beyond their ends too.
//! - A polynomial of two coefficients is a gain; its offset shows at no frequency but zero.
//!
//! Cost of a frequency: one complex multiplication a root or coefficient.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex;
use seislake_model::{Decimation, InputUnit, Plane, ResponseStage, ResponseStages, StageFilter, Symmetry};

use super::remove_response::{FrequencyResponse, derivatives, finite};
use super::spline::Spline;

/// FIR coefficients whose sum is this close to one are taken as they are.
const SUM_TOLERANCE: f64 = 0.02;

/// Why a response cannot be evaluated; `stage` is the stage's number.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageError {
    /// No gain.
    #[error("stage {stage} of the response has no gain")]
    NoGain {
        /// Number of the stage.
        stage: u32,
    },
    /// A digital filter without a rate.
    #[error("stage {stage} of the response is digital but has no input sample rate")]
    NoRate {
        /// Number of the stage.
        stage: u32,
    },
    /// The filter lets nothing pass where its gain is given.
    #[error(
        "stage {stage} of the response lets nothing pass at {frequency_hz} Hz, for which its gain is given"
    )]
    NothingPasses {
        /// Number of the stage.
        stage: u32,
        /// Frequency of its gain.
        frequency_hz: f64,
    },
    /// A list that no spline can go through.
    #[error("stage {stage} of the response lists {count} frequencies; a spline needs four that rise")]
    List {
        /// Number of the stage.
        stage: u32,
        /// Frequencies in it.
        count: usize,
    },
    /// A polynomial that is no gain.
    #[error(
        "stage {stage} of the response is a polynomial of {count} coefficients; only those of two are linear"
    )]
    NotLinear {
        /// Number of the stage.
        stage: u32,
        /// Coefficients of it.
        count: usize,
    },
}

/// A response ready to be evaluated at any frequency.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedResponse {
    input_unit: InputUnit,
    input_units_per_si: f64,
    stages: Vec<Stage>,
    warnings: Vec<StageWarning>,
}

/// What is wrong with a response that can be evaluated all the same.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageWarning {
    /// A digital filter without a rate of its own.
    #[error(
        "stage {stage} of the response is digital but has no input sample rate; {rate_hz} Hz of its neighbour are taken"
    )]
    RateOfNeighbour {
        /// Number of the stage.
        stage: u32,
        /// Rate taken.
        rate_hz: f64,
    },
    /// Poles and zeros whose factor does not make them one where it says.
    #[error(
        "stage {stage} of the response is {size} at {frequency_hz} Hz, where its normalization factor should make it 1"
    )]
    NotNormalised {
        /// Number of the stage.
        stage: u32,
        /// Size of the filter there.
        size: f64,
        /// Where it should be one.
        frequency_hz: f64,
    },
    /// The gains make another sensitivity than the document says; evalresp warns of the same.
    #[error(
        "the stages of the response make {made} at {frequency_hz} Hz, where the overall sensitivity says {said}"
    )]
    Sensitivity {
        /// What the stages make.
        made: f64,
        /// What the document says.
        said: f64,
        /// Where.
        frequency_hz: f64,
    },
}

/// Stages and sensitivity that differ by more are told of, parts of the sensitivity: as evalresp does.
const SENSITIVITY_TOLERANCE: f64 = 0.05;

/// A filter and the factor that its gain and normalisation make.
#[derive(Clone, Debug, PartialEq)]
struct Stage {
    filter: Filter,
    factor: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Filter {
    Flat,
    /// Roots in the plane of `x = unit · iω`.
    Analogue {
        unit: f64,
        zeros: Vec<Complex<f64>>,
        poles: Vec<Complex<f64>>,
    },
    Digital {
        interval_s: f64,
        zeros: Vec<Complex<f64>>,
        poles: Vec<Complex<f64>>,
    },
    /// Polynomials in z⁻¹.
    Quotient {
        interval_s: f64,
        numerators: Vec<f64>,
        denominators: Vec<f64>,
    },
    /// Without delay: the middle of the coefficients is at time zero.
    Symmetric {
        interval_s: f64,
        coefficients: Vec<f64>,
    },
    Asymmetric {
        interval_s: f64,
        coefficients: Vec<f64>,
        correction_s: f64,
    },
    List {
        amplitude: Spline,
        phase: Spline,
    },
}

impl StagedResponse {
    /// Takes the stages of a document.
    ///
    /// # Errors
    /// Where a stage lacks what its kind needs, see [`StageError`].
    pub fn new(response: &ResponseStages) -> Result<Self, StageError> {
        let gains = response.stages.iter().rev().filter_map(|stage| stage.gain);
        let last_hz = || gains.map(|gain| gain.frequency_hz).find(|frequency_hz| *frequency_hz > 0.0);
        let reference_hz = response.total.map(|total| total.frequency_hz).or_else(last_hz);
        let mut warnings = Vec::new();
        let sampled = with_rates(&response.stages, &mut warnings);
        let stages = sampled.iter().map(|stage| Stage::new(stage, reference_hz, &mut warnings));
        let stages = stages.collect::<Result<_, _>>()?;
        let (input_unit, input_units_per_si) = (response.input_unit, response.input_units_per_si);
        let mut made = Self { input_unit, input_units_per_si, stages, warnings };
        if let Some(total) = response.total {
            let (size, said) = (made.sensitivity(total.frequency_hz), total.value.abs());
            if ((size - said) / said).abs() > SENSITIVITY_TOLERANCE {
                let frequency_hz = total.frequency_hz;
                made.warnings.push(StageWarning::Sensitivity { made: size, said, frequency_hz });
            }
        }
        Ok(made)
    }

    /// What is wrong with the document, though it can be evaluated.
    pub fn warnings(&self) -> &[StageWarning] {
        &self.warnings
    }

    /// Size of the response at a frequency, in counts per input unit of the document: what its overall sensitivity
    /// should say. evalresp warns where the two differ by more than 5 %.
    pub fn sensitivity(&self, frequency_hz: f64) -> f64 {
        self.counts_per_input_unit(frequency_hz).norm()
    }

    fn counts_per_input_unit(&self, frequency_hz: f64) -> Complex<f64> {
        self.stages.iter().map(|stage| stage.filter.at(frequency_hz) * stage.factor).product()
    }
}

impl FrequencyResponse for StagedResponse {
    fn at(&self, output: InputUnit, frequency_hz: f64) -> Complex<f64> {
        let s = Complex::new(0.0, TAU * frequency_hz);
        let counts_per_si = self.counts_per_input_unit(frequency_hz) * self.input_units_per_si;
        finite(counts_per_si * s.powi(derivatives(self.input_unit) - derivatives(output)))
    }
}

/// The stages with a sampling where their filter needs one and the document gives none.
fn with_rates(stages: &[ResponseStage], warnings: &mut Vec<StageWarning>) -> Vec<ResponseStage> {
    let rated = |stage: &ResponseStage| stage.decimation.filter(|decimation| decimation.input_rate_hz > 0.0);
    let mut sampled = stages.to_vec();
    let mut before_hz = None;
    for (index, stage) in sampled.iter_mut().enumerate() {
        if let Some(decimation) = rated(stage) {
            before_hz = Some(decimation.input_rate_hz / f64::from(decimation.factor.max(1)));
            continue;
        }
        let behind = || stages.get(index + 1..).unwrap_or_default().iter().find_map(rated);
        let rate_hz = before_hz.or_else(|| behind().map(|decimation| decimation.input_rate_hz));
        if let Some(rate_hz) = rate_hz.filter(|_| needs_rate(&stage.filter)) {
            warnings.push(StageWarning::RateOfNeighbour { stage: stage.number, rate_hz });
            stage.decimation =
                Some(Decimation { input_rate_hz: rate_hz, factor: 1, delay_s: 0.0, correction_s: 0.0 });
        }
    }
    sampled
}

fn needs_rate(filter: &StageFilter) -> bool {
    match filter {
        StageFilter::PolesZeros { plane, .. } => *plane == Plane::Z,
        StageFilter::Coefficients { numerators, denominators } => {
            !numerators.is_empty() || !denominators.is_empty()
        }
        StageFilter::Fir { coefficients, .. } => !coefficients.is_empty(),
        StageFilter::Flat | StageFilter::List(_) | StageFilter::Polynomial(_) => false,
    }
}

impl Stage {
    fn new(
        stage: &ResponseStage,
        reference_hz: Option<f64>,
        warnings: &mut Vec<StageWarning>,
    ) -> Result<Self, StageError> {
        let number = stage.number;
        if let StageFilter::Polynomial(coefficients) = &stage.filter {
            return match coefficients[..] {
                [_, slope] if slope != 0.0 => Ok(Self { filter: Filter::Flat, factor: slope.recip() }),
                _ => Err(StageError::NotLinear { stage: number, count: coefficients.len() }),
            };
        }
        let gain = stage.gain.ok_or(StageError::NoGain { stage: number })?;
        let filter = Filter::new(stage)?;
        let factor = match &stage.filter {
            StageFilter::PolesZeros { normalization_factor, .. } => *normalization_factor,
            _ => 1.0,
        };
        let normalised_elsewhere = match &stage.filter {
            StageFilter::PolesZeros { normalization_frequency_hz, .. } => {
                reference_hz != Some(*normalization_frequency_hz)
            }
            _ => false,
        };
        if let StageFilter::PolesZeros { normalization_factor, normalization_frequency_hz, .. } =
            &stage.filter
        {
            let frequency_hz = *normalization_frequency_hz;
            let size = filter.at(frequency_hz).norm() * normalization_factor.abs();
            if size.is_nan() || (size - 1.0).abs() > SENSITIVITY_TOLERANCE {
                warnings.push(StageWarning::NotNormalised { stage: number, size, frequency_hz });
            }
        }
        if filter == Filter::Flat || (reference_hz == Some(gain.frequency_hz) && !normalised_elsewhere) {
            return Ok(Self { filter, factor: factor * gain.value });
        }
        let size = filter.at(gain.frequency_hz).norm();
        if !(size.is_finite() && size > 0.0) {
            return Err(StageError::NothingPasses { stage: number, frequency_hz: gain.frequency_hz });
        }
        Ok(Self { filter, factor: gain.value / size })
    }
}

fn complex(roots: &[(f64, f64)]) -> Vec<Complex<f64>> {
    roots.iter().map(|&(re, im)| Complex::new(re, im)).collect()
}

impl Filter {
    fn new(stage: &ResponseStage) -> Result<Self, StageError> {
        let sampling = || {
            let rated = stage.decimation.filter(|decimation| decimation.input_rate_hz > 0.0);
            rated.ok_or(StageError::NoRate { stage: stage.number })
        };
        let interval_s = |decimation: Decimation| decimation.input_rate_hz.recip();
        Ok(match &stage.filter {
            StageFilter::Flat | StageFilter::Polynomial(_) => Self::Flat,
            StageFilter::PolesZeros { plane, poles, zeros, .. } => {
                let (zeros, poles) = (complex(zeros), complex(poles));
                match plane {
                    Plane::RadiansPerSecond => Self::Analogue { unit: 1.0, zeros, poles },
                    Plane::Hertz => Self::Analogue { unit: TAU.recip(), zeros, poles },
                    Plane::Z => Self::Digital { interval_s: interval_s(sampling()?), zeros, poles },
                }
            }
            StageFilter::Coefficients { numerators, denominators } if denominators.is_empty() => {
                if numerators.is_empty() {
                    return Ok(Self::Flat);
                }
                Self::fir(numerators.clone(), Symmetry::None, sampling()?)
            }
            StageFilter::Coefficients { numerators, denominators } => Self::Quotient {
                interval_s: interval_s(sampling()?),
                numerators: numerators.clone(),
                denominators: denominators.clone(),
            },
            StageFilter::Fir { coefficients, .. } if coefficients.is_empty() => Self::Flat,
            StageFilter::Fir { coefficients, symmetry } => {
                Self::fir(coefficients.clone(), *symmetry, sampling()?)
            }
            StageFilter::List(rows) => {
                let spline = |value: fn(&seislake_model::ListElement) -> f64| {
                    let points = rows.iter().map(|row| (row.frequency_hz, value(row))).collect();
                    Spline::new(points).ok_or(StageError::List { stage: stage.number, count: rows.len() })
                };
                Self::List { amplitude: spline(|row| row.amplitude)?, phase: spline(|row| row.phase)? }
            }
        })
    }

    fn fir(mut coefficients: Vec<f64>, symmetry: Symmetry, sampling: Decimation) -> Self {
        let mirrored = match symmetry {
            Symmetry::None => 0,
            Symmetry::Odd => coefficients.len() - 1,
            Symmetry::Even => coefficients.len(),
        };
        coefficients.extend_from_within(..mirrored);
        let count = coefficients.len();
        coefficients[count - mirrored..].reverse();
        let sum: f64 = coefficients.iter().sum();
        if sum != 0.0 && (sum - 1.0).abs() > SUM_TOLERANCE {
            coefficients.iter_mut().for_each(|coefficient| *coefficient /= sum);
        }
        let interval_s = sampling.input_rate_hz.recip();
        if coefficients.iter().eq(coefficients.iter().rev()) {
            return Self::Symmetric { interval_s, coefficients };
        }
        Self::Asymmetric { interval_s, coefficients, correction_s: sampling.correction_s }
    }

    fn at(&self, frequency_hz: f64) -> Complex<f64> {
        let omega = TAU * frequency_hz;
        let turn = |time_s: f64| Complex::from_polar(1.0, omega * time_s);
        match self {
            Self::Flat => Complex::new(1.0, 0.0),
            Self::Analogue { unit, zeros, poles } => quotient(Complex::new(0.0, unit * omega), zeros, poles),
            Self::Digital { interval_s, zeros, poles } => quotient(turn(*interval_s), zeros, poles),
            Self::Quotient { interval_s, numerators, denominators } => {
                let delay = turn(-interval_s);
                polynomial(numerators, delay) / polynomial(denominators, delay)
            }
            Self::Symmetric { interval_s, coefficients } => {
                let middle = 0.5 * (coefficients.len() as f64 - 1.0);
                let value = polynomial(coefficients, turn(-interval_s)) * turn(middle * interval_s);
                // What is left of the phase is rounding.
                Complex::new(value.re, 0.0)
            }
            Self::Asymmetric { interval_s, coefficients, correction_s } => {
                polynomial(coefficients, turn(-interval_s)) * turn(*correction_s)
            }
            Self::List { amplitude, phase } => {
                Complex::from_polar(amplitude.at(frequency_hz), phase.at(frequency_hz).to_radians())
            }
        }
    }
}

fn quotient(x: Complex<f64>, zeros: &[Complex<f64>], poles: &[Complex<f64>]) -> Complex<f64> {
    let product = |roots: &[Complex<f64>]| roots.iter().map(|root| x - root).product::<Complex<f64>>();
    product(zeros) / product(poles)
}

/// `Σ c_k · x^k`, by Horner's rule.
fn polynomial(coefficients: &[f64], x: Complex<f64>) -> Complex<f64> {
    coefficients.iter().rev().fold(Complex::default(), |sum, coefficient| sum * x + *coefficient)
}
