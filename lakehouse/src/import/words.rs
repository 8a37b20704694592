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
        Some(file) => {
            format!("the first of {}: {}", counted(planned.damaged_files.len(), "file"), file.reason)
        }
        None => match planned.skipped_files.first() {
            Some(path) => match recognised(path) {
                Some(format) => format!("\"{}\": {format}", path.display()),
                None => format!("none in {}", counted(planned.skipped_files.len(), "file")),
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
        let more = match hidden {
            0 => String::new(),
            1 => "1 more file is damaged; ".to_owned(),
            _ => format!("{hidden} more files are damaged; "),
        };
        let home = home.display();
        lines.push(format!("{more}`seislake dlq list --home {home}` counts what could not be used, and why"));
    }
    lines
}

/// A count and its noun, which agree.
fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

impl fmt::Display for Report {
    /// Lines: what was done, what the home holds now, and what is odd.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |name| self.rows.get(name).copied().unwrap_or(0);
        writeln!(
            f,
            "{} with {} ({} could not be used, {} without records passed over) in {:.1} s",
            counted(self.files, "file"),
            counted(self.records, "record"),
            self.refused_files,
            self.skipped_files,
            self.elapsed_s,
        )?;
        if self.station_count + self.channel_count > 0 {
            let (stations, channels) =
                (counted(self.station_count, "station"), counted(self.channel_count, "channel"));
            writeln!(f, "{stations} and {channels} taken from the station files")?;
        }
        let where_told = if self.new_dead_letters > 0 { " (`seislake dlq list` tells why)" } else { "" };
        writeln!(
            f,
            "{} with {} added ({:.2} M samples/s), {} there already, {}{where_told}",
            counted(self.accepted_records, "record"),
            counted(self.accepted_samples, "sample"),
            self.samples_per_s / 1e6,
            self.duplicate_records,
            counted(self.new_dead_letters, "new dead letter"),
        )?;
        writeln!(
            f,
            "the home holds {}, {}, {}, {}",
            counted(count("packets"), "packet"),
            counted(count("picks"), "pick"),
            counted(count("events"), "event"),
            counted(count("dead_letters"), "dead letter"),
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
    fn numbers_and_nouns_agree_and_dead_letters_say_where_they_are_told() {
        let one = Report {
            files: 1,
            records: 1,
            accepted_records: 1,
            accepted_samples: 1,
            new_dead_letters: 1,
            station_count: 1,
            channel_count: 3,
            rows: [("packets", 1), ("picks", 2)].into(),
            ..Report::default()
        };
        let told = one.to_string();
        for line in [
            "1 file with 1 record (0 could not be used, 0 without records passed over) in 0.0 s",
            "1 station and 3 channels taken from the station files",
            "1 record with 1 sample added (0.00 M samples/s), 0 there already, \
             1 new dead letter (`seislake dlq list` tells why)",
            "the home holds 1 packet, 2 picks, 0 events, 0 dead letters",
        ] {
            assert!(told.lines().any(|told| told == line), "\"{line}\" is missing in: {told}");
        }
        let nothing = Report::default().to_string();
        assert!(!nothing.contains("station") && !nothing.contains("dlq"), "{nothing}");
    }

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
