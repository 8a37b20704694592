//! Continuity depends neither on the order of pieces nor on how they were cut.

use proptest::prelude::*;
use seislake_model::Continuity;

use super::super::{ChannelContinuity, Piece};
use super::{channel, day};

const RATE_HZ: f64 = 20.0;
const PERIOD_NS: i64 = 50_000_000;

/// Samples from one place of the grid of the day to another, off the grid by a part of a sample.
#[derive(Clone, Debug)]
struct Stretch {
    first: i64,
    count: i64,
    phase_ns: i64,
}

fn stretch() -> impl Strategy<Value = Stretch> {
    // Near midnight too; phases below a quarter of a sample, so that no two are half a sample apart.
    (-40_i64..1_728_040, 1_i64..4000, 0_i64..12_000_000).prop_map(|(first, count, phase_ns)| Stretch {
        first,
        count,
        phase_ns,
    })
}

impl Stretch {
    fn piece(&self) -> Piece {
        let start_ns = day().start_ns + self.first * PERIOD_NS + self.phase_ns;
        Piece::new(start_ns, start_ns + (self.count - 1) * PERIOD_NS, RATE_HZ, self.count as u64).unwrap()
    }

    /// The same in pieces of the lengths given, cyclically.
    fn cut(&self, lengths: &[i64]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let (mut done, mut lengths) = (0, lengths.iter().cycle());
        while done < self.count {
            let count = (*lengths.next().unwrap()).min(self.count - done);
            pieces.push(Self { first: self.first + done, count, phase_ns: self.phase_ns }.piece());
            done += count;
        }
        pieces
    }
}

fn row(pieces: impl IntoIterator<Item = Piece>) -> Option<Continuity> {
    let mut whole = ChannelContinuity::new(day());
    for piece in pieces {
        whole.push(piece);
    }
    whole.finish(channel())
}

proptest! {
    #[test]
    fn order_and_partitions_do_not_matter(
        stretches in prop::collection::vec(stretch(), 1..20),
        order in prop::collection::vec(any::<u32>(), 20),
        split in 0_usize..20,
    ) {
        let pieces: Vec<Piece> = stretches.iter().map(Stretch::piece).collect();
        let mut shuffled: Vec<(u32, Piece)> = order.iter().copied().zip(pieces.iter().copied()).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Piece> = shuffled.into_iter().map(|(_, piece)| piece).collect();
        let expected = row(pieces);
        prop_assert_eq!(&row(shuffled.clone()), &expected);
        // Two halves gathered apart, as files are read side by side.
        let (left, right) = shuffled.split_at(split.min(shuffled.len()));
        let [mut one, mut other] = [ChannelContinuity::new(day()), ChannelContinuity::new(day())];
        left.iter().for_each(|piece| one.push(*piece));
        right.iter().for_each(|piece| other.push(*piece));
        one.merge(other);
        prop_assert_eq!(&one.finish(channel()), &expected);
    }

    #[test]
    fn cuts_do_not_matter(
        stretches in prop::collection::vec(stretch(), 1..12),
        lengths in prop::collection::vec(1_i64..900, 1..6),
    ) {
        let whole = row(stretches.iter().map(Stretch::piece));
        let cut = row(stretches.iter().flat_map(|stretch| stretch.cut(&lengths)));
        prop_assert_eq!(whole.is_some(), cut.is_some());
        if let (Some(whole), Some(cut)) = (whole, cut) {
            prop_assert_eq!(cut.sample_count, whole.sample_count);
            prop_assert_eq!(cut.repeated_count, whole.repeated_count);
            prop_assert_eq!(&cut.gaps, &whole.gaps);
            prop_assert_eq!(cut.gap_count, whole.gap_count);
            // The ends of an overlap are those of one of the two: a part of a sample apart.
            prop_assert_eq!(cut.overlap_count, whole.overlap_count);
            prop_assert!((cut.overlap_s - whole.overlap_s).abs() <= 0.05 * whole.overlap_count as f64);
        }
    }

    #[test]
    fn received_and_missing_samples_make_the_day(
        stretches in prop::collection::vec(stretch(), 1..12),
    ) {
        let on_grid = stretches.iter().map(|stretch| Stretch { phase_ns: 0, ..stretch.clone() }.piece());
        if let Some(row) = row(on_grid) {
            let missing = (row.gap_s * RATE_HZ).round() as u64;
            prop_assert_eq!(row.sample_count + missing, row.expected_count);
            prop_assert_eq!(row.overlap_count == 0, row.repeated_count == 0);
        }
    }
}
