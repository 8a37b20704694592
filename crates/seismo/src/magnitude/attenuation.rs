//! -log10 A0: what distance takes away from a Wood-Anderson amplitude.

use serde::{Deserialize, Serialize};

/// Distances below this are taken for this: the formulas diverge at zero.
const DISTANCE_KM_MIN: f64 = 1.0;

/// A distance correction, hypocentral distance in km to -log10 A0 for amplitudes in mm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attenuation {
    /// Southern California: 1.110 log10(R/100) + 0.00189 (R - 100) + 3.0 (Hutton & Boore 1987, BSSA 77, 2074).
    #[default]
    #[serde(rename = "hutton-boore-1987")]
    HuttonBoore1987,
    /// The standard form of IASPEI (2013): log10 A(nm) + 1.11 log10 R + 0.00189 R - 2.09, with the ground displacement
    /// A that a Wood-Anderson of gain 2080 magnifies.
    Iaspei,
    /// A region's own: pairs of hypocentral distance (km, ascending) and -log10 A0, interpolated linearly; nothing is
    /// known beyond its ends.
    Table(Vec<(f64, f64)>),
}

impl Attenuation {
    /// Name of the recipe.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HuttonBoore1987 => "hutton-boore-1987",
            Self::Iaspei => "iaspei-ml",
            Self::Table(_) => "regional-table",
        }
    }

    /// -log10 A0 at a hypocentral distance; `None` where the recipe has none or the distance is not a number.
    pub fn minus_log_a0(&self, hypocentral_km: f64) -> Option<f64> {
        if !hypocentral_km.is_finite() {
            return None;
        }
        let r = hypocentral_km.max(DISTANCE_KM_MIN);
        match self {
            Self::HuttonBoore1987 => Some(1.110 * (r / 100.0).log10() + 0.00189 * (r - 100.0) + 3.0),
            Self::Iaspei => {
                let nm_per_mm = (1e6_f64 / 2080.0).log10();
                Some(nm_per_mm + 1.11 * r.log10() + 0.00189 * r - 2.09)
            }
            Self::Table(points) => points.windows(2).find_map(|pair| {
                let ((from, low), (to, high)) = (pair[0], pair[1]);
                let inside = from <= hypocentral_km && hypocentral_km <= to && from < to;
                inside.then(|| low + (high - low) * (hypocentral_km - from) / (to - from))
            }),
        }
    }
}
