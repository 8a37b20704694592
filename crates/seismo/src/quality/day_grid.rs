//! The samples of a channel's UTC day on the grid of their rate; what is missing is NaN.
//!
//! A piece that begins within half a sample of the end of the one before goes on with it; any other is placed by the
//! time of its first sample. A clock that drifts moves its samples from place to place: each stands within half a sample of
//! its time, and the place that a slow clock leaves out takes the value of its neighbour, as it is no gap. Infinities count
//! as NaN. Where pieces overlap, the one that comes first is kept; of several versions of a day the best is placed first
//! ([`DayGrid::next_version`]), and the others fill what it lacks.

use std::ops::Range;

use super::continuity::{Piece, Window};

/// Highest sample rate of a grid: 1000 Hz are 86.4 million samples, 690 MB.
pub const SAMPLE_RATE_HZ_MAX: f64 = 1000.0;
/// Rates of one stream may differ by this part: digitizers jitter.
const RATE_TOLERANCE: f64 = 1e-4;
/// A sample less than this part of a sample before its place on the grid is on it: times are rounded.
const ON_GRID: f64 = 1e-2;

/// A sample as segments have it. Its loop is compiled here, where samples are worth it: one with a type parameter would be
/// compiled in the crate that calls it, and those that plan and join are not optimised.
pub trait GridSample: Copy {
    /// Writes `samples` into the places that lie beside them.
    fn fill(places: &mut [f64], samples: &[Self], which: Places);
}

/// Which places take a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// All: none holds one yet.
    Empty,
    /// Those that hold none yet.
    Some,
}

impl GridSample for i32 {
    #[inline(never)]
    fn fill(places: &mut [f64], samples: &[Self], which: Places) {
        fill(places, samples, which);
    }
}

impl GridSample for f64 {
    #[inline(never)]
    fn fill(places: &mut [f64], samples: &[Self], which: Places) {
        fill(places, samples, which);
    }
}

fn fill<T: Copy + Into<f64>>(places: &mut [f64], samples: &[T], which: Places) {
    for (place, sample) in places.iter_mut().zip(samples) {
        let sample: f64 = (*sample).into();
        if (which == Places::Empty || place.is_nan()) && sample.is_finite() {
            *place = sample;
        }
    }
}

/// One day of samples.
#[derive(Clone, Debug)]
pub struct DayGrid {
    day: Window,
    sample_rate_hz: f64,
    values: Vec<f64>,
    /// The piece placed last.
    next: Option<Next>,
    /// Places that took the value of a neighbour.
    repeated_count: u64,
    /// Nothing is placed from here on.
    filled_end: usize,
}

/// Where a piece that goes on belongs.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// When its first sample is due.
    due_ns: i64,
    place: i64,
    /// Of the run: how much later than its place a sample is, parts of a sample.
    phase: f64,
}

impl DayGrid {
    /// An empty day at a rate; `None` where the rate is not positive or above [`SAMPLE_RATE_HZ_MAX`].
    pub fn new(day: Window, sample_rate_hz: f64) -> Option<Self> {
        let grid = Self {
            day,
            sample_rate_hz: 0.0,
            values: Vec::new(),
            next: None,
            repeated_count: 0,
            filled_end: 0,
        };
        grid.reused(day, sample_rate_hz)
    }

    /// The same memory for another day or channel.
    pub fn reused(mut self, day: Window, sample_rate_hz: f64) -> Option<Self> {
        if !(sample_rate_hz > 0.0 && sample_rate_hz <= SAMPLE_RATE_HZ_MAX) {
            return None;
        }
        let length = (day.seconds() * sample_rate_hz).round() as usize;
        self.values.clear();
        self.values.resize(length, f64::NAN);
        Some(Self { day, sample_rate_hz, next: None, repeated_count: 0, filled_end: 0, ..self })
    }

    /// Sample rate in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// The samples of the day, NaN where there is none.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Places the samples of a piece. Pieces must come in order of their begin; a piece of another rate, or whose
    /// number of samples is not that of `samples`, is left out. Constant time a sample.
    pub fn place<T: GridSample>(&mut self, piece: Piece, samples: &[T]) {
        let rate_agrees = (piece.sample_rate_hz() / self.sample_rate_hz - 1.0).abs() < RATE_TOLERANCE;
        if !rate_agrees || piece.sample_count() != samples.len() as u64 {
            return;
        }
        let first = self.place_of(&piece);
        let skipped = usize::try_from(-first).unwrap_or(0).min(samples.len());
        let start = usize::try_from(first).unwrap_or(0).min(self.values.len());
        let samples = samples.get(skipped..).unwrap_or_default();
        let end = (start + samples.len()).min(self.values.len());
        let fresh = start >= self.filled_end;
        let Some(places) = self.values.get_mut(start..end) else { return };
        T::fill(places, samples, if fresh { Places::Empty } else { Places::Some });
        self.filled_end = self.filled_end.max(end);
    }

    /// Place of the first sample of a piece.
    fn place_of(&mut self, piece: &Piece) -> i64 {
        let period_ns = 1e9 / self.sample_rate_hz;
        let exact = piece.start_ns().saturating_sub(self.day.start_ns) as f64 / period_ns;
        let goes_on = self.next.filter(|next| {
            piece.start_ns().saturating_sub(next.due_ns).saturating_abs() as f64 <= period_ns / 2.0
        });
        let (place, phase) = match goes_on {
            Some(next) => {
                let drift = exact - (next.place as f64 + next.phase);
                let shift = if drift.abs() > 0.5 { drift.round() as i64 } else { 0 };
                if shift == 1 {
                    self.repeat(next.place);
                }
                (next.place.saturating_add(shift), next.phase)
            }
            None => {
                let place = (exact + ON_GRID).floor();
                (place as i64, exact - place)
            }
        };
        let count = i64::try_from(piece.sample_count()).unwrap_or(i64::MAX);
        self.next = Some(Next { due_ns: piece.next_ns(), place: place.saturating_add(count), phase });
        place
    }

    /// A place that a slow clock has left out, between two samples that follow each other.
    fn repeat(&mut self, place: i64) {
        let Ok(place) = usize::try_from(place) else { return };
        let before = place.checked_sub(1).and_then(|before| self.values.get(before).copied());
        if let (Some(value), Some(left_out)) = (before, self.values.get_mut(place))
            && left_out.is_nan()
            && !value.is_nan()
        {
            *left_out = value;
            self.repeated_count += 1;
            self.filled_end = self.filled_end.max(place + 1);
        }
    }

    /// What is placed from now on is of a worse version: it fills what is missing. Its pieces come in order of their
    /// begin again.
    pub fn next_version(&mut self) {
        self.next = None;
        self.filled_end = self.values.len();
    }

    /// Samples placed: values that are no gap, less those that a neighbour lent.
    pub(crate) fn own_count(&self, count: u64) -> u64 {
        count.saturating_sub(self.repeated_count)
    }

    /// Samples of the windows of `window_s` from the begin of the day on; a rest that fills no window is left out.
    pub(crate) fn windows(&self, window_s: f64) -> impl Iterator<Item = &[f64]> {
        self.window_places(window_s).map(|places| self.values.get(places).unwrap_or_default())
    }

    /// The same as places of the grid.
    pub(crate) fn window_places(&self, window_s: f64) -> impl Iterator<Item = Range<usize>> {
        let count = (self.day.seconds() / window_s + ON_GRID).floor() as usize;
        let boundary = move |index: usize| (index as f64 * window_s * self.sample_rate_hz).round() as usize;
        (0..count).map(move |index| boundary(index)..boundary(index + 1))
    }
}
