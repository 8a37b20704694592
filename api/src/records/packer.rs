//! Packs the samples of one run after another into records.
//!
//! Samples are gathered to blocks of many records; what does not fill the last record of a block waits for the next
//! samples, so that records are full except at the end of a run. A piece whose start differs from the time that its
//! predecessor implies begins a record of its own: no record's time is off by more than a microsecond.

use seislake_model::SourceId;
use seislake_mseed::{Encoding, FormatVersion, PackError, PackSettings, Record, SampleSlice, Samples, pack};

use super::RecordFormat;

/// Samples that are packed at once.
const BLOCK_SAMPLES: usize = 1 << 17;
/// Deviation of a start that is put down to rounding.
const TIME_TOLERANCE_NS: i64 = 1000;

/// Packs the samples of one channel at one rate and of one type.
#[derive(Debug)]
pub(super) struct Packer {
    settings: PackSettings,
    /// Samples that wait, the first of them at `settings.start_ns`.
    waiting: Samples,
}

fn sample_time_ns(start_ns: i64, index: usize, rate_hz: f64) -> i64 {
    start_ns.saturating_add((index as f64 / rate_hz * 1e9 + 0.5) as i64)
}

fn empty(samples: SampleSlice<'_>) -> Samples {
    match samples {
        SampleSlice::Int32(_) => Samples::Int32(Vec::new()),
        SampleSlice::Float32(_) => Samples::Float32(Vec::new()),
        SampleSlice::Float64(_) => Samples::Float64(Vec::new()),
    }
}

fn append(samples: &mut Samples, more: SampleSlice<'_>) {
    match (samples, more) {
        (Samples::Int32(samples), SampleSlice::Int32(more)) => samples.extend_from_slice(more),
        (Samples::Float32(samples), SampleSlice::Float32(more)) => samples.extend_from_slice(more),
        (Samples::Float64(samples), SampleSlice::Float64(more)) => samples.extend_from_slice(more),
        // A run holds samples of one type only.
        _ => {}
    }
}

/// Drops all but the last `count` samples.
fn keep_last(samples: &mut Samples, count: usize) {
    let gone = samples.len().saturating_sub(count);
    match samples {
        Samples::Int32(samples) => drop(samples.drain(..gone)),
        Samples::Float32(samples) => drop(samples.drain(..gone)),
        Samples::Float64(samples) => drop(samples.drain(..gone)),
    }
}

impl Packer {
    /// For a run of `source_id` that begins with `samples`.
    pub(super) fn new(
        source_id: &SourceId,
        rate_hz: f64,
        samples: SampleSlice<'_>,
        format: RecordFormat,
    ) -> Self {
        let mut settings = PackSettings::new(source_id.as_str(), 0, rate_hz);
        settings.encoding = match samples {
            SampleSlice::Int32(_) => Encoding::Steim2,
            SampleSlice::Float32(_) => Encoding::Float32,
            SampleSlice::Float64(_) => Encoding::Float64,
        };
        if format == RecordFormat::MiniSeed3 || !fits_version_2(source_id) {
            settings.format_version = FormatVersion::Three;
        }
        Self { settings, waiting: empty(samples) }
    }

    /// Takes the next samples of the run, the first of them at `start_ns`; full records go to `out`.
    pub(super) fn push(
        &mut self,
        start_ns: i64,
        samples: SampleSlice<'_>,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), PackError> {
        let expected = sample_time_ns(self.settings.start_ns, self.waiting.len(), self.settings.rate_hz);
        if self.waiting.is_empty() || expected.abs_diff(start_ns) > TIME_TOLERANCE_NS.unsigned_abs() {
            self.finish(out)?;
            self.settings.start_ns = start_ns;
        }
        append(&mut self.waiting, samples);
        if self.waiting.len() < BLOCK_SAMPLES {
            return Ok(());
        }
        let mut records = pack(&self.settings, self.waiting.as_slice())?;
        // The last record is not full: its samples wait for more.
        let rest = records.pop().and_then(|record| Some(Record::parse(&record).ok()?.sample_count));
        let rest = rest.map_or(0, |count| count as usize);
        self.settings.start_ns = sample_time_ns(
            self.settings.start_ns,
            self.waiting.len().saturating_sub(rest),
            self.settings.rate_hz,
        );
        keep_last(&mut self.waiting, rest);
        self.number(records, out);
        Ok(())
    }

    /// Ends the run: what waits goes to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<Vec<u8>>) -> Result<(), PackError> {
        let records = pack(&self.settings, self.waiting.as_slice())?;
        keep_last(&mut self.waiting, 0);
        self.number(records, out);
        Ok(())
    }

    fn number(&mut self, records: Vec<Vec<u8>>, out: &mut Vec<Vec<u8>>) {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        // Sequence numbers have six digits and begin again after 999999.
        self.settings.sequence_number = self.settings.sequence_number.wrapping_add(count) % 1_000_000;
        out.extend(records);
    }
}

/// Whether a miniSEED 2 header holds the codes; channels with longer ones are written as miniSEED 3.
fn fits_version_2(source_id: &SourceId) -> bool {
    source_id.network().len() <= 2
        && source_id.station().len() <= 5
        && source_id.location().len() <= 2
        && source_id.channel().len() == 3
        && !source_id.channel().contains('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(records: &[Vec<u8>]) -> Vec<i32> {
        let samples = records.iter().flat_map(|record| {
            match Record::parse(record).unwrap().decode().unwrap().samples {
                Samples::Int32(samples) => samples,
                other => panic!("{other:?}"),
            }
        });
        samples.collect()
    }

    fn packer(samples: &[i32]) -> Packer {
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        Packer::new(&id, 100.0, samples.into(), RecordFormat::MiniSeed2)
    }

    #[test]
    fn samples_come_back_whatever_the_pieces_they_came_in() {
        let samples: Vec<i32> = (0..400_000_i32).map(|i| i.wrapping_mul(7919) % 3000).collect();
        for size in [1000, 131_072, 131_073, 400_000] {
            let mut packer = packer(&samples);
            let mut out = Vec::new();
            for (index, piece) in samples.chunks(size).enumerate() {
                let start_ns = sample_time_ns(0, index * size, 100.0);
                packer.push(start_ns, piece.into(), &mut out).unwrap();
            }
            packer.finish(&mut out).unwrap();
            assert!(decoded(&out) == samples, "pieces of {size}");
            let short = out.iter().filter(|record| record.ends_with(&[0; 64])).count();
            assert!(short <= 1, "{short} records are not full");
            let mut next_ns = 0;
            for record in &out {
                let record = Record::parse(record).unwrap();
                assert_eq!(record.start_ns, next_ns);
                next_ns += i64::from(record.sample_count) * 10_000_000;
            }
        }
    }

    #[test]
    fn a_piece_that_starts_off_the_clock_begins_a_record() {
        let samples = [1, 2, 3];
        let mut packer = packer(&samples);
        let mut out = Vec::new();
        packer.push(0, samples.as_slice().into(), &mut out).unwrap();
        packer.push(32_000_000, samples.as_slice().into(), &mut out).unwrap();
        packer.finish(&mut out).unwrap();
        let starts: Vec<i64> = out.iter().map(|record| Record::parse(record).unwrap().start_ns).collect();
        assert_eq!(starts, [0, 32_000_000]);
    }
}
