//! What is in miniSEED or SEED files, and what is wrong with them.
//!
//! ```text
//! paths ─ walk, as an import does ─► files, on all cores, each by `mseed` ─► JSON, or text: a line a segment, then what is odd
//! ```

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::path::PathBuf;

use rayon::prelude::*;
use seislake_model::Timestamp;
use seislake_mseed::inspect::{FileReport, Findings, Problem, inspect};
use serde::Serialize;

use crate::Error;
use crate::error::Cause;
use crate::source::packed::documents;
use crate::source::walk::{Candidate, walk};

/// Lines of a list; the JSON has more.
const LINES_MAX: usize = 20;

/// What is in files. Its JSON form is a promise to scripts.
#[derive(Debug, Default, Serialize)]
pub struct Inspection {
    /// Path after path as they are named, within a directory in the order of their paths.
    pub files: Vec<FileReport>,
    /// Files of directories that hold no record and do not claim to.
    #[serde(skip)]
    pub skipped_count: usize,
}

/// Words for what a file is, by its first bytes, where it is no miniSEED.
type Recognise = fn(&[u8]) -> Option<String>;

/// Examines the files that `paths` stand for; `recognise` names formats that are not read.
///
/// # Errors
/// As [`walk`], and where a file that was named cannot be read.
pub fn inspect_files(paths: &[PathBuf], recognise: Recognise) -> Result<Inspection, Error> {
    let mut inspection = Inspection::default();
    for path in paths {
        let candidates = walk(std::slice::from_ref(path))?;
        let files: Vec<_> = candidates
            .par_iter()
            .map(|candidate| inspect_file(candidate, recognise))
            .collect::<Result<_, Error>>()?;
        inspection.skipped_count += files.iter().filter(|found: &&Vec<_>| found.is_empty()).count();
        inspection.files.extend(files.into_iter().flatten());
    }
    Ok(inspection)
}

/// A file, or the members of an archive. Nothing for a file of a directory that is not miniSEED. One that cannot be read
/// is an error where it was named, and a problem of its own in a directory.
fn inspect_file(candidate: &Candidate, recognise: Recognise) -> Result<Vec<FileReport>, Error> {
    let name = candidate.path.display().to_string();
    match documents(&candidate.path) {
        Ok(documents) => {
            let files = documents.into_iter().map(|(name, bytes)| examine(name, &bytes, recognise));
            Ok(files.filter(|file| file.records > 0 || candidate.claims_to_hold_records()).collect())
        }
        Err(error) if candidate.named => Err(Error::io(format!("cannot read \"{name}\""), error)),
        Err(error) => {
            let mut file = inspect(name, &[]);
            let reason = format!("the file cannot be read: {error}");
            file.problems.push(Problem { offset: 0, reason, length: None });
            Ok(vec![file])
        }
    }
}

/// What a file holds; one without records may be of another kind that has a name.
fn examine(name: String, bytes: &[u8], recognise: Recognise) -> FileReport {
    let mut file = inspect(name, bytes);
    if file.records == 0
        && let Some(format) = recognise(bytes)
    {
        let reason = format!("not miniSEED: {format}");
        file.problems.insert(0, Problem { offset: 0, reason, length: None });
    }
    file
}

impl Inspection {
    /// Records in all files.
    pub fn record_count(&self) -> usize {
        self.files.iter().map(|file| file.records).sum()
    }

    /// The inspection for reading.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let _ = writeln!(
                text,
                "{}: {} records, {} segments, {} problems",
                file.path,
                file.records,
                file.segments.len(),
                file.problems.len()
            );
            describe_segments(&mut text, file);
            describe_findings(&mut text, &file.findings);
            describe_steps(&mut text, file);
            list(&mut text, &file.problems, |problem| {
                let extent = problem.length.map_or_else(String::new, |length| format!(" ({length} bytes)"));
                format!("at byte {}: {}{extent}", problem.offset, problem.reason)
            });
        }
        text
    }
}

fn describe_segments(text: &mut String, file: &FileReport) {
    for segment in &file.segments {
        let _ = writeln!(
            text,
            "  {:<24} {}  {}  {:>9} samples  {} Hz  {}",
            segment.source_id,
            Timestamp::from_nanos(segment.start_ns),
            Timestamp::from_nanos(segment.end_ns),
            segment.sample_count,
            segment.rate_hz,
            segment.encoding
        );
    }
}

fn describe_findings(text: &mut String, findings: &Findings) {
    counts(text, "format", &findings.format_versions);
    counts(text, "record length", &findings.record_lengths);
    counts(text, "encoding", &findings.encodings);
    counts(text, "byte order", &findings.byte_orders);
    counts(text, "quality", &findings.qualities);
    counts(text, "blockettes", &findings.blockettes);
    counts(text, "flags", &findings.flags);
    if let Some(quality) = &findings.timing_quality {
        let (min, mean, max) = (quality.min, quality.mean, quality.max);
        let _ = writeln!(
            text,
            "  timing quality: {min} to {max} %, mean {mean:.1} ({} records)",
            quality.records
        );
    }
    if findings.time_corrections > 0 {
        let _ = writeln!(text, "  time corrections: {} records", findings.time_corrections);
    }
    list(text, &findings.control_headers, |extent| {
        format!("at byte {}: {} bytes of control headers", extent.offset, extent.length)
    });
    list(text, &findings.leap_seconds, |leap| {
        let announced = leap.announced.map_or_else(String::new, |sign| format!(", {sign} one announced"));
        let within = if leap.starts_in_leap_second { ", starts in second 60" } else { "" };
        format!("at byte {}: leap second in {}{announced}{within}", leap.offset, leap.source_id)
    });
    list(text, &findings.texts, |entry| {
        let time = Timestamp::from_nanos(entry.start_ns);
        format!(
            "at byte {}: {} {time}: {}",
            entry.offset,
            entry.source_id,
            entry.text.replace(char::is_control, " ")
        )
    });
    list(text, &findings.events, |event| {
        let time = event.time_ns.map_or_else(String::new, |time| format!(" {}", Timestamp::from_nanos(time)));
        format!(
            "at byte {}: {} {}{time}: {}",
            event.offset,
            event.source_id,
            event.kind,
            event.description.replace(char::is_control, " ")
        )
    });
}

fn describe_steps(text: &mut String, file: &FileReport) {
    list(text, &file.gaps, |gap| {
        let (count, time) = (counted(gap.sample_count), Timestamp::from_nanos(gap.after_ns));
        format!("{}: gap of {count} after {time}", gap.source_id)
    });
    list(text, &file.overlaps, |overlap| {
        let (count, time) = (counted(overlap.sample_count), Timestamp::from_nanos(overlap.start_ns));
        let agreement = if overlap.equal { "equal" } else { "different" };
        format!("{}: overlap of {count}, {agreement}, from {time}", overlap.source_id)
    });
    if file.duplicates > 0 {
        let _ = writeln!(text, "  {} records are there twice", file.duplicates);
    }
}

fn counted(sample_count: u64) -> String {
    format!("{sample_count} sample{}", if sample_count == 1 { "" } else { "s" })
}

fn counts<K: Display>(text: &mut String, name: &str, counts: &BTreeMap<K, u64>) {
    if counts.is_empty() {
        return;
    }
    let words: Vec<String> = counts.iter().map(|(key, count)| format!("{key} × {count}")).collect();
    let _ = writeln!(text, "  {name}: {}", words.join(", "));
}

fn list<T>(text: &mut String, entries: &[T], line: impl Fn(&T) -> String) {
    for entry in entries.iter().take(LINES_MAX) {
        let _ = writeln!(text, "  {}", line(entry));
    }
    if entries.len() > LINES_MAX {
        let _ = writeln!(text, "  … and {} more (--json lists them)", entries.len() - LINES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use seislake_mseed::{PackSettings, pack, pack_text};
    use serde_json::json;

    use super::*;

    /// Two records with a gap of a second between them, foreign bytes and a log record.
    fn file() -> Vec<u8> {
        let settings = |id: &str, start_s: i64| PackSettings::new(id, start_s * 1_000_000_000, 1.0);
        let record = |start_s: i64, samples: &[i32]| {
            pack(&settings("FDSN:XX_TEST__L_H_Z", start_s), samples).unwrap().concat()
        };
        let mut locked = record(1_700_000_004, &[5, 6]);
        locked[37] = 0x20;
        let log = pack_text(&settings("FDSN:XX_TEST__L_O_G", 1_700_000_000), b"clock is off").unwrap();
        [record(1_700_000_000, &[1, 2, 3]), locked, b"foreign bytes".to_vec(), log.concat()].concat()
    }

    #[test]
    fn a_directory_stands_for_its_files_in_order_and_foreign_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("2023")).unwrap();
        let contents: [(&str, &[u8]); 5] = [
            ("2023/b.D.2023.318", &file()),
            ("2023/a.D.2023.318", &file()),
            ("empty.mseed", b""),
            ("notes.txt", b"nothing of ours"),
            ("z.mseed", b"foreign bytes"),
        ];
        contents.iter().for_each(|(name, bytes)| std::fs::write(root.join(name), bytes).unwrap());
        let recognise = |bytes: &[u8]| bytes.starts_with(b"foreign").then(|| "a foreign format".to_owned());
        let whole = inspect_files(&[root.join("z.mseed"), root.to_owned()], recognise).unwrap();
        let found: Vec<_> = whole
            .files
            .iter()
            .map(|file| (file.path.strip_prefix(&format!("{}/", root.display())).unwrap(), file.records))
            .collect();
        let (a, b) = (("2023/a.D.2023.318", 3), ("2023/b.D.2023.318", 3));
        assert_eq!(found, [("z.mseed", 0), a, b, ("empty.mseed", 0), ("z.mseed", 0)]);
        assert_eq!((whole.skipped_count, whole.record_count()), (1, 6));
        assert_eq!(whole.files[0].problems[0].reason, "not miniSEED: a foreign format");
        // A file in a directory is told as if it had been named.
        let named = inspect_files(&[root.join("2023/a.D.2023.318")], recognise).unwrap();
        assert_eq!(json!(named.files[0]), json!(whole.files[1]));
        assert!(inspect_files(&[root.join("none")], recognise).is_err());
    }

    #[test]
    fn the_text_names_the_place_of_every_problem() {
        let files = vec![examine("a.mseed".to_owned(), &file(), |_| None)];
        let text = Inspection { files, skipped_count: 0 }.text();
        assert!(text.starts_with("a.mseed: 3 records, "), "{text}");
        for line in
            ["at byte 1024: bytes are no miniSEED record", "clock is off", "clock locked", "gap of 1 sample"]
        {
            assert!(text.contains(line), "no \"{line}\" in\n{text}");
        }
    }
}
