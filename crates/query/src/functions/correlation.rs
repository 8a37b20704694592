//! `xcorr`, `xcorr_lag_s`: how alike two runs of samples are, and how far apart.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal::TRANSFORM_COUNT_MAX;

use super::waveform::{Answer, Argument, Arguments, Refusal, Returns, SAMPLE_RATE_HZ, WaveformFunction};

const FIRST: Argument = Argument::list("first", "Samples.");
const SECOND: Argument = Argument::list("second", "Samples at the same rate, aligned at the first sample.");
const LAG_MAX_S: Argument = Argument::number("lag_max_s", "Largest lag either way, s.");

static XCORR: WaveformFunction = WaveformFunction {
    name: "xcorr",
    doc: "Normalised cross-correlation of two demeaned runs, -1 to 1: 2 m + 1 values for lags from `-lag_max_s` to \
          `lag_max_s`, m = lag_max_s * sample_rate_hz. A peak at a positive lag: `first` comes later. Gaps are \
          refused. For runs of one length equal to ObsPy's `correlate` within 1e-9.",
    arguments: &[FIRST, SECOND, SAMPLE_RATE_HZ, LAG_MAX_S],
    returns: Returns::List,
    example: "SELECT xcorr(z.samples, n.samples, z.sample_rate_hz, 2) \
              FROM traces('SY.D001..HHZ', '2026-01-01T00:00', '2026-01-01T00:00:10') z, \
              traces('SY.D001..HHN', '2026-01-01T00:00', '2026-01-01T00:00:10') n",
    apply: |arguments| Ok(Answer::List(correlation(arguments)?)),
};

static XCORR_LAG_S: WaveformFunction = WaveformFunction {
    name: "xcorr_lag_s",
    doc: "Lag at which `xcorr` is largest, s; positive where `first` comes later. Gaps are refused.",
    arguments: &[FIRST, SECOND, SAMPLE_RATE_HZ, LAG_MAX_S],
    returns: Returns::Number,
    example: "SELECT xcorr_lag_s(z.samples, n.samples, z.sample_rate_hz, 2) \
              FROM traces('SY.D001..HHZ', '2026-01-01T00:00', '2026-01-01T00:00:10') z, \
              traces('SY.D001..HHN', '2026-01-01T00:00', '2026-01-01T00:00:10') n",
    apply: |arguments| {
        let values = correlation(arguments)?;
        let middle = (values.len() / 2) as f64;
        let largest = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let rate_hz = arguments.sample_rate_hz()?;
        Ok(Answer::Number(largest.map(|(index, _)| (index as f64 - middle) / rate_hz)))
    },
};

pub(super) fn xcorr() -> ScalarUDF {
    XCORR.udf()
}

pub(super) fn xcorr_lag_s() -> ScalarUDF {
    XCORR_LAG_S.udf()
}

fn correlation(arguments: &mut Arguments<'_>) -> Result<Vec<f64>, Refusal> {
    let lag_count_max = arguments.sample_count("lag_max_s", 0..=TRANSFORM_COUNT_MAX)?;
    let (first, second) = (arguments.gapless("first")?, arguments.gapless("second")?);
    Ok(arguments.fourier().cross_correlation(&first, &second, lag_count_max))
}
