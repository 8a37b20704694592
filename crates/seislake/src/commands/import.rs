//! `seislake import`: files through the whole path, to committed tables.
//!
//! ```text
//! scan headers ─► one stream in the order of time ─► gate (drops what is there already) ─► log ─► stages ─► tables
//! ```
//! A run that is killed is continued by running it again: the gate knows what the log holds. Each phase has a bar of its
//! own: headers by bytes, records by bytes, stages by messages, and the last commits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use seislake_exchange::ElevationUnit;
use seislake_exchange::known_formats::recognise;
use seislake_lakehouse::engine::{Engine, Workload};
use seislake_lakehouse::home::{Home, Purpose};
use seislake_lakehouse::import::{self, Backlog, Before, Report};
use seislake_lakehouse::velocity_model;
use seislake_streams::source::files::{FileSettings, Plan, Progress, plan};

use crate::arguments::HomeArgs;
use crate::interruption::{
    self, DROPPED_WITHIN, Interruption, aside_or_interrupted, asked_to_stop, or_interrupted,
};
use crate::terminal::{bytes_progress, messages_progress, print_json, print_result, spinner, tell};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ElevationUnitArg {
    /// Metres.
    M,
    /// Kilometres.
    Km,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: seislake import --home ./iceland --stations stations.txt --elevation-unit km --velocity-model vmodel.txt data/"
)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Stations: StationXML, or CSV or FDSN text with named columns. May be given several times, one file each.
    #[arg(long, value_name = "FILE")]
    pub(crate) stations: Vec<PathBuf>,
    /// Network code of the stations that are listed without one. Where absent, that of the waveforms at hand.
    #[arg(long, value_name = "CODE", value_parser = parse_network)]
    pub(crate) network: Option<String>,
    /// Unit of elevations where a station file does not say.
    #[arg(long, value_name = "UNIT")]
    pub(crate) elevation_unit: Option<ElevationUnitArg>,
    /// Velocity model: CSV with Depth,Vp,Vs (km, km/s; linear in between) or Top,Vp,Vs (constant layers), or iasp91 or ak135. Stays with the home.
    #[arg(long, value_name = "FILE")]
    pub(crate) velocity_model: Option<String>,
    /// Only fill the waveform tables: no picks, no events. Settled for a home by its first import.
    #[arg(long)]
    pub(crate) archive_only: bool,
    /// Import only the I-th of N shares of the stations (I from 1), records only. N processes fill one home side by side.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<(u32, u32)>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files and directories.
    #[arg(value_name = "PATH", required_unless_present = "stations")]
    pub(crate) paths: Vec<PathBuf>,
}

fn parse_network(text: &str) -> Result<String, String> {
    match seislake_model::check_station(text, "S") {
        Ok(()) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err("expected 1 to 8 letters, digits or dashes".into()),
    }
}

fn parse_shard(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i, n)),
        _ => Err("expected I/N with I from 1 to N, such as 1/4".into()),
    }
}

/// How often the bar of the stages moves.
const LAGS_EVERY: Duration = Duration::from_millis(250);

/// What is said of an import that was cut short while it looked at what it was given.
const BEFORE_A_RECORD: &str = "the import was interrupted before it read a record";

pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<()> {
    interruption::listen();
    let begin = std::time::Instant::now();
    let settings = args.home.settings()?;
    let args = Arc::new(args);
    let named = Arc::clone(&args);
    let inventory = async move {
        let unit = named.elevation_unit.map(|unit| match unit {
            ElevationUnitArg::M => ElevationUnit::Metres,
            ElevationUnitArg::Km => ElevationUnit::Kilometres,
        });
        import::read_inventory(&named.stations, unit, named.network.as_deref(), tell)
    };
    let mut stations = aside_or_interrupted(inventory, DROPPED_WITHIN, BEFORE_A_RECORD.to_owned()).await?;
    for path in &args.paths {
        if !path.exists() {
            bail!("\"{}\" does not exist", path.display());
        }
    }
    let velocity_model = match args.velocity_model.as_deref() {
        Some(name) if args.archive_only || args.shard.is_some() => {
            bail!("--velocity-model {name} is for locating events: an archive takes records only")
        }
        name => name.map(velocity_model::read).transpose()?,
    };
    let (home, purpose) = match args.shard {
        Some((share, of)) => (Home::open_share(&args.home.home, share, of)?, Purpose::Archive { shards: of }),
        None if args.archive_only => (Home::open(&args.home.home)?, Purpose::Archive { shards: 1 }),
        None => (Home::open(&args.home.home)?, Purpose::Whole),
    };
    let earth = match purpose {
        Purpose::Whole => Some(velocity_model::earth(&home, &settings, velocity_model.clone())?),
        Purpose::Archive { .. } => None,
    };
    // Settled once all that was given is found to be right: a refused command leaves the home as it was.
    home.settle(purpose)?;
    // Stations without a network wait for the waveforms, which name it.
    let nameless = stations.lacks_networks().then(|| std::mem::take(&mut stations));
    let recognise = |head: &[u8]| recognise(head).map(|format| format.to_string());
    let file_settings = FileSettings { shard: args.shard, recognise, ..FileSettings::default() };
    let begun = async {
        let (mut station_count, mut channel_count) = (stations.stations.len(), stations.channels.len());
        let engine = Engine::start(&home, &settings, Workload::Bulk, stations, earth).await?;
        if let Some(model) = &velocity_model {
            velocity_model::store(&home, model)?;
        }
        let planned = scan(args.paths.clone(), file_settings).await?;
        if let Some(stations) = nameless {
            let (networks, lakehouse) = (planned.networks.clone(), &engine.lakehouse);
            let named = import::named_after_waveforms(stations, networks, lakehouse, tell).await?;
            (station_count, channel_count) = (named.stations.len(), named.channels.len());
            engine.add_stations(named).await?;
        }
        let report = Report { station_count, channel_count, ..Report::of(&planned) };
        anyhow::Ok((engine, planned, report))
    };
    let (engine, planned, mut report) = or_interrupted(begun, || BEFORE_A_RECORD.to_owned()).await?;
    let nothing_read = if args.paths.is_empty() { None } else { import::nothing_read(&planned) };
    let before = Before::of(&engine, purpose).await?;
    import::describe_damage(&planned.damaged_files, &args.home.home).iter().for_each(|line| tell(line));
    // New stations or a new model end no stream: a live one goes on.
    let stream = if planned.record_count > 0 { Stream::Ends } else { Stream::GoesOn };
    let work = async {
        let bar = bytes_progress(planned.total_bytes);
        bar.set_message("reading records");
        let ingested = import::ingest(&engine, planned, purpose, &|bytes| bar.set_position(bytes)).await?;
        bar.finish_and_clear();
        finish(&engine, stream).await?;
        anyhow::Ok(ingested)
    };
    let ingested = tokio::select! {
        ingested = work => match ingested {
            Ok(ingested) => ingested,
            Err(error) => return Err(import::cause(&engine, error).await),
        },
        error = engine.pipeline.failed() => return Err(error.into()),
        asked = asked_to_stop() => {
            tell("stopping: what is under way is committed; a second Ctrl-C ends at once");
            engine.stop().await?;
            let sentence = format!(
                "the import was interrupted; \"{}\" holds what was read so far; run the same command again to go on",
                args.home.home.display()
            );
            return Err(Interruption::new(asked, sentence).into());
        }
    };
    engine.stop().await?;
    report.complete(&engine, &settings, &before, ingested, begin.elapsed()).await?;
    engine.close().await;
    if args.json { print_json(&report) } else { print_result(&report.to_string()) }?;
    nothing_read.map_or(Ok(()), Err)
}

/// What an import is to the stream of records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Ends,
    GoesOn,
}

/// Ends the stream and waits until everything has passed the stages and is committed.
async fn finish(engine: &Engine, stream: Stream) -> anyhow::Result<()> {
    let bar = messages_progress();
    bar.set_message("finding events");
    let backlog = Backlog::of(engine)?;
    let show = async {
        let mut ticks = tokio::time::interval(LAGS_EVERY);
        loop {
            ticks.tick().await;
            let Ok((done, waiting)) = backlog.count() else { continue };
            bar.set_length(done + waiting);
            bar.set_position(done);
            if waiting == 0 {
                bar.finish_and_clear();
                let committing = spinner();
                committing.set_message("writing tables");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        finished = engine.finish(), if stream == Stream::Ends => finished,
        settled = engine.settle(), if stream == Stream::GoesOn => settled,
        () = show => Ok(()),
    }
}

async fn scan(paths: Vec<PathBuf>, settings: FileSettings) -> anyhow::Result<Plan> {
    let bar = bytes_progress(0);
    bar.set_message("scanning headers");
    let shown = bar.clone();
    let planned = tokio::task::spawn_blocking(move || {
        plan(&paths, settings, &|progress: Progress| {
            shown.set_length(progress.total_bytes);
            shown.set_position(progress.bytes);
        })
    })
    .await?;
    bar.finish_and_clear();
    Ok(planned?)
}
