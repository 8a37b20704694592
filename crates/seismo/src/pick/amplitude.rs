//! Wood-Anderson amplitudes second by second, and the traces cut from them after picks.

use seislake_model::{AmplitudeTrace, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds of noise before a pick, without the last one, into which the onset may reach.
const NOISE_S: i64 = 10;
/// Seconds kept where nobody calls `advance`.
const SECOND_COUNT_MAX: usize = 7200;

/// One second of a channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Second {
    number: i64,
    peak_mm: f32,
    square_sum: f32,
    count: u32,
    clipped: bool,
}

/// Amplitudes of a channel by second, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seconds {
    seconds: Vec<Second>,
}

impl Seconds {
    /// Adds a bin to its second.
    pub(super) fn add(&mut self, number: i64, peak_mm: f64, square_sum: f64, count: u32, clipped: bool) {
        let place = self.seconds.partition_point(|second| second.number < number);
        let (peak_mm, square_sum) = (peak_mm as f32, square_sum as f32);
        match self.seconds.get_mut(place).filter(|second| second.number == number) {
            Some(second) => {
                second.peak_mm = second.peak_mm.max(peak_mm);
                second.square_sum += square_sum;
                second.count += count;
                second.clipped |= clipped;
            }
            None => self.seconds.insert(place, Second { number, peak_mm, square_sum, count, clipped }),
        }
        if self.seconds.len() > SECOND_COUNT_MAX + SECOND_COUNT_MAX / 8 {
            self.seconds.drain(..SECOND_COUNT_MAX / 8);
        }
    }

    /// The trace of `window_s` seconds from the second of `time`; `None` where a second is missing at the begin,
    /// clipped, or no noise was recorded. It ends early where the recording does.
    pub(super) fn trace(
        &self,
        source_id: &SourceId,
        time: Timestamp,
        window_s: i64,
    ) -> Option<AmplitudeTrace> {
        let first = time.nanos().div_euclid(1_000_000_000);
        let begin = self.seconds.partition_point(|second| second.number < first);
        let window: Vec<&Second> = self.seconds[begin..]
            .iter()
            .zip(first..first + window_s)
            .take_while(|(second, number)| second.number == *number)
            .map(|(second, _)| second)
            .collect();
        let noise = self.seconds[..begin]
            .iter()
            .filter(|second| (first - NOISE_S..first - 1).contains(&second.number));
        let (squares, count) = noise.fold((0.0, 0), |(squares, count), second| {
            (squares + f64::from(second.square_sum), count + second.count)
        });
        if window.is_empty() || count == 0 || window.iter().any(|second| second.clipped) {
            return None;
        }
        let trace = AmplitudeTrace {
            source_id: source_id.clone(),
            start_time: Timestamp::from_nanos(first * 1_000_000_000),
            peaks_mm: window.iter().map(|second| second.peak_mm).collect(),
            noise_mm: (squares / f64::from(count)).sqrt() as f32,
        };
        let finite = trace.noise_mm.is_finite() && trace.peaks_mm.iter().all(|peak| peak.is_finite());
        finite.then_some(trace)
    }

    pub(super) fn forget_before(&mut self, number: i64) {
        let keep = self.seconds.partition_point(|second| second.number < number);
        self.seconds.drain(..keep);
    }
}
