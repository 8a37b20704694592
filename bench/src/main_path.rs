//! `seislake-bench main`: decode rate beside pymseed, import rate from files to committed tables, peak memory.
//!
//! Input is made here: synthetic channels at 100 Hz, Steim2, 512-byte records.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use seislake_exchange::stationxml;
use seislake_lakehouse::synthetic_stream::SyntheticStream;
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::{LayeredModel, default_table};

use super::decode;
use super::measure::{BenchFolder, Measure, RUNS, median_import};
use crate::{BenchArgs, tell};

const MINUTES: u32 = 60;
const STATION_COUNT: usize = 30;
const IMPORT_SAMPLES_PER_S_TARGET: f64 = 2e6;
const PEAK_MEMORY_BYTES_TARGET: f64 = (1u64 << 30) as f64;

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Vec<Measure>> {
    let folder = BenchFolder::new()?;
    tell("making the input");
    let (file, sample_count) = make_archive(folder.path())?;
    let bytes = fs::read(&file)?;
    let mut decoded = Measure::new(
        "Steim2 decode, 512-byte records, one core",
        decode::samples_per_s(&bytes)? / 1e6,
        "M samples/s",
    );
    if let Some(peer) = decode::pymseed_samples_per_s(&file, &args.python) {
        decoded = decoded.beside("pymseed record loop", peer / 1e6);
    }
    tell("importing");
    let stations = folder.path().join("stations.xml");
    let options = ["--stations", &stations.display().to_string()].map(str::to_owned);
    let imported = median_import(&folder.path().join("home"), &options, &folder.path().join("records"))?;
    let rate = sample_count as f64 / imported.elapsed_s;
    Ok(vec![
        decoded,
        Measure::new(
            format!("import, whole path with picking, to tables, median of {RUNS}"),
            rate / 1e6,
            "M samples/s",
        )
        .at_least(IMPORT_SAMPLES_PER_S_TARGET / 1e6),
        Measure::new("peak memory of these imports", imported.peak_memory_bytes / 1e6, "MB")
            .at_most(PEAK_MEMORY_BYTES_TARGET / 1e6),
    ])
}

/// Writes one file per ten minutes and the stations; returns the largest file and the number of samples of all.
fn make_archive(folder: &Path) -> anyhow::Result<(PathBuf, u64)> {
    let settings = SyntheticSettings {
        station_count: STATION_COUNT,
        duration_s: f64::from(MINUTES) * 60.0,
        ..SyntheticSettings::default()
    };
    let rate_hz = settings.sample_rate_hz;
    let network = SyntheticNetwork::new(settings, &default_table(&LayeredModel::iasp91()));
    let document =
        stationxml::write(network.inventory(), stationxml::Level::Response, network.sample_time(0));
    fs::write(folder.join("stations.xml"), document)?;
    let mut stream = SyntheticStream::new(&network, rate_hz);
    let (mut files, mut bytes, mut ticks) = (Vec::new(), Vec::new(), 0_u32);
    loop {
        let tick = stream.next_tick()?;
        let ended = tick.is_none();
        bytes.extend(tick.into_iter().flat_map(|tick| tick.records).flatten());
        ticks += 1;
        if (ended || ticks % 150 == 0) && !bytes.is_empty() {
            let file = folder.join(format!("records/{:04}.mseed", files.len()));
            fs::write(&file, &bytes)?;
            files.push(file);
            bytes.clear();
        }
        if ended {
            break;
        }
    }
    let file = files.into_iter().next().context("the synthetic network made no record")?;
    Ok((file, network.sample_count() * network.channel_count() as u64))
}
