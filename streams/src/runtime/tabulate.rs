//! From records of a topic to rows of tables, in blocks.
//!
//! A block is what may be committed at once. Blocks of `waveforms.raw` end at multiples of `block_records` of the
//! partition's offsets, at punctuation ([`BlockEnd`]) and at a size: places that only the log decides, so the segments cut there are
//! the same whenever and however often they are made. Messages and dead letters make one row each: any cut will do.
//!
//! What cannot be read makes a dead letter instead of rows, and the next record is looked at. Records that a damaged log
//! has lost ([`Record::is_lost`]) were told of by the log: they make nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::iter::Either;
use rayon::prelude::*;
use seislake_model::{
    DeadLetter, ErrorKind, Joint, Offset, Packet, RawStore, RecordPosition, Run, Samples, Segment, SourceId,
    TimeBase, Timestamp, path_component,
};
use seislake_mseed::{DecodeError, Quality, SampleType};
use seislake_tables::{TableBatch, TableRow};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::control::{is_control, station_of};
use crate::message::{Envelope, LETTER_BYTES_MAX, Message, Watermark, letter_of, watermark_of};
use crate::record::{believed_arrival, check_times};
use crate::topic::Record;
use crate::topology::StageSpec;

/// A reader of a short window decodes at least one segment: longer ones are cut.
const SEGMENT_SAMPLES_MAX: usize = 1 << 16;

/// Rows that become visible together.
#[derive(Debug)]
pub(super) struct Block {
    /// Offset after the last record of the block.
    pub(super) next: Offset,
    pub(super) rows: Vec<TableBatch>,
    /// Originals of the rows, to be stored before them.
    pub(super) objects: Vec<RawObject>,
    /// What could not be read, in the order of offsets.
    pub(super) letters: Vec<DeadLetter>,
    /// Rough size of the rows in memory.
    pub(super) byte_count: usize,
}

/// Original records, one behind the other.
#[derive(Debug)]
pub(super) struct RawObject {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// Makes rows of the records of one partition.
pub(super) trait Tabulate: Send {
    /// Takes records in order; returns the blocks that they complete.
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error>;
    /// Ends the open block here, because a table was once committed here.
    fn close(&mut self) -> Result<Option<Block>, Error>;
}

/// Rows of one table, on their way to it.
pub(crate) fn batch<R: TableRow>(rows: Vec<R>) -> Result<TableBatch, Error> {
    TableBatch::of(rows)
        .map_err(|e| Error::caused(ErrorKind::Internal, format!("make rows of \"{}\"", R::TABLE), e))
}

/// The dead letter of a record that `stage` cannot read.
fn letter(stage: &str, position: RecordPosition, record: &Record, reason: String) -> DeadLetter {
    DeadLetter {
        position,
        index: 0,
        stage: stage.to_owned(),
        reason,
        origin: None,
        record: record.value.slice(..record.value.len().min(LETTER_BYTES_MAX)).to_vec(),
    }
}

/// Where blocks of raw records end.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSettings {
    pub(super) records: u64,
    pub(super) bytes: usize,
    pub(super) end: BlockEnd,
}

/// Where blocks of raw records end before they are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockEnd {
    /// At every punctuation: rows are visible soon, segments are short.
    Punctuation,
    /// At the end of a session only: segments are long.
    Session,
}

/// Stage named in the dead letters of raw records.
const RAW_STAGE: &str = "archive";

/// miniSEED records to packets and segments.
#[derive(Debug)]
pub(super) struct RawTable {
    topic: Arc<str>,
    partition: u32,
    settings: BlockSettings,
    /// Where originals are kept, if they are.
    raw_store: Option<Arc<dyn RawStore>>,
    open: Vec<Record>,
    open_bytes: usize,
}

impl RawTable {
    pub(super) fn new(
        topic: &str,
        partition: u32,
        settings: BlockSettings,
        raw_store: Option<Arc<dyn RawStore>>,
    ) -> Self {
        Self { topic: topic.into(), partition, settings, raw_store, open: Vec::new(), open_bytes: 0 }
    }

    /// Originals by station and day, `raw/NETWORK/STATION/YYYY/MM/DD/PARTITION-OFFSET.mseed`; the packets learn where
    /// they lie. A block made again makes the same objects.
    fn objects(
        &self,
        store: &dyn RawStore,
        parsed: &[RecordHeader<'_>],
        packets: &mut [Packet],
    ) -> Vec<RawObject> {
        let mut objects = BTreeMap::<String, RawObject>::new();
        for (RecordHeader { record, source_id, .. }, packet) in parsed.iter().zip(packets) {
            let day: String = packet.start_time.to_string().chars().take(10).collect();
            let (network, station) =
                (path_component(source_id.network()), path_component(source_id.station()));
            let folder = format!("{network}/{station}/{}", day.replace('-', "/"));
            let object = objects.entry(folder).or_insert_with_key(|folder| RawObject {
                path: format!("raw/{folder}/{}-{:020}.mseed", self.partition, record.offset),
                bytes: Vec::new(),
            });
            let first = object.bytes.len();
            object.bytes.extend_from_slice(&record.value);
            let last = object.bytes.len() - 1;
            packet.object_uri = Some(format!("{}#bytes={first}-{last}", store.uri(&object.path)));
        }
        objects.into_values().collect()
    }

    fn position(&self, record: &Record) -> RecordPosition {
        RecordPosition { topic: Arc::clone(&self.topic), partition: self.partition, offset: record.offset }
    }

    fn refused(&self, record: &Record, reason: String) -> Box<DeadLetter> {
        Box::new(letter(RAW_STAGE, self.position(record), record, reason))
    }

    /// `last` is the source of the record before: mostly that of this one too.
    fn parse<'a>(
        &self,
        record: &'a Record,
        last: &mut Option<SourceId>,
    ) -> Result<RecordHeader<'a>, Box<DeadLetter>> {
        if is_control(record) {
            return Err(self.refused(record, "a control record that cannot be read".to_owned()));
        }
        let header = seislake_mseed::Record::parse(&record.value)
            .map_err(|error| self.refused(record, format!("not a miniSEED record: {error}")))?;
        let source_id = match last {
            Some(last) if last.as_str() == header.source_id() => last.clone(),
            _ => {
                let new: SourceId = header
                    .source_id()
                    .parse()
                    .map_err(|error| self.refused(record, format!("unusable source identifier: {error}")))?;
                last.insert(new).clone()
            }
        };
        check_times(&header).map_err(|reason| self.refused(record, reason))?;
        Ok(RecordHeader { record, header, source_id })
    }

    fn packet(&self, parsed: &RecordHeader<'_>) -> Packet {
        let RecordHeader { record, header, source_id } = parsed;
        // The gate lets only records pass whose samples can all be decoded.
        let sample_count = header.encoding.sample_type().map_or(0, |_| header.sample_count);
        Packet {
            source_id: source_id.clone(),
            start_time: Timestamp::from_nanos(header.start_ns),
            last_sample_time: Timestamp::from_nanos(header.last_sample_ns()),
            arrival_time: believed_arrival(record.arrival_time),
            sample_count,
            expected_count: header.sample_count,
            sample_rate_hz: header.rate_hz(),
            encoding: header.encoding.as_str().into(),
            quality: quality(header.quality),
            timing_quality: header.timing_quality,
            byte_count: record.value.len() as u32,
            sha256: Sha256::digest(&record.value).into(),
            object_uri: None,
            position: self.position(record),
        }
    }

    /// The records of one source as gapless segments, by start: what follows on the grid of a segment (see [`Run`]) in
    /// the same quality is decoded into the same buffer. Overlapping records stay apart. Records that cannot be decoded
    /// come back as letters.
    fn segments(&self, mut pieces: Vec<&RecordHeader<'_>>) -> (Vec<Segment>, Vec<DeadLetter>) {
        let mut letters = Vec::new();
        // Versions of the same time come one behind the other, so that each makes long segments.
        let version = |piece: &RecordHeader<'_>| piece.header.quality.publication_version();
        pieces.sort_by_key(|piece| (version(piece), piece.header.start_ns, piece.record.offset));
        let mut segments: Vec<Segment> = Vec::new();
        let mut run: Option<Run> = None;
        let mut left: usize = pieces.iter().map(|piece| piece.header.sample_count as usize).sum();
        for RecordHeader { record, header, source_id } in pieces {
            let Some(kind) = header.encoding.sample_type() else { continue };
            left = left.saturating_sub(header.sample_count as usize);
            let Some(base) = time_base(header) else { continue };
            let joins = segments.last().zip(run.as_ref()).is_some_and(|(segment, run)| {
                same_kind(segment, header) && run.joint(&base) == Joint::Continues
            });
            if !joins {
                segments.push(Segment {
                    source_id: source_id.clone(),
                    start_time: Timestamp::from_nanos(header.start_ns),
                    end_time: Timestamp::from_nanos(header.start_ns),
                    sample_rate_hz: header.rate_hz(),
                    encoding: header.encoding.as_str().to_owned(),
                    quality: header.quality.to_string(),
                    samples: no_samples(kind, (left + header.sample_count as usize).min(SEGMENT_SAMPLES_MAX)),
                    position: self.position(record),
                });
            }
            let Some(segment) = segments.last_mut() else { continue };
            let before = segment.samples.len();
            match append(header, &mut segment.samples) {
                Ok(()) => {
                    segment.end_time = Timestamp::from_nanos(header.last_sample_ns());
                    match &mut run {
                        Some(run) if joins => run.push(base),
                        open => *open = Some(Run::of(base)),
                    }
                }
                Err(error) => {
                    letters.push(*self.refused(record, format!("samples cannot be decoded: {error}")));
                    shorten(&mut segment.samples, before);
                    if before == 0 {
                        segments.pop();
                        run = None;
                    }
                }
            }
        }
        if segments.windows(2).any(|pair| matches!(pair, [one, next] if next.start_time < one.start_time)) {
            segments.sort_by_key(|segment| segment.start_time);
        }
        (segments, letters)
    }
}

/// `None` for records that are no time series: they have a packet and no segment.
fn time_base(header: &seislake_mseed::Record<'_>) -> Option<TimeBase> {
    let count = u64::from(header.sample_count);
    TimeBase::new(header.start_ns, header.last_sample_ns(), header.rate_hz(), count)
}

/// It says something to stages, and makes no rows.
fn is_sound_control(record: &Record) -> bool {
    matches!(watermark_of(record), Ok(Some(_))) || matches!(station_of(record), Ok(Some(_)))
}

/// A raw record and what its header says.
struct RecordHeader<'a> {
    record: &'a Record,
    header: seislake_mseed::Record<'a>,
    source_id: SourceId,
}

impl Tabulate for RawTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let mut blocks = Vec::new();
        for record in records {
            let full = (record.offset + 1).is_multiple_of(self.settings.records);
            // Punctuation that cannot be read ends nothing; it becomes a letter when the block is made.
            let watermark = watermark_of(&record).unwrap_or_default();
            let ends = match (self.settings.end, watermark) {
                (_, None) => false,
                (BlockEnd::Punctuation, Some(_)) => true,
                (BlockEnd::Session, Some(watermark)) => watermark == Watermark::MAX,
            };
            self.open_bytes += record.value.len();
            self.open.push(record);
            if full || ends || self.open_bytes >= self.settings.bytes {
                blocks.extend(self.close()?);
            }
        }
        Ok(blocks)
    }

    fn close(&mut self) -> Result<Option<Block>, Error> {
        let records = std::mem::take(&mut self.open);
        self.open_bytes = 0;
        let Some(last) = records.last() else { return Ok(None) };
        let next = last.offset + 1;
        let (mut parsed, mut letters): (Vec<RecordHeader<'_>>, Vec<DeadLetter>) = records
            .par_iter()
            .filter(|record| !record.is_lost() && !is_sound_control(record))
            .map_init(|| None, |last, record| self.parse(record, last))
            .partition_map(|parsed| match parsed {
                Ok(parsed) => Either::Left(parsed),
                Err(letter) => Either::Right(*letter),
            });
        let mut by_source = BTreeMap::<&SourceId, Vec<&RecordHeader<'_>>>::new();
        for parsed in &parsed {
            by_source.entry(&parsed.source_id).or_default().push(parsed);
        }
        let by_source: Vec<Vec<&RecordHeader<'_>>> = by_source.into_values().collect();
        let made: Vec<(Vec<Segment>, Vec<DeadLetter>)> =
            by_source.into_par_iter().map(|pieces| self.segments(pieces)).collect();
        let mut segments = Vec::new();
        for (of_source, refused) in made {
            segments.extend(of_source);
            // What has a letter has no other row.
            for letter in refused {
                parsed.retain(|parsed| parsed.record.offset != letter.position.offset);
                letters.push(letter);
            }
        }
        letters.sort_by_key(|letter| letter.position.offset);
        let mut packets: Vec<Packet> = parsed.par_iter().map(|parsed| self.packet(parsed)).collect();
        let objects = match &self.raw_store {
            Some(store) => self.objects(&**store, &parsed, &mut packets),
            None => Vec::new(),
        };
        let sample_bytes: usize = segments.iter().map(|segment| 4 * segment.samples.len()).sum();
        let byte_count = packets.len() * size_of::<Packet>() + sample_bytes;
        let rows = vec![batch(packets)?, batch(segments)?];
        Ok(Some(Block { next, rows, objects, letters, byte_count }))
    }
}

fn quality(quality: Quality) -> Cow<'static, str> {
    match quality {
        Quality::Letter('D') => "D".into(),
        Quality::Letter('R') => "R".into(),
        Quality::Letter('Q') => "Q".into(),
        Quality::Letter('M') => "M".into(),
        other => other.to_string().into(),
    }
}

/// A buffer with room for `count` samples.
fn no_samples(kind: SampleType, count: usize) -> Samples {
    match kind {
        SampleType::Int32 => Samples::Int32(Vec::with_capacity(count)),
        SampleType::Float32 => Samples::Float32(Vec::with_capacity(count)),
        SampleType::Float64 => Samples::Float64(Vec::with_capacity(count)),
    }
}

fn shorten(samples: &mut Samples, count: usize) {
    match samples {
        Samples::Int32(samples) => samples.truncate(count),
        Samples::Float32(samples) => samples.truncate(count),
        Samples::Float64(samples) => samples.truncate(count),
    }
}

fn append(header: &seislake_mseed::Record<'_>, samples: &mut Samples) -> Result<(), DecodeError> {
    match samples {
        // A last sample that is not the promised one was told of at the gate.
        Samples::Int32(samples) => header.append_int32(samples).map(|_| ()),
        Samples::Float32(samples) => header.append_float32(samples),
        Samples::Float64(samples) => header.append_float64(samples),
    }
}

/// Whether the samples of a record may stand behind those of a segment, wherever it lies in time.
fn same_kind(segment: &Segment, header: &seislake_mseed::Record<'_>) -> bool {
    segment.samples.len() + header.sample_count as usize <= SEGMENT_SAMPLES_MAX
        && segment.encoding == header.encoding.as_str()
        && is_quality(&segment.quality, header.quality)
}

/// Whether `text` says `quality`, as [`ToString`] writes it.
fn is_quality(text: &str, quality: Quality) -> bool {
    match quality {
        Quality::Letter(letter) => text.chars().eq([letter]),
        Quality::Version(version) => text.parse() == Ok(version),
    }
}

/// Stage named in the dead letters of messages that make no rows.
const MESSAGE_STAGE: &str = "bulletin";

/// Messages of a stage to rows of its tables.
#[derive(Debug)]
pub(super) struct MessageTable {
    topic: Arc<str>,
    partition: u32,
    stage: &'static StageSpec,
}

impl MessageTable {
    pub(super) fn new(topic: &str, partition: u32, stage: &'static StageSpec) -> Self {
        Self { topic: topic.into(), partition, stage }
    }

    fn message(&self, record: &Record) -> Result<Message, String> {
        let message = Envelope::of(record).map_err(|error| error.chain())?.message;
        let is_said = (self.stage.says)(&message);
        if is_said { Ok(message) } else { Err(format!("not a message of the topic \"{}\"", self.topic)) }
    }
}

impl Tabulate for MessageTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let Some(last) = records.last() else { return Ok(Vec::new()) };
        let next = last.offset + 1;
        let byte_count = records.iter().map(|record| record.value.len()).sum();
        let (mut messages, mut letters) = (Vec::new(), Vec::new());
        for record in records.iter().filter(|record| !record.is_lost()) {
            match self.message(record) {
                Ok(message) => messages.push(message),
                Err(reason) => {
                    let (topic, partition) = (Arc::clone(&self.topic), self.partition);
                    let position = RecordPosition { topic, partition, offset: record.offset };
                    letters.push(letter(MESSAGE_STAGE, position, record, reason));
                }
            }
        }
        let rows = self.stage.rows_of(messages)?;
        Ok(vec![Block { next, rows, objects: Vec::new(), letters, byte_count }])
    }

    fn close(&mut self) -> Result<Option<Block>, Error> {
        Ok(None)
    }
}

/// Stage named in the rows of dead letters that cannot be read themselves.
const LETTER_STAGE: &str = "dead_letters";

/// Dead letters to rows; what is none makes a row that says so.
#[derive(Debug)]
pub(super) struct LetterTable {
    topic: Arc<str>,
    partition: u32,
}

impl LetterTable {
    pub(super) fn new(topic: &str, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }

    fn row(&self, record: &Record) -> DeadLetter {
        letter_of(record).unwrap_or_else(|error| {
            let (topic, partition) = (Arc::clone(&self.topic), self.partition);
            let position = RecordPosition { topic, partition, offset: record.offset };
            letter(LETTER_STAGE, position, record, error.chain())
        })
    }
}

impl Tabulate for LetterTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let Some(last) = records.last() else { return Ok(Vec::new()) };
        let next = last.offset + 1;
        let byte_count = records.iter().map(|record| record.value.len()).sum();
        let read = records.iter().filter(|record| !record.is_lost()).map(|record| self.row(record));
        let rows = vec![batch(read.collect())?];
        Ok(vec![Block { next, rows, objects: Vec::new(), letters: Vec::new(), byte_count }])
    }

    fn close(&mut self) -> Result<Option<Block>, Error> {
        Ok(None)
    }
}
