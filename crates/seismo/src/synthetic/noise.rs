//! Ground noise: Gaussian, coloured, the same for a sample however it is asked for.
//!
//! Block `k` of 8192 samples is a random spectrum brought to time; blocks overlap by half under windows whose
//! squares add up to one, so the noise is stationary and block boundaries do not show. One complex transform makes
//! two blocks (its real and its imaginary part). Cost: about 30 ns a sample.

use std::fmt;
use std::sync::Arc;

use rand::RngCore;
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlannerScalar};

use super::layout::{Purpose, stream};

/// Samples between the beginnings of two blocks; also the unit in which samples are made.
pub(super) const HOP: usize = 4096;
const BLOCK: usize = 2 * HOP;
/// Brings 16-bit numbers around zero to unit variance: sqrt(12) / 65536.
const UNIFORM_SCALE: f32 = 5.285_829e-5;

/// Root mean square noise of a station, counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct StationNoise {
    /// Around 0.18 Hz.
    pub(super) microseism_counts: f32,
    /// From 1 Hz up: wind, water, traffic.
    pub(super) local_counts: f32,
}

/// What all channels share: shapes of the spectra, window and transform.
#[derive(Clone)]
pub(super) struct NoiseSource {
    seed: u64,
    /// Power of each bin; sums to one.
    microseism: Arc<[f32]>,
    /// Power of each bin; sums to one.
    local: Arc<[f32]>,
    /// Rising half of the window.
    window: Arc<[f32]>,
    transform: Arc<dyn Fft<f32>>,
}

impl fmt::Debug for NoiseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseSource").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// The last two pairs of blocks of a channel, even and odd numbers.
#[derive(Debug, Default)]
pub(super) struct PairCache([Option<(u64, Vec<Complex32>)>; 2]);

impl NoiseSource {
    pub(super) fn new(seed: u64, sample_rate_hz: f64) -> Self {
        let frequency_hz = |bin: usize| bin.min(BLOCK - bin) as f64 * sample_rate_hz / BLOCK as f64;
        let shape = |power: fn(f64) -> f64| -> Arc<[f32]> {
            let powers: Vec<f64> = (0..BLOCK).map(|bin| power(frequency_hz(bin))).collect();
            let sum: f64 = powers.iter().sum();
            powers.iter().map(|power| (power / sum.max(f64::MIN_POSITIVE)) as f32).collect()
        };
        let quarter = std::f64::consts::FRAC_PI_2;
        Self {
            seed,
            microseism: shape(microseism_power),
            local: shape(local_power),
            window: (0..HOP).map(|n| (quarter * (n as f64 + 0.5) / HOP as f64).sin() as f32).collect(),
            // The scalar transform gives the same bits on every machine of an architecture.
            transform: FftPlannerScalar::new().plan_fft_inverse(BLOCK),
        }
    }

    /// Amplitude of each bin for a station.
    pub(super) fn amplitudes(&self, station: &StationNoise) -> Vec<f32> {
        let (microseism, local) = (station.microseism_counts.powi(2), station.local_counts.powi(2));
        let shapes = self.microseism.iter().zip(self.local.iter());
        shapes.map(|(m, l)| (microseism * m + local * l).sqrt()).collect()
    }

    /// Writes the noise of samples `block_index * HOP ..` into `out`, length [`HOP`].
    pub(super) fn fill(
        &self,
        channel_index: usize,
        block_index: u64,
        amplitudes: &[f32],
        cache: &mut PairCache,
        out: &mut [f32],
    ) {
        let is_same_pair = block_index.is_multiple_of(2);
        let ending_pair = block_index / 2;
        self.ensure(channel_index, ending_pair, amplitudes, cache);
        self.ensure(channel_index, block_index.div_ceil(2), amplitudes, cache);
        let pair = |number: u64| cache.0[(number % 2) as usize].as_ref().map_or(&[][..], |(_, pair)| pair);
        let falling = self.window.iter().rev();
        if is_same_pair {
            let pair = pair(ending_pair);
            let (rising_half, falling_half) = (&pair[..HOP], &pair[HOP..]);
            let windows = self.window.iter().zip(falling);
            for (((sum, up), down), (rise, fall)) in
                out.iter_mut().zip(rising_half).zip(falling_half).zip(windows)
            {
                *sum = down.re * fall + up.im * rise;
            }
        } else {
            let (ending, beginning) = (&pair(ending_pair)[HOP..], &pair(ending_pair + 1)[..HOP]);
            let windows = self.window.iter().zip(falling);
            for (((sum, up), down), (rise, fall)) in out.iter_mut().zip(beginning).zip(ending).zip(windows) {
                *sum = down.im * fall + up.re * rise;
            }
        }
    }

    fn ensure(&self, channel_index: usize, number: u64, amplitudes: &[f32], cache: &mut PairCache) {
        let slot = &mut cache.0[(number % 2) as usize];
        if slot.as_ref().is_some_and(|(cached, _)| *cached == number) {
            return;
        }
        let mut random = stream(self.seed, Purpose::Noise, (channel_index as u64, number));
        // Uniform numbers of unit variance do: thousands of bins add up to Gaussian samples.
        let unit = |half_word: u32| (half_word as f32 - 32_767.5) * UNIFORM_SCALE;
        let mut pair: Vec<Complex32> = amplitudes
            .iter()
            .map(|amplitude| {
                let word = random.next_u32();
                Complex32::new(unit(word & 0xffff) * amplitude, unit(word >> 16) * amplitude)
            })
            .collect();
        self.transform.process(&mut pair);
        *slot = Some((number, pair));
    }
}

/// A bump at 0.18 Hz, the secondary microseism.
fn microseism_power(frequency_hz: f64) -> f64 {
    if frequency_hz == 0.0 {
        return 0.0;
    }
    (-0.5 * ((frequency_hz / 0.18).ln() / 0.3).powi(2)).exp()
}

/// From about 1 Hz on, falling slowly, and cut by the digitiser's filter before the Nyquist frequency of 100 Hz.
fn local_power(frequency_hz: f64) -> f64 {
    let high_pass = frequency_hz.powi(4) / (frequency_hz.powi(4) + 0.7_f64.powi(4));
    high_pass / (1.0 + frequency_hz / 5.0) / (1.0 + (frequency_hz / 42.0).powi(12))
}
