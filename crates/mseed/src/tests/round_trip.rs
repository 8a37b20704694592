//! What is packed is read back: samples, times, rates; and how segments join.

use proptest::prelude::*;

use crate::{
    DecodeError, Encoding, FormatVersion, PackError, PackSettings, Quality, Record, SampleSlice, SampleType,
    Samples, ScanItem, Scanner, TraceList, TraceSegment, pack,
};

const START_NS: i64 = 1_337_000_000_123_456_000;

fn segments(bytes: &[u8]) -> Vec<TraceSegment> {
    let mut traces = TraceList::new();
    for item in Scanner::new(bytes) {
        let ScanItem::Record { record, .. } = item else { panic!("unexpected {item:?}") };
        let decoded = record.decode().unwrap();
        assert_eq!(decoded.mismatch, None);
        traces.add(&record, &decoded.samples);
    }
    traces.into_segments()
}

fn settings(version: FormatVersion, encoding: Encoding, record_length: usize) -> PackSettings {
    let mut settings = PackSettings::new("FDSN:XX_TEST__B_H_Z", START_NS, 100.0);
    settings.format_version = version;
    settings.encoding = encoding;
    settings.record_length = record_length;
    settings
}

fn check<'a>(settings: &PackSettings, samples: impl Into<SampleSlice<'a>>, expected: Samples) {
    let records = pack(settings, samples).unwrap();
    assert!(records.iter().all(|record| match settings.format_version {
        FormatVersion::Two => record.len() == settings.record_length,
        FormatVersion::Three => record.len() <= settings.record_length,
    }));
    let found = segments(&records.concat());
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|s| (s.start_ns, s.end_ns)).collect::<Vec<_>>());
    assert_eq!(found[0].samples, expected);
    assert_eq!(found[0].start_ns, START_NS);
    assert_eq!(found[0].sample_count, expected.len() as u64);
}

fn versions() -> impl Strategy<Value = FormatVersion> {
    prop_oneof![Just(FormatVersion::Two), Just(FormatVersion::Three)]
}

/// Walks whose steps need 4 to 32 bits.
fn counts() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec((any::<i32>(), 0..32_u32), 1..2500).prop_map(|steps| {
        let walk = steps.into_iter().scan(0_i32, |value, (step, shift)| {
            *value = value.wrapping_add(step >> shift);
            Some(*value)
        });
        walk.collect()
    })
}

/// Walks whose steps need few bits, as recordings do.
fn quiet_counts() -> impl Strategy<Value = Vec<i32>> {
    (prop::collection::vec(any::<i32>(), 1..4000), 10..28_u32).prop_map(|(steps, shift)| {
        let walk = steps.into_iter().scan(-5_i32, |value, step| {
            *value = value.wrapping_add(step >> shift);
            Some(*value)
        });
        walk.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn counts_come_back(
        samples in prop_oneof![counts(), quiet_counts()],
        version in versions(),
        encoding in prop_oneof![Just(Encoding::Steim1), Just(Encoding::Steim2), Just(Encoding::Int32)],
        exponent in 8..13_u32,
    ) {
        check(&settings(version, encoding, 1 << exponent), &samples[..], Samples::Int32(samples.clone()));
    }

    #[test]
    fn short_counts_come_back(samples in prop::collection::vec(any::<i16>(), 1..2000), version in versions()) {
        let samples: Vec<i32> = samples.into_iter().map(i32::from).collect();
        check(&settings(version, Encoding::Int16, 512), &samples[..], Samples::Int32(samples.clone()));
    }

    #[test]
    fn single_precision_comes_back(samples in prop::collection::vec(-1e9_f32..1e9, 1..600), version in versions()) {
        check(&settings(version, Encoding::Float32, 512), &samples[..], Samples::Float32(samples.clone()));
    }

    #[test]
    fn double_precision_comes_back(samples in prop::collection::vec(-1e9..1e9, 1..600), version in versions()) {
        check(&settings(version, Encoding::Float64, 512), &samples[..], Samples::Float64(samples.clone()));
    }

    #[test]
    fn rates_come_back_to_single_precision(rate_hz in 1e-4..1e5) {
        let mut settings = settings(FormatVersion::Two, Encoding::Steim2, 512);
        settings.rate_hz = rate_hz;
        let records = pack(&settings, &[1, 2, 3][..]).unwrap();
        let found = Record::parse(&records[0]).unwrap().rate_hz();
        prop_assert!((found / rate_hz - 1.0).abs() < 6e-8, "{} for {}", found, rate_hz);
    }

    #[test]
    fn segments_do_not_depend_on_the_order_of_records(samples in quiet_counts(), keys in prop::collection::vec(any::<u32>(), 200)) {
        let mut records = pack(&settings(FormatVersion::Two, Encoding::Steim1, 256), &samples[..]).unwrap();
        let mut keys = keys.into_iter().cycle();
        records.sort_by_cached_key(|_| keys.next());
        let found = segments(&records.concat());
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].samples, &Samples::Int32(samples));
    }
}

#[test]
fn common_rates_are_exact() {
    for rate_hz in [
        0.01,
        0.1,
        1.0,
        12.5,
        31.25,
        40.0,
        62.5,
        99.99,
        100.0,
        125.0,
        33.0 / 7.0,
        1000.0,
        65_536.0,
        100_000.0,
    ] {
        let mut settings = settings(FormatVersion::Two, Encoding::Steim2, 512);
        settings.rate_hz = rate_hz;
        let records = pack(&settings, &[1, 2, 3][..]).unwrap();
        assert_eq!(Record::parse(&records[0]).unwrap().rate_hz(), rate_hz);
    }
}

#[test]
fn headers_come_back() {
    let mut settings = settings(FormatVersion::Three, Encoding::Steim2, 512);
    settings.quality = Quality::Version(3);
    settings.timing_quality = Some(87);
    settings.start_ns += 789;
    let records = pack(&settings, &[1, 2, 3][..]).unwrap();
    let record = Record::parse(&records[0]).unwrap();
    assert_eq!((record.quality, record.timing_quality), (Quality::Version(3), Some(87)));
    assert_eq!(
        (record.start_ns, record.last_sample_ns()),
        (settings.start_ns, settings.start_ns + 20_000_000)
    );
    settings.format_version = FormatVersion::Two;
    let records = pack(&settings, &[1, 2, 3][..]).unwrap();
    let record = Record::parse(&records[0]).unwrap();
    assert_eq!((record.quality, record.timing_quality), (Quality::Letter('Q'), Some(87)));
    assert_eq!(record.start_ns, START_NS + 1000);
    assert_eq!(record.source_id(), "FDSN:XX_TEST__B_H_Z");
}

#[test]
fn what_cannot_be_written_is_refused() {
    let settings = settings(FormatVersion::Two, Encoding::Int16, 512);
    assert_eq!(pack(&settings, &[0, 40_000][..]), Err(PackError::OutOfRange { index: 1, value: 40_000 }));
    let odd = PackSettings { record_length: 1000, ..settings.clone() };
    assert_eq!(pack(&odd, &[1][..]), Err(PackError::RecordLength { length: 1000 }));
    let long = PackSettings { source_id: "FDSN:XX_STATION__B_H_Z".into(), ..settings.clone() };
    assert!(matches!(pack(&long, &[1][..]), Err(PackError::SourceId(_))));
    assert!(matches!(pack(&settings, &[1.0_f64][..]), Err(PackError::Encoding { .. })));
    assert_eq!(pack(&settings, &[0_i32; 0][..]), Ok(Vec::new()));
}

/// Records of four samples at 1 Hz that start at these seconds.
fn joined(starts_s: &[f64]) -> Vec<(f64, u64)> {
    let record = |start_s: &f64| {
        let mut settings = settings(FormatVersion::Three, Encoding::Int32, 512);
        settings.rate_hz = 1.0;
        settings.start_ns = (start_s * 1e9) as i64;
        pack(&settings, &[1, 2, 3, 4][..]).unwrap().remove(0)
    };
    let bytes: Vec<u8> = starts_s.iter().flat_map(record).collect();
    segments(&bytes).iter().map(|s| (s.start_ns as f64 / 1e9, s.sample_count)).collect()
}

#[test]
fn records_join_within_half_a_sample_of_the_previous_end() {
    assert_eq!(joined(&[0.0, 4.5, 9.0]), [(0.0, 12)]);
    assert_eq!(joined(&[0.0, 4.6]), [(0.0, 4), (4.6, 4)]);
    assert_eq!(joined(&[0.0, 3.4]), [(0.0, 4), (3.4, 4)]);
}

#[test]
fn a_late_record_heals_its_gap() {
    assert_eq!(joined(&[0.0, 8.0, 4.0]), [(0.0, 12)]);
    assert_eq!(joined(&[8.0, 4.0, 0.0, 20.0]), [(0.0, 12), (20.0, 4)]);
}

#[test]
fn duplicates_stay_beside_their_original() {
    assert_eq!(joined(&[0.0, 4.0, 0.0, 4.0]), [(0.0, 8), (0.0, 8)]);
}

#[test]
fn gain_ranged_encodings_follow_their_formulas() {
    let cases: [(Encoding, [u8; 2], Samples); 6] = [
        (Encoding::Cdsn, [0x1f, 0xff], Samples::Int32(vec![0])),
        (Encoding::Cdsn, [0xe0, 0x00], Samples::Int32(vec![128])),
        (Encoding::Sro, [0x0f, 0xff], Samples::Int32(vec![-1024])),
        (Encoding::Sro, [0xa0, 0x07], Samples::Int32(vec![7])),
        (Encoding::Dwwssn, [0xff, 0xfe], Samples::Int32(vec![-2])),
        (Encoding::Geoscope163, [0x18, 0x01], Samples::Float32(vec![0.5])),
    ];
    for (encoding, bytes, expected) in cases {
        let mut record =
            pack(&settings(FormatVersion::Two, Encoding::Int16, 512), &[0][..]).unwrap().remove(0);
        record[52] = encoding.code();
        record[64..66].copy_from_slice(&bytes);
        assert_eq!(Record::parse(&record).unwrap().decode().unwrap().samples, expected, "{encoding}");
    }
}

#[test]
fn records_are_appended_to_one_buffer_and_an_error_leaves_it_as_it_was() {
    let samples: Vec<i32> = (0..3000).map(|i| (i * 7919) % 4001 - 2000).collect();
    let mut records = pack(&settings(FormatVersion::Two, Encoding::Steim2, 512), &samples[..]).unwrap();
    let mut out = Vec::with_capacity(samples.len());
    let memory = out.as_ptr();
    for bytes in &records {
        let record = Record::parse(bytes).unwrap();
        assert_eq!(record.encoding.sample_type(), Some(SampleType::Int32));
        assert_eq!(record.append_int32(&mut out), Ok(None));
    }
    assert_eq!(out, samples);
    assert_eq!(out.as_ptr(), memory, "room for the samples was enough");
    // Codes of the second frame become 2 with top bits 0: undefined.
    records[0][128..132].copy_from_slice(&0x2aaa_aaaa_u32.to_be_bytes());
    records[0][132..136].fill(0);
    let record = Record::parse(&records[0]).unwrap();
    assert_eq!(record.append_int32(&mut out), Err(DecodeError::SteimControl { frame: 1 }));
    assert_eq!(out, samples);
    let mut singles = vec![1.0_f32];
    let wrong = record.append_float32(&mut singles);
    assert_eq!(wrong, Err(DecodeError::SampleType { encoding: Encoding::Steim2 }));
    assert_eq!(singles, [1.0]);
}
