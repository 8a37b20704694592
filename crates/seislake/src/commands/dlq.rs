//! `seislake dlq list|show`: what could not be used, and why.

use clap::{Args, Subcommand};
use seislake_lakehouse::dead_letters;

use crate::arguments::HomeArgs;
use crate::commands::query::{self, QueryArgs, QueryFormat};

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake dlq list --home ./seislake-home")]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    pub(crate) action: DlqAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqAction {
    /// Count dead letters by stage and reason.
    #[command(after_help = "Example: seislake dlq list --home ./seislake-home")]
    List {
        #[command(flatten)]
        home: HomeArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the newest dead letters.
    #[command(after_help = "Example: seislake dlq show --limit 5 --json")]
    Show {
        #[command(flatten)]
        home: HomeArgs,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    let (home, json, sql) = match args.action {
        DlqAction::List { home, json } => (home, json, dead_letters::count_by_reason()),
        DlqAction::Show { home, limit, json } => (home, json, dead_letters::newest(limit)),
    };
    let format = if json { QueryFormat::Json } else { QueryFormat::Table };
    query::run(QueryArgs { home, format, json: false, vertical: false, timeout_s: None, sql }).await
}
