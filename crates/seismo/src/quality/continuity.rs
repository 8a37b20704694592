//! Continuity: samples received over samples expected, from the begin, end, rate and count of pieces alone.
//!
//! ```text
//! piece ─► within(window) by sample ─► chain of pieces that continue one another ─┐
//! pieces of other files ───────────────────────────────────────── merge ──────────┤
//!                                                            sort, one sweep ◄────┘
//! ```
//! The sweep keeps the moment up to which samples are there. A piece that begins more than half a sample after it
//! leaves a gap, one that begins more than half a sample before it repeats samples. The moment is measured from the
//! previous piece, not from the first: clocks drift by many samples a day.
//!
//! The result does not depend on the order of pieces nor on how they were cut (to one sample where overlapping pieces
//! are apart by half a sample exactly). Memory is bound by the number of breaks, not by the number of pieces.

use seislake_model::{Continuity, SourceId, Span, TimeBase, Timestamp};

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Gaps and overlaps that a row names: the longest ones.
pub const SPANS_MAX: usize = 100;

/// A sample that is due less than this part of a sample before a boundary is on it: times are rounded.
const ON_BOUNDARY: f64 = 1e-3;
/// Pieces that continue one another within this part of a sample are kept as one.
const CHAINED: f64 = 0.25;

/// A stretch of time in nanoseconds since 1970: from the first to before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First nanosecond.
    pub start_ns: i64,
    /// The nanosecond after the last.
    pub end_ns: i64,
}

impl Window {
    /// The UTC day in which `time` lies.
    pub fn day_of(time: Timestamp) -> Self {
        let start_ns = time.nanos().div_euclid(NANOS_PER_DAY).saturating_mul(NANOS_PER_DAY);
        Self { start_ns, end_ns: start_ns.saturating_add(NANOS_PER_DAY) }
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.end_ns.saturating_sub(self.start_ns) as f64 / NANOS_PER_SECOND
    }
}

/// Equidistant samples without a gap, by their times only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    start_ns: i64,
    /// When the sample after the last is due.
    next_ns: i64,
    period_ns: f64,
    sample_rate_hz: f64,
    sample_count: u64,
}

impl Piece {
    /// A piece of `sample_count` samples from `start_ns` to `end_ns` (time of the last sample).
    /// `None` where there are no samples, or no time series: rate not positive, end before begin.
    pub fn new(start_ns: i64, end_ns: i64, sample_rate_hz: f64, sample_count: u64) -> Option<Self> {
        let base =
            TimeBase::new(start_ns, end_ns, sample_rate_hz, sample_count).filter(|_| end_ns >= start_ns)?;
        let (period_ns, next_ns) = (base.period_ns(), base.next_ns());
        Some(Self { start_ns, next_ns, period_ns, sample_rate_hz, sample_count })
    }

    /// The samples from `first` to before `end`, indexes; `None` where there are none.
    pub fn part(self, first: u64, end: u64) -> Option<Self> {
        let end = end.min(self.sample_count);
        if first >= end {
            return None;
        }
        let time_ns = |index: u64| after(self.start_ns, self.period_ns * index as f64);
        let start_ns = if first == 0 { self.start_ns } else { time_ns(first) };
        let next_ns = if end == self.sample_count { self.next_ns } else { time_ns(end) };
        Some(Self { start_ns, next_ns, sample_count: end - first, ..self })
    }

    /// When its samples were taken.
    pub fn time_base(&self) -> Option<TimeBase> {
        TimeBase::new(self.start_ns, self.end_ns(), self.sample_rate_hz, self.sample_count)
    }

    /// The samples that lie in the window; one that is on its end does not.
    pub fn within(self, window: Window) -> Option<Self> {
        let index = |time_ns: i64| {
            let samples = time_ns.saturating_sub(self.start_ns) as f64 / self.period_ns;
            ((samples - ON_BOUNDARY).ceil().max(0.0) as u64).min(self.sample_count)
        };
        self.part(index(window.start_ns), index(window.end_ns))
    }

    /// Time of the first sample, nanoseconds since 1970.
    pub fn start_ns(&self) -> i64 {
        self.start_ns
    }

    /// Time of the last sample, nanoseconds since 1970.
    pub fn end_ns(&self) -> i64 {
        after(self.next_ns, -NANOS_PER_SECOND / self.sample_rate_hz)
    }

    /// When the sample after the last is due.
    pub(crate) fn next_ns(&self) -> i64 {
        self.next_ns
    }

    /// Nominal sample rate in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// Number of samples.
    pub fn sample_count(&self) -> u64 {
        self.sample_count
    }

    /// The UTC days in which it has samples, as days since 1970.
    pub fn days(&self) -> std::ops::RangeInclusive<i64> {
        let last_ns = after(self.next_ns, -self.period_ns * (1.0 - ON_BOUNDARY));
        let day = |time_ns: i64| time_ns.div_euclid(NANOS_PER_DAY);
        day(after(self.start_ns, self.period_ns * ON_BOUNDARY))..=day(last_ns.max(self.start_ns))
    }

    /// Both pieces as one, where `next` goes on with this one as if it had never been cut.
    fn joined(&self, next: &Self) -> Option<Self> {
        let tolerance_ns = self.period_ns * CHAINED;
        let sample_count = self.sample_count + next.sample_count;
        let length_ns = next.next_ns.saturating_sub(self.start_ns) as f64;
        let continues = next.start_ns.saturating_sub(self.next_ns).abs() as f64 <= tolerance_ns
            && (length_ns - self.period_ns * sample_count as f64).abs() <= tolerance_ns
            && next.sample_rate_hz.to_bits() == self.sample_rate_hz.to_bits();
        continues.then_some(Self { next_ns: next.next_ns, sample_count, ..*self })
    }
}

fn after(time_ns: i64, length_ns: f64) -> i64 {
    time_ns.saturating_add(length_ns.round() as i64)
}

/// Gathers the pieces of one channel over one window.
#[derive(Clone, Debug)]
pub struct ChannelContinuity {
    window: Window,
    chains: Vec<Piece>,
}

impl ChannelContinuity {
    /// Nothing yet.
    pub fn new(window: Window) -> Self {
        Self { window, chains: Vec::new() }
    }

    /// Takes a piece; only its samples in the window count. Constant time.
    pub fn push(&mut self, piece: Piece) {
        let Some(piece) = piece.within(self.window) else { return };
        match self.chains.last_mut() {
            Some(last) => match last.joined(&piece) {
                Some(joined) => *last = joined,
                None => self.chains.push(piece),
            },
            None => self.chains.push(piece),
        }
    }

    /// Takes what another one gathered over the same window.
    pub fn merge(&mut self, other: Self) {
        for piece in other.chains {
            self.push(piece);
        }
    }

    /// What is in memory: pieces that continue one another are one.
    pub fn pieces(&self) -> &[Piece] {
        &self.chains
    }

    /// The row of the channel; `None` where it has no sample in the window. `n log n` in the number of breaks.
    ///
    /// `expected_count` is the length of the window times the rate of most samples. Gaps at the begin and the end of
    /// the window count where at least one sample is missing there.
    pub fn finish(mut self, source_id: SourceId) -> Option<Continuity> {
        let sample_rate_hz = self.main_rate_hz()?;
        let key = |piece: &Piece| (piece.start_ns, piece.next_ns, piece.sample_rate_hz.to_bits());
        self.chains.sort_unstable_by_key(key);
        let sweep = Sweep::over(self.window, &self.chains);
        Some(Continuity {
            source_id,
            start_time: Timestamp::from_nanos(self.window.start_ns),
            sample_rate_hz,
            sample_count: sweep.sample_count,
            expected_count: (self.window.seconds() * sample_rate_hz).round() as u64,
            repeated_count: sweep.repeated_count,
            gap_count: sweep.gaps.len() as u64,
            gap_s: total_s(&sweep.gaps),
            overlap_count: sweep.overlaps.len() as u64,
            overlap_s: total_s(&sweep.overlaps),
            gaps: longest(sweep.gaps),
            overlaps: longest(sweep.overlaps),
        })
    }

    /// The rate of most samples; of equals the highest.
    fn main_rate_hz(&self) -> Option<f64> {
        let mut counts: std::collections::BTreeMap<u64, u64> = std::collections::BTreeMap::new();
        for chain in &self.chains {
            *counts.entry(chain.sample_rate_hz.to_bits()).or_default() += chain.sample_count;
        }
        // Bits of positive floats are ordered like the floats.
        counts.into_iter().max_by_key(|(bits, count)| (*count, *bits)).map(|(bits, _)| f64::from_bits(bits))
    }
}

#[derive(Default)]
struct Sweep {
    sample_count: u64,
    repeated_count: u64,
    gaps: Vec<Span>,
    overlaps: Vec<Span>,
}

impl Sweep {
    /// `pieces` in order of time.
    fn over(window: Window, pieces: &[Piece]) -> Self {
        let mut sweep = Self::default();
        let mut covered_ns: Option<i64> = None;
        let mut period_ns = 0.0;
        for piece in pieces {
            let (from_ns, tolerance) = match covered_ns {
                Some(covered_ns) => (covered_ns, 0.5),
                // The first sample of a gapless recording lies up to a sample after the begin of the window.
                None => (window.start_ns, 1.0 - ON_BOUNDARY),
            };
            let late_ns = piece.start_ns.saturating_sub(from_ns);
            let late = late_ns as f64 / piece.period_ns;
            let mut repeated = 0;
            if late > tolerance {
                sweep.gaps.push(span(from_ns, piece.start_ns));
            } else if covered_ns.is_some() && late < -tolerance {
                repeated = ((-late).round() as u64).min(piece.sample_count);
                sweep.overlap(piece.start_ns, from_ns.min(piece.next_ns), piece.period_ns);
            }
            sweep.sample_count += piece.sample_count - repeated;
            sweep.repeated_count += repeated;
            if covered_ns.is_none_or(|covered_ns| piece.next_ns > covered_ns) {
                covered_ns = Some(piece.next_ns);
                period_ns = piece.period_ns;
            }
        }
        if let Some(covered_ns) = covered_ns
            && window.end_ns.saturating_sub(covered_ns) as f64 > period_ns * ON_BOUNDARY
        {
            sweep.gaps.push(span(covered_ns, window.end_ns));
        }
        sweep
    }

    fn overlap(&mut self, start_ns: i64, end_ns: i64, period_ns: f64) {
        match self.overlaps.last_mut() {
            Some(last) if start_ns.saturating_sub(last.end_time.nanos()) as f64 <= period_ns / 2.0 => {
                last.end_time = last.end_time.max(Timestamp::from_nanos(end_ns));
            }
            _ => self.overlaps.push(span(start_ns, end_ns)),
        }
    }
}

fn span(start_ns: i64, end_ns: i64) -> Span {
    Span { start_time: Timestamp::from_nanos(start_ns), end_time: Timestamp::from_nanos(end_ns) }
}

fn total_s(spans: &[Span]) -> f64 {
    let total_ns: i128 = spans.iter().map(|span| i128::from(length_ns(span))).sum();
    total_ns as f64 / NANOS_PER_SECOND
}

fn length_ns(span: &Span) -> i64 {
    span.end_time.nanos().saturating_sub(span.start_time.nanos())
}

/// The longest spans, in order of time; of equals the earlier.
fn longest(mut spans: Vec<Span>) -> Vec<Span> {
    if spans.len() > SPANS_MAX {
        spans.sort_unstable_by_key(|span| (std::cmp::Reverse(length_ns(span)), span.start_time));
        spans.truncate(SPANS_MAX);
        spans.sort_unstable();
    }
    spans
}
