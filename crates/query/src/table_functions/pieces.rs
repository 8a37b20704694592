//! Rows of `waveform.segments` in order of time become one waveform: every moment once, cut to a time window.
//!
//! ```text
//! segment a   ────────────────
//! segment b           ────────────────          (overlaps: the earlier one wins)
//! segment c                                ──────────
//! pieces      ────────────────────────────      ──────
//! ```
//! A sample that comes at most half an interval after the last one counts as the same; a piece that begins within half
//! an interval of where the next sample is due continues the run.

use std::ops::Range;

/// Part of a segment that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// Time of its first sample.
    pub(super) start_ns: i64,
    pub(super) sample_rate_hz: f64,
    /// First sample kept, and how many.
    pub(super) first: usize,
    pub(super) count: usize,
    /// It follows the last piece without a gap, at the same rate.
    pub(super) continues: bool,
}

/// Time of the sample so many after the one at `start_ns`.
pub(super) fn sample_time_ns(start_ns: i64, index: usize, sample_rate_hz: f64) -> i64 {
    start_ns.saturating_add((index as f64 * interval_ns(sample_rate_hz)).round() as i64)
}

/// From one sample to the next, nanoseconds.
pub(super) fn interval_ns(sample_rate_hz: f64) -> f64 {
    1e9 / sample_rate_hz
}

/// Decides what is kept of each segment.
#[derive(Debug)]
pub(super) struct Merger {
    window_ns: Range<i64>,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    time_ns: i64,
    sample_rate_hz: f64,
}

impl Merger {
    /// Keeps samples from the begin of the window up to, but not at, its end.
    pub(super) fn new(window_ns: Range<i64>) -> Self {
        Self { window_ns, last: None }
    }

    /// What is kept of a segment of `count` samples; segments come in order of their start. `None`: nothing, or its
    /// rate is no positive number.
    pub(super) fn push(&mut self, start_ns: i64, sample_rate_hz: f64, count: usize) -> Option<Piece> {
        if !(sample_rate_hz > 0.0 && sample_rate_hz.is_finite()) {
            return None;
        }
        let interval = interval_ns(sample_rate_hz);
        // Index of the first sample at or after a moment.
        let index_at = |time_ns: i64| {
            let index = (time_ns.saturating_sub(start_ns) as f64 / interval).ceil().max(0.0) as usize;
            // Times are rounded to nanoseconds: the sample before may be at the moment too.
            let before = index.saturating_sub(1);
            if sample_time_ns(start_ns, before, sample_rate_hz) >= time_ns { before } else { index }
        };
        let mut first = index_at(self.window_ns.start);
        if let Some(last) = self.last {
            first = first.max(index_at(last.time_ns.saturating_add((interval / 2.0 + 1.0) as i64)));
        }
        let end = count.min(index_at(self.window_ns.end));
        if first >= end {
            return None;
        }
        let begin_ns = sample_time_ns(start_ns, first, sample_rate_hz);
        let continues = self.last.is_some_and(|last| {
            let late_ns = begin_ns.saturating_sub(last.time_ns) as f64 - interval;
            last.sample_rate_hz == sample_rate_hz && late_ns.abs() <= interval / 2.0 + 1.0
        });
        let time_ns = sample_time_ns(start_ns, end - 1, sample_rate_hz);
        self.last = Some(Last { time_ns, sample_rate_hz });
        Some(Piece { start_ns: begin_ns, sample_rate_hz, first, count: end - first, continues })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Pieces as (start in ms, first, count, continues) of segments (start in ms, count) at 10 Hz.
    fn check(window_ms: Range<i64>, segments: &[(i64, usize)], expected: &[(i64, usize, usize, bool)]) {
        let ns = |ms: i64| ms * SECOND / 1000;
        let mut merger = Merger::new(ns(window_ms.start)..ns(window_ms.end));
        let found: Vec<_> = segments
            .iter()
            .filter_map(|(start_ms, count)| merger.push(ns(*start_ms), 10.0, *count))
            .map(|piece| (piece.start_ns * 1000 / SECOND, piece.first, piece.count, piece.continues))
            .collect();
        assert_eq!(found, expected, "{segments:?}");
    }

    #[test]
    fn pieces_that_touch_are_one_run() {
        check(0..9000, &[(0, 10), (1000, 10)], &[(0, 0, 10, false), (1000, 0, 10, true)]);
        check(0..9000, &[(0, 10), (1049, 10)], &[(0, 0, 10, false), (1049, 0, 10, true)]);
        check(0..9000, &[(0, 10), (951, 10)], &[(0, 0, 10, false), (951, 0, 10, true)]);
        check(0..9000, &[(0, 10), (1051, 10)], &[(0, 0, 10, false), (1051, 0, 10, false)]);
    }

    #[test]
    fn overlaps_and_duplicates_count_once() {
        check(0..9000, &[(0, 10), (500, 10)], &[(0, 0, 10, false), (1000, 5, 5, true)]);
        check(0..9000, &[(0, 10), (0, 10), (200, 3)], &[(0, 0, 10, false)]);
        check(0..9000, &[(0, 10), (530, 10)], &[(0, 0, 10, false), (1030, 5, 5, true)]);
    }

    #[test]
    fn the_window_holds_its_begin_and_not_its_end() {
        check(200..500, &[(0, 10)], &[(200, 2, 3, false)]);
        check(201..501, &[(0, 10)], &[(300, 3, 3, false)]);
        check(2000..3000, &[(0, 10)], &[]);
    }

    proptest! {
        #[test]
        fn the_waveform_does_not_depend_on_how_it_was_cut_and_repeated(
            mut segments in proptest::collection::vec((0..200_usize, 1..60_usize), 0..20),
            rate_index in 0..4_usize,
        ) {
            let rate_hz = [1.0, 100.0, 33.333_333, 0.1][rate_index];
            segments.sort_unstable();
            let mut merger = Merger::new(0..i64::MAX);
            let mut found = vec![];
            for (begin, count) in &segments {
                let start_ns = sample_time_ns(SECOND, *begin, rate_hz);
                if let Some(piece) = merger.push(start_ns, rate_hz, *count) {
                    prop_assert_eq!(piece.continues, found.last() == Some(&(begin + piece.first).wrapping_sub(1)));
                    found.extend(begin + piece.first..begin + piece.first + piece.count);
                }
            }
            let mut expected: Vec<usize> =
                segments.iter().flat_map(|(begin, count)| *begin..begin + count).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn headers_of_any_value_do_no_harm(
            segments in proptest::collection::vec((any::<i64>(), any::<f64>(), any::<usize>()), 0..8),
            from_ns in any::<i64>(),
            to_ns in any::<i64>(),
        ) {
            let mut merger = Merger::new(from_ns..to_ns);
            for (start_ns, rate_hz, count) in segments {
                let piece = merger.push(start_ns, rate_hz, count);
                prop_assert!(piece.is_none_or(|piece| piece.count > 0 && piece.first + piece.count <= count));
            }
        }
    }

    #[test]
    fn rates_that_are_none_give_nothing() {
        let mut merger = Merger::new(0..SECOND);
        assert_eq!(merger.push(0, 0.0, 10), None);
        assert_eq!(merger.push(0, f64::NAN, 10), None);
        assert_eq!(merger.push(0, -1.0, 10), None);
    }
}
