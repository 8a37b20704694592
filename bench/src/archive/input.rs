//! Synthetic channels as files, one each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rayon::prelude::*;
use seislake_mseed::{PackSettings, pack};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_seismo::travel_time::{LayeredModel, default_table};

pub(crate) const RATE_HZ: f64 = 100.0;
const HOUR_SAMPLES: usize = 360_000;
/// Hours of a whole day.
pub(crate) const HOURS: usize = 24;
pub(crate) const DAY_SAMPLES: usize = HOURS * HOUR_SAMPLES;
/// 2024-01-02T00:00:00Z.
const START_NS: i64 = 1_704_153_600_000_000_000;

/// Files of one record length, in a folder of their own.
pub(crate) struct Input {
    pub(crate) folder: PathBuf,
    pub(crate) channel_count: usize,
    pub(crate) sample_count: f64,
    pub(crate) byte_count: f64,
}

impl Input {
    /// One file for each of `channel_count` channels with the samples that `samples_of` makes for it, in records of
    /// `record_length` bytes.
    pub(crate) fn make(
        folder: PathBuf,
        channel_count: usize,
        record_length: usize,
        samples_of: impl Fn(usize) -> Vec<i32> + Sync,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let written: Vec<anyhow::Result<(usize, usize)>> = (0..channel_count)
            .into_par_iter()
            .map(|channel| {
                let samples = samples_of(channel);
                let (station, orientation) = (channel / 3, ["Z", "N", "E"][channel % 3]);
                let source_id = format!("FDSN:XX_B{station:04}__H_H_{orientation}");
                let mut settings = PackSettings::new(source_id, START_NS, RATE_HZ);
                settings.record_length = record_length;
                let bytes = pack(&settings, samples.as_slice())?.concat();
                let name = format!("XX.B{station:04}..HH{orientation}.mseed");
                let mut file = fs::File::create(folder.join(name))?;
                file.write_all(&bytes)?;
                // Else the disk is busy with the input while an import is timed.
                file.sync_all()?;
                Ok((samples.len(), bytes.len()))
            })
            .collect();
        let (mut sample_count, mut byte_count) = (0, 0);
        for channel in written {
            let (samples, bytes) = channel?;
            sample_count += samples;
            byte_count += bytes;
        }
        let (sample_count, byte_count) = (sample_count as f64, byte_count as f64);
        Ok(Self { folder, channel_count, sample_count, byte_count })
    }

    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        Ok(files)
    }

    pub(crate) fn first_file(&self) -> anyhow::Result<PathBuf> {
        self.files()?.into_iter().next().context("the input is empty")
    }

    /// Deletes the files.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| remove_what(&self.folder))
    }
}

fn remove_what(folder: &Path) -> String {
    format!("cannot remove \"{}\"", folder.display())
}

/// One hour of three channels of a synthetic station, counts.
pub(crate) struct SyntheticHour(Vec<Vec<i32>>);

impl SyntheticHour {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let settings = SyntheticSettings {
            station_count: 30,
            duration_s: HOUR_SAMPLES as f64 / RATE_HZ,
            sample_rate_hz: RATE_HZ,
            ..SyntheticSettings::default()
        };
        let network = SyntheticNetwork::new(settings, &default_table(&LayeredModel::iasp91()));
        let channels: Vec<Vec<i32>> = (0..3.min(network.channel_count()))
            .map(|index| {
                let mut samples = vec![0; HOUR_SAMPLES];
                network.generator(index).fill(0, &mut samples);
                samples
            })
            .collect();
        anyhow::ensure!(!channels.is_empty(), "the synthetic network has no channel");
        Ok(Self(channels))
    }

    /// So many hours of a channel. Every channel and hour has its own shift, so that nothing repeats in step.
    pub(crate) fn repeated(&self, channel: usize, hours: usize) -> Vec<i32> {
        let base = &self.0[channel % self.0.len()];
        let mut samples = Vec::with_capacity(hours * base.len());
        for part in 0..hours {
            let shift = (channel * 7919 + part * 104_729) % base.len();
            samples.extend_from_slice(&base[shift..]);
            samples.extend_from_slice(&base[..shift]);
        }
        samples
    }
}
