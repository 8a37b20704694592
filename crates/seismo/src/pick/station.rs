//! The picker of one station: takes pieces, hands out picks and amplitude traces as the watermark allows.

use std::collections::{BTreeMap, BTreeSet};

use seislake_model::{AmplitudeTrace, Pick, Response, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::PickSettings;
use super::channel::{Channel, Run};
use super::decision::{Candidate, Decisions};
use super::lane::{BIN_NANOS, LaneFinding};
use super::versions::Versions;

/// Samples of one channel as they come: gapless but for NaN.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Channel.
    pub source_id: &'a SourceId,
    /// Publication version; the qualities R, D, Q, M are 1, 2, 3, 4. Where versions cover the same time the highest counts.
    pub version: u8,
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
    /// Onsets that were dropped undecided since the last advance, because too many waited.
    pub dropped_onset_count: u64,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceOutcome {
    /// It was picked.
    Picked,
    /// It is none of ours: no seismometer, a rate of other things, no samples.
    LeftAlone,
    /// The station has too many channels or the channel too many versions: it is not picked. Told once a channel.
    Refused,
    /// The same once more.
    RefusedBefore,
}

/// Channels of one station, all instruments.
const CHANNEL_COUNT_MAX: usize = 48;
/// Refused channels that are remembered; further ones are refused without a word each.
const REFUSED_COUNT_MAX: usize = 64;
/// Slower channels have no local phases; faster ones are not seismometers.
const RATE_MIN_HZ: f64 = 10.0;
const RATE_MAX_HZ: f64 = 2000.0;
/// Instruments that feel the ground: high gain, low gain, accelerometer, gravimeter, mass position of none, geophone.
const INSTRUMENTS: &str = "HLNGP";

/// Picks the phases of one station.
///
/// Memory: about 5 s of samples and 40 s of energies a channel once `advance` was called; between calls it grows by
/// some 40 bytes a second and channel, up to two hours of them (call `advance` more often than that).
#[derive(Clone, Debug)]
pub struct StationPicker {
    settings: PickSettings,
    state: StationPickerState,
}

/// What a picker remembers. Its serde form is the snapshot: a picker restored from it goes on bit for bit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StationPickerState {
    channels: BTreeMap<SourceId, Versions>,
    decisions: Decisions,
    refused: BTreeSet<SourceId>,
}

impl StationPicker {
    /// A picker that has seen nothing.
    pub fn new(settings: &PickSettings) -> Self {
        Self { settings: settings.clone(), state: StationPickerState::default() }
    }

    /// What it remembers.
    pub fn snapshot(&self) -> StationPickerState {
        self.state.clone()
    }

    /// A picker that goes on where `state` was taken. Other settings than then hold from the next sample on.
    pub fn restore(settings: &PickSettings, mut state: StationPickerState) -> Self {
        let channels = state.channels.values_mut().flat_map(Versions::iter_mut);
        channels.for_each(|(_, channel)| channel.retune(settings));
        Self { settings: settings.clone(), state }
    }

    /// Takes a piece. Pieces of a channel should come in order of time; what was seen before is trimmed, a gap of
    /// more than half a sample starts its filters anew, older pieces that fill a gap are picked on their own.
    /// `response` is that of the channel at that time, where known; it makes Wood-Anderson amplitudes of horizontals.
    /// Channels that are no seismometers and rates outside 10 to 2000 Hz are left alone.
    pub fn push(&mut self, piece: Piece<'_>, response: Option<&Response>) -> PieceOutcome {
        let rate_hz = piece.sample_rate_hz;
        let usable = (RATE_MIN_HZ..=RATE_MAX_HZ).contains(&rate_hz) && seismometer(piece.source_id);
        if !usable || piece.samples.is_empty() {
            return PieceOutcome::LeftAlone;
        }
        let StationPickerState { channels, decisions, refused } = &mut self.state;
        if !channels.contains_key(piece.source_id) && channels.len() < CHANNEL_COUNT_MAX {
            channels.insert(piece.source_id.clone(), Versions::default());
        }
        let channel = channels.get_mut(piece.source_id);
        let Some((channel, decided)) = channel.and_then(|versions| versions.channel_mut(piece.version))
        else {
            return refuse(refused, piece.source_id);
        };
        let response = response.filter(|_| horizontal(piece.source_id));
        let mut found = vec![];
        let mut index = 0;
        for samples in piece.samples.chunk_by(|a, b| a.is_finite() == b.is_finite()) {
            let start = piece.start_time.add_nanos((index as f64 * 1e9 / rate_hz).round() as i64);
            index += samples.len();
            if samples[0].is_finite() {
                channel.push(&self.settings, Run { start, rate_hz, samples }, decided, response, &mut found);
            }
        }
        keep(piece.source_id, piece.version, channel, decisions, &found);
        PieceOutcome::Picked
    }

    /// Nothing older than `watermark` will follow: gives everything now decided. [`Timestamp::MAX`] ends the stream:
    /// everything comes out and later pieces start anew, but for times that were decided: the same samples once more, in other
    /// records or another version, are no second recording.
    pub fn advance(&mut self, watermark: Timestamp) -> PickOutput {
        let StationPickerState { channels, decisions, .. } = &mut self.state;
        for (source_id, versions) in &mut *channels {
            for (version, channel) in versions.iter_mut() {
                let mut found = vec![];
                channel.finish_before(watermark, &mut found);
                keep(source_id, version, channel, decisions, &found);
            }
        }
        let mut output = decisions.advance(&self.settings, channels, watermark);
        output
            .picks
            .sort_by(|a, b| (a.pick_time, &a.source_id, a.phase).cmp(&(b.pick_time, &b.source_id, b.phase)));
        output
            .amplitude_traces
            .sort_by(|a, b| (a.start_time, &a.source_id).cmp(&(b.start_time, &b.source_id)));
        if watermark == Timestamp::MAX {
            let channels = std::mem::take(channels);
            let channels = channels.into_iter().map(|(id, versions)| (id, versions.ended())).collect();
            self.state = StationPickerState { channels, ..StationPickerState::default() };
            return output;
        }
        let energies_from = watermark.add_seconds(-decisions.energies_kept_s());
        let seconds_from = watermark.add_seconds(-decisions.seconds_kept_s(&self.settings));
        for (_, channel) in channels.values_mut().flat_map(Versions::iter_mut) {
            channel.energies.forget_before(energies_from.nanos().div_euclid(BIN_NANOS));
            channel.seconds.forget_before(seconds_from.nanos().div_euclid(1_000_000_000));
        }
        output
    }
}

fn refuse(refused: &mut BTreeSet<SourceId>, source_id: &SourceId) -> PieceOutcome {
    if refused.contains(source_id) || refused.len() >= REFUSED_COUNT_MAX {
        return PieceOutcome::RefusedBefore;
    }
    refused.insert(source_id.clone());
    PieceOutcome::Refused
}

fn keep(
    source_id: &SourceId,
    version: u8,
    channel: &mut Channel,
    decisions: &mut Decisions,
    found: &[LaneFinding],
) {
    for one in found {
        channel.keep(one);
        if let LaneFinding::Onset { detector, time, refined } = *one {
            decisions.add(Candidate::new((source_id, version), detector, time, refined));
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

/// A vertical component of a seismometer: what a P is looked for on.
pub fn picked_for_p(source_id: &SourceId) -> bool {
    seismometer(source_id) && vertical(source_id)
}

/// A vertical component by its code.
pub(super) fn vertical(source_id: &SourceId) -> bool {
    source_id.orientation() == Some('Z')
}

/// A horizontal component by its code.
pub fn horizontal(source_id: &SourceId) -> bool {
    matches!(source_id.orientation(), Some('N' | 'E' | '1' | '2' | 'R' | 'T'))
}
