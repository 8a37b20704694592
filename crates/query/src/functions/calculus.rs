//! `integrate`, `differentiate`: from acceleration to velocity to displacement and back.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal;

use super::waveform::{Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction};

static INTEGRATE: WaveformFunction = WaveformFunction {
    name: "integrate",
    doc: "Integral over time by the trapezoidal rule, from zero in each gapless run; gaps stay null. \
          Unit of the samples times second. A mean becomes a trend: take it off first. As ObsPy's `Trace.integrate`.",
    arguments: &[SAMPLES, SAMPLE_RATE_HZ],
    returns: Returns::List,
    example: "integrate(demean(samples), sample_rate_hz)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        arguments.each_run(|run, _| signal::integrate(run, rate_hz))
    },
};

static DIFFERENTIATE: WaveformFunction = WaveformFunction {
    name: "differentiate",
    doc: "Derivative in time by central differences, one-sided at the ends of each gapless run; gaps stay null. \
          Unit of the samples per second. As ObsPy's `Trace.differentiate`.",
    arguments: &[SAMPLES, SAMPLE_RATE_HZ],
    returns: Returns::List,
    example: "differentiate(samples, sample_rate_hz)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        arguments.each_run(|run, _| signal::differentiate(run, rate_hz))
    },
};

pub(super) fn integrate() -> ScalarUDF {
    INTEGRATE.udf()
}

pub(super) fn differentiate() -> ScalarUDF {
    DIFFERENTIATE.udf()
}
