//! Headers of records to be written, and the assembly of header and payload.

use super::{PackError, PackSettings, Payload, check_length};
use crate::record::FormatVersion;
use crate::source_id::SeedCodes;
use crate::time::DayTime;
use crate::{v2, v3};

const BLOCKETTE_1001_AT: u16 = 56;
const BLOCKETTE_100_AT: u16 = 64;

/// Everything that is the same in all records of one run.
pub(super) struct Writer<'a> {
    settings: &'a PackSettings,
    /// Hz; 0 for what is no time series.
    rate_hz: f64,
    layout: Layout,
    /// Room for data in a record, bytes.
    pub(super) payload_length: usize,
    /// Samples a header can count.
    pub(super) sample_count_max: usize,
}

enum Layout {
    Two { codes: SeedCodes, factor: i16, multiplier: i16, rate: Option<f32>, data_offset: u16, letter: u8 },
    Three { extra_headers: String, version: u8 },
}

impl<'a> Writer<'a> {
    pub(super) fn new(settings: &'a PackSettings, rate_hz: f64) -> Result<Self, PackError> {
        check_length(settings)?;
        let id = &settings.source_id;
        let bad_id = || PackError::SourceId(id.clone());
        let (layout, overhead, sample_count_max) = match settings.format_version {
            FormatVersion::Two => {
                let codes = SeedCodes::parse(id).ok_or_else(bad_id)?;
                let (factor, multiplier, rate) = rate_fields(rate_hz);
                let data_offset = if rate.is_some() { 128 } else { 64 };
                let letter = settings.quality.letter() as u8;
                let layout = Layout::Two { codes, factor, multiplier, rate, data_offset, letter };
                (layout, usize::from(data_offset), usize::from(u16::MAX))
            }
            FormatVersion::Three => {
                let legal = (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
                if !legal {
                    return Err(bad_id());
                }
                let extra_headers = settings.timing_quality.map_or_else(String::new, |percent| {
                    format!(r#"{{"FDSN":{{"Time":{{"Quality":{percent}}}}}}}"#)
                });
                let overhead = v3::HEADER_LENGTH + id.len() + extra_headers.len();
                let version = settings.quality.publication_version();
                (Layout::Three { extra_headers, version }, overhead, u32::MAX as usize)
            }
        };
        let payload_length = settings.record_length.saturating_sub(overhead);
        Ok(Self { settings, rate_hz, layout, payload_length, sample_count_max })
    }

    pub(super) fn record(
        &self,
        index: usize,
        start_ns: i64,
        payload: &Payload,
    ) -> Result<Vec<u8>, PackError> {
        match &self.layout {
            Layout::Two { data_offset, .. } => {
                let mut record = self.header_2(index, start_ns, payload)?;
                record.resize(usize::from(*data_offset), 0);
                record.extend_from_slice(&payload.bytes);
                record.resize(self.settings.record_length, 0);
                Ok(record)
            }
            Layout::Three { extra_headers, version } => {
                self.record_3(start_ns, payload, extra_headers, *version)
            }
        }
    }

    /// Fixed header and blockettes 1000, 1001 and, where the rate needs it, 100.
    fn header_2(&self, index: usize, start_ns: i64, payload: &Payload) -> Result<Vec<u8>, PackError> {
        let Layout::Two { codes, factor, multiplier, rate, data_offset, letter } = &self.layout else {
            return Ok(Vec::new());
        };
        let micros = start_ns.saturating_add(500).div_euclid(1000);
        let (time, microseconds) = day_time(start_ns, micros.saturating_mul(1000))
            .map(|time| (time, (time.nanosecond / 1000 % 100) as u8))?;
        let sequence = u64::from(self.settings.sequence_number) + index as u64;
        let mut out = Vec::with_capacity(self.settings.record_length);
        out.extend_from_slice(format!("{:06}", sequence % 1_000_000).as_bytes());
        out.extend_from_slice(&[*letter, b' ']);
        out.extend_from_slice(&codes.station);
        out.extend_from_slice(&codes.location);
        out.extend_from_slice(&codes.channel);
        out.extend_from_slice(&codes.network);
        out.extend_from_slice(&time.year.to_be_bytes());
        out.extend_from_slice(&time.day.to_be_bytes());
        out.extend_from_slice(&[time.hour, time.minute, time.second, 0]);
        out.extend_from_slice(&((time.nanosecond / 100_000) as u16).to_be_bytes());
        out.extend_from_slice(&(payload.count as u16).to_be_bytes());
        out.extend_from_slice(&factor.to_be_bytes());
        out.extend_from_slice(&multiplier.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, if rate.is_some() { 3 } else { 2 }]);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&data_offset.to_be_bytes());
        out.extend_from_slice(&(v2::HEADER_LENGTH as u16).to_be_bytes());
        // Blockette 1000: encoding, big-endian words, length exponent.
        let exponent = self.settings.record_length.ilog2() as u8;
        out.extend_from_slice(&1000_u16.to_be_bytes());
        out.extend_from_slice(&BLOCKETTE_1001_AT.to_be_bytes());
        out.extend_from_slice(&[payload.encoding.code(), 1, exponent, 0]);
        // Blockette 1001: timing quality, microseconds, frames not told.
        let next = if rate.is_some() { BLOCKETTE_100_AT } else { 0 };
        out.extend_from_slice(&1001_u16.to_be_bytes());
        out.extend_from_slice(&next.to_be_bytes());
        out.extend_from_slice(&[self.settings.timing_quality.unwrap_or(0), microseconds, 0, 0]);
        if let Some(rate) = rate {
            out.extend_from_slice(&100_u16.to_be_bytes());
            out.extend_from_slice(&[0; 2]);
            out.extend_from_slice(&rate.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        Ok(out)
    }

    fn record_3(
        &self,
        start_ns: i64,
        payload: &Payload,
        extra_headers: &str,
        version: u8,
    ) -> Result<Vec<u8>, PackError> {
        let time = day_time(start_ns, start_ns)?;
        let id = self.settings.source_id.as_bytes();
        let mut out =
            Vec::with_capacity(v3::HEADER_LENGTH + id.len() + extra_headers.len() + payload.bytes.len());
        out.extend_from_slice(b"MS\x03\x00");
        out.extend_from_slice(&time.nanosecond.to_le_bytes());
        out.extend_from_slice(&time.year.to_le_bytes());
        out.extend_from_slice(&time.day.to_le_bytes());
        out.extend_from_slice(&[time.hour, time.minute, time.second, payload.encoding.code()]);
        out.extend_from_slice(&self.rate_hz.to_le_bytes());
        out.extend_from_slice(&(payload.count as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&[version, id.len() as u8]);
        out.extend_from_slice(&(extra_headers.len() as u16).to_le_bytes());
        out.extend_from_slice(&(payload.bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(id);
        out.extend_from_slice(extra_headers.as_bytes());
        out.extend_from_slice(&payload.bytes);
        let crc = v3::crc(&out).to_le_bytes();
        out.iter_mut().skip(28).zip(crc).for_each(|(slot, byte)| *slot = byte);
        Ok(out)
    }
}

fn day_time(start_ns: i64, rounded_ns: i64) -> Result<DayTime, PackError> {
    DayTime::from_nanos(rounded_ns).ok_or(PackError::StartTime { start_ns })
}

/// Factor and multiplier of a rate, and blockette 100 where it comes closer. Rate 0 is written as zeros.
fn rate_fields(rate_hz: f64) -> (i16, i16, Option<f32>) {
    if rate_hz == 0.0 {
        return (0, 0, None);
    }
    let (factor, multiplier) = nearest_ratio(rate_hz);
    let nominal = v2::nominal_rate_hz(factor, multiplier);
    let single = rate_hz as f32;
    let closer = (f64::from(single) - rate_hz).abs() < (nominal - rate_hz).abs();
    (factor, multiplier, (closer && single.is_finite()).then_some(single))
}

/// The ratio of two numbers below 2^15 nearest to the rate, by its continued fraction, as factor and multiplier.
fn nearest_ratio(rate_hz: f64) -> (i16, i16) {
    const MAX: f64 = i16::MAX as f64;
    let product = |whole: f64| {
        // Rates above 2^15: a product instead of a ratio.
        let multiplier = (whole / MAX).ceil().clamp(1.0, MAX);
        ((whole / multiplier).round().min(MAX), multiplier)
    };
    if rate_hz > MAX {
        let (factor, multiplier) = product(rate_hz);
        return (factor as i16, multiplier as i16);
    }
    if rate_hz < 1.0 / MAX {
        let (factor, multiplier) = product(1.0 / rate_hz);
        return (-(factor as i16), -(multiplier as i16));
    }
    let (mut older, mut newer) = ((0.0, 1.0), (1.0, 0.0));
    let mut rest = rate_hz;
    // Each step doubles the denominator at least, so it ends long before this.
    for _ in 0..64 {
        let whole = rest.floor();
        let next = (whole * newer.0 + older.0, whole * newer.1 + older.1);
        if next.0 > MAX || next.1 > MAX {
            break;
        }
        (older, newer) = (newer, next);
        if newer.0 / newer.1 == rate_hz || rest == whole {
            break;
        }
        rest = 1.0 / (rest - whole);
    }
    match newer {
        (numerator, 1.0) => (numerator as i16, 1),
        (1.0, denominator) => (-(denominator as i16), 1),
        (numerator, denominator) => (numerator as i16, -(denominator as i16)),
    }
}
