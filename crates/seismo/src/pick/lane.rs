//! A gapless run of one channel: the filters and detectors that see every sample.

use std::ops::Range;

use seislake_model::{Response, Timestamp};
use serde::{Deserialize, Serialize};

use super::amplitude::Second;
use super::narrowness::Comparison;
use super::onset::{OnsetFilters, SETTLE_S, Search, WindowOnset, refine};
use super::{FilterPicker, PickSettings};
use crate::signal::exact::{self, ExactList};
use crate::signal::{Band, SectionFilter, WoodAnderson, butterworth};

/// Bins of a tenth of a second, aligned to the second: the grid on which channels are compared.
pub(super) const BIN_NANOS: i64 = 100_000_000;
const BINS_A_SECOND: i64 = 1_000_000_000 / BIN_NANOS;
/// Energies are those of this band, or what the sample rate leaves of it; the high part of amplitudes begins with it.
const BAND_LOW_HZ: f64 = 2.0;
const BAND_HIGH_HZ: f64 = 16.0;
const NYQUIST_PART: f64 = 0.4;

/// AIC windows around a trigger and around a rise of energy.
const TRIGGER_SEARCH: Search = Search { before_s: 2.0, after_s: 0.5 };
const RISE_SEARCH: Search = Search { before_s: 0.5, after_s: 0.4 };
/// Samples kept: noise and settling before a window whose detection is confirmed late, and a portion behind it.
const RING_S: f64 = 5.0;
/// Samples that go through the filters before bins and detections see them.
const PORTION_S: f64 = 1.0;

/// A rise compares so many bins after with so many before a moment, and must be the largest around.
const RISE_AFTER: usize = 5;
const RISE_BEFORE: usize = 10;
const RISE_NEIGHBOURS: usize = 3;
const RISE_BINS: usize = RISE_BEFORE + RISE_AFTER + 2 * RISE_NEIGHBOURS + 1;
/// Smallest ratio of energies of a rise where the band is whole.
const RISE_MIN: f64 = 2.5;
/// The same as a comparison of noise with noise.
const RISE: Comparison =
    Comparison { after_s: RISE_AFTER as f64 / 10.0, before_s: RISE_BEFORE as f64 / 10.0, ratio: RISE_MIN };

/// What made a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Detector {
    /// FilterPicker.
    Trigger,
    /// Energy rose.
    Rise,
}

/// What a lane hands up.
#[derive(Clone, Debug)]
pub(super) enum LaneFinding {
    /// An onset.
    Onset { detector: Detector, time: Timestamp, refined: WindowOnset },
    /// Mean energy of a bin, counts².
    Energy { bin: i64, energy: f64 },
    /// Wood-Anderson displacement of a bin, as a part of its second.
    Amplitude(Second),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pending {
    detector: Detector,
    index: u64,
    ready_at: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Bin {
    number: i64,
    /// Sample at which the next bin begins.
    end_index: u64,
    count: u32,
    #[serde(with = "exact::scalar")]
    energy: f64,
    #[serde(with = "exact::scalar")]
    peak_mm: f64,
    #[serde(with = "exact::scalar")]
    square_sum: f64,
    #[serde(with = "exact::scalar", default)]
    high_peak_mm: f64,
    #[serde(with = "exact::scalar", default)]
    high_square_sum: f64,
    clipped: bool,
}

/// State of one gapless run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    #[serde(with = "exact::scalar")]
    pub(super) rate_hz: f64,
    /// Time of sample `anchor_index`.
    anchor_time: Timestamp,
    anchor_index: u64,
    /// Samples taken.
    count: u64,
    picker: FilterPicker,
    band: SectionFilter,
    #[serde(with = "exact::scalar")]
    level: f64,
    ring: ExactList,
    bin: Bin,
    /// Energies of the last bins, the newest last.
    #[serde(with = "exact::array")]
    energies: [f64; RISE_BINS],
    bin_count: u64,
    /// Index of the first sample of each of those bins.
    bin_starts: [u64; RISE_BINS],
    pending: Vec<Pending>,
    wood_anderson: Option<WoodAnderson>,
    /// Behind it.
    #[serde(default)]
    high_pass: Option<SectionFilter>,
    response_print: u64,
    clip: Clip,
    warm_up_count: u64,
    #[serde(skip)]
    portion: Portion,
    /// Made with the first detection.
    #[serde(skip)]
    onset_filters: Option<OnsetFilters>,
    /// How many times thresholds of rises in decades are taken in the band that the rate leaves; made with the first bin.
    #[serde(skip)]
    rise_factor: Option<f64>,
}

/// A portion of samples behind the filters; empty between two calls.
#[derive(Clone, Debug, Default)]
struct Portion {
    /// In the band of energies.
    banded: Vec<f64>,
    /// Wood-Anderson displacement, mm; empty without a response.
    displacement_mm: Vec<f64>,
    /// Its high part.
    high_mm: Vec<f64>,
}

impl Lane {
    pub(super) fn new(settings: &PickSettings, start: Timestamp, rate_hz: f64) -> Self {
        let pass = Band::BandPass { low_hz: BAND_LOW_HZ, high_hz: band_high_hz(rate_hz) };
        let band = butterworth(2, pass, rate_hz).unwrap_or_else(|_| SectionFilter::new(vec![]));
        Self {
            rate_hz,
            anchor_time: start,
            anchor_index: 0,
            count: 0,
            picker: FilterPicker::new(&settings.filter_picker(), rate_hz),
            band,
            level: 0.0,
            ring: ExactList(vec![0.0; (RING_S * rate_hz).ceil() as usize]),
            bin: Bin::default(),
            energies: [0.0; RISE_BINS],
            bin_count: 0,
            bin_starts: [0; RISE_BINS],
            pending: vec![],
            wood_anderson: None,
            high_pass: None,
            response_print: 0,
            clip: Clip::default(),
            warm_up_count: (settings.warm_up_s * rate_hz).round() as u64,
            portion: Portion::default(),
            onset_filters: None,
            rise_factor: None,
        }
    }

    /// Other settings hold from the next sample on; false where the filters would be others.
    pub(super) fn retune(&mut self, settings: &PickSettings) -> bool {
        self.warm_up_count = (settings.warm_up_s * self.rate_hz).round() as u64;
        self.picker.retune(&settings.filter_picker(), self.rate_hz)
    }

    /// Were these the last samples, as far as there were so many?
    pub(super) fn ends_in(&self, samples: &[f64]) -> bool {
        let count = (samples.len() as u64).min(self.count);
        self.remembered(self.count - count..self.count) == samples[samples.len() - count as usize..]
    }

    /// Time of a sample.
    fn time_of(&self, index: u64) -> Timestamp {
        let samples = index as i64 - self.anchor_index as i64;
        self.anchor_time.add_nanos((samples as f64 * 1e9 / self.rate_hz).round() as i64)
    }

    /// Time at which the next sample is due.
    pub(super) fn next_time(&self) -> Timestamp {
        self.time_of(self.count)
    }

    pub(super) fn interval_s(&self) -> f64 {
        1.0 / self.rate_hz
    }

    /// Follows a drifting clock: the sample due now came at `time`.
    pub(super) fn anchor(&mut self, time: Timestamp) {
        const DRIFT: f64 = 0.05;
        if time.seconds_since(self.next_time()).abs() > DRIFT * self.interval_s() {
            (self.anchor_time, self.anchor_index) = (time, self.count);
            self.bin.end_index = self.end_of_bin(self.bin.number);
        }
    }

    /// Uses this response from the next sample on; a new one starts the simulation anew.
    pub(super) fn set_response(&mut self, response: Option<&Response>, print: u64) {
        if print != self.response_print {
            self.response_print = print;
            self.wood_anderson = response.and_then(|response| WoodAnderson::new(response, self.rate_hz));
            self.high_pass = None;
        }
        if self.wood_anderson.is_some() && self.high_pass.is_none() {
            let band = Band::HighPass { corner_hz: BAND_LOW_HZ };
            self.high_pass = butterworth(2, band, self.rate_hz).ok();
        }
    }

    /// Takes samples (finite) that follow the last ones without a gap.
    pub(super) fn push(&mut self, samples: &[f64], found: &mut Vec<LaneFinding>) {
        let Some(first) = samples.first() else { return };
        if self.count == 0 {
            self.level = *first;
        }
        for samples in samples.chunks((PORTION_S * self.rate_hz).ceil().max(1.0) as usize) {
            self.detect(samples);
            self.remember(samples);
            self.filter(samples);
            self.sort_into_bins(samples, found);
        }
    }

    /// FilterPicker runs ahead of the rest of the lane: what it triggers waits for samples behind it anyway.
    fn detect(&mut self, samples: &[f64]) {
        let (pending, after) = (&mut self.pending, (TRIGGER_SEARCH.after_s * self.rate_hz).ceil() as u64);
        self.picker.push(samples, |declared, trigger| {
            let ready_at = (trigger.index + after).max(declared + 1);
            pending.push(Pending { detector: Detector::Trigger, index: trigger.index, ready_at });
        });
    }

    /// Keeps samples for what is detected later.
    fn remember(&mut self, samples: &[f64]) {
        let ring = &mut self.ring.0;
        let (mut at, mut rest) = ((self.count % ring.len() as u64) as usize, samples);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(ring.len() - at));
            ring[at..at + now.len()].copy_from_slice(now);
            (at, rest) = (0, later);
        }
    }

    /// Samples that the ring holds still.
    fn remembered(&self, range: Range<u64>) -> Vec<f64> {
        let ring = &self.ring.0;
        let count = range.end.saturating_sub(range.start) as usize;
        let begin = (range.start % ring.len() as u64) as usize;
        let first = count.min(ring.len() - begin);
        [&ring[begin..begin + first], &ring[..count - first]].concat()
    }

    fn filter(&mut self, samples: &[f64]) {
        let (level, Portion { banded, displacement_mm, high_mm }) = (self.level, &mut self.portion);
        banded.clear();
        banded.extend(samples.iter().map(|sample| sample - level));
        self.band.apply(banded);
        displacement_mm.clear();
        if let Some(wood_anderson) = &mut self.wood_anderson {
            displacement_mm.extend_from_slice(samples);
            wood_anderson.apply(displacement_mm);
        }
        high_mm.clear();
        if let Some(high_pass) = &mut self.high_pass {
            high_mm.extend_from_slice(displacement_mm);
            high_pass.apply(high_mm);
        }
    }

    /// Goes through a filtered portion from one end of a bin or detection that is ready to the next.
    fn sort_into_bins(&mut self, samples: &[f64], found: &mut Vec<LaneFinding>) {
        let begin = self.count;
        let end = begin + samples.len() as u64;
        while self.count < end {
            if self.bin.count == 0 {
                self.open_bin();
            }
            let next_ready = self.pending.iter().map(|pending| pending.ready_at).min().unwrap_or(u64::MAX);
            let until = self.bin.end_index.min(next_ready).max(self.count + 1).min(end);
            let range = (self.count - begin) as usize..(until - begin) as usize;
            self.measure(&samples[range.clone()], range);
            self.count = until;
            // A bin is closed by its last sample, not by the next one: that may never come.
            if self.count >= self.bin.end_index {
                self.close_bin(found);
            }
            self.complete(found, self.count, end);
        }
    }

    /// Adds a range of the portion to the bin.
    fn measure(&mut self, samples: &[f64], range: Range<usize>) {
        let bin = &mut self.bin;
        bin.count += samples.len() as u32;
        for filtered in &self.portion.banded[range.clone()] {
            bin.energy += filtered * filtered;
        }
        if self.wood_anderson.is_some() {
            for millimetres in &self.portion.displacement_mm[range.clone()] {
                bin.peak_mm = bin.peak_mm.max(millimetres.abs());
                bin.square_sum += millimetres * millimetres;
            }
            for millimetres in self.portion.high_mm.get(range).unwrap_or_default() {
                bin.high_peak_mm = bin.high_peak_mm.max(millimetres.abs());
                bin.high_square_sum += millimetres * millimetres;
            }
            for sample in samples {
                self.clip.step(*sample);
                bin.clipped |= self.clip.clipped;
            }
        }
    }

    fn open_bin(&mut self) {
        let number = self.next_time().nanos().div_euclid(BIN_NANOS);
        self.bin = Bin { number, end_index: self.end_of_bin(number), ..Bin::default() };
        append(&mut self.bin_starts, self.count);
    }

    /// First sample at or after the end of bin `number`.
    fn end_of_bin(&self, number: i64) -> u64 {
        let end = Timestamp::from_nanos((number + 1).saturating_mul(BIN_NANOS));
        let samples = (end.seconds_since(self.anchor_time) * self.rate_hz - 1e-6).ceil();
        (self.anchor_index as i64 + samples as i64).max(self.count as i64 + 1) as u64
    }

    fn close_bin(&mut self, found: &mut Vec<LaneFinding>) {
        if self.bin.number.rem_euclid(BINS_A_SECOND) == 0 {
            self.settle();
        }
        let bin = &self.bin;
        let energy = bin.energy / f64::from(bin.count.max(1));
        found.push(LaneFinding::Energy { bin: bin.number, energy });
        if self.wood_anderson.is_some() {
            found.push(LaneFinding::Amplitude(Second {
                number: bin.number.div_euclid(BINS_A_SECOND),
                peak_mm: bin.peak_mm as f32,
                square_sum: bin.square_sum as f32,
                count: bin.count,
                clipped: bin.clipped,
                high_peak_mm: bin.high_peak_mm as f32,
                high_square_sum: bin.high_square_sum as f32,
            }));
        }
        append(&mut self.energies, energy);
        self.bin_count += 1;
        self.bin.count = 0;
        self.look_for_rise();
    }

    /// Sets the states of filters that have faded away to zero.
    fn settle(&mut self) {
        self.band.settle();
        if let Some(wood_anderson) = &mut self.wood_anderson {
            wood_anderson.settle();
        }
        if let Some(high_pass) = &mut self.high_pass {
            high_pass.settle();
        }
    }

    /// Is the moment `RISE_AFTER + RISE_NEIGHBOURS` bins ago one at which energy rose most?
    fn look_for_rise(&mut self) {
        if self.bin_count < RISE_BINS as u64 || self.count < self.warm_up_count {
            return;
        }
        let ratio = |back: usize| {
            let until = &self.energies[..RISE_BINS - back];
            let before = mean::<RISE_BEFORE>(&until[..until.len() - RISE_AFTER]);
            if before > 0.0 { mean::<RISE_AFTER>(until) / before } else { 0.0 }
        };
        let centre = ratio(RISE_NEIGHBOURS);
        if centre < RISE_MIN {
            return;
        }
        let newer = (0..RISE_NEIGHBOURS).all(|back| ratio(back) <= centre);
        let older = (RISE_NEIGHBOURS + 1..=2 * RISE_NEIGHBOURS).all(|back| ratio(back) < centre);
        if newer && older && centre >= RISE_MIN.powf(self.rise_factor()) {
            let index = self.bin_starts[RISE_BINS - RISE_NEIGHBOURS - RISE_AFTER];
            let ready_at = self.count;
            self.pending.push(Pending { detector: Detector::Rise, index, ready_at });
        }
    }

    fn rise_factor(&mut self) -> f64 {
        let rate_hz = self.rate_hz;
        let bandwidth_hz = |rate_hz: f64| band_high_hz(rate_hz) - BAND_LOW_HZ;
        *self.rise_factor.get_or_insert_with(|| RISE.factor(bandwidth_hz, rate_hz))
    }

    /// Refines the pending detections that are ready at sample `now`; the ring holds what comes before `end`.
    fn complete(&mut self, found: &mut Vec<LaneFinding>, now: u64, end: u64) {
        if self.pending.iter().all(|pending| pending.ready_at > now) {
            return;
        }
        let (mut ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.ready_at <= now);
        self.pending = waiting;
        ready.sort_by_key(|pending| (pending.ready_at, pending.index, pending.detector));
        for pending in ready {
            found.extend(self.refine(&pending, end));
        }
    }

    /// The run has ended: what is pending has to do with the samples there are.
    pub(super) fn finish(&mut self, found: &mut Vec<LaneFinding>) {
        if self.bin.count > 0 {
            self.close_bin(found);
        }
        self.complete(found, u64::MAX, self.count);
    }

    fn refine(&mut self, pending: &Pending, end: u64) -> Option<LaneFinding> {
        let rate_hz = self.rate_hz;
        let search = match pending.detector {
            Detector::Trigger => TRIGGER_SEARCH,
            Detector::Rise => RISE_SEARCH,
        };
        // The window depends on the detection alone, not on how much came after it.
        let before = ((search.before_s + SETTLE_S) * rate_hz).ceil() as u64;
        let after = (search.after_s * rate_hz).ceil() as u64;
        let oldest = end.saturating_sub(self.ring.0.len() as u64);
        let begin = pending.index.saturating_sub(before).max(oldest);
        let end = (pending.index + after).min(self.count);
        let window = self.remembered(begin..end);
        let detection = pending.index.checked_sub(begin)? as usize;
        let filters = self.onset_filters.get_or_insert_with(|| OnsetFilters::new(rate_hz));
        let mut refined = refine(&window, detection, rate_hz, search, filters)?;
        refined.rise_factor = self.rise_factor();
        let time = self.time_of(begin + refined.index as u64);
        Some(LaneFinding::Onset { detector: pending.detector, time, refined })
    }
}

/// Upper end of the band of energies.
fn band_high_hz(rate_hz: f64) -> f64 {
    BAND_HIGH_HZ.min(NYQUIST_PART * rate_hz)
}

/// The newest last; the oldest goes.
fn append<T: Copy>(list: &mut [T; RISE_BINS], newest: T) {
    list.copy_within(1.., 0);
    list[RISE_BINS - 1] = newest;
}

/// Mean of the last `N` values, which is a multiple of five.
fn mean<const N: usize>(values: &[f64]) -> f64 {
    let fives = values[values.len() - N..].as_chunks::<5>().0;
    // In pairs: a sum waits for one addition less than it has terms.
    fives.iter().map(|[a, b, c, d, e]| (a + b) + (c + d) + e).sum::<f64>() / N as f64
}

/// Tells flat tops at the ends of the scale: a run of equal samples far out of the ordinary.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Clip {
    #[serde(with = "exact::scalar")]
    last: f64,
    #[serde(with = "exact::scalar")]
    largest: f64,
    run: u32,
    clipped: bool,
}

impl Clip {
    const RUN: u32 = 4;
    /// Counts below which digitisers do not clip.
    const FULL_SCALE_MIN: f64 = 2000.0;

    #[inline]
    fn step(&mut self, sample: f64) {
        self.run = if sample == self.last { self.run + 1 } else { 1 };
        self.last = sample;
        self.largest = self.largest.max(sample.abs());
        let at_end = sample.abs() >= self.largest && self.largest >= Self::FULL_SCALE_MIN;
        self.clipped = at_end && self.run >= Self::RUN;
    }
}
