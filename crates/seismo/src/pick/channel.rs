//! One channel: which samples were seen, which lane takes a piece, and what the lanes found out.

use seislake_model::{Response, Timestamp};
use serde::{Deserialize, Serialize};

use super::PickSettings;
use super::amplitude::Seconds;
use super::lane::{Lane, LaneFinding};

/// Runs at the same time: the present one and some of backfill.
const LANE_COUNT_MAX: usize = 4;
/// Spans of covered time remembered in a session; with more the oldest gap counts as seen.
const SPAN_COUNT_MAX: usize = 64;
/// Spans of earlier sessions remembered; with more the shortest gap counts as seen.
const DECIDED_COUNT_MAX: usize = 256;
/// Rates differ where they differ by more than this part.
const RATE_TOLERANCE: f64 = 1e-4;
/// A sample may be early or late by this part of the interval.
const TIME_TOLERANCE: f64 = 0.5;
/// Samples of an overlap that are compared.
const COMPARED: usize = 4;

/// Time covered by samples, begin of the first to the time at which the next would be due.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    start: Timestamp,
    next: Timestamp,
}

/// Time whose samples were picked in sessions that have ended: the same samples in other records say nothing new. Disjoint,
/// in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PastSessions(Vec<Span>);

impl PastSessions {
    /// Adds what a channel saw in a session.
    pub(super) fn add(&mut self, channel: &Channel) {
        for span in &channel.spans {
            insert(&mut self.0, *span, DECIDED_TOLERANCE_S);
        }
        while self.0.len() > DECIDED_COUNT_MAX {
            let gap_s = |place: &usize| self.0[place + 1].start.seconds_since(self.0[*place].next);
            let shortest = (0..self.0.len() - 1).min_by(|a, b| gap_s(a).total_cmp(&gap_s(b)));
            close_gap(&mut self.0, shortest.unwrap_or(0));
        }
    }
}

/// Sessions whose spans touch within this are one: an interval of the slowest channel that is picked.
const DECIDED_TOLERANCE_S: f64 = 0.1;

/// Adds a span to disjoint ones in order of time; those that touch become one.
fn insert(spans: &mut Vec<Span>, new: Span, tolerance_s: f64) {
    let touches = |span: &Span| {
        span.next.seconds_since(new.start) >= -tolerance_s
            && new.next.seconds_since(span.start) >= -tolerance_s
    };
    let merged = spans
        .iter()
        .filter(|span| touches(span))
        .fold(new, |all, span| Span { start: all.start.min(span.start), next: all.next.max(span.next) });
    spans.retain(|span| !touches(span));
    let place = spans.partition_point(|span| span.start < merged.start);
    spans.insert(place, merged);
}

/// Makes one of a span and the next.
fn close_gap(spans: &mut Vec<Span>, place: usize) {
    let next = spans.remove(place + 1);
    spans[place].next = next.next;
}

/// State of one channel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Channel {
    /// The present lane is that with the latest end.
    lanes: Vec<Lane>,
    /// Disjoint, in order of time.
    spans: Vec<Span>,
    /// Everything before counts as seen: only in states of an earlier version, which forgot the oldest spans.
    forgotten_before: Option<Timestamp>,
    pub(super) energies: Energies,
    pub(super) seconds: Seconds,
}

impl Channel {
    /// Takes finite samples that follow each other, but for those at times that were decided in earlier sessions.
    pub(super) fn push(
        &mut self,
        settings: &PickSettings,
        run: Run<'_>,
        decided: &PastSessions,
        response: Option<&Response>,
        found: &mut Vec<LaneFinding>,
    ) {
        let tolerance_s = TIME_TOLERANCE / run.rate_hz;
        for (start, end) in self.uncovered(run, decided, tolerance_s) {
            let part = Run { start: run.time_of(start), samples: &run.samples[start..end], ..run };
            if self.is_other_recording(part, &run.samples[..start], tolerance_s) {
                continue;
            }
            self.append(settings, part, tolerance_s, response, found);
            self.cover(Span { start: part.start, next: part.time_of(part.samples.len()) }, tolerance_s);
        }
    }

    /// The parts of a run (as ranges of samples) that neither an earlier piece covered nor an earlier session.
    fn uncovered(&self, run: Run<'_>, decided: &PastSessions, tolerance_s: f64) -> Vec<(usize, usize)> {
        let count = run.samples.len();
        // First sample due at or after a moment, half a sample of slack.
        let sample_at = |time: Timestamp| {
            let samples = ((time.seconds_since(run.start) - tolerance_s) * run.rate_hz).ceil();
            samples.clamp(0.0, count as f64) as usize
        };
        let without = |(mut begin, end): (usize, usize), spans: &[Span]| {
            let mut free = vec![];
            for span in spans {
                let covered_from = sample_at(span.start).min(end);
                if covered_from > begin {
                    free.push((begin, covered_from));
                }
                begin = begin.max(sample_at(span.next));
            }
            if begin < end {
                free.push((begin, end));
            }
            free
        };
        let begin = self.forgotten_before.map_or(0, sample_at);
        let unseen = without((begin, count), &self.spans);
        unseen.into_iter().flat_map(|range| without(range, &decided.0)).collect()
    }

    /// Is `part` the rest of another recording of the same time? Then most of it was `seen` already, with other samples
    /// than those the lane has that it would continue; the recording that came first goes on alone. Where clocks are set
    /// back the overlap is short.
    fn is_other_recording(&self, part: Run<'_>, seen: &[f64], tolerance_s: f64) -> bool {
        let continued = |lane: &&Lane| part.start.seconds_since(lane.next_time()).abs() <= tolerance_s;
        seen.len() >= part.samples.len()
            && self
                .lanes
                .iter()
                .find(continued)
                .is_some_and(|lane| !lane.ends_in(&seen[seen.len() - seen.len().min(COMPARED)..]))
    }

    /// Are there samples from one moment to another without a break?
    pub(super) fn covers(&self, from: Timestamp, to: Timestamp) -> bool {
        self.spans.iter().any(|span| span.start <= from && to < span.next)
    }

    /// Other settings hold from the next sample on. What was measured stays; lanes whose filters are others begin anew.
    pub(super) fn retune(&mut self, settings: &PickSettings) {
        self.lanes.retain_mut(|lane| lane.retune(settings));
    }

    fn cover(&mut self, new: Span, tolerance_s: f64) {
        insert(&mut self.spans, new, tolerance_s);
        if self.spans.len() > SPAN_COUNT_MAX {
            close_gap(&mut self.spans, 0);
        }
    }

    /// Gives a run to the lane it continues, or to a new one.
    fn append(
        &mut self,
        settings: &PickSettings,
        run: Run<'_>,
        tolerance_s: f64,
        response: Option<&Response>,
        found: &mut Vec<LaneFinding>,
    ) {
        let same_rate = |lane: &Lane| (lane.rate_hz / run.rate_hz - 1.0).abs() < RATE_TOLERANCE;
        let continues =
            |lane: &Lane| run.start.seconds_since(lane.next_time()).abs() <= tolerance_s && same_rate(lane);
        let place = match self.lanes.iter().position(continues) {
            Some(place) => place,
            None => self.open(Lane::new(settings, run.start, run.rate_hz), found),
        };
        let lane = &mut self.lanes[place];
        lane.anchor(run.start);
        lane.set_response(response, response.map_or(0, print));
        lane.push(run.samples, found);
    }

    /// Adds a lane: in place of the present one where it comes later, else beside it.
    fn open(&mut self, lane: Lane, found: &mut Vec<LaneFinding>) -> usize {
        let latest = (0..self.lanes.len()).max_by_key(|place| self.lanes[*place].next_time());
        if let Some(place) = latest.filter(|place| self.lanes[*place].next_time() <= lane.next_time()) {
            self.lanes[place].finish(found);
            self.lanes[place] = lane;
            return place;
        }
        if self.lanes.len() >= LANE_COUNT_MAX {
            // The present lane stays; of the others the first opened goes.
            let oldest = usize::from(latest == Some(0));
            self.lanes[oldest].finish(found);
            self.lanes.remove(oldest);
        }
        self.lanes.push(lane);
        self.lanes.len() - 1
    }

    /// Nothing before `watermark` follows: detections at the end of a run need not wait for more samples.
    pub(super) fn finish_before(&mut self, watermark: Timestamp, found: &mut Vec<LaneFinding>) {
        for lane in &mut self.lanes {
            let slack_s = TIME_TOLERANCE * lane.interval_s();
            if watermark.seconds_since(lane.next_time()) > slack_s {
                lane.finish(found);
            }
        }
    }

    /// Keeps what a lane found out about energies and amplitudes; onsets are the station's.
    pub(super) fn keep(&mut self, found: &LaneFinding) {
        match *found {
            LaneFinding::Onset { .. } => {}
            LaneFinding::Energy { bin, energy } => self.energies.add(bin, energy),
            LaneFinding::Amplitude(part) => self.seconds.add(part),
        }
    }
}

/// Finite samples that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) start: Timestamp,
    pub(super) rate_hz: f64,
    pub(super) samples: &'a [f64],
}

impl Run<'_> {
    fn time_of(&self, index: usize) -> Timestamp {
        self.start.add_nanos((index as f64 * 1e9 / self.rate_hz).round() as i64)
    }
}

/// Tells one response from another (FNV-1a of its numbers); zero is none.
fn print(response: &Response) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let flat =
        [response.sensitivity, response.sensitivity_frequency_hz, f64::from(response.input_unit as u8)];
    let roots = response.poles_zeros.iter().flat_map(|analogue| {
        let pole_count = analogue.poles.len() as f64;
        let roots = analogue.poles.iter().chain(&analogue.zeros).flat_map(|(re, im)| [*re, *im]);
        std::iter::once(pole_count).chain(roots)
    });
    let bytes = flat.into_iter().chain(roots).flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)).max(1)
}

/// Mean energy of a channel in bins of a tenth of a second, counts².
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Energies {
    runs: Vec<EnergyRun>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EnergyRun {
    first: i64,
    energies: Vec<f32>,
}

impl EnergyRun {
    /// The bin that follows.
    fn end(&self) -> i64 {
        self.first + self.energies.len() as i64
    }
}

/// Less is nothing: the steps of a dead channel are not told apart.
const ENERGY_MIN: f32 = 1e-30;
/// Bins kept where nobody calls `advance`: two hours.
const BIN_COUNT_MAX: usize = 72_000;

impl Energies {
    fn add(&mut self, bin: i64, energy: f64) {
        let energy = energy.clamp(f64::from(ENERGY_MIN), f64::from(f32::MAX)) as f32;
        match self.runs.iter_mut().find(|run| run.end() == bin) {
            Some(run) => run.energies.push(energy),
            None => self.runs.push(EnergyRun { first: bin, energies: vec![energy] }),
        }
        let count: usize = self.runs.iter().map(|run| run.energies.len()).sum();
        if count > BIN_COUNT_MAX + BIN_COUNT_MAX / 8 {
            self.forget_before(bin - BIN_COUNT_MAX as i64);
        }
    }

    /// Mean energy over bins `from..to`; `None` where fewer than half of them are known.
    pub(super) fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_i64);
        for run in &self.runs {
            for bin in from.max(run.first)..to.min(run.end()) {
                sum += f64::from(run.energies[(bin - run.first) as usize]);
                count += 1;
            }
        }
        (count > 0 && 2 * count >= to - from).then(|| sum / count as f64)
    }

    pub(super) fn forget_before(&mut self, bin: i64) {
        for run in &mut self.runs {
            let drop = (bin - run.first).clamp(0, run.energies.len() as i64);
            run.energies.drain(..drop as usize);
            run.first += drop;
        }
        self.runs.retain(|run| !run.energies.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: f64) -> Timestamp {
        Timestamp::from_nanos(0).add_seconds(second)
    }

    fn saw(spans: &[(f64, f64)]) -> Channel {
        let spans = spans.iter().map(|(from, to)| Span { start: at(*from), next: at(*to) }).collect();
        Channel { spans, ..Channel::default() }
    }

    #[test]
    fn sessions_that_touch_are_one_and_the_shortest_gap_goes_first() {
        let mut decided = PastSessions::default();
        decided.add(&saw(&[(0.0, 10.0), (20.0, 30.0)]));
        decided.add(&saw(&[(10.05, 15.0), (-5.0, -2.0)]));
        let seconds = |decided: &PastSessions| -> Vec<(f64, f64)> {
            decided
                .0
                .iter()
                .map(|span| (span.start.seconds_since(at(0.0)), span.next.seconds_since(at(0.0))))
                .collect()
        };
        assert_eq!(seconds(&decided), [(-5.0, -2.0), (0.0, 15.0), (20.0, 30.0)]);
        // One second apart, but for the one gap of a hundredth less.
        for index in 0..DECIDED_COUNT_MAX {
            let begin = 1000.0 + 2.0 * index as f64;
            let early = if index == 100 { 0.5 } else { 0.0 };
            decided.add(&saw(&[(begin - early, begin + 1.0)]));
        }
        let spans = seconds(&decided);
        assert_eq!(spans.len(), DECIDED_COUNT_MAX);
        assert!(spans.contains(&(1198.0, 1201.0)), "{spans:?}");
        assert_eq!(spans[0].0, -5.0);
    }
}
