//! What goes wrong with real records and traces, one test each. Headers are patched byte by byte, so that the tests
//! do not trust our own packer.
//!
//! The pitfalls have numbers, those of all rooms, and stand with their tests in this list; where no file is named, the
//! tests are here, under their number. Files of the rooms `mseed`, `seismo`, `model` and `query` lie in `crates/`.
//!
//! 1. Time correction, applied or not.
//! 2. Microseconds of blockette 1001; fractions that carry over.
//! 3. Leap seconds.
//! 4. Signs of factor and multiplier; blockette 100.
//! 5. Byte orders of header and data.
//! 6. No blockette 1000; control headers of full SEED volumes.
//! 7. Chains of blockettes, data offsets, lengths, blank and foreign bytes. Also `mseed/src/tests/damage.rs`.
//! 8. Steim: first difference, Xn, undefined codes, wrapping, too few.
//! 9. Encodings outside Steim; text. Text is packed in `mseed/src/tests/packing.rs`.
//! 10. Units of time.
//! 11. Joining within half a sample, drift. Also `mseed/src/tests/round_trip.rs`.
//! 12. Overlaps, equal and different: `mseed/src/tests/merge.rs`.
//! 13. Duplicates, replays, late data: `streams/src/gate/tests.rs`
//!     (`what_was_offered_before_is_dropped_also_by_a_gate_that_was_opened_anew`), `seismo/src/pick/tests/station.rs`
//!     (`backfill_is_picked_without_harm_to_the_present`), `mseed/src/tests/round_trip.rs`
//!     (`a_late_record_heals_its_gap`, `duplicates_stay_beside_their_original`).
//! 14. Rates that jitter, and rate 0.
//! 15. Spellings of blank locations. At the FDSN edge: `api/src/read/selection.rs` (`patterns_match_codes`).
//! 16. Components, orientations, triples: `seismo/src/pick/tests/pitfalls.rs`; for ratios
//!     `seismo/src/quality/tests/ratios.rs` (`components_are_found_by_their_codes`).
//! 17. Epochs of stations and responses: `model/src/inventory.rs` (`coordinates_are_those_of_the_epoch`),
//!     `streams/src/stages/tests.rs` (`amplitudes_are_made_with_the_response_of_the_epoch_of_the_record`),
//!     `tests/slt/functions.slt` (`remove_response`), `api/src/tests/fdsn.rs`
//!     (`stations_are_chosen_by_restriction_data_and_change`).
//! 18. State of filters across packets and gaps: `seismo/src/pick/tests/pitfalls.rs`,
//!     `seismo/src/pick/tests/invariance.rs`, `seismo/src/signal/tests.rs`
//!     (`a_filtered_stream_does_not_depend_on_how_it_was_cut`).
//! 19. NaN, gaps, responses and their units: `seismo/src/pick/tests/pitfalls.rs`, `seismo/src/signal/tests/oracles.rs`
//!     (`removed_responses_agree_with_obspy`), `seismo/src/signal/tests.rs` (Wood-Anderson, of velocity and of
//!     acceleration), `tests/slt/functions.slt` (runs of their own on both sides of a gap).
//! 20. Clipped, dead, spikes, calibration: `seismo/src/pick/tests/station.rs` (`dead_and_clipped_channels_give_no_picks`,
//!     `a_spike_is_no_arrival`), `seismo/src/quality/tests/levels.rs`, `streams/src/stages/tests.rs`
//!     (`records_flagged_as_calibration_are_picked_like_any_other`).
//! 21. Split, merged and phantom events: `seismo/src/associate/tests/cases.rs`.
//! 22. Early and emergent onsets: `seismo/src/pick/tests/pitfalls.rs`.
//! 23. Heights, gaps, the date line, hypocentral distances: `seismo/src/locate/tests.rs`,
//!     `seismo/src/magnitude/tests.rs`, `seismo/src/geometry.rs`.
//! 24. Revisions and deletions of events: `catalog/src/tests/past.rs`
//!     (`the_current_view_shows_the_latest_revision_of_what_is_not_deleted`), `seismo/src/locate/tests.rs`
//!     (`identifiers_follow_from_the_picks`), `api/src/tests/http.rs` (`events_shows_the_newest_revision_…`).
//! 25. First motion: `seismo/src/pick/tests/pitfalls.rs`, `seismo/src/synthetic/tests.rs`
//!     (`first_motion_follows_the_radiation`).
//! 26. Latency only of live packets: `query/src/quality/tests.rs` (`latency_is_that_of_live_packets_by_hour`).

use crate::{
    BlocketteContent, ByteOrder, DecodeError, Encoding, FormatVersion, LeapSecond, PackSettings, Record,
    RecordError, Samples, ScanItem, Scanner, TraceList, pack,
};

/// 2023-11-14T22:13:20 UTC: year 2023, day 318.
const START_NS: i64 = 1_700_000_000_000_000_000;
/// 2016-12-31T23:59:59 UTC.
const BEFORE_LEAP_NS: i64 = 1_483_228_799_000_000_000;

fn settings(rate_hz: f64) -> PackSettings {
    PackSettings {
        rate_hz,
        encoding: Encoding::Int32,
        ..PackSettings::new("FDSN:XX_TEST__H_H_Z", START_NS, 100.0)
    }
}

/// A record of miniSEED 2 with these samples, changed by `change`.
fn record_2(samples: &[i32], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = pack(&settings(100.0), samples).unwrap().remove(0);
    change(&mut bytes);
    bytes
}

fn start_of(change: impl FnOnce(&mut [u8])) -> i64 {
    Record::parse(&record_2(&[1, 2, 3], change)).unwrap().start_ns - START_NS
}

/// Reverses the fields of the fixed header and of blockettes 1000 and 1001 as a little-endian writer lays them out.
fn swap_header(bytes: &mut [u8]) {
    for at in [20, 22, 28, 30, 32, 34, 44, 46, 48, 50, 56, 58] {
        bytes[at..at + 2].reverse();
    }
    bytes[40..44].reverse();
}

fn segments(records: &[Vec<u8>]) -> Vec<(i64, u64)> {
    let mut traces = TraceList::new();
    for bytes in records {
        let record = Record::parse(bytes).unwrap();
        traces.add(&record, &record.decode().unwrap().samples);
    }
    traces.into_segments().iter().map(|segment| (segment.start_ns, segment.sample_count)).collect()
}

// 1

#[test]
fn a_time_correction_is_added_unless_the_flag_says_that_it_was() {
    let correct = |bytes: &mut [u8]| bytes[40..44].copy_from_slice(&(-1500_i32).to_be_bytes());
    assert_eq!(start_of(correct), -150_000_000);
    let applied = |bytes: &mut [u8]| {
        correct(bytes);
        bytes[36] = 2;
    };
    assert_eq!(start_of(applied), 0);
    let bytes = record_2(&[1], applied);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!((record.time_correction_ns(), record.flags.correction_applied()), (-150_000_000, true));
}

// 2

#[test]
fn microseconds_of_blockette_1001_are_signed() {
    assert_eq!(start_of(|bytes| bytes[61] = 99), 99_000);
    assert_eq!(start_of(|bytes| bytes[61] = (-50_i8).cast_unsigned()), -50_000);
}

#[test]
fn a_fraction_of_a_full_second_carries_over() {
    assert_eq!(start_of(|bytes| bytes[28..30].copy_from_slice(&10_000_u16.to_be_bytes())), 1_000_000_000);
}

// 3

#[test]
fn a_record_that_starts_in_a_leap_second_starts_at_the_following_midnight_and_says_so() {
    for format_version in [FormatVersion::Two, FormatVersion::Three] {
        let settings = PackSettings { start_ns: BEFORE_LEAP_NS, format_version, ..settings(100.0) };
        let mut bytes = pack(&settings, &[1, 2][..]).unwrap().remove(0);
        match format_version {
            FormatVersion::Two => bytes[26] = 60,
            FormatVersion::Three => {
                bytes[14] = 60;
                let crc = crate::v3::crc(&bytes).to_le_bytes();
                bytes[28..32].copy_from_slice(&crc);
            }
        }
        let record = Record::parse(&bytes).unwrap();
        assert!(record.starts_in_leap_second());
        assert_eq!(record.start_ns, BEFORE_LEAP_NS + 1_000_000_000);
    }
}

#[test]
fn time_behind_an_announced_leap_second_is_a_second_less_and_the_next_record_joins() {
    // 400 samples from 23:59:59 on: 1 s before, 1 s in the leap second, 2 s behind it.
    let samples: Vec<i32> = (0..400).collect();
    let record = |start_ns: i64, flag: u8| {
        let settings = PackSettings { start_ns, record_length: 4096, ..settings(100.0) };
        let mut bytes = pack(&settings, &samples[..]).unwrap().remove(0);
        bytes[36] = flag;
        bytes
    };
    let announced = record(BEFORE_LEAP_NS, 0x10);
    let parsed = Record::parse(&announced).unwrap();
    assert_eq!(parsed.leap_second(), Some(LeapSecond::Positive));
    assert_eq!(parsed.last_sample_ns(), BEFORE_LEAP_NS + 2_990_000_000);
    let next = record(BEFORE_LEAP_NS + 3_000_000_000, 0);
    assert_eq!(segments(&[announced, next.clone()]), [(BEFORE_LEAP_NS, 800)]);
    // Not announced: the clock did not know, and its second is an overlap.
    assert_eq!(segments(&[record(BEFORE_LEAP_NS, 0), next]).len(), 2);
    // Announced, and no leap second on that day.
    let other_day = record(START_NS, 0x10);
    assert_eq!(Record::parse(&other_day).unwrap().last_sample_ns(), START_NS + 3_990_000_000);
    assert_eq!(Record::parse(&record(START_NS, 0x20)).unwrap().leap_second(), Some(LeapSecond::Negative));
}

// 4

#[test]
fn rates_follow_the_signs_of_factor_and_multiplier_and_blockette_100_overrides_them() {
    let rate = |factor: i16, multiplier: i16| {
        let bytes = record_2(&[1, 2], |bytes| {
            bytes[32..34].copy_from_slice(&factor.to_be_bytes());
            bytes[34..36].copy_from_slice(&multiplier.to_be_bytes());
        });
        Record::parse(&bytes).unwrap().rate_hz()
    };
    // SEED 2.4, chapter 8, examples of fields 10 and 11.
    assert_eq!((rate(33, 10), rate(330, 1), rate(-2, -5)), (330.0, 330.0, 0.1));
    assert_eq!((rate(-1, 10), rate(100, -3)), (10.0, 100.0 / 3.0));
    assert_eq!((rate(0, 1), rate(-10, 1)), (0.0, 0.1));
    let overridden = record_2(&[1], |bytes| {
        bytes[58..60].copy_from_slice(&64_u16.to_be_bytes());
        bytes[44..46].copy_from_slice(&128_u16.to_be_bytes());
        bytes[64..68].copy_from_slice(&[0, 100, 0, 0]);
        bytes[68..72].copy_from_slice(&99.9999_f32.to_be_bytes());
    });
    assert_eq!(Record::parse(&overridden).unwrap().rate_hz(), f64::from(99.9999_f32));
}

// 5

#[test]
fn header_and_data_have_byte_orders_of_their_own() {
    for (little_header, little_data) in [(false, false), (false, true), (true, false), (true, true)] {
        let bytes = record_2(&[1, -2, 70_000], |bytes| {
            if little_data {
                bytes[53] = 0;
                (64..76).step_by(4).for_each(|at| bytes[at..at + 4].reverse());
            }
            if little_header {
                swap_header(bytes);
            }
        });
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.decode().unwrap().samples, Samples::Int32(vec![1, -2, 70_000]));
        assert_eq!((record.start_ns, record.rate_hz()), (START_NS, 100.0));
        assert_eq!(record.header_order == ByteOrder::Little, little_header);
        assert_eq!(record.payload_order == ByteOrder::Little, little_data);
    }
}

// 6

#[test]
fn without_blockette_1000_a_record_is_steim_1_and_ends_where_the_next_header_begins() {
    let bare = |length: usize| {
        let settings = PackSettings { encoding: Encoding::Steim1, record_length: length, ..settings(100.0) };
        let mut bytes = pack(&settings, &[5, 6, 7][..]).unwrap().remove(0);
        bytes[39] = 0;
        bytes[46..48].fill(0);
        bytes[48..64].fill(0);
        bytes
    };
    let file = [bare(256), bare(1024), bare(512)].concat();
    let found: Vec<_> = Scanner::new(&file)
        .map(|item| match item {
            ScanItem::Record { record, .. } => (record.length(), record.decode().unwrap().samples),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    let samples = Samples::Int32(vec![5, 6, 7]);
    assert_eq!(found, [(256, samples.clone()), (1024, samples.clone()), (512, samples)]);
}

#[test]
fn control_headers_of_a_full_seed_volume_are_passed_over_wherever_they_stand() {
    let control = |kind: u8| {
        let mut bytes = vec![b' '; 512];
        bytes[..8].copy_from_slice(b"000001  ");
        bytes[6] = kind;
        bytes[8..20].copy_from_slice(b"0100095 02.4");
        bytes
    };
    let data = record_2(&[1, 2, 3], |_| ());
    let file = [control(b'V'), control(b'A'), control(b'S'), data.clone(), control(b'T'), data].concat();
    let found: Vec<_> = Scanner::new(&file)
        .map(|item| match item {
            ScanItem::Record { offset, .. } => ("record", offset),
            ScanItem::ControlHeaders { offset, .. } => ("control", offset),
            ScanItem::Problem { offset, .. } => ("problem", offset),
        })
        .collect();
    assert_eq!(found, [("control", 0), ("record", 1536), ("control", 2048), ("record", 2560)]);
}

// 7

#[test]
fn blockette_chains_that_do_not_rise_or_leave_the_record_are_refused() {
    for (next, broken) in [(48_u16, 56), (40, 56), (57, 56), (600, 600)] {
        let bytes = record_2(&[1], |bytes| bytes[58..60].copy_from_slice(&next.to_be_bytes()));
        let outcome = Record::parse(&bytes);
        match next {
            // Behind the record: the chain just ends there.
            600 => assert_eq!(outcome.unwrap().sample_count, 1),
            _ => assert_eq!(outcome.unwrap_err(), RecordError::BlocketteChain { offset: broken }, "{next}"),
        }
    }
}

#[test]
fn data_that_begin_in_the_header_or_behind_the_record_are_refused() {
    for offset in [0_u16, 40, 513, u16::MAX] {
        let bytes = record_2(&[1], |bytes| bytes[44..46].copy_from_slice(&offset.to_be_bytes()));
        let error = Record::parse(&bytes).unwrap_err();
        assert_eq!(error, RecordError::DataOffset { offset: offset.into(), length: 512 });
    }
}

#[test]
fn a_record_without_samples_is_a_record_whatever_its_data_offset() {
    let bytes = record_2(&[1], |bytes| {
        bytes[30..32].fill(0);
        bytes[44..46].fill(0);
    });
    let record = Record::parse(&bytes).unwrap();
    assert!(record.decode().unwrap().samples.is_empty());
    assert_eq!(record.last_sample_ns(), record.start_ns);
}

#[test]
fn a_record_longer_than_its_file_and_bytes_behind_the_last_record_are_problems_with_a_place() {
    let mut file = [record_2(&[1], |_| ()), record_2(&[2], |_| ())].concat();
    file.truncate(1000);
    let found: Vec<_> = Scanner::new(&file).collect();
    let expected = RecordError::Truncated { expected: 512, available: 488 };
    assert!(
        matches!(&found[1], ScanItem::Problem { offset: 512, length: 488, reason } if *reason == expected)
    );
    let file = [record_2(&[1], |_| ()), b"tail".to_vec()].concat();
    let found: Vec<_> = Scanner::new(&file).collect();
    assert!(matches!(&found[1], ScanItem::Problem { offset: 512, length: 4, .. }));
}

#[test]
fn blank_sequence_numbers_and_bytes_beyond_ascii_in_codes_are_survived() {
    let bytes = record_2(&[1], |bytes| {
        bytes[..6].fill(b' ');
        bytes[8] = 0xe9;
    });
    let record = Record::parse(&bytes).unwrap();
    assert_eq!((record.sequence_number(), record.source_id()), (None, "FDSN:XX_?EST__H_H_Z"));
    assert_eq!(Record::parse(&record_2(&[1], |_| ())).unwrap().sequence_number(), Some(1));
}

// 8

/// A Steim record of one frame: codes and the words behind them (the first two are X0 and Xn).
fn steim_frame(encoding: Encoding, count: u16, codes: u32, words: &[u32]) -> Vec<u8> {
    record_2(&[0], |bytes| {
        bytes[30..32].copy_from_slice(&count.to_be_bytes());
        bytes[52] = encoding.code();
        bytes[64..].fill(0);
        bytes[64..68].copy_from_slice(&codes.to_be_bytes());
        for (index, word) in words.iter().enumerate() {
            bytes[68 + 4 * index..72 + 4 * index].copy_from_slice(&word.to_be_bytes());
        }
    })
}

#[test]
fn the_first_difference_belongs_to_the_previous_record_and_x0_wins() {
    // Word 3: differences 99, 1, 1, 1.
    let bytes = steim_frame(Encoding::Steim1, 4, 1 << 24, &[10, 13, 0x6301_0101]);
    let decoded = Record::parse(&bytes).unwrap().decode().unwrap();
    assert_eq!((decoded.samples, decoded.mismatch), (Samples::Int32(vec![10, 11, 12, 13]), None));
}

#[test]
fn a_last_sample_that_is_not_xn_is_told_and_the_samples_stay() {
    let bytes = steim_frame(Encoding::Steim1, 4, 1 << 24, &[10, 14, 0x0001_0101]);
    let decoded = Record::parse(&bytes).unwrap().decode().unwrap();
    let mismatch = decoded.mismatch.unwrap();
    assert_eq!((mismatch.decoded, mismatch.promised, decoded.samples.len()), (13, 14, 4));
}

#[test]
fn undefined_steim_2_codes_are_an_error_only_before_the_last_sample() {
    for top in [0_u32, 3] {
        // Code 2 with top bits 0, code 3 with top bits 3.
        let code = if top == 0 { 2 } else { 3 };
        let words = [10, 13, 0x0001_0101, top << 30];
        let bytes = steim_frame(Encoding::Steim2, 5, 1 << 24 | code << 22, &words);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.decode(), Err(DecodeError::SteimControl { frame: 0 }));
        let bytes = steim_frame(Encoding::Steim2, 4, 1 << 24 | code << 22, &words);
        assert_eq!(Record::parse(&bytes).unwrap().decode().unwrap().samples.len(), 4);
    }
}

#[test]
fn steim_sums_wrap() {
    let words = [i32::MAX.cast_unsigned(), i32::MIN.cast_unsigned(), 0x0000_0001];
    let bytes = steim_frame(Encoding::Steim1, 2, 2 << 24, &words);
    let decoded = Record::parse(&bytes).unwrap().decode().unwrap();
    assert_eq!((decoded.samples, decoded.mismatch), (Samples::Int32(vec![i32::MAX, i32::MIN]), None));
}

#[test]
fn too_few_differences_are_an_error_that_counts_them() {
    let bytes = steim_frame(Encoding::Steim1, 9, 1 << 24, &[10, 13, 0x0001_0101]);
    let mut samples = Samples::default();
    let outcome = Record::parse(&bytes).unwrap().decode_into(&mut samples);
    assert_eq!(outcome, Err(DecodeError::TooFewSamples { decoded: 4, expected: 9 }));
    assert_eq!(samples.len(), 4);
}

// 9

#[test]
fn text_is_text_and_never_samples() {
    let bytes = record_2(&[0], |bytes| {
        bytes[52] = 0;
        bytes[30..32].copy_from_slice(&5_u16.to_be_bytes());
        bytes[64..72].copy_from_slice(b"clock\r\n ");
    });
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.text(), Some(&b"clock"[..]));
    assert_eq!(record.encoding.sample_type(), None);
    assert!(record.decode().unwrap().samples.is_empty());
    let refused = record.append_int32(&mut Vec::new());
    assert_eq!(refused, Err(DecodeError::SampleType { encoding: Encoding::Text }));
}

#[test]
fn encodings_that_nobody_describes_are_refused_with_their_reason() {
    for (code, word) in [
        (15, "US National"),
        (17, "Graefenberg"),
        (18, "Strasbourg"),
        (19, "Steim 3"),
        (20, ""),
        (31, "HGLP"),
        (33, "RSTN"),
        (100, "opaque"),
        (99, "not define"),
    ] {
        let bytes = record_2(&[1], |bytes| bytes[52] = code);
        let error = Record::parse(&bytes).unwrap().decode().unwrap_err();
        assert_eq!(error, DecodeError::Encoding { code });
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn integers_of_24_bits_keep_their_sign_in_both_orders() {
    for (order, bytes) in
        [(1, [0xff, 0xff, 0xfe, 0x01, 0x00, 0x00]), (0, [0xfe, 0xff, 0xff, 0x00, 0x00, 0x01])]
    {
        let bytes = record_2(&[0], |record| {
            record[31] = 2;
            record[52..54].copy_from_slice(&[2, order]);
            record[64..70].copy_from_slice(&bytes);
        });
        let decoded = Record::parse(&bytes).unwrap().decode().unwrap();
        assert_eq!(decoded.samples, Samples::Int32(vec![-2, 65_536]));
    }
}

// 10

#[test]
fn nanoseconds_of_miniseed_3_and_microseconds_of_miniseed_2_are_exact() {
    for (format_version, start_ns) in
        [(FormatVersion::Three, START_NS + 123_456_789), (FormatVersion::Two, START_NS + 123_456_000)]
    {
        let settings = PackSettings { start_ns, format_version, ..settings(100.0) };
        let bytes = pack(&settings, &[1, 2][..]).unwrap().remove(0);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!((record.start_ns, record.last_sample_ns()), (start_ns, start_ns + 10_000_000));
    }
}

// 11

#[test]
fn a_clock_that_drifts_by_many_samples_a_day_makes_no_gap() {
    // 100 samples a record, each record 0.4 samples later than the one before promises.
    let samples = [7; 100];
    let records: Vec<_> = (0..500)
        .map(|index| {
            let settings = PackSettings { start_ns: START_NS + index * 1_004_000_000, ..settings(100.0) };
            pack(&settings, &samples[..]).unwrap().remove(0)
        })
        .collect();
    assert_eq!(segments(&records), [(START_NS, 50_000)]);
}

// 14

#[test]
fn a_rate_that_jitters_stays_one_segment_and_rate_zero_joins_nothing() {
    let record = |index: i64, rate_hz: f64| {
        let start_ns = START_NS + index * 1_000_000_000;
        let settings = PackSettings { start_ns, record_length: 1024, ..settings(rate_hz) };
        pack(&settings, &[7; 100][..]).unwrap().remove(0)
    };
    let records = [record(0, 100.0), record(1, 99.9999), record(2, 100.0), record(3, 100.0001)];
    assert_eq!(segments(&records), [(START_NS, 400)]);
    let zero = record_2(&[1, 2], |bytes| bytes[32..34].fill(0));
    assert_eq!(segments(&[zero.clone(), zero]).len(), 2);
}

// 15

#[test]
fn a_blank_location_is_empty_and_zero_zero_is_not_blank() {
    for (location, id) in [
        (*b"  ", "FDSN:XX_TEST__H_H_Z"),
        ([0, 0], "FDSN:XX_TEST__H_H_Z"),
        (*b"00", "FDSN:XX_TEST_00_H_H_Z"),
        (*b"--", "FDSN:XX_TEST__H_H_Z"),
        (*b"- ", "FDSN:XX_TEST_-_H_H_Z"),
    ] {
        let bytes = record_2(&[1], |bytes| bytes[13..15].copy_from_slice(&location));
        assert_eq!(Record::parse(&bytes).unwrap().source_id(), id);
    }
    let long = format!("FDSN:XX_TEST_--_H_{}_Z", "G".repeat(40));
    for (written, read) in [
        ("FDSN:XX_TEST_--_H_H_Z", "FDSN:XX_TEST__H_H_Z"),
        ("FDSN:NETWORK8_STATION8_--_H_GPS_", "FDSN:NETWORK8_STATION8__H_GPS_"),
        ("FDSN:XX_TEST_00_H_H_Z", "FDSN:XX_TEST_00_H_H_Z"),
        ("FDSN:XX_--_00_H_H_Z", "FDSN:XX_--_00_H_H_Z"),
        (&long, &long),
    ] {
        let settings = PackSettings {
            format_version: FormatVersion::Three,
            ..PackSettings::new(written, START_NS, 1.0)
        };
        let bytes = pack(&settings, &[1][..]).unwrap().remove(0);
        assert_eq!(Record::parse(&bytes).unwrap().source_id(), read);
    }
}

// Blockettes beyond the header's own

#[test]
fn clocks_detections_calibrations_and_opaque_bytes_are_told() {
    let time = [0x07, 0xe7, 0x01, 0x3e, 22, 13, 20, 0, 0, 5];
    let mut bytes =
        pack(&PackSettings { record_length: 1024, ..settings(100.0) }, &[1][..]).unwrap().remove(0);
    let mut at = 64;
    let mut put = |code: u16, length: usize, fill: &dyn Fn(&mut [u8])| {
        bytes[at..at + 2].copy_from_slice(&code.to_be_bytes());
        let next = if code == 2000 { 0 } else { at + length };
        bytes[at + 2..at + 4].copy_from_slice(&u16::try_from(next).unwrap().to_be_bytes());
        fill(&mut bytes[at..at + length]);
        at += length;
    };
    put(200, 52, &|body| {
        body[4..8].copy_from_slice(&80.5_f32.to_be_bytes());
        body[18..28].copy_from_slice(&time);
        body[28..34].copy_from_slice(b"ALLEN ");
    });
    put(390, 28, &|body| {
        body[4..14].copy_from_slice(&time);
        body[16..20].copy_from_slice(&25_000_u32.to_be_bytes());
    });
    put(500, 200, &|body| {
        body[8..18].copy_from_slice(&time);
        body[18..20].copy_from_slice(&[(-3_i8).cast_unsigned(), 90]);
        body[40..43].copy_from_slice(b"GPS");
    });
    put(2000, 40, &|body| {
        body[4..8].copy_from_slice(&[0, 40, 0, 30]);
        body[11] = 9;
        body[14] = 2;
        body[15..30].copy_from_slice(b"ID~log~        ");
    });
    bytes[58..60].copy_from_slice(&64_u16.to_be_bytes());
    bytes[44..46].copy_from_slice(&512_u16.to_be_bytes());
    bytes[39] = 6;
    let record = Record::parse(&bytes).unwrap();
    let codes: Vec<_> = record.blockettes().map(|blockette| (blockette.code, blockette.offset)).collect();
    assert_eq!(codes, [(1000, 48), (1001, 56), (200, 64), (390, 116), (500, 144), (2000, 344)]);
    let contents: Vec<_> = record.blockettes().filter_map(|blockette| blockette.content()).collect();
    let time_ns = Some(START_NS + 500_000);
    assert!(
        matches!(&contents[0], BlocketteContent::EventDetection { onset_ns, amplitude: 80.5, detector, .. }
        if *onset_ns == time_ns && detector == "ALLEN")
    );
    assert_eq!(contents[1], BlocketteContent::Calibration { time_ns, duration_s: Some(2.5) });
    assert!(
        matches!(&contents[2], BlocketteContent::Timing { time_ns, reception_quality: 90, clock_model, .. }
        if *time_ns == Some(START_NS + 497_000) && clock_model == "GPS")
    );
    let fields = vec!["ID".to_owned(), "log".to_owned()];
    assert_eq!(contents[3], BlocketteContent::Opaque { record_number: 9, fields, length: 10 });
}

#[test]
fn each_of_neighbouring_bad_records_is_a_problem_of_its_own_however_the_input_is_cut() {
    let bad_hour = record_2(&[2], |bytes| bytes[24] = 99);
    let bad_length = record_2(&[3], |bytes| bytes[54] = 60);
    let file = [
        record_2(&[1], |_| ()),
        bad_hour.clone(),
        bad_length,
        bad_hour,
        b"foreign bytes, of which nobody knows where one thing ends".to_vec(),
        record_2(&[4], |_| ()),
    ];
    let mut places = Vec::new();
    for part in &file {
        places.push((
            places.last().map_or(0, |(offset, length): &(u64, u64)| offset + length),
            part.len() as u64,
        ));
    }
    // What cannot be told from the record before it belongs to that.
    let (_, tail) = places.remove(4);
    places[3].1 += tail;
    let bytes = file.concat();
    let extents = |found: Vec<ScanItem<'_>>| -> Vec<(u64, u64)> {
        let extent = |item: &ScanItem<'_>| match item {
            ScanItem::Record { offset, record } => (*offset, record.length() as u64),
            ScanItem::Problem { offset, length, .. } | ScanItem::ControlHeaders { offset, length } => {
                (*offset, *length)
            }
        };
        found.iter().map(extent).collect()
    };
    assert_eq!(extents(Scanner::new(&bytes).collect()), places);
}
