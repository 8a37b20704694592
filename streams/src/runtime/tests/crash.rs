//! Lives that end at a chosen step: before or after an append, before or after a commit. The next life mends it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use seislake_model::{Inventory, Offset};
use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::pick::PickSettings;
use seislake_seismo::travel_time::VelocityModel;
use tokio::sync::watch;

use super::memory_sink::{Fuel, Tables};
use super::{
    PARTITIONS, WAVEFORMS_RAW, all_stages, import, open_gate, pipeline_parts, settings, undisturbed, world,
};
use crate::Error;
use crate::earth::Earth;
use crate::gate::Gate;
use crate::message::{ASSOCIATIONS, PHASE_PICKS, PROPOSALS, REVISIONS, dead_letter_topic};
use crate::runtime::{CheckpointStore, Pipeline, PipelineSettings};
use crate::topic::{AppendPlace, Durability, Log, LogSettings, NewRecord, Record, Topic, Watermarks};
use crate::topology::StageSpec;

/// A topic that takes fuel before and after every append.
#[derive(Debug)]
struct Fuelled {
    topic: Arc<dyn Topic>,
    fuel: Fuel,
}

#[async_trait]
impl Topic for Fuelled {
    fn name(&self) -> &str {
        self.topic.name()
    }

    fn partitions(&self) -> u32 {
        self.topic.partitions()
    }

    async fn append(&self, partition: u32, records: Vec<NewRecord>) -> Result<AppendPlace, Error> {
        self.fuel.step().await;
        let appended = self.topic.append(partition, records).await;
        self.fuel.step().await;
        appended
    }

    async fn continue_at(&self, partition: u32, offset: Offset) -> Result<(), Error> {
        self.topic.continue_at(partition, offset).await
    }

    async fn read(
        &self,
        partition: u32,
        from: Offset,
        bytes: usize,
        wait: Duration,
    ) -> Result<Vec<Record>, Error> {
        self.topic.read(partition, from, bytes, wait).await
    }

    fn watermarks(&self, partition: u32) -> Result<Watermarks, Error> {
        self.topic.watermarks(partition)
    }

    fn ends(&self, partition: u32) -> Result<watch::Receiver<Offset>, Error> {
        self.topic.ends(partition)
    }
}

fn fuelled(log: &Log, fuel: &Fuel) -> Arc<Log> {
    let mut names = Vec::new();
    for (name, partitions) in
        [(WAVEFORMS_RAW, PARTITIONS), (PHASE_PICKS, 1), (ASSOCIATIONS, 1), (PROPOSALS, 1), (REVISIONS, 1)]
    {
        names.push((name.to_owned(), partitions));
        names.push((dead_letter_topic(name), 1 + partitions));
    }
    let topics = names.iter().map(|(name, partitions)| {
        let topic = log.topic(name, *partitions).unwrap();
        Arc::new(Fuelled { topic, fuel: fuel.clone() }) as Arc<dyn Topic>
    });
    Arc::new(Log::of_topics(topics.collect()))
}

/// Where the lives keep what survives them.
enum Ground<'a> {
    Memory(&'a Log, &'a CheckpointStore),
    Files(&'a Path),
}

/// One life: works to its end, or stops dead when the fuel is spent. True where it came to its end.
fn live<W: Future<Output = ()>>(
    ground: &Ground<'_>,
    fuel: &Fuel,
    work: impl FnOnce(Arc<Log>, CheckpointStore, Option<PathBuf>) -> W,
) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let (log, checkpoints, directory) = match ground {
            Ground::Memory(log, checkpoints) => (fuelled(log, fuel), (*checkpoints).clone(), None),
            Ground::Files(directory) => {
                let settings = LogSettings {
                    durability: Durability::OperatingSystem,
                    segment_bytes: 100_000,
                    ..LogSettings::default()
                };
                let log = Log::open(directory, settings);
                (
                    fuelled(&log, fuel),
                    CheckpointStore::open(directory).unwrap(),
                    Some(directory.to_path_buf()),
                )
            }
        };
        tokio::select! {
            () = fuel.spent.cancelled() => false,
            () = work(log, checkpoints, directory) => true,
        }
    });
    // Waits for what runs on other threads: nothing of this life reaches into the next.
    drop(runtime);
    done
}

/// Lives of pseudo-random length until one comes to its end.
fn outlive(ground: &Ground<'_>, seed: u64) -> usize {
    let tables = Tables::default();
    let mut random = seed;
    for life in 1.. {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Growing, so that it ends.
        let steps = (random >> 33) as i64 % (20 + 10 * life as i64);
        let fuel = Fuel::new(steps);
        let work = |log: Arc<Log>, checkpoints, directory: Option<PathBuf>| {
            let (tables, fuel) = (&tables, &fuel);
            async move {
                let gate = open_gate(&log, directory.as_deref()).await;
                import(&log, &gate, &checkpoints, tables, fuel).await;
            }
        };
        if live(ground, &fuel, work) {
            assert_eq!(&tables.rows(), undisturbed(), "seed {seed}, {life} lives");
            return life;
        }
    }
    unreachable!()
}

#[test]
fn crashes_at_any_step_change_no_row() {
    let mut lives = 0;
    for seed in 1..=6 {
        lives += outlive(&Ground::Memory(&Log::memory(), &CheckpointStore::memory().unwrap()), seed);
    }
    assert!(lives > 30, "only {lives} lives");
}

#[test]
fn crashes_over_files_change_no_row() {
    let home = tempfile::tempdir().unwrap();
    outlive(&Ground::Files(home.path()), 99);
}

/// What an operator does between two starts: other stations, other settings, another earth, one more stage.
struct Part {
    inventory: Inventory,
    earth: Earth,
    settings: PipelineSettings,
    stages: Vec<&'static StageSpec>,
    offers: Range<usize>,
}

fn parts() -> [Part; 3] {
    let count = world().offers.len();
    let before = world().network.inventory().clone();
    let mut moved = before.clone();
    for (index, channel) in moved.channels.iter_mut().enumerate() {
        channel.latitude += 0.001 * (index % 3) as f64;
        if let Some(response) = &mut channel.response {
            response.sensitivity *= 2.0;
        }
    }
    let few: Vec<_> = all_stages().into_iter().filter(|stage| stage.name != "magnitude").collect();
    let mut other = settings();
    let associate = AssociateSettings::default();
    let p_picks_min = associate.p_picks_min + 1;
    other.sections.set("pick", &PickSettings { p_snr_min: 6.0, ..PickSettings::default() }).unwrap();
    other.sections.set("associate", &AssociateSettings { p_picks_min, ..associate }).unwrap();
    let (earth, ak135) = (world().earth.clone(), VelocityModel::built_in("ak135").unwrap());
    let other_earth = Earth::new(ak135).unwrap();
    [
        Part {
            earth: earth.clone(),
            inventory: before,
            settings: settings(),
            stages: few,
            offers: 0..count / 3,
        },
        Part {
            earth,
            inventory: moved.clone(),
            settings: settings(),
            stages: all_stages(),
            offers: count / 3..2 * count / 3,
        },
        Part {
            earth: other_earth,
            inventory: moved,
            settings: other,
            stages: all_stages(),
            offers: 2 * count / 3..count,
        },
    ]
}

/// The rows after all parts, each in lives of pseudo-random length, or undisturbed without a seed; and the number of lives.
fn in_parts(seed: Option<u64>) -> (BTreeMap<String, Vec<String>>, usize) {
    let (log, checkpoints, tables) = (Log::memory(), CheckpointStore::memory().unwrap(), Tables::default());
    let index = tempfile::tempdir().unwrap();
    let (mut random, mut lives) = (seed.unwrap_or_default(), 0);
    for part in parts() {
        for life in 1.. {
            lives += 1;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let steps = (random >> 33) as i64 % (20 + 10 * life);
            let fuel = if seed.is_some() { Fuel::new(steps) } else { Fuel::endless() };
            let work = |log: Arc<Log>, checkpoints, _| {
                let (part, tables, fuel, index) = (&part, &tables, &fuel, index.path());
                async move {
                    let gate = Gate::open(&log, PARTITIONS, Some(index)).await.unwrap();
                    gate.announce(Arc::new(part.inventory.clone())).await.unwrap();
                    let (stages, earth) = (part.stages.clone(), part.earth.clone());
                    let settings = part.settings.clone();
                    let parts = pipeline_parts(settings, stages, earth, &log, &checkpoints, tables, fuel);
                    let pipeline = Pipeline::start(parts).await.unwrap();
                    for offers in world().offers[part.offers.clone()].chunks(200) {
                        gate.ingest(offers.to_vec()).await.unwrap();
                    }
                    gate.finish().await.unwrap();
                    pipeline.drain().await.unwrap();
                    pipeline.shutdown().await.unwrap();
                }
            };
            if live(&Ground::Memory(&log, &checkpoints), &fuel, work) {
                break;
            }
        }
    }
    (tables.rows(), lives)
}

/// A stage is a function of its log and its settings, and both are kept: what an operator changes between two starts holds
/// from a place on that crashes do not move.
#[test]
fn crashes_while_stations_settings_and_stages_change_alter_no_row() {
    let (undisturbed, _) = in_parts(None);
    assert!(undisturbed["bulletin.magnitudes"].len() > 1, "the parts find events with magnitudes");
    let mut lives = 0;
    for seed in 1..=6 {
        let (rows, needed) = in_parts(Some(seed));
        assert_eq!(rows, undisturbed, "seed {seed}, {needed} lives");
        lives += needed;
    }
    assert!(lives > 100, "only {lives} lives");
}
