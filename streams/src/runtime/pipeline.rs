//! The whole path in one process: stages, sinks and feed over one log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use seislake_model::{ErrorKind, Inventory, Offset, RawStore};
use seislake_tables::{Sink, TableDef};
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checkpoint::CheckpointStore;
use super::feed::{self, FEED_ITEMS_MAX, FeedItem};
use super::retry::{Health, Patience, RetrySettings};
use super::said::check_identity;
use super::sink_runner::{SinkInput, SinkRunner, SinkSettings};
use super::stage::Stage;
use super::stage_runner::{StageRunner, StageSettings};
use super::tabulate::{BlockSettings, LetterTable, MessageTable, RawTable, Tabulate};
use super::wiring::StageWiring;
use crate::Error;
use crate::earth::Earth;
use crate::error::Cause;
use crate::message::{WAVEFORMS_RAW, dead_letter_topic};
use crate::topic::{Log, Topic};
use crate::topology::{self, Feed, LETTER_TABLES, RAW_TABLES, Sections, StageSpec, all_stages};

/// A runner that fails is gone before its failure is told: that takes no longer.
const FAILURE_TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Settings of the path.
#[derive(Clone, Debug, Default)]
pub struct PipelineSettings {
    /// How stages are run.
    pub stage: StageSettings,
    /// When tables are committed.
    pub sink: SinkSettings,
    /// What stages are set to.
    pub sections: Sections,
}

/// What a pipeline is made of.
pub struct PipelineParts {
    /// The log of the home.
    pub log: Arc<Log>,
    /// Partitions of `waveforms.raw`.
    pub raw_partitions: u32,
    /// Checkpoints of stages.
    pub checkpoints: CheckpointStore,
    /// Settings of the path.
    pub settings: PipelineSettings,
    /// The stages, in the order of the path; none: records are archived only.
    pub stages: Vec<&'static StageSpec>,
    /// Earth model of the stages from picks to magnitudes; `None`: no stage runs.
    pub earth: Option<Earth>,
    /// Stations of the home at its start: they hold for stations that the log has not told of, or tells no more.
    pub stations: Arc<Inventory>,
    /// One sink for each of [`crate::topology::tables_of`] the stages; others are ignored.
    pub sinks: BTreeMap<String, Box<dyn Sink>>,
    /// Where original records are kept; `None`: in the log only.
    pub raw_store: Option<Arc<dyn RawStore>>,
}

impl fmt::Debug for PipelineParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineParts").field("sinks", &self.sinks.keys()).finish_non_exhaustive()
    }
}

/// A place in `waveforms.raw`, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(Vec<Offset>);

impl Mark {
    /// The end of each partition.
    pub fn ends(&self) -> &[Offset] {
        &self.0
    }
}

/// How far a stage is behind its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Stage.
    pub stage: &'static str,
    /// Input topic.
    pub topic: String,
    /// Input partition.
    pub partition: u32,
    /// Next offset to process.
    pub next: Offset,
    /// End of the input.
    pub end: Offset,
}

#[derive(Debug)]
struct StageProgress {
    stage: &'static str,
    input: Arc<dyn Topic>,
    partition: u32,
    next: watch::Receiver<Offset>,
}

/// A running pipeline. Dropping it stops it at once, as a crash would; [`Pipeline::shutdown`] stops it in order.
#[derive(Debug)]
pub struct Pipeline {
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
    /// In the order of the path: a stage comes behind the one that feeds it.
    stages: Vec<StageProgress>,
    raw: Arc<dyn Topic>,
    /// Next offset of everybody who reads a partition of `raw`.
    raw_readers: Vec<(u32, watch::Receiver<Offset>)>,
    flush: watch::Sender<u64>,
    flushed: Vec<watch::Receiver<u64>>,
    failure: watch::Receiver<Option<Arc<Error>>>,
    health: Health,
    feed: broadcast::Sender<FeedItem>,
}

impl Pipeline {
    /// Opens all topics, restores all stages and starts working.
    pub async fn start(parts: PipelineParts) -> Result<Self, Error> {
        let PipelineParts { checkpoints, settings, stages, earth, stations, sinks, raw_store, .. } = parts;
        topology::check(&stages)?;
        let topics = Topics::open(&parts.log, parts.raw_partitions, &stages)?;
        let mut builder = Builder::new(checkpoints, &settings, Arc::clone(&topics.raw));
        let (sink_settings, partition_count) = (settings.sink, topics.raw.partitions());
        if let Some(earth) = earth {
            let context = StageContext { settings, earth, stations, partition_count };
            builder.add_stages(&stages, &context, &topics).await?;
        }
        builder.add_sinks(sinks, sink_settings, raw_store, &stages, &topics).await?;
        builder.add_feed(&stages, &topics)?;
        Ok(builder.pipeline)
    }

    /// What is found from now on. A receiver that falls far behind misses items.
    pub fn feed(&self) -> broadcast::Receiver<FeedItem> {
        self.feed.subscribe()
    }

    /// How far each stage is behind.
    pub fn lags(&self) -> Result<Vec<Lag>, Error> {
        self.stages
            .iter()
            .map(|progress| {
                Ok(Lag {
                    stage: progress.stage,
                    topic: progress.input.name().to_owned(),
                    partition: progress.partition,
                    next: *progress.next.borrow(),
                    end: progress.input.end_offset(progress.partition)?,
                })
            })
            .collect()
    }

    /// Ends of the partitions of `waveforms.raw` now: for [`Pipeline::passed`].
    pub fn mark(&self) -> Result<Mark, Error> {
        (0..self.raw.partitions())
            .map(|partition| self.raw.end_offset(partition))
            .collect::<Result<_, _>>()
            .map(Mark)
    }

    /// Waits until all who read `waveforms.raw` have come to `mark`. A source that appends faster than they read waits
    /// for them so: what they read next is in memory still.
    pub async fn passed(&self, mark: &Mark) -> Result<(), Error> {
        for (partition, next) in &self.raw_readers {
            let end = mark.0.get(*partition as usize).copied().unwrap_or(0);
            wait_for(next.clone(), end).await?;
        }
        Ok(())
    }

    /// Waits until everything appended so far has passed all stages and is committed in all tables. Raw records behind
    /// the last punctuation or block boundary stay uncommitted: punctuate first.
    pub async fn drain(&self) -> Result<(), Error> {
        let work = async {
            for progress in &self.stages {
                let end = progress.input.end_offset(progress.partition)?;
                wait_for(progress.next.clone(), end).await?;
            }
            let mut number = 0;
            self.flush.send_modify(|wanted| {
                *wanted += 1;
                number = *wanted;
            });
            for flushed in &self.flushed {
                wait_for(flushed.clone(), number).await?;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            error = self.failed() => Err(error),
            done = work => match done {
                Ok(()) => Ok(()),
                Err(stopped) => Err(self.why_stopped(stopped).await),
            },
        }
    }

    /// The failure behind an end that was noticed a moment before it was told.
    async fn why_stopped(&self, stopped: Error) -> Error {
        tokio::select! {
            error = self.failed() => error,
            () = tokio::time::sleep(FAILURE_TOLD_WITHIN) => stopped,
        }
    }

    /// Why nothing more should be appended now: a runner that waits to try again, or that has given up. `None` while all is
    /// well.
    pub fn failing(&self) -> Option<String> {
        if let Some(error) = self.failure.borrow().as_ref() {
            return Some(format!("the pipeline stopped: {}", error.chain()));
        }
        self.health.failing().map(|(runner, reason)| format!("the runner \"{runner}\" waits: {reason}"))
    }

    /// Waits until a runner fails. Pends for ever while all is well.
    pub async fn failed(&self) -> Error {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.map(|failure| failure.clone());
        match failed {
            Ok(Some(error)) => Error::caused(error.kind, "the pipeline stopped", error),
            // All runners ended in order: nothing can fail any more.
            _ => std::future::pending().await,
        }
    }

    /// Stops in order: runners finish the batch at hand, tables are committed, checkpoints saved.
    /// Returns the error of a runner that failed before or while stopping.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.stop.cancel();
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(Error::task)?;
        }
        match self.failure.borrow().as_ref() {
            Some(error) => Err(Error::caused(error.kind, "the pipeline stopped", Arc::clone(error))),
            None => Ok(()),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.tasks.get_mut().abort_all();
    }
}

async fn wait_for<T: PartialOrd + Copy + Send + Sync>(
    mut progress: watch::Receiver<T>,
    goal: T,
) -> Result<(), Error> {
    match progress.wait_for(|value| *value >= goal).await {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(Error::new(ErrorKind::Unavailable, "the pipeline was stopped while it was being drained"))
        }
    }
}

/// What stages are made of beside their input.
#[derive(Debug)]
pub(crate) struct StageContext {
    pub(crate) settings: PipelineSettings,
    /// Earth model.
    pub(crate) earth: Earth,
    /// Stations at the start.
    pub(crate) stations: Arc<Inventory>,
    /// Partitions of `waveforms.raw`.
    pub(crate) partition_count: u32,
}

/// The topics of the path.
pub(super) struct Topics {
    pub(super) raw: Arc<dyn Topic>,
    /// Outputs of the stages.
    outputs: Vec<(&'static str, Arc<dyn Topic>)>,
    /// Dead letters of `raw` and of the outputs, in this order.
    letters: Vec<Arc<dyn Topic>>,
}

impl Topics {
    pub(super) fn open(log: &Log, raw_partitions: u32, stages: &[&'static StageSpec]) -> Result<Self, Error> {
        let partitions = |topic| if topic == WAVEFORMS_RAW { raw_partitions } else { 1 };
        let letters = topology::topics_of(stages)
            .into_iter()
            .map(|topic| log.topic(&dead_letter_topic(topic), 1 + partitions(topic)))
            .collect::<Result<_, _>>()?;
        let outputs = topology::topics_of(stages).into_iter().skip(1);
        let outputs = outputs.map(|output| Ok((output, log.topic(output, 1)?)));
        let outputs = outputs.collect::<Result<_, Error>>()?;
        Ok(Self { raw: log.topic(WAVEFORMS_RAW, raw_partitions)?, outputs, letters })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<dyn Topic>> {
        let outputs = self.outputs.iter().map(|(_, topic)| topic);
        std::iter::once(&self.raw).chain(outputs).chain(&self.letters)
    }

    /// The topic of a name, as stages have it.
    fn named(&self, name: &str) -> Result<&Arc<dyn Topic>, Error> {
        if name == WAVEFORMS_RAW {
            return Ok(&self.raw);
        }
        let found = self.outputs.iter().find(|(output, _)| *output == name);
        found
            .map(|(_, topic)| topic)
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no topic \"{name}\" on this path")))
    }

    /// Dead letters of the path's topics, in their order.
    fn letters_of(&self, input: &Arc<dyn Topic>) -> Result<&Arc<dyn Topic>, Error> {
        let index = self.all().position(|topic| topic.name() == input.name());
        let letters = index.and_then(|index| self.letters.get(index));
        letters.ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("no dead letters of \"{}\"", input.name()))
        })
    }

    fn wiring(
        &self,
        stage: &StageSpec,
        input: &Arc<dyn Topic>,
        partition: u32,
        output: &Arc<dyn Topic>,
    ) -> Result<StageWiring, Error> {
        Ok(StageWiring {
            stage: stage.log_name,
            kind: stage.kind,
            input: Arc::clone(input),
            partition,
            output: Arc::clone(output),
            letters: Arc::clone(self.letters_of(input)?),
        })
    }
}

/// Whether a stage has a place of ours: what stands there has always had one meaning.
fn is_ours(stage: &StageSpec) -> bool {
    all_stages().iter().any(|ours| ours.log_name == stage.log_name)
}

/// What one runner feeds: its name, its tables and what it reads.
struct SinkGroup {
    name: &'static str,
    tables: Vec<&'static TableDef>,
    inputs: Vec<SinkInput>,
}

/// The runners of all tables.
fn sink_groups(
    settings: SinkSettings,
    raw_store: &Option<Arc<dyn RawStore>>,
    stages: &[&'static StageSpec],
    topics: &Topics,
) -> Result<Vec<SinkGroup>, Error> {
    let blocks = BlockSettings {
        records: settings.block_records,
        bytes: settings.block_bytes,
        end: settings.block_end,
    };
    let every = |topic: &Arc<dyn Topic>, letters: Option<&Arc<dyn Topic>>, table: &MakeTable<'_>| {
        let input = |partition| SinkInput {
            topic: Arc::clone(topic),
            partition,
            table: table(partition),
            letters: letters.cloned(),
        };
        (0..topic.partitions()).map(input).collect::<Vec<SinkInput>>()
    };
    let raw = every(&topics.raw, Some(topics.letters_of(&topics.raw)?), &|partition| {
        Box::new(RawTable::new(topics.raw.name(), partition, blocks, raw_store.clone()))
    });
    let mut groups = vec![SinkGroup { name: "waveforms", tables: RAW_TABLES.into(), inputs: raw }];
    for stage in stages.iter().copied().filter(|stage| !stage.tables.is_empty()) {
        let topic = topics.named(stage.output)?;
        let inputs = every(topic, Some(topics.letters_of(topic)?), &|partition| {
            Box::new(MessageTable::new(topic.name(), partition, stage))
        });
        let group = match groups.iter().position(|group| group.name == stage.group) {
            Some(place) => &mut groups[place],
            None => {
                groups.push(SinkGroup { name: stage.group, tables: Vec::new(), inputs: Vec::new() });
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        group.inputs.extend(inputs);
        for table in stage.tables {
            if !group.tables.contains(table) {
                group.tables.push(table);
            }
        }
    }
    let letters = topics.letters.iter().flat_map(|topic| {
        every(topic, None, &|partition| Box::new(LetterTable::new(topic.name(), partition)))
    });
    groups.push(SinkGroup { name: "dead letters", tables: LETTER_TABLES.into(), inputs: letters.collect() });
    Ok(groups)
}

/// Makes the rows of one partition.
type MakeTable<'a> = dyn Fn(u32) -> Box<dyn Tabulate> + 'a;

/// A pipeline that is being put together.
pub(crate) struct Builder {
    pipeline: Pipeline,
    failure: Arc<watch::Sender<Option<Arc<Error>>>>,
    checkpoints: CheckpointStore,
    settings: StageSettings,
    retry: RetrySettings,
}

impl Builder {
    fn new(checkpoints: CheckpointStore, settings: &PipelineSettings, raw: Arc<dyn Topic>) -> Self {
        let (failure, failed) = watch::channel(None);
        let pipeline = Pipeline {
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
            stages: Vec::new(),
            raw,
            raw_readers: Vec::new(),
            flush: watch::Sender::new(0),
            flushed: Vec::new(),
            failure: failed,
            health: Health::default(),
            feed: broadcast::Sender::new(FEED_ITEMS_MAX),
        };
        let (stage, retry) = (settings.stage, settings.sink.retry);
        Self { pipeline, failure: Arc::new(failure), checkpoints, settings: stage, retry }
    }

    fn patience(&self, runner: &'static str) -> Patience {
        Patience::new(runner, self.retry, self.pipeline.health.clone(), self.pipeline.stop.clone())
    }

    async fn add_stages(
        &mut self,
        stages: &[&'static StageSpec],
        context: &StageContext,
        topics: &Topics,
    ) -> Result<(), Error> {
        // All before the first is opened: a start that is refused changes nothing.
        for stage in stages.iter().filter(|stage| !is_ours(stage)) {
            let (input, output) = (topics.named(stage.input)?, topics.named(stage.output)?);
            check_identity(&topics.wiring(stage, input, 0, output)?, &self.checkpoints).await?;
        }
        for stage in stages {
            let (input, output) = (topics.named(stage.input)?, topics.named(stage.output)?);
            for partition in 0..input.partitions() {
                (stage.start)(self, context, topics.wiring(stage, input, partition, output)?).await?;
            }
        }
        Ok(())
    }

    /// Starts a stage on one partition of its input.
    pub(crate) async fn add_stage<S: Stage>(
        &mut self,
        config: S::Config,
        wiring: StageWiring,
    ) -> Result<(), Error> {
        let (stage, input, partition) = (wiring.stage, Arc::clone(&wiring.input), wiring.partition);
        let runner = StageRunner::<S>::open(&config, wiring, self.settings, self.checkpoints.clone()).await?;
        let next = runner.progress();
        if input.name() == self.pipeline.raw.name() {
            self.pipeline.raw_readers.push((partition, next.clone()));
        }
        self.pipeline.stages.push(StageProgress { stage, input, partition, next });
        let stop = self.pipeline.stop.clone();
        let patience = self.patience(stage);
        self.spawn(stage, runner.run_patiently(stop, patience));
        Ok(())
    }

    async fn add_sinks(
        &mut self,
        mut sinks: BTreeMap<String, Box<dyn Sink>>,
        settings: SinkSettings,
        raw_store: Option<Arc<dyn RawStore>>,
        stages: &[&'static StageSpec],
        topics: &Topics,
    ) -> Result<(), Error> {
        for SinkGroup { name, tables, inputs } in sink_groups(settings, &raw_store, stages, topics)? {
            let mut taken = Vec::new();
            for table in tables {
                let sink = sinks.remove(&table.full_name()).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Invalid,
                        format!("start the pipeline: no sink for table \"{table}\""),
                    )
                })?;
                taken.push((table, sink));
            }
            let wanted = self.pipeline.flush.subscribe();
            let runner = SinkRunner::open(
                name,
                settings,
                taken,
                inputs,
                raw_store.clone(),
                wanted,
                self.patience(name),
            );
            let runner = runner.await?;
            self.pipeline.flushed.push(runner.flushed());
            self.pipeline.raw_readers.extend(runner.progress_in(self.pipeline.raw.name()));
            let stop = self.pipeline.stop.clone();
            self.spawn(name, runner.run(stop));
        }
        Ok(())
    }

    fn add_feed(&mut self, stages: &[&'static StageSpec], topics: &Topics) -> Result<(), Error> {
        for stage in stages.iter().filter(|stage| stage.feed == Feed::Shown) {
            let topic = topics.named(stage.output)?;
            let next = topic.end_offset(0)?;
            let (feed, stop) = (self.pipeline.feed.clone(), self.pipeline.stop.clone());
            let patience = self.patience("feed");
            self.spawn("feed", feed::run(Arc::clone(topic), next, feed, stop, patience));
        }
        Ok(())
    }

    /// Runs one runner; the first that fails stops all others.
    fn spawn(&mut self, name: &'static str, work: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let stop = self.pipeline.stop.clone();
        let failure = Arc::clone(&self.failure);
        self.pipeline.tasks.get_mut().spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(runner = name, error = error.chain(), "a runner failed, the pipeline stops");
                failure.send_if_modified(|first| {
                    let none_before = first.is_none();
                    if none_before {
                        *first = Some(Arc::new(error));
                    }
                    none_before
                });
                stop.cancel();
            }
        });
    }
}
