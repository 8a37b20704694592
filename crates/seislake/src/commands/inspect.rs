//! `seislake inspect`: what is in miniSEED or SEED files, and what is wrong with them.
//!
//! ```text
//! paths ─ walk, as import does ─► files, on all cores, each by `mseed` ─► JSON, or text: a line a segment, then what is odd
//! ```

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use rayon::prelude::*;
use seislake_exchange::known_formats::recognise;
use seislake_model::Timestamp;
use seislake_mseed::inspect::{self, FileReport, Findings, Problem};
use seislake_streams::source::packed::documents;
use seislake_streams::source::walk::{Candidate, walk};
use serde::Serialize;

use crate::terminal::{print_result, tell};

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake inspect --json IU.ANMO.mseed")]
pub(crate) struct InspectArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files and directories; a directory stands for the files that an import of it would read.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// Lines of a list; the JSON has more.
const LINES_MAX: usize = 20;

#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let (report, skipped_count) = inspect_all(&args.paths)?;
    if skipped_count > 0 {
        tell(&format!("{skipped_count} files of directories hold no records and were passed over"));
    }
    if args.json {
        print_result(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        print_result(&describe(&report))?;
    }
    let record_count: usize = report.files.iter().map(|file| file.records).sum();
    if record_count == 0 {
        bail!("no miniSEED record was found");
    }
    Ok(())
}

/// The report of all files, path after path as they are named, within a directory in the order of their paths; and the
/// count of files in directories that hold no record and do not claim to.
fn inspect_all(paths: &[PathBuf]) -> anyhow::Result<(Report, usize)> {
    let (mut report, mut skipped_count) = (Report { files: Vec::new() }, 0);
    for path in paths {
        let candidates = walk(std::slice::from_ref(path))?;
        let files: Vec<_> = candidates.par_iter().map(inspect_file).collect::<anyhow::Result<_>>()?;
        skipped_count += files.iter().filter(|found: &&Vec<_>| found.is_empty()).count();
        report.files.extend(files.into_iter().flatten());
    }
    Ok((report, skipped_count))
}

/// A file, or the members of an archive. Nothing for a file of a directory that is not miniSEED. One that cannot be read
/// is an error where it was named, and a problem of its own in a directory.
fn inspect_file(candidate: &Candidate) -> anyhow::Result<Vec<FileReport>> {
    let name = candidate.path.display().to_string();
    match documents(&candidate.path) {
        Ok(documents) => {
            let files = documents.into_iter().map(|(name, bytes)| examine(name, &bytes));
            Ok(files.filter(|file| file.records > 0 || candidate.claims_to_hold_records()).collect())
        }
        Err(error) if candidate.named => Err(error).with_context(|| format!("cannot read \"{name}\"")),
        Err(error) => {
            let mut file = examine(name, &[]);
            let reason = format!("the file cannot be read: {error}");
            file.problems.push(Problem { offset: 0, reason, length: None });
            Ok(vec![file])
        }
    }
}

/// What a file holds; one without records may be of another kind that has a name.
fn examine(name: String, bytes: &[u8]) -> FileReport {
    let mut file = inspect::inspect(name, bytes);
    if file.records == 0
        && let Some(format) = recognise(bytes)
    {
        file.problems
            .insert(0, Problem { offset: 0, reason: format!("not miniSEED: {format}"), length: None });
    }
    file
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
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
    use seislake_mseed::{PackSettings, pack};
    use serde_json::json;

    use super::*;

    /// Three records with a gap of a second before the last, a doubled record, a log record and foreign bytes.
    fn file() -> Vec<u8> {
        let record = |start_s: i64, samples: &[i32]| {
            let start_ns = 1_700_000_000_000_000_000 + start_s * 1_000_000_000;
            let settings = PackSettings {
                timing_quality: Some(90),
                ..PackSettings::new("FDSN:XX_TEST__L_H_Z", start_ns, 1.0)
            };
            pack(&settings, samples).unwrap().remove(0)
        };
        let mut log = record(0, &[1]);
        log[15..18].copy_from_slice(b"LOG");
        log[52] = 0;
        log[30..32].copy_from_slice(&[0, 12]);
        log[64..76].copy_from_slice(b"clock is off");
        let mut locked = record(3, &[4, 5]);
        locked[37] = 0x20;
        let mut announced = record(6, &[7]);
        announced[36] = 0x10;
        [record(0, &[1, 2, 3]), locked, record(3, &[4, 5]), b"foreign bytes".to_vec(), log, announced]
            .concat()
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
        let (report, skipped_count) = inspect_all(&[root.join("z.mseed"), root.to_owned()]).unwrap();
        let found: Vec<_> = report
            .files
            .iter()
            .map(|file| (file.path.strip_prefix(&format!("{}/", root.display())).unwrap(), file.records))
            .collect();
        let (a, b) = (("2023/a.D.2023.318", 5), ("2023/b.D.2023.318", 5));
        assert_eq!(found, [("z.mseed", 0), a, b, ("empty.mseed", 0), ("z.mseed", 0)]);
        assert_eq!(skipped_count, 1);
        // A file in a directory is told as if it had been named.
        let (named, _) = inspect_all(&[root.join("2023/a.D.2023.318")]).unwrap();
        assert_eq!(json!(named.files[0]), json!(report.files[1]));
        assert!(inspect_all(&[root.join("none")]).is_err());
    }

    #[test]
    fn the_text_names_the_place_of_every_problem() {
        let text = describe(&Report { files: vec![examine("a.mseed".to_owned(), &file())] });
        assert!(text.starts_with("a.mseed: 5 records, "), "{text}");
        for line in
            ["at byte 1536: bytes are no miniSEED record", "clock is off", "clock locked", "gap of 1 sample"]
        {
            assert!(text.contains(line), "no \"{line}\" in\n{text}");
        }
    }
}
