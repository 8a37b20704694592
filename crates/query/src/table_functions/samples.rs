//! `samples(source, from, to)`: one row a sample, gaps as nulls.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, NullBufferBuilder, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema, SchemaRef};
use datafusion::common::{Result, exec_err, plan_err};
use seislake_model::{Joint, TimeBase, Timestamp};

use super::pieces::Piece;
use super::scan::Waveform;
use super::{Rows, TableFunction, UTC, make_rows, time_field};

pub(super) const FUNCTION: TableFunction = TableFunction {
    name: "samples",
    syntax: "samples(source, from, to)",
    doc: "One row a sample of a channel from `from` up to, but not at, `to`, in order of time, merged across segments: \
          what is stored twice comes once, where segments overlap the earlier one wins, and a gap between two samples is \
          filled with rows whose `sample` is null (up to 1 000 000 000 of them). Each sample is timed within half a sample \
          of its record's stamp, however the clock drifts. Of several versions of the same time (`quality`) the best \
          counts: M before Q, D and R, or the highest publication version. Times may lie outside 1677 to 2262: they bound \
          nothing then. `source` is a source identifier or `NET.STA.LOC.CHA`.",
    columns: &[
        ("time", "Time of the sample, rounded down to a microsecond."),
        ("time_ns", "The same in nanoseconds since 1970."),
        (
            "sample",
            "Counts, or the value of a float encoding; null in a gap and where a recording holds NaN or an infinity.",
        ),
    ],
    example: "SELECT time, sample FROM samples('FDSN:SY_D001__H_H_Z', '2026-01-01T00:00', '2026-01-01T00:10')",
    schema,
    many_sources: false,
    rows: |arguments| match arguments {
        [] => Ok(make_rows(|_, batch_rows| Box::new(SampleRows::new(batch_rows)))),
        _ => plan_err!("samples takes a source, from and to, not {} arguments", arguments.len() + 3),
    },
};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        time_field("time"),
        Field::new("time_ns", DataType::Int64, false),
        Field::new("sample", DataType::Float64, true),
    ]))
}

/// Rows of one gap: 115 days at 100 Hz.
const GAP_ROWS_MAX: usize = 1_000_000_000;

struct SampleRows {
    schema: SchemaRef,
    batch_rows: usize,
    waiting: VecDeque<Block>,
    /// The batch in the making.
    times_ns: Vec<i64>,
    samples: Vec<f64>,
    present: NullBufferBuilder,
    last: Option<Piece>,
    ended: bool,
}

/// Rows to come: those of a piece, or of a gap where there are no samples.
struct Block {
    base: TimeBase,
    first: usize,
    end: usize,
    samples: Option<ArrayRef>,
}

impl SampleRows {
    fn new(batch_rows: usize) -> Self {
        Self {
            schema: schema(),
            batch_rows: batch_rows.max(1),
            waiting: VecDeque::new(),
            times_ns: vec![],
            samples: vec![],
            present: NullBufferBuilder::new(batch_rows),
            last: None,
            ended: false,
        }
    }

    /// The gap between the last piece and one that does not continue it.
    fn gap(&self, piece: &Piece) -> Option<Block> {
        let last = self.last.filter(|_| piece.joint == Joint::Breaks)?;
        let count = last.base.sample_count();
        let last_ns = last.base.sample_time_ns(count - 1);
        // Rows of the gap keep the pace of what was before it and end half an interval before what follows.
        let span = piece.base.start_ns().saturating_sub(last_ns) as f64 / last.base.period_ns();
        let missing = (span - 0.5).floor().max(0.0) as usize;
        let first = last.count();
        (missing > 0).then_some(Block {
            base: last.base,
            first,
            end: first.saturating_add(missing),
            samples: None,
        })
    }

    fn fill(&mut self, block: &mut Block) {
        let count = (block.end - block.first).min(self.batch_rows - self.times_ns.len());
        let end = block.first + count;
        let interval = block.base.period_ns();
        if interval.fract() == 0.0 {
            let (start_ns, interval) = (block.base.start_ns(), interval as i64);
            self.times_ns.extend(
                (block.first..end)
                    .map(|index| start_ns.saturating_add(interval.saturating_mul(index as i64))),
            );
        } else {
            let base = block.base;
            self.times_ns.extend((block.first..end).map(|index| base.sample_time_ns(index as u64)));
        }
        match &block.samples {
            None => {
                self.samples.resize(self.samples.len() + count, 0.0);
                self.present.append_n_nulls(count);
            }
            Some(samples) => {
                if let Some(counts) = samples.as_primitive_opt::<Int32Type>() {
                    self.samples.extend(counts.values()[block.first..end].iter().copied().map(f64::from));
                } else {
                    self.samples
                        .extend_from_slice(&samples.as_primitive::<Float64Type>().values()[block.first..end]);
                }
                let added = &self.samples[self.samples.len() - count..];
                if added.iter().any(|sample| !sample.is_finite()) {
                    added.iter().for_each(|sample| self.present.append(sample.is_finite()));
                } else {
                    self.present.append_n_non_nulls(count);
                }
            }
        }
        block.first = end;
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let times_ns = std::mem::replace(&mut self.times_ns, Vec::with_capacity(self.batch_rows));
        let samples = std::mem::replace(&mut self.samples, Vec::with_capacity(self.batch_rows));
        let micros =
            TimestampMicrosecondArray::from_iter_values(times_ns.iter().map(|nanos| nanos.div_euclid(1000)));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(micros.with_timezone(UTC)),
            Arc::new(Int64Array::from(times_ns)),
            Arc::new(Float64Array::new(samples.into(), self.present.finish())),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl Rows for SampleRows {
    fn push(&mut self, waveform: Waveform) -> Result<()> {
        let Waveform { piece, samples } = waveform;
        let gap = self.gap(&piece);
        if let Some(missing) =
            gap.as_ref().map(|gap| gap.end - gap.first).filter(|missing| *missing > GAP_ROWS_MAX)
        {
            let end = Timestamp::from_nanos(piece.base.start_ns());
            return exec_err!(
                "samples: the gap before {end} would give {missing} rows: ask for both sides of it, or use traces"
            );
        }
        self.waiting.extend(gap);
        self.waiting.push_back(Block {
            base: piece.base,
            first: 0,
            end: piece.count(),
            samples: Some(samples),
        });
        self.last = Some(piece);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(mut block) = self.waiting.pop_front() {
            self.fill(&mut block);
            if block.first < block.end {
                self.waiting.push_front(block);
            }
            if self.times_ns.len() == self.batch_rows {
                return self.batch().map(Some);
            }
        }
        if self.ended && !self.times_ns.is_empty() {
            return self.batch().map(Some);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Int32Array};

    use super::*;

    fn waveform(start_ns: i64, count: usize, joint: Joint) -> Waveform {
        let samples = Int32Array::from_iter_values(0..count as i32);
        let end_ns = start_ns + (count as i64 - 1) * SECOND;
        let base = TimeBase::new(start_ns, end_ns, 1.0, count as u64).unwrap();
        let piece = Piece { base, first: 0, joint };
        Waveform { piece, samples: Arc::new(samples) }
    }

    const SECOND: i64 = 1_000_000_000;

    fn rows(batch_rows: usize) -> Vec<(i64, Option<f64>)> {
        let mut rows = SampleRows::new(batch_rows);
        let mut found = vec![];
        let mut take = |rows: &mut SampleRows| {
            while let Some(batch) = rows.next().unwrap() {
                assert!(batch.num_rows() <= batch_rows);
                let times = batch.column(1).as_primitive::<arrow::datatypes::Int64Type>().clone();
                let samples = batch.column(2).as_primitive::<Float64Type>().clone();
                let sample = |index| samples.is_valid(index).then(|| samples.value(index));
                found.extend((0..times.len()).map(|index| (times.value(index) / SECOND, sample(index))));
            }
        };
        let (breaks, continues) = (Joint::Breaks, Joint::Continues);
        for (start_s, count, joint) in [(0, 3, breaks), (3, 2, continues), (7, 2, breaks)] {
            rows.push(waveform(start_s * SECOND, count, joint)).unwrap();
            take(&mut rows);
        }
        rows.finish().unwrap();
        take(&mut rows);
        found
    }

    #[test]
    fn rows_do_not_depend_on_the_size_of_batches() {
        let sample = |time, sample| (time, Some(sample));
        let (a, b) = ([sample(0, 0.0), sample(1, 1.0), sample(2, 2.0)], [sample(3, 0.0), sample(4, 1.0)]);
        let gap = [(5, None), (6, None)];
        let expected = [a.as_slice(), &b, &gap, &[sample(7, 0.0), sample(8, 1.0)]].concat();
        for batch_rows in [1, 2, 4, 9, 100] {
            assert_eq!(rows(batch_rows), expected, "{batch_rows} rows in a batch");
        }
    }

    #[test]
    fn a_gap_of_years_is_refused() {
        let mut rows = SampleRows::new(10);
        rows.push(waveform(0, 3, Joint::Breaks)).unwrap();
        let error = rows.push(waveform(2_000_000_000 * SECOND, 3, Joint::Breaks)).unwrap_err();
        assert!(error.to_string().contains("2033-05-18"), "{error}");
    }
}
