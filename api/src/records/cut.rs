//! From stored pieces to what is asked for: cut to the window at sample precision, joined to gapless runs.
//!
//! ```text
//! pieces   ├────────┤├──────────┤      ├───────┤
//! window        ├──────────────────────────┤
//! runs          ├───────────────┤      ├───┤
//! ```
//! All of it is told from metadata. When samples were taken, and which pieces follow each other without a gap, is the rule
//! of [`TimeBase`]; number type and quality must be the same too. Overlapping pieces of one version make runs of their own:
//! nothing is thrown away. Of several versions of the same time the best is chosen where the caller asks for one
//! ([`Choice::Best`], see [`Versions`]).

use seislake_model::{SourceId, TimeBase, Timestamp, Versions};
use seislake_mseed::{Encoding, Quality};

use crate::read::{Piece, Pieces, Window};

/// A sample this close to the end of a window is inside: requests are precise to a microsecond.
const WINDOW_TOLERANCE_NS: i64 = 500;
const NANOS_PER_SECOND: f64 = 1e9;

/// Which versions of the same time are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The best one, moment by moment.
    Best,
    /// All of them.
    All,
}

/// Samples of a piece that lie in the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) piece: Piece,
    /// Index of the first sample.
    pub(crate) first: u64,
    /// Number of samples, above zero.
    pub(crate) count: u64,
    /// When they were taken.
    pub(crate) base: TimeBase,
}

/// Cuts that follow each other without a gap.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) source_id: SourceId,
    pub(crate) cuts: Vec<Cut>,
}

/// Number type of the samples: pieces of different types never join.
pub(crate) fn number_type(encoding: Encoding) -> Encoding {
    match encoding {
        Encoding::Float64 => Encoding::Float64,
        Encoding::Float32 | Encoding::Geoscope24 | Encoding::Geoscope163 | Encoding::Geoscope164 => {
            Encoding::Float32
        }
        _ => Encoding::Int32,
    }
}

impl Cut {
    /// The samples of `piece` from `from` to `to`, both included; `None` where there are none.
    pub(crate) fn new(piece: Piece, from: Timestamp, to: Timestamp) -> Option<Self> {
        let base = piece.time_base()?;
        let from_ns = from.nanos().saturating_sub(WINDOW_TOLERANCE_NS);
        let to_ns = to.nanos().saturating_add(WINDOW_TOLERANCE_NS);
        let first = base.first_at_or_after(from_ns);
        // After the last moment of all there is none.
        let end = match to_ns.checked_add(1) {
            Some(after_ns) => base.first_at_or_after(after_ns),
            None => base.sample_count(),
        };
        Self::of_samples(piece, &base, first, end)
    }

    fn of_samples(piece: Piece, base: &TimeBase, first: u64, end: u64) -> Option<Self> {
        let base = base.part(first, end)?;
        Some(Self { piece, first, count: base.sample_count(), base })
    }

    /// The samples among those from `first` to before `end` of its piece.
    fn within(&self, first: u64, end: u64) -> Option<Self> {
        let (first, end) = (first.max(self.first), end.min(self.first + self.count));
        Self::of_samples(self.piece, &self.piece.time_base()?, first, end)
    }

    /// Time of its first sample.
    pub(crate) fn start_ns(&self) -> i64 {
        self.base.start_ns()
    }

    /// Time of its last sample.
    pub(crate) fn end_ns(&self) -> i64 {
        self.base.last_ns()
    }

    fn follows(&self, before: &Self) -> bool {
        number_type(self.piece.encoding) == number_type(before.piece.encoding)
            && self.piece.quality == before.piece.quality
            && self.base.follows(&before.base)
    }
}

impl Run {
    pub(crate) fn start_ns(&self) -> i64 {
        self.cuts.first().map_or(0, Cut::start_ns)
    }

    pub(crate) fn end_ns(&self) -> i64 {
        self.cuts.last().map_or(0, Cut::end_ns)
    }

    /// Sample rate of its first piece.
    pub(crate) fn rate_hz(&self) -> f64 {
        self.cuts.first().map_or(0.0, |cut| cut.piece.rate_hz)
    }

    /// Quality of all of its pieces.
    pub(crate) fn quality(&self) -> Quality {
        self.cuts.first().map_or(Quality::Letter('D'), |cut| cut.piece.quality)
    }

    /// Seconds from the first to the last sample.
    pub(crate) fn duration_s(&self) -> f64 {
        self.end_ns().saturating_sub(self.start_ns()) as f64 / NANOS_PER_SECOND
    }

    pub(crate) fn sample_count(&self) -> u64 {
        self.cuts.iter().map(|cut| cut.count).sum()
    }
}

/// The runs of pieces inside the windows of their channel, by channel and start.
pub(crate) fn runs(
    pieces: &Pieces,
    choice: Choice,
    windows_of: impl Fn(&SourceId) -> Vec<Window>,
) -> Vec<Run> {
    let mut runs = Vec::new();
    for (source_id, pieces) in pieces {
        let versions = versions(pieces);
        for (from, to) in windows_of(source_id) {
            let cuts = pieces.iter().filter_map(|piece| Cut::new(*piece, from, to));
            if choice == Choice::All || versions.is_one() {
                runs.extend(join(source_id, cuts));
                continue;
            }
            let mut shown: Vec<Cut> = cuts.flat_map(|cut| visible(&versions, &cut)).collect();
            shown.sort_by_key(Cut::start_ns);
            runs.extend(join(source_id, shown.into_iter()));
        }
    }
    runs
}

fn versions(pieces: &[Piece]) -> Versions {
    let mut versions = Versions::default();
    for piece in pieces {
        if let Some(base) = piece.time_base() {
            versions.add(piece.quality.publication_version(), &base);
        }
    }
    versions.settle()
}

/// What shows of a cut beside better versions.
fn visible(versions: &Versions, cut: &Cut) -> Vec<Cut> {
    let Some(base) = cut.piece.time_base() else { return Vec::new() };
    let parts = versions.visible(cut.piece.quality.publication_version(), &base);
    parts.into_iter().filter_map(|(first, end)| cut.within(first, end)).collect()
}

/// Joins cuts of one channel, which come by start.
fn join(source_id: &SourceId, cuts: impl Iterator<Item = Cut>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    // Runs that a later cut may continue: few, since a cut that starts later than their end closes them.
    let mut open: Vec<usize> = Vec::new();
    for cut in cuts {
        let period_ns = (NANOS_PER_SECOND / cut.piece.rate_hz) as i64;
        let reach_ns = cut.start_ns().saturating_sub(period_ns.saturating_mul(2));
        open.retain(|index| runs.get(*index).is_some_and(|run| run.end_ns() >= reach_ns));
        let found = open.iter().copied().find(|index| {
            runs.get(*index).and_then(|run| run.cuts.last()).is_some_and(|last| cut.follows(last))
        });
        match found.and_then(|index| runs.get_mut(index)) {
            Some(run) => run.cuts.push(cut),
            None => {
                open.push(runs.len());
                runs.push(Run { source_id: source_id.clone(), cuts: vec![cut] });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(start_ns: i64, sample_count: u64, rate_hz: f64) -> Piece {
        Piece {
            start_ns,
            end_ns: start_ns + ((sample_count - 1) as f64 / rate_hz * NANOS_PER_SECOND).round() as i64,
            rate_hz,
            sample_count,
            encoding: Encoding::Steim2,
            quality: Quality::Letter('D'),
            topic: 0,
            partition: 0,
            offset: 0,
        }
    }

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn a_window_takes_the_samples_at_both_of_its_ends() {
        let piece = piece(1_000_000_000, 100, 10.0);
        let cut = |from, to| Cut::new(piece, at(from), at(to)).map(|cut| (cut.first, cut.count));
        assert_eq!(cut(1_000_000_000, 1_100_000_000), Some((0, 2)));
        assert_eq!(cut(1_000_000_600, 1_099_999_400), None);
        assert_eq!(cut(1_000_000_400, 1_099_999_600), Some((0, 2)), "half a microsecond is the same moment");
        assert_eq!(cut(0, 999_999_000), None);
        assert_eq!(cut(i64::MIN, i64::MAX), Some((0, 100)));
        assert_eq!(cut(10_900_000_000, 20_000_000_000), Some((99, 1)));
        assert_eq!(cut(10_900_001_000, 20_000_000_000), None);
    }

    #[test]
    fn pieces_join_within_half_a_sample_and_overlaps_stay_apart() {
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        let whole = |piece: Piece| Cut::new(piece, Timestamp::MIN, Timestamp::MAX).unwrap();
        let cuts = [
            piece(0, 100, 10.0),
            piece(5_000_000_000, 50, 10.0),
            piece(10_049_000_000, 10, 10.0),
            piece(11_200_000_000, 10, 10.0),
            Piece { quality: Quality::Letter('M'), ..piece(12_200_000_000, 10, 10.0) },
        ];
        let runs = join(&id, cuts.into_iter().map(whole));
        let starts: Vec<_> = runs.iter().map(|run| (run.start_ns(), run.sample_count())).collect();
        assert_eq!(starts, [(0, 110), (5_000_000_000, 50), (11_200_000_000, 10), (12_200_000_000, 10)]);
        assert!((runs[0].duration_s() - 10.949).abs() < 1e-9);
    }

    #[test]
    fn of_two_versions_the_better_is_given_and_the_worse_fills_its_gaps() {
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        let better = Piece { quality: Quality::Letter('Q'), ..piece(0, 100, 10.0) };
        let pieces = Pieces::from([(id, vec![better, piece(70_000_000, 150, 10.0)])]);
        let given = |choice| {
            let runs = runs(&pieces, choice, |_| vec![(Timestamp::MIN, Timestamp::MAX)]);
            let of = |run: &Run| (run.quality().letter(), run.start_ns(), run.sample_count());
            runs.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(given(Choice::All), [('Q', 0, 100), ('D', 70_000_000, 150)]);
        assert_eq!(given(Choice::Best), [('Q', 0, 100), ('D', 9_970_000_000, 51)]);
    }

    #[test]
    fn what_is_no_time_series_has_no_cut() {
        for rate_hz in [0.0, 1e-300, f64::NAN] {
            let piece = Piece { rate_hz, ..piece(0, 100, 10.0) };
            assert_eq!(Cut::new(piece, Timestamp::MIN, Timestamp::MAX), None, "{rate_hz}");
        }
    }

    proptest! {
        #[test]
        fn two_windows_that_meet_take_every_sample_once(
            start_ns in 0_i64..4_000_000_000_000,
            rate_hz in prop::sample::select(vec![0.1, 1.0, 20.0, 99.9999, 100.0, 333.333, 5000.0]),
            count in 1_u64..5000,
            share in 0.0_f64..1.0,
        ) {
            let piece = piece(start_ns, count, rate_hz);
            let middle = start_ns + ((piece.end_ns - start_ns) as f64 * share) as i64;
            let left = Cut::new(piece, Timestamp::MIN, at(middle)).map_or(0, |cut| cut.count);
            let right = Cut::new(piece, at(middle + 2 * WINDOW_TOLERANCE_NS + 1), Timestamp::MAX);
            prop_assert_eq!(left + right.map_or(0, |cut| cut.count), count);
        }
    }
}
