//! How much farther short averages stray in a narrow band of noise.
//!
//! Energies of B Hz of white noise over T seconds have 2BT degrees of freedom, and the ratio of two of them is F
//! distributed. The thresholds of the picker are tuned on channels of 40 Hz and more, where its bands are whole. Slower
//! channels leave less of them: the same threshold would be passed by noise every few seconds. So a threshold in decades
//! is taken so many times as the quantile of F with the same odds is further from one.
//!
//! It knows the rate, not the colour of the noise: a channel at 100 Hz whose noise fills but a part of the band is treated
//! as if it filled all of it.

/// Channels from here on leave the bands whole.
const WHOLE_BAND_HZ: f64 = 40.0;

/// Two averages of energy that are compared, seconds each, and the ratio of them that counts in the whole band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    pub(super) after_s: f64,
    pub(super) before_s: f64,
    pub(super) ratio: f64,
}

impl Comparison {
    /// How many times a threshold in decades is taken at `rate_hz` so that noise passes it as seldom as at 40 Hz and
    /// above; 1 there. `bandwidth_hz` is that of the compared band at a rate, positive. Cost: some thousand terms.
    pub(super) fn factor(&self, bandwidth_hz: impl Fn(f64) -> f64, rate_hz: f64) -> f64 {
        if rate_hz >= WHOLE_BAND_HZ {
            return 1.0;
        }
        let freedom = |rate_hz: f64| {
            let bandwidth_hz = bandwidth_hz(rate_hz);
            (2.0 * bandwidth_hz * self.after_s, 2.0 * bandwidth_hz * self.before_s)
        };
        let odds = f_tail(self.ratio, freedom(WHOLE_BAND_HZ));
        (f_quantile(odds, freedom(rate_hz)).ln() / self.ratio.ln()).max(1.0)
    }
}

/// The `ratio` above one which F with these degrees of freedom exceeds with probability `tail`.
fn f_quantile(tail: f64, freedom: (f64, f64)) -> f64 {
    const DOUBLINGS: i32 = 64;
    const HALVINGS: usize = 50;
    let beyond = |logarithm: f64| f_tail(logarithm.exp(), freedom) > tail;
    let (mut low, mut high) = (0.0, f64::from(DOUBLINGS) * std::f64::consts::LN_2);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if beyond(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp()
}

/// Probability that F with (numerator, denominator) degrees of freedom exceeds `ratio`: the regularised incomplete beta
/// function at d2 / (d2 + d1 F).
fn f_tail(ratio: f64, (numerator, denominator): (f64, f64)) -> f64 {
    incomplete_beta(denominator / (denominator + numerator * ratio), denominator / 2.0, numerator / 2.0)
}

/// Regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz & Stegun 26.5.8), from the inside
/// out. Relative error below 1e-9 for a and b between 0.5 and 100.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    const TERMS: u32 = 200;
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let mut fraction = 1.0;
    for term in (1..=TERMS).rev() {
        let m = f64::from(term / 2);
        let numerator = if term % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        fraction = 1.0 + numerator / fraction;
    }
    let front = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b);
    front.exp() / (a * fraction)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Stirling's series (Abramowitz & Stegun 6.1.41) where it is good to 1e-12, by the recurrence below that.
fn ln_gamma(x: f64) -> f64 {
    if x < 10.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5))
        - 1.0 / (1680.0 * x.powi(7));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_of_f_agree_with_scipy() {
        // scipy.stats.f.sf(ratio, d1, d2)
        for (ratio, freedom, expected) in SCIPY {
            let tail = f_tail(ratio, freedom);
            assert!((tail / expected - 1.0).abs() < 1e-9, "{ratio} {freedom:?}: {tail}, scipy {expected}");
            let back = f_quantile(tail, freedom);
            assert!((back / ratio - 1.0).abs() < 1e-6, "{ratio} {freedom:?}: {back}");
        }
    }

    const SCIPY: [(f64, (f64, f64), f64); 9] = [
        (2.5, (14.0, 28.0), 0.01895124102628584),
        (2.5, (6.0, 12.0), 0.08335352650902259),
        (12.6, (2.0, 4.0), 0.01876524676299493),
        (4.0, (19.0, 57.0), 2.4939912322117012e-05),
        (6.6, (9.0, 27.0), 6.044585076431022e-05),
        (300.0, (1.0, 3.0), 0.00041937423065354057),
        (1.2, (0.5, 1.0), 0.3762074795230279),
        (20.0, (3.5, 7.0), 0.0007061947886823841),
        (1.0, (30.0, 90.0), 0.48012627150571063),
    ];

    #[test]
    fn nothing_changes_where_the_band_is_whole() {
        let rise = Comparison { after_s: 0.5, before_s: 1.0, ratio: 2.5 };
        let bandwidth_hz = |rate_hz: f64| (0.4 * rate_hz).min(16.0) - 2.0;
        let factors =
            [10.0, 20.0, 39.9, 40.0, 100.0, 1000.0].map(|rate_hz| rise.factor(bandwidth_hz, rate_hz));
        assert_eq!(factors[3..], [1.0; 3]);
        assert!(factors[0] > 2.5 && factors[1] > 1.4 && factors[2] < 1.01, "{factors:?}");
        assert!(factors.is_sorted_by(|slow, fast| slow >= fast), "{factors:?}");
    }
}
