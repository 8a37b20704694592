//! Pictures of quality as SVG: continuity bars, latency violins, component ratio curves.
//!
//! ```text
//! rows of quality.* ─► one strip (or panel) a channel, over a common axis ─► Drawing ─► SVG text
//! ```
//! A picture shows as many channels as can be told apart; where there are more it shows the worst and says so. The
//! same rows give the same text.

mod continuity;
mod drawing;
mod latency;
mod ratios;

pub use continuity::continuity_bars;
pub use latency::latency_violins;
pub use ratios::ratio_curves;

use seislake_model::Timestamp;

use drawing::{Anchor, Drawing, RULE, SOFT};

/// Strips in one picture.
pub const STRIPS_MAX: usize = 100;

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 1000.0;
const TOP: f64 = 74.0;
const STRIP: f64 = 18.0;
const DAY_NS: i64 = 86_400_000_000_000;

/// The time axis of a picture.
#[derive(Clone, Copy, Debug)]
struct Times {
    from: Timestamp,
    to: Timestamp,
    left: f64,
    right: f64,
}

impl Times {
    fn x(&self, time: Timestamp) -> f64 {
        let length = self.to.seconds_since(self.from).max(1e-9);
        let part = time.seconds_since(self.from) / length;
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Ticks at whole days (or hours of a short stretch), at most about one in so many pixels.
    fn ticks(&self, pixels: f64) -> Vec<(f64, String)> {
        const STEPS_H: [i64; 12] = [1, 3, 6, 12, 24, 48, 120, 240, 720, 1440, 2880, 8760];
        let hours = self.to.seconds_since(self.from) / 3600.0;
        let wanted = ((self.right - self.left) / pixels).max(1.0);
        let step_h = STEPS_H.into_iter().find(|step| hours / *step as f64 <= wanted).unwrap_or(8760);
        let step_ns = step_h * (DAY_NS / 24);
        let first = self.from.nanos().div_euclid(step_ns) * step_ns;
        let first = if first < self.from.nanos() { first + step_ns } else { first };
        let moments = (0..).map(|index: i64| Timestamp::from_nanos(first + index * step_ns));
        let moments = moments.take_while(|moment| *moment <= self.to);
        let label = |moment: Timestamp| {
            let text = moment.to_string();
            let (day, time) = text.split_at_checked(10).unwrap_or((&text, ""));
            let time = time.trim_start_matches('T').get(..5).unwrap_or("");
            if step_h < 24 && time != "00:00" { time.to_owned() } else { day.to_owned() }
        };
        moments.map(|moment| (self.x(moment), label(moment))).collect()
    }

    fn draw(&self, drawing: &mut Drawing, top: f64, bottom: f64) {
        for (x, label) in self.ticks(90.0) {
            drawing.line((x, top), (x, bottom), RULE);
            drawing.text((x, bottom + 14.0), Anchor::Middle, SOFT, &label);
        }
    }
}

/// Title and what is shown, at the top of every picture.
fn head(drawing: &mut Drawing, title: &str, shown: &str) {
    drawing.title((20.0, 30.0), title);
    drawing.text((20.0, 48.0), Anchor::Start, SOFT, shown);
}

/// `100 of 18870 channels, those with the ... ; else `12 channels`.
fn shown(count: usize, all: usize, noun: &str, worst: &str) -> String {
    if count < all {
        format!("{count} of {all} {noun}, those with the {worst}")
    } else {
        format!("{all} {noun}")
    }
}

/// `NET.STA.LOC.CHA`, as people say it.
fn name(source_id: &seislake_model::SourceId) -> String {
    format!(
        "{}.{}.{}.{}",
        source_id.network(),
        source_id.station(),
        source_id.location(),
        source_id.channel()
    )
}

#[cfg(test)]
mod tests;
