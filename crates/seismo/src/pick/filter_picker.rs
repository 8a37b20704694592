//! FilterPicker (Lomax, Satriano & Vassallo 2012, SRL 83, 531), sample by sample, from the paper's description.
//!
//! ```text
//! x ─ octave bands n: high pass, high pass, low pass (w = 2^n dt / 2 pi) ─ E = y² ─ F = (E - mean E) / sigma E
//!     largest F of all bands ≥ trigger_threshold ─ its integral over integral_window_s ≥ threshold ─► trigger
//! ```
//! Mean and sigma decay with `long_term_window_s`; while they are younger than that they are plain averages over what
//! there is, so a short recording can be picked after its first seconds. F is cut at five thresholds before it enters
//! the statistics. After a trigger the picker is blind until the largest F falls below 2.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::signal::exact;

/// What tunes a [`FilterPicker`]. Names in brackets are the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterPickerSettings {
    /// Longest period of the filter bands (Tfilter).
    pub filter_window_s: f64,
    /// Decay time of the statistics (Tlong).
    pub long_term_window_s: f64,
    /// Length over which the characteristic function is integrated (Tup).
    pub integral_window_s: f64,
    /// Threshold of the characteristic function (S1).
    pub trigger_threshold: f64,
    /// Threshold of its mean over the integration window (S2).
    pub integral_threshold: f64,
    /// No trigger before the statistics are this old.
    pub warm_up_s: f64,
}

/// A declared trigger; positions are counts of samples since the picker's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Sample at which the characteristic function crossed the threshold.
    pub index: u64,
    /// Sample at which the band that triggered last rose above one sigma: the onset lies between both.
    pub rise_index: u64,
}

const LANES: usize = 8;
/// Samples between two looks at whether anything happened ...
const BLOCK: usize = 64;
/// ... and where something did: noise alone reaches the threshold now and then, for a moment.
const SMALL_BLOCK: usize = 8;
/// Samples after which states that have faded away are set to zero.
const SETTLE_INTERVAL: u64 = 4096;
/// Rounding keeps F² below the threshold's square where it is below this part of it.
const SURELY_BELOW: f64 = 1.0 - 1e-12;
/// Cut of F, in units of the trigger threshold.
const CUT: f64 = 5.0;
/// F must fall below this before the next trigger.
const REARM: f64 = 2.0;
/// F of a band that has risen; bands compare the square of the envelope with the variance itself.
const RISEN: f64 = 1.0;
/// Variances below this are those of a dead channel.
const VARIANCE_MIN: f64 = 1e-100;
/// Below this a state is zero: arithmetic on subnormal numbers is a hundred times slower.
const STATE_MIN: f64 = 1e-160;
const BAND_COUNT_MAX: u32 = 16;

/// Four neighbouring bands, side by side so that the compiler handles them in one go.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bands {
    #[serde(with = "exact::array")]
    high_gain: [f64; LANES],
    #[serde(with = "exact::array")]
    low_gain: [f64; LANES],
    #[serde(with = "exact::array")]
    high: [f64; LANES],
    #[serde(with = "exact::array")]
    high_twice: [f64; LANES],
    #[serde(with = "exact::array")]
    low: [f64; LANES],
    #[serde(with = "exact::array")]
    mean: [f64; LANES],
    #[serde(with = "exact::array")]
    variance: [f64; LANES],
    /// Sample at which F last rose above one, as a float to stay in the same registers.
    #[serde(with = "exact::array")]
    rise: [f64; LANES],
}

/// What a sample makes of four bands.
struct Envelope {
    /// The envelope above its mean, negative below.
    excess: [f64; LANES],
    /// Square of it where it is positive: F² is this over the variance.
    positive_squared: [f64; LANES],
    variance: [f64; LANES],
}

impl Bands {
    /// One sample: `change` is the difference to the last one. Gives the squared F of the four bands.
    #[inline(always)]
    fn step(&mut self, change: f64, gain: f64, cut_squared: f64, position: f64) -> [f64; LANES] {
        let Envelope { mut excess, positive_squared, variance } = self.envelope(change, position);
        let mut squared = [0.0; LANES];
        for k in 0..LANES {
            squared[k] = positive_squared[k] / variance[k];
        }
        if squared.iter().any(|squared| *squared > cut_squared) {
            for k in 0..LANES {
                if squared[k] > cut_squared && self.variance[k] > VARIANCE_MIN {
                    excess[k] = (cut_squared * self.variance[k]).sqrt();
                }
            }
        }
        self.learn(excess, gain);
        squared
    }

    /// The filters, and the envelope beside its statistics.
    #[inline(always)]
    fn envelope(&mut self, change: f64, position: f64) -> Envelope {
        let (mut excess, mut positive_squared, mut variance) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for k in 0..LANES {
            let before = self.high[k];
            self.high[k] = self.high_gain[k] * (before + change);
            self.high_twice[k] = self.high_gain[k] * (self.high_twice[k] + self.high[k] - before);
            self.low[k] += self.low_gain[k] * (self.high_twice[k] - self.low[k]);
            excess[k] = self.low[k] * self.low[k] - self.mean[k];
            // Not `max`, which looks at NaN first: there is none.
            let positive = if excess[k] > 0.0 { excess[k] } else { 0.0 };
            positive_squared[k] = positive * positive;
            variance[k] = if self.variance[k] > VARIANCE_MIN { self.variance[k] } else { VARIANCE_MIN };
            self.rise[k] = if positive_squared[k] < variance[k] { position } else { self.rise[k] };
        }
        Envelope { excess, positive_squared, variance }
    }

    /// Mean and variance follow the envelope.
    #[inline(always)]
    fn learn(&mut self, excess: [f64; LANES], gain: f64) {
        for (k, excess) in excess.into_iter().enumerate() {
            self.mean[k] += gain * excess;
            let deviation = (1.0 - gain) * excess;
            self.variance[k] += gain * (deviation * deviation - self.variance[k]);
        }
    }

    fn settle(&mut self) {
        let lists = [&mut self.high, &mut self.high_twice, &mut self.low, &mut self.mean, &mut self.variance];
        for value in lists.into_iter().flatten() {
            if value.abs() < STATE_MIN {
                *value = 0.0;
            }
        }
    }
}

/// The streaming picker of one channel. No NaN: start a new one behind a gap. No allocation a sample; cost is
/// proportional to the number of octaves between `filter_window_s` and the sample interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FilterPicker {
    bands: Vec<Bands>,
    #[serde(with = "exact::scalar")]
    last_sample: f64,
    /// Samples taken.
    count: u64,
    #[serde(with = "exact::scalar")]
    gain_min: f64,
    #[serde(with = "exact::scalar")]
    threshold: f64,
    /// Sum of F that declares a trigger.
    #[serde(with = "exact::scalar")]
    sum_needed: f64,
    window_count: u64,
    warm_up_count: u64,
    armed: bool,
    /// A crossing that waits for its integral.
    crossing: Option<Crossing>,
}

/// A block of samples in which nothing happens, if so.
#[derive(Clone, Copy)]
struct Quiet {
    last_sample: f64,
    /// Index of the first sample.
    position: f64,
    gain: f64,
    /// F² that no band may reach.
    limit: f64,
}

impl Quiet {
    /// The bands behind `samples`; `None` where one of them reaches the limit.
    fn pass<const N: usize>(self, bands: [Bands; N], samples: &[f64]) -> Option<[Bands; N]> {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the only condition of the callee is a processor with AVX-512F, and the line above has asked it.
            #[allow(unsafe_code, reason = "no safe call leads to code compiled for a detected feature")]
            return unsafe { self.pass_avx512(bands, samples) };
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the only condition of the callee is a processor with AVX2, and the line above has asked it.
            #[allow(unsafe_code, reason = "no safe call leads to code compiled for a detected feature")]
            return unsafe { self.pass_avx2(bands, samples) };
        }
        self.pass_plain(bands, samples)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn pass_avx512<const N: usize>(self, bands: [Bands; N], samples: &[f64]) -> Option<[Bands; N]> {
        self.pass_plain(bands, samples)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn pass_avx2<const N: usize>(self, bands: [Bands; N], samples: &[f64]) -> Option<[Bands; N]> {
        self.pass_plain(bands, samples)
    }

    /// [`Quiet::pass`] for any processor.
    #[inline(always)]
    fn pass_plain<const N: usize>(mut self, mut bands: [Bands; N], samples: &[f64]) -> Option<[Bands; N]> {
        let mut beyond = [f64::NEG_INFINITY; LANES];
        for sample in samples {
            let change = sample - self.last_sample;
            self.last_sample = *sample;
            for bands in &mut bands {
                let Envelope { excess, positive_squared, variance } = bands.envelope(change, self.position);
                for k in 0..LANES {
                    let difference = positive_squared[k] - self.limit * variance[k];
                    beyond[k] = if difference > beyond[k] { difference } else { beyond[k] };
                }
                bands.learn(excess, self.gain);
            }
            self.position += 1.0;
        }
        beyond.iter().all(|difference| *difference < 0.0).then_some(bands)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crossing {
    index: u64,
    rise_index: u64,
    #[serde(with = "exact::scalar")]
    sum: f64,
}

impl FilterPicker {
    /// A picker for samples at `sample_rate_hz`, positive.
    pub fn new(settings: &FilterPickerSettings, sample_rate_hz: f64) -> Self {
        let counts = |seconds: f64| (seconds * sample_rate_hz).round().max(1.0);
        let octaves = counts(settings.filter_window_s).log2().ceil();
        let band_count = (octaves as u32).clamp(1, BAND_COUNT_MAX) as usize;
        let bands =
            (0..band_count.div_ceil(LANES)).map(|block| Self::bands(block * LANES, band_count)).collect();
        let window = counts(settings.integral_window_s);
        Self {
            bands,
            last_sample: 0.0,
            count: 0,
            gain_min: 1.0 / counts(settings.long_term_window_s),
            threshold: settings.trigger_threshold,
            sum_needed: settings.integral_threshold * window,
            window_count: window as u64,
            warm_up_count: counts(settings.warm_up_s) as u64,
            armed: true,
            crossing: None,
        }
    }

    /// Other settings hold from the next sample on; filters and statistics stay. False, and nothing done, where the bands
    /// are others: that takes a new picker.
    pub fn retune(&mut self, settings: &FilterPickerSettings, sample_rate_hz: f64) -> bool {
        let new = Self::new(settings, sample_rate_hz);
        let gains =
            |picker: &Self| -> Vec<f64> { picker.bands.iter().flat_map(|bands| bands.high_gain).collect() };
        let same = gains(&new) == gains(self);
        if same {
            self.gain_min = new.gain_min;
            self.threshold = new.threshold;
            self.sum_needed = new.sum_needed;
            self.window_count = new.window_count;
            self.warm_up_count = new.warm_up_count;
        }
        same
    }

    fn bands(first: usize, band_count: usize) -> Bands {
        let mut bands = Bands {
            high_gain: [0.0; LANES],
            low_gain: [0.0; LANES],
            high: [0.0; LANES],
            high_twice: [0.0; LANES],
            low: [0.0; LANES],
            mean: [0.0; LANES],
            variance: [0.0; LANES],
            rise: [0.0; LANES],
        };
        // Lanes beyond the last band stay at zero and never have an F.
        for k in 0..LANES.min(band_count - first) {
            let time_constant = f64::powi(2.0, (first + k + 1) as i32) / std::f64::consts::TAU;
            bands.high_gain[k] = time_constant / (time_constant + 1.0);
            bands.low_gain[k] = 1.0 / (time_constant + 1.0);
        }
        bands
    }

    /// Takes samples; shows each trigger and the sample that declared it.
    ///
    /// Noise is the rule: a block in which no band reaches the threshold only moves filters and statistics, all bands
    /// at once; any other is gone through sample by sample.
    pub fn push(&mut self, samples: &[f64], mut declared: impl FnMut(u64, Trigger)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let until_settled = SETTLE_INTERVAL - self.count % SETTLE_INTERVAL;
            let (block, later) = rest.split_at(rest.len().min(BLOCK).min(until_settled as usize));
            rest = later;
            if !self.pass_quietly(block) {
                for block in block.chunks(SMALL_BLOCK) {
                    if !self.pass_quietly(block) {
                        self.step_through(block, &mut declared);
                    }
                }
            }
            if self.count.is_multiple_of(SETTLE_INTERVAL) {
                self.settle();
            }
        }
    }

    /// Takes samples none of which can change more than filters and statistics; false, and nothing taken, where one may.
    fn pass_quietly(&mut self, samples: &[f64]) -> bool {
        let grown_up = 1.0 / ((self.count + 1) as f64) <= self.gain_min;
        if !grown_up || !self.armed || self.crossing.is_some() {
            return false;
        }
        let quiet = match self.bands.len() {
            1 => self.passed::<1>(samples),
            2 => self.passed::<2>(samples),
            _ => false,
        };
        if let Some(last) = samples.last().filter(|_| quiet) {
            self.last_sample = *last;
            self.count += samples.len() as u64;
        }
        quiet
    }

    fn passed<const N: usize>(&mut self, samples: &[f64]) -> bool {
        let Ok(bands) = <&mut [Bands; N]>::try_from(self.bands.as_mut_slice()) else { return false };
        let quiet = Quiet {
            last_sample: self.last_sample,
            position: self.count as f64,
            gain: self.gain_min,
            limit: self.threshold * self.threshold * SURELY_BELOW,
        };
        let Some(passed) = quiet.pass(bands.clone(), samples) else { return false };
        *bands = passed;
        true
    }

    /// Takes samples one by one.
    fn step_through(&mut self, samples: &[f64], declared: impl FnMut(u64, Trigger)) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the only condition of the callee is a processor with AVX2, and the line above has asked it.
            #[allow(unsafe_code, reason = "no safe call leads to code compiled for a detected feature")]
            return unsafe { self.step_through_wide(samples, declared) };
        }
        self.step_through_plain(samples, declared);
    }

    /// The same, four bands to a register.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn step_through_wide(&mut self, samples: &[f64], declared: impl FnMut(u64, Trigger)) {
        self.step_through_plain(samples, declared);
    }

    #[inline(always)]
    fn step_through_plain(&mut self, samples: &[f64], mut declared: impl FnMut(u64, Trigger)) {
        for sample in samples {
            if let (_, Some(trigger)) = self.step(*sample) {
                declared(self.count - 1, trigger);
            }
        }
    }

    /// Takes one sample; gives the largest F of all bands and a trigger where one is declared by this sample.
    #[inline(always)]
    pub(crate) fn step(&mut self, sample: f64) -> (f64, Option<Trigger>) {
        if self.count == 0 {
            self.last_sample = sample;
        }
        let change = sample - self.last_sample;
        self.last_sample = sample;
        let index = self.count;
        self.count += 1;
        let gain = self.gain_min.max(1.0 / self.count as f64);
        let cut_squared = (CUT * self.threshold) * (CUT * self.threshold);
        // Lane by lane, then over the lanes.
        let (mut lanes, mut rises) = ([0.0; LANES], [0.0; LANES]);
        for bands in &mut self.bands {
            let squared = bands.step(change, gain, cut_squared, index as f64);
            for k in 0..LANES {
                let larger = squared[k] > lanes[k];
                lanes[k] = if larger { squared[k] } else { lanes[k] };
                rises[k] = if larger { bands.rise[k] } else { rises[k] };
            }
        }
        let (mut largest, mut rise) = (0.0, 0.0);
        for (squared, lane_rise) in lanes.into_iter().zip(rises) {
            if squared > largest {
                (largest, rise) = (squared, lane_rise);
            }
        }
        if largest < RISEN {
            self.armed = true;
            if self.crossing.is_none() {
                return (0.0, None);
            }
        }
        let value = largest.min(cut_squared).sqrt();
        (value, self.follow(value, index, rise as u64))
    }

    /// The state machine behind the characteristic function.
    #[inline]
    fn follow(&mut self, value: f64, index: u64, rise_index: u64) -> Option<Trigger> {
        if value < REARM {
            self.armed = true;
        }
        if let Some(crossing) = &mut self.crossing {
            crossing.sum += value;
            if crossing.sum >= self.sum_needed {
                let trigger = Trigger { index: crossing.index, rise_index: crossing.rise_index };
                (self.crossing, self.armed) = (None, false);
                return Some(trigger);
            }
            if index >= crossing.index + self.window_count {
                self.crossing = None;
            }
        }
        let ready = self.armed && index >= self.warm_up_count && self.crossing.is_none();
        if ready && value >= self.threshold {
            self.crossing = Some(Crossing { index, rise_index, sum: value });
        }
        None
    }

    /// Sets states that have faded away to zero, now and then by the count of samples.
    fn settle(&mut self) {
        self.bands.iter_mut().for_each(Bands::settle);
    }
}
