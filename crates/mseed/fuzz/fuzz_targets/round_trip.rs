//! Any samples: packed, scanned, decoded and joined again; and any text, packed and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_mseed::{
    Encoding, FormatVersion, PackSettings, Samples, ScanItem, Scanner, TraceList, pack, pack_text,
};

fuzz_target!(|input: &[u8]| {
    let Some(([kind, shift, length], bytes)) = input.split_first_chunk::<3>() else { return };
    let samples: Vec<i32> =
        bytes.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word) >> (shift % 32)).collect();
    if samples.is_empty() {
        return;
    }
    let mut settings = PackSettings::new("FDSN:XX_TEST_00_H_H_Z", 1_700_000_000_123_456_000, 100.0);
    settings.encoding = [Encoding::Steim1, Encoding::Steim2, Encoding::Int32][usize::from(kind % 3)];
    settings.format_version = if kind & 64 == 0 { FormatVersion::Two } else { FormatVersion::Three };
    settings.record_length = 256 << (length % 6);
    if kind & 32 != 0 {
        let packed = pack_text(&settings, bytes).unwrap().concat();
        let texts = Scanner::new(&packed).map(|item| match item {
            ScanItem::Record { record, .. } => record.text().unwrap().to_vec(),
            other => panic!("{other:?}"),
        });
        assert_eq!(texts.collect::<Vec<_>>().concat(), bytes);
    }
    let packed = pack(&settings, &samples[..]).unwrap().concat();
    let mut traces = TraceList::new();
    for item in Scanner::new(&packed) {
        let ScanItem::Record { record, .. } = item else { panic!("{item:?}") };
        let decoded = record.decode().unwrap();
        assert_eq!(decoded.mismatch, None);
        traces.add(&record, &decoded.samples);
    }
    let segments = traces.into_segments();
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].samples, Samples::Int32(samples));
});
