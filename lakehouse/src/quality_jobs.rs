//! The jobs that keep the tables of quality up: what changed in a source, its rows made anew, one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use seislake_catalog::{Channels, Lake, Upkeep};
use seislake_model::{ErrorKind, SnapshotId, Timestamp};
use seislake_query::quality::{self, Selection, SensorDay};
use seislake_seismo::quality::RatioSettings;
use seislake_tables::TableBatch;
use serde::Serialize;

use crate::upkeep::Failures;

const SEGMENTS: &str = "waveform.segments";
const PACKETS: &str = "waveform.packets";

/// Runs overtaken by another writer start anew so often.
const ATTEMPTS_MAX: usize = 5;

/// What a job did to a table.
#[derive(Debug, Serialize)]
pub struct Done {
    pub table: &'static str,
    /// Days made anew; 0 where the source had nothing new.
    pub days: usize,
    pub rows: usize,
    pub snapshot: Option<SnapshotId>,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days {
            0 => write!(f, "{:<26} nothing new", self.table),
            days => write!(f, "{:<26} {days} days, {} rows made anew", self.table, self.rows),
        }
    }
}

/// Who is told how far the jobs have come.
pub trait Progress: Send + Sync {
    /// A job for these tables begins, over so many days.
    fn begin(&self, tables: &str, days: usize);
    fn day_done(&self);
    fn end(&self);
}

/// Nobody.
impl Progress for () {
    fn begin(&self, _tables: &str, _days: usize) {}
    fn day_done(&self) {}
    fn end(&self) {}
}

/// Tables that are made together, from the same rows.
#[derive(Clone, Copy, Debug)]
enum Job {
    Continuity,
    Latency,
    Timing,
    Samples,
}

impl Job {
    const ALL: [Self; 4] = [Self::Continuity, Self::Latency, Self::Timing, Self::Samples];

    fn source(self) -> &'static str {
        match self {
            Self::Continuity | Self::Samples => SEGMENTS,
            Self::Latency | Self::Timing => PACKETS,
        }
    }

    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Continuity => &["quality.continuity"],
            Self::Latency => &["quality.latency"],
            Self::Timing => &["quality.timing"],
            Self::Samples => &["quality.signal_levels", "quality.component_ratios"],
        }
    }

    /// Rows of a day, one batch a table.
    async fn rows(
        self,
        context: &SessionContext,
        day: Timestamp,
        wanted: Selection<'_>,
    ) -> anyhow::Result<Vec<TableBatch>> {
        Ok(match self {
            Self::Continuity => vec![TableBatch::of(quality::continuity(context, day, wanted).await?)?],
            Self::Latency => vec![TableBatch::of(quality::latency(context, day, wanted).await?)?],
            Self::Timing => vec![TableBatch::of(quality::timing(context, day, wanted).await?)?],
            Self::Samples => {
                let (mut levels, mut ratios) = (Vec::new(), Vec::new());
                for sensor in sensors(context, day, wanted).await? {
                    levels.extend(sensor.levels);
                    ratios.extend(sensor.ratios);
                }
                vec![TableBatch::of(levels)?, TableBatch::of(ratios)?]
            }
        })
    }
}

/// Runs every job; tables whose source has nothing new are left as they are, and a job that fails keeps no other from its
/// turn.
pub async fn run(lake: &Lake, context: &SessionContext, progress: &impl Progress) -> (Vec<Done>, Failures) {
    let (mut done, mut failures) = (Vec::new(), Failures::default());
    for job in Job::ALL {
        let ran = run_job(lake, context, job, progress).await;
        done.extend(failures.of(&job.tables().join("\", \""), ran).into_iter().flatten());
    }
    (done, failures)
}

/// Keeps up `quality.continuity` alone.
pub async fn run_continuity(lake: &Lake, context: &SessionContext) -> anyhow::Result<Vec<Done>> {
    run_job(lake, context, Job::Continuity, &()).await
}

async fn run_job(
    lake: &Lake,
    context: &SessionContext,
    job: Job,
    progress: &impl Progress,
) -> anyhow::Result<Vec<Done>> {
    let mut attempt = 1;
    loop {
        match attempt_job(lake, context, job, progress).await {
            Err(error) if attempt < ATTEMPTS_MAX && overtaken(&error) => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// Another run or a compaction committed first.
fn overtaken(error: &anyhow::Error) -> bool {
    error.downcast_ref::<seislake_catalog::Error>().is_some_and(|error| error.kind == ErrorKind::Conflict)
}

async fn attempt_job(
    lake: &Lake,
    context: &SessionContext,
    job: Job,
    progress: &impl Progress,
) -> anyhow::Result<Vec<Done>> {
    let mut upkeeps: Vec<(&'static str, Upkeep)> = Vec::new();
    for table in job.tables() {
        upkeeps.extend(lake.upkeep(table, job.source()).await?.map(|upkeep| (*table, upkeep)));
    }
    let days = touched(upkeeps.iter().map(|(_, upkeep)| upkeep));
    progress.begin(&job.tables().join(" "), days.len());
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (day, channels) in &days {
        let wanted = match channels {
            Channels::All => None,
            Channels::Some(channels) => Some(channels),
        };
        for rows in job.rows(context, *day, wanted).await? {
            let name = rows.table.full_name();
            let owner = upkeeps.iter_mut().find(|(table, _)| *table == name);
            let Some((table, upkeep)) = owner.filter(|(_, upkeep)| upkeep.days().any(|(own, _)| own == *day))
            else {
                continue;
            };
            let count = counts.entry(table).or_default();
            *count = (count.0 + 1, count.1 + rows.row_count());
            upkeep.replace_day(*day, rows).await?;
        }
        progress.day_done();
    }
    progress.end();
    let mut done: Vec<Done> = Vec::new();
    for (table, upkeep) in upkeeps {
        let (days, rows) = counts.get(table).copied().unwrap_or_default();
        done.push(Done { table, days, rows, snapshot: upkeep.commit().await? });
    }
    let unchanged = job.tables().iter().filter(|table| !done.iter().any(|done| done.table == **table));
    let unchanged: Vec<Done> =
        unchanged.map(|table| Done { table, days: 0, rows: 0, snapshot: None }).collect();
    done.extend(unchanged);
    Ok(done)
}

/// Days touched for any of the tables.
fn touched<'a>(upkeeps: impl Iterator<Item = &'a Upkeep>) -> BTreeMap<Timestamp, Channels> {
    let mut days: BTreeMap<Timestamp, Channels> = BTreeMap::new();
    for (day, channels) in upkeeps.flat_map(Upkeep::days) {
        let all = days.entry(day).or_insert_with(|| Channels::Some(BTreeSet::new()));
        match (all, channels) {
            (Channels::Some(all), Channels::Some(channels)) => all.extend(channels.iter().cloned()),
            (all, Channels::All) => *all = Channels::All,
            (Channels::All, _) => {}
        }
    }
    days
}

/// All sensors of a day, as many at once as there are cores.
async fn sensors(
    context: &SessionContext,
    day: Timestamp,
    wanted: Selection<'_>,
) -> anyhow::Result<Vec<SensorDay>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let instruments = quality::instruments(context, day, wanted).await?;
    let tasks = instruments.into_iter().map(|(id, channels)| {
        let context = context.clone();
        let work =
            async move { quality::sensor(&context, day, &id, &channels, RatioSettings::default()).await };
        async move { anyhow::Ok(tokio::spawn(work).await??) }
    });
    stream::iter(tasks).buffered(cores).try_collect().await
}
