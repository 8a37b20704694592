//! Latency by hour and timing quality by day, from `waveform.packets`.
//!
//! Percentiles are exact: the latencies of a channel's hour are held in memory. Where a day has more packets than fit,
//! it is read in several passes, each over a share of the channels.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::{Latency, Result, SourceId, Timestamp, Timing};
use seislake_seismo::quality::{self, Window};
use seislake_tables::listed;
use seislake_tables::packets::{TABLE, names};

use super::{Selection, collected, gather, named};

const HOUR_NS: i64 = 3_600_000_000_000;
const MICROS_PER_SECOND: f64 = 1e6;
/// Latencies in memory at once: 8 bytes each.
const PASS_ROWS_MAX: i64 = 16 << 20;

/// A share of the channels: those wanted whose hash falls to it.
#[derive(Clone)]
struct Share {
    wanted: Option<Arc<BTreeSet<String>>>,
    index: u64,
    of: u64,
}

impl Share {
    fn takes(&self, name: &str) -> bool {
        let hash = || BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        (self.of == 1 || hash() % self.of == self.index)
            && self.wanted.as_ref().is_none_or(|wanted| wanted.contains(name))
    }
}

/// Latencies of the live packets (those with an arrival time) that begin on the day in which `day` lies, by channel
/// and hour.
pub async fn latency(
    context: &SessionContext,
    day: Timestamp,
    wanted: Selection<'_>,
) -> Result<Vec<Latency>> {
    let of_day = format!("{} AND {} IS NOT NULL{}", begins_on(day), names::arrival_time, named(wanted));
    let counting = format!("SELECT count(*) FROM {TABLE} WHERE {of_day}");
    let counted = collected(context, &counting).await?;
    let count = counted.first().map_or(0, |batch| batch.column(0).as_primitive::<Int64Type>().value(0));
    let columns = listed(&[names::source_id, names::start_ns, names::arrival_time, names::last_sample_time]);
    let sql = format!("SELECT {columns} FROM {TABLE} WHERE {of_day}");
    let of = u64::try_from(count / PASS_ROWS_MAX + 1).unwrap_or(1);
    let wanted = wanted.map(|wanted| Arc::new(wanted.clone()));
    let mut rows = Vec::new();
    for index in 0..of {
        let share = Share { wanted: wanted.clone(), index, of };
        let partitions = gather(context, &sql, |stream| Box::pin(latencies(stream, share.clone()))).await?;
        let mut hours: BTreeMap<(String, i64), Vec<f64>> = BTreeMap::new();
        for (hour, mut latencies_s) in partitions.into_iter().flatten() {
            hours.entry(hour).or_default().append(&mut latencies_s);
        }
        rows.extend(hours.into_iter().filter_map(|((name, hour), mut latencies_s)| {
            let hour = Timestamp::from_nanos(hour.saturating_mul(HOUR_NS));
            quality::latency(name.parse().ok()?, hour, &mut latencies_s)
        }));
    }
    Ok(rows)
}

/// `start_ns` lies on the day.
fn begins_on(day: Timestamp) -> String {
    let window = Window::day_of(day);
    let start = names::start_ns;
    format!("{start} >= {} AND {start} < {}", window.start_ns, window.end_ns)
}

type Hours = HashMap<(String, i64), Vec<f64>>;

async fn latencies(mut batches: SendableRecordBatchStream, share: Share) -> DataFusionResult<Hours> {
    let mut hours = Hours::new();
    let mut current: Option<((String, i64), Vec<f64>)> = None;
    while let Some(batch) = batches.try_next().await? {
        let names = batch.column(0).as_string::<i32>();
        let starts: &Int64Array = batch.column(1).as_primitive::<Int64Type>();
        let arrivals = batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let lasts = batch.column(3).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let (name, hour) = (names.value(row), starts.value(row).div_euclid(HOUR_NS));
            let same = current.as_ref().is_some_and(|((known, at), _)| known == name && *at == hour);
            if !same {
                if let Some((key, mut latencies_s)) = current.take() {
                    hours.entry(key).or_default().append(&mut latencies_s);
                }
                if !share.takes(name) {
                    continue;
                }
                current = Some(((name.to_owned(), hour), Vec::new()));
            }
            if let Some((_, latencies_s)) = &mut current {
                let micros = arrivals.value(row).saturating_sub(lasts.value(row));
                latencies_s.push(micros as f64 / MICROS_PER_SECOND);
            }
        }
    }
    if let Some((key, mut latencies_s)) = current {
        hours.entry(key).or_default().append(&mut latencies_s);
    }
    Ok(hours)
}

/// Timing quality that the records of the day state, by channel; none where no record of a channel states one.
pub async fn timing(context: &SessionContext, day: Timestamp, wanted: Selection<'_>) -> Result<Vec<Timing>> {
    let sql = format!(
        "SELECT {columns}, count(*) FROM {TABLE} WHERE {}{} GROUP BY {columns}",
        begins_on(day),
        named(wanted),
        columns = listed(&[names::source_id, names::timing_quality])
    );
    let mut counts: BTreeMap<String, BTreeMap<Option<i32>, u64>> = BTreeMap::new();
    for batch in collected(context, &sql).await? {
        let names = batch.column(0).as_string::<i32>();
        let stated = batch.column(1).as_primitive::<Int32Type>();
        let numbers = batch.column(2).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let name = names.value(row);
            if wanted.is_none_or(|wanted| wanted.contains(name)) {
                let stated = stated.is_valid(row).then(|| stated.value(row));
                let number = u64::try_from(numbers.value(row)).unwrap_or(0);
                *counts.entry(name.to_owned()).or_default().entry(stated).or_default() += number;
            }
        }
    }
    let begin = Timestamp::from_nanos(Window::day_of(day).start_ns);
    let rows = counts.into_iter().filter_map(|(name, counts)| {
        let source_id: SourceId = name.parse().ok()?;
        quality::timing(source_id, begin, &counts)
    });
    Ok(rows.collect())
}
