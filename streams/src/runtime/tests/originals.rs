//! Original records in the store: every committed row names bytes that are there, however lives end and blocks are cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use seislake_model::{RawStore, Result};

use super::memory_sink::{Fuel, Tables};
use super::open_gate;
use super::{PARTITIONS, settings, world};
use crate::runtime::{CheckpointStore, Pipeline, PipelineParts, PipelineSettings, SinkSettings};
use crate::topic::Log;
use crate::topology::all_stages;

#[derive(Debug, Default)]
struct MemoryStore(Mutex<HashMap<String, usize>>);

#[async_trait]
impl RawStore for MemoryStore {
    fn uri(&self, path: &str) -> String {
        path.to_owned()
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.0.lock().unwrap().insert(path.to_owned(), bytes.len());
        Ok(())
    }
}

async fn archive(log: &Arc<Log>, tables: &Tables, store: &Arc<MemoryStore>, block_records: u64) -> Pipeline {
    let parts = PipelineParts {
        log: Arc::clone(log),
        raw_partitions: PARTITIONS,
        checkpoints: CheckpointStore::memory().unwrap(),
        settings: PipelineSettings {
            sink: SinkSettings { block_records, ..settings().sink },
            ..PipelineSettings::default()
        },
        stages: all_stages(),
        earth: None,
        stations: Arc::default(),
        sinks: tables.sinks(&Fuel::endless()),
        raw_store: Some(Arc::<MemoryStore>::clone(store)),
    };
    Pipeline::start(parts).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_cut_otherwise_do_not_shorten_objects_that_rows_name() {
    let (tables, store) = (Tables::default(), Arc::<MemoryStore>::default());
    let log = Arc::new(Log::memory());
    let gate = open_gate(&log, None).await;
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    tables.refuse("waveform.segments");
    let first = archive(&log, &tables, &store, 64).await;
    assert!(first.drain().await.is_err());
    drop(first);
    let committed = tables.rows()["waveform.packets"].len();
    assert!(committed > 0, "packets were committed, their segments were not");

    tables.allow("waveform.segments");
    let second = archive(&log, &tables, &store, 8).await;
    second.drain().await.unwrap();
    second.shutdown().await.unwrap();
    let packets = &tables.rows()["waveform.packets"];
    assert!(packets.len() > committed);
    let sizes = store.0.lock().unwrap();
    for packet in packets {
        let uri = packet.split('|').find(|cell| cell.contains("#bytes=")).unwrap();
        let (object, range) = uri.split_once("#bytes=").unwrap();
        let last: usize = range.split_once('-').unwrap().1.parse().unwrap();
        assert!(last < sizes[object], "{uri} of an object of {} bytes", sizes[object]);
    }
}
