//! Continuity of a UTC day from the metadata columns of `waveform.segments`; samples are never read.
//!
//! Files are sorted by channel and time, so each partition of the scan sees long runs of one channel: a row costs a
//! comparison of names and a step of [`ChannelContinuity`]. Memory is bound by channels and breaks, not by rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::{Continuity, Result, Timestamp, Versions};
use seislake_seismo::quality::{ChannelContinuity, Piece, Window};
use seislake_tables::listed;
use seislake_tables::segments::{TABLE, names};

use super::{Selection, gather, named, overlaps, version};

/// The rows of the day in which `day` lies, by source id. Channels without a sample on the day have none; rows of
/// segments that are no time series are left out.
pub async fn continuity(
    context: &SessionContext,
    day: Timestamp,
    wanted: Selection<'_>,
) -> Result<Vec<Continuity>> {
    let window = Window::day_of(day);
    let quality = version::column(context).await?;
    let sql = format!(
        "SELECT {}, {quality} FROM {TABLE} WHERE {}{}",
        listed(&[
            names::source_id,
            names::start_ns,
            names::end_ns,
            names::sample_rate_hz,
            names::sample_count
        ]),
        overlaps(window),
        named(wanted)
    );
    let wanted: Option<Arc<BTreeSet<String>>> = wanted.map(|wanted| Arc::new(wanted.clone()));
    let partitions =
        gather(context, &sql, |stream| Box::pin(channels(stream, window, wanted.clone()))).await?;
    let mut all = Channels::new();
    for partition in partitions {
        for (key, channel) in partition {
            keep(&mut all, key, channel);
        }
    }
    let mut by_name: HashMap<String, Vec<(u8, ChannelContinuity)>> = HashMap::new();
    for ((name, rank), channel) in all {
        by_name.entry(name).or_default().push((rank, channel));
    }
    let rows = by_name.into_iter().filter_map(|(name, of_versions)| {
        let source_id = name.parse().ok()?;
        best(window, of_versions)?.finish(source_id)
    });
    let mut rows: Vec<Continuity> = rows.collect();
    rows.sort_unstable_by(|one, other| one.source_id.cmp(&other.source_id));
    Ok(rows)
}

/// Source id and rank of the version.
type Key = (String, u8);
type Channels = HashMap<Key, ChannelContinuity>;

fn keep(channels: &mut Channels, key: Key, channel: ChannelContinuity) {
    match channels.get_mut(&key) {
        Some(known) => known.merge(channel),
        None => drop(channels.insert(key, channel)),
    }
}

/// The versions of a channel as one: the best of each moment.
fn best(window: Window, mut of_versions: Vec<(u8, ChannelContinuity)>) -> Option<ChannelContinuity> {
    if of_versions.len() < 2 {
        return of_versions.pop().map(|(_, channel)| channel);
    }
    let pieces = || {
        of_versions
            .iter()
            .flat_map(|(rank, channel)| channel.pieces().iter().map(move |piece| (*rank, *piece)))
    };
    let mut versions = Versions::default();
    for (rank, piece) in pieces() {
        piece.time_base().iter().for_each(|base| versions.add(rank, base));
    }
    let versions = versions.settle();
    let mut best = ChannelContinuity::new(window);
    for (rank, piece) in pieces() {
        let Some(base) = piece.time_base() else { continue };
        let shown = versions.visible(rank, &base).into_iter();
        shown.filter_map(|(first, end)| piece.part(first, end)).for_each(|part| best.push(part));
    }
    Some(best)
}

async fn channels(
    mut batches: SendableRecordBatchStream,
    window: Window,
    wanted: Option<Arc<BTreeSet<String>>>,
) -> DataFusionResult<Channels> {
    let mut channels = Channels::new();
    let mut current: Option<(Key, ChannelContinuity)> = None;
    while let Some(batch) = batches.try_next().await? {
        add(&batch, window, wanted.as_deref(), &mut channels, &mut current)?;
    }
    if let Some((key, channel)) = current {
        keep(&mut channels, key, channel);
    }
    Ok(channels)
}

fn add(
    batch: &RecordBatch,
    window: Window,
    wanted: Selection<'_>,
    channels: &mut Channels,
    current: &mut Option<(Key, ChannelContinuity)>,
) -> DataFusionResult<()> {
    let ranks = version::ranks(batch)?;
    let names = batch.column(0).as_string::<i32>();
    let long = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
    let (starts, ends, counts) = (long(1), long(2), long(4));
    let rates = batch.column(3).as_primitive::<Float64Type>().values();
    let pieces = starts.iter().zip(ends).zip(rates).zip(counts);
    for (row, (((start, end), rate), count)) in pieces.enumerate() {
        let Some(rank) = ranks[row] else { continue };
        let name = names.value(row);
        if current.as_ref().is_none_or(|((known, of), _)| known != name || *of != rank) {
            if let Some((key, channel)) = current.take() {
                keep(channels, key, channel);
            }
            if wanted.is_some_and(|wanted| !wanted.contains(name)) {
                continue;
            }
            *current = Some(((name.to_owned(), rank), ChannelContinuity::new(window)));
        }
        let piece = Piece::new(*start, *end, *rate, u64::try_from(*count).unwrap_or(0));
        if let (Some((_, channel)), Some(piece)) = (current.as_mut(), piece) {
            channel.push(piece);
        }
    }
    Ok(())
}
