//! Lines of a benchmark, and running `seislake` as a user would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Serialize;

/// The program that is measured.
static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Settles which program is measured: the one given, else the one beside this program.
pub(crate) fn choose_binary(given: Option<PathBuf>) -> anyhow::Result<()> {
    let binary = match given {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("seislake"),
    };
    if !binary.is_file() {
        bail!("there is no \"{}\" to measure: build `seislake`, or give --binary FILE", binary.display());
    }
    let _ = BINARY.set(binary);
    Ok(())
}

/// A command of it.
pub(crate) fn seislake() -> anyhow::Result<Command> {
    Ok(Command::new(BINARY.get().context("no program was chosen")?))
}

/// One line of the result.
#[derive(Debug, Serialize)]
pub(crate) struct Measure {
    pub(crate) measure: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) peer: Option<String>,
    pub(crate) peer_value: Option<f64>,
    /// Of the value to the peer's.
    pub(crate) ratio: Option<f64>,
    /// For the ratio where there is a peer, else for the value.
    pub(crate) target: Option<f64>,
    pub(crate) holds: Option<bool>,
}

impl Measure {
    pub(crate) fn new(measure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            measure: measure.into(),
            value,
            unit,
            peer: None,
            peer_value: None,
            ratio: None,
            target: None,
            holds: None,
        }
    }

    /// The same by somebody else.
    pub(crate) fn beside(self, peer: impl Into<String>, peer_value: f64) -> Self {
        let ratio = Some(self.value / peer_value);
        Self { peer: Some(peer.into()), peer_value: Some(peer_value), ratio, ..self }
    }

    /// The target of a rate.
    pub(crate) fn at_least(self, target: f64) -> Self {
        let holds = Some(self.ratio.unwrap_or(self.value) >= target);
        Self { target: Some(target), holds, ..self }
    }

    /// The target of a time or size.
    pub(crate) fn at_most(self, target: f64) -> Self {
        let holds = Some(self.ratio.unwrap_or(self.value) <= target);
        Self { target: Some(target), holds, ..self }
    }
}

/// Everything a benchmark writes, removed at the end.
pub(crate) struct BenchFolder(PathBuf);

impl BenchFolder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("seislake-bench-{}", std::process::id()));
        fs::create_dir_all(path.join("records"))
            .with_context(|| format!("cannot make \"{}\"", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for BenchFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What an import in a process of its own came to.
pub(crate) struct ImportCost {
    pub(crate) elapsed_s: f64,
    pub(crate) peak_memory_bytes: f64,
}

/// Imports in a child process, so that its peak memory is its own.
pub(crate) fn import(home: &Path, options: &[String], records: &Path) -> anyhow::Result<ImportCost> {
    let begin = Instant::now();
    let output = seislake()?
        .args(["import", "--json", "--home"])
        .arg(home)
        .args(options)
        .arg("--")
        .arg(records)
        .output()
        .context("cannot run the import")?;
    let elapsed_s = begin.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("the import failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the import printed no report")?;
    let peak_memory_bytes = report["peak_memory_bytes"].as_f64().context("the report has no peak memory")?;
    Ok(ImportCost { elapsed_s, peak_memory_bytes })
}

/// Runs of which the median counts.
pub(crate) const RUNS: usize = 3;

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median time of [`RUNS`] imports into fresh homes, and the largest peak memory. One run before them is not
/// counted: it pays for memory that the machine hands out anew. The last home stays.
pub(crate) fn median_import(home: &Path, options: &[String], records: &Path) -> anyhow::Result<ImportCost> {
    let mut elapsed_s = Vec::new();
    let mut peak_memory_bytes = 0_f64;
    for run in 0..=RUNS {
        if home.exists() {
            fs::remove_dir_all(home).with_context(|| format!("cannot remove \"{}\"", home.display()))?;
        }
        let imported = import(home, options, records)?;
        if run > 0 {
            elapsed_s.push(imported.elapsed_s);
            peak_memory_bytes = peak_memory_bytes.max(imported.peak_memory_bytes);
        }
    }
    Ok(ImportCost { elapsed_s: median(elapsed_s), peak_memory_bytes })
}

/// Runs a command of the program that is measured to its end.
pub(crate) fn run_command(arguments: &[&str]) -> anyhow::Result<()> {
    let output = seislake()?.args(arguments).output()?;
    if !output.status.success() {
        bail!("{} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

pub(crate) fn describe(measures: &[Measure]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!("seislake {}, {cores} cores, {}\n", env!("CARGO_PKG_VERSION"), processor());
    for measure in measures {
        text.push_str(&format!("{:<62} {:>9.2} {}", measure.measure, measure.value, measure.unit));
        if let (Some(peer), Some(value), Some(ratio)) = (&measure.peer, measure.peer_value, measure.ratio) {
            text.push_str(&format!("   {peer} {value:.2}, ratio {ratio:.2}"));
        }
        if let (Some(target), Some(holds)) = (measure.target, measure.holds) {
            text.push_str(&format!("   target {target:.2}: {}", if holds { "holds" } else { "missed" }));
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
