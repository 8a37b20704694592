//! A new sample rate by a ratio of whole numbers: polyphase filter, linear phase, no delay.
//!
//! ```text
//! samples - mean ── insert up - 1 zeros ── low pass at the smaller Nyquist frequency ── keep every down-th ── + mean
//! ```
//! The low pass is a windowed sinc, Kaiser window with beta 5, of 20 · max(up, down) + 1 taps: -6 dB at the smaller
//! Nyquist frequency, -60 dB a tenth above it. Equal to SciPy's `resample_poly(x, up, down, padtype="mean")`.

/// Largest number of a ratio of rates: the filter has 20 taps for each.
pub const RATIO_MAX: usize = 1000;

const HALF_LENGTH: usize = 10;
const KAISER_BETA: f64 = 5.0;
/// A ratio is one of whole numbers if it is so within this share: rates in headers have seven digits.
const RATIO_TOLERANCE: f64 = 1e-7;

/// The whole numbers `(up, down)`, at most [`RATIO_MAX`], with `to_rate_hz / from_rate_hz = up / down`, by continued
/// fractions. `None` where there are none.
pub fn rate_ratio(from_rate_hz: f64, to_rate_hz: f64) -> Option<(usize, usize)> {
    let ratio = to_rate_hz / from_rate_hz;
    if !(ratio.is_finite() && ratio > 0.0) {
        return None;
    }
    let (mut before, mut here) = ((0.0, 1.0), (1.0, 0.0));
    let mut rest = ratio;
    loop {
        let whole = rest.floor();
        (before, here) = (here, (whole * here.0 + before.0, whole * here.1 + before.1));
        let (up, down) = here;
        let limit = RATIO_MAX as f64;
        if !(up <= limit && down <= limit) {
            return None;
        }
        if up > 0.0 && (up / down / ratio - 1.0).abs() < RATIO_TOLERANCE {
            return Some((up as usize, down as usize));
        }
        rest = 1.0 / (rest - whole);
    }
}

/// Samples at `up / down` times their rate.
///
/// `samples`: any unit, n of them, no NaN; `up`, `down`: 1 to [`RATIO_MAX`], without a common factor. The result has
/// n · up / down samples, rounded up, the first at the time of the first. Beyond the ends the run counts as its mean.
/// Cost: 20 multiplications for each sample of the higher rate.
pub fn resample(samples: &[f64], up: usize, down: usize) -> Vec<f64> {
    if samples.is_empty() || up == 0 || down == 0 || (up, down) == (1, 1) {
        return samples.to_vec();
    }
    let larger = up.max(down);
    let reach = HALF_LENGTH * larger;
    let taps = low_pass(reach, larger, up as f64);
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let count = (samples.len() * up).div_ceil(down);
    (0..count)
        .map(|index| {
            // On the grid of the zeros inserted: this output, and the first sample that its filter reaches.
            let place = index * down;
            let first = place.saturating_sub(reach).div_ceil(up);
            let last = ((place + reach) / up).min(samples.len() - 1);
            let weighted = (first..=last).map(|k| (samples[k] - mean) * taps[place + reach - k * up]);
            weighted.sum::<f64>() + mean
        })
        .collect()
}

/// Windowed sinc of 2 · `reach` + 1 taps with its corner at 1 / `larger` of the Nyquist frequency; the sum is `gain`.
fn low_pass(reach: usize, larger: usize, gain: f64) -> Vec<f64> {
    let mut taps: Vec<f64> = (0..=2 * reach)
        .map(|index| {
            let place = index as f64 - reach as f64;
            let angle = std::f64::consts::PI * place / larger as f64;
            let sinc = if place == 0.0 { 1.0 } else { angle.sin() / angle };
            let side = place / reach as f64;
            sinc * bessel_i0(KAISER_BETA * (1.0 - side * side).max(0.0).sqrt())
        })
        .collect();
    let scale = gain / taps.iter().sum::<f64>();
    taps.iter_mut().for_each(|tap| *tap *= scale);
    taps
}

/// Modified Bessel function of the first kind and order zero, by its power series (arguments are small here).
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}
