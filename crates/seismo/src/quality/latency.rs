//! Latency of live packets: arrival time minus the time of the last sample.
//!
//! Records replayed from an archive have no arrival time and must not come here: their latency says nothing.

use seislake_model::{Latency, SourceId, Timestamp};

use super::statistics::percentile;

/// The row of one channel and hour from the latencies (seconds, any order, sorted in place) of its live packets.
/// `None` where there are none; NaN are left out. `n log n`.
pub fn latency(source_id: SourceId, hour: Timestamp, latencies_s: &mut Vec<f64>) -> Option<Latency> {
    latencies_s.retain(|latency_s| !latency_s.is_nan());
    latencies_s.sort_unstable_by(f64::total_cmp);
    let (least, greatest) = (*latencies_s.first()?, *latencies_s.last()?);
    let mut bin_counts = vec![0_i32; Latency::BIN_COUNT];
    for latency_s in latencies_s.iter() {
        if let Some(count) = bin_counts.get_mut(Latency::bin_of(*latency_s)) {
            *count = count.saturating_add(1);
        }
    }
    Some(Latency {
        source_id,
        start_time: hour,
        packet_count: latencies_s.len() as u64,
        latency_min_s: least,
        latency_p50_s: percentile(latencies_s, 0.5),
        latency_p90_s: percentile(latencies_s, 0.9),
        latency_p99_s: percentile(latencies_s, 0.99),
        latency_max_s: greatest,
        bin_counts,
    })
}
