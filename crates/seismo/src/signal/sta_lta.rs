//! Ratio of the short to the long term average of the squared samples (Withers et al. 1998), whole arrays.

/// Recursive STA/LTA: both averages decay exponentially, `sta += (x² - sta) / sta_count`, likewise for the long one.
///
/// `samples`: any unit, no NaN; `sta_count`, `lta_count`: lengths in samples, at least 1. The result has the length of
/// the input; its first `lta_count` values are zero, all of it where the input is shorter. Equal to ObsPy's
/// `recursive_sta_lta` to rounding. Linear in time.
pub fn recursive_sta_lta(samples: &[f64], sta_count: usize, lta_count: usize) -> Vec<f64> {
    let (sta_gain, lta_gain) = (1.0 / sta_count.max(1) as f64, 1.0 / lta_count.max(1) as f64);
    let (mut sta, mut lta) = (0.0, f64::MIN_POSITIVE);
    let mut ratio = vec![0.0; samples.len()];
    for (index, sample) in samples.iter().enumerate().skip(1) {
        let energy = sample * sample;
        sta = sta_gain * energy + (1.0 - sta_gain) * sta;
        lta = lta_gain * energy + (1.0 - lta_gain) * lta;
        if index >= lta_count {
            ratio[index] = sta / lta;
        }
    }
    ratio
}

/// Classic STA/LTA: moving averages over the last `sta_count` and `lta_count` samples, the current one included.
///
/// Inputs as for [`recursive_sta_lta`]; the first `lta_count - 1` values are zero, and those where the long term
/// average is zero. Equal to ObsPy's `classic_sta_lta` to rounding. Linear in time.
pub fn classic_sta_lta(samples: &[f64], sta_count: usize, lta_count: usize) -> Vec<f64> {
    let mut ratio = vec![0.0; samples.len()];
    if sta_count == 0 || lta_count < sta_count || samples.len() < lta_count {
        return ratio;
    }
    let energy = |index: usize| samples[index] * samples[index];
    let mut sta: f64 = (lta_count - sta_count..lta_count).map(energy).sum();
    let mut lta: f64 = (0..lta_count).map(energy).sum();
    let scale = lta_count as f64 / sta_count as f64;
    for (index, ratio) in ratio.iter_mut().enumerate().skip(lta_count - 1) {
        if index >= lta_count {
            sta += energy(index) - energy(index - sta_count);
            lta += energy(index) - energy(index - lta_count);
        }
        if lta > 0.0 {
            *ratio = sta / lta * scale;
        }
    }
    ratio
}

/// First and last index of each stretch that begins above `on` and lasts while the ratio stays above `off`; one at the
/// end of the array ends there. `off` is at most `on`. Equal to ObsPy's `trigger_onset`. Linear in time.
pub fn trigger_onsets(ratio: &[f64], on: f64, off: f64) -> Vec<(usize, usize)> {
    let mut onsets = Vec::new();
    let mut begin = None;
    for (index, value) in ratio.iter().enumerate() {
        match begin {
            None if *value > on => begin = Some(index),
            Some(first) if *value <= off => {
                onsets.push((first, index - 1));
                begin = None;
            }
            _ => {}
        }
    }
    onsets.extend(begin.map(|first| (first, ratio.len() - 1)));
    onsets
}
