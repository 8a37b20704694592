//! `seislake demo`: the whole system on a synthetic network, in one process.
//!
//! The stream takes the path of real records: packets → gate → log → stages → tables. Only the stations, the ground
//! and the clock are made up; the truth is printed beside what is found.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use indicatif::ProgressBar;
use seislake_model::{CatalogueEvent, Event, Timestamp};
use seislake_seismo::compare::{CompareSettings, Comparison, compare};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_streams::gate::{Incoming, Offer};
use seislake_streams::message::Watermark;
use seislake_streams::runtime::FeedItem;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::command_line::DemoArgs;
use crate::commands::compare::{describe, line};
use crate::engine::{Engine, Workload};
use crate::home::Home;
use crate::server::{Server, asked_to_stop, install_metrics, serve_until_stopped};
use crate::settings::Settings;
use crate::synthetic_stream::SyntheticStream;
use crate::terminal::{data_progress, print_result, tell};
use crate::velocity_model;

const MINUTES_EXIT: u32 = 10;
const MINUTES_LIVE: u32 = 60;
/// The bar of `--exit`.
const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.95;
const EPICENTRE_KM_MAX: f64 = 2.0;
/// What counts as the same event.
const SAME_EVENT: CompareSettings = CompareSettings { time_tolerance_s: 3.0, distance_tolerance_km: 15.0 };

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    if !(args.speed > 0.0 && args.speed.is_finite()) {
        bail!("--speed {} is not above zero", args.speed);
    }
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.set_addresses(args.http.clone(), args.flight.clone())?;
    let folder = DemoFolder::choose(&args);
    let home = Home::open(&folder.path)?;
    let travel_time = velocity_model::travel_time(&home, &settings, None)?;
    let minutes = args.minutes.unwrap_or(if args.exit { MINUTES_EXIT } else { MINUTES_LIVE });
    let synthetic = SyntheticSettings {
        seed: args.seed,
        duration_s: f64::from(minutes) * 60.0,
        ..SyntheticSettings::default()
    };
    let rate_hz = synthetic.sample_rate_hz;
    let network = SyntheticNetwork::new(synthetic, travel_time.as_ref());
    let workload = if args.exit { Workload::Bulk } else { Workload::Live };
    let metrics = install_metrics()?;
    let engine =
        Engine::start(&home, &settings, workload, network.inventory().clone(), Some(travel_time)).await?;
    if args.exit {
        let comparison = run_through(&engine, &network, rate_hz, minutes).await?;
        engine.stop().await?;
        return report(&args, &comparison);
    }
    let server = Server::start(&engine, &settings, metrics).await?;
    home.write_addresses(&server.http.to_string(), &server.flight.to_string())?;
    greet(&server, &home, &network, args.speed);
    let finished = tokio::select! {
        streamed = stream_live(&engine, &network, rate_hz, minutes, args.speed) => { streamed?; true }
        error = engine.pipeline.failed() => return Err(error.into()),
        () = asked_to_stop() => false,
    };
    if finished {
        tell("the stream has ended; the doors stay open until Ctrl-C");
        return serve_until_stopped(&engine, server, &home, &settings).await;
    }
    home.remove_addresses();
    server.stop().await?;
    engine.stop().await
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

fn greet(server: &Server, home: &Home, network: &SyntheticNetwork, speed: f64) {
    let http = server.http;
    tell(&format!(
        "{} channels of {} synthetic stations, {speed} times faster than real time; home \"{}\"",
        network.channel_count(),
        network.inventory().stations.len(),
        home.path().display()
    ));
    tell(&format!("  console       http://{http}/"));
    tell(&format!("  GraphQL       http://{http}/graphiql"));
    tell(&format!("  HTTP routes   http://{http}/docs"));
    tell(&format!("  FDSN events   http://{http}/fdsnws/event/1/query?format=text"));
    tell(&format!("  Iceberg REST  http://{http}/iceberg"));
    tell(&format!("  Flight SQL    grpc://{}", server.flight));
    tell("events as they are found, beside the truth:");
}

/// The stream at its pace, each event printed when it is known.
async fn stream_live(
    engine: &Engine,
    network: &SyntheticNetwork,
    rate_hz: f64,
    minutes: u32,
    speed: f64,
) -> anyhow::Result<()> {
    let mut feed = engine.pipeline.feed();
    let progress = data_progress(u64::from(minutes) * 60);
    let truth = network.catalogue();
    let begin = Instant::now();
    let mut stream = SyntheticStream::new(network, rate_hz);
    let first = network.sample_time(0);
    while let Some(tick) = stream.next_tick()? {
        let due = Duration::from_secs_f64(tick.end_time.seconds_since(first) / speed);
        tokio::time::sleep_until((begin + due).into()).await;
        let end_time = tick.end_time;
        offer(engine, tick.records, end_time, Some(end_time)).await?;
        progress.set_position(data_second(network, end_time));
        print_found(&mut feed, &truth, &progress);
    }
    engine.finish().await?;
    print_found(&mut feed, &truth, &progress);
    progress.finish_and_clear();
    Ok(())
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
            Ok(FeedItem::Location(location)) => found("located", &location.event, truth),
            Ok(FeedItem::Magnitude(result)) => match result.magnitude {
                Some(_) => found("ML", &result.event, truth),
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
