//! Parallel decompression of many files, on one core and on two.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use seislake_mseed::{Samples, ScanItem, Scanner};

use super::input::Input;
use crate::decode::peer;
use crate::measure::{Measure, RUNS, median};

const FILE_COUNT: usize = 140;

/// Medians of several runs, one core and two in turn.
pub(crate) fn run(input: &Input, python: &str) -> anyhow::Result<Vec<Measure>> {
    let files = input.files()?;
    let repeated: Vec<&PathBuf> = files.iter().cycle().take(FILE_COUNT).collect();
    let seconds_on = |cores: usize| -> anyhow::Result<f64> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cores).build()?;
        let begin = Instant::now();
        pool.install(|| repeated.par_iter().try_for_each(|file| decompress(file)))?;
        Ok(begin.elapsed().as_secs_f64())
    };
    // Once before, so that all runs find the files in memory.
    seconds_on(2)?;
    let (mut ones_s, mut twos_s) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ones_s.push(seconds_on(1)?);
        twos_s.push(seconds_on(2)?);
    }
    let (one_s, two_s) = (median(ones_s), median(twos_s));
    let rate = input.sample_count / files.len() as f64 * FILE_COUNT as f64 / two_s / 1e6;
    let name = format!("decompression of {FILE_COUNT} files, two cores to one, median of {RUNS}");
    let measure = Measure::new("   the same, two cores", rate, "M samples/s");
    Ok(vec![
        Measure::new(name, one_s / two_s, "times").at_least(1.8),
        match obspy_samples_per_s(&input.folder, python) {
            Some(serial) => measure.beside("obspy, one file behind the other", serial / 1e6),
            None => measure,
        },
    ])
}

/// ObsPy on the same files, median of several runs; `None` where it cannot run.
fn obspy_samples_per_s(folder: &Path, python: &str) -> Option<f64> {
    peer(include_str!("../peers/obspy_serial.py"), folder, RUNS, python)
}

fn decompress(file: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(file)?;
    let mut samples = Samples::default();
    for scanned in Scanner::new(&bytes) {
        if let ScanItem::Record { record, .. } = scanned {
            record.decode_into(&mut samples)?;
            std::hint::black_box(&samples);
        }
    }
    Ok(())
}
