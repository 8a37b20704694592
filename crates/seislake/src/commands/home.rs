//! `seislake home check|repair`: what of a home is damaged, and mending it.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use seislake_lakehouse::damage::{self, Finding};

use crate::arguments::HomeArgs;
use crate::terminal::print_result;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: seislake home check --home ./seislake-home || seislake home repair --home ./seislake-home"
)]
pub(crate) struct DamageArgs {
    #[command(subcommand)]
    pub(crate) action: DamageAction,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum DamageAction {
    /// Read everything, and tell what is damaged and what a repair would do; status 1 where something is. Changes nothing.
    #[command(after_help = "Example: seislake home check --home ./seislake-home --json")]
    Check,
    /// Mend what `check` finds; what is replaced is kept beside it. The home must not be in use.
    #[command(after_help = "Example: seislake home repair --home ./seislake-home")]
    Repair,
}

pub(crate) async fn run(args: DamageArgs) -> anyhow::Result<()> {
    let settings = args.home.settings()?;
    let path = &args.home.home;
    if !path.is_dir() {
        bail!("there is no home \"{}\"", path.display());
    }
    match args.action {
        DamageAction::Check => {
            let findings = damage::check(path, &settings).await?;
            print_result(&text(&findings, &args)?)?;
            match findings.len() {
                0 => Ok(()),
                1 => bail!("1 thing is damaged; `seislake home repair` mends it"),
                count => bail!("{count} things are damaged; `seislake home repair` mends them"),
            }
        }
        DamageAction::Repair => {
            let mut findings = Vec::new();
            let repaired = damage::repair(path, &settings, &mut |finding| {
                findings.push(finding.clone());
                match args.json {
                    true => Ok(()),
                    false => print_result(&text(std::slice::from_ref(finding), &args)?),
                }
            })
            .await;
            // What was mended is told, also by a repair that does not come to its end.
            let is_told = !args.json && !findings.is_empty();
            if !is_told && (repaired.is_ok() || !findings.is_empty()) {
                print_result(&text(&findings, &args)?)?;
            }
            // Only what was told is forgotten.
            repaired?.forget(&settings).await.context("lost records are not forgotten yet: repair once more")
        }
    }
}

fn text(findings: &[Finding], args: &DamageArgs) -> anyhow::Result<String> {
    let when = match args.action {
        DamageAction::Check => "repair",
        DamageAction::Repair => "mended",
    };
    if args.json {
        Ok(format!("{}\n", serde_json::to_string(findings)?))
    } else {
        Ok(damage::describe(findings, when))
    }
}
