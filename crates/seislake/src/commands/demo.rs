//! `seislake demo`: the whole system on a synthetic network, in one process.
//!
//! The truth is printed beside what is found, and compared with it at the end, also at the one that Ctrl-C makes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use clap::Args;
use seislake_lakehouse::demo::{self, Findings, Folder};
use seislake_lakehouse::engine::{Engine, Workload};
use seislake_lakehouse::{Home, Settings, velocity_model};
use seislake_model::Timestamp;
use seislake_seismo::compare::Comparison;
use seislake_seismo::synthetic::SyntheticNetwork;

use crate::interruption::{self, Interruption, asked_to_stop};
use crate::server::{Server, install_metrics, serve_until_stopped};
use crate::terminal::{data_progress, print_json, print_result, tell};

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

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    interruption::listen();
    if !(args.speed > 0.0 && args.speed.is_finite()) {
        bail!("--speed {} is not above zero", args.speed);
    }
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.set_addresses(args.http.clone(), args.flight.clone())?;
    let folder = Folder::choose(args.home.as_deref());
    let home = Home::open(folder.path())?;
    let earth = velocity_model::earth(&home, &settings, None)?;
    let minutes = args.minutes.unwrap_or(if args.exit { MINUTES_EXIT } else { MINUTES_LIVE });
    let (network, rate_hz) = demo::network(args.seed, minutes, &earth);
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
    folder: Folder,
}

impl Demo {
    /// With --exit: at full speed to the end, then the verdict.
    async fn run_through(&self) -> anyhow::Result<()> {
        let comparison = tokio::select! {
            comparison = self.stream_through() => comparison?,
            asked = asked_to_stop() => {
                self.engine.stop().await?;
                let sentence = format!("the demo was interrupted; {}", self.folder.fate());
                return Err(Interruption::new(asked, sentence).into());
            }
        };
        self.engine.stop().await?;
        let reported = self.report(&comparison);
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
            print_result(&demo::comparison(engine, network, Timestamp::MAX).await?.to_string())?;
            tell("the stream has ended; the doors stay open until Ctrl-C");
            return serve_until_stopped(engine, server, home, settings).await;
        }
        home.remove_addresses();
        server.stop().await?;
        engine.finish().await?;
        let streamed_to = streamed_to.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = demo::seen_before(network, streamed_to) {
            tell(&format!("events up to {end} beside the truth; later ones had not reached all stations:"));
            print_result(&demo::comparison(engine, network, end).await?.to_string())?;
        }
        engine.stop().await
    }

    /// The stream at its pace, each event printed when it is known. `streamed_to` follows it.
    async fn stream_live(&self, streamed_to: &Mutex<Timestamp>) -> anyhow::Result<()> {
        let Self { engine, network, rate_hz, .. } = self;
        let progress = data_progress(u64::from(self.minutes) * 60);
        let mut findings = Findings::of(engine, network);
        let mut print = || findings.by_ref().for_each(|line| progress.suspend(|| tell(&line)));
        let at = |time| {
            *streamed_to.lock().unwrap_or_else(PoisonError::into_inner) = time;
            progress.set_position(data_second(network, time));
            print();
        };
        demo::stream(engine, network, *rate_hz, Some(self.args.speed), at).await?;
        engine.finish().await?;
        print();
        progress.finish_and_clear();
        Ok(())
    }

    /// Full speed to the end, then the catalogue beside the truth.
    async fn stream_through(&self) -> anyhow::Result<Comparison> {
        let Self { engine, network, rate_hz, .. } = self;
        let progress = data_progress(u64::from(self.minutes) * 60);
        let at = |time| progress.set_position(data_second(network, time));
        demo::stream(engine, network, *rate_hz, None, at).await?;
        progress.set_message("waiting for the stages");
        engine.finish().await?;
        progress.finish_and_clear();
        demo::comparison(engine, network, Timestamp::MAX).await
    }

    fn report(&self, comparison: &Comparison) -> anyhow::Result<()> {
        if self.args.json {
            let mut value = serde_json::to_value(comparison)?;
            value["seed"] = self.args.seed.into();
            print_json(&value)?;
        } else {
            print_result(&comparison.to_string())?;
        }
        demo::check_bar(comparison)
    }
}

fn greet(server: &Server, folder: &Folder, network: &SyntheticNetwork, speed: f64) {
    let http = server.http;
    tell(&format!(
        "{} channels of {} synthetic stations (network SY), {speed} times faster than real time",
        network.channel_count(),
        network.inventory().stations.len(),
    ));
    let fate = match folder.is_temporary() {
        true => "temporary, deleted at the end; --home DIR keeps one",
        false => "stays",
    };
    tell(&format!("  home          {} ({fate})", folder.path().display()));
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
