//! Lives that end at a chosen step: before or after an append, before or after a commit. The next life mends it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use seislake_model::Offset;
use tokio::sync::watch;

use super::memory_sink::{Fuel, Tables};
use super::{PARTITIONS, WAVEFORMS_RAW, import, undisturbed};
use crate::Error;
use crate::gate::Gate;
use crate::message::{ASSOCIATIONS, PHASE_PICKS, PROPOSALS, REVISIONS, dead_letter_topic};
use crate::runtime::CheckpointStore;
use crate::topic::{Appended, Durability, Log, LogSettings, NewRecord, Record, Topic, Watermarks};

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

    async fn append(&self, partition: u32, records: Vec<NewRecord>) -> Result<Appended, Error> {
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

/// One life: imports everything, or stops dead when the fuel is spent. True where it came to its end.
fn live(ground: &Ground<'_>, tables: &Tables, fuel: &Fuel) -> bool {
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
                (fuelled(&log, fuel), CheckpointStore::open(directory).unwrap(), Some(*directory))
            }
        };
        let work = async {
            let gate = Gate::open(&log, PARTITIONS, directory).await.unwrap();
            import(&log, &gate, &checkpoints, tables, fuel).await;
        };
        tokio::select! {
            () = fuel.spent.cancelled() => false,
            () = work => true,
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
        if live(ground, &tables, &Fuel::new(steps)) {
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
