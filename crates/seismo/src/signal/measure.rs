//! One number for a run of samples. NaN is not allowed: leave gaps out first.

/// Root of the mean square, in the unit of the samples. `None` where there is no sample. Linear in time.
pub fn rms(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| (squares(samples) / samples.len() as f64).sqrt())
}

/// Largest absolute value, in the unit of the samples. `None` where there is no sample. Linear in time.
pub fn peak(samples: &[f64]) -> Option<f64> {
    samples.iter().map(|sample| sample.abs()).reduce(f64::max)
}

/// Sum of squares times the sample interval: unit² s. `None` where there is no sample. Linear in time.
pub fn energy(samples: &[f64], sample_rate_hz: f64) -> Option<f64> {
    (!samples.is_empty()).then(|| squares(samples) / sample_rate_hz)
}

fn squares(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).sum()
}
