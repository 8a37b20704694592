//! `seislake bench archive`: the archive of issue "every miniSEED record there is", measured on records made here.
//!
//! ```text
//! synthetic hour ─ shifted for each channel and hour ─► channel-days, Steim2 ─► decode · import · compact · read back
//! ```
//! Imports and servers run as processes of their own. Peers that are not installed (`--python`) are left out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;
use rayon::prelude::*;
use seislake_mseed::{PackSettings, Samples, Scanned, Scanner, pack};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::{LayeredModel, default_table};

use super::measure::{BenchFolder, Measure, import, run_command};
use super::{decode, read_back};
use crate::command_line::BenchArgs;
use crate::terminal::tell;

const RATE_HZ: f64 = 100.0;
const HOUR_SAMPLES: usize = 360_000;
const HOURS: usize = 24;
/// 2024-01-02T00:00:00Z.
const START_NS: i64 = 1_704_153_600_000_000_000;
/// Files of the benchmark of parallel decompression.
const SPREAD_FILE_COUNT: usize = 140;

/// Channel-days of one record length.
struct Input {
    folder: PathBuf,
    sample_count: f64,
    byte_count: f64,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<Vec<Measure>> {
    let folder = BenchFolder::new()?;
    let mut measures = Vec::new();
    let channel_days = usize::try_from(args.channel_days)?;
    tell("making the input");
    let hour = synthetic_hour()?;
    let small = make_input(&folder.path().join("records512"), &hour, channel_days, 512)?;
    let large = make_input(&folder.path().join("records4096"), &hour, channel_days, 4096)?;
    tell("decoding");
    measures.extend(decoding(&small, 512, &args.python)?);
    measures.extend(decoding(&large, 4096, &args.python)?);
    measures.extend(spread(&small, &args.python)?);
    tell("importing");
    for (input, length) in [(&small, 512), (&large, 4096)] {
        let home = folder.path().join(format!("archive{length}"));
        let imported = import(&home, &["--archive-only".to_owned()], &input.folder)?;
        let rate = input.sample_count / imported.elapsed_s / 1e6;
        measures.push(
            Measure::new(format!("bulk import, {length}-byte records, no picking"), rate, "M samples/s")
                .at_least(60.0),
        );
        measures
            .push(Measure::new("   its peak memory", imported.peak_memory_bytes / 1e9, "GB").at_most(1.5));
    }
    let home = folder.path().join("archive512");
    run_command(&["maintain", "compact", "--home", &home.display().to_string()])?;
    let stored = read_back::stored_bytes(&home)?;
    measures.push(
        Measure::new("waveform.segments, size", stored / 1e6, "MB")
            .beside("miniSEED", small.byte_count / 1e6)
            .at_most(0.85),
    );
    tell("reading back");
    measures.extend(read_back::run(&home, HOURS * HOUR_SAMPLES)?);
    tell("importing through the whole path");
    let imported = import(&folder.path().join("whole"), &[], &small.folder)?;
    let rate = small.sample_count / imported.elapsed_s / 1e6;
    measures.push(
        Measure::new("import, whole path with FilterPicker, 512-byte records", rate, "M samples/s")
            .at_least(25.0),
    );
    measures.push(Measure::new("   its peak memory", imported.peak_memory_bytes / 1e9, "GB").at_most(1.5));
    Ok(measures)
}

/// One hour of three channels of a synthetic station, counts.
fn synthetic_hour() -> anyhow::Result<Vec<Vec<i32>>> {
    let settings = SyntheticSettings {
        station_count: 30,
        duration_s: HOUR_SAMPLES as f64 / RATE_HZ,
        sample_rate_hz: RATE_HZ,
        ..SyntheticSettings::default()
    };
    let network = SyntheticNetwork::new(settings, &default_table(&LayeredModel::iasp91()));
    let channels = (0..3.min(network.channel_count())).map(|index| {
        let mut samples = vec![0; HOUR_SAMPLES];
        network.generator(index).fill(0, &mut samples);
        samples
    });
    Ok(channels.collect())
}

/// One file per channel and day. Every channel and hour has its own shift, so that nothing repeats in step.
fn make_input(folder: &Path, hour: &[Vec<i32>], channel_days: usize, length: usize) -> anyhow::Result<Input> {
    fs::create_dir_all(folder)?;
    let bytes: Vec<anyhow::Result<usize>> = (0..channel_days)
        .into_par_iter()
        .map(|index| {
            let (station, component) = (index / 3, index % 3);
            let base = hour.get(index % hour.len()).context("the synthetic network has no channel")?;
            let orientation = ["Z", "N", "E"][component];
            let source_id = format!("FDSN:XX_B{station:04}__H_H_{orientation}");
            let mut samples = Vec::with_capacity(HOURS * HOUR_SAMPLES);
            for part in 0..HOURS {
                let shift = (index * 7919 + part * 104_729) % base.len();
                samples.extend_from_slice(&base[shift..]);
                samples.extend_from_slice(&base[..shift]);
            }
            let mut settings = PackSettings::new(source_id, START_NS, RATE_HZ);
            settings.record_length = length;
            let bytes = pack(&settings, samples.as_slice())?.concat();
            let mut file = fs::File::create(folder.join(format!("XX.B{station:04}..HH{orientation}.mseed")))?;
            file.write_all(&bytes)?;
            // Else the disk is busy with the input while an import is timed.
            file.sync_all()?;
            Ok(bytes.len())
        })
        .collect();
    let byte_count = bytes.into_iter().sum::<anyhow::Result<usize>>()? as f64;
    let sample_count = (channel_days * HOURS * HOUR_SAMPLES) as f64;
    Ok(Input { folder: folder.to_owned(), sample_count, byte_count })
}

fn decoding(input: &Input, length: usize, python: &str) -> anyhow::Result<Vec<Measure>> {
    let file = first_file(&input.folder)?;
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

fn first_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().next().context("the input is empty")
}

/// Parallel decompression of many files, on one core and on two.
fn spread(input: &Input, python: &str) -> anyhow::Result<Vec<Measure>> {
    let mut files: Vec<PathBuf> = fs::read_dir(&input.folder)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let repeated: Vec<&PathBuf> = files.iter().cycle().take(SPREAD_FILE_COUNT).collect();
    let seconds_on = |cores: usize| -> anyhow::Result<f64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build()?;
        let begin = Instant::now();
        pool.install(|| repeated.par_iter().try_for_each(|file| decompress(file)))?;
        Ok(begin.elapsed().as_secs_f64())
    };
    // Once before, so that both runs find the files in memory.
    seconds_on(2)?;
    let (one_s, two_s) = (seconds_on(1)?, seconds_on(2)?);
    let per_file = input.sample_count / files.len() as f64;
    let rate = per_file * SPREAD_FILE_COUNT as f64 / two_s / 1e6;
    let mut measures = vec![
        Measure::new(
            format!("decompression of {SPREAD_FILE_COUNT} files, two cores to one"),
            one_s / two_s,
            "times",
        )
        .at_least(1.8),
    ];
    let output = Command::new(python)
        .args(["-c", include_str!("peers/obspy_serial.py")])
        .arg(&input.folder)
        .stderr(Stdio::null())
        .output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let serial = text.trim().split_once(' ').and_then(|(samples, seconds)| {
        Some(samples.parse::<f64>().ok()? / seconds.parse::<f64>().ok()? / 1e6)
    });
    let measure = Measure::new("   the same, two cores", rate, "M samples/s");
    measures.push(match serial {
        Some(serial) => measure.beside("obspy, one file behind the other", serial),
        None => measure,
    });
    Ok(measures)
}

fn decompress(file: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(file)?;
    let mut samples = Samples::default();
    for scanned in Scanner::new(&bytes) {
        if let Scanned::Record { record, .. } = scanned {
            record.decode_into(&mut samples)?;
            std::hint::black_box(&samples);
        }
    }
    Ok(())
}
