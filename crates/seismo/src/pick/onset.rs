//! From a rough detection to an onset: AIC in a window around it, then uncertainty, signal-to-noise ratio, first
//! motion; and the reasons to throw a detection away (dead, clipped, spike).

use std::ops::Range;

use seislake_model::{Onset, Polarity};

use super::aic::Minimum;
use super::narrowness::Comparison;
use crate::signal::{Band, OnePoleHighPass, SectionFilter, butterworth};

/// An onset in a window of samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowOnset {
    /// Sample of the window at which the phase arrives.
    pub(super) index: usize,
    /// One standard deviation.
    pub(super) uncertainty_s: f64,
    pub(super) snr: f64,
    /// How many times a threshold of the ratio is taken in decades, in the band in which it was measured.
    pub(super) snr_factor: f64,
    /// The same of rises of energy on this channel.
    pub(super) rise_factor: f64,
    pub(super) polarity: Polarity,
    pub(super) onset: Onset,
}

/// Where to look, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// AIC window before and after the detection.
    pub(super) before_s: f64,
    pub(super) after_s: f64,
}

/// Samples before the AIC window that let the high pass settle.
pub(super) const SETTLE_S: f64 = 0.5;
/// Everything slower is taken off before AIC looks.
const HIGH_PASS_HZ: f64 = 1.0;
/// The band for noisy channels, and how much better than the mild filter it must be.
const NOISY_LOW_HZ: f64 = 3.0;
const NOISY_HIGH_HZ: f64 = 16.0;
const NOISY_GAIN: f64 = 1.5;
const NYQUIST_PART: f64 = 0.4;
const NOISE_S: f64 = 1.5;
const SIGNAL_S: f64 = 0.5;
/// A signal-to-noise ratio of two as a comparison of the energies of noise and noise.
const TWICE: Comparison = Comparison { after_s: SIGNAL_S, before_s: NOISE_S, ratio: 4.0 };
/// Second look: a window this long before and after the first minimum.
const SECOND_BEFORE_S: f64 = 0.6;
const SECOND_AFTER_S: f64 = 0.3;
/// Length in which the first motion shows.
const FIRST_MOTION_S: f64 = 0.15;
const FIRST_MOTION_SNR: f64 = 3.0;
const IMPULSIVE_UNCERTAINTY_S: f64 = 0.06;

/// Looks for the onset near `detection` in `raw` (counts, gapless). `None` where there is none to be had.
pub(super) fn refine(
    raw: &[f64],
    detection: usize,
    rate_hz: f64,
    search: Search,
    filters: &OnsetFilters,
) -> Option<WindowOnset> {
    let counts = |seconds: f64| (seconds * rate_hz).round() as usize;
    let begin = detection.saturating_sub(counts(search.before_s));
    let end = (detection + counts(search.after_s)).min(raw.len());
    if begin >= end || unusable(&raw[..end], detection.min(end), rate_hz) {
        return None;
    }
    // The mild filter keeps the onset sharp; the strong one wins where slow or fast noise hides it.
    let mut mild = filters.mild.clone();
    let mildly: Vec<f64> = raw.iter().map(|x| mild.step(*x)).collect();
    let sharp = Break::find(&mildly, begin..end, rate_hz, filters.mild_factor)?;
    let Some(mut strong) = filters.strong.clone() else { return Some(sharp.refined(&mildly, rate_hz)) };
    let mut strongly: Vec<f64> = raw.iter().map(|x| x - raw[0]).collect();
    strong.apply(&mut strongly);
    let blunt = Break::find(&strongly, begin..end, rate_hz, filters.strong_factor);
    Some(match blunt.filter(|blunt| blunt.whole_band_snr() > NOISY_GAIN * sharp.whole_band_snr()) {
        Some(blunt) => blunt.refined(&strongly, rate_hz),
        None => sharp.refined(&mildly, rate_hz),
    })
}

/// The filters before AIC, at rest.
#[derive(Clone, Debug)]
pub(super) struct OnsetFilters {
    mild: OnePoleHighPass,
    /// `None` where the sample rate leaves no band.
    strong: Option<SectionFilter>,
    /// How many times thresholds of the ratio are taken in decades behind each of them.
    mild_factor: f64,
    strong_factor: f64,
}

impl OnsetFilters {
    pub(super) fn new(rate_hz: f64) -> Self {
        let high_hz = |rate_hz: f64| NOISY_HIGH_HZ.min(NYQUIST_PART * rate_hz);
        let pass = Band::BandPass { low_hz: NOISY_LOW_HZ, high_hz: high_hz(rate_hz) };
        Self {
            mild: OnePoleHighPass::new(HIGH_PASS_HZ, rate_hz),
            strong: butterworth(2, pass, rate_hz).ok(),
            mild_factor: TWICE.factor(|rate_hz| rate_hz / 2.0 - HIGH_PASS_HZ, rate_hz),
            strong_factor: TWICE.factor(|rate_hz| high_hz(rate_hz) - NOISY_LOW_HZ, rate_hz),
        }
    }
}

/// Where one filtered window breaks in two.
struct Break {
    index: usize,
    /// AIC of the second look.
    minimum: Minimum,
    noise: f64,
    snr: f64,
    snr_factor: f64,
}

impl Break {
    /// AIC looks at `range` of the window.
    fn find(filtered: &[f64], range: Range<usize>, rate_hz: f64, snr_factor: f64) -> Option<Self> {
        let counts = |seconds: f64| (seconds * rate_hz).round() as usize;
        let margin = counts(0.1).max(3);
        let first = range.start + Minimum::of(&filtered[range.clone()], margin)?.index;
        let closer = first.saturating_sub(counts(SECOND_BEFORE_S)).max(range.start)
            ..(first + counts(SECOND_AFTER_S)).min(filtered.len());
        let minimum = Minimum::of(&filtered[closer.clone()], margin.min(closer.len() / 4))?;
        let index = closer.start + minimum.index;
        let noise = rms(&filtered[index.saturating_sub(counts(NOISE_S))..index]);
        let signal = &filtered[index..(index + counts(SIGNAL_S)).min(filtered.len())];
        let usable = !spike(signal) && noise > 0.0;
        usable.then(|| Self { index, minimum, noise, snr: rms(signal) / noise, snr_factor })
    }

    /// The ratio that says as much in the whole band.
    fn whole_band_snr(&self) -> f64 {
        if self.snr_factor > 1.0 { self.snr.powf(1.0 / self.snr_factor) } else { self.snr }
    }

    fn refined(&self, filtered: &[f64], rate_hz: f64) -> WindowOnset {
        let uncertainty_s = uncertainty(self.minimum.sigma_samples() / rate_hz, self.snr, rate_hz);
        let onset = if uncertainty_s <= IMPULSIVE_UNCERTAINTY_S { Onset::Impulsive } else { Onset::Emergent };
        let motion_count = ((FIRST_MOTION_S * rate_hz).round() as usize).max(3);
        let polarity = first_motion(filtered, self.index, motion_count, self.noise);
        let (index, snr, snr_factor) = (self.index, self.snr, self.snr_factor);
        WindowOnset { index, uncertainty_s, snr, snr_factor, rise_factor: 1.0, polarity, onset }
    }
}

/// The width of the AIC minimum, half a sample at least, and what a human reader could tell at this ratio.
fn uncertainty(width_s: f64, snr: f64, rate_hz: f64) -> f64 {
    let reader_s = 0.02 + 0.12 / snr.max(1.0);
    (width_s * width_s + reader_s * reader_s + 0.25 / (rate_hz * rate_hz)).sqrt().min(1.0)
}

/// Sign of the first swing after the onset that stands out of the noise.
fn first_motion(filtered: &[f64], index: usize, count: usize, noise: f64) -> Polarity {
    let level = filtered[index.saturating_sub(1)];
    let swing = filtered[index..(index + count).min(filtered.len())]
        .windows(2)
        .map(|pair| (pair[0] - level, pair[1] - level))
        .find(|(now, next)| now.abs() > FIRST_MOTION_SNR * noise && next.abs() < now.abs());
    match swing {
        Some((peak, _)) if peak > 0.0 => Polarity::Positive,
        Some(_) => Polarity::Negative,
        None => Polarity::Undecidable,
    }
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|x| x * x).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// One or two samples carry nearly all the energy: not the ground.
fn spike(signal: &[f64]) -> bool {
    let total: f64 = signal.iter().map(|x| x * x).sum();
    let largest = signal.windows(2).map(|pair| pair[0] * pair[0] + pair[1] * pair[1]).fold(0.0, f64::max);
    largest > 0.9 * total
}

/// Dead before the detection, or flat at the ends of the scale.
fn unusable(raw: &[f64], detection: usize, rate_hz: f64) -> bool {
    const CHANGING_MIN: f64 = 0.05;
    const FLAT_RUN: usize = 4;
    const FLAT_COUNT: usize = 8;
    let before = &raw[..detection];
    let changing = before.windows(2).filter(|pair| pair[0] != pair[1]).count();
    if (changing as f64) < CHANGING_MIN * before.len() as f64 || before.len() < 4 {
        return true;
    }
    let until = (detection + (0.2 * rate_hz) as usize).min(raw.len());
    let window = &raw[..until];
    let (low, high) = window.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let flat: usize = window
        .chunk_by(|a, b| a == b)
        .filter(|run| run.len() >= FLAT_RUN && (run[0] == low || run[0] == high))
        .map(<[f64]>::len)
        .sum();
    flat >= FLAT_COUNT && high - low > 100.0
}
