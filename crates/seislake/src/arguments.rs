//! Arguments that several commands take.

use std::path::PathBuf;

use clap::Args;
use seislake_lakehouse::settings::SettingsError;
use seislake_lakehouse::{Lakehouse, Settings};

#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// The embedded home: log, catalog, warehouse and state.
    #[arg(long, value_name = "DIR", default_value = "./seislake-home", env = "SEISLAKE_HOME", global = true)]
    pub(crate) home: PathBuf,
    /// Configuration file (TOML); see `seislake config show`.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

impl HomeArgs {
    pub(crate) fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::load(self.config.as_deref())
    }

    /// The lake for reading, beside a running server too.
    pub(crate) async fn open_for_reading(&self) -> anyhow::Result<Lakehouse> {
        Lakehouse::open_for_reading(&self.home, &self.settings()?).await
    }

    /// The lake for writing beside the owner of the home.
    pub(crate) async fn open_beside(&self) -> anyhow::Result<Lakehouse> {
        Lakehouse::open_beside(&self.home, &self.settings()?).await
    }
}
