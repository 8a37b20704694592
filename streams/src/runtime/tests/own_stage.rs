//! A stage and a table of somebody's own: this file, and one line where the path is chosen. Topic, dead letters, commits and
//! lag are there.

use std::collections::BTreeMap;

use seislake_seismo::pick::PickSettings;
use seislake_tables::{PartitionBy, SortBy, TableDef, columns};
use serde::{Deserialize, Serialize};

use super::memory_sink::{Fuel, Tables};
use super::*;
use crate::Error;
use crate::message::{Envelope, Message, PHASE_PICKS, dead_letter_topic};
use crate::runtime::{Output, PipelineSettings, Stage, batch};
use crate::topic::{NewRecord, Record};
use crate::topology::{Feed, OwnStage, SettingsSpec, StageSpec, Topology, all_stages, check, tables_of};

/// How many picks a station has had when one came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PickCount {
    station: String,
    pick_count: u64,
}

const TABLE: TableDef = TableDef {
    namespace: "test",
    name: "pick_counts",
    doc: "How many picks a station has had.",
    columns: COLUMNS,
    partition: &[] as &[PartitionBy],
    sort: SortBy::Columns(&[names::station]),
    identity: &[names::station, names::pick_count],
    page_rows: 4096,
    row_group_rows: 4096,
};

columns! {
    rows of PickCount as row in rows;
    1 station: required Text, "Network and station code.";
    2 pick_count: required Long, "Picks so far.";
    -> PickCount { station, pick_count }
}

const SPEC: StageSpec = StageSpec {
    name: "count",
    log_name: "count",
    kind: "count",
    input: PHASE_PICKS,
    output: "test.pick_counts",
    tables: &[&TABLE],
    group: "counts",
    settings: SettingsSpec::NONE,
    feed: Feed::Hidden,
    says: |message| matches!(message, Message::Other { .. }),
    rows: |messages| {
        let counts = messages.into_iter().filter_map(|message| match message {
            Message::Other { content, .. } => serde_json::from_value::<PickCount>(content).ok(),
            _ => None,
        });
        Ok(vec![batch(counts.collect())?])
    },
    start: |builder, _, wiring| Box::pin(builder.add_stage::<CountStage>((), wiring)),
};

static OWN: StageSpec = SPEC;

#[derive(Debug, Default)]
struct CountStage(BTreeMap<String, u64>);

impl Stage for CountStage {
    const NAME: &'static str = SPEC.name;
    const STATE_VERSION: u32 = 1;
    type Config = ();
    type Settings = ();
    type State = BTreeMap<String, u64>;

    fn settings((): &()) {}

    fn with_settings((): &(), (): ()) {}

    fn init((): &()) -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Pick { pick, .. }) => {
                let station = format!("{}.{}", pick.source_id.network(), pick.source_id.station());
                let count = self.0.entry(station.clone()).or_default();
                *count += 1;
                let count = PickCount { station: station.clone(), pick_count: *count };
                let content = serde_json::to_value(count).unwrap();
                out.emit(Message::Other { key: station, content })
            }
            Ok(_) => Ok(()),
            Err(error) => out.reject(record, error.chain()),
        }
    }

    fn snapshot(&self) -> Self::State {
        self.0.clone()
    }

    fn restore((): &(), state: Self::State) -> Result<Self, Error> {
        Ok(Self(state))
    }
}

async fn start_stages(log: &Arc<Log>, tables: &Tables, stages: Vec<&'static StageSpec>) -> Pipeline {
    start_with_stages(log, tables, stages, settings()).await
}

async fn start_with_stages(
    log: &Arc<Log>,
    tables: &Tables,
    stages: Vec<&'static StageSpec>,
    settings: PipelineSettings,
) -> Pipeline {
    start_from(&CheckpointStore::memory().unwrap(), log, tables, stages, settings).await.unwrap()
}

async fn start_from(
    checkpoints: &CheckpointStore,
    log: &Arc<Log>,
    tables: &Tables,
    stages: Vec<&'static StageSpec>,
    settings: PipelineSettings,
) -> Result<Pipeline, Error> {
    let earth = world().earth.clone();
    Pipeline::start(pipeline_parts(settings, stages, earth, log, checkpoints, tables, &Fuel::endless())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_and_a_table_of_ones_own_are_a_file_and_a_line() {
    let mut stages = all_stages();
    stages.push(&OWN);
    check(&stages).unwrap();
    assert!(tables_of(&stages).contains(&&TABLE));
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    let pipeline = start_stages(&log, &tables, stages).await;
    gate.ingest(world().offers.clone()).await.unwrap();
    // What nobody can read on the topic of picks is a dead letter of this stage too.
    let picks = log.topic(PHASE_PICKS, 1).unwrap();
    let nonsense = NewRecord { key: "x".into(), value: "nonsense".into(), arrival_time: None };
    picks.append(0, vec![nonsense]).await.unwrap();
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();

    let counts = tables.rows_of(&TABLE);
    assert_eq!(counts.len(), undisturbed()["bulletin.picks"].len(), "a row for each pick");
    assert!(tables.rows()["bulletin.picks"] == undisturbed()["bulletin.picks"]);
    let lags = pipeline.lags().unwrap();
    let lag = lags.iter().find(|lag| lag.stage == "count").unwrap();
    assert_eq!((lag.topic.as_str(), lag.next), (PHASE_PICKS, lag.end));
    let letters = log.topic(&dead_letter_topic("test.pick_counts"), 2).unwrap();
    assert_eq!(letters.end_offset(1).unwrap(), 0, "its own messages can be read");
    let refused = &tables.rows()["stream.dead_letters"];
    assert!(refused.iter().any(|letter| letter.contains("|count|")), "{refused:?}");
    pipeline.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_ends_where_stages_are_left_out() {
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    let topology = Topology::of(&["pick".to_owned()], Vec::new()).unwrap();
    let pipeline = start_stages(&log, &tables, topology.stages().to_vec()).await;
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();
    assert!(tables.rows()["bulletin.picks"] == undisturbed()["bulletin.picks"]);
    assert!(tables.rows()["bulletin.events"].is_empty());
    assert!(pipeline.lags().unwrap().iter().all(|lag| lag.stage == "pick"));
    pipeline.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_of_a_configuration_fills_tables_of_its_own_and_changes_none_of_ours() {
    let own = OwnStage { name: "quiet".into(), kind: "pick".into(), input: None, replaces: None };
    let names = ["pick", "associate", "locate", "magnitude", "event", "quiet"].map(str::to_owned);
    let topology = Topology::of(&names, vec![own.spec().unwrap()]).unwrap();
    let mut settings = settings();
    let wanted = PickSettings { p_snr_min: 6.0, ..PickSettings::default() };
    settings.sections.set("quiet", &wanted).unwrap();
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let gate = open_gate(&log, None).await;
    let pipeline = start_with_stages(&log, &tables, topology.stages().to_vec(), settings).await;
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();
    for (table, rows) in undisturbed() {
        assert!(&tables.rows()[table] == rows, "{table}");
    }
    let picks = tables.rows_of(topology.own_tables()[0]).len();
    assert!(picks > 0 && picks < undisturbed()["bulletin.picks"].len(), "{picks} picks are surer");
    assert!(pipeline.lags().unwrap().iter().any(|lag| lag.stage == "quiet" && lag.next == lag.end));
    pipeline.shutdown().await.unwrap();
}

fn own(name: &str, kind: &str, input: Option<&str>, replaces: Option<&str>) -> &'static StageSpec {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let own =
        OwnStage { name: name.into(), kind: kind.into(), input: owned(input), replaces: owned(replaces) };
    own.spec().unwrap()
}

#[test]
fn one_that_replaces_ours_goes_on_where_the_other_ended() {
    let names = |first: &str| [first, "associate", "locate", "magnitude", "event"].map(str::to_owned);
    let ours = Topology::of(&names("pick"), Vec::new()).unwrap();
    let with_loud = Topology::of(&names("loud"), vec![own("loud", "pick", None, Some("pick"))]).unwrap();
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let checkpoints = CheckpointStore::memory().unwrap();
    // Each life has threads of its own, whose end is waited for: nothing of it reaches into the next.
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let start =
        |topology: &Topology| start_from(&checkpoints, &log, &tables, topology.stages().to_vec(), settings());
    let offers = &world().offers;
    let part = offers.len().div_ceil(6);
    for (life, offers) in offers.chunks(part).enumerate() {
        let topology = if life % 2 == 0 { &ours } else { &with_loud };
        runtime().block_on(async {
            let gate = open_gate(&log, None).await;
            let pipeline = start(topology).await.unwrap();
            gate.ingest(offers.to_vec()).await.unwrap();
            // Some lives end in order, some at once and in the middle of their work.
            if life % 3 == 0 {
                pipeline.drain().await.unwrap();
                pipeline.shutdown().await.unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
    }
    runtime().block_on(async {
        open_gate(&log, None).await.finish().await.unwrap();
        let pipeline = start(&with_loud).await.unwrap();
        pipeline.drain().await.unwrap();
        for (table, rows) in undisturbed() {
            assert!(&tables.rows()[table] == rows, "{table}");
        }
        assert!(pipeline.lags().unwrap().iter().any(|lag| lag.stage == "pick" && lag.next == lag.end));
        pipeline.shutdown().await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_to_mean_something_else_is_refused() {
    let (log, tables) = (Arc::new(Log::memory()), Tables::default());
    let checkpoints = CheckpointStore::memory().unwrap();
    let gate = open_gate(&log, None).await;
    let near = own("near", "associate", None, None);
    let far_picks = own("far_pick", "pick", None, None);
    let pick = all_stages()[0];
    let pipeline = start_from(&checkpoints, &log, &tables, vec![pick, near], settings()).await.unwrap();
    gate.ingest(world().offers.clone()).await.unwrap();
    gate.finish().await.unwrap();
    pipeline.drain().await.unwrap();
    pipeline.shutdown().await.unwrap();
    let far = own("near", "associate", Some("far_pick.phase_picks"), None);
    let begun = async |checkpoints: &CheckpointStore, stages| {
        let begun = start_from(checkpoints, &log, &tables, stages, settings()).await;
        begun.map(drop).unwrap_err().to_string()
    };
    let lost = CheckpointStore::memory().unwrap();
    for checkpoints in [&checkpoints, &lost] {
        let error = begun(checkpoints, vec![pick, far_picks, far]).await;
        assert!(
            error.contains(
                "has read the topic \"waveforms.phase_picks\" and is to read \"far_pick.phase_picks\" now"
            ),
            "{error}"
        );
    }
    // A kind that reads the same and says other things.
    let counting: &'static StageSpec =
        Box::leak(Box::new(StageSpec { name: "near", log_name: "near", ..SPEC }));
    let error = begun(&checkpoints, vec![pick, counting]).await;
    assert!(error.contains("was of the kind \"associate\" and is to be of \"count\" now"), "{error}");
    let again = start_from(&checkpoints, &log, &tables, vec![pick, near], settings()).await.unwrap();
    again.shutdown().await.unwrap();
}
