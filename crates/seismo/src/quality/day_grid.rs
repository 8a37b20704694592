//! The samples of a channel's UTC day on the grid of their rate; what is missing is NaN.
//!
//! A piece that begins within half a sample of the end of the one before goes on with it; any other is placed by the
//! time of its first sample. Where pieces overlap, the one that comes first is kept.

use super::continuity::{Piece, Window};

/// Highest sample rate of a grid: 1000 Hz are 86.4 million samples, 690 MB.
pub const SAMPLE_RATE_HZ_MAX: f64 = 1000.0;
/// Rates of one stream may differ by this part: digitizers jitter.
const RATE_TOLERANCE: f64 = 1e-4;
/// A sample less than this part of a sample before its place on the grid is on it: times are rounded.
const ON_GRID: f64 = 1e-2;

/// One day of samples.
#[derive(Clone, Debug)]
pub struct DayGrid {
    day: Window,
    sample_rate_hz: f64,
    values: Vec<f64>,
    /// When the next sample of the piece placed last is due, and its place.
    next: Option<(i64, i64)>,
    /// Nothing is placed from here on.
    filled_end: usize,
}

impl DayGrid {
    /// An empty day at a rate; `None` where the rate is not positive or above [`SAMPLE_RATE_HZ_MAX`].
    pub fn new(day: Window, sample_rate_hz: f64) -> Option<Self> {
        let grid = Self { day, sample_rate_hz: 0.0, values: Vec::new(), next: None, filled_end: 0 };
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
        Some(Self { day, sample_rate_hz, next: None, filled_end: 0, ..self })
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
    pub fn place<T: Copy + Into<f64>>(&mut self, piece: Piece, samples: &[T]) {
        let rate_agrees = (piece.sample_rate_hz() / self.sample_rate_hz - 1.0).abs() < RATE_TOLERANCE;
        if !rate_agrees || piece.sample_count() != samples.len() as u64 {
            return;
        }
        let period_ns = 1e9 / self.sample_rate_hz;
        let first = match self.next {
            Some((next_ns, place)) if (piece.start_ns() - next_ns).abs() as f64 <= period_ns / 2.0 => place,
            _ => {
                let samples = piece.start_ns().saturating_sub(self.day.start_ns) as f64 / period_ns;
                (samples + ON_GRID).floor() as i64
            }
        };
        self.next = Some((piece.next_ns(), first.saturating_add(samples.len() as i64)));
        let skipped = usize::try_from(-first).unwrap_or(0).min(samples.len());
        let start = usize::try_from(first).unwrap_or(0).min(self.values.len());
        let samples = samples.get(skipped..).unwrap_or_default();
        let end = (start + samples.len()).min(self.values.len());
        let fresh = start >= self.filled_end;
        let Some(places) = self.values.get_mut(start..end) else { return };
        for (place, sample) in places.iter_mut().zip(samples) {
            if fresh || place.is_nan() {
                *place = (*sample).into();
            }
        }
        self.filled_end = self.filled_end.max(end);
    }

    /// Windows of `window_s` from the begin of the day on, as places of the grid; a rest that fills no window is
    /// left out.
    pub(crate) fn windows(&self, window_s: f64) -> impl Iterator<Item = &[f64]> {
        let count = (self.day.seconds() / window_s + ON_GRID).floor() as usize;
        let boundary = move |index: usize| (index as f64 * window_s * self.sample_rate_hz).round() as usize;
        (0..count).map(move |index| self.values.get(boundary(index)..boundary(index + 1)).unwrap_or_default())
    }
}
