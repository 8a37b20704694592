//! Feeds tables that share topics: reads, makes rows, commits rows and the offsets they cover together.
//!
//! Every table has its own committed offsets; after a crash reading starts at the smallest of them, and a table gets
//! only the rows behind its own. Reads stop at each of these places, so that no block straddles one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, future, stream};
use seislake_model::{DeadLetter, Offset, Offsets, RawStore};
use seislake_tables::{Sink, TableBatch, TableDef, packets};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::retry::{Patience, RetrySettings};
use super::said::{LastOutput, last_letter_in};
use super::stage_runner::{APPEND_BYTES, append};
use super::tabulate::{Block, BlockEnd, RawObject, Tabulate};
use crate::Error;
use crate::error::Cause;
use crate::message::letter_record;
use crate::topic::{Record, Topic, in_appends};

/// When rows are committed, and how large the blocks of raw records are.
#[derive(Clone, Copy, Debug)]
pub struct SinkSettings {
    /// Bytes of input taken at a time.
    pub read_bytes: usize,
    /// Rows waiting in one table that make a commit due.
    pub commit_rows: usize,
    /// Bytes of rows waiting in all tables of a runner that make a commit due.
    pub commit_bytes: usize,
    /// Age of the oldest waiting row that makes a commit due.
    pub commit_interval: Duration,
    /// Blocks of raw records end at multiples of this offset.
    pub block_records: u64,
    /// Blocks of raw records end at this size.
    pub block_bytes: usize,
    /// Blocks of raw records end here too.
    pub block_end: BlockEnd,
    /// How long runners try again what failed.
    pub retry: RetrySettings,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            read_bytes: 4 << 20,
            commit_rows: 100_000,
            commit_bytes: 128 << 20,
            commit_interval: Duration::from_secs(2),
            block_records: 2048,
            block_bytes: 8 << 20,
            block_end: BlockEnd::Punctuation,
            retry: RetrySettings::default(),
        }
    }
}

/// Originals stored at the same time.
const PUTS_AT_ONCE: usize = 8;

/// One partition that is read.
pub(super) struct SinkInput {
    pub(super) topic: Arc<dyn Topic>,
    pub(super) partition: u32,
    pub(super) table: Box<dyn Tabulate>,
    /// Where dead letters of this input go, partition `1 + partition`; `None` where they become rows at once.
    pub(super) letters: Option<Arc<dyn Topic>>,
}

/// One table that is fed.
struct Slot {
    table: &'static TableDef,
    sink: Box<dyn Sink>,
    /// What it had at the start.
    floor: Offsets,
    committed: Offsets,
    pending_rows: usize,
}

struct Input {
    topic: Arc<dyn Topic>,
    partition: u32,
    table: Option<Box<dyn Tabulate>>,
    letters: Option<Arc<dyn Topic>>,
    /// Last dead letter that an earlier life appended, or this one; looked up when there is one to append.
    letters_held: Option<LastOutput>,
    read_next: Offset,
    /// `read_next` for others to see.
    progress: watch::Sender<Offset>,
    /// Next offset of the last block written.
    written_next: Offset,
    /// Places where tables were committed before the start, behind `read_next`, smallest first.
    boundaries: Vec<Offset>,
}

/// Feeds tables that share topics.
pub(super) struct SinkRunner {
    name: &'static str,
    settings: SinkSettings,
    slots: Vec<Slot>,
    inputs: Vec<Input>,
    raw_store: Option<Arc<dyn RawStore>>,
    pending_bytes: usize,
    pending_since: Option<Instant>,
    flush_wanted: watch::Receiver<u64>,
    flushed: watch::Sender<u64>,
    patience: Patience,
}

impl fmt::Debug for SinkRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkRunner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A request to commit everything read so far, under way.
struct Flush {
    number: u64,
    ends: Vec<Offset>,
}

impl SinkRunner {
    /// Asks each sink what it holds and finds where to start.
    pub(super) async fn open(
        name: &'static str,
        settings: SinkSettings,
        sinks: Vec<(&'static TableDef, Box<dyn Sink>)>,
        sources: Vec<SinkInput>,
        raw_store: Option<Arc<dyn RawStore>>,
        flush_wanted: watch::Receiver<u64>,
        patience: Patience,
    ) -> Result<Self, Error> {
        let mut slots = Vec::new();
        for (table, sink) in sinks {
            let floor = sink.committed().await?;
            slots.push(Slot { table, sink, committed: floor.clone(), floor, pending_rows: 0 });
        }
        let mut inputs = Vec::new();
        for SinkInput { topic, partition, table, letters } in sources {
            let mut boundaries: Vec<Offset> =
                slots.iter().map(|slot| slot.floor.get(topic.name(), partition)).collect();
            boundaries.sort_unstable();
            boundaries.dedup();
            let start = topic.watermarks(partition)?.start;
            let read_next = boundaries.first().copied().unwrap_or(0).max(start);
            boundaries.retain(|boundary| *boundary > read_next);
            inputs.push(Input {
                topic,
                partition,
                table: Some(table),
                letters,
                letters_held: None,
                read_next,
                progress: watch::Sender::new(read_next),
                written_next: read_next,
                boundaries,
            });
        }
        let (pending_bytes, pending_since) = (0, None);
        let flushed = watch::Sender::new(0);
        Ok(Self {
            name,
            settings,
            slots,
            inputs,
            raw_store,
            pending_bytes,
            pending_since,
            flush_wanted,
            flushed,
            patience,
        })
    }

    /// Number of the last flush that is done.
    pub(super) fn flushed(&self) -> watch::Receiver<u64> {
        self.flushed.subscribe()
    }

    /// Next offset to be read of each partition of `topic`.
    pub(super) fn progress_in(&self, topic: &str) -> Vec<(u32, watch::Receiver<Offset>)> {
        let inputs = self.inputs.iter().filter(|input| input.topic.name() == topic);
        inputs.map(|input| (input.partition, input.progress.subscribe())).collect()
    }

    /// Works until `stop`; then commits what is complete.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut flush: Option<Flush> = None;
        loop {
            let mut idle = true;
            for index in 0..self.inputs.len() {
                if stop.is_cancelled() {
                    return self.commit_all().await;
                }
                idle &= !self.advance(index).await?;
                if self.due() {
                    self.commit().await?;
                }
            }
            if flush.is_none() {
                flush = self.wanted_flush()?;
            }
            if let Some(Flush { number, ends }) = &flush {
                let reached = self.inputs.iter().zip(ends).all(|(input, end)| input.read_next >= *end);
                if reached {
                    self.commit_all().await?;
                    self.flushed.send_replace(*number);
                    flush = None;
                }
            }
            if idle && flush.is_none() {
                self.wait(&stop).await?;
            }
        }
    }

    fn wanted_flush(&mut self) -> Result<Option<Flush>, Error> {
        let number = *self.flush_wanted.borrow_and_update();
        if number <= *self.flushed.borrow() {
            return Ok(None);
        }
        let ends = self.inputs.iter().map(|input| input.topic.end_offset(input.partition));
        Ok(Some(Flush { number, ends: ends.collect::<Result<_, _>>()? }))
    }

    /// Until there is something to read, to commit or to flush, or `stop`.
    async fn wait(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let mut news = Vec::new();
        for input in &self.inputs {
            let mut ends = input.topic.ends(input.partition)?;
            let next = input.read_next;
            news.push(Box::pin(async move {
                // The topic outlives its readers, so the channel does not close.
                let _ = ends.wait_for(|end| *end > next).await;
            }));
        }
        let interval = self.settings.commit_interval;
        let due_in = self.pending_since.map(|since| interval.saturating_sub(since.elapsed()));
        tokio::select! {
            () = stop.cancelled() => {}
            _ = future::select_all(news) => {}
            changed = self.flush_wanted.changed() => {
                if changed.is_err() {
                    stop.cancelled().await;
                }
            }
            () = tokio::time::sleep(due_in.unwrap_or_default()), if due_in.is_some() => {}
        }
        if self.due() {
            self.commit().await?;
        }
        Ok(())
    }

    fn due(&self) -> bool {
        self.pending_bytes >= self.settings.commit_bytes
            || self.pending_since.is_some_and(|since| since.elapsed() >= self.settings.commit_interval)
            || self.slots.iter().any(|slot| slot.pending_rows >= self.settings.commit_rows)
    }

    /// Reads once and writes the rows of the blocks completed; false where nothing was there to read.
    async fn advance(&mut self, index: usize) -> Result<bool, Error> {
        let patience = self.patience.clone();
        let Some(input) = self.inputs.get_mut(index) else { return Ok(false) };
        let (topic, partition) = (Arc::clone(&input.topic), input.partition);
        let letters = input.letters.clone();
        let mut records =
            read(&*topic, partition, input.read_next, self.settings.read_bytes, &patience).await?;
        if records.is_empty() {
            return Ok(false);
        }
        let boundary = input.boundaries.first().copied();
        if let Some(boundary) = boundary {
            records.truncate((boundary - input.read_next) as usize);
        }
        input.read_next += records.len() as Offset;
        let at_boundary = boundary == Some(input.read_next);
        if at_boundary {
            input.boundaries.remove(0);
        }
        let blocks =
            tabulate(input, records, if at_boundary { Batch::ToBoundary } else { Batch::Within }).await?;
        // What was read becomes visible within the interval, however long its block stays open.
        self.pending_since.get_or_insert_with(Instant::now);
        input.progress.send_replace(input.read_next);
        let end = topic.end_offset(partition)?;
        for mut block in blocks {
            if let Some(topic) = &letters {
                let letters = std::mem::take(&mut block.letters);
                refuse(&**topic, 1 + partition, letters, end, &mut input.letters_held, &patience).await?;
            }
            let objects = std::mem::take(&mut block.objects);
            if let Some(store) =
                self.raw_store.as_ref().filter(|_| new_packets(&self.slots, &*topic, partition, &block))
            {
                put(&**store, objects, &patience).await?;
            }
            input.written_next = block.next;
            write(&mut self.slots, &*topic, partition, block, &mut self.pending_bytes).await?;
        }
        Ok(true)
    }

    /// Commits the tables that have rows waiting.
    async fn commit(&mut self) -> Result<(), Error> {
        self.commit_where(|slot, _| slot.pending_rows > 0).await
    }

    /// Commits all tables up to the last complete block, those without new rows too.
    async fn commit_all(&mut self) -> Result<(), Error> {
        self.commit_where(|slot, covered| slot.pending_rows > 0 || slot.committed != *covered).await
    }

    /// Tries until all commits have succeeded. Sinks keep their rows meanwhile; nothing more is read.
    async fn commit_where(
        &mut self,
        wanted: impl Fn(&Slot, &Offsets) -> bool + Send + Sync,
    ) -> Result<(), Error> {
        let mut trial = self.patience.trial();
        loop {
            match self.try_commit(&wanted).await {
                Ok(()) => break,
                Err(error) => trial.failed(error).await?,
            }
        }
        trial.succeeded();
        (self.pending_bytes, self.pending_since) = (0, None);
        Ok(())
    }

    async fn try_commit(
        &mut self,
        wanted: &(impl Fn(&Slot, &Offsets) -> bool + Send + Sync),
    ) -> Result<(), Error> {
        let mut commits = Vec::new();
        for slot in &mut self.slots {
            let mut covered = slot.committed.clone();
            for input in &self.inputs {
                let (topic, partition) = (input.topic.name(), input.partition);
                if input.written_next > covered.get(topic, partition) {
                    covered.set(topic, partition, input.written_next);
                }
            }
            if wanted(slot, &covered) {
                commits.push(async move {
                    slot.sink.commit(&covered).await?;
                    metrics::counter!("seislake_sink_rows_total", "table" => slot.table.full_name())
                        .increment(slot.pending_rows as u64);
                    metrics::counter!("seislake_sink_commits_total", "table" => slot.table.full_name())
                        .increment(1);
                    slot.pending_rows = 0;
                    slot.committed = covered;
                    Ok::<_, Error>(())
                });
            }
        }
        // All are waited for: a commit that is dropped half-way would lose its rows.
        future::join_all(commits).await.into_iter().collect()
    }
}

async fn read(
    topic: &dyn Topic,
    partition: u32,
    from: Offset,
    bytes: usize,
    patience: &Patience,
) -> Result<Vec<Record>, Error> {
    let mut trial = patience.trial();
    loop {
        match topic.read(partition, from, bytes, Duration::ZERO).await {
            Ok(records) => {
                trial.succeeded();
                return Ok(records);
            }
            Err(error) => trial.failed(error).await?,
        }
    }
}

/// Appends dead letters that an earlier life has not appended: blocks are made again after a crash. What claims to be one
/// of a record behind the `end` of the input is none.
async fn refuse(
    topic: &dyn Topic,
    partition: u32,
    letters: Vec<DeadLetter>,
    end: Offset,
    known: &mut Option<LastOutput>,
    patience: &Patience,
) -> Result<(), Error> {
    let (Some(first), Some(last)) = (letters.first(), letters.last()) else { return Ok(()) };
    let held = match *known {
        Some(held) => held,
        None => last_letter_in(topic, partition, &first.stage, 0, end).await?,
    };
    let mut records = Vec::new();
    for letter in letters.iter().filter(|letter| Some((letter.position.offset, letter.index)) > held) {
        let stage = letter.stage.clone();
        metrics::counter!("seislake_dead_letters_total", "stage" => stage).increment(1);
        records.push(letter_record(letter)?);
    }
    for records in in_appends(records, APPEND_BYTES) {
        append(topic, partition, records, patience).await?;
    }
    *known = Some(held.max(Some((last.position.offset, last.index))));
    Ok(())
}

/// Where a batch of records ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// At a boundary of an earlier commit: blocks end there, too.
    ToBoundary,
    Within,
}

async fn tabulate(input: &mut Input, records: Vec<Record>, batch: Batch) -> Result<Vec<Block>, Error> {
    let Some(mut table) = input.table.take() else { return Ok(Vec::new()) };
    let (table, blocks) = tokio::task::spawn_blocking(move || {
        let blocks = table.push(records).and_then(|mut blocks| {
            if batch == Batch::ToBoundary {
                blocks.extend(table.close()?);
            }
            Ok(blocks)
        });
        (table, blocks)
    })
    .await
    .map_err(Error::task)?;
    input.table = Some(table);
    blocks
}

/// Stores originals, several at once: they are there before a row says so.
async fn put(store: &dyn RawStore, objects: Vec<RawObject>, patience: &Patience) -> Result<(), Error> {
    let puts = objects.into_iter().map(|object| put_one(store, object, patience));
    stream::iter(puts).buffer_unordered(PUTS_AT_ONCE).try_collect::<()>().await
}

async fn put_one(store: &dyn RawStore, object: RawObject, patience: &Patience) -> Result<(), Error> {
    let mut trial = patience.trial();
    loop {
        match store.put(&object.path, object.bytes.clone()).await {
            Ok(()) => break,
            Err(error) => trial.failed(error).await?,
        }
    }
    trial.succeeded();
    Ok(())
}

/// Whether the block's packets are not committed yet. Where they are, the block is made again for another table,
/// perhaps cut otherwise than before: its objects must not take the place of those that the rows name.
fn new_packets(slots: &[Slot], topic: &dyn Topic, partition: u32, block: &Block) -> bool {
    let slot = slots.iter().find(|slot| *slot.table == packets::TABLE);
    let of_packets = |rows: &TableBatch| *rows.table == packets::TABLE;
    let slot = slot.filter(|_| block.rows.iter().any(of_packets));
    slot.is_some_and(|slot| block.next > slot.floor.get(topic.name(), partition))
}

async fn write(
    slots: &mut [Slot],
    topic: &dyn Topic,
    partition: u32,
    block: Block,
    pending_bytes: &mut usize,
) -> Result<(), Error> {
    for rows in block.rows {
        let count = rows.row_count();
        let slot = slots.iter_mut().find(|slot| slot.table == rows.table);
        let Some(slot) = slot.filter(|_| count > 0) else { continue };
        if block.next > slot.floor.get(topic.name(), partition) {
            slot.sink.write(rows).await?;
            slot.pending_rows += count;
        }
    }
    *pending_bytes += block.byte_count;
    Ok(())
}
