//! `seislake demo`: the whole system on a synthetic network, in one process.
//!
//! The stream takes the path of real records: packets → gate → log → stages → tables. Only the stations, the ground
//! and the clock are made up; the truth is printed beside what is found, and compared with it at the end, also at the one
//! that Ctrl-C makes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;
use seislake_model::{CatalogueEvent, Event, Timestamp};
use seislake_seismo::compare::{CompareSettings, Comparison, compare};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_streams::gate::{Incoming, Offer};
use seislake_streams::message::Watermark;
use seislake_streams::runtime::FeedItem;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::commands::compare::{describe, line};
use crate::interruption::{self, Interrupted, asked_to_stop};
use crate::server::{Server, install_metrics, serve_until_stopped};
use crate::terminal::{data_progress, print_result, tell};
use seislake_lakehouse::engine::{Engine, Workload};
use seislake_lakehouse::home::Home;
use seislake_lakehouse::settings::Settings;
use seislake_lakehouse::synthetic_stream::SyntheticStream;
use seislake_lakehouse::velocity_model;

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake demo
          seislake demo --exit --minutes 10 --seed 7
          seislake demo --exit --home ./demo-home

A temporary home is deleted at the end; --home keeps it, for `seislake serve` and `seislake query`.
Exit status with --exit: 0 only if recall and precision are at least 0.95 and the median epicentre error is at most 2 km, else 1. Without it: 0 after Ctrl-C, which prints the comparison with the truth so far.")]
pub(crate) struct DemoArgs {
    /// Home of the demo, which stays; a temporary one, deleted at the end, where absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Length of the synthetic stream in minutes of data.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) minutes: Option<u32>,
    /// Seed of the synthetic network.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many times faster than real time the stream flows.
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    pub(crate) speed: f64,
    /// Run at full speed, compare with the truth and exit: status 0 only if the bar is met.
    #[arg(long)]
    pub(crate) exit: bool,
    /// With --exit: print the comparison as JSON.
    #[arg(long, requires = "exit")]
    pub(crate) json: bool,
    /// Address of the HTTP doors (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Address of Flight SQL.
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight: Option<String>,
}

const MINUTES_EXIT: u32 = 10;
const MINUTES_LIVE: u32 = 60;
/// The bar of `--exit`.
const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.95;
const EPICENTRE_KM_MAX: f64 = 2.0;
/// Waves of an event later than this before the end of a stream that was cut short had no time to reach the stations.
const UNSEEN_S: f64 = 60.0;
/// What counts as the same event.
const SAME_EVENT: CompareSettings = CompareSettings { time_tolerance_s: 3.0, distance_tolerance_km: 15.0 };

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    interruption::listen();
    if !(args.speed > 0.0 && args.speed.is_finite()) {
        bail!("--speed {} is not above zero", args.speed);
    }
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.set_addresses(args.http.clone(), args.flight.clone())?;
    let folder = DemoFolder::choose(&args);
    let home = Home::open(&folder.path)?;
    let earth = velocity_model::earth(&home, &settings, None)?;
    let minutes = args.minutes.unwrap_or(if args.exit { MINUTES_EXIT } else { MINUTES_LIVE });
    let synthetic = SyntheticSettings {
        seed: args.seed,
        duration_s: f64::from(minutes) * 60.0,
        ..SyntheticSettings::default()
    };
    let rate_hz = synthetic.sample_rate_hz;
    let network = SyntheticNetwork::new(synthetic, earth.travel_time.as_ref());
    let workload = if args.exit { Workload::Bulk } else { Workload::Live };
    let metrics = install_metrics()?;
    let engine = Engine::start(&home, &settings, workload, network.inventory().clone(), Some(earth)).await?;
    let demo = Demo { args, network, rate_hz, minutes, engine, home, folder };
    if demo.args.exit {
        return demo.run_through().await;
    }
    let server = Server::start(&demo.engine, &settings, metrics).await?;
    demo.live(server, &settings).await?;
    tell(&demo.folder.fate());
    Ok(())
}

/// A network that is streamed into an engine.
struct Demo {
    args: DemoArgs,
    network: SyntheticNetwork,
    rate_hz: f64,
    minutes: u32,
    engine: Engine,
    home: Home,
    /// Dropped last, behind all that lives in it.
    folder: DemoFolder,
}

impl Demo {
    /// With --exit: at full speed to the end, then the verdict.
    async fn run_through(&self) -> anyhow::Result<()> {
        let comparison = tokio::select! {
            comparison = run_through(&self.engine, &self.network, self.rate_hz, self.minutes) => comparison?,
            asked = asked_to_stop() => {
                self.engine.stop().await?;
                let sentence = format!("the demo was interrupted; {}", self.folder.fate());
                return Err(Interrupted::new(asked, sentence).into());
            }
        };
        self.engine.stop().await?;
        let reported = report(&self.args, &comparison);
        tell(&self.folder.fate());
        reported
    }

    /// With all doors open, until the operator asks to stop: closes with the comparison.
    async fn live(&self, server: Server, settings: &Settings) -> anyhow::Result<()> {
        let Self { engine, network, home, .. } = self;
        home.write_addresses(&server.http.to_string(), &server.flight.to_string())?;
        greet(&server, &self.folder, network, self.args.speed);
        let streamed_to = Mutex::new(network.sample_time(0));
        let finished = tokio::select! {
            streamed = self.stream_live(&streamed_to) => { streamed?; true }
            error = engine.pipeline.failed() => return Err(error.into()),
            _ = asked_to_stop() => false,
        };
        if finished {
            print_result(&describe(&self.comparison(Timestamp::MAX).await?))?;
            tell("the stream has ended; the doors stay open until Ctrl-C");
            return serve_until_stopped(engine, server, home, settings).await;
        }
        home.remove_addresses();
        server.stop().await?;
        engine.finish().await?;
        let end = streamed_to.into_inner().unwrap_or_else(PoisonError::into_inner).add_seconds(-UNSEEN_S);
        if end > network.sample_time(0) {
            tell(&format!("events up to {end} beside the truth; later ones had not reached all stations:"));
            print_result(&describe(&self.comparison(end).await?))?;
        }
        engine.stop().await
    }

    /// The catalogue beside the truth, events before `end`.
    async fn comparison(&self, end: Timestamp) -> anyhow::Result<Comparison> {
        let before = |events: Vec<CatalogueEvent>| -> Vec<CatalogueEvent> {
            events.into_iter().filter(|event| event.origin_time < end).collect()
        };
        let catalogue = before(self.engine.lakehouse.catalogue().await?);
        Ok(compare(&before(self.network.catalogue()), &catalogue, SAME_EVENT))
    }

    /// The stream at its pace, each event printed when it is known. `streamed_to` follows it.
    async fn stream_live(&self, streamed_to: &Mutex<Timestamp>) -> anyhow::Result<()> {
        let Self { engine, network, .. } = self;
        let mut feed = engine.pipeline.feed();
        let progress = data_progress(u64::from(self.minutes) * 60);
        let truth = network.catalogue();
        let begin = Instant::now();
        let mut stream = SyntheticStream::new(network, self.rate_hz);
        let first = network.sample_time(0);
        while let Some(tick) = stream.next_tick()? {
            let due = Duration::from_secs_f64(tick.end_time.seconds_since(first) / self.args.speed);
            tokio::time::sleep_until((begin + due).into()).await;
            let end_time = tick.end_time;
            offer(engine, tick.records, end_time, Some(end_time)).await?;
            *streamed_to.lock().unwrap_or_else(PoisonError::into_inner) = end_time;
            progress.set_position(data_second(network, end_time));
            print_found(&mut feed, &truth, &progress);
        }
        engine.finish().await?;
        print_found(&mut feed, &truth, &progress);
        progress.finish_and_clear();
        Ok(())
    }
}

/// Where a demo lives, and whether it leaves something behind.
struct DemoFolder {
    path: PathBuf,
    remove: bool,
}

impl DemoFolder {
    fn choose(args: &DemoArgs) -> Self {
        match &args.home {
            Some(path) => Self { path: path.clone(), remove: false },
            None => {
                let name = format!("seislake-demo-{}", std::process::id());
                Self { path: std::env::temp_dir().join(name), remove: true }
            }
        }
    }

    /// What becomes of it.
    fn fate(&self) -> String {
        let path = self.path.display();
        if self.remove {
            format!("the temporary home \"{path}\" is deleted; --home DIR keeps one")
        } else {
            format!("the home \"{path}\" stays: seislake serve --home {path}")
        }
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        if self.remove {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Full speed to the end, then the catalogue beside the truth.
async fn run_through(
    engine: &Engine,
    network: &SyntheticNetwork,
    rate_hz: f64,
    minutes: u32,
) -> anyhow::Result<Comparison> {
    let progress = data_progress(u64::from(minutes) * 60);
    let mut stream = SyntheticStream::new(network, rate_hz);
    while let Some(tick) = stream.next_tick()? {
        let records = tick.records;
        offer(engine, records, tick.end_time, None).await?;
        progress.set_position(data_second(network, tick.end_time));
    }
    progress.set_message("waiting for the stages");
    engine.finish().await?;
    progress.finish_and_clear();
    let catalogue = engine.lakehouse.catalogue().await?;
    Ok(compare(&network.catalogue(), &catalogue, SAME_EVENT))
}

fn report(args: &DemoArgs, comparison: &Comparison) -> anyhow::Result<()> {
    if args.json {
        let mut value = serde_json::to_value(comparison)?;
        value["seed"] = args.seed.into();
        print_result(&format!("{value}\n"))?;
    } else {
        print_result(&describe(comparison))?;
    }
    let (recall, precision) = (comparison.recall.unwrap_or(0.0), comparison.precision.unwrap_or(0.0));
    let epicentre_km = comparison.epicentre_km.median.unwrap_or(f64::INFINITY);
    if recall < RECALL_MIN || precision < PRECISION_MIN || epicentre_km > EPICENTRE_KM_MAX {
        bail!(
            "the bar is not met: recall {recall:.3} (at least {RECALL_MIN}), precision {precision:.3} (at least \
             {PRECISION_MIN}), median epicentre error {epicentre_km:.2} km (at most {EPICENTRE_KM_MAX})"
        );
    }
    Ok(())
}

fn greet(server: &Server, folder: &DemoFolder, network: &SyntheticNetwork, speed: f64) {
    let http = server.http;
    tell(&format!(
        "{} channels of {} synthetic stations (network SY), {speed} times faster than real time",
        network.channel_count(),
        network.inventory().stations.len(),
    ));
    tell(&match folder.remove {
        true => format!(
            "  home          {} (temporary, deleted at the end; --home DIR keeps one)",
            folder.path.display()
        ),
        false => format!("  home          {} (stays)", folder.path.display()),
    });
    tell(&format!("  console       http://{http}/"));
    tell(&format!("  GraphQL       http://{http}/graphiql"));
    tell(&format!("  HTTP routes   http://{http}/docs"));
    tell(&format!("  FDSN events   http://{http}/fdsnws/event/1/query?format=text"));
    tell(&format!("  Iceberg REST  http://{http}/iceberg"));
    tell(&format!("  Flight SQL    grpc://{}", server.flight));
    tell("events as they are found, beside the truth:");
}

fn data_second(network: &SyntheticNetwork, time: Timestamp) -> u64 {
    time.seconds_since(network.sample_time(0)) as u64
}

async fn offer(
    engine: &Engine,
    records: Vec<Vec<u8>>,
    watermark: Timestamp,
    arrival_time: Option<Timestamp>,
) -> anyhow::Result<()> {
    let origin: Arc<str> = "synthetic network".into();
    let mut offers: Vec<Offer> = records
        .into_iter()
        .map(|record| {
            Offer::Record(Incoming {
                bytes: Bytes::from(record),
                arrival_time,
                origin: Some(Arc::clone(&origin)),
            })
        })
        .collect();
    offers.push(Offer::Watermark(Watermark(watermark)));
    engine.gate.ingest(offers).await.context("cannot append to the log")?;
    Ok(())
}

/// Prints what the feed brought since the last look.
fn print_found(feed: &mut Receiver<FeedItem>, truth: &[CatalogueEvent], progress: &ProgressBar) {
    loop {
        let text = match feed.try_recv() {
            Ok(FeedItem::Revision(revision)) => match revision.events.first() {
                Some(event) if event.magnitude.is_some() => found("ML", event, truth),
                Some(event) => found("located", event, truth),
                None => continue,
            },
            Err(TryRecvError::Lagged(missed)) => format!("({missed} not shown)"),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        };
        progress.suspend(|| tell(&text));
    }
}

fn found(what: &str, event: &Event, truth: &[CatalogueEvent]) -> String {
    let event = CatalogueEvent::from(event);
    let comparison = compare(truth, std::slice::from_ref(&event), SAME_EVENT);
    let beside = match comparison.pairs.first() {
        Some(pair) => format!(
            "truth {:+.2} s, {:.2} km{}",
            pair.origin_time_s,
            pair.epicentre_km,
            pair.magnitude.map_or_else(String::new, |difference| format!(", M {difference:+.2}"))
        ),
        None => "not in the truth".to_owned(),
    };
    format!("{what:<8} {}   {beside}", line(&event))
}
