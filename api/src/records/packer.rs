//! Packs the samples of one run after another into records.
//!
//! ```text
//! samples of a run ─► blocks of 131 072 samples ─► records   (each block for itself, on any core)
//! ```
//! Where a block ends is told by the place in the run alone, so the records are the same on any number of cores. The last
//! record of a block is not full: one of some three hundred. A piece whose start differs from the time that its
//! predecessor implies begins a record of its own, and one whose clock drifted is written in parts
//! ([`TimeBase::nominal_parts`]): a record keeps the nominal rate, but its time is that of the stamps.

use seislake_model::{SourceId, TimeBase};
use seislake_mseed::{Encoding, FormatVersion, PackError, PackSettings, SampleSlice, Samples, pack};

use super::{RecordFormat, Run};

/// Samples of a block.
const BLOCK_SAMPLES: usize = 1 << 17;
/// Deviation of a start that is put down to rounding.
const TIME_TOLERANCE_NS: i64 = 1000;

/// Packs the samples of one channel at one rate and of one type.
#[derive(Debug)]
pub(super) struct Packer {
    settings: PackSettings,
    /// Samples that wait, the first of them at `settings.start_ns`.
    waiting: Samples,
    /// No block has been made yet.
    begins_run: bool,
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

/// The first `count` samples, and the others.
fn split(samples: SampleSlice<'_>, count: usize) -> (SampleSlice<'_>, SampleSlice<'_>) {
    fn parts<'a, T>(samples: &'a [T], count: usize) -> (SampleSlice<'a>, SampleSlice<'a>)
    where
        &'a [T]: Into<SampleSlice<'a>>,
    {
        let (left, right) = samples.split_at(count.min(samples.len()));
        (left.into(), right.into())
    }
    match samples {
        SampleSlice::Int32(samples) => parts(samples, count),
        SampleSlice::Float32(samples) => parts(samples, count),
        SampleSlice::Float64(samples) => parts(samples, count),
    }
}

/// Samples that become records of their own: it does not matter when and where.
#[derive(Debug)]
pub(super) struct Block {
    settings: PackSettings,
    samples: Samples,
    begins_run: bool,
}

impl Block {
    /// The records, each numbered as if the block were all.
    pub(super) fn pack(&self) -> Result<Vec<Vec<u8>>, PackError> {
        pack(&self.settings, self.samples.as_slice())
    }

    /// Nothing of its run comes before it.
    pub(super) const fn begins_run(&self) -> bool {
        self.begins_run
    }
}

impl Packer {
    /// For a run that begins with `samples`.
    pub(super) fn new(run: &Run, rate_hz: f64, samples: SampleSlice<'_>, format: RecordFormat) -> Self {
        let source_id = &run.source_id;
        let mut settings = PackSettings::new(source_id.as_str(), 0, rate_hz);
        settings.quality = run.quality();
        settings.encoding = match samples {
            SampleSlice::Int32(_) => Encoding::Steim2,
            SampleSlice::Float32(_) => Encoding::Float32,
            SampleSlice::Float64(_) => Encoding::Float64,
        };
        if format == RecordFormat::MiniSeed3 || !fits_version_2(source_id) {
            settings.format_version = FormatVersion::Three;
        }
        Self { settings, waiting: empty(samples), begins_run: true }
    }

    /// Takes the next samples of the run, as many as `base` times; full blocks go to `out`.
    pub(super) fn push(&mut self, base: &TimeBase, samples: SampleSlice<'_>, mut out: impl FnMut(Block)) {
        let mut rest = samples;
        for (_, count, start_ns) in base.nominal_parts() {
            let part;
            (part, rest) = split(rest, usize::try_from(count).unwrap_or(usize::MAX));
            self.push_part(start_ns, part, &mut out);
        }
    }

    /// Samples at the nominal rate, the first of them at `start_ns`.
    fn push_part(&mut self, start_ns: i64, mut samples: SampleSlice<'_>, mut out: impl FnMut(Block)) {
        let expected = sample_time_ns(self.settings.start_ns, self.waiting.len(), self.settings.rate_hz);
        if self.waiting.is_empty() || expected.abs_diff(start_ns) > TIME_TOLERANCE_NS.unsigned_abs() {
            self.take().into_iter().for_each(&mut out);
            self.settings.start_ns = start_ns;
        }
        loop {
            let (taken, rest) = split(samples, BLOCK_SAMPLES - self.waiting.len());
            append(&mut self.waiting, taken);
            if self.waiting.len() < BLOCK_SAMPLES {
                return;
            }
            let next_ns = sample_time_ns(self.settings.start_ns, BLOCK_SAMPLES, self.settings.rate_hz);
            self.take().into_iter().for_each(&mut out);
            self.settings.start_ns = next_ns;
            samples = rest;
        }
    }

    /// Ends the run: what waits.
    pub(super) fn finish(mut self) -> Option<Block> {
        self.take()
    }

    fn take(&mut self) -> Option<Block> {
        if self.waiting.is_empty() {
            return None;
        }
        let nothing = empty(self.waiting.as_slice());
        let samples = std::mem::replace(&mut self.waiting, nothing);
        let begins_run = std::mem::replace(&mut self.begins_run, false);
        Some(Block { settings: self.settings.clone(), samples, begins_run })
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
    use seislake_mseed::Record;

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

    fn steady(start_ns: i64, count: usize) -> TimeBase {
        let end_ns = sample_time_ns(start_ns, count - 1, 100.0);
        TimeBase::new(start_ns, end_ns, 100.0, count as u64).unwrap()
    }

    #[test]
    fn records_of_a_piece_that_drifted_have_the_times_of_its_stamps() {
        let samples: Vec<i32> = (0..50_000).collect();
        // A tenth of a second late at the end: ten samples.
        let end_ns = sample_time_ns(0, samples.len() - 1, 100.0) + 100_000_000;
        let base = TimeBase::new(0, end_ns, 100.0, samples.len() as u64).unwrap();
        let mut packer = packer(&samples);
        let mut blocks = Vec::new();
        packer.push(&base, samples.as_slice().into(), |block| blocks.push(block));
        blocks.extend(packer.finish());
        let (mut index, mut due_ns) = (0, 0);
        for record in &packed(&blocks) {
            let record = Record::parse(record).unwrap();
            assert!((record.start_ns - due_ns).abs() <= 5_000_000, "no gap for a reader of the records");
            assert!((record.start_ns - base.sample_time_ns(index)).abs() <= 2_000_000);
            index += u64::from(record.sample_count);
            due_ns = record.start_ns + i64::from(record.sample_count) * 10_000_000;
        }
        assert_eq!(index, 50_000);
        assert!((due_ns - 10_000_000 - end_ns).abs() <= 2000);
    }

    fn packer(samples: &[i32]) -> Packer {
        let run = Run { source_id: SourceId::from_nslc("XX", "A", "", "HHZ"), cuts: Vec::new() };
        Packer::new(&run, 100.0, samples.into(), RecordFormat::MiniSeed2)
    }

    fn packed(blocks: &[Block]) -> Vec<Vec<u8>> {
        blocks.iter().flat_map(|block| block.pack().unwrap()).collect()
    }

    #[test]
    fn records_are_the_same_whatever_the_pieces_the_samples_came_in() {
        let samples: Vec<i32> = (0..400_000_i32).map(|i| i.wrapping_mul(7919) % 3000).collect();
        let mut first: Option<Vec<Vec<u8>>> = None;
        for size in [1000, 131_072, 131_073, 400_000] {
            let mut packer = packer(&samples);
            let mut blocks = Vec::new();
            for (index, piece) in samples.chunks(size).enumerate() {
                let start_ns = sample_time_ns(0, index * size, 100.0);
                packer.push(&steady(start_ns, piece.len()), piece.into(), |block| blocks.push(block));
            }
            blocks.extend(packer.finish());
            let begins: Vec<bool> = blocks.iter().map(Block::begins_run).collect();
            assert_eq!(begins, [true, false, false, false]);
            let out = packed(&blocks);
            assert!(decoded(&out) == samples, "pieces of {size}");
            let short = out.iter().filter(|record| record.ends_with(&[0; 64])).count();
            assert!(short <= blocks.len(), "{short} records are not full");
            let mut next_ns = 0;
            for record in &out {
                let record = Record::parse(record).unwrap();
                assert_eq!(record.start_ns, next_ns);
                next_ns += i64::from(record.sample_count) * 10_000_000;
            }
            assert!(*first.get_or_insert_with(|| out.clone()) == out, "pieces of {size}");
        }
    }

    #[test]
    fn a_piece_that_starts_off_the_clock_begins_a_record() {
        let samples = [1, 2, 3];
        let mut packer = packer(&samples);
        let mut blocks = Vec::new();
        packer.push(&steady(0, 3), samples.as_slice().into(), |block| blocks.push(block));
        packer.push(&steady(32_000_000, 3), samples.as_slice().into(), |block| blocks.push(block));
        blocks.extend(packer.finish());
        let starts: Vec<i64> =
            packed(&blocks).iter().map(|record| Record::parse(record).unwrap().start_ns).collect();
        assert_eq!(starts, [0, 32_000_000]);
    }
}
