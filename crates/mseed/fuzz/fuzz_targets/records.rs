//! Any bytes as one record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_mseed::{Record, SampleType, Samples};

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::parse(bytes) else { return };
    assert!(record.length() <= bytes.len());
    let _ = (record.source_id(), record.text(), record.leap_second(), record.starts_in_leap_second());
    let _ = (record.rate_hz(), record.period_ns(), record.last_sample_ns(), record.sequence_number());
    let _ = (record.time_correction_ns(), record.flags.names(record.format_version).count());
    record.blockettes().for_each(|blockette| drop(blockette.content()));
    let mut samples = Samples::default();
    let outcome = record.decode_into(&mut samples);
    // The smallest difference has 4 bits.
    assert!(samples.len() <= 2 * bytes.len() + 1);
    if outcome.is_ok() && record.encoding.sample_type() == Some(SampleType::Int32) {
        let mut out = vec![7];
        assert_eq!(record.append_int32(&mut out), outcome);
        assert_eq!(out.len(), samples.len() + 1);
    }
});
