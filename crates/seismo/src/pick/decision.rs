//! From candidates on single channels to the picks of a station: which are P, which S, which nothing.
//!
//! An arrival is read as S where it raises the horizontals more than the vertical, both against what they recorded
//! before (which takes site amplification out) and in absolute amplitude; else as P. Of candidates of one phase close
//! in time the strongest stands. Decisions are made once the watermark has passed everything they look at, so what a
//! decision sees never depends on when it is made. An S that its polarisation alone would not betray is read too
//! where it is the strongest arrival on the horizontals after a P; that decision waits for the end of the S window.
//! On channels below 40 Hz noise strays farther, and the thresholds are higher ([`super::narrowness`]).

use std::collections::BTreeMap;

use seislake_model::{Onset, Phase, Pick, Polarity, Provenance, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::PickSettings;
use super::channel::Channel;
use super::lane::{BIN_NANOS, Detector};
use super::onset::WindowOnset;
use super::station::{PickOutput, horizontal, vertical};
use super::versions::Versions;
use crate::signal::exact;

/// Counted up when the picker gives other picks.
const METHOD_VERSION: &str = "1";

/// A pick is decided at most this long after the S window before it.
pub(super) const DECISION_S: f64 = SETTLED_S + READING_S + SAME_P_S + CONFLICT_S;
/// All candidates and energies of a moment are known once the watermark is this much later.
const SETTLED_S: f64 = 4.0;
/// Candidates that nobody asked for are dropped beyond this count.
const CANDIDATE_COUNT_MAX: usize = 100_000;
/// Onsets of one phase this close are one arrival.
const SAME_P_S: f64 = 0.7;
const SAME_S_S: f64 = 0.5;
/// A P and an S this close are one arrival that was read twice.
const CONFLICT_S: f64 = 0.25;
/// Candidates this close tell together what an arrival is.
const READING_S: f64 = 0.25;
/// Out of quiet comes a P: beyond so many decades of rise on the vertical the reading shifts by this part of the rest.
const LOUD: f64 = 1.0;
const LOUD_WEIGHT: f64 = 0.5;
/// Bins before and after an onset that are compared; the last bin before it and its own are left out.
const BINS_BEFORE: i64 = 10;
const BINS_AFTER: i64 = 5;
/// FilterPicker tells an onset better than the rise of energy does.
const TRIGGER_BONUS: f64 = 1.5;

/// An onset on one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Candidate {
    source_id: SourceId,
    version: u8,
    detector: Detector,
    time: Timestamp,
    #[serde(with = "exact::scalar")]
    uncertainty_s: f64,
    #[serde(with = "exact::scalar")]
    snr: f64,
    /// How many times thresholds in decades of the ratio and of rises are taken in the bands of this channel.
    #[serde(with = "exact::scalar", default = "whole_band")]
    snr_factor: f64,
    #[serde(with = "exact::scalar", default = "whole_band")]
    rise_factor: f64,
    polarity: Polarity,
    onset: Onset,
    /// Polarisation, once it can be told.
    look: Option<Look>,
    /// Smoothed score of all candidates close by; see [`Decisions::read`].
    reading: Option<Decades>,
    /// Has been decided upon as a P, as an S.
    decided_p: bool,
    decided_s: bool,
}

/// How an arrival looks on the three components, in decades of energy.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Look {
    /// Positive where it looks like S, negative where like P; `None` where components are missing.
    s_score: Option<Decades>,
    /// How much energy rose on the vertical (or on the channel itself where there is no vertical).
    rise_up: Decades,
    /// The same on the horizontals (or on the channel itself).
    rise_level: Decades,
}

/// States of before slow channels had thresholds of their own.
fn whole_band() -> f64 {
    1.0
}

#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Decades(#[serde(with = "exact::scalar")] f64);

impl Candidate {
    pub(super) fn new(
        (source_id, version): (&SourceId, u8),
        detector: Detector,
        time: Timestamp,
        refined: WindowOnset,
    ) -> Self {
        Self {
            source_id: source_id.clone(),
            version,
            detector,
            time,
            uncertainty_s: refined.uncertainty_s,
            snr: refined.snr,
            snr_factor: refined.snr_factor,
            rise_factor: refined.rise_factor,
            polarity: refined.polarity,
            onset: refined.onset,
            look: None,
            reading: None,
            decided_p: false,
            decided_s: false,
        }
    }

    fn strength(&self) -> f64 {
        match self.detector {
            Detector::Trigger => self.snr * TRIGGER_BONUS,
            Detector::Rise => self.snr,
        }
    }

    /// Positive: S; negative: P; `None`: cannot be told or not known yet.
    fn reading(&self) -> Option<f64> {
        self.reading.map(|reading| reading.0)
    }

    fn rise_up(&self) -> f64 {
        self.look.map_or(0.0, |look| look.rise_up.0)
    }

    fn rise_level(&self) -> f64 {
        self.look.map_or(0.0, |look| look.rise_level.0)
    }

    /// Is the signal-to-noise ratio as rare in noise as this one in the whole band?
    fn stands_out(&self, snr_min: f64) -> bool {
        let needed = if self.snr_factor > 1.0 { snr_min.powf(self.snr_factor) } else { snr_min };
        self.snr >= needed
    }

    fn near(&self, other: &Self, seconds: f64) -> bool {
        self.time.seconds_since(other.time).abs() <= seconds
    }

    fn pick(&self, phase: Phase) -> Pick {
        let method = match self.detector {
            Detector::Trigger => "filter_picker+aic",
            Detector::Rise => "energy_rise+aic",
        };
        let polarity = match phase {
            Phase::P if vertical(&self.source_id) => self.polarity,
            _ => Polarity::Undecidable,
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
            provenance: Provenance::automatic(
                method,
                METHOD_VERSION,
                Some(self.time.add_seconds(DECISION_S)),
            ),
        }
    }
}

/// An accepted P.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct AcceptedP {
    time: Timestamp,
    #[serde(with = "exact::scalar")]
    strength: f64,
    /// Its S has been looked for.
    done: bool,
}

/// Undecided candidates and what later decisions need to know of earlier ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Decisions {
    candidates: Vec<Candidate>,
    accepted_p: Vec<AcceptedP>,
    accepted_s: Vec<Timestamp>,
    /// Picks whose amplitude window is not over.
    measuring: Vec<Timestamp>,
    /// Candidates dropped since the last advance.
    dropped_count: u64,
    /// Everything before has been decided.
    decided_until: Option<Timestamp>,
}

type Channels = BTreeMap<SourceId, Versions>;

impl Decisions {
    pub(super) fn add(&mut self, candidate: Candidate) {
        if self.candidates.len() < CANDIDATE_COUNT_MAX {
            self.candidates.push(candidate);
        } else {
            self.dropped_count += 1;
        }
    }

    /// How long before the watermark energies are still looked at.
    pub(super) fn energies_kept_s(&self) -> f64 {
        2.0 * SETTLED_S + 2.0
    }

    /// How long before the watermark amplitudes are still looked at.
    pub(super) fn seconds_kept_s(&self, settings: &PickSettings) -> f64 {
        settings.amplitude_window_s.max(settings.s_window_max_s + 2.0 * SETTLED_S) + 20.0
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
        self.candidates.retain_mut(|candidate| {
            if candidate.look.is_some() || candidate.time > settled {
                return true;
            }
            let late = self.decided_until.is_some_and(|decided| candidate.time <= decided);
            let counts = channels.get(&candidate.source_id).is_some_and(|versions| {
                versions.counts(candidate.version, candidate.time, settings.warm_up_s)
                    // What another version was decided by stays as it was said.
                    && !(late && versions.others_cover(candidate.version, candidate.time))
            });
            if counts {
                candidate.look = Some(look(settings, channels, candidate));
            }
            counts
        });
        let readable = settled.add_seconds(-READING_S);
        self.read(readable);
        let separate = readable.add_seconds(-SAME_P_S);
        let mut picks = vec![];
        self.decided_until = self.decided_until.max(Some(separate));
        self.decide_p(settings, separate, &mut picks);
        self.decide_s(settings, separate.add_seconds(-CONFLICT_S), &mut picks);
        let window_over = separate.add_seconds(-settings.s_window_max_s - CONFLICT_S);
        self.decide_s_after_p(settings, window_over, &mut picks);
        let amplitude_traces = self.measure(settings, channels, watermark);
        let forget = window_over.add_seconds(-settings.s_window_max_s - SETTLED_S);
        self.candidates.retain(|candidate| candidate.time >= forget);
        self.accepted_p.retain(|p| p.time >= forget);
        self.accepted_s.retain(|time| *time >= forget);
        PickOutput { picks, amplitude_traces, dropped_onset_count: std::mem::take(&mut self.dropped_count) }
    }

    /// The candidates around one, itself excluded.
    fn around(&self, index: usize, seconds: f64) -> impl Iterator<Item = &Candidate> {
        let centre = &self.candidates[index];
        let older =
            self.candidates[..index].iter().rev().take_while(move |other| other.near(centre, seconds));
        let newer = self.candidates[index + 1..].iter().take_while(move |other| other.near(centre, seconds));
        older.chain(newer)
    }

    /// Reads arrivals as P or S: the mean of what the candidates around saw, the strong ones counting more, because
    /// a tenth of a second decides whether the begin of a P still counts as noise.
    fn read(&mut self, until: Timestamp) {
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if candidate.time > until || candidate.reading.is_some() {
                continue;
            }
            let (mut sum, mut weights) = (0.0, 0.0);
            for one in self.around(index, READING_S).chain(std::iter::once(candidate)) {
                if let Some(score) = one.look.and_then(|look| look.s_score) {
                    let weight = one.strength() * one.rise_up().max(one.rise_level()).max(0.0);
                    sum += weight * score.0;
                    weights += weight;
                }
            }
            let loud = (candidate.rise_up() - LOUD).max(0.0);
            self.candidates[index].reading =
                (weights > 0.0).then(|| Decades(sum / weights - LOUD_WEIGHT * loud));
        }
    }

    fn decide_p(&mut self, settings: &PickSettings, until: Timestamp, picks: &mut Vec<Pick>) {
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if candidate.time > until {
                break;
            }
            if candidate.decided_p {
                continue;
            }
            let accepted = self.is_p(settings, index);
            let candidate = &mut self.candidates[index];
            candidate.decided_p = true;
            if accepted {
                picks.push(candidate.pick(Phase::P));
                self.measuring.push(candidate.time);
                let (time, strength) = (candidate.time, candidate.strength());
                let place = self.accepted_p.partition_point(|p| p.time < time);
                self.accepted_p.insert(place, AcceptedP { time, strength, done: false });
            }
        }
    }

    fn is_p(&self, settings: &PickSettings, index: usize) -> bool {
        let candidate = &self.candidates[index];
        if !looks_like_p(settings, candidate) {
            return false;
        }
        let beaten = self.around(index, SAME_P_S).any(|other| {
            looks_like_p(settings, other)
                && (other.strength(), other.time) > (candidate.strength(), candidate.time)
        });
        let is_s = self
            .around(index, CONFLICT_S)
            .any(|other| looks_like_s(settings, other) && other.strength() > candidate.strength());
        let before = |p: &&AcceptedP| p.time < candidate.time;
        let since = self.accepted_p.iter().rev().find(before).map(|p| candidate.time.seconds_since(p.time));
        let coda = since.is_some_and(|since| match candidate.reading() {
            Some(_) => since < CODA_S && candidate.rise_up() < CODA_RISE_MIN,
            None => since < BLIND_CODA_S && candidate.rise_up() < BLIND_CODA_RISE_MIN,
        });
        !(beaten || is_s || coda)
    }

    fn decide_s(&mut self, settings: &PickSettings, until: Timestamp, picks: &mut Vec<Pick>) {
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if candidate.time > until {
                break;
            }
            if candidate.decided_s {
                continue;
            }
            let accepted = self.is_s(settings, index);
            self.candidates[index].decided_s = true;
            if accepted {
                self.accept_s(index, picks);
                let time = self.candidates[index].time;
                let earliest_p = time.add_seconds(-settings.s_window_max_s);
                // An S after a P shares its trace.
                if !self.accepted_p.iter().any(|p| (earliest_p..time).contains(&p.time)) {
                    self.measuring.push(time);
                }
            }
        }
    }

    fn accept_s(&mut self, index: usize, picks: &mut Vec<Pick>) {
        let candidate = &self.candidates[index];
        picks.push(candidate.pick(Phase::S));
        self.accepted_s.push(candidate.time);
    }

    fn is_s(&self, settings: &PickSettings, index: usize) -> bool {
        let candidate = &self.candidates[index];
        if !looks_like_s(settings, candidate) {
            return false;
        }
        let beaten = self.around(index, SAME_S_S).any(|other| {
            looks_like_s(settings, other)
                && (other.strength(), other.time) > (candidate.strength(), candidate.time)
        });
        let is_p = self
            .around(index, CONFLICT_S)
            .any(|other| looks_like_p(settings, other) && other.strength() >= candidate.strength());
        let with_p = self.accepted_p.iter().any(|p| {
            let since = candidate.time.seconds_since(p.time);
            p.strength >= candidate.strength() && (-CONFLICT_S..settings.s_window_min_s).contains(&since)
        });
        !(beaten || is_p || with_p)
    }

    /// For each P after which no S was read, the strongest arrival that could be one.
    fn decide_s_after_p(&mut self, settings: &PickSettings, until: Timestamp, picks: &mut Vec<Pick>) {
        for index in 0..self.accepted_p.len() {
            let p = &self.accepted_p[index];
            if p.time > until {
                break;
            }
            if p.done {
                continue;
            }
            let begin = p.time.add_seconds(settings.s_window_min_s);
            let latest = p.time.add_seconds(settings.s_window_max_s);
            let next = self.accepted_p.get(index + 1);
            let end = next.map_or(latest, |next| next.time.add_seconds(-CONFLICT_S).min(latest));
            self.accepted_p[index].done = true;
            if !self.accepted_s.iter().any(|s| (begin..end).contains(s))
                && let Some(best) = self.best_s(settings, begin, end)
            {
                self.accept_s(best, picks);
            }
        }
    }

    fn best_s(&self, settings: &PickSettings, begin: Timestamp, end: Timestamp) -> Option<usize> {
        let inside = |candidate: &Candidate| (begin..end).contains(&candidate.time);
        (0..self.candidates.len())
            .filter(|index| inside(&self.candidates[*index]))
            .filter(|index| could_be_s(settings, &self.candidates[*index]))
            .max_by(|a, b| self.candidates[*a].rise_level().total_cmp(&self.candidates[*b].rise_level()))
    }

    /// Cuts the amplitude traces of picks whose window is over.
    fn measure(
        &mut self,
        settings: &PickSettings,
        channels: &Channels,
        watermark: Timestamp,
    ) -> Vec<seislake_model::AmplitudeTrace> {
        let window_s = settings.amplitude_window_s.ceil() as i64;
        let over = |time: &Timestamp| {
            watermark.nanos().div_euclid(1_000_000_000) >= time.nanos().div_euclid(1_000_000_000) + window_s
        };
        let (done, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.measuring).into_iter().partition(over);
        self.measuring = waiting;
        done.iter()
            .flat_map(|time| {
                channels.iter().filter_map(|(source_id, versions)| {
                    let (_, channel) = versions.at(*time, settings.warm_up_s)?;
                    channel.seconds.trace(source_id, *time, window_s)
                })
            })
            .collect()
    }
}

/// A P so soon after another must raise the vertical by so many decades.
const CODA_S: f64 = 8.0;
const CODA_RISE_MIN: f64 = 0.6;
/// The same where there are no horizontals to tell its S from the next P.
const BLIND_CODA_S: f64 = 15.0;
const BLIND_CODA_RISE_MIN: f64 = 1.5;
/// Without a P before it, energy must rise by so many decades.
const RISE_UP_MIN: f64 = 0.45;
const RISE_LEVEL_MIN: f64 = 0.5;
/// An S raises the vertical too, by so many decades: of the weak ones that a migration confirms on the Iceland dike five
/// of six do (0.39 to 0.56), of those in noise one of seven. From 0.2 to 0.35 the same are found.
const S_RISE_UP_MIN: f64 = 0.3;

fn looks_like_p(settings: &PickSettings, candidate: &Candidate) -> bool {
    vertical(&candidate.source_id)
        && candidate.stands_out(settings.p_snr_min)
        && candidate.rise_up() >= RISE_UP_MIN * candidate.rise_factor
        && candidate.reading().is_none_or(|score| score < settings.s_horizontal_ratio.log10())
}

fn looks_like_s(settings: &PickSettings, candidate: &Candidate) -> bool {
    horizontal(&candidate.source_id)
        && candidate.stands_out(s_snr_min(settings, candidate))
        && candidate.rise_level() >= RISE_LEVEL_MIN * candidate.rise_factor
        && candidate.reading().is_some_and(|score| score >= settings.s_horizontal_ratio.log10())
}

fn could_be_s(settings: &PickSettings, candidate: &Candidate) -> bool {
    candidate.stands_out(settings.s_snr_min.max(settings.weak_s_snr_min))
        && (candidate.reading().is_none() || horizontal(&candidate.source_id))
}

/// Where only a rise of energy shows an S, on the horizontals alone, it must stand out: noise has many such. An arrival
/// shakes the vertical too.
fn s_snr_min(settings: &PickSettings, candidate: &Candidate) -> f64 {
    match candidate.detector {
        Detector::Rise if candidate.rise_up() < S_RISE_UP_MIN * candidate.rise_factor => {
            settings.s_snr_min.max(settings.weak_s_snr_min)
        }
        Detector::Rise | Detector::Trigger => settings.s_snr_min,
    }
}

fn bin_of(time: Timestamp) -> i64 {
    time.nanos().div_euclid(BIN_NANOS)
}

/// Mean energy of a channel before and after a bin.
fn step(channel: &Channel, bin: i64) -> Option<(f64, f64)> {
    let before = channel.energies.mean(bin - BINS_BEFORE, bin - 1)?;
    let after = channel.energies.mean(bin + 1, bin + 1 + BINS_AFTER)?;
    Some((before.max(1e-30), after))
}

/// Looks at the three components of the candidate's instrument.
fn look(settings: &PickSettings, channels: &Channels, candidate: &Candidate) -> Look {
    let bin = bin_of(candidate.time);
    let key = candidate.source_id.instrument_key();
    let mut up = None;
    let mut level: Option<(f64, f64)> = None;
    for (source_id, versions) in channels.iter().filter(|(source_id, _)| source_id.instrument_key() == key) {
        let counting = versions.at(candidate.time, settings.warm_up_s);
        let Some((before, after)) = counting.and_then(|(_, channel)| step(channel, bin)) else { continue };
        if vertical(source_id) {
            up = Some((before, after));
        } else if horizontal(source_id) {
            let (sum_before, sum_after) = level.unwrap_or((0.0, 0.0));
            level = Some((sum_before + before, sum_after + after));
        }
    }
    let rise = |(before, after): (f64, f64)| (after.max(1e-30) / before).log10();
    let added = |(before, after): (f64, f64)| (after - before).max(1e-3 * after).max(1e-30).log10();
    let s_score = up.zip(level).map(|(up, level)| {
        let relative = rise(level) - rise(up);
        let absolute = (added(level) - added(up)).clamp(-1.5, 1.5) - std::f64::consts::LOG10_2;
        Decades((relative + absolute) / 2.0)
    });
    let own = channels.get(&candidate.source_id).and_then(|versions| versions.get(candidate.version));
    let own = own.and_then(|channel| step(channel, bin));
    let of = |part: Option<(f64, f64)>| Decades(part.or(own).map_or(0.0, rise));
    Look { s_score, rise_up: of(up), rise_level: of(level) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(detector: Detector, snr: f64, rise_up: f64) -> Candidate {
        let source_id = SourceId::from_nslc("XX", "ABC", "", "HHN");
        let refined = WindowOnset {
            index: 0,
            uncertainty_s: 0.1,
            snr,
            snr_factor: 1.0,
            rise_factor: 1.0,
            polarity: Polarity::Undecidable,
            onset: Onset::Emergent,
        };
        let look = Look { s_score: Some(Decades(1.0)), rise_up: Decades(rise_up), rise_level: Decades(1.0) };
        let time = Timestamp::from_nanos(0);
        let new = Candidate::new((&source_id, 2), detector, time, refined);
        Candidate { look: Some(look), reading: Some(Decades(1.0)), ..new }
    }

    #[test]
    fn an_s_that_only_a_rise_of_energy_shows_must_stand_out_or_shake_the_vertical_too() {
        let settings = PickSettings::default();
        for (detector, snr, rise_up, expected) in [
            (Detector::Trigger, 1.6, 0.1, false),
            (Detector::Trigger, 1.8, 0.1, true),
            (Detector::Rise, 2.4, 0.1, false),
            (Detector::Rise, 2.6, 0.1, true),
            (Detector::Rise, 2.6, -0.5, true),
            (Detector::Rise, 1.6, 0.4, false),
            (Detector::Rise, 1.8, 0.4, true),
        ] {
            let found = looks_like_s(&settings, &candidate(detector, snr, rise_up));
            assert_eq!(found, expected, "{detector:?} {snr} {rise_up}");
        }
        for detector in [Detector::Trigger, Detector::Rise] {
            for rise_up in [0.1, 0.4] {
                let after_p = |snr| could_be_s(&settings, &candidate(detector, snr, rise_up));
                assert_eq!(
                    (after_p(2.4), after_p(2.6)),
                    (false, true),
                    "an S that only a P before it suggests"
                );
            }
        }
    }
}
