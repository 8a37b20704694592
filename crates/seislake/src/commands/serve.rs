//! `seislake serve`: all doors, and the path behind them.

use clap::Args;
use seislake_model::Inventory;

use crate::arguments::HomeArgs;
use crate::interruption;
use crate::server::{Server, install_metrics, serve_until_stopped};
use crate::terminal::announce;
use seislake_lakehouse::engine::{Engine, Workload};
use seislake_lakehouse::home::{Home, Purpose};
use seislake_lakehouse::velocity_model;

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake serve --home ./seislake-home --http 127.0.0.1:8080

Says when it is ready and when it has stopped, on standard error. Ctrl-C or SIGTERM stops it in order, with exit status 0; a second one at once.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Address of the HTTP doors (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Address of Flight SQL (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight: Option<String>,
}

pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    interruption::listen();
    let mut settings = args.home.settings()?;
    settings.set_addresses(args.http, args.flight)?;
    let home = Home::open(&args.home.home)?;
    home.remove_addresses();
    let metrics = install_metrics()?;
    let earth = match home.purpose()? {
        Some(Purpose::Archive { .. }) => None,
        Some(Purpose::Whole) | None => Some(velocity_model::earth(&home, &settings, None)?),
    };
    let engine = Engine::start(&home, &settings, Workload::Live, Inventory::default(), earth).await?;
    let server = Server::start(&engine, &settings, metrics).await?;
    if let Err(error) = home.write_addresses(&server.http.to_string(), &server.flight.to_string()) {
        // On a full disk a server still reads.
        tracing::warn!(error = format!("{error:#}"), "run/addresses.json could not be written");
    }
    announce(&format!("HTTP        http://{}/", server.http));
    announce(&format!("Flight SQL  grpc://{}", server.flight));
    announce(&format!(
        "ready: serving the home \"{}\" (process {}); Ctrl-C or SIGTERM stops in order",
        home.path().display(),
        std::process::id()
    ));
    serve_until_stopped(&engine, server, &home, &settings).await?;
    announce("stopped: everything acknowledged is committed");
    Ok(())
}
