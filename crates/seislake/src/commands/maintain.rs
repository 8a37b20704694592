//! `seislake maintain compact|expire|orphans`: keeps tables in shape; may run beside a server.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use seislake_catalog::{CompactSettings, ExpireSettings, Lake, RetentionSettings};
use serde::Serialize;

use crate::arguments::HomeArgs;
use crate::interruption::{self, or_interrupted};
use crate::terminal::{print_result, tables_progress};
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::settings::Settings;
use seislake_lakehouse::upkeep::{self, Failures};

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

/// Its rows name the original records below `raw/`, which are cleaned with it.
const TABLE_OF_ORIGINALS: &str = "waveform.packets";

pub(crate) async fn run(args: MaintainArgs) -> anyhow::Result<()> {
    interruption::listen();
    or_interrupted(maintain(args), || {
        "the work was interrupted; the tables hold the same rows as before, and what was begun lies in files that \
         `seislake maintain orphans` deletes; run the same command again to go on"
            .to_owned()
    })
    .await
}

async fn maintain(args: MaintainArgs) -> anyhow::Result<()> {
    match args.action {
        MaintainAction::Compact { common, target_mb, files_min, all } => {
            let settings = CompactSettings {
                target_bytes: target_mb << 20,
                files_min,
                everything: all,
                dry_run: common.dry_run,
            };
            let (lake, tables) = open(&common).await?;
            let (mut reports, mut failures) = (Vec::new(), Failures::default());
            let bar = progress("compacting", &tables);
            for table in tables {
                bar.set_message(format!("compacting {table}"));
                let compacted = lake.compact(&table, settings).await;
                reports.extend(failures.of(&table, compacted.map_err(Into::into)));
                bar.inc(1);
            }
            bar.finish_and_clear();
            print(&common, &reports, |report| {
                format!(
                    "{}: {} partitions, {} files of {} MB with {} rows -> {} files of {} MB with {} rows",
                    report.table,
                    report.partitions,
                    report.files_before,
                    report.bytes_before >> 20,
                    report.rows_before,
                    report.files_after,
                    report.bytes_after >> 20,
                    report.rows_after
                )
            })?;
            failures.told()
        }
        MaintainAction::Expire { common, keep, days } => {
            let keep = RetentionSettings {
                snapshots_kept: keep,
                history_days: days,
                spare: upkeep::spare(&common.home.home),
                ..RetentionSettings::default()
            };
            let settings = ExpireSettings { keep, dry_run: common.dry_run };
            let (lake, tables) = open(&common).await?;
            let (mut reports, mut failures) = (Vec::new(), Failures::default());
            let bar = progress("letting snapshots go", &tables);
            for table in tables {
                let expired = lake.expire(&table, &settings).await;
                reports.extend(failures.of(&table, expired.map_err(Into::into)));
                bar.inc(1);
            }
            bar.finish_and_clear();
            print(&common, &reports, |report| {
                format!(
                    "{}: {} snapshots let go with {} files, {} snapshots left",
                    report.table, report.snapshots, report.files, report.snapshots_left
                )
            })?;
            failures.told()
        }
        MaintainAction::Orphans { common, older_than_hours } => {
            if !(older_than_hours >= 0.0 && older_than_hours.is_finite()) {
                bail!("--older-than-hours must be a number of hours, 0 or more");
            }
            let age_min = Duration::from_secs_f64(older_than_hours * 3600.0);
            let (lake, tables) = open(&common).await?;
            let (mut reports, mut failures) = (Vec::new(), Failures::default());
            let bar = progress("deleting orphans", &tables);
            for table in tables {
                let deleted = lake.delete_orphans(&table, age_min, common.dry_run).await;
                reports.extend(failures.of(&table, deleted.map_err(Into::into)));
                bar.inc(1);
                if table == TABLE_OF_ORIGINALS {
                    let deleted = lake.delete_orphan_originals(age_min, common.dry_run).await;
                    reports.extend(failures.of("original records", deleted.map_err(Into::into)));
                }
            }
            bar.finish_and_clear();
            print(&common, &reports, |report| {
                format!("{}: {} files, {} MB", report.table, report.files, report.bytes >> 20)
            })?;
            failures.told()
        }
    }
}

async fn open(args: &MaintainCommonArgs) -> anyhow::Result<(Lake, Vec<String>)> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_beside(&args.home.home, &settings).await?;
    let tables = if args.table.is_empty() { lakehouse.lake().table_names() } else { args.table.clone() };
    Ok((lakehouse.lake().clone(), tables))
}

fn progress(message: &'static str, tables: &[String]) -> ProgressBar {
    let bar = tables_progress(tables.len() as u64);
    bar.set_message(message);
    bar
}

fn print<R: Serialize>(
    args: &MaintainCommonArgs,
    reports: &[R],
    line: impl Fn(&R) -> String,
) -> anyhow::Result<()> {
    if args.json {
        return print_result(&format!("{}\n", serde_json::to_string(reports)?));
    }
    let mut text: String = reports.iter().map(|report| line(report) + "\n").collect();
    if args.dry_run {
        text.push_str("nothing was changed (--dry-run)\n");
    }
    print_result(&text)
}
