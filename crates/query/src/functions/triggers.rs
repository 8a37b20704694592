//! `sta_lta`, `filter_picker`, `aic`, `aic_onset_s`: where something begins. The algorithms are those of the pickers.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::pick::{FilterPicker, FilterPickerSettings, aic as aic_values, split};
use seislake_seismo::signal::{classic_sta_lta, recursive_sta_lta};

use super::waveform::{Answer, Argument, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction, refusal, runs};

/// Longest average, samples: an hour at 1000 Hz.
const AVERAGE_COUNT_MAX: usize = 3_600_000;

static STA_LTA: WaveformFunction = WaveformFunction {
    name: "sta_lta",
    doc: "Ratio of the short to the long term average of the squared samples, no unit. Zero until the first long \
          average is complete, in each gapless run anew; gaps stay null. \
          Equal to ObsPy's `classic_sta_lta` and `recursive_sta_lta` within 1e-9.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::number("sta_s", "Length of the short average, s."),
        Argument::number("lta_s", "Length of the long average, s, longer than the short one."),
        Argument::text("method", "`'classic'` (moving averages) or `'recursive'` (decaying averages).")
            .or("'classic'"),
    ],
    returns: Returns::List,
    example: "sta_lta(bandpass(demean(samples), sample_rate_hz, 2, 15), sample_rate_hz, 0.5, 10)",
    apply: |arguments| {
        let sta_count = arguments.sample_count("sta_s", 1..=AVERAGE_COUNT_MAX)?;
        let lta_count = arguments.sample_count("lta_s", 1..=AVERAGE_COUNT_MAX)?;
        if sta_count >= lta_count {
            return refusal("sta_s must be shorter than lta_s");
        }
        let ratio = match arguments.text("method") {
            "classic" => classic_sta_lta,
            "recursive" => recursive_sta_lta,
            method => return refusal(format!("method must be 'classic' or 'recursive', not '{method}'")),
        };
        arguments.each_run(|run, _| {
            let values = ratio(run, sta_count, lta_count);
            run.copy_from_slice(&values);
        })
    },
};

static FILTER_PICKER: WaveformFunction = WaveformFunction {
    name: "filter_picker",
    doc: "Triggers of FilterPicker (Lomax, Satriano & Vassallo 2012): seconds from the first sample to where its \
          characteristic function crossed the threshold. Behind a gap the picker starts anew. \
          The same algorithm as the stage `pick`, without its refinement of the onset.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::number("trigger_threshold", "Threshold of the characteristic function.").or("6"),
        Argument::number("integral_threshold", "Threshold of its mean over the integral window.").or("5"),
        Argument::number("filter_window_s", "Longest period of the filter bands, s.").or("1.6"),
        Argument::number("long_term_window_s", "Decay time of the statistics, s.").or("8"),
        Argument::number("integral_window_s", "Time over which a trigger is confirmed, s.").or("0.3"),
        Argument::number("warm_up_s", "No trigger so long after the begin of a gapless run, s.").or("4"),
    ],
    returns: Returns::List,
    example: "filter_picker(samples, sample_rate_hz)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        let settings = FilterPickerSettings {
            filter_window_s: arguments.positive("filter_window_s")?,
            long_term_window_s: arguments.positive("long_term_window_s")?,
            integral_window_s: arguments.positive("integral_window_s")?,
            trigger_threshold: arguments.positive("trigger_threshold")?,
            integral_threshold: arguments.positive("integral_threshold")?,
            warm_up_s: arguments.number("warm_up_s").max(0.0),
        };
        let samples = arguments.list("samples");
        let mut onsets_s = vec![];
        for run in runs(&samples) {
            let mut picker = FilterPicker::new(&settings, rate_hz);
            picker.push(&samples[run.clone()], |_, trigger| {
                onsets_s.push((run.start as f64 + trigger.index as f64) / rate_hz);
            });
        }
        Ok(Answer::List(onsets_s))
    },
};

static AIC: WaveformFunction = WaveformFunction {
    name: "aic",
    doc: "Akaike information criterion of splitting the samples before each of them (Maeda 1985): smallest at the \
          onset. Gaps are refused. Equal to ObsPy's `aic_simple`, whose values come one place earlier, within 1e-6.",
    arguments: &[SAMPLES],
    returns: Returns::List,
    example: "aic(samples)",
    apply: |arguments| Ok(Answer::List(aic_values(&arguments.gapless("samples")?))),
};

static AIC_ONSET_S: WaveformFunction = WaveformFunction {
    name: "aic_onset_s",
    doc: "Seconds from the first sample to the onset at the minimum of `aic`. \
          Null where the samples are fewer than 7 or all equal. Gaps are refused.",
    arguments: &[SAMPLES, SAMPLE_RATE_HZ],
    returns: Returns::Number,
    example: "aic_onset_s(samples, sample_rate_hz)",
    apply: |arguments| {
        const MARGIN: usize = 3;
        let rate_hz = arguments.sample_rate_hz()?;
        let samples = arguments.gapless("samples")?;
        Ok(Answer::Number(split(&samples, MARGIN).map(|split| split.index as f64 / rate_hz)))
    },
};

pub(super) fn sta_lta() -> ScalarUDF {
    STA_LTA.udf()
}

pub(super) fn filter_picker() -> ScalarUDF {
    FILTER_PICKER.udf()
}

pub(super) fn aic() -> ScalarUDF {
    AIC.udf()
}

pub(super) fn aic_onset_s() -> ScalarUDF {
    AIC_ONSET_S.udf()
}
