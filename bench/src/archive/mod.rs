//! `seislake-bench archive`: the archive measured on records made here.
//!
//! ```text
//! synthetic hour ─ shifted for each channel and hour ─┬► channel-days, Steim2 ─► decode · import · compact
//!                                                     └► many channels, few of them for a whole day ─► read back
//! recordings (--recordings) ─ as they are, and tiled to days ─► size of waveform.segments
//! ```
//! Imports and servers run as processes of their own. Peers that are not installed (`--python`) are left out.
//! Imports and scaling are medians of several runs; decoding, peers included, the best of several.

mod input;
mod recordings;
mod spread;

use std::fs;
use std::path::Path;

use super::measure::{BenchFolder, Measure, RUNS, import, median_import, run_command};
use super::{decode, read_back};
use crate::{BenchArgs, tell};
use input::{DAY_SAMPLES, HOURS, Input, SyntheticHour};

/// Channels of the lake that is read back which have the whole day; the others have an hour.
const WHOLE_DAY_CHANNELS: usize = 6;

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Vec<Measure>> {
    let folder = BenchFolder::new()?;
    let mut measures = Vec::new();
    let channel_days = usize::try_from(args.channel_days)?;
    tell("making the input");
    let hour = SyntheticHour::new()?;
    let day_of = |channel: usize| hour.repeated(channel, HOURS);
    let small = Input::make(folder.path().join("records512"), channel_days, 512, day_of)?;
    let large = Input::make(folder.path().join("records4096"), channel_days, 4096, day_of)?;
    tell("decoding");
    measures.extend(decoding(&small, 512, &args.python)?);
    measures.extend(decoding(&large, 4096, &args.python)?);
    measures.extend(spread::run(&small, &args.python)?);
    tell("importing");
    let home = folder.path().join("archive512");
    measures.extend(bulk_import(&home, &small, 512)?);
    run_command(&["maintain", "compact", "--home", &home.display().to_string()])?;
    measures.push(
        Measure::new("waveform.segments, size", read_back::stored_bytes(&home)? / 1e6, "MB")
            .beside("miniSEED", small.byte_count / 1e6)
            .at_most(0.85),
    );
    fs::remove_dir_all(&home)?;
    let home = folder.path().join("archive4096");
    measures.extend(bulk_import(&home, &large, 4096)?);
    fs::remove_dir_all(&home)?;
    large.remove()?;
    tell("importing through the whole path");
    let home = folder.path().join("whole");
    let imported = median_import(&home, &[], &small.folder)?;
    let name = format!("whole path with FilterPicker, 512-byte records, median of {RUNS}");
    let rate = small.sample_count / imported.elapsed_s / 1e6;
    measures.push(Measure::new(name, rate, "M samples/s").at_least(25.0));
    measures.push(Measure::new("   its peak memory", imported.peak_memory_bytes / 1e9, "GB").at_most(1.5));
    fs::remove_dir_all(&home)?;
    small.remove()?;
    measures.extend(reading_back(folder.path(), &hour, usize::try_from(args.channels)?)?);
    if let Some(recordings) = &args.recordings {
        tell("importing recordings");
        measures.extend(recordings::run(folder.path(), recordings, channel_days)?);
    }
    Ok(measures)
}

fn bulk_import(home: &Path, input: &Input, record_length: usize) -> anyhow::Result<[Measure; 2]> {
    let imported = median_import(home, &["--archive-only".to_owned()], &input.folder)?;
    let name = format!("bulk import, {record_length}-byte records, no picking, median of {RUNS}");
    let rate = input.sample_count / imported.elapsed_s / 1e6;
    Ok([
        Measure::new(name, rate, "M samples/s").at_least(60.0),
        Measure::new("   its peak memory", imported.peak_memory_bytes / 1e9, "GB").at_most(1.5),
    ])
}

/// One channel-day out of a lake of many channels.
fn reading_back(folder: &Path, hour: &SyntheticHour, channels: usize) -> anyhow::Result<Vec<Measure>> {
    tell(&format!("making a lake of {channels} channels"));
    let hours = |channel: usize| if channel < WHOLE_DAY_CHANNELS { HOURS } else { 1 };
    let records = folder.join("lake-records");
    let input = Input::make(records, channels, 512, |channel| hour.repeated(channel, hours(channel)))?;
    let home = folder.join("lake");
    let imported = import(&home, &["--archive-only".to_owned()], &input.folder)?;
    run_command(&["maintain", "compact", "--home", &home.display().to_string()])?;
    let name = format!("lake of {} channels, import (one run)", input.channel_count);
    let rate = input.sample_count / imported.elapsed_s / 1e6;
    let mut measures = vec![
        Measure::new(name, rate, "M samples/s"),
        Measure::new("   its samples", input.sample_count / 1e6, "M"),
    ];
    input.remove()?;
    tell("reading back");
    measures.extend(read_back::run(&home, DAY_SAMPLES)?);
    fs::remove_dir_all(&home)?;
    Ok(measures)
}

fn decoding(input: &Input, length: usize, python: &str) -> anyhow::Result<Vec<Measure>> {
    let file = input.first_file()?;
    let bytes = fs::read(&file)?;
    let ours = decode::samples_per_s(&bytes)? / 1e6;
    let peers = [
        ("libmseed", decode::libmseed_samples_per_s(&file, python), 1.3),
        ("pymseed record loop", decode::pymseed_samples_per_s(&file, python), 3.0),
        ("obspy.read", decode::obspy_samples_per_s(&file, python), 4.0),
    ];
    let name = format!("Steim2 decode, {length}-byte records, one core");
    let mut measures = Vec::new();
    for (peer, value, target) in peers {
        match value {
            Some(value) => measures
                .push(Measure::new(&*name, ours, "M samples/s").beside(peer, value / 1e6).at_least(target)),
            None => tell(&format!("no figure of {peer}: \"{python}\" has it not (--python names another)")),
        }
    }
    if measures.is_empty() {
        measures.push(Measure::new(name, ours, "M samples/s"));
    }
    Ok(measures)
}
