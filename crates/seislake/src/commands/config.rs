//! `seislake config show|check`.

use crate::command_line::{ConfigAction, ConfigArgs};
use crate::terminal::print_result;
use seislake_lakehouse::settings::{Settings, SettingsError};

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
            loaded?;
            print_result("the configuration is valid\n")
        }
    }
}
