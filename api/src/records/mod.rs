//! Waveforms of the lake as miniSEED records: what `dataselect` answers and `export` writes.
//!
//! ```text
//! selections ─ metadata of waveform.segments ─► Plan (runs of cuts, sample counts: nothing decoded yet)
//!                                                 │ chunks of two million samples
//!                                                 ▼
//!               statement by statement ─► packer ─► blocks of samples ─ all cores ─► blocks of records, in order, as
//!                                                                                      they are asked for
//! ```
//! One chunk is read while the one before is packed, in as many answers as `AHEAD` allows; nothing grows with the length of
//! the answer but the plan.
//!
//! Text records (log channels) hold no samples and are not rows of `waveform.segments`. Their originals are kept in the log
//! or the warehouse; `dataselect` and `export` take them from there (`texts`).

mod cut;
mod packer;
mod read;
mod texts;

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use futures::Stream;
use rayon::prelude::*;
use seislake_model::{Inventory, SnapshotId, SourceId, Timestamp};
use seislake_mseed::set_sequence_number;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use cut::{Choice, Run, runs};
use packer::{Block, Packer};
use read::{Chunk, Task, chunks};
pub(crate) use texts::selected_texts;
pub use texts::{TextRecord, text_in_format, text_records};

use crate::error::{ApiError, ErrorCode};
use crate::query_runtime::Asker;
use crate::read::{Interval, Restrictions, SegmentsAt, Selection, pieces, windows_of};

/// Generation of the records written. Channels whose codes miniSEED 2 cannot hold are written as miniSEED 3 anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// miniSEED 2, 512 bytes.
    #[default]
    MiniSeed2,
    /// miniSEED 3, at most 512 bytes.
    MiniSeed3,
}

/// How much one answer may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordLimits {
    /// Samples.
    pub(crate) samples_max: u64,
    /// Pieces looked at.
    pub(crate) pieces_max: usize,
}

/// Which of the runs are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunFilter {
    /// Only data of this quality letter; the best there are at each moment where `None`.
    pub(crate) quality: Option<char>,
    /// Seconds that a run lasts at least.
    pub(crate) minimum_length_s: f64,
    /// Only the longest of each channel.
    pub(crate) longest_only: bool,
}

/// What will be written, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    at: SegmentsAt,
    runs: Vec<Run>,
}

/// Records of one channel.
#[derive(Clone, Debug)]
pub struct RecordBlock {
    /// Channel.
    pub source_id: SourceId,
    /// Records, each complete in itself.
    pub records: Vec<Vec<u8>>,
}

/// Plans the answer from metadata alone. Data that `withholding` says are closed are left out.
///
/// # Errors
/// `PAGE_TOO_LARGE` beyond the limits; those of the lake.
pub(crate) async fn plan(
    context: &SessionContext,
    at: SegmentsAt,
    selections: &[Selection],
    filter: RunFilter,
    withholding: Option<&Inventory>,
    limits: RecordLimits,
) -> Result<Plan, ApiError> {
    let mut pieces = pieces(context, &at, selections, limits.pieces_max).await?;
    if let Some(letter) = filter.quality {
        pieces.values_mut().for_each(|list| list.retain(|piece| piece.quality.letter() == letter));
    }
    let restrictions = withholding.map(|inventory| Restrictions::of(inventory, pieces.keys()));
    let restrictions = restrictions.unwrap_or_default();
    let mut runs = runs(&pieces, Choice::Best, |id| restrictions.open(id, windows_of(selections, id)));
    drop(pieces);
    runs.retain(|run| run.duration_s() >= filter.minimum_length_s);
    if filter.longest_only {
        runs = longest(runs);
    }
    let samples: u64 = runs.iter().map(Run::sample_count).sum();
    if samples > limits.samples_max {
        return Err(ApiError::new(
            ErrorCode::PageTooLarge,
            format!("{samples} samples match; at most {} are given at once", limits.samples_max),
        )
        .hint("ask for fewer channels or a shorter window"));
    }
    Ok(Plan { at, runs })
}

/// The longest run of each channel, the earliest of equal ones.
fn longest(runs: Vec<Run>) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::new();
    for run in runs {
        match kept.last_mut() {
            Some(last) if last.source_id == run.source_id => {
                if run.duration_s() > last.duration_s() {
                    *last = run;
                }
            }
            _ => kept.push(run),
        }
    }
    kept
}

impl Plan {
    /// Nothing matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The records in the order of the plan. Work is done as far as the stream is read.
    pub(crate) fn stream(
        self,
        context: SessionContext,
        format: RecordFormat,
    ) -> impl Stream<Item = Result<RecordBlock, ApiError>> + Send + 'static {
        // One chunk waits while another is packed.
        let (chunks_out, chunks_in) = mpsc::channel(1);
        let (blocks_out, blocks_in) = mpsc::channel(8);
        let plan = Arc::new(self);
        let ahead = AHEAD.try_acquire().ok();
        let room = Arc::new(Semaphore::new(if ahead.is_some() { CHUNKS_AHEAD } else { 1 }));
        let reading = read_chunks(context, Arc::clone(&plan), Arc::clone(&room), chunks_out);
        tokio::spawn(Asker::current().scope(reading));
        tokio::spawn(async move {
            pack_chunks(plan, format, &room, chunks_in, blocks_out).await;
            drop(ahead);
        });
        futures::stream::unfold(blocks_in, |mut blocks| async move { Some((blocks.recv().await?, blocks)) })
    }
}

/// Answers that read ahead of what their clients have taken, at once: some 40 MB each. The others read a chunk when the
/// one before has been taken, and hold its records, some 4 MB: many clients that read slowly must not fill the memory.
pub(crate) static AHEAD: Semaphore = Semaphore::const_new(AHEAD_MAX);
pub(crate) const AHEAD_MAX: usize = 8;
/// Chunks that are read, packed and taken at the same time.
const CHUNKS_AHEAD: usize = 3;

/// Reads until the plan is done or nobody listens any more, as far as there is `room` for chunks.
async fn read_chunks(
    context: SessionContext,
    plan: Arc<Plan>,
    room: Arc<Semaphore>,
    out: mpsc::Sender<Result<Chunk, ApiError>>,
) {
    let tasks: Vec<Task> = plan
        .runs
        .iter()
        .enumerate()
        .flat_map(|(run, of)| of.cuts.iter().map(move |cut| Task { run, cut: *cut }))
        .collect();
    let ids: Vec<String> = plan.runs.iter().map(|run| run.source_id.as_str().to_owned()).collect();
    for range in chunks(&tasks) {
        tokio::select! {
            () = out.closed() => return,
            // Given back when the records of the chunk have been taken.
            place = room.acquire() => match place {
                Ok(place) => place.forget(),
                Err(_) => return,
            },
        }
        let tasks = tasks.get(range).unwrap_or_default().to_vec();
        let chunk = Chunk::read(&context, &plan.at, &ids, tasks).await;
        let failed = chunk.is_err();
        if out.send(chunk).await.is_err() || failed {
            return;
        }
    }
}

/// Packs chunk after chunk on the threads for work, and hands the blocks on.
async fn pack_chunks(
    plan: Arc<Plan>,
    format: RecordFormat,
    room: &Semaphore,
    mut chunks: mpsc::Receiver<Result<Chunk, ApiError>>,
    out: mpsc::Sender<Result<RecordBlock, ApiError>>,
) {
    let mut packing = Packing { plan, format, open: None, sequence_number: 0 };
    while let Some(chunk) = chunks.recv().await {
        let packed = match chunk {
            Ok(chunk) => {
                let work = tokio::task::spawn_blocking(move || {
                    let blocks = packing.pack(&chunk);
                    (packing, blocks)
                });
                match work.await {
                    Ok((state, blocks)) => {
                        packing = state;
                        blocks
                    }
                    Err(error) => {
                        let _ = out.send(Err(ApiError::internal("pack records", &error))).await;
                        return;
                    }
                }
            }
            Err(error) => Err(error),
        };
        if !hand_on(packed, &out).await {
            return;
        }
        room.add_permits(1);
    }
    let last = packing.finish();
    hand_on(last, &out).await;
}

/// Whether to go on.
async fn hand_on(
    blocks: Result<Vec<RecordBlock>, ApiError>,
    out: &mpsc::Sender<Result<RecordBlock, ApiError>>,
) -> bool {
    match blocks {
        Ok(blocks) => {
            for block in blocks {
                if out.send(Ok(block)).await.is_err() {
                    return false;
                }
            }
            true
        }
        Err(error) => {
            let _ = out.send(Err(error)).await;
            false
        }
    }
}

/// The run that is being packed, across chunks.
#[derive(Debug)]
struct Packing {
    plan: Arc<Plan>,
    format: RecordFormat,
    /// Index of the run, and its packer.
    open: Option<(usize, Packer)>,
    /// Of the last record of the run.
    sequence_number: u32,
}

impl Packing {
    fn pack(&mut self, chunk: &Chunk) -> Result<Vec<RecordBlock>, ApiError> {
        let mut blocks = Vec::new();
        for (index, task) in chunk.tasks.iter().enumerate() {
            if self.open.as_ref().is_some_and(|(run, _)| *run != task.run) {
                self.close(&mut blocks);
            }
            let plan = Arc::clone(&self.plan);
            let Some(run) = plan.runs.get(task.run) else { continue };
            chunk.with_samples(index, |samples| {
                let fresh = || (task.run, Packer::new(run, task.cut.piece.rate_hz, samples, self.format));
                let (_, packer) = self.open.get_or_insert_with(fresh);
                packer.push(&task.cut.base, samples, |block| blocks.push((task.run, block)));
                Ok(())
            })?;
        }
        self.records(blocks)
    }

    fn finish(&mut self) -> Result<Vec<RecordBlock>, ApiError> {
        let mut blocks = Vec::new();
        self.close(&mut blocks);
        self.records(blocks)
    }

    /// Ends the open run.
    fn close(&mut self, blocks: &mut Vec<(usize, Block)>) {
        if let Some((run, packer)) = self.open.take() {
            blocks.extend(packer.finish().map(|block| (run, block)));
        }
    }

    /// Packs blocks on all cores, and numbers the records of each run.
    fn records(&mut self, blocks: Vec<(usize, Block)>) -> Result<Vec<RecordBlock>, ApiError> {
        let plan = Arc::clone(&self.plan);
        let packed = blocks.into_par_iter().filter_map(|(index, block)| {
            let run = plan.runs.get(index)?;
            let records = block.pack().map_err(|error| refused(run, &error));
            Some(records.map(|records| (run, block.begins_run(), records)))
        });
        let packed = packed.collect::<Result<Vec<_>, ApiError>>()?;
        let numbered = packed.into_iter().map(|(run, begins_run, mut records)| {
            if begins_run {
                self.sequence_number = 0;
            }
            for record in &mut records {
                self.sequence_number = self.sequence_number % SEQUENCE_NUMBER_MAX + 1;
                set_sequence_number(record, self.sequence_number);
            }
            RecordBlock { source_id: run.source_id.clone(), records }
        });
        Ok(numbered.collect())
    }
}

/// Sequence numbers have six digits and begin again after this.
const SEQUENCE_NUMBER_MAX: u32 = 999_999;

fn refused(run: &Run, error: &seislake_mseed::PackError) -> ApiError {
    ApiError::internal(&format!("write records of \"{}\"", run.source_id), error)
}

/// Whether a channel is one of those that `source` names, as in [`records`].
///
/// # Errors
/// Where `source` is none.
pub fn channels_of(source: Option<&str>) -> Result<impl Fn(&SourceId) -> bool + Send + use<>, ApiError> {
    let selection = Selection::of_source(source, Interval { min: None, max: None })?;
    Ok(move |source_id: &SourceId| selection.takes(source_id))
}

/// Every record of an interval (start included, end not; open-ended where `None`) of the channels that `source` names:
/// a source id, or `NET.STA.LOC.CHA` with wildcards, or all where `None`. Records come by channel and time; `snapshot`
/// is the snapshot of `waveform.segments` to read, the newest at each statement where `None`.
///
/// # Errors
/// Where `source` is neither; those of the session.
pub async fn records(
    context: SessionContext,
    snapshot: Option<SnapshotId>,
    source: Option<&str>,
    window: (Option<Timestamp>, Option<Timestamp>),
    format: RecordFormat,
) -> Result<impl Stream<Item = Result<RecordBlock, ApiError>> + Send + 'static, ApiError> {
    // A window ends where the sample at `to` would be taken: half a microsecond counts as the same moment.
    let window = Interval { min: window.0, max: window.1.map(|to| to.add_nanos(-1000)) };
    let selection = Selection::of_source(source, window)?;
    let unlimited = RecordLimits { samples_max: u64::MAX, pieces_max: usize::MAX };
    let at = SegmentsAt::snapshot(snapshot);
    let plan = plan(&context, at, &[selection], RunFilter::default(), None, unlimited).await?;
    Ok(plan.stream(context, format))
}
