//! Tapers: both ends of a run of samples fade to zero, so that a Fourier transform sees no step.

use std::f64::consts::PI;

/// Multiplies both ends with the halves of a Hann window, in place.
///
/// `samples`: any unit; `share`: part of the run that fades at each end, 0 to 0.5, cut there. The first and the last
/// sample become zero. Equal to ObsPy's `Trace.taper(max_percentage=share)`. Linear in time.
pub fn taper(samples: &mut [f64], share: f64) {
    let count = samples.len();
    let fading = ((share.clamp(0.0, 0.5) * count as f64) as usize).min(count / 2);
    if fading == 0 {
        return;
    }
    // A run that fades from both ends up to its middle has no sample at weight one.
    let span = if 2 * fading == count { 2 * fading - 1 } else { 2 * fading } as f64;
    for index in 0..fading {
        let weight = 0.5 * (1.0 - (std::f64::consts::TAU * index as f64 / span).cos());
        samples[index] *= weight;
        samples[count - 1 - index] *= weight;
    }
}

/// Quarter cosines over half of `share` at each end, as ObsPy tapers before it removes a response
/// (`cosine_taper(n, share, sactaper=True, halfcosine=False)`).
pub(super) fn quarter_cosine_taper(samples: &mut [f64], share: f64) {
    let count = samples.len();
    let fading = (count as f64 * share / 2.0 + 0.5) as usize;
    if fading == 0 || count < 2 * fading + 2 {
        return;
    }
    for index in 0..=fading {
        let weight = (PI / 2.0 * (fading - index) as f64 / fading as f64).cos();
        samples[index] *= weight;
        samples[count - 1 - index] *= weight;
    }
}

/// Hann window of the periodic kind, which spectra want: `0.5 - 0.5 cos(2 pi k / count)`.
pub(super) fn periodic_hann(count: usize) -> Vec<f64> {
    let weight = |index: usize| 0.5 - 0.5 * (std::f64::consts::TAU * index as f64 / count as f64).cos();
    (0..count).map(weight).collect()
}
