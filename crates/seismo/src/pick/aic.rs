//! Onset in a window by the Akaike information criterion (Maeda 1985): the sample that best splits the window into
//! two stationary pieces.

/// The best split of a window and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// First sample of the second piece.
    pub index: usize,
    /// Width of the minimum: standard deviation of the split under the weights `exp(-(AIC - min) / 2)`, in samples.
    pub sigma_samples: f64,
}

/// `AIC(k) = k ln var(x[..k]) + (n - k - 1) ln var(x[k..])` for every `k`; the first value and the last stand in for
/// those beside them, where a variance does not exist.
///
/// `samples`: any unit, length n, no NaN. Fewer than 4 samples give an empty list. Sums are cumulative: linear in
/// time. ObsPy's `aic_simple` has the same values one place earlier.
pub fn aic(samples: &[f64]) -> Vec<f64> {
    let count = samples.len();
    if count < 4 {
        return vec![];
    }
    let mean = samples.iter().sum::<f64>() / count as f64;
    let (mut sums, mut squares) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut sum, mut square_sum, mut scale) = (0.0, 0.0, 0.0);
    for x in samples {
        sums.push(sum);
        squares.push(square_sum);
        let x = x - mean;
        sum += x;
        square_sum += x * x;
        scale = f64::max(scale, x.abs());
    }
    let floor = (scale * 1e-9).powi(2).max(f64::MIN_POSITIVE);
    let mut values = vec![0.0; count];
    Sums { before: &sums, squares_before: &squares, total: sum, total_squares: square_sum, floor }
        .fill(&mut values);
    // A piece of one sample has no variance.
    values[1] = values[2];
    values[0] = values[2];
    values[count - 1] = values[count - 2];
    values
}

/// Sums over a window less its mean: of the samples before each one, and of all.
#[derive(Clone, Copy)]
struct Sums<'a> {
    before: &'a [f64],
    squares_before: &'a [f64],
    total: f64,
    total_squares: f64,
    /// Least variance.
    floor: f64,
}

impl Sums<'_> {
    /// The criterion for every split; those of pieces without a sample mean nothing.
    fn fill(self, values: &mut [f64]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the only condition of the callee is a processor with AVX2, and the line above has asked it.
            #[allow(unsafe_code, reason = "no safe call leads to code compiled for a detected feature")]
            return unsafe { self.fill_wide(values) };
        }
        self.fill_plain(values);
    }

    /// The same sums in the same order, four splits to a register.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn fill_wide(self, values: &mut [f64]) {
        self.fill_plain(values);
    }

    #[inline(always)]
    fn fill_plain(self, values: &mut [f64]) {
        // 32 bits become floats in wide registers, 64 do not.
        let count = values.len() as i32;
        let log_variance = |sum: f64, squares: f64, part: f64| {
            let (mean, variance) = (sum * part, squares * part);
            let variance = variance - mean * mean;
            ln(if variance > self.floor { variance } else { self.floor })
        };
        let sums = self.before.iter().zip(self.squares_before);
        for ((value, (sum, squares)), k) in values.iter_mut().zip(sums).zip(0_i32..) {
            let (left, right) = (f64::from(k), f64::from(count - k));
            *value = left * log_variance(*sum, *squares, 1.0 / left)
                + (right - 1.0) * log_variance(self.total - sum, self.total_squares - squares, 1.0 / right);
        }
    }
}

/// Natural logarithm of a positive normal number, to a few units in the last place: the series of `atanh` behind the
/// exponent, without a call or a branch, so that neighbours share a register.
#[inline(always)]
fn ln(value: f64) -> f64 {
    const SERIES: [f64; 11] = [
        1.0 / 21.0,
        1.0 / 19.0,
        1.0 / 17.0,
        1.0 / 15.0,
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
        1.0,
    ];
    /// Bits of √½, less the bias of exponents: what is left of the exponent lies between it and √2.
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd_u64.wrapping_sub(BIAS << 52);
    const BIAS: u64 = 1023;
    /// Bits of 2⁵²: below it a float is an integer in its last bits.
    const INTEGER: u64 = 0x4330_0000_0000_0000;
    let biased = value.to_bits().wrapping_sub(ROOT_HALF) >> 52;
    let mantissa = f64::from_bits(value.to_bits().wrapping_sub(biased << 52).wrapping_add(BIAS << 52));
    let exponent = f64::from_bits(biased | INTEGER) - (f64::from_bits(INTEGER) + BIAS as f64);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = SERIES.iter().fold(0.0, |sum, coefficient| sum * z + coefficient);
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

/// Splits this much worse than the best weigh nothing, AIC.
const WORSE_MAX: f64 = 80.0;

/// The criterion over a window and where it is least.
#[derive(Debug)]
pub(super) struct Minimum {
    values: Vec<f64>,
    margin: usize,
    /// First sample of the second piece.
    pub(super) index: usize,
}

impl Minimum {
    /// See [`split`].
    pub(super) fn of(samples: &[f64], margin: usize) -> Option<Self> {
        let margin = margin.max(2);
        if samples.len() <= 2 * margin || samples.iter().all(|x| *x == samples[0]) {
            return None;
        }
        let values = aic(samples);
        let mut index = margin;
        for k in margin..values.len().checked_sub(margin)? {
            if values[k] < values[index] {
                index = k;
            }
        }
        Some(Self { values, margin, index })
    }

    /// See [`Split::sigma_samples`].
    pub(super) fn sigma_samples(&self) -> f64 {
        let least = self.values[self.index];
        let (mut weights, mut squares) = (0.0, 0.0);
        for k in
            (self.margin..self.values.len() - self.margin).filter(|k| self.values[*k] - least < WORSE_MAX)
        {
            let weight = (-0.5 * (self.values[k] - least)).exp();
            let distance = k as f64 - self.index as f64;
            weights += weight;
            squares += weight * distance * distance;
        }
        (squares / weights).sqrt()
    }
}

/// The minimum of [`aic`], at least `margin` samples from both ends. `None` where the window is too short or flat.
pub fn split(samples: &[f64], margin: usize) -> Option<Split> {
    let minimum = Minimum::of(samples, margin)?;
    Some(Split { index: minimum.index, sigma_samples: minimum.sigma_samples() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_logarithm_is_the_one_of_the_library(exponent in -300.0..300.0_f64) {
            let value = 10_f64.powf(exponent);
            prop_assert!((super::ln(value) - value.ln()).abs() <= 4.0 * f64::EPSILON * value.ln().abs().max(1.0));
        }

        #[test]
        fn wide_registers_and_plain_code_agree(samples in prop::collection::vec(-1e6..1e6_f64, 4..300)) {
            let squares: Vec<f64> = samples.iter().map(|x| x * x).collect();
            let sums = super::Sums {
                before: &samples,
                squares_before: &squares,
                total: 3.5,
                total_squares: 4e12,
                floor: 1e-300,
            };
            let (mut wide, mut plain) = (vec![0.0; samples.len()], vec![0.0; samples.len()]);
            sums.fill(&mut wide);
            sums.fill_plain(&mut plain);
            // The first split has no sample before it.
            let bits = |values: &[f64]| values[1..].iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&wide), bits(&plain));
        }
    }
}
