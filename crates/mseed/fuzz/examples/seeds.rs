//! Writes the first corpus of every target: records of our own packer, whole, cut and bare.

use std::fs;

use seislake_mseed::{Encoding, FormatVersion, PackSettings, pack};

fn main() -> std::io::Result<()> {
    let samples: Vec<i32> = (0..700).map(|i| (i * 7919) % 4001 - 2000 + (i % 13) * 90_000).collect();
    let singles: Vec<f32> = samples.iter().map(|value| *value as f32).collect();
    let encodings = [Encoding::Steim1, Encoding::Steim2, Encoding::Int16, Encoding::Int32, Encoding::Float32];
    let mut archive = vec![0, 1];
    for version in [FormatVersion::Two, FormatVersion::Three] {
        for encoding in encodings {
            let settings = PackSettings {
                format_version: version,
                encoding,
                record_length: 256,
                timing_quality: Some(98),
                ..PackSettings::new("FDSN:XX_TEST_00_H_H_Z", 1_700_000_000_123_456_000, 40.0 / 3.0)
            };
            let records = match encoding {
                Encoding::Float32 => pack(&settings, &singles[..100]),
                Encoding::Int16 => pack(&settings, &[-5, 300, -32_768, 32_767][..]),
                _ => pack(&settings, &samples[..300]),
            };
            let records = records.map_err(std::io::Error::other)?;
            for (index, record) in records.iter().enumerate().take(2) {
                let name = format!("{version:?}-{encoding}-{index}");
                write("records", &name, record)?;
                write("scanner", &name, &[&[100, 0], &record[..]].concat())?;
                archive.extend_from_slice(record);
                if version == FormatVersion::Two {
                    write("blockettes", &name, &[&[0, 48], &record[56..]].concat())?;
                    write("steim", &name, &[&[(encoding.code() & 1) | 2, 0, 200], &record[128..]].concat())?;
                }
            }
        }
    }
    write("scanner", "archive", &archive)?;
    let words: Vec<u8> = samples.iter().flat_map(|value| value.to_le_bytes()).collect();
    (0..6_u8).try_for_each(|kind| write("round_trip", &kind.to_string(), &[&[kind, kind * 3, kind], &words[..]].concat()))
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&folder)?;
    fs::write(format!("{folder}/{name}"), bytes)
}
