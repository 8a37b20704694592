//! What comes with a hypocentre: origin time, residuals, weights, and how sure it is.

use super::likelihood::{Network, Point};
use super::octree::Samples;

/// Tukey's biweight gives no weight beyond this many standard deviations; 95 % efficient on normal errors.
const BIWEIGHT_CUT: f64 = 4.685;
/// A median absolute deviation times this is a standard deviation of normal errors.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Most that the errors given may be stretched to fit the residuals seen.
const SCALE_MAX: f64 = 3.0;
/// Semi-axes of the ellipse that holds 68 % of a normal distribution in the plane, in standard deviations:
/// `sqrt(-2 ln(1 - 0.6827))`.
const ELLIPSE_SIGMAS: f64 = 1.515;
/// Leaves whose origin times are computed for the uncertainty of the origin time.
const TIME_SAMPLES_MAX: usize = 200;

/// A pick as judged by the hypocentre.
#[derive(Clone, Copy, Debug)]
pub(super) struct PickQuality {
    /// Observed minus calculated.
    pub(super) residual_s: f64,
    /// 0 to 1.
    pub(super) weight: f64,
}

/// Origin time and what the picks say to it.
#[derive(Debug)]
pub(super) struct Fit {
    /// Origin time, seconds since the first pick.
    pub(super) origin_s: f64,
    /// Of the observations, in their order.
    pub(super) judged: Vec<PickQuality>,
    /// Weighted.
    pub(super) rms_s: f64,
    /// Standard deviation of the origin time for a fixed hypocentre.
    time_error_s: f64,
}

impl Fit {
    /// The origin time most picks agree on: the mode of their single origin times, then a biweight mean around it.
    pub(super) fn new(network: &Network<'_>, point: Point) -> Self {
        let mut single_s = Vec::new();
        network.residuals_s(point, &mut single_s);
        let errors_s: Vec<f64> =
            network.observations().iter().map(|observation| observation.error_s).collect();
        let mut origin_s = mode(&single_s, &errors_s);
        let mut weights = vec![0.0; single_s.len()];
        for _ in 0..20 {
            let scale = scale(&single_s, &errors_s, origin_s);
            for ((weight, single), error) in weights.iter_mut().zip(&single_s).zip(&errors_s) {
                let u = (single - origin_s) / (BIWEIGHT_CUT * scale * error);
                *weight = if u.abs() < 1.0 { (1.0 - u * u).powi(2) } else { 0.0 };
            }
            let next_s = weighted_mean(&single_s, &errors_s, &weights).unwrap_or(origin_s);
            let step_s = (next_s - origin_s).abs();
            origin_s = next_s;
            if step_s < 1e-7 {
                break;
            }
        }
        let judged: Vec<PickQuality> = single_s
            .iter()
            .zip(&weights)
            .map(|(single, weight)| PickQuality { residual_s: single - origin_s, weight: *weight })
            .collect();
        let (mut squares, mut total, mut information) = (0.0, 0.0, 0.0);
        for (judged, error_s) in judged.iter().zip(&errors_s).filter(|(judged, _)| judged.weight > 0.0) {
            squares += judged.weight * judged.residual_s * judged.residual_s;
            total += judged.weight;
            information += judged.weight / (error_s * error_s);
        }
        let (rms_s, time_error_s) = if total > 0.0 {
            ((squares / total).sqrt(), information.sqrt().recip())
        } else {
            (0.0, f64::INFINITY)
        };
        Self { origin_s, judged, rms_s, time_error_s }
    }

    /// Phases and stations with weight.
    pub(super) fn used_counts(&self, network: &Network<'_>) -> (usize, usize) {
        let mut stations: Vec<usize> = network
            .observations()
            .iter()
            .zip(&self.judged)
            .filter(|(_, judged)| judged.weight > 0.0)
            .map(|(observation, _)| observation.station_index)
            .collect();
        let phase_count = stations.len();
        stations.sort_unstable();
        stations.dedup();
        (phase_count, stations.len())
    }
}

/// How many errors wide the residuals are, at least 1: their median absolute value.
fn scale(single_s: &[f64], errors_s: &[f64], origin_s: f64) -> f64 {
    let mut sizes: Vec<f64> = single_s
        .iter()
        .zip(errors_s)
        .map(|(single, error)| ((single - origin_s) / error).abs())
        .filter(|size| !size.is_nan())
        .collect();
    sizes.sort_by(f64::total_cmp);
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
    (MAD_TO_SIGMA * median).clamp(1.0, SCALE_MAX)
}

/// The single origin time that most others agree with.
fn mode(single_s: &[f64], errors_s: &[f64]) -> f64 {
    let mut best = (f64::NEG_INFINITY, 0.0);
    for candidate in single_s.iter().copied().filter(|time| !time.is_nan()) {
        let support: f64 = single_s
            .iter()
            .zip(errors_s)
            .filter(|(single, _)| !single.is_nan())
            .map(|(single, error)| (-0.25 * ((single - candidate) / error).powi(2)).exp() / error)
            .sum();
        if support > best.0 {
            best = (support, candidate);
        }
    }
    best.1
}

fn weighted_mean(single_s: &[f64], errors_s: &[f64], weights: &[f64]) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for ((single, error), weight) in
        single_s.iter().zip(errors_s).zip(weights).filter(|(_, weight)| **weight > 0.0)
    {
        let weight = weight / (error * error);
        sum += weight * single;
        total += weight;
    }
    (total > 0.0).then(|| sum / total)
}

/// Uncertainty, from the sampled posterior.
#[derive(Debug)]
pub(super) struct Spread {
    /// xx, xy, xz, yy, yz, zz with x east, y north, z down.
    pub(super) covariance_km2: [f64; 6],
    pub(super) ellipse_major_km: f64,
    pub(super) ellipse_minor_km: f64,
    pub(super) ellipse_azimuth: f64,
    pub(super) time_s: f64,
}

/// Second moments of the leaves, each an even box, in directions as they are at the best point; and of the origin
/// times that go with them.
pub(super) fn spread(network: &Network<'_>, samples: &Samples, best: Point, fit: &Fit) -> Spread {
    let mut mean = [0.0; 3];
    for (cell, share) in &samples.leaves {
        let centre = [cell.centre.east_km, cell.centre.north_km, cell.centre.depth_km];
        mean.iter_mut().zip(centre).for_each(|(mean, value)| *mean += share * value);
    }
    let mut covariance_km2 = [0.0; 6];
    for (cell, share) in &samples.leaves {
        let x = cell.centre.east_km - mean[0];
        let y = cell.centre.north_km - mean[1];
        let z = cell.centre.depth_km - mean[2];
        // Variance within an even box of half-width h: h²/3.
        let (across, down) = (cell.half_across_km.powi(2) / 3.0, cell.half_down_km.powi(2) / 3.0);
        let moments = [x * x + across, x * y, x * z, y * y + across, y * z, z * z + down];
        covariance_km2.iter_mut().zip(moments).for_each(|(sum, moment)| *sum += share * moment);
    }
    let covariance_km2 = turned(covariance_km2, network.frame().turn_at(best.east_km, best.north_km));
    let [xx, xy, _, yy, _, _] = covariance_km2;
    let (middle, half) = (0.5 * (xx + yy), (0.25 * (xx - yy).powi(2) + xy * xy).sqrt());
    // Azimuth of the major axis from north: the angle whose double has sine xy and cosine (yy - xx)/2.
    let azimuth = 0.5 * f64::atan2(xy, 0.5 * (yy - xx));
    Spread {
        covariance_km2,
        ellipse_major_km: ELLIPSE_SIGMAS * (middle + half).max(0.0).sqrt(),
        ellipse_minor_km: ELLIPSE_SIGMAS * (middle - half).max(0.0).sqrt(),
        ellipse_azimuth: azimuth.to_degrees().rem_euclid(180.0),
        time_s: fit.time_error_s.hypot(time_spread_s(network, samples, fit)),
    }
}

/// A covariance (xx, xy, xz, yy, yz, zz) in axes whose east and north are turned back by `turn` radians clockwise: what
/// lay at azimuth a lies at a + turn.
fn turned([xx, xy, xz, yy, yz, zz]: [f64; 6], turn: f64) -> [f64; 6] {
    let (sin, cos) = turn.sin_cos();
    [
        cos * cos * xx + 2.0 * sin * cos * xy + sin * sin * yy,
        sin * cos * (yy - xx) + (cos * cos - sin * sin) * xy,
        cos * xz + sin * yz,
        sin * sin * xx - 2.0 * sin * cos * xy + cos * cos * yy,
        cos * yz - sin * xz,
        zz,
    ]
}

/// Standard deviation of the origin time over the posterior.
fn time_spread_s(network: &Network<'_>, samples: &Samples, fit: &Fit) -> f64 {
    let weights: Vec<f64> = fit.judged.iter().map(|judged| judged.weight).collect();
    let errors_s: Vec<f64> = network.observations().iter().map(|observation| observation.error_s).collect();
    let mut single_s = Vec::new();
    let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (cell, share) in samples.leaves.iter().take(TIME_SAMPLES_MAX) {
        network.residuals_s(cell.centre, &mut single_s);
        let Some(origin_s) = weighted_mean(&single_s, &errors_s, &weights).filter(|time| !time.is_nan())
        else {
            continue;
        };
        let difference_s = origin_s - fit.origin_s;
        total += share;
        sum += share * difference_s;
        squares += share * difference_s * difference_s;
    }
    if total > 0.0 { (squares / total - (sum / total).powi(2)).max(0.0).sqrt() } else { 0.0 }
}

/// Largest angle without a station, degrees; 360 for fewer than two directions.
pub(super) fn azimuthal_gap(azimuths: impl Iterator<Item = f64>) -> f64 {
    let mut azimuths: Vec<f64> = azimuths.collect();
    azimuths.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (azimuths.first(), azimuths.last()) else { return 360.0 };
    azimuths.windows(2).map(|pair| pair[1] - pair[0]).fold(360.0 - (last - first), f64::max)
}
