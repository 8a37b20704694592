//! `bandpass`, `highpass`, `lowpass`: Butterworth filters, one way or both.

use datafusion::logical_expr::ScalarUDF;
use seislake_seismo::signal::{Band, SectionFilter, butterworth};

use super::waveform::{
    Answer, Argument, Arguments, Refusal, Returns, SAMPLE_RATE_HZ, SAMPLES, WaveformFunction, refusal,
};

const ORDER: Argument =
    Argument::number("order", "Order of the prototype, 1 to 10; ObsPy calls it corners.").or("4");
const ZERO_PHASE: Argument =
    Argument::flag("zero_phase", "True: forwards and backwards, no delay, twice the attenuation.")
        .or("false");

static BANDPASS: WaveformFunction = WaveformFunction {
    name: "bandpass",
    doc: "Samples between two corner frequencies (-3 dB), Butterworth. \
          Starts from rest: take the mean off first. Runs over each gapless run anew; gaps stay null. \
          Equal to SciPy's `sosfilt(butter(order, …))` and ObsPy's `bandpass` within 1e-9 of the largest value.",
    arguments: &[
        SAMPLES,
        SAMPLE_RATE_HZ,
        Argument::number("low_hz", "Lower corner, Hz."),
        Argument::number("high_hz", "Upper corner, Hz, below half the sample rate."),
        ORDER,
        ZERO_PHASE,
    ],
    returns: Returns::List,
    example: "bandpass(demean(samples), sample_rate_hz, 1, 10)",
    apply: |arguments| {
        let (low_hz, high_hz) = (corner(arguments, "low_hz")?, corner(arguments, "high_hz")?);
        if low_hz >= high_hz {
            return refusal(format!("low_hz of {low_hz} Hz is not below high_hz of {high_hz} Hz"));
        }
        filter(arguments, Band::BandPass { low_hz, high_hz })
    },
};

const ONE_CORNER: &[Argument] = &[
    SAMPLES,
    SAMPLE_RATE_HZ,
    Argument::number("corner_hz", "Corner, Hz, below half the sample rate."),
    ORDER,
    ZERO_PHASE,
];

static HIGHPASS: WaveformFunction = WaveformFunction {
    name: "highpass",
    doc: "Samples above a corner frequency (-3 dB), Butterworth. Else as `bandpass`.",
    arguments: ONE_CORNER,
    returns: Returns::List,
    example: "highpass(demean(samples), sample_rate_hz, 0.5)",
    apply: |arguments| {
        let corner_hz = corner(arguments, "corner_hz")?;
        filter(arguments, Band::HighPass { corner_hz })
    },
};

static LOWPASS: WaveformFunction = WaveformFunction {
    name: "lowpass",
    doc: "Samples below a corner frequency (-3 dB), Butterworth. Else as `bandpass`.",
    arguments: ONE_CORNER,
    returns: Returns::List,
    example: "lowpass(demean(samples), sample_rate_hz, 0.05, 2, true)",
    apply: |arguments| {
        let corner_hz = corner(arguments, "corner_hz")?;
        filter(arguments, Band::LowPass { corner_hz })
    },
};

pub(super) fn bandpass() -> ScalarUDF {
    BANDPASS.udf()
}

pub(super) fn highpass() -> ScalarUDF {
    HIGHPASS.udf()
}

pub(super) fn lowpass() -> ScalarUDF {
    LOWPASS.udf()
}

fn corner(arguments: &Arguments<'_>, name: &str) -> Result<f64, Refusal> {
    let (corner_hz, rate_hz) = (arguments.positive(name)?, arguments.sample_rate_hz()?);
    if corner_hz >= rate_hz / 2.0 {
        let half = rate_hz / 2.0;
        return refusal(format!("{name} of {corner_hz} Hz is not below half the sample rate ({half} Hz)"));
    }
    Ok(corner_hz)
}

fn filter(arguments: &mut Arguments<'_>, band: Band) -> Result<Answer, Refusal> {
    const ORDER_MAX: usize = 10;
    let order = arguments.whole("order", 1..=ORDER_MAX)?;
    let filter: SectionFilter = match butterworth(order as u32, band, arguments.sample_rate_hz()?) {
        Ok(filter) => filter,
        Err(error) => return refusal(error.to_string()),
    };
    let zero_phase = arguments.flag("zero_phase");
    arguments.each_run(|run, _| {
        if zero_phase {
            filter.apply_zero_phase(run);
        } else {
            filter.at_rest().apply(run);
        }
    })
}
