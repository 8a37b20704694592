//! Any bytes behind the fixed header of a record of 512 bytes; the first two are the offset of the first blockette.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_mseed::{PackSettings, Record, Scanner, pack};

fuzz_target!(|input: &[u8]| {
    let Some((first, chain)) = input.split_first_chunk::<2>() else { return };
    let settings = PackSettings::new("FDSN:XX_TEST__H_H_Z", 0, 100.0);
    let mut bytes = pack(&settings, &[1, 2, 3][..]).unwrap().concat();
    bytes.extend_from_within(..);
    bytes[46..48].copy_from_slice(first);
    bytes[56..512].iter_mut().zip(chain).for_each(|(to, from)| *to = *from);
    if let Ok(record) = Record::parse(&bytes) {
        let mut before = 0;
        for blockette in record.blockettes() {
            assert!(blockette.offset > before && blockette.offset + blockette.bytes.len() <= record.length());
            before = blockette.offset;
            let _ = (blockette.name(), blockette.content());
        }
        let _ = record.decode();
    }
    Scanner::new(&bytes).for_each(drop);
});
