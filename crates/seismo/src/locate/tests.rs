//! The locator on synthetic picks with known truth, and on recorded ones with reference hypocentres.

mod recordings;

use std::sync::{Arc, OnceLock};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use seislake_model::{EvaluationStatus, Onset, Phase, Pick, Polarity};

use super::*;
use crate::geometry::{LocalFrame, distance_azimuth};
use crate::travel_time::{LayeredModel, TravelTimeTable, default_table};

/// A crust that no two tests compute twice.
pub(super) fn crust() -> Arc<TravelTimeTable> {
    static TABLE: OnceLock<Arc<TravelTimeTable>> = OnceLock::new();
    Arc::clone(TABLE.get_or_init(|| {
        let model = LayeredModel::parse(
            "crust",
            "Top,Vp,Vs\n-3,3.0,1.7\n1,5.2,3.0\n4,5.8,3.35\n15,6.5,3.75\n32,8.0,4.5\n",
        );
        Arc::new(default_table(&model.unwrap()))
    }))
}

pub(super) fn pick(station: &str, phase: Phase, pick_time: Timestamp, time_uncertainty_s: f64) -> Pick {
    let source_id = SourceId::from_nslc("XX", station, "", if phase == Phase::P { "HHZ" } else { "HHN" });
    Pick {
        pick_id: Pick::id_of(&source_id, pick_time, phase, "test"),
        source_id,
        pick_time,
        time_uncertainty_s,
        phase,
        polarity: Polarity::Undecidable,
        onset: Onset::Impulsive,
        snr: 10.0,
        provenance: Provenance::automatic("test", "1", None),
    }
}

pub(super) fn association(picks: Vec<Pick>) -> Association {
    // A first guess that is of no help: the locator must not lean on it.
    Association {
        event_id: "event/test".into(),
        origin_time: picks.iter().map(|pick| pick.pick_time).min().unwrap().add_seconds(-2.0),
        latitude: 0.0,
        longitude: 0.0,
        depth_km: 10.0,
        picks,
        sites: std::collections::BTreeMap::new(),
        amplitude_traces: vec![],
    }
}

/// Stations of a synthetic network by name.
pub(super) struct Sites(pub(super) Vec<(String, Coordinates)>);

impl Sites {
    /// A jittered grid of `across²` stations about 20 km apart around a centre, up to 2 km high.
    fn grid(across: usize, (latitude, longitude): (f64, f64), random: &mut ChaCha8Rng) -> Self {
        let frame = LocalFrame::new(latitude, longitude);
        let middle = (across - 1) as f64 / 2.0;
        let sites = (0..across * across).map(|index| {
            let mut place = |cell: usize| (cell as f64 - middle) * 20.0 + random.random_range(-6.0..6.0);
            let (latitude, longitude) = frame.to_degrees(place(index % across), place(index / across));
            let elevation_m = random.random_range(0.0..2000.0);
            (format!("S{index:02}"), Coordinates { latitude, longitude, elevation_m })
        });
        Self(sites.collect())
    }

    pub(super) fn find(&self, source_id: &SourceId) -> Option<Coordinates> {
        self.0.iter().find(|(name, _)| name == source_id.station()).map(|(_, site)| *site)
    }

    pub(super) fn locate(&self, locator: &Locator, picks: Vec<Pick>) -> Result<Location, LocateError> {
        locator.locate(&association(picks), &|source_id, _| self.find(source_id))
    }
}

#[derive(Clone, Copy, Debug)]
struct Truth {
    latitude: f64,
    longitude: f64,
    depth_km: f64,
    origin_time: Timestamp,
}

fn truth(centre: (f64, f64), half_width_km: f64, random: &mut ChaCha8Rng) -> Truth {
    let mut place = || random.random_range(-half_width_km..half_width_km);
    let (latitude, longitude) = LocalFrame::new(centre.0, centre.1).to_degrees(place(), place());
    Truth {
        latitude,
        longitude,
        depth_km: random.random_range(2.0..20.0),
        origin_time: Timestamp::from_nanos(1_600_000_000_123_456_789),
    }
}

/// Picks of the event: normal noise, a share of them off by 1 to 5 s.
fn picks_of(sites: &Sites, truth: Truth, outlier_share: f64, random: &mut ChaCha8Rng) -> Vec<Pick> {
    let table = crust();
    let mut picks = Vec::new();
    for (name, site) in &sites.0 {
        let (distance_km, _) =
            distance_azimuth(truth.latitude, truth.longitude, site.latitude, site.longitude);
        for (phase, noise_s, share) in [(Phase::P, 0.05, 0.9), (Phase::S, 0.1, 0.6)] {
            let time_s = table.time_s(phase, distance_km, truth.depth_km, site.elevation_m / 1000.0).unwrap();
            let noise = Normal::new(0.0, noise_s).unwrap().sample(random);
            let mut off_s = noise;
            if random.random_bool(outlier_share) {
                off_s += random.random_range(1.0..5.0) * if random.random_bool(0.5) { 1.0 } else { -1.0 };
            }
            if random.random_bool(share) {
                picks.push(pick(name, phase, truth.origin_time.add_seconds(time_s + off_s), noise_s));
            }
        }
    }
    picks
}

fn locator() -> Locator {
    // The synthetic earth is the model: its times have no error.
    let settings = LocateSettings { travel_time_error_fraction: 0.0, ..LocateSettings::default() };
    Locator::new(settings, crust())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn events_inside_the_network_are_found_although_a_tenth_of_the_picks_is_wrong() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let centre = (42.0, 13.0);
    let (mut epicentre_km, mut depth_km, mut time_s) = (vec![], vec![], vec![]);
    let (mut inside_ellipse, mut inside_depth) = (0, 0);
    for _ in 0..60 {
        let sites = Sites::grid(4, centre, &mut random);
        let truth = truth(centre, 25.0, &mut random);
        let picks = picks_of(&sites, truth, 0.1, &mut random);
        let origin = sites.locate(&locator(), picks).unwrap().origin;
        let (distance_km, azimuth) =
            distance_azimuth(origin.latitude, origin.longitude, truth.latitude, truth.longitude);
        epicentre_km.push(distance_km);
        depth_km.push((origin.depth_km - truth.depth_km).abs());
        time_s.push(origin.origin_time.seconds_since(truth.origin_time).abs());
        let turned = (azimuth - origin.ellipse_azimuth).to_radians();
        let along = distance_km * turned.cos() / origin.ellipse_major_km;
        let across = distance_km * turned.sin() / origin.ellipse_minor_km;
        inside_ellipse += usize::from(along.hypot(across) < 1.0);
        inside_depth += usize::from((origin.depth_km - truth.depth_km).abs() < origin.depth_uncertainty_km);
        assert!(distance_km < 3.0, "{truth:?} {origin:?}");
    }
    let (epicentre_km, depth_km, time_s) =
        (median(&mut epicentre_km), median(&mut depth_km), median(&mut time_s));
    assert!(epicentre_km < 0.35 && depth_km < 0.8 && time_s < 0.1, "{epicentre_km} {depth_km} {time_s}");
    // Of 60 events 41 lie within 68 % limits; the errors must be of the right size.
    assert!(
        (28..=58).contains(&inside_ellipse) && (28..=58).contains(&inside_depth),
        "{inside_ellipse} {inside_depth}"
    );
}

#[test]
fn order_of_picks_and_useless_guess_do_not_matter() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let centre = (-35.0, -71.0);
    let sites = Sites::grid(4, centre, &mut random);
    let truth = truth(centre, 25.0, &mut random);
    let mut picks = picks_of(&sites, truth, 0.1, &mut random);
    let first = sites.locate(&locator(), picks.clone()).unwrap();
    picks.reverse();
    picks.swap(1, 5);
    assert_eq!(sites.locate(&locator(), picks.clone()).unwrap(), first);
    assert_eq!(sites.locate(&locator(), picks).unwrap(), first, "and again");
}

#[test]
fn wrong_picks_have_no_weight_and_hopeless_ones_are_no_arrivals() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let centre = (42.0, 13.0);
    let sites = Sites::grid(4, centre, &mut random);
    let truth = truth(centre, 20.0, &mut random);
    let mut picks = picks_of(&sites, truth, 0.0, &mut random);
    let count = picks.len();
    picks[0] = pick(picks[0].source_id.station(), picks[0].phase, picks[0].pick_time.add_seconds(1.2), 0.05);
    picks[3] = pick(picks[3].source_id.station(), picks[3].phase, picks[3].pick_time.add_seconds(7.0), 0.05);
    let wrong = (picks[0].pick_id.clone(), picks[3].pick_id.clone());
    let location = sites.locate(&locator(), picks).unwrap();
    assert_eq!(location.arrivals.len(), count - 1);
    let late = location.arrivals.iter().find(|arrival| arrival.pick_id == wrong.0).unwrap();
    assert!(late.weight == 0.0 && (late.residual_s - 1.2).abs() < 0.4, "{late:?}");
    assert!(location.arrivals.iter().all(|arrival| arrival.pick_id != wrong.1));
    assert_eq!(
        location.origin.used_phase_count as usize,
        location.arrivals.iter().filter(|a| a.weight > 0.0).count()
    );
    assert!(location.origin.rms_s < 0.15, "{}", location.origin.rms_s);
}

#[test]
fn the_date_line_is_no_border() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let centre = (-17.5, 179.99);
    let sites = Sites::grid(4, centre, &mut random);
    assert!(
        sites.0.iter().any(|(_, site)| site.longitude < 0.0)
            && sites.0.iter().any(|(_, site)| site.longitude > 0.0)
    );
    for _ in 0..4 {
        let truth = truth(centre, 20.0, &mut random);
        let origin = sites.locate(&locator(), picks_of(&sites, truth, 0.0, &mut random)).unwrap().origin;
        let (distance_km, _) =
            distance_azimuth(origin.latitude, origin.longitude, truth.latitude, truth.longitude);
        assert!(
            distance_km < 1.0 && origin.azimuthal_gap < 180.0 && origin.longitude.abs() <= 180.0,
            "{origin:?}"
        );
    }
}

/// A volcano: stations on the flanks and the summit, the source inside the edifice above sea level.
#[test]
fn source_above_sea_level_is_found_and_not_put_into_the_air() {
    let frame = LocalFrame::new(-21.244, 55.713);
    let places = [
        (0.3, 0.2, 2.55),
        (2.0, -1.0, 2.1),
        (-1.8, 1.5, 2.2),
        (0.5, 3.0, 1.9),
        (-2.5, -2.2, 1.8),
        (4.0, 2.5, 1.2),
        (-4.5, 0.4, 1.5),
        (1.0, -4.0, 1.1),
    ];
    let sites = Sites(
        places
            .iter()
            .enumerate()
            .map(|(index, &(east_km, north_km, elevation_km))| {
                let (latitude, longitude) = frame.to_degrees(east_km, north_km);
                (format!("V{index}"), Coordinates { latitude, longitude, elevation_m: elevation_km * 1000.0 })
            })
            .collect(),
    );
    let (latitude, longitude) = frame.to_degrees(0.4, -0.3);
    let truth = Truth {
        latitude,
        longitude,
        depth_km: -0.6,
        origin_time: Timestamp::from_micros(1_287_000_000_000_000),
    };
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..5 {
        let origin = sites.locate(&locator(), picks_of(&sites, truth, 0.0, &mut random)).unwrap().origin;
        let (distance_km, _) = distance_azimuth(origin.latitude, origin.longitude, latitude, longitude);
        assert!(
            distance_km < 0.6 && (origin.depth_km + 0.6).abs() < 1.0 && origin.depth_km >= -2.55,
            "{origin:?}"
        );
    }
}

#[test]
fn too_few_picks_are_refused_with_the_counts() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let centre = (42.0, 13.0);
    let sites = Sites::grid(4, centre, &mut random);
    let truth = truth(centre, 20.0, &mut random);
    let mut picks = picks_of(&sites, truth, 0.0, &mut random);
    picks.truncate(3);
    let stranger = pick("NOWHERE", Phase::P, truth.origin_time, 0.1);
    picks.push(stranger);
    let error = sites.locate(&locator(), picks).unwrap_err();
    assert!(matches!(error, LocateError::TooFewPicks { phase_count: 3, .. }), "{error}");
    assert!(error.to_string().contains("\"event/test\""), "{error}");
}

#[test]
fn picks_that_no_hypocentre_explains_are_refused() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let sites = Sites::grid(4, (42.0, 13.0), &mut random);
    let start = Timestamp::from_micros(1_600_000_000_000_000);
    let names: Vec<String> = sites.0.iter().map(|(name, _)| name.clone()).take(5).collect();
    let picks = names
        .iter()
        .enumerate()
        .map(|(index, name)| pick(name, Phase::P, start.add_seconds(500.0 * index as f64), 0.05))
        .collect();
    assert!(matches!(sites.locate(&locator(), picks), Err(LocateError::Inconsistent { .. })));
}

#[test]
fn identifiers_follow_from_the_picks() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let centre = (42.0, 13.0);
    let sites = Sites::grid(4, centre, &mut random);
    let picks = picks_of(&sites, truth(centre, 20.0, &mut random), 0.0, &mut random);
    let whole = sites.locate(&locator(), picks.clone()).unwrap();
    let less = sites.locate(&locator(), picks[1..].to_vec()).unwrap();
    assert_ne!(whole.origin.origin_id, less.origin.origin_id);
    assert_eq!(whole.origin.provenance.evaluation_status, EvaluationStatus::Preliminary);
    assert!(whole.arrivals.iter().all(|arrival| arrival.origin_id == whole.origin.origin_id));
}

/// Pitfall 23.
#[test]
fn an_event_outside_the_network_has_a_gap_above_180_degrees_and_less_certain_a_place() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let centre = (42.0, 13.0);
    let sites = Sites::grid(4, centre, &mut random);
    let mut origin = |east_km: f64| {
        let (latitude, longitude) = LocalFrame::new(centre.0, centre.1).to_degrees(east_km, 0.0);
        let origin_time = Timestamp::from_nanos(1_600_000_000_123_456_789);
        let source = Truth { latitude, longitude, depth_km: 10.0, origin_time };
        sites.locate(&locator(), picks_of(&sites, source, 0.0, &mut random)).unwrap().origin
    };
    let (inside, outside) = (origin(0.0), origin(80.0));
    assert!(inside.azimuthal_gap < 120.0, "{inside:?}");
    assert!(outside.azimuthal_gap > 180.0 && outside.azimuthal_gap < 360.0, "{outside:?}");
    assert!(outside.ellipse_major_km > 1.5 * inside.ellipse_major_km, "{outside:?}");
}
