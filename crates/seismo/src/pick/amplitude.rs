//! Wood-Anderson amplitudes second by second, and the traces cut from them after picks.
//!
//! They are taken twice: whole, and above 2 Hz, where the picker sees arrivals. Below, microseisms and the noise of
//! accelerometers, integrated twice, are strongest, while earthquakes of M < 3 radiate above. Where the noise hides a
//! second in the whole record, but not in the high part, the trace brings both.

use seislake_model::{AmplitudeTrace, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds of noise before a pick, without the last one, into which the onset may reach.
const NOISE_S: i64 = 10;
/// Seconds kept where nobody calls `advance`.
const SECOND_COUNT_MAX: usize = 7200;

/// A peak stands out of noise with so many times its root mean square, as `MagnitudeSettings` has it.
const SNR_CLEAR: f32 = 4.0;

/// One second of a channel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Second {
    pub(super) number: i64,
    pub(super) peak_mm: f32,
    pub(super) square_sum: f32,
    pub(super) count: u32,
    pub(super) clipped: bool,
    #[serde(default)]
    pub(super) high_peak_mm: f32,
    #[serde(default)]
    pub(super) high_square_sum: f32,
}

/// Amplitudes of a channel by second, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Seconds {
    seconds: Vec<Second>,
}

impl Seconds {
    /// Adds a part of a second.
    pub(super) fn add(&mut self, part: Second) {
        let place = self.seconds.partition_point(|second| second.number < part.number);
        match self.seconds.get_mut(place).filter(|second| second.number == part.number) {
            Some(second) => {
                second.peak_mm = second.peak_mm.max(part.peak_mm);
                second.square_sum += part.square_sum;
                second.count += part.count;
                second.clipped |= part.clipped;
                second.high_peak_mm = second.high_peak_mm.max(part.high_peak_mm);
                second.high_square_sum += part.high_square_sum;
            }
            None => self.seconds.insert(place, part),
        }
        if self.seconds.len() > SECOND_COUNT_MAX + SECOND_COUNT_MAX / 8 {
            self.seconds.drain(..SECOND_COUNT_MAX / 8);
        }
    }

    /// The trace of `window_s` seconds from the second of `time`; `None` where the first second is missing or clipped, or
    /// no noise was recorded. It ends early where the recording does, and before a clipped second: that may be a later,
    /// larger earthquake.
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
            .take_while(|(second, number)| second.number == *number && !second.clipped)
            .map(|(second, _)| second)
            .collect();
        let noise = self.seconds[..begin]
            .iter()
            .filter(|second| (first - NOISE_S..first - 1).contains(&second.number));
        let (squares, high_squares, count) = noise.fold((0.0, 0.0, 0), |(squares, high, count), second| {
            let high = high + f64::from(second.high_square_sum);
            (squares + f64::from(second.square_sum), high, count + second.count)
        });
        if window.is_empty() || count == 0 {
            return None;
        }
        let noise_mm = (squares / f64::from(count)).sqrt() as f32;
        let high_noise_mm = (high_squares / f64::from(count)).sqrt() as f32;
        let hidden = |second: &&&Second| {
            second.peak_mm < SNR_CLEAR * noise_mm && second.high_peak_mm > SNR_CLEAR * high_noise_mm
        };
        let high = if window.iter().any(|second| hidden(&second)) { window.as_slice() } else { &[] };
        let trace = AmplitudeTrace {
            source_id: source_id.clone(),
            start_time: Timestamp::from_nanos(first * 1_000_000_000),
            peaks_mm: window.iter().map(|second| second.peak_mm).collect(),
            noise_mm,
            high_peaks_mm: high.iter().map(|second| second.high_peak_mm).collect(),
            high_noise_mm,
            at: None,
        };
        let peaks = trace.peaks_mm.iter().chain(&trace.high_peaks_mm);
        let finite = noise_mm.is_finite() && high_noise_mm.is_finite() && peaks.copied().all(f32::is_finite);
        finite.then_some(trace)
    }

    pub(super) fn forget_before(&mut self, number: i64) {
        let keep = self.seconds.partition_point(|second| second.number < number);
        self.seconds.drain(..keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_ends_before_a_clipped_second() {
        let mut seconds = Seconds::default();
        for number in 0..60 {
            seconds.add(Second {
                number,
                peak_mm: number as f32,
                square_sum: 1.0,
                count: 100,
                clipped: (40..50).contains(&number),
                high_peak_mm: 0.0,
                high_square_sum: 1.0,
            });
        }
        let id = SourceId::from_nslc("XX", "ABC", "", "HHN");
        let from = |second: i64| seconds.trace(&id, Timestamp::from_nanos(second * 1_000_000_000), 30);
        assert_eq!(from(20).unwrap().peaks_mm, (20..40).map(|peak| peak as f32).collect::<Vec<_>>());
        assert_eq!(from(5).unwrap().peaks_mm.len(), 30);
        assert_eq!(from(39).unwrap().peaks_mm.len(), 1);
        assert!(from(40).is_none() && from(45).is_none());
        assert_eq!(from(50).unwrap().peaks_mm.len(), 10);
    }
}
