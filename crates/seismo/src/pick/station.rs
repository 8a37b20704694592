//! The picker of one station: takes pieces, hands out picks and amplitude traces as the watermark allows.

use std::collections::BTreeMap;

use seislake_model::{AmplitudeTrace, Pick, Response, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::PickSettings;
use super::channel::{Channel, Run};
use super::decision::{Candidate, Decisions};
use super::lane::{BIN_NANOS, Found};

/// Samples of one channel as they come: gapless but for NaN.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Channel.
    pub source_id: &'a SourceId,
    /// Time of the first sample.
    pub start_time: Timestamp,
    /// Sample rate.
    pub sample_rate_hz: f64,
    /// Counts; NaN (or infinity) is a gap.
    pub samples: &'a [f64],
}

/// What an advance decided: picks by time, channel and phase; traces by time and channel.
#[derive(Debug, Default)]
pub struct PickOutput {
    /// Picks.
    pub picks: Vec<Pick>,
    /// Wood-Anderson amplitudes after picks, one trace a horizontal channel and pick (an S after a P shares its).
    pub amplitude_traces: Vec<AmplitudeTrace>,
}

/// Channels of one station, all instruments.
const CHANNEL_COUNT_MAX: usize = 48;
/// Slower channels have no local phases; faster ones are not seismometers.
const RATE_MIN_HZ: f64 = 10.0;
const RATE_MAX_HZ: f64 = 2000.0;
/// Instruments that feel the ground: high gain, low gain, accelerometer, gravimeter, mass position of none, geophone.
const INSTRUMENTS: &str = "HLNGP";

/// Picks the phases of one station. Its serde form is the snapshot: restoring it goes on bit for bit.
///
/// Memory: about 5 s of samples and 40 s of energies a channel once `advance` was called; between calls it grows by
/// some 40 bytes a second and channel, up to two hours of them (call `advance` more often than that).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StationPicker {
    settings: PickSettings,
    channels: BTreeMap<SourceId, Channel>,
    decisions: Decisions,
}

impl StationPicker {
    /// A picker that has seen nothing.
    pub fn new(settings: &PickSettings) -> Self {
        Self { settings: settings.clone(), channels: BTreeMap::new(), decisions: Decisions::default() }
    }

    /// Takes a piece. Pieces of a channel should come in order of time; what was seen before is trimmed, a gap of
    /// more than half a sample starts its filters anew, older pieces that fill a gap are picked on their own.
    /// `response` is that of the channel at that time, where known; it makes Wood-Anderson amplitudes of horizontals.
    /// Channels that are no seismometers and rates outside 10 to 2000 Hz are left alone.
    pub fn push(&mut self, piece: Piece<'_>, response: Option<&Response>) {
        let rate_hz = piece.sample_rate_hz;
        let usable = (RATE_MIN_HZ..=RATE_MAX_HZ).contains(&rate_hz) && seismometer(piece.source_id);
        if !usable || piece.samples.is_empty() {
            return;
        }
        if !self.channels.contains_key(piece.source_id) {
            if self.channels.len() >= CHANNEL_COUNT_MAX {
                return;
            }
            self.channels.insert(piece.source_id.clone(), Channel::default());
        }
        let Some(channel) = self.channels.get_mut(piece.source_id) else { return };
        let response = response.filter(|_| horizontal(piece.source_id));
        let mut found = vec![];
        let mut index = 0;
        for samples in piece.samples.chunk_by(|a, b| a.is_finite() == b.is_finite()) {
            let start = piece.start_time.add_nanos((index as f64 * 1e9 / rate_hz).round() as i64);
            index += samples.len();
            if samples[0].is_finite() {
                channel.push(&self.settings, Run { start, rate_hz, samples }, response, &mut found);
            }
        }
        keep(piece.source_id, channel, &mut self.decisions, &found);
    }

    /// Nothing older than `watermark` will follow: gives everything now decided. [`Timestamp::MAX`] ends the stream:
    /// everything comes out and later pieces start anew.
    pub fn advance(&mut self, watermark: Timestamp) -> PickOutput {
        for (source_id, channel) in &mut self.channels {
            let mut found = vec![];
            channel.finish_before(watermark, &mut found);
            keep(source_id, channel, &mut self.decisions, &found);
        }
        let mut output = self.decisions.advance(&self.settings, &self.channels, watermark);
        output
            .picks
            .sort_by(|a, b| (a.pick_time, &a.source_id, a.phase).cmp(&(b.pick_time, &b.source_id, b.phase)));
        output
            .amplitude_traces
            .sort_by(|a, b| (a.start_time, &a.source_id).cmp(&(b.start_time, &b.source_id)));
        if watermark == Timestamp::MAX {
            *self = Self::new(&self.settings);
            return output;
        }
        let energies_from = watermark.add_seconds(-self.decisions.energies_kept_s());
        let seconds_from = watermark.add_seconds(-self.decisions.seconds_kept_s(&self.settings));
        for channel in self.channels.values_mut() {
            channel.energies.forget_before(energies_from.nanos().div_euclid(BIN_NANOS));
            channel.seconds.forget_before(seconds_from.nanos().div_euclid(1_000_000_000));
        }
        output
    }
}

fn keep(source_id: &SourceId, channel: &mut Channel, decisions: &mut Decisions, found: &[Found]) {
    for one in found {
        channel.keep(one);
        if let Found::Onset { detector, time, refined } = *one {
            decisions.add(Candidate::new(source_id, detector, time, refined));
        }
    }
}

/// Does the channel code name a seismometer? Codes that are not of three letters are taken for one.
fn seismometer(source_id: &SourceId) -> bool {
    let code = source_id.channel();
    match code.chars().nth(1) {
        Some(instrument) if code.chars().count() == 3 => INSTRUMENTS.contains(instrument),
        _ => true,
    }
}

/// A vertical component by its code.
pub(super) fn vertical(source_id: &SourceId) -> bool {
    source_id.orientation() == Some('Z')
}

/// A horizontal component by its code.
pub(super) fn horizontal(source_id: &SourceId) -> bool {
    matches!(source_id.orientation(), Some('N' | 'E' | '1' | '2' | 'R' | 'T'))
}
