//! What headers and blockettes of a file tell, beyond its samples.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{BlocketteContent, ByteOrder, FormatVersion, LeapSecond, Record};

/// Entries of a list at most; `omitted` counts the others.
const SHOWN_MAX: usize = 1000;

/// What headers and blockettes of a file tell; lists hold the first thousand.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// Records by generation of the format.
    pub format_versions: BTreeMap<u8, u64>,
    /// Records by length, bytes.
    pub record_lengths: BTreeMap<usize, u64>,
    /// Records by encoding.
    pub encodings: BTreeMap<String, u64>,
    /// Records by byte order of header and data, such as `big/big`.
    pub byte_orders: BTreeMap<String, u64>,
    /// Records by quality letter or publication version.
    pub qualities: BTreeMap<String, u64>,
    /// Records by flag that is set.
    pub flags: BTreeMap<&'static str, u64>,
    /// Timing quality in percent over the records that tell it.
    pub timing_quality: Option<TimingQuality>,
    /// Records with a time correction in the header.
    pub time_corrections: u64,
    /// Blockettes by code.
    pub blockettes: BTreeMap<u16, u64>,
    /// Control headers of SEED.
    pub control_headers: Vec<Extent>,
    /// Text records.
    pub texts: Vec<Text>,
    /// Records that announce or hold one.
    pub leap_seconds: Vec<Leap>,
    /// Event detections, calibrations, clock reports and opaque data.
    pub events: Vec<Event>,
    /// Entries left out of the lists above.
    pub omitted: u64,
}

/// Timing quality in percent, over the records that tell it.
#[derive(Clone, Debug, Serialize)]
pub struct TimingQuality {
    /// Of how many records.
    pub records: u64,
    /// Smallest.
    pub min: u8,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: u8,
}

/// A stretch of bytes.
#[derive(Debug, Serialize)]
pub struct Extent {
    /// Where, in bytes.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A text record.
#[derive(Debug, Serialize)]
pub struct Text {
    /// Where, in bytes.
    pub offset: u64,
    /// Of which channel.
    pub source_id: String,
    /// Time of the first sample, ns since 1970.
    pub start_ns: i64,
    /// Its text.
    pub text: String,
}

/// A record that announces or holds a leap second.
#[derive(Debug, Serialize)]
pub struct Leap {
    /// Where, in bytes.
    pub offset: u64,
    /// Of which channel.
    pub source_id: String,
    /// Time of the first sample, ns since 1970.
    pub start_ns: i64,
    /// `positive` or `negative`, where the record announces one.
    pub announced: Option<&'static str>,
    /// The header says second 60; `start_ns` is the midnight after it.
    pub starts_in_leap_second: bool,
}

/// What a blockette tells.
#[derive(Debug, Serialize)]
pub struct Event {
    /// Where, in bytes.
    pub offset: u64,
    /// Of which channel.
    pub source_id: String,
    /// Code of the blockette.
    pub blockette: u16,
    /// Name of the blockette.
    pub kind: &'static str,
    /// When, ns since 1970, where it says so.
    pub time_ns: Option<i64>,
    /// Its content in words.
    pub description: String,
}

impl Findings {
    pub(crate) fn add(&mut self, offset: u64, record: &Record<'_>) {
        let version = match record.format_version {
            FormatVersion::Two => 2,
            FormatVersion::Three => 3,
        };
        *self.format_versions.entry(version).or_default() += 1;
        *self.record_lengths.entry(record.length()).or_default() += 1;
        *self.encodings.entry(record.encoding.to_string()).or_default() += 1;
        *self.qualities.entry(record.quality.to_string()).or_default() += 1;
        let orders = format!("{}/{}", word(record.header_order), word(record.payload_order));
        *self.byte_orders.entry(orders).or_default() += 1;
        for flag in record.flags.names(record.format_version) {
            *self.flags.entry(flag).or_default() += 1;
        }
        if record.time_correction_ns() != 0 {
            self.time_corrections += 1;
        }
        if let Some(percent) = record.timing_quality {
            self.add_timing_quality(percent);
        }
        self.add_leap_second(offset, record);
        if let Some(text) = record.text() {
            let text = Text {
                offset,
                source_id: record.source_id().to_owned(),
                start_ns: record.start_ns,
                text: String::from_utf8_lossy(text).trim_matches(['\0', '\r', '\n', ' ']).to_owned(),
            };
            push(&mut self.texts, text, &mut self.omitted);
        }
        for blockette in record.blockettes() {
            *self.blockettes.entry(blockette.code).or_default() += 1;
            let Some(content) = blockette.content() else { continue };
            let (time_ns, description) = describe(content);
            let event = Event {
                offset,
                source_id: record.source_id().to_owned(),
                blockette: blockette.code,
                kind: blockette.name(),
                time_ns,
                description,
            };
            push(&mut self.events, event, &mut self.omitted);
        }
    }

    pub(crate) fn add_control_headers(&mut self, offset: u64, length: u64) {
        push(&mut self.control_headers, Extent { offset, length }, &mut self.omitted);
    }

    fn add_timing_quality(&mut self, percent: u8) {
        let found = self.timing_quality.get_or_insert(TimingQuality {
            records: 0,
            min: percent,
            mean: 0.0,
            max: percent,
        });
        found.records += 1;
        found.min = found.min.min(percent);
        found.max = found.max.max(percent);
        found.mean += (f64::from(percent) - found.mean) / found.records as f64;
    }

    fn add_leap_second(&mut self, offset: u64, record: &Record<'_>) {
        let announced = record.leap_second().map(|leap_second| match leap_second {
            LeapSecond::Positive => "positive",
            LeapSecond::Negative => "negative",
        });
        let starts_in_leap_second = record.starts_in_leap_second();
        if announced.is_none() && !starts_in_leap_second {
            return;
        }
        let source_id = record.source_id().to_owned();
        let leap = Leap { offset, source_id, start_ns: record.start_ns, announced, starts_in_leap_second };
        push(&mut self.leap_seconds, leap, &mut self.omitted);
    }
}

fn push<T>(list: &mut Vec<T>, entry: T, omitted: &mut u64) {
    if list.len() < SHOWN_MAX {
        list.push(entry);
    } else {
        *omitted += 1;
    }
}

fn word(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Big => "big",
        ByteOrder::Little => "little",
    }
}

fn describe(content: BlocketteContent) -> (Option<i64>, String) {
    match content {
        BlocketteContent::EventDetection { onset_ns, amplitude, period_s, background, detector } => {
            let text =
                format!("{detector}: amplitude {amplitude}, period {period_s} s, background {background}");
            (onset_ns, text)
        }
        BlocketteContent::Calibration { time_ns, duration_s: Some(duration_s) } => {
            (time_ns, format!("{duration_s} s"))
        }
        BlocketteContent::Calibration { time_ns, .. } => (time_ns, "end".to_owned()),
        BlocketteContent::Timing { time_ns, reception_quality, kind, clock_model, clock_status, .. } => {
            let text =
                format!("{kind}; clock {clock_model}, reception {reception_quality} %; {clock_status}");
            (time_ns, text)
        }
        BlocketteContent::Opaque { record_number, fields, length } => {
            (None, format!("record {record_number}, {length} bytes: {}", fields.join(" · ")))
        }
    }
}
