//! The rules of merging, on records of four samples at 1 Hz.

use proptest::prelude::*;

use crate::{
    Agreement, Encoding, FormatVersion, Gap, MergeRule, MergedChannel, Merger, Overlap, PackSettings, Record,
    Samples, pack,
};

/// A record of miniSEED 3 at 1 Hz.
fn record(start_s: f64, samples: &[i32]) -> Vec<u8> {
    let settings = PackSettings {
        start_ns: (start_s * 1e9) as i64,
        encoding: Encoding::Int32,
        format_version: FormatVersion::Three,
        record_length: 4096,
        ..PackSettings::new("FDSN:XX_TEST__L_H_Z", 0, 1.0)
    };
    pack(&settings, samples).unwrap().remove(0)
}

fn merged(rule: MergeRule, records: &[Vec<u8>]) -> MergedChannel {
    let mut merger = Merger::new(rule);
    for bytes in records {
        let record = Record::parse(bytes).unwrap();
        merger.add(&record, &record.decode().unwrap().samples);
    }
    let mut channels = merger.into_channels();
    assert_eq!(channels.len(), 1);
    channels.remove(0)
}

fn pieces(channel: &MergedChannel) -> Vec<(f64, Vec<i32>)> {
    let counts = |samples: &Samples| match samples {
        Samples::Int32(samples) => samples.clone(),
        other => panic!("unexpected {other:?}"),
    };
    channel.pieces.iter().map(|piece| (piece.start_ns as f64 / 1e9, counts(&piece.samples))).collect()
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn an_exact_duplicate_is_kept_once_whenever_it_arrives() {
    let records = [record(4.0, &[5, 6, 7, 8]), record(0.0, &[1, 2, 3, 4]), record(4.0, &[5, 6, 7, 8])];
    let channel = merged(MergeRule::Compare, &records);
    assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 3, 4, 5, 6, 7, 8])]);
    assert_eq!((channel.duplicate_count, channel.overlaps.len(), channel.gaps.len()), (1, 0, 0));
}

#[test]
fn an_equal_overlap_is_kept_once_and_told() {
    let channel = merged(MergeRule::Compare, &[record(0.0, &[1, 2, 3, 4]), record(2.0, &[3, 4, 5, 6])]);
    assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 3, 4, 5, 6])]);
    let told =
        Overlap { start_ns: 2 * SECOND, end_ns: 3 * SECOND, sample_count: 2, agreement: Agreement::Equal };
    assert_eq!(channel.overlaps, [told]);
    assert!(!channel.pieces[0].conflicting);
}

#[test]
fn a_different_overlap_is_kept_twice_and_flagged() {
    let records = [record(0.0, &[1, 2, 3, 4]), record(2.0, &[3, 9, 5, 6]), record(6.0, &[7, 8])];
    let channel = merged(MergeRule::Compare, &records);
    assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 3, 4]), (2.0, vec![3, 9, 5, 6, 7, 8])]);
    assert_eq!(channel.overlaps[0].agreement, Agreement::Different);
    assert!(channel.pieces.iter().all(|piece| piece.conflicting));
    assert_eq!((channel.dropped_sample_count, channel.duplicate_count), (0, 0));
}

#[test]
fn a_record_within_another_is_a_duplicate_if_equal_and_a_conflict_if_not() {
    let long = record(0.0, &[1, 2, 3, 4, 5, 6]);
    let channel = merged(MergeRule::Compare, &[long.clone(), record(1.0, &[2, 3])]);
    assert_eq!((channel.pieces.len(), channel.duplicate_count), (1, 1));
    let channel = merged(MergeRule::Compare, &[long, record(1.0, &[2, 9]), record(6.0, &[7])]);
    assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 3, 4, 5, 6, 7]), (1.0, vec![2, 9])]);
}

#[test]
fn a_gap_is_told_with_its_missing_samples() {
    for rule in [MergeRule::Compare, MergeRule::DropPreviousTail] {
        let channel = merged(rule, &[record(0.0, &[1, 2, 3, 4]), record(7.0, &[8, 9])]);
        assert_eq!(channel.gaps, [Gap { after_ns: 3 * SECOND, before_ns: 7 * SECOND, sample_count: 3 }]);
        let values: Vec<_> = channel.values().map(|value| value.map(|value| value as i32)).collect();
        let expected = [Some(1), Some(2), Some(3), Some(4), None, None, None, Some(8), Some(9)];
        assert_eq!(values, expected);
    }
}

#[test]
fn the_rule_of_document_002_drops_the_tail_of_the_earlier_record_unseen() {
    let records = [record(0.0, &[1, 2, 3, 4]), record(2.0, &[30, 40, 50]), record(6.0, &[70])];
    let channel = merged(MergeRule::DropPreviousTail, &records);
    assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 30, 40, 50]), (6.0, vec![70])]);
    assert_eq!(channel.dropped_sample_count, 2);
    assert_eq!(channel.overlaps[0].agreement, Agreement::Different);
    assert_eq!(channel.values().collect::<Vec<_>>()[5], None);
}

#[test]
fn half_a_sample_is_measured_from_the_record_before() {
    let drifting = [record(0.0, &[1, 2]), record(2.4, &[3, 4]), record(4.8, &[5, 6]), record(7.2, &[7, 8])];
    for rule in [MergeRule::Compare, MergeRule::DropPreviousTail] {
        let channel = merged(rule, &drifting);
        assert_eq!(pieces(&channel), [(0.0, vec![1, 2, 3, 4, 5, 6, 7, 8])]);
        let channel = merged(rule, &[record(0.0, &[1, 2]), record(2.6, &[3, 4])]);
        assert_eq!((channel.pieces.len(), channel.gaps[0].sample_count), (2, 1));
    }
}

#[test]
fn a_gap_of_decades_costs_no_memory() {
    let channel = merged(MergeRule::DropPreviousTail, &[record(0.0, &[1]), record(3e9, &[2])]);
    assert_eq!(channel.gaps[0].sample_count, 2_999_999_999);
    assert_eq!(channel.pieces.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Pieces of one true line of samples, cut anywhere, overlapping, doubled, in any order.
    #[test]
    fn honest_records_give_back_the_line_they_were_cut_from(
        cuts in prop::collection::vec((0..60_usize, 1..20_usize), 1..30),
    ) {
        let truth: Vec<i32> = (0..80).map(|index| index * index).collect();
        let records: Vec<_> =
            cuts.iter().map(|(first, length)| record(*first as f64, &truth[*first..first + length])).collect();
        let mut covered = vec![None; 80];
        for (first, length) in &cuts {
            (*first..first + length).for_each(|index| covered[index] = Some(f64::from(truth[index])));
        }
        let first = covered.iter().position(Option::is_some).unwrap();
        let last = covered.iter().rposition(Option::is_some).unwrap();
        let channel = merged(MergeRule::Compare, &records);
        prop_assert_eq!(channel.values().collect::<Vec<_>>(), &covered[first..=last]);
        prop_assert!(channel.pieces.iter().all(|piece| !piece.conflicting));
        prop_assert_eq!(channel.dropped_sample_count, 0);
    }

    /// The rule of document 002 against a plain reading of it: one array, written over by each record in turn and
    /// cut behind it.
    #[test]
    fn dropped_tails_equal_a_plain_reading_of_the_rule(
        cuts in prop::collection::vec((0..60_usize, 1..20_usize, any::<i16>()), 1..30),
    ) {
        let mut line: Vec<Option<f64>> = Vec::new();
        let mut sorted = cuts.clone();
        sorted.sort_by_key(|cut| cut.0);
        let origin = sorted[0].0;
        for (first, length, value) in &sorted {
            line.resize(first - origin, None);
            line.extend(vec![Some(f64::from(*value)); *length]);
        }
        let records: Vec<_> = cuts
            .iter()
            .map(|(first, length, value)| record(*first as f64, &vec![i32::from(*value); *length]))
            .collect();
        let channel = merged(MergeRule::DropPreviousTail, &records);
        prop_assert_eq!(channel.values().collect::<Vec<_>>(), line);
    }
}
