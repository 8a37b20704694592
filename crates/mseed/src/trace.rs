//! Joins records to gapless segments, as libmseed's trace list does.
//!
//! A record continues a segment where it starts within half a sample period of the time expected from the end of
//! the record before (not from the segment's start: clocks drift), the rate differs by less than one part in ten
//! thousand, and the number type is the same. Records may come in any order: they are put at the end, at the
//! beginning or between two segments, which then become one. Overlaps and duplicates are kept as segments of
//! their own; nothing is thrown away. Records without a rate (logs) never join.
//!
//! Cost: records in time order are appended at once; any other order searches the segments of the channel.

use std::collections::{BTreeMap, VecDeque};

use crate::{Encoding, Record, Samples};

/// Rates closer than this are the same, relative.
pub(crate) const RATE_TOLERANCE: f64 = 1e-4;

/// One gapless piece of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSegment {
    /// FDSN source identifier.
    pub source_id: String,
    /// Time of the first sample, nanoseconds since 1970.
    pub start_ns: i64,
    /// Time of the last sample, nanoseconds since 1970.
    pub end_ns: i64,
    /// Nominal sample rate, Hz, of the first record added.
    pub rate_hz: f64,
    /// Encoding of the first record added.
    pub encoding: Encoding,
    /// Samples the headers promise; the characters of a log record.
    pub sample_count: u64,
    /// Records it was made from.
    pub record_count: u64,
    /// The samples; empty for log records.
    pub samples: Samples,
}

/// A segment in the making: its samples in pieces, so that adding in front costs no more than adding behind.
#[derive(Clone, Debug)]
struct Run {
    start_ns: i64,
    end_ns: i64,
    rate_hz: f64,
    encoding: Encoding,
    sample_count: u64,
    record_count: u64,
    pieces: VecDeque<Samples>,
}

/// The record to be added, in the numbers that joining needs.
struct Arrival<'a> {
    start_ns: i64,
    end_ns: i64,
    period_ns: i64,
    tolerance_ns: i64,
    rate_hz: f64,
    samples: &'a Samples,
}

impl Arrival<'_> {
    fn joins(&self, run: &Run, gap_ns: i64) -> bool {
        gap_ns.saturating_abs() <= self.tolerance_ns
            && run.sample_count > 0
            && run.rate_hz != 0.0
            && (1.0 - self.rate_hz / run.rate_hz).abs() < RATE_TOLERANCE
            && run.pieces.front().is_some_and(|piece| piece.same_type(self.samples))
    }

    fn follows(&self, run: &Run) -> bool {
        self.joins(run, self.start_ns.saturating_sub(run.end_ns).saturating_sub(self.period_ns))
    }

    fn precedes(&self, run: &Run) -> bool {
        self.joins(run, run.start_ns.saturating_sub(self.end_ns).saturating_sub(self.period_ns))
    }
}

/// Collects records of any number of channels into segments.
#[derive(Clone, Debug, Default)]
pub struct TraceList {
    /// Segments of each channel by start time, the longer first.
    channels: BTreeMap<String, Vec<Run>>,
}

impl TraceList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// No records yet.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Adds a record and its decoded samples (see [`Record::decode_into`]).
    pub fn add(&mut self, record: &Record<'_>, samples: &Samples) {
        let period_ns = record.period_ns();
        let arrival = Arrival {
            start_ns: record.start_ns,
            end_ns: record.last_sample_ns(),
            period_ns,
            tolerance_ns: (0.5 * period_ns as f64) as i64,
            rate_hz: record.rate_hz(),
            samples,
        };
        if !self.channels.contains_key(record.source_id()) {
            self.channels.insert(record.source_id().to_owned(), Vec::new());
        }
        let Some(runs) = self.channels.get_mut(record.source_id()) else { return };
        match place(runs, &arrival) {
            Place::Behind(index) => {
                if let Some(run) = runs.get_mut(index) {
                    run.push_back(&arrival, record);
                }
            }
            Place::InFront(index) => {
                if let Some(run) = runs.get_mut(index) {
                    run.push_front(&arrival, record);
                }
                sort_in(runs, index);
            }
            Place::Between(before, after) => {
                let tail = runs.remove(after);
                let before = if after < before { before - 1 } else { before };
                if let Some(run) = runs.get_mut(before) {
                    run.push_back(&arrival, record);
                    run.join(tail);
                }
            }
            Place::Alone => {
                let run = Run::new(&arrival, record);
                let index = runs.partition_point(|other| run.key() >= other.key());
                runs.insert(index, run);
            }
        }
    }

    /// The segments, by source identifier and start time.
    pub fn into_segments(self) -> Vec<TraceSegment> {
        let channels = self.channels.into_iter();
        channels
            .flat_map(|(source_id, runs)| {
                runs.into_iter().map(move |run| run.into_segment(source_id.clone()))
            })
            .collect()
    }
}

/// Where a record goes: indexes of segments.
enum Place {
    Behind(usize),
    InFront(usize),
    Between(usize, usize),
    Alone,
}

fn place(runs: &[Run], arrival: &Arrival<'_>) -> Place {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Place::Alone };
    if arrival.follows(last) {
        return Place::Behind(runs.len() - 1);
    }
    if arrival.precedes(first) && runs.len() == 1 {
        return Place::InFront(0);
    }
    let (mut before, mut after) = (None, None);
    for (index, run) in runs.iter().enumerate() {
        // A segment with these very ends would have been joined with its neighbours already.
        let has_coverage = run.sample_count > 0 && run.rate_hz != 0.0;
        if has_coverage && run.start_ns == arrival.start_ns && run.end_ns == arrival.end_ns {
            break;
        }
        if before.is_none() && arrival.follows(run) {
            before = Some(index);
        }
        if after.is_none() && arrival.precedes(run) {
            after = Some(index);
        }
        if before.is_some() && after.is_some() {
            break;
        }
    }
    match (before, after) {
        (Some(before), Some(after)) if before != after => Place::Between(before, after),
        (Some(before), _) => Place::Behind(before),
        (None, Some(after)) => Place::InFront(after),
        (None, None) => Place::Alone,
    }
}

/// Moves the segment at `index`, whose start has become earlier, to its place.
fn sort_in(runs: &mut [Run], mut index: usize) {
    while let Some(previous) = index.checked_sub(1) {
        let in_order = match (runs.get(previous), runs.get(index)) {
            (Some(a), Some(b)) => a.key() <= b.key(),
            _ => true,
        };
        if in_order {
            return;
        }
        runs.swap(previous, index);
        index = previous;
    }
}

impl Run {
    fn new(arrival: &Arrival<'_>, record: &Record<'_>) -> Self {
        Self {
            start_ns: arrival.start_ns,
            end_ns: arrival.end_ns,
            rate_hz: arrival.rate_hz,
            encoding: record.encoding,
            sample_count: u64::from(record.sample_count),
            record_count: 1,
            pieces: VecDeque::from([arrival.samples.clone()]),
        }
    }

    /// Order in the list: start time, then the longer one.
    fn key(&self) -> (i64, std::cmp::Reverse<i64>) {
        (self.start_ns, std::cmp::Reverse(self.end_ns))
    }

    fn push_back(&mut self, arrival: &Arrival<'_>, record: &Record<'_>) {
        self.end_ns = arrival.end_ns;
        self.sample_count += u64::from(record.sample_count);
        self.record_count += 1;
        match self.pieces.back_mut() {
            Some(piece) => piece.append(arrival.samples),
            None => self.pieces.push_back(arrival.samples.clone()),
        }
    }

    fn push_front(&mut self, arrival: &Arrival<'_>, record: &Record<'_>) {
        self.start_ns = arrival.start_ns;
        self.sample_count += u64::from(record.sample_count);
        self.record_count += 1;
        self.pieces.push_front(arrival.samples.clone());
    }

    fn join(&mut self, tail: Self) {
        self.end_ns = tail.end_ns;
        self.sample_count += tail.sample_count;
        self.record_count += tail.record_count;
        self.pieces.extend(tail.pieces);
    }

    fn into_segment(mut self, source_id: String) -> TraceSegment {
        let mut samples = self.pieces.pop_front().unwrap_or_default();
        for piece in &self.pieces {
            samples.append(piece);
        }
        TraceSegment {
            source_id,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            rate_hz: self.rate_hz,
            encoding: self.encoding,
            sample_count: self.sample_count,
            record_count: self.record_count,
            samples,
        }
    }
}
