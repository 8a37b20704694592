//! `seislake compare`: the catalogue beside a reference catalogue.

use std::path::PathBuf;

use clap::Args;
use seislake_lakehouse::reference::{Answer, compare_with, read_reference};
use seislake_model::Timestamp;
use seislake_seismo::compare::CompareSettings;

use crate::arguments::HomeArgs;
use crate::terminal::{print_json, print_result, tell};

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

pub(crate) async fn run(args: CompareArgs) -> anyhow::Result<()> {
    let reference = read_reference(&args.reference)?;
    for problem in &reference.problems {
        tell(&format!("{}, line {}: {}", args.reference.display(), problem.line, problem.reason));
    }
    let lakehouse = args.home.open_for_reading().await?;
    let tolerances = CompareSettings {
        time_tolerance_s: args.time_tolerance_s,
        distance_tolerance_km: args.distance_tolerance_km,
    };
    let answer = compare_with(&lakehouse, reference.value, (args.from, args.to), tolerances).await?;
    if args.json {
        return print_json(&answer);
    }
    let Answer { common, comparison } = answer;
    print_result(&format!("{common}{comparison}"))
}
