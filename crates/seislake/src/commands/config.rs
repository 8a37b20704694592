//! `seislake config show|check`.

use std::path::PathBuf;

use crate::terminal::print_result;
use clap::{Args, Subcommand};
use seislake_lakehouse::settings::{Settings, SettingsError};

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake config show --config seislake.toml")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print the effective settings.
    #[command(after_help = "Example: seislake config show --config seislake.toml")]
    Show {
        /// Configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration: all problems at once.
    #[command(after_help = "Example: seislake config check --config seislake.toml")]
    Check {
        /// Configuration file (TOML).
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    match &args.action {
        ConfigAction::Show { config, json } => {
            let settings = Settings::load(config.as_deref())?;
            print_result(&match json {
                true => format!("{}\n", serde_json::to_string(&settings)?),
                false => settings.to_toml()?,
            })
        }
        ConfigAction::Check { config, json } => {
            let loaded = Settings::load(config.as_deref());
            if *json {
                let problems = loaded.as_ref().err().map_or(&[][..], SettingsError::problems);
                let told = serde_json::json!({ "valid": problems.is_empty(), "problems": problems });
                print_result(&format!("{told}\n"))?;
                return Ok(loaded.map(drop)?);
            }
            let idle: Vec<String> = loaded?.topology.idle().map(|name| format!("\"{name}\"")).collect();
            let note = match idle.as_slice() {
                [] => String::new(),
                names => format!("; streams.stages does not name {}: they do not run", names.join(", ")),
            };
            print_result(&format!("the configuration is valid{note}\n"))
        }
    }
}
