//! Checks against TauP, textbook formulas and rays computed without a table.

use proptest::prelude::*;

use super::ray::RaySweep;
use super::table::Axis;
use super::*;
use crate::geometry::KM_PER_DEGREE;

/// First arrivals of ObsPy 1.5.1 `TauPyModel`: model, depth km, distance degrees, P s, S s.
const TAUP: [(&str, f64, f64, f64, f64); 24] = [
    ("iasp91", 0.5, 0.2, 3.8351, 6.6202),
    ("iasp91", 0.5, 19.5, 268.5629, 490.1808),
    ("iasp91", 10.0, 1.0, 19.2337, 33.2010),
    ("iasp91", 10.0, 2.5, 40.7031, 72.1267),
    ("iasp91", 10.0, 12.0, 171.0647, 306.1399),
    ("iasp91", 18.0, 2.5, 39.7442, 70.5491),
    ("iasp91", 33.0, 0.2, 6.5598, 11.3413),
    ("iasp91", 33.0, 1.0, 17.6949, 31.1583),
    ("iasp91", 60.0, 6.0, 86.1432, 154.1447),
    ("iasp91", 150.0, 2.5, 41.0740, 73.1919),
    ("iasp91", 150.0, 12.0, 166.1665, 299.3418),
    ("iasp91", 600.0, 18.0, 215.5039, 391.2755),
    ("ak135", 0.5, 0.2, 3.8351, 6.4288),
    ("ak135", 0.5, 19.5, 268.5629, 489.0726),
    ("ak135", 10.0, 1.0, 19.2337, 32.2414),
    ("ak135", 10.0, 2.5, 40.7031, 71.2423),
    ("ak135", 10.0, 12.0, 171.0647, 304.9562),
    ("ak135", 18.0, 2.5, 39.7442, 69.7660),
    ("ak135", 33.0, 0.2, 6.5598, 11.0261),
    ("ak135", 33.0, 1.0, 17.6949, 30.6416),
    ("ak135", 60.0, 6.0, 86.1432, 153.4531),
    ("ak135", 150.0, 2.5, 41.0740, 72.7532),
    ("ak135", 150.0, 12.0, 166.1665, 298.7916),
    ("ak135", 600.0, 18.0, 215.5040, 390.4801),
];

/// Steps and gradients of a volcanic network: top above sea level, slow cover.
const VOLCANO: &str =
    "Vs,Top,Vp\n0.9,-3.0,1.6\n2.2,1.0,4.0\n2.9,3.0,5.2\n3.4,5.0,6.1\n3.9,12.0,7.0\n4.3,30.0,7.6\n";

fn layered(name: &str, layers: &[(f64, f64, f64)]) -> LayeredModel {
    let layers: Vec<Layer> = layers
        .iter()
        .map(|&(top_depth_km, vp_km_s, vs_km_s)| Layer { top_depth_km, vp_km_s, vs_km_s })
        .collect();
    LayeredModel::new(name, &layers).unwrap()
}

/// The time without a table: a sweep made for just these two depths.
fn exact_s(model: &LayeredModel, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> f64 {
    let sweep = RaySweep::new(model, phase, &[-elevation_km, depth_km], 400.0);
    let distances = Axis::new(vec![-1.0, distance_km, 400.0]);
    let mut times_s = [0.0; 3];
    let pair = (sweep.depth_index(-elevation_km), sweep.depth_index(depth_km));
    sweep.first_arrivals(pair, &distances, &mut times_s);
    times_s[1]
}

/// TauP itself is good to about a millisecond at these distances (it samples slowness).
#[test]
fn reference_models_agree_with_taup_within_two_milliseconds() {
    let tables = [default_table(&LayeredModel::iasp91()), default_table(&LayeredModel::ak135())];
    for (name, depth_km, degrees, p_s, s_s) in TAUP {
        let table = tables.iter().find(|table| table.name() == name).unwrap();
        for (phase, expected_s) in [(Phase::P, p_s), (Phase::S, s_s)] {
            let time_s = table.time_s(phase, degrees * KM_PER_DEGREE, depth_km, 0.0).unwrap();
            assert!(
                (time_s - expected_s).abs() < 0.002,
                "{name} {phase:?} {depth_km} km {degrees} deg: {time_s} {expected_s}"
            );
        }
    }
}

#[test]
fn homogeneous_earth_gives_straight_rays_to_any_height() {
    let table = default_table(&layered("halfspace", &[(0.0, 6.0, 3.5)]));
    for (x, z, e) in [
        (0.0, 0.0, 0.0),
        (0.3, 0.1, 0.2),
        (50.0, 12.3, 2.7),
        (7.7, -0.7, 2.5),
        (3.0, -2.0, -1.0),
        (299.0, 59.0, -5.0),
    ] {
        let straight_km = f64::hypot(x, z + e);
        let time_s = table.time_s(Phase::P, x, z, e).unwrap();
        assert!((time_s - straight_km / 6.0).abs() < 1e-5, "{x} {z} {e}: {time_s}");
        let time_s = table.time_s(Phase::S, x, z, e).unwrap();
        assert!((time_s - straight_km / 3.5).abs() < 1e-5, "{x} {z} {e}: {time_s}");
    }
}

/// Textbook: direct ray and head wave of a layer over a half-space, source in the layer.
#[test]
fn layer_over_half_space_gives_the_textbook_times() {
    let (v1, v2, h, z) = (5.0_f64, 8.0_f64, 30.0, 10.0);
    let table = default_table(&layered("crust", &[(0.0, v1, 2.9), (h, v2, 4.6)]));
    let eta = (1.0 / (v1 * v1) - 1.0 / (v2 * v2)).sqrt();
    let critical_km = (2.0 * h - z) * (v1 / v2) / (1.0 - (v1 / v2).powi(2)).sqrt();
    for x in [5.0, 40.0, 77.0, 130.0, 200.0, 290.0] {
        let direct_s = f64::hypot(x, z) / v1;
        let head_s = if x < critical_km { f64::INFINITY } else { x / v2 + (2.0 * h - z) * eta };
        let time_s = table.time_s(Phase::P, x, z, 0.0).unwrap();
        assert!((time_s - direct_s.min(head_s)).abs() < 0.001, "{x}: {time_s} {direct_s} {head_s}");
    }
}

#[test]
fn interpolation_between_nodes_is_good_to_five_milliseconds() {
    let model = LayeredModel::parse("volcano", VOLCANO).unwrap();
    let table = default_table(&model);
    let mut errors_s: Vec<f64> = Vec::new();
    for k in 0..400 {
        // Additive recurrences fill the ranges evenly.
        let share = |step: f64| (f64::from(k) * step).fract();
        let (x, z, e) =
            (100.0 * share(0.618_034).powi(2), -0.9 + 25.0 * share(0.414_214), 2.8 * share(0.732_051));
        let phase = if k % 2 == 0 { Phase::P } else { Phase::S };
        let time_s = table.time_s(phase, x, z, e).unwrap();
        let off_s = (time_s - exact_s(&model, phase, x, z, e)).abs();
        errors_s.push(off_s);
        assert!(off_s < 0.02, "{phase:?} {x} {z} {e}: {time_s} off {off_s}");
    }
    errors_s.sort_by(f64::total_cmp);
    assert!(errors_s[380] < 0.005, "p95 {} max {}", errors_s[380], errors_s[399]);
}

/// The direct ray by bisection, without any of the machinery above.
#[test]
fn source_above_sea_level_and_receiver_on_the_summit_agree_with_a_bisected_ray() {
    let model = layered("summit", &[(-3.0, 3.0, 1.7), (-1.0, 4.0, 2.3), (0.5, 4.8, 2.8)]);
    let table = default_table(&model);
    // 1.5 km of 3 km/s above 0.5 km of 4 km/s.
    let (x, legs) = (2.0_f64, [(1.5_f64, 3.0_f64), (0.5, 4.0)]);
    let reach = |p: f64| legs.iter().map(|(h, v)| h * p * v / (1.0 - (p * v).powi(2)).sqrt()).sum::<f64>();
    let (mut low, mut high) = (0.0, 0.25);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if reach(middle) < x { low = middle } else { high = middle }
    }
    let expected_s: f64 = legs.iter().map(|(h, v)| h / (v * (1.0 - (low * v).powi(2)).sqrt())).sum();
    let time_s = table.time_s(Phase::P, x, -0.5, 2.5).unwrap();
    assert!((time_s - expected_s).abs() < 0.002, "{time_s} {expected_s}");
    let upside_down_s = table.time_s(Phase::P, x, -2.5, 0.5).unwrap();
    assert!((time_s - upside_down_s).abs() < 0.005, "{time_s} {upside_down_s}");
}

#[test]
fn outside_the_table_there_is_no_time() {
    let table = default_table(&layered("halfspace", &[(0.0, 6.0, 3.5)]));
    for (x, z, e) in
        [(300.1, 5.0, 0.0), (-0.1, 5.0, 0.0), (10.0, 201.0, 0.0), (10.0, 5.0, 9.1), (f64::NAN, 5.0, 0.0)]
    {
        assert_eq!(table.time_s(Phase::P, x, z, e), None, "{x} {z} {e}");
    }
    assert!(table.time_s(Phase::P, 300.0, 200.0, 6.0).is_some());
}

#[test]
fn columns_may_stand_in_any_order_and_velocities_hold_from_their_depth_down() {
    let model = LayeredModel::parse("volcano", VOLCANO).unwrap();
    assert_eq!(model.velocities_km_s(Phase::P, -10.0), (1.6, 1.6));
    assert_eq!(model.velocities_km_s(Phase::S, 2.0), (2.2, 2.2));
    assert_eq!(model.velocities_km_s(Phase::P, 3.0), (4.0, 5.2));
    assert_eq!(model.velocities_km_s(Phase::P, 300.0), (7.6, 7.6));
    assert_eq!(model.boundaries_km(), vec![-3.0, 1.0, 3.0, 5.0, 12.0, 30.0]);
}

#[test]
fn depth_column_means_velocities_at_depths_and_top_column_means_layers() {
    let text = "Depth,Vp,Vs\n0,4,2\n10,6,3\n10,7,4\n20,8,4.5\n";
    let model = LayeredModel::parse("gradient", text).unwrap();
    assert_eq!(model.velocities_km_s(Phase::P, 5.0), (5.0, 5.0));
    assert_eq!(model.velocities_km_s(Phase::P, 10.0), (6.0, 7.0));
    assert_eq!(model.velocities_km_s(Phase::S, 25.0), (4.5, 4.5));
    let layers = "Depth,Vp,Vs\n0,4,2\n10,6,3\n";
    let told = LayeredModel::parse_as("layers", layers, Between::Constant).unwrap();
    assert_eq!(told, LayeredModel::parse("layers", &layers.replace("Depth", "Top")).unwrap());
    assert_eq!(told.velocities_km_s(Phase::P, 5.0), (4.0, 4.0));
}

/// Rays in a constant gradient are circles: `t = acosh(1 + g² (x² + z²) / (2 v₁ v₂)) / g`.
#[test]
fn constant_gradient_gives_the_times_of_circular_rays() {
    let model = LayeredModel::parse("gradient", "Depth,Vp,Vs\n-6,4.0,2.0\n60,10.6,5.3\n").unwrap();
    let table = default_table(&model);
    let velocity = |depth_km: f64| 4.0 + 0.1 * (depth_km + 6.0);
    for (x, z, e) in [
        (0.4, 0.3, 0.1),
        (3.3, 7.7, 1.1),
        (20.0, 5.2, 0.0),
        (60.0, 12.1, 2.3),
        (111.0, 31.3, -0.4),
        (150.0, 2.2, 0.6),
    ] {
        let bent = 1.0 + 0.01 * (x * x + (z + e) * (z + e)) / (2.0 * velocity(z) * velocity(-e));
        let time_s = table.time_s(Phase::P, x, z, e).unwrap();
        assert!((time_s - bent.acosh() / 0.1).abs() < 0.002, "{x} {z} {e}: {time_s} {}", bent.acosh() / 0.1);
    }
}

#[test]
fn broken_models_are_refused_with_line_and_reason() {
    for (text, part) in [
        ("", "line 1: header \"\" must name"),
        ("Depth,Vp\n0,6", "must name the columns Depth (or Top), Vp and Vs"),
        ("Depth (m),Vp,Vs\n0,6,3", "other units are not guessed"),
        ("Depth,Top,Vp,Vs\n0,0,6,3", "must name the columns"),
        ("Depth,Vp,Vs", "has 0 layers"),
        ("# made by hand\n\nDepth,Vp,Vs\n0,6,3\n10,fast,4", "line 5: column Vp holds \"fast\""),
        ("Depth,Vp,Vs\n0,6", "line 2: column Vs holds \"\""),
        ("Depth,Vp,Vs\n0,6000,3500", "is it in m/s?"),
        ("Depth,Vp,Vs\n0,6,3\n10000,7,4", "is it in metres?"),
        ("Top,Vp,Vs\n0,6,3\n0,7,4", "line 3: depth 0 does not lie below the 0 before it"),
        ("Depth,Vp,Vs\n0,6,3\n0,7,4\n0,8,4", "line 4: depth 0 does not lie below the 0 before it"),
        ("Depth,Vp,Vs\n5,6,3\n0,7,4", "line 3: depth 0 does not lie below the 5 before it"),
        ("Depth,Vp,Vs\n0,3,6", "Vs 6 must lie between"),
    ] {
        let message = LayeredModel::parse("bad", text).unwrap_err().to_string();
        assert!(message.contains(part), "{text:?}: {message}");
        assert!(message.starts_with("velocity model \"bad\""), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the layers, with inversions too: positive, never faster than the fastest layer, never slower than the
    /// straight line through the slowest, and the same both ways.
    #[test]
    fn times_stay_within_what_the_velocities_allow(
        layers in prop::collection::vec((0.3_f64..8.0, 1.0_f64..8.0), 1..6),
        points in prop::collection::vec((0.0_f64..200.0, 0.0_f64..40.0, 0.0_f64..40.0), 20),
    ) {
        let mut depth_km = 0.0;
        let layers: Vec<(f64, f64, f64)> = layers
            .into_iter()
            .map(|(thickness_km, vp)| {
                depth_km += thickness_km;
                (depth_km, vp, vp / 1.73)
            })
            .collect();
        let model = layered("random", &layers);
        let fastest = layers.iter().map(|layer| layer.1).fold(0.0, f64::max);
        let slowest = layers.iter().map(|layer| layer.1).fold(f64::INFINITY, f64::min);
        for (x, one, other) in points {
            let straight_km = f64::hypot(x, one - other);
            let time_s = exact_s(&model, Phase::P, x, one, -other);
            prop_assert!(time_s >= straight_km / fastest * (1.0 - 1e-5) && time_s <= straight_km / slowest * (1.0 + 1e-5),
                "{x} {one} {other}: {time_s}");
            let back_s = exact_s(&model, Phase::P, x, other, -one);
            prop_assert!((time_s - back_s).abs() < 1e-6, "{x} {one} {other}: {time_s} {back_s}");
        }
    }
}
