//! SQL functions: one file for each family and one line in [`FUNCTIONS`] for each function.

mod baseline;
mod calculus;
mod continuity;
mod correlation;
mod distance_km;
mod filters;
mod measures;
mod ntile;
mod percentiles;
mod remove_response;
mod resampling;
pub(crate) mod spectra;
mod triggers;
mod waveform;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// Constructors of every function of ours, in the order of `docs/functions.md`.
pub const FUNCTIONS: &[fn() -> ScalarUDF] = &[
    baseline::demean,
    baseline::detrend,
    baseline::taper,
    filters::bandpass,
    filters::highpass,
    filters::lowpass,
    resampling::decimate,
    resampling::resample,
    calculus::integrate,
    calculus::differentiate,
    remove_response::remove_response,
    remove_response::response_amplitude,
    remove_response::response_problem,
    triggers::sta_lta,
    triggers::filter_picker,
    triggers::aic,
    triggers::aic_onset_s,
    correlation::xcorr,
    correlation::xcorr_lag_s,
    spectra::spectrum,
    spectra::psd,
    spectra::envelope,
    measures::rms,
    measures::peak,
    measures::energy,
    distance_km::function,
];

/// Constructors of every aggregate function of ours.
pub const AGGREGATES: &[fn() -> AggregateUDF] = &[continuity::function];

/// Constructors of window functions of the engine that are ours.
pub(crate) const WINDOWS: &[fn() -> WindowUDF] = &[ntile::function];

/// Constructors of aggregates of the engine that are ours.
pub(crate) const AGGREGATES_INSTEAD: &[fn() -> AggregateUDF] = &[
    percentiles::median,
    percentiles::percentile_cont,
    crate::integers::sum::function,
    crate::extremes::min,
    crate::extremes::max,
];
