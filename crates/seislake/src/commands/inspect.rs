//! `seislake inspect`: what is in miniSEED or SEED files, and what is wrong with them.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use seislake_exchange::known_formats::recognise;
use seislake_streams::source::inspect::inspect_files;

use crate::terminal::{print_json, print_result, tell};

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake inspect --json IU.ANMO.mseed")]
pub(crate) struct InspectArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files and directories; a directory stands for the files that an import of it would read.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let recognise = |bytes: &[u8]| recognise(bytes).map(|format| format.to_string());
    let inspection = inspect_files(&args.paths, recognise)?;
    if inspection.skipped_count > 0 {
        tell(&format!(
            "{} files of directories hold no records and were passed over",
            inspection.skipped_count
        ));
    }
    if args.json { print_json(&inspection) } else { print_result(&inspection.text()) }?;
    if inspection.record_count() == 0 {
        bail!("no miniSEED record was found");
    }
    Ok(())
}
