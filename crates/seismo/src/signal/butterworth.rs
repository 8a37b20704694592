//! Butterworth filters as second order sections: analogue prototype, band transformation, bilinear transform with
//! pre-warped corners. Agrees with SciPy's `butter(..., output="sos")` to rounding (the order of sections differs).

use rustfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use super::SectionFilter;

/// What a filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Band {
    /// Frequencies below the corner.
    LowPass {
        /// Corner (-3 dB).
        corner_hz: f64,
    },
    /// Frequencies above the corner.
    HighPass {
        /// Corner (-3 dB).
        corner_hz: f64,
    },
    /// Frequencies between the corners.
    BandPass {
        /// Lower corner (-3 dB).
        low_hz: f64,
        /// Upper corner (-3 dB).
        high_hz: f64,
    },
}

/// A filter that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// Corners must lie between zero and half the sample rate, the lower below the upper.
    #[error("corners of {low_hz} Hz and {high_hz} Hz do not fit a sample rate of {sample_rate_hz} Hz")]
    Corner {
        /// Lower corner.
        low_hz: f64,
        /// Upper corner.
        high_hz: f64,
        /// Sample rate.
        sample_rate_hz: f64,
    },
    /// Orders from 1 to 10 are numerically sound.
    #[error("order {0} is not between 1 and 10")]
    Order(u32),
}

const ORDER_MAX: u32 = 10;

/// Designs a Butterworth filter of `order` (a band pass has twice as many poles) for samples at `sample_rate_hz`.
///
/// # Errors
/// [`FilterError`] where order or corners are out of range.
pub fn butterworth(order: u32, band: Band, sample_rate_hz: f64) -> Result<SectionFilter, FilterError> {
    if !(1..=ORDER_MAX).contains(&order) {
        return Err(FilterError::Order(order));
    }
    let (low_hz, high_hz) = match band {
        Band::LowPass { corner_hz } | Band::HighPass { corner_hz } => (corner_hz, corner_hz),
        Band::BandPass { low_hz, high_hz } => (low_hz, high_hz),
    };
    let ordered = !matches!(band, Band::BandPass { .. }) || low_hz < high_hz;
    if !(low_hz > 0.0 && high_hz < sample_rate_hz / 2.0 && ordered) {
        return Err(FilterError::Corner { low_hz, high_hz, sample_rate_hz });
    }
    let warp = |hz: f64| 2.0 * sample_rate_hz * (std::f64::consts::PI * hz / sample_rate_hz).tan();
    let (zeros, poles) = analogue(order, band, warp(low_hz), warp(high_hz));
    let reference_hz = match band {
        Band::LowPass { .. } => 0.0,
        Band::HighPass { .. } => sample_rate_hz / 2.0,
        Band::BandPass { .. } => {
            let centre = (warp(low_hz) * warp(high_hz)).sqrt();
            (centre / (2.0 * sample_rate_hz)).atan() * sample_rate_hz / std::f64::consts::PI
        }
    };
    let to_z = |s: &Complex<f64>| (s + 2.0 * sample_rate_hz) / (-s + 2.0 * sample_rate_hz);
    let digital_poles: Vec<_> = poles.iter().map(to_z).collect();
    let mut digital_zeros: Vec<_> = zeros.iter().map(to_z).collect();
    digital_zeros.resize(digital_poles.len(), Complex::new(-1.0, 0.0));
    interleave(&mut digital_zeros);
    let unscaled = SectionFilter::from_zeros_poles(&digital_zeros, &digital_poles, 1.0);
    let gain = 1.0 / unscaled.gain(reference_hz, sample_rate_hz);
    Ok(SectionFilter::from_zeros_poles(&digital_zeros, &digital_poles, gain))
}

/// Zeros and poles of the analogue filter with (warped) corners in rad/s.
fn analogue(order: u32, band: Band, low: f64, high: f64) -> (Vec<Complex<f64>>, Vec<Complex<f64>>) {
    let prototype: Vec<Complex<f64>> = (0..order)
        .map(|k| {
            let angle = std::f64::consts::PI * f64::from(2 * k + 1 + order) / f64::from(2 * order);
            let pole = Complex::from_polar(1.0, angle);
            // The middle pole of an odd order is real; rounding must not make it complex.
            if order % 2 == 1 && k == order / 2 { Complex::new(-1.0, 0.0) } else { pole }
        })
        .collect();
    let origin = |count: u32| vec![Complex::new(0.0, 0.0); count as usize];
    match band {
        Band::LowPass { .. } => (vec![], prototype.iter().map(|pole| pole * low).collect()),
        Band::HighPass { .. } => (origin(order), prototype.iter().map(|pole| low / pole).collect()),
        Band::BandPass { .. } => {
            let (width, centre_squared) = (high - low, low * high);
            let poles = prototype
                .iter()
                .flat_map(|pole| {
                    let half = pole * (width / 2.0);
                    let root = (half * half - centre_squared).sqrt();
                    [half + root, half - root]
                })
                .collect();
            (origin(order), poles)
        }
    }
}

/// A band pass has as many zeros at 1 as at -1; each section takes one of both, which keeps its range small.
fn interleave(zeros: &mut [Complex<f64>]) {
    zeros.sort_by(|a, b| a.re.total_cmp(&b.re));
}
