//! What one call of the gate appends: decided by the index, before anything is appended.

use seislake_model::{DeadLetter, Offset, RecordPosition, Timestamp};

use super::check::Verdict;
use super::seen::{Entries, Lookup, SeenIndex, SeenState, StationEntry};
use super::{IngestReport, NOTHING_PROMISED, Refusal, STAGE};
use crate::Error;
use crate::control::Announcement;
use crate::message::{LETTER_BYTES_MAX, Watermark, letter_record, punctuation};
use crate::topic::NewRecord;

/// What one call appends to each partition.
pub(super) struct Batch {
    pub(super) raw: Vec<Vec<NewRecord>>,
    pub(super) letters: Vec<NewRecord>,
    /// Index entries of what is appended.
    pub(super) entries: Entries,
    pub(super) state: SeenState,
    pub(super) report: IngestReport,
    /// Partition, last sample and arrival of each record.
    pub(super) times: Vec<(usize, Timestamp, Option<Timestamp>)>,
}

/// Decides what is new, without appending it yet.
pub(super) fn sort_out(
    seen: &mut SeenIndex,
    unannounced: &[Announcement],
    checked: Vec<Verdict>,
    letters_base: Offset,
    letters_topic: &str,
) -> Result<Batch, Error> {
    let state = seen.state().clone();
    let mut batch = Batch {
        raw: vec![Vec::new(); state.partitions.len()],
        letters: Vec::new(),
        entries: Entries::default(),
        state,
        report: IngestReport::default(),
        times: Vec::new(),
    };
    let mut lookup = seen.lookup()?;
    for one in unannounced {
        batch.announce(one, &lookup)?;
    }
    for one in checked {
        match one {
            Verdict::Record { key, partition, record, sample_count, last_sample_time } => {
                if !lookup.is_new_record(&key)? {
                    batch.report.duplicates += 1;
                    continue;
                }
                let partition = partition as usize;
                if record.arrival_time.is_some() {
                    batch.times.push((partition, last_sample_time, record.arrival_time));
                }
                batch.state.partitions[partition].takes();
                batch.raw[partition].push(record);
                batch.entries.records.push(key);
                batch.report.accepted += 1;
                batch.report.samples += sample_count;
            }
            Verdict::Refused { key, refusal, .. } => {
                if !lookup.is_new_letter(&key)? {
                    continue;
                }
                let offset = letters_base + batch.letters.len() as Offset;
                batch.letters.push(letter_record(&letter(refusal, letters_topic, offset))?);
                batch.entries.letters.push(key);
                batch.report.dead_letters += 1;
            }
            Verdict::Watermark(watermark) => {
                if batch.state.open() {
                    for partition in 0..batch.raw.len() {
                        batch.punctuate(partition, watermark)?;
                    }
                }
            }
            Verdict::PartitionWatermark { partition, watermark } => {
                if batch.state.open() {
                    batch.punctuate(partition, watermark)?;
                }
            }
            Verdict::Cut { partition } => batch.cut(partition)?,
        }
    }
    Ok(batch)
}

impl Batch {
    /// Tells the partitions that need a station of it, where they have not heard the same.
    fn announce(&mut self, station: &Announcement, lookup: &Lookup) -> Result<(), Error> {
        let count = self.raw.len() as u32;
        let partitions = station.partition(count).map_or(0..count, |partition| partition..partition + 1);
        for partition in partitions {
            let entry = StationEntry::new(partition as usize, &station.station, station.hash);
            if lookup.is_new_station(&entry)? {
                self.raw[partition as usize].push(station.record());
                self.entries.stations.push(entry);
            }
        }
        Ok(())
    }

    fn punctuate(&mut self, partition: usize, watermark: Watermark) -> Result<(), Error> {
        if self.state.partitions[partition].hears(watermark) {
            self.raw[partition].push(punctuation(watermark)?);
        }
        Ok(())
    }

    /// Says the last watermark once more, where records came behind it: it promises nothing new.
    fn cut(&mut self, partition: usize) -> Result<(), Error> {
        let state = &mut self.state.partitions[partition];
        if state.uncut {
            state.uncut = false;
            let watermark = Watermark(state.watermark.unwrap_or(NOTHING_PROMISED));
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
