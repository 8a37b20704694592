//! What one earthquake does to one channel: P and S onsets, coda, and an amplitude that fits the magnitude.
//!
//! Ground velocity is a damped oscillation from the exact arrival time (not rounded to a sample) plus band-limited
//! noise under an exponentially decaying envelope, for P and for S. The horizontals are then scaled so that their
//! largest Wood-Anderson amplitude is the one that Hutton & Boore (1987) give for magnitude and hypocentral distance,
//! times terms of site and path. First motions are those of a double couple (Aki & Richards 2002, eq. 4.89).

use std::f64::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use seislake_model::{Phase, Station};

use super::layout::{Purpose, stream};
use super::{SyntheticEvent, SyntheticSettings};
use crate::geometry::distance_azimuth;
use crate::travel_time::TravelTime;

/// Wood-Anderson seismometer: period, damping and gain (Uhrhammer & Collins 1990).
const WOOD_ANDERSON_PERIOD_S: f64 = 0.8;
const WOOD_ANDERSON_DAMPING: f64 = 0.7;
const WOOD_ANDERSON_GAIN: f64 = 2080.0;
/// Standard deviations of log10 amplitude: of a station for all events, and of one path.
const SITE_TERM: f64 = 0.06;
const PATH_TERM: f64 = 0.08;
/// Wavelets end where they are this small.
const COUNTS_MIN: f64 = 0.3;
const LENGTH_S_MAX: f64 = 90.0;
/// Wood-Anderson amplitude of the vertical, as a share of the horizontals.
const VERTICAL_SHARE: f64 = 0.6;

/// One earthquake seen from one station.
#[derive(Clone, Debug)]
pub(super) struct EventPath {
    /// Event and station: the key of its random numbers.
    key: (u64, u64),
    /// Travel times.
    pub(super) p_s: f64,
    pub(super) s_s: f64,
    /// Seconds from the first sample of the stream to the arrivals.
    p_arrival_s: f64,
    s_arrival_s: f64,
    /// First sample and the one after the last.
    pub(super) first: u64,
    pub(super) end: u64,
    /// Amplitude and sign of P that radiation gives, -1 to 1.
    p_radiation: f64,
    /// Azimuth from the station back to the epicentre, radians.
    back_azimuth: f64,
    /// Largest Wood-Anderson amplitude of the horizontals (geometric mean), mm.
    amplitude_mm: f64,
    /// Frequencies of the pulses.
    p_frequency_hz: f64,
    s_frequency_hz: f64,
    /// Decay times of the codas.
    p_decay_s: f64,
    s_decay_s: f64,
}

impl EventPath {
    /// `None` where the earth model knows no P or S.
    pub(super) fn new(
        settings: &SyntheticSettings,
        key: (usize, usize),
        event: &SyntheticEvent,
        station: &Station,
        travel_time: &dyn TravelTime,
    ) -> Option<Self> {
        let key = (key.0 as u64, key.1 as u64);
        let elevation_km = station.elevation_m / 1000.0;
        let (distance_km, azimuth) =
            distance_azimuth(event.latitude, event.longitude, station.latitude, station.longitude);
        let time_s = |phase| travel_time.time_s(phase, distance_km, event.depth_km, elevation_km);
        let (p_s, s_s) = (time_s(Phase::P)?, time_s(Phase::S)?);
        let origin_s = event.origin_time.seconds_since(settings.start_time);

        let hypocentral_km = distance_km.hypot(event.depth_km + elevation_km);
        let site: f64 =
            stream(settings.seed, Purpose::Path, (u64::MAX, key.1)).sample::<f64, _>(StandardNormal);
        let path: f64 = stream(settings.seed, Purpose::Path, key).sample::<f64, _>(StandardNormal);
        let amplitude_mm = hutton_boore_amplitude_mm(event.magnitude, hypocentral_km)
            * 10_f64.powf(SITE_TERM * site + PATH_TERM * path);

        let size = event.magnitude - 1.8;
        let attenuation = (-distance_km / 250.0).exp();
        let p_frequency_hz = ((9.0 - 2.2 * size) * attenuation).clamp(2.0, 14.0);
        let s_frequency_hz = 0.65 * p_frequency_hz;
        let s_decay_s = 2.0 + 0.8 * size.max(0.0) + distance_km / 60.0;
        let peak_counts =
            amplitude_mm * 1e-3 / WOOD_ANDERSON_GAIN * TAU * s_frequency_hz * settings.sensitivity;
        let coda_s = (s_decay_s * (peak_counts / COUNTS_MIN).ln()).clamp(5.0, LENGTH_S_MAX);
        let (p_arrival_s, s_arrival_s) = (origin_s + p_s, origin_s + s_s);
        Some(Self {
            key,
            p_s,
            s_s,
            p_arrival_s,
            s_arrival_s,
            first: (p_arrival_s * settings.sample_rate_hz).ceil() as u64,
            end: ((s_arrival_s + coda_s) * settings.sample_rate_hz).ceil() as u64,
            p_radiation: radiation(event, azimuth, distance_km, event.depth_km + elevation_km),
            back_azimuth: (azimuth + 180.0).to_radians(),
            amplitude_mm,
            p_frequency_hz,
            s_frequency_hz,
            p_decay_s: (0.4 * (s_s - p_s)).max(0.6),
            s_decay_s,
        })
    }

    /// Samples for component 0 (up), 1 (north) or 2 (east), counts.
    pub(super) fn wavelet(&self, settings: &SyntheticSettings, component: usize) -> Wavelet {
        let rate_hz = settings.sample_rate_hz;
        let component_key = self.key.0 << 2 | component as u64;
        let mut random = stream(settings.seed, Purpose::Wavelet, (component_key, self.key.1));
        // Drawn from the path, so that both horizontals share it: one is larger by as much as the other is smaller.
        let split: f64 = stream(settings.seed, Purpose::Path, (self.key.0 | 1 << 63, self.key.1))
            .random_range(-0.15..0.15);
        // P moves along the ray: up and away from the source, or down and towards it.
        let (p_share, s_share, target_mm) = match component {
            0 => (0.6 * self.p_radiation, 0.5, self.amplitude_mm * VERTICAL_SHARE),
            1 => (
                -0.25 * self.p_radiation * self.back_azimuth.cos(),
                1.0,
                self.amplitude_mm * 10_f64.powf(split),
            ),
            _ => (
                -0.25 * self.p_radiation * self.back_azimuth.sin(),
                1.0,
                self.amplitude_mm * 10_f64.powf(-split),
            ),
        };
        let s_sign = if random.random::<bool>() { 1.0 } else { -1.0 };
        let mut velocity = vec![0.0; self.end.saturating_sub(self.first) as usize];
        let p = Pulse {
            arrival_s: self.p_arrival_s,
            amplitude: p_share,
            frequency_hz: self.p_frequency_hz,
            decay_s: self.p_decay_s,
        };
        let s = Pulse {
            arrival_s: self.s_arrival_s,
            amplitude: s_share * s_sign,
            frequency_hz: self.s_frequency_hz,
            decay_s: self.s_decay_s,
        };
        p.add_to(self.first, rate_hz, &mut random, &mut velocity);
        s.add_to(self.first, rate_hz, &mut random, &mut velocity);
        let peak_mm = wood_anderson_peak_mm(&velocity, rate_hz);
        let scale = if peak_mm > 0.0 { target_mm / peak_mm * settings.sensitivity } else { 0.0 };
        Wavelet { first: self.first, samples: velocity.iter().map(|value| (value * scale) as f32).collect() }
    }
}

/// Zero-to-peak Wood-Anderson amplitude, mm, of magnitude ML at a hypocentral distance: Hutton & Boore (1987)
/// solved for the amplitude.
pub(super) fn hutton_boore_amplitude_mm(magnitude: f64, hypocentral_km: f64) -> f64 {
    let correction = 1.110 * (hypocentral_km / 100.0).log10() + 0.001_89 * (hypocentral_km - 100.0) + 3.0;
    10_f64.powf(magnitude - correction)
}

/// P radiation of the double couple towards a station, along the straight ray; its size at least 0.3, so that
/// stations near a nodal plane still see an onset.
fn radiation(event: &SyntheticEvent, azimuth: f64, distance_km: f64, rise_km: f64) -> f64 {
    let (dip, rake) = (event.dip.to_radians(), event.rake.to_radians());
    let phi = (azimuth - event.strike).to_radians();
    let takeoff = std::f64::consts::PI - distance_km.atan2(rise_km);
    let value = rake.cos() * dip.sin() * takeoff.sin().powi(2) * (2.0 * phi).sin()
        - rake.cos() * dip.cos() * (2.0 * takeoff).sin() * phi.cos()
        + rake.sin()
            * (2.0 * dip).sin()
            * (takeoff.cos().powi(2) - takeoff.sin().powi(2) * phi.sin().powi(2))
        + rake.sin() * (2.0 * dip).cos() * (2.0 * takeoff).sin() * phi.sin();
    value.abs().clamp(0.3, 1.0).copysign(value)
}

/// Samples of one earthquake on one channel, counts.
#[derive(Clone, Debug)]
pub(super) struct Wavelet {
    first: u64,
    samples: Vec<f32>,
}

impl Wavelet {
    /// The sample after the last.
    pub(super) fn end(&self) -> u64 {
        self.first + self.samples.len() as u64
    }

    /// Adds what falls into the samples from `block_first` on.
    pub(super) fn add_to(&self, block_first: u64, block: &mut [f32]) {
        let skip = block_first.saturating_sub(self.first) as usize;
        let offset = self.first.saturating_sub(block_first) as usize;
        let samples = self.samples.iter().skip(skip);
        for (sum, sample) in block.iter_mut().skip(offset).zip(samples) {
            *sum += sample;
        }
    }
}

/// Onset and coda of one phase.
struct Pulse {
    arrival_s: f64,
    amplitude: f64,
    frequency_hz: f64,
    decay_s: f64,
}

impl Pulse {
    fn add_to(&self, first: u64, rate_hz: f64, random: &mut ChaCha8Rng, velocity: &mut [f64]) {
        let begin = ((self.arrival_s * rate_hz).ceil() as u64).saturating_sub(first) as usize;
        let count = velocity.len().saturating_sub(begin);
        let coda = band_limited_noise(random, count, self.frequency_hz, rate_hz);
        for (index, (sum, coda)) in velocity.iter_mut().skip(begin).zip(coda).enumerate() {
            let t = (first + (begin + index) as u64) as f64 / rate_hz - self.arrival_s;
            let onset = (TAU * self.frequency_hz * t).sin() * (-t * self.frequency_hz * 0.9).exp();
            // The coda grows out of the onset within about one period.
            let envelope = (1.0 - (-t * self.frequency_hz).exp()) * (-t / self.decay_s).exp();
            *sum += self.amplitude * (1.3 * onset + 0.35 * envelope * coda);
        }
    }
}

/// Noise of unit root mean square between 1 Hz and about 1.5 times `frequency_hz`, from rest.
fn band_limited_noise(random: &mut ChaCha8Rng, count: usize, frequency_hz: f64, rate_hz: f64) -> Vec<f64> {
    let low = 1.0 - (-TAU * 1.5 * frequency_hz / rate_hz).exp();
    let high = (-TAU * 1.0 / rate_hz).exp();
    let (mut first, mut second, mut smooth, mut before) = (0.0, 0.0, 0.0, 0.0);
    let mut noise: Vec<f64> = (0..count)
        .map(|_| {
            let white: f64 = random.sample(StandardNormal);
            first += low * (white - first);
            second += low * (first - second);
            smooth = high * (smooth + second - before);
            before = second;
            smooth
        })
        .collect();
    let power: f64 = noise.iter().map(|value| value * value).sum::<f64>() / count.max(1) as f64;
    let scale = if power > 0.0 { power.sqrt().recip() } else { 0.0 };
    noise.iter_mut().for_each(|value| *value *= scale);
    noise
}

/// Largest absolute Wood-Anderson amplitude, mm, of ground velocity in m/s, from rest.
/// `G · s / (s² + 2 h ω s + ω²)` by the bilinear transform.
pub(super) fn wood_anderson_peak_mm(velocity: &[f64], rate_hz: f64) -> f64 {
    let omega = TAU / WOOD_ANDERSON_PERIOD_S;
    let k = 2.0 * rate_hz;
    let a0 = k * k + 2.0 * WOOD_ANDERSON_DAMPING * omega * k + omega * omega;
    let a1 = 2.0 * (omega * omega - k * k);
    let a2 = k * k - 2.0 * WOOD_ANDERSON_DAMPING * omega * k + omega * omega;
    let (mut x1, mut x2, mut y1, mut y2, mut peak) = (0.0, 0.0, 0.0, 0.0, 0.0_f64);
    for &x in velocity {
        let y = (k * (x - x2) - a1 * y1 - a2 * y2) / a0;
        (x2, x1, y2, y1) = (x1, x, y1, y);
        peak = peak.max(y.abs());
    }
    peak * WOOD_ANDERSON_GAIN * 1000.0
}
