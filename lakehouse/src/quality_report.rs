//! The report of quality: plots and numbers of its tables as they stand.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_exchange::{quality_plots, quality_text};
use seislake_model::{Continuity, Timestamp};
use seislake_query::quality::{Content, stored};
use seislake_tables::continuity;

use crate::Lakehouse;

const DAY_NS: i64 = 86_400_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

/// What a report is asked for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// From this time on; the first day there is where absent.
    pub from: Option<Timestamp>,
    /// Before this time; where absent, the last sample there is.
    pub to: Option<Timestamp>,
    /// Patterns of source ids; all where there are none.
    pub sources: Vec<String>,
}

/// The rows of a time.
#[derive(Debug)]
pub struct QualityReport {
    pub from: Timestamp,
    pub to: Timestamp,
    rows: Content,
}

impl QualityReport {
    /// The rows of a stretch of time, and the time that they are told for: what was asked, else what was recorded of it.
    /// The rest of the first and the last day is no gap.
    ///
    /// # Errors
    /// A time that is none, a lake that cannot be read, and where there are no rows.
    pub async fn read(lakehouse: &Lakehouse, scope: &Scope) -> anyhow::Result<Self> {
        let session = lakehouse.session()?;
        let (from, to) = stretch(scope, &session).await?;
        if from >= to {
            bail!("--from {from} is not before --to {to}");
        }
        let day = Timestamp::from_nanos(from.nanos().div_euclid(DAY_NS).saturating_mul(DAY_NS));
        let mut rows = stored(&session, day, to, &scope.sources).await?;
        let recorded = |row: &Continuity| row.recorded();
        let first = rows.continuity.iter().map(|row| recorded(row).0).min().unwrap_or(from);
        let last = rows.continuity.iter().map(|row| recorded(row).1).max().unwrap_or(to);
        let from = if scope.from.is_none() { first.max(from) } else { from };
        let to = if scope.to.is_none() { last.min(to).max(from.add_seconds(1.0)) } else { to };
        rows.continuity = rows.continuity.iter().filter_map(|row| row.within(from, to)).collect();
        rows.latency.retain(|row| row.start_time.add_nanos(HOUR_NS) > from && row.start_time < to);
        let report = Self { from, to, rows };
        if report.counts().iter().all(|(_, count)| *count == 0) {
            bail!(
                "no quality is known of these channels from {from} to {to}; run `seislake quality update`, or ask for \
                 others"
            );
        }
        Ok(report)
    }

    /// Rows by table.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        [
            ("continuity", self.rows.continuity.len()),
            ("latency", self.rows.latency.len()),
            ("component_ratios", self.rows.component_ratios.len()),
            ("signal_levels", self.rows.signal_levels.len()),
            ("timing", self.rows.timing.len()),
        ]
    }

    /// Writes plots (SVG) and numbers (CSV, JSON) into a folder, which is made where absent.
    ///
    /// # Errors
    /// A file system that does not let it.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let Self { from, to, rows } = self;
        let json = serde_json::json!({
            "from": from,
            "to": to,
            "continuity": rows.continuity,
            "latency": rows.latency,
            "component_ratios": rows.component_ratios,
            "signal_levels": rows.signal_levels,
            "timing": rows.timing,
        });
        let files = [
            ("continuity.svg", quality_plots::continuity_bars(&rows.continuity, *from, *to)),
            ("latency.svg", quality_plots::latency_violins(&rows.latency)),
            ("component_ratios.svg", quality_plots::ratio_curves(&rows.component_ratios, *from, *to)),
            ("continuity.csv", quality_text::continuity_csv(&rows.continuity)),
            ("latency.csv", quality_text::latency_csv(&rows.latency)),
            ("component_ratios.csv", quality_text::component_ratios_csv(&rows.component_ratios)),
            ("signal_levels.csv", quality_text::signal_levels_csv(&rows.signal_levels)),
            ("timing.csv", quality_text::timing_csv(&rows.timing)),
            ("quality.json", format!("{json}\n")),
        ];
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make directory \"{}\"", folder.display()))?;
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        Ok(())
    }
}

/// What is asked for; what is not, from the days that there are.
async fn stretch(scope: &Scope, session: &SessionContext) -> anyhow::Result<(Timestamp, Timestamp)> {
    // Times beyond all that there can be bound nothing.
    let asked_from = scope.from.filter(|from| *from > Timestamp::MIN);
    let asked_to = scope.to.filter(|to| *to < Timestamp::MAX);
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
