//! Continuity of cases computed by hand.

use seislake_model::{Continuity, Timestamp};

use super::super::{ChannelContinuity, Piece, SPANS_MAX, Window};
use super::{DAY_NS, channel, day, day_start};

/// A piece that begins so many seconds after the begin of the day.
fn piece(start_s: f64, count: u64, rate_hz: f64) -> Piece {
    let start = day_start().add_seconds(start_s);
    let end = start.add_seconds((count - 1) as f64 / rate_hz);
    Piece::new(start.nanos(), end.nanos(), rate_hz, count).unwrap()
}

fn over(window: Window, pieces: &[Piece]) -> Option<Continuity> {
    let mut channel_day = ChannelContinuity::new(window);
    for piece in pieces {
        channel_day.push(*piece);
    }
    channel_day.finish(channel())
}

fn of_day(pieces: &[Piece]) -> Continuity {
    over(day(), pieces).unwrap()
}

/// Gaps or overlaps as seconds of the day.
fn seconds(spans: &[seislake_model::Span]) -> Vec<(f64, f64)> {
    let second = |time: Timestamp| time.seconds_since(day_start());
    spans.iter().map(|span| (second(span.start_time), second(span.end_time))).collect()
}

#[test]
fn a_whole_day_has_neither_gap_nor_overlap() {
    let row = of_day(&[piece(0.0, 8_640_000, 100.0)]);
    assert_eq!((row.sample_count, row.expected_count, row.repeated_count), (8_640_000, 8_640_000, 0));
    assert_eq!((row.gap_count, row.overlap_count, row.gap_s, row.overlap_s), (0, 0, 0.0, 0.0));
    assert_eq!((row.fraction(), row.start_time, row.sample_rate_hz), (1.0, day_start(), 100.0));
}

#[test]
fn a_day_whose_first_sample_is_not_on_midnight_is_whole() {
    for phase_s in [0.000_001, 0.003, 0.007, 0.009_999] {
        let row = of_day(&[piece(phase_s - 10.0, 8_642_000, 100.0)]);
        assert_eq!((row.sample_count, row.gap_count), (8_640_000, 0), "{phase_s}");
    }
}

#[test]
fn gaps_are_listed_with_the_begin_and_the_end_of_the_day() {
    // One sample a second: 100 to 199, then 250 to 349 of 86400.
    let row = of_day(&[piece(250.0, 100, 1.0), piece(100.0, 100, 1.0)]);
    assert_eq!((row.sample_count, row.expected_count), (200, 86_400));
    assert_eq!(seconds(&row.gaps), [(0.0, 100.0), (200.0, 250.0), (350.0, 86_400.0)]);
    assert_eq!((row.gap_count, row.gap_s), (3, 86_200.0));
    assert_eq!(row.sample_count as f64 + row.gap_s, 86_400.0);
}

#[test]
fn duplicates_and_overlaps_count_once() {
    let first = piece(0.0, 60, 1.0);
    // 0..60, the same again, 50..110 (ten repeated), 55..58 inside: 110 samples, 60 + 10 + 3 repeated.
    let row = of_day(&[first, first, piece(50.0, 60, 1.0), piece(55.0, 3, 1.0)]);
    assert_eq!((row.sample_count, row.repeated_count), (110, 73));
    assert_eq!(seconds(&row.overlaps), [(0.0, 60.0)], "the three run into one another");
    assert_eq!((row.overlap_count, row.overlap_s), (1, 60.0));
    assert_eq!(seconds(&row.gaps), [(110.0, 86_400.0)]);
    let row = of_day(&[piece(0.0, 100, 1.0), piece(10.0, 5, 1.0), piece(90.0, 20, 1.0)]);
    assert_eq!(seconds(&row.overlaps), [(10.0, 15.0), (90.0, 100.0)]);
    assert_eq!((row.sample_count, row.repeated_count), (110, 15));
}

#[test]
fn half_a_sample_early_or_late_is_continuous() {
    for (shift_s, gaps, overlaps) in
        [(0.0, 1, 0), (0.4, 1, 0), (-0.4, 1, 0), (0.5, 1, 0), (0.6, 2, 0), (-0.6, 1, 1)]
    {
        let row = of_day(&[piece(0.0, 100, 1.0), piece(100.0 + shift_s, 100, 1.0)]);
        assert_eq!((row.gap_count, row.overlap_count), (gaps, overlaps), "shift {shift_s}");
    }
}

#[test]
fn expected_time_is_measured_from_the_previous_piece() {
    // A clock that is slow by a hundredth of a sample a piece: after a day 8.6 samples late, never half a sample.
    let pieces: Vec<Piece> =
        (0..864).map(|index| piece(f64::from(index) * 100.0001, 10_000, 100.0)).collect();
    let row = of_day(&pieces);
    assert_eq!((row.gap_count, row.overlap_count), (0, 0), "{row:?}");
    // The last piece begins at 86300.0863 s: 9992 of its samples come before midnight.
    assert_eq!(row.sample_count, 8_640_000 - 8);
}

#[test]
fn samples_on_both_sides_of_midnight_belong_to_their_days() {
    // 23:59:58.5 to 00:00:01.0 at 2 Hz: three samples before midnight, one on it and two after.
    let crossing = piece(86_398.5, 6, 2.0);
    let next = Window { start_ns: day().end_ns, end_ns: day().end_ns + DAY_NS };
    let (today, tomorrow) = (over(day(), &[crossing]).unwrap(), over(next, &[crossing]).unwrap());
    assert_eq!((today.sample_count, tomorrow.sample_count), (3, 3));
    assert_eq!(seconds(&today.gaps), [(0.0, 86_398.5)]);
    assert_eq!(seconds(&tomorrow.gaps), [(86_401.5, 172_800.0)]);
    assert_eq!(crossing.days().count(), 2);
    assert_eq!(piece(86_398.5, 3, 2.0).days().count(), 1, "the last sample is before midnight");
}

#[test]
fn a_sample_whose_time_was_rounded_stands_on_midnight() {
    // A third of a second is no whole number of nanoseconds: the 300th sample is due 0.1 ns before midnight.
    let piece = Piece::new(day().end_ns - 100_000_000_000, day().end_ns + 1_000_000_000, 3.0, 304).unwrap();
    assert_eq!(over(day(), &[piece]).unwrap().sample_count, 300);
}

#[test]
fn jitter_of_the_rate_does_not_change_what_is_expected() {
    let row = of_day(&[piece(0.0, 9_999, 99.9999), piece(99.99, 8_630_001, 100.0)]);
    assert_eq!((row.sample_rate_hz, row.expected_count), (100.0, 8_640_000));
    assert_eq!((row.gap_count, row.sample_count), (0, 8_640_000));
}

#[test]
fn rates_that_divide_no_day_expect_the_nearest_number() {
    let row = of_day(&[piece(0.0, 57_024_000, 660.0)]);
    assert_eq!((row.expected_count, row.sample_count, row.gap_count), (57_024_000, 57_024_000, 0));
    let slow = of_day(&[piece(0.0, 8_641, 0.1)]);
    assert_eq!((slow.expected_count, slow.sample_count, slow.gap_count), (8_640, 8_640, 0));
}

#[test]
fn what_is_no_time_series_is_no_piece() {
    assert_eq!(Piece::new(0, 10, 0.0, 5), None);
    assert_eq!(Piece::new(0, 10, f64::NAN, 5), None);
    assert_eq!(Piece::new(0, 10, -1.0, 5), None);
    assert_eq!(Piece::new(10, 0, 1.0, 5), None);
    assert_eq!(Piece::new(0, 10, 1.0, 0), None);
    assert_eq!(over(day(), &[]), None);
    assert_eq!(over(day(), &[piece(-200.0, 100, 1.0)]), None, "nothing of it lies in the day");
    // The ends of time neither panic nor wrap.
    let eternal = Piece::new(i64::MIN, i64::MAX, 1e-9, u64::MAX);
    assert!(eternal.is_none_or(|eternal| over(day(), &[eternal]).is_none_or(|row| row.expected_count <= 1)));
}

#[test]
fn only_the_longest_gaps_are_named_but_all_are_counted() {
    // A sample every ten seconds leaves 9 s, one gap of 100 s, and the rest of the day.
    let mut pieces: Vec<Piece> = (0..300).map(|index| piece(f64::from(index) * 10.0, 1, 1.0)).collect();
    pieces.push(piece(3_091.0, 1, 1.0));
    let row = of_day(&pieces);
    assert_eq!((row.gap_count, row.gaps.len()), (301, SPANS_MAX));
    assert!((row.gap_s - (86_400.0 - 301.0)).abs() < 1e-9);
    assert_eq!(&seconds(&row.gaps)[98..], [(2_991.0, 3_091.0), (3_092.0, 86_400.0)]);
}
