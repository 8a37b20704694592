//! `seislake maintain compact|expire|orphans`: keeps tables in shape; may run beside a server.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use seislake_catalog::{CompactSettings, ExpireSettings, OrphanSettings, RetentionSettings};
use seislake_lakehouse::maintenance::Maintenance;
use seislake_lakehouse::upkeep::{self, Failures};

use crate::arguments::HomeArgs;
use crate::interruption::{self, or_interrupted};
use crate::terminal::{print_json, print_result, tables_progress};

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
    let (common, maintenance, doing) = match args.action {
        MaintainAction::Compact { common, target_mb, files_min, all } => {
            let settings = CompactSettings {
                target_bytes: target_mb << 20,
                files_min,
                everything: all,
                dry_run: common.dry_run,
            };
            (common, Maintenance::Compact(settings), "compacting")
        }
        MaintainAction::Expire { common, keep, days } => {
            let keep = RetentionSettings {
                snapshots_kept: keep,
                history_days: days,
                spare: upkeep::spare(&common.home.home),
                ..RetentionSettings::default()
            };
            let settings = ExpireSettings { keep, dry_run: common.dry_run };
            (common, Maintenance::Expire(settings), "letting snapshots go")
        }
        MaintainAction::Orphans { common, older_than_hours } => {
            if !(older_than_hours >= 0.0 && older_than_hours.is_finite()) {
                bail!("--older-than-hours must be a number of hours, 0 or more");
            }
            let age_min = Duration::from_secs_f64(older_than_hours * 3600.0);
            let settings = OrphanSettings { age_min, dry_run: common.dry_run };
            (common, Maintenance::DeleteOrphans(settings), "deleting orphans")
        }
    };
    let lakehouse = common.home.open_beside().await?;
    let lake = lakehouse.lake();
    let tables = if common.table.is_empty() { lake.table_names() } else { common.table };
    let (mut reports, mut failures) = (Vec::new(), Failures::default());
    let bar = tables_progress(tables.len() as u64);
    for table in tables {
        bar.set_message(format!("{doing}: {table}"));
        reports.extend(maintenance.of(lake, &table, &mut failures).await);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if common.json {
        print_json(&reports)?;
    } else {
        let mut text: String = reports.iter().map(|report| format!("{report}\n")).collect();
        if common.dry_run {
            text.push_str("nothing was changed (--dry-run)\n");
        }
        print_result(&text)?;
    }
    failures.told()
}
