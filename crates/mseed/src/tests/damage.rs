//! Whatever the bytes are: no panic, no endless loop, and the same records however the input was cut.

use proptest::prelude::*;

use crate::{
    ChunkEnd, Encoding, FormatVersion, PackSettings, Record, RecordError, SampleType, Samples, ScanItem,
    ScanState, Scanner, pack,
};

/// A small archive: both formats, several encodings.
fn archive() -> Vec<u8> {
    let samples: Vec<i32> = (0..900).map(|i| (i * 7919) % 4001 - 2000 + (i % 13) * 90_000).collect();
    let mut bytes = Vec::new();
    for (version, encoding) in [
        (FormatVersion::Two, Encoding::Steim2),
        (FormatVersion::Three, Encoding::Steim1),
        (FormatVersion::Two, Encoding::Int32),
        (FormatVersion::Three, Encoding::Int32),
        (FormatVersion::Two, Encoding::Steim1),
    ] {
        let mut settings = PackSettings::new("FDSN:XX_TEST_00_H_H_Z", 1_700_000_000_000_000_000, 100.0);
        settings.format_version = version;
        settings.encoding = encoding;
        bytes.extend(pack(&settings, &samples[..]).unwrap().concat());
    }
    bytes.extend(volume());
    bytes
}

/// The end of a full SEED volume: a control header and records without blockette 1000, of two lengths.
fn volume() -> Vec<u8> {
    let mut bytes = b"000001S 0520058ANMO".to_vec();
    bytes.resize(256, b' ');
    for record_length in [256, 1024, 256] {
        let mut settings = PackSettings::new("FDSN:XX_BARE__B_H_Z", 1_700_000_000_000_000_000, 20.0);
        (settings.encoding, settings.record_length) = (Encoding::Steim1, record_length);
        let mut record = pack(&settings, &[1, 2, 3][..]).unwrap().remove(0);
        record[39] = 0;
        record[46..64].fill(0);
        bytes.extend(record);
    }
    bytes
}

/// What a scan gave, as text, decoding everything; bytes of it all are accounted for exactly once.
fn scan_whole(bytes: &[u8]) -> Vec<String> {
    let mut samples = Samples::default();
    let mut next = 0;
    let found: Vec<String> = Scanner::new(bytes)
        .map(|item| {
            let (offset, length) = extent(&item);
            assert_eq!(offset, next, "bytes are skipped or told twice");
            next = offset + length;
            line(&item, &mut samples)
        })
        .collect();
    assert_eq!(next, bytes.len() as u64);
    found
}

fn extent(item: &ScanItem<'_>) -> (u64, u64) {
    match item {
        ScanItem::Record { offset, record } => (*offset, record.length() as u64),
        ScanItem::ControlHeaders { offset, length } | ScanItem::Problem { offset, length, .. } => {
            (*offset, *length)
        }
    }
}

fn line(item: &ScanItem<'_>, samples: &mut Samples) -> String {
    match item {
        ScanItem::Record { offset, record } => {
            let outcome = record.decode_into(samples);
            let id = record.source_id();
            format!("{offset} {id} {} {} {outcome:?}", record.length(), record.last_sample_ns())
        }
        ScanItem::ControlHeaders { offset, length } => format!("{offset} {length} control"),
        ScanItem::Problem { offset, length, reason } => format!("{offset} {length} {reason}"),
    }
}

fn scan_chunks(bytes: &[u8], chunk_length: usize) -> Vec<String> {
    let mut samples = Samples::default();
    let mut found = Vec::new();
    let mut buffer = Vec::new();
    let mut state = ScanState::default();
    let mut chunks = bytes.chunks(chunk_length).peekable();
    while let Some(chunk) = chunks.next() {
        buffer.extend_from_slice(chunk);
        let end = if chunks.peek().is_some() { ChunkEnd::More } else { ChunkEnd::Last };
        let mut scanner = Scanner::resume(&buffer, end, state);
        found.extend(scanner.by_ref().map(|item| line(&item, &mut samples)));
        let consumed = scanner.consumed();
        state = scanner.into_state();
        buffer.drain(..consumed);
    }
    assert!(buffer.is_empty());
    found
}

/// How an archive is broken: flips, a cut, foreign bytes.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40);
    let garbage = prop::collection::vec(any::<u8>(), 0..300);
    (flips, any::<prop::sample::Index>(), garbage, 0..1000_usize).prop_map(|(flips, at, garbage, cut)| {
        let mut bytes = archive();
        for (index, value) in flips {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        let at = at.index(bytes.len());
        bytes.splice(at..at, garbage);
        bytes.truncate(bytes.len() - cut);
        bytes
    })
}

/// Damage where it hurts: header bytes of the first record.
fn damaged_header() -> impl Strategy<Value = Vec<u8>> {
    let flips = prop::collection::vec((0..72_usize, any::<u8>()), 1..6);
    (flips, any::<bool>()).prop_map(|(flips, newer)| {
        let mut bytes = archive();
        if newer {
            let start = bytes.windows(3).position(|window| window == b"MS\x03").unwrap();
            bytes.drain(..start);
        }
        flips.into_iter().for_each(|(index, value)| bytes[index] = value);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_scanned_to_the_end(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        scan_whole(&bytes);
    }

    #[test]
    fn a_damaged_archive_is_scanned_to_the_end(bytes in damaged()) {
        scan_whole(&bytes);
    }

    #[test]
    fn a_damaged_header_is_survived(bytes in damaged_header()) {
        scan_whole(&bytes);
        let _ = Record::parse(&bytes).map(|record| record.decode());
    }

    #[test]
    fn any_payload_is_decoded_or_refused_and_appending_agrees(
        payload in prop::collection::vec(any::<u8>(), 448),
        code in 0..40_u8,
        order in 0..2_u8,
        count in any::<u16>(),
    ) {
        let mut bytes = pack(&PackSettings::new("FDSN:XX_TEST__H_H_Z", 0, 100.0), &[1][..]).unwrap().remove(0);
        bytes[52..54].copy_from_slice(&[code, order]);
        bytes[30..32].copy_from_slice(&count.to_be_bytes());
        bytes[64..].copy_from_slice(&payload);
        let record = Record::parse(&bytes).unwrap();
        let mut samples = Samples::default();
        let outcome = record.decode_into(&mut samples);
        // The smallest difference has 4 bits.
        prop_assert!(samples.len() <= 2 * payload.len());
        match record.encoding.sample_type() {
            Some(SampleType::Int32) => {
                let mut out = vec![5];
                prop_assert_eq!(record.append_int32(&mut out), outcome.clone());
                let appended = Samples::Int32(out.split_off(1));
                prop_assert_eq!(appended, if outcome.is_ok() { samples } else { Samples::default() });
            }
            Some(SampleType::Float32) => prop_assert_eq!(record.append_float32(&mut vec![0.5]).err(), outcome.err()),
            Some(SampleType::Float64) => prop_assert_eq!(record.append_float64(&mut vec![0.5]).err(), outcome.err()),
            None => prop_assert!(samples.is_empty()),
        }
    }

    #[test]
    fn a_scan_does_not_depend_on_how_the_input_was_cut(bytes in damaged(), chunk_length in 1..2000_usize) {
        prop_assert_eq!(scan_chunks(&bytes, chunk_length), scan_whole(&bytes));
    }
}

#[test]
fn a_lost_record_costs_only_itself() {
    let bytes = archive();
    let intact = scan_whole(&bytes);
    let mut damaged = bytes;
    damaged[512 + 6] = 0xff;
    let found = scan_whole(&damaged);
    assert_eq!(found[1], "512 512 bytes are no miniSEED record");
    assert_eq!((&found[..1], &found[2..]), (&intact[..1], &intact[2..]));
}

#[test]
fn a_self_pointing_blockette_is_refused() {
    let mut bytes = archive();
    // Blockette 1001 at 56 points to itself.
    bytes[59] = 56;
    assert!(matches!(Record::parse(&bytes), Err(RecordError::BlocketteChain { offset: 56 })));
}

#[test]
fn a_fraction_of_more_than_a_second_is_refused() {
    let mut bytes = archive();
    bytes[28..30].copy_from_slice(&[0xff, 0xff]);
    assert!(matches!(Record::parse(&bytes), Err(RecordError::StartTime { year: 2023, day: 318 })));
}

#[test]
fn false_headers_with_huge_lengths_do_not_stall_the_scan() {
    let mut header = b"MS\x03\0".to_vec();
    header.extend([0; 4]);
    header.extend(2020_u16.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend([0; 24]);
    header.extend((9_u32 << 20).to_le_bytes());
    let bytes = header.repeat(16 * 1024 * 1024 / header.len());
    // Each is a bad record of its own: who reads them says how many he wants.
    assert_eq!(Scanner::new(&bytes).count(), bytes.len() / 40);
}

#[test]
fn a_claimed_count_does_not_reserve_memory() {
    let mut settings = PackSettings::new("FDSN:XX_TEST__H_H_Z", 0, 100.0);
    settings.format_version = FormatVersion::Three;
    let mut bytes = pack(&settings, &[1, 2, 3][..]).unwrap().remove(0);
    bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    let crc = crate::v3::crc(&bytes);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    let error = Record::parse(&bytes).unwrap().decode().unwrap_err();
    assert_eq!(error.to_string(), "only 3 samples of 4294967295 could be decoded");
}

/// Found by fuzzing: a chain that ran on into the next record took the length from there, if that was at hand.
#[test]
fn a_second_blockette_1000_behind_the_record_does_not_tell_its_length() {
    let mut bytes = archive();
    // Foreign bytes before it make the scanner doubt; the chain goes on to 512 + 48, where a blockette 1000 lies.
    bytes[58..60].copy_from_slice(&560_u16.to_be_bytes());
    bytes[512 + 54] = 8;
    bytes.splice(0..0, *b"foreign");
    let whole = scan_whole(&bytes);
    assert!(whole[1].starts_with("7 FDSN:XX_TEST_00_H_H_Z 512 "), "{}", whole[1]);
    for chunk_length in [100, 530, 600] {
        assert_eq!(scan_chunks(&bytes, chunk_length), whole);
    }
}
