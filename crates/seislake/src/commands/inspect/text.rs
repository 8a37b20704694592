//! The report as text: one line a segment, then what is odd.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use seislake_model::Timestamp;

use super::findings::Findings;
use super::{FileReport, Report};

/// Lines of a list; the JSON has more.
const LINES_MAX: usize = 20;

pub(super) fn describe(report: &Report) -> String {
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
