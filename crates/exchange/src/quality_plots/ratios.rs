//! Component ratio curves: one panel a sensor, days along, energy ratios on a logarithmic axis.

use std::collections::BTreeMap;

use seislake_model::{ComponentRatios, Timestamp};

use super::drawing::{AMBER, Anchor, BLUE, Drawing, GREEN, INK, RULE, SOFT};
use super::{DAY_NS, Times, WIDTH, head, shown};

/// Panels in one picture.
const PANELS_MAX: usize = 40;
const COLUMNS: usize = 2;
const PANEL: (f64, f64) = (530.0, 150.0);
const TOP: f64 = 84.0;

type Curve = (&'static str, fn(&ComponentRatios) -> Option<f64>);

const CURVES: [Curve; 3] =
    [(BLUE, |row| row.north_east), (AMBER, |row| row.vertical_east), (GREEN, |row| row.vertical_north)];

/// Curves of `rows` (days) between two moments.
pub fn ratio_curves(rows: &[ComponentRatios], from: Timestamp, to: Timestamp) -> String {
    let mut sensors: BTreeMap<&str, Vec<&ComponentRatios>> = BTreeMap::new();
    for row in rows {
        sensors.entry(&row.instrument_id).or_default().push(row);
    }
    let mut panels: Vec<(&str, Vec<&ComponentRatios>)> = sensors.into_iter().collect();
    let all = panels.len();
    panels.sort_by(|one, other| spread(&other.1).total_cmp(&spread(&one.1)).then(one.0.cmp(other.0)));
    panels.truncate(PANELS_MAX);
    panels.sort_by_key(|(id, _)| *id);

    let mut drawing = Drawing::default();
    let band = rows.first().map_or(String::new(), |row| format!(", {} to {} Hz", row.low_hz, row.high_hz));
    let caption = shown(panels.len(), all, "sensors", "largest changes");
    head(
        &mut drawing,
        "Component energy ratios",
        &format!("daily medians of five-minute windows{band}; {caption}"),
    );
    drawing.legend(
        (20.0, 68.0),
        &[(BLUE, "north / east"), (AMBER, "vertical / east"), (GREEN, "vertical / north")],
    );
    for (index, (id, rows)) in panels.iter().enumerate() {
        let x = (index % COLUMNS) as f64 * PANEL.0;
        let y = TOP + (index / COLUMNS) as f64 * PANEL.1;
        panel(&mut drawing, (x, y), id, rows, (from, to));
    }
    let height = TOP + panels.len().div_ceil(COLUMNS) as f64 * PANEL.1 + 20.0;
    drawing.finish(WIDTH, height)
}

fn values(rows: &[&ComponentRatios], curve: fn(&ComponentRatios) -> Option<f64>) -> Vec<(Timestamp, f64)> {
    let positive = |row: &&ComponentRatios| {
        let value = curve(row).filter(|value| *value > 0.0)?;
        Some((row.start_time, value.log10()))
    };
    rows.iter().filter_map(positive).collect()
}

/// Largest range of the logarithm of a ratio.
fn spread(rows: &[&ComponentRatios]) -> f64 {
    let range = |(_, curve): &Curve| {
        let logs = values(rows, *curve);
        let fold = |pick: fn(f64, f64) -> f64, start: f64| logs.iter().map(|(_, log)| *log).fold(start, pick);
        fold(f64::max, f64::NEG_INFINITY) - fold(f64::min, f64::INFINITY)
    };
    CURVES.iter().map(range).fold(0.0, f64::max)
}

fn panel(
    drawing: &mut Drawing,
    (x, y): (f64, f64),
    id: &str,
    rows: &[&ComponentRatios],
    (from, to): (Timestamp, Timestamp),
) {
    let times = Times { from, to, left: x + 50.0, right: x + PANEL.0 - 20.0 };
    let (top, bottom) = (y + 24.0, y + PANEL.1 - 26.0);
    let logs: Vec<f64> =
        CURVES.iter().flat_map(|(_, curve)| values(rows, *curve)).map(|(_, log)| log).collect();
    let low = logs.iter().copied().fold(0.0, f64::min).floor().max(-9.0);
    let high = logs.iter().copied().fold(0.0, f64::max).ceil().clamp(low + 1.0, 9.0);
    let place = |log: f64| bottom - (log.clamp(low, high) - low) / (high - low) * (bottom - top);
    drawing.text((times.left, y + 16.0), Anchor::Start, INK, id);
    let step = ((high - low) / 5.0).ceil().max(1.0);
    let mut decade = low;
    while decade <= high {
        drawing.line((times.left, place(decade)), (times.right, place(decade)), RULE);
        let label =
            if decade.abs() < 4.0 { format!("{}", 10_f64.powf(decade)) } else { format!("1e{decade}") };
        drawing.text((times.left - 6.0, place(decade) + 4.0), Anchor::End, SOFT, &label);
        decade += step;
    }
    for (tick, label) in times.ticks(90.0) {
        drawing.line((tick, bottom), (tick, bottom + 4.0), SOFT);
        drawing.text((tick, bottom + 15.0), Anchor::Middle, SOFT, &label);
    }
    for (stroke, curve) in CURVES {
        // A day is drawn at its noon; days that do not follow one another are not joined.
        let days = values(rows, curve);
        let mut stretch: Vec<(f64, f64)> = Vec::new();
        let mut before: Option<Timestamp> = None;
        for (day, log) in days {
            let point = (times.x(day.add_nanos(DAY_NS / 2)), place(log));
            if before.is_some_and(|before| day.nanos() - before.nanos() > DAY_NS) {
                drawing.curve(&stretch, stroke);
                stretch.clear();
            }
            stretch.push(point);
            drawing.dot(point, stroke);
            before = Some(day);
        }
        drawing.curve(&stretch, stroke);
    }
}
