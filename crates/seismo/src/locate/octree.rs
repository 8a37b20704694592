//! Two searches with one oct-tree of cells.
//!
//! [`find_peak`] goes best first: the likelihood of a cell is blurred by its size, so that it is about the best that any
//! point in it can reach; the best cell is split into eight until the best is small. The winner is then polished while
//! the blur shrinks away. [`sample`] goes by probability (likelihood times volume) in a box around the peak: the cell
//! that holds most is split, again and again, and the leaves sample the posterior, densest where it is largest (Lomax
//! and Curtis 2001). The box grows until the posterior fits in.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::likelihood::{Network, Point};

/// Cells of the first grid across the region, and down it.
const FIRST_ACROSS: usize = 8;
const FIRST_DOWN: usize = 4;
/// Cells this small are not split while sampling: far below what arrival times resolve.
const CELL_KM_MIN: f64 = 0.02;
/// Cells this small end the search for the peak; the polishing goes on from there.
const PEAK_CELL_KM: f64 = 0.5;
/// Cells from which the polishing is tried.
const CANDIDATE_COUNT: usize = 12;
/// The climb from a guess begins with steps of this size.
const GUESS_KM: f64 = 4.0;
/// The polished point is good to this, km.
const POLISH_KM: f64 = 0.002;
/// Most steps of the polishing.
const POLISH_COUNT_MAX: usize = 100;
/// The box that is sampled reaches along each axis to where the logarithm of the likelihood has fallen by this much,
/// times a margin for posteriors that lie aslant; it grows while probability lies at its walls.
const LOG_FALL: f64 = 5.0;
const MARGIN: f64 = 1.5;
const GROWTH: f64 = 2.0;
/// Shortest reach, km.
const REACH_KM_MIN: f64 = 0.05;
/// Share of the probability that may lie in the outer cells of the box.
const SHARE_AT_WALL_MAX: f64 = 0.02;

/// A square of the surface and a range of depths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) east_km: f64,
    pub(super) north_km: f64,
    pub(super) half_width_km: f64,
    pub(super) depth_km_min: f64,
    pub(super) depth_km_max: f64,
}

/// A box with its rank: the logarithm of its likelihood or of its probability, by the search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) centre: Point,
    pub(super) half_across_km: f64,
    pub(super) half_down_km: f64,
    rank: f64,
    /// Number of the cell, for a definite order among equals.
    number: usize,
}

impl Cell {
    /// Half-width that stands for the cell in the likelihood: root mean square of the coordinates in it.
    fn blur_km(&self) -> f64 {
        ((2.0 * self.half_across_km.powi(2) + self.half_down_km.powi(2)) / 3.0).sqrt()
    }

    fn log_volume(&self) -> f64 {
        (8.0 * self.half_across_km * self.half_across_km * self.half_down_km).ln()
    }

    fn children(&self) -> impl Iterator<Item = Self> {
        let parent = *self;
        let (across, down) = (0.5 * self.half_across_km, 0.5 * self.half_down_km);
        (0..8_u8).map(move |corner| {
            let side = |bit: u8, half: f64| if corner & bit == 0 { -half } else { half };
            Self {
                centre: Point {
                    east_km: parent.centre.east_km + side(1, across),
                    north_km: parent.centre.north_km + side(2, across),
                    depth_km: parent.centre.depth_km + side(4, down),
                },
                half_across_km: across,
                half_down_km: down,
                ..parent
            }
        })
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then(other.number.cmp(&self.number))
    }
}

/// The leaves with their share of the probability, greatest first.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) leaves: Vec<(Cell, f64)>,
}

/// The point of greatest likelihood in a region, from at most `sample_count` cells. `guess` is one more place to climb
/// from: a narrow peak may hide among the large cells.
pub(super) fn find_peak(
    network: &Network<'_>,
    region: &Region,
    guess: Option<Point>,
    sample_count: usize,
) -> Point {
    let mut numbers = 0..;
    let mut ranked = |mut cell: Cell| {
        cell.rank = network.log_likelihood(cell.centre, cell.blur_km());
        cell.number = numbers.next().unwrap_or(usize::MAX);
        cell
    };
    let mut heap: BinaryHeap<Cell> = first_grid(region).into_iter().map(&mut ranked).collect();
    let mut evaluated = heap.len();
    let mut candidates = Vec::with_capacity(CANDIDATE_COUNT);
    while candidates.len() < CANDIDATE_COUNT
        && let Some(cell) = heap.pop()
    {
        if evaluated >= sample_count || cell.half_across_km.max(cell.half_down_km) < PEAK_CELL_KM {
            candidates.push(cell);
            continue;
        }
        heap.extend(cell.children().map(&mut ranked));
        evaluated += 8;
    }
    let mut best = (f64::NEG_INFINITY, Point { east_km: 0.0, north_km: 0.0, depth_km: region.depth_km_min });
    candidates.extend(guess.map(|centre| Cell {
        centre,
        half_across_km: GUESS_KM,
        half_down_km: GUESS_KM,
        rank: 0.0,
        number: 0,
    }));
    for cell in &candidates {
        let (value, point) = polish(network, region, cell);
        if value > best.0 {
            best = (value, point);
        }
    }
    best.1
}

/// Climbs from the centre of a cell by steps along the axes, halved where none helps; the blur is the step.
fn polish(network: &Network<'_>, region: &Region, cell: &Cell) -> (f64, Point) {
    const DIRECTIONS: [(f64, f64, f64); 6] = [
        (1.0, 0.0, 0.0),
        (-1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, -1.0, 0.0),
        (0.0, 0.0, 1.0),
        (0.0, 0.0, -1.0),
    ];
    let (mut point, mut step_km) = (cell.centre, cell.half_across_km);
    let mut greatest = network.log_likelihood(point, step_km);
    for _ in 0..POLISH_COUNT_MAX {
        let mut moved = (greatest, point);
        for (east, north, down) in DIRECTIONS {
            let depth_km = point.depth_km + down * step_km;
            let trial = Point {
                east_km: point.east_km + east * step_km,
                north_km: point.north_km + north * step_km,
                depth_km: depth_km.clamp(region.depth_km_min, region.depth_km_max),
            };
            let value = network.log_likelihood(trial, step_km);
            if value > moved.0 {
                moved = (value, trial);
            }
        }
        if moved.0 > greatest {
            (greatest, point) = moved;
            continue;
        }
        step_km *= 0.5;
        if step_km < POLISH_KM {
            break;
        }
        greatest = network.log_likelihood(point, step_km);
    }
    (network.log_likelihood(point, 0.0), point)
}

/// Samples the posterior around its peak at some `sample_count` points.
pub(super) fn sample(network: &Network<'_>, region: &Region, peak: Point, sample_count: usize) -> Samples {
    let level = network.log_likelihood(peak, 0.0) - LOG_FALL;
    let reach_km = |east: f64, north: f64, down: f64, most_km: f64| {
        let mut reach_km = REACH_KM_MIN;
        while reach_km < most_km {
            let far = |side: f64| Point {
                east_km: peak.east_km + side * east * reach_km,
                north_km: peak.north_km + side * north * reach_km,
                depth_km: (peak.depth_km + side * down * reach_km)
                    .clamp(region.depth_km_min, region.depth_km_max),
            };
            if network.log_likelihood(far(1.0), 0.0).max(network.log_likelihood(far(-1.0), 0.0)) < level {
                break;
            }
            reach_km *= 1.4;
        }
        reach_km
    };
    let depth_range_km = region.depth_km_max - region.depth_km_min;
    let across_km =
        reach_km(1.0, 0.0, 0.0, region.half_width_km).max(reach_km(0.0, 1.0, 0.0, region.half_width_km));
    let down_km = reach_km(0.0, 0.0, 1.0, depth_range_km);
    let (mut across_km, mut down_km) = (MARGIN * across_km, MARGIN * down_km);
    loop {
        across_km = across_km.min(region.half_width_km);
        down_km = down_km.min(depth_range_km);
        let around = Region {
            east_km: peak.east_km,
            north_km: peak.north_km,
            half_width_km: across_km,
            depth_km_min: region.depth_km_min.max(peak.depth_km - down_km),
            depth_km_max: region.depth_km_max.min(peak.depth_km + down_km),
        };
        let samples = sample_box(network, &around, sample_count);
        let (at_sides, at_ends) = samples.shares_at_walls(&around, region);
        let (wider, deeper) = (
            at_sides > SHARE_AT_WALL_MAX && across_km < region.half_width_km,
            at_ends > SHARE_AT_WALL_MAX && down_km < depth_range_km,
        );
        if !wider && !deeper {
            return samples;
        }
        across_km *= if wider { GROWTH } else { 1.0 };
        down_km *= if deeper { GROWTH } else { 1.0 };
    }
}

fn sample_box(network: &Network<'_>, region: &Region, sample_count: usize) -> Samples {
    let mut numbers = 0..;
    let mut ranked = |mut cell: Cell| {
        cell.rank = network.log_likelihood(cell.centre, 0.0) + cell.log_volume();
        cell.number = numbers.next().unwrap_or(usize::MAX);
        cell
    };
    let mut heap: BinaryHeap<Cell> = first_grid(region).into_iter().map(&mut ranked).collect();
    let mut finished = Vec::new();
    let mut evaluated = heap.len();
    while evaluated < sample_count
        && let Some(cell) = heap.pop()
    {
        if cell.half_across_km.max(cell.half_down_km) < 0.5 * CELL_KM_MIN {
            finished.push(cell);
            continue;
        }
        heap.extend(cell.children().map(&mut ranked));
        evaluated += 8;
    }
    finished.extend(heap);
    finished.sort_by(|one, other| other.cmp(one));
    let greatest = finished.first().map_or(0.0, |cell| cell.rank);
    let shares: Vec<f64> = finished.iter().map(|cell| (cell.rank - greatest).exp()).collect();
    let total: f64 = shares.iter().sum();
    let leaves = finished.into_iter().zip(shares).map(|(cell, share)| (cell, share / total)).collect();
    Samples { leaves }
}

impl Samples {
    /// Shares of the probability in cells that touch the sides of the box, and its top or bottom where that is not an
    /// end of the region.
    fn shares_at_walls(&self, around: &Region, region: &Region) -> (f64, f64) {
        let (mut at_sides, mut at_ends) = (0.0, 0.0);
        for (cell, share) in &self.leaves {
            let reach_km = around.half_width_km - cell.half_across_km * 1.01;
            let depth_reach_km = cell.half_down_km * 1.01;
            if (cell.centre.east_km - around.east_km).abs() >= reach_km
                || (cell.centre.north_km - around.north_km).abs() >= reach_km
            {
                at_sides += share;
            }
            let at_top = cell.centre.depth_km - depth_reach_km <= around.depth_km_min;
            let at_bottom = cell.centre.depth_km + depth_reach_km >= around.depth_km_max;
            if (at_top && around.depth_km_min > region.depth_km_min)
                || (at_bottom && around.depth_km_max < region.depth_km_max)
            {
                at_ends += share;
            }
        }
        (at_sides, at_ends)
    }
}

fn first_grid(region: &Region) -> Vec<Cell> {
    let half_across_km = region.half_width_km / FIRST_ACROSS as f64;
    let half_down_km = 0.5 * (region.depth_km_max - region.depth_km_min) / FIRST_DOWN as f64;
    let mut cells = Vec::with_capacity(FIRST_ACROSS * FIRST_ACROSS * FIRST_DOWN);
    for east in 0..FIRST_ACROSS {
        for north in 0..FIRST_ACROSS {
            for down in 0..FIRST_DOWN {
                let middle = |index: usize, begin: f64, half: f64| begin + (2 * index + 1) as f64 * half;
                let centre = Point {
                    east_km: middle(east, region.east_km - region.half_width_km, half_across_km),
                    north_km: middle(north, region.north_km - region.half_width_km, half_across_km),
                    depth_km: middle(down, region.depth_km_min, half_down_km),
                };
                cells.push(Cell { centre, half_across_km, half_down_km, rank: 0.0, number: 0 });
            }
        }
    }
    cells
}
