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
    let scale = samples.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
    let floor = (scale * 1e-9).powi(2).max(f64::MIN_POSITIVE);
    let (mut total, mut total_squares) = (0.0, 0.0);
    for x in samples {
        total += x - mean;
        total_squares += (x - mean) * (x - mean);
    }
    let log_variance = |sum: f64, squares: f64, n: f64| {
        let (part, mean) = (1.0 / n, sum / n);
        ln((squares * part - mean * mean).max(floor))
    };
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut values = vec![0.0; count];
    for k in 1..count {
        let x = samples[k - 1] - mean;
        sum += x;
        squares += x * x;
        let (left, right) = (k as f64, (count - k) as f64);
        values[k] = left * log_variance(sum, squares, left)
            + (right - 1.0) * log_variance(total - sum, total_squares - squares, right);
    }
    // A piece of one sample has no variance.
    values[1] = values[2];
    values[0] = values[2];
    values[count - 1] = values[count - 2];
    values
}

/// Natural logarithm of a positive normal number, to a few units in the last place: the series of `atanh` behind the
/// exponent, without a call or a branch.
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
    /// Bits of √½: what is left of the exponent lies between it and √2.
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let exponent = (value.to_bits().wrapping_sub(ROOT_HALF).cast_signed()) >> 52;
    let mantissa = f64::from_bits(value.to_bits().wrapping_sub(exponent.cast_unsigned() << 52));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = SERIES.iter().fold(0.0, |sum, coefficient| sum * z + coefficient);
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * s * series
}

/// Splits this much worse than the best weigh nothing, AIC.
const WORSE_MAX: f64 = 80.0;

/// The minimum of [`aic`], at least `margin` samples from both ends. `None` where the window is too short or flat.
pub fn split(samples: &[f64], margin: usize) -> Option<Split> {
    let values = aic(samples);
    let margin = margin.max(2);
    if values.len() <= 2 * margin || samples.iter().all(|x| *x == samples[0]) {
        return None;
    }
    let inner = margin..values.len() - margin;
    let index = inner.clone().min_by(|a, b| values[*a].total_cmp(&values[*b]))?;
    let (mut weights, mut squares) = (0.0, 0.0);
    for k in inner.filter(|k| values[*k] - values[index] < WORSE_MAX) {
        let weight = (-0.5 * (values[k] - values[index])).exp();
        let distance = k as f64 - index as f64;
        weights += weight;
        squares += weight * distance * distance;
    }
    Some(Split { index, sigma_samples: (squares / weights).sqrt() })
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
    }
}
