//! The whole path on a small synthetic network: what it finds, and that crashes at any moment change nothing.

mod crash;
mod failing;
mod memory_sink;
mod originals;
mod own_stage;
mod poison;
mod replay;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use seislake_mseed::{PackSettings, pack};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::VelocityModel;

use super::*;
use crate::earth::Earth;
use crate::gate::{Gate, Offer, ReceivedRecord};
use crate::message::{WAVEFORMS_RAW, Watermark};
use crate::topic::Log;
use crate::topology::{StageSpec, all_stages, tables_of};
use memory_sink::{Fuel, Tables};

pub(super) const PARTITIONS: u32 = 2;

/// A network, an earth model and its records: made once.
struct World {
    network: SyntheticNetwork,
    earth: Earth,
    offers: Vec<Offer>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let earth = Earth::new(VelocityModel::built_in("iasp91").unwrap()).unwrap();
        let settings = SyntheticSettings {
            station_count: 9,
            duration_s: 200.0,
            event_interval_s: 60.0,
            extent_km: 60.0,
            magnitude_min: 2.8,
            ..SyntheticSettings::default()
        };
        let network = SyntheticNetwork::new(settings, &*earth.travel_time);
        let offers = records(&network);
        World { network, earth, offers }
    })
}

/// Records of ten seconds, channel by channel, with a watermark behind each ten seconds and one damaged record.
fn records(network: &SyntheticNetwork) -> Vec<Offer> {
    let mut offers = Vec::new();
    let step = 1000;
    for first in (0..network.sample_count()).step_by(step) {
        for channel in 0..network.channel_count() {
            let mut samples = vec![0; step];
            network.fill(channel, first, &mut samples);
            let source_id = network.source_id(channel).as_str();
            let settings = PackSettings::new(source_id, network.sample_time(first).nanos(), 100.0);
            offers.extend(pack(&settings, samples.as_slice()).unwrap().into_iter().map(|bytes| {
                Offer::Record(ReceivedRecord { bytes: bytes.into(), arrival_time: None, origin: None })
            }));
        }
        offers.push(Offer::Watermark(Watermark(network.sample_time(first + step as u64))));
    }
    let torn = ReceivedRecord { bytes: vec![7; 100].into(), arrival_time: None, origin: None };
    offers.insert(5, Offer::Record(torn));
    offers
}

fn settings() -> PipelineSettings {
    PipelineSettings {
        stage: StageSettings { read_bytes: 64 << 10, checkpoint_records: 300, ..StageSettings::default() },
        sink: SinkSettings {
            read_bytes: 64 << 10,
            commit_rows: 150,
            block_records: 64,
            retry: RetrySettings {
                pause_min: Duration::from_millis(1),
                pause_max: Duration::from_millis(10),
                give_up_after: Some(Duration::from_millis(200)),
            },
            ..SinkSettings::default()
        },
        ..PipelineSettings::default()
    }
}

async fn start(log: &Arc<Log>, checkpoints: &CheckpointStore, tables: &Tables, fuel: &Fuel) -> Pipeline {
    start_with(settings(), log, checkpoints, tables, fuel).await
}

async fn start_with(
    settings: PipelineSettings,
    log: &Arc<Log>,
    checkpoints: &CheckpointStore,
    tables: &Tables,
    fuel: &Fuel,
) -> Pipeline {
    let parts = pipeline_parts(settings, all_stages(), world().earth.clone(), log, checkpoints, tables, fuel);
    Pipeline::start(parts).await.unwrap()
}

fn pipeline_parts(
    settings: PipelineSettings,
    stages: Vec<&'static StageSpec>,
    earth: Earth,
    log: &Arc<Log>,
    checkpoints: &CheckpointStore,
    tables: &Tables,
    fuel: &Fuel,
) -> PipelineParts {
    PipelineParts {
        raw_store: None,
        log: Arc::clone(log),
        raw_partitions: PARTITIONS,
        checkpoints: checkpoints.clone(),
        settings,
        earth: Some(earth),
        stations: Arc::default(),
        sinks: tables.sinks_of(&tables_of(&stages), fuel),
        stages,
    }
}

/// The gate of a home that knows the stations of the network.
async fn open_gate(log: &Log, directory: Option<&Path>) -> Gate {
    let gate = Gate::open(log, PARTITIONS, directory).await.unwrap();
    gate.announce(Arc::new(world().network.inventory().clone())).await.unwrap();
    gate
}

/// Everything from the first record to the last commit.
async fn import(log: &Arc<Log>, gate: &Gate, checkpoints: &CheckpointStore, tables: &Tables, fuel: &Fuel) {
    let pipeline = start(log, checkpoints, tables, fuel).await;
    for offers in world().offers.chunks(200) {
        gate.ingest(offers.to_vec()).await.unwrap();
    }
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();
    pipeline.shutdown().await.unwrap();
}

/// The tables after an undisturbed import.
fn undisturbed() -> &'static BTreeMap<String, Vec<String>> {
    static ROWS: OnceLock<BTreeMap<String, Vec<String>>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let work = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let tables = Tables::default();
                let log = Arc::new(Log::memory());
                let gate = open_gate(&log, None).await;
                import(&log, &gate, &CheckpointStore::memory().unwrap(), &tables, &Fuel::endless()).await;
                tables.rows()
            })
        };
        // On a thread of its own, because tests that ask may be within a runtime.
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    })
}

#[test]
fn records_become_packets_segments_picks_located_events_and_magnitudes() {
    let rows = undisturbed();
    let count = |table: &str| rows[table].len();
    let record_count = world().offers.iter().filter(|offer| matches!(offer, Offer::Record(_))).count();
    assert_eq!(count("waveform.packets"), record_count - 1);
    assert_eq!(count("stream.dead_letters"), 1);
    assert!(count("waveform.segments") < record_count, "records are joined");
    let truth = world().network.events().len();
    assert!(truth >= 2);
    assert_eq!(count("bulletin.origins"), truth, "every earthquake is located, and nothing else");
    assert_eq!(count("bulletin.magnitudes"), truth);
    assert_eq!(count("bulletin.events"), 2 * truth, "revision 1 located, revision 2 with magnitude");
    assert!(count("bulletin.picks") >= 10 * truth && count("bulletin.arrivals") >= 8 * truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_records_again_add_no_row() {
    let tables = Tables::default();
    let log = Arc::new(Log::memory());
    let checkpoints = CheckpointStore::memory().unwrap();
    for _ in 0..2 {
        let gate = open_gate(&log, None).await;
        import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
        assert_eq!(&tables.rows(), undisturbed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_checkpoint_is_made_good_by_the_log() {
    let tables = Tables::default();
    let log = Arc::new(Log::memory());
    for _ in 0..2 {
        let gate = open_gate(&log, None).await;
        import(&log, &gate, &CheckpointStore::memory().unwrap(), &tables, &Fuel::endless()).await;
        assert_eq!(&tables.rows(), undisturbed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_session_is_located_like_one_of_its_own() {
    let tables = Tables::default();
    let log = Arc::new(Log::memory());
    let checkpoints = CheckpointStore::memory().unwrap();
    let gate = open_gate(&log, None).await;
    // The future first: the network's records a year later, of other stations.
    let shift_ns = 365 * 86_400 * 1_000_000_000_i64;
    let pipeline = start(&log, &checkpoints, &tables, &Fuel::endless()).await;
    let settings =
        PackSettings::new("FDSN:ZZ_LATER__H_H_Z", world().network.sample_time(0).nanos() + shift_ns, 100.0);
    let later = pack(&settings, [1, 2, 3].as_slice()).unwrap().remove(0);
    let offer = Offer::Record(ReceivedRecord { bytes: later.into(), arrival_time: None, origin: None });
    gate.ingest(vec![offer]).await.unwrap();
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();
    pipeline.shutdown().await.unwrap();
    import(&log, &gate, &checkpoints, &tables, &Fuel::endless()).await;
    for table in ["bulletin.picks", "bulletin.origins", "bulletin.arrivals", "bulletin.events"] {
        assert_eq!(tables.rows()[table], undisturbed()[table], "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_of_every_event() {
    let log = Arc::new(Log::memory());
    let gate = open_gate(&log, None).await;
    let (checkpoints, tables) = (CheckpointStore::memory().unwrap(), Tables::default());
    let pipeline = start(&log, &checkpoints, &tables, &Fuel::endless()).await;
    let mut feed = pipeline.feed();
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    let mut located = 0;
    while located < undisturbed()["bulletin.origins"].len() {
        let FeedItem::Revision(revision) = feed.recv().await.unwrap();
        located += revision.origins.len();
    }
    pipeline.drain().await.unwrap();
    assert!(pipeline.lags().unwrap().iter().all(|lag| lag.next == lag.end));
    pipeline.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_table_stops_the_pipeline_with_its_error() {
    let log = Arc::new(Log::memory());
    let gate = open_gate(&log, None).await;
    let (checkpoints, tables) = (CheckpointStore::memory().unwrap(), Tables::default());
    tables.refuse("bulletin.picks");
    let pipeline = start(&log, &checkpoints, &tables, &Fuel::endless()).await;
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    let error = pipeline.drain().await.unwrap_err();
    assert!(error.chain().contains("bulletin.picks is refused"), "{}", error.chain());
    assert!(pipeline.shutdown().await.is_err());
}
