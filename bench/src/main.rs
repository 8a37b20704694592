//! `seislake-bench NAME`: measures the `seislake` beside it, with a peer in the same run where there is one.
//!
//! | name | what |
//! |---|---|
//! | `main` | decoding, and an import through the whole path |
//! | `archive` | decoding, bulk import, size, reading back, beside libmseed, pymseed and ObsPy |
//! | `quality` | continuity of a national day, component ratios beside ObsPy |

mod archive;
mod decode;
mod main_path;
mod measure;
mod quality;
mod read_back;

use std::io::{Write, stderr, stdout};
use std::path::PathBuf;

use clap::Parser;
use mimalloc::MiMalloc;
use seislake_query::CountingAllocator;

// The same as of the program that is measured.
#[global_allocator]
static ALLOCATOR: CountingAllocator<MiMalloc> = CountingAllocator(MiMalloc);

/// Measure Seislake, beside a peer where there is one.
#[derive(Debug, Parser)]
#[command(name = "seislake-bench", version, after_help = "Example: seislake-bench main --json")]
pub(crate) struct BenchArgs {
    /// Which benchmark.
    #[arg(value_name = "NAME", value_parser = ["main", "archive", "quality"])]
    pub(crate) name: String,
    /// Channel-days of 8.64 million samples that `archive` works on.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) channel_days: u64,
    /// Channels of the lake from which `archive` reads one channel-day back; six have the whole day, the others an hour.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(6..=100_000))]
    pub(crate) channels: u64,
    /// Real miniSEED, for `archive` to measure the size of `waveform.segments` on: as it is, and tiled to whole days.
    #[arg(long, value_name = "DIR")]
    pub(crate) recordings: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Python interpreter with pymseed and obspy, for the peers' figures.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: String,
    /// The `seislake` to measure; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = BenchArgs::parse();
    measure::choose_binary(args.binary.clone())?;
    let measures = match args.name.as_str() {
        "archive" => archive::run(&args)?,
        "quality" => quality::run(&args)?,
        _ => main_path::run(&args)?,
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string(&measures)?)
    } else {
        measure::describe(&measures)
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

/// A line for who waits.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
