//! Runs one stage over one input partition, exactly once across crashes.
//!
//! ```text
//! restore checkpoint ─► find the last output already in the log ─► read ─► process ─► append what is new ─► checkpoint
//! ```
//! A stage is deterministic and its outputs are appended in order, each naming the input it comes from. After a crash
//! the stage replays its input from the checkpoint; outputs up to the last one that the log holds are left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seislake_model::{ErrorKind, Offset};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, CheckpointStore};
use super::stage::{Derived, Output, Stage};
use crate::Error;
use crate::message::{Envelope, letter_of};
use crate::topic::{Record, Topic};

/// Largest append of derived messages.
const APPEND_BYTES: usize = 4 << 20;

/// A checkpoint that took some time is not repeated before this many times as long: at most a twentieth of the time
/// goes into checkpoints, however large the state is.
const CHECKPOINT_PAUSE: u32 = 20;

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

/// Where a stage reads and writes.
#[derive(Clone, Debug)]
pub struct StageWiring {
    /// Topic it reads.
    pub input: Arc<dyn Topic>,
    /// Partition it reads.
    pub partition: u32,
    /// Topic it writes, partition 0.
    pub output: Arc<dyn Topic>,
    /// Its dead letters go here, partition `1 + partition`.
    pub letters: Arc<dyn Topic>,
}

/// Last output already in a log: (input offset, index).
type Held = Option<(Offset, u32)>;

/// What an earlier life of the stage said after the checkpoint, and from where the logs were searched for it.
#[derive(Clone, Copy, Debug)]
struct HeldOutputs {
    output: Held,
    output_scan: Offset,
    letter: Held,
    letter_scan: Offset,
}

/// Runs one stage over one input partition.
#[derive(Debug)]
pub struct StageRunner<S: Stage> {
    stage: Option<S>,
    wiring: StageWiring,
    settings: StageSettings,
    checkpoints: CheckpointStore,
    key: String,
    next: Offset,
    held: HeldOutputs,
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
        let key = format!("{}/{}/{}", S::NAME, wiring.input.name(), wiring.partition);
        let mut checkpoint = checkpoints.load(&key)?.unwrap_or_default();
        if checkpoint.state.is_some() && checkpoint.state_version != S::STATE_VERSION {
            tracing::info!(stage = S::NAME, "the checkpoint is of another version: replaying the input");
            checkpoint = Checkpoint::default();
        }
        let stage = match &checkpoint.state {
            None => S::init(config)?,
            Some(state) => {
                let state = rmp_serde::from_slice(state).map_err(|e| {
                    Error::caused(ErrorKind::Corrupt, format!("read the state of checkpoint \"{key}\""), e)
                })?;
                S::restore(config, state)?
            }
        };
        let held = HeldOutputs {
            output: last_output(&wiring, checkpoint.output_next).await?,
            output_scan: checkpoint.output_next,
            letter: last_letter(S::NAME, &wiring, checkpoint.letters_next).await?,
            letter_scan: checkpoint.letters_next,
        };
        Ok(Self {
            stage: Some(stage),
            wiring,
            settings,
            checkpoints,
            key,
            next: checkpoint.input_next,
            held,
            records_since_checkpoint: 0,
            last_checkpoint: Instant::now(),
            checkpoint_cost: Duration::ZERO,
            progress: watch::Sender::new(checkpoint.input_next),
        })
    }

    /// Next input offset: everything before it is processed and its outputs are in the log.
    pub fn progress(&self) -> watch::Receiver<Offset> {
        self.progress.subscribe()
    }

    /// Works until `stop`; then the batch at hand is finished and a checkpoint saved.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let wiring = self.wiring.clone();
        while !stop.is_cancelled() {
            let (bytes, wait) = (self.settings.read_bytes, self.settings.checkpoint_interval);
            let read = wiring.input.read(wiring.partition, self.next, bytes, wait);
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                records = read => records?,
            };
            self.take(records).await?;
            if self.checkpoint_due() {
                self.checkpoint().await?;
            }
        }
        if self.records_since_checkpoint > 0 {
            self.checkpoint().await?;
        }
        Ok(())
    }

    async fn take(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let Some(last) = records.last() else { return Ok(()) };
        let (next, count) = (last.offset + 1, records.len() as u64);
        let mut stage =
            self.stage.take().ok_or_else(|| Error::new(ErrorKind::Internal, "the stage is gone"))?;
        let mut out = Output::new(S::NAME, self.wiring.input.name(), self.wiring.partition);
        let (stage, out) = tokio::task::spawn_blocking(move || {
            for record in &records {
                out.begin(record.offset);
                stage.process(record, &mut out)?;
            }
            Ok::<_, Error>((stage, out))
        })
        .await
        .map_err(Error::task)?
        .map_err(|e| Error::caused(e.kind, format!("stage \"{}\" cannot go on", S::NAME), e))?;
        self.stage = Some(stage);
        append_new(&*self.wiring.output, 0, out.messages, self.held.output).await?;
        append_new(&*self.wiring.letters, 1 + self.wiring.partition, out.letters, self.held.letter).await?;
        self.next = next;
        self.records_since_checkpoint += count;
        self.progress.send_replace(next);
        let end = self.wiring.input.end_offset(self.wiring.partition)?;
        let partition = self.wiring.partition.to_string();
        metrics::counter!("seislake_stage_records_total", "stage" => S::NAME).increment(count);
        metrics::gauge!("seislake_stage_lag_records", "stage" => S::NAME, "partition" => partition)
            .set((end - next) as f64);
        Ok(())
    }

    fn checkpoint_due(&self) -> bool {
        let elapsed = self.last_checkpoint.elapsed();
        let many = self.records_since_checkpoint >= self.settings.checkpoint_records;
        let old = elapsed >= self.settings.checkpoint_interval;
        let paused = elapsed < self.checkpoint_cost * CHECKPOINT_PAUSE;
        self.records_since_checkpoint > 0 && (many || old) && !paused
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let state = self.stage.as_ref().map(|stage| rmp_serde::to_vec(&stage.snapshot()));
        let state = state.transpose().map(|state| state.map(Bytes::from)).map_err(|e| {
            Error::caused(ErrorKind::Internal, format!("encode checkpoint \"{}\"", self.key), e)
        })?;
        // While the replay has not yet passed what was said before, the next life must find it again.
        let passed = |held: Held| held.is_none_or(|(offset, _)| offset < self.next);
        let output_end = self.wiring.output.end_offset(0)?;
        let letters_end = self.wiring.letters.end_offset(1 + self.wiring.partition)?;
        let checkpoint = Checkpoint {
            state_version: S::STATE_VERSION,
            input_next: self.next,
            output_next: if passed(self.held.output) { output_end } else { self.held.output_scan },
            letters_next: if passed(self.held.letter) { letters_end } else { self.held.letter_scan },
            state,
        };
        let (checkpoints, key) = (self.checkpoints.clone(), self.key.clone());
        tokio::task::spawn_blocking(move || checkpoints.save(&key, &checkpoint))
            .await
            .map_err(Error::task)??;
        self.records_since_checkpoint = 0;
        self.last_checkpoint = Instant::now();
        self.checkpoint_cost = begin.elapsed();
        Ok(())
    }
}

/// Appends what the log does not hold yet, in order.
async fn append_new(
    topic: &dyn Topic,
    partition: u32,
    derived: Vec<Derived>,
    held: Held,
) -> Result<(), Error> {
    let new = derived.into_iter().filter(|one| Some((one.offset, one.index)) > held);
    let (mut records, mut byte_count) = (Vec::new(), 0);
    for one in new {
        byte_count += one.record.value.len();
        records.push(one.record);
        if byte_count >= APPEND_BYTES {
            topic.append(partition, std::mem::take(&mut records)).await?;
            byte_count = 0;
        }
    }
    if !records.is_empty() {
        topic.append(partition, records).await?;
    }
    Ok(())
}

async fn last_output(wiring: &StageWiring, from: Offset) -> Result<Held, Error> {
    let (topic, partition) = (wiring.input.name(), wiring.partition);
    last_of(&*wiring.output, 0, from, |record| {
        let source = Envelope::of(record)?.source;
        let ours = source.topic == topic && source.partition == partition;
        Ok(ours.then_some((source.offset, source.index)))
    })
    .await
}

async fn last_letter(stage: &str, wiring: &StageWiring, from: Offset) -> Result<Held, Error> {
    last_of(&*wiring.letters, 1 + wiring.partition, from, |record| {
        let letter = letter_of(record)?;
        Ok((letter.stage == stage).then_some((letter.position.offset, letter.index)))
    })
    .await
}

async fn last_of(
    topic: &dyn Topic,
    partition: u32,
    mut from: Offset,
    place: impl Fn(&Record) -> Result<Held, Error> + Send,
) -> Result<Held, Error> {
    let end = topic.end_offset(partition)?;
    let mut held = None;
    while from < end {
        let records = topic.read(partition, from, 1 << 20, Duration::ZERO).await?;
        for record in &records {
            held = held.max(place(record)?);
            from = record.offset + 1;
        }
    }
    Ok(held)
}
