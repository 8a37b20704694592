//! `demean`, `detrend`, `taper`: what comes before everything else.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal;

use super::waveform::{Argument, Returns, SAMPLES, WaveformFunction, refusal};

static DEMEAN: WaveformFunction = WaveformFunction {
    name: "demean",
    doc: "Samples without their mean, each gapless run by itself; gaps stay null.",
    arguments: &[SAMPLES],
    returns: Returns::List,
    example: "demean(samples)",
    apply: |arguments| arguments.each_run(|run, _| signal::demean(run)),
};

static DETREND: WaveformFunction = WaveformFunction {
    name: "detrend",
    doc: "Samples without their straight line of least squares, each gapless run by itself; gaps stay null. \
          As SciPy's `detrend`.",
    arguments: &[SAMPLES],
    returns: Returns::List,
    example: "detrend(samples)",
    apply: |arguments| arguments.each_run(|run, _| signal::detrend(run)),
};

static TAPER: WaveformFunction = WaveformFunction {
    name: "taper",
    doc: "Samples that fade to zero at both ends of each gapless run (halves of a Hann window); gaps stay null. \
          As ObsPy's `Trace.taper`.",
    arguments: &[
        SAMPLES,
        Argument::number("share", "Part of a run that fades at each end, 0 to 0.5.").or("0.05"),
    ],
    returns: Returns::List,
    example: "taper(demean(samples), 0.1)",
    apply: |arguments| {
        let share = arguments.number("share");
        if !(0.0..=0.5).contains(&share) {
            return refusal(format!("share must be from 0 to 0.5, not {share}"));
        }
        arguments.each_run(|run, _| signal::taper(run, share))
    },
};

pub(super) fn demean() -> ScalarUDF {
    DEMEAN.udf()
}

pub(super) fn detrend() -> ScalarUDF {
    DETREND.udf()
}

pub(super) fn taper() -> ScalarUDF {
    TAPER.udf()
}
