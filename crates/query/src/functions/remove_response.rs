//! `remove_response`: ground motion from counts, with the response of the record's epoch. `response_amplitude`: the
//! response itself. `response_problem`: why it is none.

use datafusion::logical_expr::ScalarUDF;
use seislake_model::InputUnit;
use seislake_seismo::signal::{FrequencyResponse, Instrument, ResponseRemoval};

use super::waveform::{
    Answer, Argument, Refusal, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction, refusal,
};

static REMOVE_RESPONSE: WaveformFunction = WaveformFunction {
    name: "remove_response",
    doc: "Ground motion in m, m/s or m/s² from counts: demeaned, tapered by 5 %, divided by the response in the \
          frequency domain, each gapless run by itself; gaps stay null. Null where the response is null or none of ground \
          motion: `response_problem` says why. \
          Equal to ObsPy's `remove_response` with the same response within 1e-9 of the largest value. `response` holds the \
          overall sensitivity and the analogue poles and zeros: a recorder's digital filters, one in their pass band, are \
          left out. `response_stationxml` holds all stages, which are evaluated as evalresp does it; where their gains \
          contradict the overall sensitivity the stages count. A run that goes on into another epoch is to be asked for \
          in two windows.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::text(
            "response",
            "`response` or `response_stationxml` of `network.channels`, of the epoch that holds the samples: join by \
             `source_id` and time.",
        ),
        Argument::text("output", "`'DISP'`, `'VEL'` or `'ACC'`.").or("'VEL'"),
        Argument::number(
            "water_level_db",
            "The response counts as no smaller than its largest value less so many dB.",
        )
        .or("60"),
        Argument::list(
            "pre_filter_hz",
            "Corners `[f1, f2, f3, f4]` of a band with cosine flanks, Hz; an empty list: none.",
        )
        .or("[]"),
    ],
    returns: Returns::List,
    example: "SELECT t.source_id, t.start_time, peak(remove_response(t.samples, t.sample_rate_hz, c.response, 'VEL')) \
              FROM traces('SY.*.*.HHZ', '2026-01-01T00:00', '2026-01-01T01:00') t \
              JOIN network.channels c ON c.source_id = t.source_id \
              AND (c.start_time IS NULL OR c.start_time <= t.start_time) \
              AND (c.end_time IS NULL OR c.end_time > t.start_time)",
    apply: |arguments| {
        let rate_hz = arguments.sample_rate_hz()?;
        let output = quantity(arguments.text("output"))?;
        let water_level_db = arguments.number("water_level_db");
        if water_level_db.is_nan() || water_level_db < 0.0 {
            return refusal(format!("water_level_db must not be negative, but is {water_level_db}"));
        }
        let pre_filter_hz = corners(&arguments.list("pre_filter_hz"))?;
        let response = arguments.response("response");
        let Ok(response) = &*response else { return Ok(Answer::Null) };
        let removal = ResponseRemoval { water_level_db, pre_filter_hz, ..ResponseRemoval::to(output) };
        arguments.each_transform(|run, fourier| fourier.remove_response(run, rate_hz, response, &removal))
    },
};

static RESPONSE_AMPLITUDE: WaveformFunction = WaveformFunction {
    name: "response_amplitude",
    doc: "Size of a response at a frequency: counts per m, m/s or m/s². The quotient of that of `response_stationxml` and \
          that of `response` tells whether the gains of the stages make the overall sensitivity: evalresp warns where it \
          is off one by more than 5 %. Null where the response is null or none of ground motion (of pressure, say), or \
          has no stages: `response_problem` says why.",
    arguments: &[
        Argument::text("response", "`response` or `response_stationxml` of `network.channels`."),
        Argument::number("frequency_hz", "Frequency, Hz."),
        Argument::text("output", "`'DISP'`, `'VEL'` or `'ACC'`.").or("'VEL'"),
    ],
    returns: Returns::Number,
    example: "SELECT source_id, response_amplitude(response_stationxml, 1) / response_amplitude(response, 1) \
              FROM network.channels",
    apply: |arguments| {
        let output = quantity(arguments.text("output"))?;
        let frequency_hz = arguments.positive("frequency_hz")?;
        let response = arguments.response("response");
        Ok(Answer::Number(
            response.as_ref().as_ref().ok().map(|response| response.at(output, frequency_hz).norm()),
        ))
    },
};

static RESPONSE_PROBLEM: WaveformFunction = WaveformFunction {
    name: "response_problem",
    doc: "Why a response cannot be used, one sentence: its input is no ground motion, it has no stages, a stage lacks what \
          its kind needs. Where it can be used but its document is faulty (gains that do not make the overall sensitivity, \
          a wrong normalization factor, a digital stage without a rate), what is wrong, after the word `warning`. Null \
          where nothing is wrong and where the response is null.",
    arguments: &[Argument::text("response", "`response` or `response_stationxml` of `network.channels`.")],
    returns: Returns::Text,
    example: "SELECT source_id, response_problem(response_stationxml) FROM network.channels",
    apply: |arguments| {
        let response = arguments.response("response");
        Ok(Answer::Text(match &*response {
            Err(reason) => Some(reason.clone()),
            Ok(Instrument::Analogue(_)) => None,
            Ok(Instrument::Staged(response)) => {
                let said: Vec<String> = response.warnings().iter().map(ToString::to_string).collect();
                (!said.is_empty()).then(|| format!("warning: {}", said.join("; ")))
            }
        }))
    },
};

pub(super) fn remove_response() -> ScalarUDF {
    REMOVE_RESPONSE.udf()
}

pub(super) fn response_amplitude() -> ScalarUDF {
    RESPONSE_AMPLITUDE.udf()
}

pub(super) fn response_problem() -> ScalarUDF {
    RESPONSE_PROBLEM.udf()
}

fn quantity(name: &str) -> Result<InputUnit, Refusal> {
    match name.to_ascii_uppercase().as_str() {
        "DISP" => Ok(InputUnit::Displacement),
        "VEL" => Ok(InputUnit::Velocity),
        "ACC" => Ok(InputUnit::Acceleration),
        _ => refusal(format!("output must be 'DISP', 'VEL' or 'ACC', not '{name}'")),
    }
}

fn corners(list: &[f64]) -> Result<Option<[f64; 4]>, Refusal> {
    if list.is_empty() {
        return Ok(None);
    }
    match <[f64; 4]>::try_from(list) {
        Ok(corners) if corners[0] >= 0.0 && corners.is_sorted_by(|a, b| a < b) => Ok(Some(corners)),
        _ => refusal(format!("pre_filter_hz must be four rising frequencies, not {list:?}")),
    }
}
