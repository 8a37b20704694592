//! `spectrogram(source, from, to, window_s [, overlap])`: power over time and frequency.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema, SchemaRef};
use datafusion::common::{Result, exec_err, plan_err};
use seislake_model::Joint;
use seislake_seismo::signal::{Fourier, SpectralWindow};

use super::scan::Waveform;
use super::{Rows, TableFunction, UTC, arguments, make_rows, time_field};
use crate::functions::spectra::step;

pub(super) const FUNCTION: TableFunction = TableFunction {
    name: "spectrogram",
    syntax: "spectrogram(source, from, to, window_s [, overlap])",
    doc: "One row a window and frequency: power spectral density of the demeaned window under a Hann window, of the \
          channel merged as by `samples`. Windows begin anew behind a gap and where the version changes; none holds a gap, \
          NaN or an infinity. \
          `overlap` is the part of a window that the next one shares, 0 to 0.95, and 0.5 where left out. \
          Equal to SciPy's `spectrogram(…, window=\"hann\", detrend=\"constant\")` within 1e-9 of the largest value.",
    columns: &[
        ("time", "Middle of the window, rounded down to a microsecond."),
        ("time_ns", "The same in nanoseconds since 1970."),
        ("frequency_hz", "Frequency."),
        ("psd", "Power spectral density, unit of the samples squared per Hz."),
    ],
    example: "SELECT time, frequency_hz, 10 * log10(psd) AS db \
              FROM spectrogram('FDSN:SY_D001__H_H_Z', '2026-01-01T00:00', '2026-01-01T01:00', 10) WHERE frequency_hz > 0",
    schema,
    many_sources: false,
    rows: |arguments| {
        if arguments.is_empty() || arguments.len() > 2 {
            return plan_err!(
                "spectrogram takes a source, from, to, window_s and perhaps overlap, not {} arguments",
                arguments.len() + 3
            );
        }
        let window_s = arguments::number("spectrogram", "window_s", arguments.first(), None)?;
        let overlap = arguments::number("spectrogram", "overlap", arguments.get(1), Some(0.5))?;
        if window_s <= 0.0 {
            return plan_err!("spectrogram: window_s must be positive, not {window_s}");
        }
        if step(2, overlap).is_none() {
            return plan_err!("spectrogram: overlap must be from 0 to 0.95, not {overlap}");
        }
        Ok(make_rows(move |_, batch_rows| Box::new(SpectrogramRows::new(window_s, overlap, batch_rows))))
    },
};

/// Samples in the longest window.
const WINDOW_COUNT_MAX: f64 = 1_048_576.0;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        time_field("time"),
        Field::new("time_ns", DataType::Int64, false),
        Field::new("frequency_hz", DataType::Float64, false),
        Field::new("psd", DataType::Float64, false),
    ]))
}

struct SpectrogramRows {
    window_s: f64,
    overlap: f64,
    batch_rows: usize,
    fourier: Fourier,
    window: Option<SpectralWindow>,
    /// The run in the making, from the begin of the next window on.
    start_ns: i64,
    sample_rate_hz: f64,
    samples: VecDeque<f64>,
    times_ns: Vec<i64>,
    frequencies_hz: Vec<f64>,
    densities: Vec<f64>,
    ended: bool,
}

impl SpectrogramRows {
    fn new(window_s: f64, overlap: f64, batch_rows: usize) -> Self {
        Self {
            window_s,
            overlap,
            batch_rows,
            fourier: Fourier::default(),
            window: None,
            start_ns: 0,
            sample_rate_hz: 0.0,
            samples: VecDeque::new(),
            times_ns: vec![],
            frequencies_hz: vec![],
            densities: vec![],
            ended: false,
        }
    }

    /// A window for the rate of a new run.
    fn design(&self, sample_rate_hz: f64) -> Result<SpectralWindow> {
        let count = (self.window_s * sample_rate_hz).round();
        if !(2.0..=WINDOW_COUNT_MAX).contains(&count) {
            return exec_err!(
                "spectrogram: window_s of {} s is {count} samples at {sample_rate_hz} Hz, but must be 2 to {WINDOW_COUNT_MAX}",
                self.window_s
            );
        }
        let count = count as usize;
        Ok(SpectralWindow::new(count, step(count, self.overlap).unwrap_or(count), sample_rate_hz))
    }

    /// Rows of the window at the begin of the run; the run goes on one step later.
    fn take_window(&mut self, window: &SpectralWindow) {
        let count = window.count();
        let samples = &self.samples.make_contiguous()[..count];
        if samples.iter().all(|sample| sample.is_finite()) {
            let densities = window.density(&mut self.fourier, samples);
            let half_ns = (count as f64 / 2.0 * 1e9 / self.sample_rate_hz).round() as i64;
            self.times_ns
                .resize(self.times_ns.len() + densities.len(), self.start_ns.saturating_add(half_ns));
            let interval_hz = self.sample_rate_hz / count as f64;
            self.frequencies_hz.extend((0..densities.len()).map(|index| index as f64 * interval_hz));
            self.densities.extend(densities);
        }
        let step = window.step().min(self.samples.len());
        self.samples.drain(..step);
        self.start_ns = self.start_ns.saturating_add(length_ns(step, self.sample_rate_hz));
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let times_ns = std::mem::take(&mut self.times_ns);
        let micros =
            TimestampMicrosecondArray::from_iter_values(times_ns.iter().map(|nanos| nanos.div_euclid(1000)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(micros.with_timezone(UTC)),
            Arc::new(Int64Array::from(times_ns)),
            Arc::new(Float64Array::from(std::mem::take(&mut self.frequencies_hz))),
            Arc::new(Float64Array::from(std::mem::take(&mut self.densities))),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}

fn length_ns(count: usize, rate_hz: f64) -> i64 {
    (count as f64 / rate_hz * 1e9).round() as i64
}

impl Rows for SpectrogramRows {
    fn push(&mut self, waveform: Waveform) -> Result<()> {
        let Waveform { piece, samples } = waveform;
        let rate_hz = piece.base.rate_hz();
        // A clock that drifts is no gap: the window goes on.
        if piece.joint == Joint::Breaks || self.window.is_none() {
            self.samples.clear();
            self.window = Some(self.design(rate_hz)?);
        }
        self.sample_rate_hz = rate_hz;
        // The newest record tells the time: small errors of the rate do not add up.
        self.start_ns = piece.base.start_ns().saturating_sub(length_ns(self.samples.len(), rate_hz));
        match samples.as_primitive_opt::<Int32Type>() {
            Some(counts) => self.samples.extend(counts.values().iter().copied().map(f64::from)),
            None => self.samples.extend(samples.as_primitive::<Float64Type>().values()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(window) = self.window.take() else { return Ok(None) };
        while self.samples.len() >= window.count() && self.times_ns.len() < self.batch_rows {
            self.take_window(&window);
        }
        let full = self.times_ns.len() >= self.batch_rows;
        self.window = Some(window);
        if full || (self.ended && !self.times_ns.is_empty()) {
            return self.batch().map(Some);
        }
        Ok(None)
    }
}
