//! Any bytes as Steim frames: first byte scheme and byte order, two bytes sample count, the rest frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_mseed::{PackSettings, Record, Samples, pack};

fuzz_target!(|input: &[u8]| {
    let Some(([kind, high, low], frames)) = input.split_first_chunk::<3>() else { return };
    let settings = PackSettings { record_length: 4096, ..PackSettings::new("FDSN:XX_TEST__H_H_Z", 0, 100.0) };
    let mut bytes = pack(&settings, &[1, 2][..]).unwrap().remove(0);
    bytes[30..32].copy_from_slice(&[*high, *low]);
    bytes[52] = 10 + (kind & 1);
    bytes[53] = kind >> 1 & 1;
    bytes[64..].iter_mut().zip(frames.iter().chain(std::iter::repeat(&0))).for_each(|(to, from)| *to = *from);
    let record = Record::parse(&bytes).unwrap();
    let mut samples = Samples::default();
    let outcome = record.decode_into(&mut samples);
    let mut out = vec![i32::MIN; 3];
    assert_eq!(record.append_int32(&mut out), outcome);
    let Samples::Int32(samples) = samples else { unreachable!() };
    match outcome {
        Ok(_) => assert_eq!((out.len(), &out[3..]), (3 + record.sample_count as usize, &samples[..])),
        Err(_) => assert_eq!(out, [i32::MIN; 3]),
    }
});
