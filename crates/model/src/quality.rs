//! What is known of the quality of the data of a channel: rows of the `quality.*` tables.
//!
//! Every row speaks of one UTC day (or hour) and replaces an older row of the same channel and time.

use serde::{Deserialize, Serialize};

use crate::{SourceId, Timestamp};

/// A stretch of time: from the first moment to the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First moment.
    pub start_time: Timestamp,
    /// The moment after the last.
    pub end_time: Timestamp,
}

impl Span {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.end_time.seconds_since(self.start_time)
    }
}

/// What of a channel's day is there: a row of `quality.continuity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continuity {
    /// Channel.
    pub source_id: SourceId,
    /// First moment of the UTC day.
    pub start_time: Timestamp,
    /// Sample rate of most samples of the day.
    pub sample_rate_hz: f64,
    /// Samples received, repeated ones counted once.
    pub sample_count: u64,
    /// Samples of a day without gaps.
    pub expected_count: u64,
    /// Samples that came again: duplicates and overlaps.
    pub repeated_count: u64,
    /// Gaps, those at the begin and the end of the day included.
    pub gap_count: u64,
    /// Length of all gaps, seconds.
    pub gap_s: f64,
    /// Stretches that are there more than once.
    pub overlap_count: u64,
    /// Length of all overlaps, seconds.
    pub overlap_s: f64,
    /// The longest gaps, in order of time.
    pub gaps: Vec<Span>,
    /// The longest overlaps, in order of time.
    pub overlaps: Vec<Span>,
}

impl Continuity {
    /// Received over expected, between 0 and 1.
    pub fn fraction(&self) -> f64 {
        (self.sample_count as f64 / self.expected_count.max(1) as f64).min(1.0)
    }
}

/// How long the live packets of a channel's hour took to arrive: a row of `quality.latency`.
/// A latency is the arrival time of a packet minus the time of its last sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Channel.
    pub source_id: SourceId,
    /// First moment of the UTC hour in which the packets begin.
    pub start_time: Timestamp,
    /// Live packets.
    pub packet_count: u64,
    /// Least latency, seconds; negative where a clock is wrong.
    pub latency_min_s: f64,
    /// Median, seconds.
    pub latency_p50_s: f64,
    /// 90th percentile, seconds.
    pub latency_p90_s: f64,
    /// 99th percentile, seconds.
    pub latency_p99_s: f64,
    /// Greatest latency, seconds.
    pub latency_max_s: f64,
    /// Packets by latency, half an octave a bin; the first begins at 0.01 s and takes all below.
    pub bin_counts: Vec<i32>,
}

impl Latency {
    /// Bins of [`Latency::bin_counts`]: half an octave each, up to about two hours.
    pub const BIN_COUNT: usize = 40;
    const FIRST_BIN_S: f64 = 0.01;
    const BINS_PER_OCTAVE: f64 = 2.0;

    /// Latency at which a bin begins, seconds. The first bin takes everything below too, the last everything above.
    pub fn bin_start_s(bin: usize) -> f64 {
        Self::FIRST_BIN_S * (bin as f64 / Self::BINS_PER_OCTAVE).exp2()
    }

    /// The bin of a latency.
    pub fn bin_of(latency_s: f64) -> usize {
        let bin = ((latency_s / Self::FIRST_BIN_S).log2() * Self::BINS_PER_OCTAVE).floor();
        // Latencies that are not positive have no logarithm: the first bin.
        if bin > 0.0 { (bin as usize).min(Self::BIN_COUNT - 1) } else { 0 }
    }
}

/// How the energies of the components of one sensor compare on a UTC day: a row of `quality.component_ratios`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentRatios {
    /// The sensor: the source id without its last code, `FDSN:NET_STA_LOC_B_S`.
    pub instrument_id: String,
    /// First moment of the UTC day.
    pub start_time: Timestamp,
    /// Codes of the components taken as vertical, north and east: `ZNE` or `Z12`.
    pub components: String,
    /// Sample rate.
    pub sample_rate_hz: f64,
    /// Lower corner of the band pass.
    pub low_hz: f64,
    /// Upper corner of the band pass.
    pub high_hz: f64,
    /// Windows in which at least two components are complete.
    pub window_count: u64,
    /// Median over the windows of the energy of north over east.
    pub north_east: Option<f64>,
    /// Median over the windows of the energy of vertical over east.
    pub vertical_east: Option<f64>,
    /// Median over the windows of the energy of vertical over north.
    pub vertical_north: Option<f64>,
}

/// What is to be thought of a channel's day by its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing conspicuous.
    Good,
    /// Hardly anything but one value.
    Dead,
    /// Flat tops: stretches at the extreme values.
    Clipped,
    /// Many lone samples far away from their neighbours.
    Spiky,
}

impl Condition {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Dead => "dead",
            Self::Clipped => "clipped",
            Self::Spiky => "spiky",
        }
    }
}

/// Levels of a channel's samples on a UTC day: a row of `quality.signal_levels`. Values in the unit of the samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalLevel {
    /// Channel.
    pub source_id: SourceId,
    /// First moment of the UTC day.
    pub start_time: Timestamp,
    /// Samples looked at.
    pub sample_count: u64,
    /// Least value.
    pub minimum: f64,
    /// Greatest value.
    pub maximum: f64,
    /// Mean: the offset.
    pub mean: f64,
    /// Root mean square about the mean.
    pub rms: f64,
    /// Longest stretch of equal samples, seconds.
    pub constant_s: f64,
    /// Samples on flat tops.
    pub clipped_count: u64,
    /// Lone samples far away from both neighbours.
    pub spike_count: u64,
    /// What follows from all this.
    pub condition: Condition,
}

/// Timing quality that the records of a channel's day state: a row of `quality.timing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Channel.
    pub source_id: SourceId,
    /// First moment of the UTC day.
    pub start_time: Timestamp,
    /// Records that begin on the day.
    pub packet_count: u64,
    /// Records that state a timing quality.
    pub stated_count: u64,
    /// Least timing quality, percent.
    pub timing_quality_min: i32,
    /// Median timing quality, percent.
    pub timing_quality_p50: f64,
    /// Mean timing quality, percent.
    pub timing_quality_mean: f64,
}
