//! The gate in front of `waveforms.raw`: what comes in is checked, told apart from what is there already, and appended.
//!
//! ```text
//! offers ─► decode, hash (all cores) ─► seen before? ─► waveforms.raw[hash of NET_STA]     records, punctuation
//!                                          └──────────► waveforms.raw.dlq[0]               what cannot be used
//! ```
//! Offering the same things again appends nothing, also after a crash in between: each partition then holds a prefix
//! of what an undisturbed run would have appended, and goes on from there.
//!
//! *Sessions*: a bounded import ends with the punctuation `max` on every partition, exactly once; what comes later
//! opens a new session. An end that a crash cut short is completed when the gate is opened again.

mod check;
mod live;
mod seen;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seislake_model::{DeadLetter, Offset, RecordPosition, SourceId, Timestamp};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::Error;
use crate::message::{
    LETTER_BYTES_MAX, WAVEFORMS_RAW, Watermark, dead_letter_topic, letter_of, letter_record, punctuation,
    watermark_of,
};
use crate::topic::{Log, NewRecord, Record, Topic};
use check::{Checked, check};
use seen::{PartitionState, Seen, SeenState};

pub use live::LiveSettings;

/// Stage named in dead letters of the gate.
const STAGE: &str = "ingest";
/// Bytes read at once when catching up with the log.
const SCAN_BYTES: usize = 4 << 20;

/// Something for `waveforms.raw`.
#[derive(Clone, Debug)]
pub enum Offer {
    /// One miniSEED record.
    Record(Incoming),
    /// Bytes already known to be of no use.
    Refused(Refusal),
    /// Nothing older follows.
    Watermark(Watermark),
}

/// One miniSEED record as it came.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Exactly the record.
    pub bytes: Bytes,
    /// When it arrived; `None` for archives.
    pub arrival_time: Option<Timestamp>,
    /// File or peer it came from.
    pub origin: Option<Arc<str>>,
}

/// Bytes of no use.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The bytes, or the first of them.
    pub bytes: Bytes,
    /// Why, one sentence; names the place in the file where there is one.
    pub reason: String,
    /// File or peer it came from.
    pub origin: Option<Arc<str>>,
}

/// What became of the things offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// Records appended.
    pub accepted: u64,
    /// Samples in them.
    pub samples: u64,
    /// Records the log holds already.
    pub duplicates: u64,
    /// New dead letters.
    pub dead_letters: u64,
}

impl IngestReport {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.samples += other.samples;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
    }
}

/// Partition of a station's records.
pub fn partition_of(source_id: &SourceId, partitions: u32) -> u32 {
    crc32c::crc32c(source_id.station_key().as_bytes()) % partitions.max(1)
}

/// Offers that were decoded and hashed.
#[derive(Debug)]
pub struct CheckedOffers(Vec<Checked>);

/// The gate. Share it behind an `Arc`; offers of one call stay together and in order. A call that was begun goes on to
/// its end when the caller stops waiting for it: the log and the index must not part ways.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    raw: Arc<dyn Topic>,
    letters: Arc<dyn Topic>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    seen: Seen,
    live: live::LiveTimes,
}

/// What one call appends to each partition.
struct Batch {
    raw: Vec<Vec<NewRecord>>,
    letters: Vec<NewRecord>,
    /// Index entries of what is appended.
    records: Vec<seen::RecordKey>,
    letter_keys: Vec<seen::LetterKey>,
    state: SeenState,
    report: IngestReport,
}

impl Gate {
    /// Opens the gate of a home: catches up with the log and completes an end of session that a crash cut short.
    /// `directory` is the home; `None` keeps the index of records seen in memory, for tests.
    pub async fn open(log: &Log, raw_partitions: u32, directory: Option<&Path>) -> Result<Self, Error> {
        let raw = log.topic(WAVEFORMS_RAW, raw_partitions)?;
        let letters = log.topic(&dead_letter_topic(WAVEFORMS_RAW), 1 + raw_partitions)?;
        let seen = Seen::open(directory, raw_partitions as usize)?;
        let live = live::LiveTimes::new(raw_partitions as usize);
        let shared = Shared { raw, letters, known: Mutex::new(Known { seen, live }) };
        {
            let mut known = shared.known.lock().await;
            shared.catch_up(&mut known).await?;
            shared.complete_session(&mut known).await?;
            known.seen.sync()?;
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

    /// Promises that nothing older than `watermark` follows in any partition. Says nothing where no session is open.
    pub async fn punctuate(&self, watermark: Watermark) -> Result<(), Error> {
        self.ingest(vec![Offer::Watermark(watermark)]).await.map(drop)
    }

    /// Ends the session, if one is open: everything held back by stages comes out. True where there was one.
    pub async fn finish(&self) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let finished = async move {
            let mut known = shared.known.lock().await;
            let open = known.seen.state().open();
            if open {
                shared.take(&mut known, vec![Checked::Watermark(Watermark::MAX)]).await?;
            }
            known.seen.sync()?;
            Ok(open)
        };
        tokio::spawn(finished).await.map_err(Error::task)?
    }

    /// For live records: punctuates each partition by the times of the records it got, and those that got none for
    /// `idle_after_s` by the others'. `now` is the caller's clock. Call it every second or so.
    pub async fn follow(&self, now: Timestamp, settings: &LiveSettings) -> Result<(), Error> {
        let (shared, settings) = (Arc::clone(&self.shared), *settings);
        let followed = async move {
            let mut known = shared.known.lock().await;
            let due = known.live.due(now, &settings);
            let checked = due
                .into_iter()
                .map(|(partition, watermark)| Checked::PartitionWatermark { partition, watermark });
            shared.take(&mut known, checked.collect()).await.map(drop)
        };
        tokio::spawn(followed).await.map_err(Error::task)?
    }
}

impl Shared {
    async fn take(&self, known: &mut Known, checked: Vec<Checked>) -> Result<IngestReport, Error> {
        let Batch { raw, letters, records, letter_keys, mut state, report } =
            self.sort_out(known, checked)?;
        for (partition, records) in raw.iter().enumerate() {
            state.partitions[partition].covered += records.len() as Offset;
        }
        state.letters_covered += letters.len() as Offset;
        let mut appends = JoinSet::new();
        for (partition, records) in raw.into_iter().enumerate().filter(|(_, records)| !records.is_empty()) {
            let topic = Arc::clone(&self.raw);
            appends.spawn(async move { topic.append(partition as u32, records).await });
        }
        if !letters.is_empty() {
            let topic = Arc::clone(&self.letters);
            appends.spawn(async move { topic.append(0, letters).await });
        }
        // While the log is synced, the index takes what was appended before.
        let indexed = known.seen.write_held();
        let mut appended = Ok(());
        while let Some(ended) = appends.join_next().await {
            appended = appended.and(ended.map_err(Error::task).flatten().map(drop));
        }
        indexed?;
        if let Err(error) = appended {
            // Some partitions may hold their part: that is read back.
            self.catch_up(known).await?;
            return Err(error);
        }
        known.seen.hold(records, letter_keys, state)?;
        known.seen.sync_sometimes()?;
        metrics::counter!("seislake_ingest_records_total").increment(report.accepted);
        metrics::counter!("seislake_ingest_samples_total").increment(report.samples);
        metrics::counter!("seislake_ingest_duplicates_total").increment(report.duplicates);
        metrics::counter!("seislake_dead_letters_total", "stage" => STAGE).increment(report.dead_letters);
        Ok(report)
    }

    /// Decides what is new, without appending it yet.
    fn sort_out(&self, known: &mut Known, checked: Vec<Checked>) -> Result<Batch, Error> {
        let state = known.seen.state().clone();
        let mut batch = Batch {
            raw: vec![Vec::new(); state.partitions.len()],
            letters: Vec::new(),
            records: Vec::new(),
            letter_keys: Vec::new(),
            state,
            report: IngestReport::default(),
        };
        let mut lookup = known.seen.lookup()?;
        let letters_base = self.letters.end_offset(0)?;
        for one in checked {
            match one {
                Checked::Record { key, partition, record, sample_count, last_sample_time } => {
                    if !lookup.is_new_record(&key)? {
                        batch.report.duplicates += 1;
                        continue;
                    }
                    known.live.note(partition as usize, last_sample_time, record.arrival_time);
                    batch.state.partitions[partition as usize].open = true;
                    batch.raw[partition as usize].push(record);
                    batch.records.push(key);
                    batch.report.accepted += 1;
                    batch.report.samples += sample_count;
                }
                Checked::Refused { key, refusal } => {
                    if !lookup.is_new_letter(&key)? {
                        continue;
                    }
                    let offset = letters_base + batch.letters.len() as Offset;
                    batch.letters.push(letter_record(&letter(refusal, self.letters.name(), offset))?);
                    batch.letter_keys.push(key);
                    batch.report.dead_letters += 1;
                }
                Checked::Watermark(watermark) => {
                    if batch.state.open() {
                        for partition in 0..batch.raw.len() {
                            batch.punctuate(partition, watermark)?;
                        }
                    }
                }
                Checked::PartitionWatermark { partition, watermark } => {
                    if batch.state.open() {
                        batch.punctuate(partition, watermark)?;
                    }
                }
            }
        }
        Ok(batch)
    }

    /// Reads what the log holds beyond the index of things seen.
    async fn catch_up(&self, known: &mut Known) -> Result<(), Error> {
        for partition in 0..self.raw.partitions() {
            let mut next = known.seen.state().partitions[partition as usize].covered;
            loop {
                let records = self.raw.read(partition, next, SCAN_BYTES, Duration::ZERO).await?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                let mut state = known.seen.state().clone();
                let keys = replay(&records, &mut state.partitions[partition as usize])?;
                state.partitions[partition as usize].covered = next;
                known.seen.hold(keys, Vec::new(), state)?;
                known.seen.sync_sometimes()?;
            }
        }
        loop {
            let next = known.seen.state().letters_covered;
            let records = self.letters.read(0, next, SCAN_BYTES, Duration::ZERO).await?;
            let Some(last) = records.last() else { break };
            let mut keys = Vec::new();
            for record in &records {
                let letter = letter_of(record)?;
                keys.push(check::letter_key(&letter.reason, &letter.record));
            }
            let mut state = known.seen.state().clone();
            state.letters_covered = last.offset + 1;
            known.seen.hold(Vec::new(), keys, state)?;
        }
        Ok(())
    }

    /// Ends the session in the partitions that a crash kept from hearing of its end.
    async fn complete_session(&self, known: &mut Known) -> Result<(), Error> {
        let mut state = known.seen.state().clone();
        let most = state.partitions.iter().map(|partition| partition.sessions).max().unwrap_or(0);
        for (partition, kept) in state.partitions.iter_mut().enumerate() {
            if kept.sessions < most {
                tracing::info!(partition, "completing an end of session that a crash cut short");
                let end = vec![punctuation(Watermark::MAX)?];
                kept.covered = self.raw.append(partition as u32, end).await?.next;
                kept.end_session();
            }
        }
        known.seen.hold(Vec::new(), Vec::new(), state)
    }
}

impl Batch {
    fn punctuate(&mut self, partition: usize, watermark: Watermark) -> Result<(), Error> {
        if self.state.partitions[partition].hears(watermark) {
            self.raw[partition].push(punctuation(watermark)?);
        }
        Ok(())
    }
}

fn letter(refusal: Refusal, topic: &str, offset: Offset) -> DeadLetter {
    DeadLetter {
        position: RecordPosition { topic: topic.into(), partition: 0, offset },
        index: 0,
        stage: STAGE.to_owned(),
        reason: refusal.reason,
        origin: refusal.origin.map(|origin| origin.to_string()),
        record: refusal.bytes.slice(..refusal.bytes.len().min(LETTER_BYTES_MAX)).to_vec(),
    }
}

/// Index entries of records in the log; follows the punctuation among them.
fn replay(records: &[Record], state: &mut PartitionState) -> Result<Vec<seen::RecordKey>, Error> {
    let mut keys = Vec::with_capacity(records.len());
    for record in records {
        match watermark_of(record)? {
            Some(watermark) => {
                state.hears(watermark);
            }
            None => {
                state.open = true;
                keys.push(check::record_key(&record.value));
            }
        }
    }
    Ok(keys)
}
