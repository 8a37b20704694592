//! The binary as a user runs it, and archives for it to read.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use seislake_exchange::stationxml::{self, Level};
use seislake_mseed::{PackSettings, pack};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::{LayeredModel, default_table};

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seislake"));
    command.env_remove("SEISLAKE_HOME").stdin(Stdio::null());
    command
}

/// Runs the binary and returns its output whatever its status.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = command().args(arguments).output().unwrap();
    assert_calm(arguments, &String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs the binary, which must succeed, and returns its standard output.
pub(crate) fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seislake {} failed: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the binary, which must fail, and returns what it says on standard error.
pub(crate) fn fail(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "seislake {} did not fail", arguments.join(" "));
    String::from_utf8(output.stderr).unwrap()
}

/// Nothing panicked, and nothing was logged for which somebody must act: what a test expects to fail is told in a
/// sentence, not logged as an error.
fn assert_calm(arguments: &[&str], errors: &str) {
    let alarming = |line: &&str| line.contains("panicked at") || line.contains(" ERROR ");
    if let Some(line) = errors.lines().find(alarming) {
        panic!("seislake {} said \"{line}\" in:\n{errors}", arguments.join(" "));
    }
}

/// A process under way, whose standard error is kept and must be calm.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    arguments: Vec<String>,
    errors: Option<JoinHandle<String>>,
}

pub(crate) fn spawn(arguments: &[&str]) -> Running {
    let mut child = command().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Running { child, arguments, errors: Some(errors) }
}

impl Running {
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// kill -9; how the process ended. It may have ended by itself.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.wait()
    }

    /// How it ended by itself or was killed; then what it said is looked at.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        if let Some(errors) = self.errors.take() {
            let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
            assert_calm(&arguments, &errors.join().unwrap());
        }
        status
    }
}

pub(crate) fn query(home: &Path, sql: &str) -> String {
    succeed(&["query", "--home", text(home), "--format", "csv", sql])
}

/// Every row of the tables that must not depend on how often, in which order and how undisturbed files were imported.
pub(crate) fn tables(home: &Path) -> Vec<(&'static str, String)> {
    const QUERIES: [(&str, &str); 9] = [
        ("picks", "SELECT * FROM bulletin.picks ORDER BY pick_id"),
        ("arrivals", "SELECT * FROM bulletin.arrivals ORDER BY arrival_id"),
        ("origins", "SELECT * FROM bulletin.origins ORDER BY origin_id"),
        ("events", "SELECT * FROM bulletin.events ORDER BY event_id, revision"),
        ("magnitudes", "SELECT * FROM bulletin.magnitudes ORDER BY magnitude_id"),
        ("amplitudes", "SELECT * FROM bulletin.amplitudes ORDER BY amplitude_id"),
        (
            "packets",
            "SELECT source_id, start_ns, sample_count, sha256 FROM waveform.packets ORDER BY source_id, start_ns, sha256",
        ),
        (
            "samples",
            "SELECT source_id, sum(sample_count) AS n, min(start_ns) AS s FROM waveform.segments GROUP BY source_id ORDER BY source_id",
        ),
        (
            "dead letters",
            "SELECT reason, count(*) AS n FROM stream.dead_letters GROUP BY reason ORDER BY reason",
        ),
    ];
    QUERIES.iter().map(|(name, sql)| (*name, query(home, sql))).collect()
}

pub(crate) fn assert_same_tables(one: &[(&'static str, String)], other: &[(&'static str, String)]) {
    for ((name, left), (_, right)) in one.iter().zip(other) {
        assert!(left == right, "table \"{name}\" differs:\n{left}\n---\n{right}");
    }
}

pub(crate) fn row_count(csv: &str) -> usize {
    csv.lines().count().saturating_sub(1)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A synthetic archive: one file per channel and a StationXML file, both below `folder`.
/// Returns the folder of the records and the station file.
pub(crate) fn synthetic_archive(folder: &Path, minutes: u32) -> (PathBuf, PathBuf) {
    let duration_s = f64::from(minutes) * 60.0;
    let settings =
        SyntheticSettings { seed: 5, station_count: 30, duration_s, ..SyntheticSettings::default() };
    let travel_time = default_table(&LayeredModel::iasp91());
    let network = SyntheticNetwork::new(settings, &travel_time);
    let records = folder.join("records");
    std::fs::create_dir_all(&records).unwrap();
    let stations = folder.join("stations.xml");
    let document = stationxml::write(network.inventory(), Level::Response, network.sample_time(0));
    std::fs::write(&stations, document).unwrap();
    for (index, channel) in network.inventory().channels.iter().enumerate() {
        let mut bytes = Vec::new();
        let mut samples = vec![0_i32; 6000];
        let mut generator = network.generator(index);
        for minute in 0..minutes {
            let first = u64::from(minute) * 6000;
            let start_time = network.sample_time(first);
            if network.is_missing(index, start_time) {
                continue;
            }
            generator.fill(first, &mut samples);
            let settings = PackSettings::new(channel.source_id.as_str(), start_time.nanos(), 100.0);
            bytes.extend(pack(&settings, samples.as_slice()).unwrap().concat());
        }
        let name = channel.source_id.as_str().replace(':', "_");
        std::fs::write(records.join(format!("{name}.mseed")), bytes).unwrap();
    }
    (records, stations)
}

/// A running server; killed at the end.
pub(crate) struct Server(Running);

impl Server {
    /// Starts `serve` on free ports with further arguments, and waits until it listens.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--home", text(home), "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"];
        all.extend(arguments);
        let mut server = Self(spawn(&all));
        let begin = Instant::now();
        while !home.join("run/addresses.json").exists() {
            assert!(begin.elapsed().as_secs() < 60, "the server did not start");
            assert!(!server.0.ended(), "the server ended: {}", server.0.wait());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.child.kill();
        } else {
            self.0.kill();
        }
    }
}
