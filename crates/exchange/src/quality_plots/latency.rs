//! Latency violins: one strip a channel, its width the share of packets by latency on a logarithmic axis.

use std::collections::BTreeMap;

use seislake_model::{Latency, SourceId};

use super::drawing::{Anchor, BLUE, Drawing, INK, RED, RULE, SOFT};
use super::{LEFT, RIGHT, STRIPS_MAX, TOP, WIDTH, head, name, shown};

const STRIP: f64 = 26.0;
/// The violins end here: the percentiles stand to the right.
const END: f64 = RIGHT - 70.0;

/// All packets of a channel by latency.
struct Histogram {
    counts: Vec<f64>,
}

impl Histogram {
    fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// A percentile to half an octave: interpolated on the logarithm within its bin.
    fn percentile_s(&self, fraction: f64) -> f64 {
        let wanted = self.total() * fraction;
        let mut passed = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            if passed + count >= wanted && *count > 0.0 {
                let within = ((wanted - passed) / count).clamp(0.0, 1.0);
                let (low, high) = (Latency::bin_start_s(bin), Latency::bin_start_s(bin + 1));
                return low * (high / low).powf(within);
            }
            passed += count;
        }
        Latency::bin_start_s(self.counts.len())
    }
}

/// Violins of `rows` (hours).
pub fn latency_violins(rows: &[Latency]) -> String {
    let mut channels: BTreeMap<&SourceId, Histogram> = BTreeMap::new();
    for row in rows {
        let histogram = channels
            .entry(&row.source_id)
            .or_insert_with(|| Histogram { counts: vec![0.0; Latency::BIN_COUNT] });
        for (sum, count) in histogram.counts.iter_mut().zip(&row.bin_counts) {
            *sum += f64::from(*count);
        }
    }
    let mut strips: Vec<(&SourceId, Histogram)> = channels.into_iter().collect();
    let all = strips.len();
    strips.sort_by(|one, other| {
        other.1.percentile_s(0.9).total_cmp(&one.1.percentile_s(0.9)).then(one.0.cmp(other.0))
    });
    strips.truncate(STRIPS_MAX);
    strips.sort_by_key(|(id, _)| *id);

    let mut drawing = Drawing::default();
    let caption = shown(strips.len(), all, "channels", "highest p90");
    head(
        &mut drawing,
        "Latency of live packets",
        &format!("arrival minus last sample, by number of packets; {caption}"),
    );
    drawing.legend((LEFT, 66.0), &[(BLUE, "packets"), (INK, "p50"), (RED, "p90")]);
    let bottom = TOP + STRIP * strips.len() as f64;
    axis(&mut drawing, bottom);
    for (index, (id, histogram)) in strips.iter().enumerate() {
        let middle = TOP + STRIP * (index as f64 + 0.5);
        drawing.text((LEFT - 8.0, middle + 4.0), Anchor::End, INK, &name(id));
        drawing.polygon(&outline(histogram, middle), BLUE);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|fraction| histogram.percentile_s(fraction));
        for (latency_s, stroke) in [(p50, INK), (p90, RED)] {
            drawing.line((x(latency_s), middle - 9.0), (x(latency_s), middle + 9.0), stroke);
        }
        let text = format!("{} / {} / {}", short(p50), short(p90), short(p99));
        drawing.text((END + 10.0, middle + 4.0), Anchor::Start, INK, &text);
    }
    drawing.text((END + 10.0, TOP - 8.0), Anchor::Start, SOFT, "p50 / p90 / p99");
    drawing.finish(WIDTH, bottom + 40.0)
}

fn x(latency_s: f64) -> f64 {
    let (low, high) = (Latency::bin_start_s(0), Latency::bin_start_s(Latency::BIN_COUNT));
    LEFT + ((latency_s / low).ln() / (high / low).ln()).clamp(0.0, 1.0) * (END - LEFT)
}

fn axis(drawing: &mut Drawing, bottom: f64) {
    for (latency_s, label) in [
        (0.01, "10 ms"),
        (0.1, "0.1 s"),
        (1.0, "1 s"),
        (10.0, "10 s"),
        (60.0, "1 min"),
        (600.0, "10 min"),
        (3600.0, "1 h"),
    ] {
        drawing.line((x(latency_s), TOP), (x(latency_s), bottom + 5.0), RULE);
        drawing.text((x(latency_s), bottom + 18.0), Anchor::Middle, SOFT, label);
    }
}

/// Points over and under the middle, as high as the share of the fullest bin.
fn outline(histogram: &Histogram, middle: f64) -> Vec<(f64, f64)> {
    let most = histogram.counts.iter().copied().fold(1.0, f64::max);
    let centre = |bin: usize| (Latency::bin_start_s(bin) * Latency::bin_start_s(bin + 1)).sqrt();
    let used = |count: &f64| *count > 0.0;
    let first = histogram.counts.iter().position(used).unwrap_or(0);
    let last = histogram.counts.iter().rposition(used).unwrap_or(0);
    let mut upper = vec![(x(Latency::bin_start_s(first)), middle)];
    for (bin, count) in histogram.counts.iter().enumerate().take(last + 1).skip(first) {
        upper.push((x(centre(bin)), middle - (STRIP / 2.0 - 2.0) * count / most));
    }
    upper.push((x(Latency::bin_start_s(last + 1)), middle));
    let lower: Vec<(f64, f64)> = upper.iter().rev().map(|(x, y)| (*x, 2.0 * middle - y)).collect();
    upper.extend(lower);
    upper
}

/// Two figures with a unit.
fn short(latency_s: f64) -> String {
    match latency_s {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
