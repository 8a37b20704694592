//! Order statistics of quality: medians and percentiles, and the timing quality of a day.

use std::collections::BTreeMap;

use seislake_model::{SourceId, Timestamp, Timing};

/// The `fraction` percentile (0 to 1) of sorted values, by linear interpolation between the nearest ranks as NumPy's
/// default (Hyndman & Fan 1996, type 7). NaN where there are no values.
pub fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = last as f64 * fraction.clamp(0.0, 1.0);
    let below = rank.floor() as usize;
    let value = |index: usize| sorted.get(index.min(last)).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(below), value(below + 1));
    low + (high - low) * (rank - below as f64)
}

/// The median of values in any order; `None` where there are none. They are sorted in place.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some(percentile(values, 0.5))
}

/// Timing quality of a channel's day from how many of its records state which percentage (`None`: state nothing).
/// `None` where no record states one.
pub fn timing(source_id: SourceId, day: Timestamp, counts: &BTreeMap<Option<i32>, u64>) -> Option<Timing> {
    let stated: Vec<(i32, u64)> =
        counts.iter().filter_map(|(value, count)| Some(((*value)?, *count))).collect();
    let stated_count: u64 = stated.iter().map(|(_, count)| count).sum();
    let sum: f64 = stated.iter().map(|(value, count)| f64::from(*value) * *count as f64).sum();
    // The value of so high a rank; values are in order.
    let ranked = |rank: u64| {
        let mut passed = 0;
        let reached = stated.iter().find(|(_, count)| {
            passed += count;
            passed > rank
        });
        reached.map_or(f64::NAN, |(value, _)| f64::from(*value))
    };
    Some(Timing {
        source_id,
        start_time: day,
        packet_count: counts.values().sum(),
        stated_count,
        timing_quality_min: stated.first()?.0,
        timing_quality_p50: (ranked((stated_count - 1) / 2) + ranked(stated_count / 2)) / 2.0,
        timing_quality_mean: sum / stated_count as f64,
    })
}
