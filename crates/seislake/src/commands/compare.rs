//! `seislake compare`: the catalogue beside a reference catalogue.

use std::path::PathBuf;

use clap::Args;
use seislake_model::Timestamp;
use std::fmt::Write;

use anyhow::{Context, bail};
use seislake_model::CatalogueEvent;
use seislake_seismo::compare::{Common, CompareSettings, Comparison, Distribution, compare, keep_common};
use seislake_streams::source::packed::documents;
use serde::Serialize;

use crate::arguments::HomeArgs;
use crate::terminal::{print_result, tell};
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::settings::Settings;

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
    let settings = Settings::load(args.home.config.as_deref())?;
    let name = args.reference.display().to_string();
    let mut found = documents(&args.reference).with_context(|| format!("cannot read \"{name}\""))?;
    let bytes = match (found.pop(), found.pop()) {
        (Some((_, bytes)), None) => bytes,
        _ => bail!("\"{name}\" is an archive of no or several files; give one catalogue"),
    };
    let reference = seislake_exchange::catalogue_text::read_catalogue(&name, &bytes)
        .with_context(|| format!("cannot read a catalogue from \"{name}\""))?;
    for problem in &reference.problems {
        tell(&format!("{name}, line {}: {}", problem.line, problem.reason));
    }
    let within = |event: &CatalogueEvent| {
        args.from.is_none_or(|from| event.origin_time >= from)
            && args.to.is_none_or(|to| event.origin_time < to)
    };
    let told = (args.from, args.to);
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    let mut catalogue = lakehouse.catalogue().await?;
    catalogue.retain(|event| within(event));
    let mut reference: Vec<CatalogueEvent> = reference.value.into_iter().filter(within).collect();
    let tolerances = CompareSettings {
        time_tolerance_s: args.time_tolerance_s,
        distance_tolerance_km: args.distance_tolerance_km,
    };
    let recorded = lakehouse.recorded_time().await?;
    let common = keep_common(&mut reference, &mut catalogue, recorded, told, args.time_tolerance_s);
    let comparison = compare(&reference, &catalogue, tolerances);
    if args.json {
        let answer = Answer { common, comparison };
        return print_result(&format!("{}\n", serde_json::to_string(&answer)?));
    }
    print_result(&format!("{}{}", describe_common(&common), describe(&comparison)))
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    /// Which time was compared.
    common: Common,
    #[serde(flatten)]
    comparison: Comparison,
}

/// The time that was compared, and what of both catalogues was not.
fn describe_common(common: &Common) -> String {
    let mut text = match (common.from, common.to) {
        (Some(from), Some(to)) => format!("compared from {from} to {to}, the time that both cover\n"),
        _ => "there is no time that both the recordings of this home and the reference cover\n".to_owned(),
    };
    let outside = (common.reference_outside, common.catalogue_outside);
    if outside != (0, 0) {
        let _ = writeln!(
            text,
            "not compared: {} events of the reference and {} of the catalogue outside that time",
            outside.0, outside.1
        );
    }
    if common.reference_other > 0 {
        let count = common.reference_other;
        let _ = writeln!(
            text,
            "not compared: {count} events of the reference that are said to be no earthquakes, or were rejected"
        );
    }
    text
}

/// The comparison for reading.
pub(crate) fn describe(comparison: &Comparison) -> String {
    let mut text = String::new();
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let _ = writeln!(
        text,
        "matched {} of {} reference events (recall {}), {} in the catalogue (precision {})",
        comparison.matched,
        comparison.reference_count,
        percent(comparison.recall),
        comparison.catalogue_count,
        percent(comparison.precision)
    );
    for (name, unit, distribution) in [
        ("origin time", "s", &comparison.origin_time_s),
        ("epicentre", "km", &comparison.epicentre_km),
        ("depth", "km", &comparison.depth_km),
        ("magnitude", "", &comparison.magnitude),
    ] {
        let Distribution { median: Some(median), p90: Some(p90), .. } = distribution else { continue };
        let _ = writeln!(text, "  {name:<12} median {median:.3} {unit}, 90 % within {p90:.3} {unit}");
    }
    for (title, events) in [("missed", &comparison.missed), ("extra", &comparison.extra)] {
        for event in events {
            let _ = writeln!(text, "  {title:<7} {}", line(event));
        }
    }
    text
}

/// One event on one line.
pub(crate) fn line(event: &CatalogueEvent) -> String {
    format!(
        "{}  {:8.4} {:9.4}  {:>6} km  {}",
        event.origin_time,
        event.latitude,
        event.longitude,
        event.depth_km.map_or("-".into(), |depth| format!("{depth:.1}")),
        event.magnitude.map_or("M -".into(), |magnitude| format!("M {magnitude:.1}")),
    )
}
