//! Where Steim cannot hold a difference, and text: what the packer does about records.

use proptest::prelude::*;

use crate::{Encoding, FormatVersion, PackError, PackSettings, Record, Samples, TraceList, pack, pack_text};

const START_NS: i64 = 1_700_000_000_000_000_000;

fn settings(version: FormatVersion, encoding: Encoding) -> PackSettings {
    PackSettings {
        format_version: version,
        encoding,
        ..PackSettings::new("FDSN:XX_TEST__H_H_Z", START_NS, 100.0)
    }
}

/// Encoding of each record, and the samples in it; what they hold together must be `samples`, gapless.
fn packed(settings: &PackSettings, samples: &[i32]) -> Vec<(Encoding, Vec<i32>)> {
    let mut traces = TraceList::new();
    let mut records = Vec::new();
    for bytes in pack(settings, samples).unwrap() {
        let record = Record::parse(&bytes).unwrap();
        let decoded = record.decode().unwrap();
        assert_eq!(decoded.mismatch, None);
        traces.add(&record, &decoded.samples);
        let Samples::Int32(samples) = decoded.samples else { panic!("{:?}", decoded.samples) };
        records.push((record.encoding, samples));
    }
    let segments = traces.into_segments();
    assert_eq!(segments.len(), 1);
    assert_eq!((segments[0].start_ns, &segments[0].samples), (START_NS, &Samples::Int32(samples.to_vec())));
    records
}

fn quiet(count: i32) -> Vec<i32> {
    (0..count).map(|i| (i.wrapping_mul(7919)) % 401 - 200).collect()
}

/// Samples whose difference to the one before Steim cannot hold in so many bits.
fn breaks(samples: &[i32], bits: u32) -> usize {
    let limit = 1_i64 << (bits - 1);
    let differences = samples.iter().zip(&samples[1..]).map(|(a, b)| i64::from(*b) - i64::from(*a));
    differences.filter(|difference| !(-limit..limit).contains(difference)).count()
}

#[test]
fn a_difference_of_exactly_30_bits_fits_steim_2_and_one_more_begins_a_record() {
    let lengths = |samples: &[i32]| -> Vec<usize> {
        let records = packed(&settings(FormatVersion::Two, Encoding::Steim2), samples);
        assert!(records.iter().all(|(encoding, _)| *encoding == Encoding::Steim2));
        records.iter().map(|(_, samples)| samples.len()).collect()
    };
    assert_eq!(lengths(&[0, (1 << 29) - 1, 0]), [3]);
    assert_eq!(lengths(&[0, -(1 << 29), -1]), [3]);
    assert_eq!(lengths(&[0, 1 << 29, 1 << 29]), [1, 2]);
    assert_eq!(lengths(&[0, -(1 << 29) - 1, -2]), [1, 2]);
    assert_eq!(lengths(&[i32::MIN, i32::MAX]), [1, 1]);
}

#[test]
fn a_step_and_a_spike_cost_a_record_each_time_and_change_no_encoding() {
    for version in [FormatVersion::Two, FormatVersion::Three] {
        for (encoding, height) in [(Encoding::Steim1, i32::MAX), (Encoding::Steim2, 1 << 30)] {
            let mut samples = quiet(20_000);
            let plain = packed(&settings(version, encoding), &samples).len();
            samples[..5000].iter_mut().for_each(|sample| *sample = sample.abs() - height);
            samples[5000..].iter_mut().for_each(|sample| *sample += 1000);
            samples[12_000] = i32::MAX;
            samples[12_001..].iter_mut().for_each(|sample| *sample -= 2000);
            let records = packed(&settings(version, encoding), &samples);
            assert!(records.iter().all(|(found, _)| *found == encoding));
            assert!(records.len() <= plain + 3, "{} for {plain}", records.len());
            let ends = records.iter().scan(0, |end, (_, samples)| {
                *end += samples.len();
                Some(*end)
            });
            let starts: Vec<usize> = ends.collect();
            let expected: &[usize] =
                if encoding == Encoding::Steim2 { &[5000, 12_000, 12_001] } else { &[5000, 12_001] };
            assert!(expected.iter().all(|start| starts.contains(start)), "{encoding}: {starts:?}");
        }
    }
}

#[test]
fn dense_large_differences_are_written_as_integers_and_only_they() {
    for version in [FormatVersion::Two, FormatVersion::Three] {
        let wild = (0..1000).map(|i| if i % 2 == 0 { i32::MIN + i } else { i32::MAX - i });
        let samples = [quiet(5000), wild.collect(), quiet(5000)].concat();
        let records = packed(&settings(version, Encoding::Steim2), &samples);
        let integers: usize = records
            .iter()
            .filter(|(encoding, _)| *encoding == Encoding::Int32)
            .map(|(_, samples)| samples.len())
            .sum();
        // All of the wild ones, at most a record more at either side, at most three left over.
        assert!((997..1250).contains(&integers), "{integers} samples as integers");
        let alone = records.iter().filter(|(_, samples)| samples.len() < 10).count();
        assert!(alone <= 4, "{alone} records nearly empty");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_of_integers_stand_only_where_steim_would_break_off_again_and_again(
        steps in prop::collection::vec(-4000..4000_i32, 1..3000),
        jumps in prop::collection::vec((any::<prop::sample::Index>(), any::<i32>()), 0..60),
        spread in 1..40_usize,
        three in any::<bool>(),
        one in any::<bool>(),
        exponent in 7..13_u32,
    ) {
        let mut steps = steps;
        let count = steps.len();
        for (index, jump) in jumps {
            // Jumps in heaps, and alone.
            let at = index.index(count) / spread * spread;
            steps[(at + jump.unsigned_abs() as usize % 4).min(count - 1)] = jump;
        }
        let samples: Vec<i32> = steps.iter().scan(0_i32, |value, step| {
            *value = value.wrapping_add(*step);
            Some(*value)
        }).collect();
        let version = if three { FormatVersion::Three } else { FormatVersion::Two };
        let (encoding, bits) = if one { (Encoding::Steim1, 32) } else { (Encoding::Steim2, 30) };
        let settings = PackSettings { record_length: 1 << exponent, ..settings(version, encoding) };
        for (found, samples) in packed(&settings, &samples) {
            match found {
                Encoding::Int32 => prop_assert!(breaks(&samples, bits) > 2),
                _ => prop_assert_eq!((found, breaks(&samples, bits)), (encoding, 0)),
            }
        }
    }

    #[test]
    fn text_comes_back_whatever_its_bytes(
        text in prop::collection::vec(any::<u8>(), 0..3000),
        three in any::<bool>(),
        exponent in 7..10_u32,
    ) {
        let version = if three { FormatVersion::Three } else { FormatVersion::Two };
        let settings = PackSettings { record_length: 1 << exponent, ..settings(version, Encoding::Text) };
        let records = pack_text(&settings, &text).unwrap();
        let found: Vec<u8> = records
            .iter()
            .flat_map(|bytes| Record::parse(bytes).unwrap().text().unwrap().to_vec())
            .collect();
        prop_assert_eq!(found, text);
    }
}

#[test]
fn a_long_text_is_split_between_characters_into_records_in_order() {
    let line = "2023-11-14 horloge réglée: dérive −3 µs, température 21 °C\r\n";
    let text = line.repeat(40);
    for version in [FormatVersion::Two, FormatVersion::Three] {
        let settings = PackSettings {
            sequence_number: 999_998,
            timing_quality: Some(40),
            ..settings(version, Encoding::Steim2)
        };
        let settings = PackSettings { source_id: "FDSN:XX_TEST__L_O_G".into(), ..settings };
        let records = pack_text(&settings, text.as_bytes()).unwrap();
        assert!(records.len() >= text.len() / 448, "{} records", records.len());
        let mut found = String::new();
        for (index, bytes) in records.iter().enumerate() {
            let record = Record::parse(bytes).unwrap();
            let header = (record.encoding, record.rate_hz(), record.start_ns, record.timing_quality);
            assert_eq!(header, (Encoding::Text, 0.0, START_NS, Some(40)));
            assert_eq!(
                (record.last_sample_ns(), record.source_id()),
                (START_NS, settings.source_id.as_str())
            );
            let sequence = (version == FormatVersion::Two).then_some((999_998 + index as u32) % 1_000_000);
            assert_eq!(record.sequence_number(), sequence);
            assert_eq!(record.decode().unwrap().samples, Samples::Int32(Vec::new()));
            found.push_str(std::str::from_utf8(record.text().unwrap()).unwrap());
        }
        assert_eq!(found, text);
    }
}

#[test]
fn no_text_is_no_record_and_a_record_without_room_is_refused() {
    let settings = settings(FormatVersion::Three, Encoding::Text);
    assert_eq!(pack_text(&settings, b""), Ok(Vec::new()));
    let id = format!("FDSN:XX_{}__L_O_G", "A".repeat(100));
    let narrow = PackSettings { record_length: 128, source_id: id, ..settings };
    assert_eq!(pack_text(&narrow, b"text"), Err(PackError::RecordLength { length: 128 }));
}
