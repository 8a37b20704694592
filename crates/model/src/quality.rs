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
    const DAY_S: f64 = 86_400.0;

    /// When the first sample of the day came, and when the one after the last would have been due.
    pub fn recorded(&self) -> (Timestamp, Timestamp) {
        let (begin, end) = (self.start_time, self.start_time.add_seconds(Self::DAY_S));
        let first = self.gaps.first().filter(|gap| gap.start_time == begin).map_or(begin, |gap| gap.end_time);
        let last = self.gaps.last().filter(|gap| gap.end_time == end).map_or(end, |gap| gap.start_time);
        (first, last.max(first))
    }

    /// What of the day lies between two moments; `None` where nothing does. What lies outside is neither expected nor a
    /// gap. To be taken of a whole day, not of a part of one. Where a moment cuts through samples their count is that of
    /// the time, less the gaps that are named.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> Option<Self> {
        let end = self.start_time.add_seconds(Self::DAY_S);
        let (begin, end) = (self.start_time.max(from), end.min(to));
        if begin >= end {
            return None;
        }
        let inside_s = end.seconds_since(begin);
        let cut = |spans: &[Span]| -> Vec<Span> {
            let cut = spans.iter().map(|span| Span {
                start_time: span.start_time.max(begin),
                end_time: span.end_time.min(end),
            });
            cut.filter(|span| span.start_time < span.end_time).collect()
        };
        let total_s = |spans: &[Span]| spans.iter().map(Span::seconds).sum::<f64>();
        let (gaps, overlaps) = (cut(&self.gaps), cut(&self.overlaps));
        let gap_outside_s = total_s(&self.gaps) - total_s(&gaps);
        let recorded_outside_s = (Self::DAY_S - inside_s - gap_outside_s).max(0.0);
        let count_outside = (recorded_outside_s * self.sample_rate_hz).round() as u64;
        let expected_count = (inside_s * self.sample_rate_hz).round() as u64;
        Some(Self {
            sample_count: self.sample_count.saturating_sub(count_outside).min(expected_count),
            expected_count,
            gap_count: self.gap_count - (self.gaps.len() - gaps.len()) as u64,
            gap_s: (self.gap_s - gap_outside_s).max(0.0),
            overlap_count: self.overlap_count - (self.overlaps.len() - overlaps.len()) as u64,
            overlap_s: (self.overlap_s - total_s(&self.overlaps) + total_s(&overlaps)).max(0.0),
            gaps,
            overlaps,
            ..self.clone()
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: f64) -> Timestamp {
        "2024-03-01T00:00:00Z".parse::<Timestamp>().unwrap().add_seconds(3600.0 * hours)
    }

    /// Recorded from one hour to five, without the half hour from two.
    fn four_hours() -> Continuity {
        let gaps = [(0.0, 1.0), (2.0, 2.5), (5.0, 24.0)]
            .map(|(from, to)| Span { start_time: at(from), end_time: at(to) });
        Continuity {
            source_id: SourceId::from_nslc("XX", "A", "", "HHZ"),
            start_time: at(0.0),
            sample_rate_hz: 100.0,
            sample_count: 1_260_000,
            expected_count: 8_640_000,
            repeated_count: 0,
            gap_count: 3,
            gap_s: 20.5 * 3600.0,
            overlap_count: 0,
            overlap_s: 0.0,
            gaps: gaps.to_vec(),
            overlaps: vec![],
        }
    }

    #[test]
    fn the_rest_of_a_day_is_no_gap_of_what_was_asked_for() {
        let day = four_hours();
        assert_eq!(day.recorded(), (at(1.0), at(5.0)));
        let asked = day.within(at(1.0), at(5.0)).unwrap();
        assert_eq!((asked.sample_count, asked.expected_count), (1_260_000, 1_440_000));
        assert_eq!((asked.gap_count, asked.gap_s, asked.gaps.len()), (1, 1800.0, 1));
        assert!((asked.fraction() - 0.875).abs() < 1e-9);
        let half = day.within(at(4.0), at(30.0)).unwrap();
        assert_eq!((half.sample_count, half.expected_count, half.gap_count), (360_000, 7_200_000, 1));
        assert_eq!(day.within(at(24.0), at(48.0)), None);
        assert_eq!(day.within(at(-5.0), at(30.0)), Some(day));
    }
}
