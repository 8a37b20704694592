//! Signal processing on streams of samples: what the pickers and the amplitude measurement are made of.
//!
//! Every filter here keeps its state from sample to sample, so a stream may be cut anywhere. None of them may see a
//! NaN: the caller splits at gaps and starts a new filter behind them. Snapshots restore every float bit for bit.
//!
//! | file | what | reference |
//! |---|---|---|
//! | `butterworth` | band, high and low pass | bilinear transform of the analogue prototype, as SciPy's `butter` |
//! | `sections` | cascade of second order sections | transposed direct form II |
//! | `one_pole` | recursive high and low pass of first order | Lomax, Satriano & Vassallo 2012 |
//! | `sta_lta` | ratio of short to long term average | Withers et al. 1998 |
//! | `wood_anderson` | simulated Wood-Anderson seismograph | Uhrhammer & Collins 1990; Al-Alaoui 1993 |

mod butterworth;
pub(crate) mod exact;
mod one_pole;
mod sections;
mod sta_lta;
mod wood_anderson;

pub use butterworth::{Band, FilterError, butterworth};
pub use one_pole::{OnePoleHighPass, OnePoleLowPass};
pub use sections::{Section, SectionFilter};
pub use sta_lta::{classic_sta_lta, recursive_sta_lta};
pub use wood_anderson::WoodAnderson;

/// Takes the mean off the samples, in place. Linear in time; an empty slice stays empty.
pub fn demean(samples: &mut [f64]) {
    if samples.is_empty() {
        return;
    }
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    for sample in samples {
        *sample -= mean;
    }
}

#[cfg(test)]
mod tests;
