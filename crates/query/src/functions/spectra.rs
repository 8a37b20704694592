//! `spectrum`, `psd`, `envelope`: what a Fourier transform shows.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal::{SpectralWindow, TRANSFORM_COUNT_MAX};

use super::waveform::{Answer, Argument, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction, refusal, runs};

static SPECTRUM: WaveformFunction = WaveformFunction {
    name: "spectrum",
    doc: "Amplitude spectrum: n / 2 + 1 values for n samples, the k-th (from zero) at `k * sample_rate_hz / n` Hz, \
          in the unit of the samples per Hz. No taper. Gaps are refused. \
          Equal to NumPy's `abs(rfft(x)) / sample_rate_hz` within 1e-9 of the largest value.",
    arguments: &[SAMPLES, SAMPLE_RATE_HZ],
    returns: Returns::List,
    example: "spectrum(taper(demean(samples)), sample_rate_hz)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        let samples = arguments.gapless("samples")?;
        Ok(Answer::List(arguments.fourier().amplitudes(&samples, rate_hz)))
    },
};

static PSD: WaveformFunction = WaveformFunction {
    name: "psd",
    doc: "Power spectral density (Welch 1967): mean over windows, each demeaned, under a Hann window. The k-th value \
          (from zero) belongs to `k / window_s` Hz; unit² / Hz. Windows that touch a gap are left out; empty where \
          none is left. Equal to SciPy's `welch` within 1e-9 of the largest value.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::number("window_s", "Length of a window, s."),
        Argument::number("overlap", "Part of a window that the next one shares, 0 to 0.95.").or("0.5"),
    ],
    returns: Returns::List,
    example: "psd(samples, sample_rate_hz, 20)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        let count = arguments.sample_count("window_s", 2..=TRANSFORM_COUNT_MAX)?;
        let Some(step) = step(count, arguments.number("overlap")) else {
            return refusal(format!("overlap must be from 0 to 0.95, not {}", arguments.number("overlap")));
        };
        let window = SpectralWindow::new(count, step, rate_hz);
        let samples = arguments.list("samples");
        let runs = runs(&samples);
        let gapless = runs.into_iter().map(|run| &samples[run]);
        Ok(Answer::List(window.welch(arguments.fourier(), gapless)))
    },
};

static ENVELOPE: WaveformFunction = WaveformFunction {
    name: "envelope",
    doc: "Envelope: the absolute value of the analytic signal, each gapless run by itself; gaps stay null. \
          The ends want a taper. Equal to ObsPy's `envelope` within 1e-9 of the largest value.",
    arguments: &[SAMPLES],
    returns: Returns::List,
    example: "envelope(bandpass(demean(samples), sample_rate_hz, 1, 10))",
    apply: |arguments| arguments.each_transform(|run, fourier| fourier.envelope(run)),
};

pub(super) fn spectrum() -> ScalarUDF {
    SPECTRUM.udf()
}

pub(super) fn psd() -> ScalarUDF {
    PSD.udf()
}

pub(super) fn envelope() -> ScalarUDF {
    ENVELOPE.udf()
}

/// Samples from window to window; `None` where the overlap is out of range.
pub(crate) fn step(window_count: usize, overlap: f64) -> Option<usize> {
    const OVERLAP_MAX: f64 = 0.95;
    let shared = (window_count as f64 * overlap).floor() as usize;
    (0.0..=OVERLAP_MAX).contains(&overlap).then(|| (window_count - shared).max(1))
}
