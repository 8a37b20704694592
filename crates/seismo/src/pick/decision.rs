//! From candidates on single channels to the picks of a station: which are P, which S, which nothing.
//!
//! Decisions are made in order of time, each once the watermark has passed everything it looks at:
//! P after [`SETTLED_S`], S after the S window too. What a decision sees never depends on when it is made.

use std::collections::BTreeMap;

use seislake_model::{Onset, Phase, Pick, Polarity, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::PickSettings;
use super::channel::Channel;
use super::lane::{BIN_NANOS, Detector};
use super::onset::Refined;
use super::station::{PickOutput, horizontal, vertical};
use crate::signal::exact;

/// All candidates and energies of a moment are known once the watermark is this much later.
const SETTLED_S: f64 = 4.0;
/// Candidates that nobody asked for are dropped beyond this count.
const CANDIDATE_COUNT_MAX: usize = 100_000;
/// Onsets this close on different channels are one.
const SAME_S: f64 = 0.7;
const S_SAME_S: f64 = 0.35;
/// Bins before and after an onset that are compared; the last bin before it and the bin of it are left out.
const BINS_BEFORE: i64 = 10;
const BINS_AFTER: i64 = 5;
const METHOD: &str = "filter_picker+aic";
const METHOD_S: &str = "energy_rise+aic";

/// An onset on one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidate {
    source_id: SourceId,
    detector: Detector,
    time: Timestamp,
    #[serde(with = "exact::scalar")]
    uncertainty_s: f64,
    #[serde(with = "exact::scalar")]
    snr: f64,
    #[serde(with = "exact::scalar")]
    rise: f64,
    polarity: Polarity,
    onset: Onset,
    /// Has been looked at as a P.
    seen: bool,
}

impl Candidate {
    pub(super) fn new(
        source_id: &SourceId,
        detector: Detector,
        time: Timestamp,
        refined: Refined,
        rise: f64,
    ) -> Self {
        Self {
            source_id: source_id.clone(),
            detector,
            time,
            uncertainty_s: refined.uncertainty_s,
            snr: refined.snr,
            rise,
            polarity: refined.polarity,
            onset: refined.onset,
            seen: false,
        }
    }

    fn pick(&self, phase: Phase) -> Pick {
        let method = match self.detector {
            Detector::Trigger => METHOD,
            Detector::Rise => METHOD_S,
        };
        let polarity = if phase == Phase::P && vertical(&self.source_id) {
            self.polarity
        } else {
            Polarity::Undecidable
        };
        Pick {
            pick_id: Pick::id_of(&self.source_id, self.time, phase, method),
            source_id: self.source_id.clone(),
            pick_time: self.time,
            time_uncertainty_s: self.uncertainty_s,
            phase,
            polarity,
            onset: self.onset,
            snr: self.snr,
            method: method.to_owned(),
        }
    }
}

/// An accepted P.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AcceptedP {
    time: Timestamp,
    /// Its S has been looked for.
    done: bool,
}

/// Undecided candidates and what later decisions need to know of earlier ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Decisions {
    candidates: Vec<Candidate>,
    accepted: Vec<AcceptedP>,
    /// S picks handed out.
    s_times: Vec<Timestamp>,
    /// S without P has been looked for until here.
    lone_s_until: Option<Timestamp>,
    /// Picks whose amplitude window is not over.
    measuring: Vec<Timestamp>,
}

type Channels = BTreeMap<SourceId, Channel>;

impl Decisions {
    pub(super) fn add(&mut self, candidate: Candidate) {
        if self.candidates.len() < CANDIDATE_COUNT_MAX {
            self.candidates.push(candidate);
        }
    }

    /// How long before the watermark energies are still looked at.
    pub(super) fn energies_kept_s(&self, settings: &PickSettings) -> f64 {
        2.0 * SETTLED_S + settings.s_window_max_s + 5.0
    }

    /// How long before the watermark amplitudes are still looked at.
    pub(super) fn seconds_kept_s(&self, settings: &PickSettings) -> f64 {
        settings.amplitude_window_s.max(self.energies_kept_s(settings)) + 20.0
    }

    /// Decides what can be decided.
    pub(super) fn advance(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        watermark: Timestamp,
    ) -> PickOutput {
        self.candidates
            .sort_by(|a, b| (a.time, &a.source_id, a.detector).cmp(&(b.time, &b.source_id, b.detector)));
        let settled = watermark.add_seconds(-SETTLED_S);
        let s_settled = settled.add_seconds(-settings.s_window_max_s - S_SAME_S);
        let mut output = PickOutput::default();
        self.decide_p(settings, channels, settled, &mut output.picks);
        self.decide_s(settings, channels, s_settled, &mut output.picks);
        self.decide_lone_s(settings, channels, s_settled, &mut output.picks);
        self.measure(settings, channels, watermark, &mut output);
        let forget = s_settled.add_seconds(-settings.s_window_max_s - 2.0 * SETTLED_S);
        self.candidates.retain(|candidate| candidate.time >= forget);
        self.accepted.retain(|p| p.time >= forget);
        self.s_times.retain(|time| *time >= forget);
        output
    }

    fn decide_p(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        settled: Timestamp,
        picks: &mut Vec<Pick>,
    ) {
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if candidate.time > settled {
                break;
            }
            if candidate.seen {
                continue;
            }
            self.candidates[index].seen = true;
            let candidate = &self.candidates[index];
            let eligible = candidate.detector == Detector::Trigger
                && candidate.snr >= settings.p_snr_min
                && may_be_p(channels, candidate);
            let close = |p: &AcceptedP| p.time.seconds_since(candidate.time).abs() <= SAME_S;
            if !eligible || self.accepted.iter().any(close) {
                continue;
            }
            if horizontal_ratio(channels, candidate).is_some_and(|ratio| ratio > settings.s_horizontal_ratio)
            {
                continue;
            }
            picks.push(candidate.pick(Phase::P));
            self.measuring.push(candidate.time);
            let place = self.accepted.partition_point(|p| p.time < candidate.time);
            self.accepted.insert(place, AcceptedP { time: candidate.time, done: false });
        }
    }

    fn decide_s(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        settled: Timestamp,
        picks: &mut Vec<Pick>,
    ) {
        for index in 0..self.accepted.len() {
            let p = &self.accepted[index];
            if p.time > settled {
                break;
            }
            if p.done {
                continue;
            }
            let begin = p.time.add_seconds(settings.s_window_min_s);
            let latest = p.time.add_seconds(settings.s_window_max_s);
            let end = self.accepted.get(index + 1).map_or(latest, |next| next.time.min(latest));
            let best = self.best_s(settings, channels, begin, end);
            if let Some(best) = best {
                let pick = self.candidates[best].pick(Phase::S);
                self.s_times.push(pick.pick_time);
                picks.push(pick);
            }
            self.accepted[index].done = true;
        }
    }

    /// The best S in a stretch of time.
    fn best_s(
        &self,
        settings: &PickSettings,
        channels: &Channels,
        begin: Timestamp,
        end: Timestamp,
    ) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (index, candidate) in self.candidates.iter().enumerate() {
            if candidate.time < begin || candidate.time >= end || !horizontal(&candidate.source_id) {
                continue;
            }
            if candidate.snr < settings.s_snr_min {
                continue;
            }
            let score = s_score(channels, candidate, begin);
            if best.is_none_or(|(_, best_score)| score > best_score) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    fn decide_lone_s(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        settled: Timestamp,
        picks: &mut Vec<Pick>,
    ) {
        let _ = (settings, channels, settled, picks);
        self.lone_s_until = Some(settled);
    }

    /// Cuts the amplitude traces of picks whose window is over.
    fn measure(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        watermark: Timestamp,
        output: &mut PickOutput,
    ) {
        let over = |time: &Timestamp| {
            let second = time.nanos().div_euclid(1_000_000_000) as f64 + settings.amplitude_window_s.ceil();
            watermark == Timestamp::MAX || watermark.seconds() >= second
        };
        let (done, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.measuring).into_iter().partition(over);
        self.measuring = waiting;
        for time in done {
            let traces = channels.iter().filter_map(|(source_id, channel)| {
                channel.seconds.trace(source_id, time, settings.amplitude_window_s.ceil() as i64)
            });
            output.amplitude_traces.extend(traces);
        }
        output.amplitude_traces.dedup();
    }
}

/// P is read on verticals, or on any channel where the instrument has no vertical at that time.
fn may_be_p(channels: &Channels, candidate: &Candidate) -> bool {
    let bin = bin_of(candidate.time);
    vertical(&candidate.source_id)
        || !channels.iter().any(|(source_id, channel)| {
            vertical(source_id) && channel.energies.mean(bin - BINS_BEFORE, bin + BINS_AFTER).is_some()
        })
}

fn bin_of(time: Timestamp) -> i64 {
    time.nanos().div_euclid(BIN_NANOS)
}

/// Energy that an onset added to a channel: mean after minus mean before.
fn added(channel: &Channel, bin: i64) -> Option<f64> {
    let before = channel.energies.mean(bin - BINS_BEFORE, bin - 1)?;
    let after = channel.energies.mean(bin + 1, bin + 1 + BINS_AFTER)?;
    Some((after - before).max(0.0))
}

/// Amplitude the onset added to the horizontals over that on the vertical of the same instrument.
fn horizontal_ratio(channels: &Channels, candidate: &Candidate) -> Option<f64> {
    let bin = bin_of(candidate.time);
    let key = candidate.source_id.instrument_key();
    let same = || channels.iter().filter(|(source_id, _)| source_id.instrument_key() == key);
    let up =
        same().find(|(source_id, _)| vertical(source_id)).and_then(|(_, channel)| added(channel, bin))?;
    let level: Vec<f64> = same()
        .filter(|(source_id, _)| horizontal(source_id))
        .filter_map(|(_, channel)| added(channel, bin))
        .collect();
    if level.is_empty() {
        return None;
    }
    let mean = level.iter().sum::<f64>() / level.len() as f64;
    Some((mean / up.max(1e-12)).sqrt())
}

/// How much an onset looks like the S after a P at `p_time`.
fn s_score(channels: &Channels, candidate: &Candidate, _p_time: Timestamp) -> f64 {
    let bin = bin_of(candidate.time);
    let key = candidate.source_id.instrument_key();
    channels
        .iter()
        .filter(|(source_id, _)| horizontal(source_id) && source_id.instrument_key() == key)
        .filter_map(|(_, channel)| added(channel, bin))
        .sum()
}
