//! Signal processing: what the pickers, the amplitude measurement and the SQL functions are made of.
//!
//! Filters of streams keep their state from sample to sample, so a stream may be cut anywhere; snapshots restore every
//! float bit for bit. What needs a whole run of samples takes a slice. None of them may see a NaN: the caller splits at
//! gaps and starts anew behind them.
//!
//! | file | what | reference |
//! |---|---|---|
//! | `butterworth` | band, high and low pass | bilinear transform of the analogue prototype, as SciPy's `butter` |
//! | `sections` | cascade of second order sections, one way or both | transposed direct form II |
//! | `one_pole` | recursive high and low pass of first order | Lomax, Satriano & Vassallo 2012 |
//! | `sta_lta` | ratio of short to long term average | Withers et al. 1998 |
//! | `wood_anderson` | simulated Wood-Anderson seismograph | Uhrhammer & Collins 1990; Al-Alaoui 1993 |
//! | `trend`, `taper`, `calculus`, `measure` | mean, trend, taper, integral, derivative, single numbers | SciPy, ObsPy |
//! | `resample` | new rate by a ratio of whole numbers | polyphase Kaiser filter, as SciPy's `resample_poly` |
//! | `fourier` | amplitudes, envelope, cross-correlation | FFT |
//! | `spectral_density` | periodograms and their mean | Welch 1967 |
//! | `remove_response` | counts to ground motion | water level, as ObsPy's `remove_response` |
//! | `response_stages`, `spline` | frequency response of all stages | evalresp |

mod butterworth;
mod calculus;
pub(crate) mod exact;
mod fourier;
mod measure;
mod one_pole;
mod remove_response;
mod resample;
mod response_stages;
mod sections;
mod spectral_density;
mod spline;
mod sta_lta;
mod taper;
mod trend;
mod wood_anderson;

pub use butterworth::{Band, FilterError, butterworth};
pub use calculus::{differentiate, integrate};
pub use fourier::{Fourier, TRANSFORM_COUNT_MAX};
pub use measure::{energy, peak, rms};
pub use one_pole::{OnePoleHighPass, OnePoleLowPass};
pub use remove_response::{FrequencyResponse, Instrument, ResponseRemoval};
pub use resample::{RATIO_MAX, rate_ratio, resample};
pub use response_stages::{StageError, StageWarning, StagedResponse};
pub use sections::{Section, SectionFilter};
pub use spectral_density::SpectralWindow;
pub use sta_lta::{classic_sta_lta, recursive_sta_lta, trigger_onsets};
pub use taper::taper;
pub use trend::{demean, detrend};
pub use wood_anderson::WoodAnderson;

#[cfg(test)]
mod tests;
