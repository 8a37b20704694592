//! `decimate`, `resample`: a lower or higher sample rate.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal;

use super::waveform::{Answer, Argument, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction, refusal};

static DECIMATE: WaveformFunction = WaveformFunction {
    name: "decimate",
    doc: "Every `factor`-th sample behind a low pass at the new Nyquist frequency (-6 dB; linear phase, no delay). \
          The first sample keeps its time; the new rate is `sample_rate_hz / factor`. Gaps are refused. \
          Equal to SciPy's `resample_poly(x, 1, factor, padtype=\"mean\")` within 1e-9 of the largest value.",
    arguments: &[SAMPLES, Argument::number("factor", "Whole number from 1 to 1000.")],
    returns: Returns::List,
    example: "decimate(samples, 5)",
    apply: |arguments| {
        let factor = arguments.whole("factor", 1..=signal::RATIO_MAX)?;
        let samples = arguments.gapless("samples")?;
        Ok(Answer::List(signal::resample(&samples, 1, factor)))
    },
};

static RESAMPLE: WaveformFunction = WaveformFunction {
    name: "resample",
    doc: "Samples at another rate, behind a low pass at the smaller Nyquist frequency (-6 dB; linear phase, no delay). \
          The first sample keeps its time. Gaps are refused. \
          Equal to SciPy's `resample_poly(…, padtype=\"mean\")` within 1e-9 of the largest value.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::number(
            "to_rate_hz",
            "New rate, Hz; its ratio to the old one is of whole numbers up to 1000.",
        ),
    ],
    returns: Returns::List,
    example: "resample(samples, sample_rate_hz, 40)",
    apply: |arguments| {
        let (from_hz, to_hz) = (arguments.sample_rate_hz()?, arguments.positive("to_rate_hz")?);
        let Some((up, down)) = signal::rate_ratio(from_hz, to_hz) else {
            return refusal(format!(
                "to_rate_hz of {to_hz} Hz is to sample_rate_hz of {from_hz} Hz in no ratio of whole numbers up to {}",
                signal::RATIO_MAX
            ));
        };
        let samples = arguments.gapless("samples")?;
        if samples.len().saturating_mul(up) / down > signal::TRANSFORM_COUNT_MAX {
            return refusal(format!(
                "the result would hold more than {} samples",
                signal::TRANSFORM_COUNT_MAX
            ));
        }
        Ok(Answer::List(signal::resample(&samples, up, down)))
    },
};

pub(super) fn decimate() -> ScalarUDF {
    DECIMATE.udf()
}

pub(super) fn resample() -> ScalarUDF {
    RESAMPLE.udf()
}
