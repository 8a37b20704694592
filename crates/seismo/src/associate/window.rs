//! All events of one window: cells are visited in the order of the picks that point to them, the best first, and
//! whole branches of the octree are left out where not even a large cell gathers enough picks (after PyOcto,
//! Münchmeyer 2024, Seismica 3; counting of P and S at a trial origin after REAL, Zhang and others 2019, SRL 90).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;

use super::hypocentre::{WindowEvent, refine};
use super::octree::{Cell, Octree, Site};
use super::pool::{PickPool, WindowPick};
use super::settings::AssociateSettings;
use crate::geometry::distance_azimuth;

/// Resolution of trial origin times.
const BINS_PER_S: f32 = 4.0;
const BIN_S: f64 = 1.0 / BINS_PER_S as f64;
/// Evidence is summed in whole 64ths, so that sums do not depend on their order.
const EVIDENCE_SCALE: f32 = 64.0;

/// An event that has been declared already.
#[derive(Clone, Debug)]
pub(super) struct Declaration {
    /// After the begin of the window.
    pub(super) time_s: f64,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) sites: Vec<u32>,
}

/// The origin time most picks speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Peak {
    /// Evidence of these picks, in 64ths.
    evidence: i32,
    bin: usize,
    /// Do enough picks agree on any origin time inside the window, not only behind it?
    in_window: bool,
    /// The number of changes to the picks when it was found.
    changes: u64,
}

/// What to look at next.
#[derive(Debug)]
enum Entry {
    /// A cell and the peak it had.
    Cell(u32, Peak),
    /// An event and the leaf it was found from.
    Event(WindowEvent, u32),
}

/// Cells still to be looked at and events found but not yet declared, the one with most evidence first; among equals
/// events before cells, and cells near the root before others.
/// It is at its end when nothing in it can be an event of the window itself.
#[derive(Debug, Default)]
struct Queue {
    cells: BinaryHeap<(i32, Reverse<u32>, Peak)>,
    events: BTreeMap<(i32, Reverse<u32>), WindowEvent>,
    in_window: BTreeSet<u32>,
}

impl Queue {
    fn push(&mut self, peak: Peak, cell: u32) {
        self.cells.push((peak.evidence, Reverse(cell), peak));
        if peak.in_window {
            self.in_window.insert(cell);
        }
    }

    fn hold(&mut self, event: WindowEvent, cell: u32, peak: Peak) {
        if peak.in_window {
            self.in_window.insert(cell);
        }
        let evidence = (f64::from(EVIDENCE_SCALE) * event.near_evidence) as i32;
        self.events.insert((evidence, Reverse(cell)), event);
    }

    fn pop(&mut self) -> Option<Entry> {
        if self.in_window.is_empty() {
            return None;
        }
        let best_cell = self.cells.peek().map_or(i32::MIN, |next| next.0);
        if let Some(entry) = self.events.last_entry()
            && entry.key().0 >= best_cell
        {
            let ((_, Reverse(index)), event) = entry.remove_entry();
            self.in_window.remove(&index);
            return Some(Entry::Event(event, index));
        }
        let (_, Reverse(index), peak) = self.cells.pop()?;
        self.in_window.remove(&index);
        Some(Entry::Cell(index, peak))
    }

    /// Evidence of the next entry.
    fn best(&self) -> i32 {
        let cell = self.cells.peek().map_or(i32::MIN, |next| next.0);
        self.events.last_key_value().map_or(cell, |(key, _)| key.0.max(cell))
    }
}

/// The search of one window.
#[derive(Debug)]
pub(super) struct WindowSearch<'a> {
    settings: &'a AssociateSettings,
    tree: &'a Octree,
    sites: &'a [Site],
    pool: PickPool,
    /// Declared before and now.
    declared: Vec<Declaration>,
    /// Peaks that came to nothing, by leaf.
    spent: BTreeMap<u32, Vec<(usize, usize)>>,
    steps: Vec<[i32; 2]>,
    bin_count: usize,
    window_bin_count: usize,
    changes: u64,
}

impl<'a> WindowSearch<'a> {
    /// `picks` in the order of time; `earlier` events of the windows before. Origins of up to `lookahead_s` behind the
    /// window compete for its picks: the longest travel time.
    pub(super) fn new(
        settings: &'a AssociateSettings,
        tree: &'a Octree,
        sites: &'a [Site],
        picks: Vec<WindowPick>,
        earlier: Vec<Declaration>,
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
            changes: 0,
            bin_count,
            window_bin_count: ((settings.event_interval_s + settings.window_s) / BIN_S).ceil() as usize,
        }
    }

    /// Events with origins in the window, and those behind it that beat them, the best first.
    pub(super) fn run(mut self) -> Vec<WindowEvent> {
        let mut found: Vec<WindowEvent> = Vec::new();
        let mut queue = Queue::default();
        for index in 0..self.tree.root_count as u32 {
            self.visit(&mut queue, index);
        }
        let mut trials = 0;
        while let Some(entry) = queue.pop() {
            match entry {
                Entry::Cell(index, before) => {
                    let peak = if before.changes == self.changes { Some(before) } else { self.peak(index) };
                    let Some(peak) = peak else { continue };
                    if peak.evidence < before.evidence && queue.best() > peak.evidence {
                        queue.push(peak, index);
                        continue;
                    }
                    let cell = &self.tree.cells[index as usize];
                    if !cell.children.is_empty() {
                        for child in cell.children.clone() {
                            self.visit(&mut queue, child);
                        }
                        continue;
                    }
                    trials += 1;
                    if trials > self.settings.trials_max {
                        break;
                    }
                    match self.try_leaf(index, peak) {
                        Some(event) if self.repeats(&event) => self.absorb(&event),
                        Some(event) => {
                            queue.hold(event, index, peak);
                            continue;
                        }
                        None => self.spend(index, peak.bin),
                    }
                    self.visit(&mut queue, index);
                }
                Entry::Event(event, index) => {
                    if event.members.iter().any(|pick| self.pool.taken(*pick)) {
                        // What is left of it is found again from its cell.
                    } else if self.repeats(&event) {
                        self.absorb(&event);
                    } else {
                        self.declare(&mut found, event);
                    }
                    self.visit(&mut queue, index);
                }
            }
        }
        found
    }

    fn try_leaf(&self, index: u32, peak: Peak) -> Option<WindowEvent> {
        let cell = &self.tree.cells[index as usize];
        let time_s = (peak.bin as f64 + 0.5) * BIN_S - self.settings.event_interval_s;
        refine(self.settings, self.sites, &self.pool, (cell, self.tree.votes(cell)), time_s)
    }

    fn visit(&mut self, queue: &mut Queue, index: u32) {
        if let Some(peak) = self.peak(index) {
            queue.push(peak, index);
        }
    }

    /// The origin time in a cell that most free picks speak for; `None` where there are never enough.
    fn peak(&mut self, index: u32) -> Option<Peak> {
        let cell = &self.tree.cells[index as usize];
        let bins = self.add_up(cell);
        let least = self.settings.picks_min as i32;
        let spent = self.spent.get(&index).map_or(&[][..], Vec::as_slice);
        let mut best = Peak { evidence: 0, bin: 0, in_window: false, changes: self.changes };
        let (mut count, mut evidence) = (0, 0);
        for bin in bins {
            let step = std::mem::take(&mut self.steps[bin]);
            count += step[0];
            evidence += step[1];
            if bin == self.bin_count
                || count < least
                || spent.iter().any(|(first, last)| (*first..=*last).contains(&bin))
            {
                continue;
            }
            best.in_window |= bin < self.window_bin_count;
            if evidence > best.evidence {
                best = Peak { evidence, bin, ..best };
            }
        }
        (best.evidence > 0).then_some(best)
    }

    /// Writes into `steps` where along the origin times of `cell` picks begin and cease to agree, as counts and as
    /// evidence; returns the bins written to.
    fn add_up(&mut self, cell: &Cell) -> Range<usize> {
        let begin_s = -self.settings.event_interval_s as f32;
        let bin_count = self.bin_count as f32;
        let mut bins = self.bin_count..0;
        for vote in self.tree.votes(cell) {
            for phase in 0..2 {
                let free = self.pool.free(vote.site, phase);
                if free.times_s.is_empty() {
                    continue;
                }
                let evidence = free.evidence(vote.leaf_width_ln[phase]);
                let weight = ((EVIDENCE_SCALE * evidence) as i32).max(1);
                let (first_s, last_s) = (
                    vote.time_s[phase] + vote.half_s[phase] + begin_s,
                    vote.time_s[phase] - vote.half_s[phase] + begin_s,
                );
                let mut free_from = 0;
                for time_s in &free.times_s {
                    let low = (time_s - first_s) * BINS_PER_S;
                    let high = (time_s - last_s) * BINS_PER_S;
                    if high < 0.0 {
                        continue;
                    }
                    // Also where the travel time is infinite.
                    if !(low < bin_count && high.is_finite()) {
                        break;
                    }
                    let low = (low.max(0.0) as usize).max(free_from);
                    let high = (high as usize + 1).min(self.bin_count);
                    if low < high {
                        self.steps[low][0] += 1;
                        self.steps[low][1] += weight;
                        self.steps[high][0] -= 1;
                        self.steps[high][1] -= weight;
                        free_from = high;
                        bins = bins.start.min(low)..bins.end.max(high + 1);
                    }
                }
            }
        }
        bins
    }

    /// Is this an event that has been declared already, seen once more by the same stations?
    fn repeats(&self, event: &WindowEvent) -> bool {
        self.declared.iter().any(|other| {
            (other.time_s - event.time_s).abs() < self.settings.event_interval_s
                && event.members.iter().any(|pick| other.sites.contains(&self.pool.pick(*pick).site))
                && distance_azimuth(other.latitude, other.longitude, event.latitude, event.longitude).0
                    < self.settings.event_distance_km
        })
    }

    fn declare(&mut self, found: &mut Vec<WindowEvent>, event: WindowEvent) {
        self.changes += 1;
        for index in event.members.iter().chain(&event.echoes) {
            self.pool.take(*index);
        }
        self.declared.push(Declaration {
            time_s: event.time_s,
            latitude: event.latitude,
            longitude: event.longitude,
            sites: event.members.iter().map(|index| self.pool.pick(*index).site).collect(),
        });
        found.push(event);
    }

    /// Picks that only see a declared event once more belong to no other.
    fn absorb(&mut self, event: &WindowEvent) {
        self.changes += 1;
        for index in event.members.iter().chain(&event.echoes) {
            self.pool.take(*index);
        }
    }

    fn spend(&mut self, leaf: u32, bin: usize) {
        let width = (f64::from(slack(&self.tree.cells[leaf as usize])) / 1000.0 / BIN_S).ceil() as usize;
        self.spent.entry(leaf).or_default().push((bin.saturating_sub(width), bin + width));
    }
}

/// Time an S wave takes from the middle of a cell to its corner, ms.
fn slack(cell: &Cell) -> u32 {
    let [east, north, down] = cell.half_km;
    ((east * east + north * north + down * down).sqrt() / 3.5 * 1000.0) as u32
}
