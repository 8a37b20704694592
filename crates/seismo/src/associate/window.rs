//! All events of one window: cells are visited in the order of the picks that point to them, the best first, and
//! whole branches of the octree are left out where not even a large cell gathers enough picks (after PyOcto,
//! Münchmeyer 2024, Seismica 3; counting of P and S at a trial origin after REAL, Zhang and others 2019, SRL 90).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::hypocentre::{Found, PickPool, WindowPick, refine};
use super::octree::{Cell, Octree, Site};
use super::settings::AssociateSettings;
use crate::geometry::distance_azimuth;

/// Resolution of trial origin times.
const BIN_S: f64 = 0.25;
/// Evidence is summed in whole 64ths, so that sums do not depend on their order.
const EVIDENCE_SCALE: f64 = 64.0;

/// An event that has been declared already.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// After the begin of the window.
    pub(super) time_s: f64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) sites: Vec<u32>,
}

/// The origin time most picks speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peak {
    /// Evidence of these picks, in 64ths.
    evidence: i32,
    bin: usize,
}

/// The search of one window.
#[derive(Debug)]
pub(super) struct WindowSearch<'a> {
    settings: &'a AssociateSettings,
    tree: &'a Octree,
    sites: &'a [Site],
    pool: PickPool,
    /// Declared before and now.
    declared: Vec<Declared>,
    /// Peaks that came to nothing, by leaf.
    spent: BTreeMap<u32, Vec<(usize, usize)>>,
    steps: Vec<[i32; 2]>,
    bin_count: usize,
}

impl<'a> WindowSearch<'a> {
    /// `picks` in the order of time; `earlier` events of the windows before. Origins of up to `lookahead_s` behind the
    /// window compete for its picks: the longest travel time.
    pub(super) fn new(
        settings: &'a AssociateSettings,
        tree: &'a Octree,
        sites: &'a [Site],
        picks: Vec<WindowPick>,
        earlier: Vec<Declared>,
        lookahead_s: f64,
    ) -> Self {
        let extent_s = settings.event_interval_s + settings.window_s + lookahead_s;
        let bin_count = (extent_s / BIN_S).ceil() as usize;
        Self {
            settings,
            tree,
            sites,
            pool: PickPool::new(sites.len(), picks, extent_s + lookahead_s),
            declared: earlier,
            spent: BTreeMap::new(),
            steps: vec![[0; 2]; bin_count + 1],
            bin_count,
        }
    }

    /// Events with origins in the window, and those of the lookahead that beat them, the best first.
    pub(super) fn run(mut self) -> Vec<Found> {
        let final_bins = ((self.settings.event_interval_s + self.settings.window_s) / BIN_S).ceil() as usize;
        if self.leaves(final_bins.min(self.bin_count)).is_empty() {
            return Vec::new();
        }
        let mut heap = self.leaves(self.bin_count);
        let mut found: Vec<Found> = Vec::new();
        let mut trials = 0;
        while let Some((evidence, _, Reverse(leaf))) = heap.pop() {
            let cell = &self.tree.cells[leaf as usize];
            let Some(peak) = self.peak(cell, Some(leaf), self.bin_count) else { continue };
            if peak.evidence < evidence && heap.peek().is_some_and(|next| next.0 > peak.evidence) {
                heap.push((peak.evidence, Reverse(slack(cell)), Reverse(leaf)));
                continue;
            }
            trials += 1;
            if trials > self.settings.trials_max {
                break;
            }
            let time_s = (peak.bin as f64 + 0.5) * BIN_S - self.settings.event_interval_s;
            let event = refine(self.settings, self.sites, &self.pool, (cell, self.tree.votes(cell)), time_s);
            match event.filter(|event| !self.repeats(event)) {
                Some(event) => self.declare(&mut found, event),
                None => self.spend(leaf, cell, peak.bin),
            }
            if let Some(next) = self.peak(cell, Some(leaf), self.bin_count) {
                heap.push((next.evidence, Reverse(slack(cell)), Reverse(leaf)));
            }
        }
        eprintln!(
            "DBG trials {trials} found {} picks {} cells {}",
            found.len(),
            self.pool.picks.len(),
            self.tree.cells.len()
        );
        found
    }

    /// Leaves that gather enough picks before `bin_end`.
    fn leaves(&mut self, bin_end: usize) -> BinaryHeap<(i32, Reverse<u32>, Reverse<u32>)> {
        let mut heap = BinaryHeap::new();
        let mut stack: Vec<u32> = (0..self.tree.root_count as u32).collect();
        while let Some(index) = stack.pop() {
            let cell = &self.tree.cells[index as usize];
            let Some(peak) = self.peak(cell, None, bin_end) else { continue };
            if cell.children.is_empty() {
                heap.push((peak.evidence, Reverse(slack(cell)), Reverse(index)));
            }
            stack.extend(cell.children.clone());
        }
        heap
    }

    /// Where in time most free picks agree on an origin in `cell`; `None` below the least number of picks.
    fn peak(&mut self, cell: &Cell, leaf: Option<u32>, bin_end: usize) -> Option<Peak> {
        let steps = &mut self.steps;
        steps.fill([0; 2]);
        let begin_s = -self.settings.event_interval_s;
        let end_s = bin_end as f64 * BIN_S + begin_s;
        let mut intervals = 0;
        for vote in self.tree.votes(cell) {
            for phase in 0..2 {
                let (time_s, half_s) = (f64::from(vote.time_s[phase]), f64::from(vote.half_s[phase]));
                let list = &self.pool.by_site[vote.site as usize][phase];
                let mut free_from = 0;
                for &index in list {
                    let origin_s = self.pool.picks[index as usize].time_s - time_s;
                    if origin_s + half_s < begin_s || self.pool.taken[index as usize] {
                        continue;
                    }
                    if origin_s - half_s >= end_s || origin_s.is_nan() {
                        break;
                    }
                    let low = ((origin_s - half_s - begin_s) / BIN_S).max(0.0) as usize;
                    let low = low.max(free_from);
                    let high = (((origin_s + half_s - begin_s) / BIN_S) as usize + 1).min(bin_end);
                    if low < high {
                        let evidence = (EVIDENCE_SCALE * self.pool.evidence(vote.site, phase, half_s)) as i32;
                        for (step, sign) in [(low, 1), (high, -1)] {
                            steps[step][0] += sign;
                            steps[step][1] += sign * evidence.max(1);
                        }
                        free_from = high;
                        intervals += 1;
                    }
                }
            }
        }
        let least = self.settings.picks_min as i32;
        if intervals < least {
            return None;
        }
        let spent = leaf.and_then(|leaf| self.spent.get(&leaf)).map_or(&[][..], Vec::as_slice);
        let mut best = Peak { evidence: 0, bin: 0 };
        let (mut count, mut evidence) = (0, 0);
        for (bin, step) in steps[..bin_end].iter().enumerate() {
            count += step[0];
            evidence += step[1];
            if count >= least
                && evidence > best.evidence
                && !spent.iter().any(|(first, last)| (*first..=*last).contains(&bin))
            {
                best = Peak { evidence, bin };
            }
        }
        (best.evidence > 0).then_some(best)
    }

    /// Is this an event that has been declared already, seen once more by the same stations?
    fn repeats(&self, event: &Found) -> bool {
        self.declared.iter().any(|other| {
            (other.time_s - event.time_s).abs() < self.settings.event_interval_s
                && event
                    .members
                    .iter()
                    .any(|pick| other.sites.contains(&self.pool.picks[*pick as usize].site))
                && distance_azimuth(other.latitude, other.longitude, event.latitude, event.longitude).0
                    < self.settings.event_distance_km
        })
    }

    fn declare(&mut self, found: &mut Vec<Found>, event: Found) {
        for index in event.members.iter().chain(&event.echoes) {
            self.pool.take(*index);
        }
        self.declared.push(Declared {
            time_s: event.time_s,
            latitude: event.latitude,
            longitude: event.longitude,
            sites: event.members.iter().map(|index| self.pool.picks[*index as usize].site).collect(),
        });
        found.push(event);
    }

    fn spend(&mut self, leaf: u32, cell: &Cell, bin: usize) {
        let width = (f64::from(slack(cell)) / 1000.0 / BIN_S).ceil() as usize;
        self.spent.entry(leaf).or_default().push((bin.saturating_sub(width), bin + width));
    }
}

/// Time an S wave takes from the middle of a cell to its corner, ms.
fn slack(cell: &Cell) -> u32 {
    let [east, north, down] = cell.half_km;
    ((east * east + north * north + down * down).sqrt() / 3.5 * 1000.0) as u32
}
