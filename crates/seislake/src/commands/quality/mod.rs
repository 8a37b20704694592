//! `seislake quality`: bring the tables of quality up to date, and report what they say.

mod report;

use std::fmt::Write;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use seislake_lakehouse::quality_jobs::{self, Done, Progress};
use seislake_lakehouse::{Lakehouse, Settings};

use self::report::QualityReportArgs;
use crate::arguments::HomeArgs;
use crate::interruption::{self, or_interrupted};
use crate::terminal::{days_progress, print_result};

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

pub(crate) async fn run(args: QualityArgs) -> anyhow::Result<()> {
    interruption::listen();
    match args.action {
        QualityAction::Update { home, json } => {
            let settings = Settings::load(home.config.as_deref())?;
            // The jobs are the only writers of their tables, and a commit is a compare and swap: no lock of the home.
            let lakehouse = Lakehouse::open_beside(&home.home, &settings).await?;
            let session = lakehouse.session()?;
            let bar = Days(days_progress());
            let work = async { anyhow::Ok(quality_jobs::run(lakehouse.lake(), &session, &bar).await) };
            let (done, failures) = or_interrupted(work, || {
                "the update was interrupted; each table of quality is as it was before or up to date as a whole; run it \
                 again to go on"
                    .to_owned()
            })
            .await?;
            print_result(&describe(&done, json)?)?;
            failures.told()
        }
        QualityAction::Report(args) => {
            or_interrupted(report::run(args), || "the report was interrupted; nothing was written".to_owned())
                .await
        }
    }
}

/// Days of a job on a terminal.
struct Days(ProgressBar);

impl Progress for Days {
    fn begin(&self, tables: &str, days: usize) {
        self.0.reset();
        self.0.set_length(days as u64);
        self.0.set_message(tables.to_owned());
    }

    fn day_done(&self) {
        self.0.inc(1);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

/// One line a table, or JSON.
fn describe(done: &[Done], json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(format!("{}\n", serde_json::to_string(done)?));
    }
    let mut text = String::new();
    for job in done {
        let _ = match job.days {
            0 => writeln!(text, "{:<26} nothing new", job.table),
            days => writeln!(text, "{:<26} {days} days, {} rows made anew", job.table, job.rows),
        };
    }
    Ok(text)
}
