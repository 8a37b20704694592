//! Arguments that several commands take.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// The embedded home: log, catalog, warehouse and state.
    #[arg(long, value_name = "DIR", default_value = "./seislake-home", env = "SEISLAKE_HOME", global = true)]
    pub(crate) home: PathBuf,
    /// Configuration file (TOML); see `seislake config show`.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}
