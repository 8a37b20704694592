//! `seislake import`: files through the whole path, to committed tables.
//!
//! ```text
//! scan headers ─► one stream in the order of time ─► gate (drops what is there already) ─► log ─► stages ─► tables
//! ```
//! A run that is killed is continued by running it again: the gate knows what the log holds. Each phase has a bar of its
//! own: headers by bytes, records by bytes, stages by messages, and the last commits.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use datafusion::arrow::array::AsArray;
use futures::{StreamExt, TryStreamExt, stream};
use seislake_exchange::known_formats::{Format, HEAD_BYTES, recognise};
use seislake_exchange::{ElevationUnit, read_stations};
use seislake_model::{ErrorKind, Inventory};
use seislake_streams::gate::{IngestReport, Offer};
use seislake_streams::runtime::Lag;
use seislake_streams::source::files::{DamagedFile, FileSettings, FileStream, Plan, Progress, plan};
use seislake_streams::source::packed::{documents, members};
use seislake_streams::source::sequence::FileSequence;
use seislake_tables::{listed, segments};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::command_line::{ElevationUnitArg, ImportArgs};
use crate::interruption::{self, Interrupted, asked_to_stop, or_interrupted};
use crate::terminal::{bytes_progress, messages_progress, print_result, spinner, tell};
use seislake_lakehouse::engine::{Engine, Workload};
use seislake_lakehouse::home::{Home, Purpose};
use seislake_lakehouse::import_report::{self, UnusedResponse};
use seislake_lakehouse::settings::Settings;
use seislake_lakehouse::velocity_model;

/// Bytes of records handed to the gate at once.
pub(crate) const BATCH_BYTES: usize = 8 << 20;
/// Batches read ahead of the gate.
const BATCHES_AHEAD: usize = 2;

/// Batches that the tables and stages may be behind: these are in memory still when they are read.
const BATCHES_BEHIND: usize = 3;

/// How often the bar of the stages moves.
const LAGS_EVERY: Duration = Duration::from_millis(250);
/// A pipeline that has stopped says why within this time.
const CAUSE_WITHIN: Duration = Duration::from_secs(5);

/// Damaged files that are named; the others are counted.
const DAMAGED_FILES_NAMED: usize = 10;

const DEAD_LETTERS: &str = "SELECT count(*) FROM stream.dead_letters";

/// What an import did, and what the home holds now.
#[derive(Debug, Serialize)]
struct Report {
    files: usize,
    skipped_files: usize,
    /// Files of which nothing could be used: dead letters.
    refused_files: usize,
    records: u64,
    accepted_records: u64,
    accepted_samples: u64,
    duplicate_records: u64,
    new_dead_letters: u64,
    elapsed_s: f64,
    samples_per_s: f64,
    peak_memory_bytes: Option<u64>,
    /// Rows of the whole home.
    rows: BTreeMap<&'static str, i64>,
    /// Why there are no events, or events without magnitudes, or some twice, and where picks may be missing.
    reasons: Vec<String>,
    /// Channels that give no amplitudes for magnitudes, each with its reason.
    unused_responses: Vec<UnusedResponse>,
}

pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<()> {
    interruption::listen();
    let begin = std::time::Instant::now();
    let settings = Settings::load(args.home.config.as_deref())?;
    let mut stations = read_inventory(&args)?;
    for path in &args.paths {
        if !path.exists() {
            bail!("\"{}\" does not exist", path.display());
        }
    }
    let (home, purpose) = match args.shard {
        Some((share, of)) => (Home::open_share(&args.home.home, share, of)?, Purpose::Archive { shards: of }),
        None if args.archive_only => (Home::open(&args.home.home)?, Purpose::Archive { shards: 1 }),
        None => (Home::open(&args.home.home)?, Purpose::Whole),
    };
    home.settle(purpose)?;
    let velocity_model = args.velocity_model.as_deref();
    let earth = match purpose {
        Purpose::Whole => Some(velocity_model::earth(&home, &settings, velocity_model)?),
        Purpose::Archive { .. } => None,
    };
    if let (Some(name), None) = (velocity_model, &earth) {
        bail!("--velocity-model {name} is for locating events: an archive takes records only");
    }
    // Stations without a network wait for the waveforms, which name it.
    let nameless = stations.lacks_networks().then(|| std::mem::take(&mut stations));
    let recognise = |head: &[u8]| recognise(head).map(|format| format.to_string());
    let file_settings = FileSettings { shard: args.shard, recognise, ..FileSettings::default() };
    let begun = async {
        let engine = Engine::start(&home, &settings, Workload::Bulk, stations, earth).await?;
        let planned = scan(args.paths.clone(), file_settings).await?;
        if let Some(stations) = nameless {
            let stations = named_after_waveforms(stations, &planned, &engine).await?;
            engine.add_stations(stations).await?;
        }
        anyhow::Ok((engine, planned))
    };
    let (engine, planned) =
        or_interrupted(begun, || "the import was interrupted before it read a record".to_owned()).await?;
    let nothing_read = nothing_read(&planned, &args);
    let letters_before = engine.lakehouse.count(DEAD_LETTERS).await?;
    // What goes on with an open session has no seam.
    let log_before = (!engine.gate.is_open().await?).then(|| engine.pipeline.mark()).transpose()?;
    let before = match purpose {
        Purpose::Whole => engine.lakehouse.catalogue().await?,
        Purpose::Archive { .. } => Vec::new(),
    };
    warn_of_damage(&planned.damaged_files, &args);
    let refused_files = planned.damaged_files.iter().filter(|file| file.record_count == 0).count();
    let mut report = Report {
        files: planned.file_count(),
        skipped_files: planned.skipped_files.len(),
        refused_files,
        records: planned.record_count,
        accepted_records: 0,
        accepted_samples: 0,
        duplicate_records: 0,
        new_dead_letters: 0,
        elapsed_s: 0.0,
        samples_per_s: 0.0,
        peak_memory_bytes: None,
        rows: BTreeMap::new(),
        reasons: Vec::new(),
        unused_responses: Vec::new(),
    };
    let work = async {
        let ingested = ingest(&engine, planned, purpose).await?;
        finish(&engine).await?;
        anyhow::Ok(ingested)
    };
    let ingested = tokio::select! {
        ingested = work => match ingested {
            Ok(ingested) => ingested,
            Err(error) => return Err(cause(&engine, error).await),
        },
        error = engine.pipeline.failed() => return Err(error.into()),
        asked = asked_to_stop() => {
            tell("stopping: what is under way is committed; a second Ctrl-C ends at once");
            engine.stop().await?;
            let sentence = format!(
                "the import was interrupted; \"{}\" holds what was read so far; run the same command again to go on",
                args.home.home.display()
            );
            return Err(Interrupted::new(asked, sentence).into());
        }
    };
    report.accepted_records = ingested.accepted;
    report.accepted_samples = ingested.samples;
    report.duplicate_records = ingested.duplicates;
    engine.stop().await?;
    report.elapsed_s = begin.elapsed().as_secs_f64();
    report.samples_per_s = report.accepted_samples as f64 / report.elapsed_s;
    report.peak_memory_bytes = peak_memory_bytes();
    for (name, table) in
        [("packets", "waveform.packets"), ("picks", "bulletin.picks"), ("events", "bulletin.events_current")]
    {
        report.rows.insert(name, engine.lakehouse.count(&format!("SELECT count(*) FROM {table}")).await?);
    }
    let letters = engine.lakehouse.count(DEAD_LETTERS).await?;
    report.rows.insert("dead_letters", letters);
    report.new_dead_letters = match purpose {
        // Those of the stages, too.
        Purpose::Whole => u64::try_from(letters - letters_before).unwrap_or(0),
        // Other shares may be filled meanwhile.
        Purpose::Archive { .. } => ingested.dead_letters,
    };
    if purpose == Purpose::Whole {
        let inventory = engine.stations.current();
        report.reasons = import_report::reasons(&engine.lakehouse, &inventory, &settings).await?;
        if let Some(before) = &log_before {
            let warm_up_s = settings.pick.warm_up_s;
            report.reasons.extend(import_report::seams(&engine.lakehouse, before.ends(), warm_up_s).await?);
        }
        report.reasons.extend(import_report::declared_twice(&before, &engine.lakehouse.catalogue().await?));
        report.unused_responses = import_report::unused_responses(&engine.lakehouse, &inventory).await?;
    }
    if args.json {
        print_result(&format!("{}\n", serde_json::to_string(&report)?))?;
    } else {
        print_result(&describe(&report))?;
    }
    nothing_read.map_or(Ok(()), Err)
}

/// Ends the stream and waits until everything has passed the stages and is committed.
async fn finish(engine: &Engine) -> anyhow::Result<()> {
    let bar = messages_progress();
    bar.set_message("finding events");
    // Messages that were done before this phase are none of its own.
    let passed = |lags: &[Lag]| lags.iter().map(|lag| lag.next).sum::<u64>();
    let before = passed(&engine.pipeline.lags()?);
    let show = async {
        let mut ticks = tokio::time::interval(LAGS_EVERY);
        loop {
            ticks.tick().await;
            let Ok(lags) = engine.pipeline.lags() else { continue };
            let waiting: u64 = lags.iter().map(|lag| lag.end.saturating_sub(lag.next)).sum();
            let done = passed(&lags).saturating_sub(before);
            bar.set_length(done + waiting);
            bar.set_position(done);
            if waiting == 0 {
                bar.finish_and_clear();
                let committing = spinner();
                committing.set_message("writing tables");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        finished = engine.finish() => finished,
        () = show => Ok(()),
    }
}

/// Why the work failed: where the pipeline has stopped, its own cause, not that somebody waited for it in vain.
async fn cause(engine: &Engine, error: anyhow::Error) -> anyhow::Error {
    let stopped = |error: &seislake_streams::Error| error.kind == ErrorKind::Unavailable;
    if !error.chain().any(|cause| cause.downcast_ref().is_some_and(stopped)) {
        return error;
    }
    tokio::time::timeout(CAUSE_WITHIN, engine.pipeline.failed()).await.map_or(error, Into::into)
}

/// Why an import that was given paths read no record at all; `None` where it did.
fn nothing_read(planned: &Plan, args: &ImportArgs) -> Option<anyhow::Error> {
    if planned.record_count > 0 || args.paths.is_empty() {
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

/// Gives stations that are listed without a network those of the waveforms at hand: of the files to be imported, and of
/// the home. Those that neither know are left out, by name.
async fn named_after_waveforms(
    mut stations: Inventory,
    planned: &Plan,
    engine: &Engine,
) -> anyhow::Result<Inventory> {
    let columns = listed(&[segments::names::station, segments::names::network]);
    let sql = format!("SELECT DISTINCT {columns} FROM {}", segments::TABLE);
    let mut networks = planned.networks.clone();
    let mut batches = seislake_query::query(&engine.lakehouse.session()?, &sql).await?;
    while let Some(batch) = batches.try_next().await? {
        let (codes, names) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for (code, network) in codes.iter().flatten().zip(names.iter().flatten()) {
            networks.entry(code.to_owned()).or_default().insert(network.to_owned());
        }
    }
    let unknown = stations
        .name_networks(|code| networks.get(code).into_iter().flatten().cloned().collect::<Vec<String>>());
    let listed: Vec<String> = unknown.iter().take(STATIONS_NAMED).cloned().collect();
    let more = if unknown.len() > listed.len() { ", …" } else { "" };
    let words = "listed without a network code, and no waveform at hand names it: say --network CODE";
    if stations.stations.is_empty() && stations.channels.is_empty() {
        bail!("none of the stations can be used: {}{more} are {words}", listed.join(", "));
    }
    if !unknown.is_empty() {
        let (count, codes) = (unknown.len(), listed.join(", "));
        tell(&format!("{count} stations are left out ({codes}{more}): {words}"));
    }
    Ok(stations)
}

/// Stations that are named in a message; the others are counted.
const STATIONS_NAMED: usize = 10;
/// Problems of a station file that are told; the others are counted.
const PROBLEMS_TOLD: usize = 20;

/// All station files, merged.
fn read_inventory(args: &ImportArgs) -> anyhow::Result<Inventory> {
    let unit = args.elevation_unit.map(|unit| match unit {
        ElevationUnitArg::M => ElevationUnit::Metres,
        ElevationUnitArg::Km => ElevationUnit::Kilometres,
    });
    let mut inventory = Inventory::default();
    for path in &args.stations {
        let named = || format!("cannot read \"{}\"", path.display());
        for (name, bytes) in documents(path).with_context(named)? {
            let read = read_stations(&bytes, unit)
                .with_context(|| format!("cannot read stations from \"{name}\""))?;
            for problem in read.problems.iter().take(PROBLEMS_TOLD) {
                tell(&format!("{name}, line {}: {}", problem.line, problem.reason));
            }
            let hidden = read.problems.len().saturating_sub(PROBLEMS_TOLD);
            if hidden > 0 {
                tell(&format!("{name}: {hidden} more problems"));
            }
            inventory.merge(read.value);
        }
    }
    if let Some(network) = &args.network {
        inventory.name_networks(|_| vec![network.clone()]);
    }
    Ok(inventory)
}

async fn scan(paths: Vec<PathBuf>, settings: FileSettings) -> anyhow::Result<Plan> {
    let bar = bytes_progress(0);
    bar.set_message("scanning headers");
    let shown = bar.clone();
    let planned = tokio::task::spawn_blocking(move || {
        plan(&paths, settings, &|progress: Progress| {
            shown.set_length(progress.total_bytes);
            shown.set_position(progress.bytes);
        })
    })
    .await?;
    bar.finish_and_clear();
    Ok(planned?)
}

/// Names the first damaged files and says where the rest stands.
fn warn_of_damage(files: &[DamagedFile], args: &ImportArgs) {
    for file in files.iter().take(DAMAGED_FILES_NAMED) {
        let DamagedFile { name, record_count, problem_count, reason } = file;
        tell(&match record_count {
            0 => format!("\"{name}\" cannot be used: {reason}"),
            _ => format!(
                "\"{name}\" is damaged: good records {record_count}, problems {problem_count}, first: {reason}"
            ),
        });
    }
    let hidden = files.len().saturating_sub(DAMAGED_FILES_NAMED);
    if !files.is_empty() {
        let more = if hidden > 0 { format!("{hidden} more files are damaged; ") } else { String::new() };
        let home = args.home.home.display();
        tell(&format!("{more}`seislake dlq list --home {home}` counts what could not be used, and why"));
    }
}

/// Reads on a thread of its own, checks the next records while the last ones are appended: files, gate and stages work
/// side by side.
async fn ingest(engine: &Engine, planned: Plan, purpose: Purpose) -> anyhow::Result<IngestReport> {
    let bar = bytes_progress(planned.total_bytes);
    bar.set_message("reading records");
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    let read_bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read_bytes);
    let reader = tokio::task::spawn_blocking(move || {
        let mut source = Source::of(planned, purpose);
        loop {
            let (offers, bytes) = source.next(BATCH_BYTES)?;
            counted.store(bytes, Ordering::Relaxed);
            if offers.is_empty() || sender.blocking_send(offers).is_err() {
                return Ok::<_, seislake_streams::Error>(());
            }
        }
    });
    let batches = stream::unfold(batches, async |mut batches| Some((batches.recv().await?, batches)));
    let checked = batches.map(|offers| engine.gate.check(offers)).buffered(BATCHES_AHEAD);
    let mut checked = std::pin::pin!(checked);
    let mut total = IngestReport::default();
    let mut marks = VecDeque::new();
    while let Some(offers) = checked.next().await {
        total.add(engine.gate.append(offers?).await?);
        marks.push_back(engine.pipeline.mark()?);
        if marks.len() > BATCHES_BEHIND
            && let Some(mark) = marks.pop_front()
        {
            engine.pipeline.passed(&mark).await?;
        }
        bar.set_position(read_bytes.load(Ordering::Relaxed));
    }
    reader.await??;
    bar.finish_and_clear();
    Ok(total)
}

/// The records in the order that the work needs.
enum Source {
    /// By time over all stations: events are found as time moves on.
    Merged(FileStream),
    /// File by file: rows of a channel lie together.
    Sequence(FileSequence),
}

impl Source {
    fn of(planned: Plan, purpose: Purpose) -> Self {
        match purpose {
            Purpose::Archive { .. } => Self::Sequence(planned.sequence()),
            Purpose::Whole => Self::Merged(planned.stream()),
        }
    }

    /// The next offers, and the bytes read so far.
    fn next(&mut self, bytes_max: usize) -> Result<(Vec<Offer>, u64), seislake_streams::Error> {
        match self {
            Self::Merged(source) => Ok((source.next_offers(bytes_max)?, source.bytes())),
            Self::Sequence(source) => Ok((source.next_offers(bytes_max)?, source.bytes())),
        }
    }
}

/// Largest resident memory of this process so far.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn describe(report: &Report) -> String {
    let count = |name| report.rows.get(name).copied().unwrap_or(0);
    let mut text = format!(
        "{} files with {} records ({} could not be used, {} without records passed over) in {:.1} s\n\
         {} records with {} samples added ({:.2} M samples/s), {} were there already, {} new dead letters\n\
         the home holds {} packets, {} picks, {} events, {} dead letters\n",
        report.files,
        report.records,
        report.refused_files,
        report.skipped_files,
        report.elapsed_s,
        report.accepted_records,
        report.accepted_samples,
        report.samples_per_s / 1e6,
        report.duplicate_records,
        report.new_dead_letters,
        count("packets"),
        count("picks"),
        count("events"),
        count("dead_letters"),
    );
    for reason in &report.reasons {
        text.push_str(reason);
        text.push('\n');
    }
    text.push_str(&import_report::describe(&report.unused_responses));
    text
}
