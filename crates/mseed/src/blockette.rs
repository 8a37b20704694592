//! Blockettes of miniSEED 2 beyond those that make the header: event detections, calibrations, clocks, opaque data.
//!
//! ```text
//! header ─► blockette (code, offset of the next) ─► blockette ─► … ─► 0
//! ```
//!
//! The chain of a [`Record`] was checked when it was parsed; walking it again costs nothing but the walk.
//! Layouts: SEED 2.4, chapter 8. Blockettes 100, 1000 and 1001 are already in the record's own fields.

use crate::bytes::{ByteOrder, field};
use crate::record::{FormatVersion, Record};
use crate::time::DayTime;
use crate::v2;

/// One blockette, borrowed from its record.
#[derive(Clone, Copy, Debug)]
pub struct Blockette<'a> {
    /// Code: 100 to 2000.
    pub code: u16,
    /// Where it begins in the record, bytes.
    pub offset: usize,
    /// All of it, beginning with its code; shorter than the standard says where the record ends before.
    pub bytes: &'a [u8],
    order: ByteOrder,
}

/// What a blockette says, where this crate reads it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BlocketteContent {
    /// Codes 200 and 201: a detector on the station found an event.
    EventDetection {
        /// Onset, nanoseconds since 1970.
        onset_ns: Option<i64>,
        /// Amplitude of the signal, counts or physical units as the flags of the blockette say.
        amplitude: f32,
        /// Period of the signal, seconds.
        period_s: f32,
        /// Background level, in the unit of the amplitude.
        background: f32,
        /// Name of the detector.
        detector: String,
    },
    /// Codes 300, 310, 320 and 390: a calibration; 395: its end.
    Calibration {
        /// Beginning, or the end for code 395, nanoseconds since 1970.
        time_ns: Option<i64>,
        /// Length (of one step for code 300), seconds; `None` for code 395.
        duration_s: Option<f64>,
    },
    /// Code 500: state of the clock.
    Timing {
        /// Correction of the oscillator, percent.
        vco_correction: f32,
        /// Time of the exception, nanoseconds since 1970.
        time_ns: Option<i64>,
        /// Quality of the reception, percent of the best.
        reception_quality: u8,
        /// Times the exception happened, or the count of its kind.
        count: u32,
        /// Kind of the exception, such as "valid timemark".
        kind: String,
        /// Model of the clock.
        clock_model: String,
        /// Its state in its own words.
        clock_status: String,
    },
    /// Code 2000: bytes of any meaning.
    Opaque {
        /// Number of the record in its stream.
        record_number: u32,
        /// Header fields, which say what the bytes are.
        fields: Vec<String>,
        /// Length of the bytes.
        length: usize,
    },
}

/// Walks the blockettes of a record.
#[derive(Clone, Debug)]
pub struct Blockettes<'a> {
    record: &'a [u8],
    order: ByteOrder,
    next: usize,
}

impl<'a> Record<'a> {
    /// The blockettes in the order of their chain; none in miniSEED 3.
    pub fn blockettes(&self) -> Blockettes<'a> {
        let next = match self.format_version {
            FormatVersion::Two => field(self.bytes, 46).map_or(0, |first| self.header_order.u16(first)),
            FormatVersion::Three => 0,
        };
        Blockettes { record: self.bytes, order: self.header_order, next: next.into() }
    }
}

impl<'a> Iterator for Blockettes<'a> {
    type Item = Blockette<'a>;

    fn next(&mut self) -> Option<Blockette<'a>> {
        let offset = self.next;
        if offset < v2::HEADER_LENGTH {
            return None;
        }
        let code = self.order.u16(field(self.record, offset)?);
        let next = usize::from(self.order.u16(field(self.record, offset + 2)?));
        // Parsing has seen the chain rise; a chain that does not ends here all the same.
        self.next = if next > offset { next } else { 0 };
        let rest = self.record.get(offset..)?;
        let length = match code {
            2000 => field(rest, 4).map_or(0, |length| self.order.u16(length).into()),
            _ => LENGTHS.iter().find(|known| known.0 == code).map_or(4, |known| known.1),
        };
        let bytes = rest.get(..length).unwrap_or(rest);
        Some(Blockette { code, offset, bytes, order: self.order })
    }
}

/// Code, length in bytes and name.
const LENGTHS: [(u16, usize, &str); 14] = [
    (100, 12, "sample rate"),
    (200, 52, "event detection"),
    (201, 60, "Murdock event detection"),
    (300, 60, "step calibration"),
    (310, 60, "sine calibration"),
    (320, 64, "pseudo-random calibration"),
    (390, 28, "generic calibration"),
    (395, 16, "calibration abort"),
    (400, 16, "beam"),
    (405, 6, "beam delay"),
    (500, 200, "timing"),
    (1000, 8, "data only SEED"),
    (1001, 8, "data extension"),
    (2000, 15, "variable length opaque data"),
];

impl Blockette<'_> {
    /// Name in the standard; `unknown` for a code it does not have.
    pub fn name(&self) -> &'static str {
        LENGTHS.iter().find(|known| known.0 == self.code).map_or("unknown", |known| known.2)
    }

    /// What it says; `None` for codes without content of their own, and where it is cut short.
    pub fn content(&self) -> Option<BlocketteContent> {
        match self.code {
            200 => self.event_detection(28),
            201 => self.event_detection(36),
            300 | 310 | 320 | 390 => Some(BlocketteContent::Calibration {
                time_ns: self.time_ns(4),
                duration_s: Some(f64::from(self.u32(16)?) / 1e4),
            }),
            395 => Some(BlocketteContent::Calibration { time_ns: self.time_ns(4), duration_s: None }),
            500 => self.timing(),
            2000 => self.opaque(),
            _ => None,
        }
    }

    fn event_detection(&self, detector_at: usize) -> Option<BlocketteContent> {
        Some(BlocketteContent::EventDetection {
            onset_ns: self.time_ns(18),
            amplitude: self.f32(4)?,
            period_s: self.f32(8)?,
            background: self.f32(12)?,
            detector: self.text(detector_at, 24)?,
        })
    }

    fn timing(&self) -> Option<BlocketteContent> {
        let [microseconds, reception_quality] = field(self.bytes, 18)?;
        let time_ns = self.time_ns(8).map(|time| time + i64::from(microseconds.cast_signed()) * 1000);
        Some(BlocketteContent::Timing {
            vco_correction: self.f32(4)?,
            time_ns,
            reception_quality,
            count: self.u32(20)?,
            kind: self.text(24, 16)?,
            clock_model: self.text(40, 32)?,
            clock_status: self.text(72, 128)?,
        })
    }

    fn opaque(&self) -> Option<BlocketteContent> {
        let start = usize::from(self.order.u16(field(self.bytes, 6)?));
        let [field_count] = field(self.bytes, 14)?;
        let names = self.bytes.get(15..start)?;
        let fields = names.split(|byte| *byte == b'~').take(field_count.into()).map(printed).collect();
        let length = self.bytes.len().saturating_sub(start);
        Some(BlocketteContent::Opaque { record_number: self.u32(8)?, fields, length })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(self.order.u32(field(self.bytes, at)?))
    }

    fn f32(&self, at: usize) -> Option<f32> {
        self.u32(at).map(f32::from_bits)
    }

    fn text(&self, at: usize, length: usize) -> Option<String> {
        Some(printed(self.bytes.get(at..at + length)?))
    }

    /// A time of ten bytes in units of 0.1 ms.
    fn time_ns(&self, at: usize) -> Option<i64> {
        let [a, b, c, d, hour, minute, second, _, e, f] = field::<10>(self.bytes, at)?;
        let nanosecond = u32::from(self.order.u16([e, f])).saturating_mul(100_000);
        let (year, day) = (self.order.u16([a, b]), self.order.u16([c, d]));
        DayTime { year, day, hour, minute, second, nanosecond }.to_nanos()
    }
}

/// Text of a fixed field: trimmed, what is no text replaced.
fn printed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_matches(['\0', ' ', '\r', '\n']).to_owned()
}
