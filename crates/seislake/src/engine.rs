//! The whole path of one home in one process: lake, log, gate and pipeline, wired by the settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use seislake_model::{Inventory, Sink};
use seislake_seismo::travel_time::TravelTime;
use seislake_streams::gate::{Gate, LiveSettings};
use seislake_streams::runtime::{
    BlockEnd, CheckpointStore, Pipeline, PipelineParts, PipelineSettings, SinkSettings, StageSettings, TABLES,
};
use seislake_streams::stages::InventoryHandle;
use seislake_streams::topic::{Log, LogSettings};

use crate::home::Home;
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;

/// A running path. [`Engine::stop`] ends it in order; dropping it is a crash that the next start mends.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) lakehouse: Lakehouse,
    pub(crate) gate: Arc<Gate>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) inventory: InventoryHandle,
}

/// What the engine works for: records that come in live, or files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
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

const BULK_RECENT_BYTES: usize = 32 << 20;

/// While files are imported, tables are committed this often: fewer, larger files.
const BULK_COMMIT_INTERVAL: Duration = Duration::from_secs(20);
const BULK_COMMIT_ROWS: usize = 1_000_000;
/// ... and segments are cut only where so many records are at hand.
const BULK_BLOCK_RECORDS: u64 = 1 << 16;

impl Engine {
    /// Opens the home's lake, adds `stations`, opens the log and starts all sinks, and all stages where there is a
    /// `travel_time` for them.
    pub(crate) async fn start(
        home: &Home,
        settings: &Settings,
        workload: Workload,
        stations: Inventory,
        travel_time: Option<Arc<dyn TravelTime>>,
    ) -> anyhow::Result<Self> {
        let lakehouse = Lakehouse::open(home, settings).await?;
        let lake = lakehouse.lake();
        let inventory =
            InventoryHandle::new(lake.upsert_inventory(stations).await.context("cannot store the stations")?);
        let partitions = settings.streams.raw_partition_count;
        let log_settings = LogSettings {
            segment_bytes: settings.streams.segment_bytes,
            recent_bytes: workload.recent_bytes(),
            ..LogSettings::default()
        };
        let log = Arc::new(Log::open(home.path(), log_settings).with_suffix(home.topic_suffix()));
        let gate = Gate::open(&log, partitions, Some(home.path())).await.context("cannot open the log")?;
        let mut sinks: BTreeMap<String, Box<dyn Sink>> = BTreeMap::new();
        for table in TABLES {
            sinks.insert(table.to_owned(), lake.sink(table).await?);
        }
        let parts = PipelineParts {
            log,
            raw_partitions: partitions,
            checkpoints: CheckpointStore::open(home.path()).context("cannot open the checkpoints")?,
            settings: PipelineSettings {
                stage: StageSettings::default(),
                sink: sink_settings(settings, workload),
                pick: settings.pick.clone(),
                associate: settings.associate.clone(),
                locate: settings.locate.clone(),
                magnitude: settings.magnitude.clone(),
            },
            inventory: inventory.clone(),
            travel_time,
            sinks,
            raw_store: settings.archive.keep_raw.then(|| lake.raw_store()),
        };
        let pipeline = Pipeline::start(parts).await.context("cannot start the pipeline")?;
        Ok(Self { lakehouse, gate: Arc::new(gate), pipeline: Arc::new(pipeline), inventory })
    }

    /// How live records keep time.
    pub(crate) fn live_settings(settings: &Settings) -> LiveSettings {
        LiveSettings {
            lateness_s: settings.streams.lateness_s,
            idle_after_s: settings.streams.idle_after_s,
            ..LiveSettings::default()
        }
    }

    /// Ends the stream: everything held back comes out and is committed.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        self.gate.finish().await?;
        self.pipeline.drain().await?;
        Ok(())
    }

    /// Ends the process's work in order.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        Ok(self.pipeline.shutdown().await?)
    }
}

fn sink_settings(settings: &Settings, workload: Workload) -> SinkSettings {
    let live = SinkSettings {
        commit_interval: Duration::from_secs_f64(settings.lake.commit_interval_s),
        commit_rows: usize::try_from(settings.lake.commit_row_count).unwrap_or(usize::MAX),
        ..SinkSettings::default()
    };
    match workload {
        Workload::Live => live,
        Workload::Bulk => SinkSettings {
            commit_interval: BULK_COMMIT_INTERVAL,
            commit_rows: BULK_COMMIT_ROWS,
            block_records: BULK_BLOCK_RECORDS,
            block_end: BlockEnd::Session,
            ..live
        },
    }
}
