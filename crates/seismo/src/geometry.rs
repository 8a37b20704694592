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

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and azimuth computed by ObsPy's `gps2dist_azimuth` (geographiclib).
    #[test]
    fn distance_agrees_with_karney() {
        let (distance_km, azimuth) = distance_azimuth(31.0, 103.4, 39.9, 116.4);
        assert!((distance_km - 1535.860_166).abs() < 1e-6, "{distance_km}");
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
}
