//! What the operator is told of an import, in words.

use std::fmt;
use std::path::Path;

use anyhow::anyhow;
use seislake_exchange::known_formats::{Format, HEAD_BYTES, recognise};
use seislake_streams::source::files::{DamagedFile, Plan};
use seislake_streams::source::packed::members;

use super::{Report, describe};

/// Damaged files that are named; the others are counted.
const DAMAGED_FILES_NAMED: usize = 10;

/// Why no record at all was read of an import that was given paths; `None` where one was.
#[must_use]
pub fn nothing_read(planned: &Plan) -> Option<anyhow::Error> {
    if planned.record_count > 0 {
        return None;
    }
    let reason = match planned.damaged_files.first() {
        Some(file) => format!("the first of {} files: {}", planned.damaged_files.len(), file.reason),
        None => match planned.skipped_files.first() {
            Some(path) => match recognised(path) {
                Some(format) => format!("\"{}\": {format}", path.display()),
                None => format!("{} files hold none", planned.skipped_files.len()),
            },
            None => "there are no files".to_owned(),
        },
    };
    Some(anyhow!("no miniSEED record was found: {reason}"))
}

/// What a file is, by its first bytes.
fn recognised(path: &Path) -> Option<Format> {
    recognise(&members(path).ok()?.first()?.head(HEAD_BYTES))
}

/// Lines that name the first damaged files and say where the rest stands.
#[must_use]
pub fn describe_damage(files: &[DamagedFile], home: &Path) -> Vec<String> {
    let line = |file: &DamagedFile| {
        let DamagedFile { name, record_count, problem_count, reason } = file;
        match record_count {
            0 => format!("\"{name}\" cannot be used: {reason}"),
            _ => format!(
                "\"{name}\" is damaged: good records {record_count}, problems {problem_count}, first: {reason}"
            ),
        }
    };
    let mut lines: Vec<String> = files.iter().take(DAMAGED_FILES_NAMED).map(line).collect();
    let hidden = files.len() - lines.len();
    if !files.is_empty() {
        let more = if hidden > 0 { format!("{hidden} more files are damaged; ") } else { String::new() };
        let home = home.display();
        lines.push(format!("{more}`seislake dlq list --home {home}` counts what could not be used, and why"));
    }
    lines
}

impl fmt::Display for Report {
    /// Lines: what was done, what the home holds now, and what is odd.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |name| self.rows.get(name).copied().unwrap_or(0);
        writeln!(
            f,
            "{} files with {} records ({} could not be used, {} without records passed over) in {:.1} s",
            self.files, self.records, self.refused_files, self.skipped_files, self.elapsed_s,
        )?;
        writeln!(
            f,
            "{} records with {} samples added ({:.2} M samples/s), {} were there already, {} new dead letters",
            self.accepted_records,
            self.accepted_samples,
            self.samples_per_s / 1e6,
            self.duplicate_records,
            self.new_dead_letters,
        )?;
        writeln!(
            f,
            "the home holds {} packets, {} picks, {} events, {} dead letters",
            count("packets"),
            count("picks"),
            count("events"),
            count("dead_letters"),
        )?;
        if !self.own_rows.is_empty() {
            let counts: Vec<String> =
                self.own_rows.iter().map(|(table, count)| format!("{count} in {table}")).collect();
            writeln!(f, "rows of stages of your own: {}", counts.join(", "))?;
        }
        self.reasons.iter().try_for_each(|reason| writeln!(f, "{reason}"))?;
        f.write_str(&describe(&self.unused_responses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_damaged_files_are_named_and_the_others_counted() {
        let file = |number: u64| DamagedFile {
            name: format!("{number}.mseed").into(),
            record_count: number,
            problem_count: 1,
            reason: "of no use".to_owned(),
        };
        let home = Path::new("home");
        assert_eq!(describe_damage(&[], home), Vec::<String>::new());
        let lines = describe_damage(&(0..12).map(file).collect::<Vec<_>>(), home);
        assert_eq!(lines.len(), DAMAGED_FILES_NAMED + 1);
        assert_eq!(lines[0], "\"0.mseed\" cannot be used: of no use");
        assert_eq!(lines[1], "\"1.mseed\" is damaged: good records 1, problems 1, first: of no use");
        assert!(
            lines[10].starts_with("2 more files are damaged; `seislake dlq list --home home`"),
            "{lines:?}"
        );
    }
}
