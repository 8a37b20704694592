//! The outcome does not depend on cuts, interleaving, calls of `advance`, or snapshots.

use proptest::prelude::*;
use seislake_model::{InputUnit, PolesZeros, Response, SourceId, Timestamp};

use crate::pick::{PickOutput, PickSettings, Piece, StationPicker};

/// Deterministic noise in -0.5..0.5.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    }
}

/// Counts of one channel: noise, and for each event a P (mostly vertical) and an S (mostly horizontal).
pub(super) fn channel(
    seed: u64,
    rate_hz: f64,
    duration_s: f64,
    events: &[(f64, f64)],
    gains: (f64, f64),
) -> Vec<f64> {
    let mut noise = Noise(seed);
    (0..(rate_hz * duration_s) as usize)
        .map(|index| {
            let time = index as f64 / rate_hz;
            let wave = |onset: f64, gain: f64, hz: f64| {
                let since = time - onset;
                if since < 0.0 {
                    return 0.0;
                }
                gain * (-since / 1.2).exp() * (std::f64::consts::TAU * hz * since).sin()
            };
            let signal: f64 =
                events.iter().map(|(p, s)| wave(*p, gains.0, 8.0) + wave(*s, gains.1, 5.0)).sum();
            (200.0 * noise.next() + signal).round()
        })
        .collect()
}

pub(super) struct Feed {
    pub(super) source_id: SourceId,
    pub(super) start: Timestamp,
    pub(super) samples: Vec<f64>,
}

pub(super) const RATE_HZ: f64 = 50.0;

pub(super) fn station() -> Vec<Feed> {
    let start: Timestamp = "2020-01-01T00:00:00.013Z".parse().unwrap();
    let events = [(20.0, 23.1), (34.0, 36.5), (52.03, 58.2)];
    [("HHZ", (3000.0, 700.0)), ("HHN", (600.0, 4000.0)), ("HHE", (500.0, 3500.0))]
        .iter()
        .enumerate()
        .map(|(seed, (code, gains))| Feed {
            source_id: SourceId::from_nslc("XX", "ABC", "00", code),
            start: start.add_seconds(0.004 * seed as f64),
            samples: channel(seed as u64 + 1, RATE_HZ, 150.0, &events, *gains),
        })
        .collect()
}

pub(super) fn response() -> Response {
    Response {
        sensitivity: 6.0e8,
        sensitivity_frequency_hz: 1.0,
        input_unit: InputUnit::Velocity,
        poles_zeros: Some(PolesZeros {
            poles: vec![(-0.037, 0.037), (-0.037, -0.037)],
            zeros: vec![(0.0, 0.0), (0.0, 0.0)],
            normalization_factor: 1.0,
        }),
    }
}

fn sorted(mut output: PickOutput) -> (Vec<String>, Vec<String>) {
    output.picks.sort_by(|a, b| (a.pick_time, &a.pick_id).cmp(&(b.pick_time, &b.pick_id)));
    output.amplitude_traces.sort_by(|a, b| (a.start_time, &a.source_id).cmp(&(b.start_time, &b.source_id)));
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    (
        output.picks.iter().map(|pick| text(pick)).collect(),
        output.amplitude_traces.iter().map(|trace| text(trace)).collect(),
    )
}

/// Feeds everything at once.
fn whole(feeds: &[Feed], gaps: &[(usize, usize)]) -> (Vec<String>, Vec<String>) {
    let mut picker = StationPicker::new(&PickSettings::default());
    for (number, feed) in feeds.iter().enumerate() {
        let samples = with_gaps(number, &feed.samples, gaps);
        let piece = Piece {
            version: 2,
            source_id: &feed.source_id,
            start_time: feed.start,
            sample_rate_hz: RATE_HZ,
            samples: &samples,
        };
        picker.push(piece, Some(&response()));
    }
    sorted(picker.advance(Timestamp::MAX))
}

fn with_gaps(channel: usize, samples: &[f64], gaps: &[(usize, usize)]) -> Vec<f64> {
    let mut samples = samples.to_vec();
    for (number, (begin, count)) in gaps.iter().enumerate() {
        if number % 3 == channel {
            let end = (begin + count).min(samples.len());
            samples[(*begin).min(end)..end].fill(f64::NAN);
        }
    }
    samples
}

/// What a step of the cut feed does after its piece.
#[derive(Clone, Debug)]
struct Step {
    channel: usize,
    count: usize,
    advance: bool,
    restore: bool,
    repeat: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..3_usize, 1..1500_usize, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let step = step.prop_map(|(channel, count, advance, restore, repeat)| Step {
        channel,
        count,
        advance,
        restore,
        repeat,
    });
    prop::collection::vec(step, 1..60)
}

fn cut(feeds: &[Feed], gaps: &[(usize, usize)], steps: &[Step]) -> (Vec<String>, Vec<String>) {
    let mut picker = StationPicker::new(&PickSettings::default());
    let mut positions = [0_usize; 3];
    let samples: Vec<_> =
        feeds.iter().enumerate().map(|(number, feed)| with_gaps(number, &feed.samples, gaps)).collect();
    let mut all = PickOutput::default();
    let time = |channel: usize, index: usize| {
        feeds[channel].start.add_nanos((index as f64 * 1e9 / RATE_HZ).round() as i64)
    };
    for step in steps.iter().cycle().take(10_000) {
        if positions.iter().zip(&samples).all(|(position, samples)| *position == samples.len()) {
            break;
        }
        let channel = step.channel;
        // A repeated or overlapping piece is trimmed.
        let begin = if step.repeat { positions[channel].saturating_sub(100) } else { positions[channel] };
        let end = (positions[channel] + step.count).min(samples[channel].len());
        positions[channel] = end;
        let piece = Piece {
            version: 2,
            source_id: &feeds[channel].source_id,
            start_time: time(channel, begin),
            sample_rate_hz: RATE_HZ,
            samples: &samples[channel][begin..end],
        };
        picker.push(piece, Some(&response()));
        if step.advance {
            let watermark = (0..3).map(|channel| time(channel, positions[channel])).min().unwrap();
            let output = picker.advance(watermark);
            all.picks.extend(output.picks);
            all.amplitude_traces.extend(output.amplitude_traces);
        }
        if step.restore {
            let text = serde_json::to_string(&picker.snapshot()).unwrap();
            picker = StationPicker::restore(&PickSettings::default(), serde_json::from_str(&text).unwrap());
        }
    }
    for channel in 0..3 {
        let piece = Piece {
            version: 2,
            source_id: &feeds[channel].source_id,
            start_time: time(channel, positions[channel]),
            sample_rate_hz: RATE_HZ,
            samples: &samples[channel][positions[channel]..],
        };
        picker.push(piece, Some(&response()));
    }
    let output = picker.advance(Timestamp::MAX);
    all.picks.extend(output.picks);
    all.amplitude_traces.extend(output.amplitude_traces);
    sorted(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn picks_do_not_depend_on_cuts_interleaving_advances_or_snapshots(
        steps in steps(),
        gaps in prop::collection::vec((0..7500_usize, 1..400_usize), 0..5),
    ) {
        let feeds = station();
        let reference = whole(&feeds, &gaps);
        let outcome = cut(&feeds, &gaps, &steps);
        prop_assert_eq!(&outcome.0, &reference.0);
        prop_assert_eq!(&outcome.1, &reference.1);
    }
}

#[test]
fn the_synthetic_station_gives_its_six_phases_and_their_amplitudes() {
    let (picks, traces) = whole(&station(), &[]);
    assert!(picks.len() >= 6, "{picks:#?}");
    assert!(traces.len() >= 6, "{traces:#?}");
}
