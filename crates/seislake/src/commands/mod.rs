//! One file per command.

mod bench;
mod compare;
mod config;
mod demo;
mod dlq;
mod export;
mod home;
mod import;
mod inspect;
mod maintain;
pub(crate) mod quality;
mod query;
mod serve;

use std::future::Future;

use anyhow::Context;

use crate::command_line::Command;

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => wait(demo::run(args)),
        Command::Serve(args) => wait(serve::run(args)),
        Command::Import(args) => wait(import::run(args)),
        Command::Inspect(args) => inspect::run(&args),
        Command::Query(args) => wait(query::run(args)),
        Command::Compare(args) => wait(compare::run(args)),
        Command::Export(args) => wait(export::run(args)),
        Command::Dlq(args) => wait(dlq::run(args)),
        Command::Maintain(args) => wait(maintain::run(args)),
        Command::Home(args) => wait(home::run(args)),
        Command::Quality(args) => wait(quality::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(work);
    // The process ends now. Commands have stopped in order what must be; to take down the runtime would wait for reads
    // that nobody needs any more, and log those it cancels as failures.
    std::mem::forget(runtime);
    done
}
