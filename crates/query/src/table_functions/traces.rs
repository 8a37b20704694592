//! `traces(source, from, to)`: one row a gapless run, its samples as a list for the waveform functions.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema, SchemaRef};
use datafusion::common::{Result, plan_err};
use seislake_model::{Joint, TimeBase};
use seislake_seismo::signal::TRANSFORM_COUNT_MAX;

use super::scan::Waveform;
use super::{Rows, TableFunction, UTC, make_rows, time_field};

pub(super) const FUNCTION: TableFunction = TableFunction {
    name: "traces",
    syntax: "traces(source, from, to)",
    doc: "One row a gapless run of a channel from `from` up to, but not at, `to`, merged across segments as by \
          `samples`; what the waveform functions are applied to. Runs longer than 10 000 000 samples are cut, and so are \
          those whose clock drifts away from start and rate, and where the version of the data changes: rows whose times \
          meet within half a sample have no gap between them. \
          `source` is a source identifier or `NET.STA.LOC.CHA`, and may hold `*` and `?`: channels then come one after \
          the other.",
    columns: &[
        ("source_id", "FDSN source identifier."),
        ("start_time", "Time of the first sample, rounded down to a microsecond."),
        ("end_time", "Time of the last sample, rounded down to a microsecond."),
        ("start_ns", "Time of the first sample, nanoseconds since 1970."),
        ("end_ns", "Time of the last sample, nanoseconds since 1970."),
        ("sample_rate_hz", "Sample rate."),
        ("sample_count", "Number of samples."),
        ("samples", "The samples as doubles."),
    ],
    example: "SELECT start_time, rms(bandpass(demean(samples), sample_rate_hz, 1, 10)) \
              FROM traces('FDSN:SY_D001__H_H_Z', '2026-01-01', '2026-01-02')",
    schema,
    many_sources: true,
    rows: |arguments| match arguments {
        [] => Ok(make_rows(|source_id, _| {
            Box::new(TraceRows { source_id: source_id.to_string(), ..TraceRows::default() })
        })),
        _ => plan_err!("traces takes a source, from and to, not {} arguments", arguments.len() + 3),
    },
};

fn schema() -> SchemaRef {
    let element = Arc::new(Field::new_list_field(DataType::Float64, true));
    Arc::new(Schema::new(vec![
        Field::new("source_id", DataType::Utf8, false),
        time_field("start_time"),
        time_field("end_time"),
        Field::new("start_ns", DataType::Int64, false),
        Field::new("end_ns", DataType::Int64, false),
        Field::new("sample_rate_hz", DataType::Float64, false),
        Field::new("sample_count", DataType::Int64, false),
        Field::new("samples", DataType::List(element), false),
    ]))
}

#[derive(Default)]
struct TraceRows {
    source_id: String,
    /// The run in the making.
    first: Option<TimeBase>,
    end_ns: i64,
    samples: Vec<f64>,
    complete: VecDeque<RecordBatch>,
}

impl TraceRows {
    fn end_run(&mut self) -> Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let samples = std::mem::take(&mut self.samples);
        let count = samples.len();
        let time = |nanos: i64| -> ArrayRef {
            let micros = TimestampMicrosecondArray::from_value(nanos.div_euclid(1000), 1);
            Arc::new(micros.with_timezone(UTC))
        };
        let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from_value(value, 1)) };
        let schema = schema();
        let element = Arc::new(Field::new_list_field(DataType::Float64, true));
        let values: ArrayRef = Arc::new(Float64Array::from(samples));
        let list = ListArray::try_new(element, OffsetBuffer::from_lengths([count]), values, None)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values([&self.source_id])),
            time(first.start_ns()),
            time(self.end_ns),
            long(first.start_ns()),
            long(self.end_ns),
            Arc::new(Float64Array::from_value(first.rate_hz(), 1)),
            long(count as i64),
            Arc::new(list),
        ];
        self.complete.push_back(RecordBatch::try_new(schema, columns)?);
        Ok(())
    }
}

impl Rows for TraceRows {
    fn push(&mut self, waveform: Waveform) -> Result<()> {
        let Waveform { piece, samples } = waveform;
        if piece.joint != Joint::Continues || self.samples.len() + piece.count() > TRANSFORM_COUNT_MAX {
            self.end_run()?;
        }
        self.first.get_or_insert(piece.base);
        self.end_ns = piece.base.last_ns();
        match samples.as_primitive_opt::<Int32Type>() {
            Some(counts) => self.samples.extend(counts.values().iter().copied().map(f64::from)),
            None => self.samples.extend_from_slice(samples.as_primitive::<Float64Type>().values()),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.end_run()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.complete.pop_front())
    }
}
