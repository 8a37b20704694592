//! `rms`, `peak`, `energy`: one number for a run of samples.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal;

use super::waveform::{Answer, Arguments, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction};

static RMS: WaveformFunction = WaveformFunction {
    name: "rms",
    doc: "Root of the mean square, in the unit of the samples. Gaps are left out; null where nothing is left.",
    arguments: &[SAMPLES],
    returns: Returns::Number,
    example: "rms(bandpass(demean(samples), sample_rate_hz, 1, 10))",
    apply: |arguments| Ok(Answer::Number(signal::rms(&present(arguments)))),
};

static PEAK: WaveformFunction = WaveformFunction {
    name: "peak",
    doc: "Largest absolute value, in the unit of the samples. Gaps are left out; null where nothing is left.",
    arguments: &[SAMPLES],
    returns: Returns::Number,
    example: "peak(demean(samples))",
    apply: |arguments| Ok(Answer::Number(signal::peak(&present(arguments)))),
};

static ENERGY: WaveformFunction = WaveformFunction {
    name: "energy",
    doc: "Sum of squares times the sample interval: unit² s. Gaps are left out; null where nothing is left.",
    arguments: &[SAMPLES, SAMPLE_RATE_HZ],
    returns: Returns::Number,
    example: "energy(demean(samples), sample_rate_hz)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        Ok(Answer::Number(signal::energy(&present(arguments), rate_hz)))
    },
};

pub(super) fn rms() -> ScalarUDF {
    RMS.udf()
}

pub(super) fn peak() -> ScalarUDF {
    PEAK.udf()
}

pub(super) fn energy() -> ScalarUDF {
    ENERGY.udf()
}

fn present(arguments: &mut Arguments<'_>) -> Vec<f64> {
    let mut samples = arguments.list("samples");
    samples.retain(|sample| sample.is_finite());
    samples
}
