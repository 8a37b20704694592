//! Rows of `waveform.segments` in order of time become one waveform: every moment once, cut to a time window.
//!
//! ```text
//! segment a   ────────────────
//! segment b           ────────────────          (overlaps: the earlier one wins)
//! segment c                                ──────────
//! pieces      ────────────────────────────      ──────
//! ```
//! A sample that comes at most half an interval after the last one counts as the same; a piece that begins within half
//! an interval of where the next sample is due leaves no gap. Times are those of the records' stamps, see [`TimeBase`]:
//! where the clock drifts away from the grid of a run, the next piece begins a new one ([`Joint::Reanchors`]).
//! Of several versions of the same time the best counts, see [`seislake_model::Versions`]; they come here cut already.

use std::ops::Range;

use seislake_model::{Joint, Run, TimeBase};

/// Part of a segment that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// When its samples were taken.
    pub(super) base: TimeBase,
    /// First sample of the segment that is kept.
    pub(super) first: usize,
    /// How it lies to the last piece.
    pub(super) joint: Joint,
}

impl Piece {
    /// Samples kept.
    pub(super) fn count(&self) -> usize {
        self.base.sample_count() as usize
    }
}

/// Samples of a segment that may be kept, and the version they are of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) base: TimeBase,
    /// Indexes of the first sample and of the one behind the last.
    pub(super) samples: (u64, u64),
    /// Rank of the version: pieces of two versions never make one run.
    pub(super) version: u8,
}

/// Decides what is kept of each segment.
#[derive(Debug)]
pub(super) struct Merger {
    window_ns: Range<i64>,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    run: Run,
    /// Of the last sample kept, and between samples there.
    time_ns: i64,
    period_ns: f64,
    version: u8,
}

impl Merger {
    /// Keeps samples from the begin of the window up to, but not at, its end.
    pub(super) fn new(window_ns: Range<i64>) -> Self {
        Self { window_ns, last: None }
    }

    /// What is kept of the samples offered, which come in order of their start. `None`: nothing.
    pub(super) fn push(&mut self, offered: Candidate) -> Option<Piece> {
        let Candidate { base, samples: (begin, end), version } = offered;
        let mut first = begin.max(base.first_at_or_after(self.window_ns.start));
        if let Some(last) = self.last {
            // Where rates differ, the shorter period tells what is the same sample.
            let half_ns = (base.period_ns().min(last.period_ns) / 2.0 + 1.0) as i64;
            first = first.max(base.first_at_or_after(last.time_ns.saturating_add(half_ns)));
        }
        let kept = base.part(first, end.min(base.first_at_or_after(self.window_ns.end)))?;
        let joint = match &mut self.last {
            Some(last) if last.version == version => match last.run.joint(&kept) {
                Joint::Continues => {
                    last.run.push(kept);
                    Joint::Continues
                }
                other => other,
            },
            _ => Joint::Breaks,
        };
        let time_ns = kept.sample_time_ns(kept.sample_count() - 1);
        match &mut self.last {
            Some(last) if joint == Joint::Continues => last.time_ns = time_ns,
            last => *last = Some(Last { run: Run::of(kept), time_ns, period_ns: kept.period_ns(), version }),
        }
        Some(Piece { base: kept, first: first as usize, joint })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn segment(start_ns: i64, rate_hz: f64, count: usize) -> TimeBase {
        let end_ns = start_ns + ((count - 1) as f64 * 1e9 / rate_hz).round() as i64;
        TimeBase::new(start_ns, end_ns, rate_hz, count as u64).unwrap()
    }

    #[test]
    fn no_sample_is_lost_where_the_rate_changes() {
        for (before_hz, after_hz) in [(100.0, 50.0), (100.0, 1.0), (100.0, 0.1), (1.0, 100.0)] {
            let mut merger = Merger::new(i64::MIN..i64::MAX);
            let before = segment(0, before_hz, 1000);
            let start_ns = before.sample_time_ns(999) + (1e9 / before_hz) as i64;
            let kept: u64 =
                [before, segment(start_ns, after_hz, 200), segment(start_ns + 400 * SECOND * 10, 1.0, 1)]
                    .map(|base| merger.push(whole(base)).map_or(0, |piece| piece.base.sample_count()))
                    .iter()
                    .sum();
            assert_eq!(kept, 1201, "{before_hz} Hz, then {after_hz} Hz");
        }
    }

    fn whole(base: TimeBase) -> Candidate {
        Candidate { base, samples: (0, base.sample_count()), version: 2 }
    }

    /// Pieces as (start in ms, first, count, joint) of segments (start in ms, count) at 10 Hz.
    fn check(window_ms: Range<i64>, segments: &[(i64, usize)], expected: &[(i64, usize, usize, Joint)]) {
        let ns = |ms: i64| ms * SECOND / 1000;
        let mut merger = Merger::new(ns(window_ms.start)..ns(window_ms.end));
        let found: Vec<_> = segments
            .iter()
            .filter_map(|(start_ms, count)| merger.push(whole(segment(ns(*start_ms), 10.0, *count))))
            .map(|piece| (piece.base.start_ns() * 1000 / SECOND, piece.first, piece.count(), piece.joint))
            .collect();
        assert_eq!(found, expected, "{segments:?}");
    }

    use Joint::{Breaks, Continues, Reanchors};

    #[test]
    fn pieces_that_touch_are_one_run() {
        check(0..9000, &[(0, 10), (1000, 10)], &[(0, 0, 10, Breaks), (1000, 0, 10, Continues)]);
        check(0..9000, &[(0, 10), (1010, 10)], &[(0, 0, 10, Breaks), (1010, 0, 10, Continues)]);
        check(0..9000, &[(0, 10), (1049, 10)], &[(0, 0, 10, Breaks), (1049, 0, 10, Reanchors)]);
        check(0..9000, &[(0, 10), (951, 10)], &[(0, 0, 10, Breaks), (951, 0, 10, Reanchors)]);
        check(0..9000, &[(0, 10), (1051, 10)], &[(0, 0, 10, Breaks), (1051, 0, 10, Breaks)]);
    }

    #[test]
    fn overlaps_and_duplicates_count_once() {
        check(0..9000, &[(0, 10), (500, 10)], &[(0, 0, 10, Breaks), (1000, 5, 5, Continues)]);
        check(0..9000, &[(0, 10), (0, 10), (200, 3)], &[(0, 0, 10, Breaks)]);
        check(0..9000, &[(0, 10), (530, 10)], &[(0, 0, 10, Breaks), (1030, 5, 5, Reanchors)]);
    }

    #[test]
    fn the_window_holds_its_begin_and_not_its_end() {
        check(200..500, &[(0, 10)], &[(200, 2, 3, Breaks)]);
        check(201..501, &[(0, 10)], &[(300, 3, 3, Breaks)]);
        check(2000..3000, &[(0, 10)], &[]);
    }

    #[test]
    fn versions_never_make_one_run() {
        let mut merger = Merger::new(0..i64::MAX);
        let mut joint = |start_ns, version| {
            let offered = Candidate { version, ..whole(segment(start_ns, 10.0, 10)) };
            merger.push(offered).map(|piece| piece.joint)
        };
        assert_eq!(joint(0, 2), Some(Breaks));
        assert_eq!(joint(SECOND, 3), Some(Breaks));
        assert_eq!(joint(2 * SECOND, 3), Some(Continues));
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
                let start_ns = segment(SECOND, rate_hz, 1).sample_time_ns(*begin as u64);
                if let Some(piece) = merger.push(whole(segment(start_ns, rate_hz, *count))) {
                    let continues = found.last() == Some(&(begin + piece.first).wrapping_sub(1));
                    prop_assert_eq!(piece.joint == Continues, continues);
                    found.extend(begin + piece.first..begin + piece.first + piece.count());
                }
            }
            let mut expected: Vec<usize> =
                segments.iter().flat_map(|(begin, count)| *begin..begin + count).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn headers_of_any_value_do_no_harm(
            segments in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<f64>(), 0_u64..1 << 40), 0..8),
            from_ns in any::<i64>(),
            to_ns in any::<i64>(),
        ) {
            let mut merger = Merger::new(from_ns..to_ns);
            for (start_ns, end_ns, rate_hz, count) in segments {
                let Some(base) = TimeBase::new(start_ns, end_ns, rate_hz, count) else { continue };
                let piece = merger.push(whole(base));
                prop_assert!(piece.is_none_or(|piece| (piece.first + piece.count()) as u64 <= count));
            }
        }
    }
}
