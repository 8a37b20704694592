//! `seislake quality`: bring the tables of quality up to date, and report what they say.

mod report;
pub(crate) mod update;

use crate::command_line::{QualityAction, QualityArgs};
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::{days_progress, print_result};

pub(crate) async fn run(args: QualityArgs) -> anyhow::Result<()> {
    match args.action {
        QualityAction::Update { home, json } => {
            let settings = Settings::load(home.config.as_deref())?;
            // The jobs are the only writers of their tables, and a commit is a compare and swap: no lock of the home.
            let lakehouse = Lakehouse::open_beside(&home.home, &settings).await?;
            let done = update::run(lakehouse.lake(), &lakehouse.session()?, days_progress).await?;
            print_result(&update::describe(&done, json)?)
        }
        QualityAction::Report(args) => report::run(args).await,
    }
}
