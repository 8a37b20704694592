//! From records of a topic to rows of tables, in blocks.
//!
//! A block is what may be committed at once. Blocks of `waveforms.raw` end at multiples of `block_records` of the
//! partition's offsets, at punctuation ([`BlockEnd`]) and at a size: places that only the log decides, so the segments cut there are
//! the same whenever and however often they are made. Messages and dead letters make one row each: any cut will do.

use std::collections::BTreeMap;

use rayon::prelude::*;
use seislake_model::{
    ErrorKind, Offset, Packet, RecordPosition, Rows, Samples, Segment, SourceId, Timestamp, continues,
};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::message::{Envelope, Message, WATERMARK_KEY, Watermark, letter_of, watermark_of};
use crate::topic::Record;

/// Rows that become visible together.
#[derive(Debug)]
pub(super) struct Block {
    /// Offset after the last record of the block.
    pub(super) next: Offset,
    pub(super) rows: Vec<Rows>,
    /// Rough size of the rows in memory.
    pub(super) byte_count: usize,
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
    topic: String,
    partition: u32,
    settings: BlockSettings,
    open: Vec<Record>,
    open_bytes: usize,
}

impl RawTable {
    pub(super) fn new(topic: &str, partition: u32, settings: BlockSettings) -> Self {
        Self { topic: topic.to_owned(), partition, settings, open: Vec::new(), open_bytes: 0 }
    }

    fn position(&self, record: &Record) -> RecordPosition {
        RecordPosition { topic: self.topic.clone(), partition: self.partition, offset: record.offset }
    }

    fn row(&self, record: &Record) -> Result<(Packet, Option<Segment>), Error> {
        let damaged = |why: String| {
            let place =
                format!("record {} of \"{}\" partition {}", record.offset, self.topic, self.partition);
            Error::new(ErrorKind::Corrupt, format!("tabulate {place}: {why}"))
        };
        let header = seislake_mseed::Record::parse(&record.value).map_err(|e| damaged(e.to_string()))?;
        let source_id: SourceId = header.source_id().parse().map_err(|e| damaged(format!("{e}")))?;
        let samples = match header.decode() {
            Ok(decoded) => model_samples(decoded.samples),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let encoding = header.encoding.as_str().to_owned();
        let (start_time, rate_hz) = (Timestamp::from_nanos(header.start_ns), header.rate_hz());
        let packet = Packet {
            source_id: source_id.clone(),
            start_time,
            last_sample_time: Timestamp::from_nanos(header.last_sample_ns()),
            arrival_time: record.arrival_time,
            sample_count: samples.len() as u32,
            expected_count: header.sample_count,
            sample_rate_hz: rate_hz,
            encoding: encoding.clone(),
            quality: header.quality.to_string(),
            timing_quality: header.timing_quality,
            byte_count: record.value.len() as u32,
            sha256: hex::encode(Sha256::digest(&record.value)),
            object_uri: None,
            position: self.position(record),
        };
        let time_series = !samples.is_empty() && rate_hz > 0.0;
        let segment = time_series.then(|| Segment {
            source_id,
            start_time,
            end_time: packet.last_sample_time,
            sample_rate_hz: rate_hz,
            encoding,
            samples,
            position: self.position(record),
        });
        Ok((packet, segment))
    }
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
        let rows: Vec<(Packet, Option<Segment>)> = records
            .par_iter()
            .filter(|record| record.key.as_ref() != WATERMARK_KEY)
            .map(|record| self.row(record))
            .collect::<Result<_, _>>()?;
        let mut packets = Vec::with_capacity(rows.len());
        let mut pieces = Vec::with_capacity(rows.len());
        for (packet, piece) in rows {
            packets.push(packet);
            pieces.extend(piece);
        }
        let segments = join(pieces);
        let sample_bytes: usize = segments.iter().map(|segment| 4 * segment.samples.len()).sum();
        let byte_count = packets.len() * size_of::<Packet>() + sample_bytes;
        let rows = vec![Rows::Packets(packets), Rows::Segments(segments)];
        Ok(Some(Block { next, rows, byte_count }))
    }
}

fn model_samples(samples: seislake_mseed::Samples) -> Samples {
    match samples {
        seislake_mseed::Samples::Int32(samples) => Samples::Int32(samples),
        seislake_mseed::Samples::Float32(samples) => Samples::Float32(samples),
        seislake_mseed::Samples::Float64(samples) => Samples::Float64(samples),
    }
}

/// Joins pieces that follow each other within half a sample into gapless segments. Overlapping pieces stay apart.
fn join(pieces: Vec<Segment>) -> Vec<Segment> {
    let mut by_source: BTreeMap<SourceId, Vec<Segment>> = BTreeMap::new();
    for piece in pieces {
        by_source.entry(piece.source_id.clone()).or_default().push(piece);
    }
    let mut segments = Vec::new();
    for mut pieces in by_source.into_values() {
        pieces.sort_by_key(|piece| (piece.start_time, piece.position.offset));
        let mut open: Option<Segment> = None;
        for piece in pieces {
            match open.as_mut() {
                Some(segment) if follows(segment, &piece) => extend(segment, piece),
                _ => segments.extend(open.replace(piece)),
            }
        }
        segments.extend(open);
    }
    segments
}

fn follows(segment: &Segment, piece: &Segment) -> bool {
    let same_type = std::mem::discriminant(&segment.samples) == std::mem::discriminant(&piece.samples);
    let (end_ns, start_ns) = (segment.end_time.nanos(), piece.start_time.nanos());
    same_type
        && segment.encoding == piece.encoding
        && continues(end_ns, segment.sample_rate_hz, start_ns, piece.sample_rate_hz)
}

fn extend(segment: &mut Segment, piece: Segment) {
    match (&mut segment.samples, piece.samples) {
        (Samples::Int32(samples), Samples::Int32(more)) => samples.extend(more),
        (Samples::Float32(samples), Samples::Float32(more)) => samples.extend(more),
        (Samples::Float64(samples), Samples::Float64(more)) => samples.extend(more),
        _ => return,
    }
    segment.end_time = piece.end_time;
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
        Ok(vec![Block { next, rows, byte_count }])
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
        Ok(vec![Block { next, rows: vec![Rows::DeadLetters(letters)], byte_count }])
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
