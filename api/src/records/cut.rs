//! From stored pieces to what is asked for: cut to the window at sample precision, joined to gapless runs.
//!
//! ```text
//! pieces   ├────────┤├──────────┤      ├───────┤
//! window        ├──────────────────────────┤
//! runs          ├───────────────┤      ├───┤
//! ```
//! All of it is told from metadata. A piece continues a run where it starts within half a sample period of the time
//! expected from the end of the piece before, the rate differs by less than one part in ten thousand (the rule of
//! libmseed's trace list), and number type and quality are the same. Overlapping pieces make runs of their own: nothing is thrown away.

use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{Encoding, Quality};

use crate::read::{Piece, Pieces, Window};

/// Rates closer than this are the same, relative.
const RATE_TOLERANCE: f64 = 1e-4;
/// A sample this close to the end of a window is inside: requests are precise to a microsecond.
const WINDOW_TOLERANCE_NS: i64 = 500;
const NANOS_PER_SECOND: f64 = 1e9;

/// Samples of a piece that lie in the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) piece: Piece,
    /// Index of the first sample.
    pub(crate) first: u64,
    /// Number of samples, above zero.
    pub(crate) count: u64,
}

/// Cuts that follow each other without a gap.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) source_id: SourceId,
    pub(crate) cuts: Vec<Cut>,
}

/// Time of sample `index` of a piece.
pub(crate) fn sample_time_ns(piece: &Piece, index: u64) -> i64 {
    piece.start_ns.saturating_add((index as f64 / piece.rate_hz * NANOS_PER_SECOND + 0.5) as i64)
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
        if piece.sample_count == 0 || piece.rate_hz.is_nan() || piece.rate_hz <= 0.0 {
            return None;
        }
        let from_ns = from.nanos().saturating_sub(WINDOW_TOLERANCE_NS);
        let to_ns = to.nanos().saturating_add(WINDOW_TOLERANCE_NS);
        let first = first_at_or_after(&piece, from_ns);
        let end = first_at_or_after(&piece, to_ns.saturating_add(1));
        (first < end).then(|| Self { piece, first, count: end - first })
    }

    /// Time of its first sample.
    pub(crate) fn start_ns(&self) -> i64 {
        sample_time_ns(&self.piece, self.first)
    }

    /// Time of its last sample; that of the last record's header where it is the last of the piece.
    pub(crate) fn end_ns(&self) -> i64 {
        if self.first + self.count == self.piece.sample_count {
            self.piece.end_ns
        } else {
            sample_time_ns(&self.piece, self.first + self.count - 1)
        }
    }

    fn follows(&self, before: &Self) -> bool {
        let (rate_hz, other_hz) = (self.piece.rate_hz, before.piece.rate_hz);
        let period_ns = NANOS_PER_SECOND / rate_hz;
        let step_ns = self.start_ns().saturating_sub(before.end_ns());
        number_type(self.piece.encoding) == number_type(before.piece.encoding)
            && self.piece.quality == before.piece.quality
            && (1.0 - rate_hz / other_hz).abs() < RATE_TOLERANCE
            && (step_ns as f64 - period_ns).abs() <= 0.5 * period_ns
    }
}

/// Index of the first sample at or after a time; the number of samples where there is none.
fn first_at_or_after(piece: &Piece, time_ns: i64) -> u64 {
    if time_ns <= piece.start_ns {
        return 0;
    }
    let samples = time_ns.saturating_sub(piece.start_ns) as f64 * piece.rate_hz / NANOS_PER_SECOND;
    // The float is right within a sample: the last steps are taken on whole nanoseconds.
    let mut index = (samples as u64).saturating_sub(1).min(piece.sample_count);
    while index < piece.sample_count && sample_time_ns(piece, index) < time_ns {
        index += 1;
    }
    index
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
pub(crate) fn runs(pieces: &Pieces, windows_of: impl Fn(&SourceId) -> Vec<Window>) -> Vec<Run> {
    let mut runs = Vec::new();
    for (source_id, pieces) in pieces {
        for (from, to) in windows_of(source_id) {
            let cuts = pieces.iter().filter_map(|piece| Cut::new(*piece, from, to));
            runs.extend(join(source_id, cuts));
        }
    }
    runs
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
        let mut piece = Piece {
            start_ns,
            end_ns: 0,
            rate_hz,
            sample_count,
            encoding: Encoding::Steim2,
            quality: Quality::Letter('D'),
            partition: 0,
            offset: 0,
        };
        piece.end_ns = sample_time_ns(&piece, sample_count - 1);
        piece
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
