//! `seislake bench main`: decode rate beside pymseed, import rate from files to committed tables, peak memory.
//!
//! Input is made here: synthetic channels at 100 Hz, Steim2, 512-byte records. The import runs in a child process, so
//! that its peak memory is its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use seislake_exchange::stationxml;
use seislake_mseed::{Samples, Scanned, Scanner};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::{LayeredModel, default_table};
use serde::Serialize;

use crate::command_line::BenchArgs;
use crate::synthetic_stream::SyntheticStream;
use crate::terminal::{print_result, tell};

const MINUTES: u32 = 60;
const STATION_COUNT: usize = 30;
const DECODE_RUNS: u32 = 5;
const IMPORT_SAMPLES_PER_S_TARGET: f64 = 2e6;
const PEAK_MEMORY_BYTES_TARGET: f64 = (1u64 << 30) as f64;

/// Reads every record and its samples once; prints the samples and the best CPU time of several runs.
const PYMSEED: &str = "
import sys, time
from pymseed import MS3Record
best, samples = float('inf'), 0
for _ in range(int(sys.argv[2])):
    begin, samples = time.process_time(), 0
    for record in MS3Record.from_file(sys.argv[1], unpack_data=True):
        samples += record.numsamples
    best = min(best, time.process_time() - begin)
print(samples, best)
";

/// One line of the result.
#[derive(Debug, Serialize)]
pub(super) struct Measure {
    pub(super) measure: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) peer: Option<&'static str>,
    pub(super) peer_value: Option<f64>,
    pub(super) ratio: Option<f64>,
    pub(super) target: Option<f64>,
    pub(super) holds: Option<bool>,
}

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let measures = match args.name.as_str() {
        "quality" => super::bench_quality::measures(&args.python)?,
        _ => main_measures(&args.python)?,
    };
    if args.json {
        return print_result(&format!("{}\n", serde_json::to_string(&measures)?));
    }
    print_result(&describe(&measures))
}

fn main_measures(python: &str) -> anyhow::Result<Vec<Measure>> {
    let folder = BenchFolder::new()?;
    tell("making the input");
    let (file, sample_count) = make_archive(&folder.0)?;
    let mut measures = vec![decode(&file, python)?];
    tell("importing");
    measures.extend(import(&folder.0, sample_count)?);
    Ok(measures)
}

/// Everything a benchmark writes, removed at the end.
pub(super) struct BenchFolder(pub(super) PathBuf);

impl BenchFolder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("seislake-bench-{}", std::process::id()));
        fs::create_dir_all(path.join("records"))
            .with_context(|| format!("cannot make \"{}\"", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for BenchFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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

/// Samples per second of scanning and decoding a file in memory, beside pymseed on the same file.
fn decode(file: &Path, python: &str) -> anyhow::Result<Measure> {
    let bytes = fs::read(file)?;
    let (mut best_s, mut sample_count) = (f64::INFINITY, 0_usize);
    let mut samples = Samples::default();
    for _ in 0..DECODE_RUNS {
        let begin = Instant::now();
        sample_count = 0;
        for scanned in Scanner::new(&bytes) {
            if let Scanned::Record { record, .. } = scanned {
                record.decode_into(&mut samples)?;
                sample_count += samples.len();
            }
        }
        best_s = best_s.min(begin.elapsed().as_secs_f64());
    }
    let value = sample_count as f64 / best_s / 1e6;
    let peer_value = pymseed(file, python);
    if peer_value.is_none() {
        tell(&format!("\"{python}\" has no pymseed: no peer for the decode rate (--python names another)"));
    }
    Ok(Measure {
        measure: "Steim2 decode, 512-byte records, one core",
        value,
        unit: "M samples/s",
        peer: Some("pymseed record loop"),
        peer_value,
        ratio: peer_value.map(|peer| value / peer),
        target: None,
        holds: None,
    })
}

fn pymseed(file: &Path, python: &str) -> Option<f64> {
    let runs = DECODE_RUNS.to_string();
    let output =
        Command::new(python).args(["-c", PYMSEED]).arg(file).arg(runs).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (samples, seconds) = text.trim().split_once(' ')?;
    Some(samples.parse::<f64>().ok()? / seconds.parse::<f64>().ok()? / 1e6)
}

/// The whole path in a child process: files → log → picks → events → committed tables.
fn import(folder: &Path, sample_count: u64) -> anyhow::Result<Vec<Measure>> {
    let begin = Instant::now();
    let output = Command::new(std::env::current_exe()?)
        .args(["import", "--json", "--home"])
        .arg(folder.join("home"))
        .arg("--stations")
        .arg(folder.join("stations.xml"))
        .arg("--")
        .arg(folder.join("records"))
        .output()
        .context("cannot run the import")?;
    let elapsed_s = begin.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("the import failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the import printed no report")?;
    let peak = report["peak_memory_bytes"].as_f64().context("the report has no peak memory")?;
    let rate = sample_count as f64 / elapsed_s;
    let alone = |measure, value, unit, target, holds| Measure {
        measure,
        value,
        unit,
        peer: None,
        peer_value: None,
        ratio: None,
        target: Some(target),
        holds: Some(holds),
    };
    Ok(vec![
        alone(
            "import, whole path with picking, to committed tables",
            rate / 1e6,
            "M samples/s",
            IMPORT_SAMPLES_PER_S_TARGET / 1e6,
            rate >= IMPORT_SAMPLES_PER_S_TARGET,
        ),
        alone(
            "peak memory of that import",
            peak / 1e6,
            "MB",
            PEAK_MEMORY_BYTES_TARGET / 1e6,
            peak <= PEAK_MEMORY_BYTES_TARGET,
        ),
    ])
}

fn describe(measures: &[Measure]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!("seislake {}, {cores} cores, {}\n", env!("CARGO_PKG_VERSION"), processor());
    for measure in measures {
        text.push_str(&format!("{:<54} {:>9.1} {}", measure.measure, measure.value, measure.unit));
        if let (Some(peer), Some(value), Some(ratio)) = (measure.peer, measure.peer_value, measure.ratio) {
            text.push_str(&format!("   {peer} {value:.1}, ratio {ratio:.2}"));
        }
        if let (Some(target), Some(holds)) = (measure.target, measure.holds) {
            text.push_str(&format!("   target {target:.1}: {}", if holds { "holds" } else { "missed" }));
        }
        text.push('\n');
    }
    text
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}
