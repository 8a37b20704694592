//! `export` gives back the samples that were imported, bit for bit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seislake_mseed::{FormatVersion, PackSettings, Samples, ScanItem, Scanner, TraceList, pack, pack_text};

use crate::seislake::{run, succeed, synthetic_archive, text};

/// Every file below `folder`, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Start and samples of each gapless segment, by channel.
fn traces(files: &[PathBuf]) -> BTreeMap<(String, i64), Samples> {
    let mut list = TraceList::new();
    for file in files {
        for scanned in Scanner::new(&std::fs::read(file).unwrap()) {
            match scanned {
                ScanItem::Record { record, .. } => list.add(&record, &record.decode().unwrap().samples),
                other => panic!("{}: {other:?}", file.display()),
            }
        }
    }
    let segments = list.into_segments().into_iter();
    segments.map(|segment| ((segment.source_id, segment.start_ns), segment.samples)).collect()
}

#[test]
fn exported_waveforms_are_those_that_were_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (records, stations) = synthetic_archive(folder.path(), 3);
    let home = folder.path().join("home");
    succeed(&["import", "--home", text(&home), "--stations", text(&stations), "--", text(&records)]);
    let imported = traces(&files(&records));
    assert!(imported.len() >= 30, "{}", imported.len());

    let file = folder.path().join("all");
    for format in ["mseed", "mseed3", "raw"] {
        succeed(&["export", "--home", text(&home), "--format", format, "--output", text(&file)]);
        assert!(traces(std::slice::from_ref(&file)) == imported, "{format}");
    }

    let archive = folder.path().join("sds");
    for _again in 0..2 {
        succeed(&["export", "--home", text(&home), "--format", "sds", "--output", text(&archive)]);
        assert!(traces(&files(&archive)) == imported, "sds");
    }
    let (source_id, _) = imported.keys().next().unwrap();
    let codes: Vec<&str> = source_id.trim_start_matches("FDSN:").splitn(4, '_').collect();
    let (network, station, channel) = (codes[0], codes[1], codes[3].replace('_', ""));
    let place = format!("{network}/{station}/{channel}.D/{network}.{station}.{}.{channel}.D.", codes[2]);
    assert!(files(&archive).iter().any(|path| text(path).contains(&place)), "no file {place}");

    let pattern = format!("{network}.{station}.*.*");
    let arguments = ["export", "--home", text(&home), "--format", "mseed", "--source", &pattern];
    succeed(&[&arguments[..], &["--output", text(&file)]].concat());
    let some = traces(std::slice::from_ref(&file));
    let expected = imported.keys().filter(|key| key.0.contains(&format!("_{station}_")));
    assert!(some.keys().eq(expected) && !some.is_empty());

    let refused = run(&["export", "--home", text(&home), "--format", "sds"]);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("needs --output DIRECTORY"), "{errors}");
}

/// Generations of the text records of these files, and what they say.
fn texts(files: &[PathBuf]) -> (Vec<FormatVersion>, String) {
    let (mut versions, mut said) = (Vec::new(), String::new());
    for file in files {
        for scanned in Scanner::new(&std::fs::read(file).unwrap()) {
            let ScanItem::Record { record, .. } = scanned else { panic!("{}: {scanned:?}", file.display()) };
            if let Some(text) = record.text() {
                versions.push(record.format_version);
                said.push_str(std::str::from_utf8(text).unwrap());
            }
        }
    }
    (versions, said)
}

#[test]
fn texts_of_log_channels_are_exported_with_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (records, home) = (folder.path().join("records.mseed"), folder.path().join("home"));
    let start_ns = 1_700_000_000_000_000_000;
    let samples = PackSettings::new("FDSN:XX_A__H_H_Z", start_ns, 100.0);
    let log = PackSettings::new("FDSN:XX_A__L_O_G", start_ns, 1.0);
    let said = "2023-11-14 22:13:20 clock locked, phase error -3 µs\r\n".repeat(30);
    let mut bytes = pack(&samples, [1, 2, 3].as_slice()).unwrap();
    bytes.extend(pack_text(&log, said.as_bytes()).unwrap());
    assert!(bytes.len() > 3, "the text needs several records");
    std::fs::write(&records, bytes.concat()).unwrap();
    succeed(&["import", "--archive-only", "--home", text(&home), "--", text(&records)]);

    let file = folder.path().join("all");
    for (format, version) in [("mseed", FormatVersion::Two), ("mseed3", FormatVersion::Three)] {
        succeed(&["export", "--home", text(&home), "--format", format, "--output", text(&file)]);
        let (versions, found) = texts(std::slice::from_ref(&file));
        assert!(versions.iter().all(|found| *found == version), "{versions:?}");
        assert_eq!(found, said, "{format}");
    }
    let archive = folder.path().join("sds");
    succeed(&["export", "--home", text(&home), "--format", "sds", "--output", text(&archive)]);
    let day = archive.join("2023/XX/A/LOG.D/XX.A..LOG.D.2023.318");
    assert_eq!(std::fs::read(day).unwrap(), bytes[1..].concat());
    for (source, expected) in [("XX.A.*.LOG", said.as_str()), ("FDSN:XX_A__H_H_Z", "")] {
        let arguments = ["export", "--home", text(&home), "--format", "mseed", "--source", source];
        succeed(&[&arguments[..], &["--output", text(&file)]].concat());
        assert_eq!(texts(std::slice::from_ref(&file)).1, expected, "{source}");
    }
    let later = ["--from", "2023-11-14T22:13:21Z", "--output", text(&file)];
    let nothing = run(&[&["export", "--home", text(&home), "--format", "mseed"], &later[..]].concat());
    assert!(!nothing.status.success(), "neither samples nor texts lie there");
}
