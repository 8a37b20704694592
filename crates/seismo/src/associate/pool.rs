//! The picks of one window that no event has taken yet.

/// A pick inside a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowPick {
    pub(super) site: u32,
    /// 0: P, 1: S.
    pub(super) phase: usize,
    /// After the begin of the window.
    pub(super) time_s: f64,
}

/// Free picks of one phase at one station, by time.
#[derive(Clone, Debug, Default)]
pub(super) struct FreePicks {
    /// After the begin of the window.
    pub(super) times_s: Vec<f32>,
    indices: Vec<u32>,
    /// Logarithm of how many there are per second.
    rate_ln: f32,
}

impl FreePicks {
    /// How much one of them speaks for an event that predicts it to within a time of some width (its logarithm, s):
    /// the logarithm of how unlikely chance would have put one there.
    #[inline]
    pub(super) fn evidence(&self, width_ln: f32) -> f32 {
        -width_ln - self.rate_ln
    }
}

/// The picks of a window by station and phase, and which of them are taken.
#[derive(Debug)]
pub(super) struct PickPool {
    picks: Vec<WindowPick>,
    taken: Vec<bool>,
    free: Vec<[FreePicks; 2]>,
    extent_s: f64,
}

impl PickPool {
    /// `picks` in the order of time, out of a time of `extent_s`.
    pub(super) fn new(site_count: usize, picks: Vec<WindowPick>, extent_s: f64) -> Self {
        let mut free = vec![<[FreePicks; 2]>::default(); site_count];
        for (index, pick) in picks.iter().enumerate() {
            let list = &mut free[pick.site as usize][pick.phase];
            list.times_s.push(pick.time_s as f32);
            list.indices.push(index as u32);
        }
        let mut pool = Self { taken: vec![false; picks.len()], picks, free, extent_s };
        for site in 0..site_count {
            for phase in 0..2 {
                pool.rate(site, phase);
            }
        }
        pool
    }

    pub(super) fn pick(&self, index: u32) -> &WindowPick {
        &self.picks[index as usize]
    }

    pub(super) fn taken(&self, index: u32) -> bool {
        self.taken[index as usize]
    }

    #[inline]
    pub(super) fn free(&self, site: u32, phase: usize) -> &FreePicks {
        &self.free[site as usize][phase]
    }

    /// Takes a pick out.
    pub(super) fn take(&mut self, index: u32) {
        self.taken[index as usize] = true;
        let WindowPick { site, phase, .. } = self.picks[index as usize];
        let list = &mut self.free[site as usize][phase];
        if let Some(place) = list.indices.iter().position(|free| *free == index) {
            list.indices.remove(place);
            list.times_s.remove(place);
            self.rate(site as usize, phase);
        }
    }

    fn rate(&mut self, site: usize, phase: usize) {
        let list = &mut self.free[site][phase];
        list.rate_ln = ((list.indices.len() as f64 + 0.5) / self.extent_s).ln() as f32;
    }

    /// Evidence of a pick within `half_s` of its predicted time.
    pub(super) fn evidence(&self, site: u32, phase: usize, half_s: f64) -> f64 {
        -(2.0 * half_s).ln() - f64::from(self.free(site, phase).rate_ln)
    }

    /// Free picks of a station and phase within `half_s` of `time_s`.
    pub(super) fn around(
        &self,
        site: u32,
        phase: usize,
        time_s: f64,
        half_s: f64,
    ) -> impl Iterator<Item = u32> + '_ {
        let list = &self.free(site, phase).indices;
        let first = list.partition_point(|index| self.pick(*index).time_s < time_s - half_s);
        list[first..].iter().copied().take_while(move |index| self.pick(*index).time_s <= time_s + half_s)
    }
}
