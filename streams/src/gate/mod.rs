//! The gate in front of `waveforms.raw`: what comes in is checked, told apart from what is there already, and appended.
//!
//! ```text
//! offers ─► decode, hash (all cores) ─► seen before? ─► waveforms.raw[hash of NET_STA]     records, punctuation, stations
//!                                          └──────────► waveforms.raw.dlq[0]               what cannot be used
//! ```
//! Offering the same things again appends nothing, also after a crash in between: each partition then holds a prefix
//! of what an undisturbed run would have appended, and goes on from there.
//!
//! *Sessions*: a bounded import ends with the punctuation `max` on every partition, exactly once; what comes later
//! opens a new session. An end that a crash cut short is completed when the gate is opened again.
//!
//! The index of what was seen is worked on by one thread that may block. When that fails it is closed, and the next call
//! opens it again and reads what the log holds beyond it: a full disk ends no gate.

mod batch;
mod check;
mod live;
mod offers;
mod seen;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use seislake_model::{ErrorKind, Inventory, Offset, SourceId, Timestamp};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::Error;
use crate::control::{Announcement, hash_of, station_of};
use crate::database::Verify;
use crate::error::Cause;
use crate::message::{WAVEFORMS_RAW, Watermark, dead_letter_topic, letter_of, punctuation, watermark_of};
use crate::topic::{Log, NewRecord, Record, Topic, in_appends};
use batch::{Batch, sort_out};
use check::{Verdict, check};
use seen::{Entries, PartitionState, SeenIndex, StationEntry};

pub use live::LiveSettings;
pub use offers::{
    ArchivedRecord, ArchivedRecords, CheckedOffers, IngestReport, Offer, ReceivedRecord, Refusal, Refused,
};
pub(crate) use seen::known_offsets;

/// Stage named in dead letters of the gate.
const STAGE: &str = "ingest";
/// Bytes read at once when catching up with the log.
const SCAN_BYTES: usize = 4 << 20;
/// Largest append.
const APPEND_BYTES: usize = 32 << 20;
/// Offsets of lost records that are looked up in the tables at once.
const ARCHIVED_AT_ONCE: u64 = 1 << 18;
/// Before all records there can be (1900): the watermark of a partition that has heard none.
const NOTHING_PROMISED: Timestamp = Timestamp::from_nanos(-2_208_988_800_000_000_000);

/// Partition of a station's records.
pub fn partition_of(source_id: &SourceId, partitions: u32) -> u32 {
    partition_of_station(&source_id.station_key(), partitions)
}

/// Partition of the records of a station, by its key `NET_STA`.
pub(crate) fn partition_of_station(key: &str, partitions: u32) -> u32 {
    crc32c::crc32c(key.as_bytes()) % partitions.max(1)
}

/// How long a failure to take records counts, if nobody sends any.
const FAILURE_HOLDS: Duration = Duration::from_secs(60);

/// The gate. Share it behind an `Arc`; offers of one call stay together and in order. A call that was begun goes on to
/// its end when the caller stops waiting for it: the log and the index must not part ways.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<GateState>,
}

#[derive(Debug)]
struct GateState {
    raw: Arc<dyn Topic>,
    letters: Arc<dyn Topic>,
    /// The home; `None`: the index is kept in memory.
    directory: Option<PathBuf>,
    /// Asked for the records that the log has lost.
    archived: Option<Arc<dyn ArchivedRecords>>,
    known: Mutex<GateKnowledge>,
    /// When the log could not take the last records, where it has taken none since.
    failure: std::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct GateKnowledge {
    /// `None` after a failure: the next call opens it.
    seen: Option<SeenIndex>,
    /// How it is opened: the first time as at every start.
    verify: Verify,
    /// Stations that the log has still to be told of, before any record that comes.
    unannounced: Vec<Announcement>,
    live: live::LiveTimes,
}

/// What the index of a gate is made from.
#[derive(Clone, Debug)]
pub enum IndexSource {
    /// The index of the last time, and what the log holds beyond it.
    Kept,
    /// The log alone: the index knows of records that are lost.
    Log,
}

impl Gate {
    /// Opens the gate of a home: catches up with the log and completes an end of session that a crash cut short.
    /// `directory` is the home; `None` keeps the index of records seen in memory, for tests.
    pub async fn open(log: &Log, raw_partitions: u32, directory: Option<&Path>) -> Result<Self, Error> {
        Self::open_beside(log, raw_partitions, directory, None, IndexSource::Kept).await
    }

    /// The same for a home whose log may have lost records: `archived` knows those that the tables hold, so that they are
    /// not taken a second time.
    pub async fn open_beside(
        log: &Log,
        raw_partitions: u32,
        directory: Option<&Path>,
        archived: Option<Arc<dyn ArchivedRecords>>,
        index: IndexSource,
    ) -> Result<Self, Error> {
        let raw = log.topic(WAVEFORMS_RAW, raw_partitions)?;
        let letters = log.topic(&dead_letter_topic(WAVEFORMS_RAW), 1 + raw_partitions)?;
        let live = live::LiveTimes::new(raw_partitions as usize);
        let directory = directory.map(Path::to_owned);
        let known =
            Mutex::new(GateKnowledge { seen: None, verify: Verify::AT_START, unannounced: Vec::new(), live });
        let shared =
            GateState { raw, letters, directory, archived, known, failure: std::sync::Mutex::default() };
        {
            let mut known = shared.known.lock().await;
            if let IndexSource::Log = index {
                let directory = shared.directory.clone();
                let anew = move || SeenIndex::anew(directory.as_deref(), raw_partitions as usize);
                known.seen = Some(tokio::task::spawn_blocking(anew).await.map_err(Error::task)??);
                shared.bring_up(&mut known).await?;
            }
            match shared.ready(&mut known).await {
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    let error = error.chain();
                    tracing::warn!(
                        error,
                        "the index of records seen cannot be opened: no records are taken yet"
                    );
                }
                opened => opened?,
            }
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Appends what is new among `offers`, in their order within each partition.
    pub async fn ingest(&self, offers: Vec<Offer>) -> Result<IngestReport, Error> {
        self.append(self.check(offers).await?).await
    }

    /// The first half of [`Gate::ingest`], which needs no turn: the next offers may be checked while these are appended.
    pub async fn check(&self, offers: Vec<Offer>) -> Result<CheckedOffers, Error> {
        let partitions = self.shared.raw.partitions();
        let checked =
            tokio::task::spawn_blocking(move || check(offers, partitions)).await.map_err(Error::task)?;
        Ok(CheckedOffers(checked))
    }

    /// The second half: appends what is new.
    pub async fn append(&self, checked: CheckedOffers) -> Result<IngestReport, Error> {
        let shared = Arc::clone(&self.shared);
        let appended = async move {
            let mut known = shared.known.lock().await;
            shared.take(&mut known, checked.0).await
        };
        tokio::spawn(appended).await.map_err(Error::task)?
    }

    /// Whether the log could not take the last records, a short while ago.
    pub fn is_failing(&self) -> bool {
        let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.is_some_and(|at| at.elapsed() < FAILURE_HOLDS)
    }

    /// Tells the log of the stations of `inventory`, each in the partition of its records: what changed since it was told of
    /// them, and nothing where nothing did. While the
    /// log cannot be written they wait, and go in before the next records.
    ///
    /// # Errors
    /// As [`Gate::append`]. What waits is remembered all the same.
    pub async fn announce(&self, inventory: Arc<Inventory>) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let announced = async move {
            let all = tokio::task::spawn_blocking(move || Announcement::all(&inventory));
            let all = all.await.map_err(Error::task)??;
            let mut known = shared.known.lock().await;
            known.unannounced = all;
            shared.take(&mut known, Vec::new()).await.map(drop)
        };
        tokio::spawn(announced).await.map_err(Error::task)?
    }

    /// Promises that nothing older than `watermark` follows in any partition. Says nothing where no session is open.
    pub async fn punctuate(&self, watermark: Watermark) -> Result<(), Error> {
        self.ingest(vec![Offer::Watermark(watermark)]).await.map(drop)
    }

    /// Whether a session is open: what comes next goes on with it.
    pub async fn is_open(&self) -> Result<bool, Error> {
        let mut known = self.shared.known.lock().await;
        self.shared.ready(&mut known).await?;
        known.with_seen(|seen| Ok(seen.state().open())).await
    }

    /// Ends the session, if one is open: everything held back by stages comes out. True where there was one.
    pub async fn finish(&self) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let finished = async move {
            let mut known = shared.known.lock().await;
            shared.ready(&mut known).await?;
            let open = known.with_seen(|seen| Ok(seen.state().open())).await?;
            if open {
                shared.take(&mut known, vec![Verdict::Watermark(Watermark::MAX)]).await?;
            }
            shared.ready(&mut known).await?;
            known.with_seen(SeenIndex::sync).await?;
            Ok(open)
        };
        tokio::spawn(finished).await.map_err(Error::task)?
    }

    /// For live records: punctuates each partition by the times of the records it got, and those that got none for
    /// `idle_after_s` by the others'. `now` is the caller's clock. Call it every second or so: records that came since are
    /// cut off from what follows, so that tables can show them, whether time moves on or not.
    pub async fn follow(&self, now: Timestamp, settings: &LiveSettings) -> Result<(), Error> {
        let (shared, settings) = (Arc::clone(&self.shared), *settings);
        let followed = async move {
            let mut known = shared.known.lock().await;
            let due = known.live.due(now, &settings).into_iter();
            let due = due.map(|(partition, watermark)| Verdict::PartitionWatermark { partition, watermark });
            let cuts = (0..shared.raw.partitions() as usize).map(|partition| Verdict::Cut { partition });
            shared.take(&mut known, due.chain(cuts).collect()).await.map(drop)
        };
        tokio::spawn(followed).await.map_err(Error::task)?
    }
}

impl GateKnowledge {
    /// Works on the index on a thread that may block. What fails closes it.
    async fn with_seen<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut SeenIndex) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = || Error::new(ErrorKind::Unavailable, "the index of records seen is closed");
        let mut seen = self.seen.take().ok_or_else(closed)?;
        let worked = tokio::task::spawn_blocking(move || {
            let done = seen.work(work);
            (seen, done)
        });
        let (seen, done) = worked.await.map_err(Error::task)?;
        if done.is_ok() {
            self.seen = Some(seen);
        }
        done
    }
}

impl GateState {
    /// Opens the index, if it is not, and brings it up to the log.
    async fn ready(&self, known: &mut GateKnowledge) -> Result<(), Error> {
        if known.seen.is_some() {
            return Ok(());
        }
        let (directory, partitions) = (self.directory.clone(), self.raw.partitions() as usize);
        let mut ends = Vec::new();
        for partition in 0..self.raw.partitions() {
            ends.push(self.raw.end_offset(partition)?);
        }
        let letters_end = self.letters.end_offset(0)?;
        let verify = std::mem::replace(&mut known.verify, Verify::All);
        let open = move || {
            let seen = SeenIndex::open(directory.as_deref(), partitions, verify)?;
            let state = seen.state();
            let beyond = state.partitions.iter().zip(&ends).any(|(state, end)| state.covered > *end);
            if !beyond && state.letters_covered <= letters_end {
                return Ok(seen);
            }
            tracing::warn!("the index of records seen knows records that the log has lost: it is made again");
            drop(seen);
            SeenIndex::anew(directory.as_deref(), partitions)
        };
        known.seen = Some(tokio::task::spawn_blocking(open).await.map_err(Error::task)??);
        self.bring_up(known).await
    }

    /// Brings the index up to the log. A half of that is of no use: a failure closes it.
    async fn bring_up(&self, known: &mut GateKnowledge) -> Result<(), Error> {
        let mut done = self.catch_up(known).await;
        if done.is_ok() {
            done = self.complete_session(known).await;
        }
        if done.is_ok() {
            done = known.with_seen(SeenIndex::sync).await;
        }
        if done.is_err() {
            known.seen = None;
        }
        done
    }

    async fn take(&self, known: &mut GateKnowledge, checked: Vec<Verdict>) -> Result<IngestReport, Error> {
        let nothing = checked.is_empty() && known.unannounced.is_empty();
        let taken = self.append(known, checked).await;
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &taken {
            Err(error) if error.kind == ErrorKind::Unavailable => {
                *failure = Some(Instant::now());
            }
            Err(_) => {}
            Ok(_) if nothing => {}
            Ok(_) => *failure = None,
        }
        drop(failure);
        taken
    }

    async fn append(&self, known: &mut GateKnowledge, checked: Vec<Verdict>) -> Result<IngestReport, Error> {
        self.ready(known).await?;
        let (letters_base, letters_topic) = (self.letters.end_offset(0)?, self.letters.name().to_owned());
        let told = known.unannounced.clone();
        let sort = move |seen: &mut SeenIndex| sort_out(seen, &told, checked, letters_base, &letters_topic);
        let batch = known.with_seen(sort).await?;
        let Batch { raw, letters, entries, mut state, report, times } = batch;
        for (partition, last_sample, arrival) in times {
            known.live.note(partition, last_sample, arrival);
        }
        for (partition, records) in raw.iter().enumerate() {
            state.partitions[partition].covered += records.len() as Offset;
        }
        state.letters_covered += letters.len() as Offset;
        let mut appends = JoinSet::new();
        for (partition, records) in raw.into_iter().enumerate().filter(|(_, records)| !records.is_empty()) {
            appends.spawn(append_all(Arc::clone(&self.raw), partition as u32, records));
        }
        if !letters.is_empty() {
            appends.spawn(append_all(Arc::clone(&self.letters), 0, letters));
        }
        // While the log is synced, the index takes what was appended before.
        let indexed = known
            .with_seen(|seen| {
                seen.write_held()?;
                seen.sync_sometimes()
            })
            .await;
        let mut appended = Ok(());
        while let Some(ended) = appends.join_next().await {
            appended = appended.and(ended.map_err(Error::task).flatten());
        }
        if let Err(error) = appended {
            // Some partitions may hold their part: that is read back.
            if known.seen.is_some() {
                self.bring_up(known).await?;
            }
            return Err(error);
        }
        known.unannounced.clear();
        match (indexed, &mut known.seen) {
            (Ok(()), Some(seen)) => seen.hold(entries, state)?,
            // The log has the records: the next call reads them back.
            (Err(error), _) => {
                tracing::warn!(error = error.chain(), "the index of records seen is closed after a failure");
            }
            (Ok(()), None) => {}
        }
        metrics::counter!("seislake_ingest_records_total").increment(report.accepted);
        metrics::counter!("seislake_ingest_samples_total").increment(report.samples);
        metrics::counter!("seislake_ingest_duplicates_total").increment(report.duplicates);
        metrics::counter!("seislake_dead_letters_total", "stage" => STAGE).increment(report.dead_letters);
        Ok(report)
    }

    /// Reads what the log holds beyond the index of things seen.
    async fn catch_up(&self, known: &mut GateKnowledge) -> Result<(), Error> {
        for partition in 0..self.raw.partitions() {
            let index = partition as usize;
            let mut next = known.with_seen(move |seen| Ok(seen.state().partitions[index].covered)).await?;
            let start = self.raw.watermarks(partition)?.start;
            while next < start {
                let until = start.min(next + ARCHIVED_AT_ONCE);
                let keys = self.archived_keys(partition, next..until).await?;
                let mark = move |seen: &mut SeenIndex| {
                    seen.damaged(index)?;
                    note(seen, index, until, &[], keys)
                };
                known.with_seen(mark).await?;
                next = until;
            }
            loop {
                let records = self.raw.read(partition, next, SCAN_BYTES, Duration::ZERO).await?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                let lost = records.chunk_by(|a, b| a.is_lost() == b.is_lost()).filter(|run| run[0].is_lost());
                let mut keys = Vec::new();
                for lost in lost.filter_map(|run| Some(run.first()?.offset..run.last()?.offset + 1)) {
                    keys.extend(self.archived_keys(partition, lost).await?);
                }
                known.with_seen(move |seen| note(seen, index, next, &records, keys)).await?;
            }
        }
        loop {
            let next = known.with_seen(|seen| Ok(seen.state().letters_covered)).await?;
            let next = next.max(self.letters.watermarks(0)?.start);
            let records = self.letters.read(0, next, SCAN_BYTES, Duration::ZERO).await?;
            let Some(last) = records.last() else { break };
            let covered = last.offset + 1;
            // What is no letter has a row that says so.
            let letters = records.iter().filter_map(|record| letter_of(record).ok());
            let keys = letters.map(|letter| check::letter_key(&letter.reason, &letter.record)).collect();
            let hold = move |seen: &mut SeenIndex| {
                let mut state = seen.state().clone();
                state.letters_covered = covered;
                seen.hold(Entries { letters: keys, ..Entries::default() }, state)
            };
            known.with_seen(hold).await?;
        }
        Ok(())
    }

    /// Index entries of lost records that the tables hold.
    async fn archived_keys(
        &self,
        partition: u32,
        offsets: Range<Offset>,
    ) -> Result<Vec<seen::RecordKey>, Error> {
        let Some(archived) = &self.archived else { return Ok(Vec::new()) };
        let records = archived.records(self.raw.name(), partition, offsets).await?;
        let key = |record: &ArchivedRecord| {
            seen::RecordKey::new(&record.source_id, record.start_ns, &record.sha256)
        };
        Ok(records.iter().map(key).collect())
    }

    /// Ends the session in the partitions that a crash kept from hearing of its end.
    async fn complete_session(&self, known: &mut GateKnowledge) -> Result<(), Error> {
        let mut state = known.with_seen(|seen| Ok(seen.state().clone())).await?;
        let most = state.partitions.iter().map(|partition| partition.sessions).max().unwrap_or(0);
        for (partition, kept) in state.partitions.iter_mut().enumerate() {
            if kept.sessions < most && kept.is_damaged && !kept.open {
                // Its ends are among what it has lost: one more would put its readers a session ahead of the others.
                kept.sessions = most;
            }
            if kept.sessions < most {
                tracing::info!(partition, "completing an end of session that a crash cut short");
                let end = vec![punctuation(Watermark::MAX)?];
                kept.covered = self.raw.append(partition as u32, end).await?.next;
                kept.end_session();
            }
        }
        known.with_seen(|seen| seen.hold(Entries::default(), state)).await
    }
}

/// Appends in pieces that a topic takes.
async fn append_all(topic: Arc<dyn Topic>, partition: u32, records: Vec<NewRecord>) -> Result<(), Error> {
    for records in in_appends(records, APPEND_BYTES) {
        topic.append(partition, records).await?;
    }
    Ok(())
}

/// Takes note that the log of a partition was read up to `covered`.
fn note(
    seen: &mut SeenIndex,
    partition: usize,
    covered: Offset,
    records: &[Record],
    keys: Vec<seen::RecordKey>,
) -> Result<(), Error> {
    let mut state = seen.state().clone();
    let mut entries = Entries { records: keys, ..Entries::default() };
    state.partitions[partition].is_damaged |= records.iter().any(Record::is_lost);
    replay(records, partition, &mut state.partitions[partition], &mut entries);
    state.partitions[partition].covered = covered;
    seen.hold(entries, state)?;
    seen.sync_sometimes()
}

/// Adds the index entries of records in the log of a partition; follows the punctuation among them.
fn replay(records: &[Record], partition: usize, state: &mut PartitionState, entries: &mut Entries) {
    for record in records.iter().filter(|record| !record.is_lost()) {
        match (watermark_of(record), station_of(record)) {
            (Ok(Some(watermark)), _) => {
                state.hears(watermark);
                state.uncut = false;
            }
            (_, Ok(Some(control))) => {
                entries.stations.push(StationEntry::new(partition, &control.station, hash_of(&record.value)));
            }
            (Ok(None), Ok(None)) => {
                state.takes();
                entries.records.push(check::record_key(&record.value));
            }
            // A dead letter of those who read the topic.
            (Err(_), _) | (_, Err(_)) => {}
        }
    }
}
