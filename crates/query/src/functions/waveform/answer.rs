//! What a waveform function gives, row by row, as a column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Float64Builder, ListArray, NullBufferBuilder, StringBuilder};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err};

use super::Returns;

/// What a function gives for one row.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Values of a list; what is not finite is null.
    List(Vec<f64>),
    /// A number; `None` and what is not finite are null.
    Number(Option<f64>),
    /// Text; `None` is null.
    Text(Option<String>),
    /// Null, whatever the function gives.
    Null,
}

/// The column in the making.
pub(super) struct Answers {
    returns: Returns,
    offsets: Vec<i32>,
    present: NullBufferBuilder,
    values: Vec<f64>,
    known: NullBufferBuilder,
    numbers: Float64Builder,
    texts: StringBuilder,
    /// More elements than a list column can count.
    overflow: bool,
}

impl Answers {
    pub(super) fn new(returns: Returns, row_count: usize) -> Self {
        let mut offsets = Vec::with_capacity(row_count + 1);
        offsets.push(0);
        Self {
            returns,
            offsets,
            present: NullBufferBuilder::new(row_count),
            values: vec![],
            known: NullBufferBuilder::new(0),
            numbers: Float64Builder::with_capacity(row_count),
            texts: StringBuilder::new(),
            overflow: false,
        }
    }

    /// Memory of the values so far, bytes.
    pub(super) fn byte_count(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
    }

    pub(super) fn push(&mut self, answer: Option<Answer>) {
        match (self.returns, answer) {
            (Returns::List, Some(Answer::List(values))) => {
                if values.iter().all(|value| value.is_finite()) {
                    self.known.append_n_non_nulls(values.len());
                } else {
                    values.iter().for_each(|value| self.known.append(value.is_finite()));
                }
                if self.values.is_empty() {
                    self.values = values;
                } else {
                    self.values.extend_from_slice(&values);
                }
                self.end_list();
                self.present.append_non_null();
            }
            (Returns::List, _) => {
                self.end_list();
                self.present.append_null();
            }
            (Returns::Number, Some(Answer::Number(number))) => {
                self.numbers.append_option(number.filter(|number| number.is_finite()));
            }
            (Returns::Number, _) => self.numbers.append_null(),
            (Returns::Text, Some(Answer::Text(text))) => self.texts.append_option(text),
            (Returns::Text, _) => self.texts.append_null(),
        }
    }

    fn end_list(&mut self) {
        let end = i32::try_from(self.values.len());
        self.overflow |= end.is_err();
        self.offsets.push(end.unwrap_or(i32::MAX));
    }

    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        match self.returns {
            Returns::Number => return Ok(Arc::new(self.numbers.finish())),
            Returns::Text => return Ok(Arc::new(self.texts.finish())),
            Returns::List => {}
        }
        if self.overflow {
            return exec_err!("a batch of results holds more than {} samples: ask for fewer rows", i32::MAX);
        }
        let values = Float64Array::new(ScalarBuffer::from(self.values), self.known.finish());
        let element = Arc::new(Field::new_list_field(DataType::Float64, true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(Arc::new(ListArray::try_new(element, offsets, Arc::new(values), self.present.finish())?))
    }
}
