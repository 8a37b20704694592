//! Runs one stage over one input partition, exactly once across crashes.
//!
//! ```text
//! restore checkpoint ─► find the last output already in the log ─► read ─► process ─► append what is new ─► checkpoint
//! ```
//! A stage is deterministic and its outputs are appended in order, each naming the input it comes from. After a crash
//! the stage replays its input from the checkpoint; outputs up to the last one that the log holds are left out.
//!
//! A record at which a stage fails becomes a dead letter: the stage replays its input from the checkpoint without it.
//!
//! Other settings than those of the checkpoint hold from a record on of which nothing is in the log yet: what an earlier
//! life said after the checkpoint is replayed with the settings it was said with. Nothing is said twice or half.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use seislake_model::{ErrorKind, Offset};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, CheckpointStore};
use super::retry::{Health, Patience, RetrySettings};
use super::said::{LastOutput, LastOutputs, held_outputs};
use super::stage::{Derivation, Output, Stage};
use super::wiring::{StageWiring, checkpoint_key};
use crate::Error;
use crate::database::panic_text;
use crate::error::Cause;
use crate::topic::{NewRecord, Record, Topic, in_appends};

/// Largest append of derived messages.
pub(super) const APPEND_BYTES: usize = 4 << 20;

/// A checkpoint that took some time is not repeated before this many times as long: at most a twentieth of the time
/// goes into checkpoints, however large the state is.
const CHECKPOINT_PAUSE: u32 = 20;

/// Records at which a stage may fail in one life: more, and the stage itself is to blame.
const FAILED_RECORDS_MAX: usize = 100;

/// How stages are run.
#[derive(Clone, Copy, Debug)]
pub struct StageSettings {
    /// Bytes of input taken at a time.
    pub read_bytes: usize,
    /// A checkpoint is saved after this many input records …
    pub checkpoint_records: u64,
    /// … or this long after the last one, if there was input.
    pub checkpoint_interval: Duration,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self { read_bytes: 1 << 20, checkpoint_records: 50_000, checkpoint_interval: Duration::from_secs(5) }
    }
}

/// What became of records that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Made,
    /// The stage failed at one of them and went back to its checkpoint.
    BeganAgain,
}

/// The settings of a configuration as JSON.
fn settings_text<S: Stage>(config: &S::Config) -> Result<String, Error> {
    serde_json::to_string(&S::settings(config)).map_err(|e| {
        Error::caused(ErrorKind::Internal, format!("encode the settings of a stage \"{}\"", S::NAME), e)
    })
}

/// The configuration that a checkpoint was made with, where it is another and known: settings of another version of
/// this program may not be readable.
fn former_config<S: Stage>(stage: &str, config: &S::Config, checkpoint: &Checkpoint) -> Option<S::Config> {
    let text = checkpoint.settings.as_deref()?;
    if settings_text::<S>(config).is_ok_and(|now| now == text) {
        return None;
    }
    let former = serde_json::from_str(text).ok();
    tracing::info!(stage, known = former.is_some(), "the settings have changed since the checkpoint");
    former.map(|former| S::with_settings(config, former))
}

/// Runs one stage over one input partition.
#[derive(Debug)]
pub struct StageRunner<S: Stage> {
    config: S::Config,
    stage: Option<S>,
    /// The configuration that will hold, once the replay is over, and the offset it begins at.
    upcoming: Option<(Offset, S::Config)>,
    /// Settings in force, as JSON.
    in_force: String,
    /// Revision of the base that the last checkpoint has.
    base_revision: u64,
    wiring: StageWiring,
    settings: StageSettings,
    checkpoints: CheckpointStore,
    key: String,
    next: Offset,
    held: LastOutputs,
    /// Records at which the stage failed, and how: they are passed over.
    failed: BTreeMap<Offset, String>,
    records_since_checkpoint: u64,
    last_checkpoint: Instant,
    /// How long the last one took.
    checkpoint_cost: Duration,
    progress: watch::Sender<Offset>,
}

impl<S: Stage> StageRunner<S> {
    /// Restores the stage and finds out what it said already.
    pub async fn open(
        config: &S::Config,
        wiring: StageWiring,
        settings: StageSettings,
        checkpoints: CheckpointStore,
    ) -> Result<Self, Error> {
        let key = checkpoint_key(&wiring);
        let restored = restore::<S>(config, &wiring, &checkpoints, &key).await?;
        let Restoration { stage, held, next, upcoming, in_force } = restored;
        let base_revision = stage.base_revision();
        Ok(Self {
            config: config.clone(),
            stage: Some(stage),
            upcoming,
            in_force,
            base_revision,
            wiring,
            settings,
            checkpoints,
            key,
            next,
            held,
            failed: BTreeMap::new(),
            records_since_checkpoint: 0,
            last_checkpoint: Instant::now(),
            checkpoint_cost: Duration::ZERO,
            progress: watch::Sender::new(next),
        })
    }

    /// Next input offset: everything before it is processed and its outputs are in the log.
    pub fn progress(&self) -> watch::Receiver<Offset> {
        self.progress.subscribe()
    }

    /// Works until `stop`; then the batch at hand is finished and a checkpoint saved.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let patience =
            Patience::new(self.wiring.stage, RetrySettings::default(), Health::default(), stop.clone());
        self.run_patiently(stop, patience).await
    }

    /// The same, with the patience of a pipeline.
    pub(super) async fn run_patiently(
        mut self,
        stop: CancellationToken,
        patience: Patience,
    ) -> Result<(), Error> {
        let wiring = self.wiring.clone();
        let mut trial = patience.trial();
        while !stop.is_cancelled() {
            let (bytes, wait) = (self.settings.read_bytes, self.settings.checkpoint_interval);
            let read = wiring.input.read(wiring.partition, self.next, bytes, wait);
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                read = read => read,
            };
            match read {
                Ok(records) => {
                    std::mem::replace(&mut trial, patience.trial()).succeeded();
                    self.take_by_settings(records, &patience).await?;
                }
                Err(error) => trial.failed(error).await?,
            }
            if self.checkpoint_due() {
                self.checkpoint_or_warn().await;
            }
        }
        if self.records_since_checkpoint > 0 {
            self.checkpoint_or_warn().await;
        }
        Ok(())
    }

    /// Takes records; where the replay ends among them, the settings of now hold from there on.
    async fn take_by_settings(&mut self, records: Vec<Record>, patience: &Patience) -> Result<(), Error> {
        let reached = |from: Offset| records.last().is_some_and(|last| last.offset >= from);
        let Some((from, config)) = self.upcoming.take_if(|(from, _)| reached(*from)) else {
            return self.take(records, patience).await.map(drop);
        };
        let (replayed, new) = records.into_iter().partition(|record| record.offset < from);
        if self.take(replayed, patience).await? == Progress::Made {
            self.change_settings(from, &config).await?;
            self.take(new, patience).await?;
        }
        Ok(())
    }

    async fn take(&mut self, records: Vec<Record>, patience: &Patience) -> Result<Progress, Error> {
        let Some(last) = records.last() else { return Ok(Progress::Made) };
        let (next, count) = (last.offset + 1, records.len() as u64);
        let Some(out) = self.process(records).await? else { return Ok(Progress::BeganAgain) };
        let (output, letters) = (&*self.wiring.output, &*self.wiring.letters);
        append_new(output, 0, out.messages, self.held.output, patience).await?;
        append_new(letters, 1 + self.wiring.partition, out.letters, self.held.letter, patience).await?;
        self.next = next;
        self.records_since_checkpoint += count;
        self.progress.send_replace(next);
        let end = self.wiring.input.end_offset(self.wiring.partition)?;
        let partition = self.wiring.partition.to_string();
        metrics::counter!("seislake_stage_records_total", "stage" => self.wiring.stage).increment(count);
        metrics::gauge!("seislake_stage_lag_records", "stage" => self.wiring.stage, "partition" => partition)
            .set(end.saturating_sub(next) as f64);
        Ok(Progress::Made)
    }

    /// What the stage says about the records; `None` where it failed at one of them and begins again without it.
    async fn process(&mut self, records: Vec<Record>) -> Result<Option<Output>, Error> {
        let mut stage =
            self.stage.take().ok_or_else(|| Error::new(ErrorKind::Internal, "the stage is gone"))?;
        let mut out = Output::new(self.wiring.stage, self.wiring.input.name(), self.wiring.partition);
        let failed = self.failed.clone();
        let at = Arc::new(AtomicU64::new(self.next));
        let reached = Arc::clone(&at);
        let processed = tokio::task::spawn_blocking(move || {
            for record in records.iter().filter(|record| !record.is_lost()) {
                reached.store(record.offset, Ordering::Relaxed);
                out.begin(record.offset);
                match failed.get(&record.offset) {
                    Some(reason) => out.reject(record, format!("the stage failed at it: {reason}"))?,
                    None => stage.process(record, &mut out)?,
                }
            }
            Ok::<_, Error>((stage, out))
        })
        .await;
        let reason = match processed {
            Ok(Ok((stage, out))) => {
                self.stage = Some(stage);
                return Ok(Some(out));
            }
            Ok(Err(error)) => error.chain(),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => panic_text(&*panic),
                Err(ended) => return Err(Error::task(ended)),
            },
        };
        self.begin_without(at.load(Ordering::Relaxed), reason).await?;
        Ok(None)
    }

    /// Goes back to the checkpoint, to pass over the record at `offset`.
    async fn begin_without(&mut self, offset: Offset, reason: String) -> Result<(), Error> {
        let (topic, partition) = (self.wiring.input.name(), self.wiring.partition);
        tracing::error!(
            stage = self.wiring.stage,
            topic,
            partition,
            offset,
            reason,
            "a stage failed at a record and goes on without it"
        );
        let known = self.failed.insert(offset, reason.clone()).is_some();
        if known || self.failed.len() > FAILED_RECORDS_MAX {
            let message = format!("stage \"{}\" cannot go on: {reason}", self.wiring.stage);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let restored = restore::<S>(&self.config, &self.wiring, &self.checkpoints, &self.key).await?;
        (self.stage, self.held, self.next) = (Some(restored.stage), restored.held, restored.next);
        (self.upcoming, self.in_force) = (restored.upcoming, restored.in_force);
        self.base_revision = self.stage.as_ref().map_or(0, S::base_revision);
        Ok(())
    }

    /// The replay is over: other settings hold from here on. The checkpoint says so before anything is said with them.
    async fn change_settings(&mut self, from: Offset, config: &S::Config) -> Result<(), Error> {
        tracing::info!(stage = self.wiring.stage, offset = from, "the settings of now hold from here on");
        if let Some(stage) = &self.stage {
            let mut stage_now = S::restore(config, stage.snapshot())?;
            stage_now.take_base(&stage.base()?)?;
            self.stage = Some(stage_now);
        }
        self.in_force = settings_text::<S>(config)?;
        self.checkpoint().await
    }

    fn checkpoint_due(&self) -> bool {
        let elapsed = self.last_checkpoint.elapsed();
        let many = self.records_since_checkpoint >= self.settings.checkpoint_records;
        let old = elapsed >= self.settings.checkpoint_interval;
        let paused = elapsed < self.checkpoint_cost * CHECKPOINT_PAUSE;
        self.records_since_checkpoint > 0 && (many || old) && !paused
    }

    /// A checkpoint that cannot be saved costs the next life some replay, no more.
    async fn checkpoint_or_warn(&mut self) {
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(
                stage = self.wiring.stage,
                error = error.chain(),
                "a checkpoint could not be saved"
            );
            self.last_checkpoint = Instant::now();
        }
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let Some(stage) = self.stage.take() else { return Ok(()) };
        let base_before = self.base_revision;
        let (stage, (state, base)) = tokio::task::spawn_blocking(move || {
            let state = rmp_serde::to_vec(&stage.snapshot());
            let base = (stage.base_revision() != base_before).then(|| stage.base()).transpose();
            (stage, (state, base))
        })
        .await
        .map_err(Error::task)?;
        let base_revision = stage.base_revision();
        self.stage = Some(stage);
        let base = base?;
        let state = Some(Bytes::from(state.map_err(|e| {
            Error::caused(ErrorKind::Internal, format!("encode checkpoint \"{}\"", self.key), e)
        })?));
        // While the replay has not yet passed what was said before, the next life must find it again.
        let passed = |held: LastOutput| held.is_none_or(|(offset, _)| offset < self.next);
        let output_end = self.wiring.output.end_offset(0)?;
        let letters_end = self.wiring.letters.end_offset(1 + self.wiring.partition)?;
        let checkpoint = Checkpoint {
            state_version: S::STATE_VERSION,
            input_next: self.next,
            output_next: if passed(self.held.output) { output_end } else { self.held.output_scan },
            letters_next: if passed(self.held.letter) { letters_end } else { self.held.letter_scan },
            state,
            settings: Some(self.in_force.clone()),
            base_revision,
            kind: Some(self.wiring.kind.to_owned()),
        };
        let (checkpoints, key) = (self.checkpoints.clone(), self.key.clone());
        tokio::task::spawn_blocking(move || checkpoints.save(&key, &checkpoint, base.as_deref()))
            .await
            .map_err(Error::task)??;
        self.base_revision = base_revision;
        self.records_since_checkpoint = 0;
        self.last_checkpoint = Instant::now();
        self.checkpoint_cost = begin.elapsed();
        Ok(())
    }
}

/// A stage as its last checkpoint has it.
struct Restoration<S: Stage> {
    stage: S,
    held: LastOutputs,
    next: Offset,
    /// See [`StageRunner`].
    upcoming: Option<(Offset, S::Config)>,
    in_force: String,
}

/// Restores a stage and finds out what it said already. Where a checkpoint cannot be used the stage replays its input.
async fn restore<S: Stage>(
    config: &S::Config,
    wiring: &StageWiring,
    checkpoints: &CheckpointStore,
    key: &str,
) -> Result<Restoration<S>, Error> {
    let end = wiring.input.end_offset(wiring.partition)?;
    let checkpoint = usable::<S>(checkpoints.load(key)?.unwrap_or_default(), wiring, end);
    let base = match checkpoint.base_revision {
        0 => Some(Vec::new()),
        revision => checkpoints.base(key, revision)?,
    };
    let (mut restoration, checkpoint) = match revived(config, wiring, &checkpoint, base.as_deref(), end)
        .await?
    {
        Revival::Whole(restoration) => (restoration, checkpoint),
        Revival::Unreadable(error) => {
            let error = error.chain();
            tracing::warn!(stage = wiring.stage, error, "a checkpoint cannot be read: replaying the input");
            let empty = Checkpoint::default();
            match revived(config, wiring, &empty, Some(&[]), end).await? {
                Revival::Whole(restoration) => (restoration, empty),
                Revival::Unreadable(error) => return Err(error),
            }
        }
    };
    if checkpoint.settings.as_ref() != Some(&restoration.in_force) {
        // The next life must know them even where this one does not come to a checkpoint.
        let settings = Some(restoration.in_force.clone());
        let checkpoint = Checkpoint { settings, kind: Some(wiring.kind.to_owned()), ..checkpoint };
        checkpoints.save(key, &checkpoint, None)?;
    }
    restoration.next = restoration.next.max(wiring.input.watermarks(wiring.partition)?.start);
    Ok(restoration)
}

/// A checkpoint, or an empty one in its place: where another version wrote it, or where the log has lost what it knows.
fn usable<S: Stage>(checkpoint: Checkpoint, wiring: &StageWiring, end: Offset) -> Checkpoint {
    let versions = S::STATE_VERSION_MIN..=S::STATE_VERSION;
    if checkpoint.state.is_some() && !versions.contains(&checkpoint.state_version) {
        tracing::info!(stage = wiring.stage, "the checkpoint is of another version: replaying the input");
        return Checkpoint::default();
    }
    if checkpoint.input_next > end {
        let (next, stage) = (checkpoint.input_next, wiring.stage);
        tracing::warn!(
            stage,
            next,
            end,
            "the checkpoint lies behind the end of the log: replaying the input"
        );
        return Checkpoint::default();
    }
    checkpoint
}

/// What became of a checkpoint.
enum Revival<S: Stage> {
    Whole(Restoration<S>),
    /// Its state cannot be read.
    Unreadable(Error),
}

/// A stage as a checkpoint and what belongs to it have it.
async fn revived<S: Stage>(
    config: &S::Config,
    wiring: &StageWiring,
    checkpoint: &Checkpoint,
    base: Option<&[u8]>,
    end: Offset,
) -> Result<Revival<S>, Error> {
    let held = held_outputs(wiring, checkpoint, end).await?;
    let replayed = held.replayed_until(checkpoint.input_next);
    // What was said already is said again as it was, by the settings of that life.
    let (first, upcoming) = match former_config::<S>(wiring.stage, config, checkpoint) {
        Some(former) if replayed > checkpoint.input_next => (former, Some((replayed, config.clone()))),
        _ => (config.clone(), None),
    };
    let stage = match &checkpoint.state {
        Some(state) => match read_state::<S>(&first, state, base) {
            Ok(stage) => stage,
            Err(error) => return Ok(Revival::Unreadable(error)),
        },
        None => S::init(&first)?,
    };
    let in_force = settings_text::<S>(&first)?;
    Ok(Revival::Whole(Restoration { stage, held, next: checkpoint.input_next, upcoming, in_force }))
}

fn read_state<S: Stage>(config: &S::Config, state: &[u8], base: Option<&[u8]>) -> Result<S, Error> {
    let state = rmp_serde::from_slice(state)
        .map_err(|e| Error::caused(ErrorKind::Corrupt, "read the state of a checkpoint", e))?;
    let mut stage = S::restore(config, state)?;
    let lost = || Error::new(ErrorKind::Corrupt, "what belongs to a checkpoint is not there");
    stage.take_base(base.ok_or_else(lost)?)?;
    Ok(stage)
}

/// Appends what the log does not hold yet, in order.
async fn append_new(
    topic: &dyn Topic,
    partition: u32,
    derived: Vec<Derivation>,
    held: LastOutput,
    patience: &Patience,
) -> Result<(), Error> {
    let new = derived.into_iter().filter(|one| Some((one.offset, one.index)) > held);
    for records in in_appends(new.map(|one| one.record).collect(), APPEND_BYTES) {
        append(topic, partition, records, patience).await?;
    }
    Ok(())
}

/// Appends all records or none, when the log can take them.
pub(super) async fn append(
    topic: &dyn Topic,
    partition: u32,
    records: Vec<NewRecord>,
    patience: &Patience,
) -> Result<(), Error> {
    let mut trial = patience.trial();
    loop {
        match topic.append(partition, records.clone()).await {
            Ok(_) => break,
            Err(error) => trial.failed(error).await?,
        }
    }
    trial.succeeded();
    Ok(())
}
