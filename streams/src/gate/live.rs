//! Watermarks of live records: each partition follows the records it got, a silent one follows the others.

use seislake_model::Timestamp;

use crate::message::Watermark;

/// How live records keep time.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// Records may be this late and still count. Larger finds more, later.
    pub lateness_s: f64,
    /// A partition without records for this long is told the time by the others.
    pub idle_after_s: f64,
    /// Punctuation of a partition comes at least this far apart, in data time.
    pub interval_s: f64,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self { lateness_s: 10.0, idle_after_s: 20.0, interval_s: 1.0 }
    }
}

/// A record that claims to end this long after its arrival has a wrong clock: it does not move the time.
const FUTURE_S_MAX: f64 = 30.0;

#[derive(Clone, Copy, Debug, Default)]
struct PartitionTimes {
    /// Latest sample.
    newest: Option<Timestamp>,
    /// Records since the last look at the clock.
    fresh: bool,
    /// When there were some.
    heard_at: Option<Timestamp>,
    /// Last watermark given out here.
    said: Option<Timestamp>,
}

/// Times of the live records of all partitions.
#[derive(Debug)]
pub(super) struct LiveTimes {
    partitions: Vec<PartitionTimes>,
}

impl LiveTimes {
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions: vec![PartitionTimes::default(); partitions] }
    }

    /// A record was accepted. Those of archives, without a time of arrival, do not count.
    pub(super) fn note(&mut self, partition: usize, last_sample: Timestamp, arrival: Option<Timestamp>) {
        let (Some(times), Some(arrival)) = (self.partitions.get_mut(partition), arrival) else { return };
        if last_sample.seconds_since(arrival) <= FUTURE_S_MAX {
            times.newest = times.newest.max(Some(last_sample));
            times.fresh = true;
        }
    }

    /// The watermarks that are due at `now`.
    pub(super) fn due(&mut self, now: Timestamp, settings: &LiveSettings) -> Vec<(usize, Watermark)> {
        for times in self.partitions.iter_mut().filter(|times| times.fresh) {
            (times.fresh, times.heard_at) = (false, Some(now));
        }
        let newest_of_all = self.partitions.iter().filter_map(|times| times.newest).max();
        let mut due = Vec::new();
        for (partition, times) in self.partitions.iter_mut().enumerate() {
            let heard = times.heard_at.get_or_insert(now);
            let silent = now.seconds_since(*heard) >= settings.idle_after_s;
            let Some(newest) = (if silent { newest_of_all } else { times.newest }) else { continue };
            let watermark = newest.add_seconds(-settings.lateness_s);
            let far = times.said.is_none_or(|said| watermark.seconds_since(said) >= settings.interval_s);
            if far {
                times.said = Some(watermark);
                due.push((partition, Watermark(watermark)));
            }
        }
        due
    }
}
