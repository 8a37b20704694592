//! `seislake quality report`: plots and numbers.

use std::path::PathBuf;

use clap::Args;
use seislake_lakehouse::quality_report::{QualityReport, Scope};
use seislake_model::Timestamp;

use crate::arguments::HomeArgs;
use crate::terminal::{print_json, print_result};

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

pub(super) async fn run(args: QualityReportArgs) -> anyhow::Result<()> {
    let lakehouse = args.home.open_for_reading().await?;
    let scope = Scope { from: args.from, to: args.to, sources: args.source };
    let report = QualityReport::read(&lakehouse, &scope).await?;
    report.write(&args.output)?;
    let (from, to) = (report.from, report.to);
    if args.json {
        let rows: serde_json::Map<_, _> =
            report.counts().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let told = serde_json::json!({ "from": from, "to": to, "output": args.output, "rows": rows });
        return print_json(&told);
    }
    let mut text = format!("{from} to {to}, in \"{}\"\n", args.output.display());
    for (name, count) in report.counts() {
        text.push_str(&format!("{name:<18} {count} rows\n"));
    }
    print_result(&text)
}
