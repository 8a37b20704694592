//! Size of real recordings in the table: as they are, and tiled to whole days.
//!
//! A recording repeated as it is compresses to next to nothing, because its repetitions fall into one page, and a page
//! is what zstd sees. So a tiled day takes the recordings of all channels in turn, and in the next turns negated,
//! reversed, and both: what the differences look like stays, where they stand does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use seislake_mseed::{SampleType, Samples, ScanItem, Scanner};

use super::input::{DAY_SAMPLES, Input, RATE_HZ};
use crate::measure::{Measure, import, run_command};
use crate::{read_back, tell};

/// Channel-days made of the recordings.
const TILED_DAYS: usize = 8;
/// A page holds 256 kB, at less than a byte a sample of the quietest channels, and one row more.
const RECURRENCE_SAMPLES_MIN: usize = 1 << 19;
/// Sizes of the tables, to those of their records.
const RATIO_TARGET: f64 = 0.80;

/// What is done to all recordings in one turn.
type Turn = fn(&[i32], &mut Vec<i32>);

const TURNS: [Turn; 4] = [
    |recording, day| day.extend_from_slice(recording),
    |recording, day| day.extend(recording.iter().map(|sample| sample.saturating_neg())),
    |recording, day| day.extend(recording.iter().rev()),
    |recording, day| day.extend(recording.iter().rev().map(|sample| sample.saturating_neg())),
];

pub(crate) fn run(folder: &Path, recordings: &Path, channel_days: usize) -> anyhow::Result<Vec<Measure>> {
    let mut measures = vec![size(
        &folder.join("recordings-as-they-are"),
        recordings,
        "recordings as they are: waveform.segments, size".to_owned(),
    )?];
    let channels = read(recordings)?;
    if channels.is_empty() {
        tell(&format!("\"{}\" holds no channel of counts at {RATE_HZ} Hz to tile", recordings.display()));
        return Ok(measures);
    }
    let cycle_samples: usize = channels.iter().map(Vec::len).sum();
    let recurrence = cycle_samples * TURNS.len();
    let days = channel_days.min(TILED_DAYS);
    let tiled = Input::make(folder.join("tiled"), days, 512, |day| tiled_day(&channels, day))?;
    let label = format!(
        "recordings of {} channels tiled to {days} days, again after {:.1} M: size",
        channels.len(),
        recurrence as f64 / 1e6
    );
    let measure = size(&folder.join("recordings-tiled"), &tiled.folder, label)?;
    tiled.remove()?;
    if recurrence < RECURRENCE_SAMPLES_MIN {
        tell("the recordings are so short that their repetitions fall into one page: that size says nothing");
        measures.push(Measure { target: None, holds: None, ..measure });
    } else {
        measures.push(measure);
    }
    Ok(measures)
}

/// Imports, compacts, and sets the table beside the records it was made of.
fn size(home: &Path, records: &Path, label: String) -> anyhow::Result<Measure> {
    import(home, &["--archive-only".to_owned()], records)?;
    run_command(&["maintain", "compact", "--all", "--home", &home.display().to_string()])?;
    let (stored, original) = (read_back::stored_bytes(home)?, read_back::record_bytes(home)?);
    ensure!(original > 0.0, "\"{}\" holds no miniSEED", records.display());
    fs::remove_dir_all(home)?;
    Ok(Measure::new(label, stored / 1e6, "MB").beside("miniSEED", original / 1e6).at_most(RATIO_TARGET))
}

/// Counts of every channel at [`RATE_HZ`], in order of time, records that are there twice once.
fn read(folder: &Path) -> anyhow::Result<Vec<Vec<i32>>> {
    let mut channels = BTreeMap::<String, BTreeMap<i64, Vec<i32>>>::new();
    for file in files_below(folder)? {
        let bytes = fs::read(&file).with_context(|| format!("cannot read \"{}\"", file.display()))?;
        for scanned in Scanner::new(&bytes) {
            let ScanItem::Record { record, .. } = scanned else { continue };
            let counts = record.encoding.sample_type() == Some(SampleType::Int32);
            if !counts || record.rate_hz() != RATE_HZ {
                continue;
            }
            let mut samples = Samples::default();
            // Records that cannot be decoded are no measure of size; the import names them.
            if record.decode_into(&mut samples).is_ok()
                && let Samples::Int32(samples) = samples
            {
                channels.entry(record.source_id().to_string()).or_default().insert(record.start_ns, samples);
            }
        }
    }
    Ok(channels.into_values().map(|records| records.into_values().flatten().collect()).collect())
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read \"{}\"", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// Day `index`, which begins with another recording than its neighbours.
fn tiled_day(channels: &[Vec<i32>], index: usize) -> Vec<i32> {
    let mut day = Vec::with_capacity(DAY_SAMPLES);
    let mut next = index * channels.len() / TILED_DAYS;
    while day.len() < DAY_SAMPLES {
        let (turn, channel) = (next / channels.len(), next % channels.len());
        TURNS[turn % TURNS.len()](&channels[channel], &mut day);
        next += 1;
    }
    day.truncate(DAY_SAMPLES);
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiled_day_repeats_no_stretch_before_all_turns_were_taken() {
        let channels = [(1..=5).collect::<Vec<i32>>(), (11..=17).collect()];
        let day = tiled_day(&channels, 0);
        assert_eq!(day.len(), DAY_SAMPLES);
        assert_eq!(day[..12], [1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(day[12..17], [-1, -2, -3, -4, -5]);
        assert_eq!(day[24..29], [5, 4, 3, 2, 1]);
        assert_eq!(day[36..41], [-5, -4, -3, -2, -1]);
        assert_eq!(day[48..60], day[..12], "the cycle is closed");
        assert_eq!(tiled_day(&channels, TILED_DAYS / 2)[..2], [11, 12], "another day begins elsewhere");
    }
}
