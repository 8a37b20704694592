//! One file per command.

mod compare;
mod config;
mod demo;
mod dlq;
mod export;
mod home;
mod import;
mod inspect;
mod maintain;
mod pages;
pub(crate) mod quality;
mod query;
mod serve;

use std::future::Future;

use anyhow::Context;
use clap::Subcommand;

use crate::interruption::{self, DROPPED_WITHIN, aside_or_interrupted, or_interrupted};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole system on a synthetic network, in one process.
    Demo(demo::DemoArgs),
    /// Serve GraphQL, REST, FDSN, Iceberg REST and Flight SQL, and process what is ingested.
    Serve(serve::ServeArgs),
    /// Import miniSEED files through the whole path; idempotent and resumable.
    Import(import::ImportArgs),
    /// What is in miniSEED or SEED files, and what is wrong with them.
    Inspect(inspect::InspectArgs),
    /// Ask the tables in SQL.
    Query(query::QueryArgs),
    /// Set the catalogue against a reference catalogue.
    Compare(compare::CompareArgs),
    /// Write events, stations or waveforms in an exchange format.
    Export(export::ExportArgs),
    /// Dead letters: what could not be used, and why.
    Dlq(dlq::DlqArgs),
    /// Keep tables in shape: compact files, let old snapshots go, delete orphans.
    Maintain(maintain::MaintainArgs),
    /// What of a home is damaged, and mending it.
    Home(home::DamageArgs),
    /// Quality of the recordings: continuity, latency, component ratios, levels, timing.
    Quality(quality::QualityArgs),
    /// Show or check the configuration.
    Config(config::ConfigArgs),
    /// What a shell needs to complete this command line.
    Completions(pages::CompletionsArgs),
    /// The man pages: one of the whole and one of each command.
    Man(pages::ManArgs),
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => wait(demo::run(args)),
        Command::Serve(args) => wait(serve::run(args)),
        Command::Import(args) => wait(import::run(args)),
        Command::Inspect(args) => wait(read_only(async move { inspect::run(&args) })),
        Command::Query(args) => wait(read_only(query::run(args))),
        Command::Compare(args) => wait(read_only(compare::run(args))),
        Command::Export(args) => wait(export::run(args)),
        Command::Dlq(args) => wait(read_only(dlq::run(args))),
        Command::Maintain(args) => wait(maintain::run(args)),
        Command::Home(args) => wait(home_or_interrupted(home::run(args))),
        Command::Quality(args) => wait(quality::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    }
}

/// Work that changes nothing, on a thread of its own.
async fn read_only<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    aside_or_interrupted(work, DROPPED_WITHIN, "interrupted; nothing was changed".to_owned()).await
}

/// Repairs are dropped between two steps, unless they are done first.
async fn home_or_interrupted(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    interruption::listen();
    let sentence =
        || "interrupted; what was mended stays mended, `seislake home check` tells the rest".to_owned();
    or_interrupted(work, sentence).await
}

/// SIGXFSZ on Linux and macOS.
const FILE_SIZE_SIGNAL: i32 = 25;

/// A file that may not grow (`ulimit -f`) is an error like a full disk: without somebody who listens, the signal that
/// comes with it ends the process.
fn outlive_small_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE_SIGNAL)) {
        tracing::debug!(%error, "SIGXFSZ keeps its meaning");
    }
}

/// Statements are planned on threads of the runtime, and go as deep there as on the first thread of a process.
const STACK_BYTES: usize = 8 << 20;

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(async {
        outlive_small_limits();
        work.await
    });
    // The process ends now. Commands have stopped in order what must be; to take down the runtime would wait for reads
    // that nobody needs any more, and log those it cancels as failures.
    std::mem::forget(runtime);
    done
}
