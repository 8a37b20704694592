//! Mean and linear trend off a gapless run of samples, in place. As SciPy's `detrend(type="constant" | "linear")`.

/// Takes the mean off. `samples`: any unit, no NaN. Linear in time; an empty slice stays empty.
pub fn demean(samples: &mut [f64]) {
    if samples.is_empty() {
        return;
    }
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    for sample in samples {
        *sample -= mean;
    }
}

/// Takes the straight line of least squares off. `samples`: any unit, no NaN; one sample becomes zero. Linear in time.
pub fn detrend(samples: &mut [f64]) {
    demean(samples);
    let middle = (samples.len() as f64 - 1.0) / 2.0;
    let (mut products, mut squares) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let place = index as f64 - middle;
        products += place * sample;
        squares += place * place;
    }
    if squares == 0.0 {
        return;
    }
    let slope = products / squares;
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample -= slope * (index as f64 - middle);
    }
}
