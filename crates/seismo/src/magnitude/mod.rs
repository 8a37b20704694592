//! Local magnitude ML of a located event from Wood-Anderson amplitudes.
//!
//! ```text
//! amplitude traces ─ peak around S, above the noise ─► channel ML ─ mean ─► station ML ─ median ─► network ML
//! ```
//! ML = log10 A + (-log10 A0)(R), with A the zero-to-peak Wood-Anderson displacement in mm (gain 2080) of a
//! horizontal and R the hypocentral distance in km; Hutton & Boore (1987, BSSA 77, 2074) unless a region brings its
//! own table. No amplitude, no magnitude: nothing is invented, and ML is never called Mw.
//! Where the noise hides the peak of a channel, it is read above 2 Hz: small earthquakes radiate there, the noise of
//! accelerometers and the sea does not. That makes ML 0.1 smaller for M 3.5 to 4.6 (Ridgecrest, 146 amplitudes), less
//! below.
//! A channel whose recording ends, or is taken by the next event, before its S has shown has no amplitude: the largest
//! that is there would be that of the P wave, and ML too small by one or two.

mod attenuation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use seislake_model::{
    Amplitude, AmplitudeId, AmplitudeTrace, Arrival, Coordinates, Location, Magnitude, MagnitudeId,
    MagnitudeResult, Phase, Provenance, SourceId, Timestamp,
};
use serde::{Deserialize, Serialize};

pub use attenuation::Attenuation;

use crate::geometry::distance_azimuth;

/// Speed of S, and the delay of S behind P per km, where neither was observed: crust of 6.0 and 3.5 km/s.
const S_KM_S: f64 = 3.5;
const S_MINUS_P_S_KM: f64 = 1.0 / 3.5 - 1.0 / 6.0;

/// A trace tells the peak of S where it goes on for so long behind it, or for half of what is looked at, whichever is
/// less. Its last second may be a part of one, so that 1.5 to 2 s are there at least: most peaks come sooner. Traces
/// end where the next event begins, too; a longer wait would take the magnitudes of swarms.
const S_SHOWN_S: f64 = 3.0;

/// A horizontal this far below the other of its station records too little of the ground: a dead or weak component, not an
/// S wave along the other (those of sound stations at Corinth differ by 0.4 at most).
const CHANNEL_SPREAD_MAX: f64 = 1.0;

/// Counted up when it gives other magnitudes.
const METHOD_VERSION: &str = "3";

/// How the network magnitude is made of those of the stations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAverage {
    /// The middle one.
    #[default]
    Median,
    /// The mean without the lowest and the highest quarter.
    TrimmedMean,
}

/// Settings of the local magnitude.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MagnitudeSettings {
    /// -log10 A0.
    pub attenuation: Attenuation,
    /// Average over the stations.
    pub average: NetworkAverage,
    /// Least stations.
    pub stations_min: usize,
    /// Least peak over the root mean square of the noise. Noise alone reaches about 3 within some seconds.
    pub snr_min: f64,
    /// Amplitudes count up to this hypocentral distance.
    pub distance_km_max: f64,
    /// The peak is looked for from this long before S …
    pub lead_s: f64,
    /// … to this long behind it …
    pub duration_s: f64,
    /// … and this much longer per km of distance.
    pub duration_s_per_km: f64,
}

impl Default for MagnitudeSettings {
    fn default() -> Self {
        Self {
            attenuation: Attenuation::default(),
            average: NetworkAverage::default(),
            stations_min: 3,
            snr_min: 4.0,
            distance_km_max: 700.0,
            lead_s: 0.5,
            duration_s: 5.0,
            duration_s_per_km: 0.1,
        }
    }
}

/// Network ML of `location`, with the amplitudes it rests on. `coordinates` tells where a channel stood at a time.
/// Without enough stations the magnitude is `None`.
/// Channels without coordinates, beyond the distance, not above the noise, or recorded too shortly to show the peak of
/// S do not count. NaN amplitudes neither.
pub fn local_magnitude(
    settings: &MagnitudeSettings,
    location: &Location,
    coordinates: &dyn Fn(&SourceId, Timestamp) -> Option<Coordinates>,
) -> MagnitudeResult {
    let mut by_channel: BTreeMap<&SourceId, Vec<&AmplitudeTrace>> = BTreeMap::new();
    for trace in &location.amplitude_traces {
        by_channel.entry(&trace.source_id).or_default().push(trace);
    }
    let amplitudes: Vec<Amplitude> = by_channel
        .into_iter()
        .filter_map(|(source_id, traces)| {
            let at = coordinates(source_id, location.origin.origin_time)?;
            channel_amplitude(settings, location, source_id, &traces, at)
        })
        .collect();

    let mut by_station: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for amplitude in &amplitudes {
        by_station.entry(amplitude.source_id.station_key()).or_default().push(amplitude.station_magnitude);
    }
    let mut stations: Vec<f64> = by_station.into_values().map(of_station).collect();
    stations.sort_by(f64::total_cmp);

    let magnitude = (stations.len() >= settings.stations_min.max(1)).then(|| {
        let origin_id = &location.origin.origin_id;
        let method = settings.attenuation.name();
        let seen = amplitudes.iter().map(|amplitude| amplitude.amplitude_time.add_seconds(1.0)).max();
        let creation_time = seen.max(location.origin.provenance.creation_time);
        Magnitude {
            magnitude_id: MagnitudeId::of(&format!("{origin_id}/ML/{method}")),
            event_id: location.origin.event_id.clone(),
            origin_id: origin_id.clone(),
            magnitude_type: "ML".to_owned(),
            magnitude: average(settings.average, &stations),
            uncertainty: standard_deviation(&stations),
            station_count: stations.len() as u32,
            provenance: Provenance::automatic(method, METHOD_VERSION, creation_time),
        }
    });
    MagnitudeResult { magnitude, amplitudes }
}

/// The largest amplitude of one channel around its S wave, where it stands out of the noise.
fn channel_amplitude(
    settings: &MagnitudeSettings,
    location: &Location,
    source_id: &SourceId,
    traces: &[&AmplitudeTrace],
    at: Coordinates,
) -> Option<Amplitude> {
    let origin = &location.origin;
    let (epicentral_km, _) = distance_azimuth(origin.latitude, origin.longitude, at.latitude, at.longitude);
    let hypocentral_km = epicentral_km.hypot(origin.depth_km + at.elevation_m / 1000.0);
    let correction = settings.attenuation.minus_log_a0(hypocentral_km)?;
    if hypocentral_km > settings.distance_km_max {
        return None;
    }
    let s_time = s_time(location, source_id, hypocentral_km);
    let first_time = arrival(location, source_id, Phase::P).map_or(s_time, |p| p.pick_time);
    let window_s = settings.duration_s + settings.duration_s_per_km * hypocentral_km;
    let shown_time = s_time.add_seconds(S_SHOWN_S.min(window_s / 2.0));
    let trace = own_trace(traces, first_time, s_time..shown_time)?;

    let inside = s_time.add_seconds(-settings.lead_s)..s_time.add_seconds(window_s);
    let of_band = |band| clear_peak(settings.snr_min, trace, band, &inside);
    let (amplitude_mm, amplitude_time) = of_band(whole).or_else(|| of_band(high))?;
    let end = trace_end(trace);
    if end < inside.end && amplitude_time.add_seconds(1.0) >= end {
        // Largest where the trace ends too early: it may have gone on growing.
        return None;
    }
    Some(Amplitude {
        amplitude_id: AmplitudeId::of(&format!("{}/{source_id}", origin.origin_id)),
        event_id: origin.event_id.clone(),
        origin_id: origin.origin_id.clone(),
        source_id: source_id.clone(),
        amplitude_mm,
        amplitude_time,
        hypocentral_distance_km: hypocentral_km,
        station_magnitude: amplitude_mm.log10() + correction,
    })
}

/// Amplitudes of the whole record and their noise.
fn whole(trace: &AmplitudeTrace) -> (&[f32], f32) {
    (&trace.peaks_mm, trace.noise_mm)
}

/// Those above 2 Hz.
fn high(trace: &AmplitudeTrace) -> (&[f32], f32) {
    (&trace.high_peaks_mm, trace.high_noise_mm)
}

/// Of the traces that hold the S wave, that of the event's own first pick: the last that begins no later. Its noise is
/// what was there before this event, the coda of an earlier one included, whose traces still run and bring the quiet
/// from before that. Where all begin later, the first.
fn own_trace<'a>(
    traces: &[&'a AmplitudeTrace],
    first_time: Timestamp,
    s_wave: Range<Timestamp>,
) -> Option<&'a AmplitudeTrace> {
    let holds_s =
        |trace: &&AmplitudeTrace| trace.start_time <= s_wave.start && trace_end(trace) >= s_wave.end;
    let holding = || traces.iter().copied().filter(holds_s);
    let own = holding().filter(|trace| trace.start_time <= first_time).max_by_key(|trace| trace.start_time);
    own.or_else(|| holding().min_by_key(|trace| trace.start_time))
}

fn trace_end(trace: &AmplitudeTrace) -> Timestamp {
    trace.start_time.add_seconds(trace.peaks_mm.len() as f64)
}

/// The largest of the seconds inside, where it stands out of the noise.
fn clear_peak(
    snr_min: f64,
    trace: &AmplitudeTrace,
    band: fn(&AmplitudeTrace) -> (&[f32], f32),
    inside: &Range<Timestamp>,
) -> Option<(f64, Timestamp)> {
    let (peaks_mm, noise_mm) = band(trace);
    let mut peak: Option<(f32, Timestamp)> = None;
    for (second, &value) in peaks_mm.iter().enumerate() {
        let time = trace.start_time.add_seconds(second as f64);
        let inside = time.add_seconds(1.0) > inside.start && time < inside.end;
        let counts = inside && value.is_finite() && value > 0.0;
        if counts && peak.is_none_or(|(largest, _)| value > largest) {
            peak = Some((value, time));
        }
    }
    let (amplitude_mm, time) = peak?;
    let clear = noise_mm.is_finite() && f64::from(amplitude_mm) >= snr_min * f64::from(noise_mm);
    clear.then_some((f64::from(amplitude_mm), time))
}

/// When S arrived at a station: as picked, else as far behind P as the distance says, else by the distance alone.
fn s_time(location: &Location, source_id: &SourceId, hypocentral_km: f64) -> Timestamp {
    if let Some(s) = arrival(location, source_id, Phase::S) {
        return s.pick_time;
    }
    match arrival(location, source_id, Phase::P) {
        Some(p) => p.pick_time.add_seconds(hypocentral_km * S_MINUS_P_S_KM),
        None => location.origin.origin_time.add_seconds(hypocentral_km / S_KM_S),
    }
}

/// The arrival of a phase at the station of a channel that counts in the location.
fn arrival<'a>(location: &'a Location, source_id: &SourceId, phase: Phase) -> Option<&'a Arrival> {
    let station = source_id.station_key();
    location
        .arrivals
        .iter()
        .filter(|arrival| arrival.phase == phase && arrival.weight > 0.0)
        .find(|arrival| arrival.source_id.station_key() == station)
}

/// The mean of a station's channels, without those that record too little. `channels` holds at least one value.
fn of_station(mut channels: Vec<f64>) -> f64 {
    let largest = channels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    channels.retain(|channel| largest - channel <= CHANNEL_SPREAD_MAX);
    mean(&channels)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `sorted` holds at least one value.
fn average(kind: NetworkAverage, sorted: &[f64]) -> f64 {
    let count = sorted.len();
    match kind {
        NetworkAverage::Median => (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
        NetworkAverage::TrimmedMean => mean(&sorted[count / 4..count - count / 4]),
    }
}

/// Of a single station; nothing is known of one alone.
fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values);
    let sum: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((sum / (values.len() - 1) as f64).sqrt())
}
