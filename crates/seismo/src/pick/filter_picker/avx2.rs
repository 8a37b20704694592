//! [`Quiet::pass`] four bands to a register, for x86-64 processors with AVX2.
//!
//! The same sums and products in the same order as the plain code, each rounded alike: the results are equal, which a
//! property test holds. All instructions used are safe to call where the processor has AVX2; the one caller checks that.

use std::arch::x86_64::{
    __m256d, _CMP_LT_OQ, _mm_cvtsd_f64, _mm_unpackhi_pd, _mm256_add_pd, _mm256_blendv_pd,
    _mm256_castpd256_pd128, _mm256_cmp_pd, _mm256_extractf128_pd, _mm256_max_pd, _mm256_mul_pd,
    _mm256_set1_pd, _mm256_setr_pd, _mm256_setzero_pd, _mm256_sub_pd,
};

use super::{Bands, LANES, Quiet, VARIANCE_MIN};

/// [`Bands`] in registers.
#[derive(Clone, Copy)]
struct Wide {
    high_gain: __m256d,
    low_gain: __m256d,
    high: __m256d,
    high_twice: __m256d,
    low: __m256d,
    mean: __m256d,
    variance: __m256d,
    rise: __m256d,
}

impl Wide {
    #[target_feature(enable = "avx2")]
    fn load(bands: &Bands) -> Self {
        Self {
            high_gain: load(&bands.high_gain),
            low_gain: load(&bands.low_gain),
            high: load(&bands.high),
            high_twice: load(&bands.high_twice),
            low: load(&bands.low),
            mean: load(&bands.mean),
            variance: load(&bands.variance),
            rise: load(&bands.rise),
        }
    }

    #[target_feature(enable = "avx2")]
    fn store(self, bands: &mut Bands) {
        bands.high = store(self.high);
        bands.high_twice = store(self.high_twice);
        bands.low = store(self.low);
        bands.mean = store(self.mean);
        bands.variance = store(self.variance);
        bands.rise = store(self.rise);
    }
}

#[target_feature(enable = "avx2")]
fn load(lanes: &[f64; LANES]) -> __m256d {
    let [a, b, c, d] = *lanes;
    _mm256_setr_pd(a, b, c, d)
}

#[target_feature(enable = "avx2")]
fn store(lanes: __m256d) -> [f64; LANES] {
    let (low, high) = (_mm256_castpd256_pd128(lanes), _mm256_extractf128_pd::<1>(lanes));
    [
        _mm_cvtsd_f64(low),
        _mm_cvtsd_f64(_mm_unpackhi_pd(low, low)),
        _mm_cvtsd_f64(high),
        _mm_cvtsd_f64(_mm_unpackhi_pd(high, high)),
    ]
}

impl Quiet {
    #[target_feature(enable = "avx2")]
    pub(super) fn pass_wide<const N: usize>(
        self,
        mut bands: [Bands; N],
        samples: &[f64],
    ) -> Option<[Bands; N]> {
        let mut wide = [Wide::load(&bands[0]); N];
        for (wide, bands) in wide.iter_mut().zip(&bands) {
            *wide = Wide::load(bands);
        }
        let (gain, rest) = (_mm256_set1_pd(self.gain), _mm256_set1_pd(1.0 - self.gain));
        let (limit, zero) = (_mm256_set1_pd(self.limit), _mm256_setzero_pd());
        let variance_min = _mm256_set1_pd(VARIANCE_MIN);
        let mut beyond = _mm256_set1_pd(f64::NEG_INFINITY);
        let (mut last_sample, mut position) = (self.last_sample, self.position);
        for sample in samples {
            let (change, at) = (_mm256_set1_pd(sample - last_sample), _mm256_set1_pd(position));
            last_sample = *sample;
            position += 1.0;
            for bands in &mut wide {
                let before = bands.high;
                bands.high = _mm256_mul_pd(bands.high_gain, _mm256_add_pd(before, change));
                let high_twice = _mm256_sub_pd(_mm256_add_pd(bands.high_twice, bands.high), before);
                bands.high_twice = _mm256_mul_pd(bands.high_gain, high_twice);
                let low = _mm256_mul_pd(bands.low_gain, _mm256_sub_pd(bands.high_twice, bands.low));
                bands.low = _mm256_add_pd(bands.low, low);
                let excess = _mm256_sub_pd(_mm256_mul_pd(bands.low, bands.low), bands.mean);
                let positive = _mm256_max_pd(excess, zero);
                let positive_squared = _mm256_mul_pd(positive, positive);
                let variance = _mm256_max_pd(bands.variance, variance_min);
                let fallen = _mm256_cmp_pd::<_CMP_LT_OQ>(positive_squared, variance);
                bands.rise = _mm256_blendv_pd(bands.rise, at, fallen);
                let difference = _mm256_sub_pd(positive_squared, _mm256_mul_pd(limit, variance));
                beyond = _mm256_max_pd(difference, beyond);
                bands.mean = _mm256_add_pd(bands.mean, _mm256_mul_pd(gain, excess));
                let deviation = _mm256_mul_pd(rest, excess);
                let step = _mm256_sub_pd(_mm256_mul_pd(deviation, deviation), bands.variance);
                bands.variance = _mm256_add_pd(bands.variance, _mm256_mul_pd(gain, step));
            }
        }
        if !store(beyond).iter().all(|difference| *difference < 0.0) {
            return None;
        }
        for (wide, bands) in wide.into_iter().zip(&mut bands) {
            wide.store(bands);
        }
        Some(bands)
    }
}
