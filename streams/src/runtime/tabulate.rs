//! From records of a topic to rows of tables, in blocks.
//!
//! A block is what may be committed at once. Blocks of `waveforms.raw` end at multiples of `block_records` of the
//! partition's offsets, at punctuation ([`BlockEnd`]) and at a size: places that only the log decides, so the segments cut there are
//! the same whenever and however often they are made. Messages and dead letters make one row each: any cut will do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use seislake_model::{
    ErrorKind, Offset, Packet, RawStore, RecordPosition, Rows, Samples, Segment, SourceId, Timestamp,
    continues,
};
use seislake_mseed::{DecodeError, Quality, SampleType};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::message::{Envelope, Message, WATERMARK_KEY, Watermark, letter_of, watermark_of};
use crate::topic::Record;

/// A reader of a short window decodes at least one segment: longer ones are cut.
const SEGMENT_SAMPLES_MAX: usize = 1 << 16;

/// Rows that become visible together.
#[derive(Debug)]
pub(super) struct Block {
    /// Offset after the last record of the block.
    pub(super) next: Offset,
    pub(super) rows: Vec<Rows>,
    /// Originals of the rows, to be stored before them.
    pub(super) objects: Vec<RawObject>,
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
    fn objects(&self, store: &dyn RawStore, parsed: &[Parsed<'_>], packets: &mut [Packet]) -> Vec<RawObject> {
        let mut objects = BTreeMap::<String, RawObject>::new();
        for (Parsed { record, source_id, .. }, packet) in parsed.iter().zip(packets) {
            let named = |code: &str| if code.is_empty() { "_".to_owned() } else { code.to_owned() };
            let day: String = packet.start_time.to_string().chars().take(10).collect();
            let folder =
                [named(source_id.network()), named(source_id.station()), day.replace('-', "/")].join("/");
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

    fn damaged(&self, record: &Record, why: impl std::fmt::Display) -> Error {
        let place = format!("record {} of \"{}\" partition {}", record.offset, self.topic, self.partition);
        Error::new(ErrorKind::Corrupt, format!("tabulate {place}: {why}"))
    }

    /// `last` is the source of the record before: mostly that of this one too.
    fn parse<'a>(&self, record: &'a Record, last: &mut Option<SourceId>) -> Result<Parsed<'a>, Error> {
        let header =
            seislake_mseed::Record::parse(&record.value).map_err(|error| self.damaged(record, error))?;
        let source_id = match last {
            Some(last) if last.as_str() == header.source_id() => last.clone(),
            _ => {
                let new: SourceId =
                    header.source_id().parse().map_err(|error| self.damaged(record, error))?;
                last.insert(new).clone()
            }
        };
        Ok(Parsed { record, header, source_id })
    }

    fn packet(&self, parsed: &Parsed<'_>) -> Packet {
        let Parsed { record, header, source_id } = parsed;
        // The gate lets only records pass whose samples can all be decoded.
        let sample_count = header.encoding.sample_type().map_or(0, |_| header.sample_count);
        Packet {
            source_id: source_id.clone(),
            start_time: Timestamp::from_nanos(header.start_ns),
            last_sample_time: Timestamp::from_nanos(header.last_sample_ns()),
            arrival_time: record.arrival_time,
            sample_count,
            expected_count: header.sample_count,
            sample_rate_hz: header.rate_hz(),
            encoding: header.encoding.as_str(),
            quality: quality(header.quality),
            timing_quality: header.timing_quality,
            byte_count: record.value.len() as u32,
            sha256: Sha256::digest(&record.value).into(),
            object_uri: None,
            position: self.position(record),
        }
    }

    /// The records of one source as gapless segments: what follows within half a sample in the same quality is
    /// decoded into the same buffer. Overlapping records stay apart.
    fn segments(&self, mut pieces: Vec<&Parsed<'_>>) -> Result<Vec<Segment>, Error> {
        pieces.sort_by_key(|piece| (piece.header.start_ns, piece.record.offset));
        let mut segments: Vec<Segment> = Vec::new();
        let mut left: usize = pieces.iter().map(|piece| piece.header.sample_count as usize).sum();
        for Parsed { record, header, source_id } in pieces {
            let Some(kind) = header.encoding.sample_type() else { continue };
            if header.sample_count == 0 || header.rate_hz() <= 0.0 {
                continue;
            }
            let follows = segments.last().is_some_and(|segment| follows(segment, header));
            if !follows {
                segments.push(Segment {
                    source_id: source_id.clone(),
                    start_time: Timestamp::from_nanos(header.start_ns),
                    end_time: Timestamp::from_nanos(header.start_ns),
                    sample_rate_hz: header.rate_hz(),
                    encoding: header.encoding.as_str().to_owned(),
                    quality: header.quality.to_string(),
                    samples: no_samples(kind, left.min(SEGMENT_SAMPLES_MAX)),
                    position: self.position(record),
                });
            }
            if let Some(segment) = segments.last_mut() {
                append(header, &mut segment.samples).map_err(|error| self.damaged(record, error))?;
                segment.end_time = Timestamp::from_nanos(header.last_sample_ns());
            }
            left = left.saturating_sub(header.sample_count as usize);
        }
        Ok(segments)
    }
}

/// A raw record and what its header says.
struct Parsed<'a> {
    record: &'a Record,
    header: seislake_mseed::Record<'a>,
    source_id: SourceId,
}

impl Tabulate for RawTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let mut blocks = Vec::new();
        for record in records {
            let full = (record.offset + 1).is_multiple_of(self.settings.records);
            let ends = match (self.settings.end, watermark_of(&record)?) {
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
        let parsed: Vec<Parsed<'_>> = records
            .par_iter()
            .filter(|record| record.key.as_ref() != WATERMARK_KEY)
            .map_init(|| None, |last, record| self.parse(record, last))
            .collect::<Result<_, _>>()?;
        let mut packets: Vec<Packet> = parsed.par_iter().map(|parsed| self.packet(parsed)).collect();
        let objects = match &self.raw_store {
            Some(store) => self.objects(&**store, &parsed, &mut packets),
            None => Vec::new(),
        };
        let mut by_source = BTreeMap::<&SourceId, Vec<&Parsed<'_>>>::new();
        for parsed in &parsed {
            by_source.entry(&parsed.source_id).or_default().push(parsed);
        }
        let by_source: Vec<Vec<&Parsed<'_>>> = by_source.into_values().collect();
        let segments: Vec<Vec<Segment>> =
            by_source.into_par_iter().map(|pieces| self.segments(pieces)).collect::<Result<_, _>>()?;
        let segments: Vec<Segment> = segments.into_iter().flatten().collect();
        let sample_bytes: usize = segments.iter().map(|segment| 4 * segment.samples.len()).sum();
        let byte_count = packets.len() * size_of::<Packet>() + sample_bytes;
        let rows = vec![Rows::Packets(packets), Rows::Segments(segments)];
        Ok(Some(Block { next, rows, objects, byte_count }))
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

fn append(header: &seislake_mseed::Record<'_>, samples: &mut Samples) -> Result<(), DecodeError> {
    match samples {
        // A last sample that is not the promised one was told of at the gate.
        Samples::Int32(samples) => header.append_int32(samples).map(|_| ()),
        Samples::Float32(samples) => header.append_float32(samples),
        Samples::Float64(samples) => header.append_float64(samples),
    }
}

fn follows(segment: &Segment, header: &seislake_mseed::Record<'_>) -> bool {
    segment.samples.len() + header.sample_count as usize <= SEGMENT_SAMPLES_MAX
        && segment.encoding == header.encoding.as_str()
        && is_quality(&segment.quality, header.quality)
        && continues(segment.end_time.nanos(), segment.sample_rate_hz, header.start_ns, header.rate_hz())
}

/// Whether `text` says `quality`, as [`ToString`] writes it.
fn is_quality(text: &str, quality: Quality) -> bool {
    match quality {
        Quality::Letter(letter) => text.chars().eq([letter]),
        Quality::Version(version) => text.parse() == Ok(version),
    }
}

/// Messages of stages to rows of the bulletin.
#[derive(Debug)]
pub(super) struct MessageTable;

impl Tabulate for MessageTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let Some(last) = records.last() else { return Ok(Vec::new()) };
        let next = last.offset + 1;
        let byte_count = records.iter().map(|record| record.value.len()).sum();
        let (mut picks, mut origins, mut arrivals) = (Vec::new(), Vec::new(), Vec::new());
        let (mut amplitudes, mut magnitudes, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for record in &records {
            match Envelope::of(record)?.message {
                Message::Pick { pick } => picks.push(*pick),
                Message::Location { location } => {
                    origins.push(location.origin);
                    arrivals.extend(location.arrivals);
                    events.push(location.event);
                }
                Message::Magnitude { magnitude } => {
                    amplitudes.extend(magnitude.amplitudes);
                    if let Some(network_magnitude) = magnitude.magnitude {
                        magnitudes.push(network_magnitude);
                        events.push(magnitude.event);
                    }
                }
                Message::AmplitudeTrace { .. } | Message::Watermark { .. } | Message::Association { .. } => {}
            }
        }
        let rows = vec![
            Rows::Picks(picks),
            Rows::Origins(origins),
            Rows::Arrivals(arrivals),
            Rows::Amplitudes(amplitudes),
            Rows::Magnitudes(magnitudes),
            Rows::Events(events),
        ];
        Ok(vec![Block { next, rows, objects: Vec::new(), byte_count }])
    }

    fn close(&mut self) -> Result<Option<Block>, Error> {
        Ok(None)
    }
}

/// Dead letters to rows.
#[derive(Debug)]
pub(super) struct LetterTable;

impl Tabulate for LetterTable {
    fn push(&mut self, records: Vec<Record>) -> Result<Vec<Block>, Error> {
        let Some(last) = records.last() else { return Ok(Vec::new()) };
        let next = last.offset + 1;
        let byte_count = records.iter().map(|record| record.value.len()).sum();
        let letters = records.iter().map(letter_of).collect::<Result<_, _>>()?;
        Ok(vec![Block { next, rows: vec![Rows::DeadLetters(letters)], objects: Vec::new(), byte_count }])
    }

    fn close(&mut self) -> Result<Option<Block>, Error> {
        Ok(None)
    }
}

/// Number of rows.
pub(super) fn row_count(rows: &Rows) -> usize {
    match rows {
        Rows::Stations(rows) => rows.len(),
        Rows::Channels(rows) => rows.len(),
        Rows::Packets(rows) => rows.len(),
        Rows::Segments(rows) => rows.len(),
        Rows::Picks(rows) => rows.len(),
        Rows::Arrivals(rows) => rows.len(),
        Rows::Origins(rows) => rows.len(),
        Rows::Amplitudes(rows) => rows.len(),
        Rows::Magnitudes(rows) => rows.len(),
        Rows::Events(rows) => rows.len(),
        Rows::Continuity(rows) => rows.len(),
        Rows::Latency(rows) => rows.len(),
        Rows::ComponentRatios(rows) => rows.len(),
        Rows::SignalLevels(rows) => rows.len(),
        Rows::Timing(rows) => rows.len(),
        Rows::DeadLetters(rows) => rows.len(),
    }
}
