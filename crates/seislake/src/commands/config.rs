//! `seislake config show|check`.

use crate::command_line::{ConfigAction, ConfigArgs};
use crate::settings::Settings;
use crate::terminal::print_result;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    match &args.action {
        ConfigAction::Show { config } => print_result(&Settings::load(config.as_deref())?.to_toml()?),
        ConfigAction::Check { config } => {
            Settings::load(config.as_deref())?;
            print_result("the configuration is valid\n")
        }
    }
}
