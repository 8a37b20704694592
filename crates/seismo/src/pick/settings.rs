//! What tunes the picker of a station.

use serde::{Deserialize, Serialize};

use super::FilterPickerSettings;

/// Settings of a `StationPicker`. The defaults suit local earthquakes (1 to 300 km) recorded at 40 to 250 Hz.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PickSettings {
    /// Longest period FilterPicker looks at; longer sees distant events, shorter forgets long-period noise.
    pub filter_window_s: f64,
    /// Decay time of FilterPicker's statistics; shorter finds events in the coda of others, longer finds weak ones.
    pub long_term_window_s: f64,
    /// Time over which FilterPicker confirms a trigger.
    pub integral_window_s: f64,
    /// FilterPicker's threshold of the characteristic function; lower finds more and errs more.
    pub trigger_threshold: f64,
    /// FilterPicker's threshold of its mean over the integral window.
    pub integral_threshold: f64,
    /// No picks so long after the begin of a gapless run.
    pub warm_up_s: f64,
    /// Smallest signal-to-noise ratio (of amplitudes) of a P pick.
    pub p_snr_min: f64,
    /// Smallest signal-to-noise ratio (of amplitudes, P coda being the noise) of an S pick.
    pub s_snr_min: f64,
    /// Smallest signal-to-noise ratio of an S that only a rise of energy on the horizontals shows, or only a P before it:
    /// noise has many.
    pub weak_s_snr_min: f64,
    /// Horizontal over vertical amplitude above which an arrival is read as S.
    pub s_horizontal_ratio: f64,
    /// Earliest S after a P.
    pub s_window_min_s: f64,
    /// Latest S after a P.
    pub s_window_max_s: f64,
    /// Length of Wood-Anderson amplitudes kept after a pick.
    pub amplitude_window_s: f64,
}

impl Default for PickSettings {
    fn default() -> Self {
        Self {
            filter_window_s: 1.6,
            long_term_window_s: 8.0,
            integral_window_s: 0.3,
            trigger_threshold: 6.0,
            integral_threshold: 5.0,
            warm_up_s: 4.0,
            p_snr_min: 2.0,
            s_snr_min: 1.7,
            weak_s_snr_min: 2.5,
            s_horizontal_ratio: 1.0,
            s_window_min_s: 0.4,
            s_window_max_s: 25.0,
            amplitude_window_s: 60.0,
        }
    }
}

impl PickSettings {
    /// After an advance to some watermark no pick follows that is older than the watermark by more than this.
    pub fn latency_s(&self) -> f64 {
        self.s_window_max_s + super::decision::DECISION_S
    }

    /// The part that tunes FilterPicker.
    pub fn filter_picker(&self) -> FilterPickerSettings {
        FilterPickerSettings {
            filter_window_s: self.filter_window_s,
            long_term_window_s: self.long_term_window_s,
            integral_window_s: self.integral_window_s,
            trigger_threshold: self.trigger_threshold,
            integral_threshold: self.integral_threshold,
            warm_up_s: self.warm_up_s,
        }
    }
}
