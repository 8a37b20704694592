//! `seislake config show|check`.

use crate::command_line::{ConfigAction, ConfigArgs};
use crate::terminal::print_result;
use seislake_lakehouse::settings::Settings;

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
            Settings::load(config.as_deref())?;
            print_result(if *json { "{\"valid\":true}\n" } else { "the configuration is valid\n" })
        }
    }
}
