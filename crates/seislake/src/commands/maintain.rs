//! `seislake maintain compact|expire|orphans`: keeps tables in shape; may run beside a server.

use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use seislake_catalog::{CompactSettings, ExpireSettings, Lake, RetentionSettings};
use serde::Serialize;

use crate::command_line::{MaintainAction, MaintainArgs, MaintainCommonArgs};
use crate::interruption::{self, or_interrupted};
use crate::terminal::{print_result, tables_progress};
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::settings::Settings;
use seislake_lakehouse::upkeep::{self, Failures};

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
    let tables = if args.table.is_empty() { Lake::table_names() } else { args.table.clone() };
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
