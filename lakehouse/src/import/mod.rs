//! An import: files into a running home, and what is to be said of it afterwards.

mod reasons;
mod responses;
mod stations;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use seislake_model::{CatalogueEvent, ErrorKind};
use seislake_seismo::pick::PickSettings;
use seislake_streams::gate::{IngestReport, Offer};
use seislake_streams::runtime::Mark;
use seislake_streams::source::files::{FileStream, Plan};
use seislake_streams::source::sequence::FileSequence;
use serde::Serialize;
use tokio::sync::mpsc;

use self::reasons::{Counts, DEAD_LETTERS, declared_twice, halves, overlaps, reasons, seams};
pub use self::responses::UnusedResponse;
use self::responses::{describe, unused_responses};
pub use self::stations::{named_after_waveforms, read_inventory};
pub use self::words::{describe_damage, nothing_read};
use crate::Engine;
use crate::home::Purpose;
use crate::settings::Settings;

/// Bytes of records handed to the gate at once.
pub const BATCH_BYTES: usize = 8 << 20;
/// Batches read ahead of the gate.
const BATCHES_AHEAD: usize = 2;

/// Batches that the tables and stages may be behind: these are in memory still when they are read.
const BATCHES_BEHIND: usize = 3;

/// A pipeline that has stopped says why within this time.
const CAUSE_WITHIN: Duration = Duration::from_secs(5);

const ALL_THERE: &str = "all of these records were there already: what was found in them stays as it was found; to work on \
                         them with other stations, settings or another velocity model, import them into a new home";

/// What an import did, and what the home holds now.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub files: usize,
    pub skipped_files: usize,
    /// Files of which nothing could be used: dead letters.
    pub refused_files: usize,
    pub records: u64,
    pub accepted_records: u64,
    pub accepted_samples: u64,
    pub duplicate_records: u64,
    pub new_dead_letters: u64,
    pub elapsed_s: f64,
    pub samples_per_s: f64,
    pub peak_memory_bytes: Option<u64>,
    /// Epochs that were taken from the station files.
    pub station_count: usize,
    pub channel_count: usize,
    /// Rows of the whole home.
    pub rows: BTreeMap<&'static str, i64>,
    /// Rows of the tables of stages of the configuration's own that ran.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub own_rows: BTreeMap<String, i64>,
    /// Why there are no events, or events without magnitudes, or some twice, and where picks may be missing.
    pub reasons: Vec<String>,
    /// Channels that give no amplitudes for magnitudes, each with its reason.
    pub unused_responses: Vec<UnusedResponse>,
}

impl Report {
    /// What the plan says of it.
    #[must_use]
    pub fn of(planned: &Plan) -> Self {
        Self {
            files: planned.file_count(),
            skipped_files: planned.skipped_files.len(),
            refused_files: planned.damaged_files.iter().filter(|file| file.record_count == 0).count(),
            records: planned.record_count,
            ..Self::default()
        }
    }

    /// Adds what became of it, and what the home holds now.
    ///
    /// # Errors
    /// A lake that cannot be read.
    pub async fn complete(
        &mut self,
        engine: &Engine,
        settings: &Settings,
        before: &Before,
        ingested: IngestReport,
        elapsed: Duration,
    ) -> anyhow::Result<()> {
        let lakehouse = &engine.lakehouse;
        self.accepted_records = ingested.accepted;
        self.accepted_samples = ingested.samples;
        self.duplicate_records = ingested.duplicates;
        self.peak_memory_bytes = peak_memory_bytes();
        self.elapsed_s = elapsed.as_secs_f64();
        self.samples_per_s = self.accepted_samples as f64 / self.elapsed_s;
        let counts = Counts::of(lakehouse).await?;
        let Counts { packets, picks, events, dead_letters, .. } = counts;
        self.rows.extend([
            ("packets", packets),
            ("picks", picks),
            ("events", events),
            ("dead_letters", dead_letters),
        ]);
        for table in settings.topology.running_own_tables() {
            let sql = format!("SELECT count(*) FROM \"{}\".\"{}\"", table.namespace, table.name);
            self.own_rows.insert(table.full_name(), lakehouse.count(&sql).await?);
        }
        let Purpose::Whole = before.purpose else {
            // Other shares may be filled meanwhile.
            self.new_dead_letters = ingested.dead_letters;
            return Ok(());
        };
        // Those of the stages, too.
        self.new_dead_letters = u64::try_from(dead_letters - before.letters).unwrap_or(0);
        let inventory = engine.stations.current();
        self.reasons = reasons(lakehouse, &inventory, settings, &counts).await?;
        self.reasons.extend(overlaps(&inventory));
        // Settings that have changed since are not looked for: it holds whatever was changed.
        if self.accepted_records == 0 && self.duplicate_records > 0 {
            self.reasons.push(ALL_THERE.to_owned());
        }
        // A first import goes on with nothing.
        let earlier = before.log.as_ref().filter(|log| log.ends().iter().any(|end| *end > 0));
        if let Some(log) = earlier {
            let pick: PickSettings = settings.stage("pick")?;
            self.reasons.extend(seams(lakehouse, log.ends(), pick.warm_up_s).await?);
            self.reasons.extend(halves(lakehouse, log.ends()).await?);
        }
        if !before.catalogue.is_empty() {
            self.reasons.extend(declared_twice(&before.catalogue, &lakehouse.catalogue().await?));
        }
        self.unused_responses = unused_responses(lakehouse, &inventory).await?;
        Ok(())
    }
}

/// Largest resident memory of this process so far.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What a home held before an import.
#[derive(Debug)]
pub struct Before {
    purpose: Purpose,
    letters: i64,
    /// Ends of the log; `None` where a session is open: what goes on with it has no seam.
    log: Option<Mark>,
    catalogue: Vec<CatalogueEvent>,
}

impl Before {
    /// As it is now.
    ///
    /// # Errors
    /// A lake or log that cannot be read.
    pub async fn of(engine: &Engine, purpose: Purpose) -> anyhow::Result<Self> {
        let letters = engine.lakehouse.count(DEAD_LETTERS).await?;
        let log = (!engine.gate.is_open().await?).then(|| engine.pipeline.mark()).transpose()?;
        let catalogue = match purpose {
            Purpose::Whole => engine.lakehouse.catalogue().await?,
            Purpose::Archive { .. } => Vec::new(),
        };
        Ok(Self { purpose, letters, log, catalogue })
    }
}

/// Messages between the stages of an engine, counted from a moment on.
#[derive(Debug)]
pub struct Backlog<'a> {
    engine: &'a Engine,
    /// Messages that were done before.
    done_before: u64,
}

impl<'a> Backlog<'a> {
    /// From now on.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn of(engine: &'a Engine) -> anyhow::Result<Self> {
        let (done_before, _) = Self { engine, done_before: 0 }.count()?;
        Ok(Self { engine, done_before })
    }

    /// Messages that were done since, and those that wait.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub fn count(&self) -> anyhow::Result<(u64, u64)> {
        let lags = self.engine.pipeline.lags()?;
        let done: u64 = lags.iter().map(|lag| lag.next).sum();
        let waiting = lags.iter().map(|lag| lag.end.saturating_sub(lag.next)).sum();
        Ok((done.saturating_sub(self.done_before), waiting))
    }
}

/// Why the work failed: where the pipeline has stopped, its own cause, not that somebody waited for it in vain.
pub async fn cause(engine: &Engine, error: anyhow::Error) -> anyhow::Error {
    let stopped = |error: &seislake_streams::Error| error.kind == ErrorKind::Unavailable;
    if !error.chain().any(|cause| cause.downcast_ref().is_some_and(stopped)) {
        return error;
    }
    tokio::time::timeout(CAUSE_WITHIN, engine.pipeline.failed()).await.map_or(error, Into::into)
}

/// Reads on a thread of its own, checks the next records while the last ones are appended: files, gate and stages work
/// side by side.
///
/// `read` hears of the bytes read so far.
///
/// # Errors
/// Files that cannot be read any more, a log or a pipeline that has stopped: [`cause`] tells why.
pub async fn ingest(
    engine: &Engine,
    planned: Plan,
    purpose: Purpose,
    read: &(dyn Fn(u64) + Send + Sync),
) -> anyhow::Result<IngestReport> {
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
        read(read_bytes.load(Ordering::Relaxed));
    }
    reader.await??;
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
