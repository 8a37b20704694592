//! The whole path of one home in one process: lake, log, gate and pipeline, wired by the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use seislake_model::Inventory;
use seislake_streams::earth::Earth;
use seislake_streams::gate::{Gate, IndexSource, LiveSettings};
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::runtime::{
    BlockEnd, CheckpointStore, Pipeline, PipelineParts, PipelineSettings, RetrySettings, SinkSettings,
    StageSettings, continue_log, log_holds,
};
use seislake_streams::topic::{Log, LogSettings, Topic};
use seislake_streams::topology;
use seislake_tables::Sink;

use crate::Lakehouse;
use crate::archived::ArchivedPackets;
use crate::home::{Home, Purpose};
use crate::settings::Settings;
use crate::stations::HomeStations;

/// A running path. [`Engine::stop`] ends it in order; dropping it is a crash that the next start mends.
#[derive(Debug)]
pub struct Engine {
    pub lakehouse: Lakehouse,
    pub gate: Arc<Gate>,
    pub pipeline: Arc<Pipeline>,
    pub stations: Arc<HomeStations>,
    pub intake: Intake,
    /// Topic `waveforms.raw`: original records.
    pub raw: Arc<dyn Topic>,
    /// Where catalog and warehouse lie.
    home: PathBuf,
}

/// Which records the ingest door may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// All: this process knows every record of the home.
    Open,
    /// None: other processes fill the home, and only they know what they have taken.
    InShares {
        /// Number of shares.
        shards: u32,
    },
}

/// What the engine works for: records that come in live, or files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Soon visible.
    Live,
    /// Soon done.
    Bulk,
}

impl Workload {
    /// Bytes of a topic to keep in memory: imports wait for their readers within so much.
    fn recent_bytes(self) -> usize {
        match self {
            Self::Live => LogSettings::default().recent_bytes,
            Self::Bulk => BULK_RECENT_BYTES,
        }
    }
}

/// How long the end waits for the catalog.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

const BULK_RECENT_BYTES: usize = 32 << 20;

/// While files are imported, tables are committed this often: fewer, larger files.
const BULK_COMMIT_INTERVAL: Duration = Duration::from_secs(20);
const BULK_COMMIT_ROWS: usize = 1_000_000;
/// ... and segments are cut only where so many records are at hand.
const BULK_BLOCK_RECORDS: u64 = 1 << 16;

/// The log of a home and what is opened with it.
struct OpenLog {
    log: Arc<Log>,
    sinks: BTreeMap<String, Box<dyn Sink>>,
    checkpoints: CheckpointStore,
    gate: Gate,
}

impl OpenLog {
    async fn of(
        home: &Home,
        settings: &Settings,
        lakehouse: &Lakehouse,
        workload: Workload,
    ) -> anyhow::Result<Self> {
        let partitions = settings.streams.raw_partition_count;
        let log_settings = LogSettings {
            segment_bytes: settings.streams.segment_bytes,
            recent_bytes: workload.recent_bytes(),
            ..LogSettings::default()
        };
        let log = Arc::new(Log::open(home.path(), log_settings).with_suffix(home.topic_suffix()));
        // Before anything is committed: a commit passes a hidden state by.
        for (table, ranges) in lakehouse.lake().hidden_ranges().await? {
            let held = !ranges.is_empty() && log_holds(&log, partitions, &settings.topology, &ranges).await?;
            if !held {
                lakehouse.lake().go_forward(&table).await?;
            }
        }
        let mut sinks: BTreeMap<String, Box<dyn Sink>> = BTreeMap::new();
        for table in topology::tables_of(settings.topology.all()) {
            let name = table.full_name();
            let sink = lakehouse.lake().sink(&name).await?;
            sinks.insert(name, sink);
        }
        let checkpoints = CheckpointStore::open(home.path()).context("cannot open the checkpoints")?;
        let lost = continue_log(&log, partitions, &settings.topology, &mut sinks, &checkpoints)
            .await
            .context("cannot open the log")?;
        let index = if lost { IndexSource::Log } else { IndexSource::Kept };
        let archived = Arc::new(ArchivedPackets(lakehouse.clone()));
        let gate = Gate::open_beside(&log, partitions, Some(home.path()), Some(archived), index);
        let gate = gate.await.context("cannot open the log")?;
        Ok(Self { log, sinks, checkpoints, gate })
    }
}

/// Opens the log and the state of a home as a start does, which makes again what is lost of them, and closes them.
pub async fn mend_log(home: &Home, settings: &Settings) -> anyhow::Result<()> {
    let lakehouse = Lakehouse::open(home, settings).await?;
    OpenLog::of(home, settings, &lakehouse, Workload::Bulk).await.map(drop)
}

impl Engine {
    /// Opens the home's lake, adds `stations`, opens the log and starts all sinks, and all stages where there is a
    /// an `earth` for them.
    pub async fn start(
        home: &Home,
        settings: &Settings,
        workload: Workload,
        stations: Inventory,
        earth: Option<Earth>,
    ) -> anyhow::Result<Self> {
        let lakehouse = Lakehouse::open(home, settings).await?;
        let lake = lakehouse.lake();
        let opened = OpenLog::of(home, settings, &lakehouse, workload).await?;
        let OpenLog { log, sinks, checkpoints, gate } = opened;
        let gate = Arc::new(gate);
        let listener = earth.is_some().then(|| Arc::clone(&gate));
        let home_stations = Arc::new(HomeStations::new(lake.clone(), listener));
        home_stations.add(stations).await.context("cannot store the stations")?;
        let raw =
            log.topic(WAVEFORMS_RAW, settings.streams.raw_partition_count).context("cannot open the log")?;
        let parts = PipelineParts {
            log,
            raw_partitions: settings.streams.raw_partition_count,
            checkpoints,
            settings: PipelineSettings {
                stage: StageSettings::default(),
                sink: sink_settings(settings, workload),
                sections: settings.sections.clone(),
            },
            stages: settings.topology.stages().to_vec(),
            earth,
            stations: home_stations.current(),
            sinks,
            raw_store: settings.archive.keep_raw.then(|| lake.raw_store()),
        };
        let pipeline = Pipeline::start(parts).await.context("cannot start the pipeline")?;
        let intake = match home.purpose()? {
            Some(Purpose::Archive { shards }) if shards > 1 => Intake::InShares { shards },
            _ => Intake::Open,
        };
        lakehouse.remember_states(home.lake()).await;
        let (pipeline, home) = (Arc::new(pipeline), home.lake().to_owned());
        Ok(Self { lakehouse, gate, pipeline, stations: home_stations, intake, raw, home })
    }

    /// Adds stations to those of the home; records that come afterwards are picked with them.
    pub async fn add_stations(&self, stations: Inventory) -> anyhow::Result<()> {
        self.stations.add(stations).await.context("cannot store the stations")
    }

    /// How live records keep time.
    pub fn live_settings(settings: &Settings) -> LiveSettings {
        LiveSettings {
            lateness_s: settings.streams.lateness_s,
            idle_after_s: settings.streams.idle_after_s,
            ..LiveSettings::default()
        }
    }

    /// Ends the stream: everything held back comes out and is committed.
    pub async fn finish(&self) -> anyhow::Result<()> {
        self.gate.finish().await?;
        self.pipeline.drain().await?;
        Ok(())
    }

    /// Everything that came so far is worked on and committed; the stream goes on.
    pub async fn settle(&self) -> anyhow::Result<()> {
        Ok(self.pipeline.drain().await?)
    }

    /// Closes the lake behind the last question: a copy of the catalog's file is then whole.
    pub async fn close(&self) {
        // Somebody may be within a question that does not end: the next to open the catalog finds it as whole.
        if tokio::time::timeout(CLOSED_WITHIN, self.lakehouse.lake().close()).await.is_err() {
            tracing::debug!("the catalog is still asked: its file is left with what lies beside it");
        }
    }

    /// Ends the process's work in order.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.pipeline.shutdown().await?;
        self.lakehouse.remember_states(&self.home).await;
        Ok(())
    }
}

fn sink_settings(settings: &Settings, workload: Workload) -> SinkSettings {
    let live = SinkSettings {
        commit_interval: Duration::from_secs_f64(settings.lake.commit_interval_s),
        commit_rows: usize::try_from(settings.lake.commit_row_count).unwrap_or(usize::MAX),
        // A server waits for room as long as it takes; a command tells its user.
        retry: RetrySettings { give_up_after: None, ..RetrySettings::default() },
        ..SinkSettings::default()
    };
    match workload {
        Workload::Live => live,
        Workload::Bulk => SinkSettings {
            commit_interval: BULK_COMMIT_INTERVAL,
            commit_rows: BULK_COMMIT_ROWS,
            block_records: BULK_BLOCK_RECORDS,
            block_end: BlockEnd::Session,
            retry: RetrySettings::default(),
            ..live
        },
    }
}
