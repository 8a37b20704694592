//! Distances and azimuths on the WGS84 ellipsoid.

use geographiclib_rs::{Geodesic, InverseGeodesic};

/// Kilometres of one degree of a great circle on a sphere of radius 6371 km.
pub const KM_PER_DEGREE: f64 = 111.194_926_644_558_74;

/// Geodesic distance in km and azimuth at the first point, degrees clockwise from north (0 to 360).
/// Karney (2013), the algorithm that ObsPy uses.
pub fn distance_azimuth(latitude: f64, longitude: f64, to_latitude: f64, to_longitude: f64) -> (f64, f64) {
    let (distance_m, azimuth, _back, _arc): (f64, f64, f64, f64) =
        Geodesic::wgs84().inverse(latitude, longitude, to_latitude, to_longitude);
    (distance_m / 1000.0, azimuth.rem_euclid(360.0))
}

/// A local flat frame around a reference point: east and north in km. Good to about 0.1 % within 300 km.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalFrame {
    latitude: f64,
    longitude: f64,
    km_per_degree_east: f64,
    km_per_degree_north: f64,
}

impl LocalFrame {
    /// Frame centred on a point (degrees).
    pub fn new(latitude: f64, longitude: f64) -> Self {
        let (sin, cos) = latitude.to_radians().sin_cos();
        // Radii of curvature of the WGS84 ellipsoid.
        let (a, e2) = (6378.137_f64, 0.006_694_379_990_141_f64);
        let w2 = 1.0 - e2 * sin * sin;
        let meridian = a * (1.0 - e2) / (w2 * w2.sqrt());
        let prime_vertical = a / w2.sqrt();
        Self {
            latitude,
            longitude,
            km_per_degree_east: (prime_vertical * cos).to_radians(),
            km_per_degree_north: meridian.to_radians(),
        }
    }

    /// East and north of the centre, km.
    pub fn to_km(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let mut east_degrees = longitude - self.longitude;
        if east_degrees > 180.0 {
            east_degrees -= 360.0;
        } else if east_degrees < -180.0 {
            east_degrees += 360.0;
        }
        (east_degrees * self.km_per_degree_east, (latitude - self.latitude) * self.km_per_degree_north)
    }

    /// Latitude and longitude, degrees, of a point given in km.
    pub fn to_degrees(&self, east_km: f64, north_km: f64) -> (f64, f64) {
        let longitude = self.longitude + east_km / self.km_per_degree_east;
        let longitude = if longitude > 180.0 {
            longitude - 360.0
        } else if longitude < -180.0 {
            longitude + 360.0
        } else {
            longitude
        };
        (self.latitude + north_km / self.km_per_degree_north, longitude)
    }
}

/// A point of the ellipsoid's surface, prepared for many distances: geocentric coordinates in km.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfacePoint {
    x_km: f64,
    y_km: f64,
    z_km: f64,
}

impl SurfacePoint {
    /// The point at a latitude and longitude, degrees; any longitude will do.
    pub fn new(latitude: f64, longitude: f64) -> Self {
        let (a, e2) = (6378.137_f64, 0.006_694_379_990_141_f64);
        let (sin_latitude, cos_latitude) = latitude.to_radians().sin_cos();
        let (sin_longitude, cos_longitude) = longitude.to_radians().sin_cos();
        let prime_vertical = a / (1.0 - e2 * sin_latitude * sin_latitude).sqrt();
        Self {
            x_km: prime_vertical * cos_latitude * cos_longitude,
            y_km: prime_vertical * cos_latitude * sin_longitude,
            z_km: prime_vertical * (1.0 - e2) * sin_latitude,
        }
    }

    /// Distance along the surface, km: the chord, bent to an arc of the mean radius. Off the geodesic by less than 1 m at
    /// 300 km and 100 m at 2000 km; some ten nanoseconds.
    pub fn distance_km(&self, other: &Self) -> f64 {
        const DIAMETER_KM: f64 = 2.0 * 6371.0;
        let (dx, dy, dz) = (self.x_km - other.x_km, self.y_km - other.y_km, self.z_km - other.z_km);
        let chord_km = (dx * dx + dy * dy + dz * dz).sqrt();
        let q = (chord_km / DIAMETER_KM).powi(2);
        if q > 0.03 {
            return DIAMETER_KM * (chord_km / DIAMETER_KM).min(1.0).asin();
        }
        // The series of the arc sine.
        chord_km * (1.0 + q * (1.0 / 6.0 + q * (3.0 / 40.0 + q * (15.0 / 336.0 + q * (105.0 / 3456.0)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and azimuth computed by ObsPy's `gps2dist_azimuth` (geographiclib).
    #[test]
    fn distance_agrees_with_karney() {
        let (distance_km, azimuth) = distance_azimuth(31.0, 103.4, 39.9, 116.4);
        assert!((distance_km - 1_535.860_166).abs() < 1e-6, "{distance_km}");
        assert!((azimuth - 46.4388).abs() < 1e-4, "{azimuth}");
    }

    #[test]
    fn local_frame_goes_there_and_back_and_agrees_with_the_geodesic() {
        let frame = LocalFrame::new(64.75, -16.95);
        let (latitude, longitude) = frame.to_degrees(30.0, -40.0);
        let (east_km, north_km) = frame.to_km(latitude, longitude);
        assert!((east_km - 30.0).abs() < 1e-9 && (north_km + 40.0).abs() < 1e-9);
        let (distance_km, _) = distance_azimuth(64.75, -16.95, latitude, longitude);
        assert!((distance_km - 50.0).abs() < 0.15, "{distance_km}");
    }

    #[test]
    fn surface_points_agree_with_the_geodesic_and_do_not_mind_the_date_line() {
        for (from, to, tolerance_km) in [
            ((64.75, -16.95), (64.9, -16.4), 1e-4),
            ((-17.0, 179.9), (-17.5, -178.2), 1e-3),
            ((35.0, 10.0), (37.0, 12.0), 1e-3),
            ((61.0, -150.0), (55.0, -130.0), 0.1),
            ((0.0, 0.0), (0.0, 60.0), 15.0),
        ] {
            let fast_km = SurfacePoint::new(from.0, from.1).distance_km(&SurfacePoint::new(to.0, to.1));
            let (exact_km, _) = distance_azimuth(from.0, from.1, to.0, to.1);
            assert!((fast_km - exact_km).abs() < tolerance_km, "{from:?} {to:?}: {fast_km} {exact_km}");
        }
    }
}
