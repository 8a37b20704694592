//! `seislake quality`: bring the tables of quality up to date, and report what they say.

mod report;
pub(crate) mod update;

use crate::command_line::{QualityAction, QualityArgs};
use crate::interruption::{self, or_interrupted};
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::{days_progress, print_result};

pub(crate) async fn run(args: QualityArgs) -> anyhow::Result<()> {
    interruption::listen();
    match args.action {
        QualityAction::Update { home, json } => {
            let settings = Settings::load(home.config.as_deref())?;
            // The jobs are the only writers of their tables, and a commit is a compare and swap: no lock of the home.
            let lakehouse = Lakehouse::open_beside(&home.home, &settings).await?;
            let session = lakehouse.session()?;
            let work = async { anyhow::Ok(update::run(lakehouse.lake(), &session, days_progress).await) };
            let (done, failures) = or_interrupted(work, || {
                "the update was interrupted; each table of quality is as it was before or up to date as a whole; run it \
                 again to go on"
                    .to_owned()
            })
            .await?;
            print_result(&update::describe(&done, json)?)?;
            failures.told()
        }
        QualityAction::Report(args) => {
            or_interrupted(report::run(args), || "the report was interrupted; nothing was written".to_owned())
                .await
        }
    }
}
