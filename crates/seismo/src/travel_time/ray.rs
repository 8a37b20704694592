//! First arrivals in a layered model, by a sweep over ray parameters.
//!
//! ```text
//! model, depths ─► slabs with linear velocity ─► for every ray parameter p: distance and time from the top to every
//!                  (flattened if spherical)      depth, and from every depth to the turning point
//!               ─► for a pair of depths: branches of (distance, time, p) ─► earliest time at every distance
//! ```
//! The horizontal distance and the time of a ray through a slab with a linear gradient have closed forms (Červený 2001,
//! §3.7), and are sums over slabs, so one sweep serves every pair of source and receiver depths. Along a branch
//! dT/dX = p holds exactly, so cubic Hermite interpolation between neighbouring rays is good to microseconds.
//! Branches: the direct ray, diving rays that turn below the deeper point, and head waves along every interface below it
//! with a faster underside. Reflections are never first and are left out. In shadow zones, and beyond the last ray, time
//! grows with the slowness of the fastest direct ray, which is an upper bound.

use seislake_model::Phase;

use super::{Curvature, LayeredModel};
use crate::travel_time::table::Axis;

/// Radius of the sphere of the reference models.
const EARTH_RADIUS_KM: f64 = 6371.0;
/// Thickest slab after flattening: a linear gradient then stands for the exponential one to 3e-7.
const SLAB_KM_MAX: f64 = 10.0;
/// Slownesses closer than this (relative) are one.
const SLOWNESS_TOLERANCE: f64 = 1e-9;
/// Rays that run further than this inside one slab are horizontal.
const HORIZONTAL_KM: f64 = 1e6;

/// One depth interval with linear velocity, in flat coordinates.
#[derive(Clone, Copy, Debug)]
struct Slab {
    thickness_km: f64,
    top_km_s: f64,
    bottom_km_s: f64,
}

/// What a ray does in a slab.
enum Passage {
    /// Goes through: distance and time.
    Through(f64, f64),
    /// Enters from above and turns inside: distance and time to the turning point.
    Turns(f64, f64),
    /// Cannot enter, or runs along it.
    Blocked,
}

impl Slab {
    fn passage(&self, p: f64) -> Passage {
        let Self { thickness_km: h, top_km_s: a, bottom_km_s: b } = *self;
        let cos2 = |v: f64| {
            let value = (1.0 - p * v) * (1.0 + p * v);
            if value.abs() < 1e-13 { 0.0 } else { value }
        };
        let (cos2_a, cos2_b) = (cos2(a), cos2(b));
        if cos2_a < 0.0 || (cos2_a == 0.0 && b >= a) {
            return Passage::Blocked;
        }
        let cos_a = cos2_a.sqrt();
        if cos2_b > 0.0 {
            let cos_b = cos2_b.sqrt();
            let distance_km = p * h * (a + b) / (cos_a + cos_b);
            if distance_km > HORIZONTAL_KM {
                return Passage::Blocked;
            }
            return Passage::Through(distance_km, time_through(h, (a, b), p, (cos_a, cos_b)));
        }
        if b <= a {
            return Passage::Blocked;
        }
        let gradient = (b - a) / h;
        let turn = 1.0 / p;
        let distance_km = cos_a / (p * gradient);
        let time_s = time_through((turn - a) / gradient, (a, turn), p, (cos_a, 0.0));
        if distance_km > HORIZONTAL_KM { Passage::Blocked } else { Passage::Turns(distance_km, time_s) }
    }
}

/// Time through a gradient slab, stable for vanishing gradients.
fn time_through(h: f64, (a, b): (f64, f64), p: f64, (cos_a, cos_b): (f64, f64)) -> f64 {
    let rise = b - a;
    if rise.abs() < 1e-9 * a {
        return 2.0 * h / ((a + b) * 0.5 * (cos_a + cos_b));
    }
    let bend = p * p * rise * (a + b) / ((cos_a + cos_b) * (1.0 + cos_b));
    h / rise * ((rise / a).ln_1p() + bend.ln_1p())
}

/// Distance and time of a ray, and where it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Leg {
    distance_km: f64,
    time_s: f64,
}

/// From the top down to a depth.
#[derive(Clone, Copy, Debug, Default)]
struct Descent {
    leg: Leg,
    /// Slabs in between that the ray cannot pass.
    obstacles: u32,
}

impl Descent {
    /// From this depth straight down to `lower`, if the ray gets through.
    fn to(self, lower: Self) -> Option<Leg> {
        if self.obstacles != lower.obstacles {
            return None;
        }
        let (from, to) = (self.leg, lower.leg);
        Some(Leg { distance_km: to.distance_km - from.distance_km, time_s: to.time_s - from.time_s })
    }
}

/// From a depth down to the turning point of a ray.
#[derive(Clone, Copy, Debug)]
struct Turning {
    leg: Leg,
    slab_index: usize,
}

/// A point of a branch: the ray with parameter `p` arrives at `distance_km` after `time_s`.
#[derive(Clone, Copy, Debug)]
struct RayPoint {
    p: f64,
    distance_km: f64,
    time_s: f64,
}

/// Every ray of one phase through one model, between a fixed set of depths.
#[derive(Debug)]
pub(super) struct RaySweep {
    depths_km: Vec<f64>,
    slabs: Vec<Slab>,
    rays: Vec<f64>,
    /// `[depth][ray]`, as pairs of depths are asked for: from the top to the depth.
    descents: Vec<Descent>,
    /// `[depth][ray]`: from the depth to the turning point below it.
    turnings: Vec<Option<Turning>>,
    distance_max_km: f64,
}

impl RaySweep {
    /// Sweep of `phase` through `model`; `depths_km` are the depths between which times will be asked for.
    pub(super) fn new(model: &LayeredModel, phase: Phase, depths_km: &[f64], distance_max_km: f64) -> Self {
        let depths_km = all_depths(model, depths_km);
        let slabs = slabs_of(model, phase, &depths_km);
        let rays = ray_parameters(&slabs);
        let mut sweep = Self {
            descents: vec![Descent::default(); rays.len() * depths_km.len()],
            turnings: vec![None; rays.len() * depths_km.len()],
            depths_km,
            slabs,
            rays,
            distance_max_km,
        };
        for ray in 0..sweep.rays.len() {
            sweep.shoot(ray);
        }
        sweep
    }

    /// Index of a depth given to [`RaySweep::new`].
    pub(super) fn depth_index(&self, depth_km: f64) -> usize {
        let above = self.depths_km.partition_point(|depth| *depth < depth_km - 1e-9);
        above.min(self.depths_km.len() - 1)
    }

    /// Velocity at a depth as the fastest horizontal ray sees it, km/s.
    pub(super) fn fastest_km_s(&self, depth_index: usize) -> f64 {
        let above = depth_index.checked_sub(1).map_or(0.0, |slab| self.slabs[slab].bottom_km_s);
        self.slabs.get(depth_index).map_or(above, |slab| slab.top_km_s.max(above))
    }

    /// Earliest time, seconds, at every distance of `distances`, between two depths.
    pub(super) fn first_arrivals(&self, (one, other): (usize, usize), distances: &Axis, out: &mut [f64]) {
        out.fill(f64::INFINITY);
        let (upper, lower) = (one.min(other), one.max(other));
        let mut earliest = Earliest { nodes: distances.nodes(), out, place: 0 };
        if upper == lower {
            let p = 1.0 / self.fastest_km_s(upper);
            earliest.line(RayPoint { p, distance_km: 0.0, time_s: 0.0 });
        }
        self.direct(upper, lower, &mut earliest);
        self.diving(upper, lower, &mut earliest);
        self.head_waves(upper, lower, &mut earliest);
    }

    /// Follows one ray through all slabs.
    fn shoot(&mut self, ray: usize) {
        let (p, ray_count) = (self.rays[ray], self.rays.len());
        let mut descent = Descent::default();
        let mut passages = Vec::with_capacity(self.slabs.len());
        for (slab_index, slab) in self.slabs.iter().enumerate() {
            let passage = slab.passage(p);
            match passage {
                Passage::Through(distance_km, time_s) => {
                    descent.leg.distance_km += distance_km;
                    descent.leg.time_s += time_s;
                }
                Passage::Turns(..) | Passage::Blocked => descent.obstacles += 1,
            }
            self.descents[(slab_index + 1) * ray_count + ray] = descent;
            passages.push(passage);
        }
        let mut turning: Option<Turning> = None;
        for (slab_index, passage) in passages.into_iter().enumerate().rev() {
            turning = match passage {
                Passage::Blocked => None,
                Passage::Turns(distance_km, time_s) => {
                    Some(Turning { leg: Leg { distance_km, time_s }, slab_index })
                }
                Passage::Through(distance_km, time_s) => turning.map(|mut turning| {
                    turning.leg.distance_km += distance_km;
                    turning.leg.time_s += time_s;
                    turning
                }),
            };
            self.turnings[slab_index * ray_count + ray] = turning;
        }
    }

    /// All rays down to a depth.
    fn descents(&self, depth_index: usize) -> &[Descent] {
        &self.descents[depth_index * self.rays.len()..][..self.rays.len()]
    }

    fn direct(&self, upper: usize, lower: usize, earliest: &mut Earliest<'_>) {
        let mut last: Option<RayPoint> = None;
        let pairs = self.descents(upper).iter().zip(self.descents(lower));
        for (p, (from, to)) in self.rays.iter().copied().zip(pairs) {
            let Some(Leg { distance_km, time_s }) = from.to(*to) else { break };
            let point = RayPoint { p, distance_km, time_s };
            if let Some(last) = last {
                earliest.curve(last, point);
            }
            last = Some(point);
            if distance_km > self.distance_max_km {
                return;
            }
        }
        if let Some(last) = last.filter(|_| upper != lower) {
            earliest.line(last);
        }
    }

    fn diving(&self, upper: usize, lower: usize, earliest: &mut Earliest<'_>) {
        let mut last: Option<(RayPoint, usize)> = None;
        let turnings = &self.turnings[lower * self.rays.len()..][..self.rays.len()];
        let pairs = self.descents(upper).iter().zip(self.descents(lower));
        for ((p, turning), (from, to)) in self.rays.iter().copied().zip(turnings).zip(pairs) {
            let (Some(direct), Some(turning)) = (from.to(*to), turning) else {
                last = None;
                continue;
            };
            let point = RayPoint {
                p,
                distance_km: direct.distance_km + 2.0 * turning.leg.distance_km,
                time_s: direct.time_s + 2.0 * turning.leg.time_s,
            };
            if let Some((last, slab)) = last
                && self.joined(turning.slab_index, slab)
            {
                earliest.curve(last, point);
            }
            last = Some((point, turning.slab_index));
        }
    }

    /// Whether rays turning in two slabs belong to one branch: rising p turns ever higher, without a jump.
    fn joined(&self, upper: usize, lower: usize) -> bool {
        upper == lower
            || (upper + 1 == lower && {
                let (bottom, top) = (self.slabs[upper].bottom_km_s, self.slabs[lower].top_km_s);
                (bottom - top).abs() < SLOWNESS_TOLERANCE * top
            })
    }

    fn head_waves(&self, upper: usize, lower: usize, earliest: &mut Earliest<'_>) {
        for interface in lower.max(1)..self.slabs.len() {
            let fast = self.slabs[interface].top_km_s;
            if fast <= self.slabs[interface - 1].bottom_km_s * (1.0 + SLOWNESS_TOLERANCE) {
                continue;
            }
            let p = 1.0 / fast;
            let ray = self.rays.partition_point(|ray| *ray < p * (1.0 - 2.0 * SLOWNESS_TOLERANCE));
            if ray == self.rays.len() {
                continue;
            }
            let [upper, lower, interface] = [upper, lower, interface].map(|depth| self.descents(depth)[ray]);
            let (Some(direct), Some(down)) = (upper.to(lower), lower.to(interface)) else { continue };
            earliest.line(RayPoint {
                p,
                distance_km: direct.distance_km + 2.0 * down.distance_km,
                time_s: direct.time_s + 2.0 * down.time_s,
            });
        }
    }
}

/// The earliest of all branches at every distance of an axis.
struct Earliest<'a> {
    nodes: &'a [f64],
    out: &'a mut [f64],
    /// Where the last point came to lie.
    place: usize,
}

impl Earliest<'_> {
    /// Index of the first distance at or above a value, looked for around the last one: neighbouring rays arrive close to
    /// each other.
    fn first_at_or_above(&mut self, value: f64) -> usize {
        let mut place = self.place;
        while place > 0 && self.nodes[place - 1] >= value {
            place -= 1;
        }
        while place < self.nodes.len() && self.nodes[place] < value {
            place += 1;
        }
        self.place = place;
        place
    }

    /// Takes the piece of a branch between two neighbouring rays: cubic Hermite, with slopes p.
    #[inline]
    fn curve(&mut self, one: RayPoint, other: RayPoint) {
        let (near, far) = if one.distance_km <= other.distance_km { (one, other) } else { (other, one) };
        let width = far.distance_km - near.distance_km;
        let first = self.first_at_or_above(near.distance_km);
        for (distance, earliest) in self.nodes[first..].iter().copied().zip(&mut self.out[first..]) {
            if distance > far.distance_km {
                break;
            }
            let time = if width < 1e-9 {
                near.time_s.min(far.time_s)
            } else {
                let u = (distance - near.distance_km) / width;
                let (v, u2) = (1.0 - u, u * u);
                let v2 = v * v;
                near.time_s * v2 * (1.0 + 2.0 * u)
                    + far.time_s * u2 * (1.0 + 2.0 * v)
                    + width * u * v * (near.p * v - far.p * u)
            };
            *earliest = earliest.min(time);
        }
    }

    /// Takes a head wave, or the horizontal continuation of a ray: constant slowness from a point on.
    fn line(&mut self, from: RayPoint) {
        let first = self.first_at_or_above(from.distance_km);
        for (distance, earliest) in self.nodes[first..].iter().copied().zip(&mut self.out[first..]) {
            let time = from.time_s + from.p * (distance - from.distance_km);
            *earliest = earliest.min(time);
        }
    }
}

/// The depths asked for, those of the model, and more in between where flattening bends the velocity.
fn all_depths(model: &LayeredModel, depths_km: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = depths_km.iter().copied().chain(model.boundaries_km()).collect();
    all.sort_by(f64::total_cmp);
    if model.curvature() == Curvature::Spherical {
        let mut more = Vec::new();
        for pair in all.windows(2) {
            let pieces = ((pair[1] - pair[0]) / SLAB_KM_MAX).ceil();
            for piece in 1..pieces as usize {
                more.push(pair[0] + (pair[1] - pair[0]) * piece as f64 / pieces);
            }
        }
        all.extend(more);
        all.sort_by(f64::total_cmp);
    } else if let Some(last) = all.last().copied() {
        // The half-space needs a slab of its own, for the head wave along its top.
        all.push(last + 1.0);
    }
    all.dedup_by(|lower, upper| *lower - *upper < 1e-9);
    all
}

fn slabs_of(model: &LayeredModel, phase: Phase, depths_km: &[f64]) -> Vec<Slab> {
    // Flattening: v' = v R/r and z' = R ln(R/r).
    let stretch = |depth_km: f64| match model.curvature() {
        Curvature::Flat => 1.0,
        Curvature::Spherical => EARTH_RADIUS_KM / (EARTH_RADIUS_KM - depth_km),
    };
    let flat_depth = |depth_km: f64| match model.curvature() {
        Curvature::Flat => depth_km,
        Curvature::Spherical => EARTH_RADIUS_KM * stretch(depth_km).ln(),
    };
    depths_km
        .windows(2)
        .map(|pair| Slab {
            thickness_km: flat_depth(pair[1]) - flat_depth(pair[0]),
            top_km_s: model.velocities_km_s(phase, pair[0]).1 * stretch(pair[0]),
            bottom_km_s: model.velocities_km_s(phase, pair[1]).0 * stretch(pair[1]),
        })
        .collect()
}

/// Ray parameters, s/km, ascending from the vertical ray: every slowness of the model, and in between enough of them,
/// crowded where a ray becomes horizontal in a slab of constant velocity.
fn ray_parameters(slabs: &[Slab]) -> Vec<f64> {
    let mut slownesses: Vec<(f64, bool)> = slabs
        .iter()
        .flat_map(|slab| {
            let constant = (slab.top_km_s - slab.bottom_km_s).abs() < SLOWNESS_TOLERANCE * slab.top_km_s;
            [(1.0 / slab.top_km_s, constant), (1.0 / slab.bottom_km_s, constant)]
        })
        .collect();
    slownesses.sort_by(|one, other| one.0.total_cmp(&other.0));
    slownesses.dedup_by(|higher, lower| {
        let same = higher.0 - lower.0 < SLOWNESS_TOLERANCE * lower.0;
        lower.1 |= same && higher.1;
        same
    });
    let mut rays = vec![0.0];
    let mut low = 0.0;
    for (high, constant) in slownesses {
        let width: f64 = high - low;
        if constant || width > 0.02 * high {
            // p = u tanh s: through a constant layer of thickness h the ray then runs h sinh s, so that neighbouring
            // rays are as close as they must be for the hyperbola of their times, at any distance.
            let begin = (low / high).atanh();
            let count = ((HORIZONTAL_ASINH - begin) / ASINH_STEP).max(1.0) as usize;
            rays.extend(
                (1..=count).map(|k| high * (begin + k as f64 * ASINH_STEP).tanh()).filter(|p| *p < high),
            );
        } else {
            rays.extend((1..NARROW_COUNT).map(|k| {
                let angle = std::f64::consts::PI * k as f64 / NARROW_COUNT as f64;
                low + width * 0.5 * (1.0 - angle.cos())
            }));
        }
        rays.push(high);
        low = high;
    }
    rays
}

/// Spacing of rays in s, where they run the thickness of a layer times sinh s: Hermite interpolation is then good to 1e-5
/// of the time through the layer.
const ASINH_STEP: f64 = 0.15;
/// The last ray runs 50 000 times the thickness of its layer.
const HORIZONTAL_ASINH: f64 = 11.5;
/// Rays between two close slownesses of a gradient, plus one.
const NARROW_COUNT: usize = 5;
