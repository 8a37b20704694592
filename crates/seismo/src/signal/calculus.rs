//! Integration and differentiation in time of a gapless run of samples.

/// Integral by the trapezoidal rule, in place; the first value is zero.
///
/// `samples`: unit u, no NaN; the result has unit u·s. As ObsPy's `Trace.integrate()`. A mean or trend in the input
/// becomes a trend or parabola: take it off first. Linear in time.
pub fn integrate(samples: &mut [f64], sample_rate_hz: f64) {
    let half_interval_s = 0.5 / sample_rate_hz;
    let (mut sum, mut last) = (0.0, None);
    for sample in samples {
        let value = *sample;
        if let Some(last) = last {
            sum += (last + value) * half_interval_s;
        }
        last = Some(value);
        *sample = sum;
    }
}

/// Derivative by central differences, one-sided at the ends, in place.
///
/// `samples`: unit u, no NaN; the result has unit u/s. As ObsPy's `Trace.differentiate()` (NumPy's `gradient`). A single
/// sample has none: it becomes zero. Linear in time.
pub fn differentiate(samples: &mut [f64], sample_rate_hz: f64) {
    let count = samples.len();
    if count < 2 {
        samples.fill(0.0);
        return;
    }
    let last = (samples[count - 1] - samples[count - 2]) * sample_rate_hz;
    let mut before = samples[0];
    samples[0] = (samples[1] - samples[0]) * sample_rate_hz;
    for index in 1..count - 1 {
        let here = samples[index];
        samples[index] = (samples[index + 1] - before) * 0.5 * sample_rate_hz;
        before = here;
    }
    samples[count - 1] = last;
}
