//! The report: plots and numbers of the quality tables as they stand.

use std::path::PathBuf;

use clap::Args;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_exchange::{quality_plots, quality_text};
use seislake_model::{Continuity, Timestamp};
use seislake_query::quality::{Stored, stored};
use seislake_tables::continuity;

use crate::arguments::HomeArgs;
use crate::terminal::print_result;
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::settings::Settings;

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

const DAY_NS: i64 = 86_400_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

pub(super) async fn run(args: QualityReportArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    let session = lakehouse.session()?;
    let (from, to) = stretch(&args, &session).await?;
    if from >= to {
        bail!("--from {from} is not before --to {to}");
    }
    let (found, from, to) = found(&args, &session, (from, to)).await?;
    let counts = [
        ("continuity", found.continuity.len()),
        ("latency", found.latency.len()),
        ("component_ratios", found.component_ratios.len()),
        ("signal_levels", found.signal_levels.len()),
        ("timing", found.timing.len()),
    ];
    if counts.iter().all(|(_, count)| *count == 0) {
        bail!(
            "no quality is known of these channels from {from} to {to}; run `seislake quality update`, or ask for others"
        );
    }
    write(&args.output, &found, from, to)?;
    if args.json {
        let rows: serde_json::Map<_, _> =
            counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let told = serde_json::json!({ "from": from, "to": to, "output": args.output, "rows": rows });
        return print_result(&format!("{told}\n"));
    }
    let mut text = format!("{from} to {to}, in \"{}\"\n", args.output.display());
    for (name, count) in counts {
        text.push_str(&format!("{name:<18} {count} rows\n"));
    }
    print_result(&text)
}

/// The rows of a stretch of time, and the time that they are told for: what was asked, else what was recorded of it. The
/// rest of the first and the last day is no gap.
async fn found(
    args: &QualityReportArgs,
    session: &SessionContext,
    (from, to): (Timestamp, Timestamp),
) -> anyhow::Result<(Stored, Timestamp, Timestamp)> {
    let day = Timestamp::from_nanos(from.nanos().div_euclid(DAY_NS).saturating_mul(DAY_NS));
    let mut found = stored(session, day, to, &args.source).await?;
    let recorded = |row: &Continuity| row.recorded();
    let first = found.continuity.iter().map(|row| recorded(row).0).min().unwrap_or(from);
    let last = found.continuity.iter().map(|row| recorded(row).1).max().unwrap_or(to);
    let from = if args.from.is_none() { first.max(from) } else { from };
    let to = if args.to.is_none() { last.min(to).max(from.add_seconds(1.0)) } else { to };
    found.continuity = found.continuity.iter().filter_map(|row| row.within(from, to)).collect();
    found.latency.retain(|row| row.start_time.add_nanos(HOUR_NS) > from && row.start_time < to);
    Ok((found, from, to))
}

/// What is asked for; what is not, from the days that there are.
async fn stretch(
    args: &QualityReportArgs,
    session: &SessionContext,
) -> anyhow::Result<(Timestamp, Timestamp)> {
    // Times beyond all that there can be bound nothing.
    let asked_from = args.from.filter(|from| *from > Timestamp::MIN);
    let asked_to = args.to.filter(|to| *to < Timestamp::MAX);
    if let (Some(from), Some(to)) = (asked_from, asked_to) {
        return Ok((from, to));
    }
    let (start, table) = (continuity::names::start_time, &continuity::TABLE);
    let sql = format!("SELECT min({start}), max({start}) FROM {table}");
    let batches: Vec<_> = seislake_query::query(session, &sql).await?.try_collect().await?;
    let moment = |column: usize| {
        let column = batches.first()?.column(column).as_primitive::<TimestampMicrosecondType>();
        column.is_valid(0).then(|| Timestamp::from_micros(column.value(0)))
    };
    let (Some(first), Some(last)) = (moment(0), moment(1)) else {
        bail!("the home has no continuity yet; run `seislake quality update`, or give --from and --to");
    };
    Ok((asked_from.unwrap_or(first), asked_to.unwrap_or(last.add_nanos(DAY_NS))))
}

fn write(folder: &Path, found: &Stored, from: Timestamp, to: Timestamp) -> anyhow::Result<()> {
    let json = serde_json::json!({
        "from": from,
        "to": to,
        "continuity": found.continuity,
        "latency": found.latency,
        "component_ratios": found.component_ratios,
        "signal_levels": found.signal_levels,
        "timing": found.timing,
    });
    let files = [
        ("continuity.svg", quality_plots::continuity_bars(&found.continuity, from, to)),
        ("latency.svg", quality_plots::latency_violins(&found.latency)),
        ("component_ratios.svg", quality_plots::ratio_curves(&found.component_ratios, from, to)),
        ("continuity.csv", quality_text::continuity_csv(&found.continuity)),
        ("latency.csv", quality_text::latency_csv(&found.latency)),
        ("component_ratios.csv", quality_text::component_ratios_csv(&found.component_ratios)),
        ("signal_levels.csv", quality_text::signal_levels_csv(&found.signal_levels)),
        ("timing.csv", quality_text::timing_csv(&found.timing)),
        ("quality.json", format!("{json}\n")),
    ];
    fs::create_dir_all(folder).with_context(|| format!("cannot make directory \"{}\"", folder.display()))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write \"{}\"", path.display()))?;
    }
    Ok(())
}
