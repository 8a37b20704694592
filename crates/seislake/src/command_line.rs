//! The command line: a promise to scripts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use seislake_model::Timestamp;

use crate::terminal::log_filter;

/// A lakehouse for seismic networks: packets in, earthquakes out, every row in open Iceberg tables.
#[derive(Debug, Parser)]
#[command(
    name = "seislake",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Exit status: 0 done; 1 failed, the last line on standard error says why; 2 wrong command line; 130 or 143 cut short by Ctrl-C or SIGTERM (serve and demo end with 0 then)."
)]
pub(crate) struct CommandLine {
    /// What is logged to standard error: off, error, warn, info, debug, trace, or filters by module such as seislake_streams=debug,warn. Default: warn.
    #[arg(long, global = true, value_name = "LEVEL", env = "SEISLAKE_LOG", value_parser = parse_log_level)]
    pub(crate) log_level: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole system on a synthetic network, in one process.
    Demo(DemoArgs),
    /// Serve GraphQL, REST, FDSN, Iceberg REST and Flight SQL, and process what is ingested.
    Serve(ServeArgs),
    /// Import miniSEED files through the whole path; idempotent and resumable.
    Import(ImportArgs),
    /// What is in miniSEED or SEED files, and what is wrong with them.
    Inspect(InspectArgs),
    /// Ask the tables in SQL.
    Query(QueryArgs),
    /// Set the catalogue against a reference catalogue.
    Compare(CompareArgs),
    /// Write events, stations or waveforms in an exchange format.
    Export(ExportArgs),
    /// Dead letters: what could not be used, and why.
    Dlq(DlqArgs),
    /// Keep tables in shape: compact files, let old snapshots go, delete orphans.
    Maintain(MaintainArgs),
    /// What of a home is damaged, and mending it.
    Home(DamageArgs),
    /// Quality of the recordings: continuity, latency, component ratios, levels, timing.
    Quality(QualityArgs),
    /// Show or check the configuration.
    Config(ConfigArgs),
    /// What a shell needs to complete this command line.
    Completions(CompletionsArgs),
    /// The man pages: one of the whole and one of each command.
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples: seislake completions bash > ~/.local/share/bash-completion/completions/seislake
          seislake completions fish > ~/.config/fish/completions/seislake.fish"
)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake man --output ~/.local/share/man/man1
          seislake man | man -l -")]
pub(crate) struct ManArgs {
    /// Folder for all pages; without it the page of the whole goes to standard output.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HomeArgs {
    /// The embedded home: log, catalog, warehouse and state.
    #[arg(long, value_name = "DIR", default_value = "./seislake-home", env = "SEISLAKE_HOME", global = true)]
    pub(crate) home: PathBuf,
    /// Configuration file (TOML); see `seislake config show`.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake demo
          seislake demo --exit --minutes 10 --seed 7
          seislake demo --exit --home ./demo-home

A temporary home is deleted at the end; --home keeps it, for `seislake serve` and `seislake query`.
Exit status with --exit: 0 only if recall and precision are at least 0.95 and the median epicentre error is at most 2 km, else 1. Without it: 0 after Ctrl-C, which prints the comparison with the truth so far.")]
pub(crate) struct DemoArgs {
    /// Home of the demo, which stays; a temporary one, deleted at the end, where absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Length of the synthetic stream in minutes of data.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) minutes: Option<u32>,
    /// Seed of the synthetic network.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many times faster than real time the stream flows.
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    pub(crate) speed: f64,
    /// Run at full speed, compare with the truth and exit: status 0 only if the bar is met.
    #[arg(long)]
    pub(crate) exit: bool,
    /// With --exit: print the comparison as JSON.
    #[arg(long, requires = "exit")]
    pub(crate) json: bool,
    /// Address of the HTTP doors (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Address of Flight SQL.
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake serve --home ./seislake-home --http 127.0.0.1:8080

Says when it is ready and when it has stopped, on standard error. Ctrl-C or SIGTERM stops it in order, with exit status 0; a second one at once.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Address of the HTTP doors (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<String>,
    /// Address of Flight SQL (port 0: a free one).
    #[arg(long, value_name = "ADDR")]
    pub(crate) flight: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ElevationUnitArg {
    /// Metres.
    M,
    /// Kilometres.
    Km,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: seislake import --home ./iceland --stations stations.txt --elevation-unit km --velocity-model vmodel.txt data/"
)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Stations: StationXML, or CSV or FDSN text with named columns. May be given several times, one file each.
    #[arg(long, value_name = "FILE")]
    pub(crate) stations: Vec<PathBuf>,
    /// Network code of the stations that are listed without one. Where absent, that of the waveforms at hand.
    #[arg(long, value_name = "CODE", value_parser = parse_network)]
    pub(crate) network: Option<String>,
    /// Unit of elevations where a station file does not say.
    #[arg(long, value_name = "UNIT")]
    pub(crate) elevation_unit: Option<ElevationUnitArg>,
    /// Velocity model: CSV with Depth,Vp,Vs (km, km/s; linear in between) or Top,Vp,Vs (constant layers), or iasp91 or ak135. Stays with the home.
    #[arg(long, value_name = "FILE")]
    pub(crate) velocity_model: Option<String>,
    /// Only fill the waveform tables: no picks, no events. Settled for a home by its first import.
    #[arg(long)]
    pub(crate) archive_only: bool,
    /// Import only the I-th of N shares of the stations (I from 1), records only. N processes fill one home side by side.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub(crate) shard: Option<(u32, u32)>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Files and directories.
    #[arg(value_name = "PATH", required_unless_present = "stations")]
    pub(crate) paths: Vec<PathBuf>,
}

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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For reading, on a terminal no wider than that.
    Table,
    /// With a header line.
    Csv,
    /// One array of objects; nulls are written.
    Json,
    /// Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples: seislake query \"SELECT origin_time, latitude, longitude, depth_km FROM bulletin.events_current ORDER BY 1\"
          seislake query --vertical \"SELECT * FROM bulletin.events_current LIMIT 3\"
          seislake query --format csv - < statement.sql > rows.csv"
)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
    /// Cut the statement off after so many seconds. Without it, it runs until it ends or Ctrl-C, within query.memory_bytes.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) timeout_s: Option<f64>,
    /// One line a value, one paragraph a row: for rows of many columns.
    #[arg(long, conflicts_with = "format")]
    pub(crate) vertical: bool,
    /// One SELECT statement; - reads it from standard input.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: seislake compare --reference bulletin.xml --time-tolerance-s 1.5 --distance-tolerance-km 5"
)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Reference catalogue: QuakeML, CSV or TSV with named columns, or GeoJSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) reference: PathBuf,
    /// Largest difference in origin time of a match.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pub(crate) time_tolerance_s: f64,
    /// Largest distance between epicentres of a match.
    #[arg(long, value_name = "KM", default_value_t = 20.0)]
    pub(crate) distance_tolerance_km: f64,
    /// Only events at or after this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) from: Option<Timestamp>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) to: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Events as QuakeML 1.2.
    Quakeml,
    /// Events as GeoJSON.
    Geojson,
    /// Events as CSV.
    Csv,
    /// Stations as StationXML 1.2.
    Stationxml,
    /// Waveforms as miniSEED 2, in one file.
    Mseed,
    /// Waveforms as miniSEED 3, in one file.
    Mseed3,
    /// Waveforms as miniSEED 2 in the SeisComP data structure: a directory, a file for each channel and day.
    Sds,
    /// The original records byte for byte, in one file; no server may be running unless archive.keep_raw kept them.
    Raw,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake export --format quakeml --output bulletin.xml
          seislake export --format sds --source 'SY.D001..HH?' --output archive/

What is under way is written beside its place, under names that end in .partial; all of it comes to its place at the end, or nothing does.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Format.
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Only what lies at or after this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) from: Option<Timestamp>,
    /// Only what lies before this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) to: Option<Timestamp>,
    /// Only this channel: a source id, or NET.STA.LOC.CHA with * and ? (mseed, mseed3, sds; raw takes a source id).
    #[arg(long, value_name = "ID")]
    pub(crate) source: Option<String>,
    /// File to write; standard output where absent. For sds a directory, which must be given.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

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

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake maintain compact --table waveform.segments --dry-run")]
pub(crate) struct MaintainArgs {
    #[command(subcommand)]
    pub(crate) action: MaintainAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintainAction {
    /// Merge small files of each partition into large sorted ones, and short segments into long ones.
    #[command(after_help = "Example: seislake maintain compact --table waveform.segments --dry-run")]
    Compact {
        #[command(flatten)]
        common: MaintainCommonArgs,
        /// Size of the files to be made.
        #[arg(long, value_name = "MB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=4096))]
        target_mb: u64,
        /// Partitions with fewer small files are left as they are.
        #[arg(long, value_name = "N", default_value_t = 4)]
        files_min: usize,
        /// Rewrite large files too.
        #[arg(long)]
        all: bool,
    },
    /// Let old snapshots go, and the files that only they needed. Time travel reaches less far back then.
    #[command(after_help = "Example: seislake maintain expire --keep 100 --days 30 --dry-run")]
    Expire {
        #[command(flatten)]
        common: MaintainCommonArgs,
        /// Newest snapshots that are kept.
        #[arg(long, value_name = "N", default_value_t = 100)]
        keep: usize,
        /// Of older ones the last of each hour is kept for so many days.
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u32,
    },
    /// Delete files that no snapshot refers to, and original records below raw/ that no row of waveform.packets names,
    /// left behind by crashes.
    #[command(after_help = "Example: seislake maintain orphans --older-than-hours 24 --dry-run")]
    Orphans {
        #[command(flatten)]
        common: MaintainCommonArgs,
        /// Younger files may belong to a commit under way and are left alone.
        #[arg(long, value_name = "HOURS", default_value_t = 24.0)]
        older_than_hours: f64,
    },
}

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

#[derive(Debug, Args)]
pub(crate) struct MaintainCommonArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Only this table (namespace.table); may be given several times. All where absent.
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: seislake quality update && seislake quality report --output ./quality")]
pub(crate) struct QualityArgs {
    #[command(subcommand)]
    pub(crate) action: QualityAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QualityAction {
    /// Bring the quality tables up to date: only channels and days with new data are made anew. May run beside a server.
    #[command(after_help = "Example: seislake quality update --home ./seislake-home")]
    Update {
        #[command(flatten)]
        home: HomeArgs,
        /// Print what was done as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write plots (SVG) and numbers (CSV, JSON) of the quality tables as they stand.
    #[command(
        after_help = "Example: seislake quality report --from 2024-02-01 --to 2024-03-01 --source 'FDSN:IU_*_B_H_?' --output ./quality"
    )]
    Report(QualityReportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct QualityReportArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// From this time on (UTC); the first day there is where absent.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) from: Option<Timestamp>,
    /// Before this time (UTC); where absent, the last sample there is: its day counts to there.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) to: Option<Timestamp>,
    /// Only these source ids; * stands for any text, ? for one character. May be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) source: Vec<String>,
    /// Directory to write into; it is made where absent.
    #[arg(long, value_name = "DIR", default_value = "./quality-report")]
    pub(crate) output: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

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

fn parse_log_level(text: &str) -> Result<String, String> {
    log_filter(text).map(|_| text.to_owned())
}

fn parse_network(text: &str) -> Result<String, String> {
    match seislake_model::check_station(text, "S") {
        Ok(()) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err("expected 1 to 8 letters, digits or dashes".into()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("expected seconds above 0".into()),
    }
}

fn parse_shard(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i, n)),
        _ => Err("expected I/N with I from 1 to N, such as 1/4".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command without commands below it, with the names that lead to it.
    fn leaves(command: &clap::Command, path: &[String]) -> Vec<(Vec<String>, String)> {
        if !command.has_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            return vec![(path.to_vec(), help)];
        }
        let below = |below: &clap::Command| leaves(below, &[path, &[below.get_name().to_owned()]].concat());
        command.get_subcommands().flat_map(below).collect()
    }

    /// Words as a shell cuts them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for character in line.chars() {
            match (character, quote) {
                (open, None) if open == '"' || open == '\'' => quote = Some(open),
                (close, Some(open)) if close == open => quote = None,
                (' ', None) => words.push(String::new()),
                (other, _) => words.last_mut().unwrap().push(other),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_an_example_that_its_command_line_takes() {
        for (path, help) in leaves(&CommandLine::command(), &[]) {
            let examples: Vec<&str> = help
                .lines()
                .filter_map(|line| line.find("seislake ").map(|begin| &line[begin..]))
                .filter(|line| line.starts_with(&format!("seislake {}", path.join(" "))))
                .collect();
            assert!(!examples.is_empty(), "{path:?} has no example: {help}");
            for example in examples {
                // What the shell does with the results is its own affair.
                let own = example.split([';', '<', '>', '|']).next().unwrap();
                for command in own.split("&&") {
                    let parsed = CommandLine::try_parse_from(words(command.trim()));
                    assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
                }
            }
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }
}
