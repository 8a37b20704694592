//! One letter for how well an event is located, as lists of events show it.
//!
//! The scheme is that of HYPO71 (Lee & Lahr 1975, USGS OFR 75-311): the mean of a letter for the solution (residuals and
//! errors) and one for the distribution of the stations (phases, gap, nearest station).

use seislake_model::Origin;

/// `A` (excellent) to `D` (poor).
pub(crate) fn quality_flag(origin: &Origin) -> &'static str {
    let (horizontal_km, vertical_km) = (origin.ellipse_major_km, origin.depth_uncertainty_km);
    let solution = match origin.rms_s {
        rms if rms < 0.15 && horizontal_km <= 1.0 && vertical_km <= 2.0 => 0,
        rms if rms < 0.30 && horizontal_km <= 2.5 && vertical_km <= 5.0 => 1,
        rms if rms < 0.50 && horizontal_km <= 5.0 => 2,
        _ => 3,
    };
    let (gap, nearest_km) = (origin.azimuthal_gap, origin.nearest_station_km);
    let distribution = match origin.used_phase_count {
        0..6 => 3,
        _ if gap <= 90.0 && nearest_km <= origin.depth_km.max(5.0) => 0,
        _ if gap <= 135.0 && nearest_km <= (2.0 * origin.depth_km).max(10.0) => 1,
        _ if gap <= 180.0 && nearest_km <= 50.0 => 2,
        _ => 3,
    };
    // The mean, rounded towards the poorer letter.
    ["A", "B", "C", "D"].get(usize::div_ceil(solution + distribution, 2)).copied().unwrap_or("D")
}
