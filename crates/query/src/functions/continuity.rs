//! `continuity(start_ns, end_ns, sample_rate_hz, sample_count, from, to)`: continuity of the pieces of a group between
//! two moments (the second excluded), as a struct; null where no sample lies there.
//!
//! ```sql
//! SELECT source_id, continuity(start_ns, end_ns, sample_rate_hz, sample_count,
//!        TIMESTAMP '2024-02-29', TIMESTAMP '2024-03-01') AS c FROM waveform.segments GROUP BY source_id
//! ```
//! The same algorithm as that of `quality.continuity`: [`seislake_seismo::quality::ChannelContinuity`].

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StructArray};
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use seislake_model::{Continuity, SourceId};
use seislake_seismo::quality::{ChannelContinuity, Piece, Window};

const MOMENT: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);
const ARGUMENT_COUNT: usize = 6;

pub(super) fn function() -> AggregateUDF {
    let arguments =
        vec![DataType::Int64, DataType::Int64, DataType::Float64, DataType::Int64, MOMENT, MOMENT];
    let signature = Signature::exact(arguments, Volatility::Immutable);
    AggregateUDF::new_from_impl(ContinuityOf { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ContinuityOf {
    signature: Signature,
}

fn fields() -> Fields {
    let long = |name: &str| Field::new(name, DataType::Int64, false);
    let double = |name: &str| Field::new(name, DataType::Float64, false);
    Fields::from(vec![
        double("sample_rate_hz"),
        long("sample_count"),
        long("expected_count"),
        double("continuity"),
        long("repeated_count"),
        long("gap_count"),
        double("gap_s"),
        long("overlap_count"),
        double("overlap_s"),
    ])
}

fn values(row: &Continuity) -> Vec<ArrayRef> {
    let long = |value: u64| Arc::new(Int64Array::from_value(value as i64, 1)) as ArrayRef;
    let double = |value: f64| Arc::new(Float64Array::from_value(value, 1)) as ArrayRef;
    vec![
        double(row.sample_rate_hz),
        long(row.sample_count),
        long(row.expected_count),
        double(row.fraction()),
        long(row.repeated_count),
        long(row.gap_count),
        double(row.gap_s),
        long(row.overlap_count),
        double(row.overlap_s),
    ]
}

impl AggregateUDFImpl for ContinuityOf {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "continuity"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Pieces { gathered: None }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name: &str, kind: DataType| {
            let element = Arc::new(Field::new_list_field(kind, true));
            Arc::new(Field::new(format!("{}[{name}]", arguments.name), DataType::List(element), true))
        };
        Ok(vec![
            list("start_ns", DataType::Int64),
            list("end_ns", DataType::Int64),
            list("sample_rate_hz", DataType::Float64),
            list("sample_count", DataType::Int64),
            list("window", DataType::Int64),
        ])
    }
}

/// The pieces of one group; `None` before the first row.
#[derive(Debug)]
struct Pieces {
    gathered: Option<(Window, ChannelContinuity)>,
}

impl Pieces {
    /// The window of all rows of a group is that of its first.
    fn channel(&mut self, window: Window) -> &mut ChannelContinuity {
        &mut self.gathered.get_or_insert_with(|| (window, ChannelContinuity::new(window))).1
    }
}

fn longs(array: &ArrayRef) -> &Int64Array {
    array.as_primitive::<Int64Type>()
}

fn push(channel: &mut ChannelContinuity, [starts, ends, rates, counts]: [&ArrayRef; 4], row: usize) {
    if [starts, ends, rates, counts].iter().any(|column| column.is_null(row)) {
        return;
    }
    let count = u64::try_from(longs(counts).value(row)).unwrap_or(0);
    let rate_hz = rates.as_primitive::<Float64Type>().value(row);
    let piece = Piece::new(longs(starts).value(row), longs(ends).value(row), rate_hz, count);
    if let Some(piece) = piece {
        channel.push(piece);
    }
}

impl Accumulator for Pieces {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [starts, ends, rates, counts, from, to] = values else {
            return exec_err!("continuity takes {ARGUMENT_COUNT} arguments");
        };
        let moments = |array: &ArrayRef| array.as_primitive::<TimestampNanosecondType>().clone();
        let (from, to) = (moments(from), moments(to));
        for row in 0..starts.len() {
            if from.is_null(row) || to.is_null(row) {
                continue;
            }
            let window = Window { start_ns: from.value(row), end_ns: to.value(row) };
            push(self.channel(window), [starts, ends, rates, counts], row);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let gathered = self.gathered.take();
        // The name is not part of the result.
        let row = gathered.and_then(|(_, channel)| channel.finish(SourceId::from_nslc("", "", "", "")));
        match row {
            Some(row) => {
                Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), values(&row), None)?)))
            }
            None => ScalarValue::try_from(&DataType::Struct(fields())),
        }
    }

    fn size(&self) -> usize {
        let pieces = self.gathered.as_ref().map_or(0, |(_, channel)| channel.pieces().len());
        size_of_val(self) + pieces * size_of::<Piece>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let pieces = self.gathered.as_ref().map_or(&[][..], |(_, channel)| channel.pieces());
        let list = |kind: DataType, values: Vec<ScalarValue>| {
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &kind))
        };
        let long = |value: &dyn Fn(&Piece) -> i64| {
            let values = pieces.iter().map(|piece| ScalarValue::Int64(Some(value(piece))));
            list(DataType::Int64, values.collect())
        };
        let rates = pieces.iter().map(|piece| ScalarValue::Float64(Some(piece.sample_rate_hz())));
        let window = self.gathered.iter().flat_map(|(window, _)| [window.start_ns, window.end_ns]);
        Ok(vec![
            long(&Piece::start_ns),
            long(&Piece::end_ns),
            list(DataType::Float64, rates.collect()),
            long(&|piece| piece.sample_count() as i64),
            list(DataType::Int64, window.map(|moment| ScalarValue::Int64(Some(moment))).collect()),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [starts, ends, rates, counts, windows] = states else {
            return exec_err!("the state of continuity has five lists");
        };
        let list = |array: &ArrayRef, row: usize| array.as_list::<i32>().value(row);
        for row in 0..windows.len() {
            let window = list(windows, row);
            let [start_ns, end_ns] = longs(&window).values()[..] else { continue };
            let columns = [starts, ends, rates, counts].map(|column| list(column, row));
            let channel = self.channel(Window { start_ns, end_ns });
            for piece in 0..columns[0].len() {
                push(channel, columns.each_ref(), piece);
            }
        }
        Ok(())
    }
}
