//! Continuity bars: one strip a channel; blue is there, red is missing, amber is there twice.

use std::collections::BTreeMap;

use seislake_model::{Continuity, SourceId, Timestamp};

use super::drawing::{AMBER, Anchor, BLUE, Drawing, EMPTY, INK, RED};
use super::{DAY_NS, LEFT, RIGHT, STRIP, STRIPS_MAX, TOP, Times, WIDTH, head, name, shown};

/// A gap of a second must be seen in a picture of a month.
const WIDTH_MIN: f64 = 1.0;

/// Bars of `rows` (days) between two moments. A day without a row is grey. The first and the last
/// day must be given as far as they lie between the moments ([`Continuity::within`]).
pub fn continuity_bars(rows: &[Continuity], from: Timestamp, to: Timestamp) -> String {
    let mut channels: BTreeMap<&SourceId, Vec<&Continuity>> = BTreeMap::new();
    for row in rows {
        channels.entry(&row.source_id).or_default().push(row);
    }
    let length_s = to.seconds_since(from);
    let mut strips: Vec<(&SourceId, Vec<&Continuity>, f64)> =
        channels.into_iter().map(|(id, rows)| (id, rows.clone(), percent(&rows, length_s))).collect();
    let all = strips.len();
    strips.sort_by(|one, other| one.2.total_cmp(&other.2).then(one.0.cmp(other.0)));
    strips.truncate(STRIPS_MAX);
    strips.sort_by_key(|(id, _, _)| *id);

    let mut drawing = Drawing::default();
    let caption = shown(strips.len(), all, "channels", "lowest continuity");
    head(&mut drawing, "Continuity", &format!("{from} to {to}; {caption}"));
    drawing.legend(
        (LEFT, 66.0),
        &[(BLUE, "there"), (RED, "gap"), (AMBER, "overlap"), (EMPTY, "no data that day")],
    );
    let bottom = TOP + STRIP * strips.len() as f64;
    let times = Times { from, to, left: LEFT, right: RIGHT };
    for (index, (id, rows, percent)) in strips.iter().enumerate() {
        let y = TOP + STRIP * index as f64 + 3.0;
        let size = STRIP - 6.0;
        drawing.text((LEFT - 8.0, y + 10.0), Anchor::End, INK, &name(id));
        drawing.rect((LEFT, y), (RIGHT - LEFT, size), EMPTY);
        let mut bar = |start: Timestamp, end: Timestamp, fill: &str| {
            let (left, right) = (times.x(start), times.x(end));
            drawing.rect((left, y), ((right - left).max(WIDTH_MIN), size), fill);
        };
        for (start, end) in stretches(rows) {
            bar(start, end, BLUE);
        }
        for row in rows {
            row.gaps.iter().for_each(|gap| bar(gap.start_time, gap.end_time, RED));
            row.overlaps.iter().for_each(|overlap| bar(overlap.start_time, overlap.end_time, AMBER));
        }
        drawing.text((RIGHT + 8.0, y + 10.0), Anchor::Start, INK, &format!("{percent:.3} %"));
    }
    times.draw(&mut drawing, bottom, bottom + 5.0);
    drawing.finish(WIDTH, bottom + 40.0)
}

/// Days that follow one another as one stretch: no seams between bars.
fn stretches(rows: &[&Continuity]) -> Vec<(Timestamp, Timestamp)> {
    let mut days: Vec<Timestamp> = rows.iter().map(|row| row.start_time).collect();
    days.sort_unstable();
    let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
    for day in days {
        let next = day.add_nanos(DAY_NS);
        match stretches.last_mut() {
            Some((_, end)) if *end == day => *end = next,
            _ => stretches.push((day, next)),
        }
    }
    stretches
}

/// Received of what was expected in the time of the picture, in percent.
fn percent(rows: &[&Continuity], length_s: f64) -> f64 {
    let received: f64 = rows.iter().map(|row| row.sample_count.min(row.expected_count) as f64).sum();
    let rate_hz = rows.iter().map(|row| row.sample_rate_hz).sum::<f64>() / rows.len().max(1) as f64;
    (100.0 * received / (rate_hz * length_s).max(1.0)).min(100.0)
}
