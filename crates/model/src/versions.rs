//! Which version of a waveform counts where several cover the same time: the best one, moment by moment.
//!
//! ```text
//! Q   ────────────     ─────
//! D       ─────────────────────────
//! counts  QQQQQQQQDDDDDQQQQQDDDDDDD
//! ```
//! A version is told by its rank, such as the publication version of miniSEED: R, D, Q, M are 1 to 4. Two versions are
//! never spliced sample by sample: a worse one shows only where no better one has samples.

use std::collections::BTreeMap;

use crate::TimeBase;

/// What pieces of each version cover.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// By rank: begin and end (not included), with half a sample.
    spans: BTreeMap<u8, Vec<(i64, i64, i64)>>,
    /// By rank: what better versions cover, disjoint and in order; made by [`Self::settle`].
    better: BTreeMap<u8, Vec<(i64, i64)>>,
}

fn half_sample_ns(piece: &TimeBase) -> i64 {
    (piece.period_ns() / 2.0) as i64
}

impl Versions {
    /// Adds a piece, in any order.
    pub fn add(&mut self, rank: u8, piece: &TimeBase) {
        let span = (piece.start_ns(), piece.next_ns(), half_sample_ns(piece));
        self.spans.entry(rank).or_default().push(span);
    }

    /// Works out what better versions cover, when all pieces were added. Cost: sorting them.
    #[must_use]
    pub fn settle(mut self) -> Self {
        let mut covered: Vec<(i64, i64, i64)> = Vec::new();
        for (rank, spans) in self.spans.iter_mut().rev() {
            self.better.insert(*rank, covered.iter().map(|(begin, end, _)| (*begin, *end)).collect());
            covered.append(spans);
            covered.sort_unstable();
            covered = joined(&covered);
        }
        self.spans.clear();
        self
    }

    /// All pieces are of one version: each shows whole.
    pub fn is_one(&self) -> bool {
        self.better.len() < 2
    }

    /// The samples of a piece that show, as ranges of indexes (first, end) in order; after [`Self::settle`].
    pub fn visible(&self, rank: u8, piece: &TimeBase) -> Vec<(u64, u64)> {
        let whole = (0, piece.sample_count());
        let Some(better) = self.better.get(&rank).filter(|better| !better.is_empty()) else {
            return vec![whole];
        };
        // A sample belongs to the better version from half a sample before its first on.
        let half_ns = half_sample_ns(piece);
        let index = |time_ns: i64| piece.first_at_or_after(time_ns.saturating_sub(half_ns));
        let (start_ns, next_ns) = (piece.start_ns(), piece.next_ns());
        let mut parts = Vec::new();
        let mut first = 0;
        let begin = better.partition_point(|(_, end)| *end <= start_ns);
        for (from_ns, to_ns) in better.get(begin..).unwrap_or_default() {
            if *from_ns >= next_ns {
                break;
            }
            let end = index(*from_ns);
            if first < end {
                parts.push((first, end));
            }
            first = first.max(index(*to_ns));
        }
        if first < whole.1 {
            parts.push((first, whole.1));
        }
        parts
    }
}

/// Sorted spans as disjoint ones; what lies less than half a sample apart is one.
fn joined(spans: &[(i64, i64, i64)]) -> Vec<(i64, i64, i64)> {
    let mut joined: Vec<(i64, i64, i64)> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some((_, end, half_ns)) if span.0 <= end.saturating_add((*half_ns).max(span.2)) => {
                if span.1 > *end {
                    (*end, *half_ns) = (span.1, span.2);
                }
            }
            _ => joined.push(*span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// At 1 Hz; times in ms.
    fn piece(start_ms: i64, count: u64) -> TimeBase {
        let start_ns = start_ms * 1_000_000;
        TimeBase::new(start_ns, start_ns + (count as i64 - 1) * 1_000_000_000, 1.0, count).unwrap()
    }

    fn versions(pieces: &[(u8, TimeBase)]) -> Versions {
        let mut versions = Versions::default();
        pieces.iter().for_each(|(rank, piece)| versions.add(*rank, piece));
        versions.settle()
    }

    #[test]
    fn the_better_version_shows_and_the_worse_fills_its_gaps() {
        let (better, worse) = (3, 2);
        let pieces = [(better, piece(0, 10)), (worse, piece(4070, 20)), (better, piece(15_000, 3))];
        let versions = versions(&pieces);
        assert!(!versions.is_one());
        assert_eq!(versions.visible(better, &pieces[0].1), [(0, 10)]);
        // The worse one from 10.07 s to before 15 s, and from 18.07 s on.
        assert_eq!(versions.visible(worse, &pieces[1].1), [(6, 11), (14, 20)]);
        assert_eq!(versions.visible(worse, &piece(1000, 3)), []);
    }

    #[test]
    fn pieces_of_the_better_version_that_drift_leave_no_crack() {
        let pieces = [(3, piece(0, 10)), (3, piece(10_400, 10)), (1, piece(70, 20))];
        assert_eq!(versions(&pieces).visible(1, &pieces[2].1), []);
    }

    proptest! {
        #[test]
        fn every_second_is_shown_once_in_its_best_version(
            pieces in prop::collection::vec((1_u8..5, 0_i64..200, 1_u64..40), 1..12),
        ) {
            let pieces: Vec<(u8, i64, u64)> = pieces;
            let all: Vec<_> =
                pieces.iter().map(|(rank, second, count)| (*rank, piece(second * 1000, *count))).collect();
            let versions = versions(&all);
            let mut shown: BTreeMap<i64, u8> = BTreeMap::new();
            for (rank, base) in &all {
                for (first, end) in versions.visible(*rank, base) {
                    for index in first..end {
                        let second = base.sample_time_ns(index) / 1_000_000_000;
                        prop_assert_eq!(*shown.entry(second).or_insert(*rank), *rank);
                    }
                }
            }
            let mut best: BTreeMap<i64, u8> = BTreeMap::new();
            for (rank, second, count) in &pieces {
                for at in *second..*second + *count as i64 {
                    let known = best.entry(at).or_default();
                    *known = (*known).max(*rank);
                }
            }
            prop_assert_eq!(shown, best);
        }
    }
}
