//! Where flat maps end, below the sea and above the clouds: from arrivals to hypocentres.

use super::*;
use crate::locate::{LocateSettings, Locator};
use crate::travel_time::{LayeredModel, default_table};

struct Place {
    name: &'static str,
    latitude: f64,
    longitude: f64,
    /// Of the station with a number.
    elevation_m: fn(usize) -> f64,
    depths_km: [f64; 2],
}

const PLACES: [Place; 16] = [
    Place { name: "pole", latitude: 90.0, longitude: 0.0, elevation_m: |_| 10.0, depths_km: [12.0, 9.0] },
    Place {
        name: "other pole",
        latitude: -90.0,
        longitude: 50.0,
        elevation_m: |_| 2800.0,
        depths_km: [12.0, 9.0],
    },
    Place { name: "89.9", latitude: 89.9, longitude: 100.0, elevation_m: |_| 0.0, depths_km: [5.0, 30.0] },
    Place { name: "-89.6", latitude: -89.6, longitude: -60.0, elevation_m: |_| 0.0, depths_km: [5.0, 30.0] },
    Place { name: "89", latitude: 89.0, longitude: 179.9, elevation_m: |_| 0.0, depths_km: [8.0, 15.0] },
    Place { name: "-89", latitude: -89.0, longitude: -0.1, elevation_m: |_| 0.0, depths_km: [8.0, 15.0] },
    Place { name: "88.4", latitude: 88.4, longitude: 0.0, elevation_m: |_| 0.0, depths_km: [8.0, 15.0] },
    Place { name: "-88", latitude: -88.0, longitude: 180.0, elevation_m: |_| 0.0, depths_km: [8.0, 15.0] },
    Place {
        name: "date line",
        latitude: -40.0,
        longitude: 180.0,
        elevation_m: |_| 200.0,
        depths_km: [12.0, 8.0],
    },
    Place {
        name: "date line, west",
        latitude: 52.0,
        longitude: -179.9,
        elevation_m: |_| 0.0,
        depths_km: [12.0, 8.0],
    },
    Place { name: "equator", latitude: 0.0, longitude: 179.99, elevation_m: |_| 0.0, depths_km: [12.0, 8.0] },
    Place { name: "Greenwich", latitude: 51.0, longitude: 0.0, elevation_m: |_| 0.0, depths_km: [12.0, 8.0] },
    Place {
        name: "sea floor",
        latitude: 10.0,
        longitude: 140.0,
        elevation_m: |_| -5000.0,
        depths_km: [12.0, 20.0],
    },
    Place {
        name: "trench",
        latitude: 11.0,
        longitude: 142.0,
        elevation_m: |i| -10_900.0 + 400.0 * i as f64,
        depths_km: [18.0, 25.0],
    },
    Place {
        name: "Andes",
        latitude: -16.0,
        longitude: -68.0,
        elevation_m: |i| 3500.0 + 220.0 * i as f64,
        depths_km: [6.0, 15.0],
    },
    Place {
        name: "Himalaya",
        latitude: 28.0,
        longitude: 86.9,
        elevation_m: |i| 4000.0 + 350.0 * i as f64,
        depths_km: [2.0, 15.0],
    },
];

/// Twelve stations within 70 km.
fn network(place: &Place) -> Stations {
    let frame = LocalFrame::new(place.latitude, place.longitude);
    (0..12)
        .map(|index| {
            let radius_km = 70.0 * (0.25 + 0.75 * ((index * 5) % 12) as f64 / 12.0);
            let (sin, cos) = (30.0 * index as f64 + 3.0).to_radians().sin_cos();
            let (latitude, longitude) = frame.to_degrees(radius_km * sin, radius_km * cos);
            let elevation_m = (place.elevation_m)(index);
            (format!("S{index:02}"), Coordinates { latitude, longitude, elevation_m })
        })
        .collect()
}

#[test]
fn events_are_found_and_located_wherever_on_earth_they_are() {
    let travel_time: Arc<dyn TravelTime> = Arc::new(default_table(&LayeredModel::iasp91()));
    for place in &PLACES {
        let stations = network(place);
        let frame = LocalFrame::new(place.latitude, place.longitude);
        let sources = [(60.0, 7.0, -5.0, place.depths_km[0]), (200.0, -9.0, 11.0, place.depths_km[1])];
        let mut associator = Associator::new(AssociateSettings::default(), Arc::clone(&travel_time));
        let mut truth = Vec::new();
        for (seconds, east_km, north_km, depth_km) in sources {
            let (latitude, longitude) = frame.to_degrees(east_km, north_km);
            truth.push((time(seconds), latitude, longitude, depth_km));
            for (station, at) in &stations {
                let (distance_km, _) = distance_azimuth(latitude, longitude, at.latitude, at.longitude);
                for phase in [Phase::P, Phase::S] {
                    let time_s = travel_time
                        .time_s(phase, distance_km, depth_km, at.elevation_m / 1000.0)
                        .unwrap_or_else(|| panic!("{}: no travel time to {at:?}", place.name));
                    associator.push_pick(pick(station, phase, time(seconds + time_s)), *at);
                }
            }
        }
        let associations = associator.advance(Timestamp::MAX);
        assert_eq!(associations.len(), 2, "{}", place.name);
        let locator = Locator::new(LocateSettings::default(), Arc::clone(&travel_time));
        let known = |source_id: &SourceId, _: Timestamp| {
            stations.iter().find(|(name, _)| name == source_id.station()).map(|(_, at)| *at)
        };
        for (association, (origin_time, latitude, longitude, depth_km)) in associations.iter().zip(truth) {
            let location = locator.locate(association, &known).unwrap();
            let origin = &location.origin;
            let (off_km, _) = distance_azimuth(latitude, longitude, origin.latitude, origin.longitude);
            let off = (
                origin.origin_time.seconds_since(origin_time).abs(),
                off_km,
                (origin.depth_km - depth_km).abs(),
            );
            assert!(off.0 < 0.15 && off.1 < 0.5 && off.2 < 1.0, "{}: {off:?} {origin:?}", place.name);
            assert_eq!(origin.used_phase_count, 24, "{}", place.name);
            assert!(origin.latitude.abs() <= 90.0 && origin.longitude.abs() <= 180.0);
            let numbers = [origin.ellipse_major_km, origin.ellipse_azimuth, origin.time_uncertainty_s];
            assert!(numbers.iter().chain(&origin.covariance_km2).all(|number| number.is_finite()));
        }
    }
}

/// The same network seen from a pole, turned around the Earth's axis: the same ellipse, turned with it.
#[test]
fn the_error_ellipse_points_where_it_should_beside_a_pole() {
    let travel_time: Arc<dyn TravelTime> = Arc::new(default_table(&LayeredModel::iasp91()));
    let ellipse = |longitude: f64| {
        // A line of stations along a meridian, 30 to 90 km beside the pole: it says little across itself.
        let frame = LocalFrame::new(89.5, longitude);
        let places: Vec<(String, Coordinates)> = (0..8)
            .map(|index| {
                let (latitude, longitude) =
                    frame.to_degrees(2.0 * (index % 2) as f64, 8.0 * (index as f64 - 4.0));
                (format!("S{index:02}"), Coordinates { latitude, longitude, elevation_m: 0.0 })
            })
            .collect();
        let (latitude, longitude) = frame.to_degrees(15.0, 0.0);
        let picks = places
            .iter()
            .flat_map(|(name, at)| {
                let (distance_km, _) = distance_azimuth(latitude, longitude, at.latitude, at.longitude);
                let travel_time = &travel_time;
                [Phase::P, Phase::S].map(|phase| {
                    pick(name, phase, time(travel_time.time_s(phase, distance_km, 8.0, 0.0).unwrap()))
                })
            })
            .collect();
        let association = Association {
            event_id: "event".into(),
            origin_time: time(0.0),
            latitude,
            longitude,
            depth_km: 8.0,
            picks,
            sites: BTreeMap::new(),
            amplitude_traces: vec![],
        };
        let known = |source_id: &SourceId, _: Timestamp| {
            places.iter().find(|(name, _)| name == source_id.station()).map(|(_, at)| *at)
        };
        let locator = Locator::new(LocateSettings::default(), Arc::clone(&travel_time));
        locator.locate(&association, &known).unwrap().origin
    };
    let (one, other) = (ellipse(0.0), ellipse(137.0));
    let turned = (one.ellipse_azimuth - other.ellipse_azimuth + 90.0).rem_euclid(180.0) - 90.0;
    assert!(turned.abs() < 5.0, "{} {}", one.ellipse_azimuth, other.ellipse_azimuth);
    assert!((one.ellipse_major_km / other.ellipse_major_km - 1.0).abs() < 0.1);
}

#[test]
fn a_network_across_the_date_line_reaches_as_far_as_any_other() {
    let reach = |west: f64| {
        let mut associator = Associator::new(AssociateSettings::default(), model());
        for (index, east) in [0.0, 3.9, 4.1, 2.0].into_iter().enumerate() {
            let longitude = (west + east + 180.0_f64).rem_euclid(360.0) - 180.0;
            let at = Coordinates { latitude: -17.0 - 0.3 * index as f64, longitude, elevation_m: 0.0 };
            for seconds in [0.0, 1.0] {
                associator.push_pick(pick(&format!("S{index}"), Phase::P, time(seconds)), at);
            }
        }
        associator.advance(time(3600.0));
        (associator.reach.distance_km_max, associator.reach.margin_km, associator.longest_travel_time_s)
    };
    let (across, beside) = (reach(176.0), reach(20.0));
    assert!(
        (across.0 - beside.0).abs() < 1e-6 && (across.1 - beside.1).abs() < 1e-6,
        "{across:?} {beside:?}"
    );
    assert!((across.2 - beside.2).abs() < 1e-6 && across.0 >= 250.0, "{across:?}");
}

#[test]
fn amplitudes_end_where_the_next_event_begins() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let stations = stations(&mut random, 10, 50.0);
    let sources = [0.0, 12.0].map(|seconds| Source { seconds, east_km: 1.0, north_km: -2.0, depth_km: 8.0 });
    let mut associator = Associator::new(AssociateSettings::default(), model());
    let mut first_p = BTreeMap::new();
    for source in sources {
        for (pick, at) in arrivals(&mut random, &stations, source, (100.0, 0.1)) {
            if pick.phase == Phase::P && source.seconds > 0.0 {
                first_p.insert(pick.source_id.station().to_owned(), pick.pick_time);
            }
            associator.push_pick(pick, at);
        }
    }
    for (station, _) in &stations {
        for start in [0.0, 14.0] {
            associator.push_amplitude_trace(AmplitudeTrace {
                source_id: SourceId::from_nslc("XX", station, "", "HHE"),
                start_time: time(start),
                peaks_mm: vec![1.0; 60],
                noise_mm: 0.1,
                high_peaks_mm: vec![1.0; 60],
                high_noise_mm: 0.1,
                at: None,
            });
        }
    }
    assert!(associator.advance(time(50.0)).is_empty(), "amplitudes are to come");
    let declared = associator.advance(Timestamp::MAX);
    assert_eq!(declared.len(), 2);
    assert!(declared[0].amplitude_traces.len() >= 10);
    for trace in &declared[0].amplitude_traces {
        let end = trace.start_time.add_seconds(trace.peaks_mm.len() as f64);
        let p = first_p[trace.source_id.station()];
        assert!(end <= p && p.seconds_since(end) < 1.0, "{} {end} {p}", trace.source_id);
        assert_eq!(trace.high_peaks_mm.len(), trace.peaks_mm.len());
    }
    let whole = declared[1].amplitude_traces.iter().filter(|trace| trace.peaks_mm.len() == 60).count();
    assert_eq!(whole, 20, "nothing follows the second");
}
