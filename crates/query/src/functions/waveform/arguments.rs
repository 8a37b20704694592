//! Arguments of one row, read from columns by name, and what every function asks of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;
use seislake_exchange::stationxml::response_stages;
use seislake_seismo::signal::{Fourier, Instrument, StagedResponse, TRANSFORM_COUNT_MAX};

use super::definition::Kind;
use super::{Answer, WaveformFunction};

/// Why a function does not take its arguments, one sentence without the function's name.
#[derive(Debug)]
pub(crate) struct Refusal(pub(super) String);

/// A refusal with this sentence.
pub(crate) fn refusal<T>(sentence: impl Into<String>) -> std::result::Result<T, Refusal> {
    Err(Refusal(sentence.into()))
}

/// What is kept from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    fourier: Fourier,
    /// The last response read, with its text: rows of one channel share it.
    response: Option<(String, Arc<ReadResponse>)>,
}

/// A response, or the sentence that says why it is none.
pub(crate) type ReadResponse = std::result::Result<Instrument, String>;

/// Reads a response: column `response` or `response_stationxml` of `network.channels`.
fn instrument(text: &str) -> ReadResponse {
    if text.trim_start().starts_with('<') {
        let stages = response_stages(text)?;
        return StagedResponse::new(&stages).map(Instrument::Staged).map_err(|error| error.to_string());
    }
    serde_json::from_str(text).map(Instrument::Analogue).map_err(|error| {
        format!("the text is not a response as network.channels holds it ({error}): join that table by source_id and time")
    })
}

/// The argument columns of a batch.
pub(super) struct Columns {
    definition: &'static WaveformFunction,
    columns: Vec<Column>,
}

/// An argument; what is the same for all rows is there once.
struct Column {
    values: Values,
    rows: Rows,
}

/// Rows that an argument has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    OneForAll,
    Each,
}

enum Values {
    List(ListArray),
    Number(Float64Array),
    Flag(BooleanArray),
    Text(StringArray),
}

impl Column {
    fn new(kind: Kind, array: &ArrayRef, rows: Rows) -> Option<Self> {
        let values = match kind {
            Kind::List => Values::List(array.as_list_opt::<i32>()?.clone()),
            Kind::Number => Values::Number(array.as_primitive_opt::<Float64Type>()?.clone()),
            Kind::Flag => Values::Flag(array.as_boolean_opt()?.clone()),
            Kind::Text => Values::Text(array.as_string_opt::<i32>()?.clone()),
        };
        Some(Self { values, rows })
    }

    fn index(&self, row: usize) -> usize {
        match self.rows {
            Rows::OneForAll => 0,
            Rows::Each => row,
        }
    }

    /// `None` where the row is null.
    fn value(&self, row: usize) -> Option<Value<'_>> {
        let row = self.index(row);
        Some(match &self.values {
            Values::List(lists) => Value::List(lists.is_valid(row).then(|| list(lists, row))?),
            Values::Number(numbers) => Value::Number(numbers.is_valid(row).then(|| numbers.value(row))?),
            Values::Flag(flags) => Value::Flag(flags.is_valid(row).then(|| flags.value(row))?),
            Values::Text(texts) => Value::Text(texts.is_valid(row).then(|| texts.value(row))?),
        })
    }
}

/// Where the elements of a row lie.
fn elements_of(lists: &ListArray, row: usize) -> Range<usize> {
    lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize
}

/// A row of lists as doubles; nulls are NaN.
fn list(lists: &ListArray, row: usize) -> Vec<f64> {
    let range = elements_of(lists, row);
    let elements = lists.values();
    let mut values: Vec<f64> = match elements.data_type() {
        DataType::Int32 => elements.as_primitive::<Int32Type>().values()[range.clone()]
            .iter()
            .copied()
            .map(f64::from)
            .collect(),
        DataType::Float64 => elements.as_primitive::<Float64Type>().values()[range.clone()].to_vec(),
        _ => vec![f64::NAN; range.len()],
    };
    if let Some(nulls) = elements.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (value, index) in values.iter_mut().zip(range) {
            if nulls.is_null(index) {
                *value = f64::NAN;
            }
        }
    }
    values
}

impl Columns {
    pub(super) fn new(definition: &'static WaveformFunction, given: &[ColumnarValue]) -> Result<Self> {
        let mut columns = Vec::with_capacity(definition.arguments.len());
        for (index, argument) in definition.arguments.iter().enumerate() {
            let (array, rows) = match given.get(index) {
                Some(ColumnarValue::Array(array)) => (Arc::clone(array), Rows::Each),
                Some(ColumnarValue::Scalar(value)) => (value.to_array()?, Rows::OneForAll),
                None => (default(argument.kind, argument.default)?.to_array()?, Rows::OneForAll),
            };
            let Some(column) = Column::new(argument.kind, &array, rows) else {
                return exec_err!("{}: {} has type {}", definition.name, argument.name, array.data_type());
            };
            columns.push(column);
        }
        Ok(Self { definition, columns })
    }

    /// Memory of the lists of all rows, bytes.
    pub(super) fn byte_count(&self) -> usize {
        let of_column = |column: &Column| {
            let Values::List(lists) = &column.values else { return 0 };
            let elements = lists.value_offsets().last().zip(lists.value_offsets().first());
            let width = lists.values().data_type().primitive_width().unwrap_or(size_of::<f64>());
            elements.map_or(0, |(last, first)| (last - first) as usize * width)
        };
        self.columns.iter().map(of_column).sum()
    }

    /// Memory of the lists of a row as doubles, bytes.
    pub(super) fn row_byte_count(&self, row: usize) -> usize {
        let of_column = |column: &Column| match &column.values {
            Values::List(lists) => elements_of(lists, column.index(row)).len() * size_of::<f64>(),
            _ => 0,
        };
        self.columns.iter().map(of_column).sum()
    }

    /// The arguments of a row; `None` where one is null.
    pub(super) fn row<'b>(&'b self, row: usize, scratch: &'b mut Scratch) -> Option<Arguments<'b>> {
        let values: Option<Vec<Value<'b>>> = self.columns.iter().map(|column| column.value(row)).collect();
        values.map(|values| Arguments { definition: self.definition, values, scratch })
    }
}

/// The value of an argument that was left out; `NULL` text and lists are empty, so that they do not make the row null.
fn default(kind: Kind, default: Option<&str>) -> Result<ScalarValue> {
    let text = default.unwrap_or_default();
    Ok(match kind {
        Kind::List => ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Float64)),
        Kind::Number => ScalarValue::Float64(text.parse().ok()),
        Kind::Flag => ScalarValue::Boolean(text.parse().ok()),
        Kind::Text => ScalarValue::Utf8(Some(text.trim_matches('\'').to_owned())),
    })
}

enum Value<'a> {
    List(Vec<f64>),
    Number(f64),
    Flag(bool),
    Text(&'a str),
}

/// The arguments of one row.
pub(crate) struct Arguments<'a> {
    definition: &'static WaveformFunction,
    values: Vec<Value<'a>>,
    scratch: &'a mut Scratch,
}

impl<'a> Arguments<'a> {
    fn index(&self, name: &str) -> usize {
        let place = self.definition.arguments.iter().position(|argument| argument.name == name);
        place.expect("a function reads arguments that its definition names")
    }

    /// The list `name`, gaps as NaN; it is taken out.
    pub(crate) fn list(&mut self, name: &str) -> Vec<f64> {
        let index = self.index(name);
        match &mut self.values[index] {
            Value::List(values) => std::mem::take(values),
            _ => vec![],
        }
    }

    /// The number `name`.
    pub(crate) fn number(&self, name: &str) -> f64 {
        match self.values[self.index(name)] {
            Value::Number(number) => number,
            _ => f64::NAN,
        }
    }

    /// The flag `name`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.values[self.index(name)], Value::Flag(true))
    }

    /// The text `name`.
    pub(crate) fn text(&self, name: &str) -> &'a str {
        match self.values[self.index(name)] {
            Value::Text(text) => text,
            _ => "",
        }
    }

    /// The number `name`, which must be positive.
    pub(crate) fn positive(&self, name: &str) -> std::result::Result<f64, Refusal> {
        let number = self.number(name);
        if number > 0.0 && number.is_finite() {
            return Ok(number);
        }
        refusal(format!("{name} must be a positive number, not {number}"))
    }

    /// The sample rate.
    pub(crate) fn sample_rate_hz(&self) -> std::result::Result<f64, Refusal> {
        self.positive("sample_rate_hz")
    }

    /// The number `name`, which must be a whole number of this range.
    pub(crate) fn whole(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> std::result::Result<usize, Refusal> {
        let number = self.number(name);
        if number.fract() == 0.0 && number >= *range.start() as f64 && number <= *range.end() as f64 {
            return Ok(number as usize);
        }
        refusal(format!(
            "{name} must be a whole number from {} to {}, not {number}",
            range.start(),
            range.end()
        ))
    }

    /// The length `name` in seconds as a number of samples, at least `least` and at most `most`.
    pub(crate) fn sample_count(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> std::result::Result<usize, Refusal> {
        let (seconds, rate_hz) = (self.number(name), self.sample_rate_hz()?);
        let count = (seconds * rate_hz).round();
        if count >= *range.start() as f64 && count <= *range.end() as f64 {
            return Ok(count as usize);
        }
        refusal(format!(
            "{name} of {seconds} s is {count} samples at {rate_hz} Hz, but must be {} to {}",
            range.start(),
            range.end()
        ))
    }

    /// The list `name`, which must have no gap and fit a transform.
    pub(crate) fn gapless(&mut self, name: &str) -> std::result::Result<Vec<f64>, Refusal> {
        let values = self.list(name);
        if let Some(gap) = values.iter().position(|value| !value.is_finite()) {
            return refusal(format!(
                "{name} must have no gap, but element {} is null or not finite",
                gap + 1
            ));
        }
        within_transform(name, values)
    }

    /// Runs `change` over every gapless run of `samples` by itself.
    pub(crate) fn each_run(
        &mut self,
        mut change: impl FnMut(&mut [f64], &mut Fourier),
    ) -> std::result::Result<Answer, Refusal> {
        let mut samples = self.list("samples");
        for run in runs(&samples) {
            change(&mut samples[run], &mut self.scratch.fourier);
        }
        Ok(Answer::List(samples))
    }

    /// The same for changes that transform a run as a whole.
    pub(crate) fn each_transform(
        &mut self,
        change: impl FnMut(&mut [f64], &mut Fourier),
    ) -> std::result::Result<Answer, Refusal> {
        let samples = within_transform("samples", self.list("samples"))?;
        let index = self.index("samples");
        self.values[index] = Value::List(samples);
        self.each_run(change)
    }

    /// Fourier transforms with their plans.
    pub(crate) fn fourier(&mut self) -> &mut Fourier {
        &mut self.scratch.fourier
    }

    /// The response that the text `name` holds, as `network.channels` writes it, or why it is none.
    pub(crate) fn response(&mut self, name: &str) -> Arc<ReadResponse> {
        let text = self.text(name);
        if let Some((known, response)) = &self.scratch.response
            && known == text
        {
            return Arc::clone(response);
        }
        let response = Arc::new(instrument(text));
        self.scratch.response = Some((text.to_owned(), Arc::clone(&response)));
        response
    }
}

fn within_transform(name: &str, values: Vec<f64>) -> std::result::Result<Vec<f64>, Refusal> {
    if values.len() > TRANSFORM_COUNT_MAX {
        return refusal(format!("{name} are {} samples; at most {TRANSFORM_COUNT_MAX} fit", values.len()));
    }
    Ok(values)
}

/// The gapless runs of samples.
pub(crate) fn runs(samples: &[f64]) -> Vec<Range<usize>> {
    let mut runs = vec![];
    let mut begin = None;
    for (index, sample) in samples.iter().enumerate() {
        match (begin, sample.is_finite()) {
            (None, true) => begin = Some(index),
            (Some(first), false) => {
                runs.push(first..index);
                begin = None;
            }
            _ => {}
        }
    }
    runs.extend(begin.map(|first| first..samples.len()));
    runs
}
