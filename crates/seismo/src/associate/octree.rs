//! The cells in which sources are looked for: an octree over the surroundings of a network, fine near stations and
//! coarse away from them, with the travel times from every cell to the stations that vote for it.
//!
//! Roots are tiles of fixed places on the globe, so that the same stations always give the same tree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::settings::AssociateSettings;
use super::travel_table::TravelTable;
use crate::geometry::{KM_PER_DEGREE, LocalFrame, SurfacePoint};
use crate::travel_time::TravelTime;

const ROOT_KM: f64 = 128.0;
/// No tree grows beyond this; further cells stay coarse.
const NODES_MAX: usize = 500_000;
/// Dimensions longer than this share of the longest one are split together with it.
const SPLIT_SHARE: f64 = 0.6;
/// Votes of a leaf are taken with this share of its largest travel-time error: its corners belong to its neighbours.
const LEAF_SLACK: f64 = 0.8;
/// Elevations closer than this share a table.
const ELEVATION_STEP_KM: f64 = 0.25;

/// A station as the tree sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Site {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) point: SurfacePoint,
    pub(super) elevation_km: f64,
    pub(super) table: Arc<TravelTable>,
}

impl PartialEq for TravelTable {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Travel-time tables by elevation, made when first asked for.
#[derive(Debug)]
pub(super) struct TravelTables {
    model: Arc<dyn TravelTime>,
    by_elevation: BTreeMap<i64, Arc<TravelTable>>,
}

impl TravelTables {
    pub(super) fn new(model: Arc<dyn TravelTime>) -> Self {
        Self { model, by_elevation: BTreeMap::new() }
    }

    pub(super) fn at_elevation(
        &mut self,
        settings: &AssociateSettings,
        elevation_km: f64,
    ) -> Arc<TravelTable> {
        let step = (elevation_km / ELEVATION_STEP_KM).round();
        let model = &self.model;
        let table = self.by_elevation.entry(step as i64).or_insert_with(|| {
            Arc::new(TravelTable::new(model.as_ref(), settings.table_range(), step * ELEVATION_STEP_KM))
        });
        Arc::clone(table)
    }
}

/// One station's vote for a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vote {
    pub(super) site: u32,
    /// P and S travel time from the centre, s.
    pub(super) time_s: [f32; 2],
    /// How far an arrival may be off that and still come from the cell, s.
    pub(super) half_s: [f32; 2],
    /// Logarithm of twice the same for the leaves that the cell will be split into: what evidence is measured by.
    pub(super) leaf_width_ln: [f32; 2],
}

/// A cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) depth_km: f64,
    /// Half the size: east, north, down.
    pub(super) half_km: [f64; 3],
    pub(super) children: Range<u32>,
    votes: Range<u32>,
}

/// The tree; children stand behind their parents.
#[derive(Debug, Default)]
pub(super) struct Octree {
    pub(super) cells: Vec<Cell>,
    pub(super) root_count: usize,
    votes: Vec<Vote>,
}

/// A cell that is still to be looked at: south, north, west, east, top, bottom and the stations in reach.
struct Pending {
    degrees: [f64; 4],
    depth_km: [f64; 2],
    sites: Arc<[u32]>,
}

impl Octree {
    /// Builds the tree around `sites`.
    pub(super) fn new(settings: &AssociateSettings, sites: &[Site]) -> Self {
        let mut tree = Self::default();
        let all: Arc<[u32]> = (0..sites.len() as u32).collect();
        let mut pending: VecDeque<Pending> = root_tiles(settings, sites)
            .into_iter()
            .map(|degrees| Pending {
                degrees,
                depth_km: [settings.depth_km_min, settings.depth_km_max],
                sites: Arc::clone(&all),
            })
            .collect();
        tree.root_count = pending.len();
        let mut announced = pending.len();
        while let Some(next) = pending.pop_front() {
            let children = tree.add(settings, sites, next, announced);
            announced += children.len();
            pending.extend(children);
        }
        tree
    }

    pub(super) fn votes(&self, cell: &Cell) -> &[Vote] {
        &self.votes[cell.votes.start as usize..cell.votes.end as usize]
    }

    /// Adds one cell; returns its children, whose indices begin at `first_child`.
    fn add(
        &mut self,
        settings: &AssociateSettings,
        sites: &[Site],
        pending: Pending,
        first_child: usize,
    ) -> Vec<Pending> {
        let [south, north, west, east] = pending.degrees;
        let [top, bottom] = pending.depth_km;
        let (latitude, longitude) = ((south + north) / 2.0, (west + east) / 2.0);
        let centre = SurfacePoint::new(latitude, longitude);
        let [half_east, half_north] = half_extent_km(pending.degrees);
        let half_km = [half_east, half_north, (bottom - top) / 2.0];
        let depth_km = (top + bottom) / 2.0;
        let half_width = half_east.hypot(half_north);

        let mut near: Vec<(f64, u32)> = pending
            .sites
            .iter()
            .map(|&index| (centre.distance_km(&sites[index as usize].point), index))
            .filter(|(distance, _)| *distance <= settings.distance_km_max + half_width)
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let stations_min = settings.stations_min.min(match settings.sparse_stations_with_both_min {
            0 => usize::MAX,
            sparse => sparse,
        });
        let reached = near.first().is_some_and(|(nearest, _)| *nearest <= settings.margin_km + half_width);
        let mut children = Vec::new();
        let votes_start = self.votes.len() as u32;
        if reached && near.len() >= stations_min {
            let nearest_km = near
                .iter()
                .map(|(distance, index)| distance.hypot(depth_km + sites[*index as usize].elevation_km))
                .fold(f64::INFINITY, f64::min);
            let longest = 2.0 * half_km.into_iter().fold(0.0, f64::max);
            let target = settings.cell_km_min.max(settings.cell_fraction * nearest_km);
            if longest > target && first_child < NODES_MAX {
                let stations = near.iter().map(|(_, index)| *index).collect();
                children = split(&pending, half_km, longest, stations);
            }
            let leaf_share = if children.is_empty() { 1.0 } else { target / longest };
            self.add_votes(settings, sites, &near, half_km, depth_km, leaf_share);
        }
        self.cells.push(Cell {
            latitude,
            longitude,
            depth_km,
            half_km,
            children: first_child as u32..(first_child + children.len()) as u32,
            votes: votes_start..self.votes.len() as u32,
        });
        children
    }

    /// Leaves hear their nearest stations; inner cells all that any of their leaves may hear.
    fn add_votes(
        &mut self,
        settings: &AssociateSettings,
        sites: &[Site],
        near: &[(f64, u32)],
        half_km: [f64; 3],
        depth_km: f64,
        leaf_share: f64,
    ) {
        let leaf = leaf_share == 1.0;
        let half_width = half_km[0].hypot(half_km[1]);
        let last = near[settings.voting_stations.clamp(1, near.len()) - 1].0;
        let reach = if leaf { last } else { last + 2.0 * half_width };
        let slack_share = if leaf { LEAF_SLACK } else { 1.0 };
        let within = near.iter().take_while(|(distance, _)| *distance <= reach);
        for &(distance, index) in within {
            let table = &sites[index as usize].table;
            let centre = table.times_s(distance, depth_km);
            let mut slack = [0.0_f64; 2];
            for corner_distance in [distance - half_width, distance + half_width] {
                for corner_depth in [depth_km - half_km[2], depth_km + half_km[2]] {
                    let corner = table.times_s(corner_distance, corner_depth);
                    for phase in 0..2 {
                        let off = (corner[phase] - centre[phase]).abs();
                        if off.is_finite() {
                            slack[phase] = slack[phase].max(off);
                        }
                    }
                }
            }
            let half_s = |share: f64| {
                [0, 1].map(|phase| (settings.tolerance_s(centre[phase]) + share * slack[phase]) as f32)
            };
            self.votes.push(Vote {
                site: index,
                time_s: centre.map(|time| time as f32),
                half_s: half_s(slack_share),
                leaf_width_ln: half_s(LEAF_SLACK * leaf_share).map(|half| (2.0 * half).ln()),
            });
        }
    }
}

/// How far a piece of the surface (south, north, west, east) reaches from its middle at most, east and north.
/// Corners and the middles of the edges tell: a tile at a pole is a wedge, widest at its foot.
fn half_extent_km([south, north, west, east]: [f64; 4]) -> [f64; 2] {
    let (latitude, longitude) = ((south + north) / 2.0, (west + east) / 2.0);
    let frame = LocalFrame::new(latitude, longitude);
    let mut half_km = [0.0_f64; 2];
    for (latitude, longitude) in
        [(south, longitude), (north, longitude), (south, east), (north, east), (latitude, east)]
    {
        let (east_km, north_km) = frame.to_km(latitude, longitude);
        half_km = [half_km[0].max(east_km.abs()), half_km[1].max(north_km.abs())];
    }
    half_km
}

/// The tiles within the margin of any station.
fn root_tiles(settings: &AssociateSettings, sites: &[Site]) -> Vec<[f64; 4]> {
    let height = ROOT_KM / KM_PER_DEGREE;
    let mut tiles = BTreeSet::new();
    for site in sites {
        let margin = settings.margin_km / KM_PER_DEGREE;
        let (south, north) = ((site.latitude - margin).max(-90.0), (site.latitude + margin).min(90.0));
        for row in row_of(south, height)..=row_of(north, height) {
            let (width, count) = tile_width(row, height);
            let reach = longitude_reach(site.latitude, margin);
            let first = ((site.longitude - reach) / width).floor() as i64;
            let last = ((site.longitude + reach) / width).floor() as i64;
            tiles.extend((first..=last).take(count as usize).map(|column| (row, column.rem_euclid(count))));
        }
    }
    tiles
        .into_iter()
        .map(|(row, column)| {
            let (width, _) = tile_width(row, height);
            let (south, west) = (row as f64 * height, column as f64 * width);
            [south.max(-90.0), (south + height).min(90.0), west, west + width]
        })
        .collect()
}

/// The row of tiles in which a latitude lies.
fn row_of(latitude: f64, height: f64) -> i64 {
    (latitude / height).floor() as i64
}

/// How many degrees of longitude a circle of `radius` degrees around a place reaches east and west: all, where a pole
/// lies in it.
fn longitude_reach(latitude: f64, radius: f64) -> f64 {
    if latitude.abs() + radius >= 90.0 {
        return 180.0;
    }
    (radius.to_radians().sin() / latitude.to_radians().cos()).min(1.0).asin().to_degrees()
}

/// Width in degrees of the tiles of a row, and how many go around the globe.
fn tile_width(row: i64, height: f64) -> (f64, i64) {
    let latitude = (row as f64 + 0.5) * height;
    let count = (360.0 * latitude.to_radians().cos().max(0.01) / height).round().max(1.0);
    (360.0 / count, count as i64)
}

fn split(parent: &Pending, half_km: [f64; 3], longest_km: f64, sites: Arc<[u32]>) -> Vec<Pending> {
    let [south, north, west, east] = parent.degrees;
    let [top, bottom] = parent.depth_km;
    let halves = |low: f64, high: f64, half: f64| {
        let middle = (low + high) / 2.0;
        if 2.0 * half > SPLIT_SHARE * longest_km {
            vec![[low, middle], [middle, high]]
        } else {
            vec![[low, high]]
        }
    };
    let mut children = Vec::with_capacity(8);
    for [south, north] in halves(south, north, half_km[1]) {
        for [west, east] in halves(west, east, half_km[0]) {
            for depth_km in halves(top, bottom, half_km[2]) {
                children.push(Pending {
                    degrees: [south, north, west, east],
                    depth_km,
                    sites: Arc::clone(&sites),
                });
            }
        }
    }
    children
}
