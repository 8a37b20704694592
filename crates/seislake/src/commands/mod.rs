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

use crate::command_line::Command;
use crate::interruption::{self, or_interrupted};

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => wait(demo::run(args)),
        Command::Serve(args) => wait(serve::run(args)),
        Command::Import(args) => wait(import::run(args)),
        Command::Inspect(args) => wait(until_asked(aside(move || inspect::run(&args)), READ_ONLY)),
        Command::Query(args) => wait(until_asked(query::run(args), READ_ONLY)),
        Command::Compare(args) => wait(until_asked(compare::run(args), READ_ONLY)),
        Command::Export(args) => wait(export::run(args)),
        Command::Dlq(args) => wait(until_asked(dlq::run(args), READ_ONLY)),
        Command::Maintain(args) => wait(maintain::run(args)),
        Command::Home(args) => wait(until_asked(home::run(args), HOME)),
        Command::Quality(args) => wait(quality::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
    }
}

/// What it means that a command was cut short.
const READ_ONLY: &str = "interrupted; nothing was changed";
const HOME: &str = "interrupted; what was mended stays mended, `seislake home check` tells the rest";

/// Does work that may be dropped where it stands, unless the operator ends it first.
async fn until_asked<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    sentence: &'static str,
) -> anyhow::Result<T> {
    interruption::listen();
    or_interrupted(work, || sentence.to_owned()).await
}

/// Work without a single await, on a thread of its own, so that signals are heard meanwhile.
async fn aside(work: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(work).await.context("the work was lost")?
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

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
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
