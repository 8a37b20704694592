//! What a server does beside serving: small files are put together, quality tables follow their sources, and files
//! that no kept snapshot needs go away.
//!
//! Each job commits on its own, by compare and swap, beside whoever else writes: a job that loses or fails says so in
//! the log and tries again when it is due next.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use seislake_catalog::{CompactSettings, ExpireSettings, Lake, OrphanSettings, RetentionSettings};
use tokio::time::{Instant, MissedTickBehavior};

use crate::Lakehouse;
use crate::settings::UpkeepSection;
use crate::{home, quality_jobs};

/// Small files of a partition that make it worth rewriting while more of them come in.
const SMALL_FILES_MIN: usize = 16;

/// Younger files, and younger original records, may belong to a commit under way.
const ORPHAN_AGE: Duration = Duration::from_secs(86_400);

/// So long `query` and `export` beside a server may read what they began with.
const READ_BESIDE: Duration = Duration::from_secs(3600);

/// What maintenance of another process leaves to a running server, whose readers and cursors it does not know.
pub fn spare(home: &Path) -> Duration {
    if home::in_use(home) { READ_BESIDE } else { Duration::ZERO }
}

/// Works for ever; drop it to stop.
pub async fn run(lakehouse: &Lakehouse, settings: &UpkeepSection) {
    tokio::join!(
        every(settings.quality_interval_s, "update the quality tables", || quality(lakehouse)),
        every(settings.compact_interval_s, "compact the tables", || compact(lakehouse.lake())),
        every(settings.clean_interval_s, "clean the warehouse", || clean(lakehouse.lake())),
    );
}

/// Does `job` every `interval_s` seconds, the first time one interval from now; never where that is 0.
async fn every<F: Future<Output = anyhow::Result<()>>>(interval_s: f64, what: &str, job: impl Fn() -> F) {
    if interval_s == 0.0 {
        return;
    }
    let interval = Duration::from_secs_f64(interval_s);
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begin = Instant::now();
        match job().await {
            Ok(()) => tracing::info!(job = what, elapsed_s = begin.elapsed().as_secs_f64(), "upkeep done"),
            Err(error) => {
                metrics::counter!("seislake_upkeep_failures_total", "job" => what.to_owned()).increment(1);
                tracing::warn!(
                    job = what,
                    error = format!("{error:#}"),
                    "upkeep failed and is tried again later"
                );
            }
        }
    }
}

/// What failed of a job over many tables. Each has its turn, whatever became of those before; all that failed is told at
/// the end.
#[derive(Debug, Default)]
pub struct Failures(Vec<String>);

impl Failures {
    /// What was done to a table, unless it failed.
    pub fn of<T>(&mut self, table: &str, outcome: anyhow::Result<T>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                self.0.push(format!("\"{table}\": {error:#}"));
                None
            }
        }
    }

    /// An error that names all tables that failed.
    pub fn told(self) -> anyhow::Result<()> {
        match self.0.len() {
            0 => Ok(()),
            count => bail!("{count} tables failed, the others have had their turn: {}", self.0.join("; ")),
        }
    }
}

async fn quality(lakehouse: &Lakehouse) -> anyhow::Result<()> {
    quality_jobs::run(lakehouse.lake(), &lakehouse.session()?, &()).await.1.told()
}

async fn compact(lake: &Lake) -> anyhow::Result<()> {
    let settings = CompactSettings { files_min: SMALL_FILES_MIN, ..CompactSettings::default() };
    let mut failures = Failures::default();
    for table in lake.table_names() {
        let compacted = lake.compact(&table, settings).await;
        let Some(report) = failures.of(&table, compacted.map_err(Into::into)) else { continue };
        metrics::counter!("seislake_compacted_files_total", "table" => table)
            .increment(report.files_before as u64);
    }
    failures.told()
}

async fn clean(lake: &Lake) -> anyhow::Result<()> {
    let expired = ExpireSettings {
        keep: RetentionSettings { spare: READ_BESIDE, ..RetentionSettings::default() },
        dry_run: false,
    };
    let orphans = OrphanSettings { age_min: ORPHAN_AGE, dry_run: false };
    let mut failures = Failures::default();
    for table in lake.table_names() {
        let cleaned = async {
            lake.expire(&table, &expired).await?;
            lake.delete_orphans(&table, orphans).await
        };
        failures.of(&table, cleaned.await.map_err(Into::into));
    }
    let cleaned = lake.delete_orphan_originals(orphans).await;
    failures.of("original records", cleaned.map_err(Into::into));
    failures.told()
}
