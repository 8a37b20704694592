//! When the samples of a piece were taken, and which pieces make one run: the one rule of the house.
//!
//! ```text
//! stamps       |         |          |          |            each record says when its first sample was taken
//! grid    ─────┼────┼────┼────┼────┼────┼────┼────┼──       first stamp + k / rate
//! drift             0         a         b         c         stamp less grid: it adds up where clock and rate differ
//! ```
//! A piece follows another where it starts within half a sample of the time at which the next sample is due, told by the
//! stamp of the record before, at a rate within one part in ten thousand: nothing is missing, nothing is there twice.
//! It shares the other's grid only while the drift since the grid's first stamp stays small; beyond it a new piece begins,
//! which is no gap. So no sample of a stored piece is timed more than a quarter of a sample from its record's stamp, and
//! the step at which a new grid begins stays within what every reader of miniSEED takes for gapless.
//!
//! Between the first and the last stamp of a piece, times are told by both: a piece of before this rule, whose clock
//! drifted by many samples, is timed right as well where it drifted evenly.

const NANOS_PER_SECOND: f64 = 1e9;

/// Rates that differ by less than this part of themselves are the same rate: the tolerance of libmseed's trace lists.
const RATE_TOLERANCE: f64 = 1e-4;
/// A record this part of a sample early or late is in time.
const TIME_TOLERANCE: f64 = 0.5;
/// A grid ends where a stamp lies farther from it, parts of a sample.
const DRIFT_MAX: f64 = 0.125;
/// Headers of miniSEED 2 tell times to a ten-thousandth of a second: at high rates their rounding is no drift.
const ROUNDING_NS: f64 = 100_000.0;
/// And where the rounding is more than an eighth of a sample, a quarter is the most.
const ROUNDING_MAX: f64 = 0.25;
/// Stamps that differ from the grid by no more are those of the grid: times are rounded.
const ON_GRID_NS: f64 = 1000.0;
/// A measured period that differs by more from the nominal one is not believed.
const PERIOD_TOLERANCE: f64 = 0.01;
/// Longest time that a piece may cover, nanoseconds: a century. Headers that say more have no rate.
const SPAN_NS_MAX: f64 = 3.2e18;

/// The samples of a piece in time: equidistant between its first and its last stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeBase {
    start_ns: i64,
    /// Stamp of the last sample.
    last_ns: i64,
    period_ns: f64,
    rate_hz: f64,
    sample_count: u64,
}

impl TimeBase {
    /// A piece of `sample_count` samples from `start_ns` to `end_ns`, the time of the last sample as its record tells it.
    /// `None` where it is no time series: no samples, a rate that is not positive or so low that the piece would last
    /// more than a century.
    pub fn new(start_ns: i64, end_ns: i64, rate_hz: f64, sample_count: u64) -> Option<Self> {
        let nominal_ns = NANOS_PER_SECOND / rate_hz;
        let steps = sample_count.checked_sub(1)? as f64;
        let span_ns = steps * nominal_ns;
        if !(rate_hz > 0.0 && nominal_ns > 0.0 && nominal_ns.max(span_ns) <= SPAN_NS_MAX) {
            return None;
        }
        let counted_ns = after(start_ns, span_ns);
        let drift_ns = end_ns.saturating_sub(counted_ns) as f64;
        let (last_ns, period_ns) = match drift_ns.abs() {
            small if small <= ON_GRID_NS => (end_ns, nominal_ns),
            drift
                if drift <= (PERIOD_TOLERANCE * span_ns).max(TIME_TOLERANCE * nominal_ns) && steps > 0.0 =>
            {
                (end_ns, end_ns.saturating_sub(start_ns) as f64 / steps)
            }
            // Such as behind a leap second that the record announced, where time is a second less than counting gives.
            _ if end_ns >= start_ns => (end_ns, nominal_ns),
            _ => (counted_ns, nominal_ns),
        };
        Some(Self { start_ns, last_ns, period_ns, rate_hz, sample_count })
    }

    /// Time of the first sample, nanoseconds since 1970.
    pub fn start_ns(&self) -> i64 {
        self.start_ns
    }

    /// Time of the last sample, as its record tells it, nanoseconds since 1970.
    pub fn last_ns(&self) -> i64 {
        self.last_ns
    }

    /// When the sample after the last is due, nanoseconds since 1970.
    pub fn next_ns(&self) -> i64 {
        after(self.last_ns, NANOS_PER_SECOND / self.rate_hz)
    }

    /// From one sample to the next, nanoseconds: as the stamps tell it.
    pub fn period_ns(&self) -> f64 {
        self.period_ns
    }

    /// Nominal sample rate, Hz.
    pub fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// Number of samples, above zero.
    pub fn sample_count(&self) -> u64 {
        self.sample_count
    }

    /// Time of a sample, nanoseconds since 1970; beyond the end, of one that would follow.
    pub fn sample_time_ns(&self, index: u64) -> i64 {
        after(self.start_ns, index as f64 * self.period_ns)
    }

    /// Index of the first sample at or after a moment; the number of samples where there is none.
    pub fn first_at_or_after(&self, time_ns: i64) -> u64 {
        if time_ns <= self.start_ns {
            return 0;
        }
        let samples = time_ns.saturating_sub(self.start_ns) as f64 / self.period_ns;
        // The float is right within a sample: the last steps are taken on whole nanoseconds.
        let mut index = (samples as u64).saturating_sub(1).min(self.sample_count);
        while index < self.sample_count && self.sample_time_ns(index) < time_ns {
            index += 1;
        }
        index
    }

    /// The samples from `first` to before `end`; `None` where there are none.
    #[must_use]
    pub fn part(&self, first: u64, end: u64) -> Option<Self> {
        let end = end.min(self.sample_count);
        let sample_count = end.checked_sub(first).filter(|count| *count > 0)?;
        let last_ns =
            if end == self.sample_count { self.last_ns } else { self.sample_time_ns(end.saturating_sub(1)) };
        Some(Self { start_ns: self.sample_time_ns(first), last_ns, sample_count, ..*self })
    }

    /// Whether it begins where `before` ends: within half a sample of the time at which the next sample is due, at the
    /// same rate.
    pub fn follows(&self, before: &Self) -> bool {
        let period_ns = NANOS_PER_SECOND / before.rate_hz;
        let step_ns = self.start_ns.saturating_sub(before.last_ns) as f64;
        same_rate(before.rate_hz, self.rate_hz) && (step_ns - period_ns).abs() <= TIME_TOLERANCE * period_ns
    }

    /// Parts that a writer of records may time by the nominal rate, each from its first sample on, and meets every stamp
    /// within an eighth of a sample; where the samples keep the nominal rate it is one. As (first sample, samples,
    /// time of the first).
    pub fn nominal_parts(&self) -> Vec<(u64, u64, i64)> {
        let nominal_ns = NANOS_PER_SECOND / self.rate_hz;
        let counted_ns = after(self.start_ns, (self.sample_count - 1) as f64 * nominal_ns);
        let drift_ns = self.last_ns.saturating_sub(counted_ns) as f64;
        if drift_ns.abs() <= ON_GRID_NS || self.period_ns == nominal_ns {
            return vec![(0, self.sample_count, self.start_ns)];
        }
        let parts = (drift_ns.abs() / (DRIFT_MAX * nominal_ns)).ceil().max(2.0) as u64;
        let parts = parts.min(self.sample_count);
        let boundary =
            |part: u64| (u128::from(self.sample_count) * u128::from(part) / u128::from(parts)) as u64;
        let part = |part: u64| {
            let (first, end) = (boundary(part), boundary(part + 1));
            let start_ns = match part + 1 == parts {
                // The last ends at the last stamp: what follows is set against it.
                true => after(self.last_ns, -((end - first - 1) as f64 * nominal_ns)),
                false => self.sample_time_ns(first),
            };
            (first, end - first, start_ns)
        };
        (0..parts).map(part).collect()
    }
}

fn after(time_ns: i64, length_ns: f64) -> i64 {
    time_ns.saturating_add(length_ns.round() as i64)
}

fn same_rate(one_hz: f64, other_hz: f64) -> bool {
    (1.0 - one_hz / other_hz).abs() < RATE_TOLERANCE
}

/// How a piece lies to the run before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It goes on, and its samples are on the grid of the run.
    Continues,
    /// Nothing is missing, but the clock has drifted away from the grid (or the rate from that of the run): a new piece
    /// begins, which is no gap.
    Reanchors,
    /// A gap, an overlap, or another rate.
    Breaks,
}

/// Pieces that follow each other on one grid.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    start_ns: i64,
    rate_hz: f64,
    sample_count: u64,
    last: TimeBase,
}

impl Run {
    /// A run that begins with `piece`.
    pub fn of(piece: TimeBase) -> Self {
        Self {
            start_ns: piece.start_ns,
            rate_hz: piece.rate_hz,
            sample_count: piece.sample_count,
            last: piece,
        }
    }

    /// Where `next` belongs.
    pub fn joint(&self, next: &TimeBase) -> Joint {
        if !next.follows(&self.last) {
            return Joint::Breaks;
        }
        let period_ns = NANOS_PER_SECOND / self.rate_hz;
        let drift_max_ns = (DRIFT_MAX * period_ns).max(ROUNDING_NS.min(ROUNDING_MAX * period_ns));
        let on_grid = |time_ns: i64, index: u64| {
            let due_ns = after(self.start_ns, index as f64 * period_ns);
            time_ns.saturating_sub(due_ns) as f64
        };
        let first = on_grid(next.start_ns, self.sample_count).abs() <= drift_max_ns;
        let last = on_grid(next.last_ns, self.sample_count + next.sample_count - 1).abs() <= drift_max_ns;
        match first && last && same_rate(self.rate_hz, next.rate_hz) {
            true => Joint::Continues,
            false => Joint::Reanchors,
        }
    }

    /// Takes a piece that [`Joint::Continues`].
    pub fn push(&mut self, next: TimeBase) {
        self.sample_count += next.sample_count;
        self.last = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(start_ns: i64, rate_hz: f64, count: u64) -> TimeBase {
        let end_ns = after(start_ns, (count - 1) as f64 * 1e9 / rate_hz);
        TimeBase::new(start_ns, end_ns, rate_hz, count).unwrap()
    }

    /// Stored pieces of records: each with the index of its first record and its time base.
    fn stored(records: &[TimeBase]) -> Vec<(usize, TimeBase)> {
        let mut pieces: Vec<(usize, TimeBase)> = vec![];
        let mut run: Option<Run> = None;
        for (index, next) in records.iter().enumerate() {
            match (run.as_mut(), pieces.last_mut()) {
                (Some(open), Some((_, piece))) if open.joint(next) == Joint::Continues => {
                    open.push(*next);
                    let count = piece.sample_count + next.sample_count;
                    *piece = TimeBase::new(piece.start_ns, next.last_ns, piece.rate_hz, count).unwrap();
                }
                _ => {
                    run = Some(Run::of(*next));
                    pieces.push((index, *next));
                }
            }
        }
        pieces
    }

    #[test]
    fn what_is_no_time_series_has_no_time_base() {
        for (rate_hz, count) in
            [(0.0, 5), (-1.0, 5), (f64::NAN, 5), (f64::INFINITY, 5), (1e-300, 2), (1e-300, 1)]
        {
            assert_eq!(TimeBase::new(0, 1, rate_hz, count), None, "{rate_hz} {count}");
        }
        assert_eq!(TimeBase::new(0, 1, 100.0, 0), None);
        assert!(TimeBase::new(0, 0, 1e-6, 1).is_some());
    }

    #[test]
    fn a_piece_that_drifted_evenly_is_timed_by_both_of_its_stamps() {
        // 90 records of 100 samples at 0.1 Hz, each 3 s late, stored as one piece.
        let end_ns = (89 * 1003 + 990) * 1_000_000_000;
        let piece = TimeBase::new(0, end_ns, 0.1, 9000).unwrap();
        for number in 0..90 {
            let error_ns = piece.sample_time_ns(100 * number) - number as i64 * 1_003_000_000_000;
            assert!(error_ns.abs() <= 5_000_000_000, "record {number} is off by {error_ns} ns");
        }
        assert_eq!(piece.sample_time_ns(8999), end_ns);
    }

    #[test]
    fn a_leap_second_at_the_end_moves_what_is_due_and_nothing_else() {
        let folded = TimeBase::new(0, 59_000_000_000, 1.0, 61).unwrap();
        assert_eq!((folded.period_ns(), folded.next_ns()), (1e9, 60_000_000_000));
        assert!(record(60_000_000_000, 1.0, 60).follows(&folded));
    }

    #[test]
    fn a_clock_that_drifts_begins_new_pieces_without_a_gap() {
        for late_ns in [100_000_i64, -100_000, 4_000_000, -4_000_000] {
            let records: Vec<_> =
                (0..2000).map(|index| record(index * (1_000_000_000 + late_ns), 100.0, 100)).collect();
            let pieces = stored(&records);
            assert!(pieces.len() > 1, "{late_ns}");
            assert!(pieces.windows(2).all(|pair| pair[1].1.follows(&pair[0].1)), "{late_ns}");
        }
        // A clock that keeps its rate within rounding makes one piece.
        let steady: Vec<_> =
            (0..2000).map(|index| record(index * 1_000_000_000 + index % 3 * 50_000, 100.0, 100)).collect();
        assert_eq!(stored(&steady).len(), 1);
    }

    /// Records of any lateness that is no gap, and how many samples each has.
    fn drifting() -> impl Strategy<Value = (f64, Vec<(u64, f64)>)> {
        let rate_hz = prop::sample::select(vec![0.1, 1.0, 20.0, 33.333_333, 100.0, 500.0]);
        let parts = prop_oneof![-0.49..0.49_f64, -0.02..0.02_f64, Just(0.3), Just(-0.3)];
        (rate_hz, prop::collection::vec((2_u64..400, parts), 1..60))
    }

    proptest! {
        #[test]
        fn every_sample_lies_within_half_a_sample_of_its_stamp_and_nothing_is_called_a_gap(
            (rate_hz, parts) in drifting(),
        ) {
            let period_ns = 1e9 / rate_hz;
            let mut records: Vec<TimeBase> = vec![];
            for (count, late) in parts {
                let due_ns = records.last().map_or(0, |last: &TimeBase| after(last.last_ns, period_ns));
                records.push(record(after(due_ns, late * period_ns), rate_hz, count));
            }
            let pieces = stored(&records);
            for (place, (first, piece)) in pieces.iter().enumerate() {
                let end = pieces.get(place + 1).map_or(records.len(), |next| next.0);
                let mut index = 0;
                for record in &records[*first..end] {
                    for (at, stamp_ns) in
                        [(index, record.start_ns), (index + record.sample_count - 1, record.last_ns)]
                    {
                        let error_ns = (piece.sample_time_ns(at) - stamp_ns).abs() as f64;
                        prop_assert!(error_ns <= 0.26 * period_ns, "{error_ns} ns of {period_ns}");
                        // As a reader of the stored row does it, by start and rate alone.
                        let plain_ns = (after(piece.start_ns, at as f64 * period_ns) - stamp_ns).abs() as f64;
                        prop_assert!(plain_ns <= 0.26 * period_ns, "{plain_ns} ns of {period_ns}");
                    }
                    index += record.sample_count;
                }
                prop_assert_eq!(index, piece.sample_count);
                // What is written of it by the nominal rate has no step of more than half a sample within.
                let written = piece.nominal_parts();
                prop_assert_eq!(written.iter().map(|part| part.1).sum::<u64>(), piece.sample_count);
                for pair in written.windows(2) {
                    let due_ns = after(pair[0].2, pair[0].1 as f64 * period_ns);
                    prop_assert!((pair[1].2 - due_ns).abs() as f64 <= 0.26 * period_ns);
                }
                let (_, count, start_ns) = written[written.len() - 1];
                let end_ns = after(start_ns, (count - 1) as f64 * period_ns);
                prop_assert!((end_ns - piece.last_ns).abs() <= 1001);
            }
            prop_assert!(pieces.windows(2).all(|pair| pair[1].1.follows(&pair[0].1)));
        }

        #[test]
        fn joining_stored_pieces_again_keeps_to_the_grid(
            (rate_hz, parts) in drifting(),
            block in 1_usize..7,
        ) {
            let period_ns = 1e9 / rate_hz;
            let mut records: Vec<TimeBase> = vec![];
            for (count, late) in parts {
                let due_ns = records.last().map_or(0, |last: &TimeBase| after(last.last_ns, period_ns));
                records.push(record(after(due_ns, late * period_ns), rate_hz, count));
            }
            // Stored in blocks, then compacted.
            let pieces: Vec<TimeBase> =
                records.chunks(block).flat_map(stored).map(|(_, piece)| piece).collect();
            let mut index = 0;
            let stamps: Vec<(u64, i64)> = records
                .iter()
                .map(|record| {
                    let at = index;
                    index += record.sample_count;
                    (at, record.start_ns)
                })
                .collect();
            let mut begin = 0;
            for (_, piece) in stored(&pieces) {
                for (at, stamp_ns) in &stamps {
                    if (begin..begin + piece.sample_count).contains(at) {
                        let error_ns = (piece.sample_time_ns(at - begin) - stamp_ns).abs() as f64;
                        prop_assert!(error_ns <= 0.5 * period_ns, "{error_ns} ns of {period_ns}");
                    }
                }
                begin += piece.sample_count;
            }
        }

        #[test]
        fn headers_of_any_value_do_no_harm(
            start_ns in any::<i64>(),
            end_ns in any::<i64>(),
            rate_hz in any::<f64>(),
            count in any::<u64>(),
            at_ns in any::<i64>(),
        ) {
            if let Some(base) = TimeBase::new(start_ns, end_ns, rate_hz, count) {
                prop_assert!(base.first_at_or_after(at_ns) <= count);
                prop_assert!(base.next_ns() >= base.last_ns());
                let run = Run::of(base);
                let _ = run.joint(&base);
            }
        }
    }
}
