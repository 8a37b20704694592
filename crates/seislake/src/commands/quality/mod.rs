//! `seislake quality`: bring the tables of quality up to date, and report what they say.

mod report;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use seislake_lakehouse::quality_jobs::{self, Progress};

use self::report::QualityReportArgs;
use crate::arguments::HomeArgs;
use crate::interruption::{self, or_interrupted};
use crate::terminal::{days_progress, print_json, print_result};

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
            // The jobs are the only writers of their tables, and a commit is a compare and swap: no lock of the home.
            let lakehouse = home.open_beside().await?;
            let session = lakehouse.session()?;
            let bar = Days(days_progress());
            let work = async { anyhow::Ok(quality_jobs::run(lakehouse.lake(), &session, &bar).await) };
            let (done, failures) = or_interrupted(work, || {
                "the update was interrupted; each table of quality is as it was before or up to date as a whole; run it \
                 again to go on"
                    .to_owned()
            })
            .await?;
            if json {
                print_json(&done)?;
            } else {
                print_result(&done.iter().map(|done| format!("{done}\n")).collect::<String>())?;
            }
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
